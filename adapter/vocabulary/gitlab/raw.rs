//! The raw event: the CloudEvents project's own mapping of GitLab webhooks (cloudevents/spec, adapters/gitlab.md, eleven
//! sections), and its rule for events that it does not list.

use std::borrow::Cow;

use crate::event::Event;
use crate::event::uri;
use crate::vocabulary::github::raw::is_segment;
use crate::vocabulary::gitlab::CLAIMS;
use crate::vocabulary::pick::{Path, Picked, Scalar, pick};
use crate::vocabulary::raw::Raw;
use crate::vocabulary::scope::{Claims, Scope};
use crate::vocabulary::{PayloadError, Webhook, time};

const KIND: Path = &["object_kind"];
const EVENT_NAME: Path = &["event_name"];
const ACTION: Path = &["action"];
const STATUS: Path = &["status"];
const OBJECT_ACTION: Path = &["object_attributes", "action"];
const OBJECT_STATE: Path = &["object_attributes", "state"];
const OBJECT_STATUS: Path = &["object_attributes", "status"];
const OBJECT_ID: Path = &["object_attributes", "id"];
const OBJECT_IID: Path = &["object_attributes", "iid"];
const OBJECT_URL: Path = &["object_attributes", "url"];
const OBJECT_SLUG: Path = &["object_attributes", "slug"];
const CREATED_AT: Path = &["object_attributes", "created_at"];
const NOTEABLE: Path = &["object_attributes", "noteable_type"];
const JOB_STATUS: Path = &["job_status"];
const BUILD_STATUS: Path = &["build_status"];
const JOB_ID: Path = &["job_id"];
const BUILD_ID: Path = &["build_id"];
const DEPLOYMENT_ID: Path = &["deployment_id"];
const CHECKOUT_SHA: Path = &["checkout_sha"];
const REF: Path = &["ref"];
const TAG: Path = &["tag"];
const COMMIT_URL: Path = &["commit", "url"];
const HOMEPAGE: Path = &["repository", "homepage"];
const PROJECT_URL: Path = &["project", "web_url"];
const GROUP_URL: Path = &["group", "web_url"];
const PROJECT_PATH: Path = &["path_with_namespace"];
const GROUP_PATH: Path = &["full_path"];

static ALL: &[Path] = &[
    KIND,
    EVENT_NAME,
    ACTION,
    STATUS,
    OBJECT_ACTION,
    OBJECT_STATE,
    OBJECT_STATUS,
    OBJECT_ID,
    OBJECT_IID,
    OBJECT_URL,
    OBJECT_SLUG,
    CREATED_AT,
    NOTEABLE,
    JOB_STATUS,
    BUILD_STATUS,
    JOB_ID,
    BUILD_ID,
    DEPLOYMENT_ID,
    CHECKOUT_SHA,
    REF,
    TAG,
    COMMIT_URL,
    HOMEPAGE,
    PROJECT_URL,
    GROUP_URL,
    PROJECT_PATH,
    GROUP_PATH,
];

/// What the raw event is made of, and what it tells besides.
pub struct Told<'a> {
    pub event: Event,
    /// What kind of event it is.
    pub kind: String,
    /// Its action, or what GitLab has in place of one.
    pub action: Option<Cow<'a, str>>,
    pub claims: Claims<'a>,
}

/// The raw event of a delivery, what kind of event it is, its action, or what GitLab has in place of one, and what it says
/// of itself.
///
/// # Errors
/// The body is not one JSON object, or nothing says what kind of event it is.
pub fn event<'a>(webhook: &Webhook, json: &'a str, scope: &Scope) -> Result<Told<'a>, PayloadError> {
    let picked =
        pick(json, CLAIMS.after(ALL.to_vec(), scope)).map_err(|error| webhook.unreadable(json, &error))?;
    let kind = kind(webhook, &picked)?;
    let attributes = Attributes { kind: &kind, picked: &picked };
    let raw = Raw {
        ty: attributes.ty(),
        source: attributes.source(),
        subject: attributes.subject(),
        time: picked
            .text(CREATED_AT)
            .filter(|_| matches!(&*kind, "note" | "merge_request"))
            .and_then(time::parse),
    };
    let action = match &*kind {
        "push" | "tag_push" => None,
        _ => [OBJECT_ACTION, ACTION, OBJECT_STATUS, BUILD_STATUS, STATUS]
            .into_iter()
            .find_map(|path| picked.get(path))
            .and_then(|scalar| match scalar {
                Scalar::Text(text) => Some(text.clone()),
                Scalar::Integer(_) => None,
            }),
    };
    let event = raw.event(webhook, json)?;
    Ok(Told { event, kind, action, claims: CLAIMS.claims(scope, &picked) })
}

