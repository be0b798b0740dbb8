//! One look at one run: deliver what is due, then mark it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBuilder};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client};
use serde_json::Value;
use tracing::{debug, warn};

use super::emitted::Marks;
use super::run::Run;
use super::status::Status;
use super::{Attempt, Delivered, Hints, Scope, emitted};
use crate::event::annotation::MANAGER;
use crate::event::fault::Fault;
use crate::vocabulary::tekton::{RunKind, Transition};

/// The longest that one call to the API server may take.
const CALL: Duration = Duration::from_secs(10);
/// The waits after failures start here, double, and are jittered upwards by up to their own length …
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// … to here.
const MAX_WAIT: Duration = Duration::from_mins(1);
/// A receiver that asks for more patience than this is asked again anyway.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// What every look needs.
pub(super) struct Shared<T, D> {
    pub(super) client: Client,
    pub(super) scope: Scope,
    pub(super) transitions: T,
    pub(super) deliver: D,
    pub(super) status: Arc<Status>,
    pub(super) hints: Hints,
}

/// Why a look has to be repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the API server cannot be read: {0}")]
    Read(String),
    #[error("not delivered: {0}")]
    Deliver(#[source] Fault),
    #[error("delivered but not marked: {0}")]
    Mark(String),
}

// === impl Shared ===

