//! Tickets: `issue` and `work_item`.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload::{Label, Project, User};
use super::{borrow, place, time, username};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::ticket::{
    CLOSED, CREATED, ISSUES, MAX_ASSIGNEES, MAX_LABELS, Told, UPDATED,
};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct IssueEvent<'a> {
    #[serde(borrow, rename = "object_attributes")]
    issue: Issue<'a>,
    #[serde(borrow)]
    labels: Option<List<Label<'a>>>,
    #[serde(borrow)]
    assignees: Option<List<User<'a>>>,
    /// Compared as text only.
    #[serde(borrow)]
    changes: Option<&'a RawValue>,
    #[serde(borrow)]
    project: Project<'a>,
    #[serde(borrow)]
    user: Option<User<'a>>,
}

#[derive(Debug, Deserialize)]
struct Issue<'a> {
    iid: u64,
    #[serde(borrow)]
    title: Option<Text<'a>>,
    #[serde(borrow)]
    url: Option<Text<'a>>,
    author_id: Option<u64>,
    #[serde(borrow)]
    state: Option<Text<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    duplicated_to_id: Option<u64>,
    created_at: Option<When>,
    updated_at: Option<When>,
    closed_at: Option<When>,
}

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    delivery.needs(&["object_attributes.created_at"])?;
    let time = time(delivery, event.issue.created_at);
    write(delivery, event, CREATED, Vec::new(), time, out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    delivery.needs(&["object_attributes.updated_at"])?;
    let occurrence = vec![
        delivery.action().to_owned(),
        When::exact(event.issue.updated_at),
        event.changes.map_or("", |changes| changes.get()).to_owned(),
    ];
    let time = time(delivery, event.issue.updated_at);
    write(delivery, event, UPDATED, occurrence, time, out)
}

pub fn closed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: IssueEvent<'_> = delivery.payload()?;
    delivery.needs(&["object_attributes.closed_at", "object_attributes.updated_at"])?;
    let known = |when: Option<When>| when.filter(|when| when.0.is_some());
    let at = known(event.issue.closed_at).or(event.issue.updated_at);
    let occurrence = vec![When::exact(at)];
    let time = time(delivery, at);
    write(delivery, event, CLOSED, occurrence, time, out)
}

fn write<'a>(
    delivery: &Delivery<'a>,
    event: IssueEvent<'a>,
    base: &'static str,
    occurrence: Vec<String>,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let IssueEvent { issue, labels, assignees, project, user, .. } = event;
    let place = place(delivery.webhook, project)?;
    let sender = username(user.as_ref());
    // Of the author there is only the id.
    let is_author = issue.author_id.is_some() && user.as_ref().is_some_and(|user| user.id == issue.author_id);
    let labels = labels.iter().flatten().filter_map(|label| borrow(label.title.as_ref()));
    let assignees = assignees.iter().flatten().filter_map(|user| username(Some(user)));
    let told = Told {
        base,
        folder: ISSUES,
        deleted: false,
        created: When::key(issue.created_at).unwrap_or_default(),
        occurrence,
        time,
        ticket: extract::Ticket {
            number: issue.iid,
            title: borrow(issue.title.as_ref()).unwrap_or_default(),
            url: borrow(issue.url.as_ref()),
            author: sender.clone().filter(|_| is_author),
            state: match issue.state.as_deref() {
                Some("opened") => Some("open".into()),
                _ => borrow(issue.state.as_ref()),
            },
            reason: issue.duplicated_to_id.filter(|_| base == CLOSED).map(|_| "duplicate".into()),
            // Every ticket is an `Issue`, which is no kind of one.
            kind: borrow(issue.kind.as_ref()).filter(|kind| kind != "Issue"),
            labels: labels.take(MAX_LABELS).collect(),
            assignees: assignees.take(MAX_ASSIGNEES).collect(),
            milestone: None,
            priority: None,
        },
    };
    occurrence::ticket::write(delivery, &told, &place, sender, out)
}
