//! Which manager owns which field: `metadata.managedFields`, and the merge of server-side apply.
//!
//! Sets of fields are kept in their `FieldsV1` form, a tree of `f:name` keys. Lists are atomic but for
//! `metadata.ownerReferences` (keyed by uid) and `metadata.finalizers` (a set), as Tekton's and the core kinds
//! declare them; that is all that differs from the real server's typed sets.

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::object;

type Set = Map<String, Value>;
type Fields<'a> = Vec<(&'a String, &'a Value)>;

/// Who writes, and by which kind of request.
#[derive(Clone, Debug)]
pub struct Writer {
    /// `fieldManager`, or the first word of the user agent.
    pub manager: String,
    /// The API version of the request.
    pub api_version: String,
    /// `status` for writes through `/status`.
    pub subresource: &'static str,
    /// The time of the write, RFC 3339 in seconds.
    pub time: String,
}

/// What to do when another manager owns a field with another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Refuse with 409.
    Refuse,
    /// Take the field.
    Force,
}

/// Fields that the system sets; nobody owns them.
const UNOWNED: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Records an update: what `new` sets differently from `old` now belongs to the writer.
pub fn track_update(old: Option<&Value>, new: &mut Value, writer: &Writer) {
    let mut entries = entries(old.unwrap_or(new));
    // A client may empty the list to start over, and only that.
    if old.is_some()
        && object::meta(new).get("managedFields").is_some_and(|v| v.as_array().is_some_and(Vec::is_empty))
    {
        object::meta_mut(new).remove("managedFields");
        return;
    }
    if old.is_none() {
        entries.clear();
    }
    let mut changed = Set::new();
    let mut removed = Set::new();
    let empty = Value::Object(Map::new());
    compare(old.unwrap_or(&empty), new, Place::Root, &mut changed, &mut removed);
    if !changed.is_empty() || !removed.is_empty() {
        for entry in &mut entries {
            let set = set_mut(entry);
            subtract(set, &changed);
            subtract(set, &removed);
        }
        if !changed.is_empty() {
            let entry = find_or_add(&mut entries, "Update", writer);
            union(set_mut(entry), &changed);
            entry["time"] = json!(writer.time);
        }
    }
    store(new, entries);
}

/// Merges an applied configuration into `live`; `None` when nothing changes.
pub fn apply(
    live: &Value,
    config: &Value,
    writer: &Writer,
    on_conflict: OnConflict,
) -> Result<Option<Value>, Failure> {
    let mut entries = entries(live);
    let wanted = set_of(config);
    let mut merged = live.clone();
    overlay(&mut merged, config, Place::Root);

    let mut changed = Set::new();
    compare(live, &merged, Place::Root, &mut changed, &mut Set::new());
    let contested = intersect(&changed, &wanted);
    let mut conflicts = Vec::new();
    for entry in &mut entries {
        if is_of(entry, "Apply", writer) {
            continue;
        }
        let overlap = intersect(set_mut(entry), &contested);
        if overlap.is_empty() {
            continue;
        }
        if on_conflict == OnConflict::Force {
            subtract(set_mut(entry), &overlap);
        } else {
            let manager = describe(entry);
            conflicts.extend(paths(&overlap).into_iter().map(|path| (manager.clone(), path)));
        }
    }
    if !conflicts.is_empty() {
        conflicts.sort();
        return Err(Failure::apply_conflict(&conflicts));
    }

    // What this manager applied before and no longer does, and nobody else wants, goes away.
    let mut dropped = entries.iter().find(|entry| is_of(entry, "Apply", writer)).map(set).unwrap_or_default();
    difference(&mut dropped, &wanted);
    for entry in entries.iter().filter(|entry| !is_of(entry, "Apply", writer)) {
        difference(&mut dropped, &set(entry));
    }
    prune(&mut merged, &dropped);

    let entry = find_or_add(&mut entries, "Apply", writer);
    let same_set = *set_mut(entry) == wanted;
    *set_mut(entry) = wanted;
    store(&mut merged, entries);
    if same_set && without_managed_fields(&merged) == without_managed_fields(live) {
        return Ok(None);
    }
    let mut list = self::entries(&merged);
    find_or_add(&mut list, "Apply", writer)["time"] = json!(writer.time);
    store(&mut merged, list);
    Ok(Some(merged))
}

