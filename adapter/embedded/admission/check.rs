//! What Tekton's validating webhook refuses.

use serde_json::{Map, Value};

use super::super::failure::Failure;
use super::super::resource::{Id, Origin};
use super::super::validate;
use super::{VALIDATING, is_done, object};
use pipewright_tekton as tekton;
use pipewright_tekton::fields::FieldErrors;

/// Refuses what Tekton's webhook refuses.
pub fn check(id: Id, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
    if id.get().origin == Origin::Builtin {
        return Ok(());
    }
    let spec = &new["spec"];
    // What has been admitted is not looked at again.
    let is_same = old.is_some_and(|old| old.get("spec") == new.get("spec"));
    let verdict = match id.get().kind {
        _ if is_same => tekton::Verdict::default(),
        "PipelineRun" => tekton::pipeline_run(spec),
        "TaskRun" => tekton::task_run(spec),
        "Pipeline" => tekton::pipeline(spec),
        "Task" => tekton::task(spec),
        _ => tekton::Verdict::default(),
    };
    let mut errors = verdict.errors;
    name(object::name(new), &mut errors);
    match id.get().kind {
        "PipelineRun" => pipeline_run(new, old, &mut errors),
        "TaskRun" => task_run(new, old, &mut errors),
        "CustomRun" => custom_run(new, &mut errors),
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
    let status = object::text(&new["spec"], &["status"]);
    if status == "PipelineRunPending" && !object::text(new, &["status", "startTime"]).is_empty() {
        errors.add("invalid value: PipelineRun cannot be Pending after it is started", "spec.status");
    }
    if let Some(old) = old {
        frozen(new, old, "PipelineRun", "status", &["status", "managedBy"], errors);
    }
}

fn task_run(new: &Value, old: Option<&Value>, errors: &mut FieldErrors) {
    if let Some(old) = old {
        let free = &["status", "statusMessage", "managedBy"];
        frozen(new, old, "TaskRun", "status and statusMessage", free, errors);
    }
    status_message(&new["spec"], "spec.statusMessage", errors);
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
