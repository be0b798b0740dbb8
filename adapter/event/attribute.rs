//! The rules of CloudEvents context attributes (specification 1.0.2, "Attribute Naming Conventions" and
//! "Type System").

mod media_type;

use std::borrow::Cow;

pub use media_type::MediaType;

use super::uri::grammar;

/// The value of an extension attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtensionValue {
    /// A string of allowed Unicode characters.
    String(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number of 32 bits.
    Integer(i32),
}

/// Why an attribute was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// A required attribute is absent or empty.
    #[error("attribute `{0}` must be a non-empty string")]
    Empty(String),
    /// A name that is not lower-case letters and digits.
    #[error("attribute name `{}` must consist of the characters a-z and 0-9 only", shown(.0))]
    Name(String),
    /// An extension with the name of a context attribute or of the payload.
    #[error("`{0}` cannot be an extension attribute: the name is taken")]
    Reserved(String),
    /// A character that no attribute may hold (specification, "Type System", String).
    #[error(
        "attribute `{name}` must not contain the character U+{character:04X}: \
         control characters and noncharacters are not allowed"
    )]
    Character {
        /// The attribute's name.
        name: String,
        /// The character.
        character: u32,
    },
    /// A value that breaks the rule of its type.
    #[error("attribute `{name}` must be {rule}")]
    Value {
        /// The attribute's name.
        name: String,
        /// What it must be.
        rule: &'static str,
    },
}

// === impl ExtensionValue ===

impl ExtensionValue {
    /// The canonical string form.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::String(text) => Cow::Borrowed(text),
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
            Self::Integer(number) => Cow::Owned(number.to_string()),
        }
    }
}

impl From<&str> for ExtensionValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for ExtensionValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for ExtensionValue {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

impl From<i32> for ExtensionValue {
    fn from(number: i32) -> Self {
        Self::Integer(number)
    }
}

/// Context attributes, in the order of the specification ("Context Attributes"); all of them are texts.
pub(crate) const CONTEXT: [&str; 8] =
    ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"];

/// The names that extensions cannot take: the context attributes and the members of the JSON format.
pub(crate) const RESERVED: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
    "data_base64",
];

/// A name from outside as an error may show it: printable and short.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A non-empty string of allowed characters: `id`, `type` and `subject`.
pub(crate) fn check_required(name: &str, value: &str) -> Result<(), AttributeError> {
    if value.is_empty() {
        return Err(AttributeError::Empty(name.to_owned()));
    }
    check_characters(name, value)
}

/// `source`: a URI-reference, RFC 3986, section 4.1.
pub(crate) fn check_source(value: &str) -> Result<(), AttributeError> {
    check_required("source", value)?;
    if grammar::is_reference(value) {
        Ok(())
    } else {
        Err(AttributeError::Value { name: "source".into(), rule: "a URI-reference (RFC 3986, section 4.1)" })
    }
}

/// `dataschema`: a URI, so with a scheme; RFC 3986, section 3.
pub(crate) fn check_dataschema(value: &str) -> Result<(), AttributeError> {
    check_required("dataschema", value)?;
    if grammar::is_uri(value) {
        Ok(())
    } else {
        Err(AttributeError::Value {
            name: "dataschema".into(),
            rule: "a URI with a scheme (RFC 3986, section 3)",
        })
    }
}

/// `datacontenttype`: a media type with parameters, RFC 2046.
pub(crate) fn check_datacontenttype(value: &str) -> Result<(), AttributeError> {
    // What nearly every event has.
    if value == "application/json" {
        return Ok(());
    }
    check_required("datacontenttype", value)?;
    if MediaType::parse(value).is_some() {
        Ok(())
    } else {
        Err(AttributeError::Value {
            name: "datacontenttype".into(),
            rule: "a media type such as `application/json` (RFC 2046)",
        })
    }
}

/// `time`: a timestamp, RFC 3339, section 5.6. jiff accepts more spellings (a space, a zone in brackets, offsets
/// without a colon), so the grammar is checked here and jiff only knows the calendar.
pub(crate) fn check_time(value: &str) -> Result<(), AttributeError> {
    if is_rfc3339(value.as_bytes()).is_some() {
        Ok(())
    } else {
        Err(AttributeError::Value {
            name: "time".into(),
            rule: "an RFC 3339 timestamp such as `2026-01-31T12:00:00Z`",
        })
    }
}

/// An extension: its name is free and spelled by the rule, its value is of the type system.
pub(crate) fn check_extension(name: &str, value: &ExtensionValue) -> Result<(), AttributeError> {
    if RESERVED.contains(&name) {
        return Err(AttributeError::Reserved(name.to_owned()));
    }
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(AttributeError::Name(name.to_owned()));
    }
    match value {
        ExtensionValue::String(text) => check_characters(name, text),
        ExtensionValue::Boolean(_) | ExtensionValue::Integer(_) => Ok(()),
    }
}

/// Refuses U+0000 to U+001F, U+007F to U+009F and the noncharacters; surrogates cannot be in a Rust string.
fn check_characters(name: &str, value: &str) -> Result<(), AttributeError> {
    // Nearly every value is printable ASCII, which is seen without a branch, sixteen bytes at once; only the others need a
    // look at each character.
    if value.bytes().fold(true, |all, b| all & (0x20..0x7f).contains(&b)) {
        return Ok(());
    }
    match value.chars().find(|c| c.is_control() || is_noncharacter(*c)) {
        None => Ok(()),
        Some(c) => Err(AttributeError::Character { name: name.to_owned(), character: u32::from(c) }),
    }
}

fn is_noncharacter(c: char) -> bool {
    let code = u32::from(c);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}

/// `date-time` of RFC 3339: `Some` when `text` is one, with a day that the calendar has.
fn is_rfc3339(text: &[u8]) -> Option<()> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let &[b'T' | b't', h1, h2, b':', n1, n2, b':', s1, s2] = time else { return None };
    let year = i16::from(number(y1, y2)?) * 100 + i16::from(number(y3, y4)?);
    jiff::civil::Date::new(year, i8::try_from(number(m1, m2)?).ok()?, i8::try_from(number(d1, d2)?).ok()?)
        .ok()?;
    // A leap second is a 60.
    let (hour, minute, second) = (number(h1, h2)?, number(n1, n2)?, number(s1, s2)?);
    let rest = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            (digits > 0).then(|| &fraction[digits..])?
        }
        rest => rest,
    };
    let offset_fits = match rest {
        [b'Z' | b'z'] => true,
        &[b'+' | b'-', h1, h2, b':', m1, m2] => number(h1, h2)? < 24 && number(m1, m2)? < 60,
        _ => false,
    };
    (hour < 24 && minute < 60 && second <= 60 && offset_fits).then_some(())
}

/// Two decimal digits.
fn number(tens: u8, ones: u8) -> Option<u8> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| (tens - b'0') * 10 + ones - b'0')
}

#[cfg(test)]
mod tests;
