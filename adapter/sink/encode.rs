//! An event as one HTTP message.
//!
//! STAND-IN, to be replaced at the merge: the formats belong to `crate::event::json` and `crate::event::http`; only
//! [`encode`]'s signature stays.

use std::fmt::Write;

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde_json::value::RawValue;

use super::spec::Mode;
use crate::event::{Data, Event, ExtensionValue};

/// Headers and body of a request.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The event in a content mode of the CloudEvents HTTP binding.
pub(super) fn encode(event: &Event, mode: Mode) -> Result<Message, String> {
    match mode {
        Mode::Structured => structured(event),
        Mode::Binary => binary(event),
    }
    .map_err(|error| format!("the event cannot be written: {error}"))
}

type Error = Box<dyn std::error::Error>;

const CONTEXT: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];

fn structured(event: &Event) -> Result<Message, Error> {
    let mut fields: std::collections::BTreeMap<&str, Box<RawValue>> = std::collections::BTreeMap::new();
    for name in CONTEXT {
        if let Some(value) = event.attribute(name) {
            fields.insert(name, serde_json::value::to_raw_value(&value)?);
        }
    }
    for (name, value) in event.extensions() {
        let value = match value {
            ExtensionValue::String(text) => serde_json::value::to_raw_value(text)?,
            ExtensionValue::Boolean(flag) => serde_json::value::to_raw_value(flag)?,
            ExtensionValue::Integer(number) => serde_json::value::to_raw_value(number)?,
        };
        fields.insert(name, value);
    }
    match event.data() {
        Data::None => {}
        Data::Json(json) => {
            let json = RawValue::from_string(std::str::from_utf8(json)?.to_owned())?;
            fields.insert("data", json);
        }
        Data::Text(text) => drop(fields.insert("data", serde_json::value::to_raw_value(text)?)),
        Data::Binary(_) => return Err("binary data".into()),
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/cloudevents+json; charset=utf-8"));
    Ok(Message { headers, body: serde_json::to_vec(&fields)?.into() })
}

fn binary(event: &Event) -> Result<Message, Error> {
    let mut headers = HeaderMap::new();
    if let Some(media_type) = event.datacontenttype() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(media_type)?);
    }
    let context = CONTEXT.into_iter().filter(|name| *name != "datacontenttype");
    for name in context.chain(event.extensions().keys().map(String::as_str)) {
        if let Some(value) = event.attribute(name) {
            headers.insert(
                HeaderName::from_bytes(format!("ce-{name}").as_bytes())?,
                HeaderValue::from_str(&percent_encoded(&value))?,
            );
        }
    }
    let body = match event.data() {
        Data::None => Bytes::new(),
        Data::Json(bytes) | Data::Binary(bytes) => bytes.clone(),
        Data::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
    };
    Ok(Message { headers, body })
}

/// CloudEvents 1.0.2 HTTP binding, section 3.1.3.2.
fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut utf8 = [0; 4];
    for c in value.chars() {
        if c.is_ascii_graphic() && c != '"' && c != '%' {
            out.push(c);
        } else {
            for byte in c.encode_utf8(&mut utf8).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}
