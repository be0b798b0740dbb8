//! What happens to an object between the request and the store: defaults, and Tekton's admission rules.
//!
//! The rules are those that people notice (tektoncd/pipeline v1.15, `pkg/apis/pipeline`), in the words of its
//! webhooks; the schema of a pipeline is not checked.

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::object;
use super::resource::{Id, Origin};

const WEBHOOK: &str = "validation.webhook.pipeline.tekton.dev";

/// Fills in what the real server and Tekton's webhook fill in.
pub fn default(id: Id, value: &mut Value, old: Option<&Value>) {
    match id.get().kind {
        "Namespace" => namespace(value, old),
        "Secret" => secret(value),
        "PipelineRun" => {
            drop_reserved_annotations(value, old);
            if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
                let timeouts = object::map_mut(spec.entry("timeouts").or_insert(Value::Null));
                unset_or(timeouts, "pipeline", "1h0m0s");
                let template = object::map_mut(spec.entry("taskRunTemplate").or_insert(Value::Null));
                unset_or(template, "serviceAccountName", "default");
            }
        }
        "TaskRun" => {
            drop_reserved_annotations(value, old);
            if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
                unset_or(spec, "timeout", "1h0m0s");
                unset_or(spec, "serviceAccountName", "default");
                if let Some(task) = spec.get_mut("taskRef").and_then(Value::as_object_mut)
                    && task.get("resolver").is_none()
                {
                    unset_or(task, "kind", "Task");
                }
            }
            let labels = object::map_mut(object::meta_mut(value).entry("labels").or_insert(Value::Null));
            labels.entry("app.kubernetes.io/managed-by").or_insert_with(|| json!("tekton-pipelines"));
        }
        "CustomRun" => {
            if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
                unset_or(spec, "serviceAccountName", "default");
            }
        }
        _ => {}
    }
}

fn unset_or(map: &mut Map<String, Value>, key: &str, default: &str) {
    if object::is_unset(map.get(key)) {
        map.insert(key.to_owned(), json!(default));
    }
}

fn drop_reserved_annotations(value: &mut Value, old: Option<&Value>) {
    if old.is_none()
        && let Some(annotations) =
            object::meta_mut(value).get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.retain(|key, _| !key.starts_with("chains.tekton.dev/"));
    }
}

fn namespace(value: &mut Value, old: Option<&Value>) {
    let name = object::name(value).to_owned();
    let labels = object::map_mut(object::meta_mut(value).entry("labels").or_insert(Value::Null));
    labels.insert("kubernetes.io/metadata.name".to_owned(), json!(name));
    if old.is_none() {
        value["spec"] = json!({"finalizers": ["kubernetes"]});
        value["status"] = json!({"phase": "Active"});
    }
}

fn secret(value: &mut Value) {
    let map = object::map_mut(value);
    unset_or(map, "type", "Opaque");
    let Some(Value::Object(strings)) = map.remove("stringData") else { return };
    let data = object::map_mut(map.entry("data").or_insert(Value::Null));
    for (key, text) in strings {
        let bytes = ByteString(text.as_str().unwrap_or_default().as_bytes().to_vec());
        if let Ok(encoded) = serde_json::to_value(bytes) {
            data.insert(key, encoded);
        }
    }
}

/// Refuses what Tekton's webhook refuses.
pub fn check(id: Id, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
    if id.get().origin == Origin::Builtin {
        return Ok(());
    }
    let mut errors = Vec::new();
    name(object::name(new), &mut errors);
    match id.get().kind {
        "PipelineRun" => pipeline_run(new, old, &mut errors),
        "TaskRun" => task_run(new, old, &mut errors),
        "CustomRun" => custom_run(new, &mut errors),
        "Pipeline" if new.get("spec").is_none_or(|spec| !spec.is_object()) => {
            errors.push("expected at least one, got none: spec.description, spec.params, spec.resources, spec.tasks, spec.workspaces".to_owned());
        }
        "Task" if new.get("spec").and_then(|spec| spec.get("steps")).is_none() => {
            errors.push("missing field(s): spec.steps".to_owned());
        }
        _ => {}
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::denied(WEBHOOK, &format!("validation failed: {}", errors.join("\n"))))
    }
}

fn name(name: &str, errors: &mut Vec<String>) {
    if super::validate::subdomain(name).is_err() {
        errors.push(format!("invalid resource name {name:?}: must be a valid DNS label: metadata.name"));
    } else if name.len() > 63 {
        errors.push(
            "Invalid resource name: length must be no more than 63 characters: metadata.name".to_owned(),
        );
    }
}

