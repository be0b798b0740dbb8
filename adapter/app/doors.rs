//! Who may come in, and by what they prove it.

use std::collections::HashMap;
use std::sync::Arc;

use kube::Client;

use super::StartError;
use crate::server::admin::CheckState;
use crate::settings::{Process, SourceDocument};
use crate::source::events::EventAuth;
use crate::source::secret::{SecretReference, Secrets};
use crate::source::token::TokenAuth;
use crate::source::{Auth, Options, Sender, Source, generic};

/// What the tokens of the CloudEvents route are called; no source can have this name.
const EVENT_TOKENS: &str = "eventTokens";

/// Who may come in, and by what they prove it.
pub(super) struct Doors {
    /// Who sends webhooks, by the name in the path.
    pub(super) sources: HashMap<String, Source>,
    /// Who may send CloudEvents.
    pub(super) event_auth: Arc<EventAuth>,
    /// Everything that is refreshed in the background, by the name of whose it is.
    pub(super) secrets: Vec<(String, Secrets)>,
}

/// Reads the secrets of all of them for the first time, and says in the log who may send CloudEvents.
pub(super) async fn open(
    documents: Vec<SourceDocument>,
    process: &Process,
    client: &Client,
) -> Result<Doors, StartError> {
    let mut doors = Doors { sources: HashMap::new(), event_auth: Arc::default(), secrets: Vec::new() };
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
        if matches!(sender, Sender::Forge(_, Auth::Insecure) | Sender::Generic(_, generic::Auth::Insecure)) {
            tracing::warn!(source = name, "this source takes unsigned deliveries");
        }
        let options = Options { scope, ..process.options() };
        doors.sources.insert(name.clone(), Source::new(name, sender).reading(options));
    }
    doors.event_auth = Arc::new(doors.event_auth(process, client).await?);
    if doors.event_auth.insecure {
        tracing::warn!("{}: everybody who reaches the port may start runs", doors.event_auth.ways());
    } else {
        tracing::info!("{}", doors.event_auth.ways());
    }
    Ok(doors)
}

/// What readiness says of the CloudEvents route.
pub(super) fn check(events: &EventAuth) -> CheckState {
    if events.insecure { CheckState::Warning(events.ways()) } else { CheckState::Noted(events.ways()) }
}

// === impl Doors ===

impl Doors {
    async fn event_auth(&mut self, process: &Process, client: &Client) -> Result<EventAuth, StartError> {
        let mut auth = EventAuth { insecure: process.insecure_events, ..EventAuth::default() };
        if !process.event_tokens.is_empty() {
            let keys = self.open(&process.event_tokens, EVENT_TOKENS, process, client).await?;
            auth.tokens = Some(TokenAuth::new(keys));
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
        let at = if name == EVENT_TOKENS { format!("`{name}`") } else { format!("source `{name}`") };
        let keys = opened.map_err(|error| StartError::Source(format!("{at}: {error}")))?;
        self.secrets.push((name.to_owned(), keys.clone()));
        Ok(keys)
    }
}
