//! Settings of the process: one YAML file of `Settings`, `Source` and `Sink` documents, checked as a whole.
//!
//! Settings describe the process and what it is connected to; what happens with events is in mappings.

mod leader_election;
mod mapping_path;
mod schemas;
mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::server::gate;
use crate::server::tls;
use crate::sink;
use crate::source::generic::Generic;
use crate::source::oidc;
use crate::source::secret::SecretReference;
use crate::vocabulary::options::{Optional, Options};
use crate::vocabulary::outcome::Outcomes;
pub use leader_election::LeaderElection;
pub use mapping_path::MappingPath;
pub use schemas::{SchemaFilesError, read_schemas};
pub use source::{SourceDocument, SourceSpec};

/// The API version of our documents.
const API_VERSION: &str = "pipewright.dev/v1alpha1";

/// The whole configuration.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The `Settings` document.
    pub process: Process,
    /// `Source` documents.
    pub sources: Vec<SourceDocument>,
    /// `Sink` documents.
    pub sinks: Vec<SinkDocument>,
}

/// `spec` of the `Settings` document.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Process {
    /// Where webhooks come in, and events unless they have an address of their own.
    pub listen: String,
    /// What stands before the paths of the public port, for whoever serves it below one: they are served with it and
    /// without it.
    #[serde(deserialize_with = "base_path")]
    pub base_path: String,
    /// Where events come in; absent: at `listen`.
    pub events_listen: Option<String>,
    /// Where health, metrics and the log level are.
    pub admin_listen: String,
    /// Where health is as well, apart from everything else; absent: nowhere else.
    pub probe_listen: Option<String>,
    /// Bearer tokens with which the log level can be changed from elsewhere than loopback.
    pub admin_tokens: Vec<SecretReference>,
    /// The namespace of runs whose mapping names none.
    pub namespace: String,
    /// The namespace whose runs are watched; `*` is all of them.
    pub watch_namespace: String,
    /// CloudEvents `source` of what we send: a URI that names this installation.
    pub event_source: String,
    /// The address of a run for people: `{namespace}`, `{kind}` and `{name}` are filled in.
    pub run_url: Option<String>,
    /// Files and folders of mappings.
    pub mappings: Vec<MappingPath>,
    /// Whether a start with a mistake in a mapping file fails.
    pub strict_mappings: bool,
    /// Files and folders of JSON Schemas of private custom types.
    pub schemas: Vec<PathBuf>,
    /// What expressions see as `config`.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// What of a webhook goes to the default sink.
    pub announce: Announce,
    /// Whether pipelines' runs also say how far they have come.
    pub announce_progress: bool,
    /// What the ends of runs are in the words of `CDEvents`, where it is not to be the usual.
    pub outcomes: Outcomes,
    /// Which events of forges are told besides the usual ones.
    pub optional_events: Vec<Optional>,
    /// Bearer tokens of the CloudEvents route.
    pub event_tokens: Vec<SecretReference>,
    /// The issuer of JWTs with which events may be sent.
    pub event_oidc: Option<oidc::Document>,
    /// TLS at `eventsListen`, with client certificates by which senders are known.
    pub event_tls: Option<tls::Document>,
    /// Whether the CloudEvents route takes events from everybody.
    pub insecure_events: bool,
    /// Origins that may register at the CloudEvents route (`WebHook-Request-Origin`); `*` is any.
    pub allowed_origins: Vec<String>,
    /// A file with a kubeconfig; absent: the usual places.
    pub kubeconfig: Option<PathBuf>,
    /// Which replica watches runs.
    pub leader_election: LeaderElection,
    /// Bounds.
    pub limits: Limits,
}

/// What of a webhook goes to the default sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Announce {
    /// Nothing but what mappings emit.
    Nothing,
    /// The CDEvents.
    #[default]
    CdEvents,
    /// The CDEvents and the raw event.
    All,
}

