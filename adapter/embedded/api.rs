//! The verbs that write: create, update, patch, delete; each one is atomic.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::admission;
use super::collect::{self, Outcome, Propagation};
use super::failure::{Cause, Failure};
use super::fields::{self, OnConflict, Writer};
use super::object::{self, Object};
use super::patch;
use super::resource::{Id, Key, Origin, RESOURCES};
use super::schema;
use super::selector::Selector;
use super::store::{Page, Store};
use super::update::{self, Tracking, Written, check_size, unsaved, writer};
use super::validate;
use super::write::{Clock, Effect, Part, Source, Validation, WriteOptions};

/// How often a generated name is tried before the create fails (apiserver, `RetryGenerateName`).
const NAME_ATTEMPTS: usize = 8;

/// The API over one store.
pub struct Api {
    store: Mutex<Store>,
    /// For each resource the version of its latest change; watches wait on it.
    latest: Vec<watch::Sender<u64>>,
    clock: Clock,
}

/// The body of a PATCH.
#[derive(Clone, Debug)]
pub enum Patch {
    /// `application/json-patch+json`.
    Json(Value),
    /// `application/merge-patch+json`.
    Merge(Value),
    /// `application/strategic-merge-patch+json`.
    Strategic(Value),
    /// `application/apply-patch+yaml`.
    Apply(Value, OnConflict),
}

/// The body of a DELETE.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// What becomes of owned objects.
    pub propagation: Propagation,
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The resourceVersion that the object must have.
    pub version: Option<String>,
}

// === impl Api ===

impl Api {
    /// An API over a store.
    pub fn new(store: Store, clock: Clock) -> Self {
        let version = store.version();
        let latest = RESOURCES.iter().map(|_| watch::Sender::new(version)).collect();
        Self { store: Mutex::new(store), latest, clock }
    }

    /// Reads from the store.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        // A panic while the lock was held is a bug; the maps themselves are still whole.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version of the latest change of a resource, as it goes on.
    pub fn subscribe(&self, id: Id) -> watch::Receiver<u64> {
        self.latest[id.index()].subscribe()
    }

    /// Writes to the store and wakes the watches of what changed.
    pub fn write<T>(&self, change: impl FnOnce(&mut Store) -> T) -> T {
        let mut store = self.store();
        let result = change(&mut store);
        let touched = store.take_touched();
        let version = store.version();
        drop(store);
        for id in touched {
            self.latest[id.index()].send_replace(version);
        }
        result
    }

    fn now(&self) -> String {
        format!("{:.0}", (self.clock)())
    }

    /// Creates an object from a POST.
    pub fn create(
        &self,
        id: Id,
        namespace: &str,
        value: Value,
        options: &WriteOptions,
    ) -> Result<Written, Failure> {
        let mut value = Self::prepare(id, value, Source::Body, options)?;
        Self::place(id, namespace, &mut value)?;
        let prefix = object::meta_str(&value, "generateName").to_owned();
        if !object::name(&value).is_empty() || prefix.is_empty() {
            return self.insert(id, value, options);
        }
        let mut last = String::new();
        for _ in 0..NAME_ATTEMPTS {
            last = generate(&prefix);
            object::meta_mut(&mut value).insert("name".to_owned(), json!(last));
            match self.insert(id, value.clone(), options) {
                Err(failure) if failure.code == StatusCode::CONFLICT => {}
                other => return other,
            }
        }
        Err(Failure::no_unique_name(id, &last))
    }

