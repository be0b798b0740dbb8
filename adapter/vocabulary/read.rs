//! Scalars of forges' payloads, borrowed from the body.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use super::time;

/// A string, borrowed unless it has escapes; serde's own `Cow` does not borrow inside an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

/// A time: RFC 3339, or seconds since 1970. Text that is no time is as good as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(pub Option<Timestamp>);

/// The length of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u64);

/// For an event that does not outlive the payload; an empty text is as good as none.
pub fn borrow<'b>(text: Option<&'b Text<'_>>) -> Option<Cow<'b, str>> {
    text.map(Text::lend).filter(|text| !text.is_empty())
}

// === impl Text ===

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

impl Text<'_> {
    /// For an event that does not outlive the payload.
    pub fn lend(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }
}

// === impl When ===

impl When {
    /// Seconds since 1970, as a part of a key: what all spellings of a time have in common.
    pub fn key(when: Option<Self>) -> Option<String> {
        when.and_then(|when| when.0).map(|time| time.as_second().to_string())
    }

    /// The time as exact as it was told, as a part of a key; empty when there is none.
    pub fn exact(when: Option<Self>) -> String {
        when.and_then(|when| when.0).map(|time| time.as_microsecond().to_string()).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = When;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<When, E> {
                Ok(When(time::parse(text)))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<When, E> {
                Ok(When(time::from_epoch(seconds)))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<When, E> {
                Ok(When(i64::try_from(seconds).ok().and_then(time::from_epoch)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

// === impl Count ===

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}
