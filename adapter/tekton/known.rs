//! A run against the Pipeline that it names: what Tekton's controller refuses when it starts the run.

use std::collections::BTreeSet;

use serde_json::Value;

use super::param::{self, ParamSpec};
use super::shape::{self, PIPELINE_RUN_SPEC, PIPELINE_SPEC, Reading, is_unknown, is_untyped};
use super::view::{is_set, list, text, type_of};

/// Why a run fails at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The reason of the condition, such as `ParameterMissing`.
    pub reason: &'static str,
    /// What is wrong, in the controller's words.
    pub message: String,
    /// The params, workspaces or tasks that it is about.
    pub names: Vec<String>,
}

/// Everything for which the controller would fail a run with this spec, in the order in which it looks.
pub fn mismatches(run: &Value, pipeline: &Value) -> Vec<Mismatch> {
    let mut reading = Reading::default();
    let run = Value::Object(shape::read(run, &PIPELINE_RUN_SPEC, "spec", &mut reading));
    let pipeline = Value::Object(shape::read(pipeline, &PIPELINE_SPEC, "spec", &mut reading));
    let (given, declared) = (list(&run, "params"), param::specs(&pipeline));
    let mut found = Vec::new();
    found.extend(missing(given, &declared));
    found.extend(wrong_types(given, &declared));
    found.extend(missing_keys(given, &declared));
    found.extend(workspaces(&run, &pipeline));
    found.extend(task_run_specs(&run, &pipeline));
    found
}

/// The params of a run that its Pipeline does not declare: Tekton ignores them.
pub fn undeclared(run: &Value, pipeline: &Value) -> Vec<String> {
    let declared: BTreeSet<&str> = list(pipeline, "params").iter().map(|param| text(param, "name")).collect();
    let given = list(run, "params").iter().map(|param| text(param, "name"));
    given.filter(|name| !declared.contains(name) && !is_unknown(name)).map(str::to_owned).collect()
}

/// The names of the params that a Pipeline or Task declares.
pub fn declared(owner: &Value) -> Vec<&str> {
    list(owner, "params").iter().map(|param| text(param, "name")).collect()
}

/// What the controller says of the params that a task of a pipeline is given, when it knows the task.
pub fn task_mismatch(pipeline_task: &Value, task_name: &str, task: &Value) -> Option<Mismatch> {
    let specs = param::specs(task);
    let given = list(pipeline_task, "params");
    let matrix: Vec<&Value> = super::matrix::params(pipeline_task).collect();
    let provided: BTreeSet<&str> =
        given.iter().chain(matrix.iter().copied()).map(|param| text(param, "name")).collect();
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let fail = |what: String, names: Vec<String>| {
        Some(Mismatch {
            reason: "PipelineValidationFailed",
            message: format!("invalid input params for task {task_name}: {what}"),
            names,
        })
    };
    let missing: Vec<&str> = specs
        .iter()
        .filter(|spec| spec.default.is_none() && !provided.contains(spec.name.as_str()))
        .map(|spec| spec.name.as_str())
        .collect();
    if !missing.is_empty() {
        let what =
            format!("missing values for these params which have no default values: [{}]", missing.join(" "));
        return fail(what, names(missing));
    }
    let wanted = |name: &str| specs.iter().find(|spec| spec.name == name).map(|spec| spec.ty.as_str());
    let mut wrong: Vec<&str> = given
        .iter()
        .filter(|param| {
            let Some(wanted) = wanted(text(param, "name")) else { return false };
            let value = shape::param_value(param.get("value").unwrap_or(&Value::Null));
            let refers = value.as_str().is_some_and(|text| !super::expression::all(text).is_empty());
            type_of(&value) != wanted && !(refers && wanted != "string")
        })
        .map(|param| text(param, "name"))
        .collect();
    wrong.extend(
        matrix
            .iter()
            .map(|param| text(param, "name"))
            .filter(|name| wanted(name).is_some_and(|wanted| wanted != "string")),
    );
    if !wrong.is_empty() {
        let what = format!("param types don't match the user-specified type: [{}]", wrong.join(" "));
        return fail(what, names(wrong));
    }
    None
}

fn missing(given: &[Value], declared: &[ParamSpec]) -> Option<Mismatch> {
    let given: BTreeSet<&str> = given.iter().map(|param| text(param, "name")).collect();
    let missing: Vec<String> = declared
        .iter()
        .filter(|spec| spec.default.is_none() && !given.contains(spec.name.as_str()))
        .map(|spec| spec.name.clone())
        .collect();
    (!missing.is_empty()).then(|| Mismatch {
        reason: "ParameterMissing",
        message: format!("pipelineRun missing parameters: [{}]", missing.join(" ")),
        names: missing,
    })
}

