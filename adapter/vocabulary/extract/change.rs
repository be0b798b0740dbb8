//! The change that an event is about, and who may be behind it.

use std::borrow::Cow;

use serde::Serialize;

use super::{Text, is_empty};

/// A change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change<'a> {
    /// Its number in the target repository.
    pub number: u64,
    /// Its title, as its author wrote it: untrusted text.
    pub title: Text<'a>,
    /// The page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// Login of its author.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<Text<'a>>,
    /// What the author is to the target repository.
    pub author_association: Association,
    /// Whether it is a draft.
    pub draft: bool,
    /// Names of its labels.
    pub labels: Vec<Text<'a>>,
    /// What would be merged.
    pub source: ChangeSource<'a>,
    /// Where it would be merged.
    pub target: ChangeTarget<'a>,
    /// The commit that the merge made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merge_commit: Option<Text<'a>>,
}

/// What a change would merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeSource<'a> {
    /// The branch.
    pub branch: Text<'a>,
    /// The newest commit; absent (empty) when there is none.
    #[serde(skip_serializing_if = "is_empty")]
    pub sha: Text<'a>,
    /// The newest commit before the push that the event is about; absent where there was none or the forge does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Text<'a>>,
    /// What `git clone` takes; absent when the repository is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository_url: Option<Text<'a>>,
    /// Whether it may be somebody else's than the target repository's: `false` only for a branch of that repository itself.
    pub fork: bool,
}

/// Where a change would be merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeTarget<'a> {
    /// The branch.
    pub branch: Text<'a>,
    /// The commit that the change is compared with; absent (empty) when the forge does not say.
    #[serde(skip_serializing_if = "is_empty")]
    pub sha: Text<'a>,
}

/// What the author of a change is to the repository that it would be merged into, as far as the payload tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Association {
    /// Owns it.
    Owner,
    /// Belongs to the organisation that owns it.
    Member,
    /// Was invited to work on it.
    Collaborator,
    /// Has had a commit in it before.
    Contributor,
    /// Nothing of these.
    None,
    /// The payload does not tell.
    #[default]
    Unknown,
}

// === impl Association ===

impl Association {
    /// By GitHub's word; a word that is not among these may mean anything.
    pub fn of_word(word: Option<&str>) -> Self {
        match word {
            Some("OWNER") => Self::Owner,
            Some("MEMBER") => Self::Member,
            Some("COLLABORATOR") => Self::Collaborator,
            Some("CONTRIBUTOR") => Self::Contributor,
            Some("NONE" | "FIRST_TIMER" | "FIRST_TIME_CONTRIBUTOR" | "MANNEQUIN") => Self::None,
            _ => Self::Unknown,
        }
    }
}

// === impl Change ===

impl Change<'_> {
    /// Where the payload has no word for it, the author who has the owner's name is the owner: on these forges accounts
    /// and groups share their names.
    pub fn recognise_owner(&mut self, owner: &str) {
        let is_owner = self.author.as_deref().is_some_and(|author| author == owner);
        if is_owner && self.author_association == Association::Unknown {
            self.author_association = Association::Owner;
        }
    }
}

// === impl ChangeSource ===

/// Nothing is known of it, so that it may be anybody's.
impl Default for ChangeSource<'_> {
    fn default() -> Self {
        Self { branch: Cow::default(), sha: Cow::default(), before: None, repository_url: None, fork: true }
    }
}

/// Whether a branch may be another repository's than the target's: unless both are named, by id or by path, and nothing
/// that they are named by differs.
pub fn is_fork<I: PartialEq>(source: (Option<I>, Option<&str>), target: (Option<I>, Option<&str>)) -> bool {
    let named = |path: Option<&str>| path.is_some_and(|path| !path.is_empty());
    let ids = source.0.zip(target.0).map(|(source, target)| source == target);
    let paths = source
        .1
        .zip(target.1)
        .filter(|_| named(source.1) && named(target.1))
        .map(|(source, target)| source == target);
    !matches!((ids, paths), (Some(true), Some(true) | None) | (None, Some(true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_repositories_that_are_named_and_equal_are_no_fork() {
        let (one, other, none) = (Some(1), Some(2), None::<u64>);
        for (source, target, fork) in [
            ((one, Some("a/b")), (one, Some("a/b")), false),
            ((one, None), (one, None), false),
            ((none, Some("a/b")), (none, Some("a/b")), false),
            ((one, Some("a/b")), (none, Some("a/b")), false),
            ((one, Some("a/b")), (other, Some("a/b")), true),
            ((one, Some("a/b")), (one, Some("c/b")), true),
            ((none, None), (none, None), true),
            ((none, Some("")), (none, Some("")), true),
            ((one, None), (none, None), true),
            ((one, None), (none, Some("a/b")), true),
        ] {
            assert_eq!(is_fork(source, target), fork, "{source:?} {target:?}");
        }
    }

    #[test]
    fn a_word_that_is_not_known_allows_nothing() {
        for (word, association) in [
            (Some("OWNER"), Association::Owner),
            (Some("FIRST_TIMER"), Association::None),
            (Some("owner"), Association::Unknown),
            (Some("ADMIN"), Association::Unknown),
            (None, Association::Unknown),
        ] {
            assert_eq!(Association::of_word(word), association, "{word:?}");
        }
    }
}
