//! Tekton runs as a source of events: what their state has become due to say, said at least once and in order.
//!
//! Level-triggered: what is due is computed from the object as it is now, minus what the annotation
//! [`EMITTED`](crate::event::annotation::EMITTED) says was announced. The order is always: deliver, then mark. A crash
//! in between means that an event is sent again under the same id; nothing is ever lost while the object lives. The last
//! state of a run that is deleted with something due is kept until that is told.
//! Tekton's own CloudEvents have random ids and are dropped when their receiver is away for 20 seconds, so they only
//! hint that an object is worth a look ([`Hints`]).

mod backoff;
mod departed;
mod emitted;
mod farewell;
mod hint;
mod ledger;
mod missed;
mod pages;
mod reached;
mod reconcile;
mod resume;
mod run;
mod status;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use kube::{Api, Client};
use serde_json::Value;
use tokio::sync::mpsc;

use self::run::Run;
use crate::event::Event;
use crate::event::fault::Fault;
use crate::vocabulary::tekton::{RunKind, Transition};

pub use hint::{RunRef, hint};
pub use ledger::Stuck;
pub use reached::Inherited;
pub use status::{Status, WatchState};

/// Hints that wait for a look; more are dropped, since the watch brings the same objects anyway.
const MAX_HINTS: usize = 1024;

/// What to watch.
#[derive(Clone, Debug)]
pub struct Config {
    /// The kinds of runs.
    pub kinds: Vec<RunKind>,
    /// Where they live.
    pub scope: Scope,
    /// How many runs of one kind are delivered at once.
    pub concurrency: u16,
}

/// The part of the cluster that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every namespace.
    Cluster,
    /// One namespace.
    Namespace(String),
}

/// One transition to deliver, and what earlier tries achieved.
#[derive(Debug)]
pub struct Attempt {
    /// What is to be told.
    pub event: Event,
    /// The effects that need no further try, by their tokens.
    pub done: BTreeSet<String>,
    /// The sinks that have to take an earlier event of the same run first.
    pub behind: BTreeSet<String>,
}

/// What became of an attempt.
#[derive(Debug, Default)]
pub struct Delivered {
    /// The effects that need no further try, by their tokens.
    pub done: BTreeSet<String>,
    /// What was refused for good, in few words each.
    pub refused: Vec<String>,
    /// The sinks that have not taken theirs.
    pub behind: BTreeSet<String>,
    /// Why the transition has to be tried again; `None` when nothing is left to do.
    pub fault: Option<Fault>,
}

/// The watch of runs; [`RunWatch::run`] does the work.
///
/// `transitions` gives the transitions that a run has reached, oldest first; an object is the run as the API server
/// gives it. `deliver` returns when all was tried that one attempt asks for.
pub struct RunWatch<T, D> {
    shared: Arc<reconcile::Shared<T, D>>,
    kinds: Vec<RunKind>,
    concurrency: u16,
}

/// Asks for a look at a run; cheap to clone. While nothing watches, nobody is asked.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    senders: Arc<Mutex<Senders>>,
}

type Senders = Vec<(RunKind, mpsc::Sender<RunRef>)>;

/// Leaves nothing behind that says somebody watches.
struct Working(Arc<Status>, Hints);

// === impl Scope ===

impl Scope {
    /// The API of the runs of a kind in this part.
    fn runs(&self, client: Client, kind: RunKind) -> Api<Run> {
        match self {
            Self::Cluster => Api::all_with(client, &kind),
            Self::Namespace(namespace) => Api::namespaced_with(client, namespace, &kind),
        }
    }
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            kinds: vec![RunKind::PipelineRun, RunKind::TaskRun, RunKind::CustomRun],
            scope: Scope::Cluster,
            concurrency: 64,
        }
    }
}

// === impl RunWatch ===

