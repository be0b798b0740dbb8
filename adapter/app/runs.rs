//! Runs to events: the watch of Tekton objects wired to the vocabulary, to mappings and to sinks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;
use tokio::sync::{oneshot, watch};

use crate::cluster::lease::{Elector, State};
use crate::event::fault::Fault;
use crate::event::identity::Key;
use crate::event::{Event, voucher};
use crate::pipeline::{Done, Incoming, Pipeline, Progress, Skip, Target, token};
use crate::server::admin::CheckState;
use crate::settings::Process;
use crate::source::tekton::{
    Attempt, Config, Delivered, Hints, Inherited, RunWatch, Scope, Status, Stuck, hint,
};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ByMapping;
use crate::vocabulary::tekton::{Cluster, ClusterError, transitions};

/// How long the delivery of one transition may take. A synchronous broker holds a request for as long as its
/// slowest subscriber needs, which is 205 s with Knative's default retries, and gives up when we do.
const DELIVERY: Duration = Duration::from_mins(4);
/// From which age on a due transition is worth a word at the readiness route.
const STUCK: Duration = Duration::from_mins(1);

/// How long deliveries under way may take when the process ends; what is not noted by then is sent by the next leader.
const AT_THE_END: Duration = Duration::from_secs(20);

/// Watches until told to stop, after what the leader before has left where one replica of several watches.
type Work = dyn Fn(BoxFuture<'static, ()>, Option<Inherited>) -> BoxFuture<'static, ()> + Send + Sync;

/// The watch, not yet running.
pub struct Runs {
    work: Box<Work>,
    hints: Hints,
    status: Arc<Status>,
    elector: Option<Elector>,
    /// For how long a leader that lost its time may finish what it began.
    margin: Duration,
}

/// What telemetry and readiness are told.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The watch's counters.
    pub runs: Arc<Status>,
    /// The election; `None` where every replica watches.
    election: Option<watch::Receiver<State>>,
    /// Whether this process has once been as far as to be ready.
    settled: Arc<AtomicBool>,
}

// === impl Runs ===

impl Runs {
    /// Wires the watch.
    ///
    /// # Errors
    /// When `eventSource` or `runUrl` is no URI.
    pub fn new(
        process: &Process,
        client: Client,
        pipeline: Pipeline,
        metrics: Metrics,
    ) -> Result<Self, ClusterError> {
        let api = process.event_source.trim_end_matches('/');
        let cluster = Cluster::new(process.event_source.clone(), process.run_url.as_deref(), api)?
            .outcomes(process.outcomes.clone())
            .progress(process.announce_progress);
        let scope = match process.watch_namespace.as_str() {
            "*" => Scope::Cluster,
            namespace => Scope::Namespace(namespace.to_owned()),
        };
        let election = process.leader_election.election(&process.namespace, process.kubeconfig.is_some());
        let margin = process.leader_election.timing.margin();
        let elector = election.map(|election| Elector::new(client.clone(), election));
        let watch = RunWatch::new(
            client,
            Config { scope, ..Config::default() },
            move |kind, object| transitions(object, kind, &cluster),
            move |attempt| deliver(pipeline.clone(), metrics.clone(), attempt),
        );
        let hints = watch.hints();
        let status = watch.status();
        let noted = Arc::clone(&status);
        let elector = elector.map(|elector| elector.noting(Arc::new(move || noted.notes())));
        let work = Box::new(move |stop, inherited: Option<Inherited>| match inherited {
            Some(inherited) => watch.clone().resume(stop, inherited).boxed(),
            None => watch.clone().run(stop).boxed(),
        });
        Ok(Self { work, hints, status, elector, margin })
    }

    /// The way for Tekton's own CloudEvents to ask for a look. On a replica that does not watch they are dropped: the
    /// leader's watch sees the same object.
    pub fn hint(&self) -> impl Fn(&Event) + Send + Sync + use<> {
        let hints = self.hints.clone();
        move |event| {
            if let Some(run) = hint(event) {
                hints.look_at(run);
            }
        }
    }

    /// Counters and readiness.
    pub fn standing(&self) -> Standing {
        let election = self.elector.as_ref().map(Elector::state);
        Standing { runs: Arc::clone(&self.status), election, settled: Arc::default() }
    }

    /// Works, while this process leads, until told to stop. Then finishes what it began and gives the Lease back.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let Some(elector) = self.elector else {
            let end = told(stopped.clone());
            let work = (self.work)(told(stopped).boxed(), None);
            return within(work, async move {
                end.await;
                tokio::time::sleep(AT_THE_END).await;
            })
            .await;
        };
        let mut state = elector.state();
        let (leave, left) = oneshot::channel::<()>();
        // A task of its own: a long list must not delay a renewal.
        let election = tokio::spawn(elector.run(async move {
            let _ = left.await;
        }));
        loop {
            let gained = tokio::select! {
                biased;
                _ = stopped.wait_for(|stop| *stop) => false,
                gained = state.wait_for(|state| state.leads) => gained.is_ok(),
            };
            if !gained {
                break;
            }
            let inherited = Inherited::read(&state.borrow().inherited);
            let work = (self.work)(
                futures::future::select(told(stopped.clone()).boxed(), lost(state.clone()).boxed())
                    .map(drop)
                    .boxed(),
                Some(inherited),
            );
            let (stopped, state, margin) = (stopped.clone(), state.clone(), self.margin);
            within(work, async move {
                let end = async {
                    told(stopped).await;
                    tokio::time::sleep(AT_THE_END).await;
                };
                let taken = async {
                    lost(state).await;
                    // Nobody else leads before the Lease has expired, unless it was taken by force.
                    tokio::time::sleep(margin).await;
                };
                tokio::select! {
                    () = end => {}
                    () = taken => {}
                }
            })
            .await;
        }
        drop(leave);
        let _ = election.await;
    }
}

