//! One leader among the replicas, by a Lease of `coordination.k8s.io/v1`, so that replicas share work that one can do.
//!
//! The rules are in [`candidate`]; here is the API server around them. A candidate reads the Lease every
//! [`Timing::retry_period`], and a watch of that one object makes it look at once when the holder changes: so a Lease
//! that was released is taken within milliseconds and a stolen one is noticed, and where the watch is forbidden or
//! silent, only time is lost. What the watch says is never taken for the state.
//!
//! The crates `kube-leader-election` and `kube-lease-manager` compare `renewTime` with the local clock, which this must
//! not.

pub mod candidate;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{ObjectMeta, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::CALL_TIMEOUT;
use crate::event::annotation::{DELETED_RUNS, MANAGER, WATCHED};
pub use candidate::Timing;
use candidate::{Candidate, Plan};

/// The annotations of the Lease by which one leader tells the next.
const NOTED: [&str; 2] = [DELETED_RUNS, WATCHED];
/// How much sooner than else a leader tries again whose renewal failed: nine failures of ten must not end its time.
const FASTER: u32 = 4;
/// The pause between two tries to give the Lease back.
const GIVE_BACK_PAUSE: Duration = Duration::from_millis(100);
/// Conflicts in a row before the pace of failures is taken: something other than a competitor is at work.
const MAX_CONFLICTS: u32 = 3;
/// The pause before a watch that ended in good order is opened again.
const REOPEN: Duration = Duration::from_millis(20);
/// The longest pause before the Lease is watched again after a failure.
const REWATCH: Duration = Duration::from_secs(2);
/// How often an outage is reported again.
const REMIND: Duration = Duration::from_mins(1);

/// A Lease, and how it is held.
#[derive(Clone, Debug)]
pub struct Election {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name: replicas of one installation share it.
    pub name: String,
    /// The times.
    pub timing: Timing,
}

/// What a candidate knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Whether this process leads.
    pub leads: bool,
    /// Who is in the Lease; `None` when nobody is, or nothing is known.
    pub leader: Option<String>,
    /// How often this process began or ceased to lead.
    pub transitions: u64,
    /// Whether the API server has ever answered, even if only with a refusal.
    pub answered: bool,
    /// Why the Lease cannot be read or written, if it cannot.
    pub trouble: Option<String>,
    /// What was noted on the Lease when this process began to lead.
    pub inherited: BTreeMap<String, String>,
}

/// Gives what the next leader should know if this one ends without a word, as the annotations `DELETED_RUNS` and `WATCHED` of the
/// Lease; `None` while those that are there have to stay.
pub type Notes = Arc<dyn Fn() -> Option<BTreeMap<String, String>> + Send + Sync>;

/// A candidate at work.
pub struct Elector {
    api: Api<Lease>,
    election: Election,
    candidate: Candidate,
    state: watch::Sender<State>,
    conflicts: u32,
    /// Whether a write may have been done whose answer did not come.
    unsure: bool,
    leaving: bool,
    reported: Option<Instant>,
    notes: Option<Notes>,
}

/// Why a call did not succeed.
enum Failure {
    /// Somebody else was faster.
    Conflict,
    /// There is no such object, kind or namespace.
    Missing(String),
    /// The API server will not do it until somebody grants or installs something.
    Refused(String),
    /// It may work later.
    Transient(String),
}

// === impl Elector ===

impl Elector {
    /// A candidate whose name begins with that of the pod.
    pub fn new(client: Client, election: Election) -> Self {
        let host = std::env::var("HOSTNAME").ok().filter(|host| !host.is_empty());
        let suffix = uuid::Uuid::new_v4().simple().to_string();
        let identity = format!("{}_{}", host.as_deref().unwrap_or("pipewright"), &suffix[..8]);
        Self {
            api: Api::namespaced(client, &election.namespace),
            candidate: Candidate::new(identity, election.timing),
            election,
            state: watch::Sender::default(),
            conflicts: 0,
            unsure: false,
            leaving: false,
            reported: None,
            notes: None,
        }
    }

    /// Writes notes into the Lease with each renewal.
    #[must_use]
    pub fn noting(mut self, notes: Notes) -> Self {
        self.notes = Some(notes);
        self
    }

