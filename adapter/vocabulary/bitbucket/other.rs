//! Commit statuses, issues and repositories: `repo:commit_status_*`, `issue:*`, `repo:fork`, `repo:updated`,
//! `repo:deleted`.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::{Account, Commit, Links, Repository};
use super::{borrow, login, page, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::run::{TASK_FINISHED, TASK_STARTED};
use crate::vocabulary::occurrence::{Delivery, repository as repositories, run, subject_part, ticket};
use crate::vocabulary::outcome::Outcome;
use crate::vocabulary::read::{Text, When};
use crate::vocabulary::{PayloadError, extract};

/// `repo:commit_status_created` and `repo:commit_status_updated`.
#[derive(Debug, Deserialize)]
struct StatusEvent<'a> {
    #[serde(borrow)]
    commit_status: Status<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    actor: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Status<'a> {
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    /// `INPROGRESS`, `SUCCESSFUL`, `FAILED` or `STOPPED`.
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    #[serde(borrow)]
    refname: Option<Text<'a>>,
    #[serde(borrow)]
    commit: Option<Commit<'a>>,
    #[serde(borrow)]
    links: Option<StatusLinks<'a>>,
    updated_on: Option<When>,
}

#[derive(Debug, Deserialize)]
struct StatusLinks<'a> {
    #[serde(borrow)]
    commit: Option<super::payload::Link<'a>>,
}

/// `issue:created` and `issue:updated`.
#[derive(Debug, Deserialize)]
struct IssueEvent<'a> {
    #[serde(borrow)]
    issue: Issue<'a>,
    #[serde(borrow)]
    changes: Option<IssueChanges<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    actor: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Issue<'a> {
    id: u64,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    links: Option<Links<'a>>,
    #[serde(borrow)]
    reporter: Option<Account<'a>>,
    #[serde(borrow)]
    assignee: Option<Account<'a>>,
    #[serde(borrow)]
    state: Option<Text<'a>>,
    /// `bug`, `enhancement`, `proposal` or `task`.
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    /// The same in webhooks of old; elsewhere it is `issue`.
    #[serde(borrow, rename = "type")]
    old_kind: Option<Text<'a>>,
    #[serde(borrow)]
    priority: Option<Text<'a>>,
    #[serde(borrow)]
    milestone: Option<Named<'a>>,
    created_on: Option<When>,
    updated_on: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct IssueChanges<'a> {
    #[serde(borrow)]
    status: Option<StateChange<'a>>,
}

#[derive(Debug, Deserialize)]
struct StateChange<'a> {
    #[serde(borrow)]
    new: Option<Text<'a>>,
}

/// `repo:updated` and `repo:deleted`; of a fork there is another repository besides.
#[derive(Debug, Deserialize)]
struct RepositoryEvent<'a> {
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    fork: Option<Repository<'a>>,
    #[serde(borrow)]
    actor: Option<Account<'a>>,
}

/// The states of an issue that nobody has to work on any more.
const CLOSED: &[&str] = &["resolved", "invalid", "duplicate", "wontfix", "closed"];

pub fn status(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let StatusEvent { commit_status: status, repository, actor } = delivery.payload()?;
    let base = match &*status.state {
        "INPROGRESS" => TASK_STARTED,
        "SUCCESSFUL" | "FAILED" | "STOPPED" => TASK_FINISHED,
        _ => return Ok(()),
    };
    delivery.needs(&[
        "commit_status.commit.hash",
        "commit_status.links.commit",
        "commit_status.updated_on",
    ])?;
    let page = status.links.as_ref().and_then(|links| links.commit.as_ref()?.href.rsplit('/').next());
    let sha = status.commit.as_ref().and_then(|commit| borrow(commit.hash.as_ref()));
    let Some(sha) = sha.or_else(|| page.filter(|sha| !sha.is_empty()).map(Cow::Borrowed)) else {
        return Err(delivery.webhook.malformed("`commit_status.links.commit.href` must name the commit"));
    };
    let place = place(delivery.webhook, repository)?;
    let conclusion = (base == TASK_FINISHED).then(|| status.state.to_ascii_lowercase());
    let outcome = conclusion.as_deref().map(|word| delivery.outcome(word));
    let told = run::Told {
        base,
        subject: format!("{}/statuses/{}", subject_part(&sha), subject_part(&status.key)),
        run: extract::Run {
            id: Cow::Borrowed(&status.key),
            name: borrow(status.name.as_ref()).unwrap_or(Cow::Borrowed(&status.key)),
            conclusion: conclusion.map(Cow::Owned),
            url: borrow(status.url.as_ref()),
            branch: borrow(status.refname.as_ref()),
            sha: Some(sha),
            ..extract::Run::default()
        },
        pipeline: None,
        outcome,
        errors: borrow(status.description.as_ref())
            .filter(|_| outcome.is_some_and(|outcome| outcome != Outcome::Success)),
        key: vec![status.state.to_string(), When::exact(status.updated_on)],
        parent: None,
        time: time(delivery, status.updated_on),
    };
    run::write(delivery, &told, &place, login(actor.as_ref()), out)
}

