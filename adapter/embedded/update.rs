//! What every write to an existing object passes: versions, the split of spec and status, fields that only the server
//! sets, admission, and the record of who owns what.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::admission;
use super::collect;
use super::failure::Failure;
use super::fields::{self, Writer};
use super::object::{self, Object};
use super::patch;
use super::resource::{Id, Key, Update};
use super::store::Store;
use super::validate;
use super::write::{Effect, Part, WriteOptions};

/// etcd's limit of one request; no object can be larger (etcd, `--max-request-bytes`).
const OBJECT_LIMIT: usize = 1_572_864;

/// What a write gave.
#[derive(Clone, Debug)]
pub enum Written {
    /// A new object.
    Created(Arc<Object>),
    /// A changed object, or the same when nothing changed.
    Updated(Arc<Object>),
    /// The last state of an object that is gone.
    Removed(Arc<Object>),
}

/// Whether the record of owned fields still has to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// Yes: an ordinary write.
    Update,
    /// No: an apply has done it. `touches` says that it had more, which was ignored but counts as a change.
    Done { touches: bool },
}

/// Puts `value` in the place of `old`, after everything that an update has to pass.
pub fn replace(
    store: &mut Store,
    key: &Key,
    old: &Arc<Object>,
    mut value: Value,
    options: &WriteOptions,
    now: &str,
    tracking: Tracking,
) -> Result<Written, Failure> {
    let id = key.id;
    let resource = id.get();
    let version = object::meta_str(&value, "resourceVersion");
    if version.is_empty() || version == "0" {
        if resource.update == Update::Versioned {
            return Err(Failure::unversioned(id, &key.name));
        }
    } else if version != old.version.to_string() {
        if version.parse::<u64>().is_err() {
            return Err(Failure::unparsed_version(version));
        }
        return Err(Failure::stale(id, &key.name));
    }
    split(id, &old.value, &mut value, options.part);
    keep_system_fields(&old.value, &mut value, tracking);
    if tracking == Tracking::Update && resource.is_custom() {
        fields::track_update(&old.value, &mut value, &writer(id, options, now));
    }
    admission::default(id, &mut value, Some(&old.value), options.part)?;
    if resource.is_custom() {
        let generation = object::meta(&old.value).get("generation").and_then(Value::as_i64).unwrap_or(1);
        let bump = i64::from(options.part == Part::Main && differs_beyond_status(&old.value, &value));
        object::meta_mut(&mut value).insert("generation".to_owned(), json!(generation + bump));
    }
    validate::check(id, &value, Some(&old.value))?;
    options.warn(validate::warnings(id, &value, Some(&old.value)));
    if options.part == Part::Main {
        admission::check(id, &value, Some(&old.value))?;
    }
    if tracking == Tracking::Update && !resource.is_custom() {
        fields::track_update(&old.value, &mut value, &writer(id, options, now));
    }
    if tracking != (Tracking::Done { touches: true }) && fields::is_unchanged(&old.value, &value) {
        return Ok(Written::Updated(old.clone()));
    }
    check_size(&value)?;
    if options.effect == Effect::DryRun {
        return Ok(Written::Updated(unsaved(value, old.version)));
    }
    // The last finalizer gone, the object goes without another version.
    if object::is_deleting(&value) && object::finalizers(&value).next().is_none() && id != Id::NAMESPACES {
        collect::remove(store, key, now);
        return Ok(Written::Updated(unsaved(value, old.version)));
    }
    let object = store.put(key, value);
    collect::settle(store, key, now);
    Ok(Written::Updated(object))
}

/// Takes from the old object what a request for one part may not write.
fn split(id: Id, old: &Value, value: &mut Value, part: Part) {
    if !id.get().has_status() {
        return;
    }
    let map = object::map_mut(value);
    match part {
        Part::Main => match old.get("status") {
            Some(status) => {
                map.insert("status".to_owned(), status.clone());
            }
            None => {
                map.remove("status");
            }
        },
        Part::Status => {
            let status = map.remove("status");
            let managed = object::meta(value).get("managedFields").cloned();
            *value = old.clone();
            if let Some(status) = status {
                value["status"] = status;
            } else {
                object::map_mut(value).remove("status");
            }
            if let Some(managed) = managed {
                object::meta_mut(value).insert("managedFields".to_owned(), managed);
            }
        }
    }
}

