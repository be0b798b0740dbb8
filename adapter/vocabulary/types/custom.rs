//! Names of custom types: `dev.cdeventsx.<tool>-<subject>.<predicate>.<version>`.

use std::fmt;
use std::str::FromStr;

/// The name of a custom type (`CDEvents` 0.5.1, custom/README.md); its rule is the pattern
/// `^dev\.cdeventsx\.[a-zA-Z0-9]+-[a-zA-Z]+\.[a-zA-Z]+\.[0-9]\.[0-9]\.[0-9]$` of the official schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CustomType(String);

/// Which part of a custom type's name breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{name}` is not a custom CDEvents type: {reason}; write `dev.cdeventsx.<tool>-<subject>.<predicate>.0.1.0`"
)]
pub struct CustomTypeError {
    name: String,
    reason: &'static str,
}

// === impl CustomType ===

impl CustomType {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its version.
    pub fn base(&self) -> &str {
        // The version is three digits with a dot before each.
        &self.0[..self.0.len() - ".0.0.0".len()]
    }
}

impl FromStr for CustomType {
    type Err = CustomTypeError;

    fn from_str(name: &str) -> Result<Self, CustomTypeError> {
        match broken_rule(name) {
            None => Ok(Self(name.to_owned())),
            Some(reason) => Err(CustomTypeError { name: name.to_owned(), reason }),
        }
    }
}

impl fmt::Display for CustomType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn broken_rule(name: &str) -> Option<&'static str> {
    let Some(rest) = name.strip_prefix("dev.cdeventsx.") else {
        return Some("it does not start with `dev.cdeventsx.`");
    };
    let mut parts = rest.split('.');
    let Some((tool, subject)) = parts.next().unwrap_or_default().split_once('-') else {
        return Some("a tool and a subject joined by `-` must follow the prefix");
    };
    if tool.is_empty() || !tool.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Some("the tool's name must consist of letters and digits");
    }
    if !is_word(subject) {
        return Some("the subject must consist of letters");
    }
    if !parts.next().is_some_and(is_word) {
        return Some("the predicate must consist of letters");
    }
    let version: Vec<&str> = parts.take(4).collect();
    let digit = |part: &&str| part.len() == 1 && part.bytes().all(|b| b.is_ascii_digit());
    if version.len() != 3 || !version.iter().all(digit) {
        return Some("the version must be three numbers of one digit each");
    }
    None
}

fn is_word(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphabetic())
}
