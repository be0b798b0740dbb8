//! The patch types: JSON patch (RFC 6902), merge patch (RFC 7386) and strategic merge patch.

use http::StatusCode;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::object;

/// How many operations one JSON patch may have (apiserver, `maxJSONPatchOperations`).
const OPERATION_LIMIT: usize = 10_000;

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
    let operations = patch.as_array().ok_or_else(|| {
        Failure::bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch",
        )
    })?;
    if operations.len() > OPERATION_LIMIT {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {OPERATION_LIMIT}, got {}",
            operations.len()
        );
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message));
    }
    operations.iter().try_for_each(|operation| {
        // The real server answers so for every operation that cannot be carried out.
        step(target, operation).map_err(|message| {
            let message =
                format!("the server rejected our request due to an error in our request: {message}");
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
        })
    })
}

fn step(target: &mut Value, operation: &Value) -> Result<(), String> {
    let field = |key: &str| operation.get(key).and_then(Value::as_str);
    let path = field("path").ok_or("an operation has no `path`")?;
    let value = || operation.get("value").cloned().ok_or(format!("{path}: the operation has no `value`"));
    let from = || field("from").ok_or(format!("{path}: the operation has no `from`"));
    match field("op").ok_or("an operation has no `op`")? {
        "add" => add(target, path, value()?),
        "remove" => remove(target, path).map(|_| ()),
        "replace" => {
            let value = value()?;
            *target.pointer_mut(path).ok_or_else(|| missing("replace", path))? = value;
            Ok(())
        }
        "move" => {
            let value = remove(target, from()?)?;
            add(target, path, value)
        }
        "copy" => {
            let from = from()?;
            let value = target.pointer(from).cloned().ok_or_else(|| missing("copy", from))?;
            add(target, path, value)
        }
        "test" => {
            // A missing value equals null, as in the library of the real server.
            let expected = operation.get("value").unwrap_or(&Value::Null);
            if target.pointer(path).unwrap_or(&Value::Null) == expected {
                Ok(())
            } else {
                Err(format!("testing value {path} failed: test failed"))
            }
        }
        other => Err(format!("unexpected kind: {other}")),
    }
}

fn missing(operation: &str, path: &str) -> String {
    format!("{operation} operation does not apply: doc is missing path: {path}: missing value")
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let Some((parent, key)) = split(path) else {
        *target = value;
        return Ok(());
    };
    match target.pointer_mut(parent).ok_or_else(|| missing("add", path))? {
        Value::Object(map) => {
            map.insert(key, value);
            Ok(())
        }
        Value::Array(items) => {
            let at = if key == "-" { Some(items.len()) } else { key.parse().ok() };
            let at = at.filter(|at| *at <= items.len());
            items.insert(
                at.ok_or_else(|| format!("add operation does not apply: {path}: invalid index"))?,
                value,
            );
            Ok(())
        }
        _ => Err(missing("add", path)),
    }
}

fn remove(target: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = split(path).ok_or_else(|| missing("remove", path))?;
    match target.pointer_mut(parent) {
        Some(Value::Object(map)) => map.remove(&key),
        Some(Value::Array(items)) => {
            key.parse().ok().filter(|at| *at < items.len()).map(|at: usize| items.remove(at))
        }
        _ => None,
    }
    .ok_or_else(|| missing("remove", path))
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
                    let mut all = old.as_array().cloned().unwrap_or_default();
                    all.extend(items.iter().filter(|item| !all.contains(item)).cloned().collect::<Vec<_>>());
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
    for item in patch.iter().filter(|item| item["$patch"] != "replace") {
        let at = items.iter().position(|old| old.get(key) == item.get(key));
        match (at, item["$patch"] == "delete") {
            (Some(at), true) => {
                items.remove(at);
            }
            (None, true) => {}
            (Some(at), false) => strategic(&mut items[at], item),
            (None, false) => items.push(item.clone()),
        }
    }
    *old = Value::Array(items);
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
                "metadata": {"finalizers": ["c/d"], "ownerReferences": [{"uid": "1", "name": "y"}, {"uid": "3"}]},
                "data": {"a": "1", "c": "3"},
            })
        );
    }
}
