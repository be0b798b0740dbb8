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
use crate::event::{Event, voucher};
use crate::pipeline::{Incoming, Pipeline};
use crate::server::admin::CheckState;
use crate::settings::Process;
use crate::source::tekton::{Config, Hints, RunWatch, Scope, Status, hint};
use crate::vocabulary::tekton::{Cluster, ClusterError, transitions};

/// How long the delivery of one transition may take. A synchronous broker holds a request for as long as its
/// slowest subscriber needs, which is 205 s with Knative's default retries, and gives up when we do.
const DELIVERY: Duration = Duration::from_mins(4);
/// How long a transition waits that no sink or mapping will ever take, before it is tried again: settings and mappings
/// change.
const PERMANENT: Duration = Duration::from_mins(1);

/// How long deliveries under way may take when the process ends; what is not noted by then is sent by the next leader.
const AT_THE_END: Duration = Duration::from_secs(20);

/// The watch, not yet running.
pub struct Runs {
    work: Box<dyn Fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send + Sync>,
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
    pub fn new(process: &Process, client: Client, pipeline: Pipeline) -> Result<Self, ClusterError> {
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
            move |event| deliver(pipeline.clone(), event),
        );
        let hints = watch.hints();
        let status = watch.status();
        let work = Box::new(move |stop| watch.clone().run(stop).boxed());
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
            let work = (self.work)(told(stopped).boxed());
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
            let work = (self.work)(
                futures::future::select(told(stopped.clone()).boxed(), lost(state.clone()).boxed())
                    .map(drop)
                    .boxed(),
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

    /// The condition of readiness. It fails only before the first success: an API server that goes away later, or a
    /// change of the leader, is no reason to send requests elsewhere.
    pub fn check(&self) -> CheckState {
        let state = self.election.as_ref().map(|election| election.borrow().clone());
        let listing = "the runs in the cluster have not been listed yet";
        let check = match state {
            _ if self.runs.synced() => match state.and_then(|state| state.trouble) {
                None => CheckState::Passed,
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

async fn deliver(pipeline: Pipeline, event: Event) -> Result<(), Fault> {
    let event = Arc::new(event.vouched(voucher::WATCH.into()));
    let incoming = Incoming { events: vec![Arc::clone(&event)], announced: vec![event] };
    match pipeline.process(&incoming, Instant::now() + DELIVERY).await.fault() {
        None => Ok(()),
        Some(fault) if fault.is_transient() => Err(fault),
        Some(fault) => Err(Fault::transient(fault.to_string(), Some(PERMANENT))),
    }
}
