//! The rules for pipelines (tektoncd/pipeline, `pipeline_validation.go`).

mod graph;
mod variables;

use std::collections::BTreeSet;

use serde_json::Value;

use super::expression;
use super::fields::{FieldErrors, join};
use super::param::{self, ParamSpec};
use super::view::{is_set, list, map, text, texts_of};
use super::{matrix, name, reference, task, when};

const NAME_HELP: &str = "Pipeline Task name must be a valid DNS Label.For more info refer to \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#names";

/// The rules for the spec of a pipeline, wherever it stands.
pub fn check(spec: &Value, path: &str, errors: &mut FieldErrors) {
    let (tasks, finally) = (list(spec, "tasks"), list(spec, "finally"));
    if spec.as_object().is_none_or(serde_json::Map::is_empty) {
        let fields = ["description", "params", "resources", "tasks", "workspaces"];
        errors.about("expected at least one, got none", &fields.map(|field| join(path, field)));
    }
    let mut seen = BTreeSet::new();
    for (group, tasks) in [("tasks", tasks), ("finally", finally)] {
        for (at, task) in tasks.iter().enumerate() {
            let place = join(path, &format!("{group}[{at}]"));
            let name = text(task, "name");
            if !name::is_label(name) {
                errors.detailed(format!("invalid value {name:?}"), join(&place, "name"), NAME_HELP);
            }
            if !seen.insert(name) {
                errors.add("expected exactly one, got both", join(&place, "name"));
            }
            check_task(task, &place, errors);
        }
    }
    graph::check(tasks, &join(path, "tasks"), errors);
    let params = param::specs(spec);
    for (group, tasks) in [("tasks", tasks), ("finally", finally)] {
        let place = join(path, group);
        check_params(tasks, &params, &place, errors);
        variables::check_context(tasks, &place, errors);
    }
    variables::check_status(tasks, finally, path, errors);
    check_workspace_names(list(spec, "workspaces"), path, errors);
    check_results(spec, path, errors);
    check_nested_results(tasks, finally, path, errors);
    if !finally.is_empty() && tasks.is_empty() {
        let message =
            format!("invalid value: spec.tasks is empty but spec.finally has {} tasks", finally.len());
        errors.add(message, join(path, "finally"));
    }
    variables::check_finally(tasks, finally, path, errors);
    for (group, tasks) in [("tasks", tasks), ("finally", finally)] {
        let place = join(path, group);
        for (at, task) in tasks.iter().enumerate() {
            when::check(list(task, "when"), &format!("{place}[{at}].when"), errors);
        }
        matrix::check(tasks, &place, errors);
        variables::check_prefixes(tasks, &place, errors);
    }
    check_artifacts(tasks, finally, path, errors);
}

/// Params of a pipeline as its tasks see them: types, names, and no param passed twice.
pub fn check_params(tasks: &[Value], params: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    param::check_types(params, &join(path, "params"), errors);
    param::check_unique(params, path, errors);
    param::check_enums(params, &join(path, "params"), errors);
    for (at, task) in tasks.iter().enumerate() {
        param::check_passed(list(task, "params"), &join(path, &format!("[{at}].params")), errors);
    }
}

/// Every param that tasks are passed refers to declared ones.
pub fn check_usage(tasks: &[Value], params: &[ParamSpec], path: &str, errors: &mut FieldErrors) {
    let declared = param::declared(params);
    for (at, task) in tasks.iter().enumerate() {
        let place = join(path, &format!("[{at}]"));
        param::check_passed(list(task, "params"), &join(&place, "params"), errors);
        for param in list(task, "params") {
            let name = text(param, "name");
            let at = join(&place, &format!("params[{name}]"));
            match param.get("value") {
                Some(Value::Array(items)) => {
                    for (index, item) in items.iter().filter_map(Value::as_str).enumerate() {
                        declared.in_item(item, &format!("{at}.value[{index}]"), errors);
                    }
                }
                Some(Value::Object(members)) => {
                    for (key, member) in members {
                        let member = member.as_str().unwrap_or_default();
                        declared.in_text(member, &format!("{at}.properties[{key}]"), errors);
                    }
                }
                Some(Value::String(text)) if expression::PARAMS.is_whole(text) => {
                    expression::PARAMS.known(text, &declared.all, &at, errors);
                }
                Some(Value::String(text)) => declared.in_text(text, &at, errors),
                _ => {}
            }
        }
        matrix::check_params(task, &declared, &place, errors);
        when::check_params(list(task, "when"), &declared, &join(&place, "when"), errors);
    }
}

