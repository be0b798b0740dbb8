//! The fields of the core kinds and of `metadata`: what the real server decodes, what it drops with a warning, and how it
//! refuses the rest.
//!
//! The numbers are those of the kinds' `generated.proto`. Of Tekton's kinds only `metadata` is typed here; the embedded
//! cluster keeps whatever their specs hold.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::object;
use super::resource::Id;

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Type {
    /// A string; an empty one is left out.
    Text,
    /// A string that may be empty.
    Optional,
    /// Base64.
    Bytes,
    /// A number; zero is left out.
    Int,
    /// A number that may be zero.
    Number,
    /// True, false or absent.
    Bool,
    /// A time in seconds.
    Time,
    /// A time in microseconds.
    MicroTime,
    /// Another struct.
    Message(&'static Struct),
    /// A map from strings.
    Map(&'static Type),
    /// Any of the above, repeated.
    List(&'static Type),
}

/// A type of the API.
pub struct Struct {
    /// Its name in messages.
    pub name: &'static str,
    /// Number, name and type of each field.
    pub fields: &'static [(u64, &'static str, Type)],
    /// The fields that are answered even when they are empty.
    pub always: &'static [&'static str],
}

/// How to treat fields that nobody knows: they are collected here.
pub type Unknown = Vec<String>;

const TEXT_MAP: Type = Type::Map(&Type::Text);

static OWNER: Struct = Struct {
    name: "OwnerReference",
    fields: &[
        (1, "kind", Type::Text),
        (3, "name", Type::Text),
        (4, "uid", Type::Text),
        (5, "apiVersion", Type::Text),
        (6, "controller", Type::Bool),
        (7, "blockOwnerDeletion", Type::Bool),
    ],
    always: &["kind", "name", "uid", "apiVersion"],
};
static MANAGED: Struct = Struct {
    name: "ManagedFieldsEntry",
    fields: &[
        (1, "manager", Type::Text),
        (2, "operation", Type::Text),
        (3, "apiVersion", Type::Text),
        (4, "time", Type::Time),
        (6, "fieldsType", Type::Text),
        (7, "fieldsV1", Type::Message(&Struct { name: "FieldsV1", fields: &[], always: &[] })),
        (8, "subresource", Type::Text),
    ],
    always: &[],
};
const OWNERS_OF_FIELDS: Type = Type::List(&Type::Message(&MANAGED));
/// `metadata` of every kind.
pub static META: Struct = Struct {
    name: "ObjectMeta",
    fields: &[
        (1, "name", Type::Text),
        (2, "generateName", Type::Text),
        (3, "namespace", Type::Text),
        (4, "selfLink", Type::Text),
        (5, "uid", Type::Text),
        (6, "resourceVersion", Type::Text),
        (7, "generation", Type::Int),
        (8, "creationTimestamp", Type::Time),
        (9, "deletionTimestamp", Type::Time),
        (10, "deletionGracePeriodSeconds", Type::Number),
        (11, "labels", TEXT_MAP),
        (12, "annotations", TEXT_MAP),
        (13, "ownerReferences", Type::List(&Type::Message(&OWNER))),
        (14, "finalizers", Type::List(&Type::Text)),
        (17, "managedFields", OWNERS_OF_FIELDS),
    ],
    always: &[],
};
static REFERENCE: Struct = Struct {
    name: "ObjectReference",
    fields: &[
        (1, "kind", Type::Text),
        (2, "namespace", Type::Text),
        (3, "name", Type::Text),
        (4, "uid", Type::Text),
        (5, "apiVersion", Type::Text),
        (6, "resourceVersion", Type::Text),
        (7, "fieldPath", Type::Text),
    ],
    always: &[],
};
static CONFIG_MAP: Struct = Struct {
    name: "ConfigMap",
    fields: &[
        (1, "metadata", Type::Message(&META)),
        (2, "data", TEXT_MAP),
        (3, "binaryData", Type::Map(&Type::Bytes)),
        (4, "immutable", Type::Bool),
    ],
    always: &[],
};
static SECRET: Struct = Struct {
    name: "Secret",
    fields: &[
        (1, "metadata", Type::Message(&META)),
        (2, "data", Type::Map(&Type::Bytes)),
        (3, "type", Type::Text),
        (4, "stringData", TEXT_MAP),
        (5, "immutable", Type::Bool),
    ],
    always: &[],
};
static NAMESPACE: Struct = Struct {
    name: "Namespace",
    fields: &[
        (1, "metadata", Type::Message(&META)),
        (
            2,
            "spec",
            Type::Message(&Struct {
                name: "NamespaceSpec",
                fields: &[(1, "finalizers", Type::List(&Type::Text))],
                always: &[],
            }),
        ),
        (
            3,
            "status",
            Type::Message(&Struct {
                name: "NamespaceStatus",
                fields: &[
                    (1, "phase", Type::Text),
                    (2, "conditions", Type::List(&Type::Message(&CONDITION))),
                ],
                always: &[],
            }),
        ),
    ],
    always: &["spec", "status"],
};
static CONDITION: Struct = Struct {
    name: "NamespaceCondition",
    fields: &[
        (1, "type", Type::Text),
        (2, "status", Type::Text),
        (4, "lastTransitionTime", Type::Time),
        (5, "reason", Type::Text),
        (6, "message", Type::Text),
    ],
    always: &["type", "status", "lastTransitionTime"],
};
static SERVICE_ACCOUNT: Struct = Struct {
    name: "ServiceAccount",
    fields: &[
        (1, "metadata", Type::Message(&META)),
        (2, "secrets", Type::List(&Type::Message(&REFERENCE))),
        (
            3,
            "imagePullSecrets",
            Type::List(&Type::Message(&Struct {
                name: "LocalObjectReference",
                fields: &[(1, "name", Type::Text)],
                always: &[],
            })),
        ),
        (4, "automountServiceAccountToken", Type::Bool),
    ],
    always: &[],
};
static EVENT: Struct = Struct {
    name: "Event",
    fields: &[
        (1, "metadata", Type::Message(&META)),
        (2, "involvedObject", Type::Message(&REFERENCE)),
        (3, "reason", Type::Text),
        (4, "message", Type::Text),
        (
            5,
            "source",
            Type::Message(&Struct {
                name: "EventSource",
                fields: &[(1, "component", Type::Text), (2, "host", Type::Text)],
                always: &[],
            }),
        ),
        (6, "firstTimestamp", Type::Time),
        (7, "lastTimestamp", Type::Time),
        (8, "count", Type::Int),
        (9, "type", Type::Text),
        (10, "eventTime", Type::MicroTime),
        (
            11,
            "series",
            Type::Message(&Struct {
                name: "EventSeries",
                fields: &[(1, "count", Type::Int), (2, "lastObservedTime", Type::MicroTime)],
                always: &["lastObservedTime"],
            }),
        ),
        (12, "action", Type::Text),
        (13, "related", Type::Message(&REFERENCE)),
        (14, "reportingComponent", Type::Text),
        (15, "reportingInstance", Type::Text),
    ],
    always: &[
        "involvedObject",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "eventTime",
        "reportingComponent",
        "reportingInstance",
    ],
};
static LEASE: Struct = Struct {
    name: "Lease",
    fields: &[
        (1, "metadata", Type::Message(&META)),
        (
            2,
            "spec",
            Type::Message(&Struct {
                name: "LeaseSpec",
                fields: &[
                    (1, "holderIdentity", Type::Optional),
                    (2, "leaseDurationSeconds", Type::Number),
                    (3, "acquireTime", Type::MicroTime),
                    (4, "renewTime", Type::MicroTime),
                    (5, "leaseTransitions", Type::Number),
                    (6, "strategy", Type::Optional),
                    (7, "preferredHolder", Type::Optional),
                ],
                always: &[],
            }),
        ),
    ],
    always: &["spec"],
};