/// Bounds on what a sender can make us hold.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Bytes of a webhook's body; GitHub sends at most 25 MiB.
    pub webhook_body: usize,
    /// Bytes of a CloudEvents request's body.
    pub event_body: usize,
    /// Bytes of all bodies held at the same time, and of what is made of them.
    pub body_memory: usize,
    /// Requests in flight.
    pub in_flight: usize,
    /// Percent of `bodyMemory` and `inFlight` that senders who prove nothing may take together.
    #[serde(deserialize_with = "percent")]
    pub open_share: u8,
    /// Percent of both that one source, or the route of events, may take where there are several.
    #[serde(deserialize_with = "percent")]
    pub source_share: u8,
    /// Connections open at the same time.
    pub connections: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Time for a whole head to arrive.
    #[serde(deserialize_with = "duration")]
    pub head_deadline: Duration,
    /// Bytes in a second at which a body must come at least, after its first two seconds.
    pub body_rate: usize,
    /// Time for a whole body to arrive.
    #[serde(deserialize_with = "duration")]
    pub body_deadline: Duration,
    /// Time from receipt to the answer of a webhook; GitHub waits 10 s.
    #[serde(deserialize_with = "duration")]
    pub webhook_deadline: Duration,
    /// Time from receipt to the answer of a CloudEvents request.
    #[serde(deserialize_with = "duration")]
    pub event_deadline: Duration,
}

/// A `Sink` document.
#[derive(Clone, Debug)]
pub struct SinkDocument {
    /// `metadata.name`.
    pub name: String,
    /// `spec`.
    pub spec: sink::SinkSpec,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("settings `{}` cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A document is wrong; the text names the place.
    #[error("settings `{}`: {reason}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<T> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: serde_json::Value,
    spec: T,
}

// === impl Process ===

impl Process {
    /// How payloads are read.
    pub fn options(&self) -> Options {
        Options {
            outcomes: self.outcomes.clone(),
            optional: self.optional_events.clone(),
            ..Options::default()
        }
    }

    /// Checks what the fields' own forms do not.
    fn check(&self) -> Result<(), String> {
        self.event_oidc.as_ref().map_or(Ok(()), oidc::Document::check)
    }
}

impl Default for Process {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            base_path: String::new(),
            events_listen: None,
            admin_listen: "127.0.0.1:8081".into(),
            probe_listen: None,
            admin_tokens: Vec::new(),
            namespace: "default".into(),
            watch_namespace: "*".into(),
            event_source: "https://pipewright.local/".into(),
            run_url: None,
            mappings: vec![PathBuf::from("mappings").into()],
            strict_mappings: false,
            schemas: Vec::new(),
            config: serde_json::Map::new(),
            announce: Announce::default(),
            announce_progress: false,
            outcomes: Outcomes::default(),
            optional_events: Vec::new(),
            event_tokens: Vec::new(),
            event_oidc: None,
            event_tls: None,
            insecure_events: false,
            allowed_origins: Vec::new(),
            kubeconfig: None,
            leader_election: LeaderElection::default(),
            limits: Limits::default(),
        }
    }
}

// === impl Limits ===

impl Limits {
    /// The bounds of admission.
    pub fn gate(&self) -> gate::Bounds {
        gate::Bounds {
            requests: self.in_flight,
            bytes: self.body_memory,
            open_share: self.open_share,
            source_share: self.source_share,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            webhook_body: 25 * 1024 * 1024,
            event_body: 1024 * 1024,
            body_memory: 256 * 1024 * 1024,
            in_flight: 512,
            open_share: 50,
            source_share: 75,
            connections: 10_000,
            head: 16 * 1024,
            head_deadline: Duration::from_secs(5),
            body_rate: 16 * 1024,
            body_deadline: Duration::from_secs(8),
            webhook_deadline: Duration::from_secs(8),
            event_deadline: Duration::from_secs(25),
        }
    }
}

// === impl Settings ===

