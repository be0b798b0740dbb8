//! What a run says that it made: Tekton Chains' type hints in its results, and the results that annotations declare.
//!
//! Results are whatever a step wrote. What is not exactly what it should be is nothing, never an error.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;
use serde_json::Value;

use super::object::Object;
use crate::event::annotation;
use crate::event::uri;
use crate::vocabulary::extract::Package;
use crate::vocabulary::occurrence::package;

/// The most things that one run can have made by the hints in its results: two events for each, beside the few of annotations.
pub const MAX_MADE: usize = 45;
/// The longest name, version or address in bytes.
const MAX_TEXT: usize = 1024;

/// Something that has a place in a registry or elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact<'a> {
    /// Its identity (package-url/purl-spec).
    pub purl: String,
    pub package: Package<'a>,
}

/// What runs somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service<'a> {
    pub name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<&'a str>,
    pub environment: &'a str,
}

/// What a run was about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<'a> {
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'a str>,
}

/// The results of a run, by name.
pub struct Results<'a, 'o> {
    run: &'o Object<'a>,
    all: HashMap<&'a str, &'a Value>,
}

/// The names of a result: what it is called, and the annotation that calls it otherwise (`tektoncd/experimental`,
/// folder `cloudevents`).
struct Names(&'static str, &'static str);

const ARTIFACT_ID: Names = Names("cd.artifact.id", "cd.events/results.artifact.id");
const ARTIFACT_NAME: Names = Names("cd.artifact.name", "cd.events/results.artifact.name");
const ARTIFACT_VERSION: Names = Names("cd.artifact.version", "cd.events/results.artifact.version");
const SERVICE_ENVIRONMENT: Names = Names("cd.service.envId", "cd.events/results.service.envid");
const SERVICE_NAME: Names = Names("cd.service.name", "cd.events/results.service.name");
const SERVICE_VERSION: Names = Names("cd.service.version", "cd.events/results.service.version");

// === impl Results ===

impl<'a, 'o> Results<'a, 'o> {
    pub fn of(run: &'o Object<'a>) -> Self {
        Self { run, all: run.results().collect() }
    }

    /// What the type hints of Tekton Chains tell (its docs/config.md, "Type hinting"), each once, in the order of the
    /// results.
    pub fn hinted(&self) -> Vec<Artifact<'a>> {
        let mut found: Vec<Artifact<'a>> = Vec::new();
        for (name, value) in self.run.results() {
            if found.len() >= MAX_MADE {
                break;
            }
            let pair = |uri: &str, digest: &str| {
                let marker = name.strip_suffix(uri)?;
                Some((text(value)?, text(self.all.get(format!("{marker}{digest}").as_str())?)?))
            };
            let field = |field: &str| value.get(field).and_then(text);
            let artifact = if name == "IMAGES" {
                for reference in value.as_str().unwrap_or_default().split([',', '\n']).take(MAX_MADE) {
                    let image = reference.trim().split_once('@').and_then(|(url, digest)| image(url, digest));
                    push(&mut found, image);
                }
                None
            } else if let Some((url, digest)) = pair("IMAGE_URL", "IMAGE_DIGEST") {
                image(url, digest)
            } else if let Some((uri, digest)) = pair("ARTIFACT_URI", "ARTIFACT_DIGEST") {
                artifact(uri, digest)
            } else if name.ends_with("ARTIFACT_OUTPUTS") {
                field("uri").zip(field("digest")).and_then(|(uri, digest)| artifact(uri, digest))
            } else {
                None
            };
            push(&mut found, artifact);
        }
        found.truncate(MAX_MADE);
        found
    }

    /// The artifact of the annotations `cd.artifact.*`: all three results have to be there.
    pub fn artifact(&self) -> Option<Artifact<'a>> {
        let (id, name, version) =
            (self.named(&ARTIFACT_ID)?, self.named(&ARTIFACT_NAME)?, self.named(&ARTIFACT_VERSION)?);
        let image = id.split_once('@').and_then(|(url, digest)| image(url, digest));
        let mut made = image.or_else(|| purl(id, None)).unwrap_or_else(|| {
            let package = Package { url: is_address(id).then_some(id.into()), ..generic(name, None) };
            Artifact { purl: purl_of(&package, Some(version)), package }
        });
        made.package.name = name.into();
        made.package.version = version.into();
        Some(made)
    }

    /// The service of the annotations `cd.service.*`.
    pub fn service(&self) -> Option<Service<'a>> {
        Some(Service {
            name: self.named(&SERVICE_NAME)?,
            version: self.named(&SERVICE_VERSION),
            environment: self.named(&SERVICE_ENVIRONMENT)?,
        })
    }

    /// The commit that the run worked on, as Chains is told of it, or else the change that caused the run.
    pub fn change(&self) -> Option<Change<'a>> {
        let hint = |name: &str| {
            let param = || self.run.params().find(|(param, _)| *param == name).map(|(_, value)| value);
            self.all.get(name).copied().or_else(param).and_then(text)
        };
        if let Some(id) = hint("CHAINS-GIT_COMMIT").filter(|commit| is_hex(commit, &[40, 64])) {
            let url = hint("CHAINS-GIT_URL").map(|url| url.strip_prefix("git+").unwrap_or(url));
            // Not with a password in it.
            return Some(Change { id, source: url.filter(|url| uri::split_origin(url).is_some()) });
        }
        let id = self.run.annotation(annotation::CHANGE_ID)?;
        let source =
            self.run.annotation(annotation::CHANGE_SOURCE).filter(|source| uri::is_reference(source));
        Some(Change { id, source })
    }

    fn named(&self, Names(name, annotation): &Names) -> Option<&'a str> {
        self.all.get(self.run.annotation(annotation).unwrap_or(name)).copied().and_then(text)
    }
}