impl<T, D, F> RunWatch<T, D>
where
    T: Fn(RunKind, &Value) -> Vec<Transition> + Send + Sync + 'static,
    D: Fn(Attempt) -> F + Send + Sync + 'static,
    F: Future<Output = Delivered> + Send + 'static,
{
    /// A watch that has not begun yet.
    pub fn new(client: Client, config: Config, transitions: T, deliver: D) -> Self {
        let Config { mut kinds, scope, concurrency } = config;
        kinds.sort_unstable_by_key(|kind| kind.plural());
        kinds.dedup();
        let status = Arc::new(Status::new(&kinds));
        let hints = Hints::default();
        let shared = Arc::new(reconcile::Shared { client, scope, transitions, deliver, status, hints });
        Self { shared, kinds, concurrency }
    }

    /// Counters and readiness, for telemetry.
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.clone()
    }

    /// The handle for hints.
    pub fn hints(&self) -> Hints {
        self.shared.hints.clone()
    }

    /// Works until `stop` resolves, and then until the deliveries under way are done. Dropping it earlier loses nothing:
    /// what was not marked is delivered again by the next watch. A clone can begin anew after the end.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) {
        self.work(stop.shared(), None).await;
    }

    /// The same after another leader: what was deleted since it noted where it was is told too, or counted as lost.
    pub async fn resume(self, stop: impl Future<Output = ()> + Send + 'static, inherited: Inherited) {
        self.work(stop.shared(), Some(inherited)).await;
    }

    async fn work(
        self,
        stop: impl Future<Output = ()> + Clone + Send + 'static,
        inherited: Option<Inherited>,
    ) {
        let (status, hints) = (self.shared.status.clone(), self.shared.hints.clone());
        let _working = Working(status.clone(), hints.clone());
        if inherited.is_some() {
            status.reached.resume();
            // What is deleted from here on is seen.
            let begun = self.kinds.iter().map(|kind| self.shared.begin(*kind));
            let begun = std::pin::pin!(futures::future::join_all(begun));
            futures::future::select(begun, std::pin::pin!(stop.clone())).await;
        }
        let mut watches = Vec::new();
        let mut senders = Vec::new();
        for kind in &self.kinds {
            let (sender, hints) = mpsc::channel(MAX_HINTS);
            senders.push((*kind, sender));
            watches.push(watch::watch(self.shared.clone(), *kind, hints, self.concurrency, stop.clone()));
        }
        *hints.senders() = senders;
        let watching = async {
            futures::future::join(
                futures::future::join_all(watches),
                futures::future::select(
                    std::pin::pin!(self.make_up(inherited.as_ref())),
                    std::pin::pin!(stop.clone()),
                ),
            )
            .await;
        };
        farewell::tell(self.shared.clone(), watching, stop.clone()).await;
    }

    /// Finds out what was deleted since the leader before noted where it was, and counts what it had kept and is gone.
    async fn make_up(&self, inherited: Option<&Inherited>) {
        let Some(inherited) = inherited else { return };
        let kinds = self.kinds.iter().map(|kind| self.shared.clone().make_up(*kind, inherited));
        let missed = futures::future::join_all(kinds).await;
        self.shared.status.reached.settle();
        if let Some(note) = &inherited.deleted {
            self.shared.status.inherit(note, &missed);
        }
    }
}

impl<T, D> Clone for RunWatch<T, D> {
    fn clone(&self) -> Self {
        let Self { shared, kinds, concurrency } = self;
        Self { shared: shared.clone(), kinds: kinds.clone(), concurrency: *concurrency }
    }
}

impl<T, D> fmt::Debug for RunWatch<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunWatch").field("scope", &self.shared.scope).finish_non_exhaustive()
    }
}

// === impl Hints ===

impl Hints {
    /// Has the run looked at soon. Never waits, and never fails: a hint that cannot be kept is dropped.
    pub fn look_at(&self, run: RunRef) {
        if let Some((_, sender)) = self.senders().iter().find(|(kind, _)| *kind == run.kind) {
            let _ = sender.try_send(run);
        }
    }

    fn senders(&self) -> MutexGuard<'_, Senders> {
        self.senders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Working ===

impl Drop for Working {
    fn drop(&mut self) {
        self.1.senders().clear();
        self.0.rest();
    }
}
