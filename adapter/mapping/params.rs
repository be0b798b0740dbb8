//! Values of params as Tekton can take them: the items of a list and the members of a map are texts.

use serde_json::Value;

/// Turns what is no text inside the values of params into text, everywhere in the spec of a run. A number or a boolean that
/// is a value itself stays: Tekton does that.
pub(crate) fn to_texts(spec: &mut Value) {
    texts_of(spec, "params", "value");
    if let Some(reference) = spec.get_mut("pipelineRef") {
        texts_of(reference, "params", "value");
    }
    if let Some(pipeline) = spec.get_mut("pipelineSpec") {
        in_pipeline(pipeline);
    }
}

fn in_pipeline(pipeline: &mut Value) {
    texts_of(pipeline, "params", "default");
    for group in ["tasks", "finally"] {
        for task in list(pipeline, group) {
            texts_of(task, "params", "value");
            if let Some(spec) = task.get_mut("taskSpec") {
                texts_of(spec, "params", "default");
            }
            if let Some(reference) = task.get_mut("taskRef") {
                texts_of(reference, "params", "value");
            }
            if let Some(matrix) = task.get_mut("matrix") {
                texts_of(matrix, "params", "value");
                for include in list(matrix, "include") {
                    texts_of(include, "params", "value");
                }
            }
        }
    }
}

fn list<'v>(value: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

fn texts_of(owner: &mut Value, params: &str, field: &str) {
    for param in list(owner, params) {
        match param.get_mut(field) {
            Some(Value::Array(items)) => items.iter_mut().for_each(to_text),
            Some(Value::Object(members)) => members.values_mut().for_each(to_text),
            _ => {}
        }
    }
}

fn to_text(value: &mut Value) {
    if !matches!(value, Value::String(_) | Value::Null) {
        *value = Value::String(value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn items_and_members_become_texts_and_the_rest_stays() {
        let mut spec = json!({
            "params": [
                {"name": "numbers", "value": [1, 2.5, true, "x", null, {"a": [1]}]},
                {"name": "object", "value": {"count": 3, "nested": {"a": 1}}},
                {"name": "number", "value": 7},
                {"name": "none"},
            ],
            "timeouts": {"list": [1]},
            "pipelineSpec": {"params": [{"name": "p", "default": [1]}], "tasks": [
                {"params": [{"name": "a", "value": [1]}], "matrix": {"params": [{"name": "m", "value": [1]}]},
                 "taskSpec": {"spec": {"params": [{"value": [1]}]}}},
            ]},
        });
        to_texts(&mut spec);
        assert_eq!(spec["params"][0]["value"], json!(["1", "2.5", "true", "x", null, "{\"a\":[1]}"]));
        assert_eq!(spec["params"][1]["value"], json!({"count": "3", "nested": "{\"a\":1}"}));
        assert_eq!(spec["params"][2]["value"], 7);
        assert_eq!(spec["timeouts"]["list"], json!([1]));
        let pipeline = &spec["pipelineSpec"];
        assert_eq!(pipeline["params"][0]["default"], json!(["1"]));
        assert_eq!(pipeline["tasks"][0]["params"][0]["value"], json!(["1"]));
        assert_eq!(pipeline["tasks"][0]["matrix"]["params"][0]["value"], json!(["1"]));
        assert_eq!(pipeline["tasks"][0]["taskSpec"]["spec"]["params"][0]["value"], json!([1]));
    }
}