/// The fields of a core kind.
pub fn of(kind: &str) -> Option<&'static Struct> {
    Some(match kind {
        "ConfigMap" => &CONFIG_MAP,
        "Secret" => &SECRET,
        "Namespace" => &NAMESPACE,
        "ServiceAccount" => &SERVICE_ACCOUNT,
        "Event" => &EVENT,
        "Lease" => &LEASE,
        _ => return None,
    })
}

/// What a bookmark carries besides its metadata.
pub fn empty(id: Id, meta: &Value) -> Value {
    let resource = id.get();
    let mut value = json!({ "metadata": meta });
    if let Some(kind) = of(resource.kind)
        && let Ok(decoded) = message(&value, kind, "", "", &mut Unknown::new())
    {
        value = decoded;
    }
    value["apiVersion"] = json!(resource.api_version());
    value["kind"] = json!(resource.kind);
    value
}

/// Brings an object into the form in which the server keeps it: unknown fields are collected and dropped, empty ones left
/// out, times written as Go writes them. A value of another type is an error, in the words of Go's decoder.
pub fn decode(id: Id, value: &mut Value) -> Result<Unknown, String> {
    let mut unknown = Unknown::new();
    if let Some(kind) = of(id.get().kind) {
        let version = value.get("apiVersion").cloned();
        let name = value.get("kind").cloned();
        let mut decoded = message(value, kind, "", "", &mut unknown)?;
        if let Some(map) = decoded.as_object_mut() {
            map.extend(version.map(|version| ("apiVersion".to_owned(), version)));
            map.extend(name.map(|name| ("kind".to_owned(), name)));
        }
        *value = decoded;
        return Ok(unknown);
    }
    if let Some(meta) = value.get_mut("metadata") {
        *meta = message(meta, &META, "", "metadata", &mut unknown)?;
    }
    if let Some(map) = value.as_object_mut() {
        map.retain(|key, _| {
            let known = ["apiVersion", "kind", "metadata", "spec", "status"].contains(&key.as_str());
            if !known {
                unknown.push(format!("unknown field {key:?}"));
            }
            known
        });
    }
    Ok(unknown)
}

