//! Releases: the release itself and each of its files is an artifact.

use std::borrow::Cow;

use jiff::Timestamp;

use super::payload::{self, Asset};
use super::{borrow, login, place};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::release::{DELETED, MAX_ASSETS, PUBLISHED, Told};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::read::When;
use crate::vocabulary::{PayloadError, extract};

pub fn published(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: payload::ReleaseEvent<'_> = delivery.payload()?;
    let time = event.release.published_at.and_then(|when| when.0).unwrap_or(delivery.webhook.received);
    write(delivery, event, PUBLISHED, time, out)
}

/// Gitea's `updated`: what was a draft before is told by this alone, and what was not, as the publication that it is already.
pub fn edited(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let event: payload::ReleaseEvent<'_> = delivery.payload()?;
    delivery.needs(&["release.draft"])?;
    if event.release.draft != Some(false) {
        return Ok(());
    }
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
    delivery.needs(&["release.published_at", "release.updated_at"])?;
    let place = place(delivery.webhook, repository)?;
    let target = release.target_commitish.as_ref();
    let told = Told {
        base,
        release: extract::Release {
            tag: borrow(release.tag_name.as_ref()).unwrap_or_default(),
            name: borrow(release.name.as_ref()),
            url: borrow(release.html_url.as_ref()),
            author: login(release.author.as_ref()),
            target: borrow(target),
            draft: release.draft.unwrap_or(false),
            prerelease: release.prerelease.unwrap_or(false),
            asset: None,
        },
        assets: assets(delivery, &release),
        purl_type: delivery.webhook.forge.name(),
        id: release.id.to_string(),
        published: When::key(release.published_at)
            .or_else(|| When::key(release.updated_at))
            .unwrap_or_default(),
        // The target may be a branch, and which commit it meant is not in the payload.
        commit: borrow(target).filter(|sha| sha.len() >= 40 && sha.bytes().all(|b| b.is_ascii_hexdigit())),
        time,
    };
    occurrence::release::write(delivery, &told, &place, login(sender.as_ref()), out)
}

/// Those of which everything is known that their events are told apart by.
fn assets<'b>(delivery: &Delivery<'_>, release: &'b payload::Release<'_>) -> Vec<extract::Asset<'b>> {
    let is_whole = |i: usize| {
        !delivery.misses_in("release.assets", i, "browser_download_url")
            && !delivery.misses_in("release.assets", i, "digest")
    };
    let all = release.assets.iter().flatten().take(MAX_ASSETS).enumerate();
    all.filter(|(i, _)| is_whole(*i)).filter_map(|(_, asset)| asset.as_ref()).map(extract_of).collect()
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
