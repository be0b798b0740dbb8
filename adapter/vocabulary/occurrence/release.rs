//! Releases: the release itself and each of its files is an artifact.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, standard};
use crate::event::uri;
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;

pub const PUBLISHED: &str = "dev.cdevents.artifact.published";
pub const DELETED: &str = "dev.cdevents.artifact.deleted";

/// GitHub's own limit of files in a release.
pub const MAX_ASSETS: usize = 1000;

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

/// What a delivery tells about a release.
pub struct Told<'a> {
    /// Which of the types above.
    pub base: &'static str,
    /// Without a file.
    pub release: extract::Release<'a>,
    pub assets: Vec<extract::Asset<'a>>,
    /// The type of the purl of the release, such as `github`.
    pub purl_type: &'static str,
    /// The forge's id of the release, or its tag.
    pub id: String,
    /// What tells this publication from another of the same release.
    pub published: String,
    /// The commit, if the payload has it.
    pub commit: Option<Cow<'a, str>>,
    pub time: Timestamp,
}

/// The events of a release and its files.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let tag = &*told.release.tag;
    if tag.is_empty() {
        return Ok(());
    }
    let occurrence = [told.id.as_str(), told.published.as_str()];
    let chain = match &told.commit {
        Some(sha) => place.chain(&["commit", sha]),
        None => place.chain(&["release", &told.id]),
    };
    let user = sender.clone().filter(|user| !user.is_empty());
    let mut extract = delivery.extract(place, sender);
    let mut about = told.release.clone();
    let assets = told.assets.iter().take(MAX_ASSETS).filter(|asset| !asset.name.is_empty());
    let artifacts = std::iter::once((purl_of_release(told.purl_type, place, tag), None))
        .chain(assets.map(|asset| (purl_of_asset(asset, tag), Some(asset))));
    for (purl, asset) in artifacts {
        about.asset = asset.cloned();
        extract.release = Some(about.clone());
        let content = Content { user: user.as_deref() };
        let mut event =
            CdEvent::occurrence(standard(told.base)?, &place.source, &purl, &occurrence, told.time)
                .chain(&chain)
                .content(&content)?
                .custom_data(&extract)?;
        if told.base == DELETED {
            event =
                event.link(Link::Path { from: occurrence_id(PUBLISHED, &place.source, &purl, &occurrence) });
        }
        out.push(event);
    }
    Ok(())
}

/// `pkg:<type>/<owner>/<repository>@<tag or commit>`; owner and repository are not case-sensitive and lower case by the rule of
/// the purl types `github` and `bitbucket`.
pub fn purl_of_release(ty: &str, place: &Place<'_>, tag: &str) -> String {
    let mut purl = format!("pkg:{ty}/");
    for segment in place.owner.split('/').chain([place.name.as_str()]) {
        uri::encode(&segment.to_ascii_lowercase(), &mut purl);
        purl.push('/');
    }
    purl.pop();
    purl.push('@');
    uri::encode(tag, &mut purl);
    purl
}

/// `pkg:generic/<file>@<tag>` with its checksum and URL, in the alphabetical order that purls ask for.
fn purl_of_asset(asset: &extract::Asset<'_>, tag: &str) -> String {
    let mut purl = "pkg:generic/".to_owned();
    uri::encode(&asset.name, &mut purl);
    purl.push('@');
    uri::encode(tag, &mut purl);
    let qualifiers = [("checksum", &asset.digest), ("download_url", &asset.url)];
    let mut separator = '?';
    for (name, value) in qualifiers {
        if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
            purl.push(separator);
            purl.push_str(name);
            purl.push('=');
            uri::encode(value, &mut purl);
            separator = '&';
        }
    }
    purl
}
