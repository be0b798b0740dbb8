//! Knative's `GitHubSource` and `GitLabSource`: the forge's payload in an envelope of theirs.
//!
//! Their adapters parse the payload and write it anew, so that fields which they do not know are missing; every row of a
//! forge's table gets along without those.

use jiff::Timestamp;

use crate::event::{Data, Event};
use crate::vocabulary::{Forge, Webhook};

/// How the types of the two begin; what follows is the forge's name of the event.
///
/// `GitLabSource` writes `X-Gitlab-Event` in snake case without its `Hook`; its early versions wrote the header as it is.
static SOURCES: &[(&str, Forge)] = &[
    ("dev.knative.source.github.", Forge::GitHub),
    ("dev.knative.sources.gitlab.", Forge::GitLab),
    ("dev.knative.sources.gitlabsource.", Forge::GitLab),
];

/// The extension in which `GitLabSource` keeps `X-Gitlab-Event`.
const GITLAB_EVENT: &str = "comgitlabevent";
/// The longest name of an event, as for webhooks.
const MAX_EVENT: usize = 64;

/// The webhook delivery that an event of one of the two was made from.
pub fn webhook(event: &Event, received: Timestamp) -> Option<Webhook> {
    let (forge, name) =
        SOURCES.iter().find_map(|(prefix, forge)| Some((*forge, event.ty().strip_prefix(prefix)?)))?;
    let Data::Json(body) = event.data() else { return None };
    let header = event.attribute(GITLAB_EVENT).filter(|_| forge == Forge::GitLab);
    let name = header.as_deref().unwrap_or(name);
    let is_name = (1..=MAX_EVENT).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' '));
    is_name.then(|| Webhook {
        forge,
        event: name.to_owned(),
        // GitHub's own id of the delivery; `GitLabSource` makes one up.
        delivery: event.id().to_owned(),
        body: body.clone(),
        received: event.time().and_then(|time| time.parse().ok()).unwrap_or(received),
    })
}
