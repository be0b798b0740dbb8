//! Repositories that are made, changed and taken away.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, standard};
use crate::event::uri;
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;

pub const CREATED: &str = "dev.cdevents.repository.created";
pub const MODIFIED: &str = "dev.cdevents.repository.modified";
pub const DELETED: &str = "dev.cdevents.repository.deleted";

/// The kind of the link of a repository that has a new name to its creation under the old one.
pub const RENAMED: &str = "RENAMED";

/// What a delivery tells about a repository.
pub struct Told<'a> {
    /// Which of the types above.
    pub base: &'static str,
    /// What it was called before, when this is about its name or owner.
    pub previous: Option<extract::Name<'a>>,
    /// What tells the creation of this repository from that of another one with its name, if the payload has it.
    pub created: Option<String>,
    /// What tells this occurrence from another.
    pub occurrence: Vec<String>,
    pub time: Timestamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    owner: &'a str,
    uri: &'a str,
    view_url: &'a str,
}

/// The event of a repository.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let subject = place.reference();
    let created = told.created.as_deref();
    let occurrence: Vec<&str> = match (told.base, created) {
        (CREATED, Some(created)) => vec![created],
        _ => told.occurrence.iter().map(String::as_str).collect(),
    };
    let clone_url = place.clone_url.as_deref().filter(|url| uri::is_absolute(url));
    let content = Content {
        name: &place.name,
        owner: &place.owner,
        uri: clone_url.unwrap_or(&place.source),
        view_url: &place.source,
    };
    let mut extract = delivery.extract(place, sender);
    extract.previous.clone_from(&told.previous);
    let mut event =
        CdEvent::occurrence(standard(told.base)?, &place.source, &subject.id, &occurrence, told.time)
            .subject_source(&subject.source)
            .chain(place.chain(&["repository"]))
            .content(&content)?
            .custom_data(&extract)?;
    if told.base != CREATED
        && let Some(created) = created
    {
        event = event.link(match &told.previous {
            None => Link::Path { from: occurrence_id(CREATED, &place.source, &subject.id, &[created]) },
            // Its page had another address then, and so did the events about it.
            Some(name) => {
                let old = format!("{}/{}", name.owner, name.name);
                let forge = place.source.strip_suffix(subject.id.as_str()).unwrap_or(&place.origin);
                let source = format!("{}/{old}", forge.trim_end_matches('/'));
                let target = occurrence_id(CREATED, &source, &old, &[created]);
                Link::Relation { kind: RENAMED.to_owned(), target }
            }
        });
    }
    out.push(event);
    Ok(())
}
