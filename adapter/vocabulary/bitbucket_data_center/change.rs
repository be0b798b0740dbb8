//! Changes: `pr:*`.

use std::borrow::Cow;

use super::payload::{self, PullRequest, Repository, Side};
use super::{borrow, checked_place, clone_url, href, login};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, Told, UPDATED};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::read::{Millis, When};
use crate::vocabulary::{PayloadError, extract};

const CLOSED: &[&str] = &["pullRequest.closedDate", "date"];

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&["pullRequest.createdDate"])?;
    write(delivery, change, CREATED, Vec::new(), out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&["pullRequest.fromRef.latestCommit", "pullRequest.version", "date"])?;
    let pull = &change.pull_request;
    let occurrence = vec![
        delivery.webhook.event.clone(),
        head(pull).to_owned(),
        pull.version.unwrap_or_default().to_string(),
        When::exact(change.date),
    ];
    write(delivery, change, UPDATED, occurrence, out)
}

pub fn merged(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(CLOSED)?;
    let occurrence = closed(&change);
    write(delivery, change, MERGED, occurrence, out)
}

/// Declined, or deleted before it was merged.
pub fn abandoned(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(CLOSED)?;
    delivery.needs(&["pullRequest.state"])?;
    if change.pull_request.state.as_deref() == Some("MERGED") {
        return Ok(());
    }
    let occurrence = closed(&change);
    write(delivery, change, ABANDONED, occurrence, out)
}

pub fn reviewed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&["participant.user.name", "actor.name", "date"])?;
    let reviewer = change.participant.as_ref().and_then(|it| it.user.as_ref()).or(change.actor.as_ref());
    let occurrence = vec![
        delivery.webhook.event.clone(),
        login(reviewer).unwrap_or_default().into_owned(),
        When::exact(change.date),
    ];
    write(delivery, change, REVIEWED, occurrence, out)
}

fn closed(change: &payload::Change<'_>) -> Vec<String> {
    vec![match change.pull_request.closed_date {
        closed @ Some(_) => Millis::key(closed),
        None => When::exact(change.date),
    }]
}

fn write<'a>(
    delivery: &Delivery<'a>,
    change: payload::Change<'a>,
    base: &'static str,
    occurrence: Vec<String>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let payload::Change { date, actor, pull_request: pull, previous_from_hash, participant } = change;
    let own = match base {
        CREATED => pull.created_date,
        MERGED | ABANDONED => pull.closed_date,
        _ => None,
    };
    let time =
        own.and_then(|when| when.0).or(date.and_then(|date| date.0)).unwrap_or(delivery.webhook.received);
    let sender = login(actor.as_ref());
    let state = match delivery.webhook.event.as_str() {
        "pr:reviewer:approved" => "approved",
        "pr:reviewer:needs_work" => "changes_requested",
        // An approval or a request for changes that is taken back.
        _ => "dismissed",
    };
    let reviewer = participant.as_ref().and_then(|it| it.user.as_ref());
    let review = (base == REVIEWED).then(|| extract::Review {
        state: state.into(),
        author: login(reviewer).or_else(|| sender.clone()),
        url: None,
        commit: participant.as_ref().and_then(|it| borrow(it.last_reviewed_commit.as_ref())),
    });
    delivery.needs(&["pullRequest.toRef.repository.links.self[]"])?;
    let place = checked_place(delivery.webhook, pull.repository().cloned())?;
    let mut change = extract_of(&pull, base);
    change.source.before = borrow(previous_from_hash.as_ref());
    let created = Millis::key(pull.created_date);
    let told = Told { base, change, review, created, occurrence, time };
    occurrence::change::write(delivery, &told, &place, sender, out)
}

pub fn extract_of<'b>(pull: &'b PullRequest<'_>, base: &str) -> extract::Change<'b> {
    let (from, to) = (pull.from_ref.as_ref(), pull.to_ref.as_ref());
    let (source, target) = (from.and_then(|from| from.repository.as_ref()), pull.repository());
    let path = |of: Option<&Repository<'_>>| {
        let (key, slug) = of.map_or(("", ""), |of| (&*of.project.key, &*of.slug));
        if key.is_empty() || slug.is_empty() { String::new() } else { format!("{key}/{slug}") }
    };
    let id = |of: Option<&Repository<'_>>| of.and_then(|of| of.id);
    let fork = extract::is_fork((id(source), Some(&path(source))), (id(target), Some(&path(target))));
    let merge_commit = pull.properties.as_ref().and_then(|it| it.merge_commit.as_ref()?.id.as_ref());
    extract::Change {
        number: pull.id,
        title: borrow(pull.title.as_ref()).unwrap_or_default(),
        url: pull.links.as_ref().and_then(|links| href(links.this.as_deref())).map(Into::into),
        author: login(pull.author.as_ref().and_then(|author| author.user.as_ref())),
        author_association: extract::Association::default(),
        draft: pull.draft.unwrap_or(false),
        labels: Vec::new(),
        source: extract::ChangeSource {
            branch: branch(from).into(),
            sha: sha(from),
            before: None,
            repository_url: source.and_then(|source| source.links.as_ref()).and_then(clone_url),
            fork,
        },
        target: extract::ChangeTarget { branch: branch(to).into(), sha: sha(to) },
        merge_commit: borrow(merge_commit).filter(|_| base == MERGED),
    }
}

fn sha<'b>(side: Option<&'b Side<'_>>) -> Cow<'b, str> {
    borrow(side.and_then(|side| side.latest_commit.as_ref())).unwrap_or_default()
}

fn branch<'b>(side: Option<&'b Side<'_>>) -> &'b str {
    let reference = side.and_then(|side| side.id.as_deref()).unwrap_or_default();
    reference.strip_prefix("refs/heads/").unwrap_or(reference)
}

fn head<'b>(pull: &'b PullRequest<'_>) -> &'b str {
    pull.from_ref.as_ref().and_then(|from| from.latest_commit.as_deref()).unwrap_or_default()
}
