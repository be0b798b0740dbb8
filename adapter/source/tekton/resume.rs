//! What was deleted while nobody watched, or while a leader watched that did not live to tell of it: the API server is
//! asked for the changes since the version that the leader before has noted. A list cannot tell of what is gone.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::runtime::reflector::ObjectRef;
use serde_json::Value;
use tracing::{debug, warn};

use super::missed::Missed;
use super::reached::{Inherited, Start};
use super::reconcile::Shared;
use super::run::Run;
use super::status::WatchState;
use super::{Attempt, Delivered};
use crate::vocabulary::tekton::{RunKind, Transition};

/// For how many seconds changes are read in a row: those of the past come at once.
const READING: u32 = 3;
/// After so many the end may not have been that of the past.
const MANY: usize = 1000;
/// How often so many are read on from.
const MOST: usize = 100;
/// How often a failure is tried again in a row.
const TRIES: u32 = 30;
/// The pause before a try.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an answer may take to begin.
const ANSWER: Duration = Duration::from_secs(3);

/// Why the changes cannot be read.
enum Trouble {
    /// The API server does not have them, or does not give them.
    Gone(String),
    /// It may later.
    Transient(String),
}

impl<T, D, F> Shared<T, D>
where
    T: Fn(RunKind, &Value) -> Vec<Transition> + Send + Sync + 'static,
    D: Fn(Attempt) -> F + Send + Sync + 'static,
    F: Future<Output = Delivered> + Send + 'static,
{
    /// Notes from where on the watch that is about to begin sees everything.
    pub(super) async fn begin(&self, kind: RunKind) {
        let (api, params) = (self.scope.runs(self.client.clone(), kind), ListParams::default().limit(1));
        for _ in 0..3 {
            match tokio::time::timeout(ANSWER, api.list_metadata(&params)).await {
                Ok(Ok(list)) => {
                    return self.status.reached.see(kind, list.metadata.resource_version.as_ref());
                }
                Ok(Err(kube::Error::Api(status))) if matches!(status.code, 403 | 404) => return,
                _ => tokio::time::sleep(PAUSE / 10).await,
            }
        }
    }

    /// Keeps what was deleted since the leader before noted where it was, until the watch that has begun sees
    /// everything.
    pub(super) async fn make_up(self: Arc<Self>, kind: RunKind, inherited: &Inherited) -> Missed {
        let Some(Start { told, seen }) = inherited.start(kind) else { return Missed::default() };
        let api = self.scope.runs(self.client.clone(), kind);
        let mut missed = Missed::default();
        match self.read_from(&api, kind, told, &mut missed).await {
            Ok(()) => return missed,
            Err(reason) => {
                warn!(kind = kind.as_str(), "what was deleted before cannot be found out: {reason}");
            }
        }
        // What it kept is lost, and what came after its note need not be.
        if seen != told
            && let Err(reason) = self.read_from(&api, kind, seen, &mut Missed::default()).await
        {
            warn!(kind = kind.as_str(), "what was deleted lately cannot be found out: {reason}");
        }
        Missed::default()
    }

    async fn read_from(
        &self,
        api: &Api<Run>,
        kind: RunKind,
        start: &str,
        missed: &mut Missed,
    ) -> Result<(), String> {
        let mut cursor = start.to_owned();
        let (mut failures, mut readings) = (0, 0);
        loop {
            match self.read_on(api, kind, &mut cursor, missed).await {
                Ok(changes) => {
                    failures = 0;
                    readings += 1;
                    // Until the first list is complete, nobody else sees what is deleted.
                    let is_seen = self.status.state(kind) != WatchState::Starting;
                    if is_seen && (changes < MANY || readings >= MOST) {
                        return Ok(());
                    }
                }
                Err(Trouble::Gone(reason)) => return Err(reason),
                Err(Trouble::Transient(reason)) if failures >= TRIES => return Err(reason),
                Err(Trouble::Transient(reason)) => {
                    failures += 1;
                    debug!(kind = kind.as_str(), "changes are not read: {reason}; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Reads for a while; gives the number of changes.
    async fn read_on(
        &self,
        api: &Api<Run>,
        kind: RunKind,
        cursor: &mut String,
        missed: &mut Missed,
    ) -> Result<usize, Trouble> {
        let params = WatchParams::default().timeout(READING);
        let opened = tokio::time::timeout(ANSWER, api.watch(&params, cursor)).await;
        let opened = opened.map_err(|_| Trouble::Transient("no answer".to_owned()))?;
        let mut changes = std::pin::pin!(opened.map_err(Trouble::of)?);
        let end = Duration::from_secs(READING.into()) + ANSWER;
        let mut number = 0;
        loop {
            let change = tokio::time::timeout(end, changes.try_next()).await;
            let change = change.map_err(|_| Trouble::Transient("it is silent".to_owned()))?;
            match change.map_err(Trouble::of)? {
                None => return Ok(number),
                Some(WatchEvent::Error(status)) => return Err(Trouble::of(kube::Error::Api(status))),
                Some(WatchEvent::Bookmark(bookmark)) => *cursor = bookmark.metadata.resource_version,
                Some(WatchEvent::Added(run) | WatchEvent::Modified(run)) => {
                    number += 1;
                    advance(cursor, &run);
                }
                Some(WatchEvent::Deleted(run)) => {
                    number += 1;
                    let before = cursor.clone();
                    advance(cursor, &run);
                    let key = ObjectRef::from_obj_with(&run, kind);
                    if self.depart(kind, run, false, Some(&before)) {
                        missed.add(super::ledger::shown(&key));
                    }
                }
            }
        }
    }
}

fn advance(cursor: &mut String, run: &Run) {
    if let Some(version) = &run.metadata.resource_version {
        cursor.clone_from(version);
    }
}

// === impl Trouble ===

impl Trouble {
    fn of(error: kube::Error) -> Self {
        match error {
            // Credentials are rotated.
            kube::Error::Api(status) if !matches!(status.code, 401 | 408 | 429 | 500..) => {
                Self::Gone(format!("{} {}", status.code, status.message))
            }
            other => Self::Transient(other.to_string()),
        }
    }
}
