//! What this process knows of runs beyond their annotations: small, bounded by the runs that live, and dispensable.
//!
//! Without it everything would still be delivered. With it an event is not repeated only because its mark was refused,
//! has not come back through the watch yet, or was reverted by Tekton, which at the end of a reconcile may write older
//! annotations over ours.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use super::emitted;
use super::run::Run;

type Key = ObjectRef<Run>;

/// The notes, by run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: Mutex<HashMap<Key, Entry>>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Which object of the name this is about.
    uid: String,
    announced: Vec<String>,
    waiting_since: Option<Instant>,
    failures: u32,
}

// === impl Ledger ===

impl Ledger {
    /// What this process announced of the object with this `uid`.
    pub(super) fn announced(&self, key: &Key, uid: &str) -> Vec<String> {
        let entries = self.entries();
        entries
            .get(key)
            .filter(|entry| entry.uid == uid)
            .map(|entry| entry.announced.clone())
            .unwrap_or_default()
    }

    pub(super) fn record(&self, key: &Key, uid: &str, name: &str) {
        let mut entries = self.entries();
        emitted::add(&mut Self::of(&mut entries, key, uid).announced, name);
    }

    /// Something is due since now, unless it has been for longer.
    pub(super) fn waiting(&self, key: &Key, uid: &str, now: Instant) {
        let mut entries = self.entries();
        Self::of(&mut entries, key, uid).waiting_since.get_or_insert(now);
    }

    /// Nothing is due.
    pub(super) fn settled(&self, key: &Key) {
        if let Some(entry) = self.entries().get_mut(key) {
            entry.waiting_since = None;
            entry.failures = 0;
        }
    }

    /// Counts a failure and says how many there were in a row.
    pub(super) fn failed(&self, key: &Key) -> u32 {
        let mut entries = self.entries();
        let entry = entries.entry(key.clone()).or_default();
        entry.failures = entry.failures.saturating_add(1);
        entry.failures
    }

    /// How many failures there were in a row.
    pub(super) fn failures(&self, key: &Key) -> u32 {
        self.entries().get(key).map_or(0, |entry| entry.failures)
    }

    /// The object is gone. Says whether something was still due.
    pub(super) fn forget(&self, key: &Key) -> bool {
        self.entries().remove(key).is_some_and(|entry| entry.waiting_since.is_some())
    }

    /// Forgets the objects of one watch that `lives` does not know; counts those with something due.
    pub(super) fn retain(&self, lives: impl Fn(&Key) -> bool) -> u64 {
        let mut lost = 0;
        self.entries().retain(|key, entry| {
            let keep = lives(key);
            lost += u64::from(!keep && entry.waiting_since.is_some());
            keep
        });
        lost
    }

    /// Keeps only what was announced, which stays true whoever watches meanwhile.
    pub(super) fn rest(&self) {
        self.entries().retain(|_, entry| {
            entry.waiting_since = None;
            entry.failures = 0;
            !entry.announced.is_empty()
        });
    }

    /// For how long the oldest due event has been waiting.
    pub(super) fn oldest(&self, now: Instant) -> Option<Duration> {
        let entries = self.entries();
        let since = entries.values().filter_map(|entry| entry.waiting_since).min()?;
        Some(now.saturating_duration_since(since))
    }

    fn of<'a>(entries: &'a mut HashMap<Key, Entry>, key: &Key, uid: &str) -> &'a mut Entry {
        let entry = entries.entry(key.clone()).or_default();
        if entry.uid != uid {
            *entry = Entry { uid: uid.to_owned(), ..Entry::default() };
        }
        entry
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
