//! GitHub's webhooks as events: the raw one for every delivery, and `CDEvents` by the table [`ROWS`].

mod alert;
pub(super) mod change;
pub(super) mod check;
pub(super) mod comment;
mod deployment;
mod dispatch;
mod git;
mod package;
pub(super) mod payload;
mod queue;
pub(super) mod raw;
pub(super) mod release;
pub(super) mod repository;
pub(super) mod run;
pub(super) mod ticket;

use std::borrow::Cow;

use jiff::Timestamp;

use self::payload::{Account, Repository};
use super::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, UPDATED};
use super::occurrence::comment::CREATED as COMMENTED;
use super::occurrence::dispatch::REQUESTED as DISPATCHED;
use super::occurrence::git::{REF_CREATED, REF_DELETED, REFS};
use super::occurrence::release::{DELETED, PUBLISHED};
use super::occurrence::{
    self, Delivery, Place, RawRule, Row, deployment as deployments, repository as repositories, row,
    run as runs, ticket as tickets,
};
use super::options::{Optional, Options};
use super::read::{Text, When};
use super::scope::Paths;
use super::{PayloadError, Reading, Webhook};

const CLOSED: &[&str] = &[MERGED, ABANDONED];
const PUSHED_AT: &str = "repository.pushed_at";
const EDITION: &str = "action, head sha, updated_at, changes";
const DETAIL: &str = "action, updated_at, what was added or removed";
const TICKET_EDITION: &str = "action, updated_at, what was added, removed or changed";
const REPOSITORY_EDITION: &str = "action, updated_at, changes";
const PACKAGE: &str = "package.updated_at";
/// The subject itself is used only once.
const SUBJECT: &str = "–";

