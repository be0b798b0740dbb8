//! For which hosts and repositories a source may speak, and whether a delivery keeps to that.
//!
//! A secret proves who sent, not what they may tell of: without this, whoever has the secret of one forge could tell of the
//! repositories of any other.

mod address;
mod claims;

pub use self::claims::{Claims, Paths, of_data_center};

use std::fmt;

use self::address::{Address, Host};
use self::claims::Claim;
use super::Forge;
use crate::event::Event;
use crate::event::attribute::shown;
use crate::event::glob::Glob;

/// What a source may tell of. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Where the forge is, by any of its names; empty for anywhere.
    hosts: Vec<Host>,
    /// Full names of repositories, in lower case as no forge tells them apart by that; empty for all of them.
    repositories: Vec<Glob>,
}

/// What a delivery tells of, and its source may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// Something is on another host, or on none that can be told.
    #[error(
        "`{place}` is `{found}`, and this source speaks for {hosts} only; if that is where its forge is, add the host to the \
         source's `hosts`"
    )]
    Host {
        /// The field of the payload.
        place: String,
        /// What is there.
        found: String,
        /// The hosts of the source.
        hosts: String,
    },
    /// It is about another repository.
    #[error(
        "`{place}` is `{found}`, and this source speaks for {repositories} only; if it should for this one, add it to the \
         source's `repositories`"
    )]
    Repository {
        /// The field of the payload.
        place: String,
        /// What is there.
        found: String,
        /// The repositories of the source.
        repositories: String,
    },
    /// Two fields name two repositories.
    #[error("`{place}` is `{found}`, which is not the repository `{name}` that the delivery is about")]
    Torn {
        /// The field of the payload.
        place: String,
        /// What is there.
        found: String,
        /// The repository that another field names.
        name: String,
    },
    /// It does not say what it is about.
    #[error(
        "the delivery names neither a repository nor an owner of some, and this source speaks for {repositories} only; add \
         `*` to the source's `repositories` to take such events"
    )]
    Nothing {
        /// The repositories of the source.
        repositories: String,
    },
}

/// Whose the repositories of a delivery are.
enum Subject {
    /// It is about this repository, in lower case.
    Repository(String),
    /// It is about an account or a group, in lower case.
    Owner(String),
    /// It is about nothing.
    Nothing,
}

// === impl Scope ===

