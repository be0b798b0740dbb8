//! Releases: the release itself and each of its files is an artifact.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::payload::{self, Asset, When};
use super::{Delivery, Place, borrow, login, standard};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::{extract, uri};

const PUBLISHED: &str = "dev.cdevents.artifact.published";
const DELETED: &str = "dev.cdevents.artifact.deleted";

/// GitHub's own limit of files in a release.
const MAX_ASSETS: usize = 1000;

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

pub fn published(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: payload::ReleaseEvent<'_> = delivery.payload()?;
    let time = event.release.published_at.and_then(|when| when.0).unwrap_or(delivery.webhook.received);
    write(delivery, event, PUBLISHED, time, out)
}

/// `unpublished` and `deleted`. Neither has a time of its own.
pub fn withdrawn(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: payload::ReleaseEvent<'_> = delivery.payload()?;
    let was_published = event.release.published_at.is_some_and(|when| when.0.is_some());
    if delivery.action() == "deleted" && event.release.draft == Some(true) && !was_published {
        // Nobody has ever seen it.
        return Ok(());
    }
    write(delivery, event, DELETED, delivery.webhook.received, out)
}

fn write<'a>(
    delivery: &Delivery<'a>,
    event: payload::ReleaseEvent<'a>,
    base: &'static str,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let payload::ReleaseEvent { release, repository, sender } = event;
    let Some(tag) = release.tag_name.as_deref().filter(|tag| !tag.is_empty()) else { return Ok(()) };
    let place = delivery.place(repository)?;
    let published_at = seconds(release.published_at).or_else(|| seconds(release.updated_at));
    let occurrence = [release.id.to_string(), published_at.unwrap_or_default()];
    let occurrence = [occurrence[0].as_str(), occurrence[1].as_str()];
    let chain = match release.target_commitish.as_deref() {
        Some(sha) if sha.len() >= 40 && sha.bytes().all(|b| b.is_ascii_hexdigit()) => {
            place.chain(&["commit", sha])
        }
        // The target is a branch, and which commit it meant is not in the payload.
        _ => place.chain(&["release", occurrence[0]]),
    };
    let user = sender.as_ref().and_then(|sender| sender.login.as_deref()).filter(|user| !user.is_empty());
    let mut extract = delivery.extract(&place, sender.as_ref());
    let mut about = extract::Release {
        tag: Cow::Borrowed(tag),
        name: borrow(release.name.as_ref()),
        url: borrow(release.html_url.as_ref()),
        author: login(release.author.as_ref()),
        target: borrow(release.target_commitish.as_ref()),
        draft: release.draft.unwrap_or(false),
        prerelease: release.prerelease.unwrap_or(false),
        asset: None,
    };
    let assets = release.assets.iter().flatten().take(MAX_ASSETS).filter(|asset| !asset.name.is_empty());
    let artifacts = std::iter::once((purl_of_release(&place, tag), None))
        .chain(assets.map(|asset| (purl_of_asset(asset, tag), Some(asset))));
    for (purl, asset) in artifacts {
        about.asset = asset.map(extract_of);
        extract.release = Some(about.clone());
        let mut event = CdEvent::occurrence(standard(base)?, &place.source, &purl, &occurrence, time)
            .chain(&chain)
            .content(&Content { user })?
            .custom_data(&extract)?;
        if base == DELETED {
            event =
                event.link(Link::Path { from: occurrence_id(PUBLISHED, &place.source, &purl, &occurrence) });
        }
        out.push(event);
    }
    Ok(())
}

fn extract_of<'b>(asset: &'b Asset<'_>) -> extract::Asset<'b> {
    extract::Asset {
        name: Cow::Borrowed(&asset.name),
        url: borrow(asset.browser_download_url.as_ref()),
        content_type: borrow(asset.content_type.as_ref()),
        size: asset.size,
        digest: borrow(asset.digest.as_ref()),
    }
}

/// `pkg:github/<owner>/<repository>@<tag>`; owner and repository are not case-sensitive and lower case by the rule of
/// that purl type.
fn purl_of_release(place: &Place<'_>, tag: &str) -> String {
    let mut purl = "pkg:github/".to_owned();
    uri::encode(&place.owner.to_ascii_lowercase(), &mut purl);
    purl.push('/');
    uri::encode(&place.name.to_ascii_lowercase(), &mut purl);
    purl.push('@');
    uri::encode(tag, &mut purl);
    purl
}

/// `pkg:generic/<file>@<tag>` with its checksum and URL, in the alphabetical order that purls ask for.
fn purl_of_asset(asset: &Asset<'_>, tag: &str) -> String {
    let mut purl = "pkg:generic/".to_owned();
    uri::encode(&asset.name, &mut purl);
    purl.push('@');
    uri::encode(tag, &mut purl);
    let qualifiers = [("checksum", &asset.digest), ("download_url", &asset.browser_download_url)];
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

fn seconds(when: Option<When>) -> Option<String> {
    when.and_then(|when| when.0).map(|time| time.as_second().to_string())
}
