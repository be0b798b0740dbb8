//! The watch of one kind: which runs deserve a look, and the queue of looks.
//!
//! Of runs about which something is due the object is kept as it came, and of runs that have not ended what their end would
//! be told with, in case that they are gone when the watch has broken. Of ten thousand finished runs only the names are
//! kept, a few hundred bytes each.
//! `kube::runtime::applier` queues the names, looks at different runs at once and at one run never twice at once, and
//! repeats after failures.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use futures::future::ready;
use futures::{FutureExt, Stream, StreamExt, stream};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::{self, watcher};
use kube::runtime::{WatchStreamExt, applier, controller};
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use super::backoff::Waits;
use super::pages::patient;
use super::reconcile::{Failure, Shared};
use super::run::Run;
use super::status::WatchState;
use super::{Attempt, Delivered, RunRef, Scope, emitted};
use crate::vocabulary::tekton::{FINISHED, RunKind, Transition};

/// Hinted runs that are searched for at once.
const SEARCHES: usize = 8;

/// Something to take note of.
#[expect(clippy::large_enum_variant, reason = "one at a time, and nearly always the large one")]
enum Seen {
    Watch(Result<watcher::Event<Run>, watcher::Error>),
    /// A run that exists and should be looked at whatever the watch says.
    Hint(ObjectRef<Run>),
}

/// Turns what is seen into names to look at.
struct Gate<T, D> {
    shared: Arc<Shared<T, D>>,
    kind: RunKind,
    writer: Writer<Run>,
    store: Store<Run>,
    /// Names found due during a list: they must not be looked at before the list is complete and in the store.
    listed: Vec<ObjectRef<Run>>,
    /// The last kind of error, so that an outage is reported once.
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Absent,
    Forbidden,
    Other,
}

/// Watches one kind until `stop` resolves and the looks under way are done.
pub(super) async fn watch<T, D, F>(
    shared: Arc<Shared<T, D>>,
    kind: RunKind,
    hints: mpsc::Receiver<RunRef>,
    concurrency: u16,
    stop: impl Future<Output = ()> + Clone + Send + 'static,
) where
    T: Fn(RunKind, &Value) -> Vec<Transition> + Send + Sync + 'static,
    D: Fn(Attempt) -> F + Send + Sync + 'static,
    F: Future<Output = Delivered> + Send + 'static,
{
    let writer = Writer::new(kind);
    let store = writer.as_reader();
    let client = patient(shared.client.clone());
    let api = shared.scope.runs(client, kind);
    let mut gate = Gate {
        shared: shared.clone(),
        kind,
        writer,
        store: store.clone(),
        listed: Vec::new(),
        trouble: None,
    };
    let watched = watcher(api, watcher::Config::default()).backoff(Waits::new()).map(Seen::Watch);
    let hinted = hinted(shared.clone(), kind, store.clone(), hints).map(Seen::Hint);
    let queue = stream::select(watched, hinted)
        .flat_map(move |seen| stream::iter(gate.see(seen)))
        .map(Ok::<_, Infallible>)
        .take_until(stop.clone());
    let status = shared.status.clone();
    // kube reads 0 as "no bound".
    let config = kube::runtime::Config::default().concurrency(concurrency.max(1));
    // kube's queue does not end before the first list is complete, which may be never.
    let listed = store.clone();
    let idle = async move {
        stop.await;
        if listed.wait_until_ready().now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    };
    let looks = applier(
        move |run: Arc<Run>, shared: Arc<Shared<T, D>>| {
            let key = ObjectRef::from_obj_with(&*run, kind);
            async move { shared.reconcile(&key, &run).await }.boxed()
        },
        move |run, failure: &Failure, shared| shared.after(&ObjectRef::from_obj_with(&*run, kind), failure),
        shared,
        store,
        queue,
        config,
    )
    // Failures are reported where the next look is scheduled.
    .for_each(|look| {
        if let Err(controller::Error::ObjectNotFound(gone)) = look {
            let namespace = gone.namespace.as_deref().unwrap_or_default();
            status.ledger.forget(&ObjectRef::new_with(&gone.name, kind).within(namespace), "");
        }
        ready(())
    });
    tokio::select! {
        () = looks => {}
        () = idle => {}
    }
}

/// The hinted runs that exist: anybody may send hints, so names alone never take up memory.
fn hinted<T, D, F>(
    shared: Arc<Shared<T, D>>,
    kind: RunKind,
    store: Store<Run>,
    hints: mpsc::Receiver<RunRef>,
) -> impl Stream<Item = ObjectRef<Run>> + Send + 'static
where
    T: Fn(RunKind, &Value) -> Vec<Transition> + Send + Sync + 'static,
    D: Fn(Attempt) -> F + Send + Sync + 'static,
    F: Future<Output = Delivered> + Send + 'static,
{
    stream::unfold(hints, |mut hints| async move { hints.recv().await.map(|hint| (hint, hints)) })
        .map(move |hint| {
            let (shared, store) = (shared.clone(), store.clone());
            async move {
                if matches!(&shared.scope, Scope::Namespace(namespace) if *namespace != hint.namespace) {
                    return None;
                }
                let key = ObjectRef::new_with(&hint.name, kind).within(&hint.namespace);
                let exists = store.get(&key).is_some() || matches!(shared.get(&key).await, Ok(Some(_)));
                exists.then_some(key)
            }
        })
        .buffer_unordered(SEARCHES)
        .filter_map(ready)
}

