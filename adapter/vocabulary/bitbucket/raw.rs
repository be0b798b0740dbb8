//! The raw event of both Bitbuckets. The CloudEvents project has no mapping for them: this one follows the pattern of its
//! mappings for GitHub and GitLab.

use crate::event::uri;
use crate::vocabulary::github::raw::is_segment;
use crate::vocabulary::pick::{Path, Picked, Scalar};
use crate::vocabulary::raw::Raw;
use crate::vocabulary::{PayloadError, Webhook, time};

/// Where the raw event of one Bitbucket has its attributes from; the first path that holds a fitting value counts.
pub struct Paths {
    pub source: &'static [Path],
    pub subject: &'static [Path],
    pub time: &'static [Path],
    /// The `source` when no path leads to one.
    pub fallback: &'static str,
}

/// Bitbucket Cloud: the repository's page, and the number of the pull request or issue.
pub static CLOUD: Paths = Paths {
    source: &[
        &["repository", "links", "html", "href"],
        &["project", "links", "html", "href"],
        &["workspace", "links", "html", "href"],
    ],
    subject: &[
        &["comment", "id"],
        &["pullrequest", "id"],
        &["issue", "id"],
        &["commit_status", "key"],
        &["fork", "full_name"],
    ],
    time: &[
        &["comment", "updated_on"],
        &["pullrequest", "updated_on"],
        &["issue", "updated_on"],
        &["commit_status", "updated_on"],
    ],
    fallback: "https://bitbucket.org",
};

// === impl Paths ===

impl Paths {
    /// All of them.
    pub fn all(&self) -> Vec<Path> {
        [self.source, self.subject, self.time].concat()
    }
}

/// The raw event from what is at the paths: its type is `com.bitbucket.` and `X-Event-Key` with dots.
///
/// # Errors
/// The event's name cannot be part of a type.
pub fn raw(webhook: &Webhook, picked: &Picked<'_>, paths: &Paths) -> Result<Raw, PayloadError> {
    if !webhook.event.split(':').all(is_segment) {
        return Err(webhook
            .malformed("the name of the event must consist of letters, digits, `_` and `-`, joined by `:`"));
    }
    let source = paths.source.iter().filter_map(|path| picked.text(path)).find(|url| uri::is_reference(url));
    Ok(Raw {
        ty: format!("com.bitbucket.{}", webhook.event.replace(':', ".")),
        source: source.unwrap_or(paths.fallback).to_owned(),
        subject: paths.subject.iter().find_map(|path| picked.get(path)).map(Scalar::to_string),
        time: paths.time.iter().filter_map(|path| picked.text(path)).find_map(time::parse),
    })
}
