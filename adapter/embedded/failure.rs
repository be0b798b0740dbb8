//! What the API answers when it refuses: `Status` objects worded like the real server's.

use http::StatusCode;
use serde_json::{Value, json};

use super::resource::Key;
use super::resource::{Id, Resource};
use super::write::Effect;

/// A refusal; becomes a `Status` object.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The HTTP status.
    pub code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
}

/// One entry of a 422 answer.
#[derive(Clone, Debug)]
pub struct Cause {
    reason: &'static str,
    field: String,
    message: String,
}

// === impl Cause ===

impl Cause {
    /// A value that is not allowed; `value` is printed as the real server prints it.
    pub fn invalid(field: impl Into<String>, value: &Value, why: impl AsRef<str>) -> Self {
        let message = format!("Invalid value: {value}: {}", why.as_ref());
        Self { reason: "FieldValueInvalid", field: field.into(), message }
    }

    /// As [`Cause::invalid`], with the value as it is to be printed.
    pub fn shown(field: impl Into<String>, value: &str, why: &str) -> Self {
        let message = format!("Invalid value: {value}: {why}");
        Self { reason: "FieldValueInvalid", field: field.into(), message }
    }

    /// A value that is missing.
    pub fn required(field: impl Into<String>, why: &str) -> Self {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", field: field.into(), message }
    }

    /// A value that is larger than allowed.
    pub fn too_long(field: impl Into<String>, limit: usize) -> Self {
        let message = format!("Too long: may not be more than {limit} bytes");
        Self { reason: "FieldValueTooLong", field: field.into(), message }
    }

    /// A value that is not one of those that there are.
    pub fn unsupported(field: impl Into<String>, value: &Value, supported: &[&str]) -> Self {
        let supported: Vec<String> = supported.iter().map(|value| format!("{value:?}")).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", supported.join(", "));
        Self { reason: "FieldValueNotSupported", field: field.into(), message }
    }

    /// A change that is not allowed now.
    pub fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", field: field.into(), message: format!("Forbidden: {why}") }
    }
}

// === impl Failure ===

