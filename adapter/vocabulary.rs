//! The `CDEvents` vocabulary, and what a forge's payload or a Tekton object says in it.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no random number.

pub mod bitbucket;
pub mod bitbucket_data_center;
pub mod cdevent;
pub mod extract;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod locate;
mod occurrence;
pub mod outcome;
mod raw;
mod read;
pub mod schema;
pub mod tekton;
mod time;
pub mod types;
mod uri;

use bytes::Bytes;

pub use self::occurrence::Row;
use self::outcome::Outcomes;
use crate::event::{AttributeError, Event, json};

/// A code forge whose webhooks we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forge {
    /// GitHub and GitHub Enterprise.
    GitHub,
    /// Gitea.
    Gitea,
    /// Forgejo: what Gitea sends, with headers of its own besides.
    Forgejo,
    /// GitLab, of one's own or not.
    GitLab,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Bitbucket Data Center, once Bitbucket Server and Stash.
    BitbucketDataCenter,
}

/// All forges, by the names that settings have for them.
const FORGES: &[(&str, Forge)] = &[
    ("github", Forge::GitHub),
    ("gitea", Forge::Gitea),
    ("forgejo", Forge::Forgejo),
    ("gitlab", Forge::GitLab),
    ("bitbucket", Forge::Bitbucket),
    ("bitbucket-data-center", Forge::BitbucketDataCenter),
];

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
#[error("`{0}` is not a forge that we know; the forges are: {forges}", forges = Forge::names().join(", "))]
pub struct UnknownForge(String);

impl std::str::FromStr for Forge {
    type Err = UnknownForge;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = FORGES.iter().find(|(name, _)| *name == text);
        found.map(|(_, forge)| *forge).ok_or_else(|| UnknownForge(text.to_owned()))
    }
}

/// The raw event, and then the `CDEvents` that the delivery stands for; no two with the same id.
///
/// # Errors
/// The body is not a JSON object of at most 128 levels and a million values in UTF-8, or a part that the event cannot be without is absent
/// or of another type; the error names it. An event or an action that we do not know is no error.
pub fn events(webhook: &Webhook) -> Result<Vec<Event>, PayloadError> {
    events_with(webhook, &Outcomes::default())
}

/// The same with another table of outcomes.
///
/// # Errors
/// Those of [`events`].
pub fn events_with(webhook: &Webhook, outcomes: &Outcomes) -> Result<Vec<Event>, PayloadError> {
    let json = std::str::from_utf8(&webhook.body)
        .map_err(|error| webhook.malformed(format!("it is not UTF-8 after {} bytes", error.valid_up_to())))?;
    if json.len() / 2 >= json::MAX_VALUES || needs_care(json) {
        json::well_formed(&webhook.body).map_err(|error| webhook.unreadable(json, &error))?;
    }
    match webhook.forge {
        Forge::GitHub => github::events(webhook, json, outcomes),
        Forge::Gitea | Forge::Forgejo => gitea::events(webhook, json, outcomes),
        Forge::GitLab => gitlab::events(webhook, json, outcomes),
        Forge::Bitbucket => bitbucket::events(webhook, json, outcomes),
        Forge::BitbucketDataCenter => bitbucket_data_center::events(webhook, json, outcomes),
    }
}

// === impl Forge ===

impl Forge {
    /// Its name in settings and in `customData`, such as `github`.
    pub fn name(self) -> &'static str {
        FORGES.iter().find(|(_, forge)| *forge == self).map_or("", |(name, _)| *name)
    }

    /// The names of all of them.
    pub fn names() -> Vec<&'static str> {
        FORGES.iter().map(|(name, _)| *name).collect()
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