    /// Checks what an object says of itself, and brings it into the form that is kept.
    fn prepare(id: Id, mut value: Value, source: Source, options: &WriteOptions) -> Result<Value, Failure> {
        let resource = id.get();
        let (version, kind) = (object::text(&value, &["apiVersion"]), object::text(&value, &["kind"]));
        let expected = resource.api_version();
        let said = (!version.is_empty() && version != expected, !kind.is_empty() && kind != resource.kind);
        if source == Source::Applied && (version != expected || kind != resource.kind) {
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            return Err(Failure::bad_request(format!("invalid object type: {group}/{version}, Kind={kind}")));
        }
        if said != (false, false) {
            return Err(other_kind(id, &value, source));
        }
        value["apiVersion"] = json!(expected);
        value["kind"] = json!(resource.kind);
        // An applied null is a field that is given up; it is decoded after the merge.
        if source == Source::Applied {
            return schema::check_applied(id, &value).map(|()| value).map_err(Failure::bad_version);
        }
        let unknown = schema::decode(id, &mut value).map_err(|why| undecodable(id, &value, source, &why))?;
        match options.validation {
            _ if unknown.is_empty() => {}
            Validation::Ignore => {}
            Validation::Warn => {
                options.warn(unknown);
            }
            Validation::Strict => {
                let why = format!("strict decoding error: {}", unknown.join(", "));
                return Err(undecodable(id, &value, source, &why));
            }
        }
        Ok(value)
    }

    /// Puts an object into the namespace of the request.
    fn place(id: Id, namespace: &str, value: &mut Value) -> Result<(), Failure> {
        let own = object::namespace(value).to_owned();
        if !own.is_empty() && own != namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if id.get().is_namespaced() {
            object::meta_mut(value).insert("namespace".to_owned(), json!(namespace));
        } else {
            object::meta_mut(value).remove("namespace");
        }
        Ok(())
    }

