//! Addresses of repositories: on which host, and which repository there.

use std::borrow::Cow;

use super::super::Forge;
use crate::event::attribute::shown;
use crate::event::glob::Glob;
use crate::event::uri;
use crate::event::uri::grammar::{is_path_to_fragment, split_authority};

/// A host of settings: `git.example.com`, `*.example.com:8443` or `example.com/gitea`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    written: String,
    name: Glob,
    /// Any when it is not said.
    port: Option<u16>,
    /// What comes before the path of a repository, with a slash before it; empty for nothing.
    base: String,
}

/// A URL over HTTP or SSH, or what git takes in place of one: `git@host:owner/name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'a> {
    host: &'a str,
    /// Of HTTP; the port of SSH is a matter of its own.
    port: Option<u16>,
    path: &'a str,
    is_http: bool,
    is_api: bool,
}

/// How an address may begin.
struct Scheme {
    start: &'static str,
    /// That of HTTP, where none is written.
    port: Option<u16>,
}

const SCHEMES: &[Scheme] = &[
    Scheme { start: "https://", port: Some(443) },
    Scheme { start: "http://", port: Some(80) },
    Scheme { start: "ssh://", port: None },
    Scheme { start: "git://", port: None },
    Scheme { start: "git+ssh://", port: None },
];

// === impl Scheme ===

impl Scheme {
    /// What follows it.
    fn strip_from<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (start, rest) = text.split_at_checked(self.start.len())?;
        start.eq_ignore_ascii_case(self.start).then_some(rest)
    }
}

// === impl Host ===

impl Host {
    pub fn parse(written: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            Err(format!(
                "`hosts: {}` {what}: write the host alone, such as `git.example.com`, with a port or a base path where its \
                 addresses have one",
                shown(written)
            ))
        };
        if written.contains("://") || written.contains('@') {
            return wrong("is an address");
        }
        let lower = written.to_ascii_lowercase();
        let (authority, base) = lower.split_at(lower.find('/').unwrap_or(lower.len()));
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => match port.parse() {
                Ok(port) => (name, Some(port)),
                Err(_) => return wrong("has no port behind its `:`"),
            },
            _ => (authority, None),
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._*[]:".contains(&b);
        if name.is_empty() || !name.bytes().all(fits) {
            return wrong("is no host");
        }
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { name: Glob::new(name), port, base, written: written.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.written
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn is_of(&self, address: &Address<'_>) -> bool {
        let has_port = self.port.is_none() || !address.is_http || self.port == address.port;
        let has_name = || {
            if self.name.is_literal() {
                self.name.as_str().eq_ignore_ascii_case(address.host)
            } else {
                self.name.matches(&address.host.to_ascii_lowercase())
            }
        };
        has_port && has_name()
    }
}

// === impl Address ===

impl<'a> Address<'a> {
    /// `None` for whatever does not plainly say on which host it is: what one program takes for the host may be the name of
    /// a user to another.
    pub fn parse(text: &'a str) -> Option<Self> {
        let Some((scheme, rest)) = SCHEMES.iter().find_map(|it| Some((it, it.strip_from(text)?))) else {
            return if text.contains("://") { None } else { Self::of_scp(text) };
        };
        let is_http = scheme.port.is_some();
        let (authority, path) = split_authority(rest);
        if !is_path_to_fragment(path) {
            return None;
        }
        // Mostly it is a host alone.
        let (user, host, port) = if is_name(authority) { ("", authority, None) } else { parts(authority)? };
        // A page or a clone address over HTTP has no user; one that looks like a host is a trick.
        if is_http && !user.is_empty() {
            return None;
        }
        let port = port.or(scheme.port);
        let host = host.strip_suffix('.').unwrap_or(host);
        is_host(host).then_some(Self { host, port, path, is_http, is_api: false })
    }

    /// `git@host:owner/name.git`.
    fn of_scp(text: &'a str) -> Option<Self> {
        let (host, path) = text.split_once(':')?;
        let (user, host) = host.split_once('@')?;
        if !user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
            return None;
        }
        let is_plain = path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') && !path.starts_with(':');
        (is_plain && is_host(host)).then_some(Self { host, port: None, path, is_http: false, is_api: false })
    }