/// `path` is where Go's decoder says it is, `shown` where the strict decoder says so.
fn message(
    value: &Value,
    ty: &Struct,
    path: &str,
    shown: &str,
    unknown: &mut Unknown,
) -> Result<Value, String> {
    let Value::Object(given) = value else {
        if value.is_null() {
            return Ok(json!({}));
        }
        return Err(mismatch(value, ty.name, path, &format!("v1.{}", ty.name)));
    };
    let is_root = shown.is_empty();
    let mut map = Map::new();
    for (key, value) in given {
        let join = |path: &str| if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        // An empty list says to forget all owners.
        if key == "managedFields" && value.is_array() {
            let list = decoded(value, &OWNERS_OF_FIELDS, ty, &join(path), &join(shown), unknown)?;
            map.insert(key.clone(), list.unwrap_or_else(|| json!([])));
            continue;
        }
        if ty.name == "FieldsV1" {
            map.insert(key.clone(), value.clone());
            continue;
        }
        match ty.fields.iter().find(|(_, name, _)| name == key) {
            Some((_, _, field)) => {
                if let Some(value) = decoded(value, field, ty, &join(path), &join(shown), unknown)? {
                    map.insert(key.clone(), value);
                }
            }
            None if is_root && (key == "apiVersion" || key == "kind") => {}
            None => unknown.push(format!("unknown field {:?}", join(shown))),
        }
    }
    for name in ty.always {
        let field = ty.fields.iter().find(|(_, field, _)| field == name);
        let empty = match field.map(|(_, _, ty)| ty) {
            Some(Type::Message(_)) => json!({}),
            Some(Type::Time | Type::MicroTime) => Value::Null,
            _ => json!(""),
        };
        map.entry(*name).or_insert(empty);
    }
    Ok(Value::Object(map))
}

