//! From an event's type and source to the mappings that may be for it: a few hash look-ups, however many mappings there
//! are.

use std::collections::HashMap;

use super::compile::Mapping;
use crate::event::Event;
use crate::expression::filter::Clause;
use crate::expression::pattern::{IndexKey, without_version};

/// Mappings by event type; holds their places in the set.
#[derive(Debug, Default)]
pub(crate) struct Index {
    types: HashMap<String, OfType>,
    prefixes: HashMap<String, Vec<u32>>,
}

/// Mappings for one type.
#[derive(Debug, Default)]
struct OfType {
    any_source: Vec<u32>,
    /// An organisation has a mapping of the same type for each of its repositories, and each repository is a source.
    by_source: HashMap<String, Vec<u32>>,
}

// === impl Index ===

impl Index {
    /// Adds `mapping`, which stands at `place`, under each of its patterns.
    pub(crate) fn add(&mut self, place: u32, mapping: &Mapping) {
        // A clause after one that can fail must still be asked for every source, so that it fails for each.
        let mut clauses = mapping.filter.iter().take_while(|clause| matches!(clause, Clause::Attributes(..)));
        let source = clauses.find_map(|clause| clause.exact("source"));
        for pattern in &mapping.patterns {
            let list = match pattern.index_key(source) {
                IndexKey::Type(ty) => &mut self.types.entry(ty).or_default().any_source,
                IndexKey::TypeAndSource(ty, source) => {
                    self.types.entry(ty).or_default().by_source.entry(source).or_default()
                }
                IndexKey::Prefix(prefix) => self.prefixes.entry(prefix).or_default(),
            };
            if list.last() != Some(&place) {
                list.push(place);
            }
        }
    }

    /// The mappings that may be for `event`, in their order and each once.
    pub(crate) fn candidates(&self, event: &Event) -> Vec<u32> {
        let ty = event.ty();
        let mut found = Vec::new();
        for ty in [Some(ty), without_version(ty)].into_iter().flatten() {
            if let Some(of_type) = self.types.get(ty) {
                found.extend(&of_type.any_source);
                found.extend(of_type.by_source.get(event.source()).into_iter().flatten());
            }
        }
        if !self.prefixes.is_empty() {
            let mut add = |list: Option<&Vec<u32>>| found.extend(list.into_iter().flatten());
            add(self.prefixes.get(""));
            for (dot, _) in ty.match_indices('.') {
                add(self.prefixes.get(&ty[..=dot]));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