/// Whether two objects differ in more than the record of who owns what.
pub fn same(left: &Value, right: &Value) -> bool {
    without_managed_fields(left) == without_managed_fields(right)
}

fn without_managed_fields(value: &Value) -> (Fields<'_>, Fields<'_>) {
    let top = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "metadata").collect();
    let meta = object::meta(value).iter().filter(|(key, _)| *key != "managedFields").collect();
    (top, meta)
}

// === the entries ===

fn entries(value: &Value) -> Vec<Value> {
    object::meta(value).get("managedFields").and_then(Value::as_array).cloned().unwrap_or_default()
}

fn store(value: &mut Value, mut entries: Vec<Value>) {
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|set| !set.is_empty()));
    if entries.is_empty() {
        object::meta_mut(value).remove("managedFields");
    } else {
        object::meta_mut(value).insert("managedFields".to_owned(), Value::Array(entries));
    }
}

fn set_mut(entry: &mut Value) -> &mut Set {
    object::map_mut(&mut entry["fieldsV1"])
}

fn set(entry: &Value) -> Set {
    entry["fieldsV1"].as_object().cloned().unwrap_or_default()
}

fn is_of(entry: &Value, operation: &str, writer: &Writer) -> bool {
    entry["manager"] == writer.manager
        && entry["operation"] == operation
        && entry["apiVersion"] == writer.api_version
        && object::text(entry, &["subresource"]) == writer.subresource
}

fn find_or_add<'a>(entries: &'a mut Vec<Value>, operation: &str, writer: &Writer) -> &'a mut Value {
    let at = entries.iter().position(|entry| is_of(entry, operation, writer)).unwrap_or_else(|| {
        let mut entry = json!({
            "manager": writer.manager,
            "operation": operation,
            "apiVersion": writer.api_version,
            "time": writer.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": {},
        });
        if !writer.subresource.is_empty() {
            entry["subresource"] = json!(writer.subresource);
        }
        entries.push(entry);
        entries.len() - 1
    });
    &mut entries[at]
}

fn describe(entry: &Value) -> String {
    let mut text = format!("{:?}", object::text(entry, &["manager"]));
    let subresource = object::text(entry, &["subresource"]);
    if !subresource.is_empty() {
        text = format!("{text} with subresource {subresource:?}");
    }
    if entry["operation"] == "Update" {
        text = format!("{text} using {}", object::text(entry, &["apiVersion"]));
        let time = object::text(entry, &["time"]);
        if !time.is_empty() {
            text = format!("{text} at {time}");
        }
    }
    text
}

// === sets of fields ===

/// Where in an object a value stands; decides how it is merged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Metadata,
    OwnerReferences,
    Finalizers,
    Elsewhere,
}

impl Place {
    fn child(self, key: &str) -> Option<Self> {
        match (self, key) {
            (Self::Root, "apiVersion" | "kind") => None,
            (Self::Root, "metadata") => Some(Self::Metadata),
            (Self::Metadata, key) if UNOWNED.contains(&key) => None,
            (Self::Metadata, "ownerReferences") => Some(Self::OwnerReferences),
            (Self::Metadata, "finalizers") => Some(Self::Finalizers),
            _ => Some(Self::Elsewhere),
        }
    }

    /// The key of a list element in the set, for lists that are merged.
    fn element(self, item: &Value) -> Option<String> {
        match self {
            Self::OwnerReferences => Some(format!("k:{}", json!({ "uid": item.get("uid")? }))),
            Self::Finalizers => Some(format!("v:{item}")),
            _ => None,
        }
    }
}

