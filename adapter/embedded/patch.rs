//! The patch types: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch.

use http::StatusCode;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::object;

/// How many operations one JSON patch may have (apiserver, `maxJSONPatchOperations`).
const OPERATION_LIMIT: usize = 10_000;
/// How many bytes the `copy` operations of one JSON patch may add (apiserver, `AccumulatedCopySizeLimit`).
const COPY_LIMIT: usize = 3 * 1024 * 1024;
/// How deep an operation may build: deeper than anything that is stored, and far from the end of the stack.
const DEPTH_LIMIT: usize = 256;

/// Applies a merge patch.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    let target = object::map_mut(target);
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// Applies a JSON patch; a failed `test` or a missing path refuses the whole.
pub fn json(target: &mut Value, patch: &Value) -> Result<(), Failure> {
    let undecodable = |value: &Value, wanted: &str| {
        let found = type_name(value);
        Failure::bad_request(format!(
            "error decoding patch: json: cannot unmarshal {found} into Go value of type {wanted}"
        ))
    };
    let operations = patch.as_array().ok_or_else(|| undecodable(patch, "[]handlers.jsonPatchOp"))?;
    if let Some(other) = operations.iter().find(|operation| !operation.is_object()) {
        return Err(undecodable(other, "handlers.jsonPatchOp"));
    }
    if operations.len() > OPERATION_LIMIT {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {OPERATION_LIMIT}, got {}",
            operations.len()
        );
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message));
    }
    let mut copied = 0;
    operations.iter().try_for_each(|operation| {
        // The real server answers so for every operation that cannot be carried out.
        step(target, operation, &mut copied).ok_or_else(Failure::patch_rejected)
    })
}

/// The type of a JSON value as Go's decoder names it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn step(target: &mut Value, operation: &Value, copied: &mut usize) -> Option<()> {
    let field = |key: &str| operation.get(key).and_then(Value::as_str);
    let path = field("path")?;
    // A missing value is null, as in the library of the real server.
    let value = || operation.get("value").cloned().unwrap_or_default();
    match field("op")? {
        "add" => add(target, path, value()),
        "remove" => remove(target, path).map(|_| ()),
        "replace" => replace(target, path, value()),
        "move" => {
            let value = remove(target, field("from")?)?;
            add(target, path, value)
        }
        "copy" => {
            let value = target.pointer(field("from")?)?;
            *copied += value.to_string().len();
            let value = (*copied <= COPY_LIMIT).then(|| value.clone())?;
            add(target, path, value)
        }
        "test" => {
            let (parent, _) = split(path)?;
            target.pointer(parent)?;
            (target.pointer(path).unwrap_or(&Value::Null) == &value()).then_some(())
        }
        _ => None,
    }
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

/// Whether a value may stand at a path.
fn is_shallow(path: &str, value: &Value) -> bool {
    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
            Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or_default(),
            _ => 0,
        }
    }
    path.matches('/').count() + depth(value) <= DEPTH_LIMIT
}

fn add(target: &mut Value, path: &str, value: Value) -> Option<()> {
    is_shallow(path, &value).then_some(())?;
    let Some((parent, key)) = split(path) else {
        *target = value;
        return Some(());
    };
    match target.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(items) => {
            let at = if key == "-" { items.len() } else { key.parse().ok()? };
            (at <= items.len()).then(|| items.insert(at, value))?;
        }
        _ => return None,
    }
    Some(())
}

/// As in the library of the real server, a field of a map need not exist.
fn replace(target: &mut Value, path: &str, value: Value) -> Option<()> {
    is_shallow(path, &value).then_some(())?;
    if let Some((parent, key)) = split(path)
        && let Some(Value::Object(map)) = target.pointer_mut(parent)
    {
        map.insert(key, value);
        return Some(());
    }
    *target.pointer_mut(path)? = value;
    Some(())
}

fn remove(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => map.remove(&key),
        Value::Array(items) => {
            let at = key.parse().ok().filter(|at| *at < items.len())?;
            Some(items.remove(at))
        }
        _ => None,
    }
}

/// Applies a strategic merge patch, as far as the core kinds that are served here need it: lists with a merge key,
/// lists of primitives that are merged, and the directives `$patch`, `$retainKeys`, `$deleteFromPrimitiveList` and
/// `$setElementOrder`.
pub fn strategic(target: &mut Value, patch: &Value) {
    strategic_map(object::map_mut(target), patch.as_object().unwrap_or(&Map::new()));
}

fn strategic_map(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    match patch.get("$patch").and_then(Value::as_str) {
        Some("replace") => {
            *target = patch
                .iter()
                .filter(|(key, _)| *key != "$patch")
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            return;
        }
        Some("delete") => {
            target.clear();
            return;
        }
        _ => {}
    }
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|key, _| keep.iter().any(|kept| kept == key));
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(items) = target.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
        } else if key.starts_with('$') {
            // `$setElementOrder` only orders; the order of these lists means nothing.
        } else if value.is_null() {
            target.remove(key);
        } else {
            let old = target.entry(key).or_insert(Value::Null);
            match (value, merge_key(key)) {
                (Value::Object(inner), _) => strategic_map(object::map_mut(old), inner),
                (Value::Array(items), Some(Key::Field(field))) => strategic_list(old, items, field),
                (Value::Array(items), Some(Key::Whole)) => {
                    let mut all = items.clone();
                    let before = old.as_array().cloned().unwrap_or_default();
                    all.extend(before.into_iter().filter(|item| !items.contains(item)));
                    *old = Value::Array(all);
                }
                _ => *old = value.clone(),
            }
        }
    }
}