/// The value of a field; none when it is empty.
fn decoded(
    value: &Value,
    ty: &Type,
    of: &Struct,
    path: &str,
    shown: &str,
    unknown: &mut Unknown,
) -> Result<Option<Value>, String> {
    let wrong = |wanted: &str| mismatch(value, of.name, path, wanted);
    Ok(match (ty, value) {
        (_, Value::Null) => None,
        (Type::Text, Value::String(text)) => (!text.is_empty()).then(|| value.clone()),
        (Type::Optional, Value::String(_)) | (Type::Bool, Value::Bool(_)) => Some(value.clone()),
        (Type::Bool, _) => return Err(wrong("bool")),
        (Type::Bytes, Value::String(text)) => {
            base64(text)?;
            Some(value.clone())
        }
        (Type::Bytes, _) => return Err(wrong("[]uint8")),
        (Type::Int, Value::Number(number)) if number.as_i64() == Some(0) => None,
        (Type::Int | Type::Number, Value::Number(number)) if number.is_i64() => Some(value.clone()),
        (Type::Int | Type::Number, _) => {
            let name = path.rsplit('.').next().unwrap_or_default();
            let long = ["generation", "deletionGracePeriodSeconds"].contains(&name);
            return Err(wrong(if long { "int64" } else { "int32" }));
        }
        (Type::Time, Value::String(text)) => Some(json!(time(text, "2006-01-02T15:04:05Z07:00", 0)?)),
        (Type::MicroTime, Value::String(text)) => {
            Some(json!(time(text, "2006-01-02T15:04:05.000000Z07:00", 6)?))
        }
        (Type::Text | Type::Optional | Type::Time | Type::MicroTime, _) => return Err(wrong("string")),
        (Type::Message(inner), _) => {
            let inner = message(value, inner, path, shown, unknown)?;
            Some(inner).filter(|inner| inner.as_object().is_some_and(|map| !map.is_empty()))
        }
        (Type::Map(item), Value::Object(map)) => {
            let mut out = Map::new();
            for (key, value) in map {
                let entry = decoded(value, item, of, path, &format!("{shown}.{key}"), unknown)?;
                out.insert(key.clone(), entry.unwrap_or_else(|| json!("")));
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        (Type::Map(Type::Bytes), _) => return Err(wrong("map[string][]uint8")),
        (Type::Map(_), _) => return Err(wrong("map[string]string")),
        (Type::List(item), Value::Array(items)) => {
            let mut out = Vec::new();
            for (at, value) in items.iter().enumerate() {
                let entry = decoded(value, item, of, path, &format!("{shown}[{at}]"), unknown)?;
                let empty = if matches!(item, Type::Message(_)) { json!({}) } else { json!("") };
                out.push(entry.unwrap_or(empty));
            }
            (!out.is_empty()).then_some(Value::Array(out))
        }
        (Type::List(Type::Message(inner)), _) => return Err(wrong(&format!("[]v1.{}", inner.name))),
        (Type::List(_), _) => return Err(wrong("[]string")),
    })
}

fn mismatch(value: &Value, holder: &str, path: &str, wanted: &str) -> String {
    let found = match value {
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if !number.is_i64() && wanted.starts_with("int") => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
        Value::Null => "null".to_owned(),
    };
    if path.is_empty() {
        return format!("json: cannot unmarshal {found} into Go value of type {wanted}");
    }
    format!("json: cannot unmarshal {found} into Go struct field {holder}.{path} of type {wanted}")
}

/// Refuses what is not base64, at the byte where Go does.
fn base64(text: &str) -> Result<(), String> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let bytes = text.as_bytes();
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let digits = &bytes[..bytes.len() - padding];
    let at = digits.iter().position(|byte| !is_digit(*byte));
    let at = at.or_else(|| (!bytes.len().is_multiple_of(4) || padding > 2).then_some(bytes.len() / 4 * 4));
    at.map_or(Ok(()), |at| Err(format!("illegal base64 data at input byte {at}")))
}

/// A time as the server writes it again.
fn time(text: &str, layout: &str, digits: usize) -> Result<String, String> {
    let parsed: Result<Timestamp, _> = text.parse();
    let fraction = text.split_once('.').map(|(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    match parsed {
        // Of a time in microseconds Go wants all six digits.
        Ok(time) if digits == 0 || fraction == Some(digits) => Ok(format!("{time:.digits$}")),
        Ok(_) => {
            let rest = text.get(19..).unwrap_or_default();
            Err(format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as \".000000\""))
        }
        Err(_) => Err(format!("parsing time {text:?} as {layout:?}: cannot parse {text:?} as \"2006\"")),
    }
}

/// Refuses an applied configuration whose fields are unknown or of another type, in the words of structured-merge-diff.
pub fn check_applied(id: Id, value: &Value) -> Result<(), String> {
    let resource = id.get();
    let name = object::name(value);
    let head = format!(
        "failed to create typed patch object ({}/{name}; {}, Kind={})",
        object::namespace(value),
        if resource.group.is_empty() { format!("/{}", resource.version) } else { resource.api_version() },
        resource.kind
    );
    let found = match of(resource.kind) {
        Some(kind) => applied(value, &Type::Message(kind), ""),
        None => {
            value.get("metadata").map_or(Ok(()), |meta| applied(meta, &Type::Message(&META), ".metadata"))
        }
    };
    found.map_err(|why| format!("{head}: {why}"))
}

fn applied(value: &Value, ty: &Type, path: &str) -> Result<(), String> {
    let wrong = |wanted: &str| {
        let shown = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Err(format!("{path}: expected {wanted}, got &value.valueUnstructured{{Value:{shown}}}"))
    };
    match (ty, value) {
        (_, Value::Null) => Ok(()),
        (Type::Message(ty), Value::Object(_)) if ty.name == "FieldsV1" => Ok(()),
        (Type::Message(ty), Value::Object(map)) => map.iter().try_for_each(|(key, value)| {
            let path = format!("{path}.{key}");
            match ty.fields.iter().find(|(_, name, _)| name == key) {
                Some((_, _, field)) => applied(value, field, &path),
                None if path == ".apiVersion" || path == ".kind" => Ok(()),
                None => Err(format!("{path}: field not declared in schema")),
            }
        }),
        (Type::Message(_) | Type::Map(_), other) if !other.is_object() => wrong("map"),
        (Type::Map(item), Value::Object(map)) => {
            map.iter().try_for_each(|(key, value)| applied(value, item, &format!("{path}.{key}")))
        }
        (Type::List(item), Value::Array(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, value)| applied(value, item, &format!("{path}[{at}]"))),
        (Type::List(_), _) => wrong("list"),
        (Type::Text | Type::Optional | Type::Bytes | Type::Time | Type::MicroTime, other)
            if !other.is_string() =>
        {
            wrong("string")
        }
        (Type::Int | Type::Number, other) if !other.is_number() => wrong("numeric (int or float)"),
        (Type::Bool, other) if !other.is_boolean() => wrong("boolean"),
        _ => Ok(()),
    }
}
