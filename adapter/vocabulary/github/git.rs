//! Branches and tags: `push`, `create`, `delete`.

use jiff::Timestamp;

use super::{login, payload, place};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::git::{Deed, Kind, Told, is_zero, split, write};
use crate::vocabulary::read::When;

pub fn pushed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let push: payload::Push<'_> = delivery.payload()?;
    let Some((kind, name)) = split(&push.reference) else { return Ok(()) };
    delivery.needs(&["before", "after", "repository.pushed_at"])?;
    let before = push.before.as_deref().filter(|sha| !is_zero(sha));
    let after = push.after.as_deref().filter(|sha| !is_zero(sha));
    let deed = match (push.created, push.deleted) {
        (_, Some(true)) => Deed::Deleted,
        (Some(true), _) => Deed::Created,
        // Whoever does not say it in words says it with zeros.
        _ if push.after.is_some() && after.is_none() => Deed::Deleted,
        _ if push.before.is_some() && before.is_none() => Deed::Created,
        _ => Deed::Updated,
    };
    let pushed_at = When::key(push.repository.pushed_at);
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
    let commit = push.head_commit.as_ref().and_then(|commit| commit.timestamp);
    let told = Told {
        kind,
        deed,
        name,
        reference: &push.reference,
        before,
        after,
        // Of a branch it is `after`.
        commit: push.head_commit.as_ref().filter(|_| kind == Kind::Tag).and_then(|it| it.id.as_deref()),
        forced: push.forced.or((!delivery.misses("forced")).then_some(false)),
        commits: push.commits.map(|commits| commits.0),
        key,
        time: time(delivery, push.repository.pushed_at, commit),
    };
    let place = place(delivery.webhook, push.repository)?;
    write(delivery, &told, &place, login(push.sender.as_ref()), out)
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    announced(delivery, Deed::Created, out)
}

pub fn deleted(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    announced(delivery, Deed::Deleted, out)
}

/// `create` and `delete` tell what a `push` tells too, but without the commits.
fn announced(delivery: &Delivery<'_>, deed: Deed, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let payload::Announcement { reference: name, ref_type, repository, sender } = delivery.payload()?;
    let (kind, prefix) = match &*ref_type {
        "branch" => (Kind::Branch, "refs/heads/"),
        "tag" => (Kind::Tag, "refs/tags/"),
        _ => return Ok(()),
    };
    if name.is_empty() {
        return Ok(());
    }
    delivery.needs(&["repository.pushed_at"])?;
    // Without the time of the push there is nothing that the `push` would have too; a redelivery still has the same id.
    let key = When::key(repository.pushed_at).unwrap_or_else(|| delivery.webhook.delivery.clone());
    let told = Told {
        kind,
        deed,
        name: &name,
        reference: &format!("{prefix}{}", &*name),
        before: None,
        after: None,
        commit: None,
        forced: Some(false),
        commits: None,
        key: vec![&key],
        time: time(delivery, repository.pushed_at, None),
    };
    let place = place(delivery.webhook, repository)?;
    write(delivery, &told, &place, login(sender.as_ref()), out)
}

/// The time of the push, else of its newest commit, else of the receipt.
fn time(delivery: &Delivery<'_>, pushed_at: Option<When>, commit: Option<When>) -> Timestamp {
    [pushed_at, commit].into_iter().flatten().find_map(|when| when.0).unwrap_or(delivery.webhook.received)
}
