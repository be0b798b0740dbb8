//! Which events a mapping is for: attribute patterns with `*`, and event types with or without their version.

use serde_json::Value;

use super::cel::{Fact, Facts};
use super::filter::{self, Certainty};
use crate::event::Event;
pub(crate) use crate::event::glob::Glob;

/// One entry of `events`: every attribute must match.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) attributes: Vec<(String, Glob)>,
}

/// Where the index keeps a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum IndexKey {
    /// Events of exactly this type, with or without its version.
    Type(String),
    /// The same, of exactly this source only.
    TypeAndSource(String, String),
    /// Events whose type starts so; ends with `.` or is empty.
    Prefix(String),
}

/// Whether a pattern for `type` matches: the version suffix of the event may be left out of the pattern.
pub(crate) fn matches_type(glob: &Glob, ty: &str) -> bool {
    glob.matches(ty) || without_version(ty).is_some_and(|bare| glob.matches(bare))
}

// === impl Pattern ===

impl Pattern {
    pub(crate) fn new(mut attributes: Vec<(String, Glob)>) -> Self {
        // The index has looked at the type already, so another attribute is more likely to settle the matter.
        attributes.sort_by_key(|(name, _)| name == "type");
        Self { attributes }
    }

    pub(crate) fn matches(&self, event: &Event) -> bool {
        self.attributes.iter().all(|(name, glob)| {
            if name == "type" {
                matches_type(glob, event.ty())
            } else {
                event.attribute(name).is_some_and(|value| glob.matches(&value))
            }
        })
    }

    /// Whether an event of which only a part is known is one of these.
    pub(crate) fn certainty(&self, known: &Facts<'_>) -> Certainty {
        filter::all(self.attributes.iter().map(|(name, glob)| match known(&[name]) {
            Fact::Is(Value::String(value)) => {
                let matches = if name == "type" { matches_type(glob, &value) } else { glob.matches(&value) };
                if matches { Certainty::Always } else { Certainty::Never }
            }
            Fact::Is(_) | Fact::Absent => Certainty::Never,
            Fact::Present | Fact::Unknown if glob.as_str() == "*" => Certainty::Always,
            Fact::Present | Fact::Unknown => Certainty::Possible,
        }))
    }

    /// Where the index keeps it, when the filter behind it wants nothing but `source`.
    pub(crate) fn index_key(&self, source: Option<&str>) -> IndexKey {
        let Some(glob) = self.attribute("type") else {
            return IndexKey::Prefix(String::new());
        };
        match glob.as_str().split_once('*') {
            None => {
                let ty = glob.as_str().to_owned();
                let literal = self.attribute("source").filter(|glob| glob.is_literal()).map(Glob::as_str);
                match literal.or(source) {
                    Some(source) => IndexKey::TypeAndSource(ty, source.to_owned()),
                    None => IndexKey::Type(ty),
                }
            }
            Some((literal, _)) => {
                let end = literal.rfind('.').map_or(0, |dot| dot + 1);
                IndexKey::Prefix(literal[..end].to_owned())
            }
        }
    }

    fn attribute(&self, name: &str) -> Option<&Glob> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, glob)| glob)
    }
}

/// The type of a CDEvent without its version: `dev.cdevents.change.created` for `dev.cdevents.change.created.0.4.0`.
///
/// `None` when the type is no CDEvent's or has no version.
pub(crate) fn without_version(ty: &str) -> Option<&str> {
    if !is_cdevent(ty) {
        return None;
    }
    // Every mapping for the type asks this of every event, so it looks at the few bytes of the version only.
    let mut rest = ty.strip_suffix("-draft").unwrap_or(ty).as_bytes();
    for _ in 0..3 {
        let number = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        rest = rest[..rest.len() - number].strip_suffix(b".").filter(|_| number > 0)?;
    }
    ty.get(..rest.len())
}

/// Whether a type is of the CDEvents vocabulary or one of its custom types.
pub(crate) fn is_cdevent(ty: &str) -> bool {
    ty.starts_with("dev.cdevents.") || ty.starts_with("dev.cdeventsx.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_may_be_left_out() {
        let ty = "dev.cdevents.change.created.0.4.0";
        for glob in ["dev.cdevents.change.created", ty, "dev.cdevents.*.created", "dev.cdevents.change.*"] {
            assert!(matches_type(&Glob::new(glob), ty), "{glob}");
        }
        assert!(!matches_type(&Glob::new("dev.cdevents.change"), ty));
        assert_eq!(without_version("com.github.push.1.2.3"), None);
        for ty in ["dev.cdevents.change.created", "dev.cdevents.change.created.0.4", "dev.cdevents.x.1..2"] {
            assert_eq!(without_version(ty), None, "{ty}");
        }
        assert_eq!(
            without_version("dev.cdevents.change.created.0.4.0-draft"),
            Some("dev.cdevents.change.created")
        );
    }
}
