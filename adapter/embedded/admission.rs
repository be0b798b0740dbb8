//! What happens to an object between the request and the store: defaults, and Tekton's admission rules.
//!
//! The rules are those of the room `tekton`, which mappings are held to as well; settings of Tekton are as it comes.

mod check;

use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::object;
use super::resource::Id;
use super::write::Part;
use pipewright_tekton as tekton;

pub use check::check;

const VALIDATING: &str = "validation.webhook.pipeline.tekton.dev";
const DEFAULTING: &str = "webhook.pipeline.tekton.dev";

/// Fills in what the real server and Tekton's webhook fill in.
pub fn default(id: Id, value: &mut Value, old: Option<&Value>, part: Part) -> Result<(), Failure> {
    match id.get().kind {
        "Namespace" => namespace(value, old),
        "Secret" => secret(value),
        kind @ ("PipelineRun" | "TaskRun" | "CustomRun" | "Pipeline" | "Task") => {
            if old.is_none() && matches!(kind, "PipelineRun" | "TaskRun") {
                drop_reserved_annotations(value);
            }
            if part == Part::Status && kind.ends_with("Run") {
                let status = object::map_mut(value).entry("status").or_insert_with(|| json!({}));
                let status = object::map_mut(status);
                // A field of Go's struct that is written even when it is empty.
                if kind == "TaskRun" {
                    status.entry("podName").or_insert_with(|| json!(""));
                }
            }
            tekton(kind, value)
                .map_err(|why| Failure::denied(DEFAULTING, &format!("mutation failed: {why}")))?;
        }
        _ => {}
    }
    Ok(())
}

fn tekton(kind: &str, value: &mut Value) -> Result<(), String> {
    const NOT_DECODED: &str = "cannot decode incoming new object";
    if let Some(why) = tekton::unreadable(kind, value.get("spec").unwrap_or(&Value::Null)) {
        return Err(format!("{NOT_DECODED}: {why}"));
    }
    if kind == "TaskRun" {
        let labels = object::map_mut(object::meta_mut(value).entry("labels").or_insert(Value::Null));
        labels.entry("app.kubernetes.io/managed-by").or_insert_with(|| json!("tekton-pipelines"));
    }
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
    // What Go leaves out when it writes the object again.
    let is_empty = |value: &Value| value == "" || value.as_array().is_some_and(Vec::is_empty);
    spec.retain(|key, value| !value.is_null() && (!is_empty(value) || key == "managedBy"));
    for param in spec.get_mut("params").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(value) = param.get_mut("value").filter(|value| !value.is_null()) {
            *value = tekton::param_value(value);
        }
    }
    match kind {
        "PipelineRun" => {
            let timeouts = object::map_mut(spec.entry("timeouts").or_insert(Value::Null));
            for (_, timeout) in timeouts.iter_mut() {
                duration(timeout).map_err(|why| format!("{NOT_DECODED}: {why}"))?;
            }
            unset_or(timeouts, "pipeline", "1h0m0s");
            let template = object::map_mut(spec.entry("taskRunTemplate").or_insert(Value::Null));
            unset_or(template, "serviceAccountName", "default");
            if let Some(pipeline) = spec.get_mut("pipelineSpec") {
                pipeline_spec(pipeline);
            }
        }
        "TaskRun" => {
            if let Some(timeout) = spec.get_mut("timeout") {
                duration(timeout).map_err(|why| format!("{NOT_DECODED}: {why}"))?;
            }
            unset_or(spec, "timeout", "1h0m0s");
            unset_or(spec, "serviceAccountName", "default");
            if let Some(task) = spec.get_mut("taskRef") {
                task_ref(task);
            }
            if let Some(task) = spec.get_mut("taskSpec") {
                task_spec(task);
            }
        }
        "CustomRun" => {
            if let Some(timeout) = spec.get_mut("timeout") {
                duration(timeout).map_err(|why| format!("{NOT_DECODED}: {why}"))?;
            }
            unset_or(spec, "serviceAccountName", "default");
        }
        "Pipeline" => pipeline_spec(&mut value["spec"]),
        _ => task_spec(&mut value["spec"]),
    }
    Ok(())
}

fn list<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn pipeline_spec(spec: &mut Value) {
    list(spec, "params").for_each(param);
    for tasks in ["tasks", "finally"] {
        for task in list(spec, tasks) {
            if let Some(reference) = task.get_mut("taskRef") {
                task_ref(reference);
            }
            if let Some(inline) = task.get_mut("taskSpec").filter(|inline| inline.is_object()) {
                task_spec(inline);
                let inline = object::map_mut(inline);
                // Fields of Go's struct that are written even when they are empty.
                inline.entry("metadata").or_insert_with(|| json!({}));
                inline.entry("spec").or_insert(Value::Null);
            }
        }
    }
}

fn task_ref(reference: &mut Value) {
    let Some(reference) = reference.as_object_mut() else { return };
    if object::is_unset(reference.get("resolver")) {
        unset_or(reference, "kind", "Task");
    }
}

fn task_spec(spec: &mut Value) {
    list(spec, "params").for_each(param);
    for result in list(spec, "results").filter_map(Value::as_object_mut) {
        let has_properties = result.get("properties").is_some_and(Value::is_object);
        let default = if has_properties { "object" } else { "string" };
        unset_or(result, "type", default);
    }
    for step in list(spec, "steps").filter_map(Value::as_object_mut) {
        step.entry("name").or_insert_with(|| json!(""));
        step.entry("computeResources").or_insert_with(|| json!({}));
    }
}

fn param(param: &mut Value) {
    let Some(param) = param.as_object_mut() else { return };
    let default = match param.get("default") {
        _ if param.get("properties").is_some_and(Value::is_object) => "object",
        Some(Value::Array(_)) => "array",
        Some(Value::Object(_)) => "object",
        _ => "string",
    };
    unset_or(param, "type", default);
}

/// Brings a duration into the form in which Go writes it.
fn duration(value: &mut Value) -> Result<(), String> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let time = tekton::parse_duration(text).ok_or_else(|| format!("time: invalid duration {text:?}"))?;
    *value = json!(tekton::print_duration(time));
    Ok(())
}

fn unset_or(map: &mut Map<String, Value>, key: &str, default: &str) {
    if object::is_unset(map.get(key)) {
        map.insert(key.to_owned(), json!(default));
    }
}

fn drop_reserved_annotations(value: &mut Value) {
    if let Some(annotations) = object::meta_mut(value).get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with("chains.tekton.dev/"));
        if annotations.is_empty() {
            object::meta_mut(value).remove("annotations");
        }
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
