//! What Tekton says of a spec, at its place in the file: the paths of its errors lead through the YAML.

use std::ops::Range;

use super::document::tree::{Kind, Node};
use crate::diagnostic::{Diagnostic, did_you_mean};
use pipewright_tekton::Verdict;
use pipewright_tekton::fields::FieldError;

const OWN_RULE: &str = "the rule is that of Tekton's own webhook (v1.15); the path names the field";

/// One step of a path such as `spec.params[url].value`.
enum Step<'p> {
    Field(&'p str),
    /// An index, or the name of a list's item.
    Item(&'p str),
}

/// The place of `path` below the node of a `spec`: of the deepest part that is there.
pub(super) fn of(spec: &Node, path: &str) -> Range<usize> {
    let mut node = spec;
    let mut span = spec.span.start..spec.span.start;
    for step in steps(path) {
        let found = match (step, &node.kind) {
            (Step::Field(name) | Step::Item(name), Kind::Map(entries)) => {
                entries.iter().find(|entry| entry.key.text.eq_ignore_ascii_case(name)).map(|entry| {
                    (&entry.value, entry.key.span.start..entry.value.span.end.max(entry.key.span.end))
                })
            }
            (Step::Item(name), Kind::List(items)) => {
                let by_index = name.parse::<usize>().ok().and_then(|index| items.get(index));
                let by_name = items.iter().find(|item| item.get("name").and_then(Node::as_str) == Some(name));
                by_index.or(by_name).map(|item| (item, item.span.clone()))
            }
            _ => None,
        };
        let Some((next, place)) = found else { break };
        node = next;
        span = place;
    }
    span
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path.strip_prefix("spec").unwrap_or(path);
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            steps.push(Step::Item(&inner[..end]));
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let field = rest.strip_prefix('.').unwrap_or(rest);
            let end = field.find(['.', '[']).unwrap_or(field.len());
            steps.push(Step::Field(&field[..end]));
            rest = &field[end..];
        }
    }
    steps
}

/// Every error of a verdict, and a note for what was not looked into, each with its path.
pub(super) fn report(verdict: &Verdict, add: &mut dyn FnMut(Diagnostic, &str)) {
    for stranger in &verdict.strangers {
        let name = stranger.path.rsplit('.').next().unwrap_or(&stranger.path);
        let near = did_you_mean(name, stranger.known.iter().copied());
        let hint = near.map_or_else(
            || format!("there are here: {}", stranger.known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        let what = if stranger.is_dropped { "it is dropped without a word" } else { "it refuses the object" };
        let message = format!("Tekton knows no field `{}`: {what}", stranger.path);
        add(Diagnostic::error("unknown-field", message).hint(hint), &stranger.path);
    }
    for error in verdict.errors.iter() {
        let path = error.paths.first().copied().unwrap_or("spec");
        if error.message.starts_with("json: unknown field") {
            continue;
        }
        if let Some(gate) = error.gate {
            let message = format!(
                "not checked: Tekton takes this only where its setting `{gate}` allows it ({})",
                error.text()
            );
            add(Diagnostic::note("not-checked", message), path);
            continue;
        }
        let (message, hint) = words(&error);
        add(Diagnostic::error("tekton-refuses", message).hint(hint), path);
    }
    for path in &verdict.unchecked {
        let message = format!("not checked: Pipewright does not look into `{path}`; Tekton does");
        add(Diagnostic::note("not-checked", message), path);
    }
}

/// An error in Tekton's words, and what to do about it.
fn words(error: &FieldError<'_>) -> (String, &'static str) {
    let path = error.paths.first().copied().unwrap_or("spec");
    let message = error.message;
    if let Some(rest) = message.strip_prefix("json: cannot unmarshal ")
        && let Some((given, wanted)) = rest.split_once(" into ")
    {
        let given = match given {
            "null" => "nothing",
            "bool" => "a boolean",
            "number" => "a number",
            "string" => "a string",
            "array" => "a list",
            _ => "a map",
        };
        let hint = if path.ends_with("params") {
            "params are a list: `- {name: url, value: …}`"
        } else if path.ends_with("Ref") {
            "such as `{name: build}`"
        } else {
            OWN_RULE
        };
        return (format!("`{path}` must be {wanted}, not {given}"), hint);
    }
    if message.starts_with("impossible ParamValues.Type") {
        let owner = path.strip_suffix(".value").unwrap_or(path);
        return (format!("`{owner}` has no `value`: Tekton refuses it"), "write `- {name: url, value: …}`");
    }
    let hint = if message.contains("duration") && message.starts_with("time:") {
        "durations are written like `1h30m`, `90s` or `0` for none"
    } else if message.contains("non-existent variable") {
        "declare it in `params` of the pipeline or task, or correct the name"
    } else if message.contains("cannot use result expressions") {
        "results are for the params of tasks, not of the run"
    } else if message.contains("got neither") && error.paths.iter().any(|path| path.ends_with("taskRef")) {
        "a task needs `taskRef` or `taskSpec`"
    } else if message.contains("got neither") && error.paths.iter().any(|path| path.ends_with("emptydir")) {
        "such as `emptyDir: {}`"
    } else if message.contains("wasn't present in Pipeline") {
        "tasks wait for tasks of the same pipeline, and not for those of `finally`"
    } else if message.starts_with("variable type invalid") || message.contains("not properly isolated") {
        "all of a list stands alone, in `command`, `args` or a param that is a list: `$(params.x[*])`"
    } else {
        OWN_RULE
    };
    (format!("Tekton refuses this: {}", error.text()), hint)
}

#[cfg(test)]
mod tests {
    use super::super::document::tree;
    use super::*;

    #[test]
    fn the_paths_of_tekton_lead_to_places_of_the_file() {
        let text = "params:\n- name: url\n  value: x\npipelineSpec:\n  tasks:\n  - {name: a, when: []}\n";
        let node = tree::parse("t", text).unwrap().remove(0);
        for (path, wanted) in [
            ("spec.params[url].value", "value: x"),
            ("spec.params[0].name", "name: url"),
            ("spec.pipelineSpec.tasks[0].When[3].input", "when: ["),
            ("spec.pipelineSpec.tasks[a].name", "name: a"),
            ("spec.nobody", ""),
        ] {
            assert_eq!(&text[of(&node, path)], wanted, "{path}");
        }
    }
}