    /// The same on the host whose API this is.
    pub fn without_api(&self) -> Option<Self> {
        let host = self.host.strip_prefix("api.")?;
        self.is_http.then_some(Self { host, is_api: true, ..*self })
    }

    /// The full name of the repository that this is the address of.
    pub fn repository(&self, forge: Forge, base: &str) -> Option<Cow<'a, str>> {
        let path = self.path_of_repository(forge, base)?;
        let name = path.trim_end_matches('/');
        let name = name.strip_suffix(".git").unwrap_or(name);
        let name = match forge {
            Forge::BitbucketDataCenter => name.strip_suffix("/browse").unwrap_or(name),
            _ => name,
        };
        Some(Cow::Owned(name.to_owned()))
    }

    /// The path that begins with the full name of a repository; `None` when it is not below the base path.
    pub fn path_of_repository(&self, forge: Forge, base: &str) -> Option<String> {
        let path = if self.is_http && !base.is_empty() {
            let (start, rest) = (self.path.get(..base.len())?, self.path.get(base.len()..)?);
            if !start.eq_ignore_ascii_case(base) || !(rest.is_empty() || rest.starts_with('/')) {
                return None;
            }
            rest
        } else {
            self.path
        };
        let is_api = self.is_api || (self.is_http && self.host.starts_with("api."));
        let path = path.trim_start_matches('/');
        let path = match forge {
            Forge::GitHub if is_api => path.strip_prefix("repos/").unwrap_or(path),
            _ => path,
        };
        Some(of_repository(forge, path))
    }
}

/// What begins with the full name of a repository, from the path of one.
pub fn of_repository(forge: Forge, path: &str) -> String {
    let path = path.trim_start_matches('/');
    match forge {
        // The API of an installation of one's own is on the same host.
        Forge::GitHub => match path.strip_prefix("api/v3/") {
            Some(rest) => rest.strip_prefix("repos/").unwrap_or(rest).to_owned(),
            None => path.to_owned(),
        },
        Forge::BitbucketDataCenter => {
            if let Some(rest) = path.strip_prefix("scm/") {
                return rest.to_owned();
            }
            let of_user = path.strip_prefix("users/").map(|rest| ("~", rest));
            let of_project = path.strip_prefix("projects/").map(|rest| ("", rest));
            match of_user.or(of_project) {
                Some((sign, rest)) => match rest.split_once("/repos/") {
                    Some((owner, name)) => format!("{sign}{owner}/{name}"),
                    None => format!("{sign}{rest}"),
                },
                None => path.to_owned(),
            }
        }
        Forge::Gitea | Forge::Forgejo | Forge::GitLab | Forge::Bitbucket => path.to_owned(),
    }
}

/// User, host and port of an authority.
fn parts(authority: &str) -> Option<(&str, &str, Option<u16>)> {
    if !uri::is_authority(authority) {
        return None;
    }
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    Some(match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (user, host, Some(port.parse().ok()?)),
        _ => (user, host, None),
    })
}

