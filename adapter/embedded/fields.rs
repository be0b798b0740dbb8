//! Which manager owns which field: `metadata.managedFields`, and the merge of server-side apply
//! (structured-merge-diff, `merge.Updater`).

mod set;

use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::object;
use set::{Difference, Place, Set};

type Fields<'a> = Vec<(&'a String, &'a Value)>;

/// Who owns what was there before anybody applied anything.
const BEFORE: &str = "before-first-apply";

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

/// One entry of `metadata.managedFields`.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
    time: Option<String>,
    set: Set,
}

/// Records a creation: what the object has more than an empty one belongs to the writer.
pub fn track_create(empty: &Value, new: &mut Value, writer: &Writer) {
    let mut entries = Vec::new();
    let entry = find_or_add(&mut entries, "Update", writer);
    entry.set = Difference::between(empty, new).written();
    entry.time = Some(writer.time.clone());
    store(new, entries);
}

/// Records an update: what `new` sets differently from `old` now belongs to the writer.
pub fn track_update(old: &Value, new: &mut Value, writer: &Writer) {
    let mut entries = entries(old);
    // A client may empty the list to start over; from then on only an apply begins a new one.
    if entries.is_empty() || is_reset(new, old) {
        object::meta_mut(new).remove("managedFields");
        return;
    }
    let difference = Difference::between(old, new);
    let written = difference.written();
    release(&mut entries, &difference, &written, None);
    if !written.is_empty() {
        let entry = find_or_add(&mut entries, "Update", writer);
        entry.set.union(&written);
        entry.time = Some(writer.time.clone());
    }
    store(new, entries);
}

/// Whether an update empties the record of its object: by an empty list, or one with only an empty entry.
fn is_reset(new: &Value, old: &Value) -> bool {
    let list = |value| object::meta(value).get("managedFields").and_then(Value::as_array);
    let is_empty = |entry: &Value| entry.as_object().is_some_and(Map::is_empty);
    list(old).is_some() && list(new).is_some_and(|entries| entries.iter().all(is_empty))
}

/// Takes what is written and what is gone from all entries, or all but the one at a place.
fn release(entries: &mut [Entry], difference: &Difference, written: &Set, but: Option<usize>) {
    for (at, entry) in entries.iter_mut().enumerate() {
        if Some(at) != but {
            entry.set.subtract(written);
            entry.set.subtract(&difference.removed);
        }
    }
}

/// Merges an applied configuration into `live`; `None` when nothing changes. `touches` says that the configuration had
/// more, which was to be ignored, and would have changed something.
pub fn apply(
    live: &Value,
    config: &Value,
    writer: &Writer,
    on_conflict: OnConflict,
    touches: bool,
) -> Result<Option<Value>, Failure> {
    let mut entries = entries(live);
    if entries.is_empty() && !object::uid(live).is_empty() {
        let before =
            Writer { manager: BEFORE.to_owned(), subresource: "", time: String::new(), ..writer.clone() };
        let entry = find_or_add(&mut entries, "Update", &before);
        entry.set = Difference::between(&json!({ "metadata": {} }), live).added;
        entry.time = Some(writer.time.clone());
    }
    let wanted = Set::of(config);
    let mut merged = live.clone();
    overlay(&mut merged, config, Place::Root);

    let own = entries.iter().position(|entry| entry.is_of("Apply", writer));
    let before = own.map(|at| entries[at].set.clone()).unwrap_or_default();
    // What this manager applied before and no longer does, and nobody else wants, goes away.
    let mut kept = wanted.clone();
    for (_, entry) in entries.iter().enumerate().filter(|(at, _)| Some(*at) != own) {
        kept.union(&entry.set);
    }
    prune(&mut merged, Place::Root, &before, &kept);

    let difference = Difference::between(live, &merged);
    let contested = difference.written();
    if on_conflict == OnConflict::Refuse {
        let mut conflicts = Vec::new();
        for (_, entry) in entries.iter().enumerate().filter(|(at, _)| Some(*at) != own) {
            let manager = entry.describe();
            let overlap = entry.set.intersection(&contested);
            conflicts.extend(overlap.paths().into_iter().map(|path| (manager.clone(), path)));
        }
        if !conflicts.is_empty() {
            conflicts.sort_by(|(one, _): &(String, String), (other, _)| one.cmp(other));
            return Err(Failure::apply_conflict(&conflicts));
        }
    }
    release(&mut entries, &difference, &contested, own);
    let unchanged = same(&merged, live);
    if unchanged && before == wanted {
        return Ok(None);
    }
    let entry = find_or_add(&mut entries, "Apply", writer);
    entry.set = wanted;
    // Only a change of the object itself has a time.
    if !unchanged || touches {
        entry.time = Some(writer.time.clone());
    }
    store(&mut merged, entries);
    Ok(Some(merged))
}

/// Whether an update changes nothing, or only the times in the record of who owns what.
pub fn is_unchanged(old: &Value, new: &Value) -> bool {
    let owned = |value| -> Vec<Entry> {
        entries(value).into_iter().map(|entry| Entry { time: None, ..entry }).collect()
    };
    same(old, new) && owned(old) == owned(new)
}

