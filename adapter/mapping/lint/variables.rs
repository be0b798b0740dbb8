//! Variables of Tekton Triggers, which nothing replaces here: they would reach the run as text.

use std::ops::Range;

/// What follows `$(context.` in Tekton itself.
const CONTEXTS: [&str; 4] = ["pipelineRun", "pipeline", "taskRun", "task"];

/// One variable in a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// Where it stands.
    pub(crate) range: Range<usize>,
    /// What to write.
    pub(crate) instead: String,
}

/// The variables of Triggers in a text.
pub(crate) fn find(text: &str) -> Vec<Variable> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("$(") {
        // Of `$$(` the kubelet makes a text, and a script may have its reasons.
        if text[..at].ends_with('$') {
            continue;
        }
        let Some(length) = text[at..].find(')') else { continue };
        if let Some(instead) = instead_of(&text[at + 2..at + length]) {
            found.push(Variable { range: at..at + length + 1, instead });
        }
    }
    found
}

/// What stands here for what Triggers call so; `None` when it is none of theirs.
pub(crate) fn instead_of(inner: &str) -> Option<String> {
    let is_path = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
    let is_name = |text: &str| {
        text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'\'' | b'"')
        })
    };
    if !is_name(inner) {
        return None;
    }
    if let Some(rest) = inner.strip_prefix("body").filter(|rest| is_path(rest)) {
        return Some(format!("`{{{{event.data{rest}}}}}`, or a `let` item with `path: $.data{rest}`"));
    }
    if let Some(name) = inner.strip_prefix("tt.params.").filter(|name| !name.is_empty()) {
        return Some(format!("`{{{{{name}}}}}`, with `{name}` under `let`: there are no TriggerTemplates"));
    }
    if inner.strip_prefix("header.").or(inner.strip_prefix("headers.")).is_some_and(|name| !name.is_empty()) {
        return Some("the event's `type`: headers are not seen".to_owned());
    }
    if let Some(name) = inner.strip_prefix("extensions.").filter(|name| !name.is_empty()) {
        return Some(format!(
            "a `let` item, such as `{{{{{name}}}}}`: what interceptors add is computed there"
        ));
    }
    let context = inner.strip_prefix("context.")?;
    let name = context.split(['.', '[']).next().unwrap_or_default();
    if name == "eventID" {
        return Some("`{{event.id}}`".to_owned());
    }
    let is_tektons = CONTEXTS.contains(&name) || name.is_empty();
    (!is_tektons).then(|| {
        format!("what Tekton knows: `$(context.{}.name)` and the like", CONTEXTS.join("`, `$(context."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_triggers_are_found_and_those_of_tekton_are_not() {
        for (text, found) in [
            ("$(body.head_commit.id)", "event.data.head_commit.id"),
            ("x-$(body)", "event.data"),
            ("$(body['a'])", "event.data['a']"),
            ("$(tt.params.commit)", "{{commit}}"),
            ("$(header.X-GitHub-Event)", "headers are not seen"),
            ("$(extensions.changed_files)", "{{changed_files}}"),
            ("$(context.eventID)", "{{event.id}}"),
        ] {
            let variables = find(text);
            assert!(variables.len() == 1 && variables[0].instead.contains(found), "{text}: {variables:?}");
        }
        for text in [
            "$(params.x)",
            "$(params['body.x'])",
            "$(tasks.body.results.x)",
            "$(context.pipelineRun.name)",
            "$(context.taskRun.namespace)",
            "$(context.task.retry-count)",
            "$(workspaces.body.path)",
            "$(results.body.path)",
            "$(steps.a.results.b)",
            "$(bodyguard.x)",
            "$(body of it)",
            "$(header)",
            "$(date +%s)",
            "$$(body.x)",
            "$(body.x",
            "`{{event.data.x}}`",
        ] {
            assert_eq!(find(text), [], "{text}");
        }
    }
}
