//! The rules for PipelineRuns and TaskRuns (tektoncd/pipeline, `pipelinerun_validation.go`, `taskrun_validation.go` and
//! `workspace_validation.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::{FieldErrors, join};
use super::param::ParamSpec;
use super::view::{is_set, list, text, texts_of};
use super::{duration, expression, param, pipeline, reference, task};

/// What the webhook fills in where a run says nothing: an hour.
const DEFAULT_TIMEOUT: i64 = 3_600_000_000_000;
const TIMEOUT_GATE: &str = "default-timeout-minutes";

/// The rules for the spec of a PipelineRun.
pub fn check_pipeline_run(spec: &Value, path: &str, errors: &mut FieldErrors) {
    one_of(spec, "pipelineRef", "pipelineSpec", path, errors);
    if let Some(reference) = spec.get("pipelineRef") {
        reference::check(reference, &join(path, "pipelineRef"), errors);
    }
    if let Some(inline) = spec.get("pipelineSpec") {
        pipeline::check(inline, &join(path, "pipelineSpec"), errors);
    }
    let params = list(spec, "params");
    param::check_given(params, &join(path, "params"), errors);
    for param in params {
        let texts = param.get("value").map(texts_of).unwrap_or_default();
        let found: Vec<&str> = texts
            .into_iter()
            .flat_map(expression::all)
            .filter(|found| expression::is_result(found))
            .collect();
        if found.iter().any(|found| expression::result(found).is_some()) {
            let message = format!(
                "invalid value: cannot use result expressions in [{}] as PipelineRun parameter values",
                found.join(" ")
            );
            errors.add(message, join(path, &format!("params[{}].value", text(param, "name"))));
        }
    }
    if let Some(inline) = spec.get("pipelineSpec") {
        pipeline::check_inline(params, inline, path, errors);
    }
    check_timeouts(spec, path, errors);
    for (at, task) in list(spec, "taskRunSpecs").iter().enumerate() {
        check_task_run_spec(task, spec, &join(path, &format!("taskRunSpecs[{at}]")), errors);
    }
    let status = text(spec, "status");
    if !["", "PipelineRunPending", "Cancelled", "CancelledRunFinally", "StoppedRunFinally"].contains(&status)
    {
        errors.add(
            format!(
                "invalid value: {status} should be Cancelled, CancelledRunFinally, StoppedRunFinally or PipelineRunPending"
            ),
            join(path, "status"),
        );
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, workspace) in list(spec, "workspaces").iter().enumerate() {
        let place = join(path, &format!("workspaces[{at}]"));
        check_binding(workspace, &place, errors);
        let name = text(workspace, "name");
        if let Some(first) = seen.insert(name, at) {
            let message = format!(
                "workspace {name:?} provided by pipelinerun more than once, at index {first} and {at}"
            );
            errors.add(message, join(&place, "name"));
        }
    }
}

/// The rules for the spec of a TaskRun.
pub fn check_task_run(spec: &Value, path: &str, errors: &mut FieldErrors) {
    one_of(spec, "taskRef", "taskSpec", path, errors);
    if let Some(reference) = spec.get("taskRef") {
        reference::check(reference, &join(path, "taskRef"), errors);
    }
    let params = list(spec, "params");
    param::check_given(params, &join(path, "params"), errors);
    if let Some(inline) = spec.get("taskSpec") {
        task::check(inline, &join(path, "taskSpec"), errors);
        let declared = param::specs(inline);
        let mut all: Vec<ParamSpec> = Vec::new();
        for param in params {
            if let Some(value) = param.get("value") {
                let name = text(param, "name");
                all.retain(|known| known.name != name);
                all.push(ParamSpec::given(name, value, &declared));
            }
        }
        for spec in &declared {
            pipeline::combine(&mut all, spec, path, errors);
        }
        let steps = list(inline, "steps");
        if !steps.is_empty() {
            param::check_types(&all, path, errors);
            task::check_params_in_steps(steps, &all, path, errors);
            task::check_usage(steps, &all, path, errors);
        }
    }
    let mut seen = BTreeSet::new();
    for (at, workspace) in list(spec, "workspaces").iter().enumerate() {
        let place = join(path, &format!("workspaces[{at}]"));
        check_binding(workspace, &place, errors);
        if !seen.insert(text(workspace, "name").to_lowercase()) {
            errors.add("expected exactly one, got both", join(&place, "name"));
        }
    }
    let status = text(spec, "status");
    if !["", "TaskRunCancelled", "TaskRunPending"].contains(&status) {
        let message = format!("invalid value: {status} should be TaskRunCancelled or TaskRunPending");
        errors.add(message, join(path, "status"));
    }
    if let Some(timeout) = spec.get("timeout").and_then(Value::as_i64).filter(|timeout| *timeout < 0) {
        let shown = duration::print(timeout);
        errors.add(format!("invalid value: {shown} should be >= 0"), join(path, "timeout"));
    }
    if let Some(retries) = spec.get("retries").and_then(Value::as_i64).filter(|retries| *retries < 0) {
        errors.add(format!("invalid value: {retries} should be >= 0"), join(path, "retries"));
    }
    check_container_specs(spec, path, errors);
}

/// Exactly one of two fields.
fn one_of(spec: &Value, first: &str, second: &str, path: &str, errors: &mut FieldErrors) {
    let paths = [join(path, first), join(path, second)];
    match (is_set(spec, first), is_set(spec, second)) {
        (true, true) => errors.about("expected exactly one, got both", &paths),
        (false, false) => errors.about("expected exactly one, got neither", &paths),
        _ => {}
    }
}