    /// Holds the name and the namespace of an object to the path.
    fn match_path(key: &Key, value: &mut Value) -> Result<(), Failure> {
        let name = object::name(value);
        if name.is_empty() {
            return Err(Failure::bad_request(format!(
                "the name of the object ({} based on URL) was undeterminable: name must be provided",
                key.name
            )));
        }
        if name != key.name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({})",
                key.name
            )));
        }
        Self::place(key.id, &key.namespace, value)
    }

    fn insert(&self, id: Id, mut value: Value, options: &WriteOptions) -> Result<Written, Failure> {
        let now = self.now();
        let resource = id.get();
        let key = key_of(id, &value);
        let status = value.get("status").is_some();
        let meta = object::meta_mut(&mut value);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"] {
            meta.remove(field);
        }
        meta.retain(|_, value| !value.is_null());
        meta.insert("uid".to_owned(), json!(uuid::Uuid::new_v4().to_string()));
        meta.insert("creationTimestamp".to_owned(), json!(now));
        if resource.origin == Origin::Custom {
            meta.insert("generation".to_owned(), json!(1));
        }
        if let Some(map) = value.as_object_mut()
            && resource.has_status()
            && status
        {
            map.remove("status");
        }
        // What a webhook fills in belongs to nobody; what is compiled in belongs to the writer.
        let track = |value: &mut Value| {
            fields::track_create(&schema::empty(id, &json!({})), value, &writer(id, options, &now));
        };
        if resource.is_custom() {
            track(&mut value);
        }
        admission::default(id, &mut value, None, options.part)?;
        namespace_accepts(&self.store(), &key)?;
        validate::check(id, &value, None)?;
        options.warn(validate::warnings(id, &value, None));
        admission::check(id, &value, None)?;
        let version = object::meta_str(&value, "resourceVersion");
        // Only storing looks at it; the answer to a dry run has it as it was sent.
        if options.effect == Effect::Store {
            if version.parse::<u64>().is_ok_and(|version| version > 0) {
                let message = "resourceVersion should not be set on objects to be created";
                return Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "", message));
            }
            object::meta_mut(&mut value).remove("resourceVersion");
        }
        if !resource.is_custom() {
            track(&mut value);
        }
        check_size(&value)?;
        self.write(|store| {
            namespace_accepts(store, &key)?;
            name_is_free(store, &key)?;
            if options.effect == Effect::DryRun {
                return Ok(Written::Created(unsaved(value, 0)));
            }
            let object = store.put(&key, value);
            collect::collect_if_orphaned(store, &key, &now);
            Ok(Written::Created(object))
        })
    }

    /// Replaces an object by a PUT.
    pub fn update(&self, key: &Key, value: Value, options: &WriteOptions) -> Result<Written, Failure> {
        let id = key.id;
        let mut value = Self::prepare(id, value, Source::Body, options)?;
        Self::match_path(key, &mut value)?;
        if key.id.get().is_created_by_put() && self.store().get(key).is_none() {
            version_is_a_number(&value)?;
            let uid = object::uid(&value);
            if !uid.is_empty() {
                return Err(Failure::other_uid(key, uid, "", options.effect));
            }
            if options.effect == Effect::Store {
                object::meta_mut(&mut value).remove("resourceVersion");
            }
            return self.insert(id, value, options);
        }
        let now = self.now();
        self.write(|store| {
            let old = store.get(key).ok_or_else(|| Failure::not_found(id, &key.name))?;
            let uid = object::uid(&value);
            if !uid.is_empty() && uid != object::uid(&old.value) {
                return Err(Failure::other_uid(key, uid, object::uid(&old.value), options.effect));
            }
            update::replace(store, key, &old, value, options, &now, Tracking::Update)
        })
    }

    /// Changes an object by a PATCH; an apply patch may create it.
    pub fn patch(&self, key: &Key, patch: &Patch, options: &WriteOptions) -> Result<Written, Failure> {
        let id = key.id;
        if let Patch::Apply(config, on_conflict) = patch {
            return self.apply(key, config, *on_conflict, options);
        }
        let now = self.now();
        self.write(|store| {
            let old = store.get(key).ok_or_else(|| Failure::not_found(id, &key.name))?;
            let mut value = old.value.clone();
            match patch {
                Patch::Merge(patch) => patch::merge(&mut value, patch),
                Patch::Strategic(patch) => patch::strategic(&mut value, patch),
                Patch::Json(patch) => patch::json(&mut value, patch)?,
                Patch::Apply(..) => {}
            }
            // A patch may put anything in the place of the whole.
            if !value.is_object() {
                return Err(Failure::patch_rejected());
            }
            if options.part == Part::Status {
                update::only_status(&old.value, &mut value);
            }
            let mut value = Self::prepare(id, value, Source::Patched, options)?;
            Self::match_path(key, &mut value)?;
            update::replace(store, key, &old, value, options, &now, Tracking::Update)
        })
    }

    fn apply(
        &self,
        key: &Key,
        config: &Value,
        on_conflict: OnConflict,
        options: &WriteOptions,
    ) -> Result<Written, Failure> {
        let id = key.id;
        if object::meta(config).get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        let mut config = Self::prepare(id, config.clone(), Source::Applied, options)?;
        Self::match_path(key, &mut config)?;
        let now = self.now();
        let writer = writer(id, options, &now);
        let existing = self.store().get(key);
        if existing.is_none() {
            if options.part == Part::Status {
                return Err(Failure::not_found(id, &key.name));
            }
            let uid = object::uid(&config);
            if !uid.is_empty() {
                let why = format!(
                    "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                );
                return Err(Failure::conflict(id, &key.name, why));
            }
            version_is_a_number(&config)?;
            object::meta_mut(&mut config).insert("name".to_owned(), json!(key.name));
            match self.insert_applied(key, &config, options, &writer) {
                // Another request was faster: go on with its object.
                Err(failure) if failure.code == StatusCode::CONFLICT => {}
                other => return other,
            }
        }
        self.write(|store| {
            let old = store.get(key).ok_or_else(|| Failure::not_found(id, &key.name))?;
            let whole = config;
            let config = update::only_part(id, &whole, options.part);
            let touches = update::differs_in_other_part(&old.value, &whole, options.part);
            let merged = fields::apply(&old.value, &config, &writer, on_conflict, touches)?;
            match merged.map(|mut value| schema::decode(id, &mut value).map(|_| value)).transpose() {
                Err(why) => Err(Failure::bad_version(why)),
                Ok(Some(value)) => {
                    update::replace(store, key, &old, value, options, &now, Tracking::Done { touches })
                }
                Ok(None) => Ok(Written::Updated(old)),
            }
        })
    }

    fn insert_applied(
        &self,
        key: &Key,
        config: &Value,
        options: &WriteOptions,
        writer: &Writer,
    ) -> Result<Written, Failure> {
        // Defaults of the webhooks belong to nobody; only what was applied is owned.
        let config = update::only_part(key.id, config, Part::Main);
        let empty = json!({});
        let mut owned = fields::apply(&empty, &config, writer, OnConflict::Force, false)?.unwrap_or(config);
        if options.effect == Effect::Store {
            object::meta_mut(&mut owned).remove("resourceVersion");
        }
        let managed = object::meta(&owned).get("managedFields").cloned().unwrap_or_default();
        match self.create(
            key.id,
            &key.namespace,
            owned,
            &WriteOptions { effect: Effect::DryRun, ..options.clone() },
        )? {
            Written::Created(object) | Written::Updated(object) | Written::Removed(object) => {
                let mut value = object.value.clone();
                if !managed.is_null() {
                    object::meta_mut(&mut value).insert("managedFields".to_owned(), managed);
                }
                if options.effect == Effect::DryRun {
                    return Ok(Written::Created(unsaved(value, 0)));
                }
                let now = self.now();
                self.write(|store| {
                    namespace_accepts(store, key)?;
                    name_is_free(store, key)?;
                    object::meta_mut(&mut value).remove("resourceVersion");
                    let object = store.put(key, value);
                    collect::collect_if_orphaned(store, key, &now);
                    Ok(Written::Created(object))
                })
            }
        }
    }

    /// Deletes one object, or marks it when finalizers hold it.
    pub fn delete(&self, key: &Key, options: &DeleteOptions, effect: Effect) -> Result<Written, Failure> {
        let id = key.id;
        let now = self.now();
        self.write(|store| {
            let object = store.get(key).ok_or_else(|| Failure::not_found(id, &key.name))?;
            let uid = object::uid(&object.value);
            if let Some(wanted) = options.uid.as_deref().filter(|wanted| *wanted != uid) {
                let why = format!(
                    "the UID in the precondition ({wanted}) does not match the UID in record ({uid}). \
                     The object might have been deleted and then recreated"
                );
                return Err(Failure::precondition(id, &key.name, &why));
            }
            let version = object.version.to_string();
            if let Some(wanted) = options.version.as_deref().filter(|wanted| *wanted != version) {
                let why = format!(
                    "the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in \
                     record ({version}). The object might have been modified"
                );
                return Err(Failure::precondition(id, &key.name, &why));
            }
            if id == Id::NAMESPACES && ["default", "kube-system", "kube-public"].contains(&key.name.as_str()) {
                return Err(Failure::forbidden(id, &key.name, "this namespace may not be deleted"));
            }
            if effect == Effect::DryRun {
                return Ok(Written::Removed(object));
            }
            Ok(match collect::delete(store, key, options.propagation, &now) {
                Outcome::Marked(object) => Written::Updated(object),
                Outcome::Removed(object) => Written::Removed(object),
                Outcome::Absent => Written::Removed(object),
            })
        })
    }

    /// Deletes everything that matches, and gives what was there.
    pub fn delete_collection(
        &self,
        id: Id,
        namespace: &str,
        selector: &Selector,
        options: &DeleteOptions,
        effect: Effect,
    ) -> Result<Vec<Arc<Object>>, Failure> {
        let found = {
            let store = self.store();
            let version = store.version();
            let page = Page { id, namespace, after: None, version, limit: usize::MAX, selector };
            store.list(&page).map_err(|_| Failure::internal("the present was compacted"))?.0
        };
        for object in &found {
            match self.delete(&key_of(id, &object.value), options, effect) {
                Err(failure) if failure.code != StatusCode::NOT_FOUND => return Err(failure),
                _ => {}
            }
        }
        Ok(found)
    }
}