    /// What is known, now and later.
    pub fn state(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Takes part until `leave` resolves, and then gives the Lease back. Whoever leads must have stopped its work before.
    pub async fn run(mut self, leave: impl Future<Output = ()>) {
        let wake = Notify::new();
        let listen = listen(self.api.clone(), self.election.clone(), &wake);
        tokio::select! {
            () = leave => {}
            () = self.take_part(&wake) => {}
            () = listen => {}
        }
        self.give_back().await;
    }

    async fn take_part(&mut self, wake: &Notify) {
        let retry = self.election.timing.retry_period;
        loop {
            let now = Instant::now();
            self.publish(now);
            let result = match self.candidate.plan(now, Timestamp::now()) {
                Plan::Look => self.look().await,
                Plan::Write(spec) => match self.write(spec, self.patience(now)).await {
                    Ok((lease, inherited)) => {
                        if let Some(inherited) = inherited {
                            self.state.send_modify(|state| state.inherited = inherited);
                        }
                        let answered = Instant::now();
                        self.candidate.written(lease, now, answered);
                        self.publish(answered);
                        self.succeeded();
                        self.rest(now + retry, wake).await;
                        Ok(())
                    }
                    Err(failure) => Err(failure),
                },
                Plan::Wait(until) => {
                    self.rest(until.min(now + retry), wake).await;
                    Ok(())
                }
            };
            match result {
                Ok(()) => {}
                Err(Failure::Conflict) if self.conflicts < MAX_CONFLICTS => {
                    self.conflicts += 1;
                    self.candidate.refused();
                }
                // A leader's next write carries the same version: if this one was done after all, it is told so.
                Err(failure @ Failure::Transient(_))
                    if self.candidate.leads_until(Instant::now()).is_some() =>
                {
                    self.failed(failure);
                    self.rest(Instant::now() + retry / FASTER, wake).await;
                }
                Err(failure) => {
                    self.candidate.refused();
                    self.failed(failure);
                    self.rest(Instant::now() + retry, wake).await;
                }
            }
        }
    }

    /// Waits until `until`, a change of the holder, or the end of the leadership. Only a leader that nobody woke knows
    /// the Lease well enough to write without a look.
    async fn rest(&mut self, until: Instant, wake: &Notify) {
        let now = Instant::now();
        self.publish(now);
        let leads_until = self.candidate.leads_until(now);
        let until = leads_until.map_or(until, |end| until.min(end));
        let woken = timeout(until.saturating_duration_since(now), wake.notified()).await.is_ok();
        let expired = matches!(self.candidate.plan(Instant::now(), Timestamp::now()), Plan::Write(_));
        if woken || (leads_until.is_none() && !expired) {
            self.candidate.refused();
        }
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let lease = call(self.patience(Instant::now()), self.api.get_opt(&self.election.name)).await?;
        let now = Instant::now();
        self.candidate.observe(lease, now);
        self.publish(now);
        // What a missing Lease means, a write has to tell.
        if self.candidate.lease().is_some() && !self.candidate.holds() {
            self.succeeded();
        }
        Ok(())
    }

    /// How long a call may take: not beyond the end of the leadership, so that the end is noticed in time.
    fn patience(&self, now: Instant) -> Duration {
        let most = CALL_TIMEOUT.min(self.election.timing.renew_deadline);
        match self.candidate.leads_until(now) {
            Some(until) => most.min(until.saturating_duration_since(now)),
            None => most,
        }
    }

    /// Writes the Lease; gives it back as it is then, and what was noted on it when this process begins to lead. That
    /// stays there until this process has notes of its own.
    async fn write(
        &mut self,
        spec: LeaseSpec,
        patience: Duration,
    ) -> Result<(Lease, Option<BTreeMap<String, String>>), Failure> {
        self.unsure = true;
        let begins = self.candidate.leads_until(Instant::now()).is_none() && !self.leaving;
        let notes = self.notes.as_ref().filter(|_| !begins).and_then(|notes| notes());
        let mut inherited = begins.then(BTreeMap::new);
        let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let written = if let Some(seen) = self.candidate.lease() {
            // The resourceVersion of what was seen goes along: 409 when somebody wrote since.
            let mut lease = Lease { spec: Some(spec), ..seen.clone() };
            let annotations = lease.metadata.annotations.get_or_insert_default();
            if let Some(inherited) = &mut inherited {
                let found = annotations.iter().filter(|(name, _)| NOTED.contains(&name.as_str()));
                inherited.extend(found.map(|(name, text)| (name.clone(), text.clone())));
            }
            if let Some(notes) = notes {
                annotations.retain(|name, _| !NOTED.contains(&name.as_str()));
                annotations.extend(notes);
            }
            call(patience, self.api.replace(&self.election.name, &params, &lease)).await
        } else {
            let name = Some(self.election.name.clone());
            let metadata = ObjectMeta { name, ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec) };
            call(patience, self.api.create(&params, &lease)).await
        };
        self.unsure = matches!(written, Err(Failure::Transient(_)));
        written.map(|lease| (lease, inherited)).map_err(|failure| match failure {
            // A PUT of what is gone. A POST that is told so lacks its namespace or its kind.
            Failure::Missing(_) if self.candidate.lease().is_some() => Failure::Conflict,
            other => other,
        })
    }

    /// Releases the Lease if it is ours, so that nobody has to wait for its end.
    async fn give_back(&mut self) {
        self.leaving = true;
        let until = Instant::now() + CALL_TIMEOUT;
        // Whether it is ours is not known for certain after a write without an answer.
        let mut look = self.unsure;
        let mut trouble = "there was no time".to_owned();
        while Instant::now() < until {
            let result = if look { self.look().await } else { self.release(until).await };
            match result {
                Ok(()) if look => look = false,
                Ok(()) => return,
                Err(Failure::Conflict) => look = true,
                Err(Failure::Transient(reason)) => {
                    trouble = reason;
                    look = true;
                    tokio::time::sleep(GIVE_BACK_PAUSE).await;
                }
                Err(Failure::Missing(reason) | Failure::Refused(reason)) => {
                    trouble = reason;
                    break;
                }
            }
        }
        tracing::warn!("the Lease is not released and has to expire: {trouble}");
    }

