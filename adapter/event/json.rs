//! The JSON event format (CloudEvents 1.0.2, `formats/json-format.md`): one event, and a batch of them.
//!
//! The envelope is taken apart by hand and `data` stays the bytes that came: nothing is decoded that nobody reads,
//! and forwarding an event changes nothing in it.

mod envelope;
pub mod weight;
mod wellformed;

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use self::envelope::{Elements, Members};
pub use self::wellformed::{MAX_VALUES, well_formed};
use super::attribute::{self, AttributeError, MediaType};
use super::{Data, Event, ExtensionValue};

/// The most events that one batch may hold; a larger one is refused whole.
pub const MAX_BATCH: usize = 1000;

/// How many of a batch's errors are written out.
const MAX_SHOWN: usize = 10;

/// Why text is not an event in the JSON format.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// No JSON, with the position.
    #[error("the body is not well-formed JSON: {0}")]
    Syntax(String),
    /// JSON, but no object.
    #[error("an event must be a JSON object")]
    NotAnObject,
    /// JSON, but no array.
    #[error("a batch must be a JSON array of events")]
    NotAnArray,
    /// A member twice; receivers would differ in which one they believe.
    #[error("member `{}` appears twice", attribute::shown(.0))]
    Duplicate(String),
    /// A missing `specversion`, or one that we do not speak.
    #[error("attribute `specversion` must be `1.0`, the only version of CloudEvents that is understood here")]
    Version,
    /// A context attribute that is no JSON string, or an extension that is no string, boolean or integer.
    #[error("attribute `{}` must be {expected}, not {found}", attribute::shown(.name))]
    Type {
        /// The attribute's name.
        name: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// An attribute that breaks its rule.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// `data` beside `data_base64`.
    #[error("members `data` and `data_base64` exclude each other: send one of them")]
    TwoPayloads,
    /// `data_base64` that is not.
    #[error("member `data_base64` must be base64 text (RFC 4648, section 4)")]
    Base64,
    /// `data` that is nested too deeply, or that holds what no JSON value can (an unpaired surrogate, 1e999).
    #[error("member `data` cannot be read: {0}")]
    Data(String),
    /// A batch with too many events.
    #[error("a batch may hold at most {MAX_BATCH} events: send several")]
    TooMany,
    /// Some events of a batch are refused, so all are.
    #[error("{}", listed(.0))]
    Batch(Vec<(usize, JsonError)>),
}

/// Reads one event.
///
/// # Errors
/// The first thing that is wrong.
#[expect(clippy::needless_pass_by_value, reason = "the events keep parts of the body")]
pub fn decode(body: Bytes) -> Result<Event, JsonError> {
    read_event(&body, &body)
}

/// Reads a batch; an empty one is legal.
///
/// # Errors
/// When one event is refused the batch is: a sender cannot be told that half of a request was accepted. The error
/// lists the refused events by their index.
#[expect(clippy::needless_pass_by_value, reason = "the events keep parts of the body")]
pub fn decode_batch(body: Bytes) -> Result<Vec<Event>, JsonError> {
    let elements = parse::<Elements<'_>>(&body, JsonError::NotAnArray)?.0.ok_or(JsonError::TooMany)?;
    let mut events = Vec::with_capacity(elements.len());
    let mut errors = Vec::new();
    for (index, element) in elements.into_iter().enumerate() {
        match read_event(&body, element.get().as_bytes()) {
            Ok(event) => events.push(event),
            Err(error) => errors.push((index, error)),
        }
    }
    if errors.is_empty() { Ok(events) } else { Err(JsonError::Batch(errors)) }
}

