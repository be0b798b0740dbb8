//! Webhooks of systems that have no parser of their own: whatever they send becomes one event, whose data is the body as
//! JSON, and a mapping makes of it what it means.

mod document;
mod proof;
mod xml;

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::delivery::{MAX_EVENT, uncompressed};
use super::{Field, Headers, Rejection};
use crate::event::http::percent_decode;
use crate::event::identity::Key;
use crate::event::json::well_formed;
use crate::event::{Event, MediaType};
pub use document::{Document, DocumentError};
pub use proof::{Auth, Proof, ProofError};

/// The longest id that a header may hold.
const MAX_ID: usize = 256;
/// Fields of a form.
const MAX_FIELDS: usize = 10_000;

/// What the event of such a webhook is; [`Document::check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generic {
    /// `type` of the event, or its beginning.
    ty: String,
    /// `source` of the event.
    source: String,
    /// `id` of the event.
    id: Identity,
    /// The header whose value follows the type, after a dot.
    event_header: Option<String>,
    /// The field of a form that holds the JSON, for senders that wrap it so.
    payload_field: Option<String>,
}

/// What makes a delivery the same as one before: the `id` of the event is a function of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    /// This header.
    Header(String),
    /// The body, of one type.
    Body,
    /// Nothing: every delivery is another event. For senders whose bodies do not tell one occurrence from the next.
    Receipt,
}

// === impl Generic ===

impl Generic {
    /// The type of the events, and whether more follows it after a dot.
    pub fn types(&self) -> (String, bool) {
        (self.ty.clone(), self.event_header.is_some())
    }

    /// The event of a delivery, whose data is a JSON object or array that a tree can hold.
    ///
    /// # Errors
    /// The body is not in a format that we read, or not well-formed in it; or a header that is needed is missing or not
    /// what it can be.
    pub fn event(
        &self,
        headers: &impl Headers,
        body: &Bytes,
        received: jiff::Timestamp,
    ) -> Result<Event, Rejection> {
        uncompressed(headers)?;
        let ty = self.ty(headers)?;
        let told = match &self.id {
            Identity::Header(name) => Some(told_id(headers, name)?),
            Identity::Body | Identity::Receipt => None,
        };
        let data = self.json(headers, body)?;
        let id = match (told, &self.id) {
            (Some(id), _) => id,
            (None, Identity::Receipt) => {
                Key::of("delivery", &[&ty, &String::from_utf8_lossy(&data), &received.to_string()]).event_id()
            }
            (None, _) => Key::of("delivery", &[&ty, &String::from_utf8_lossy(&data)]).event_id(),
        };
        Event::builder(id, self.source.clone(), ty)
            .time(received.to_string())
            .json(data)
            .build()
            .map_err(|error| Rejection::Malformed(error.to_string()))
    }

    /// What its sender sets besides the secret, for whoever plays it: what the body is, the event where the source wants to
    /// know it, and the id of the delivery. `None` when it wants to know the event and there is none.
    pub fn headers(
        &self,
        event: Option<&str>,
        delivery: &str,
        body: &[u8],
    ) -> Option<Vec<(String, Vec<u8>)>> {
        let media_type = match body.trim_ascii_start().first() {
            Some(b'{' | b'[') => "application/json",
            Some(b'<') => "application/xml",
            _ => "application/x-www-form-urlencoded",
        };
        let mut headers = vec![("content-type".to_owned(), media_type.into())];
        if let Some(name) = &self.event_header {
            headers.push((name.clone(), event?.into()));
        }
        if let Identity::Header(name) = &self.id {
            headers.push((name.clone(), delivery.into()));
        }
        Some(headers)
    }

