//! Changes: `pull_request` and `pull_request_review`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::payload::{self, PullRequest, When};
use super::{Delivery, Place, Reference, borrow, login, standard};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;

const CREATED: &str = "dev.cdevents.change.created";

/// GitHub has at most 100 labels on a change; more would be somebody else's.
const MAX_LABELS: usize = 100;

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    repository: Reference,
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    let created_at = key(change.pull_request.created_at);
    let time = time(delivery, &[change.pull_request.created_at]);
    write(delivery, change, CREATED, &[&created_at], time, out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    let pull = &change.pull_request;
    let (sha, updated_at) = (pull.head.sha.to_string(), key(pull.updated_at));
    let changes = change.changes.map_or("", |changes| changes.get());
    let time = time(delivery, &[pull.updated_at]);
    let occurrence = [delivery.action(), &sha, &updated_at, changes];
    write(delivery, change, "dev.cdevents.change.updated", &occurrence, time, out)
}

pub fn closed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    let pull = &change.pull_request;
    let is_merged = pull.merged.unwrap_or_else(|| pull.merged_at.is_some_and(|when| when.0.is_some()));
    let (ty, at) = if is_merged {
        ("dev.cdevents.change.merged", pull.merged_at.or(pull.closed_at))
    } else {
        ("dev.cdevents.change.abandoned", pull.closed_at)
    };
    let (closed_at, time) = (key(at), time(delivery, &[at, pull.updated_at]));
    write(delivery, change, ty, &[&closed_at], time, out)
}

pub fn reviewed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    let Some(review) = &change.review else {
        return Err(delivery.webhook.malformed("missing field `review`"));
    };
    let id = review.id.to_string();
    let pull = &change.pull_request;
    let time = match delivery.action() {
        "dismissed" => time(delivery, &[review.updated_at, pull.updated_at]),
        _ => time(delivery, &[review.submitted_at, review.updated_at]),
    };
    let occurrence = [id.as_str(), delivery.action()];
    write(delivery, change, "dev.cdevents.change.reviewed", &occurrence, time, out)
}

fn write<'a>(
    delivery: &Delivery<'a>,
    change: payload::Change<'a>,
    base: &str,
    occurrence: &[&str],
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let payload::Change { pull_request: pull, review, repository, sender, .. } = change;
    let place = delivery.place(repository)?;
    let subject = format!("pull/{}", pull.number);
    let mut extract = delivery.extract(&place, sender.as_ref());
    extract.change = Some(extract_of(&pull, base));
    if let Some(review) = &review {
        extract.review = Some(extract::Review {
            state: Cow::Owned(review.state.as_deref().unwrap_or_default().to_ascii_lowercase()),
            author: login(review.user.as_ref()),
            url: borrow(review.html_url.as_ref()),
            commit: borrow(review.commit_id.as_ref()),
        });
    }
    // Only `change.created` has a description.
    let title = pull.title.as_deref().filter(|title| base == CREATED && !title.is_empty());
    let content = Content { description: title, repository: place.reference() };
    let mut event = CdEvent::occurrence(standard(base)?, &place.source, subject, occurrence, time)
        .chain(chain(&place, &pull))
        .content(&content)?
        .custom_data(&extract)?;
    if base != CREATED {
        event = event.link(Link::Path { from: id_of_created(&place, &pull) });
    }
    out.push(event);
    Ok(())
}

/// The parent of every later event of a change, computed from what each payload has.
fn id_of_created(place: &Place<'_>, pull: &PullRequest<'_>) -> String {
    occurrence_id(CREATED, &place.source, &format!("pull/{}", pull.number), &[&key(pull.created_at)])
}

fn chain(place: &Place<'_>, pull: &PullRequest<'_>) -> String {
    place.chain(&["pull", &pull.number.to_string()])
}

fn extract_of<'b>(pull: &'b PullRequest<'_>, base: &str) -> extract::Change<'b> {
    let (head, target) = (&pull.head, &pull.base);
    let fork = match (&head.repo, &target.repo) {
        (Some(head), Some(target)) if head.id.is_some() => head.id != target.id,
        (Some(head), Some(target)) => head.full_name != target.full_name,
        // Nothing is known of a repository that is gone: the careful answer.
        _ => true,
    };
    extract::Change {
        number: pull.number,
        title: Cow::Borrowed(pull.title.as_deref().unwrap_or_default()),
        url: borrow(pull.html_url.as_ref()),
        author: login(pull.user.as_ref()),
        draft: pull.draft.unwrap_or(false),
        labels: pull
            .labels
            .iter()
            .flatten()
            .take(MAX_LABELS)
            .map(|label| Cow::Borrowed(&*label.name))
            .collect(),
        source: extract::ChangeSource {
            branch: Cow::Borrowed(&head.branch),
            sha: Cow::Borrowed(&head.sha),
            repository_url: borrow(head.repo.as_ref().and_then(|repo| repo.clone_url.as_ref())),
            fork,
        },
        target: extract::ChangeTarget {
            branch: Cow::Borrowed(&target.branch),
            sha: Cow::Borrowed(&target.sha),
        },
        // An open pull request has one too: of a merge that GitHub only tried.
        merge_commit: borrow(pull.merge_commit_sha.as_ref()).filter(|_| base == "dev.cdevents.change.merged"),
    }
}

/// A time as a part of a key: seconds since 1970, whatever its spelling.
fn key(when: Option<When>) -> String {
    when.and_then(|when| when.0).map(|time| time.as_second().to_string()).unwrap_or_default()
}

fn time(delivery: &Delivery<'_>, candidates: &[Option<When>]) -> Timestamp {
    candidates.iter().flatten().find_map(|when| when.0).unwrap_or(delivery.webhook.received)
}
