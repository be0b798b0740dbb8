//! Gitea's and Forgejo's webhooks as events: the raw one for every delivery, and `CDEvents` by the table [`ROWS`].

mod change;
mod git;
mod package;
mod raw;
mod run;
mod ticket;

use super::github::change as github_change;
use super::github::ticket::{
    closed as ticket_closed, commented as ticket_commented, created as ticket_created,
};
use super::github::{check, comment, release, repository};
use super::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, UPDATED};
use super::occurrence::comment::CREATED as COMMENTED;
use super::occurrence::git::{REF_CREATED, REF_DELETED, REFS};
use super::occurrence::release::{DELETED, PUBLISHED};
use super::occurrence::repository as repositories;
use super::occurrence::run as runs;
use super::occurrence::ticket as tickets;
use super::occurrence::{self, RawRule, Row, row};
use super::options::{Optional, Options};
use super::scope::Paths;
use super::{PayloadError, Reading, Webhook};

const CLOSED: &[&str] = &[MERGED, ABANDONED];
const MADE: &str = "sha, repository.updated_at";
const EDITION: &str = "action, head sha, updated_at, changes";
const REVIEW: &str = "state, sender, content, head sha, updated_at, review_comments";
const RELEASE: &str = "release id, published_at";
const DETAIL: &str = "action, updated_at, labels, assignees, reviewers, milestone";
/// The subject itself is used only once.
const SUBJECT: &str = "–";
const RUN: &str = "started_at, completed_at";
const JOB: &str = "run_attempt, started_at";
const TICKET: &str = "action, updated_at, changes, labels, assignees, milestone";
const TICKET_UPDATED: &[&str] = &[tickets::UPDATED];

