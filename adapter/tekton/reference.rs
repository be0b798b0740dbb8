//! The rules for references to Pipelines, Tasks and step actions (tektoncd/pipeline, `container_validation.go`).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::fields::{FieldErrors, join};
use super::view::{is_set, list, text};
use super::{name, param};

const CONCISE: &str =
    "feature flag enable-concise-resolver-syntax should be set to true to use concise resolver syntax";
const CONCISE_GATE: &str = "enable-concise-resolver-syntax";

/// The rules for one reference.
pub fn check(reference: &Value, path: &str, errors: &mut FieldErrors) {
    let (name, resolver) = (text(reference, "name"), text(reference, "resolver"));
    let has_params = is_set(reference, "params");
    if !resolver.is_empty() || has_params {
        if has_params {
            if !name.is_empty() {
                let paths = [join(path, "name"), join(path, "params")];
                errors.about("expected exactly one, got both", &paths);
            }
            if resolver.is_empty() {
                errors.add("missing field(s)", join(path, "resolver"));
            }
            param::check_given(list(reference, "params"), path, errors);
        }
        if !resolver.is_empty() && !name.is_empty() {
            if is_like_url(name) {
                errors.gated(CONCISE_GATE, CONCISE, path);
            } else {
                errors.add("invalid value: invalid URI for request", join(path, "name"));
            }
        }
    } else if name.is_empty() {
        errors.add("missing field(s)", join(path, "name"));
    } else if is_like_url(name) {
        errors.gated(CONCISE_GATE, CONCISE, path);
        errors.add("missing field(s)", join(path, "resolver"));
    } else {
        let wrong = name::qualified(name);
        if !wrong.is_empty() {
            errors.add(format!("invalid value: {}", wrong.join(",")), join(path, "name"));
        }
    }
}

fn is_like_url(name: &str) -> bool {
    static SCHEME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[0-9A-Za-z_-]+:/").ok());
    SCHEME.as_ref().is_some_and(|scheme| scheme.is_match(name))
}
