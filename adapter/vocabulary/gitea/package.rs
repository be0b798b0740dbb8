//! Packages in the registry: `package`.

use std::borrow::Cow;

use serde::Deserialize;

use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::github::payload::{Account, Repository};
use crate::vocabulary::github::{borrow, login, place, time};
use crate::vocabulary::occurrence::package::{Told, write};
use crate::vocabulary::occurrence::release::{DELETED, PUBLISHED};
use crate::vocabulary::occurrence::{Delivery, Place};
use crate::vocabulary::read::{Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct PackageEvent<'a> {
    /// Always `null` in Gitea 1.26; the package has it.
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow)]
    package: Package<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

/// One version of a package.
#[derive(Debug, Deserialize)]
struct Package<'a> {
    id: u64,
    #[serde(borrow)]
    owner: Option<Owner<'a>>,
    /// Of a package that is linked to one.
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    created_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Owner<'a> {
    #[serde(borrow)]
    login: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
}

pub fn published(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    tell(delivery, PUBLISHED, out)
}

pub fn deleted(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    tell(delivery, DELETED, out)
}

fn tell(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let PackageEvent { repository, mut package, sender } = delivery.payload()?;
    delivery.needs(&[
        "package.repository",
        "package.owner.login",
        "package.owner.html_url",
        "package.type",
        "package.version",
        "repository",
    ])?;
    let place = match package.repository.take().or(repository) {
        Some(repository) => place(delivery.webhook, repository)?,
        None => place_of_account(delivery, package.owner.as_ref())?,
    };
    let Some(about) = extract_of(&package, &place) else { return Ok(()) };
    let told = Told {
        base,
        package: about,
        // Each version has an id of its own, and one that is uploaded again another.
        occurrence: vec![package.id.to_string()],
        time: match base {
            PUBLISHED => time(delivery, &[package.created_at]),
            _ => delivery.webhook.received,
        },
    };
    write(delivery, &told, &place, login(sender.as_ref()), out)
}

/// The account, where a repository would be.
fn place_of_account<'a>(
    delivery: &Delivery<'a>,
    owner: Option<&Owner<'a>>,
) -> Result<Place<'a>, PayloadError> {
    let page = owner.and_then(|owner| owner.html_url.as_deref());
    let mut place = page.and_then(Place::at).ok_or_else(|| {
        delivery.webhook.malformed("`package.repository` or `package.owner.html_url` must be there")
    })?;
    let account = std::mem::take(&mut place.name);
    place.owner = owner.and_then(|owner| owner.login.as_deref()).map_or(account, str::to_owned);
    place.id.clone_from(&place.owner);
    Ok(place)
}

/// `None` for an image without a tag: one of the parts of an image that has one.
fn extract_of<'b>(package: &'b Package<'_>, place: &Place<'_>) -> Option<extract::Package<'b>> {
    let kind = package.kind.as_deref().unwrap_or("generic").to_lowercase();
    let version = borrow(package.version.as_ref()).unwrap_or_default();
    let owner = borrow(package.owner.as_ref().and_then(|owner| owner.login.as_ref()));
    let name = &*package.name;
    let (namespace, name) = match kind.as_str() {
        "npm" => match name.strip_prefix('@').and_then(|name| name.split_once('/')) {
            Some((scope, name)) => (Some(Cow::Borrowed(scope)), name),
            None => (None, name),
        },
        "composer" | "go" => parted(name.rsplit_once('/'), name),
        "maven" => parted(name.split_once(':'), name),
        "swift" => parted(name.split_once('.'), name),
        _ => (owner.clone(), name),
    };
    let mut about = extract::Package {
        namespace,
        name: Cow::Borrowed(name),
        version: version.clone(),
        url: borrow(package.html_url.as_ref()),
        ..extract::Package::default()
    };
    if kind == "container" {
        if version.starts_with("sha256:") {
            return None;
        }
        // The registry is the forge itself.
        let host = place.origin.split_once("://").map_or("", |(_, host)| host);
        about.image = owner.map(|owner| Cow::Owned(format!("{host}/{owner}/{name}").to_lowercase()));
        about.tag = Some(version);
    }
    about.kind = Cow::Owned(kind);
    Some(about)
}

fn parted<'b>(parts: Option<(&'b str, &'b str)>, whole: &'b str) -> (Option<Cow<'b, str>>, &'b str) {
    parts.map_or((None, whole), |(namespace, name)| (Some(Cow::Borrowed(namespace)), name))
}
