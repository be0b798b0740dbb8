//! Deletion: finalizers, and what becomes of the objects that a deleted one owned.
//!
//! The real cluster does this in a controller a moment later; here it is part of the write, so that it is over when
//! the answer leaves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::object::{self, Object};
use super::resource::Id;
use super::resource::Key;
use super::store::Store;

/// What a deletion does to the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay, without the reference to it.
    Orphan,
}

/// What became of a deleted object at first; a moment later it may be gone.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It is marked.
    Marked(Arc<Object>),
    /// It is gone; its last state, at the version of the removal.
    Removed(Arc<Object>),
    /// It was not there.
    Absent,
}

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Deletes an object, or marks it when finalizers hold it.
pub fn delete(store: &mut Store, key: &Key, propagation: Propagation, now: &str) -> Outcome {
    let Some(object) = store.get(key) else { return Outcome::Absent };
    let mut value = object.value.clone();
    let guard = match propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    let mut finalizers: Vec<String> = object::finalizers(&value).map(str::to_owned).collect();
    // The policy of the latest deletion replaces that of an earlier one.
    finalizers.retain(|name| guard.is_none() || (name != FOREGROUND && name != ORPHAN));
    finalizers.extend(guard.map(str::to_owned));
    let is_namespace = key.id == Id::NAMESPACES;
    if finalizers.is_empty() && !is_namespace {
        return remove(store, key, now).map_or(Outcome::Absent, Outcome::Removed);
    }
    let was_deleting = object::is_deleting(&value);
    let meta = object::meta_mut(&mut value);
    if !finalizers.is_empty() {
        meta.insert("finalizers".to_owned(), json!(finalizers));
    }
    if !was_deleting {
        meta.insert("deletionTimestamp".to_owned(), json!(now));
        if !is_namespace {
            meta.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
        }
        if let Some(generation) = meta.get("generation").and_then(Value::as_i64) {
            meta.insert("generation".to_owned(), json!(generation + 1));
        }
    }
    if is_namespace {
        value["status"] = json!({"phase": "Terminating"});
    }
    let uid = object::uid(&value).to_owned();
    let marked = if value == object.value { object } else { store.put(key, value) };
    match propagation {
        _ if is_namespace => {
            for key in store.contents(&key.name) {
                delete(store, &key, Propagation::Background, now);
            }
        }
        Propagation::Orphan => {
            for dependent in store.dependents(&uid) {
                drop_owner(store, &dependent, &uid);
            }
            drop_finalizer(store, key, ORPHAN);
        }
        Propagation::Foreground => {
            for dependent in store.dependents(&uid) {
                release_or_delete(store, &dependent, &uid, Propagation::Foreground, now);
            }
        }
        Propagation::Background => {}
    }
    settle(store, key, now);
    Outcome::Marked(marked)
}

/// Removes an object that is marked and that nothing holds any more.
pub fn settle(store: &mut Store, key: &Key, now: &str) {
    let Some(object) = store.get(key).filter(|object| object::is_deleting(&object.value)) else { return };
    let uid = object::uid(&object.value).to_owned();
    let waits = object::finalizers(&object.value).any(|name| name == FOREGROUND);
    if waits && !store.dependents(&uid).iter().any(|dependent| blocks(store, dependent, &uid)) {
        drop_finalizer(store, key, FOREGROUND);
    }
    let Some(object) = store.get(key) else { return };
    let held = object::finalizers(&object.value).next().is_some()
        || (key.id == Id::NAMESPACES && !store.contents(&key.name).is_empty());
    if !held {
        remove(store, key, now);
    }
}

/// Removes an object whose owners are all gone, as a cluster does with one that is created too late.
pub fn collect_if_orphaned(store: &mut Store, key: &Key, now: &str) {
    let Some(object) = store.get(key) else { return };
    let mut owners = object::owners(&object.value).peekable();
    // An owner of a kind that is not served here may well exist elsewhere.
    let absent = |owner: &Value| {
        let text = |key| object::text(owner, &[key]);
        Id::by_group_kind(text("apiVersion"), text("kind")).is_some() && !owns(store, key, owner)
    };
    if owners.peek().is_some() && owners.all(absent) {
        delete(store, key, Propagation::Background, now);
    }
}

/// Whether the owner that a reference names exists where it may be: in the same namespace or in none.
fn owns(store: &Store, dependent: &Key, owner: &Value) -> bool {
    store
        .by_uid(object::text(owner, &["uid"]))
        .is_some_and(|owner| owner.namespace.is_empty() || owner.namespace == dependent.namespace)
}

/// Removes an object, and gives its last state.
pub fn remove(store: &mut Store, key: &Key, now: &str) -> Option<Arc<Object>> {
    let object = store.remove(key)?;
    let uid = object::uid(&object.value);
    for dependent in store.dependents(uid) {
        release_or_delete(store, &dependent, uid, Propagation::Background, now);
    }
    for owner in object::owners(&object.value) {
        if let Some(owner) = store.by_uid(object::text(owner, &["uid"])).cloned() {
            settle(store, &owner, now);
        }
    }
    if !key.namespace.is_empty() {
        let namespace = Key { id: Id::NAMESPACES, namespace: String::new(), name: key.namespace.clone() };
        settle(store, &namespace, now);
    }
    Some(object)
}

/// A dependent with another living owner only loses the reference.
fn release_or_delete(store: &mut Store, key: &Key, uid: &str, propagation: Propagation, now: &str) {
    let Some(object) = store.get(key) else { return };
    let has_other = object::owners(&object.value)
        .any(|owner| object::text(owner, &["uid"]) != uid && owns(store, key, owner));
    if has_other {
        drop_owner(store, key, uid);
    } else if !(object::is_deleting(&object.value) && propagation == Propagation::Background) {
        delete(store, key, propagation, now);
    }
}

fn blocks(store: &Store, dependent: &Key, uid: &str) -> bool {
    store.get(dependent).is_some_and(|object| {
        object::owners(&object.value)
            .any(|owner| object::text(owner, &["uid"]) == uid && owner["blockOwnerDeletion"] == true)
    })
}

fn drop_owner(store: &mut Store, key: &Key, uid: &str) {
    edit_list(store, key, "ownerReferences", |owner| object::text(owner, &["uid"]) != uid);
}

fn drop_finalizer(store: &mut Store, key: &Key, name: &str) {
    edit_list(store, key, "finalizers", |finalizer| finalizer != name);
}

fn edit_list(store: &mut Store, key: &Key, list: &str, keep: impl Fn(&Value) -> bool) {
    let Some(object) = store.get(key) else { return };
    let mut value = object.value.clone();
    let meta = object::meta_mut(&mut value);
    let Some(items) = meta.get_mut(list).and_then(Value::as_array_mut) else { return };
    items.retain(keep);
    if items.is_empty() {
        meta.remove(list);
    }
    if value != object.value {
        store.put(key, value);
    }
}
