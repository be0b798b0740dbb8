//! The rules for pipelines and tasks that people meet first: names, references, the graph, steps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::validate;
use super::fields::FieldErrors;
use super::object;

const NAME_HELP: &str = "Pipeline Task name must be a valid DNS Label.For more info refer to https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#names";

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Checks the spec of a pipeline that stands at `path`.
pub fn check_pipeline(spec: &Value, path: &str, errors: &mut FieldErrors) {
    let is_given = |key: &str| match spec.get(key) {
        Some(Value::Array(items)) => !items.is_empty(),
        other => !object::is_unset(other),
    };
    // An empty pipeline is refused before anything else is looked at.
    if !["description", "params", "tasks", "workspaces", "results", "finally"].iter().any(|key| is_given(key))
    {
        let fields = ["description", "params", "resources", "tasks", "workspaces"];
        errors.about("expected at least one, got none", &fields.map(|field| format!("{path}.{field}")));
        return;
    }
    let params: BTreeSet<&str> =
        list(spec, "params").iter().map(|param| object::text(param, &["name"])).collect();
    let mut seen = BTreeSet::new();
    for group in ["tasks", "finally"] {
        for (at, task) in list(spec, group).iter().enumerate() {
            let path = format!("{path}.{group}[{at}]");
            check_pipeline_task(task, &path, errors);
            let name = object::text(task, &["name"]);
            if !seen.insert(name) {
                errors.add("expected exactly one, got both", format!("{path}.name"));
            }
            for param in list(task, "params") {
                for expression in expressions(&param["value"], "params.") {
                    let wanted = expression["params.".len()..].split(['.', '[']).next().unwrap_or_default();
                    if !params.contains(wanted) {
                        let text = param["value"].as_str().unwrap_or_default();
                        let name = object::text(param, &["name"]);
                        errors.add(
                            format!("non-existent variable in {text:?}"),
                            format!("{path}.params[{name}]"),
                        );
                    }
                }
            }
        }
    }
    check_graph(spec, path, errors);
}

fn check_pipeline_task(task: &Value, path: &str, errors: &mut FieldErrors) {
    let name = object::text(task, &["name"]);
    if validate::dns_label(name).is_err() {
        errors.detailed(format!("invalid value {name:?}"), format!("{path}.name"), NAME_HELP);
    }
    let is_set = |key: &str| task.get(key).is_some_and(|value| !value.is_null());
    let paths = [format!("{path}.taskRef"), format!("{path}.taskSpec")];
    match (is_set("taskRef"), is_set("taskSpec")) {
        (true, true) => errors.about("expected exactly one, got multiple", &paths),
        (false, false) if !is_set("pipelineRef") && !is_set("pipelineSpec") => {
            errors.about("expected exactly one, got neither", &paths);
        }
        _ => {}
    }
    let inline = &task["taskSpec"];
    if inline.is_object() && object::text(inline, &["apiVersion"]).is_empty() {
        check_task(inline, &format!("{path}.taskSpec"), errors);
    }
}

/// The tasks must form a graph without cycles.
fn check_graph(spec: &Value, path: &str, errors: &mut FieldErrors) {
    let tasks = list(spec, "tasks");
    let path = format!("{path}.tasks");
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for task in tasks {
        let name = object::text(task, &["name"]);
        if needs.insert(name, BTreeSet::new()).is_some() {
            let message = format!(
                "invalid value: task {name} is already present in Graph, can't add it again: duplicate pipeline task"
            );
            errors.add(message, &path);
            return;
        }
    }
    for task in tasks {
        let name = object::text(task, &["name"]);
        for after in list(task, "runAfter").iter().filter_map(Value::as_str) {
            if !needs.contains_key(after) {
                let message = format!(
                    "invalid value: couldn't add link between {name} and {after}: task {name} depends on {after} \
                     but {after} wasn't present in Pipeline"
                );
                errors.add(message, &path);
                return;
            }
            needs.entry(name).or_default().insert(after);
        }
    }
    // What depends on nothing any more is taken out until the cycles are left.
    loop {
        let free: Vec<&str> =
            needs.iter().filter(|(_, needs)| needs.is_empty()).map(|(name, _)| *name).collect();
        if free.is_empty() {
            break;
        }
        for name in free {
            needs.remove(name);
            for needs in needs.values_mut() {
                needs.remove(name);
            }
        }
    }
    if let Some((name, needs)) = needs.first_key_value() {
        let needs: Vec<String> = needs.iter().map(|need| format!("{need:?}")).collect();
        let message = format!("invalid value: cycle detected; task {name:?} depends on {}", needs.join(", "));
        errors.add(message, &path);
    }
}

/// Checks the spec of a task that stands at `path`.
pub fn check_task(spec: &Value, path: &str, errors: &mut FieldErrors) {
    let steps = list(spec, "steps");
    if steps.is_empty() {
        errors.add("missing field(s)", format!("{path}.steps"));
    }
    let mut seen = BTreeSet::new();
    for (at, step) in steps.iter().enumerate() {
        let path = format!("{path}.steps[{at}]");
        if object::is_unset(step.get("ref")) && object::text(step, &["image"]).is_empty() {
            errors.add("missing field(s)", format!("{path}.Image"));
        }
        if !object::text(step, &["script"]).is_empty() && !list(step, "command").is_empty() {
            errors.add("script cannot be used with command", format!("{path}.script"));
        }
        let name = object::text(step, &["name"]);
        if !name.is_empty() && !seen.insert(name) {
            errors.add("expected exactly one, got both", format!("{path}.name"));
        }
    }
}

/// What stands between `$(` and `)` in a value, where it begins with `prefix`.
pub fn expressions(value: &Value, prefix: &str) -> Vec<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let found = text.split("$(").skip(1).filter_map(|rest| rest.split_once(')'));
    found.map(|(inner, _)| inner.to_owned()).filter(|inner| inner.starts_with(prefix)).collect()
}
