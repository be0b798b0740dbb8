//! From an event's type to the mappings that may be for it: a few hash look-ups, however many mappings there are.

use std::collections::HashMap;

use super::pattern::{IndexKey, Pattern, without_version};

/// Mappings by event type; holds their places in the set.
#[derive(Debug, Default)]
pub(crate) struct Index {
    types: HashMap<String, Vec<u32>>,
    prefixes: HashMap<String, Vec<u32>>,
}

// === impl Index ===

impl Index {
    /// Adds the mapping at `place` under each of its patterns.
    pub(crate) fn add(&mut self, place: u32, patterns: &[Pattern]) {
        for pattern in patterns {
            let list = match pattern.index_key() {
                IndexKey::Type(ty) => self.types.entry(ty).or_default(),
                IndexKey::Prefix(prefix) => self.prefixes.entry(prefix).or_default(),
            };
            if list.last() != Some(&place) {
                list.push(place);
            }
        }
    }

    /// The mappings that may be for events of the type `ty`, in their order and each once.
    pub(crate) fn candidates(&self, ty: &str) -> Vec<u32> {
        let mut found = Vec::new();
        let mut add = |list: Option<&Vec<u32>>| found.extend(list.into_iter().flatten());
        add(self.types.get(ty));
        if let Some(bare) = without_version(ty) {
            add(self.types.get(bare));
        }
        if !self.prefixes.is_empty() {
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