/// Appends `event` as a JSON object: the context attributes in a fixed order, extensions by name, then the payload,
/// whose JSON bytes are copied unchanged.
pub fn write(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"specversion":"1.0""#);
    let required =
        [("id", event.id()), ("source", event.source()), ("type", event.ty())].map(|it| (it.0, Some(it.1)));
    let optional = [
        ("subject", event.subject()),
        ("time", event.time()),
        ("datacontenttype", event.datacontenttype()),
        ("dataschema", event.dataschema()),
    ];
    for (name, value) in required.into_iter().chain(optional) {
        if let Some(value) = value {
            write_name(name, out);
            write_string(value, out);
        }
    }
    for (name, value) in event.extensions() {
        write_name(name, out);
        match value {
            ExtensionValue::String(text) => write_string(text, out),
            ExtensionValue::Boolean(_) | ExtensionValue::Integer(_) => {
                out.extend_from_slice(value.to_text().as_bytes());
            }
        }
    }
    match event.data() {
        Data::None => {}
        Data::Json(json) => {
            write_name("data", out);
            out.extend_from_slice(json);
        }
        Data::Text(text) => {
            write_name("data", out);
            write_string(text, out);
        }
        Data::Binary(bytes) => {
            write_name("data_base64", out);
            write_string(&BASE64_STANDARD.encode(bytes), out);
        }
    }
    out.push(b'}');
}

/// Appends `events` as a JSON array.
pub fn write_batch<'a>(events: impl IntoIterator<Item = &'a Event>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(event, out);
    }
    out.push(b']');
}

/// The event in its JSON form as a tree, for expressions: the same members that [`write()`] writes, `data` parsed.
pub fn tree(event: &Event) -> Value {
    let mut members = Map::new();
    for name in attribute::CONTEXT {
        if let Some(value) = event.attribute(name) {
            members.insert(name.to_owned(), Value::String(value.into_owned()));
        }
    }
    for (name, value) in event.extensions() {
        let value = match value {
            ExtensionValue::String(text) => Value::from(text.as_str()),
            ExtensionValue::Boolean(flag) => Value::from(*flag),
            ExtensionValue::Integer(number) => Value::from(*number),
        };
        members.insert(name.clone(), value);
    }
    let data = match event.data() {
        Data::None => None,
        Data::Json(_) => event.tree().map(|tree| ("data", tree.clone())),
        Data::Text(text) => Some(("data", Value::from(text.as_str()))),
        Data::Binary(bytes) => Some(("data_base64", Value::from(BASE64_STANDARD.encode(bytes)))),
    };
    if let Some((name, data)) = data {
        members.insert(name.to_owned(), data);
    }
    Value::Object(members)
}

/// The payload that `bytes` of an event with this `datacontenttype` are: the one rule for every content mode, so
/// that an event is the same whichever way it came. Bytes that are declared to be JSON and are not become binary.
pub(super) fn payload(bytes: Bytes, datacontenttype: Option<&str>) -> Data {
    if bytes.is_empty() {
        return Data::None;
    }
    if MediaType::declares_json(datacontenttype) {
        return match well_formed(&bytes) {
            Ok(json) => Data::Json(bytes.slice_ref(json)),
            Err(_) => Data::Binary(bytes),
        };
    }
    let is_text = datacontenttype.and_then(MediaType::parse).is_some_and(|it| it.is_utf8_text());
    match std::str::from_utf8(&bytes) {
        Ok(text) if is_text => Data::Text(text.to_owned()),
        _ => Data::Binary(bytes),
    }
}

