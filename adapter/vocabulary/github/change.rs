//! Changes: `pull_request` and `pull_request_review`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::payload::{self, PullRequest, Side};
use super::{borrow, key, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::change::{
    ABANDONED, CREATED, MAX_LABELS, MERGED, REVIEWED, Told, UPDATED,
};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::{PayloadError, extract};

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&["pull_request.created_at"])?;
    let created_at = key(change.pull_request.created_at);
    let time = time(delivery, &[change.pull_request.created_at]);
    write(delivery, change, CREATED, vec![created_at], time, out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&["pull_request.head.sha", "pull_request.updated_at"])?;
    let pull = &change.pull_request;
    let changes = change.changes.map_or("", |changes| changes.get());
    let occurrence = vec![
        delivery.action().to_owned(),
        pull.head_sha().to_owned(),
        key(pull.updated_at),
        changes.to_owned(),
    ];
    let time = time(delivery, &[pull.updated_at]);
    write(delivery, change, UPDATED, occurrence, time, out)
}

/// Labels, assignees, reviewers, milestones, locks: which one it was is in a field of its own.
pub fn detailed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    let details: payload::Details<'_> = delivery.payload()?;
    delivery.needs(&["pull_request.updated_at"])?;
    delivery.needs(payload::Details::FIELDS)?;
    let pull = &change.pull_request;
    let occurrence = vec![delivery.action().to_owned(), key(pull.updated_at), details.name().to_owned()];
    let time = time(delivery, &[pull.updated_at]);
    write(delivery, change, UPDATED, occurrence, time, out)
}

pub fn closed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&["pull_request.merged_at", "pull_request.closed_at"])?;
    let pull = &change.pull_request;
    let is_merged = pull.merged.unwrap_or_else(|| pull.merged_at.is_some_and(|when| when.0.is_some()));
    let (ty, at) =
        if is_merged { (MERGED, pull.merged_at.or(pull.closed_at)) } else { (ABANDONED, pull.closed_at) };
    let (closed_at, time) = (key(at), time(delivery, &[at, pull.updated_at]));
    write(delivery, change, ty, vec![closed_at], time, out)
}

pub fn reviewed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    let Some(review) = &change.review else {
        return Err(delivery.webhook.malformed("missing field `review`"));
    };
    let id = review.id.to_string();
    let pull = &change.pull_request;
    let time = match delivery.action() {
        "dismissed" => time(delivery, &[review.updated_at, pull.updated_at]),
        _ => time(delivery, &[review.submitted_at, review.updated_at]),
    };
    let occurrence = vec![id, delivery.action().to_owned()];
    write(delivery, change, REVIEWED, occurrence, time, out)
}

fn write<'a>(
    delivery: &Delivery<'a>,
    change: payload::Change<'a>,
    base: &'static str,
    occurrence: Vec<String>,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let payload::Change { pull_request: pull, review, before, repository, sender, .. } = change;
    let place = place(delivery.webhook, repository)?;
    let review = review.as_ref().map(|review| extract::Review {
        state: Cow::Owned(review.state.as_deref().unwrap_or_default().to_ascii_lowercase()),
        author: login(review.user.as_ref()),
        url: borrow(review.html_url.as_ref()),
        commit: borrow(review.commit_id.as_ref()),
    });
    let mut change = extract_of(&pull, base);
    change.source.before = borrow(before.as_ref());
    let told = Told { base, change, review, created: key(pull.created_at), occurrence, time };
    occurrence::change::write(delivery, &told, &place, login(sender.as_ref()), out)
}

pub fn extract_of<'b>(pull: &'b PullRequest<'_>, base: &str) -> extract::Change<'b> {
    let (head, target) = (pull.head.as_ref(), pull.base.as_ref());
    let branch = |side: Option<&'b Side<'_>>| borrow(side.and_then(|side| side.branch.as_ref()));
    let sha = |side: Option<&'b Side<'_>>| borrow(side.and_then(|side| side.sha.as_ref()));
    let repo = |side: Option<&'b Side<'_>>| side.and_then(|side| side.repo.as_ref());
    let named = |side| match repo(side) {
        Some(repo) => (repo.id, repo.full_name.as_deref()),
        None => (None, None),
    };
    // What Gitea has no branch for is there under this name: a proposal that was pushed without write access (AGit), and a
    // branch that is gone.
    let is_proposal = branch(head).is_some_and(|branch| branch.starts_with("refs/pull/"));
    let fork = is_proposal || extract::is_fork(named(head), named(target));
    extract::Change {
        number: pull.number,
        title: Cow::Borrowed(pull.title.as_deref().unwrap_or_default()),
        url: borrow(pull.html_url.as_ref()),
        author: login(pull.user.as_ref()),
        author_association: extract::Association::of_word(pull.author_association.as_deref()),
        draft: pull.draft.unwrap_or(false),
        labels: pull
            .labels
            .iter()
            .flatten()
            .take(MAX_LABELS)
            .map(|label| Cow::Borrowed(&*label.name))
            .collect(),
        source: extract::ChangeSource {
            branch: branch(head).unwrap_or_default(),
            sha: sha(head).unwrap_or_default(),
            before: None,
            repository_url: borrow(repo(head).and_then(|repo| repo.clone_url.as_ref())),
            fork,
        },
        target: extract::ChangeTarget {
            branch: branch(target).unwrap_or_default(),
            sha: sha(target).unwrap_or_default(),
        },
        // An open pull request has one too: of a merge that GitHub only tried.
        merge_commit: borrow(pull.merge_commit_sha.as_ref()).filter(|_| base == MERGED),
    }
}
