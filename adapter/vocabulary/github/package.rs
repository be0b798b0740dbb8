//! Packages: `package` and `registry_package`, which tell the same.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::Repository;
use super::{borrow, key, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::package::{Told, write};
use crate::vocabulary::occurrence::release::PUBLISHED;
use crate::vocabulary::occurrence::{Delivery, Place};
use crate::vocabulary::read::{List, Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct PackageEvent<'a> {
    #[serde(borrow, alias = "registry_package")]
    package: Package<'a>,
    /// Absent when the package belongs to the account alone.
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow)]
    sender: Option<super::payload::Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Package<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    ecosystem: Option<Text<'a>>,
    #[serde(borrow, rename = "package_type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    owner: Option<Owner<'a>>,
    #[serde(borrow, rename = "package_version")]
    version: Option<Version<'a>>,
    updated_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Owner<'a> {
    #[serde(borrow)]
    login: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Version<'a> {
    #[serde(borrow, rename = "version")]
    number: Option<Text<'a>>,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    /// What is pulled or installed: `ghcr.io/acme/shop:v1`.
    #[serde(borrow)]
    package_url: Option<Text<'a>>,
    #[serde(borrow)]
    package_files: Option<List<File<'a>>>,
    #[serde(borrow)]
    container_metadata: Option<Container<'a>>,
}

#[derive(Debug, Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Container<'a> {
    #[serde(borrow)]
    tag: Option<Tag<'a>>,
    #[serde(borrow)]
    labels: Option<Labels<'a>>,
}

#[derive(Debug, Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    digest: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Labels<'a> {
    #[serde(borrow)]
    revision: Option<Text<'a>>,
}

/// Where container images of github.com are; other hosts say it in the payload.
const IMAGES: (&str, &str) = ("https://github.com", "ghcr.io");

/// What a version is known by.
const NEEDED: &[&str] = &[
    "updated_at",
    "package_type",
    "ecosystem",
    "namespace",
    "owner.login",
    "owner.html_url",
    "package_version.version",
    "package_version.package_url",
    "package_version.package_files[]",
    "package_version.container_metadata.tag.name",
    "package_version.container_metadata.tag.digest",
];

pub fn published(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let PackageEvent { package, repository, sender } = delivery.payload()?;
    for field in ["package", "registry_package"] {
        let below = NEEDED.iter().map(|member| format!("{field}.{member}"));
        below.into_iter().try_for_each(|path| delivery.needs(&[&path]))?;
    }
    delivery.needs(&["repository"])?;
    let Some(version) = &package.version else { return Ok(()) };
    let place = match repository {
        Some(repository) => place(delivery.webhook, repository)?,
        None => place_of_account(delivery, package.owner.as_ref())?,
    };
    let about = match &version.container_metadata {
        // The layers of an image are packages without a tag; only what has a name can be used by it.
        Some(container) => match extract_of_image(&package, version, container, &place) {
            Some(about) => about,
            None => return Ok(()),
        },
        // Of anything but an image a version never changes.
        None if delivery.action() == "updated" => return Ok(()),
        None => extract_of(&package, version, &place),
    };
    let told = Told {
        base: PUBLISHED,
        package: about,
        occurrence: vec![key(package.updated_at)],
        time: time(delivery, &[package.updated_at]),
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
        delivery.webhook.malformed("`repository` or `package.owner.html_url` must be there")
    })?;
    let account = std::mem::take(&mut place.name);
    place.owner = owner.and_then(|owner| owner.login.as_deref()).map_or(account, str::to_owned);
    place.id.clone_from(&place.owner);
    Ok(place)
}

fn extract_of_image<'b>(
    package: &'b Package<'_>,
    version: &'b Version<'_>,
    container: &'b Container<'_>,
    place: &Place<'_>,
) -> Option<extract::Package<'b>> {
    let tag = container.tag.as_ref()?;
    let name = borrow(tag.name.as_ref()).filter(|name| !name.is_empty())?;
    let digest = borrow(tag.digest.as_ref())
        .or_else(|| borrow(version.number.as_ref()))
        .filter(|digest| digest.starts_with("sha256:"));
    let revision = container.labels.as_ref().and_then(|labels| labels.revision.as_ref());
    let owner = package.owner.as_ref().and_then(|owner| owner.login.as_ref());
    let image = borrow(version.package_url.as_ref()).map(without_tag).filter(|image| !image.is_empty());
    let usual = || {
        let owner = owner.filter(|_| place.origin == IMAGES.0)?;
        Some(Cow::Owned(format!("{}/{}/{}", IMAGES.1, &**owner, &*package.name)))
    };
    Some(extract::Package {
        kind: Cow::Borrowed("container"),
        namespace: borrow(owner),
        name: package.name.lend(),
        version: digest.clone().or_else(|| borrow(version.number.as_ref())).unwrap_or_default(),
        tag: Some(name),
        digest,
        // No registry takes capitals.
        image: image.or_else(usual).map(|image| Cow::Owned(image.to_lowercase())),
        url: borrow(version.html_url.as_ref().or(package.html_url.as_ref())),
        sha: borrow(revision).filter(|sha| sha.len() >= 40 && sha.bytes().all(|b| b.is_ascii_hexdigit())),
    })
}

fn extract_of<'b>(
    package: &'b Package<'_>,
    version: &'b Version<'_>,
    place: &'b Place<'_>,
) -> extract::Package<'b> {
    let text = |text: Option<&'b Text<'_>>| borrow(text).filter(|text| !text.is_empty());
    let kind = text(package.kind.as_ref()).or_else(|| text(package.ecosystem.as_ref()));
    let kind = kind.unwrap_or(Cow::Borrowed("generic")).to_lowercase();
    let number = text(version.number.as_ref()).unwrap_or_default();
    let owner = text(package.owner.as_ref().and_then(|owner| owner.login.as_ref()));
    let (namespace, name): (Option<Cow<'_, str>>, &str) = match kind.as_str() {
        // A package of npm is scoped by its owner.
        "npm" => match package.name.strip_prefix('@').and_then(|name| name.split_once('/')) {
            Some((scope, name)) => (Some(Cow::Borrowed(scope)), name),
            None => (owner.or(Some(Cow::Borrowed(place.owner.as_str()))), &package.name),
        },
        "maven" => match artifact_of(&package.name, &number, version.package_files.as_deref()) {
            Some((group, artifact)) => (Some(Cow::Borrowed(group)), artifact),
            None => (None, &package.name),
        },
        _ => (owner.or_else(|| text(package.namespace.as_ref())), &package.name),
    };
    extract::Package {
        kind: Cow::Owned(kind),
        namespace,
        name: Cow::Borrowed(name),
        version: number,
        url: borrow(version.html_url.as_ref().or(package.html_url.as_ref())),
        ..extract::Package::default()
    }
}

/// Group and artifact of a Maven package, which GitHub joins by a dot: its files are called `<artifact>-<version>`.
fn artifact_of<'b>(name: &'b str, version: &str, files: Option<&[File<'_>]>) -> Option<(&'b str, &'b str)> {
    files?.iter().filter_map(|file| file.name.as_deref()).find_map(|file| {
        let artifact = &file[..file.find(&format!("-{version}"))?];
        let group = name.strip_suffix(artifact)?.strip_suffix('.')?;
        Some((group, &name[group.len() + 1..]))
    })
}

fn without_tag(image: Cow<'_, str>) -> Cow<'_, str> {
    let start = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[start..].find([':', '@']).map(|end| start + end) {
        Some(end) => Cow::Owned(image[..end].to_owned()),
        None => image,
    }
}