// === impl Standing ===

impl Standing {
    /// Whether this process watches, and how often that changed.
    pub fn leads(&self) -> (bool, u64) {
        self.election.as_ref().map_or((true, 0), |election| {
            let state = election.borrow();
            (state.leads, state.transitions)
        })
    }

    /// Names the run whose events are the latest, if they are late.
    fn stuck(&self) -> CheckState {
        let Some(stuck) = self.runs.stuck().filter(|stuck| stuck.age >= STUCK) else {
            return CheckState::Passed;
        };
        let Stuck { kind, namespace, name, age, trouble } = stuck;
        let deleted = self.runs.departed();
        CheckState::Warning(format!(
            "{kind} {namespace}/{name} has waited for {} s to be told ({deleted} deleted runs wait): {trouble}",
            age.as_secs()
        ))
    }

    /// The condition of readiness. It fails only before the first success: an API server that goes away later, or a
    /// change of the leader, is no reason to send requests elsewhere.
    pub fn check(&self) -> CheckState {
        let state = self.election.as_ref().map(|election| election.borrow().clone());
        let listing = "the runs in the cluster have not been listed yet";
        let check = match state {
            _ if self.runs.synced() => match state.and_then(|state| state.trouble) {
                None => self.stuck(),
                Some(trouble) => CheckState::Warning(trouble),
            },
            None | Some(State { leads: true, .. }) => CheckState::Failed(listing.into()),
            Some(State { answered: true, trouble: Some(trouble), .. }) => CheckState::Warning(trouble),
            Some(State { trouble: Some(trouble), .. }) => CheckState::Failed(trouble),
            Some(State { leader: Some(leader), .. }) => {
                CheckState::Noted(format!("standby; the leader is {leader}"))
            }
            Some(State { answered: true, .. }) => {
                CheckState::Noted("standby; nobody leads at the moment".into())
            }
            Some(_) => CheckState::Failed("the Lease of the leader has not been read yet".into()),
        };
        match check {
            CheckState::Failed(reason) if self.settled.load(Ordering::Relaxed) => CheckState::Warning(reason),
            CheckState::Failed(reason) => CheckState::Failed(reason),
            good => {
                self.settled.store(true, Ordering::Relaxed);
                good
            }
        }
    }
}

async fn told(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn lost(mut state: watch::Receiver<State>) {
    let _ = state.wait_for(|state| !state.leads).await;
}

/// Works until `limit` at the latest.
async fn within(work: BoxFuture<'static, ()>, limit: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        () = limit => tracing::warn!("deliveries of run transitions are cut off; the next watch sends them again"),
    }
}

/// Takes one transition through mappings and sinks. What is refused for good is counted and noted, and holds nothing up.
async fn deliver(pipeline: Pipeline, metrics: Metrics, attempt: Attempt) -> Delivered {
    let Attempt { event, done, behind } = attempt;
    let event = Arc::new(event.vouched(voucher::WATCH.into()));
    let progress = Progress { done, behind };
    let incoming = Incoming { events: vec![Arc::clone(&event)], announced: vec![Arc::clone(&event)] };
    let outcome = pipeline.resume(&incoming, &progress, Instant::now() + DELIVERY).await;
    let mut delivered = Delivered::default();
    let by = |mapping: &str| ByMapping { mapping: mapping.to_owned() };
    let mut refuse = |mapping: &str, token: String, reason: String| {
        // A mapping is planned anew at each try.
        if delivered.done.insert(token.clone()) && !progress.done.contains(&token) {
            metrics.transitions_refused.get_or_create(&by(mapping)).inc();
            let (event_id, event_type) = (event.id(), event.ty());
            tracing::error!(
                mapping,
                event_id,
                event_type,
                reason,
                "refused for good; what comes later goes on"
            );
            delivered.refused.push(reason);
        }
    };
    for error in &outcome.unplanned {
        refuse(&error.mapping, token(&Key::of("plan", &[&error.mapping, &error.place])), error.to_string());
    }
    for effect in &outcome.effects {
        if let Some(fault) = effect.fault().filter(|fault| !fault.is_transient()) {
            refuse(effect.mapping(), effect.token(), fault.to_string());
        }
    }
    let mut is_pending = outcome.halted.is_some();
    for effect in &outcome.effects {
        if !effect.is_pending() {
            delivered.done.insert(effect.token());
            continue;
        }
        is_pending = true;
        if effect.fault().is_some() {
            metrics.transition_failures.get_or_create(&by(effect.mapping())).inc();
        }
        if let (Target::Event { sink, .. }, Done::Failed(_) | Done::Skipped(Skip::Behind)) =
            (&effect.target, &effect.result)
        {
            delivered.behind.insert(sink.clone());
        }
    }
    if is_pending {
        let behind = || Fault::transient("a sink has not taken an earlier event of this run", None);
        delivered.fault = Some(outcome.fault().filter(Fault::is_transient).unwrap_or_else(behind));
    }
    delivered
}
