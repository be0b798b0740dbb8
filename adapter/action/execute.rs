//! Execution of a plan: every effect is tried, each is idempotent, and what became of each comes back.
//!
//! The actions of one mapping for one event are a group: its objects come first, and its events only when all of them
//! exist, since they may tell of them. Groups and announcements do not wait for each other.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use kube::Client;
use tokio::sync::Semaphore;

use super::effect::{Done, Effect, Outcome, Progress, RunReference, Skip, Target, token};
use super::{Action, CreateRun, Destination, Emit, Origin, Plan};
use crate::cluster::create::{self, CreateError, Created, NewObject};
use crate::cluster::{Clients, PIPELINE_RUNS};
use crate::event::Event;
use crate::event::fault::Fault;
use crate::event::identity::Key;
use crate::sink::{DEFAULT, Receipt, SendError, Sinks};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{self, BySink, EffectResult, Send};

/// How many objects of one delivery, and how many events, are under way at once.
const CONCURRENCY: usize = 8;

/// Turns plans into objects and deliveries.
#[derive(Clone)]
pub struct Executor {
    clients: Clients,
    client: Client,
    sinks: Arc<Sinks>,
    metrics: Metrics,
}

/// What all effects of one delivery share.
struct Delivery<'a> {
    progress: &'a Progress,
    deadline: Instant,
    /// Places of objects and of events apart: a cluster that is slow must not keep events.
    objects: Semaphore,
    events: Semaphore,
}

