//! Branches and tags: `push`, `create`, `delete`.

use std::borrow::Cow;

use serde::Serialize;

use super::payload::{self, Account, Repository, When};
use super::{Delivery, Reference, custom, standard};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::extract;
use crate::vocabulary::types::Type;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Branch,
    Tag,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
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

pub fn pushed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let push: payload::Push<'_> = delivery.payload()?;
    let Some((kind, name)) = split(&push.reference) else { return Ok(()) };
    let before = push.before.as_ref().filter(|sha| !is_zero(sha));
    let after = push.after.as_ref().filter(|sha| !is_zero(sha));
    let deed = match (push.created, push.deleted) {
        (_, Some(true)) => Deed::Deleted,
        (Some(true), _) => Deed::Created,
        // Whoever does not say it in words says it with zeros.
        _ if push.after.is_some() && after.is_none() => Deed::Deleted,
        _ if push.before.is_some() && before.is_none() => Deed::Created,
        _ => Deed::Updated,
    };
    let pushed_at = seconds(push.repository.pushed_at);
    let commit = push.head_commit.as_ref().and_then(|commit| commit.timestamp);
    let time = push
        .repository
        .pushed_at
        .and_then(|when| when.0)
        .or_else(|| commit.and_then(|when| when.0))
        .unwrap_or(delivery.webhook.received);
    let (before, after) = (before.map(|sha| &**sha), after.map(|sha| &**sha));
    let key = match (deed, &pushed_at) {
        (Deed::Updated, _) => vec![
            before.unwrap_or_default(),
            after.unwrap_or_default(),
            pushed_at.as_deref().unwrap_or_default(),
        ],
        (Deed::Created | Deed::Deleted, Some(pushed_at)) => vec![pushed_at.as_str()],
        (Deed::Created, None) => vec![after.unwrap_or_default()],
        (Deed::Deleted, None) => vec![before.unwrap_or_default()],
    };
    let place = delivery.place(push.repository)?;
    let chain = match (deed, after) {
        (Deed::Deleted, _) | (_, None) => place.chain(&["ref", &push.reference, key[0]]),
        (_, Some(sha)) => place.chain(&["commit", sha]),
    };
    let mut extract = delivery.extract(&place, push.sender.as_ref());
    extract.push = Some(extract::Push {
        reference: Cow::Borrowed(&push.reference),
        branch: (kind == Kind::Branch).then_some(Cow::Borrowed(name)),
        tag: (kind == Kind::Tag).then_some(Cow::Borrowed(name)),
        before: before.map(Cow::Borrowed),
        after: after.map(Cow::Borrowed),
        forced: push.forced.unwrap_or(false),
        commits: push.commits.map(|commits| commits.0),
    });
    let ty = type_of(kind, deed)?;
    let content = match ty {
        Type::Standard(_) => {
            Content { repository: place.reference(), reference: None, before: None, after: None }
        }
        Type::Custom(_) => {
            Content { repository: place.reference(), reference: Some(&push.reference), before, after }
        }
    };
    let event = CdEvent::occurrence(ty, &place.source, name, &key, time)
        .chain(chain)
        .content(&content)?
        .custom_data(&extract)?;
    out.push(event);
    Ok(())
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    announced(delivery, Deed::Created, out)
}

pub fn deleted(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    announced(delivery, Deed::Deleted, out)
}

/// `create` and `delete` tell what a `push` tells too, but without the commits.
fn announced(delivery: &Delivery<'_>, deed: Deed, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let payload::Reference { reference, ref_type, repository, sender } = delivery.payload()?;
    let (kind, prefix) = match &*ref_type {
        "branch" => (Kind::Branch, "refs/heads/"),
        "tag" => (Kind::Tag, "refs/tags/"),
        _ => return Ok(()),
    };
    if reference.is_empty() {
        return Ok(());
    }
    let full = format!("{prefix}{}", &*reference);
    announce(delivery, kind, deed, &reference, &full, repository, sender.as_ref(), out)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one payload, taken apart once")]
fn announce<'a>(
    delivery: &Delivery<'a>,
    kind: Kind,
    deed: Deed,
    name: &str,
    full: &str,
    repository: Repository<'a>,
    sender: Option<&Account<'a>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    // Without the time of the push there is nothing that the `push` would have too; a redelivery still has the same id.
    let key = seconds(repository.pushed_at).unwrap_or_else(|| delivery.webhook.delivery.clone());
    let time = repository.pushed_at.and_then(|when| when.0).unwrap_or(delivery.webhook.received);
    let place = delivery.place(repository)?;
    let chain = place.chain(&["ref", full, &key]);
    let mut extract = delivery.extract(&place, sender);
    extract.push = Some(extract::Push {
        reference: Cow::Borrowed(full),
        branch: (kind == Kind::Branch).then_some(Cow::Borrowed(name)),
        tag: (kind == Kind::Tag).then_some(Cow::Borrowed(name)),
        ..extract::Push::default()
    });
    let ty = type_of(kind, deed)?;
    let reference = matches!(ty, Type::Custom(_)).then_some(full);
    let content = Content { repository: place.reference(), reference, before: None, after: None };
    let event = CdEvent::occurrence(ty, &place.source, name, &[&key], time)
        .chain(chain)
        .content(&content)?
        .custom_data(&extract)?;
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
fn split(reference: &str) -> Option<(Kind, &str)> {
    let (kind, name) = match reference.strip_prefix("refs/heads/") {
        Some(name) => (Kind::Branch, name),
        None => (Kind::Tag, reference.strip_prefix("refs/tags/")?),
    };
    (!name.is_empty()).then_some((kind, name))
}

/// Git's way to say "no commit".
fn is_zero(sha: &str) -> bool {
    sha.bytes().all(|b| b == b'0')
}

/// Seconds since 1970: what the two spellings of a time have in common.
fn seconds(when: Option<When>) -> Option<String> {
    when.and_then(|when| when.0).map(|time| time.as_second().to_string())
}
