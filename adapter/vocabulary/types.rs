//! The event types of `CDEvents` 0.5.1 as data, custom types, and the check of content against the table.

mod check;
mod custom;
mod table;

use std::fmt;

pub use check::check;
pub(super) use check::fits;
pub use custom::{CustomType, CustomTypeError};
pub use table::TYPES;

/// The version of the specification that we write.
pub const SPECVERSION: &str = "0.5.1";

/// Where the official schemas say that they live.
const SCHEMAS: &str = "https://cdevents.dev/0.5.1/schema/";

/// One type of the specification: `dev.cdevents.<subject>.<predicate>.<version>`.
#[derive(Debug, PartialEq, Eq)]
pub struct EventType {
    /// What the event is about, such as `change`.
    pub subject: &'static str,
    /// What happened to it, such as `created`.
    pub predicate: &'static str,
    /// The version that we write: major, minor, patch.
    pub version: [u32; 3],
    /// The fields of `subject.content`; no other is allowed.
    pub fields: &'static [Field],
}

/// One field of a content object.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its JSON name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be left out.
    pub presence: Presence,
}

/// Whether a field may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The schema requires it.
    Required,
    /// It may be left out; `null` is not the same as absent.
    Optional,
}

/// What a field holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any string, also the empty one.
    Text,
    /// A string of at least one character.
    NonEmpty,
    /// An absolute URI (RFC 3986, section 3).
    Uri,
    /// A non-empty URI-reference (RFC 3986, section 4.1).
    UriReference,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Any string, preferably one of these words.
    Suggested(&'static [&'static str], Empty),
    /// An array of strings.
    Texts,
    /// An object with these fields.
    Object(&'static [Field], Extra),
}

/// Whether a free string may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

/// Whether an object may have fields that the table does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extra {
    /// It may.
    Allowed,
    /// It may not.
    Refused,
}

/// The type of a `CDEvent` that we can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// One of the specification.
    Standard(&'static EventType),
    /// One of somebody's own vocabulary.
    Custom(CustomType),
}

/// Why a name is not the name of a `CDEvents` type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TypeError {
    /// No such subject and predicate in the specification.
    #[error("`{name}` is not a type of CDEvents 0.5.1{}", did_you_mean(.closest.as_deref()))]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest type that exists, without its version.
        closest: Option<String>,
    },
    /// The subject and predicate exist, but with another major version.
    #[error("`{name}`: CDEvents 0.5.1 knows this type as `{known}`")]
    Version {
        /// What was asked for.
        name: String,
        /// The full name that exists.
        known: String,
    },
    /// A custom type that breaks the rule for their names.
    #[error(transparent)]
    Custom(#[from] CustomTypeError),
}

// === impl EventType ===

impl EventType {
    /// `dev.cdevents.<subject>.<predicate>`: the name that survives a change of version.
    pub fn base(&self) -> String {
        format!("dev.cdevents.{}.{}", self.subject, self.predicate)
    }

    /// The `$id` of the official schema, for `dataschema`.
    pub fn schema(&self) -> String {
        // The one schema whose identifier is not spelt like its type.
        let subject = if self.subject == "testoutput" { "test-output" } else { self.subject };
        [SCHEMAS, subject, "-", self.predicate, "-event"].concat()
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.version;
        write!(f, "dev.cdevents.{}.{}.{major}.{minor}.{patch}", self.subject, self.predicate)
    }
}

// === impl Type ===

impl Type {
    /// Reads the name of a type as a user writes it: of the specification with or without its version, or custom.
    ///
    /// # Errors
    /// No such type; the error names the nearest one.
    pub fn parse(name: &str) -> Result<Self, TypeError> {
        if name.starts_with("dev.cdeventsx.") {
            return Ok(Self::Custom(name.parse()?));
        }
        let unknown = || TypeError::Unknown { name: name.to_owned(), closest: closest(name) };
        let (found, version) = split(name).ok_or_else(unknown)?;
        match version {
            Some(version) if !same_major(found, version) => {
                Err(TypeError::Version { name: name.to_owned(), known: found.to_string() })
            }
            _ => Ok(Self::Standard(found)),
        }
    }

