//! The rules of CloudEvents context attributes (specification 1.0.2, "Attribute Naming Conventions" and
//! "Type System").

use std::borrow::Cow;

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
    #[error("attribute name `{0}` must consist of the characters a-z and 0-9 only")]
    Name(String),
    /// An extension with the name of a context attribute or of the payload.
    #[error("`{0}` cannot be an extension attribute: the name is taken")]
    Reserved(String),
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

pub(crate) fn check_required(name: &str, value: &str) -> Result<(), AttributeError> {
    if value.is_empty() { Err(AttributeError::Empty(name.to_owned())) } else { Ok(()) }
}

pub(crate) fn check_source(value: &str) -> Result<(), AttributeError> {
    check_required("source", value)
}

pub(crate) fn check_time(value: &str) -> Result<(), AttributeError> {
    value
        .parse::<jiff::Timestamp>()
        .map(drop)
        .map_err(|_| AttributeError::Value { name: "time".into(), rule: "an RFC 3339 timestamp" })
}

pub(crate) fn check_extension(name: &str, _value: &ExtensionValue) -> Result<(), AttributeError> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) {
        return Err(AttributeError::Name(name.to_owned()));
    }
    Ok(())
}
