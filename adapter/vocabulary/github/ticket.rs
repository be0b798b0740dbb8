//! Tickets: `issues`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{Account, Label, Repository};
use super::{borrow, key, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::ticket::{
    CLOSED, CREATED, ISSUES, MAX_ASSIGNEES, MAX_LABELS, Told, UPDATED,
};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
pub struct IssueEvent<'a> {
    #[serde(borrow)]
    pub issue: Issue<'a>,
    /// What the action added or took away.
    #[serde(borrow)]
    label: Option<Label<'a>>,
    #[serde(borrow)]
    assignee: Option<Account<'a>>,
    #[serde(borrow)]
    milestone: Option<Milestone<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<IssueType<'a>>,
    /// What an `edited` changed; compared as text only.
    #[serde(borrow)]
    pub changes: Option<&'a RawValue>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Issue<'a> {
    number: u64,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    user: Option<Account<'a>>,
    #[serde(borrow)]
    pub labels: Option<List<Label<'a>>>,
    #[serde(borrow)]
    pub assignees: Option<List<Account<'a>>>,
    #[serde(borrow)]
    pub milestone: Option<Milestone<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<IssueType<'a>>,
    #[serde(borrow)]
    state: Option<Text<'a>>,
    #[serde(borrow)]
    state_reason: Option<Text<'a>>,
    /// There when the issue is a pull request.
    #[serde(borrow)]
    pull_request: Option<&'a RawValue>,
    created_at: Option<When>,
    pub updated_at: Option<When>,
    closed_at: Option<When>,
}

#[derive(Debug, Deserialize)]
pub struct Milestone<'a> {
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct IssueType<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// `issue_comment`.
#[derive(Debug, Deserialize)]
struct Commented {
    comment: Comment,
}

#[derive(Debug, Deserialize)]
struct Comment {
    id: u64,
    created_at: Option<When>,
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    delivery.needs(&["issue.created_at"])?;
    let time = time(delivery, &[event.issue.created_at]);
    write(delivery, event, CREATED, Vec::new(), time, out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    delivery.needs(&["issue.updated_at"])?;
    let text = |text: Option<&Text<'_>>| text.map(|text| text.to_string());
    let what = match delivery.action() {
        "labeled" | "unlabeled" => event.label.as_ref().map(|label| label.name.to_string()),
        "assigned" | "unassigned" => text(event.assignee.as_ref().and_then(|it| it.login.as_ref())),
        "milestoned" | "demilestoned" => text(event.milestone.as_ref().and_then(|it| it.title.as_ref())),
        "typed" | "untyped" => text(event.kind.as_ref().and_then(|it| it.name.as_ref())),
        "edited" => event.changes.map(|changes| changes.get().to_owned()),
        _ => None,
    };
    if what.is_none() {
        delivery.needs(&["label", "assignee.login", "milestone.title", "type.name"])?;
    }
    let occurrence =
        vec![delivery.action().to_owned(), key(event.issue.updated_at), what.unwrap_or_default()];
    let time = time(delivery, &[event.issue.updated_at]);
    write(delivery, event, UPDATED, occurrence, time, out)
}

/// Somebody has said something, and nothing of the ticket itself has changed.
pub fn commented(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    let Commented { comment } = delivery.payload()?;
    let occurrence = vec!["commented".to_owned(), comment.id.to_string()];
    let time = time(delivery, &[comment.created_at, event.issue.updated_at]);
    write(delivery, event, UPDATED, occurrence, time, out)
}

pub fn closed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    if delivery.action() != "deleted" {
        delivery.needs(&["issue.closed_at"])?;
    }
    let (at, time) = match delivery.action() {
        "deleted" => (None, time(delivery, &[event.issue.updated_at])),
        _ => (event.issue.closed_at, time(delivery, &[event.issue.closed_at, event.issue.updated_at])),
    };
    let occurrence = vec![delivery.action().to_owned(), key(at)];
    write(delivery, event, CLOSED, occurrence, time, out)
}

pub fn write<'a>(
    delivery: &Delivery<'a>,
    event: IssueEvent<'a>,
    base: &'static str,
    occurrence: Vec<String>,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let IssueEvent { issue, repository, sender, .. } = event;
    if issue.pull_request.is_some_and(|pull| pull.get() != "null") {
        // A pull request is a change, and what happens to it is told as such.
        return Ok(());
    }
    let place = place(delivery.webhook, repository)?;
    let told = Told {
        base,
        folder: ISSUES,
        deleted: delivery.action() == "deleted",
        created: key(issue.created_at),
        occurrence,
        time,
        ticket: extract::Ticket {
            number: issue.number,
            title: Cow::Borrowed(issue.title.as_deref().unwrap_or_default()),
            url: borrow(issue.html_url.as_ref()),
            author: login(issue.user.as_ref()),
            state: borrow(issue.state.as_ref()),
            reason: borrow(issue.state_reason.as_ref()),
            kind: borrow(issue.kind.as_ref().and_then(|kind| kind.name.as_ref())),
            labels: issue.labels.iter().flatten().take(MAX_LABELS).map(|label| label.name.lend()).collect(),
            assignees: issue
                .assignees
                .iter()
                .flatten()
                .take(MAX_ASSIGNEES)
                .filter_map(|account| login(Some(account)))
                .collect(),
            milestone: borrow(issue.milestone.as_ref().and_then(|milestone| milestone.title.as_ref())),
            priority: None,
        },
    };
    occurrence::ticket::write(delivery, &told, &place, login(sender.as_ref()), out)
}
