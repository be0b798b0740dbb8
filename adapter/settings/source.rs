//! `Source` documents: who sends webhooks to us, and how we know that it is they.

use serde::{Deserialize, Deserializer};

use super::{Body, from_yaml};
use crate::diagnostic::Diagnostic;
use crate::source::generic::{self, Proof};
use crate::source::secret::SecretReference;
use crate::source::{Auth, Sender};
use crate::vocabulary::Forge;
use crate::vocabulary::scope::Scope;

/// A `Source` document.
#[derive(Clone, Debug)]
pub struct SourceDocument {
    /// `metadata.name`: the last segment of `/webhooks/{source}`.
    pub name: String,
    /// Which hosts and repositories it speaks for.
    pub scope: Scope,
    /// `spec`.
    pub spec: SourceSpec,
}

/// `spec` of a `Source`: the sender, and where its secrets are. Any of them counts: list the new one beside the old while
/// rotating.
pub type SourceSpec = Sender<Vec<SecretReference>>;

// === impl SourceDocument ===

impl SourceDocument {
    /// Where its secrets are.
    pub(super) fn secrets_mut(&mut self) -> &mut [SecretReference] {
        match &mut self.spec {
            Sender::Forge(_, Auth::Signed(secrets))
            | Sender::Generic(_, generic::Auth::Proof(_, secrets)) => secrets,
            Sender::Forge(_, Auth::Insecure) | Sender::Generic(_, generic::Auth::Insecure) => &mut [],
        }
    }

    /// The forge, unless it is another sender.
    pub fn forge(&self) -> Option<Forge> {
        match self.spec {
            Sender::Forge(forge, _) => Some(forge),
            Sender::Generic(..) => None,
        }
    }

    /// What is sent, where it is no forge.
    pub(super) fn generic(&self) -> Option<&generic::Generic> {
        match &self.spec {
            Sender::Forge(..) => None,
            Sender::Generic(generic, _) => Some(generic),
        }
    }

    /// What is allowed, and better not so.
    pub fn warning(&self) -> Option<Diagnostic> {
        if self.forge().is_none() || self.scope.has_hosts() {
            return None;
        }
        let message = format!("source `{}` speaks for repositories on any host", self.name);
        let hint = "name the `hosts` of its forge: whoever has its secret could tell of another forge's repositories";
        Some(Diagnostic::warning("any-host", message).hint(hint))
    }
}

/// The fields as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    #[serde(default, deserialize_with = "forge")]
    forge: Option<Forge>,
    #[serde(default)]
    generic: Option<generic::Document>,
    #[serde(default)]
    secrets: Vec<SecretReference>,
    #[serde(default)]
    insecure: bool,
    hosts: Option<Vec<String>>,
    repositories: Option<Vec<String>>,
}

/// The document of a name.
pub(super) fn read(name: String, document: &str) -> Result<SourceDocument, String> {
    match from_yaml::<Body<Fields>>(document)?.spec.check() {
        Ok((spec, scope)) => Ok(SourceDocument { name, scope, spec }),
        Err(reason) => Err(format!("source `{name}` {reason}")),
    }
}

// === impl Fields ===

impl Fields {
    fn check(self) -> Result<(SourceSpec, Scope), String> {
        let scope = self.scope()?;
        Ok((self.sender()?, scope))
    }

    /// What it may tell of: where nothing is said, a forge that is at one place for everybody is there.
    fn scope(&self) -> Result<Scope, String> {
        if self.generic.is_some() {
            return match (&self.hosts, &self.repositories) {
                (None, None) => Ok(Scope::default()),
                _ => Err("has `hosts` or `repositories`, which are for forges: all events of this sender have the `source` \
                          that stands here"
                    .to_owned()),
            };
        }
        for (name, list) in [("hosts", &self.hosts), ("repositories", &self.repositories)] {
            if list.as_ref().is_some_and(Vec::is_empty) {
                return Err(format!("has an empty list of `{name}`: name some, or write `[\"*\"]` for all"));
            }
        }
        let usual = self.forge.map(usual_hosts).unwrap_or_default();
        let usual: Vec<String> = usual.iter().map(|host| (*host).to_owned()).collect();
        let hosts = self.hosts.as_ref().unwrap_or(&usual);
        Scope::new(hosts, self.repositories.as_deref().unwrap_or_default())
            .map_err(|error| format!("is not right: {error}"))
    }

