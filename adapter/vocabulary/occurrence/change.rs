//! Changes: pull requests and merge requests, and their reviews.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, Reference, standard};
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;
use crate::vocabulary::{Forge, PayloadError};

pub const CREATED: &str = "dev.cdevents.change.created";
pub const UPDATED: &str = "dev.cdevents.change.updated";
pub const REVIEWED: &str = "dev.cdevents.change.reviewed";
pub const MERGED: &str = "dev.cdevents.change.merged";
pub const ABANDONED: &str = "dev.cdevents.change.abandoned";

/// GitHub has at most 100 labels on a change; more would be somebody else's.
pub const MAX_LABELS: usize = 100;

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    repository: Reference,
}

/// What a delivery tells about a change.
pub struct Told<'a> {
    /// Which of the types above.
    pub base: &'static str,
    pub change: extract::Change<'a>,
    pub review: Option<extract::Review<'a>>,
    /// What tells the creation of this change from that of another one with its number: every payload of the change has
    /// it, so that each can compute the id of its parent. Empty when the payload does not tell it: then there is no parent.
    pub created: String,
    /// What tells this occurrence from another.
    pub occurrence: Vec<String>,
    pub time: Timestamp,
}

/// Says who owns the repository where only the name tells it.
pub fn recognise_owner(delivery: &Delivery<'_>, change: Option<&mut extract::Change<'_>>, place: &Place<'_>) {
    match delivery.webhook.forge {
        Forge::GitHub | Forge::Gitea | Forge::Forgejo | Forge::GitLab => {
            if let Some(change) = change {
                change.recognise_owner(&place.owner);
            }
        }
        // A nickname is anybody's, and a key of a project is no account's name.
        Forge::Bitbucket | Forge::BitbucketDataCenter => {}
    }
}

/// The event of a change.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let Told { base, change, .. } = told;
    let subject = format!("pull/{}", change.number);
    let created = occurrence_id(CREATED, &place.source, &subject, &[&told.created]);
    let is_created = *base == CREATED;
    let mut extract = delivery.extract(place, sender);
    extract.change = Some(change.clone());
    recognise_owner(delivery, extract.change.as_mut(), place);
    extract.review.clone_from(&told.review);
    // Only `change.created` has a description.
    let description = Some(&*change.title).filter(|title| is_created && !title.is_empty());
    let content = Content { description, repository: place.reference() };
    let occurrence: Vec<&str> = told.occurrence.iter().map(String::as_str).collect();
    let occurrence = if is_created { vec![told.created.as_str()] } else { occurrence };
    let mut event = CdEvent::occurrence(standard(base)?, &place.source, subject, &occurrence, told.time)
        .chain(place.chain(&["pull", &change.number.to_string()]))
        .content(&content)?
        .custom_data(&extract)?;
    if !is_created && !told.created.is_empty() {
        event = event.link(Link::Path { from: created });
    }
    out.push(event);
    Ok(())
}