fn push<'a>(found: &mut Vec<Artifact<'a>>, artifact: Option<Artifact<'a>>) {
    if let Some(artifact) = artifact
        && !found.iter().any(|known| known.purl == artifact.purl)
    {
        found.push(artifact);
    }
}

/// A short text; steps tend to write a line's end after it.
fn text(value: &Value) -> Option<&str> {
    let text = value.as_str()?.trim();
    ((1..=MAX_TEXT).contains(&text.len()) && !text.contains(char::is_control)).then_some(text)
}

/// An image in a registry, which its digest names.
fn image<'a>(url: &'a str, digest: &'a str) -> Option<Artifact<'a>> {
    let digest = digest.trim();
    let (image, tag) = image_name(url)?;
    let hex = digest.strip_prefix("sha256:")?;
    if !is_hex(hex, &[64]) {
        return None;
    }
    let package = Package {
        kind: "container".into(),
        name: image.rsplit('/').next().unwrap_or(image).into(),
        version: digest.into(),
        tag: tag.map(Cow::Borrowed),
        digest: Some(digest.into()),
        image: Some(image.into()),
        ..Package::default()
    };
    Some(Artifact { purl: package::purl(&package), package })
}

/// `registry:port/path` and the tag; a digest at the end is what the digest's own result says again.
fn image_name(url: &str) -> Option<(&str, Option<&str>)> {
    let url = url.trim();
    let url = url.split_once('@').map_or(url, |(url, _)| url);
    let start = url.rfind('/').map_or(0, |slash| slash + 1);
    let (image, tag) = match url[start..].find(':') {
        Some(colon) => (&url[..start + colon], Some(&url[start + colon + 1..])),
        None => (url, None),
    };
    let word = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    let mut segments = image.split('/');
    let host = segments.next().is_some_and(|host| word(host, b"._-:"));
    let is_image = image.len() <= MAX_TEXT && host && segments.all(|segment| word(segment, b"._-"));
    let has_tag = tag.is_none_or(|tag| tag.len() <= 128 && word(tag, b"._-"));
    (is_image && has_tag).then_some((image, tag))
}

/// Anything with an address and a digest.
fn artifact<'a>(uri: &'a str, digest: &'a str) -> Option<Artifact<'a>> {
    let (algorithm, hex) = digest.split_once(':')?;
    let length = match algorithm {
        "sha1" => 40,
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return None,
    };
    if !is_hex(hex, &[length]) {
        return None;
    }
    let reference = uri.strip_prefix("oci://").or_else(|| uri.strip_prefix("docker://"));
    if let Some(reference) = reference.or_else(|| Some(uri).filter(|uri| begins_with_registry(uri))) {
        return image(reference, digest);
    }
    if uri.starts_with("pkg:") {
        return purl(uri, Some(digest));
    }
    if !is_address(uri) {
        return None;
    }
    let path = uri.split(['?', '#']).next()?.trim_end_matches('/');
    let name = path.rsplit(['/', ':']).find(|part| !part.is_empty())?;
    let package = Package { url: Some(uri.into()), ..generic(name, Some(digest)) };
    Some(Artifact { purl: purl_of(&package, None), package })
}

/// Whether a text can only be an image: without a scheme, and with a registry's host in front.
fn begins_with_registry(uri: &str) -> bool {
    uri.split_once('/').is_some_and(|(host, _)| {
        let named = host.rsplit_once(':').map_or(host, |(name, port)| {
            if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) { name } else { "" }
        });
        !named.contains(':')
            && (named.contains('.') || named == "localhost" || named != host)
            && !named.is_empty()
    })
}

fn is_address(uri: &str) -> bool {
    // One with a password in it is nothing to tell the world.
    uri::is_absolute(uri)
        && !uri.split_once("://").is_some_and(|(_, rest)| {
            rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
        })
}

/// What calls itself by a purl.
fn purl<'a>(purl: &'a str, digest: Option<&'a str>) -> Option<Artifact<'a>> {
    let rest = purl.strip_prefix("pkg:")?.trim_start_matches('/');
    let (ty, path) = rest.split_once('/')?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let (path, version) = path.split_once('@').unwrap_or((path, ""));
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_type = !ty.is_empty() && ty.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b));
    let package = Package {
        kind: Cow::Owned(ty.to_ascii_lowercase()),
        version: version.into(),
        ..generic(name, digest)
    };
    let purl = format!("pkg:{rest}");
    (is_type && !name.is_empty() && uri::is_absolute(&purl)).then_some(Artifact { purl, package })
}

fn generic<'a>(name: &'a str, digest: Option<&'a str>) -> Package<'a> {
    Package {
        kind: "generic".into(),
        name: name.into(),
        version: digest.unwrap_or_default().into(),
        digest: digest.map(Cow::Borrowed),
        ..Package::default()
    }
}

/// `pkg:generic/<name>@<version>` with checksum and address, in the alphabetical order that purls ask for.
pub fn purl_of(package: &Package<'_>, version: Option<&str>) -> String {
    let mut purl = "pkg:generic/".to_owned();
    uri::encode(&package.name, &mut purl);
    if let Some(version) = version {
        purl.push('@');
        uri::encode(version, &mut purl);
    }
    let qualifiers = [("checksum", &package.digest), ("download_url", &package.url)];
    let mut separator = '?';
    for (name, value) in qualifiers {
        if let Some(value) = value {
            purl.push(separator);
            purl.push_str(name);
            purl.push('=');
            uri::encode(value, &mut purl);
            separator = '&';
        }
    }
    purl
}

/// The purl of a service of which only name and version are known.
pub fn purl_of_service(name: &str, version: &str) -> String {
    purl_of(&generic(name, None), Some(version))
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
