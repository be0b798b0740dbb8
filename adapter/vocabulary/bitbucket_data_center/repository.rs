//! Repositories: `repo:modified`.

use serde::Deserialize;

use super::payload::{Repository, User};
use super::{checked_place, login};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::repository::{MODIFIED, Told, write};
use crate::vocabulary::read::When;
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct RepositoryEvent<'a> {
    date: Option<When>,
    #[serde(borrow)]
    actor: Option<User<'a>>,
    #[serde(borrow)]
    old: Option<Repository<'a>>,
    #[serde(borrow)]
    new: Repository<'a>,
}

pub fn modified(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let RepositoryEvent { date, actor, old, new } = delivery.payload()?;
    delivery.needs(&["date", "new.links.self[]"])?;
    let is_renamed = |old: &Repository<'_>| old.slug != new.slug || old.project.key != new.project.key;
    let previous = old.filter(is_renamed).map(|old| extract::Name {
        owner: old.project.key.to_string().into(),
        name: old.slug.to_string().into(),
    });
    let place = checked_place(delivery.webhook, Some(new))?;
    if place.origin.is_empty() {
        // The event cannot be without the address of the repository.
        return Ok(());
    }
    let told = Told {
        base: MODIFIED,
        previous,
        created: None,
        occurrence: vec![When::exact(date)],
        time: date.and_then(|date| date.0).unwrap_or(delivery.webhook.received),
    };
    write(delivery, &told, &place, login(actor.as_ref()), out)
}