impl Settings {
    /// Reads the documents of a file. Paths in it are relative to it.
    ///
    /// # Errors
    /// When the file cannot be read or a document in it is wrong.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let mut settings =
            Self::parse(&text).map_err(|reason| SettingsError::Document { path: path.to_owned(), reason })?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        for named in settings.paths() {
            *named = folder.join(&*named);
        }
        Ok(settings)
    }

    /// What there is under this name of a source.
    pub fn source(&self, name: &str) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.name == name).map(|source| &source.spec)
    }

    /// The types of what sources without a forge send, and whether more follows each after a dot.
    pub fn source_types(&self) -> Vec<(String, bool)> {
        self.sources.iter().filter_map(|source| source.generic()).map(Generic::types).collect()
    }

    /// Every path that a settings file can name.
    fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let Self { process, sources, sinks } = self;
        let secrets = sources
            .iter_mut()
            .flat_map(SourceDocument::secrets_mut)
            .chain(&mut process.event_tokens)
            .chain(&mut process.admin_tokens);
        let files = secrets.filter_map(|secret| match secret {
            SecretReference::File(path) => Some(path),
            SecretReference::SecretKeyRef(_) | SecretReference::Literal(_) => None,
        });
        let tokens = sinks.iter_mut().filter_map(|sink| sink.spec.token_file.as_mut());
        let mappings = process.mappings.iter_mut().map(|mappings| &mut mappings.path);
        let folders = mappings.chain(&mut process.schemas).chain(&mut process.kubeconfig);
        let keys = process.event_oidc.as_mut().and_then(|it| it.ca_file.as_mut());
        let certificates = process
            .event_tls
            .iter_mut()
            .flat_map(|it| [&mut it.cert_file, &mut it.key_file, &mut it.client_ca_file]);
        folders.chain(files).chain(tokens).chain(keys).chain(certificates)
    }

    /// Reads documents from a text.
    ///
    /// # Errors
    /// What is wrong with the first wrong document, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut settings = Self::default();
        let mut seen = false;
        for document in documents(text) {
            let header: Header = from_yaml(&document)?;
            let version = header.api_version.unwrap_or_default();
            if version != API_VERSION {
                return Err(format!(
                    "`apiVersion: {version}` is not known; write `apiVersion: {API_VERSION}`"
                ));
            }
            let kind = header.kind.unwrap_or_default();
            let name = || {
                header
                    .metadata
                    .name
                    .clone()
                    .filter(|name| {
                        !name.is_empty()
                            && name.len() <= 63
                            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                    })
                    .ok_or_else(|| {
                        format!(
                            "a {kind} needs `metadata.name`: lower-case letters, digits and `-`, at most 63"
                        )
                    })
            };
            match kind.as_str() {
                "Settings" if seen => return Err("there are two `Settings` documents; keep one".into()),
                "Settings" => {
                    seen = true;
                    settings.process = from_yaml::<Body<Process>>(&document)?.spec;
                    settings.process.check()?;
                }
                "Source" => {
                    let source = source::read(name()?, &document)?;
                    if settings.sources.iter().any(|other| other.name == source.name) {
                        return Err(format!("there are two sources named `{}`", source.name));
                    }
                    settings.sources.push(source);
                }
                "Sink" => {
                    let sink = SinkDocument {
                        name: name()?,
                        spec: from_yaml::<Body<sink::SinkSpec>>(&document)?.spec,
                    };
                    if settings.sinks.iter().any(|other| other.name == sink.name) {
                        return Err(format!("there are two sinks named `{}`", sink.name));
                    }
                    settings.sinks.push(sink);
                }
                "Mapping" => {
                    return Err("a `Mapping` belongs into a file below `spec.mappings`, not here".into());
                }
                other => {
                    return Err(format!("`kind: {other}` is not one of Settings, Source, Sink"));
                }
            }
        }
        Ok(settings)
    }
}

/// The documents of a YAML stream, each behind as many empty lines as stand before it, so that a position in it is
/// one in the file.
fn documents(text: &str) -> Vec<String> {
    let mut documents = Vec::new();
    let mut current = String::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push(std::mem::replace(&mut current, "\n".repeat(number + 1)));
        } else {
            current.push_str(line);
            current.push('\n');
        }
    }
    documents.push(current);
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    documents.retain(|document| !document.lines().all(blank));
    documents
}

fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let options = serde_saphyr::options! { strict_booleans: true, legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// A path that begins with `/`, without one at its end.
fn base_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let path = text.trim_end_matches('/');
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'.' | b'_' | b'~');
    if path.is_empty() || (path.starts_with('/') && path.bytes().all(plain) && !path.contains("//")) {
        return Ok(path.to_owned());
    }
    Err(serde::de::Error::custom(
        "`basePath` must be a path such as `/ci`: letters, digits, `-`, `.`, `_`, `~` and `/`",
    ))
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let percent = u8::deserialize(deserializer)?;
    if (1..=100).contains(&percent) {
        Ok(percent)
    } else {
        Err(serde::de::Error::custom(format!("{percent} is no percentage from 1 to 100")))
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse::<sink::IsoDuration>().map(|duration| duration.0).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
apiVersion: pipewright.dev/v1alpha1
kind: Settings
spec:
  namespace: ci
  limits: {bodyDeadline: PT2S}
---
apiVersion: pipewright.dev/v1alpha1
kind: Source
metadata: {name: github}
spec:
  forge: github
  secrets: [{file: /etc/pipewright/secret}]
";

    #[test]
    fn a_file_of_documents_is_read() {
        let settings = Settings::parse(GOOD).unwrap();
        assert_eq!(settings.process.namespace, "ci");
        assert_eq!(settings.process.limits.body_deadline, Duration::from_secs(2));
        assert_eq!(settings.sources[0].name, "github");
    }

    #[test]
    fn an_unknown_field_is_named_with_its_line_in_the_file() {
        let error = Settings::parse(&GOOD.replace("secrets:", "secretz:")).unwrap_err();
        assert!(error.contains("secretz") && error.contains("12"), "{error}");
    }

    #[test]
    fn paths_of_a_file_are_relative_to_it_wherever_they_stand() {
        let text = GOOD.replace(
            "namespace: ci",
            "eventTokens: [{file: token}]\n  mappings: [m]\n  schemas: [s]\n  kubeconfig: k",
        ) + "    - file: secret\n---\napiVersion: pipewright.dev/v1alpha1\nkind: Sink\nmetadata: {name: a}\nspec: {url: 'http://a/', tokenFile: t}\n";
        let text = text.replace(
            "secrets: [{file: /etc/pipewright/secret}]\n",
            "secrets:\n    - file: /etc/pipewright/secret\n",
        );
        let folder = std::env::temp_dir().join(format!("pipewright-settings-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("settings.yaml");
        std::fs::write(&path, text).unwrap();
        let mut settings = Settings::read(&path).unwrap();
        let mut found: Vec<PathBuf> = settings.paths().map(|path| path.clone()).collect();
        found.sort();
        let mut expected = ["k", "m", "s", "secret", "t", "token"].map(|name| folder.join(name)).to_vec();
        expected.push("/etc/pipewright/secret".into());
        expected.sort();
        assert_eq!(found, expected);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_source_without_secrets_must_say_that_it_is_insecure() {
        let error =
            Settings::parse(&GOOD.replace("secrets: [{file: /etc/pipewright/secret}]", "")).unwrap_err();
        assert!(error.contains("insecure: true"), "{error}");
    }

    #[test]
    fn a_share_is_a_percentage() {
        let with = |limit: &str| Settings::parse(&GOOD.replace("bodyDeadline: PT2S", limit));
        assert_eq!(with("openShare: 25").unwrap().process.limits.open_share, 25);
        for wrong in ["openShare: 0", "sourceShare: 101", "sourceShare: -1"] {
            let error = with(wrong).unwrap_err();
            assert!(error.contains("limits") || error.contains('5'), "{error}");
        }
    }

    #[test]
    fn a_mapping_is_sent_to_its_place() {
        let error = Settings::parse("apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\n").unwrap_err();
        assert!(error.contains("spec.mappings"), "{error}");
    }
}