    /// The name without its version; part of every id that we compute.
    pub fn base(&self) -> String {
        match self {
            Self::Standard(ty) => ty.base(),
            Self::Custom(ty) => ty.base().to_owned(),
        }
    }

    /// The identifier of the schema that every event of this type satisfies.
    pub fn schema(&self) -> String {
        match self {
            Self::Standard(ty) => ty.schema(),
            Self::Custom(_) => format!("{SCHEMAS}custom"),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard(ty) => ty.fmt(f),
            Self::Custom(ty) => ty.fmt(f),
        }
    }
}

impl From<&'static EventType> for Type {
    fn from(ty: &'static EventType) -> Self {
        Self::Standard(ty)
    }
}

impl From<CustomType> for Type {
    fn from(ty: CustomType) -> Self {
        Self::Custom(ty)
    }
}

/// The type of an event that came in: its subject and predicate are known and the major version is ours. Any
/// minor version, patch and `-draft` suffix is accepted, so that a sender may be newer or older than we are.
pub fn lookup(ty: &str) -> Option<&'static EventType> {
    let (found, version) = split(ty)?;
    same_major(found, version?).then_some(found)
}

/// The type of which this is the name with an earlier version of the same major, such as `dev.cdevents.change.created.0.3.0`.
pub fn outdated(ty: &str) -> Option<&'static EventType> {
    let (found, version) = split(ty)?;
    let version = version.filter(|version| same_major(found, version))?;
    let mut numbers = version.split('-').next()?.split('.').map(|number| number.parse::<u32>().ok());
    let version = [numbers.next()??, numbers.next()??, numbers.next()??];
    (version < found.version).then_some(found)
}

/// The full name for one without a version, such as `dev.cdevents.change.created`.
pub fn resolve(base: &str) -> Option<&'static EventType> {
    match split(base)? {
        (found, None) => Some(found),
        (_, Some(_)) => None,
    }
}

/// The known type nearest to a misspelt one, without its version, for "did you mean"; `None` when nothing is near.
pub fn closest(name: &str) -> Option<String> {
    // An attribute of any length may come here; a name is short.
    if name.len() > 128 {
        return None;
    }
    let wanted = without_version(name.trim()).to_ascii_lowercase();
    TYPES
        .iter()
        .map(EventType::base)
        .map(|base| (distance(&wanted, &base), base))
        .min_by_key(|(far, _)| *far)
        .filter(|(far, _)| *far <= 6)
        .map(|(_, base)| base)
}

fn did_you_mean(closest: Option<&str>) -> String {
    closest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Finds subject and predicate, and hands back the version if there is one.
fn split(name: &str) -> Option<(&'static EventType, Option<&str>)> {
    let rest = name.strip_prefix("dev.cdevents.")?;
    let (subject, rest) = rest.split_once('.')?;
    let (predicate, version) = match rest.split_once('.') {
        Some((predicate, version)) => (predicate, Some(version)),
        None => (rest, None),
    };
    TYPES.iter().find(|ty| ty.subject == subject && ty.predicate == predicate).map(|ty| (ty, version))
}

fn same_major(ty: &EventType, version: &str) -> bool {
    let (numbers, suffix) = version.split_once('-').map_or((version, None), |(n, s)| (n, Some(s)));
    let mut parts = numbers.split('.');
    let mut number = || {
        parts
            .next()
            .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|n| n.parse::<u32>().ok())
    };
    let parsed = [number(), number(), number()];
    parsed[0] == Some(ty.version[0])
        && parsed.iter().all(Option::is_some)
        && parts.next().is_none()
        && suffix.is_none_or(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.'))
}

fn without_version(name: &str) -> &str {
    name.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit())
}

/// Levenshtein's distance between two short ASCII names.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
