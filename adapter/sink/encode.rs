//! An event, or several, as one HTTP message of this sink's content mode.

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use super::spec::Mode;
use super::trace;
use crate::event::Event;
use crate::event::http::{BATCHED, STRUCTURED, encode_binary, encode_structured};

/// Headers and body of a request; every attempt sends the same.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// How many events are in it.
    pub(super) events: usize,
}

/// The event in a content mode of the CloudEvents HTTP binding, on top of the `headers` that every request has.
///
/// # Errors
/// A header that cannot be sent. The binding encodes what headers cannot carry, so this is a `datacontenttype` at most.
pub(super) fn encode(event: &Event, mode: Mode, headers: &HeaderMap) -> Result<Message, String> {
    let mut headers = headers.clone();
    let body = match mode {
        Mode::Structured => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(STRUCTURED));
            json(event)
        }
        Mode::Binary => {
            let (fields, body) = encode_binary(event);
            for (name, value) in fields {
                let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value));
                let (Ok(name), Ok(value)) = header else {
                    return Err(format!(
                        "the event cannot be sent in this mode: header `{name}` cannot carry its value"
                    ));
                };
                headers.insert(name, value);
            }
            body
        }
    };
    trace::add(event, &mut headers);
    Ok(Message { headers, body, events: 1 })
}

/// One event as JSON.
pub(super) fn json(event: &Event) -> Bytes {
    encode_structured(event).1
}

/// Events as JSON in one array.
pub(super) fn batch<'a>(events: impl Iterator<Item = &'a Bytes>, headers: &HeaderMap) -> Message {
    let mut headers = headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(BATCHED));
    let mut body = vec![b'['];
    let mut count = 0;
    for event in events {
        if count > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event);
        count += 1;
    }
    body.push(b']');
    Message { headers, body: body.into(), events: count }
}
