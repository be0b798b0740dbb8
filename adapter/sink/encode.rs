//! An event as one HTTP message of this sink's content mode.

use ::http::header::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use super::spec::Mode;
use crate::event::Event;
use crate::event::http::{encode_binary, encode_structured};

/// Headers and body of a request.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// The event in a content mode of the CloudEvents HTTP binding.
///
/// # Errors
/// A header that cannot be sent. The binding encodes what headers cannot carry, so this is a `datacontenttype` at most.
pub(super) fn encode(event: &Event, mode: Mode) -> Result<Message, String> {
    let (fields, body) = match mode {
        Mode::Structured => encode_structured(event),
        Mode::Binary => encode_binary(event),
    };
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value));
        let (Ok(name), Ok(value)) = header else {
            return Err(format!(
                "the event cannot be sent in this mode: header `{name}` cannot carry its value"
            ));
        };
        headers.insert(name, value);
    }
    Ok(Message { headers, body })
}
