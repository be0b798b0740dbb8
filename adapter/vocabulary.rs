//! The `CDEvents` vocabulary, and what a forge's payload or a Tekton object says in it.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no random number.

pub mod alias;
pub mod bitbucket;
pub mod bitbucket_data_center;
pub mod cdevent;
pub mod extract;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod locate;
pub mod members;
mod occurrence;
pub mod options;
pub mod outcome;
mod pick;
mod raw;
mod read;
pub mod schema;
pub mod scope;
pub mod tekton;
#[cfg(test)]
mod testing;
mod time;
pub mod told;
pub mod types;

use bytes::Bytes;

pub use self::occurrence::Row;
use self::options::Options;
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

/// What a delivery tells.
#[derive(Debug)]
pub struct Reading {
    /// The raw event, and then the `CDEvents` that the delivery stands for; no two with the same id.
    pub events: Vec<Event>,
    /// What of it could not be used.
    pub misfits: Vec<Misfit>,
}

/// A part of a payload that is not what the forge is known to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where it stands, such as `pull_request.labels[0]`; empty when it is not one field.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// What is not told for it.
    pub costs: Cost,
}

/// What is not told because of a [`Misfit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cost {
    /// The field alone.
    Field,
    /// The `CDEvents` that cannot be without it; the raw event is told.
    Event,
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
    /// It is about what its source does not speak for.
    #[error(transparent)]
    Foreign(#[from] scope::Foreign),
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
/// Those of [`read()`].
pub fn events(webhook: &Webhook) -> Result<Vec<Event>, PayloadError> {
    events_with(webhook, &Options::default())
}

/// The same with options.
///
/// # Errors
/// Those of [`read()`].
pub fn events_with(webhook: &Webhook, options: &Options) -> Result<Vec<Event>, PayloadError> {
    read(webhook, options).map(|reading| reading.events)
}

/// What a delivery tells, and what of it could not be used: a field of another type costs that field, or the `CDEvents` that
/// it identifies.
///
/// # Errors
/// The body is not a JSON object of at most 128 levels and a million values in UTF-8. Anything else that is odd about it, and an
/// event or an action that we do not know, is no error.
pub fn read(webhook: &Webhook, options: &Options) -> Result<Reading, PayloadError> {
    let json = std::str::from_utf8(&webhook.body)
        .map_err(|error| webhook.malformed(format!("it is not UTF-8 after {} bytes", error.valid_up_to())))?;
    if json.len() / 2 >= json::MAX_VALUES || needs_care(json) {
        json::well_formed(&webhook.body).map_err(|error| webhook.unreadable(json, &error))?;
    }
    match webhook.forge {
        Forge::GitHub => github::read(webhook, json, options),
        Forge::Gitea | Forge::Forgejo => gitea::read(webhook, json, options),
        Forge::GitLab => gitlab::read(webhook, json, options),
        Forge::Bitbucket => bitbucket::read(webhook, json, options),
        Forge::BitbucketDataCenter => bitbucket_data_center::read(webhook, json, options),
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

// === impl Cost ===

impl Cost {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Event => "event",
        }
    }
}

// === impl Misfit ===

impl Misfit {
    fn costs_field(path: String, error: &impl std::fmt::Display) -> Self {
        Self { path, reason: shown(error), costs: Cost::Field }
    }

    fn costs_event(path: String, error: &impl std::fmt::Display) -> Self {
        Self { path, reason: shown(error), costs: Cost::Event }
    }
}

/// An error holds what it is about, which may be long.
fn shown(error: &impl std::fmt::Display) -> String {
    const LONGEST: usize = 240;
    let mut text = error.to_string();
    text.truncate(text.floor_char_boundary(LONGEST));
    text
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
fn needs_care(json: &str) -> bool {
    let bytes = json.as_bytes();
    let next = bytes.get(1..).unwrap_or_default();
    let (chunks, next_chunks) = (bytes.as_chunks::<CHUNK>().0, next.as_chunks::<CHUNK>().0);
    let mut levels = 0_usize;
    let mut is_suspect = |index: usize, chunk: &[u8; CHUNK], next: &[u8; CHUNK]| {
        let seen = Seen::of(chunk, next);
        levels += usize::from(seen.openings);
        let start = index * CHUNK;
        usize::from(seen.digits) == CHUNK
            || (seen.suspects && (start..start + CHUNK).any(|at| is_odd(bytes, at)))
    };
    let found =
        chunks.iter().zip(next_chunks).enumerate().any(|(i, (chunk, next))| is_suspect(i, chunk, next));
    // The rest, filled up with spaces; it may be a whole chunk with nothing behind it.
    let done = next_chunks.len();
    let filled = |rest: &[u8]| {
        let mut chunk = [b' '; CHUNK];
        chunk[..rest.len()].copy_from_slice(rest);
        chunk
    };
    let (rest, next_rest) = (&bytes[done * CHUNK..], &next[done * CHUNK..]);
    found || is_suspect(done, &filled(rest), &filled(next_rest)) || levels >= 128
}

/// As many bytes as a byte can count, in whole vectors; a number that is out of range without an exponent fills one.
const CHUNK: usize = 112;

/// What a chunk holds.
struct Seen {
    openings: u8,
    digits: u8,
    suspects: bool,
}

// === impl Seen ===

impl Seen {
    /// Without branches, on arrays, and counted in bytes, so that the compiler makes vector instructions of it.
    #[expect(clippy::needless_bitwise_bool, reason = "branches would keep it from being vectorized")]
    fn of(chunk: &[u8; CHUNK], next: &[u8; CHUNK]) -> Self {
        let (mut openings, mut digits, mut suspects) = (0, 0, 0);
        for index in 0..CHUNK {
            let (byte, next) = (chunk[index], next[index]);
            // An object's brace is followed by a space, a quote or its end, unlike those of the URL templates that
            // GitHub sends.
            let is_object = (byte == b'{') & ((next <= b'"') | (next == b'}'));
            let is_digit = byte.wrapping_sub(b'0') < 10;
            openings += u8::from((byte == b'[') | is_object);
            digits += u8::from(is_digit);
            suspects |= u8::from(((byte == b'\\') & (next == b'u')) | (is_digit & ((next | 0x20) == b'e')));
        }
        Self { openings, digits, suspects: suspects != 0 }
    }
}

/// Whether the escape of a surrogate, or an exponent of two digits or more, begins here.
fn is_odd(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at..).unwrap_or_default() {
        [b'\\', b'u', b'd' | b'D', ..] => true,
        [digit, b'e' | b'E', rest @ ..] if digit.is_ascii_digit() => {
            let rest = rest.strip_prefix(b"+").unwrap_or(rest);
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            // The end of a number: hashes hold the like in plenty, and go on otherwise.
            digits >= 2 && matches!(rest.get(digits), Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
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
        let deep: &'static str = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200)).leak();
        for (body, reason) in [
            (r#"{"x": 1e999}"#, "number out of range"),
            (r#"{"x": "\ud800"}"#, "hex escape"),
            (deep, "recursion limit"),
            ("{\"a\":\n1,}", "trailing comma at line 2 column 3"),
            ("{\"a\"", "EOF"),
            ("{} {}", "trailing characters"),
        ] {
            let error = events(&webhook(body)).unwrap_err().to_string();
            assert!(
                error.starts_with("the body is not a `ping` payload: ") && error.contains(reason),
                "{error}"
            );
        }
        let found = events(&webhook("\n {\"x\": 1}\r\n\t")).unwrap();
        assert_eq!(found[0].data(), &crate::event::Data::Json(Bytes::from_static(b"{\"x\": 1}")));
    }
}