fn check_timeouts(spec: &Value, path: &str, errors: &mut FieldErrors) {
    let timeouts = spec.get("timeouts").unwrap_or(&Value::Null);
    let time = |field: &str| timeouts.get(field).and_then(Value::as_i64);
    for field in ["pipeline", "tasks", "finally"] {
        if let Some(time) = time(field).filter(|time| *time < 0) {
            let message = format!("invalid value: {} should be >= 0", duration::print(time));
            errors.add(message, join(path, &format!("timeouts.{field}")));
        }
    }
    let is_default = !is_set(timeouts, "pipeline");
    let Some(whole) = time("pipeline").or(is_default.then_some(DEFAULT_TIMEOUT)) else { return };
    let mut too_long = |message: String, field: &str| {
        let message = format!("invalid value: {message} should be <= pipeline duration");
        let place = join(path, &format!("timeouts.{field}"));
        if is_default {
            errors.gated(TIMEOUT_GATE, message, place);
        } else {
            errors.add(message, place);
        }
    };
    for field in ["tasks", "finally"] {
        match time(field) {
            Some(0) if whole != 0 => too_long("0s (no timeout)".to_owned(), field),
            Some(part) if part > whole && whole != 0 => too_long(duration::print(part), field),
            _ => {}
        }
    }
    if let (Some(tasks), Some(last)) = (time("tasks"), time("finally"))
        && tasks.wrapping_add(last) > whole
    {
        let message = format!("{} + {}", duration::print(tasks), duration::print(last));
        too_long(message.clone(), "tasks");
        too_long(message, "finally");
    }
}

fn check_task_run_spec(task: &Value, spec: &Value, path: &str, errors: &mut FieldErrors) {
    check_container_specs(task, path, errors);
    let Some(timeout) = task.get("timeout").and_then(Value::as_i64) else { return };
    let place = join(path, "timeout");
    let negative = |time: i64| format!("invalid value: {} should be >= 0", duration::print(time));
    if timeout < 0 {
        errors.add(negative(timeout), place);
        return;
    }
    let timeouts = spec.get("timeouts").unwrap_or(&Value::Null);
    let (limit, source, is_default) = if is_set(timeouts, "tasks") {
        (timeouts["tasks"].as_i64(), "pipeline tasks duration", false)
    } else if is_set(timeouts, "pipeline") {
        (timeouts["pipeline"].as_i64(), "pipeline duration", false)
    } else {
        (Some(DEFAULT_TIMEOUT), "pipeline duration", true)
    };
    match limit {
        Some(limit) if limit < 0 => errors.add(negative(limit), place),
        Some(limit) if limit != 0 && timeout > limit => {
            let message = format!(
                "invalid value: {} should be <= {source} {}",
                duration::print(timeout),
                duration::print(limit)
            );
            if is_default {
                errors.gated(TIMEOUT_GATE, message, place);
            } else {
                errors.add(message, place);
            }
        }
        _ => {}
    }
}

/// `stepSpecs` and `sidecarSpecs` have names of their own, and resources stand in one place.
fn check_container_specs(owner: &Value, path: &str, errors: &mut FieldErrors) {
    for group in ["stepSpecs", "sidecarSpecs"] {
        let mut names = Vec::new();
        for (at, spec) in list(owner, group).iter().enumerate() {
            match text(spec, "name") {
                "" => errors.add("missing field(s)", join(path, &format!("{group}[{at}].name"))),
                name => names.push(name.to_lowercase()),
            }
        }
        let mut seen = BTreeSet::new();
        for (at, name) in names.iter().enumerate() {
            if !seen.insert(name) {
                errors.add("expected exactly one, got both", join(path, &format!("{group}[{at}].name")));
            }
        }
    }
    let has_some = |spec: &Value| {
        let resources = spec.get("computeResources").and_then(Value::as_object);
        resources.is_some_and(|resources| {
            resources.values().any(|it| !it.as_object().is_some_and(serde_json::Map::is_empty))
        })
    };
    if is_set(owner, "computeResources") && list(owner, "stepSpecs").iter().any(has_some) {
        let paths = [join(path, "stepSpecs.resources"), join(path, "computeResources")];
        errors.about("expected exactly one, got both", &paths);
    }
}

/// Exactly one source for a workspace.
fn check_binding(workspace: &Value, path: &str, errors: &mut FieldErrors) {
    const SOURCES: &[&str] = &[
        "configMap",
        "csi",
        "emptyDir",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "volumeClaimTemplate",
    ];
    if workspace.as_object().is_none_or(serde_json::Map::is_empty) {
        errors.add("missing field(s)", path);
        return;
    }
    let given: Vec<&str> = SOURCES.iter().copied().filter(|source| is_set(workspace, source)).collect();
    let shown = ["persistentvolumeclaim", "volumeclaimtemplate", "emptydir", "configmap", "secret"];
    let paths = shown.map(|source| join(path, source));
    match given[..] {
        [] => errors.about("expected exactly one, got neither", &paths),
        [source] => {
            let volume = &workspace[source];
            let missing = match source {
                "persistentVolumeClaim" if text(volume, "claimName").is_empty() => {
                    "persistentvolumeclaim.claimname"
                }
                "configMap" if text(volume, "name").is_empty() => "configmap.name",
                "secret" if text(volume, "secretName").is_empty() => "secret.secretName",
                "projected" if list(volume, "sources").is_empty() => "projected.sources",
                "csi" if text(volume, "driver").is_empty() => "csi.driver",
                _ => return,
            };
            errors.add("missing field(s)", join(path, missing));
        }
        _ => errors.about("expected exactly one, got both", &paths),
    }
}