/// Reads the event that `text`, a part of `body`, is.
fn read_event(body: &Bytes, text: &[u8]) -> Result<Event, JsonError> {
    let members = parse::<Members<'_>>(text, JsonError::NotAnObject)?.0;
    let mut known: BTreeMap<Cow<'_, str>, &RawValue> = BTreeMap::new();
    for (name, value) in members {
        if known.contains_key(&name) {
            return Err(JsonError::Duplicate(name.into_owned()));
        }
        known.insert(name, value);
    }
    let data = known.remove("data");
    let base64 = known.remove("data_base64").filter(|raw| raw.get() != "null");
    // A null beside the other payload says that there is none; alone it is a payload, the JSON value null.
    let data = if base64.is_some() { data.filter(|raw| raw.get() != "null") } else { data };
    // JSON null stands for an absent attribute (section 2.2).
    known.retain(|_, raw| raw.get() != "null");

    let mut text = |name: &str| known.remove(name).map(|raw| string(name, raw)).transpose();
    if text("specversion")?.as_deref() != Some("1.0") {
        return Err(JsonError::Version);
    }
    let mut event = Event::builder(
        text("id")?.unwrap_or_default(),
        text("source")?.unwrap_or_default(),
        text("type")?.unwrap_or_default(),
    );
    event.subject = text("subject")?;
    event.time = text("time")?;
    event.datacontenttype = text("datacontenttype")?;
    event.dataschema = text("dataschema")?;
    for (name, raw) in known {
        let value = extension(&name, raw)?;
        event.extensions.insert(name.into_owned(), value);
    }
    event.data = match (data, base64) {
        (None, None) => Data::None,
        (Some(_), Some(_)) => return Err(JsonError::TwoPayloads),
        (None, Some(raw)) => {
            let bytes = BASE64_STANDARD.decode(string("data_base64", raw)?).map_err(|_| JsonError::Base64)?;
            payload(bytes.into(), event.datacontenttype.as_deref())
        }
        (Some(raw), None) => {
            let json = raw.get();
            if json.starts_with('"') && !MediaType::declares_json(event.datacontenttype.as_deref()) {
                Data::Text(string("data", raw)?)
            } else {
                well_formed(json.as_bytes()).map_err(|error| JsonError::Data(error.to_string()))?;
                Data::Json(body.slice_ref(json.as_bytes()))
            }
        }
    };
    Ok(event.build()?)
}

/// Reads an object or array without its values; `otherwise` is the error for JSON of another shape.
fn parse<'a, T: Deserialize<'a>>(text: &'a [u8], otherwise: JsonError) -> Result<T, JsonError> {
    serde_json::from_slice(text).map_err(|error| {
        // The text of a data error would quote the sender's bytes.
        if error.is_data() { otherwise } else { JsonError::Syntax(error.to_string()) }
    })
}

fn string(name: &str, raw: &RawValue) -> Result<String, JsonError> {
    let wrong = |expected, found| JsonError::Type { name: name.to_owned(), expected, found };
    if !raw.get().starts_with('"') {
        return Err(wrong("a string", kind(raw)));
    }
    // The grammar was checked, so only an unpaired surrogate is left to fail.
    serde_json::from_str(raw.get()).map_err(|_| wrong("Unicode text", "a string with an unpaired surrogate"))
}

fn extension(name: &str, raw: &RawValue) -> Result<ExtensionValue, JsonError> {
    match raw.get() {
        "true" => return Ok(ExtensionValue::Boolean(true)),
        "false" => return Ok(ExtensionValue::Boolean(false)),
        text if text.starts_with('"') => return string(name, raw).map(ExtensionValue::String),
        _ => {}
    }
    raw.get().parse().map(ExtensionValue::Integer).map_err(|_| JsonError::Type {
        name: name.to_owned(),
        expected: "a string, a boolean or a whole number of 32 bits",
        found: if kind(raw) == "a number" { "another number" } else { kind(raw) },
    })
}

/// What kind of JSON value it is, for people.
fn kind(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    out.push(b',');
    write_string(name, out);
    out.push(b':');
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing text to a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn listed(errors: &[(usize, JsonError)]) -> String {
    let mut text: Vec<String> = errors
        .iter()
        .take(MAX_SHOWN)
        .map(|(index, error)| format!("event {index} of the batch: {error}"))
        .collect();
    if errors.len() > MAX_SHOWN {
        text.push(format!("and {} more", errors.len() - MAX_SHOWN));
    }
    text.join("; ")
}

#[cfg(test)]
mod tests;
