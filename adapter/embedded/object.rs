//! A stored object: its tree, its JSON text, and access to its metadata.

use bytes::Bytes;
use serde_json::{Map, Value};

/// An object as it was at one resourceVersion; immutable and shared.
#[derive(Debug)]
pub struct Object {
    /// The tree.
    pub value: Value,
    /// The same as JSON text: every reader and watcher sends these bytes.
    pub json: Bytes,
    /// `metadata.resourceVersion`.
    pub version: u64,
}

/// `metadata`, or an empty map.
pub fn meta(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.get("metadata").and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// A value as a map, made one when it is not.
pub fn map_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was just made a map"),
    }
}

/// `metadata`, made when it is missing.
pub fn meta_mut(value: &mut Value) -> &mut Map<String, Value> {
    map_mut(map_mut(value).entry("metadata").or_insert(Value::Null))
}

/// A string in `metadata`; empty when absent.
pub fn meta_str<'a>(value: &'a Value, key: &str) -> &'a str {
    meta(value).get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `metadata.name`.
pub fn name(value: &Value) -> &str {
    meta_str(value, "name")
}

/// `metadata.namespace`.
pub fn namespace(value: &Value) -> &str {
    meta_str(value, "namespace")
}

/// `metadata.uid`.
pub fn uid(value: &Value) -> &str {
    meta_str(value, "uid")
}

/// A label.
pub fn label<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    meta(value).get("labels")?.get(key)?.as_str()
}

/// An annotation.
pub fn annotation<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    meta(value).get("annotations")?.get(key)?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(value: &Value) -> impl Iterator<Item = &str> {
    meta(value).get("finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Whether deletion has been asked for and finalizers hold it up.
pub fn is_deleting(value: &Value) -> bool {
    meta(value).get("deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// `metadata.ownerReferences`.
pub fn owners(value: &Value) -> impl Iterator<Item = &Value> {
    meta(value).get("ownerReferences").and_then(Value::as_array).into_iter().flatten()
}

/// A string at a path of keys; empty when absent.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    path.iter().try_fold(value, |value, key| value.get(key)).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a value counts as unset, as Go's `omitempty` sees it.
pub fn is_unset(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}
