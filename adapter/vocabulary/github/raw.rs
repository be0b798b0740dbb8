//! The raw event: the CloudEvents project's own mapping of GitHub webhooks (cloudevents/spec, adapters/github.md), one
//! row for each event, and its rule for events that it does not list.

use jiff::Timestamp;

use crate::event::Event;
use crate::event::identity::Key;
use crate::event::uri;
use crate::vocabulary::pick::{Path, Picked, Scalar};
use crate::vocabulary::{PayloadError, Webhook, time};

/// How one webhook event becomes the attributes of its raw event.
pub struct Row {
    /// `X-GitHub-Event`.
    event: &'static str,
    /// What follows `com.github.` in the type: not always the event's name.
    name: &'static str,
    /// What follows that, joined by dots.
    suffix: &'static [Path],
    source: Source,
    subject: Option<Path>,
    time: Time,
}

/// Where `source` comes from.
enum Source {
    /// A URL in the payload.
    At(Path),
    /// Two values joined by a slash.
    Joined(Path, Path),
    /// A URL in the payload without its last segment.
    Parent(Path),
    /// Always this.
    Fixed(&'static str),
}

/// Where `time` comes from. Where the payload has nothing there, it is the time of receipt.
enum Time {
    /// The time of receipt.
    Received,
    /// The first of these that holds a time.
    First(&'static [Path]),
    /// Depends on the action; the last path is for every other one.
    ByAction(&'static [(&'static str, Path)], Path),
}

pub const ACTION: Path = &["action"];
const REPOSITORY_URL: Path = &["repository", "url"];
const ORGANIZATION_URL: Path = &["organization", "url"];
const ENTERPRISE_URL: Path = &["enterprise", "html_url"];
const SENDER_PAGE: Path = &["sender", "html_url"];
const SENDER_URL: Path = &["sender", "url"];
const HOOK_URL: Path = &["hook", "url"];

const BY_ACTION: &[Path] = &[ACTION];
const REPOSITORY: Source = Source::At(REPOSITORY_URL);

const fn row(
    event: &'static str,
    suffix: &'static [Path],
    source: Source,
    subject: Option<Path>,
    time: Time,
) -> Row {
    Row { event, name: event, suffix, source, subject, time }
}

const fn named(name: &'static str, row: Row) -> Row {
    Row {
        event: row.event,
        name,
        suffix: row.suffix,
        source: row.source,
        subject: row.subject,
        time: row.time,
    }
}

/// The rule for an event that has no row: its name and action, the repository, no subject.
static OTHER: Row = row("", BY_ACTION, REPOSITORY, None, Time::Received);

