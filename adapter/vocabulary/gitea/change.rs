//! Changes: those events of which Gitea tells otherwise than GitHub.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::github::change::extract_of;
use crate::vocabulary::github::payload::{Account, Label, PullRequest, Repository};
use crate::vocabulary::github::ticket::Milestone;
use crate::vocabulary::github::{key, login, place, time};
use crate::vocabulary::occurrence::change::{REVIEWED, Told, UPDATED};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::read::{List, Text};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    pull_request: PullRequest<'a>,
    #[serde(borrow)]
    review: Option<Review<'a>>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

/// Gitea tells neither its id nor its page nor the commit.
#[derive(Debug, Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
}

/// What the labels, assignees, reviewers and the milestone of a pull request are now; what was changed is not told.
#[derive(Debug, Deserialize)]
struct DetailsEvent<'a> {
    #[serde(borrow)]
    pull_request: Details<'a>,
    #[serde(borrow)]
    requested_reviewer: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Details<'a> {
    #[serde(borrow)]
    labels: Option<List<Label<'a>>>,
    #[serde(borrow)]
    assignees: Option<List<Account<'a>>>,
    #[serde(borrow)]
    requested_reviewers: Option<List<Account<'a>>>,
    #[serde(borrow)]
    milestone: Option<Milestone<'a>>,
}

pub fn detailed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: Change<'_> = delivery.payload()?;
    let DetailsEvent { pull_request: details, requested_reviewer } = delivery.payload()?;
    delivery.needs(&[
        "pull_request.updated_at",
        "pull_request.labels[]",
        "pull_request.assignees[]",
        "pull_request.requested_reviewers[]",
        "pull_request.milestone.title",
        "requested_reviewer.login",
    ])?;
    let pull = &change.pull_request;
    let mut occurrence = vec![delivery.action().to_owned(), key(pull.updated_at)];
    // One entry for each, and an empty one between, so that no two lists run together.
    occurrence.extend(details.labels.iter().flatten().map(|label| label.name.to_string()));
    for accounts in [&details.assignees, &details.requested_reviewers] {
        occurrence.push(String::new());
        let logins = accounts.iter().flatten().filter_map(|account| account.login.as_deref());
        occurrence.extend(logins.map(str::to_owned));
    }
    occurrence.push(String::new());
    let milestone = details.milestone.as_ref().and_then(|milestone| milestone.title.as_deref());
    occurrence.push(milestone.unwrap_or_default().to_owned());
    occurrence.push(login(requested_reviewer.as_ref()).unwrap_or_default().into_owned());
    let time = time(delivery, &[pull.updated_at]);
    write(delivery, change, UPDATED, occurrence, time, out)
}

pub fn reviewed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: Change<'_> = delivery.payload()?;
    let pull = &change.pull_request;
    delivery.needs(&[
        "sender.login",
        "review.content",
        "pull_request.head.sha",
        "pull_request.updated_at",
        "pull_request.review_comments",
    ])?;
    let content = change.review.as_ref().and_then(|review| review.content.as_deref());
    let occurrence = vec![
        state(delivery).to_owned(),
        login(change.sender.as_ref()).unwrap_or_default().into_owned(),
        content.unwrap_or_default().to_owned(),
        pull.head_sha().to_owned(),
        key(pull.updated_at),
        pull.review_comments.map_or_else(String::new, |count| count.to_string()),
    ];
    let time = time(delivery, &[pull.updated_at]);
    write(delivery, change, REVIEWED, occurrence, time, out)
}

/// The event says it, and so it does in versions whose payload has no `review`.
fn state(delivery: &Delivery<'_>) -> &'static str {
    match delivery.webhook.event.as_str() {
        "pull_request_approved" => "approved",
        "pull_request_rejected" => "changes_requested",
        _ => "commented",
    }
}

fn write<'a>(
    delivery: &Delivery<'a>,
    change: Change<'a>,
    base: &'static str,
    occurrence: Vec<String>,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let Change { pull_request: pull, repository, sender, .. } = change;
    let place = place(delivery.webhook, repository)?;
    let review = (base == REVIEWED).then(|| extract::Review {
        state: Cow::Borrowed(state(delivery)),
        // A review is submitted by its author.
        author: login(sender.as_ref()),
        url: None,
        commit: None,
    });
    let change = extract_of(&pull, base);
    let told = Told { base, change, review, created: key(pull.created_at), occurrence, time };
    occurrence::change::write(delivery, &told, &place, login(sender.as_ref()), out)
}
