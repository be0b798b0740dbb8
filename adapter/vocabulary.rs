//! The `CDEvents` vocabulary, and what a forge's payload or a Tekton object says in it.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no random number.

pub mod cdevent;
pub mod extract;
pub mod github;
mod locate;
pub mod outcome;
pub mod tekton;
mod time;
pub mod types;
mod uri;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};

use crate::event::{AttributeError, Event};

/// A code forge whose webhooks we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forge {
    /// GitHub and GitHub Enterprise.
    GitHub,
}

/// One webhook delivery, authenticated, with its body as JSON text.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Who sent it.
    pub forge: Forge,
    /// The forge's name of the event, such as `pull_request`.
    pub event: String,
    /// The forge's id of the delivery; the same on redelivery.
    pub delivery: String,
    /// The JSON body.
    pub body: Bytes,
    /// When we received it; used only where the payload has no time of its own.
    pub received: jiff::Timestamp,
}

/// Why a payload gives no events.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The body is not what the forge sends.
    #[error("the body is not a `{event}` payload: {reason}")]
    Malformed {
        /// The event's name.
        event: String,
        /// What is wrong, with its place.
        reason: String,
    },
    /// What the payload says cannot be an attribute of an event.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// What the payload says cannot be written as a `CDEvent`.
    #[error(transparent)]
    Write(#[from] cdevent::CdEventError),
}

/// The name of a forge that we do not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a forge that we know; the forges are: github")]
pub struct UnknownForge(String);

impl std::str::FromStr for Forge {
    type Err = UnknownForge;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "github" => Ok(Self::GitHub),
            other => Err(UnknownForge(other.to_owned())),
        }
    }
}

/// The raw event, and then the `CDEvents` that the delivery stands for; no two with the same id.
///
/// # Errors
/// The body is not a JSON object of at most 128 levels in UTF-8, or a part that the event cannot be without is absent
/// or of another type; the error names it. An event or an action that we do not know is no error.
pub fn events(webhook: &Webhook) -> Result<Vec<Event>, PayloadError> {
    let json = std::str::from_utf8(&webhook.body)
        .map_err(|error| webhook.malformed(format!("it is not UTF-8 after {} bytes", error.valid_up_to())))?;
    if may_be_deep(json) {
        serde_json::from_str::<Depth>(json).map_err(|error| webhook.unreadable(json, &error))?;
    }
    match webhook.forge {
        Forge::GitHub => github::events(webhook, json),
    }
}

// === impl Webhook ===

impl Webhook {
    fn malformed(&self, reason: impl Into<String>) -> PayloadError {
        let event: String = self.event.chars().take(80).collect();
        PayloadError::Malformed { event, reason: reason.into() }
    }

    /// A serde error with the path of the field.
    fn unreadable(&self, json: &str, error: &serde_json::Error) -> PayloadError {
        let place = match error.classify() {
            serde_json::error::Category::Data => locate::path_at(json, error.line(), error.column()),
            _ => String::new(),
        };
        self.malformed(if place.is_empty() { error.to_string() } else { format!("`{place}`: {error}") })
    }
}

/// Whether a text can hold more than 128 levels at all; almost none can, and this is quick to see.
///
/// An object's brace is followed by a space, a quote or its end, unlike those of the URL templates that GitHub sends.
#[expect(clippy::needless_bitwise_bool, reason = "branches would keep it from being vectorized")]
fn may_be_deep(json: &str) -> bool {
    // Without branches, and counted in bytes, so that the compiler makes vector instructions of it.
    let opening = |byte: u8, next: u8| {
        let space = (next == b' ') | (next == b'\t') | (next == b'\n') | (next == b'\r');
        u8::from((byte == b'[') | ((byte == b'{') & ((next == b'"') | (next == b'}') | space)))
    };
    let bytes = json.as_bytes();
    let next = bytes.get(1..).unwrap_or_default();
    let found: usize = bytes
        .chunks(255)
        .zip(next.chunks(255))
        .map(|(bytes, next)| bytes.iter().zip(next).map(|(byte, next)| opening(*byte, *next)).sum::<u8>())
        .map(usize::from)
        .sum();
    found >= 128
}

/// Reads everything and keeps nothing; `serde_json` counts levels only where values are visited.
struct Depth;

impl<'de> Deserialize<'de> for Depth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<serde::de::IgnoredAny, Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_more_than_128_levels_are_seen() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{ \"a\" : [", "] }")] {
            let deep = format!("{{\"x\": {}1{}}}", open.repeat(128), close.repeat(128));
            assert!(may_be_deep(&deep) && serde_json::from_str::<Depth>(&deep).is_err(), "{open}");
        }
        let templates = format!("{{\"url\": \"{}\"}}", "https://x{/y}".repeat(200));
        assert!(!may_be_deep(&templates));
    }
}
