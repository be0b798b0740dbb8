//! GitLab's webhooks as events: the raw one for every delivery, and `CDEvents` by the table [`ROWS`].

mod change;
mod comment;
mod deployment;
mod git;
mod payload;
mod raw;
mod release;
mod run;
mod ticket;

use std::borrow::Cow;

use self::payload::{Project, User};
use super::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, UPDATED};
use super::occurrence::comment::CREATED as COMMENTED;
use super::occurrence::git::REFS;
use super::occurrence::release::{DELETED, PUBLISHED};
use super::occurrence::time;
use super::occurrence::{
    self, Delivery, Place, Row, deployment as deployments, row, run as runs, ticket as tickets,
};
use super::options::{Optional, Options};
use super::read::borrow;
use super::scope::Paths;
use super::{PayloadError, Reading, Webhook};

const EDITION: &str = "action, head sha, oldrev, updated_at, changes";
const REVIEW: &str = "action, user, head sha, updated_at";
const REF: &str = "before, after";
const RELEASE: &str = "release id, created_at";
const TICKET_EDITION: &str = "action, updated_at, changes";
const CLOSING: &str = "closed_at, or updated_at";
const DEPLOYMENT: &str = "deployment id, status, status_changed_at";
const DEPLOYED: &[&str] = &[deployments::DEPLOYED, deployments::PUBLISHED];
/// The subject itself is used only once.
const SUBJECT: &str = "–";