/// Whether two objects are the same but for the record of who owns what.
fn same(left: &Value, right: &Value) -> bool {
    without_managed_fields(left) == without_managed_fields(right)
}

fn without_managed_fields(value: &Value) -> (Fields<'_>, Fields<'_>) {
    let top = value.as_object().into_iter().flatten().filter(|(key, _)| *key != "metadata").collect();
    let meta = object::meta(value).iter().filter(|(key, _)| *key != "managedFields").collect();
    (top, meta)
}

// === impl Entry ===

impl Entry {
    fn parse(value: &Value) -> Self {
        let text = |key| object::text(value, &[key]).to_owned();
        Self {
            manager: text("manager"),
            operation: text("operation"),
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: value.get("time").and_then(Value::as_str).map(str::to_owned),
            set: Set::parse(&value["fieldsV1"]),
        }
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.set.to_value(),
        });
        if let Some(time) = &self.time {
            value["time"] = json!(time);
        }
        if !self.subresource.is_empty() {
            value["subresource"] = json!(self.subresource);
        }
        value
    }

    fn is_of(&self, operation: &str, writer: &Writer) -> bool {
        self.manager == writer.manager
            && self.operation == operation
            && self.api_version == writer.api_version
            && self.subresource == writer.subresource
    }

    fn describe(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", self.subresource);
        }
        if self.operation == "Update" {
            text = format!("{text} using {}", self.api_version);
        }
        text
    }
}

fn entries(value: &Value) -> Vec<Entry> {
    let list = object::meta(value).get("managedFields").and_then(Value::as_array);
    list.into_iter().flatten().map(Entry::parse).collect()
}

fn store(value: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.set.is_empty());
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| (entry.operation.clone(), entry.time.clone(), entry.manager.clone());
        key(a)
            .cmp(&key(b))
            .then_with(|| a.api_version.cmp(&b.api_version))
            .then_with(|| a.subresource.cmp(&b.subresource))
    });
    if entries.is_empty() {
        object::meta_mut(value).remove("managedFields");
    } else {
        let list = entries.iter().map(Entry::to_value).collect();
        object::meta_mut(value).insert("managedFields".to_owned(), Value::Array(list));
    }
}

fn find_or_add<'a>(entries: &'a mut Vec<Entry>, operation: &str, writer: &Writer) -> &'a mut Entry {
    let at = entries.iter().position(|entry| entry.is_of(operation, writer)).unwrap_or_else(|| {
        entries.push(Entry {
            manager: writer.manager.clone(),
            operation: operation.to_owned(),
            api_version: writer.api_version.clone(),
            subresource: writer.subresource.to_owned(),
            time: None,
            set: Set::default(),
        });
        entries.len() - 1
    });
    &mut entries[at]
}

fn overlay(live: &mut Value, config: &Value, place: Place) {
    match config {
        Value::Object(fields) if place != Place::Atom => {
            let live = object::map_mut(live);
            for (key, value) in fields {
                if key == "managedFields" && place == Place::Metadata {
                    continue;
                }
                let inner = place.child(key, config).unwrap_or(Place::Atom);
                if value.is_null() {
                    live.remove(key);
                } else {
                    overlay(live.entry(key).or_insert(Value::Null), value, inner);
                }
            }
        }
        Value::Array(items) if place.is_keyed() && live.is_array() => {
            let Value::Array(live) = live else { return };
            for item in items {
                let key = place.key(item);
                match live.iter_mut().find(|old| place.key(old) == key) {
                    Some(old) => overlay(old, item, Place::Atom),
                    None => live.push(item.clone()),
                }
            }
        }
        other => *live = other.clone(),
    }
}

/// Removes what is in `gone` and not in `kept`, and what becomes empty by it and nobody wants. Says whether the value
/// itself is to go.
fn prune(value: &mut Value, place: Place, gone: &Set, kept: &Set) -> bool {
    let none = Set::default();
    let mut pruned = false;
    match value {
        Value::Object(_) if place != Place::Atom => {
            let here = value.clone();
            let Value::Object(map) = value else { return false };
            map.retain(|key, child| {
                let field = format!("f:{key}");
                let (Some(inner), Some(gone)) = (place.child(key, &here), gone.child(&field)) else {
                    return true;
                };
                let goes = prune(child, inner, gone, kept.child(&field).unwrap_or(&none));
                pruned |= goes;
                !goes
            });
            let emptied = map.is_empty() && (pruned || gone.is_member());
            emptied && kept.is_empty() && place != Place::Metadata
        }
        Value::Array(items) if place.is_keyed() => {
            items.retain_mut(|item| {
                let Some(key) = place.key(item) else { return true };
                let Some(gone) = gone.child(&key) else { return true };
                let kept = kept.child(&key).unwrap_or(&none);
                let goes = prune(item, Place::Atom, gone, kept) || (gone.is_member() && kept.is_empty());
                pruned |= goes;
                !goes
            });
            items.is_empty() && pruned && kept.is_empty()
        }
        _ => gone.is_member() && !kept.is_member(),
    }
}