/// The refusal of an object of another kind.
fn other_kind(id: Id, value: &Value, source: Source) -> Failure {
    const SCHEME: &str = "pkg/runtime/scheme.go:111";
    let resource = id.get();
    let (api_version, kind) = (object::text(value, &["apiVersion"]), object::text(value, &["kind"]));
    let version = api_version.rsplit('/').next().unwrap_or_default();
    if resource.is_custom() {
        let field = if api_version == resource.api_version() { "kind" } else { "apiVersion" };
        if field == "apiVersion" && source == Source::Body {
            return Failure::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                resource.api_version()
            ));
        }
        let expected = if field == "kind" { resource.kind.to_owned() } else { resource.api_version() };
        let cause = Cause::invalid(field, &value[field], format!("must be {expected}"));
        return Failure::of_other_kind(id, kind, object::name(value), &[cause]);
    }
    let is_builtin = |id: &Id| id.get().origin == Origin::Builtin;
    let why = match Id::by_kind(api_version, kind).filter(is_builtin) {
        Some(other) => format!(
            "converting ({version}.{kind}) to ({}.{}): unknown conversion",
            if other.get().group.is_empty() { "core" } else { "coordination" },
            resource.kind
        ),
        None => format!("no kind {kind:?} is registered for version {api_version:?} in scheme {SCHEME:?}"),
    };
    if source == Source::Patched {
        return undecodable(id, value, source, &why);
    }
    Failure::bad_request(format!(
        "{kind} in version {version:?} cannot be handled as a {}: {why}",
        resource.kind
    ))
}

