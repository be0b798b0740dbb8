//! Changes: `pr:*`.

use super::payload::{self, PullRequest, Repository};
use super::{borrow, checked_place, clone_url, href, login};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::change::{ABANDONED, CREATED, MERGED, REVIEWED, Told, UPDATED};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::read::When;
use crate::vocabulary::{PayloadError, extract, time};

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    write(delivery, change, CREATED, Vec::new(), out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
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
    let occurrence = closed(&change);
    write(delivery, change, MERGED, occurrence, out)
}

/// Declined, or deleted before it was merged.
pub fn abandoned(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    if change.pull_request.state.as_deref() == Some("MERGED") {
        return Ok(());
    }
    let occurrence = closed(&change);
    write(delivery, change, ABANDONED, occurrence, out)
}

pub fn reviewed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
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
        Some(millis) => millis.to_string(),
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
    let payload::Change { date, actor, pull_request: pull, participant } = change;
    let own = match base {
        CREATED => pull.created_date,
        MERGED | ABANDONED => pull.closed_date,
        _ => None,
    };
    let time = own
        .and_then(time::from_epoch_millis)
        .or(date.and_then(|date| date.0))
        .unwrap_or(delivery.webhook.received);
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
    let place = checked_place(delivery.webhook, pull.to_ref.repository.clone())?;
    let change = extract_of(&pull, base);
    let created = pull.created_date.map(|millis| millis.to_string()).unwrap_or_default();
    let told = Told { base, change, review, created, occurrence, time };
    occurrence::change::write(delivery, &told, &place, sender, out)
}

pub fn extract_of<'b>(pull: &'b PullRequest<'_>, base: &str) -> extract::Change<'b> {
    let (from, to) = (&pull.from_ref, &pull.to_ref);
    let path = |of: &Repository<'_>| {
        let (key, slug) = (&*of.project.key, &*of.slug);
        if key.is_empty() || slug.is_empty() { String::new() } else { format!("{key}/{slug}") }
    };
    let (source, target) = (path(&from.repository), path(&to.repository));
    let fork = extract::is_fork((from.repository.id, Some(&source)), (to.repository.id, Some(&target)));
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
            branch: branch(&from.id).into(),
            sha: borrow(from.latest_commit.as_ref()).unwrap_or_default(),
            repository_url: from.repository.links.as_ref().and_then(clone_url),
            fork,
        },
        target: extract::ChangeTarget {
            branch: branch(&to.id).into(),
            sha: borrow(to.latest_commit.as_ref()).unwrap_or_default(),
        },
        merge_commit: borrow(merge_commit).filter(|_| base == MERGED),
    }
}

fn branch(reference: &str) -> &str {
    reference.strip_prefix("refs/heads/").unwrap_or(reference)
}

fn head<'b>(pull: &'b PullRequest<'_>) -> &'b str {
    pull.from_ref.latest_commit.as_deref().unwrap_or_default()
}