/// What a Pipeline that is an object of its own has to hold besides: nothing is passed on to it from a run.
pub fn check_standalone(spec: &Value, path: &str, errors: &mut FieldErrors) {
    let params = param::specs(spec);
    let workspaces: BTreeSet<&str> =
        list(spec, "workspaces").iter().map(|workspace| text(workspace, "name")).collect();
    for group in ["tasks", "finally"] {
        let tasks = list(spec, group);
        let place = join(path, group);
        for (at, task) in tasks.iter().enumerate() {
            let place = format!("{place}[{at}]");
            if let Some(inline) = task.get("taskSpec") {
                let mut known = param::specs(inline);
                known.extend(params.iter().cloned());
                task::check_usage(list(inline, "steps"), &known, &place, errors);
            }
            check_task_workspaces(task, &workspaces, &place, errors);
        }
        check_usage(tasks, &params, &place, errors);
    }
}

fn check_task_workspaces(task: &Value, known: &BTreeSet<&str>, path: &str, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (at, workspace) in list(task, "workspaces").iter().enumerate() {
        let place = format!("{path}.workspaces[{at}]");
        let name = text(workspace, "name");
        if !seen.insert(name) {
            errors.add(format!("workspace name {name:?} must be unique"), &place);
        }
        let wanted = match text(workspace, "workspace") {
            "" => name,
            wanted => wanted,
        };
        if !known.contains(wanted) {
            let message = format!(
                "invalid value: pipeline task {:?} expects workspace with name {wanted:?} but none exists in pipeline spec",
                text(task, "name")
            );
            errors.add(message, place);
        }
    }
}

fn check_task(task: &Value, path: &str, errors: &mut FieldErrors) {
    let kinds = ["taskRef", "taskSpec", "pipelineRef", "pipelineSpec"];
    let given: Vec<&str> = kinds.into_iter().filter(|kind| is_set(task, kind)).collect();
    for nested in given.iter().filter(|kind| kind.starts_with("pipeline")) {
        errors.gated(
            "enable-api-fields",
            format!(
                "{nested} requires \"enable-api-fields\" feature gate to be \"alpha\" but it is \"beta\""
            ),
            path,
        );
    }
    if given.len() > 1 {
        let paths: Vec<String> = given.iter().map(|kind| join(path, kind)).collect();
        errors.about("expected exactly one, got multiple", &paths);
    } else if given.is_empty() {
        let paths = [join(path, "taskRef"), join(path, "taskSpec")];
        errors.about("expected exactly one, got neither", &paths);
    }
    let (task_ref, task_spec) = (task.get("taskRef"), task.get("taskSpec"));
    if let Some(spec) = task_spec.filter(|spec| !list(spec, "steps").is_empty()) {
        for field in ["apiVersion", "kind"] {
            if !text(spec, field).is_empty() {
                errors.add(
                    format!("taskSpec.{field} cannot be specified when using taskSpec.steps"),
                    join(path, &format!("taskSpec.{field}")),
                );
            }
        }
    }
    check_on_error(task, path, errors);
    let is_custom = [task_ref, task_spec].into_iter().flatten().any(|custom| {
        !["", "Task"].contains(&text(custom, "kind")) || !text(custom, "apiVersion").is_empty()
    });
    if is_custom {
        for (field, shown) in [("taskRef", "ref"), ("taskSpec", "spec")] {
            if let Some(custom) = task.get(field) {
                check_custom(custom, field, shown, path, errors);
            }
        }
        return;
    }
    if let Some(spec) = task_spec {
        task::check(spec, &join(path, "taskSpec"), errors);
    }
    for field in ["taskRef", "pipelineRef"] {
        if let Some(reference) = task.get(field) {
            reference::check(reference, &join(path, field), errors);
        }
    }
    if let Some(spec) = task.get("pipelineSpec") {
        check(spec, &join(path, "pipelineSpec"), errors);
    }
}