fn wrong_types(given: &[Value], declared: &[ParamSpec]) -> Option<Mismatch> {
    let wrong: Vec<String> = given
        .iter()
        .filter(|param| {
            let name = text(param, "name");
            let value = param.get("value").unwrap_or(&Value::Null);
            !is_untyped(value) && declared.iter().any(|spec| spec.name == name && spec.ty != type_of(value))
        })
        .map(|param| text(param, "name").to_owned())
        .collect();
    (!wrong.is_empty()).then(|| Mismatch {
        reason: "ParameterTypeMismatch",
        message: format!("parameters have inconsistent types : [{}]", wrong.join(" ")),
        names: wrong,
    })
}

fn missing_keys(given: &[Value], declared: &[ParamSpec]) -> Option<Mismatch> {
    let mut shown = Vec::new();
    let mut names = Vec::new();
    for spec in declared.iter().filter(|spec| spec.ty == "object") {
        let value = given.iter().rfind(|param| text(param, "name") == spec.name);
        let value = value.and_then(|param| param.get("value")).and_then(Value::as_object);
        let default = spec.default.as_ref().and_then(Value::as_object);
        let provided: BTreeSet<&String> =
            value.into_iter().chain(default).flat_map(|map| map.keys()).collect();
        // Without any key the param is missing, or of another type.
        if provided.is_empty() {
            continue;
        }
        let keys: Vec<&str> = spec
            .properties
            .iter()
            .flatten()
            .map(|(key, _)| key)
            .filter(|key| !provided.contains(key))
            .map(String::as_str)
            .collect();
        if !keys.is_empty() {
            shown.push(format!("{}:[{}]", spec.name, keys.join(" ")));
            names.push(spec.name.clone());
        }
    }
    (!names.is_empty()).then(|| Mismatch {
        reason: "ObjectParameterMissKeys",
        message: format!("pipelineRun missing object keys for parameters: map[{}]", shown.join(" ")),
        names,
    })
}

fn workspaces(run: &Value, pipeline: &Value) -> Option<Mismatch> {
    let given: BTreeSet<&str> =
        list(run, "workspaces").iter().map(|workspace| text(workspace, "name")).collect();
    let missing = list(pipeline, "workspaces")
        .iter()
        .filter(|workspace| !is_set(workspace, "optional"))
        .map(|workspace| text(workspace, "name"))
        .find(|name| !given.contains(name))?;
    Some(Mismatch {
        reason: "InvalidWorkspaceBindings",
        message: format!("pipeline requires workspace with name {missing:?} be provided by pipelinerun"),
        names: vec![missing.to_owned()],
    })
}

fn task_run_specs(run: &Value, pipeline: &Value) -> Option<Mismatch> {
    let tasks = list(pipeline, "tasks").iter().chain(list(pipeline, "finally"));
    let tasks: BTreeSet<&str> = tasks.map(|task| text(task, "name")).collect();
    let wrong = list(run, "taskRunSpecs")
        .iter()
        .map(|spec| text(spec, "pipelineTaskName"))
        .find(|name| !tasks.contains(name) && !is_unknown(name))?;
    Some(Mismatch {
        reason: "InvalidTaskRunSpecs",
        message: format!(
            "pipelineRun's taskrunSpecs defined wrong taskName: {wrong:?}, does not exist in Pipeline"
        ),
        names: vec![wrong.to_owned()],
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reasons(run: &Value, pipeline: &Value) -> Vec<(&'static str, String)> {
        mismatches(run, pipeline).into_iter().map(|it| (it.reason, it.names.join(" "))).collect()
    }

    #[test]
    fn a_run_fits_its_pipeline_or_the_reason_is_the_controllers() {
        let pipeline = json!({
            "params": [
                {"name": "url"},
                {"name": "revision", "default": "main"},
                {"name": "platforms", "type": "array", "default": []},
                {"name": "image", "type": "object", "properties": {"name": {}, "tag": {}}, "default": {"tag": "latest"}},
            ],
            "workspaces": [{"name": "source"}, {"name": "cache", "optional": true}],
            "tasks": [{"name": "a", "taskRef": {"name": "a"}}],
        });
        let good = json!({
            "params": [
                {"name": "url", "value": 5},
                {"name": "platforms", "value": ["a", "b"]},
                {"name": "image", "value": {"name": "x"}},
                {"name": "more", "value": "ignored"},
            ],
            "workspaces": [{"name": "source", "emptyDir": {}}],
            "taskRunSpecs": [{"pipelineTaskName": "a"}],
        });
        assert_eq!(reasons(&good, &pipeline), []);
        assert_eq!(undeclared(&good, &pipeline), ["more"]);
        let bad = json!({
            "params": [
                {"name": "revision", "value": ["x"]},
                {"name": "platforms", "value": [1, 2]},
                {"name": "image", "value": {"other": "x"}},
            ],
            "taskRunSpecs": [{"pipelineTaskName": "b"}],
        });
        let expected = [
            ("ParameterMissing", "url"),
            ("ParameterTypeMismatch", "revision platforms"),
            ("ObjectParameterMissKeys", "image"),
            ("InvalidWorkspaceBindings", "source"),
            ("InvalidTaskRunSpecs", "b"),
        ];
        assert_eq!(reasons(&bad, &pipeline), expected.map(|(reason, names)| (reason, names.to_owned())));
    }
}