impl<T, D, F> Shared<T, D>
where
    T: Fn(RunKind, &Value) -> Vec<Transition> + Send + Sync + 'static,
    D: Fn(Attempt) -> F + Send + Sync + 'static,
    F: Future<Output = Delivered> + Send + 'static,
{
    /// Delivers what is due of the run and marks what was delivered.
    ///
    /// `seen` is what the watch said last. A list, a hint and a retry ask the API server instead: they are only worth
    /// something with the newest state.
    pub(super) async fn reconcile(&self, key: &ObjectRef<Run>, seen: &Run) -> Result<Action, Failure> {
        let ledger = &self.status.ledger;
        let asked;
        let run = if seen.is_whole && ledger.failures(key) == 0 {
            seen
        } else {
            asked = self.get(key).await.map_err(Failure::Read)?;
            // The watch is about to say that it is gone, and brings its last state.
            let Some(run) = &asked else { return Ok(Action::await_change()) };
            run
        };
        let _turn = self.status.turns.take(run.uid()).await;
        let delivered = self.deliver_due(key, run).await;
        let marked = emitted::read(run);
        let mut marks = marked.clone();
        marks.merge(&ledger.marks(key, run.uid()));
        if marks != marked {
            self.mark(key, run.uid(), &marks).await?;
        }
        delivered?;
        ledger.settled(key);
        Ok(Action::await_change())
    }

    /// Delivers what is due of a state of the run, oldest first. A sink that has not taken an event gets no later one of
    /// the run; the other sinks do.
    pub(super) async fn deliver_due(&self, key: &ObjectRef<Run>, run: &Run) -> Result<(), Failure> {
        let (ledger, uid) = (&self.status.ledger, run.uid());
        let mut marks = emitted::read(run);
        marks.merge(&ledger.marks(key, uid));
        let mut failure = None;
        let mut behind = BTreeSet::new();
        let reached = (self.transitions)(key.dyntype, &run.object);
        for Transition { name, event } in emitted::due(reached, &marks.sent) {
            ledger.waiting(key, uid, Instant::now());
            let done = marks.part.get(&*name).cloned().unwrap_or_default();
            let delivered = (self.deliver)(Attempt { event, done, behind: behind.clone() }).await;
            for refusal in &delivered.refused {
                ledger.record_refusal(key, uid, &format!("{name}: {refusal}"));
            }
            match delivered.fault {
                None => {
                    ledger.record(key, uid, &name);
                    self.status.count_delivered();
                }
                Some(fault) => {
                    ledger.record_part(key, uid, &name, &delivered.done);
                    behind.extend(delivered.behind);
                    failure.get_or_insert(Failure::Deliver(fault));
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// When to look again after a failure.
    pub(super) fn after(&self, key: &ObjectRef<Run>, failure: &Failure) -> Action {
        self.status.count_failure();
        if let Failure::Read(_) | Failure::Mark(_) = failure {
            self.status.count_failed_call();
        }
        let failures = self.status.ledger.failed(key, failure.to_string());
        report(key, failures, failure);
        Action::requeue(wait(failures, failure))
    }

    /// The run as the API server has it now.
    pub(super) async fn get(&self, key: &ObjectRef<Run>) -> Result<Option<Run>, String> {
        call(async {
            match self.api(key).get(&key.name).await {
                Err(kube::Error::Api(status)) if is_gone(&status, &key.name) => Ok(None),
                other => other.map(Some),
            }
        })
        .await
    }

    async fn mark(&self, key: &ObjectRef<Run>, uid: &str, marks: &Marks) -> Result<(), Failure> {
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(emitted::patch(uid, marks));
        let api = self.api(key);
        let patched = call(async {
            match api.patch(&key.name, &params, &patch).await {
                Err(kube::Error::Api(status)) if is_gone(&status, &key.name) => Ok(None),
                other => other.map(Some),
            }
        });
        // A refusal because of the uid (409 or 422) means another object of the name: the next look sees it.
        // What was announced of a run that is gone stays in the ledger until the watch says so.
        patched.await.map(drop).map_err(Failure::Mark)
    }

    fn api(&self, key: &ObjectRef<Run>) -> Api<Run> {
        Api::namespaced_with(self.client.clone(), key.namespace.as_deref().unwrap_or_default(), &key.dyntype)
    }
}

/// Logs a failure, once in full voice: an outage of the sink concerns every run.
pub(super) fn report(key: &ObjectRef<Run>, failures: u32, failure: &Failure) {
    let (kind, namespace) = (key.dyntype.as_str(), key.namespace.as_deref().unwrap_or_default());
    if failures == 1 {
        warn!(kind, namespace, name = key.name, "{failure}; trying again");
    } else {
        debug!(kind, namespace, name = key.name, failures, "{failure}; trying again");
    }
}

/// Whether it is this object that is not there: an API server that has just started knows no custom resources for a
/// while, and answers 404 to every path of theirs.
fn is_gone(status: &kube::core::Status, name: &str) -> bool {
    status.is_not_found() && status.details.as_ref().is_some_and(|details| details.name == name)
}

async fn call<V>(request: impl Future<Output = kube::Result<V>>) -> Result<V, String> {
    match tokio::time::timeout(CALL, request).await {
        Ok(answer) => answer.map_err(|error| match error {
            kube::Error::Api(status) => format!("{} {}", status.code, status.message),
            other => other.to_string(),
        }),
        Err(_) => Err(format!("no answer within {} s", CALL.as_secs())),
    }
}

/// How long to wait after this many failures in a row.
pub(super) fn wait(failures: u32, failure: &Failure) -> Duration {
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(MAX_WAIT)
        .with_jitter()
        .without_max_times()
        .build();
    // Seven doublings reach the maximum.
    let doublings = failures.saturating_sub(1).min(7) as usize;
    let wait = waits.nth(doublings).unwrap_or(MAX_WAIT);
    match failure {
        Failure::Deliver(fault) => wait.max(fault.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER)),
        Failure::Read(_) | Failure::Mark(_) => wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let failure = Failure::Read(String::new());
        for (failures, least, most) in [
            (1, 500, 1_000),
            (2, 1_000, 2_000),
            (4, 4_000, 8_000),
            (8, 60_000, 120_000),
            (u32::MAX, 60_000, 120_000),
        ] {
            for _ in 0..50 {
                let wait = wait(failures, &failure).as_millis();
                assert!((least..=most).contains(&wait), "{failures}: {wait}");
            }
        }
    }

    #[test]
    fn a_receiver_may_ask_for_patience_but_not_for_ever() {
        let asks = |seconds| {
            let after = Some(Duration::from_secs(seconds));
            wait(1, &Failure::Deliver(Fault::transient("", after)))
        };
        assert_eq!(asks(30), Duration::from_secs(30));
        assert_eq!(asks(u64::MAX), MAX_RETRY_AFTER);
        assert!(asks(0) >= FIRST_WAIT);
    }
}
