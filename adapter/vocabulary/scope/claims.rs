//! What a payload says about which repository it is, wherever that is read from it.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::Scope;
use crate::vocabulary::pick::{Path, Picked, Scalar};

/// What a delivery says about itself.
#[derive(Clone, Debug, Default)]
pub struct Claims<'a> {
    /// Full names of the repository.
    pub names: Vec<Claim<'a>>,
    /// Addresses of the repository.
    pub pages: Vec<Claim<'a>>,
    /// Addresses of other repositories of the same forge, such as the fork that a change comes from.
    pub others: Vec<Claim<'a>>,
    /// The account or group, for what is about no repository.
    pub owners: Vec<Claim<'a>>,
}

/// A name or an address, and the field that says it.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    /// The field of the payload.
    pub field: Field,
    /// What is there.
    pub text: Cow<'a, str>,
}

/// A field of a payload; almost none is ever written out.
#[derive(Clone, Debug)]
pub enum Field {
    /// By its keys.
    At(Path),
    /// By its name.
    Named(String),
}

/// Where the payloads of a forge say it.
pub struct Paths {
    /// Full names.
    pub names: &'static [Path],
    /// Names in two parts: the owner and the rest.
    pub pairs: &'static [(Path, Path)],
    /// Addresses of the repository.
    pub pages: &'static [Path],
    /// Addresses of others.
    pub others: &'static [Path],
    /// Accounts and groups.
    pub owners: &'static [Path],
}

// === impl Paths ===

impl Paths {
    /// All of them after those that are sought anyhow; none when a source may tell of everything.
    pub fn after(&self, mut paths: Vec<Path>, scope: &Scope) -> Vec<Path> {
        if scope.is_everything() {
            return paths;
        }
        paths.extend_from_slice(self.pages);
        paths.extend_from_slice(self.others);
        if !scope.repositories.is_empty() {
            paths.extend_from_slice(self.names);
            paths.extend_from_slice(self.owners);
            paths.extend(self.pairs.iter().flat_map(|(owner, name)| [*owner, *name]));
        }
        paths
    }

    /// What stands there.
    pub fn claims<'a>(&self, scope: &Scope, picked: &Picked<'a>) -> Claims<'a> {
        let mut claims = Claims::default();
        if scope.is_everything() {
            return claims;
        }
        let text = |path: Path| match picked.get(path)? {
            Scalar::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Scalar::Integer(number) => Some(Cow::Owned(number.to_string())),
        };
        let at = |path: &Path| Some(Claim { field: Field::At(path), text: text(path)? });
        claims.pages.extend(self.pages.iter().filter_map(at));
        claims.others.extend(self.others.iter().filter_map(at));
        if !scope.repositories.is_empty() {
            let pairs = self.pairs.iter().filter_map(|(owner, name)| {
                let full = format!("{}/{}", text(owner)?, text(name)?);
                Some(Claim { field: Field::At(name), text: Cow::Owned(full) })
            });
            claims.names.extend(self.names.iter().filter_map(at).chain(pairs));
            claims.owners.extend(self.owners.iter().filter_map(at));
        }
        claims
    }
}

// === impl Claim ===

impl Claim<'_> {
    fn named(field: String, text: String) -> Self {
        Self { field: Field::Named(field), text: Cow::Owned(text) }
    }
}

// === impl Field ===

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(path) => f.write_str(&path.join(".")),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// The same of Bitbucket Data Center, whose addresses are in lists.
pub fn of_data_center(scope: &Scope, event: &str, json: &str) -> Claims<'static> {
    let mut claims = Claims::default();
    if scope.is_everything() {
        return claims;
    }
    let body: Value = serde_json::from_str(json).unwrap_or_default();
    let texts = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    // The repository of a fork is the new one, and says what it was made from.
    let is_fork = event == "repo:forked";
    for (pointer, is_other) in [
        ("/repository", is_fork),
        ("/repository/origin", !is_fork),
        ("/new", false),
        ("/pullRequest/toRef/repository", false),
        ("/pullRequest/fromRef/repository", true),
    ] {
        let Some(repository) = body.pointer(pointer) else { continue };
        let place = pointer.trim_start_matches('/').replace('/', ".");
        let text = |below: &str| repository.pointer(below).and_then(texts);
        if let (Some(key), Some(slug)) = (text("/project/key"), text("/slug"))
            && !is_other
        {
            claims.names.push(Claim::named(format!("{place}.slug"), format!("{key}/{slug}")));
        }
        for list in ["self", "clone"] {
            let links = repository.pointer(&format!("/links/{list}")).and_then(Value::as_array);
            for href in links.into_iter().flatten().filter_map(|link| link.get("href").and_then(texts)) {
                let kept = if is_other { &mut claims.others } else { &mut claims.pages };
                kept.push(Claim::named(format!("{place}.links.{list}"), href));
            }
        }
    }
    for pointer in ["/project/key", "/new/key"] {
        if let Some(key) = body.pointer(pointer).and_then(texts) {
            claims.owners.push(Claim::named(pointer.trim_start_matches('/').replace('/', "."), key));
        }
    }
    claims
}