impl Scope {
    /// A scope as settings have it.
    ///
    /// # Errors
    /// An entry that can match nothing, and what to write in its place.
    pub fn new(hosts: &[String], repositories: &[String]) -> Result<Self, String> {
        let hosts = hosts.iter().map(|host| Host::parse(host)).collect::<Result<_, _>>()?;
        let repositories = repositories
            .iter()
            .map(|name| {
                let is_pattern = |part: &str| !part.is_empty() && part.bytes().all(is_name_or_star);
                if name.contains("://") || !name.split('/').all(is_pattern) || !name.contains(['/', '*']) {
                    return Err(format!(
                        "`repositories: {}` is not a full name: write one such as `myorg/shop` or `myorg/*`, without the host",
                        shown(name)
                    ));
                }
                Ok(Glob::new(name.to_ascii_lowercase()))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { hosts, repositories })
    }

    /// Whether a source may tell of everything.
    pub fn is_everything(&self) -> bool {
        self.hosts.is_empty() && self.repositories.is_empty()
    }

    /// Whether its hosts are bounded.
    pub fn has_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// The events of a delivery that keep to this. What a forge tells of another repository besides, such as a fork that
    /// somebody made, is left out.
    ///
    /// # Errors
    /// The delivery is about something else.
    pub fn admit(
        &self,
        forge: Forge,
        is_ping: bool,
        claims: &Claims<'_>,
        mut events: Vec<Event>,
    ) -> Result<Vec<Event>, Foreign> {
        if self.is_everything() {
            return Ok(events);
        }
        for claim in claims.pages.iter().chain(&claims.others) {
            self.hosted(forge, &claim.field, &claim.text)?;
        }
        // The sources are made of the payload, and not all of them of what was looked at above.
        let is_seen = |source: &str| claims.pages.iter().any(|claim| claim.text == source);
        for event in &events {
            if has_host(event.source()) && !is_seen(event.source()) {
                self.hosted(forge, &"source", event.source())?;
            }
        }
        if self.repositories.is_empty() {
            return Ok(events);
        }
        let subject = self.subject(forge, claims)?;
        if matches!(subject, Subject::Nothing) {
            // It is nobody's, so that there is nothing to hold its events to.
            return if is_ping || self.takes("*") {
                Ok(events)
            } else {
                Err(Foreign::Nothing { repositories: self.told_repositories() })
            };
        }
        let Some(raw) = events.first() else { return Ok(events) };
        if !self.is_within(forge, &subject, raw.source()) {
            return Err(self.other_repository(&"source", raw.source()));
        }
        events.retain(|event| self.is_within(forge, &subject, event.source()));
        Ok(events)
    }

    /// That an address is on a host of these.
    fn hosted(&self, forge: Forge, place: &dyn fmt::Display, text: &str) -> Result<(), Foreign> {
        if self.hosts.is_empty() || Address::parse(text).is_some_and(|it| self.host_of(forge, &it).is_some())
        {
            return Ok(());
        }
        let hosts: Vec<String> = self.hosts.iter().map(|host| format!("`{}`", host.as_str())).collect();
        Err(Foreign::Host { place: place.to_string(), found: shown(text), hosts: hosts.join(", ") })
    }

    /// What comes before the path of a repository on the host of this address.
    fn host_of(&self, forge: Forge, address: &Address<'_>) -> Option<&Host> {
        self.hosts.iter().find(|host| {
            host.is_of(address)
                // GitHub's API has a host of its own.
                || (forge == Forge::GitHub && address.without_api().is_some_and(|it| host.is_of(&it)))
        })
    }

    /// What the delivery is about, if that is all one thing, and of these.
    fn subject(&self, forge: Forge, claims: &Claims<'_>) -> Result<Subject, Foreign> {
        let mut subject: Option<String> = None;
        let pages = claims.pages.iter().map(|claim| (claim, self.name_at(forge, &claim.text)));
        let names = claims.names.iter().map(|claim| (claim, Some(claim.text.to_ascii_lowercase())));
        for (Claim { field, text }, name) in names.chain(pages) {
            let name = name.filter(|name| is_full_name(name));
            match (&subject, name) {
                (Some(known), Some(name)) if *known == name => {}
                (Some(known), _) => {
                    return Err(Foreign::Torn {
                        place: field.to_string(),
                        found: shown(text),
                        name: known.clone(),
                    });
                }
                (None, Some(name)) if self.takes(&name) => subject = Some(name),
                (None, _) => return Err(self.other_repository(field, text)),
            }
        }
        if let Some(name) = subject {
            return Ok(Subject::Repository(name));
        }
        let mut owners = claims.owners.iter();
        let Some(Claim { field, text: owner }) = owners.next() else { return Ok(Subject::Nothing) };
        let name = owner.to_ascii_lowercase();
        if !name.split('/').all(is_segment) || !self.takes(&format!("{name}/*")) {
            return Err(self.other_repository(field, owner));
        }
        Ok(Subject::Owner(name))
    }

    /// The repository of an address, in lower case.
    fn name_at(&self, forge: Forge, text: &str) -> Option<String> {
        let address = Address::parse(text)?;
        let base = self.host_of(forge, &address).map_or("", Host::base);
        address.repository(forge, base).map(|name| name.to_ascii_lowercase())
    }

    fn takes(&self, name: &str) -> bool {
        self.repositories.iter().any(|pattern| pattern.matches(name))
    }

    /// Whether a source is the repository, something in it, or who owns it.
    fn is_within(&self, forge: Forge, subject: &Subject, source: &str) -> bool {
        let path = if has_host(source) {
            let Some(address) = Address::parse(source) else { return false };
            let base = self.host_of(forge, &address).map_or("", Host::base);
            let Some(path) = address.path_of_repository(forge, base) else { return false };
            path.to_ascii_lowercase()
        } else {
            address::of_repository(forge, source).to_ascii_lowercase()
        };
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
        // The host itself is nobody's repository.
        if path.is_empty() {
            return true;
        }
        if !path.split('/').all(is_segment) {
            return false;
        }
        let is_owner = |owner: &str| {
            path == owner
                || path.split_once('/').is_some_and(|(kind, rest)| ACCOUNTS.contains(&kind) && rest == owner)
        };
        match subject {
            Subject::Repository(name) => {
                let is_below =
                    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                is_below || name.rsplit_once('/').is_some_and(|(owner, _)| is_owner(owner))
            }
            // GitHub knows a team by its number, which no repository has.
            Subject::Owner(_) if forge == Forge::GitHub && path.starts_with("teams/") => true,
            Subject::Owner(owner) => is_owner(owner) || (!path.contains('/') && !has_host(source)),
            Subject::Nothing => !has_host(source),
        }
    }

    fn other_repository(&self, place: &dyn fmt::Display, found: &str) -> Foreign {
        Foreign::Repository {
            place: place.to_string(),
            found: shown(found),
            repositories: self.told_repositories(),
        }
    }

    fn told_repositories(&self) -> String {
        let names: Vec<String> =
            self.repositories.iter().map(|name| format!("`{}`", name.as_str())).collect();
        names.join(", ")
    }
}

/// What forges put before the name of an account in its address.
const ACCOUNTS: &[&str] = &["orgs", "users", "groups", "organizations", "enterprises"];

/// Whether a source is a URL; forges that do not tell their host are known by a path.
fn has_host(source: &str) -> bool {
    source.contains(':') || source.starts_with("//")
}

fn is_full_name(name: &str) -> bool {
    name.contains('/') && name.split('/').all(is_segment)
}

/// A segment that is no way to another: `..` would be one.
fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_name)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+@".contains(&byte)
}

fn is_name_or_star(byte: u8) -> bool {
    is_name(byte) || byte == b'*'
}

#[cfg(test)]
mod tests;