    async fn release(&mut self, until: Instant) -> Result<(), Failure> {
        let spec = self.candidate.release(Timestamp::now());
        self.publish(Instant::now());
        let Some(spec) = spec else { return Ok(()) };
        self.write(spec, until.saturating_duration_since(Instant::now())).await?;
        tracing::info!(lease = self.election.name, "the Lease is released");
        self.state.send_modify(|state| state.leader = None);
        Ok(())
    }

    fn succeeded(&mut self) {
        self.conflicts = 0;
        if self.reported.take().is_some() {
            tracing::info!(lease = self.election.name, "the Lease can be used again");
        }
        self.state.send_if_modified(|state| {
            let changed = state.trouble.is_some() || !state.answered;
            state.trouble = None;
            state.answered = true;
            changed
        });
    }

    fn failed(&mut self, failure: Failure) {
        let Election { namespace, name, .. } = &self.election;
        let (refused, reason) = match failure {
            Failure::Conflict => {
                (false, format!("the Lease `{namespace}/{name}` changes at every try to write it"))
            }
            Failure::Transient(reason) => {
                (false, format!("the Lease `{namespace}/{name}` cannot be used: {reason}"))
            }
            Failure::Missing(reason) | Failure::Refused(reason) => (
                true,
                format!(
                    "the Lease `{namespace}/{name}` cannot be used, and without it no events of runs are sent: \
                     {reason}; grant get, create, update and watch on `leases` of `coordination.k8s.io`, or set \
                     `leaderElection.enabled: false`"
                ),
            ),
        };
        if self.reported.is_none_or(|at| at.elapsed() >= REMIND) {
            self.reported = Some(Instant::now());
            if refused {
                tracing::error!("{reason}; trying again");
            } else {
                tracing::warn!("{reason}; trying again");
            }
        }
        self.state.send_modify(|state| {
            state.answered |= refused;
            state.trouble = Some(reason);
        });
    }

    fn publish(&self, now: Instant) {
        let leads = self.candidate.leads_until(now).is_some();
        let leader = self.candidate.holder();
        let identity = self.candidate.identity();
        self.state.send_if_modified(|state| {
            let mut changed = state.leads != leads;
            if changed {
                state.leads = leads;
                state.transitions += 1;
                if leads {
                    tracing::info!(identity, "leading: watching runs");
                } else if !self.leaving {
                    tracing::warn!(identity, leader, "no longer leading: runs are not watched");
                }
            }
            if state.leader.as_deref() != leader {
                state.leader = leader.map(str::to_owned);
                changed = true;
            }
            changed
        });
    }
}

impl std::fmt::Debug for Elector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elector").field("election", &self.election).finish_non_exhaustive()
    }
}

async fn call<V>(patience: Duration, request: impl Future<Output = kube::Result<V>>) -> Result<V, Failure> {
    match timeout(patience, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(kube::Error::Api(status))) => {
            let reason = format!("{} {}", status.code, status.message);
            Err(match status.code {
                404 => Failure::Missing(reason),
                409 => Failure::Conflict,
                // Credentials are rotated.
                401 | 408 | 425 | 429 | 500.. => Failure::Transient(reason),
                _ => Failure::Refused(reason),
            })
        }
        Ok(Err(error)) => Err(Failure::Transient(error.to_string())),
        Err(_) => Err(Failure::Transient(format!("no answer within {patience:?}"))),
    }
}

/// Wakes the candidate when the holder changes.
async fn listen(api: Api<Lease>, election: Election, wake: &Notify) {
    let params = WatchParams::default().fields(&format!("metadata.name={}", election.name));
    let mut last: Option<Option<String>> = None;
    let mut warned = false;
    loop {
        // Without a version, the watch begins with the Lease as it is.
        let ended = async {
            let mut events = pin!(api.watch(&params, "").await?.fuse());
            while let Some(event) = events.try_next().await? {
                let holder = match event {
                    WatchEvent::Added(lease) | WatchEvent::Modified(lease) => {
                        lease.spec.and_then(|spec| spec.holder_identity)
                    }
                    WatchEvent::Deleted(_) => None,
                    WatchEvent::Bookmark(_) => continue,
                    WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
                };
                if last.as_ref() != Some(&holder) {
                    last = Some(holder);
                    wake.notify_one();
                }
            }
            Ok(())
        };
        let pause = match ended.await {
            // A watch ends now and then; without one a released Lease is noticed late.
            Ok(()) => REOPEN,
            Err(error) => {
                let forbidden = matches!(&error, kube::Error::Api(status) if status.code == 403);
                if forbidden && !warned {
                    warned = true;
                    tracing::warn!(
                        "the Lease is not watched, so that another leader is noticed late: {error}; grant watch on \
                         `leases` of `coordination.k8s.io`"
                    );
                } else {
                    tracing::debug!("the Lease is not watched: {error}");
                }
                REWATCH
            }
        };
        tokio::time::sleep(election.timing.retry_period.min(pause)).await;
    }
}