/// A name that nobody takes for anything else.
fn is_name(host: &str) -> bool {
    host.starts_with(|c: char| c.is_ascii_alphanumeric())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// The same, or an address of IPv6 in brackets.
fn is_host(host: &str) -> bool {
    let is_v6 = || host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    is_name(host) || (host.starts_with('[') && host.ends_with(']') && is_v6())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_told_only_where_everybody_reads_the_same() {
        for (text, host, path) in [
            ("https://github.com/o/r", "github.com", "/o/r"),
            ("http://[::1]:3000/o/r", "[::1]", "/o/r"),
            ("git@github.com:o/r.git", "github.com", "o/r.git"),
            ("ssh://git@git.example.com:2222/o/r.git", "git.example.com", "/o/r.git"),
            ("git://github.com/o/r.git", "github.com", "/o/r.git"),
            ("https://github.com./o/r", "github.com", "/o/r"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.host, address.path), (host, path), "{text}");
        }
        for text in [
            "",
            "/srv/git/r.git",
            "r",
            "https://github.com@evil.example/o/r",
            "https://evil.example\\@github.com/o/r",
            "https://evil.example\t/o/r",
            "https://evil%2eexample/o/r",
            "https://ü.example/o/r",
            "https:///o/r",
            "https://-x/o/r",
            "file://github.com/o/r",
            "ext::sh -c x",
            "github.com:o/r",
            "git@-oProxyCommand=x:o/r",
            "git@github.com::o/r",
            "git@evil.example\\@github.com:o/r",
            "git@evil.example@github.com:o/r",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn hosts_are_compared_without_case_and_with_the_port_that_is_asked_for() {
        for (host, text, is_of) in [
            ("github.com", "https://GitHub.com/o/r", true),
            ("GitHub.com", "https://github.com/o/r", true),
            ("github.com", "https://github.com.evil.example/o/r", false),
            ("github.com", "https://evilgithub.com/o/r", false),
            ("github.com", "https://www.github.com/o/r", false),
            ("*.example.com", "https://git.example.com/o/r", true),
            ("*.example.com", "https://example.com/o/r", false),
            ("git.example.com", "https://git.example.com:8443/o/r", true),
            ("git.example.com:8443", "https://git.example.com:8443/o/r", true),
            ("git.example.com:8443", "https://git.example.com/o/r", false),
            ("git.example.com:443", "https://git.example.com/o/r", true),
            ("git.example.com:8443", "ssh://git@git.example.com:22/o/r", true),
            ("[::1]:3000", "http://[::1]:3000/o/r", true),
            ("[::1]", "http://[::1]:3000/o/r", true),
            ("*", "https://anything.example/o/r", true),
        ] {
            assert_eq!(
                Host::parse(host).unwrap().is_of(&Address::parse(text).unwrap()),
                is_of,
                "{host} {text}"
            );
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in
            ["", "https://github.com", "git@github.com", "a b", "github.com:", "github.com:x", "/gitea"]
        {
            let error = Host::parse(bad).unwrap_err();
            assert!(error.contains("write the host alone"), "{bad}: {error}");
        }
    }

    #[test]
    fn addresses_name_their_repository() {
        use Forge::{Bitbucket, BitbucketDataCenter, GitHub, GitLab, Gitea};
        for (forge, base, text, name) in [
            (GitHub, "", "https://github.com/o/r", "o/r"),
            (GitHub, "", "https://github.com/o/r.git", "o/r"),
            (GitHub, "", "https://api.github.com/repos/o/r", "o/r"),
            (GitHub, "", "https://ghe.example.com/api/v3/repos/o/r", "o/r"),
            (GitHub, "", "git@github.com:o/r.git", "o/r"),
            (Gitea, "/gitea", "https://example.com/gitea/o/r", "o/r"),
            (Gitea, "/gitea", "ssh://git@example.com:22/o/r.git", "o/r"),
            (GitLab, "", "https://gitlab.com/a/b/c", "a/b/c"),
            (Bitbucket, "", "https://bitbucket.org/w/r", "w/r"),
            (BitbucketDataCenter, "", "https://bb.example.com/projects/PRJ/repos/r/browse", "PRJ/r"),
            (BitbucketDataCenter, "", "https://bb.example.com/users/ann/repos/r/browse", "~ann/r"),
            (BitbucketDataCenter, "", "https://bb.example.com/scm/prj/r.git", "prj/r"),
            (BitbucketDataCenter, "/bb", "https://example.com/bb/scm/~ann/r.git", "~ann/r"),
            (BitbucketDataCenter, "", "ssh://git@bb.example.com:7999/prj/r.git", "prj/r"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.repository(forge, base).as_deref(), Some(name), "{text}");
        }
        let other = Address::parse("https://example.com/other/o/r").unwrap();
        assert_eq!(other.repository(Gitea, "/gitea"), None);
        assert_eq!(
            Address::parse("https://example.com/giteaX/o/r").unwrap().repository(Gitea, "/gitea"),
            None
        );
    }
}
