//! The rules for names, labels, annotations and sizes, worded like the real server's.

use serde_json::{Value, json};

use super::failure::{Cause, Failure};
use super::object;
use super::resource::{Id, Origin};

/// All annotations of one object together, keys and values (apimachinery, `objectmeta.go`).
pub const ANNOTATION_LIMIT: usize = 262_144;
/// The data of one `ConfigMap` or `Secret`.
const DATA_LIMIT: usize = 1_048_576;

const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and \
    end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
    for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
    must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DATA_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
    'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// Checks an object that is about to be stored; `old` is what it replaces.
pub fn check(id: Id, new: &Value, old: Option<&Value>) -> Result<(), Failure> {
    let mut causes = Vec::new();
    metadata(id, new, &mut causes);
    if let Some(old) = old {
        immutable(new, old, &mut causes);
    }
    if id.get().origin == Origin::Builtin {
        builtin(id, new, old, &mut causes);
    }
    if causes.is_empty() { Ok(()) } else { Err(Failure::invalid(id, object::name(new), &causes)) }
}

/// What is allowed, and better not done.
pub fn warnings(id: Id, new: &Value, old: Option<&Value>) -> Vec<String> {
    if id.get().origin == Origin::Builtin {
        return Vec::new();
    }
    let is_new = |name: &&str| old.is_none_or(|old| object::finalizers(old).all(|old| old != *name));
    let bare =
        object::finalizers(new).filter(is_new).filter(|name| !name.contains('/') && !is_standard(name));
    bare.map(|name| {
        format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name to avoid accidental conflicts \
             with other finalizer writers"
        )
    })
    .collect()
}

fn metadata(id: Id, value: &Value, causes: &mut Vec<Cause>) {
    let name = object::name(value);
    let prefix = object::meta_str(value, "generateName");
    if !prefix.is_empty()
        && let Err(why) = subdomain(prefix.trim_end_matches('-'))
    {
        causes.push(Cause::invalid("metadata.generateName", &json!(prefix), why));
    }
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if id == Id::NAMESPACES {
        if let Err(why) = dns_label(name) {
            causes.push(Cause::invalid("metadata.name", &json!(name), why));
        }
    } else if let Err(why) = subdomain(name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    let meta = object::meta(value);
    for (key, label) in meta.get("labels").and_then(Value::as_object).into_iter().flatten() {
        for why in qualified_name(key).err().into_iter().flatten() {
            causes.push(Cause::invalid("metadata.labels", &json!(key), why));
        }
        match label.as_str() {
            Some(label) => {
                if let Err(why) = label_value(label) {
                    causes.push(Cause::invalid("metadata.labels", &json!(label), why));
                }
            }
            None => causes.push(Cause::invalid(format!("metadata.labels.{key}"), label, "must be a string")),
        }
    }
    let mut size = 0;
    for (key, annotation) in meta.get("annotations").and_then(Value::as_object).into_iter().flatten() {
        // Annotation keys may have capitals in the prefix; labels may not.
        for why in qualified_name(&key.to_ascii_lowercase()).err().into_iter().flatten() {
            causes.push(Cause::invalid("metadata.annotations", &json!(key), why));
        }
        match annotation.as_str() {
            Some(text) => size += key.len() + text.len(),
            None => {
                causes.push(Cause::invalid(
                    format!("metadata.annotations.{key}"),
                    annotation,
                    "must be a string",
                ));
            }
        }
    }
    if size > ANNOTATION_LIMIT {
        causes.push(Cause::too_long("metadata.annotations", ANNOTATION_LIMIT));
    }
    for finalizer in object::finalizers(value) {
        let cause = |why| Cause::invalid("metadata.finalizers", &json!(finalizer), why);
        causes.extend(qualified_name(finalizer).err().into_iter().flatten().map(cause));
    }
    if ["orphan", "foregroundDeletion"]
        .iter()
        .all(|guard| object::finalizers(value).any(|name| name == *guard))
    {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        causes.push(Cause::invalid("metadata.finalizers", &meta["finalizers"], why));
    }
    owner_references(value, causes);
}

fn is_standard(finalizer: &str) -> bool {
    ["kubernetes", "orphan", "foregroundDeletion"].contains(&finalizer)
}

fn owner_references(value: &Value, causes: &mut Vec<Cause>) {
    let mut controller = None;
    for owner in object::owners(value) {
        for key in ["apiVersion", "kind", "name", "uid"] {
            if object::text(owner, &[key]).is_empty() {
                let why = if key == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                causes.push(Cause::invalid(format!("metadata.ownerReferences.{key}"), &json!(""), why));
            }
        }
        if object::text(owner, &["kind"]) == "Event" && object::text(owner, &["apiVersion"]) == "v1" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            causes.push(Cause::shown("metadata.ownerReferences", &owner_text(owner), why));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let this = format!("{}/{}", object::text(owner, &["kind"]), object::text(owner, &["name"]));
            if let Some(first) = controller.replace(this.clone()) {
                let references = object::meta(value).get("ownerReferences").cloned().unwrap_or_default();
                let why = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {this}"
                );
                let shown: Vec<String> =
                    references.as_array().into_iter().flatten().map(owner_text).collect();
                let shown = format!("[{}]", shown.join(","));
                causes.push(Cause::shown("metadata.ownerReferences", &shown, &why));
            }
        }
    }
}

