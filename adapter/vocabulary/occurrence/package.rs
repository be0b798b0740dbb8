//! Packages in a forge's registry: each version is an artifact.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, standard};
use crate::event::uri;
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::extract;

/// The types of packages that have a type of purl, in the words of forges and of purls; what the namespace becomes.
/// All others are `generic`.
static KINDS: &[(&str, &str, Namespace)] = &[
    ("alpine", "apk", Namespace::None),
    ("bower", "bower", Namespace::None),
    ("cargo", "cargo", Namespace::None),
    ("chef", "chef", Namespace::None),
    ("composer", "composer", Namespace::Path),
    ("conan", "conan", Namespace::None),
    ("conda", "conda", Namespace::None),
    ("cran", "cran", Namespace::None),
    ("debian", "deb", Namespace::None),
    ("docker", "docker", Namespace::Path),
    ("go", "golang", Namespace::Path),
    ("helm", "helm", Namespace::None),
    ("maven", "maven", Namespace::Path),
    ("npm", "npm", Namespace::Scope),
    ("nuget", "nuget", Namespace::None),
    ("pub", "pub", Namespace::None),
    ("pypi", "pypi", Namespace::None),
    ("rpm", "rpm", Namespace::None),
    ("rubygems", "gem", Namespace::None),
    ("swift", "swift", Namespace::Path),
    ("generic", "generic", Namespace::Path),
];

/// What a namespace is in a purl.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    /// It is no part of the package's name.
    None,
    /// The segments before the name.
    Path,
    /// The same, with `@` before it.
    Scope,
}

/// What a delivery tells about a version of a package.
pub struct Told<'a> {
    /// [`PUBLISHED`](super::release::PUBLISHED) or [`DELETED`](super::release::DELETED).
    pub base: &'static str,
    pub package: extract::Package<'a>,
    /// What tells this publication from another of the same version.
    pub occurrence: Vec<String>,
    pub time: Timestamp,
}

#[derive(Serialize)]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

/// The event of a package; none for one without a name.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let package = &told.package;
    if package.name.is_empty() {
        return Ok(());
    }
    let purl = purl(package);
    let chain = match &package.sha {
        Some(sha) => place.chain(&["commit", sha]),
        None => place.chain(&["package", &purl]),
    };
    let user = sender.clone().filter(|user| !user.is_empty());
    let mut extract = delivery.extract(place, sender);
    extract.package = Some(package.clone());
    let occurrence: Vec<&str> = told.occurrence.iter().map(String::as_str).collect();
    let content = Content { user: user.as_deref() };
    let event = CdEvent::occurrence(standard(told.base)?, &place.source, &purl, &occurrence, told.time)
        .chain(chain)
        .content(&content)?
        .custom_data(&extract)?;
    out.push(event);
    Ok(())
}

/// The purl of a version of a package (package-url/purl-spec, "types").
pub fn purl(package: &extract::Package<'_>) -> String {
    let digest = package.digest.as_deref().filter(|digest| !digest.is_empty());
    if let Some(image) = package.image.as_deref().filter(|image| !image.is_empty()) {
        return purl_of_image(image, digest, package.tag.as_deref());
    }
    let known = KINDS.iter().find(|(word, ..)| word.eq_ignore_ascii_case(&package.kind));
    let (ty, namespace) = known.map_or(("generic", Namespace::Path), |(_, ty, namespace)| (ty, *namespace));
    let mut purl = format!("pkg:{ty}/");
    let path = package.namespace.as_deref().filter(|path| !path.is_empty() && namespace != Namespace::None);
    for segment in path.into_iter().flat_map(|path| path.split('/')).filter(|segment| !segment.is_empty()) {
        if namespace == Namespace::Scope && !segment.starts_with('@') {
            purl.push_str("%40");
        }
        encode(ty, segment, &mut purl);
        purl.push('/');
    }
    encode(ty, &package.name, &mut purl);
    if !package.version.is_empty() {
        purl.push('@');
        uri::encode(&package.version, &mut purl);
    }
    purl
}

/// `pkg:oci/<name>@<digest>?repository_url=…&tag=…`; without a digest there is no version.
fn purl_of_image(image: &str, digest: Option<&str>, tag: Option<&str>) -> String {
    let image = image.to_lowercase();
    let name = image.rsplit('/').next().unwrap_or(&image);
    let mut purl = "pkg:oci/".to_owned();
    uri::encode(name, &mut purl);
    if let Some(digest) = digest {
        purl.push('@');
        uri::encode(digest, &mut purl);
    }
    purl.push_str("?repository_url=");
    // A slash is allowed in a qualifier and easier to read.
    for (i, segment) in image.split('/').enumerate() {
        if i > 0 {
            purl.push('/');
        }
        uri::encode(segment, &mut purl);
    }
    if let Some(tag) = tag.filter(|tag| !tag.is_empty()) {
        purl.push_str("&tag=");
        uri::encode(tag, &mut purl);
    }
    purl
}

/// Names of these types are not case-sensitive, and lower case in a purl.
fn encode(ty: &str, segment: &str, purl: &mut String) {
    match ty {
        "npm" | "composer" | "pypi" | "docker" => uri::encode(&segment.to_lowercase(), purl),
        _ => uri::encode(segment, purl),
    }
}
