//! Execution of a plan: runs are created first, then events go out; each effect is idempotent.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use kube::Client;

use super::{Action, CreateRun, Destination, Plan};
use crate::cluster::create::{self, CreateError, Created, NewObject};
use crate::cluster::{Clients, PIPELINE_RUNS};
use crate::event::Event;
use crate::sink::{DEFAULT, Receipt, SendError, Sinks};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{BySink, Effect, EffectResult, Send};

/// How many effects of one delivery are under way at once.
const CONCURRENCY: usize = 8;

/// Turns plans into objects and deliveries.
#[derive(Clone)]
pub struct Executor {
    clients: Clients,
    client: Client,
    sinks: Arc<Sinks>,
    metrics: Metrics,
}

/// What a plan brought about.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Runs that this request created, as `namespace/name`.
    pub created: Vec<String>,
    /// Runs that existed already.
    pub duplicates: usize,
    /// Events that a sink accepted.
    pub emitted: usize,
    /// The event that answers the request.
    pub reply: Option<Arc<Event>>,
}

/// Why not every effect of a plan exists. The worst of all effects: what was done stays done, and doing it again
/// changes nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A later try may work.
    #[error("{reason}")]
    Transient {
        /// What failed.
        reason: String,
        /// How long to wait.
        retry_after: Option<Duration>,
    },
    /// No later try can work until somebody changes something.
    #[error("{0}")]
    Permanent(String),
}

// === impl Executor ===

impl Executor {
    /// An executor over a cluster and sinks.
    pub fn new(clients: Clients, sinks: Arc<Sinks>, metrics: Metrics) -> Self {
        Self { client: clients.background().clone(), clients, sinks, metrics }
    }

    /// The same with connections of its own, for the thread that it is called on.
    #[must_use]
    pub fn for_this_thread(&self) -> Self {
        Self { client: self.clients.for_this_thread(), ..self.clone() }
    }

    /// Carries out `plan` and sends `announcements` to the default sink (when there is one), all before `deadline`.
    ///
    /// # Errors
    /// When at least one effect does not exist; a permanent failure outweighs a transient one, since trying again
    /// would not help.
    pub async fn execute(
        &self,
        plan: &Plan,
        announcements: &[Arc<Event>],
        deadline: Instant,
    ) -> Result<Outcome, ExecuteError> {
        let mut outcome = Outcome::default();
        let mut failure = None;

        // Two events of one delivery may ask for the same effect; one is enough.
        let mut seen = HashSet::new();
        let mut runs = Vec::new();
        let mut emits = Vec::new();
        for action in &plan.actions {
            if !seen.insert(action.origin().key) {
                continue;
            }
            match action {
                Action::PipelineRun(run) => runs.push(run),
                Action::Emit(emit) => emits.push(emit),
            }
        }

        let creates: Vec<_> = runs.into_iter().map(|run| self.create(run, deadline)).collect();
        let mut creating = stream::iter(creates).buffer_unordered(CONCURRENCY);
        while let Some((run, result)) = creating.next().await {
            match result {
                Ok(Created::Now) => outcome.created.push(format!("{}/{}", run.namespace, run.name)),
                Ok(Created::Before) => outcome.duplicates += 1,
                Err(error) => worst(&mut failure, ExecuteError::from_create(run, error)),
            }
        }
        drop(creating);
        // An event that tells of a run must not leave before the run exists.
        if let Some(failure) = failure {
            return Err(failure);
        }

        // The event that came, and then what mappings made of it.
        let mut sends = Vec::new();
        if self.sinks.has_default() {
            for event in announcements {
                sends.push(self.send(DEFAULT, "", event, deadline));
            }
        }
        for emit in emits {
            match &emit.to {
                Destination::Sink(sink) => {
                    sends.push(self.send(sink, &emit.origin.mapping, &emit.event, deadline));
                }
                Destination::Reply => {
                    // An answer has room for one event.
                    if outcome.reply.replace(Arc::clone(&emit.event)).is_some() {
                        tracing::warn!(
                            mapping = emit.origin.mapping,
                            "an earlier reply is replaced by this one's"
                        );
                    }
                }
            }
        }
        let mut sending = stream::iter(sends).buffered(CONCURRENCY);
        while let Some(result) = sending.next().await {
            match result {
                Ok(()) => outcome.emitted += 1,
                Err(error) => worst(&mut failure, error),
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None => Ok(outcome),
        }
    }

    async fn create<'a>(
        &self,
        run: &'a CreateRun,
        deadline: Instant,
    ) -> (&'a CreateRun, Result<Created, CreateError>) {
        let key = run.origin.key.to_string();
        let new = NewObject {
            collection: PIPELINE_RUNS,
            namespace: &run.namespace,
            name: &run.name,
            key: &key,
            object: &run.object,
        };
        let result = create::create(&self.client, new, deadline).await;
        let (label, error) = match &result {
            Ok(Created::Now) => (EffectResult::created, None),
            Ok(Created::Before) => (EffectResult::duplicate, None),
            Err(error @ CreateError::NameTaken { .. }) => {
                self.metrics.name_conflicts.inc();
                (EffectResult::conflict, Some(error))
            }
            Err(error @ CreateError::Rejected { .. }) => (EffectResult::rejected, Some(error)),
            Err(error @ CreateError::Transient { .. }) => (EffectResult::failed, Some(error)),
        };
        self.count("pipelineRun", &run.origin.mapping, label);
        match error {
            None => tracing::info!(
                mapping = run.origin.mapping,
                action = run.origin.action,
                event_id = run.origin.event_id,
                namespace = run.namespace,
                run = run.name,
                created = label == EffectResult::created,
                "pipeline run exists"
            ),
            Some(error) => tracing::warn!(
                mapping = run.origin.mapping,
                action = run.origin.action,
                event_id = run.origin.event_id,
                namespace = run.namespace,
                run = run.name,
                %error,
                "pipeline run could not be created"
            ),
        }
        (run, result)
    }

