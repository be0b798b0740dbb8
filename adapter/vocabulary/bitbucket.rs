//! Bitbucket Cloud's webhooks as events: the raw one for every delivery, and `CDEvents` by the table [`ROWS`].

mod change;
mod comment;
mod git;
mod other;
mod payload;
pub(super) mod raw;

use std::borrow::Cow;

use self::payload::{Account, Links, Repository};
use super::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, UPDATED};
use super::occurrence::comment::CREATED as COMMENTED;
use super::occurrence::git::REFS;
use super::occurrence::time;
use super::occurrence::{
    self, Place, RawRule, Row, repository as repositories, row, run as runs, ticket as tickets,
};
use super::options::{Optional, Options};
use super::read::borrow;
use super::scope::Paths;
use super::{PayloadError, Reading, Webhook};

const STATUSES: &[&str] = &[runs::TASK_STARTED, runs::TASK_FINISHED];
const STATUS: &str = "state, updated_on";
const TICKETS: &[&str] = &[tickets::UPDATED, tickets::CLOSED];
const REVIEW: &str = "event, reviewer, head, time of the review";

/// Every event that becomes a `CDEvent`; all others are raw only. A further one is a further row. The events have no
/// actions; they are `X-Event-Key`.
///
/// How the keys were chosen: as with GitHub only the payload counts, never the delivery.
/// - A push has no time of its own, so that before and after are all there is. A branch that was deleted and is made
///   again at the same commit is the same event again; so is a ref that was moved back and is moved forth a second time.
/// - `change.created` by `created_on`, which every later payload of the pull request has; `change.merged` and
///   `change.abandoned` too, since each happens once: one that was declined stays so.
/// - `change.updated` by head commit and `updated_on`. What was updated is not in the payload.
/// - `change.reviewed` by the time of the review, where there is one.
/// - `repository.modified` by the delivery, since nothing else tells one edition from another: it is the one event that two
///   hooks tell twice.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row("repo:push", None, REFS, "before, after", git::pushed),
    row("pullrequest:created", None, &[CREATED], "created_on", change::created),
    row("pullrequest:updated", None, &[UPDATED], "head, updated_on", change::updated),
    row("pullrequest:fulfilled", None, &[MERGED], "created_on", change::merged),
    row("pullrequest:rejected", None, &[ABANDONED], "created_on", change::rejected),
    row("pullrequest:approved", None, &[REVIEWED], REVIEW, change::reviewed),
    row("pullrequest:unapproved", None, &[REVIEWED], REVIEW, change::reviewed),
    row("pullrequest:changes_request_created", None, &[REVIEWED], REVIEW, change::reviewed),
    row("pullrequest:changes_request_removed", None, &[REVIEWED], REVIEW, change::reviewed),
    row("repo:commit_status_created", None, STATUSES, STATUS, other::status),
    row("repo:commit_status_updated", None, STATUSES, STATUS, other::status),
    row("issue:created", None, &[tickets::CREATED], "created_on", other::issue_created),
    row("issue:updated", None, TICKETS, "updated_on", other::issue_updated),
    row("repo:fork", None, &[repositories::CREATED], "uuid of the fork", other::forked),
    row("repo:updated", None, &[repositories::MODIFIED], "delivery", other::modified),
    row("repo:deleted", None, &[repositories::DELETED], "uuid", other::deleted),
    // What only some want.
    row("pullrequest:comment_created", None, &[COMMENTED], "–", comment::created).only(Optional::Comments),
    row("issue:comment_created", None, &[COMMENTED], "–", comment::created).only(Optional::Comments),
    row("repo:commit_comment_created", None, &[COMMENTED], "–", comment::created).only(Optional::Comments),
];

/// The raw event, and then the `CDEvents`; no id twice.
///
/// # Errors
/// The body is not a JSON object, or its name of the event cannot be one.
pub fn read(webhook: &Webhook, json: &str, options: &Options) -> Result<Reading, PayloadError> {
    let rule = RawRule {
        paths: CLAIMS.after(raw::CLOUD.all(), &options.scope),
        action: None,
        event: &|picked, _| raw::raw(webhook, picked, &raw::CLOUD)?.event(webhook, json),
    };
    let (reading, picked) = occurrence::read_by(webhook, json, options, ROWS, &rule)?;
    let claims = CLAIMS.claims(&options.scope, &picked);
    let events = options.scope.admit(webhook.forge, false, &claims, reading.events)?;
    Ok(Reading { events, ..reading })
}

/// Where a payload says which repository it is about.
static CLAIMS: Paths = Paths {
    names: &[&["repository", "full_name"], &["pullrequest", "destination", "repository", "full_name"]],
    pairs: &[],
    pages: &[
        &["repository", "links", "html", "href"],
        &["pullrequest", "destination", "repository", "links", "html", "href"],
    ],
    others: &[
        &["pullrequest", "source", "repository", "links", "html", "href"],
        &["fork", "links", "html", "href"],
    ],
    owners: &[&["workspace", "slug"]],
};

/// Owner and name are those of the path: the repository's name is a title, and may have spaces.
fn place<'a>(webhook: &Webhook, repository: Repository<'a>) -> Result<Place<'a>, PayloadError> {
    let mut place = repository
        .links
        .as_ref()
        .and_then(|links| Place::at(&links.html.as_ref()?.href))
        .ok_or_else(|| webhook.malformed("`repository.links.html.href` must be an http or https URL"))?;
    if let Some((owner, name)) = repository.full_name.as_deref().and_then(|full| full.split_once('/')) {
        (place.owner, place.name) = (owner.to_owned(), name.to_owned());
    }
    if place.owner.is_empty() || place.name.is_empty() {
        return Err(webhook.malformed("`repository.full_name` must have an owner and a name"));
    }
    place.id = match repository.uuid {
        Some(uuid) => uuid.to_string(),
        None => format!("{}/{}", place.owner, place.name),
    };
    // Not told, but so it is for every repository.
    place.clone_url = Some(format!("{}.git", place.source).into());
    place.default_branch = repository.mainbranch.and_then(|branch| branch.name).map(|text| text.0);
    Ok(place)
}

/// The page for people.
fn page<'b>(links: Option<&'b Links<'_>>) -> Option<Cow<'b, str>> {
    borrow(Some(&links?.html.as_ref()?.href))
}

/// Since 2019 accounts have no `username`; `nickname` is what comes nearest, and a team or an App has neither.
fn login<'b>(account: Option<&'b Account<'_>>) -> Option<Cow<'b, str>> {
    let account = account?;
    let names = [&account.username, &account.nickname, &account.display_name];
    names.into_iter().find_map(|name| borrow(name.as_ref()))
}

#[cfg(test)]
mod tests;
