//! Tickets: issues.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, standard};
use crate::event::uri;
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;

pub const CREATED: &str = "dev.cdevents.ticket.created";
pub const UPDATED: &str = "dev.cdevents.ticket.updated";
pub const CLOSED: &str = "dev.cdevents.ticket.closed";

/// GitHub has at most 100 labels and 10 assignees on an issue; more would be somebody else's.
pub const MAX_LABELS: usize = 100;
pub const MAX_ASSIGNEES: usize = 100;

/// The types of a ticket that the specification has words for, and those of forges that mean the same.
static KINDS: &[(&str, &str)] = &[
    ("bug", "bug"),
    ("enhancement", "enhancement"),
    ("feature", "enhancement"),
    ("incident", "incident"),
    ("task", "task"),
    ("question", "question"),
];

/// Why a ticket was closed, in the words of forges and in those of the specification.
static RESOLUTIONS: &[(&str, &str)] = &[
    ("completed", "completed"),
    ("resolved", "completed"),
    ("fixed", "completed"),
    ("revoked", "completed"),
    ("not_planned", "withdrawn"),
    ("wontfix", "withdrawn"),
    ("invalid", "withdrawn"),
    ("dismissed", "withdrawn"),
    ("false_positive", "withdrawn"),
    ("false positive", "withdrawn"),
    ("won't fix", "withdrawn"),
    ("wont_fix", "withdrawn"),
    ("used in tests", "withdrawn"),
    ("used_in_tests", "withdrawn"),
    ("tolerable_risk", "withdrawn"),
    ("no_bandwidth", "withdrawn"),
    ("not_used", "withdrawn"),
    ("inaccurate", "withdrawn"),
    ("duplicate", "duplicate"),
];

/// Where the tickets are that people write; those that scanners write are elsewhere, with numbers of their own.
pub const ISSUES: &str = "issues";

/// What a delivery tells about a ticket.
pub struct Told<'a> {
    /// Which of the types above.
    pub base: &'static str,
    /// What stands before the number in its page and its subject.
    pub folder: &'static str,
    pub ticket: extract::Ticket<'a>,
    /// Set when it was not closed but taken away.
    pub deleted: bool,
    /// What tells the creation of this ticket from that of another one with its number: every payload of the ticket has
    /// it, so that each can compute the id of its parent. Empty when the payload does not tell it: then there is no parent.
    pub created: String,
    /// What tells this occurrence from another.
    pub occurrence: Vec<String>,
    pub time: Timestamp,
}

/// `subject.content` of all three types; each has the fields that are set.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creator: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    assignees: &'a [Cow<'a, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    labels: &'a [Cow<'a, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    milestone: Option<&'a str>,
    uri: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_by: Option<&'a str>,
}

/// The event of a ticket.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let Told { base, ticket, .. } = told;
    let subject = format!("{}/{}", told.folder, ticket.number);
    let created = occurrence_id(CREATED, &place.source, &subject, &[&told.created]);
    let is_created = *base == CREATED;
    let mut extract = delivery.extract(place, sender);
    extract.ticket = Some(ticket.clone());
    let sender_name = extract.sender.as_deref().filter(|login| !login.is_empty());
    let author = ticket.author.as_deref().filter(|login| !login.is_empty());
    let url = ticket.url.as_deref().filter(|url| uri::is_reference(url));
    let content = Content {
        summary: &ticket.title,
        ticket_type: kind(ticket),
        // Who made it is a must; `ghost` is what forges show for an account that is gone.
        creator: if is_created { author.or(sender_name).or(Some("ghost")) } else { author },
        assignees: &ticket.assignees,
        priority: ticket.priority.as_deref(),
        labels: &ticket.labels,
        milestone: ticket.milestone.as_deref(),
        uri: url.map_or_else(|| Cow::Owned(format!("{}/{subject}", place.source)), Cow::Borrowed),
        resolution: (*base == CLOSED).then(|| resolution(told)),
        updated_by: sender_name.filter(|_| !is_created),
    };
    let occurrence: Vec<&str> =
        if is_created { vec![&told.created] } else { told.occurrence.iter().map(String::as_str).collect() };
    let mut event = CdEvent::occurrence(standard(base)?, &place.source, &subject, &occurrence, told.time)
        .chain(place.chain(&[kind_of_chain(told.folder), &ticket.number.to_string()]))
        .content(&content)?
        .custom_data(&extract)?;
    if !is_created && !told.created.is_empty() {
        event = event.link(Link::Path { from: created });
    }
    out.push(event);
    Ok(())
}

/// What tells the chains of tickets from others of their repository.
pub fn kind_of_chain(folder: &'static str) -> &'static str {
    if folder == ISSUES { "issue" } else { folder }
}

/// The ticket's type if the forge has types, otherwise the first label that is a word for one.
fn kind<'b>(ticket: &'b extract::Ticket<'_>) -> Option<Cow<'b, str>> {
    let known =
        |name: &str| KINDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(name)).map(|(_, it)| *it);
    match ticket.kind.as_deref().filter(|kind| !kind.is_empty()) {
        Some(kind) => Some(known(kind).map_or_else(|| Cow::Owned(kind.to_lowercase()), Cow::Borrowed)),
        None => ticket.labels.iter().find_map(|label| known(label)).map(Cow::Borrowed),
    }
}

/// The forge's word in the specification's; who gives no reason has done what was to be done.
fn resolution<'b>(told: &'b Told<'_>) -> Cow<'b, str> {
    if told.deleted {
        return Cow::Borrowed("deleted");
    }
    let Some(reason) = told.ticket.reason.as_deref().filter(|reason| !reason.is_empty()) else {
        return Cow::Borrowed("completed");
    };
    let known = RESOLUTIONS.iter().find(|(word, _)| word.eq_ignore_ascii_case(reason));
    Cow::Borrowed(known.map_or(reason, |(_, word)| word))
}
