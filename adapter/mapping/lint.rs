//! What works and is probably not meant: types that nothing sends, paths that no event has, variables of other programs,
//! mappings that trigger each other. A wrong warning is worse than none, so what is not known is passed over.

pub(super) mod circles;
pub(super) mod events;
pub(super) mod paths;
pub(super) mod variables;

use std::collections::{BTreeMap, HashSet};

use super::Catalog;
use super::document::{ActionKind, Document, Pattern};
use crate::event::VOUCHER;
use crate::expression::pattern::{Glob, matches_type, without_version};
use crate::vocabulary::told::types;

/// The most types of one length among which a slip of the finger is looked for.
const MAX_NAMES: usize = 200;

/// Extensions that we set or that others often do.
const EXTENSIONS: [&str; 10] = [
    "pipewrightsource",
    "correlationid",
    "causationid",
    "partitionkey",
    "sequence",
    "sequencetype",
    "dataref",
    "traceparent",
    "tracestate",
    "times",
];
/// What is sent besides what forges and runs tell: by the mappings themselves, and by what the settings name.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The types that mappings emit.
    emitted: HashSet<String>,
    /// The same without their version, by their length.
    by_length: BTreeMap<usize, HashSet<String>>,
    /// Those of them whose `customData` is the author's own, without their version.
    customised: HashSet<String>,
    /// The extension attributes that mappings set.
    extensions: HashSet<String>,
    /// The types of the settings' sources without a forge, and whether more follows after a dot.
    sources: Vec<(String, bool)>,
    /// The types of private vocabularies.
    private: Vec<String>,
}

// === impl Told ===

impl Told {
    pub(super) fn of(documents: &[Document], catalog: &Catalog) -> Self {
        let mut told = Self {
            sources: catalog.source_types.clone(),
            private: catalog.schemas.types().filter(|ty| !types().has(ty)).map(str::to_owned).collect(),
            ..Self::default()
        };
        for action in documents.iter().flat_map(|document| &document.actions) {
            let ActionKind::Emit(emit) = &action.kind else { continue };
            if emit.custom_data.is_some() {
                told.customised.insert(without_version(&emit.ty).unwrap_or(&emit.ty).to_owned());
            }
            told.extensions.extend(emit.extensions.iter().map(|(name, _)| name.clone()));
            told.emitted.insert(emit.ty.to_string());
        }
        let names: Vec<String> = told.names().map(str::to_owned).collect();
        for name in names {
            told.by_length.entry(name.len()).or_default().insert(name);
        }
        told
    }

    /// Whether something of it is a type that the pattern is for.
    fn sends(&self, glob: &Glob) -> bool {
        let ty = glob.as_str();
        let of_source = |(source, is_open): &(String, bool)| {
            if *is_open {
                let begins = ty.strip_prefix(source.as_str()).is_some_and(|rest| rest.starts_with('.'));
                begins || matches_type(glob, source) || glob.matches(&format!("{source}."))
            } else {
                matches_type(glob, source)
            }
        };
        let is_emitted = if glob.is_literal() {
            self.emitted.contains(ty) || self.by_length.get(&ty.len()).is_some_and(|names| names.contains(ty))
        } else {
            self.emitted.iter().any(|it| matches_type(glob, it))
        };
        is_emitted
            || self.sources.iter().any(of_source)
            || self.private.iter().any(|it| matches_type(glob, it))
    }

    /// The types, without their versions, that are nearly as long as this one, unless there are very many.
    fn as_long_as(&self, ty: &str) -> impl Iterator<Item = &str> {
        let lengths = ty.len().saturating_sub(1)..=ty.len() + 1;
        let few = self.by_length.range(lengths).filter(|(_, names)| names.len() <= MAX_NAMES);
        few.flat_map(|(_, names)| names).map(String::as_str)
    }

    /// The names, without versions, for suggestions.
    fn names(&self) -> impl Iterator<Item = &str> {
        let sources = self.sources.iter().map(|(ty, _)| ty);
        self.emitted.iter().chain(sources).chain(&self.private).map(|ty| without_version(ty).unwrap_or(ty))
    }
}

/// The names with a dot before each.
fn dotted(names: &[&str]) -> String {
    names.iter().fold(String::new(), |all, name| all + "." + name)
}

/// Whether an entry is for events of the CloudEvents route only.
fn is_from_outside(pattern: &Pattern) -> bool {
    pattern.attributes.iter().any(|(name, value)| name == VOUCHER && value.starts_with("events:"))
}

/// Whether two words are a slip of the finger apart, and not two of a row such as `v1` and `v2`.
fn is_typo(one: &str, other: &str) -> bool {
    let is_word = |word: &str| word.len() > 3 && !word.bytes().any(|byte| byte.is_ascii_digit());
    is_word(one) && is_word(other) && is_one_edit(one, other)
}

/// Whether one letter more, less or other, or two that are swapped, make one word of the other.
fn is_one_edit(one: &str, other: &str) -> bool {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let front = one.iter().zip(&other).take_while(|(left, right)| left == right).count();
    let (one, other) = (&one[front..], &other[front..]);
    let back = one.iter().rev().zip(other.iter().rev()).take_while(|(left, right)| left == right).count();
    match (&one[..one.len() - back], &other[..other.len() - back]) {
        ([first, second], [third, fourth]) => first == fourth && second == third,
        (one, other) => one.len() <= 1 && other.len() <= 1,
    }
}