fn check_custom(custom: &Value, field: &str, shown: &str, path: &str, errors: &mut FieldErrors) {
    // The webhook fills in the kind of a reference.
    let has_kind =
        !text(custom, "kind").is_empty() || field == "taskRef" && text(custom, "resolver").is_empty();
    if !has_kind {
        let place = join(path, &format!("{field}.kind"));
        errors.add(format!("invalid value: custom task {shown} must specify kind"), place);
    }
    let place = join(path, &format!("{field}.apiVersion"));
    match text(custom, "apiVersion") {
        "" => errors.add(format!("invalid value: custom task {shown} must specify apiVersion"), place),
        version => {
            let is_valid = matches!(version.split('/').collect::<Vec<_>>()[..], [group, version]
                if !group.is_empty() && !version.is_empty());
            if !is_valid {
                let message = format!(
                    "invalid value: invalid apiVersion format {version:?}, must be in the format \"group/version\""
                );
                errors.add(message, place);
            }
        }
    }
}

fn check_on_error(task: &Value, path: &str, errors: &mut FieldErrors) {
    let on_error = text(task, "onError");
    if on_error.is_empty() || on_error.starts_with("$(params") {
        return;
    }
    if !["continue", "stopAndFail"].contains(&on_error) {
        errors.detailed(
            format!("invalid value: {on_error}"),
            join(path, "OnError"),
            "PipelineTask OnError must be either \"continue\" or \"stopAndFail\"",
        );
    }
    let retries = task.get("retries").and_then(Value::as_f64).unwrap_or_default();
    if on_error == "continue" && retries > 0.0 {
        errors.add("PipelineTask OnError cannot be set to \"continue\" when Retries is greater than 0", path);
    }
}

fn check_workspace_names(workspaces: &[Value], path: &str, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (at, workspace) in workspaces.iter().enumerate() {
        let place = join(path, &format!("workspaces[{at}]"));
        let name = text(workspace, "name");
        if name.is_empty() {
            errors.add(format!("invalid value: workspace {at} has empty name"), &place);
        }
        if !seen.insert(name) {
            let message = format!("invalid value: workspace with name {name:?} appears more than once");
            errors.add(message, place);
        }
    }
}

fn check_results(spec: &Value, path: &str, errors: &mut FieldErrors) {
    let names =
        |group| -> BTreeSet<&str> { list(spec, group).iter().map(|task| text(task, "name")).collect() };
    let (tasks, finally) = (names("tasks"), names("finally"));
    for (at, result) in list(spec, "results").iter().enumerate() {
        let place = join(path, &format!("results[{at}].value"));
        let Some(value) = result.get("value") else { continue };
        let expressions: Vec<&str> = texts_of(value).into_iter().flat_map(expression::all).collect();
        let wrong = "invalid value: expected pipeline results to be task result expressions but";
        if expressions.is_empty() {
            errors.add(format!("{wrong} no expressions were found"), &place);
        }
        let results: Vec<&str> =
            expressions.iter().copied().filter(|found| expression::is_result(found)).collect();
        if results.is_empty() {
            errors.add(format!("{wrong} an invalid expressions was found"), &place);
        }
        let read = results.iter().filter(|found| expression::result(found).is_some()).count();
        if read != results.len() {
            let message = format!(
                "invalid value: expected all of the expressions [{}] to be result expressions but only {read} were",
                results.join(" ")
            );
            errors.add(message, &place);
        }
        let is_known =
            value.as_str().unwrap_or_default().split('$').filter(|part| !part.is_empty()).all(|part| {
                let whole = format!("${part}");
                let inner = whole.strip_prefix("$(").unwrap_or(&whole);
                let inner = inner.strip_suffix(')').unwrap_or(inner);
                expression::result(inner).is_some_and(|found| {
                    (!inner.starts_with("tasks") || tasks.contains(found.task))
                        && (!inner.starts_with("finally") || finally.contains(found.task))
                })
            });
        if !is_known {
            errors.add("invalid value: referencing a nonexistent task", place);
        }
    }
}

/// Nobody reads results of a pipeline in a pipeline.
fn check_nested_results(tasks: &[Value], finally: &[Value], path: &str, errors: &mut FieldErrors) {
    let nested: BTreeSet<&str> = tasks
        .iter()
        .filter(|task| is_set(task, "pipelineRef") || is_set(task, "pipelineSpec"))
        .map(|task| text(task, "name"))
        .collect();
    for (group, tasks) in [("tasks", tasks), ("finally", finally)] {
        for (at, task) in tasks.iter().enumerate() {
            for wanted in graph::results(task).into_iter().filter(|name| nested.contains(name)) {
                let message = format!(
                    "invalid value: result reference to pipelineTask {wanted:?} is not supported: referenced task uses \
                     pipelineRef or pipelineSpec and result propagation from child Pipelines is not yet implemented"
                );
                errors.add(message, join(path, &format!("{group}[{at}]")));
            }
        }
    }
}

