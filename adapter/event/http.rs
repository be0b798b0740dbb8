//! The HTTP protocol binding (CloudEvents 1.0.2, `bindings/http-protocol-binding.md`) for any HTTP library: headers
//! are pairs of a name and raw bytes.

mod handshake;
mod header;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::handshake::{AllowedOrigins, Handshake, HandshakeRequest, handshake};
pub(crate) use self::header::percent_decode;
use super::attribute::{self, AttributeError, MediaType};
use super::json::{self, JsonError};
use super::{Data, Event, ExtensionValue};

/// The media type of one event in the JSON format.
pub const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
/// The media type of a batch in the JSON format.
pub const BATCHED: &str = "application/cloudevents-batch+json; charset=utf-8";

/// How a request carries its events (section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in `ce-` headers, the payload in the body.
    Binary,
    /// One event in the JSON format in the body.
    Structured,
    /// An array of events in the JSON format in the body.
    Batched,
}

/// Headers and body of a request or response.
pub type Message = (Vec<(Cow<'static, str>, String)>, Bytes);

/// Why a request carries no events that we can take.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// An event format other than JSON.
    #[error(
        "the event format of this `content-type` is not supported: send `application/cloudevents+json` or \
         `application/cloudevents-batch+json`"
    )]
    Format,
    /// The JSON format in another encoding than UTF-8.
    #[error("the `charset` of `content-type` is not supported: events in JSON are UTF-8")]
    Charset,
    /// A compressed body.
    #[error("header `content-encoding` is not supported: send the body uncompressed")]
    ContentEncoding,
    /// One header twice.
    #[error("header `{}` appears twice: send it once", attribute::shown(.0))]
    Duplicate(String),
    /// A header that the binary mode forbids.
    #[error("header `ce-datacontenttype` must not be present: `content-type` carries that attribute")]
    DataContentType,
    /// A header value that is not Unicode.
    #[error("header `{}` must be UTF-8, or percent-encoded UTF-8", attribute::shown(.0))]
    Encoding(String),
    /// No sign of an event at all.
    #[error(
        "not a CloudEvent: send the attributes as headers `ce-specversion`, `ce-id`, `ce-source` and `ce-type`, or \
         the event as `application/cloudevents+json`"
    )]
    NotAnEvent,
    /// A `ce-specversion` that we do not speak.
    #[error("header `ce-specversion` must be `1.0`, the only version of CloudEvents that is understood here")]
    Version,
    /// A `ce-` header that breaks the rule of its attribute.
    #[error("header `ce-{name}`: {error}")]
    Header {
        /// The attribute's name, printable and short.
        name: String,
        /// The rule.
        error: AttributeError,
    },
    /// A `content-type` that is no media type.
    #[error("header `content-type`: {0}")]
    ContentType(AttributeError),
    /// A body that is not the JSON which `content-type` declares.
    #[error("the body is not the JSON that `content-type` declares: {0}")]
    Body(String),
    /// A body in structured or batched mode that is refused.
    #[error(transparent)]
    Json(#[from] JsonError),
}

// === impl DecodeError ===

impl DecodeError {
    /// The status code of the answer: 415 when the sender must choose another format, else 400.
    pub fn status(&self) -> u16 {
        match self {
            Self::Format | Self::Charset | Self::ContentEncoding => 415,
            _ => 400,
        }
    }
}

/// The mode that a request with this `Content-Type` is in (section 3): by a prefix, in any case of letters.
///
/// # Errors
/// An event format that is not JSON in UTF-8.
pub fn mode(content_type: Option<&str>) -> Result<Mode, DecodeError> {
    const PREFIX: &str = "application/cloudevents";
    let Some(content_type) = content_type.map(|it| it.trim_matches([' ', '\t'])) else {
        return Ok(Mode::Binary);
    };
    if !content_type.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
        return Ok(Mode::Binary);
    }
    let media_type = MediaType::parse(content_type).ok_or(DecodeError::Format)?;
    let mode = if media_type.is("application/cloudevents+json") {
        Mode::Structured
    } else if media_type.is("application/cloudevents-batch+json") {
        Mode::Batched
    } else {
        return Err(DecodeError::Format);
    };
    if media_type.charset_is_utf8() { Ok(mode) } else { Err(DecodeError::Charset) }
}

/// Reads the events of a request.
///
/// # Errors
/// What is wrong with it, and what to send instead.
pub fn decode<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    body: Bytes,
) -> Result<Vec<Event>, DecodeError> {
    let headers = Headers::collect(headers)?;
    match mode(headers.content_type.as_deref())? {
        Mode::Binary => Ok(vec![decode_binary(headers, &body)?]),
        Mode::Structured => Ok(vec![json::decode(body)?]),
        Mode::Batched => Ok(json::decode_batch(body)?),
    }
}

/// One event in structured mode.
pub fn encode_structured(event: &Event) -> Message {
    let mut body = Vec::with_capacity(512 + payload_len(event));
    json::write(event, &mut body);
    (vec![(Cow::Borrowed("content-type"), STRUCTURED.to_owned())], body.into())
}

/// Events in batched mode; only for a receiver that asked for it (section 3.3).
pub fn encode_batch<'a>(events: impl IntoIterator<Item = &'a Event>) -> Message {
    let mut body = Vec::new();
    json::write_batch(events, &mut body);
    (vec![(Cow::Borrowed("content-type"), BATCHED.to_owned())], body.into())
}