/// `object_kind`, or what a system hook has in its place, or the header without its `Hook` and in snake case.
fn kind(webhook: &Webhook, picked: &Picked<'_>) -> Result<String, PayloadError> {
    let said = [KIND, EVENT_NAME].into_iter().filter_map(|path| picked.text(path)).find(|it| is_segment(it));
    if let Some(kind) = said {
        return Ok(kind.to_owned());
    }
    let name = webhook.event.strip_suffix(" Hook").unwrap_or(&webhook.event);
    let kind = name.to_ascii_lowercase().replace(' ', "_");
    if is_segment(&kind) {
        return Ok(kind);
    }
    Err(webhook.malformed("the name of the event must consist of letters, digits, `_`, `-` and spaces"))
}

/// What the attributes are made of.
struct Attributes<'b> {
    kind: &'b str,
    picked: &'b Picked<'b>,
}

// === impl Attributes ===

impl Attributes<'_> {
    fn ty(&self) -> String {
        // The specification calls it a job, the payload a build.
        let name = if self.kind == "build" { "job" } else { self.kind };
        let text = |path| self.picked.text(path).map(Cow::Borrowed);
        let suffix = match name {
            "push" | "tag_push" => None,
            "issue" => text(OBJECT_STATE),
            "note" => self.picked.text(NOTEABLE).map(|noteable| Cow::Owned(snake(noteable))),
            "pipeline" => text(OBJECT_STATUS),
            // The specification's name, which GitLab has never sent, and GitLab's.
            "job" => text(JOB_STATUS).or_else(|| text(BUILD_STATUS)),
            "merge_request" | "wiki_page" => text(OBJECT_ACTION),
            _ => text(OBJECT_ACTION).or_else(|| text(ACTION)).or_else(|| text(STATUS)),
        };
        match suffix.filter(|suffix| is_segment(suffix)) {
            Some(suffix) => format!("com.gitlab.{name}.{suffix}"),
            None => format!("com.gitlab.{name}"),
        }
    }

    fn source(&self) -> String {
        let own = match (self.kind, self.picked.text(NOTEABLE)) {
            ("note", Some("Commit")) => self.picked.text(COMMIT_URL),
            ("note", _) => self.picked.text(OBJECT_URL).and_then(|url| url.split('#').next()),
            ("push" | "tag_push" | "issue" | "merge_request" | "build", _) => self.picked.text(HOMEPAGE),
            _ => self.picked.text(PROJECT_URL),
        };
        let others = [PROJECT_URL, HOMEPAGE, GROUP_URL].into_iter().filter_map(|path| self.picked.text(path));
        if let Some(url) = own.into_iter().chain(others).find(|url| uri::is_reference(url)) {
            return url.to_owned();
        }
        // A system hook has the path only, and does not say on which host.
        [PROJECT_PATH, GROUP_PATH]
            .into_iter()
            .filter_map(|path| self.picked.text(path))
            .map(|path| format!("/{}", path.trim_start_matches('/')))
            .find(|path| uri::is_reference(path))
            .unwrap_or_else(|| "gitlab".to_owned())
    }

    fn subject(&self) -> Option<String> {
        let paths: &[Path] = match self.kind {
            "push" => &[CHECKOUT_SHA],
            "tag_push" => &[REF],
            "issue" | "merge_request" => &[OBJECT_IID],
            "note" | "pipeline" => &[OBJECT_ID],
            "wiki_page" => &[OBJECT_SLUG],
            "build" => &[JOB_ID, BUILD_ID],
            "deployment" => &[DEPLOYMENT_ID],
            "release" => &[TAG],
            _ => &[OBJECT_IID, OBJECT_ID],
        };
        paths.iter().find_map(|path| self.picked.get(path)).map(Scalar::to_string)
    }
}

/// `MergeRequest` as `merge_request`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (at, letter) in name.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