fn check_artifacts(tasks: &[Value], finally: &[Value], path: &str, errors: &mut FieldErrors) {
    for (group, tasks) in [("tasks", tasks), ("finally", finally)] {
        for (at, task) in tasks.iter().enumerate() {
            let mut values = list(task, "params").iter().filter_map(|param| param.get("value"));
            if values.any(|value| texts_of(value).into_iter().any(expression::has_task_artifact)) {
                errors.gated(
                    "enable-artifacts",
                    "feature flag enable-artifacts should be set to true to use artifacts feature.",
                    join(path, &format!("{group}[{at}].params")),
                );
                return;
            }
        }
    }
}

/// The params that run, pipeline and tasks have together, as an inline pipeline sees them.
pub fn check_inline(given: &[Value], spec: &Value, path: &str, errors: &mut FieldErrors) {
    let declared = param::specs(spec);
    let mut all: Vec<ParamSpec> = Vec::new();
    let put = |all: &mut Vec<ParamSpec>, spec: ParamSpec| match all
        .iter_mut()
        .find(|known| known.name == spec.name)
    {
        Some(known) => *known = spec,
        None => all.push(spec),
    };
    for param in given {
        if let Some(value) = param.get("value") {
            put(&mut all, ParamSpec::given(text(param, "name"), value, &declared));
        }
    }
    for spec in &declared {
        combine(&mut all, spec, path, errors);
    }
    for task in list(spec, "tasks") {
        for param in list(task, "params") {
            let (name, Some(value)) = (text(param, "name"), param.get("value")) else { continue };
            let Some(known) = all.iter_mut().find(|known| known.name == name) else {
                put(&mut all, ParamSpec::given(name, value, &declared));
                continue;
            };
            let members = map(param, "value").filter(|members| !members.is_empty());
            let Some(members) = members else { continue };
            let (Some(Value::Object(default)), Some(properties)) =
                (&mut known.default, &mut known.properties)
            else {
                let message =
                    format!("the param {name} is given as an object and declared as something else");
                errors.add(message, join(path, &format!("params[{name}]")));
                continue;
            };
            for (key, member) in members {
                default.insert(key.clone(), member.clone());
                properties.insert(key.clone(), "string".to_owned());
            }
        }
        for spec in task.get("taskSpec").map(param::specs).unwrap_or_default() {
            combine(&mut all, &spec, path, errors);
        }
    }
    let tasks = list(spec, "tasks");
    for task in tasks {
        let steps = task.get("taskSpec").map(|spec| list(spec, "steps")).unwrap_or_default();
        if !steps.is_empty() {
            param::check_types(&all, path, errors);
            task::check_params_in_steps(steps, &all, path, errors);
            task::check_usage(steps, &all, path, errors);
        }
    }
    if !tasks.is_empty() {
        check_params(tasks, &all, path, errors);
        check_usage(tasks, &all, path, errors);
    }
}

/// A declaration on top of what is known of a param.
pub fn combine(all: &mut Vec<ParamSpec>, spec: &ParamSpec, path: &str, errors: &mut FieldErrors) {
    let Some(known) = all.iter_mut().find(|known| known.name == spec.name) else {
        all.push(spec.clone());
        return;
    };
    let missing = || join(path, &format!("{}.properties", spec.name));
    if let Some(Value::Object(members)) = &spec.default {
        match &mut known.default {
            Some(Value::Object(default)) => default.extend(members.clone()),
            Some(_) => {}
            None if members.is_empty() => {}
            None => {
                let message =
                    format!("the param {} has a default here and is declared without one", spec.name);
                errors.add(message, join(path, &format!("params[{}]", spec.name)));
                return;
            }
        }
        if spec.properties.is_none() {
            errors.add("missing field(s)", missing());
            return;
        }
    }
    if known.ty == "object" {
        if spec.properties.is_none() {
            errors.add("missing field(s)", missing());
            return;
        }
        known.properties.clone_from(&spec.properties);
    }
}
