//! Which `CDEvents` types there are, as mappings ask it of the vocabulary: by names without their version.

use crate::vocabulary::types;

/// Whether `name` (a full type without its version) is a standard type.
pub(super) fn known_type(name: &str) -> bool {
    types::resolve(name).is_some()
}

/// The standard type that `name` is probably a misspelling of.
pub(super) fn nearest_type(name: &str) -> Option<String> {
    types::closest(name)
}