    async fn send(
        &self,
        sink: &str,
        mapping: &str,
        event: &Event,
        deadline: Instant,
    ) -> Result<(), ExecuteError> {
        let result = self.sinks.send(sink, event, deadline).await;
        match result {
            Ok(Receipt { attempts, dead_letter: Some(letter), .. }) => {
                self.count("emit", mapping, EffectResult::dead_lettered);
                self.attempts(sink, "refused", letter.attempts);
                self.attempts(&letter.sink, "refused", attempts - 1);
                self.attempts(&letter.sink, "accepted", 1);
                self.metrics.dead_letters.get_or_create(&BySink { sink: sink.to_owned() }).inc();
                tracing::warn!(
                    sink,
                    event_id = event.id(),
                    event_type = event.ty(),
                    attempts = letter.attempts,
                    dead_letter_sink = letter.sink,
                    reason = letter.reason,
                    "event not accepted; the dead letter sink took it"
                );
                Ok(())
            }
            Ok(receipt) => {
                self.count("emit", mapping, EffectResult::created);
                self.attempts(sink, "refused", receipt.attempts - 1);
                self.attempts(sink, "accepted", 1);
                tracing::debug!(
                    sink,
                    event_id = event.id(),
                    event_type = event.ty(),
                    attempts = receipt.attempts,
                    "event accepted"
                );
                Ok(())
            }
            Err(error) => {
                let (label, failure) = match &error {
                    SendError::Transient { retry_after, .. } => (
                        EffectResult::failed,
                        ExecuteError::Transient { reason: error.to_string(), retry_after: *retry_after },
                    ),
                    SendError::Permanent { .. } | SendError::UnknownSink(_) | SendError::NoDefault => {
                        (EffectResult::rejected, ExecuteError::Permanent(error.to_string()))
                    }
                };
                self.attempts(sink, "refused", error.attempts());
                self.count("emit", mapping, label);
                tracing::warn!(sink, event_id = event.id(), event_type = event.ty(), %error, "event not accepted");
                Err(failure)
            }
        }
    }

    fn attempts(&self, sink: &str, result: &'static str, number: u32) {
        if number > 0 {
            let labels = Send { sink: sink.to_owned(), result };
            self.metrics.sends.get_or_create(&labels).inc_by(number.into());
        }
    }

    fn count(&self, kind: &'static str, mapping: &str, result: EffectResult) {
        let labels = Effect { kind, mapping: mapping.to_owned(), result };
        self.metrics.effects.get_or_create(&labels).inc();
    }
}

// === impl ExecuteError ===

impl ExecuteError {
    fn from_create(run: &CreateRun, error: CreateError) -> Self {
        let what = format!(
            "mapping `{}`, action `{}`, PipelineRun `{}/{}`",
            run.origin.mapping, run.origin.action, run.namespace, run.name
        );
        match error {
            CreateError::Transient { reason, retry_after } => {
                Self::Transient { reason: format!("{what}: {reason}"), retry_after }
            }
            error @ (CreateError::Rejected { .. } | CreateError::NameTaken { .. }) => {
                Self::Permanent(format!("{what}: {error}"))
            }
        }
    }
}

fn worst(held: &mut Option<ExecuteError>, new: ExecuteError) {
    match (&held, &new) {
        (None, _) | (Some(ExecuteError::Transient { .. }), ExecuteError::Permanent(_)) => *held = Some(new),
        _ => {}
    }
}
