//! Webhooks of systems that have no parser of their own: whatever they send becomes one event, whose data is the body as
//! JSON, and a mapping makes of it what it means (K2, K72, K152).

mod xml;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{Headers, Rejection};
use crate::event::http::percent_decode;
use crate::event::identity::Key;
use crate::event::json::well_formed;
use crate::event::{Event, MediaType};

/// The longest id that a header may hold.
const MAX_ID: usize = 256;
/// Fields of a form.
const MAX_FIELDS: usize = 10_000;

/// What the event of such a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generic {
    /// `type` of the event.
    pub ty: String,
    /// `source` of the event.
    pub source: String,
    /// The header whose value is the same when the sender sends a thing again; without one, the body is what counts.
    pub id_header: Option<String>,
    /// The field of a form that holds the JSON, for senders that wrap it so.
    pub payload_field: Option<String>,
}

impl Generic {
    /// The event of a delivery.
    ///
    /// # Errors
    /// The body is not in a format that we read, or not well-formed in it; or the header for the id is missing.
    pub fn event(
        &self,
        headers: &impl Headers,
        body: &Bytes,
        received: jiff::Timestamp,
    ) -> Result<Event, Rejection> {
        let data = self.json(headers, body)?;
        let id = match &self.id_header {
            None => Key::of("delivery", &[&self.ty, &String::from_utf8_lossy(&data)]).event_id(),
            Some(name) => match headers.get(name).map(str::trim) {
                Some(id) if (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) => {
                    id.to_owned()
                }
                Some(_) => {
                    return Err(Rejection::Malformed(format!(
                        "header `{name}` must have 1 to {MAX_ID} visible characters without spaces"
                    )));
                }
                None => return Err(Rejection::Malformed(format!("header `{name}` is missing"))),
            },
        };
        Event::builder(id, self.source.clone(), self.ty.clone())
            .time(received.to_string())
            .json(data)
            .build()
            .map_err(|error| Rejection::Malformed(error.to_string()))
    }

    /// The body as JSON text.
    fn json(&self, headers: &impl Headers, body: &Bytes) -> Result<Bytes, Rejection> {
        let media_type = headers.get("content-type").and_then(MediaType::parse);
        let malformed = |what: &str, reason: &dyn std::fmt::Display| {
            Rejection::Malformed(format!("the body is not well-formed {what}: {reason}"))
        };
        match media_type {
            Some(it) if it.is_json() => {
                let text = well_formed(body).map_err(|error| malformed("JSON", &error))?;
                Ok(body.slice_ref(text))
            }
            Some(it) if it.is("application/x-www-form-urlencoded") => {
                let mut fields = form(body).map_err(|reason| malformed("as a form", &reason))?;
                let Some(name) = &self.payload_field else {
                    return Ok(Value::Object(fields).to_string().into());
                };
                let Some(Value::String(payload)) = fields.remove(name) else {
                    return Err(Rejection::Malformed(format!("the form must have one field `{name}`")));
                };
                let payload = Bytes::from(payload);
                let text = well_formed(&payload)
                    .map_err(|error| malformed(&format!("JSON in the field `{name}`"), &error))?;
                Ok(payload.slice_ref(text))
            }
            Some(it) if it.is("application/xml") || it.is("text/xml") => {
                let text = std::str::from_utf8(body).map_err(|error| malformed("XML in UTF-8", &error))?;
                let value = xml::to_json(text).map_err(|reason| malformed("XML", &reason))?;
                Ok(value.to_string().into())
            }
            _ => Err(Rejection::UnsupportedMediaType(
                "header `content-type` must be that of JSON, `application/x-www-form-urlencoded`, `application/xml` or \
                 `text/xml`",
            )),
        }
    }
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

fn decoded(text: &[u8]) -> Result<String, String> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes = percent_decode(&spaced).ok_or("a `%` starts no escape")?;
    String::from_utf8(bytes).map_err(|_| "a field is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests;