/// Every event and action that becomes a `CDEvent`; all others are raw only. A further one is a further row.
///
/// The event is the payload's `object_kind`, so that a project hook, a group hook and a system hook are the same to us;
/// only where there is none the header's name counts, in snake case and without its `Hook`.
///
/// How the keys were chosen: as with GitHub only the payload counts, never the delivery.
/// - A push has no time of its own, so that before and after are all there is. A branch that was deleted and is made
///   again at the same commit is the same event again; so is a ref that was moved back and is moved forth a second time.
/// - `change.created` by `created_at`, which every later payload of the merge request has.
/// - `change.updated` by all of action, head commit, the one before, `updated_at` and what changed.
/// - `change.merged` by `created_at`: a merge request is merged once. `change.abandoned` by `updated_at`: it can be closed
///   again.
/// - `change.reviewed` by who did what at which commit and at which state of the merge request; an approval has no id.
/// - `artifact.*` by release and `created_at`.
/// - A pipeline is queued and started once: what waits for a runner in between is no news. It ends anew, with another
///   `finished_at`, when some of its jobs are retried; those are other jobs.
/// - `ticket.*` as the changes; a ticket that is closed again has another `closed_at`.
///
/// For pipelines, jobs and deployments, the action is their status.
///
/// An `update` that changed neither commits, title, description, target branch nor draft makes no `change.updated`: labels,
/// assignees, reviewers and milestones are in the raw event.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row("push", None, REFS, REF, git::pushed),
    row("tag_push", None, REFS, REF, git::pushed),
    row("merge_request", Some("open"), &[CREATED], "created_at", change::created),
    row("merge_request", Some("reopen"), &[UPDATED], EDITION, change::updated),
    row("merge_request", Some("update"), &[UPDATED], EDITION, change::updated),
    row("merge_request", Some("merge"), &[MERGED], "created_at", change::merged),
    row("merge_request", Some("close"), &[ABANDONED], "updated_at", change::closed),
    row("merge_request", Some("approved"), &[REVIEWED], REVIEW, change::reviewed),
    row("merge_request", Some("approval"), &[REVIEWED], REVIEW, change::reviewed),
    row("merge_request", Some("unapproved"), &[REVIEWED], REVIEW, change::reviewed),
    row("merge_request", Some("unapproval"), &[REVIEWED], REVIEW, change::reviewed),
    row("release", Some("create"), &[PUBLISHED], RELEASE, release::published),
    row("release", Some("delete"), &[DELETED], RELEASE, release::withdrawn),
    row("pipeline", Some("created"), &[runs::QUEUED], SUBJECT, run::queued),
    row("pipeline", Some("waiting_for_resource"), &[runs::QUEUED], SUBJECT, run::queued),
    row("pipeline", Some("preparing"), &[runs::QUEUED], SUBJECT, run::queued),
    row("pipeline", Some("pending"), &[runs::QUEUED], SUBJECT, run::queued),
    row("pipeline", Some("running"), &[runs::STARTED], SUBJECT, run::started),
    row("pipeline", Some("success"), &[runs::FINISHED], "finished_at", run::finished),
    row("pipeline", Some("failed"), &[runs::FINISHED], "finished_at", run::finished),
    row("pipeline", Some("canceled"), &[runs::FINISHED], "finished_at", run::finished),
    row("pipeline", Some("skipped"), &[runs::FINISHED], "finished_at", run::finished),
    row("build", Some("running"), &[runs::TASK_STARTED], SUBJECT, run::job_started),
    row("build", Some("success"), &[runs::TASK_FINISHED], SUBJECT, run::job_finished),
    row("build", Some("failed"), &[runs::TASK_FINISHED], SUBJECT, run::job_finished),
    row("build", Some("canceled"), &[runs::TASK_FINISHED], SUBJECT, run::job_finished),
    row("build", Some("skipped"), &[runs::TASK_FINISHED], SUBJECT, run::job_finished),
    row("issue", Some("open"), &[tickets::CREATED], "created_at", ticket::created),
    row("issue", Some("update"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issue", Some("reopen"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issue", Some("close"), &[tickets::CLOSED], CLOSING, ticket::closed),
    row("work_item", Some("open"), &[tickets::CREATED], "created_at", ticket::created),
    row("work_item", Some("update"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("work_item", Some("reopen"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("work_item", Some("close"), &[tickets::CLOSED], CLOSING, ticket::closed),
    row("deployment", Some("running"), &[deployments::PROGRESSING], DEPLOYMENT, deployment::started),
    row("deployment", Some("success"), DEPLOYED, DEPLOYMENT, deployment::succeeded),
    row("deployment", Some("failed"), &[deployments::FAILED], DEPLOYMENT, deployment::failed),
    row("deployment", Some("canceled"), &[deployment::CANCELED], DEPLOYMENT, deployment::canceled),
    // What only some want.
    row("note", None, &[COMMENTED], SUBJECT, comment::created).only(Optional::Comments),
];

/// The raw event, and then the `CDEvents`; no id twice.
///
/// # Errors
/// The body is not a JSON object, or its name of the event cannot be one.
pub fn read(webhook: &Webhook, json: &str, options: &Options) -> Result<Reading, PayloadError> {
    let raw::Told { event: raw, kind, action, claims } = raw::event(webhook, json, &options.scope)?;
    let webhook = &Webhook { event: kind, ..webhook.clone() };
    let reading = occurrence::read_after(raw, &Delivery::new(webhook, json, action, options), ROWS);
    let events = options.scope.admit(webhook.forge, false, &claims, reading.events)?;
    Ok(Reading { events, ..reading })
}

/// Where a payload says which repository it is about.
static CLAIMS: Paths = Paths {
    names: &[
        &["project", "path_with_namespace"],
        &["object_attributes", "target", "path_with_namespace"],
        &["path_with_namespace"],
    ],
    pairs: &[],
    pages: &[
        &["project", "web_url"],
        &["project", "git_http_url"],
        &["project", "git_ssh_url"],
        &["repository", "homepage"],
        &["repository", "git_http_url"],
        &["repository", "git_ssh_url"],
        &["object_attributes", "target", "web_url"],
        &["object_attributes", "target", "git_http_url"],
    ],
    others: &[
        &["object_attributes", "source", "web_url"],
        &["object_attributes", "source", "git_http_url"],
        &["object_attributes", "source", "git_ssh_url"],
    ],
    owners: &[&["group", "full_path"], &["full_path"], &["group", "group_path"], &["group_path"]],
};

/// Owner and name are those of the path: `project.name` is a title, and may have spaces.
fn place<'a>(webhook: &Webhook, project: Project<'a>) -> Result<Place<'a>, PayloadError> {
    let mut place = Place::at(&project.web_url)
        .ok_or_else(|| webhook.malformed("`project.web_url` must be an http or https URL"))?;
    if let Some((owner, name)) = project.path_with_namespace.as_deref().and_then(|path| path.rsplit_once('/'))
    {
        (place.owner, place.name) = (owner.to_owned(), name.to_owned());
    }
    if place.owner.is_empty() || place.name.is_empty() {
        return Err(webhook.malformed("`project.path_with_namespace` must have a group and a name"));
    }
    place.id = project.id.map_or_else(|| format!("{}/{}", place.owner, place.name), |id| id.to_string());
    place.clone_url = project.git_http_url.map(|text| text.0);
    place.ssh_url = project.git_ssh_url.map(|text| text.0);
    place.default_branch = project.default_branch.map(|text| text.0);
    Ok(place)
}

/// The same from what a job of an old version has; what is in `project` otherwise is not known then.
fn place_of_repository<'a>(
    webhook: &Webhook,
    repository: run::Repository<'a>,
    id: Option<u64>,
) -> Result<Place<'a>, PayloadError> {
    let mut place = Place::at(&repository.homepage)
        .filter(|place| !place.owner.is_empty() && !place.name.is_empty())
        .ok_or_else(|| webhook.malformed("`repository.homepage` must be the URL of a project"))?;
    place.id = id.map_or(place.id, |id| id.to_string());
    place.clone_url = repository.git_http_url.map(|text| text.0);
    Ok(place)
}

fn username<'b>(user: Option<&'b User<'_>>) -> Option<Cow<'b, str>> {
    borrow(user.and_then(|user| user.username.as_ref()))
}

#[cfg(test)]
mod tests;
