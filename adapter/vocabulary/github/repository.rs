//! Repositories: `repository`, `fork` and `public`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{Account, Repository};
use super::{key, login, place, place_at, time};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::extract::Name;
use crate::vocabulary::occurrence::repository::{CREATED, DELETED, MODIFIED, Told, write};
use crate::vocabulary::occurrence::{Delivery, Place};
use crate::vocabulary::read::{Text, When};

/// `repository` and `public`.
#[derive(Debug, Deserialize)]
struct RepositoryEvent<'a> {
    #[serde(borrow)]
    repository: Repository<'a>,
    /// What was edited, or what it was called before.
    #[serde(borrow)]
    changes: Option<&'a RawValue>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

/// `fork`.
#[derive(Debug, Deserialize)]
struct ForkEvent<'a> {
    #[serde(borrow)]
    forkee: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Changes<'a> {
    #[serde(borrow)]
    repository: Option<Renamed<'a>>,
    #[serde(borrow)]
    owner: Option<Transferred<'a>>,
}

#[derive(Debug, Deserialize)]
struct Renamed<'a> {
    #[serde(borrow)]
    name: Option<From<'a>>,
}

#[derive(Debug, Deserialize)]
struct From<'a> {
    #[serde(borrow)]
    from: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Transferred<'a> {
    #[serde(borrow)]
    from: Option<FormerOwner<'a>>,
}

#[derive(Debug, Deserialize)]
struct FormerOwner<'a> {
    #[serde(borrow)]
    user: Option<Account<'a>>,
    #[serde(borrow)]
    organization: Option<Account<'a>>,
}

/// What `public` tells, in the word of the `repository` event that tells it too.
const PUBLICIZED: &str = "publicized";

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let RepositoryEvent { repository, sender, .. } = delivery.payload()?;
    delivery.needs(&["repository.created_at"])?;
    let at = repository.created_at;
    let place = place(delivery.webhook, repository)?;
    tell_created(delivery, at, &place, login(sender.as_ref()), out)
}

/// The event is about the new repository, not about the one that it was made from.
pub fn forked(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let ForkEvent { forkee, sender } = delivery.payload()?;
    delivery.needs(&["forkee.created_at"])?;
    let at = forkee.created_at;
    let place = place_at(delivery.webhook, "forkee", forkee)?;
    tell_created(delivery, at, &place, login(sender.as_ref()), out)
}

fn tell_created(
    delivery: &Delivery<'_>,
    at: Option<When>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let told = Told {
        base: CREATED,
        previous: None,
        created: Some(key(at)),
        occurrence: Vec::new(),
        time: time(delivery, &[at]),
    };
    write(delivery, &told, place, sender, out)
}

pub fn modified(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let RepositoryEvent { repository, changes, sender } = delivery.payload()?;
    delivery.needs(&["repository.updated_at"])?;
    let (created, updated) = (repository.created_at, repository.updated_at);
    let place = place(delivery.webhook, repository)?;
    let action = if delivery.action().is_empty() { PUBLICIZED } else { delivery.action() };
    let told = Told {
        base: MODIFIED,
        previous: changes.and_then(|changes| previous(changes, &place)),
        created: When::key(created),
        occurrence: vec![
            action.to_owned(),
            key(updated),
            changes.map_or("", |changes| changes.get()).to_owned(),
        ],
        time: time(delivery, &[updated]),
    };
    write(delivery, &told, &place, login(sender.as_ref()), out)
}

pub fn deleted(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let RepositoryEvent { repository, sender, .. } = delivery.payload()?;
    delivery.needs(&["repository.id"])?;
    let created = When::key(repository.created_at);
    let place = place(delivery.webhook, repository)?;
    let told = Told {
        base: DELETED,
        previous: None,
        created,
        // The same name may be used and deleted again; the id is not used twice.
        occurrence: vec![place.id.clone()],
        // The payload says nothing of the deletion.
        time: delivery.webhook.received,
    };
    write(delivery, &told, &place, login(sender.as_ref()), out)
}

/// What the repository was called before it was renamed or transferred.
fn previous<'a>(changes: &'a RawValue, place: &Place<'_>) -> Option<Name<'a>> {
    let changes: Changes<'a> = serde_json::from_str(changes.get()).ok()?;
    let name = changes.repository.and_then(|it| it.name).and_then(|it| it.from);
    let former = changes.owner.and_then(|it| it.from);
    let owner = former.and_then(|it| it.user.or(it.organization)).and_then(|account| account.login);
    if name.is_none() && owner.is_none() {
        return None;
    }
    Some(Name {
        owner: owner.map_or_else(|| Cow::Owned(place.owner.clone()), |text| text.0),
        name: name.map_or_else(|| Cow::Owned(place.name.clone()), |text| text.0),
    })
}
