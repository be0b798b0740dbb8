//! Branches and tags: `repo:refs_changed`, which tells of every ref of one push.

use super::{borrow, checked_place, login, payload};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::git::{Deed, Kind, Told, is_zero, split, write};
use crate::vocabulary::read::When;

pub fn changed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let payload::Push { date, actor, repository, changes, to_commit } = delivery.payload()?;
    let to_commit = to_commit.and_then(|commit| commit.id);
    let is_one = changes.as_ref().is_some_and(|changes| changes.len() == 1);
    delivery.needs(&["date", "repository.links.self[]"])?;
    let place = checked_place(delivery.webhook, Some(repository))?;
    let at = When::exact(date);
    for (i, change) in changes.iter().flatten().enumerate() {
        let unknown = |member| delivery.misses_in("changes", i, member);
        // One of a push says nothing about the others.
        let Some(change) = change else { continue };
        if ["refId", "fromHash", "toHash", "type"].into_iter().any(unknown) {
            continue;
        }
        let Some(reference) = borrow(change.ref_id.as_ref()) else { continue };
        let Some((kind, name)) = split(&reference) else { continue };
        let before = change.from_hash.as_deref().filter(|hash| !is_zero(hash));
        let after = change.to_hash.as_deref().filter(|hash| !is_zero(hash));
        let deed = match (change.kind.as_deref(), before, after) {
            (Some("ADD"), ..) | (None, None, Some(_)) => Deed::Created,
            (Some("DELETE"), ..) | (None, Some(_), None) => Deed::Deleted,
            _ => Deed::Updated,
        };
        let told = Told {
            kind,
            deed,
            name,
            reference: &reference,
            before,
            after,
            // There is one for all refs.
            commit: to_commit.as_deref().filter(|_| is_one && kind == Kind::Tag),
            forced: None,
            commits: None,
            key: vec![&at, before.unwrap_or_default(), after.unwrap_or_default()],
            time: date.and_then(|date| date.0).unwrap_or(delivery.webhook.received),
        };
        write(delivery, &told, &place, login(actor.as_ref()), out)?;
    }
    Ok(())
}