/// Puts back everything of a patched object but its status and the record of owned fields.
pub fn only_status(old: &Value, value: &mut Value) {
    let meta = ["resourceVersion", "uid", "name", "namespace", "managedFields"];
    let said: Vec<(String, Value)> = meta
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), object::meta(value).get(*key)?.clone())))
        .collect();
    let absent: Vec<&&str> = meta.iter().filter(|key| !object::meta(value).contains_key(**key)).collect();
    let kinds = ["apiVersion", "kind"].map(|key| (key.to_owned(), value[key].clone()));
    let status = value.get("status").cloned();
    *value = old.clone();
    let map = object::map_mut(value);
    map.extend(kinds);
    match status {
        Some(status) => map.insert("status".to_owned(), status),
        None => map.remove("status"),
    };
    let meta = object::meta_mut(value);
    meta.retain(|key, _| !absent.iter().any(|absent| **absent == key));
    meta.extend(said);
}

fn keep_system_fields(old: &Value, value: &mut Value, tracking: Tracking) {
    let old = object::meta(old);
    let meta = object::meta_mut(value);
    meta.retain(|_, value| !value.is_null());
    if object::is_unset(meta.get("uid")) {
        meta.remove("uid");
    }
    for key in ["creationTimestamp", "generation"] {
        match old.get(key) {
            Some(kept) => meta.insert(key.to_owned(), kept.clone()),
            None => meta.remove(key),
        };
    }
    for key in ["uid", "resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if let (None, Some(kept)) = (meta.get(key), old.get(key)) {
            meta.insert(key.to_owned(), kept.clone());
        }
    }
    // An apply may have left no owner of anything.
    if tracking == Tracking::Update
        && !meta.contains_key("managedFields")
        && let Some(kept) = old.get("managedFields")
    {
        meta.insert("managedFields".to_owned(), kept.clone());
    }
    meta.insert("resourceVersion".to_owned(), old.get("resourceVersion").cloned().unwrap_or_default());
}

fn differs_beyond_status(old: &Value, new: &Value) -> bool {
    let rest = |value: &Value| -> Vec<(String, Value)> {
        let fields = value.as_object().into_iter().flatten();
        fields
            .filter(|(key, _)| *key != "metadata" && *key != "status")
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    rest(old) != rest(new)
}

/// Whether an applied configuration would change what its request is not about: such fields are ignored, but count as a
/// change of the object.
pub fn differs_in_other_part(live: &Value, config: &Value, part: Part) -> bool {
    let mut other = config.clone();
    match part {
        Part::Main => object::map_mut(&mut other).retain(|key, _| key == "status"),
        Part::Status => object::map_mut(&mut other).retain(|key, _| key == "spec"),
    }
    let mut merged = live.clone();
    patch::merge(&mut merged, &other);
    merged != *live
}

/// What of an applied configuration is about one part.
pub fn only_part(id: Id, config: &Value, part: Part) -> Value {
    let mut config = config.clone();
    if id.get().has_status() {
        let map = object::map_mut(&mut config);
        match part {
            Part::Main => {
                map.remove("status");
            }
            Part::Status => {
                map.retain(|key, _| ["apiVersion", "kind", "metadata", "status"].contains(&key.as_str()));
                object::meta_mut(&mut config)
                    .retain(|key, _| ["name", "namespace", "uid", "resourceVersion"].contains(&key.as_str()));
            }
        }
    }
    config
}

/// Refuses what etcd would not store.
pub fn check_size(value: &Value) -> Result<(), Failure> {
    // Twice the size of all strings is far more than most objects; only large ones are measured exactly.
    if rough_size(value) > OBJECT_LIMIT / 2 && value.to_string().len() > OBJECT_LIMIT {
        let message = "etcdserver: request is too large";
        return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "", message));
    }
    Ok(())
}

fn rough_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| rough_size(item) + 1).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + 4 + rough_size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
}

/// Who writes, for the record of owned fields.
pub fn writer(id: Id, options: &WriteOptions, now: &str) -> Writer {
    Writer {
        manager: options.manager.clone(),
        api_version: id.get().api_version(),
        subresource: if options.part == Part::Status { "status" } else { "" },
        time: now.to_owned(),
    }
}

/// An object that is answered and not stored.
pub fn unsaved(value: Value, version: u64) -> Arc<Object> {
    let json = value.to_string().into();
    Arc::new(Object { value, json, version })
}