enum Key {
    Field(&'static str),
    Whole,
}

/// `patchMergeKey` of the lists in the kinds that are served.
fn merge_key(list: &str) -> Option<Key> {
    match list {
        "ownerReferences" => Some(Key::Field("uid")),
        "conditions" => Some(Key::Field("type")),
        "secrets" => Some(Key::Field("name")),
        "finalizers" => Some(Key::Whole),
        _ => None,
    }
}

fn strategic_list(old: &mut Value, patch: &[Value], key: &str) {
    let mut items = old.as_array().cloned().unwrap_or_default();
    if patch.iter().any(|item| item["$patch"] == "replace") {
        items.clear();
    }
    // What is new comes first.
    let mut added = Vec::new();
    for item in patch.iter().filter(|item| item["$patch"] != "replace") {
        let at = items.iter().position(|old| old.get(key) == item.get(key));
        match (at, item["$patch"] == "delete") {
            (Some(at), true) => {
                items.remove(at);
            }
            (None, true) => {}
            (Some(at), false) => strategic(&mut items[at], item),
            (None, false) => added.push(item.clone()),
        }
    }
    added.extend(items);
    *old = Value::Array(added);
}

#[cfg(test)]
mod tests {
    use serde_json::json as tree;

    use super::*;

    #[test]
    fn merge_patch_follows_rfc_7386() {
        // The examples of appendix A.
        for (mut target, patch, result) in [
            (tree!({"a": "b"}), tree!({"a": "c"}), tree!({"a": "c"})),
            (tree!({"a": "b", "b": "c"}), tree!({"a": null}), tree!({"b": "c"})),
            (tree!({"a": ["b"]}), tree!({"a": "c"}), tree!({"a": "c"})),
            (tree!({"a": {"b": "c"}}), tree!({"a": {"b": "d", "c": null}}), tree!({"a": {"b": "d"}})),
            (tree!({"e": null}), tree!({"a": 1}), tree!({"e": null, "a": 1})),
            (tree!([1, 2]), tree!({"a": "b", "c": null}), tree!({"a": "b"})),
            (tree!({}), tree!({"a": {"bb": {"ccc": null}}}), tree!({"a": {"bb": {}}})),
        ] {
            merge(&mut target, &patch);
            assert_eq!(target, result);
        }
    }

    #[test]
    fn json_patch_follows_rfc_6902() {
        let mut target = tree!({"foo": ["bar", "baz"], "a/b": 1, "old": {"x": 1}});
        let patch = tree!([
            {"op": "test", "path": "/foo/0", "value": "bar"},
            {"op": "add", "path": "/foo/1", "value": "qux"},
            {"op": "add", "path": "/foo/-", "value": "end"},
            {"op": "remove", "path": "/foo/0"},
            {"op": "replace", "path": "/a~1b", "value": 2},
            {"op": "move", "from": "/old", "path": "/new"},
            {"op": "copy", "from": "/new/x", "path": "/y"},
        ]);
        json(&mut target, &patch).unwrap();
        assert_eq!(target, tree!({"foo": ["qux", "baz", "end"], "a/b": 2, "new": {"x": 1}, "y": 1}));
        for bad in [
            tree!([{"op": "test", "path": "/y", "value": 3}]),
            tree!([{"op": "remove", "path": "/nope"}]),
            tree!([{"op": "add", "path": "/no/where", "value": 1}]),
            tree!([{"op": "add", "path": "/foo/9", "value": 1}]),
            tree!([{"op": "test", "path": "/no/where", "value": null}]),
        ] {
            assert_eq!(json(&mut target, &bad).unwrap_err().code, 422, "{bad}");
        }
        assert_eq!(json(&mut target, &tree!({})).unwrap_err().code, 400);
    }

    #[test]
    fn strategic_patch_merges_lists_by_key() {
        let mut target = tree!({
            "metadata": {"finalizers": ["a/b"], "ownerReferences": [{"uid": "1", "name": "x"}, {"uid": "2"}]},
            "data": {"a": "1", "b": "2"},
        });
        let patch = tree!({
            "metadata": {
                "finalizers": ["c/d"],
                "$deleteFromPrimitiveList/finalizers": ["a/b"],
                "ownerReferences": [{"uid": "1", "name": "y"}, {"uid": "2", "$patch": "delete"}, {"uid": "3"}],
            },
            "data": {"b": null, "c": "3"},
        });
        strategic(&mut target, &patch);
        assert_eq!(
            target,
            tree!({
                "metadata": {"finalizers": ["c/d"], "ownerReferences": [{"uid": "3"}, {"uid": "1", "name": "y"}]},
                "data": {"a": "1", "c": "3"},
            })
        );
    }
}