pub fn issue_created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    issue(delivery, ticket::CREATED, out)
}

/// Whether it was closed, the payload decides.
pub fn issue_updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    issue(delivery, ticket::UPDATED, out)
}

fn issue(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let IssueEvent { issue, changes, repository, actor } = delivery.payload()?;
    delivery.needs(&["issue.updated_on", "changes.status.new"])?;
    let is_closed = |state: &str| CLOSED.contains(&state);
    let new_state = changes.as_ref().and_then(|changes| changes.status.as_ref()?.new.as_deref());
    let base = match base {
        ticket::UPDATED if new_state.is_some_and(is_closed) => ticket::CLOSED,
        base => base,
    };
    let place = place(delivery.webhook, repository)?;
    let at = if base == ticket::CREATED { issue.created_on } else { issue.updated_on };
    let state = borrow(issue.state.as_ref());
    let kind = borrow(issue.kind.as_ref()).or_else(|| borrow(issue.old_kind.as_ref()));
    let told = ticket::Told {
        base,
        folder: ticket::ISSUES,
        deleted: false,
        created: When::exact(issue.created_on),
        occurrence: vec![When::exact(issue.updated_on)],
        time: time(delivery, at),
        ticket: extract::Ticket {
            number: issue.id,
            title: borrow(issue.title.as_ref()).unwrap_or_default(),
            url: page(issue.links.as_ref()),
            author: login(issue.reporter.as_ref()),
            state: state.as_deref().map(|state| if is_closed(state) { "closed" } else { "open" }.into()),
            reason: state.filter(|state| is_closed(state) && state != "closed"),
            kind: kind.filter(|kind| kind != "issue"),
            labels: Vec::new(),
            assignees: login(issue.assignee.as_ref()).into_iter().collect(),
            milestone: borrow(issue.milestone.as_ref().and_then(|milestone| milestone.name.as_ref())),
            priority: borrow(issue.priority.as_ref()).and_then(|word| priority(&word)).map(Cow::Borrowed),
        },
    };
    ticket::write(delivery, &told, &place, login(actor.as_ref()), out)
}

/// The specification's words for Bitbucket's.
fn priority(word: &str) -> Option<&'static str> {
    match word {
        "trivial" | "minor" => Some("low"),
        "major" => Some("medium"),
        "critical" | "blocker" => Some("high"),
        _ => None,
    }
}

pub fn forked(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: RepositoryEvent<'_> = delivery.payload()?;
    delivery.needs(&["fork.uuid"])?;
    let Some(fork) = event.fork else {
        return Err(delivery.webhook.malformed("missing field `fork`"));
    };
    repository(delivery, repositories::CREATED, fork, event.actor.as_ref(), out)
}

pub fn modified(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: RepositoryEvent<'_> = delivery.payload()?;
    repository(delivery, repositories::MODIFIED, event.repository, event.actor.as_ref(), out)
}

pub fn deleted(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: RepositoryEvent<'_> = delivery.payload()?;
    delivery.needs(&["repository.uuid"])?;
    repository(delivery, repositories::DELETED, event.repository, event.actor.as_ref(), out)
}

/// Neither when it was made nor when it was changed is in the payload: an edition is told by its delivery, which Bitbucket
/// keeps when it sends again.
fn repository(
    delivery: &Delivery<'_>,
    base: &'static str,
    repository: Repository<'_>,
    actor: Option<&Account<'_>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let place = place(delivery.webhook, repository)?;
    let occurrence = match base {
        repositories::MODIFIED => delivery.webhook.delivery.clone(),
        _ => place.id.clone(),
    };
    let told = repositories::Told {
        base,
        previous: None,
        created: None,
        occurrence: vec![occurrence],
        time: delivery.webhook.received,
    };
    repositories::write(delivery, &told, &place, login(actor), out)
}
