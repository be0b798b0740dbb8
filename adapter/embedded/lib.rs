//! The embedded cluster: an in-memory Kubernetes API with the resources that we use.
//!
//! It is for trying things, for tests that need faults on demand, and for authors of mappings. It **never runs a
//! container**: a small [`player`] walks runs through Tekton's conditions. Reached in process through
//! [`Memory::client`], and on loopback through [`Memory::serve`], where `kubectl` works against it.
//!
//! What it does not have: authentication and authorisation, admission webhooks and custom resource definitions of
//! users, schema validation of fields, pods.

mod admission;
mod api;
mod collect;
mod discovery;
mod failure;
pub mod faults;
mod fields;
mod object;
mod patch;
pub mod player;
mod present;
mod protobuf;
mod request;
mod resource;
mod schema;
mod selector;
pub mod serve;
mod service;
mod store;
mod update;
mod validate;
mod watch;
mod write;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use api::{Api, Patch};
pub use faults::Faults;
use fields::OnConflict;
pub use player::PlayerOptions;
use resource::Id;
pub use serve::Served;
use service::Service;
pub use store::Limits;
use store::Store;
pub use write::Clock;
use write::{Effect, Part, Validation, WriteOptions};

/// A running embedded cluster; a cheap handle, all clones are the same cluster.
#[derive(Clone)]
pub struct Memory {
    service: Service,
    /// Ends the player with the last handle.
    _player: Option<Arc<player::Player>>,
}

/// How an embedded cluster is made.
#[derive(Clone)]
pub struct Options {
    /// Plays Tekton when given.
    pub player: Option<PlayerOptions>,
    /// The time.
    pub clock: Clock,
    /// The resourceVersion to count from. By default the time in milliseconds, so that a client that outlives a
    /// restart of the cluster sees an expired version, not one of the future.
    pub first_version: Option<u64>,
    /// How much of the past is kept.
    pub limits: Limits,
    /// The distance of bookmarks in watches that want them.
    pub bookmarks: Duration,
    /// Namespaces that exist from the start, besides `default` and `kube-system`.
    pub namespaces: Vec<String>,
}

/// Why objects could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The text is not YAML.
    #[error("the text is not YAML: {0}")]
    Yaml(String),
    /// The kind is not served.
    #[error("document {number}: kind `{kind}` of `{api_version}` is not served by the embedded cluster")]
    UnknownKind {
        /// The position of the document, from 1.
        number: usize,
        /// Its `apiVersion`.
        api_version: String,
        /// Its `kind`.
        kind: String,
    },
    /// The object was refused.
    #[error("document {number}: {message}")]
    Refused {
        /// The position of the document, from 1.
        number: usize,
        /// The message of the refusal.
        message: String,
    },
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            player: None,
            clock: Arc::new(Timestamp::now),
            first_version: None,
            limits: Limits { changes: 20_000, bytes: 64 * 1024 * 1024 },
            bookmarks: Duration::from_secs(30),
            namespaces: Vec::new(),
        }
    }
}

// === impl Memory ===

impl Memory {
    /// Starts a cluster on the current tokio runtime.
    pub fn start(options: Options) -> Self {
        let millis = u64::try_from((options.clock)().as_millisecond()).unwrap_or(1);
        let store = Store::new(options.first_version.unwrap_or(millis), options.limits);
        let api = Arc::new(Api::new(store, options.clock.clone()));
        let service = Service {
            faults: Faults::new(api.clone()),
            api,
            clock: options.clock,
            bookmarks: options.bookmarks,
            way: faults::Way::InProcess,
        };
        let namespaces: std::collections::BTreeSet<&str> = ["default", "kube-system"]
            .into_iter()
            .chain(options.namespaces.iter().map(String::as_str))
            .collect();
        for name in namespaces {
            let namespace = json!({"metadata": {"name": name}});
            if service.api.create(Id::NAMESPACES, "", namespace, &system_options()).is_err() {
                tracing::warn!(namespace = name, "the namespace cannot be created in the embedded cluster");
            }
        }
        let client = kube::Client::new(service.clone(), "default");
        let clock = service.clock.clone();
        let player = options.player.map(|options| Arc::new(player::Player::start(&client, options, clock)));
        Self { service, _player: player }
    }

    /// A client that reaches the cluster without a socket.
    pub fn client(&self, namespace: &str) -> kube::Client {
        kube::Client::new(self.service.clone(), namespace)
    }

    /// Serves the API over HTTP on a listener that is bound to a loopback address.
    pub fn serve(&self, listener: TcpListener) -> io::Result<Served> {
        serve::serve(self.service.clone(), listener)
    }

    /// The switch board of faults.
    pub fn faults(&self) -> &Faults {
        &self.service.faults
    }

    /// Applies every document of a YAML text, as `kubectl apply` would; objects without a namespace go to `default`.
    pub fn apply_yaml(&self, text: &str) -> Result<usize, ApplyError> {
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, request::yaml_options())
            .map_err(|error| ApplyError::Yaml(error.to_string()))?;
        let documents = documents.into_iter().filter(|document| !document.is_null());
        let mut count = 0;
        for (at, document) in documents.enumerate() {
            self.apply_document(at + 1, document)?;
            count += 1;
        }
        Ok(count)
    }

    fn apply_document(&self, number: usize, mut document: Value) -> Result<(), ApplyError> {
        let api_version = object::text(&document, &["apiVersion"]).to_owned();
        let kind = object::text(&document, &["kind"]).to_owned();
        let id =
            Id::by_kind(&api_version, &kind).ok_or(ApplyError::UnknownKind { number, api_version, kind })?;
        if id.get().is_namespaced() && object::namespace(&document).is_empty() {
            object::meta_mut(&mut document).insert("namespace".to_owned(), json!("default"));
        }
        let key = api::key_of(id, &document);
        let api = &self.service.api;
        let result = if key.name.is_empty() {
            api.create(id, &key.namespace, document, &system_options())
        } else {
            api.patch(&key, &Patch::Apply(document, OnConflict::Force), &system_options())
        };
        match result {
            Ok(_) => Ok(()),
            Err(failure) => {
                let message = object::text(&failure.to_value(), &["message"]).to_owned();
                Err(ApplyError::Refused { number, message })
            }
        }
    }
}

fn system_options() -> WriteOptions {
    WriteOptions {
        part: Part::Main,
        effect: Effect::Store,
        manager: "pipewright".to_owned(),
        validation: Validation::Ignore,
        warnings: Arc::default(),
    }
}

/// A kubeconfig for a served cluster.
pub fn kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: pipewright\n  cluster:\n    server: {url}\n\
         users:\n\
         - name: pipewright\n  user: {{}}\n\
         contexts:\n\
         - name: pipewright\n  context:\n    cluster: pipewright\n    user: pipewright\n    namespace: default\n\
         current-context: pipewright\n"
    )
}

/// Writes [`kubeconfig`] to a file.
pub fn write_kubeconfig(path: &Path, url: &str) -> io::Result<()> {
    std::fs::write(path, kubeconfig(url))
}