fn one_of(spec: &Value, first: &str, second: &str, errors: &mut Vec<String>) {
    let is_set = |key: &str| spec.get(key).is_some_and(|value| !value.is_null());
    match (is_set(first), is_set(second)) {
        (true, true) => errors.push(format!("expected exactly one, got both: spec.{first}, spec.{second}")),
        (false, false) => {
            errors.push(format!("expected exactly one, got neither: spec.{first}, spec.{second}"));
        }
        _ => {}
    }
}

fn duplicate_params(spec: &Value, errors: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    for param in spec.get("params").and_then(Value::as_array).into_iter().flatten() {
        let name = object::text(param, &["name"]);
        if !seen.insert(name) {
            errors.push(format!("expected exactly one, got both: spec.params[{name}].name"));
        }
    }
}

fn pipeline_run(new: &Value, old: Option<&Value>, errors: &mut Vec<String>) {
    let spec = &new["spec"];
    let status = object::text(spec, &["status"]);
    if status == "PipelineRunPending" && !object::text(new, &["status", "startTime"]).is_empty() {
        errors
            .push("invalid value: PipelineRun cannot be Pending after it is started: spec.status".to_owned());
    }
    if let Some(old) = old {
        frozen(new, old, "PipelineRun", "status", &["status", "managedBy"], errors);
    }
    one_of(spec, "pipelineRef", "pipelineSpec", errors);
    duplicate_params(spec, errors);
    if !["", "PipelineRunPending", "Cancelled", "CancelledRunFinally", "StoppedRunFinally"].contains(&status)
    {
        errors.push(format!(
            "invalid value: {status} should be Cancelled, CancelledRunFinally, StoppedRunFinally or PipelineRunPending: spec.status"
        ));
    }
    for field in ["pipeline", "tasks", "finally"] {
        let timeout = object::text(spec, &["timeouts", field]);
        if timeout.starts_with('-') {
            errors.push(format!("invalid value: {timeout} should be >= 0: spec.timeouts.{field}"));
        }
    }
}

fn task_run(new: &Value, old: Option<&Value>, errors: &mut Vec<String>) {
    let spec = &new["spec"];
    let status = object::text(spec, &["status"]);
    if let Some(old) = old {
        frozen(
            new,
            old,
            "TaskRun",
            "status and statusMessage",
            &["status", "statusMessage", "managedBy"],
            errors,
        );
    }
    one_of(spec, "taskRef", "taskSpec", errors);
    duplicate_params(spec, errors);
    if !["", "TaskRunCancelled", "TaskRunPending"].contains(&status) {
        errors.push(format!(
            "invalid value: {status} should be TaskRunCancelled or TaskRunPending: spec.status"
        ));
    }
    status_message(spec, "spec.statusMessage", errors);
}

fn custom_run(new: &Value, errors: &mut Vec<String>) {
    let spec = &new["spec"];
    if !spec.is_object() {
        errors.push("missing field(s): spec".to_owned());
        return;
    }
    one_of(spec, "customRef", "customSpec", errors);
    for reference in ["customRef", "customSpec"].into_iter().filter(|key| spec.get(*key).is_some()) {
        for key in ["apiVersion", "kind"] {
            if object::text(spec, &[reference, key]).is_empty() {
                errors.push(format!("missing field(s): spec.{reference}.{key}"));
            }
        }
    }
    duplicate_params(spec, errors);
    status_message(spec, "statusMessage", errors);
}

fn status_message(spec: &Value, field: &str, errors: &mut Vec<String>) {
    let message = object::text(spec, &["statusMessage"]);
    if object::text(spec, &["status"]).is_empty() && !message.is_empty() {
        errors.push(format!(
            "invalid value: statusMessage should not be set if status is not set, but it is currently set to {message}: {field}"
        ));
    }
}

/// The spec of a run does not change, but for the fields in `free`.
fn frozen(new: &Value, old: &Value, kind: &str, allowed: &str, free: &[&str], errors: &mut Vec<String>) {
    let (new_spec, old_spec) = (&new["spec"], &old["spec"]);
    let managed_by = |spec: &Value| object::text(spec, &["managedBy"]).to_owned();
    if managed_by(new_spec) != managed_by(old_spec) {
        errors.push("invalid value: managedBy is immutable: spec.managedBy".to_owned());
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
            errors.push(format!("invalid value: Once the {kind} is complete, no updates are allowed: spec"));
        }
    } else if rest(new_spec, free) != rest(old_spec, free) {
        errors.push(format!(
            "invalid value: Once the {kind} has started, only {allowed} updates are allowed: spec"
        ));
    }
}

/// Whether the `Succeeded` condition is True or False.
pub fn is_done(run: &Value) -> bool {
    succeeded(run).is_some_and(|condition| matches!(object::text(condition, &["status"]), "True" | "False"))
}

/// The `Succeeded` condition.
pub fn succeeded(run: &Value) -> Option<&Value> {
    run.get("status")?
        .get("conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == "Succeeded")
}