/// The refusal of an object that cannot be decoded.
fn undecodable(id: Id, value: &Value, source: Source, why: &str) -> Failure {
    let resource = id.get();
    if source == Source::Patched {
        let cause = Cause::invalid("patch", &json!(value.to_string()), why);
        let mut failure = Failure::options("", &[cause]);
        failure.without_kind();
        return failure;
    }
    // Of a custom resource the metadata is decoded on its own.
    let why = if resource.is_custom() {
        why.replace("ObjectMeta.metadata.", "ObjectMeta.")
    } else {
        why.to_owned()
    };
    Failure::bad_request(format!(
        "{} in version {:?} cannot be handled as a {}: {why}",
        resource.kind, resource.version, resource.kind
    ))
}

fn name_is_free(store: &Store, key: &Key) -> Result<(), Failure> {
    match store.get(key) {
        None => Ok(()),
        Some(object) if object::is_deleting(&object.value) => Err(Failure::being_deleted(key.id, &key.name)),
        Some(_) => Err(Failure::already_exists(key.id, &key.name)),
    }
}

fn namespace_accepts(store: &Store, key: &Key) -> Result<(), Failure> {
    if key.namespace.is_empty() {
        return Ok(());
    }
    let namespace = Key { id: Id::NAMESPACES, namespace: String::new(), name: key.namespace.clone() };
    match store.get(&namespace) {
        None => Err(Failure::not_found(Id::NAMESPACES, &key.namespace)),
        Some(object) if object::is_deleting(&object.value) => {
            let why = format!(
                "unable to create new content in namespace {} because it is being terminated",
                key.namespace
            );
            Err(Failure::forbidden(key.id, &key.name, &why))
        }
        Some(_) => Ok(()),
    }
}

/// The key of an object of a resource.
pub fn key_of(id: Id, value: &Value) -> Key {
    let namespace = if id.get().is_namespaced() { object::namespace(value) } else { "" };
    Key { id, namespace: namespace.to_owned(), name: object::name(value).to_owned() }
}

/// What is created may name a version, but not one that is no number.
fn version_is_a_number(value: &Value) -> Result<(), Failure> {
    let version = object::meta_str(value, "resourceVersion");
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(Failure::unparsed_version(version));
    }
    Ok(())
}

/// A name from a prefix, cut to make room, and five characters that spell no words (apimachinery, `names`).
fn generate(prefix: &str) -> String {
    const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    const SUFFIX: usize = 5;
    let room = 63 - SUFFIX;
    let mut end = prefix.len().min(room);
    while !prefix.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = prefix[..end].to_owned();
    let random = uuid::Uuid::new_v4();
    name.extend(
        random.as_bytes().iter().take(SUFFIX).map(|byte| char::from(ALPHABET[usize::from(*byte) % 27])),
    );
    name
}
