//! What the watch tells telemetry and the readiness route.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tracing::{error, warn};

use super::departed::{Departed, Turns};
use super::ledger::{Ledger, Stuck};
use super::missed::{Missed, lost};
use super::reached::Reached;
use crate::event::annotation::{DELETED_RUNS, WATCHED};
use crate::vocabulary::tekton::RunKind;

/// How many deleted runs a note names.
const NOTED: usize = 20;

/// Counters since the start, and the state of each kind's watch.
#[derive(Debug)]
pub struct Status {
    kinds: Vec<(RunKind, AtomicU8)>,
    delivered: AtomicU64,
    failures: AtomicU64,
    failed_calls: AtomicU64,
    relists: AtomicU64,
    lost: AtomicU64,
    pub(super) ledger: Ledger,
    pub(super) departed: Departed,
    pub(super) reached: Reached,
    pub(super) turns: Turns,
}

/// How far the watch of a kind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchState {
    /// Not listed yet.
    Starting,
    /// The cluster does not serve the kind.
    Absent,
    /// Listed at least once.
    Synced,
}

// === impl Status ===

impl Status {
    pub(super) fn new(kinds: &[RunKind]) -> Self {
        Self {
            kinds: kinds.iter().map(|kind| (*kind, AtomicU8::new(0))).collect(),
            delivered: AtomicU64::default(),
            failures: AtomicU64::default(),
            failed_calls: AtomicU64::default(),
            relists: AtomicU64::default(),
            lost: AtomicU64::default(),
            ledger: Ledger::default(),
            departed: Departed::default(),
            reached: Reached::default(),
            turns: Turns::default(),
        }
    }

    /// Events delivered.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Deliveries and marks that failed and are tried again.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Runs that the API server did not give, or whose mark it did not take; each is tried again.
    pub fn failed_calls(&self) -> u64 {
        self.failed_calls.load(Ordering::Relaxed)
    }

    /// Lists after the first, which follow a gap in the watch.
    pub fn relists(&self) -> u64 {
        self.relists.load(Ordering::Relaxed)
    }

    /// Deleted runs of which something due will never be told.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Deleted runs that are kept until what is due of them is told.
    pub fn departed(&self) -> usize {
        self.departed.number()
    }

    /// What the next leader should know if this one ends without a word, as annotations: how far the watch is, how many
    /// deleted runs are still to be told, and the first of them by name. `None` while what is noted has to stay.
    pub fn notes(&self) -> Option<BTreeMap<String, String>> {
        let mut notes = BTreeMap::from([(WATCHED.to_owned(), self.reached.note()?)]);
        let mut names = self.ledger.departed();
        names.extend(self.reached.left());
        names.sort_unstable();
        if !names.is_empty() {
            let shown = names.iter().take(NOTED).map(String::as_str).collect::<Vec<_>>().join(", ");
            notes.insert(DELETED_RUNS.to_owned(), format!("{} {shown}", names.len()));
        }
        Some(notes)
    }

    /// Counts what the leader before had noted as kept, did not live to tell, and was not found again.
    pub(super) fn inherit(&self, note: &str, missed: &[Missed]) {
        let (number, names) = lost(note, missed);
        if number > 0 {
            self.count_lost(number);
            error!(
                number,
                names, "transitions of deleted runs are lost: the leader before ended without telling them"
            );
        }
    }

    /// The run whose oldest due event has been waiting for the longest; `None` when nothing is due.
    pub fn stuck(&self) -> Option<Stuck> {
        self.ledger.oldest(Instant::now())
    }

    /// For how long the oldest due event has been waiting; `None` when nothing is due.
    pub fn oldest_undelivered(&self) -> Option<Duration> {
        self.stuck().map(|stuck| stuck.age)
    }

    /// Whether every kind has been listed, or is known not to exist: a cluster without Tekton makes no one wait.
    pub fn synced(&self) -> bool {
        self.kinds.iter().all(|(kind, _)| self.state(*kind) != WatchState::Starting)
    }

    /// How far the watch of a kind is.
    pub fn state(&self, kind: RunKind) -> WatchState {
        let state =
            self.kinds.iter().find(|(it, _)| *it == kind).map(|(_, state)| state.load(Ordering::Relaxed));
        match state {
            Some(2) => WatchState::Synced,
            Some(1) => WatchState::Absent,
            _ => WatchState::Starting,
        }
    }

    pub(super) fn set_state(&self, kind: RunKind, state: WatchState) {
        let number = match state {
            WatchState::Starting => 0,
            WatchState::Absent => 1,
            WatchState::Synced => 2,
        };
        if let Some((_, it)) = self.kinds.iter().find(|(it, _)| *it == kind) {
            it.store(number, Ordering::Relaxed);
        }
    }

    /// Nobody watches any more: nothing is known to be due, and the next watch has to list.
    pub(super) fn rest(&self) {
        for (_, state) in &self.kinds {
            state.store(0, Ordering::Relaxed);
        }
        self.ledger.rest();
        let left = self.reached.left();
        if !left.is_empty() {
            let names = left.iter().take(NOTED).map(String::as_str).collect::<Vec<_>>().join(", ");
            warn!(
                number = left.len(),
                names, "deleted runs are left to the next leader, since a sink did not take them"
            );
        }
    }

    pub(super) fn count_delivered(&self) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failed_call(&self) {
        self.failed_calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_relist(&self) {
        self.relists.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_lost(&self, runs: u64) {
        self.lost.fetch_add(runs, Ordering::Relaxed);
    }
}
