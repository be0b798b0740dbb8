//! What the settings say of a source without a forge, checked before anything is sent to it.

use http::HeaderName;
use serde::Deserialize;

use super::{Generic, Identity, Proof};
use crate::event::{AttributeError, Event};

/// How the types begin that only what is checked against their schemas may have.
const RESERVED: &str = "dev.cdevents";

/// `spec.generic` of a `Source`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Document {
    /// `type` of the event.
    #[serde(rename = "type")]
    pub ty: String,
    /// `source` of the event.
    pub source: String,
    /// The header that names the event: it follows the `type`, after a dot.
    #[serde(default)]
    pub event_header: Option<String>,
    /// The header whose value is the same when the sender sends a thing again.
    #[serde(default)]
    pub id_header: Option<String>,
    /// Whether the same body again is another event.
    #[serde(default)]
    pub repeats: bool,
    /// The field of a form that holds the JSON.
    #[serde(default)]
    pub payload_field: Option<String>,
    /// The header that holds the secret.
    #[serde(default)]
    pub token_header: Option<String>,
    /// The header that holds an HMAC-SHA256 of the body.
    #[serde(default)]
    pub signature_header: Option<String>,
}

/// Why such a source cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A `type` or a `source` that no event can have.
    #[error("in `generic` {0}")]
    Attribute(#[from] AttributeError),
    /// A type of others.
    #[error(
        "`generic.type: {0}` cannot be used: types that begin with `{RESERVED}` are those of CDEvents, which nothing would \
         check here; write a name of the sender's, such as `com.example.push`, and let a mapping emit the CDEvent"
    )]
    Reserved(String),
    /// No name of a header.
    #[error("`generic.{field}: {value}` is not the name of a header; write one such as `X-Request-Id`")]
    Header {
        /// The field.
        field: &'static str,
        /// What it is.
        value: String,
    },
    /// Nothing where something has to be.
    #[error("`generic.payloadField` is empty; write the name of the form's field, or leave it out")]
    PayloadField,
    /// Two fields of which one can be.
    #[error("`generic` has both `{0}` and `{1}`: keep one")]
    Both(&'static str, &'static str),
}

// === impl Document ===

impl Document {
    /// The source, and how its sender shows its secret.
    ///
    /// # Errors
    /// What is wrong, with the field.
    pub fn check(self) -> Result<(Generic, Proof), DocumentError> {
        // The rules of events are those of events.
        Event::builder("1", &*self.source, &*self.ty).build()?;
        let event_header = header("eventHeader", self.event_header)?;
        // What follows may begin with anything.
        let followed = event_header.is_some() && RESERVED.starts_with(&format!("{}.", self.ty));
        if self.ty.starts_with(RESERVED) || followed {
            return Err(DocumentError::Reserved(self.ty));
        }
        let id = match (header("idHeader", self.id_header)?, self.repeats) {
            (Some(_), true) => return Err(DocumentError::Both("idHeader", "repeats")),
            (Some(name), false) => Identity::Header(name),
            (None, true) => Identity::Receipt,
            (None, false) => Identity::Body,
        };
        let token = header("tokenHeader", self.token_header)?;
        let proof = match (token, header("signatureHeader", self.signature_header)?) {
            (Some(_), Some(_)) => return Err(DocumentError::Both("tokenHeader", "signatureHeader")),
            (Some(name), None) => Proof::Header(name),
            (None, Some(name)) => Proof::Signature(name),
            (None, None) => Proof::Token,
        };
        if self.payload_field.as_deref() == Some("") {
            return Err(DocumentError::PayloadField);
        }
        let Self { ty, source, payload_field, .. } = self;
        Ok((Generic { ty, source, id, event_header, payload_field }, proof))
    }
}

/// A field that names a header.
fn header(field: &'static str, value: Option<String>) -> Result<Option<String>, DocumentError> {
    match value {
        Some(value) if HeaderName::try_from(&value).is_err() => Err(DocumentError::Header { field, value }),
        value => Ok(value),
    }
}