/// Every event and action that becomes a `CDEvent`; all others are raw only. A further one is a further row.
///
/// How the keys were chosen: an id must be the same for a repository hook, an organisation hook and a redelivery, so
/// only the payload counts, never the delivery; and it must differ between two occurrences, so something that changes
/// with each occurrence is in it.
/// - `push`, `create`, `delete`: `repository.pushed_at` in seconds is the one value that `create` shares with the
///   `push` that made the branch (RFC 3339 there, a number here). An update of a ref has the two commits too: one push
///   after another within a second, and a ref that is moved back and forth between two commits, stay apart.
/// - `change.created` by `created_at`: it never changes, every later payload of the pull request has it, and so each
///   can compute the id of its parent; a number used again after a repository was made anew stays apart. Likewise
///   `ticket.created`, `repository.created`.
/// - `change.updated` by all of action, head commit, `updated_at` and what an `edited` changed: `updated_at` counts
///   seconds only. Likewise `ticket.updated`: two labels that are set at once are two deliveries with one time.
/// - `change.merged` and `change.abandoned` by the time of closing: a change can be reopened and closed again. Likewise
///   `ticket.closed`; a deletion happens once.
/// - `change.reviewed` by the review and the action: a review is submitted once and dismissed at most once.
/// - `artifact.*` of a release by release and `published_at`: a release can be withdrawn and published again. Of a
///   package by `updated_at`, which `package` and `registry_package` share, unlike the id of the version: a tag can be
///   moved from one digest to another and back.
/// - `workflow_run` and `workflow_job` have what is needed in the subject: a run that is started again is another
///   attempt with other jobs. So each job can compute the id of its run's start.
/// - `check_run.completed` by `completed_at`, `check_suite.completed` by `updated_at`: both can be taken up again under
///   the same id. A `status` has an id of its own.
/// - `deployment_status` by its id, the parent by that of the deployment; an approval by the job that waits for it.
/// - `repository.deleted` by the id of the repository, which is not used again, unlike its name.
///
/// The source is the repository's page. After a rename it is another one, and parents from before it are not found; only
/// the event about the rename itself knows the old name.
///
/// Labels, assignees, review requests, milestones and locks do not make a `change.updated` unless somebody wants it: most
/// mappings would start a build for each. The raw event has them. A comment is not an edit of what it belongs to.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row("push", None, REFS, "repository.pushed_at; updates: before, after too", git::pushed),
    row("create", None, REF_CREATED, PUSHED_AT, git::created),
    row("delete", None, REF_DELETED, PUSHED_AT, git::deleted),
    row("pull_request", Some("opened"), &[CREATED], "created_at", change::created),
    row("pull_request", Some("reopened"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("synchronize"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("edited"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("converted_to_draft"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("ready_for_review"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("enqueued"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("dequeued"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("auto_merge_enabled"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("auto_merge_disabled"), &[UPDATED], EDITION, change::updated),
    row("pull_request", Some("closed"), CLOSED, "merged_at, or closed_at", change::closed),
    row("pull_request_review", Some("submitted"), &[REVIEWED], "review id, action", change::reviewed),
    row("pull_request_review", Some("dismissed"), &[REVIEWED], "review id, action", change::reviewed),
    row("release", Some("published"), &[PUBLISHED], "release id, published_at", release::published),
    row("release", Some("unpublished"), &[DELETED], "release id, published_at", release::withdrawn),
    row("release", Some("deleted"), &[DELETED], "release id, published_at", release::withdrawn),
    row("workflow_run", Some("requested"), &[runs::QUEUED], SUBJECT, run::queued),
    row("workflow_run", Some("in_progress"), &[runs::STARTED], SUBJECT, run::started),
    row("workflow_run", Some("completed"), &[runs::FINISHED], SUBJECT, run::finished),
    row("workflow_job", Some("in_progress"), &[runs::TASK_STARTED], SUBJECT, run::job_started),
    row("workflow_job", Some("completed"), &[runs::TASK_FINISHED], SUBJECT, run::job_finished),
    row("check_run", Some("created"), &[runs::TASK_STARTED], SUBJECT, check::started),
    row("check_run", Some("completed"), &[runs::TASK_FINISHED], "completed_at", check::finished),
    row("check_suite", Some("completed"), &[runs::FINISHED], "updated_at", check::suite_finished),
    row("status", None, &[runs::TASK_STARTED, runs::TASK_FINISHED], "id", check::status),
    row("issues", Some("opened"), &[tickets::CREATED], "created_at", ticket::created),
    row("issues", Some("reopened"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("edited"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("assigned"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("unassigned"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("labeled"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("unlabeled"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("milestoned"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("demilestoned"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("typed"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("untyped"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("pinned"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("unpinned"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("locked"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("unlocked"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("transferred"), &[tickets::UPDATED], TICKET_EDITION, ticket::updated),
    row("issues", Some("closed"), &[tickets::CLOSED], "action, closed_at", ticket::closed),
    row("issues", Some("deleted"), &[tickets::CLOSED], "action", ticket::closed),
    row("deployment", Some("created"), &[deployments::CREATED], "deployment id", deployment::created),
    row("deployment_status", Some("created"), DEPLOYMENTS, "deployment id, status id", deployment::status),
    row("deployment_review", Some("requested"), &[deployments::REQUESTED], SUBJECT, deployment::review),
    row("deployment_review", Some("approved"), &[deployments::APPROVED], SUBJECT, deployment::review),
    row("deployment_review", Some("rejected"), &[deployments::REJECTED], SUBJECT, deployment::review),
    row("deployment_protection_rule", Some("requested"), &[deployments::REQUESTED], SUBJECT, deployment::protection),
    row("package", Some("published"), &[PUBLISHED], PACKAGE, package::published),
    row("package", Some("updated"), &[PUBLISHED], PACKAGE, package::published),
    row("registry_package", Some("published"), &[PUBLISHED], PACKAGE, package::published),
    row("registry_package", Some("updated"), &[PUBLISHED], PACKAGE, package::published),
    row("repository", Some("created"), &[repositories::CREATED], "created_at", repository::created),
    row("repository", Some("edited"), &[repositories::MODIFIED], REPOSITORY_EDITION, repository::modified),
    row("repository", Some("renamed"), &[repositories::MODIFIED], REPOSITORY_EDITION, repository::modified),
    row("repository", Some("transferred"), &[repositories::MODIFIED], REPOSITORY_EDITION, repository::modified),
    row("repository", Some("publicized"), &[repositories::MODIFIED], REPOSITORY_EDITION, repository::modified),
    row("repository", Some("privatized"), &[repositories::MODIFIED], REPOSITORY_EDITION, repository::modified),
    row("repository", Some("archived"), &[repositories::MODIFIED], REPOSITORY_EDITION, repository::modified),
    row("repository", Some("unarchived"), &[repositories::MODIFIED], REPOSITORY_EDITION, repository::modified),
    row("repository", Some("deleted"), &[repositories::DELETED], "repository id", repository::deleted),
    row("fork", None, &[repositories::CREATED], "forkee.created_at", repository::forked),
    row("public", None, &[repositories::MODIFIED], "`publicized`, updated_at", repository::modified),
    // What only some want.
    row("pull_request", Some("labeled"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("unlabeled"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("assigned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("unassigned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("review_requested"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("review_request_removed"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("milestoned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("demilestoned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("locked"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("unlocked"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("issue_comment", Some("created"), &[COMMENTED], SUBJECT, comment::created).only(Optional::Comments),
    row("pull_request_review_comment", Some("created"), &[COMMENTED], SUBJECT, comment::created).only(Optional::Comments),
    row("commit_comment", Some("created"), &[COMMENTED], SUBJECT, comment::created).only(Optional::Comments),
    row("issue_comment", Some("created"), &[tickets::UPDATED], "comment id", ticket::commented).only(Optional::TicketComments),
    row("merge_group", Some("checks_requested"), &[UPDATED], "action, head sha", queue::requested).only(Optional::MergeGroups),
    row("workflow_dispatch", None, &[DISPATCHED], "delivery", dispatch::requested).only(Optional::Dispatches),
    row("repository_dispatch", None, &[DISPATCHED], "delivery", dispatch::requested).only(Optional::Dispatches),
    row("dependabot_alert", Some("created"), &[tickets::CREATED], "created_at", alert::created).only(Optional::Alerts),
    row("dependabot_alert", Some("reintroduced"), &[tickets::UPDATED], "action, updated_at", alert::updated).only(Optional::Alerts),
    row("dependabot_alert", Some("reopened"), &[tickets::UPDATED], "action, updated_at", alert::updated).only(Optional::Alerts),
    row("dependabot_alert", Some("auto_reopened"), &[tickets::UPDATED], "action, updated_at", alert::updated).only(Optional::Alerts),
    row("dependabot_alert", Some("fixed"), &[tickets::CLOSED], "action, time of the end", alert::closed).only(Optional::Alerts),
    row("dependabot_alert", Some("dismissed"), &[tickets::CLOSED], "action, time of the end", alert::closed).only(Optional::Alerts),
    row("dependabot_alert", Some("auto_dismissed"), &[tickets::CLOSED], "action, time of the end", alert::closed).only(Optional::Alerts),
    row("code_scanning_alert", Some("created"), &[tickets::CREATED], "created_at", alert::created).only(Optional::Alerts),
    row("code_scanning_alert", Some("reopened"), &[tickets::UPDATED], "action, updated_at", alert::updated).only(Optional::Alerts),
    row("code_scanning_alert", Some("reopened_by_user"), &[tickets::UPDATED], "action, updated_at", alert::updated).only(Optional::Alerts),
    row("code_scanning_alert", Some("fixed"), &[tickets::CLOSED], "action, time of the end", alert::closed).only(Optional::Alerts),
    row("code_scanning_alert", Some("closed_by_user"), &[tickets::CLOSED], "action, time of the end", alert::closed).only(Optional::Alerts),
    row("secret_scanning_alert", Some("created"), &[tickets::CREATED], "created_at", alert::created).only(Optional::Alerts),
    row("secret_scanning_alert", Some("reopened"), &[tickets::UPDATED], "action, updated_at", alert::updated).only(Optional::Alerts),
    row("secret_scanning_alert", Some("resolved"), &[tickets::CLOSED], "action, time of the end", alert::closed).only(Optional::Alerts),
];

/// What a deployment's status may say.
const DEPLOYMENTS: &[&str] = &[
    deployments::DEPLOYED,
    deployments::ROLLED_BACK,
    deployments::PUBLISHED,
    deployments::REMOVED,
    deployments::QUEUED,
    deployments::PENDING,
    deployments::PROGRESSING,
    deployments::FAILED,
    deployments::ERRORED,
];

/// The raw event, and then the `CDEvents`; no id twice.
///
/// # Errors
/// The body is not a JSON object, or its name of the event cannot be one.
pub fn read(webhook: &Webhook, json: &str, options: &Options) -> Result<Reading, PayloadError> {
    let row = raw::row_of(webhook)?;
    let rule = RawRule {
        paths: CLAIMS.after(row.paths(), &options.scope),
        action: Some(raw::ACTION),
        event: &|picked, _| raw::event(webhook, json, row, picked),
    };
    let (reading, picked) = occurrence::read_by(webhook, json, options, ROWS, &rule)?;
    let claims = CLAIMS.claims(&options.scope, &picked);
    let events = options.scope.admit(webhook.forge, webhook.event == "ping", &claims, reading.events)?;
    Ok(Reading { events, ..reading })
}

/// Where a payload says which repository it is about.
static CLAIMS: Paths = Paths {
    names: &[&["repository", "full_name"], &["pull_request", "base", "repo", "full_name"]],
    pairs: &[(&["repository", "owner", "login"], &["repository", "name"])],
    pages: &[
        &["repository", "html_url"],
        &["repository", "clone_url"],
        &["repository", "ssh_url"],
        &["repository", "git_url"],
        &["pull_request", "base", "repo", "html_url"],
        &["pull_request", "base", "repo", "clone_url"],
        &["pull_request", "base", "repo", "ssh_url"],
    ],
    others: &[
        &["pull_request", "head", "repo", "html_url"],
        &["pull_request", "head", "repo", "clone_url"],
        &["pull_request", "head", "repo", "ssh_url"],
        &["forkee", "html_url"],
    ],
    owners: &[
        &["organization", "login"],
        &["installation", "account", "login"],
        &["package", "owner", "login"],
        &["registry_package", "owner", "login"],
        &["enterprise", "slug"],
    ],
};

pub(super) fn place<'a>(webhook: &Webhook, repository: Repository<'a>) -> Result<Place<'a>, PayloadError> {
    place_at(webhook, "repository", repository)
}

/// The repository that stands in this field.
fn place_at<'a>(
    webhook: &Webhook,
    field: &str,
    repository: Repository<'a>,
) -> Result<Place<'a>, PayloadError> {
    let mut place = Place::at(&repository.html_url)
        .ok_or_else(|| webhook.malformed(format!("`{field}.html_url` must be an http or https URL")))?;
    if let Some((owner, name)) = repository.full_name.as_deref().and_then(|full| full.split_once('/')) {
        (place.owner, place.name) = (owner.to_owned(), name.to_owned());
    }
    if let Some(login) = repository.owner.as_ref().and_then(|owner| owner.login.as_deref()) {
        login.clone_into(&mut place.owner);
    }
    if let Some(name) = repository.name.as_deref() {
        name.clone_into(&mut place.name);
    }
    if place.owner.is_empty() || place.name.is_empty() {
        return Err(webhook.malformed(format!("`{field}` must have an owner and a name")));
    }
    place.id = repository.id.map_or_else(|| format!("{}/{}", place.owner, place.name), |id| id.to_string());
    place.clone_url = repository.clone_url.map(|text| text.0);
    place.ssh_url = repository.ssh_url.map(|text| text.0);
    place.default_branch = repository.default_branch.map(|text| text.0);
    Ok(place)
}

/// The first of these that is a time, else that of the receipt.
pub(super) fn time(delivery: &Delivery<'_>, candidates: &[Option<When>]) -> Timestamp {
    candidates.iter().flatten().find_map(|when| when.0).unwrap_or(delivery.webhook.received)
}

/// Seconds since 1970, empty when there is no time.
pub(super) fn key(when: Option<When>) -> String {
    When::key(when).unwrap_or_default()
}

pub(super) fn borrow<'b>(text: Option<&'b Text<'_>>) -> Option<Cow<'b, str>> {
    text.map(Text::lend)
}

pub(super) fn login<'b>(account: Option<&'b Account<'_>>) -> Option<Cow<'b, str>> {
    borrow(account.and_then(|account| account.login.as_ref()))
}

#[cfg(test)]
mod tests;
