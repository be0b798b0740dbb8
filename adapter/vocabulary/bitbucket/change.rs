//! Changes: `pullrequest:*`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::payload::{self, Account, PullRequest, Repository, Side};
use super::{borrow, login, page, place, time};
use crate::event::uri;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::extract::Association;
use crate::vocabulary::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, Told, UPDATED};
use crate::vocabulary::occurrence::{self, Delivery, Place};
use crate::vocabulary::read::When;
use crate::vocabulary::{PayloadError, extract};

const CREATED_ON: &str = "pullrequest.created_on";
const UPDATED_ON: &str = "pullrequest.updated_on";
const HEAD: &str = "pullrequest.source.commit.hash";

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[CREATED_ON])?;
    let time = time(delivery, change.pullrequest.created_on);
    write(delivery, change, CREATED, Vec::new(), time, out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[HEAD, UPDATED_ON])?;
    let pull = &change.pullrequest;
    let occurrence =
        vec![hash(pull.source.as_ref()).unwrap_or_default().to_owned(), When::exact(pull.updated_on)];
    let time = time(delivery, pull.updated_on);
    write(delivery, change, UPDATED, occurrence, time, out)
}

pub fn merged(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    closed(delivery, MERGED, out)
}

pub fn rejected(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    closed(delivery, ABANDONED, out)
}

fn closed(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[CREATED_ON])?;
    let occurrence = vec![created_on(&change.pullrequest)];
    let time = time(delivery, change.pullrequest.updated_on);
    write(delivery, change, base, occurrence, time, out)
}

pub fn reviewed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[
        "approval.date",
        "approval.user.uuid",
        "changes_request.date",
        "changes_request.user.uuid",
        "actor.uuid",
        HEAD,
        UPDATED_ON,
    ])?;
    let review = change.approval.as_ref().or(change.changes_request.as_ref());
    let reviewer = review.and_then(|review| review.user.as_ref()).or(change.actor.as_ref());
    let uuid = reviewer.and_then(|reviewer| borrow(reviewer.uuid.as_ref())).or_else(|| login(reviewer));
    let at = review.and_then(|review| review.date);
    let occurrence = vec![
        delivery.webhook.event.clone(),
        uuid.unwrap_or_default().into_owned(),
        hash(change.pullrequest.source.as_ref()).unwrap_or_default().to_owned(),
        When::exact(at.or(change.pullrequest.updated_on)),
    ];
    let time = time(delivery, at);
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
    let payload::Change { pullrequest: pull, repository, actor, approval, changes_request } = change;
    let author_association = association(&pull, &repository);
    let change = extract::Change { author_association, ..extract_of(&pull, base) };
    let place = place(delivery.webhook, repository)?;
    let sender = login(actor.as_ref());
    let state = match delivery.webhook.event.as_str() {
        "pullrequest:approved" => "approved",
        "pullrequest:changes_request_created" => "changes_requested",
        // Both are taken back.
        _ => "dismissed",
    };
    let reviewer = approval.as_ref().or(changes_request.as_ref()).and_then(|review| review.user.as_ref());
    let review = (base == REVIEWED).then(|| extract::Review {
        state: state.into(),
        author: login(reviewer).or_else(|| sender.clone()),
        url: None,
        commit: None,
    });
    let mut change = change;
    change.source.repository_url = clone_url(&pull, &place).map(Cow::Owned);
    let told = Told { base, change, review, created: created_on(&pull), occurrence, time };
    occurrence::change::write(delivery, &told, &place, sender, out)
}

pub fn extract_of<'b>(pull: &'b PullRequest<'_>, base: &str) -> extract::Change<'b> {
    let (source, target) = (pull.source.as_ref(), pull.destination.as_ref());
    let named = |side: Option<&'b Side<'_>>| match side.and_then(|side| side.repository.as_ref()) {
        Some(repository) => (repository.uuid.as_deref(), repository.full_name.as_deref()),
        None => (None, None),
    };
    extract::Change {
        number: pull.id,
        title: borrow(pull.title.as_ref()).unwrap_or_default(),
        url: page(pull.links.as_ref()),
        author: login(pull.author.as_ref()),
        author_association: Association::default(),
        draft: pull.draft.unwrap_or(false),
        labels: Vec::new(),
        source: extract::ChangeSource {
            branch: branch(source).into(),
            sha: hash(source).unwrap_or_default().into(),
            before: None,
            repository_url: None,
            fork: extract::is_fork(named(source), named(target)),
        },
        target: extract::ChangeTarget {
            branch: branch(target).into(),
            sha: hash(target).unwrap_or_default().into(),
        },
        merge_commit: pull
            .merge_commit
            .as_ref()
            .filter(|_| base == MERGED)
            .and_then(|commit| borrow(commit.hash.as_ref())),
    }
}

/// The owner of the repository is known by the id of the account.
pub fn association(pull: &PullRequest<'_>, repository: &Repository<'_>) -> Association {
    let uuid = |account: Option<&Account<'_>>| borrow(account?.uuid.as_ref()).map(Cow::into_owned);
    let author = uuid(pull.author.as_ref());
    let is_owner = author.is_some() && author == uuid(repository.owner.as_ref());
    if is_owner { Association::Owner } else { Association::Unknown }
}

/// What is cloned for the source: it is on the host of the target.
pub fn clone_url(pull: &PullRequest<'_>, place: &Place<'_>) -> Option<String> {
    let name = pull.source.as_ref()?.repository.as_ref()?.full_name.as_deref()?;
    let is_path = name.split_once('/').is_some_and(|(owner, name)| !owner.is_empty() && !name.is_empty());
    is_path.then(|| {
        let mut url = format!("{}/", place.origin);
        for (i, segment) in name.split('/').enumerate() {
            if i > 0 {
                url.push('/');
            }
            uri::encode(segment, &mut url);
        }
        url.push_str(".git");
        url
    })
}

fn branch<'b>(side: Option<&'b Side<'_>>) -> &'b str {
    side.and_then(|side| side.branch.as_ref()).and_then(|branch| branch.name.as_deref()).unwrap_or_default()
}

fn hash<'b>(side: Option<&'b Side<'_>>) -> Option<&'b str> {
    side?.commit.as_ref()?.hash.as_deref()
}

pub fn created_on(pull: &PullRequest<'_>) -> String {
    When::exact(pull.created_on)
}
