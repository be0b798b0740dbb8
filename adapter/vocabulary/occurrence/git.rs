//! Branches and tags that are made, moved and taken away.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::change::MERGED;
use super::{Delivery, Place, Reference, custom, standard, subject_part};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::extract;
use crate::vocabulary::options::Optional;
use crate::vocabulary::types::Type;

/// What may happen to a ref.
pub const REFS: &[&str] = &[
    "dev.cdevents.branch.created",
    "dev.cdevents.branch.deleted",
    "dev.cdeventsx.git-ref.updated",
    "dev.cdeventsx.git-tag.created",
    "dev.cdeventsx.git-tag.updated",
    "dev.cdeventsx.git-tag.deleted",
];
pub const REF_CREATED: &[&str] = &["dev.cdevents.branch.created", "dev.cdeventsx.git-tag.created"];
pub const REF_DELETED: &[&str] = &["dev.cdevents.branch.deleted", "dev.cdeventsx.git-tag.deleted"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Branch,
    Tag,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Created,
    Updated,
    Deleted,
}

/// What a branch's content may hold; a custom type's may hold more.
#[derive(Serialize)]
struct Content<'a> {
    repository: Reference,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a str>,
}

/// What a delivery tells about a ref.
pub struct Told<'a> {
    pub kind: Kind,
    pub deed: Deed,
    /// The name of the branch or tag.
    pub name: &'a str,
    /// The full name.
    pub reference: &'a str,
    /// The commit before, if there was one and the payload has it.
    pub before: Option<&'a str>,
    /// The commit after, likewise; of an annotated tag its object, which is no commit.
    pub after: Option<&'a str>,
    /// The commit that the ref leads to in the end, where the payload has it.
    pub commit: Option<&'a str>,
    /// Whether commits were taken away; `None` when the forge does not say.
    pub forced: Option<bool>,
    /// How many commits the forge tells of.
    pub commits: Option<u64>,
    /// What tells this occurrence from another; not empty.
    pub key: Vec<&'a str>,
    pub time: Timestamp,
}

/// The event of a ref, and that of a change that came without a pull request if somebody wants it.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    // Of a branch both are one.
    let commit = told.commit.or(told.after.filter(|_| told.kind == Kind::Branch));
    let chain = match (told.deed, commit.or(told.after)) {
        (Deed::Created | Deed::Updated, Some(sha)) => place.chain(&["commit", sha]),
        (Deed::Deleted, _) | (_, None) => {
            place.chain(&["ref", told.reference, told.key.first().copied().unwrap_or_default()])
        }
    };
    let mut extract = delivery.extract(place, sender);
    extract.push = Some(extract::Push {
        reference: Cow::Borrowed(told.reference),
        branch: (told.kind == Kind::Branch).then_some(Cow::Borrowed(told.name)),
        tag: (told.kind == Kind::Tag).then_some(Cow::Borrowed(told.name)),
        before: told.before.map(Cow::Borrowed),
        after: told.after.map(Cow::Borrowed),
        commit: commit.map(Cow::Borrowed),
        forced: told.forced,
        commits: told.commits,
    });
    let ty = type_of(told.kind, told.deed)?;
    let mut content = Content { repository: place.reference(), reference: None, before: None, after: None };
    if matches!(ty, Type::Custom(_)) {
        content.reference = Some(told.reference);
        content.before = told.before;
        content.after = told.after;
    }
    let event = CdEvent::occurrence(ty, &place.source, subject_part(told.name), &told.key, told.time)
        .chain(chain)
        .content(&content)?
        .custom_data(&extract)?;
    out.push(event);
    if delivery.options.wants(Optional::DirectPush) {
        write_direct(told, place, &extract, out)?;
    }
    Ok(())
}

/// The event of a push that moved the default branch, for those who work without pull requests: the specification takes a
/// commit for the id of a change.
fn write_direct(
    told: &Told<'_>,
    place: &Place<'_>,
    extract: &extract::Extract<'_>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let is_default = told.kind == Kind::Branch && place.default_branch.as_deref() == Some(told.name);
    let (Deed::Updated, true, Some(after)) = (told.deed, is_default, told.after) else { return Ok(()) };
    let event =
        CdEvent::occurrence(standard(MERGED)?, &place.source, subject_part(after), &told.key, told.time)
            .chain(place.chain(&["commit", after]))
            .content(&Content { repository: place.reference(), reference: None, before: None, after: None })?
            .custom_data(extract)?;
    out.push(event);
    Ok(())
}

fn type_of(kind: Kind, deed: Deed) -> Result<Type, PayloadError> {
    Ok(match (kind, deed) {
        (Kind::Branch, Deed::Created) => standard("dev.cdevents.branch.created")?.into(),
        (Kind::Branch, Deed::Deleted) => standard("dev.cdevents.branch.deleted")?.into(),
        (Kind::Branch, Deed::Updated) => custom("dev.cdeventsx.git-ref.updated")?.into(),
        (Kind::Tag, Deed::Created) => custom("dev.cdeventsx.git-tag.created")?.into(),
        (Kind::Tag, Deed::Updated) => custom("dev.cdeventsx.git-tag.updated")?.into(),
        (Kind::Tag, Deed::Deleted) => custom("dev.cdeventsx.git-tag.deleted")?.into(),
    })
}

/// A branch or a tag and its short name; other refs are nobody's business.
pub fn split(reference: &str) -> Option<(Kind, &str)> {
    let (kind, name) = match reference.strip_prefix("refs/heads/") {
        Some(name) => (Kind::Branch, name),
        None => (Kind::Tag, reference.strip_prefix("refs/tags/")?),
    };
    (!name.is_empty()).then_some((kind, name))
}

/// Git's way to say "no commit".
pub fn is_zero(sha: &str) -> bool {
    sha.bytes().all(|b| b == b'0')
}