// Oddities of the specification that are kept: `issues` is `issue` in the type, `installation_repositories` is
// `installation_repository`, a deployment status has its state and not its action, a membership has its scope first.
// It leaves open what follows `com.github.status.`; the state does, as the specification itself suggests.
#[rustfmt::skip]
static ROWS: &[Row] = &[
    row("check_run", BY_ACTION, REPOSITORY, Some(&["check_run", "id"]),
        Time::First(&[&["check_run", "completed_at"], &["check_run", "started_at"]])),
    row("check_suite", BY_ACTION, REPOSITORY, Some(&["check_suite", "id"]), Time::First(&[&["check_suite", "updated_at"]])),
    row("commit_comment", BY_ACTION, Source::Joined(&["comment", "url"], &["comment", "commit_id"]),
        Some(&["comment", "id"]), Time::First(&[&["comment", "updated_at"]])),
    row("content_reference", BY_ACTION, REPOSITORY, Some(&["content_reference", "id"]), Time::Received),
    row("create", &[&["ref_type"]], REPOSITORY, Some(&["ref"]), Time::Received),
    row("delete", &[&["ref_type"]], REPOSITORY, Some(&["ref"]), Time::Received),
    row("deploy_key", BY_ACTION, REPOSITORY, Some(&["key", "id"]),
        Time::First(&[&["key", "deleted_at"], &["key", "created_at"]])),
    row("deployment", &[], REPOSITORY, Some(&["deployment", "id"]), Time::First(&[&["deployment", "updated_at"]])),
    row("deployment_status", &[&["deployment_status", "state"]], Source::At(&["deployment", "url"]),
        Some(&["deployment_status", "url"]), Time::First(&[&["deployment_status", "updated_at"]])),
    row("fork", &[], REPOSITORY, Some(&["forkee", "url"]), Time::First(&[&["forkee", "created_at"]])),
    row("github_app_authorization", &[], Source::At(SENDER_URL), None, Time::Received),
    row("gollum", &[], REPOSITORY, None, Time::Received),
    row("installation", BY_ACTION, Source::At(&["installation", "account", "url"]), Some(&["installation", "id"]),
        Time::First(&[&["installation", "updated_at"]])),
    named("installation_repository",
        row("installation_repositories", BY_ACTION, Source::At(&["installation", "account", "url"]),
            Some(&["installation", "id"]), Time::First(&[&["installation", "updated_at"]]))),
    row("issue_comment", BY_ACTION, Source::At(&["issue", "url"]), Some(&["comment", "id"]),
        Time::First(&[&["comment", "updated_at"]])),
    named("issue", row("issues", BY_ACTION, REPOSITORY, Some(&["issue", "number"]), Time::First(&[&["issue", "updated_at"]]))),
    row("label", BY_ACTION, REPOSITORY, Some(&["label", "name"]), Time::Received),
    row("marketplace_purchase", BY_ACTION, Source::Parent(SENDER_URL),
        Some(&["marketplace_purchase", "account", "login"]), Time::First(&[&["effective_date"]])),
    row("member", BY_ACTION, REPOSITORY, Some(&["member", "login"]), Time::Received),
    row("membership", &[&["scope"], ACTION], Source::At(&["team", "url"]), Some(&["member", "login"]), Time::Received),
    row("meta", BY_ACTION, REPOSITORY, Some(&["hook_id"]), Time::First(&[&["hook", "updated_at"]])),
    row("milestone", BY_ACTION, REPOSITORY, Some(&["milestone", "number"]), Time::First(&[&["milestone", "updated_at"]])),
    row("organization", BY_ACTION, Source::At(ORGANIZATION_URL), Some(&["membership", "user", "login"]), Time::Received),
    row("org_block", BY_ACTION, Source::At(ORGANIZATION_URL), Some(&["blocked_user", "login"]), Time::Received),
    row("page_build", &[], REPOSITORY, Some(&["build", "url"]), Time::First(&[&["pusher", "updated_at"]])),
    row("project_card", BY_ACTION, REPOSITORY, Some(&["project_card", "id"]), Time::First(&[&["project_card", "updated_at"]])),
    row("project_column", BY_ACTION, REPOSITORY, Some(&["project_column", "id"]),
        Time::First(&[&["project_column", "updated_at"]])),
    row("project", BY_ACTION, REPOSITORY, Some(&["project", "id"]), Time::First(&[&["project", "updated_at"]])),
    row("public", &[], Source::At(&["repository", "owner", "url"]), Some(&["repository", "name"]),
        Time::First(&[&["repository", "updated_at"]])),
    row("pull_request", BY_ACTION, REPOSITORY, Some(&["number"]), Time::First(&[&["pull_request", "updated_at"]])),
    row("pull_request_review", BY_ACTION, Source::At(&["pull_request", "url"]), Some(&["review", "id"]),
        Time::First(&[&["review", "submitted_at"]])),
    row("pull_request_review_comment", BY_ACTION, Source::At(&["pull_request", "url"]), Some(&["comment", "id"]),
        Time::First(&[&["pull_request", "updated_at"]])),
    row("push", &[], REPOSITORY, Some(&["ref"]), Time::Received),
    row("registry_package", BY_ACTION, REPOSITORY, Some(&["registry_package", "html_url"]),
        Time::First(&[&["registry_package", "updated_at"]])),
    row("release", BY_ACTION, REPOSITORY, Some(&["release", "id"]),
        Time::ByAction(&[
            ("created", &["release", "created_at"]),
            ("published", &["release", "published_at"]),
            ("released", &["release", "published_at"]),
            ("prereleased", &["release", "published_at"]),
        ], &["release", "updated_at"])),
    row("repository", BY_ACTION, Source::At(&["repository", "owner", "url"]), Some(&["repository", "name"]),
        Time::First(&[&["repository", "updated_at"]])),
    row("repository_import", &[], Source::At(&["repository", "owner", "url"]), Some(&["repository", "name"]),
        Time::First(&[&["repository", "updated_at"]])),
    row("repository_vulnerability_alert", BY_ACTION, REPOSITORY, Some(&["alert", "id"]), Time::Received),
    row("security_advisory", BY_ACTION, Source::Fixed("github.com"), Some(&["security_advisory", "ghsa_id"]),
        Time::First(&[&["security_advisory", "updated_at"]])),
    row("star", BY_ACTION, REPOSITORY, None, Time::First(&[&["starred_at"]])),
    row("status", &[&["state"]], REPOSITORY, Some(&["sha"]), Time::First(&[&["updated_at"]])),
    row("team", BY_ACTION, REPOSITORY, Some(&["team", "id"]), Time::First(&[&["updated_at"]])),
    row("team_add", BY_ACTION, REPOSITORY, Some(&["team", "id"]), Time::Received),
    row("watch", BY_ACTION, REPOSITORY, None, Time::Received),
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
    let name = if row.name.is_empty() { &webhook.event } else { row.name };
    let mut ty = format!("com.github.{name}");
    for segment in row.suffix.iter().filter_map(|path| picked.text(path)).filter(|text| is_segment(text)) {
        ty.push('.');
        ty.push_str(segment);
    }
    let id = if is_attribute(&webhook.delivery) { webhook.delivery.clone() } else { id_of_body(webhook) };
    let time = row.time(picked).unwrap_or(webhook.received);
    // The payload goes on as it came, without the white space around it.
    let data = webhook.body.slice_ref(json.trim_matches([' ', '\t', '\n', '\r']).as_bytes());
    let mut event = Event::builder(id, row.source(picked), ty).time(time.to_string()).json(data);
    if let Some(subject) = row.subject.and_then(|path| picked.get(path)).map(Scalar::to_string)
        && is_attribute(&subject)
    {
        event = event.subject(subject);
    }
    Ok(event.build()?)
}

