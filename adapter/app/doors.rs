//! Who may come in, and by what they prove it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::Client;

use super::StartError;
use crate::server::admin::CheckState;
use crate::server::tls::Tls;
use crate::settings::{Process, SourceDocument};
use crate::source::events::EventAuth;
use crate::source::oidc::Oidc;
use crate::source::secret::{SecretReference, Secrets};
use crate::source::token::TokenAuth;
use crate::source::{Auth, Options, Sender, Source, generic};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::OfSource;

/// What the tokens of the CloudEvents route are called; no source can have this name.
const EVENT_TOKENS: &str = "eventTokens";
/// Likewise, those of the admin port.
const ADMIN_TOKENS: &str = "adminTokens";

/// Who may come in, and by what they prove it.
pub(super) struct Doors {
    /// Who sends webhooks, by the name in the path.
    pub(super) sources: HashMap<String, Source>,
    /// Who may send CloudEvents.
    pub(super) event_auth: Arc<EventAuth>,
    /// Who may change the log level from elsewhere.
    pub(super) admin_tokens: Option<TokenAuth>,
    /// What the port of CloudEvents speaks TLS with.
    pub(super) event_tls: Option<Arc<Tls>>,
    /// Everything that is refreshed in the background, by the name of whose it is.
    pub(super) secrets: Vec<(String, Secrets)>,
}

/// Reads the secrets of all of them for the first time, and says in the log who may send CloudEvents.
pub(super) async fn open(
    documents: Vec<SourceDocument>,
    process: &Process,
    client: &Client,
) -> Result<Doors, StartError> {
    let mut doors = Doors {
        sources: HashMap::new(),
        event_auth: Arc::default(),
        admin_tokens: None,
        event_tls: None,
        secrets: Vec::new(),
    };
    for SourceDocument { name, scope, spec } in documents {
        let sender = match spec {
            Sender::Forge(forge, Auth::Signed(keys)) => {
                Sender::Forge(forge, Auth::Signed(doors.open(&keys, &name, process, client).await?))
            }
            Sender::Generic(what, generic::Auth::Proof(proof, keys)) => {
                let keys = doors.open(&keys, &name, process, client).await?;
                Sender::Generic(what, generic::Auth::Proof(proof, keys))
            }
            Sender::Forge(forge, Auth::Insecure) => Sender::Forge(forge, Auth::Insecure),
            Sender::Generic(what, generic::Auth::Insecure) => Sender::Generic(what, generic::Auth::Insecure),
        };
        let source = Source::new(name.clone(), sender);
        if source.is_insecure() {
            tracing::warn!(source = name, "this source takes unsigned deliveries");
        }
        let options = Options { scope, ..process.options() };
        doors.sources.insert(name, source.reading(options));
    }
    if !process.admin_tokens.is_empty() {
        let keys = doors.open(&process.admin_tokens, ADMIN_TOKENS, process, client).await?;
        doors.admin_tokens = Some(TokenAuth::new(keys));
    }
    doors.event_auth = Arc::new(doors.event_auth(process, client).await?);
    let names: Vec<&str> = doors.sources.keys().map(String::as_str).collect();
    tracing::info!(sources = names.join(","), "webhooks are taken from these");
    if doors.event_auth.insecure && !is_local(process) {
        tracing::warn!("{}: everybody who reaches the port may start runs", doors.event_auth.ways());
    } else {
        tracing::info!("{}", doors.event_auth.ways());
    }
    Ok(doors)
}

/// Whether only this machine reaches the route for CloudEvents.
fn is_local(process: &Process) -> bool {
    let listen = process.events_listen.as_ref().unwrap_or(&process.listen);
    listen.parse::<std::net::SocketAddr>().is_ok_and(|address| address.ip().is_loopback())
}

/// What readiness says of the CloudEvents route.
pub(super) fn check(events: &EventAuth) -> CheckState {
    let trouble = events.oidc.as_ref().and_then(Oidc::trouble);
    match trouble {
        Some(reason) => {
            CheckState::Warning(format!("{}; the keys of the issuer cannot be read: {reason}", events.ways()))
        }
        None if events.insecure => CheckState::Warning(events.ways()),
        None => CheckState::Noted(events.ways()),
    }
}

// === impl Doors ===

impl Doors {
    /// What is read again in the background, each for ever: secrets, certificates and keys.
    pub(super) fn refreshers(&mut self, metrics: &Metrics) -> Vec<BoxFuture<'static, ()>> {
        let mut refreshers: Vec<BoxFuture<'static, ()>> = Vec::new();
        for (source, keys) in std::mem::take(&mut self.secrets) {
            let unreadable = metrics.secrets_unreadable.get_or_create_owned(&OfSource { source });
            let told = move |age: Duration| {
                unreadable.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
            };
            refreshers.push(async move { keys.refresh(told).await }.boxed());
        }
        if let Some(tls) = self.event_tls.clone() {
            refreshers.push(async move { tls.refresh().await }.boxed());
        }
        let events = Arc::clone(&self.event_auth);
        let issuer = async move {
            if let Some(oidc) = &events.oidc {
                oidc.refresh().await;
            }
        };
        refreshers.push(issuer.boxed());
        refreshers
    }

    async fn event_auth(&mut self, process: &Process, client: &Client) -> Result<EventAuth, StartError> {
        let mut auth = EventAuth { insecure: process.insecure_events, ..EventAuth::default() };
        if !process.event_tokens.is_empty() {
            let keys = self.open(&process.event_tokens, EVENT_TOKENS, process, client).await?;
            auth.tokens = Some(TokenAuth::new(keys));
        }
        auth.oidc = process.event_oidc.as_ref().map(|document| Oidc::new(document, client.clone()));
        if let Some(document) = &process.event_tls {
            if process.events_listen.is_none() {
                return Err(StartError::Source(
                    "`eventTls` needs `eventsListen`: write an address for events, since forges that send webhooks to \
                     `listen` have no client certificates"
                        .to_owned(),
                ));
            }
            auth.certificates = Some(document.subjects.clone());
            let tls = Tls::open(document.clone()).await.map_err(StartError::Source)?;
            self.event_tls = Some(Arc::new(tls));
        }
        Ok(auth)
    }

    /// Reads secrets for the first time; `name` is whose they are.
    async fn open(
        &mut self,
        references: &[SecretReference],
        name: &str,
        process: &Process,
        client: &Client,
    ) -> Result<Secrets, StartError> {
        let opened = Secrets::open(references, client, &process.namespace).await;
        let at = if name == EVENT_TOKENS || name == ADMIN_TOKENS {
            format!("`{name}`")
        } else {
            format!("source `{name}`")
        };
        let keys = opened.map_err(|error| StartError::Source(format!("{at}: {error}")))?;
        self.secrets.push((name.to_owned(), keys.clone()));
        Ok(keys)
    }
}
