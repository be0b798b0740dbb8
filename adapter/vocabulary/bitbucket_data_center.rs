//! Bitbucket Data Center's webhooks as events: the raw one for every delivery, and `CDEvents` by the table [`ROWS`].

mod change;
mod comment;
mod git;
mod payload;
mod repository;

use std::borrow::Cow;

use self::payload::{Link, Repository, User};
use super::bitbucket::raw::{self, Paths};
use super::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, UPDATED};
use super::occurrence::comment::CREATED as COMMENTED;
use super::occurrence::git::REFS;
use super::occurrence::{self, Place, RawRule, Row, repository as repositories, row};
use super::options::{Optional, Options};
use super::pick::Picked;
use super::read::borrow;
use super::{PayloadError, Reading, Webhook, scope};
use crate::event::uri;

const EDITION: &str = "event, head, version, date";
const CLOSED: &str = "closedDate, or date";
const REVIEW: &str = "event, reviewer, date";

/// Every event that becomes a `CDEvent`; all others are raw only. A further one is a further row. The events have no
/// actions; they are `X-Event-Key`.
///
/// How the keys were chosen: as with GitHub only the payload counts, never the delivery. Every payload has the `date` of the
/// deed, in seconds.
/// - A ref by `date`, before and after.
/// - `change.created` by `createdDate`, which every later payload of the pull request has.
/// - `change.updated` by head commit, `version`, which counts editions, and `date`.
/// - `change.merged` and `change.abandoned` by `closedDate`: one that is declined and then deleted is abandoned once.
/// - `repository.modified` by `date`; it is told only where the payload says on which host the repository is.
/// - `change.reviewed` by reviewer and `date`; a state can be set again.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row("repo:refs_changed", None, REFS, "date, before, after", git::changed),
    row("pr:opened", None, &[CREATED], "createdDate", change::created),
    row("pr:from_ref_updated", None, &[UPDATED], EDITION, change::updated),
    row("pr:modified", None, &[UPDATED], EDITION, change::updated),
    row("pr:merged", None, &[MERGED], CLOSED, change::merged),
    row("pr:declined", None, &[ABANDONED], CLOSED, change::abandoned),
    row("pr:deleted", None, &[ABANDONED], CLOSED, change::abandoned),
    row("pr:reviewer:approved", None, &[REVIEWED], REVIEW, change::reviewed),
    row("pr:reviewer:unapproved", None, &[REVIEWED], REVIEW, change::reviewed),
    row("pr:reviewer:needs_work", None, &[REVIEWED], REVIEW, change::reviewed),
    row("repo:modified", None, &[repositories::MODIFIED], "date", repository::modified),
    // What only some want.
    row("pr:comment:added", None, &[COMMENTED], "–", comment::created).only(Optional::Comments),
    row("repo:comment:added", None, &[COMMENTED], "–", comment::created).only(Optional::Comments),
];

static PATHS: Paths = Paths {
    source: &[],
    subject: &[&["comment", "id"], &["pullRequest", "id"]],
    time: &[&["date"]],
    fallback: "bitbucket",
};

/// The raw event, and then the `CDEvents`; no id twice.
///
/// # Errors
/// The body is not a JSON object, or its name of the event cannot be one.
pub fn read(webhook: &Webhook, json: &str, options: &Options) -> Result<Reading, PayloadError> {
    let raw = |picked: &Picked<'_>, told: Option<&str>| {
        let mut raw = raw::raw(webhook, picked, &PATHS)?;
        // A payload without a repository, or with half of one, is still an event.
        let whose = || serde_json::from_str::<payload::Whose<'_>>(json).ok()?.repository();
        let source = told.map(str::to_owned).or_else(|| Some(place(whose()?).source));
        raw.source = source.unwrap_or(raw.source);
        raw.event(webhook, json)
    };
    let rule = RawRule { paths: PATHS.all(), action: None, event: &raw };
    let (reading, _) = occurrence::read_by(webhook, json, options, ROWS, &rule)?;
    let claims = scope::of_data_center(&options.scope, &webhook.event, json);
    let events =
        options.scope.admit(webhook.forge, webhook.event == "diagnostics:ping", &claims, reading.events)?;
    Ok(Reading { events, ..reading })
}

fn checked_place<'a>(
    webhook: &Webhook,
    repository: Option<Repository<'a>>,
) -> Result<Place<'a>, PayloadError> {
    let named = repository.filter(|it| !it.slug.is_empty() && !it.project.key.is_empty());
    named.map(place).ok_or_else(|| webhook.malformed("`repository` must have a `slug` and a `project.key`"))
}

/// Not every payload says on which host the repository is; then the source is its path there.
fn place(repository: Repository<'_>) -> Place<'_> {
    let Repository { id, slug, project, links } = repository;
    let page = links.as_ref().and_then(|links| href(links.this.as_deref()));
    let page = page.map(|page| page.trim_end_matches('/').trim_end_matches("/browse"));
    let mut place = page.and_then(Place::at).unwrap_or_else(|| {
        let mut path = "/projects/".to_owned();
        uri::encode(&project.key, &mut path);
        path.push_str("/repos/");
        uri::encode(&slug, &mut path);
        Place {
            source: path,
            origin: String::new(),
            owner: String::new(),
            name: String::new(),
            id: String::new(),
            clone_url: None,
            ssh_url: None,
            default_branch: None,
        }
    });
    (place.owner, place.name) = (project.key.to_string(), slug.to_string());
    place.id = id.map_or_else(|| format!("{}/{}", &*project.key, &*slug), |id| id.to_string());
    place.clone_url = links.as_ref().and_then(clone_url);
    place.ssh_url = links.as_ref().and_then(ssh_url);
    place
}

/// Over HTTPS, or HTTP where a host has only that.
fn clone_url<'a>(links: &payload::Links<'a>) -> Option<Cow<'a, str>> {
    let is_http = |link: &&Link<'_>| matches!(link.name.as_deref(), Some("http" | "https"));
    let mut all = links.clone.iter().flatten().flatten();
    all.find(is_http).and_then(|link| link.href.as_ref()).map(|text| text.0.clone())
}

fn ssh_url<'a>(links: &payload::Links<'a>) -> Option<Cow<'a, str>> {
    let mut all = links.clone.iter().flatten().flatten();
    let link = all.find(|link| link.name.as_deref() == Some("ssh"))?;
    link.href.as_ref().map(|text| text.0.clone())
}

/// The first that is one: a list of links may be `[null]`.
fn href<'b>(links: Option<&'b [Option<Link<'_>>]>) -> Option<&'b str> {
    links?.iter().flatten().find_map(|link| link.href.as_deref()).filter(|href| !href.is_empty())
}

fn login<'b>(user: Option<&'b User<'_>>) -> Option<Cow<'b, str>> {
    borrow(user.and_then(|user| user.name.as_ref()))
}

#[cfg(test)]
mod tests;