fn set_of(value: &Value) -> Set {
    let mut set = Set::new();
    fill(value, Place::Root, &mut set);
    set
}

fn fill(value: &Value, place: Place, set: &mut Set) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let Some(place) = place.child(key) else { continue };
                let mut inner = Set::new();
                fill(value, place, &mut inner);
                // `metadata: {}` owns nothing; any other empty map owns itself.
                if place != Place::Metadata || !inner.is_empty() {
                    set.insert(format!("f:{key}"), Value::Object(inner));
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                if let Some(key) = place.element(item) {
                    let mut inner = Set::new();
                    if item.is_object() {
                        inner.insert(".".to_owned(), json!({}));
                        fill(item, Place::Elsewhere, &mut inner);
                    }
                    set.insert(key, Value::Object(inner));
                }
            }
        }
        _ => {}
    }
}

/// What differs between two values, as sets of changed (or added) and of removed fields.
fn compare(old: &Value, new: &Value, place: Place, changed: &mut Set, removed: &mut Set) {
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        for (key, value) in new {
            let Some(place) = place.child(key) else { continue };
            let field = format!("f:{key}");
            match old.get(key) {
                None => {
                    let mut inner = Set::new();
                    fill(value, place, &mut inner);
                    if place != Place::Metadata || !inner.is_empty() {
                        changed.insert(field, Value::Object(inner));
                    }
                }
                Some(before) if before != value => descend(before, value, place, field, changed, removed),
                Some(_) => {}
            }
        }
        for (key, value) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
            let Some(place) = place.child(key) else { continue };
            let mut inner = Set::new();
            fill(value, place, &mut inner);
            removed.insert(format!("f:{key}"), Value::Object(inner));
        }
    } else if let (Value::Array(old), Value::Array(new)) = (old, new) {
        let find = |items: &[Value], key: &str| {
            items.iter().find(|item| place.element(item).as_deref() == Some(key)).cloned()
        };
        for item in new {
            let Some(key) = place.element(item) else { continue };
            match find(old, &key) {
                Some(before) if before != *item => {
                    descend(&before, item, Place::Elsewhere, key, changed, removed);
                }
                Some(_) => {}
                None => {
                    let mut one = Set::new();
                    fill(&Value::Array(vec![item.clone()]), place, &mut one);
                    changed.append(&mut one);
                }
            }
        }
        for item in old {
            if let Some(key) = place.element(item).filter(|key| find(new, key).is_none()) {
                removed.insert(key, json!({}));
            }
        }
    }
}

fn descend(old: &Value, new: &Value, place: Place, key: String, changed: &mut Set, removed: &mut Set) {
    let both_maps = old.is_object() && new.is_object();
    let both_lists =
        old.is_array() && new.is_array() && matches!(place, Place::OwnerReferences | Place::Finalizers);
    if both_maps || both_lists {
        let (mut inner_changed, mut inner_removed) = (Set::new(), Set::new());
        compare(old, new, place, &mut inner_changed, &mut inner_removed);
        if !inner_changed.is_empty() {
            changed.insert(key.clone(), Value::Object(inner_changed));
        }
        if !inner_removed.is_empty() {
            removed.insert(key, Value::Object(inner_removed));
        }
    } else {
        changed.insert(key, json!({}));
    }
}

fn union(into: &mut Set, other: &Set) {
    for (key, theirs) in other {
        let ours = object::map_mut(into.entry(key).or_insert_with(|| json!({})));
        if let Some(theirs) = theirs.as_object() {
            union(ours, theirs);
        }
    }
}

/// Takes the fields of `other` out of `from`; a field of `other` takes everything below it along.
fn subtract(from: &mut Set, other: &Set) {
    for (key, theirs) in other {
        let Some(ours) = from.get_mut(key).and_then(Value::as_object_mut) else { continue };
        let theirs = theirs.as_object().filter(|map| !map.is_empty());
        match theirs {
            None => {
                from.remove(key);
            }
            Some(theirs) if !ours.is_empty() => {
                subtract(ours, theirs);
                if ours.is_empty() {
                    from.remove(key);
                }
            }
            Some(_) => {}
        }
    }
}