    /// The type, with what the sender calls the event.
    fn ty(&self, headers: &impl Headers) -> Result<Cow<'_, str>, Rejection> {
        let Some(name) = &self.event_header else { return Ok(Cow::Borrowed(&self.ty)) };
        let event = needed(headers, name)?;
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if event.len() > MAX_EVENT || !event.bytes().all(fits) {
            return Err(Rejection::Malformed(format!(
                "header `{name}` must have 1 to {MAX_EVENT} letters, digits, `_`, `-` and `.`"
            )));
        }
        Ok(Cow::Owned(format!("{}.{}", self.ty, event.to_ascii_lowercase())))
    }

    /// The body as JSON text, an object or an array.
    fn json(&self, headers: &impl Headers, body: &Bytes) -> Result<Bytes, Rejection> {
        let media_type = headers.get("content-type").text().and_then(MediaType::parse);
        match media_type {
            Some(it) if it.is_json() => structured(body, "the body"),
            Some(it) if it.is("application/x-www-form-urlencoded") => {
                let mut fields = form(body).map_err(|reason| malformed("the body", "as a form", &reason))?;
                let Some(name) = &self.payload_field else {
                    return Ok(Value::Object(fields).to_string().into());
                };
                let Some(Value::String(payload)) = fields.remove(name) else {
                    return Err(Rejection::Malformed(format!("the form must have one field `{name}`")));
                };
                structured(&payload.into(), &format!("the field `{name}`"))
            }
            Some(it) if it.is("application/xml") || it.is("text/xml") => {
                let text = std::str::from_utf8(body)
                    .map_err(|error| malformed("the body", "XML in UTF-8", &error))?;
                no_controls(text).map_err(|reason| malformed("the body", "XML", &reason))?;
                let value = xml::to_json(text).map_err(|reason| malformed("the body", "XML", &reason))?;
                Ok(value.to_string().into())
            }
            _ => Err(Rejection::UnsupportedMediaType(
                "header `content-type` must be that of JSON, `application/x-www-form-urlencoded`, `application/xml` or \
                 `text/xml`",
            )),
        }
    }
}

fn malformed(what: &str, format: &str, reason: &dyn std::fmt::Display) -> Rejection {
    Rejection::Malformed(format!("{what} is not well-formed {format}: {reason}"))
}

/// JSON text that has structure: of anything else a mapping can take nothing.
fn structured(text: &Bytes, what: &str) -> Result<Bytes, Rejection> {
    let json = well_formed(text).map_err(|error| malformed(what, "JSON", &error))?;
    if !json.starts_with(b"{") && !json.starts_with(b"[") {
        return Err(Rejection::Malformed(format!("{what} must be a JSON object or array")));
    }
    Ok(text.slice_ref(json))
}

/// A header that must be there.
fn needed<'a>(headers: &'a impl Headers, name: &str) -> Result<&'a str, Rejection> {
    let field = headers.get(name);
    let reason = match (field, field.text()) {
        (Field::Absent | Field::Value(b""), _) => {
            "is missing or empty; the sender must set it, or the settings of this source must not name it"
        }
        (Field::Repeated, _) => "stands more than once",
        (Field::Value(_), None) => "is not text in UTF-8",
        (Field::Value(_), Some(text)) => return Ok(text),
    };
    Err(Rejection::Malformed(format!("header `{name}` {reason}")))
}

/// The id that the sender gave.
fn told_id(headers: &impl Headers, name: &str) -> Result<String, Rejection> {
    let id = needed(headers, name)?;
    if id.len() > MAX_ID || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Rejection::Malformed(format!(
            "header `{name}` must have 1 to {MAX_ID} visible characters without spaces"
        )));
    }
    Ok(id.to_owned())
}

/// The fields of a form (URL standard, `application/x-www-form-urlencoded`); those of one name are an array.
fn form(body: &[u8]) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    for (number, pair) in pairs.enumerate() {
        if number == MAX_FIELDS {
            return Err(format!("it has more than {MAX_FIELDS} fields"));
        }
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (name, value) = (decoded(name)?, Value::String(decoded(value)?));
        match fields.get_mut(&name) {
            None => {
                fields.insert(name, value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Ok(fields)
}

/// In JSON each of these takes six bytes, so that a body of them would grow beyond its bound; and no form of a sender has any.
fn no_controls(text: &str) -> Result<(), &'static str> {
    let is_control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    if text.bytes().any(is_control) { Err("it has control characters") } else { Ok(()) }
}

fn decoded(text: &[u8]) -> Result<String, String> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes = percent_decode(&spaced).ok_or("a `%` starts no escape")?;
    let text = String::from_utf8(bytes).map_err(|_| "a field is not UTF-8".to_owned())?;
    no_controls(&text).map_err(str::to_owned)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