    fn sender(self) -> Result<SourceSpec, String> {
        let Self { forge, generic, secrets, insecure, .. } = self;
        if secrets.is_empty() && !insecure {
            return Err("has no `secrets`: name at least one, or write `insecure: true` to take unsigned \
                        deliveries"
                .to_owned());
        }
        let generic = match (forge, generic) {
            (Some(_), Some(_)) => return Err("has both `forge` and `generic`: keep one".to_owned()),
            (None, None) => {
                return Err(format!(
                    "has no sender: write `forge:` with one of {}, or `generic: {{type: …, source: …}}` for any other",
                    Forge::names().join(", ")
                ));
            }
            (Some(forge), None) if secrets.is_empty() => return Ok(Sender::Forge(forge, Auth::Insecure)),
            (Some(forge), None) => return Ok(Sender::Forge(forge, Auth::Signed(secrets))),
            (None, Some(generic)) => generic,
        };
        let (generic, proof) = generic.check().map_err(|error| format!("is not right: {error}"))?;
        match (secrets.is_empty(), proof) {
            (false, proof) => Ok(Sender::Generic(generic, generic::Auth::Proof(proof, secrets))),
            (true, Proof::Token) => Ok(Sender::Generic(generic, generic::Auth::Insecure)),
            (true, Proof::Header(_) | Proof::Signature(_)) => {
                Err("is `insecure` and names a header for its secret: name the `secrets`, or leave out the header"
                    .to_owned())
            }
        }
    }
}

/// Where a forge is when nothing is said; empty for those that everybody runs at a place of their own.
fn usual_hosts(forge: Forge) -> &'static [&'static str] {
    match forge {
        Forge::GitHub => &["github.com", "*.ghe.com"],
        Forge::GitLab => &["gitlab.com"],
        Forge::Bitbucket => &["bitbucket.org"],
        Forge::Gitea | Forge::Forgejo | Forge::BitbucketDataCenter => &[],
    }
}

fn forge<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Forge>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    fn refusal(spec: &str) -> String {
        let text = format!(
            "apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {{name: it}}\nspec: {{{spec}}}\n"
        );
        Settings::parse(&text).err().unwrap_or_default()
    }

    #[test]
    fn a_source_is_one_thing_and_says_how_it_is_known() {
        const SECRETS: &str = "secrets: [{file: /s}]";
        const GENERIC: &str = "type: com.example.push, source: /s";
        for good in [
            format!("forge: gitlab, {SECRETS}"),
            format!("generic: {{{GENERIC}}}, {SECRETS}"),
            format!("generic: {{{GENERIC}}}, insecure: true"),
            format!(
                "generic: {{{GENERIC}, idHeader: X-Id, payloadField: p, eventHeader: X-Event, tokenHeader: X-T}}, {SECRETS}"
            ),
            format!("generic: {{{GENERIC}, repeats: true, signatureHeader: X-S}}, {SECRETS}"),
            format!("generic: {{type: develop, source: /s, eventHeader: X-Event}}, {SECRETS}"),
        ] {
            assert_eq!(refusal(&good), "", "{good}");
        }
        for (spec, reason) in [
            (SECRETS.to_owned(), "source `it` has no sender: write `forge:` with one of github, "),
            (format!("forge: github, generic: {{{GENERIC}}}, {SECRETS}"), "both `forge` and `generic`"),
            (format!("forge: sourcehut, {SECRETS}"), "`sourcehut` is not a forge that we know"),
            ("forge: github".to_owned(), "`insecure: true`"),
            (format!("generic: {{{GENERIC}}}"), "`insecure: true`"),
            (format!("generic: {{{GENERIC}, tokenHeader: X}}, insecure: true"), "leave out the header"),
            (format!("generic: {{{GENERIC}, idheader: X}}, {SECRETS}"), "idheader"),
            (format!("generic: {{source: /s}}, {SECRETS}"), "type"),
            (
                format!("generic: {{type: '', source: /s}}, {SECRETS}"),
                "attribute `type` must be a non-empty string",
            ),
            (
                format!("generic: {{type: t, source: 'a b'}}, {SECRETS}"),
                "attribute `source` must be a URI-reference",
            ),
            (
                format!("generic: {{type: dev.cdevents.x, source: /s}}, {SECRETS}"),
                "let a mapping emit the CDEvent",
            ),
            (format!("generic: {{type: dev.cdeventsx.a, source: /s}}, {SECRETS}"), "let a mapping emit"),
            (format!("generic: {{type: dev, source: /s, eventHeader: E}}, {SECRETS}"), "let a mapping emit"),
            (
                format!("generic: {{{GENERIC}, idHeader: 'a b'}}, {SECRETS}"),
                "`generic.idHeader: a b` is not the name",
            ),
            (
                format!("generic: {{{GENERIC}, idHeader: X, repeats: true}}, {SECRETS}"),
                "both `idHeader` and `repeats`",
            ),
            (
                format!("generic: {{{GENERIC}, tokenHeader: X, signatureHeader: Y}}, {SECRETS}"),
                "both `tokenHeader` and `signatureHeader`",
            ),
            (
                format!("generic: {{{GENERIC}, payloadField: ''}}, {SECRETS}"),
                "`generic.payloadField` is empty",
            ),
        ] {
            let found = refusal(&spec);
            assert!(found.contains(reason), "{spec}: {found}");
        }
    }
}