/// Whether a text may hold what `serde_json` lets pass where nobody looks, and what no tree can hold: more than 128
/// levels, an unpaired surrogate, a number like 1e999. Almost none does, and this is quick to see.
///
/// An object's brace is followed by a space, a quote or its end, unlike those of the URL templates that GitHub sends.
#[expect(clippy::needless_bitwise_bool, reason = "branches would keep it from being vectorized")]
fn needs_care(json: &str) -> bool {
    /// A number that is out of range without an exponent fills one of these.
    const CHUNK: usize = 127;
    // Without branches, and counted in bytes, so that the compiler makes vector instructions of it.
    let opening = |byte: u8, next: u8| {
        let space = (next == b' ') | (next == b'\t') | (next == b'\n') | (next == b'\r');
        u8::from((byte == b'[') | ((byte == b'{') & ((next == b'"') | (next == b'}') | space)))
    };
    let odd = |byte: u8, next: u8| {
        let exponent = byte.is_ascii_digit() & ((next | 0x20) == b'e');
        u8::from(((byte == b'\\') & (next == b'u')) | exponent)
    };
    let bytes = json.as_bytes();
    let next = bytes.get(1..).unwrap_or_default();
    let mut levels = 0_usize;
    for (index, (chunk, next)) in bytes.chunks(CHUNK).zip(next.chunks(CHUNK)).enumerate() {
        let pairs = || chunk.iter().zip(next);
        levels += usize::from(pairs().map(|(byte, next)| opening(*byte, *next)).sum::<u8>());
        let suspects: u8 = pairs().map(|(byte, next)| odd(*byte, *next)).sum();
        let digits: u8 = chunk.iter().map(|byte| u8::from(byte.is_ascii_digit())).sum();
        let start = index * CHUNK;
        if usize::from(digits) == CHUNK
            || (suspects > 0 && (start..start + CHUNK).any(|at| is_odd(bytes, at)))
        {
            return true;
        }
    }
    levels >= 128
}

/// Whether the escape of a surrogate, or an exponent of three digits or more, begins here.
fn is_odd(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at..).unwrap_or_default() {
        [b'\\', b'u', b'd' | b'D', ..] => true,
        [digit, b'e' | b'E', rest @ ..] if digit.is_ascii_digit() => {
            let rest = rest.strip_prefix(b"+").unwrap_or(rest);
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            // The end of a number: hashes hold the like in plenty, and go on otherwise.
            digits >= 3 && matches!(rest.get(digits), Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_tree_can_hold_is_seen() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{ \"a\" : [", "] }")] {
            assert!(needs_care(&format!("{{\"x\": {}1{}}}", open.repeat(128), close.repeat(128))), "{open}");
        }
        for odd in ["\"\\ud800\"", "1e999", "-0.5E+400 ", &"9".repeat(400), "[1e400]"] {
            for before in 0..300 {
                let text = format!("{{\"{}\":{odd}}}", "a".repeat(before));
                assert!(needs_care(&text), "{text}");
                assert!(serde_json::from_str::<serde_json::Value>(&text).is_err(), "{text}");
            }
        }
        let hash = "0e123456789012345678901234567890e1234567";
        let plain = format!("{{\"sha\": \"{hash}\", \"n\": 1e2, \"t\": \"\\u00e4\"}}");
        assert!(!needs_care(&plain));
        let templates = format!("{{\"url\": \"{}\"}}", "https://x{/y}".repeat(200));
        assert!(!needs_care(&templates));
    }

    #[test]
    fn a_payload_that_no_tree_can_hold_is_refused_and_the_space_around_one_is_dropped() {
        let webhook = |body: &'static str| Webhook {
            forge: Forge::GitHub,
            event: "ping".to_owned(),
            delivery: "1".to_owned(),
            body: Bytes::from_static(body.as_bytes()),
            received: jiff::Timestamp::UNIX_EPOCH,
        };
        for body in [r#"{"x": 1e999}"#, r#"{"x": "\ud800"}"#] {
            let error = events(&webhook(body)).unwrap_err().to_string();
            assert!(error.starts_with("the body is not a `ping` payload: "), "{error}");
        }
        let found = events(&webhook("\n {\"x\": 1}\r\n\t")).unwrap();
        assert_eq!(found[0].data(), &crate::event::Data::Json(Bytes::from_static(b"{\"x\": 1}")));
    }
}
