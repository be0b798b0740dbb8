//! What Tekton's validating webhook refuses.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::super::failure::Failure;
use super::super::player::{go_duration, print_duration};
use super::super::resource::{Id, Origin};
use super::super::validate;
use super::fields::FieldErrors;
use super::{VALIDATING, is_done, object, pipeline};

/// Refuses what Tekton's webhook refuses.
pub fn check(id: Id, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
    if id.get().origin == Origin::Builtin {
        return Ok(());
    }
    let mut errors = FieldErrors::default();
    name(object::name(new), &mut errors);
    let spec = &new["spec"];
    match id.get().kind {
        "PipelineRun" => pipeline_run(new, old, &mut errors),
        "TaskRun" => task_run(new, old, &mut errors),
        "CustomRun" => custom_run(new, &mut errors),
        "Pipeline" => pipeline::check_pipeline(spec, "spec", &mut errors),
        "Task" => pipeline::check_task(spec, "spec", &mut errors),
        _ => {}
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::denied(VALIDATING, &format!("validation failed: {}", errors.text())))
    }
}

fn name(name: &str, errors: &mut FieldErrors) {
    if validate::subdomain(name).is_err() {
        errors.add(format!("invalid resource name {name:?}: must be a valid DNS label"), "metadata.name");
    } else if name.len() > 63 {
        errors.add("Invalid resource name: length must be no more than 63 characters", "metadata.name");
    }
}

fn one_of(spec: &Value, first: &str, second: &str, errors: &mut FieldErrors) {
    let is_set = |key: &str| spec.get(key).is_some_and(|value| !value.is_null());
    let paths = [format!("spec.{first}"), format!("spec.{second}")];
    match (is_set(first), is_set(second)) {
        (true, true) => errors.about("expected exactly one, got both", &paths),
        (false, false) => errors.about("expected exactly one, got neither", &paths),
        _ => {}
    }
}

fn reference(spec: &Value, key: &str, errors: &mut FieldErrors) {
    let Some(reference) = spec.get(key).filter(|reference| reference.is_object()) else { return };
    if object::text(reference, &["name"]).is_empty() && object::text(reference, &["resolver"]).is_empty() {
        errors.add("missing field(s)", format!("spec.{key}.name"));
    }
}

fn list<'a>(spec: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    spec.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn duplicate_params(spec: &Value, errors: &mut FieldErrors) {
    let mut seen = std::collections::BTreeSet::new();
    for param in list(spec, "params") {
        let name = object::text(param, &["name"]);
        if !seen.insert(name) {
            errors.add("expected exactly one, got both", format!("spec.params[{name}].name"));
        }
    }
}

fn pipeline_run(new: &Value, old: Option<&Value>, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let status = object::text(spec, &["status"]);
    if status == "PipelineRunPending" && !object::text(new, &["status", "startTime"]).is_empty() {
        errors.add("invalid value: PipelineRun cannot be Pending after it is started", "spec.status");
    }
    if let Some(old) = old {
        frozen(new, old, "PipelineRun", "status", &["status", "managedBy"], errors);
    }
    one_of(spec, "pipelineRef", "pipelineSpec", errors);
    reference(spec, "pipelineRef", errors);
    if let Some(inline) = spec.get("pipelineSpec").filter(|inline| !inline.is_null()) {
        pipeline::check_pipeline(inline, "spec.pipelineSpec", errors);
    }
    duplicate_params(spec, errors);
    for param in list(spec, "params") {
        let found = pipeline::expressions(&param["value"], "tasks.");
        if !found.is_empty() {
            let name = object::text(param, &["name"]);
            let message = format!(
                "invalid value: cannot use result expressions in [{}] as PipelineRun parameter values",
                found.join(" ")
            );
            errors.add(message, format!("spec.params[{name}].value"));
        }
    }
    if !["", "PipelineRunPending", "Cancelled", "CancelledRunFinally", "StoppedRunFinally"].contains(&status)
    {
        errors.add(
            format!(
                "invalid value: {status} should be Cancelled, CancelledRunFinally, StoppedRunFinally or PipelineRunPending"
            ),
            "spec.status",
        );
    }
    timeouts(spec, errors);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, workspace) in list(spec, "workspaces").enumerate() {
        binding(workspace, at, errors);
        let name = object::text(workspace, &["name"]);
        if let Some(first) = seen.insert(name, at) {
            let message = format!(
                "workspace {name:?} provided by pipelinerun more than once, at index {first} and {at}"
            );
            errors.add(message, format!("spec.workspaces[{at}].name"));
        }
    }
}

