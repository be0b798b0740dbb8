//! What a payload says about which repository it is, wherever that is read from it.

use std::borrow::Cow;

use serde_json::Value;

use super::Scope;
use crate::vocabulary::pick::{Path, Picked, Scalar};

/// What a delivery says about itself; each with the field that says it.
#[derive(Clone, Debug, Default)]
pub struct Claims<'a> {
    /// Full names of the repository.
    pub names: Vec<(String, Cow<'a, str>)>,
    /// Addresses of the repository.
    pub pages: Vec<(String, Cow<'a, str>)>,
    /// Addresses of other repositories of the same forge, such as the fork that a change comes from.
    pub others: Vec<(String, Cow<'a, str>)>,
    /// The account or group, for what is about no repository.
    pub owners: Vec<(String, Cow<'a, str>)>,
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
    /// All of them; none when a source may tell of everything.
    pub fn all(&self, scope: &Scope) -> Vec<Path> {
        if scope.is_everything() {
            return Vec::new();
        }
        let mut all = [self.pages, self.others].concat();
        if !scope.repositories.is_empty() {
            all.extend(self.names.iter().chain(self.owners));
            all.extend(self.pairs.iter().flat_map(|(owner, name)| [*owner, *name]));
        }
        all
    }

    /// What stands there.
    pub fn claims<'a>(&self, scope: &Scope, picked: &Picked<'a>) -> Claims<'a> {
        if scope.is_everything() {
            return Claims::default();
        }
        let text = |path: Path| match picked.get(path)? {
            Scalar::Text(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            Scalar::Integer(number) => Some(Cow::Owned(number.to_string())),
        };
        let list = |paths: &[Path]| {
            paths.iter().filter_map(|path| Some((path.join("."), text(path)?))).collect::<Vec<_>>()
        };
        let pairs = self.pairs.iter().filter_map(|(owner, name)| {
            let full = format!("{}/{}", text(owner)?, text(name)?);
            Some((name.join("."), Cow::Owned(full)))
        });
        Claims {
            names: list(self.names).into_iter().chain(pairs).collect(),
            pages: list(self.pages),
            others: list(self.others),
            owners: list(self.owners),
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
            claims.names.push((format!("{place}.slug"), Cow::Owned(format!("{key}/{slug}"))));
        }
        for list in ["self", "clone"] {
            let links = repository.pointer(&format!("/links/{list}")).and_then(Value::as_array);
            for href in links.into_iter().flatten().filter_map(|link| link.get("href").and_then(texts)) {
                let kept = if is_other { &mut claims.others } else { &mut claims.pages };
                kept.push((format!("{place}.links.{list}"), Cow::Owned(href)));
            }
        }
    }
    for pointer in ["/project/key", "/new/key"] {
        if let Some(key) = body.pointer(pointer).and_then(texts) {
            claims.owners.push((pointer.trim_start_matches('/').replace('/', "."), Cow::Owned(key)));
        }
    }
    claims
}
