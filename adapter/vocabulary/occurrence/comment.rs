//! Comments on changes, tickets and commits: what people talk to bots with.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, Reference, change, custom, subject_part, ticket};
use crate::event::uri;
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;

pub const CREATED: &str = "dev.cdeventsx.forge-comment.created";

/// The most bytes of the text; more than any command has, and little enough for every intermediary.
const MAX_BODY: usize = 16 * 1024;

/// What somebody has commented on. `created` is the key of its creation, empty when the payload does not tell it.
pub enum On<'a> {
    Change { number: u64, created: String },
    Ticket { number: u64, created: String },
    Commit { sha: &'a str },
}

/// What a delivery tells about a comment. What it is on is filled in here.
pub struct Told<'a> {
    pub on: On<'a>,
    pub comment: extract::Comment<'a>,
    /// The change, when the payload has all of it.
    pub change: Option<extract::Change<'a>>,
    pub time: Timestamp,
}

#[derive(Serialize)]
struct Content<'a> {
    repository: Reference,
    on: Reference,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
}

/// The event of a new comment.
pub fn write(
    delivery: &Delivery<'_>,
    told: Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let Told { on, mut comment, change, time } = told;
    let (subject, chain, created) = match on {
        On::Change { number, created } => {
            (comment.on, comment.number) = ("change", Some(number));
            (
                format!("pull/{number}"),
                ["pull".to_owned(), number.to_string()],
                Some((change::CREATED, created)),
            )
        }
        On::Ticket { number, created } => {
            (comment.on, comment.number) = ("ticket", Some(number));
            let subject = format!("{}/{number}", ticket::ISSUES);
            (subject, ["issue".to_owned(), number.to_string()], Some((ticket::CREATED, created)))
        }
        On::Commit { sha } => {
            comment.on = "commit";
            (format!("commits/{}", subject_part(sha)), ["commit".to_owned(), sha.to_owned()], None)
        }
    };
    let parent = created
        .filter(|(_, key)| !key.is_empty())
        .map(|(base, key)| occurrence_id(base, &place.source, &subject, &[&key]));
    if let Cow::Borrowed(body) = comment.body {
        comment.body = Cow::Borrowed(&body[..body.floor_char_boundary(MAX_BODY)]);
    } else {
        let end = comment.body.floor_char_boundary(MAX_BODY);
        comment.body.to_mut().truncate(end);
    }
    let id = format!("{subject}/comments/{}", comment.id);
    let mut extract = delivery.extract(place, sender);
    extract.change = change;
    change::recognise_owner(delivery, extract.change.as_mut(), place);
    extract.comment = Some(comment);
    let comment = extract.comment.as_ref();
    let content = Content {
        repository: place.reference(),
        on: Reference { id: subject, source: place.source.clone() },
        author: comment.and_then(|comment| comment.author.as_deref()),
        uri: comment.and_then(|comment| comment.url.as_deref()).filter(|url| uri::is_absolute(url)),
    };
    let chain: Vec<&str> = chain.iter().map(String::as_str).collect();
    let mut event = CdEvent::occurrence(custom(CREATED)?, &place.source, id, &[], time)
        .chain(place.chain(&chain))
        .content(&content)?
        .custom_data(&extract)?;
    if let Some(parent) = parent {
        event = event.link(Link::Path { from: parent });
    }
    out.push(event);
    Ok(())
}