// === impl Gate ===

impl<T, D> Gate<T, D>
where
    T: Fn(RunKind, &Value) -> Vec<Transition>,
{
    /// The names to look at now.
    fn see(&mut self, seen: Seen) -> Vec<ObjectRef<Run>> {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let event = match seen {
            Seen::Watch(Ok(event)) => event,
            Seen::Watch(Err(error)) => {
                self.report(&error);
                return Vec::new();
            }
            Seen::Hint(key) => {
                // Somebody may know more than the watch has said.
                let known = self.store.get(&key).map(|run| run.to_be_asked());
                let run = known
                    .unwrap_or_else(|| Run::named(key.namespace.as_deref().unwrap_or_default(), &key.name));
                self.writer.apply_watcher_event(&Apply(run));
                return vec![key];
            }
        };
        match event {
            Init => {
                if self.shared.status.state(self.kind) == WatchState::Synced {
                    self.shared.status.count_relist();
                }
                self.listed.clear();
                self.writer.apply_watcher_event(&Init);
                Vec::new()
            }
            InitApply(run) => {
                let (due, lives) = self.due(&run);
                // A look asks for it, since the list may be old by then.
                let kept = if due.is_some() || lives { run.lean() } else { run.slim() };
                self.listed.extend(due);
                self.writer.apply_watcher_event(&InitApply(kept));
                Vec::new()
            }
            InitDone => {
                let before = self.store.state();
                self.writer.apply_watcher_event(&InitDone);
                let (kind, store) = (self.kind, self.store.clone());
                for run in before.iter().filter(|run| !run.object.is_null()) {
                    let now = store.get(&ObjectRef::from_obj_with(&**run, kind));
                    if now.is_none_or(|now| now.uid() != run.uid()) {
                        self.shared.depart(kind, Run::clone(run), true, None);
                    }
                }
                let status = &self.shared.status;
                status.ledger.retain(|key| key.dyntype != kind || store.get(key).is_some());
                status.set_state(kind, WatchState::Synced);
                if self.trouble.take().is_some() {
                    info!(kind = kind.as_str(), "watching again");
                }
                std::mem::take(&mut self.listed)
            }
            Apply(run) => {
                self.shared.status.reached.see(self.kind, run.metadata.resource_version.as_ref());
                let (due, lives) = self.due(&run);
                let kept = match &due {
                    Some(_) => run,
                    None if lives => run.lean(),
                    None => run.slim(),
                };
                self.writer.apply_watcher_event(&Apply(kept));
                due.into_iter().collect()
            }
            Delete(run) => {
                self.writer.apply_watcher_event(&Delete(run.slim()));
                let version = run.metadata.resource_version.clone();
                self.shared.depart(self.kind, run, false, None);
                self.shared.status.reached.see(self.kind, version.as_ref());
                Vec::new()
            }
        }
    }

    /// The run's name if something about it is due, and whether more will be. Only the annotation counts here: where it
    /// lacks what the ledger knows, it was reverted, and the look mends it.
    fn due(&self, run: &Run) -> (Option<ObjectRef<Run>>, bool) {
        let key = ObjectRef::from_obj_with(run, self.kind);
        let reached = (self.shared.transitions)(self.kind, &run.object);
        let lives = !reached.iter().any(|transition| transition.name == FINISHED);
        let ledger = &self.shared.status.ledger;
        if emitted::due(reached, &emitted::read(run).sent).is_empty() {
            ledger.settled(&key);
            return (None, lives);
        }
        ledger.waiting(&key, run.uid(), Instant::now());
        (Some(key), lives)
    }

    fn report(&mut self, error: &watcher::Error) {
        let code = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status))
            | watcher::Error::WatchError(status) => status.code,
            _ => 0,
        };
        let trouble = match code {
            404 => Trouble::Absent,
            403 => Trouble::Forbidden,
            _ => Trouble::Other,
        };
        if trouble == Trouble::Absent {
            self.shared.status.set_state(self.kind, WatchState::Absent);
        }
        let kind = self.kind;
        let name = kind.as_str();
        if self.trouble.replace(trouble) == Some(trouble) {
            debug!(kind = name, "still not watching: {error}");
            return;
        }
        match trouble {
            Trouble::Absent => warn!(
                kind = name,
                "the cluster does not serve `{}` {name}: is Tekton Pipelines installed? trying again",
                kind.api_version()
            ),
            Trouble::Forbidden => warn!(
                kind = name,
                "not allowed to list and watch `{}.tekton.dev`: grant get, list, watch and patch; trying again",
                kind.plural()
            ),
            // A watch that ends or is too old is daily business; kube lists again.
            Trouble::Other if code == 410 => debug!(kind = name, "listing again: {error}"),
            Trouble::Other => warn!(kind = name, "watch interrupted, trying again: {error}"),
        }
    }
}
