//! Branches and tags: `push`, `create`, `delete`.

use serde::Deserialize;

use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::github::payload::{Account, Repository};
use crate::vocabulary::github::{login, place};
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::git::{Deed, Kind, Told, is_zero, split, write};
use crate::vocabulary::read::{Text, When};

/// `push`. Whether a push made, moved or deleted its ref is only in its commits; whether it was forced is nowhere.
#[derive(Debug, Deserialize)]
struct Push<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Text<'a>,
    #[serde(borrow)]
    before: Option<Text<'a>>,
    #[serde(borrow)]
    after: Option<Text<'a>>,
    /// Of all commits; `commits` lists five of them.
    total_commits: Option<u64>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
    #[serde(borrow)]
    pusher: Option<Account<'a>>,
}

/// `create` and `delete`.
#[derive(Debug, Deserialize)]
struct Announcement<'a> {
    #[serde(borrow, rename = "ref")]
    reference: Text<'a>,
    #[serde(borrow)]
    ref_type: Text<'a>,
    /// What a new ref points to: a commit, or the object of an annotated tag.
    #[serde(borrow)]
    sha: Option<Text<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

pub fn pushed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let push: Push<'_> = delivery.payload()?;
    let Some((kind, name)) = split(&push.reference) else { return Ok(()) };
    delivery.needs(&["before", "after", "repository.updated_at"])?;
    let (Some(before), Some(after)) = (push.before.as_deref(), push.after.as_deref()) else { return Ok(()) };
    if before == after {
        // Nothing was moved: somebody tries the hook.
        return Ok(());
    }
    let [before, after] = [before, after].map(|sha| Some(sha).filter(|sha| !is_zero(sha)));
    let deed = match (before, after) {
        (_, None) => Deed::Deleted,
        (None, Some(_)) => Deed::Created,
        (Some(_), Some(_)) => Deed::Updated,
    };
    let earlier = When::key(push.repository.updated_at);
    let key: Vec<&str> = match deed {
        Deed::Deleted => vec![earlier.as_deref().or(before).unwrap_or_default()],
        Deed::Created | Deed::Updated => {
            before.into_iter().chain(after).chain([earlier.as_deref().unwrap_or_default()]).collect()
        }
    };
    let told = Told {
        kind,
        deed,
        name,
        reference: &push.reference,
        before,
        after,
        commit: None,
        forced: forced(deed),
        commits: push.total_commits,
        key,
        time: delivery.webhook.received,
    };
    let place = place(delivery.webhook, push.repository)?;
    write(delivery, &told, &place, login(push.sender.as_ref().or(push.pusher.as_ref())), out)
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    announced(delivery, Deed::Created, out)
}

pub fn deleted(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    announced(delivery, Deed::Deleted, out)
}

/// A branch that is deleted has only `delete`, one that is renamed has `delete` and `create`; everything else that is told
/// here a `push` tells too.
fn announced(delivery: &Delivery<'_>, deed: Deed, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let Announcement { reference: name, ref_type, sha, repository, sender } = delivery.payload()?;
    let (kind, prefix) = match &*ref_type {
        "branch" => (Kind::Branch, "refs/heads/"),
        "tag" => (Kind::Tag, "refs/tags/"),
        _ => return Ok(()),
    };
    if name.is_empty() {
        return Ok(());
    }
    delivery.needs(&["sha", "repository.updated_at"])?;
    let after = sha.as_deref().filter(|sha| deed == Deed::Created && !is_zero(sha));
    let earlier = When::key(repository.updated_at);
    let key: Vec<&str> = match after {
        Some(after) => vec![after, earlier.as_deref().unwrap_or_default()],
        // Without a time either there is nothing that the `push` would have too.
        None => vec![earlier.as_deref().unwrap_or(&delivery.webhook.delivery)],
    };
    let told = Told {
        kind,
        deed,
        name: &name,
        reference: &format!("{prefix}{}", &*name),
        before: None,
        after,
        commit: None,
        forced: forced(deed),
        commits: None,
        key,
        time: delivery.webhook.received,
    };
    let place = place(delivery.webhook, repository)?;
    write(delivery, &told, &place, login(sender.as_ref()), out)
}

/// Who makes or deletes a ref takes no commits away from it. Of one that is moved, Gitea does not say.
fn forced(deed: Deed) -> Option<bool> {
    (deed != Deed::Updated).then_some(false)
}