/// The actions of one mapping for one event.
#[derive(Default)]
struct Group<'a> {
    objects: Vec<&'a CreateRun>,
    events: Vec<&'a Emit>,
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

    /// Sends `announcements` to the default sink (when there is one) and carries out `plan`, all before `deadline`.
    /// What `progress` says is done is not done again.
    pub async fn execute(
        &self,
        plan: &Plan,
        announcements: &[Arc<Event>],
        progress: &Progress,
        deadline: Instant,
    ) -> Outcome {
        let announcements = if self.sinks.has_default() { announcements } else { &[] };
        // Most deliveries are wanted by nobody.
        if plan.actions.is_empty() && announcements.is_empty() {
            return Outcome { unplanned: plan.failures.clone(), ..Outcome::default() };
        }
        let delivery = Delivery {
            progress,
            deadline,
            objects: Semaphore::new(CONCURRENCY),
            events: Semaphore::new(CONCURRENCY),
        };
        let mut work: Vec<BoxFuture<'_, Vec<Effect>>> = Vec::new();
        // The event that came, and then what mappings made of it.
        for event in announcements {
            let key = Key::of("announcement", &[event.source(), event.id()]);
            work.push(self.send(key, None, DEFAULT, event, &delivery).map(|effect| vec![effect]).boxed());
        }
        let mut reply = None;
        for group in groups(plan) {
            let replies = group.events.iter().filter(|emit| emit.to == Destination::Reply);
            reply = reply.or(replies.map(|emit| Arc::clone(&emit.event)).next());
            work.push(self.group(group, &delivery).boxed());
        }
        let effects: Vec<Effect> = join_all(work).await.into_iter().flatten().collect();
        let replied = effects.iter().any(|effect| matches!(effect.result, Done::Replied));
        Outcome { effects, unplanned: plan.failures.clone(), reply: reply.filter(|_| replied), halted: None }
    }

    async fn group(&self, group: Group<'_>, delivery: &Delivery<'_>) -> Vec<Effect> {
        let mut effects = join_all(group.objects.iter().map(|run| self.create(run, delivery))).await;
        // An event that tells of a run must not leave before the run exists.
        let missing = effects.iter().filter(|effect| effect.fault().is_some()).map(Effect::is_pending);
        let missing = missing.reduce(|one, other| one || other).map(|later| Skip::NoRun { later });
        let sends = group.events.iter().map(|emit| self.emit(emit, missing, delivery));
        effects.extend(join_all(sends).await);
        effects
    }

    async fn create(&self, run: &CreateRun, delivery: &Delivery<'_>) -> Effect {
        let target = Target::PipelineRun { namespace: run.namespace.clone(), name: run.name.clone() };
        let made = |result| Effect {
            key: run.origin.key,
            origin: Some(run.origin.clone()),
            target: target.clone(),
            result,
        };
        if delivery.is_done(&run.origin.key) {
            return made(Done::Skipped(Skip::Before));
        }
        let _place = delivery.objects.acquire().await;
        let key = run.origin.key.to_string();
        let new = NewObject {
            collection: PIPELINE_RUNS,
            namespace: &run.namespace,
            name: &run.name,
            key: &key,
            object: &run.object,
        };
        let exists = |uid| RunReference { namespace: run.namespace.clone(), name: run.name.clone(), uid };
        let effect = made(match create::create(&self.client, new, delivery.deadline).await {
            Ok(Created::Now(uid)) => Done::Created(exists(uid)),
            Ok(Created::Before(uid)) => Done::Existed(exists(uid)),
            Err(error) => {
                let what = format!("{}, PipelineRun `{}/{}`", asked(&run.origin), run.namespace, run.name);
                Done::Failed(Fault::from(error).about(what))
            }
        });
        self.record(&effect);
        effect
    }

    async fn emit(&self, emit: &Emit, missing: Option<Skip>, delivery: &Delivery<'_>) -> Effect {
        let origin = emit.origin.clone();
        let (sink, target) = match &emit.to {
            Destination::Sink(sink) => (Some(sink), at(sink, &emit.event)),
            Destination::Reply => (None, Target::Reply),
        };
        let result = if delivery.is_done(&origin.key) {
            Done::Skipped(Skip::Before)
        } else if let Some(missing) = missing {
            Done::Skipped(missing)
        } else if let Some(sink) = sink {
            return self.send(origin.key, Some(origin), sink, &emit.event, delivery).await;
        } else {
            Done::Replied
        };
        let effect = Effect { key: origin.key, origin: Some(origin), target, result };
        self.record(&effect);
        effect
    }

    async fn send(
        &self,
        key: Key,
        origin: Option<Origin>,
        sink: &str,
        event: &Event,
        delivery: &Delivery<'_>,
    ) -> Effect {
        let result = if delivery.is_done(&key) {
            Done::Skipped(Skip::Before)
        } else if delivery.progress.behind.contains(sink) {
            Done::Skipped(Skip::Behind)
        } else {
            let _place = delivery.events.acquire().await;
            match self.sinks.send(sink, event, delivery.deadline).await {
                Ok(receipt) => Done::Sent(Box::new(receipt)),
                Err(error) => {
                    let fault = Fault::from(error);
                    Done::Failed(match &origin {
                        Some(origin) => fault.about(asked(origin)),
                        None => fault,
                    })
                }
            }
        };
        let effect = Effect { key, origin, target: at(sink, event), result };
        self.record(&effect);
        effect
    }

    /// Counts and logs what became of one effect.
    fn record(&self, effect: &Effect) {
        let label = match &effect.result {
            Done::Skipped(_) | Done::Replied => None,
            Done::Existed(_) => Some(EffectResult::duplicate),
            Done::Sent(receipt) if receipt.dead_letter.is_some() => Some(EffectResult::dead_lettered),
            Done::Created(_) | Done::Sent(_) => Some(EffectResult::created),
            Done::Failed(fault) if matches!(fault.cause(), Some(CreateError::NameTaken { .. })) => {
                self.metrics.name_conflicts.inc();
                Some(EffectResult::conflict)
            }
            Done::Failed(fault) if fault.is_transient() => Some(EffectResult::failed),
            Done::Failed(_) => Some(EffectResult::rejected),
        };
        if let Some(result) = label {
            let (kind, mapping) = (effect.target.kind(), effect.mapping().to_owned());
            self.metrics.effects.get_or_create(&metrics::Effect { kind, mapping, result }).inc();
        }
        match &effect.target {
            Target::PipelineRun { namespace, name } => log_run(effect, namespace, name),
            Target::Event { sink, id, ty } => self.record_event(effect, sink, id, ty),
            Target::Reply => {}
        }
    }

    fn record_event(&self, effect: &Effect, sink: &str, event_id: &str, event_type: &str) {
        let mapping = effect.mapping();
        match &effect.result {
            Done::Sent(receipt) => {
                let Receipt { attempts, dead_letter, .. } = &**receipt;
                if let Some(letter) = dead_letter {
                    self.attempts(sink, "refused", letter.attempts);
                    self.attempts(&letter.sink, "refused", attempts - 1);
                    self.attempts(&letter.sink, "accepted", 1);
                    self.metrics.dead_letters.get_or_create(&BySink { sink: sink.to_owned() }).inc();
                    let (reason, dead_letter_sink) = (&letter.reason, &letter.sink);
                    let text = "event not accepted; the dead letter sink took it";
                    tracing::warn!(
                        sink,
                        mapping,
                        event_id,
                        event_type,
                        attempts,
                        dead_letter_sink,
                        reason,
                        "{text}"
                    );
                } else {
                    self.attempts(sink, "refused", attempts - 1);
                    self.attempts(sink, "accepted", 1);
                    tracing::debug!(sink, event_id, event_type, attempts, "event accepted");
                }
            }
            Done::Failed(fault) => {
                let attempts = fault.cause::<SendError>().map_or(0, SendError::attempts);
                self.attempts(sink, "refused", attempts);
                tracing::warn!(sink, mapping, event_id, event_type, error = %fault, "event not accepted");
            }
            Done::Skipped(Skip::NoRun { .. }) => {
                let text = "event not sent: a run that it may tell of does not exist";
                tracing::warn!(sink, mapping, event_id, event_type, "{text}");
            }
            Done::Skipped(_) | Done::Created(_) | Done::Existed(_) | Done::Replied => {}
        }
    }

    fn attempts(&self, sink: &str, result: &'static str, number: u32) {
        if number > 0 {
            let labels = Send { sink: sink.to_owned(), result };
            self.metrics.sends.get_or_create(&labels).inc_by(number.into());
        }
    }
}

