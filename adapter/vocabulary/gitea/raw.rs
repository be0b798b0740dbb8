//! The raw event: the pattern of the CloudEvents project's mapping of GitHub webhooks with Gitea's own names of events,
//! and the repository's page as `source`.

use crate::event::Event;
use crate::event::uri;
use crate::vocabulary::github::raw::{id_of_body, is_attribute, is_segment};
use crate::vocabulary::pick::{Path, Picked, Scalar};
use crate::vocabulary::{PayloadError, Webhook, time};

/// How one webhook event becomes the attributes of its raw event.
pub struct Row {
    /// `X-Gitea-Event`.
    event: &'static str,
    /// What follows the event's name in the type.
    suffix: Path,
    subject: Option<Path>,
    /// Without one, or where the payload has nothing there, it is the time of receipt.
    time: Option<Path>,
}

pub const ACTION: Path = &["action"];
const REPOSITORY: Path = &["repository", "html_url"];
const FORKED: Path = &["forkee", "html_url"];

/// Who speaks, the first that there is.
const SOURCES: &[Path] =
    &[REPOSITORY, &["package", "repository", "html_url"], &["package", "owner", "html_url"]];
/// Whose host speaks when none of these is there.
const HOSTS: &[Path] = &[&["sender", "html_url"], &["repository", "url"], &["sender", "avatar_url"]];

const fn row(event: &'static str, suffix: Path, subject: Option<Path>, time: Option<Path>) -> Row {
    Row { event, suffix, subject, time }
}

/// The rule for an event that has no row.
static OTHER: Row = row("", ACTION, None, None);

#[rustfmt::skip]
static ROWS: &[Row] = &[
    row("create", &["ref_type"], Some(&["ref"]), None),
    row("delete", &["ref_type"], Some(&["ref"]), None),
    row("fork", ACTION, Some(REPOSITORY), Some(&["repository", "created_at"])),
    row("issue_comment", ACTION, Some(&["comment", "id"]), Some(&["comment", "updated_at"])),
    row("issues", ACTION, Some(&["issue", "number"]), Some(&["issue", "updated_at"])),
    row("package", ACTION, Some(&["package", "id"]), None),
    row("pull_request", ACTION, Some(&["number"]), Some(&["pull_request", "updated_at"])),
    row("pull_request_approved", ACTION, Some(&["number"]), Some(&["pull_request", "updated_at"])),
    row("pull_request_comment", ACTION, Some(&["number"]), Some(&["pull_request", "updated_at"])),
    row("pull_request_rejected", ACTION, Some(&["number"]), Some(&["pull_request", "updated_at"])),
    row("push", ACTION, Some(&["ref"]), None),
    row("release", ACTION, Some(&["release", "id"]), None),
    row("repository", ACTION, Some(&["repository", "name"]), None),
    row("status", &["state"], Some(&["sha"]), Some(&["updated_at"])),
    row("wiki", ACTION, Some(&["page"]), None),
];

/// The row of a delivery.
///
/// # Errors
/// The name of the event cannot be a part of a type.
pub fn row_of(webhook: &Webhook) -> Result<&'static Row, PayloadError> {
    if !is_segment(&webhook.event) {
        return Err(webhook.malformed("the name of the event must consist of letters, digits, `_` and `-`"));
    }
    Ok(ROWS.iter().find(|row| row.event == webhook.event).unwrap_or(&OTHER))
}

/// The raw event of a delivery, from what is at the paths of its row.
///
/// # Errors
/// None that something in the payload can cause.
pub fn event(webhook: &Webhook, json: &str, row: &Row, picked: &Picked<'_>) -> Result<Event, PayloadError> {
    let mut ty = format!("com.{}.{}", webhook.forge.name(), webhook.event);
    if let Some(suffix) = picked.text(row.suffix).filter(|text| is_segment(text)) {
        ty.push('.');
        ty.push_str(suffix);
    }
    let id = if is_attribute(&webhook.delivery) { webhook.delivery.clone() } else { id_of_body(webhook) };
    let time = row.time.and_then(|path| picked.text(path)).and_then(time::parse).unwrap_or(webhook.received);
    // The payload goes on as it came, without the white space around it.
    let data = webhook.body.slice_ref(json.trim_matches([' ', '\t', '\n', '\r']).as_bytes());
    let mut event = Event::builder(id, source(webhook, picked), ty).time(time.to_string()).json(data);
    if let Some(subject) = row.subject.and_then(|path| picked.get(path)).map(Scalar::to_string)
        && is_attribute(&subject)
    {
        event = event.subject(subject);
    }
    Ok(event.build()?)
}

/// The page of the repository, or of the owner of a package that belongs to none; the host when there is neither.
fn source(webhook: &Webhook, picked: &Picked<'_>) -> String {
    // What was forked is the `forkee` here, and the new one is the `repository`.
    let forked = Some(FORKED).filter(|_| webhook.event == "fork");
    let mut pages = forked.iter().chain(SOURCES).filter_map(|path| picked.text(path));
    if let Some(page) = pages.find(|page| uri::is_reference(page)) {
        return page.to_owned();
    }
    let mut hosts = HOSTS.iter().filter_map(|path| picked.text(path)).filter_map(uri::split_origin);
    hosts.next().map_or_else(|| format!("/{}", webhook.forge.name()), |(origin, _)| origin.to_owned())
}

// === impl Row ===

impl Row {
    /// Everything that the attributes are made of.
    pub fn paths(&self) -> Vec<Path> {
        let mut paths = vec![ACTION, FORKED, self.suffix];
        paths.extend(SOURCES.iter().chain(HOSTS));
        paths.extend(self.subject);
        paths.extend(self.time);
        paths
    }
}