/// Every event and action that becomes a `CDEvent`; all others are raw only. A further one is a further row.
///
/// How the keys were chosen, where GitHub's cannot be used (Gitea 1.26, seen on a real one):
/// - A ref has no time of its own. `repository.updated_at` is the time of the last push *before* this one; `create` and
///   the `push` of one new branch both have it and both have the commit, `delete` and the `push` of a deleted tag
///   have it only. A ref that is made anew on another commit, or after another push, is another occurrence; one
///   that is made anew on the same commit with no push between (tags made and deleted through the API only) is not, and
///   nothing in the payload could tell.
/// - A `push` whose commits are the same before and after moved nothing: it is the test delivery of the web page.
/// - A review has no id: its words, its author, the commit, and the time and number of reviews of the change tell it from
///   others.
/// - What happened to the labels, assignees and milestone of a ticket is not told, only what they are now.
/// - The redelivery of Gitea has a new delivery id, so only the payload counts here too.
///
/// Labels, assignees, review requests and milestones do not make a `change.updated`, as with GitHub. Neither does Gitea
/// tell of everything: a repository that is renamed and a review that is dismissed have no delivery.
/// - Older versions start a run or a job again under its id and without another attempt, so that its times are in the key.
#[rustfmt::skip]
pub static ROWS: &[Row] = &[
    row("push", None, REFS, "repository.updated_at; made: after too; moved: before, after too", git::pushed),
    row("create", None, REF_CREATED, MADE, git::created),
    row("delete", None, REF_DELETED, "repository.updated_at", git::deleted),
    row("pull_request", Some("opened"), &[CREATED], "created_at", github_change::created),
    row("pull_request", Some("reopened"), &[UPDATED], EDITION, github_change::updated),
    row("pull_request", Some("synchronized"), &[UPDATED], EDITION, github_change::updated),
    row("pull_request", Some("edited"), &[UPDATED], EDITION, github_change::updated),
    row("pull_request", Some("closed"), CLOSED, "merged_at, or closed_at", github_change::closed),
    row("pull_request_approved", Some("reviewed"), &[REVIEWED], REVIEW, change::reviewed),
    row("pull_request_rejected", Some("reviewed"), &[REVIEWED], REVIEW, change::reviewed),
    row("pull_request_comment", Some("reviewed"), &[REVIEWED], REVIEW, change::reviewed),
    row("release", Some("published"), &[PUBLISHED], RELEASE, release::published),
    row("release", Some("updated"), &[PUBLISHED], RELEASE, release::edited),
    row("release", Some("deleted"), &[DELETED], RELEASE, release::withdrawn),
    row("issues", Some("opened"), &[tickets::CREATED], "created_at", ticket_created),
    row("issues", Some("reopened"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("edited"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("assigned"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("unassigned"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("label_updated"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("label_cleared"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("milestoned"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("demilestoned"), TICKET_UPDATED, TICKET, ticket::updated),
    row("issues", Some("closed"), &[tickets::CLOSED], "action, closed_at", ticket_closed),
    row("issues", Some("deleted"), &[tickets::CLOSED], "action", ticket_closed),
    row("workflow_run", Some("requested"), &[runs::QUEUED], RUN, run::queued),
    row("workflow_run", Some("in_progress"), &[runs::STARTED], RUN, run::started),
    row("workflow_run", Some("completed"), &[runs::FINISHED], RUN, run::finished),
    row("workflow_job", Some("in_progress"), &[runs::TASK_STARTED], JOB, run::job_started),
    row("workflow_job", Some("completed"), &[runs::TASK_FINISHED], JOB, run::job_finished),
    row("action_run_success", None, &[runs::FINISHED], "stopped", run::ended),
    row("action_run_failure", None, &[runs::FINISHED], "stopped", run::ended),
    row("action_run_recover", None, &[runs::FINISHED], "stopped", run::ended),
    row("status", None, &[runs::TASK_STARTED, runs::TASK_FINISHED], "status id", check::status),
    row("package", Some("created"), &[PUBLISHED], "package id", package::published),
    row("package", Some("deleted"), &[DELETED], "package id", package::deleted),
    row("repository", Some("created"), &[repositories::CREATED], "created_at", repository::created),
    row("repository", Some("deleted"), &[repositories::DELETED], "repository id", repository::deleted),
    // The new one is the `repository`, and `forkee` is what it was made from.
    row("fork", None, &[repositories::CREATED], "created_at", repository::created),
    // What only some want.
    row("pull_request", Some("assigned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("unassigned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("label_updated"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("label_cleared"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("milestoned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("demilestoned"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("review_requested"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("pull_request", Some("review_request_removed"), &[UPDATED], DETAIL, change::detailed).only(Optional::ChangeDetails),
    row("issue_comment", Some("created"), &[COMMENTED], SUBJECT, comment::created).only(Optional::Comments),
    row("issue_comment", Some("created"), TICKET_UPDATED, "comment id", ticket_commented).only(Optional::TicketComments),
];

/// The raw event, and then the `CDEvents`; no id twice.
///
/// # Errors
/// The body is not a JSON object, or its name of the event cannot be one.
pub fn read(webhook: &Webhook, json: &str, options: &Options) -> Result<Reading, PayloadError> {
    let row = raw::row_of(webhook)?;
    let claims = if webhook.event == "fork" { &FORK_CLAIMS } else { &CLAIMS };
    let rule = RawRule {
        paths: claims.after(row.paths(), &options.scope),
        action: Some(raw::ACTION),
        event: &|picked, _| raw::event(webhook, json, row, picked),
    };
    let (reading, picked) = occurrence::read_by(webhook, json, options, ROWS, &rule)?;
    let claims = claims.claims(&options.scope, &picked);
    let events = options.scope.admit(webhook.forge, false, &claims, reading.events)?;
    Ok(Reading { events, ..reading })
}

/// Where a payload says which repository it is about.
static CLAIMS: Paths = Paths {
    names: &[
        &["repository", "full_name"],
        &["pull_request", "base", "repo", "full_name"],
        &["package", "repository", "full_name"],
    ],
    pairs: &[(&["repository", "owner", "login"], &["repository", "name"])],
    pages: &[
        &["repository", "html_url"],
        &["repository", "clone_url"],
        &["repository", "ssh_url"],
        &["pull_request", "base", "repo", "html_url"],
        &["pull_request", "base", "repo", "clone_url"],
        &["pull_request", "base", "repo", "ssh_url"],
        &["package", "repository", "html_url"],
        &["package", "repository", "clone_url"],
    ],
    others: &[
        &["pull_request", "head", "repo", "html_url"],
        &["pull_request", "head", "repo", "clone_url"],
        &["pull_request", "head", "repo", "ssh_url"],
    ],
    owners: &[&["organization", "username"], &["organization", "login"], &["package", "owner", "login"]],
};

/// The same of `fork`, which is about the repository that was forked; the new one is the `repository`.
static FORK_CLAIMS: Paths = Paths {
    names: &[&["forkee", "full_name"]],
    pairs: &[(&["forkee", "owner", "login"], &["forkee", "name"])],
    pages: &[&["forkee", "html_url"], &["forkee", "clone_url"], &["forkee", "ssh_url"]],
    others: &[&["repository", "html_url"], &["repository", "clone_url"], &["repository", "ssh_url"]],
    owners: &[],
};

#[cfg(test)]
mod tests;
