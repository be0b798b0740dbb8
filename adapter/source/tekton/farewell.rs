//! Delivers what is due of deleted runs.
//!
//! What does not fit among those that are kept is counted and named in the log. What is not told when this watch ends is left
//! to the next leader, which asks the API server for it; where replicas elect none it is counted.

use std::sync::Arc;
use std::time::Instant;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use tokio::sync::Semaphore;
use tracing::{error, info};

use super::departed::Gone;
use super::ledger::shown;
use super::reconcile::{Shared, report, wait};
use super::run::Run;
use super::{Attempt, Delivered, Status, emitted};
use crate::vocabulary::tekton::{RunKind, Transition, deleted};

/// How many of them are delivered at once.
const CONCURRENCY: usize = 64;

/// Leaves the run to the next leader, or counts it as lost, unless it was told.
struct Keeping<'a> {
    status: &'a Status,
    gone: Gone,
    is_told: bool,
}

/// Delivers what is due of deleted runs until `stop` resolves; then tries each once more.
pub(super) async fn tell<T, D, F>(
    shared: Arc<Shared<T, D>>,
    watching: impl Future<Output = ()>,
    stop: impl Future<Output = ()> + Clone,
) where
    T: Fn(RunKind, &Value) -> Vec<Transition> + Send + Sync + 'static,
    D: Fn(Attempt) -> F + Send + Sync + 'static,
    F: Future<Output = Delivered> + Send + 'static,
{
    let places = Semaphore::new(CONCURRENCY);
    let mut under_way = FuturesUnordered::new();
    let mut watching = std::pin::pin!(watching.fuse());
    let mut is_over = false;
    loop {
        let taken = std::mem::take(&mut *shared.status.departed.waiting());
        for gone in taken {
            let keeping = Keeping { status: &shared.status, gone, is_told: false };
            under_way.push(tell_one(&shared, keeping, &places, stop.clone()));
        }
        if is_over && under_way.is_empty() {
            break;
        }
        tokio::select! {
            () = shared.status.departed.wake.notified() => {}
            // Looks under way may still find that their run is gone.
            () = &mut watching, if !is_over => is_over = true,
            Some(()) = under_way.next() => {}
        }
    }
}

async fn tell_one<T, D, F>(
    shared: &Shared<T, D>,
    mut keeping: Keeping<'_>,
    places: &Semaphore,
    stop: impl Future<Output = ()>,
) where
    T: Fn(RunKind, &Value) -> Vec<Transition> + Send + Sync + 'static,
    D: Fn(Attempt) -> F + Send + Sync + 'static,
    F: Future<Output = Delivered> + Send + 'static,
{
    let mut stop = std::pin::pin!(stop.fuse());
    let mut is_last = false;
    let mut failures = 0;
    loop {
        let (key, run) = (&keeping.gone.key, &keeping.gone.run);
        let turn = shared.status.turns.take(run.uid()).await;
        let place = places.acquire().await;
        let told = shared.deliver_due(key, run).await;
        drop((place, turn));
        let Err(failure) = told else {
            keeping.is_told = true;
            if failures > 0 {
                let (kind, namespace) = (key.dyntype.as_str(), key.namespace.as_deref().unwrap_or_default());
                info!(kind, namespace, name = key.name, "the rest of a deleted run is told");
            }
            return;
        };
        failures += 1;
        shared.status.count_failure();
        shared.status.ledger.failed_departed(run.uid(), failure.to_string());
        report(key, failures, &failure);
        if is_last {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(wait(failures, &failure)) => {}
            () = &mut stop => is_last = true,
        }
    }
}

impl<T, D> Shared<T, D>
where
    T: Fn(RunKind, &Value) -> Vec<Transition>,
{
    /// Keeps the last state of a deleted run if something about it is due, and says whether it was. `unseen` says that it
    /// was found gone, `since` what came before its deletion, if that is not what the watch has brought last.
    pub(super) fn depart(&self, kind: RunKind, run: Run, unseen: bool, since: Option<&str>) -> bool {
        let key = ObjectRef::from_obj_with(&run, kind);
        let Shared { status, transitions, .. } = self;
        if !status.reached.is_news(run.uid()) {
            return false;
        }
        let object = deleted(run.object, kind, jiff::Timestamp::now(), unseen);
        let run = Run { object, is_whole: true, ..run };
        let mut marks = emitted::read(&run);
        marks.merge(&status.ledger.marks(&key, run.uid()));
        if emitted::due(transitions(kind, &run.object), &marks.sent).is_empty() {
            status.ledger.forget(&key, run.uid());
            return false;
        }
        status.ledger.depart(&key, run.uid(), Instant::now());
        let uid = run.uid().to_owned();
        if !status.departed.keep(key.clone(), run, || status.reached.pin(kind, since)) {
            status.ledger.bury(&uid);
            status.lose(&key, "more deleted runs wait for a sink than are kept");
        }
        true
    }
}

// === impl Keeping ===

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        let Self { status, gone, is_told } = self;
        status.departed.release(gone);
        status.ledger.bury(gone.run.uid());
        if !*is_told && status.reached.leave(&gone.pin, shown(&gone.key)) {
            return;
        }
        status.reached.release(&gone.pin);
        if !*is_told {
            status.lose(&gone.key, "the watch ended before a sink took what was due");
        }
    }
}

impl Status {
    /// Counts a run of which something will never be told, and names it.
    pub(super) fn lose(&self, key: &ObjectRef<Run>, reason: &str) {
        self.count_lost(1);
        let (kind, namespace) = (key.dyntype.as_str(), key.namespace.as_deref().unwrap_or_default());
        error!(kind, namespace, name = key.name, "transitions of a deleted run are lost: {reason}");
    }
}
