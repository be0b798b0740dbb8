//! Branches and tags: `push` and `tag_push`.

use super::{borrow, payload, place};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::git::{Deed, Told, is_zero, split, write};

pub fn pushed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let push: payload::Push<'_> = delivery.payload()?;
    let Some((kind, name)) = split(&push.reference) else { return Ok(()) };
    delivery.needs(&["before", "after"])?;
    let before = push.before.as_deref().filter(|sha| !is_zero(sha));
    let after = push.after.as_deref().filter(|sha| !is_zero(sha));
    let deed = match (before, after) {
        (_, None) if push.after.is_some() => Deed::Deleted,
        (None, _) if push.before.is_some() => Deed::Created,
        _ => Deed::Updated,
    };
    let commits = push.commits.as_deref().unwrap_or_default();
    // The push itself has no time. When a branch was made or taken away, no commit tells.
    let newest = commits.iter().find(|commit| commit.id.as_deref() == after).or(commits.last());
    let time = newest
        .filter(|_| deed == Deed::Updated)
        .and_then(|commit| commit.timestamp?.0)
        .unwrap_or(delivery.webhook.received);
    let told = Told {
        kind,
        deed,
        name,
        reference: &push.reference,
        before,
        after,
        commit: push.checkout_sha.as_deref().filter(|sha| !is_zero(sha)),
        forced: None,
        commits: push.total_commits_count.or(push.commits.as_ref().map(|commits| commits.len() as u64)),
        key: vec![before.unwrap_or_default(), after.unwrap_or_default()],
        time,
    };
    let place = place(delivery.webhook, push.project)?;
    write(delivery, &told, &place, borrow(push.user_username.as_ref()), out)
}