/// One event in binary mode.
///
/// JSON whose `datacontenttype` is absent is declared as `application/json`: what the JSON format implies, this
/// mode does not (JSON format, section 3.1).
pub fn encode_binary(event: &Event) -> Message {
    let mut headers = vec![(Cow::Borrowed("ce-specversion"), "1.0".to_owned())];
    let required = [("ce-id", event.id()), ("ce-source", event.source()), ("ce-type", event.ty())];
    let optional =
        [("ce-subject", event.subject()), ("ce-time", event.time()), ("ce-dataschema", event.dataschema())];
    for (name, value) in required.map(|it| (it.0, Some(it.1))).into_iter().chain(optional) {
        if let Some(value) = value {
            headers.push((Cow::Borrowed(name), header::encode(value)));
        }
    }
    for (name, value) in event.extensions() {
        headers.push((Cow::Owned(format!("ce-{name}")), header::encode(&value.to_text())));
    }
    let implied = matches!(event.data(), Data::Json(_)).then_some("application/json");
    if let Some(media_type) = event.datacontenttype().or(implied) {
        headers.push((Cow::Borrowed("content-type"), media_type.to_owned()));
    }
    let body = match event.data() {
        Data::None => Bytes::new(),
        Data::Json(bytes) | Data::Binary(bytes) => bytes.clone(),
        Data::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
    };
    (headers, body)
}

/// The headers that matter, each at most once.
#[derive(Default)]
struct Headers<'a> {
    content_type: Option<Cow<'a, str>>,
    attributes: BTreeMap<String, &'a [u8]>,
}

// === impl Headers ===

impl<'a> Headers<'a> {
    fn collect(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, DecodeError> {
        let mut collected = Self::default();
        for (name, value) in headers {
            if let Some((prefix, attribute)) = name.split_at_checked(3)
                && prefix.eq_ignore_ascii_case("ce-")
            {
                let attribute = attribute.to_ascii_lowercase();
                if collected.attributes.insert(attribute, value).is_some() {
                    return Err(DecodeError::Duplicate(name.to_ascii_lowercase()));
                }
            } else if name.eq_ignore_ascii_case("content-type") {
                let text =
                    std::str::from_utf8(value).map_err(|_| DecodeError::Encoding("content-type".into()))?;
                if collected.content_type.replace(Cow::Borrowed(text)).is_some() {
                    return Err(DecodeError::Duplicate("content-type".into()));
                }
            } else if name.eq_ignore_ascii_case("content-encoding")
                && !value.is_empty()
                && !value.trim_ascii().eq_ignore_ascii_case(b"identity")
            {
                return Err(DecodeError::ContentEncoding);
            }
        }
        Ok(collected)
    }
}

fn decode_binary(mut headers: Headers<'_>, body: &Bytes) -> Result<Event, DecodeError> {
    if headers.attributes.is_empty() {
        return Err(DecodeError::NotAnEvent);
    }
    if headers.attributes.contains_key("datacontenttype") {
        return Err(DecodeError::DataContentType);
    }
    let mut attribute = |name: &str| {
        headers
            .attributes
            .remove(name)
            .map(|value| header::decode(value).ok_or_else(|| DecodeError::Encoding(format!("ce-{name}"))))
            .transpose()
    };
    if attribute("specversion")?.as_deref() != Some("1.0") {
        return Err(DecodeError::Version);
    }
    let mut event = Event::builder(
        attribute("id")?.unwrap_or_default(),
        attribute("source")?.unwrap_or_default(),
        attribute("type")?.unwrap_or_default(),
    );
    event.subject = attribute("subject")?;
    event.time = attribute("time")?;
    event.dataschema = attribute("dataschema")?;
    for (name, value) in headers.attributes {
        let value = header::decode(value).ok_or_else(|| DecodeError::Encoding(format!("ce-{name}")))?;
        event.extensions.insert(name, ExtensionValue::String(value));
    }
    event.datacontenttype = headers.content_type.map(|it| it.trim_matches([' ', '\t']).to_owned());
    let content_type = event.datacontenttype.as_deref();
    if content_type.is_some() && MediaType::declares_json(content_type) && !body.is_empty() {
        // Declared, so bytes that are not are the sender's mistake. Without a declaration they are just bytes.
        let json = json::well_formed(body).map_err(|error| DecodeError::Body(error.to_string()))?;
        event.data = Data::Json(body.slice_ref(json));
    } else {
        event.data = json::payload(body.clone(), content_type);
    }
    event.build().map_err(refused)
}

/// An attribute's error, said of the header that carried it.
fn refused(error: AttributeError) -> DecodeError {
    let name = match &error {
        AttributeError::Value { name, .. }
        | AttributeError::Empty(name)
        | AttributeError::Character { name, .. }
        | AttributeError::Name(name)
        | AttributeError::Reserved(name) => name,
    };
    if name == "datacontenttype" {
        DecodeError::ContentType(error)
    } else {
        DecodeError::Header { name: attribute::shown(name), error }
    }
}

fn payload_len(event: &Event) -> usize {
    match event.data() {
        Data::None => 0,
        Data::Json(bytes) => bytes.len(),
        Data::Text(text) => text.len() + text.len() / 8,
        Data::Binary(bytes) => bytes.len().div_ceil(3) * 4,
    }
}

#[cfg(test)]
mod tests;
