//! The order of a pipeline's tasks, and the values that flow between them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::object;

/// The tasks that a task waits for: its `runAfter`, and those whose results or status it reads.
pub fn needs(task: &Value) -> BTreeSet<String> {
    let after = task.get("runAfter").and_then(Value::as_array).into_iter().flatten();
    let mut needs: BTreeSet<String> = after.filter_map(Value::as_str).map(str::to_owned).collect();
    for field in ["params", "when", "matrix"] {
        let text = task.get(field).map(Value::to_string).unwrap_or_default();
        for reference in text.split("$(tasks.").skip(1) {
            needs.extend(reference.split('.').next().map(str::to_owned));
        }
    }
    needs
}

/// What `$(…)` stands for, by the text between the parentheses.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    texts: BTreeMap<String, String>,
    /// Whole lists and maps, which stand alone: `$(params.list[*])`.
    wholes: BTreeMap<String, Value>,
}

/// The variables of a run: its parameters, with the defaults of its pipeline, and the results of its tasks so far.
pub fn variables<'a>(
    run: &Value,
    pipeline: &Value,
    children: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Variables {
    let mut variables = Variables::default();
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for (owner, field) in [(pipeline, "default"), (&run["spec"], "value")] {
        for param in list(owner, "params") {
            let name = object::text(&param, &["name"]);
            for spelling in
                [format!("params.{name}"), format!("params['{name}']"), format!("params[\"{name}\"]")]
            {
                variables.insert(&spelling, param.get(field));
            }
        }
    }
    for (name, text) in
        [("name", object::name(run)), ("namespace", object::namespace(run)), ("uid", object::uid(run))]
    {
        variables.texts.insert(format!("context.pipelineRun.{name}"), text.to_owned());
    }
    for (task, child) in children {
        for result in list(child.get("status").unwrap_or(&Value::Null), "results") {
            let name = object::text(&result, &["name"]);
            for group in ["tasks", "finally"] {
                variables.insert(&format!("{group}.{task}.results.{name}"), result.get("value"));
            }
        }
    }
    variables
}

// === impl Variables ===

impl Variables {
    fn insert(&mut self, name: &str, value: Option<&Value>) {
        match value {
            Some(Value::String(text)) => {
                self.texts.insert(name.to_owned(), text.clone());
            }
            Some(Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    self.insert(&format!("{name}[{at}]"), Some(item));
                }
                self.wholes.insert(format!("$({name}[*])"), Value::Array(items.clone()));
            }
            Some(Value::Object(members)) => {
                for (key, member) in members {
                    self.insert(&format!("{name}.{key}"), Some(member));
                }
                self.wholes.insert(format!("$({name}[*])"), Value::Object(members.clone()));
            }
            _ => {}
        }
    }
}

/// Replaces `$(…)` in every string of a value; what has no value stays as it is.
pub fn substitute(value: &Value, variables: &Variables) -> Value {
    match value {
        Value::String(text) => match variables.wholes.get(text) {
            Some(whole) => whole.clone(),
            None => Value::String(substitute_text(text, &variables.texts)),
        },
        Value::Array(items) => {
            // A list that stands alone in a list becomes its items.
            let parts = items.iter().flat_map(|item| match (item, substitute(item, variables)) {
                (Value::String(_), Value::Array(inner)) => inner,
                (_, other) => vec![other],
            });
            Value::Array(parts.collect())
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), substitute(item, variables))).collect())
        }
        other => other.clone(),
    }
}

fn substitute_text(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        // Tekton knows no escape: `$$(x)` becomes a `$` and the value.
        let end = rest[at..].find(')').map(|end| at + end);
        if let Some(end) = end
            && let Some(value) = variables.get(&rest[at + 2..end])
        {
            out.push_str(&rest[..at]);
            out.push_str(value);
            rest = &rest[end + 1..];
        } else {
            out.push_str(&rest[..at + 2]);
            rest = &rest[at + 2..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_waits_for_those_it_runs_after_and_those_whose_results_it_reads() {
        let task = json!({"runAfter": ["a"], "params": [{"name": "x", "value": "$(tasks.b.results.c)-$(params.y)"}]});
        assert_eq!(needs(&task), BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn variables_are_replaced_once_and_nothing_escapes_them() {
        let mut variables = Variables::default();
        variables.insert("params.a", Some(&json!("$(params.b)")));
        let value = json!(["<$(params.a)>", "$$(params.a)", "$(params.c)", "$(open"]);
        assert_eq!(
            substitute(&value, &variables),
            json!(["<$(params.b)>", "$$(params.b)", "$(params.c)", "$(open"])
        );
    }

    #[test]
    fn lists_and_maps_are_handed_on_whole_or_in_parts() {
        let child = json!({"status": {"results": [
            {"name": "files", "value": ["a", "b"]},
            {"name": "image", "value": {"url": "u", "digest": "d"}},
        ]}});
        let run = json!({"spec": {"params": [{"name": "list", "value": ["x"]}]}});
        let variables = variables(&run, &json!({}), [("build", &child)].into_iter());
        let value = json!({
            "whole": "$(tasks.build.results.files[*])",
            "inside": ["first", "$(tasks.build.results.files[*])", "$(params.list[0])"],
            "object": "$(tasks.build.results.image[*])",
            "member": "$(tasks.build.results.image.url)@$(tasks.build.results.image.digest)",
        });
        assert_eq!(
            substitute(&value, &variables),
            json!({
                "whole": ["a", "b"], "inside": ["first", "a", "b", "x"],
                "object": {"url": "u", "digest": "d"}, "member": "u@d",
            })
        );
    }
}