/// An owner reference with its fields in the order of Go's struct.
fn owner_text(owner: &Value) -> String {
    let fields = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
    let fields = fields.iter().filter_map(|key| Some(format!("{key:?}:{}", owner.get(*key)?)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn immutable(new: &Value, old: &Value, causes: &mut Vec<Cause>) {
    if object::is_deleting(old) {
        let added: Vec<String> = object::finalizers(new)
            .filter(|new| object::finalizers(old).all(|old| old != *new))
            .map(|name| format!("{name:?}"))
            .collect();
        if !added.is_empty() {
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                added.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &why));
        }
    }
    for key in ["name", "namespace", "uid", "deletionTimestamp"] {
        if object::meta_str(new, key) != object::meta_str(old, key) {
            let value = json!(object::meta_str(new, key));
            causes.push(Cause::invalid(format!("metadata.{key}"), &value, "field is immutable"));
        }
    }
}

fn builtin(id: Id, new: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    if id.get().group.is_empty() {
        for (at, name) in object::finalizers(new).enumerate() {
            if qualified_name(name).is_ok() && !name.contains('/') && !is_standard(name) {
                let why = "name is neither a standard finalizer name nor is it fully qualified";
                causes.push(Cause::invalid(format!("metadata.finalizers[{at}]"), &json!(name), why));
            }
        }
    }
    if matches!(id.get().plural, "configmaps" | "secrets") {
        let mut size = 0;
        for field in ["data", "binaryData"] {
            for (key, value) in new.get(field).and_then(Value::as_object).into_iter().flatten() {
                let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if key.is_empty() || !key.chars().all(allowed) {
                    causes.push(Cause::invalid(format!("{field}[{key}]"), &json!(key), DATA_KEY));
                }
                size += value.as_str().map_or(0, str::len);
                if field == "data" && new.get("binaryData").is_some_and(|other| other.get(key).is_some()) {
                    let why = "duplicate of key present in binaryData";
                    causes.push(Cause::invalid(format!("data[{key}]"), &json!(key), why));
                }
            }
        }
        if size > DATA_LIMIT {
            causes.push(Cause::too_long("", DATA_LIMIT));
        }
        let frozen = old.filter(|old| old.get("immutable") == Some(&Value::Bool(true)));
        if let Some(old) = frozen {
            for field in ["immutable", "data", "binaryData"] {
                if new.get(field) != old.get(field) {
                    causes.push(Cause::forbidden(field, "field is immutable when `immutable` is set"));
                }
            }
        }
    }
    if id.get().plural == "leases" {
        for (field, least, why) in [
            ("leaseDurationSeconds", 1, "must be greater than 0"),
            ("leaseTransitions", 0, "must be greater than or equal to 0"),
        ] {
            let value = &new["spec"][field];
            if value.as_i64().is_some_and(|number| number < least) {
                causes.push(Cause::invalid(format!("spec.{field}"), value, why));
            }
        }
    }
    if id.get().plural == "events" {
        let (own, involved) = (object::namespace(new), object::text(new, &["involvedObject", "namespace"]));
        if old.is_none() && own != if involved.is_empty() { "default" } else { involved } {
            causes.push(Cause::invalid(
                "involvedObject.namespace",
                &json!(involved),
                "does not match event.namespace",
            ));
        }
    }
    if id.get().plural == "secrets" && object::text(new, &["type"]) == "kubernetes.io/tls" {
        for key in ["tls.crt", "tls.key"] {
            if new.get("data").and_then(|data| data.get(key)).is_none() {
                causes.push(Cause::required(format!("data[{key}]"), ""));
            }
        }
    }
    if id.get().plural == "secrets"
        && let Some(old) = old
        && new.get("type") != old.get("type")
    {
        let value = new.get("type").cloned().unwrap_or_default();
        causes.push(Cause::invalid("type", &value, "field is immutable"));
    }
}

/// A label or annotation key, or a finalizer: `[prefix/]name`.
pub fn qualified_name(text: &str) -> Result<(), Vec<String>> {
    let mut errors = Vec::new();
    let (prefix, name) = match text.split_once('/') {
        Some((_, name)) if name.contains('/') => {
            return Err(vec![format!(
                "a valid label key must {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                QUALIFIED.trim_start_matches("name part must ")
            )]);
        }
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    if let Some(prefix) = prefix {
        if prefix.is_empty() {
            errors.push("prefix part must be non-empty".to_owned());
        } else if let Err(why) = subdomain(prefix) {
            errors.push(format!("prefix part {why}"));
        }
    }
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_word(name) {
        errors.push(QUALIFIED.to_owned());
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A label's value.
pub fn label_value(text: &str) -> Result<(), String> {
    if text.len() > 63 {
        return Err("must be no more than 63 bytes".to_owned());
    }
    if text.is_empty() || is_word(text) { Ok(()) } else { Err(LABEL.to_owned()) }
}

/// A DNS subdomain: the name of most objects.
pub fn subdomain(text: &str) -> Result<(), String> {
    if text.len() > 253 {
        return Err("must be no more than 253 characters".to_owned());
    }
    if text.split('.').all(is_dns_label) { Ok(()) } else { Err(SUBDOMAIN.to_owned()) }
}

/// A DNS label: the name of a namespace or of a task of a pipeline.
pub fn dns_label(text: &str) -> Result<(), String> {
    if text.len() > 63 {
        return Err("must be no more than 63 bytes".to_owned());
    }
    if is_dns_label(text) { Ok(()) } else { Err(DNS_LABEL.to_owned()) }
}

fn is_dns_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().all(|b| inner(b) || b == b'-')
        && text.bytes().next().is_some_and(inner)
        && text.bytes().last().is_some_and(inner)
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().last().is_some_and(|b| b.is_ascii_alphanumeric())
}
