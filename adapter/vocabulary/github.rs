//! GitHub's webhooks as events: the raw one for every delivery, and `CDEvents` by the table [`ROWS`].

mod change;
mod git;
mod payload;
mod pick;
mod raw;
mod release;

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use self::payload::{Account, Repository, Text};
use super::cdevent::{CdEvent, CdEventError};
use super::extract::{self, Extract};
use super::types::{CustomType, EventType, resolve};
use super::{PayloadError, Webhook, uri};
use crate::event::Event;
use crate::event::identity::chain_uuid;

/// What one event and action of GitHub becomes.
#[derive(Debug)]
pub struct Row {
    /// `X-GitHub-Event`.
    pub event: &'static str,
    /// `action` in the payload; `None` for events that have none.
    pub action: Option<&'static str>,
    /// The types without their versions; which of them, the payload decides.
    pub becomes: &'static [&'static str],
    /// What tells this occurrence from another of the same type and subject, for [`occurrence_id`]; see the notes
    /// at [`ROWS`].
    ///
    /// [`occurrence_id`]: super::cdevent::occurrence_id
    pub key: &'static str,
    write: Writer,
}

type Writer = fn(&Delivery<'_>, &mut Vec<CdEvent>) -> Result<(), PayloadError>;

const REFS: &[&str] = &[
    "dev.cdevents.branch.created",
    "dev.cdevents.branch.deleted",
    "dev.cdeventsx.git-ref.updated",
    "dev.cdeventsx.git-tag.created",
    "dev.cdeventsx.git-tag.updated",
    "dev.cdeventsx.git-tag.deleted",
];
const REF_CREATED: &[&str] = &["dev.cdevents.branch.created", "dev.cdeventsx.git-tag.created"];
const REF_DELETED: &[&str] = &["dev.cdevents.branch.deleted", "dev.cdeventsx.git-tag.deleted"];
const CREATED: &[&str] = &["dev.cdevents.change.created"];
const UPDATED: &[&str] = &["dev.cdevents.change.updated"];
const CLOSED: &[&str] = &["dev.cdevents.change.merged", "dev.cdevents.change.abandoned"];
const REVIEWED: &[&str] = &["dev.cdevents.change.reviewed"];
const PUBLISHED: &[&str] = &["dev.cdevents.artifact.published"];
const WITHDRAWN: &[&str] = &["dev.cdevents.artifact.deleted"];

const PUSHED_AT: &str = "repository.pushed_at";
const EDITION: &str = "action, head sha, updated_at, changes";

/// Every event and action that becomes a `CDEvent`; all others are raw only. A further one is a further row.
///
/// How the keys were chosen: an id must be the same for a repository hook, an organisation hook and a redelivery, so
/// only the payload counts, never the delivery; and it must differ between two occurrences, so something that changes
/// with each occurrence is in it.
/// - `push`, `create`, `delete`: `repository.pushed_at` in seconds is the one value that `create` shares with the
///   `push` that made the branch (RFC 3339 there, a number here). An update of a ref has the two commits too: one push
///   after another within a second, and a ref that is moved back and forth between two commits, stay apart.
/// - `change.created` by `created_at`: it never changes, every later payload of the pull request has it, and so each
///   can compute the id of its parent; a number used again after a repository was made anew stays apart.
/// - `change.updated` by all of action, head commit, `updated_at` and what an `edited` changed: `updated_at` counts
///   seconds only.
/// - `change.merged` and `change.abandoned` by the time of closing: a change can be reopened and closed again.
/// - `change.reviewed` by the review and the action: a review is submitted once and dismissed at most once.
/// - `artifact.*` by release and `published_at`: a release can be withdrawn and published again.
///
/// Labels, assignees, review requests, milestones and locks do not make a `change.updated`: most mappings would start a
/// build for each. The raw event has them.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row("push", None, REFS, "repository.pushed_at; updates: before, after too", git::pushed),
    row("create", None, REF_CREATED, PUSHED_AT, git::created),
    row("delete", None, REF_DELETED, PUSHED_AT, git::deleted),
    row("pull_request", Some("opened"), CREATED, "created_at", change::created),
    row("pull_request", Some("reopened"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("synchronize"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("edited"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("converted_to_draft"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("ready_for_review"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("enqueued"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("dequeued"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("auto_merge_enabled"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("auto_merge_disabled"), UPDATED, EDITION, change::updated),
    row("pull_request", Some("closed"), CLOSED, "merged_at, or closed_at", change::closed),
    row("pull_request_review", Some("submitted"), REVIEWED, "review id, action", change::reviewed),
    row("pull_request_review", Some("dismissed"), REVIEWED, "review id, action", change::reviewed),
    row("release", Some("published"), PUBLISHED, "release id, published_at", release::published),
    row("release", Some("unpublished"), WITHDRAWN, "release id, published_at", release::withdrawn),
    row("release", Some("deleted"), WITHDRAWN, "release id, published_at", release::withdrawn),
];

const fn row(
    event: &'static str,
    action: Option<&'static str>,
    becomes: &'static [&'static str],
    key: &'static str,
    write: Writer,
) -> Row {
    Row { event, action, becomes, key, write }
}

/// One delivery on its way through a row.
struct Delivery<'a> {
    webhook: &'a Webhook,
    json: &'a str,
    action: Option<Cow<'a, str>>,
}

/// The repository that an event belongs to, and what is derived from it.
struct Place<'a> {
    /// `context.source`: the page of the repository, so that GitHub Enterprise hosts stay apart.
    source: String,
    /// `https://host`.
    origin: String,
    owner: String,
    name: String,
    /// What chains are keyed with: GitHub's number of the repository, which survives a rename.
    id: String,
    clone_url: Option<Text<'a>>,
    default_branch: Option<Text<'a>>,
}

/// A reference to a subject of another source, as content has it.
#[derive(Serialize)]
struct Reference {
    id: String,
    source: String,
}

/// The raw event, and then the `CDEvents`; no id twice.
///
/// # Errors
/// The body is not a JSON object, or a part that a row needs is absent or of another type.
pub fn events(webhook: &Webhook, json: &str) -> Result<Vec<Event>, PayloadError> {
    let (raw, action) = raw::event(webhook, json)?;
    let mut events = vec![raw];
    let row = ROWS.iter().find(|row| {
        row.event == webhook.event && row.action.is_none_or(|wanted| action.as_deref() == Some(wanted))
    });
    let Some(row) = row else { return Ok(events) };
    let mut written = Vec::new();
    (row.write)(&Delivery { webhook, json, action }, &mut written)?;
    let mut ids = HashSet::with_capacity(written.len());
    for event in written {
        if ids.insert(event.id().to_owned()) {
            events.push(event.build()?);
        }
    }
    Ok(events)
}

// === impl Delivery ===

impl<'a> Delivery<'a> {
    fn payload<T: Deserialize<'a>>(&self) -> Result<T, PayloadError> {
        serde_json::from_str(self.json).map_err(|error| self.webhook.unreadable(self.json, &error))
    }

    fn action(&self) -> &str {
        self.action.as_deref().unwrap_or_default()
    }

    fn place(&self, repository: Repository<'a>) -> Result<Place<'a>, PayloadError> {
        let url = repository.html_url.trim_end_matches('/');
        let (origin, path) = uri::split_origin(url)
            .ok_or_else(|| self.webhook.malformed("`repository.html_url` must be an http or https URL"))?;
        let full = repository.full_name.as_deref().unwrap_or(path).trim_start_matches('/');
        let (owner, name) = full.split_once('/').unwrap_or(("", full));
        let login = repository.owner.as_ref().and_then(|owner| owner.login.as_deref());
        let (owner, name) = (login.unwrap_or(owner), repository.name.as_deref().unwrap_or(name));
        if owner.is_empty() || name.is_empty() {
            return Err(self.webhook.malformed("`repository` must have an owner and a name"));
        }
        Ok(Place {
            source: url.to_owned(),
            origin: origin.to_owned(),
            owner: owner.to_owned(),
            name: name.to_owned(),
            id: repository.id.map_or_else(|| format!("{owner}/{name}"), |id| id.to_string()),
            clone_url: repository.clone_url,
            default_branch: repository.default_branch,
        })
    }

    fn extract<'b>(&'b self, place: &'b Place<'a>, sender: Option<&'b Account<'a>>) -> Extract<'b> {
        Extract {
            forge: extract::Origin {
                name: "github",
                event: Cow::Borrowed(&self.webhook.event),
                action: self.action.as_deref().map(Cow::Borrowed),
                delivery: Cow::Borrowed(&self.webhook.delivery),
            },
            sender: login(sender),
            repository: Some(extract::Repository {
                owner: Cow::Borrowed(&place.owner),
                name: Cow::Borrowed(&place.name),
                url: Cow::Borrowed(&place.source),
                clone_url: borrow(place.clone_url.as_ref()),
                default_branch: borrow(place.default_branch.as_ref()),
            }),
            ..Extract::default()
        }
    }
}

// === impl Place ===

impl Place<'_> {
    fn reference(&self) -> Reference {
        Reference { id: format!("{}/{}", self.owner, self.name), source: self.origin.clone() }
    }

    /// A chain of this repository.
    fn chain(&self, parts: &[&str]) -> String {
        let mut all = vec![self.origin.as_str(), self.id.as_str()];
        all.extend(parts);
        chain_uuid(&all)
    }
}

fn borrow<'b>(text: Option<&'b Text<'_>>) -> Option<Cow<'b, str>> {
    text.map(|text| Cow::Borrowed(&**text))
}

fn login<'b>(account: Option<&'b Account<'_>>) -> Option<Cow<'b, str>> {
    borrow(account.and_then(|account| account.login.as_ref()))
}

/// A type of the specification, which a row names.
fn standard(base: &str) -> Result<&'static EventType, PayloadError> {
    resolve(base).ok_or_else(|| CdEventError::Unknown(base.to_owned()).into())
}

/// A type of ours, in its first version.
fn custom(base: &str) -> Result<CustomType, PayloadError> {
    format!("{base}.0.1.0").parse().map_err(|_| CdEventError::Unknown(base.to_owned()).into())
}

#[cfg(test)]
mod tests;