impl Failure {
    /// Any refusal.
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let mut details = json!({ "name": name, "group": resource.group, "kind": resource.plural });
        if let Some(map) = details.as_object_mut() {
            map.retain(|_, value| value != "");
        }
        self.details = details;
        self
    }

    fn detail(mut self, key: &str, value: Value) -> Self {
        if !self.details.is_object() {
            self.details = json!({});
        }
        self.details[key] = value;
        self
    }

    /// 404 for an object.
    pub fn not_found(id: Id, name: &str) -> Self {
        let resource = id.get();
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    /// 404 for a path that is not served.
    pub fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).detail("causes", Value::Null)
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).detail("causes", Value::Null)
    }

    /// 405 for a verb that a resource has not.
    pub fn unsupported_verb(id: Id, verb: &str) -> Self {
        let resource = id.get();
        if !resource.is_custom() {
            return Self::method_not_allowed();
        }
        let message = format!("{verb} is not supported on resources of kind {:?}", resource.qualified());
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about(resource, "")
    }

    /// 406; what would do depends on what looks at the header first.
    pub fn not_acceptable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message).detail("causes", Value::Null)
    }

    /// 422 for a JSON patch that cannot be carried out; the real server does not say why.
    pub fn patch_rejected() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).detail("causes", Value::Null)
    }

    /// 409 for a name whose object is on its way out.
    pub fn being_deleted(id: Id, name: &str) -> Self {
        let mut failure = Self::already_exists(id, name);
        failure.message = format!("object is being deleted: {}", failure.message);
        failure
    }

    /// 409 for a deletion whose preconditions do not hold; worded with the kind in the place of the resource.
    pub fn precondition(id: Id, name: &str, why: &str) -> Self {
        let resource = id.get();
        let kind = resource.qualified_kind();
        let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message)
            .about(resource, name)
            .detail("kind", json!(resource.kind))
    }

    /// 500 for a resourceVersion that is not a number.
    pub fn bad_version(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    /// 500 for the resourceVersion of an object that is not a number.
    pub fn unparsed_version(version: &str) -> Self {
        Self::bad_version(format!("strconv.ParseUint: parsing {version:?}: invalid syntax"))
    }

    /// 409 for a PUT that is about an object with another uid, or (empty) about one that is gone.
    pub fn other_uid(key: &Key, wanted: &str, live: &str, effect: Effect) -> Self {
        // A dry run asks a layer above etcd.
        let root = if effect == Effect::DryRun { "" } else { "/registry" };
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {root}/{}/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: \
             Precondition failed: UID in precondition: {wanted}, UID in object meta: {live}",
            key.id.get().storage(),
            key.namespace,
            key.name,
        );
        Self::conflict(key.id, &key.name, why)
    }

    /// 422 for the options of a request, such as `ListOptions`.
    pub fn options(kind: &str, causes: &[Cause]) -> Self {
        let mut failure = Self::invalid_kind(&format!("{kind}.meta.k8s.io"), None, "", causes);
        failure.details["group"] = json!("meta.k8s.io");
        failure.details["kind"] = json!(kind);
        failure
    }

    /// Takes out what names a kind: the real server says none for a patch that leaves something undecodable.
    pub fn without_kind(&mut self) {
        self.message = self.message.replacen(".meta.k8s.io ", " ", 1);
        if let Some(details) = self.details.as_object_mut() {
            details.retain(|key, _| key == "causes");
        }
    }

    /// 422 for an object of another kind than the path's.
    pub fn of_other_kind(id: Id, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let group = id.get().group;
        let mut failure = Self::invalid(id, name, causes);
        let own = format!("{} ", id.get().qualified_kind());
        failure.message = failure.message.replacen(&own, &format!("{kind}.{group} "), 1);
        failure.details["kind"] = json!(kind);
        failure
    }

    /// 409 for a name that is taken.
    pub fn already_exists(id: Id, name: &str) -> Self {
        let resource = id.get();
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    /// 409 when every generated name was taken.
    pub fn no_unique_name(id: Id, name: &str) -> Self {
        let resource = id.get();
        let message = format!(
            "{} {name:?} already exists, the server was not able to generate a unique name for the object",
            resource.qualified()
        );
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message)
            .about(resource, name)
            .detail("retryAfterSeconds", json!(1))
    }

    /// 409 for a write that is based on an older object.
    pub fn conflict(id: Id, name: &str, why: impl AsRef<str>) -> Self {
        let resource = id.get();
        let message =
            format!("Operation cannot be fulfilled on {} {name:?}: {}", resource.qualified(), why.as_ref());
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// 409 for a stale resourceVersion.
    pub fn stale(id: Id, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(id, name, why)
    }

    /// 409 for fields that other managers own: pairs of manager and path.
    pub fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let message = if let [(manager, path)] = conflicts {
            format!("Apply failed with 1 conflict: conflict with {manager}: {path}")
        } else {
            let mut lines = Vec::new();
            let mut last = "";
            for (manager, path) in conflicts {
                if manager != last {
                    lines.push(format!("conflicts with {manager}:"));
                    last = manager;
                }
                lines.push(format!("- {path}"));
            }
            format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
        };
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, path)| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with {manager}"),
                    "field": path,
                })
            })
            .collect();
        Self::new(StatusCode::CONFLICT, "Conflict", message).detail("causes", Value::Array(causes))
    }

    /// 422 with its causes.
    pub fn invalid(id: Id, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_kind(&id.get().qualified_kind(), Some(id), name, causes)
            .detail("kind", json!(id.get().kind))
    }

    /// 422 worded with the resource in the place of the kind, as the real server does for a missing
    /// resourceVersion.
    pub fn unversioned(id: Id, name: &str) -> Self {
        let cause = Cause {
            reason: "FieldValueInvalid",
            field: "metadata.resourceVersion".to_owned(),
            message: "Invalid value: 0: must be specified for an update".to_owned(),
        };
        Self::invalid_kind(&id.get().qualified(), Some(id), name, &[cause])
    }

    fn invalid_kind(kind: &str, id: Option<Id>, name: &str, causes: &[Cause]) -> Self {
        let mut lines: Vec<String> = Vec::new();
        for cause in causes {
            let line = format!("{}: {}", cause.field, cause.message);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let all = if lines.len() == 1 { lines.concat() } else { format!("[{}]", lines.join(", ")) };
        let message = format!("{kind} {name:?} is invalid: {all}");
        let mut list: Vec<Value> = Vec::new();
        for cause in causes {
            let mut entry = json!({"reason": cause.reason, "message": cause.message, "field": cause.field});
            if let Some(map) = entry.as_object_mut() {
                map.retain(|_, value| value != "");
            }
            if !list.contains(&entry) {
                list.push(entry);
            }
        }
        let failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        let failure = match id {
            Some(id) => failure.about(id.get(), name),
            None => failure,
        };
        failure.detail("causes", Value::Array(list))
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 400 from an admission webhook.
    pub fn denied(webhook: &str, message: &str) -> Self {
        Self::bad_request(format!("admission webhook {webhook:?} denied the request: {message}"))
    }

    /// 403 for an object.
    pub fn forbidden(id: Id, name: &str, why: &str) -> Self {
        let resource = id.get();
        let message = format!("{} {name:?} is forbidden: {why}", resource.qualified());
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(resource, name)
    }

    /// 410: the history that the request needs is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 504 for a resourceVersion that this server has not reached.
    pub fn too_large_version(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message)
            .detail("causes", cause)
            .detail("retryAfterSeconds", json!(1))
    }

    /// 413 for a body over `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 415 with the media types that would do.
    pub fn unsupported_media_type(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 415 for a patch.
    pub fn unsupported_patch(id: Id) -> Self {
        if id.get().is_custom() {
            return Self::unsupported_media_type(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            );
        }
        let message = "415: Unsupported Media Type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
            .detail("causes", Value::Null)
    }

    /// 500.
    pub fn internal(message: impl AsRef<str>) -> Self {
        let message = format!("Internal error occurred: {}", message.as_ref());
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// 429 or 503 with the seconds after which to try again.
    pub fn unavailable(code: StatusCode, retry_after: u32) -> Self {
        let (reason, message) = if code == StatusCode::TOO_MANY_REQUESTS {
            ("TooManyRequests", "too many requests, please try again later")
        } else {
            ("ServiceUnavailable", "the server is currently unable to handle the request")
        };
        Self::new(code, reason, message).detail("retryAfterSeconds", json!(retry_after))
    }

    /// Seconds for the `Retry-After` header.
    pub fn retry_after(&self) -> Option<u64> {
        self.details.get("retryAfterSeconds").and_then(Value::as_u64)
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        let mut details = self.details.clone();
        if let Some(map) = details.as_object_mut() {
            map.retain(|_, value| !value.is_null());
            status["details"] = details;
        }
        status
    }
}