/// Takes exactly the fields of `other` out of `from`.
fn difference(from: &mut Set, other: &Set) {
    for (key, theirs) in other {
        let Some(ours) = from.get_mut(key).and_then(Value::as_object_mut) else { continue };
        let was_leaf = ours.is_empty();
        if let Some(theirs) = theirs.as_object().filter(|map| !map.is_empty()) {
            difference(ours, theirs);
        }
        if ours.is_empty() && (!was_leaf || theirs.as_object().is_some_and(Map::is_empty)) {
            from.remove(key);
        }
    }
}

fn intersect(left: &Set, right: &Set) -> Set {
    let mut both = Set::new();
    for (key, left) in left {
        let (Some(left), Some(right)) = (left.as_object(), right.get(key).and_then(Value::as_object)) else {
            continue;
        };
        if left.is_empty() || right.is_empty() {
            both.insert(key.clone(), json!({}));
        } else {
            let inner = intersect(left, right);
            if !inner.is_empty() {
                both.insert(key.clone(), Value::Object(inner));
            }
        }
    }
    both
}

fn paths(set: &Set) -> Vec<String> {
    fn walk(set: &Set, prefix: &str, out: &mut Vec<String>) {
        for (key, inner) in set {
            let path = match key.split_once(':') {
                Some(("f", name)) => format!("{prefix}.{name}"),
                Some(("k", keys)) => {
                    let text = keys.trim_matches(['{', '}']).replacen("\":", "=", 1);
                    format!("{prefix}[{}]", text.trim_start_matches('"'))
                }
                Some(("v", value)) => format!("{prefix}[={value}]"),
                _ => prefix.to_owned(),
            };
            match inner.as_object().filter(|inner| !inner.is_empty()) {
                Some(inner) => walk(inner, &path, out),
                None => out.push(path),
            }
        }
    }
    let mut out = Vec::new();
    walk(set, "", &mut out);
    out
}

fn overlay(live: &mut Value, config: &Value, place: Place) {
    match config {
        Value::Object(config) => {
            let live = object::map_mut(live);
            for (key, value) in config {
                if key == "managedFields" && place == Place::Metadata {
                    continue;
                }
                let inner = place.child(key).unwrap_or(Place::Elsewhere);
                if value.is_null() {
                    live.remove(key);
                } else {
                    overlay(live.entry(key).or_insert(Value::Null), value, inner);
                }
            }
        }
        Value::Array(items)
            if matches!(place, Place::OwnerReferences | Place::Finalizers) && live.is_array() =>
        {
            let Value::Array(live) = live else { return };
            for item in items {
                let key = place.element(item);
                match live.iter_mut().find(|old| place.element(old) == key) {
                    Some(old) => overlay(old, item, Place::Elsewhere),
                    None => live.push(item.clone()),
                }
            }
        }
        other => *live = other.clone(),
    }
}

/// Removes fields, and the maps and lists that become empty by it.
fn prune(value: &mut Value, fields: &Set) {
    for (key, inner) in fields {
        let inner = inner.as_object().filter(|inner| !inner.is_empty());
        match (key.split_once(':'), &mut *value) {
            (Some(("f", name)), Value::Object(map)) => {
                if let (Some(inner), Some(child)) = (inner, map.get_mut(name)) {
                    prune(child, inner);
                    let emptied = child.as_object().is_some_and(Map::is_empty)
                        || child.as_array().is_some_and(Vec::is_empty);
                    if emptied {
                        map.remove(name);
                    }
                } else {
                    map.remove(name);
                }
            }
            (Some((kind @ ("k" | "v"), _)), Value::Array(items)) => {
                let place = if kind == "k" { Place::OwnerReferences } else { Place::Finalizers };
                items.retain(|item| place.element(item).as_deref() != Some(key));
            }
            _ => {}
        }
    }
}