fn timeouts(spec: &Value, errors: &mut FieldErrors) {
    let text = |field: &str| object::text(spec, &["timeouts", field]).to_owned();
    for field in ["pipeline", "tasks", "finally"] {
        let timeout = text(field);
        if timeout.starts_with('-') {
            errors.add(format!("invalid value: {timeout} should be >= 0"), format!("spec.timeouts.{field}"));
        }
    }
    let time = |field: &str| go_duration(&text(field));
    let Some(whole) = time("pipeline").filter(|whole| *whole > Duration::ZERO) else { return };
    let (tasks, last) = (time("tasks"), time("finally"));
    let mut fits = true;
    for (field, part) in [("tasks", tasks), ("finally", last)] {
        if let Some(part) = part.filter(|part| *part > whole) {
            fits = false;
            let message = format!("invalid value: {} should be <= pipeline duration", print_duration(part));
            errors.add(message, format!("spec.timeouts.{field}"));
        }
    }
    if let (true, Some(tasks), Some(last)) = (fits, tasks, last)
        && tasks + last > whole
    {
        let message = format!(
            "invalid value: {} + {} should be <= pipeline duration",
            print_duration(tasks),
            print_duration(last)
        );
        errors.about(&message, &["spec.timeouts.finally".to_owned(), "spec.timeouts.tasks".to_owned()]);
    }
}

/// Exactly one source for a workspace.
fn binding(workspace: &Value, at: usize, errors: &mut FieldErrors) {
    const SOURCES: &[&str] = &[
        "configMap",
        "csi",
        "emptyDir",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "volumeClaimTemplate",
    ];
    if !SOURCES.iter().any(|source| workspace.get(*source).is_some_and(|value| !value.is_null())) {
        let sources = ["configmap", "emptydir", "persistentvolumeclaim", "secret", "volumeclaimtemplate"];
        let paths = sources.map(|source| format!("spec.workspaces[{at}].{source}"));
        errors.about("expected exactly one, got neither", &paths);
    }
}

fn task_run(new: &Value, old: Option<&Value>, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    let status = object::text(spec, &["status"]);
    if let Some(old) = old {
        let free = &["status", "statusMessage", "managedBy"];
        frozen(new, old, "TaskRun", "status and statusMessage", free, errors);
    }
    one_of(spec, "taskRef", "taskSpec", errors);
    reference(spec, "taskRef", errors);
    if let Some(inline) = spec.get("taskSpec").filter(|inline| !inline.is_null()) {
        pipeline::check_task(inline, "spec.taskSpec", errors);
    }
    duplicate_params(spec, errors);
    let mut seen = std::collections::BTreeSet::new();
    for (at, workspace) in list(spec, "workspaces").enumerate() {
        binding(workspace, at, errors);
        if !seen.insert(object::text(workspace, &["name"])) {
            errors.add("expected exactly one, got both", format!("spec.workspaces[{at}].name"));
        }
    }
    if !["", "TaskRunCancelled", "TaskRunPending"].contains(&status) {
        errors.add(
            format!("invalid value: {status} should be TaskRunCancelled or TaskRunPending"),
            "spec.status",
        );
    }
    status_message(spec, "spec.statusMessage", errors);
    let timeout = object::text(spec, &["timeout"]);
    if timeout.starts_with('-') {
        errors.add(format!("invalid value: {timeout} should be >= 0"), "spec.timeout");
    }
    if let Some(retries) = spec.get("retries").and_then(Value::as_i64).filter(|retries| *retries < 0) {
        errors.add(format!("invalid value: {retries} should be >= 0"), "spec.retries");
    }
}

fn custom_run(new: &Value, errors: &mut FieldErrors) {
    let spec = &new["spec"];
    one_of(spec, "customRef", "customSpec", errors);
    for reference in ["customRef", "customSpec"].into_iter().filter(|key| spec.get(*key).is_some()) {
        for key in ["apiVersion", "kind"] {
            if object::text(spec, &[reference, key]).is_empty() {
                errors.add("missing field(s)", format!("spec.{reference}.{key}"));
                break;
            }
        }
    }
    duplicate_params(spec, errors);
    status_message(spec, "statusMessage", errors);
}

fn status_message(spec: &Value, field: &str, errors: &mut FieldErrors) {
    let message = object::text(spec, &["statusMessage"]);
    if object::text(spec, &["status"]).is_empty() && !message.is_empty() {
        let text = format!(
            "invalid value: statusMessage should not be set if status is not set, but it is currently set to {message}"
        );
        errors.add(text, field);
    }
}

/// The spec of a run does not change, but for the fields in `free`.
fn frozen(new: &Value, old: &Value, kind: &str, allowed: &str, free: &[&str], errors: &mut FieldErrors) {
    let (new_spec, old_spec) = (&new["spec"], &old["spec"]);
    let managed_by = |spec: &Value| object::text(spec, &["managedBy"]).to_owned();
    if managed_by(new_spec) != managed_by(old_spec) {
        errors.add("invalid value: managedBy is immutable", "spec.spec.managedBy");
    }
    let rest = |spec: &Value, free: &[&str]| -> Map<String, Value> {
        let fields = spec.as_object().into_iter().flatten();
        fields
            .filter(|(key, value)| !free.contains(&key.as_str()) && !object::is_unset(Some(value)))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    if is_done(old) {
        if rest(new_spec, &["managedBy"]) != rest(old_spec, &["managedBy"]) {
            errors.add(format!("invalid value: Once the {kind} is complete, no updates are allowed"), "spec");
        }
    } else if rest(new_spec, free) != rest(old_spec, free) {
        let message =
            format!("invalid value: Once the {kind} has started, only {allowed} updates are allowed");
        errors.add(message, "spec");
    }
}
