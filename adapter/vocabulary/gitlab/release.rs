//! Releases: the release itself and each file that it links to is an artifact.

use jiff::Timestamp;

use super::payload::{self, AssetLink};
use super::{borrow, place};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::release::{DELETED, MAX_ASSETS, PUBLISHED, Told};
use crate::vocabulary::occurrence::{self, Delivery};
use crate::vocabulary::read::When;
use crate::vocabulary::{PayloadError, extract};

pub fn published(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let release: payload::Release<'_> = delivery.payload()?;
    // `released_at` is whatever its author says, also in the future.
    let time = release.created_at.and_then(|when| when.0).unwrap_or(delivery.webhook.received);
    write(delivery, release, PUBLISHED, time, out)
}

pub fn withdrawn(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    write(delivery, delivery.payload()?, DELETED, delivery.webhook.received, out)
}

fn write<'a>(
    delivery: &Delivery<'a>,
    release: payload::Release<'a>,
    base: &'static str,
    time: Timestamp,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let payload::Release { id, tag, name, url, created_at, project, assets, commit } = release;
    let place = place(delivery.webhook, project)?;
    let commit = borrow(commit.as_ref().and_then(|commit| commit.id.as_ref()));
    delivery.needs(&["created_at", "tag"])?;
    let links = assets.as_ref().and_then(|assets| assets.links.as_deref()).unwrap_or_default();
    let is_whole = |i: usize| {
        !delivery.misses_in("assets.links", i, "name") && !delivery.misses_in("assets.links", i, "url")
    };
    let links = links.iter().take(MAX_ASSETS).enumerate().filter(|(i, _)| is_whole(*i));
    let links = links.filter_map(|(_, link)| link.as_ref()).map(extract_of);
    let told = Told {
        base,
        release: extract::Release {
            tag: borrow(tag.as_ref()).unwrap_or_default(),
            name: borrow(name.as_ref()),
            url: borrow(url.as_ref()),
            author: None,
            target: commit.clone(),
            draft: false,
            prerelease: false,
            asset: None,
        },
        assets: links.collect(),
        purl_type: "gitlab",
        id: id.to_string(),
        published: When::key(created_at).unwrap_or_default(),
        commit,
        time,
    };
    // Whose deed it was is not in the payload.
    occurrence::release::write(delivery, &told, &place, None, out)
}

fn extract_of<'b>(link: &'b AssetLink<'_>) -> extract::Asset<'b> {
    extract::Asset {
        name: borrow(link.name.as_ref()).unwrap_or_default(),
        url: borrow(link.url.as_ref()),
        ..extract::Asset::default()
    }
}