// === impl Delivery ===

impl Delivery<'_> {
    fn is_done(&self, key: &Key) -> bool {
        !self.progress.done.is_empty() && self.progress.done.contains(&token(key))
    }
}

/// The groups of a plan, in its order. Two events of one delivery may ask for the same effect; one is enough.
fn groups(plan: &Plan) -> Vec<Group<'_>> {
    let mut seen = HashSet::new();
    let mut of: Vec<((&str, &str, &str), Group<'_>)> = Vec::new();
    for action in &plan.actions {
        let origin = action.origin();
        if !seen.insert(origin.key) {
            continue;
        }
        let name = (origin.mapping.as_str(), origin.event_source.as_str(), origin.event_id.as_str());
        // The actions of a group follow each other.
        if of.last().is_none_or(|(last, _)| *last != name) {
            of.push((name, Group::default()));
        }
        let Some((_, group)) = of.last_mut() else { continue };
        match action {
            Action::PipelineRun(run) => group.objects.push(run),
            Action::Emit(emit) => group.events.push(emit),
        }
    }
    of.into_iter().map(|(_, group)| group).collect()
}

fn at(sink: &str, event: &Event) -> Target {
    Target::Event { sink: sink.to_owned(), id: event.id().to_owned(), ty: event.ty().to_owned() }
}

fn asked(origin: &Origin) -> String {
    format!("mapping `{}`, action `{}`", origin.mapping, origin.action)
}

fn log_run(effect: &Effect, namespace: &str, run: &str) {
    let Some(Origin { mapping, action, event_id, .. }) = &effect.origin else { return };
    match &effect.result {
        Done::Created(_) | Done::Existed(_) => {
            let created = matches!(effect.result, Done::Created(_));
            tracing::info!(mapping, action, event_id, namespace, run, created, "pipeline run exists");
        }
        Done::Failed(error) => {
            tracing::warn!(mapping, action, event_id, namespace, run, %error, "pipeline run could not be created");
        }
        Done::Skipped(_) | Done::Sent(_) | Done::Replied => {}
    }
}
