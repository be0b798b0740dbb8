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
pub type Variables = BTreeMap<String, String>;

/// The variables of a run: its parameters, with the defaults of its pipeline, and the results of its tasks so far.
pub fn variables<'a>(
    run: &Value,
    pipeline: &Value,
    children: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Variables {
    let mut variables = Variables::new();
    let list =
        |value: &'a Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let own =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    for param in own(pipeline, "params") {
        insert(&mut variables, format!("params.{}", object::text(&param, &["name"])), param.get("default"));
    }
    for param in own(&run["spec"], "params") {
        insert(&mut variables, format!("params.{}", object::text(&param, &["name"])), param.get("value"));
    }
    variables.insert("context.pipelineRun.name".to_owned(), object::name(run).to_owned());
    variables.insert("context.pipelineRun.namespace".to_owned(), object::namespace(run).to_owned());
    variables.insert("context.pipelineRun.uid".to_owned(), object::uid(run).to_owned());
    for (task, child) in children {
        for result in list(child.get("status").unwrap_or(&Value::Null), "results") {
            let name = object::text(&result, &["name"]);
            insert(&mut variables, format!("tasks.{task}.results.{name}"), result.get("value"));
        }
    }
    variables
}

fn insert(variables: &mut Variables, name: String, value: Option<&Value>) {
    if let Some(text) = value.and_then(Value::as_str) {
        variables.insert(name, text.to_owned());
    }
}

/// Replaces `$(…)` in every string of a value; what has no value stays as it is.
pub fn substitute(value: &Value, variables: &Variables) -> Value {
    match value {
        Value::String(text) => Value::String(substitute_text(text, variables)),
        Value::Array(items) => items.iter().map(|item| substitute(item, variables)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), substitute(item, variables))).collect())
        }
        other => other.clone(),
    }
}

fn substitute_text(text: &str, variables: &Variables) -> String {
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
        let variables = Variables::from([("params.a".to_owned(), "$(params.b)".to_owned())]);
        let value = json!(["<$(params.a)>", "$$(params.a)", "$(params.c)", "$(open"]);
        assert_eq!(
            substitute(&value, &variables),
            json!(["<$(params.b)>", "$$(params.b)", "$(params.c)", "$(open"])
        );
    }
}
