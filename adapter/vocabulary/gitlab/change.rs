//! Changes: `merge_request`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::payload::{self, MergeRequest};
use super::{borrow, place, time, username};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::change::{
    ABANDONED, CREATED, MAX_LABELS, MERGED, REVIEWED, Told, UPDATED,
};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::options::Optional;
use crate::vocabulary::read::When;
use crate::vocabulary::{PayloadError, extract};

const CREATED_AT: &str = "object_attributes.created_at";
const UPDATED_AT: &str = "object_attributes.updated_at";
const HEAD: &str = "object_attributes.last_commit.id";

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[CREATED_AT])?;
    let time = time(delivery, change.request.created_at);
    write(delivery, change, CREATED, Vec::new(), time, out)
}

/// `reopen`, and `update` of what is worth an event.
pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[HEAD, UPDATED_AT, "object_attributes.oldrev"])?;
    let wants_all = delivery.options.wants(Optional::ChangeDetails);
    if delivery.action() == "update" && !wants_all && !is_edition(&change) {
        return Ok(());
    }
    let request = &change.request;
    let occurrence = vec![
        delivery.action().to_owned(),
        head(request).to_owned(),
        request.oldrev.as_deref().unwrap_or_default().to_owned(),
        When::exact(request.updated_at),
        change.changes.map_or("", |changes| changes.get()).to_owned(),
    ];
    let time = time(delivery, request.updated_at);
    write(delivery, change, UPDATED, occurrence, time, out)
}

pub fn merged(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[CREATED_AT])?;
    let occurrence = vec![When::key(change.request.created_at).unwrap_or_default()];
    let time = time(delivery, change.request.updated_at);
    write(delivery, change, MERGED, occurrence, time, out)
}

pub fn closed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&[UPDATED_AT])?;
    let occurrence = vec![When::exact(change.request.updated_at)];
    let time = time(delivery, change.request.updated_at);
    write(delivery, change, ABANDONED, occurrence, time, out)
}

/// An approval or one that is taken back. `approved` and `approval` are one deed or the other, never both: the former was
/// the last that the rules ask for.
pub fn reviewed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let change: payload::Change<'_> = delivery.payload()?;
    delivery.needs(&["user.username", HEAD, UPDATED_AT])?;
    let user = change.user.as_ref().and_then(|user| user.username.as_deref()).unwrap_or_default();
    let occurrence = vec![
        delivery.action().to_owned(),
        user.to_owned(),
        head(&change.request).to_owned(),
        When::exact(change.request.updated_at),
    ];
    // An approval has no time, and does not always touch the merge request.
    write(delivery, change, REVIEWED, occurrence, delivery.webhook.received, out)
}

fn is_edition(change: &payload::Change<'_>) -> bool {
    let changes = change.changes.and_then(|it| serde_json::from_str::<payload::Changes<'_>>(it.get()).ok());
    let is_edited = |it: payload::Changes<'_>| {
        it.title.is_some() || it.description.is_some() || it.target_branch.is_some() || it.draft.is_some()
    };
    change.request.oldrev.is_some() || changes.is_some_and(is_edited)
}

fn write<'a>(
    delivery: &Delivery<'a>,
    change: payload::Change<'a>,
    base: &'static str,
    occurrence: Vec<String>,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let payload::Change { user, project, request, labels, .. } = change;
    let place = place(delivery.webhook, project)?;
    let sender = username(user.as_ref());
    // Of the author there is only the id.
    let is_author =
        request.author_id.is_some() && user.as_ref().is_some_and(|user| user.id == request.author_id);
    let author = sender.clone().filter(|_| is_author);
    let change = extract_of(&request, labels.as_deref().unwrap_or_default(), author, base);
    let state = if delivery.action().starts_with("un") { "dismissed" } else { "approved" };
    let review = (base == REVIEWED).then(|| extract::Review {
        state: Cow::Borrowed(state),
        // Whoever pushed has taken nothing back.
        author: sender.clone().filter(|_| request.system != Some(true)),
        url: None,
        commit: None,
    });
    let created = When::key(request.created_at).unwrap_or_default();
    let told = Told { base, change, review, created, occurrence, time };
    occurrence::change::write(delivery, &told, &place, sender, out)
}

/// Labels and author are told elsewhere in the payload.
pub fn extract_of<'b>(
    request: &'b MergeRequest<'_>,
    labels: &'b [payload::Label<'_>],
    author: Option<Cow<'b, str>>,
    base: &str,
) -> extract::Change<'b> {
    let labels = labels.iter().filter_map(|label| borrow(label.title.as_ref()));
    extract::Change {
        number: request.iid,
        title: borrow(request.title.as_ref()).unwrap_or_default(),
        url: borrow(request.url.as_ref()),
        author,
        author_association: extract::Association::default(),
        draft: request.draft.or(request.work_in_progress).unwrap_or(false),
        labels: labels.take(MAX_LABELS).collect(),
        source: extract::ChangeSource {
            branch: borrow(request.source_branch.as_ref()).unwrap_or_default(),
            sha: Cow::Borrowed(head(request)),
            before: borrow(request.oldrev.as_ref()),
            repository_url: borrow(request.source.as_ref().and_then(|it| it.git_http_url.as_ref())),
            // A project that is gone was another one.
            fork: request.source_project_id.is_none()
                || request.source_project_id != request.target_project_id,
        },
        target: extract::ChangeTarget {
            branch: borrow(request.target_branch.as_ref()).unwrap_or_default(),
            sha: Cow::Borrowed(""),
        },
        merge_commit: borrow(request.merge_commit_sha.as_ref()).filter(|_| base == MERGED),
    }
}

/// The newest commit; empty when there is none.
fn head<'b>(request: &'b MergeRequest<'_>) -> &'b str {
    request.last_commit.as_ref().and_then(|commit| commit.id.as_deref()).unwrap_or_default()
}