// === impl Row ===

impl Row {
    /// Everything that the attributes are made of.
    pub fn paths(&self) -> Vec<Path> {
        let mut paths: Vec<Path> =
            vec![ACTION, REPOSITORY_URL, ORGANIZATION_URL, ENTERPRISE_URL, SENDER_PAGE, SENDER_URL, HOOK_URL];
        paths.extend(self.suffix);
        match &self.source {
            Source::At(path) | Source::Parent(path) => paths.push(path),
            Source::Joined(first, second) => paths.extend([*first, *second]),
            Source::Fixed(_) => {}
        }
        paths.extend(self.subject);
        match &self.time {
            Time::Received => {}
            Time::First(times) => paths.extend(*times),
            Time::ByAction(times, other) => {
                paths.extend(times.iter().map(|(_, path)| *path));
                paths.push(other);
            }
        }
        paths
    }

    fn source(&self, picked: &Picked<'_>) -> String {
        let own = match &self.source {
            Source::At(path) => picked.text(path).map(str::to_owned),
            Source::Joined(first, second) => {
                picked.text(first).zip(picked.text(second)).map(|(first, second)| format!("{first}/{second}"))
            }
            Source::Parent(path) => {
                picked.text(path).and_then(|url| url.rsplit_once('/')).map(|(parent, _)| parent.to_owned())
            }
            Source::Fixed(text) => Some((*text).to_owned()),
        };
        own.filter(|source| uri::is_reference(source)).unwrap_or_else(|| fallback_source(picked))
    }

    fn time(&self, picked: &Picked<'_>) -> Option<Timestamp> {
        let at = |path: Path| match picked.get(path)? {
            Scalar::Text(text) => time::parse(text),
            Scalar::Integer(seconds) => time::from_epoch(*seconds),
        };
        match &self.time {
            Time::Received => None,
            Time::First(paths) => paths.iter().find_map(|path| at(path)),
            Time::ByAction(times, other) => {
                let action = picked.text(ACTION);
                let own = times.iter().find(|(name, _)| Some(*name) == action).map(|(_, path)| *path);
                at(own.unwrap_or(other))
            }
        }
    }
}

/// Who speaks when the payload has no repository: its organisation, its enterprise, or the host.
fn fallback_source(picked: &Picked<'_>) -> String {
    let url = [REPOSITORY_URL, ORGANIZATION_URL, ENTERPRISE_URL]
        .into_iter()
        .filter_map(|path| picked.text(path))
        .find(|url| uri::is_reference(url));
    if let Some(url) = url {
        return url.to_owned();
    }
    let host = [SENDER_PAGE, SENDER_URL, HOOK_URL]
        .into_iter()
        .filter_map(|path| picked.text(path))
        .find_map(uri::split_origin)
        .map_or("https://github.com", |(origin, _)| origin);
    if host == "https://api.github.com" { "https://github.com".to_owned() } else { host.to_owned() }
}

/// The id for a delivery without one: the same body gives the same id.
pub fn id_of_body(webhook: &Webhook) -> String {
    let body = String::from_utf8_lossy(&webhook.body);
    Key::of("delivery", &[&webhook.event, &body]).event_id()
}

/// Whether `text` may become a part of an event's type.
pub fn is_segment(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Whether `text` may become an attribute: not empty, no control or noncharacters (CloudEvents 1.0.2, "Type System"),
/// and no longer than a header that every server takes.
pub fn is_attribute(text: &str) -> bool {
    let is_noncharacter = |c: char| {
        let code = u32::from(c);
        (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
    };
    (1..=1024).contains(&text.len()) && !text.chars().any(|c| c.is_control() || is_noncharacter(c))
}
