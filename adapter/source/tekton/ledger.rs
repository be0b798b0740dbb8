//! What this process knows of runs beyond their annotations: small, bounded by the runs that live, and dispensable.
//!
//! Without it everything would still be delivered. With it an event is not repeated only because its mark was refused,
//! has not come back through the watch yet, or was reverted by Tekton, which at the end of a reconcile may write older
//! annotations over ours.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::reflector::ObjectRef;

use super::emitted::Marks;
use super::run::Run;

type Key = ObjectRef<Run>;

/// The notes, by run.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    /// Of the run that has the name now.
    living: HashMap<Key, Entry>,
    /// Of runs that were deleted with something due, by their `uid`.
    departed: HashMap<String, (Key, Entry)>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Which object of the name this is about.
    uid: String,
    marks: Marks,
    waiting_since: Option<Instant>,
    failures: u32,
    /// Why the last look failed.
    trouble: String,
}

/// The run whose oldest due event has been waiting for the longest.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// For how long.
    pub age: Duration,
    /// Why the last look failed; empty when none did.
    pub trouble: String,
}

/// A run as a note names it.
pub(super) fn shown(key: &Key) -> String {
    let (kind, namespace) = (key.dyntype.as_str(), key.namespace.as_deref().unwrap_or_default());
    format!("{kind} {namespace}/{}", key.name)
}

// === impl Ledger ===

impl Ledger {
    /// What this process announced of the object with this `uid`.
    pub(super) fn marks(&self, key: &Key, uid: &str) -> Marks {
        let notes = self.notes();
        let living = notes.living.get(key).filter(|entry| entry.uid == uid);
        let entry = living.or_else(|| notes.departed.get(uid).map(|(_, entry)| entry));
        entry.map(|entry| entry.marks.clone()).unwrap_or_default()
    }

    /// The transition was taken by all that are to take it.
    pub(super) fn record(&self, key: &Key, uid: &str, name: &str) {
        self.notes().of(key, uid).marks.add(name);
    }

    /// Some took the transition, and others have not yet.
    pub(super) fn record_part(&self, key: &Key, uid: &str, name: &str, done: &BTreeSet<String>) {
        self.notes().of(key, uid).marks.add_part(name, done);
    }

    /// Somebody refused the transition for good.
    pub(super) fn record_refusal(&self, key: &Key, uid: &str, refusal: &str) {
        self.notes().of(key, uid).marks.add_refusal(refusal);
    }

    /// Something is due since now, unless it has been for longer.
    pub(super) fn waiting(&self, key: &Key, uid: &str, now: Instant) {
        self.notes().of(key, uid).waiting_since.get_or_insert(now);
    }

    /// Nothing is due.
    pub(super) fn settled(&self, key: &Key) {
        if let Some(entry) = self.notes().living.get_mut(key) {
            entry.waiting_since = None;
            entry.failures = 0;
            entry.trouble.clear();
        }
    }

    /// Counts a failure and says how many there were in a row.
    pub(super) fn failed(&self, key: &Key, trouble: String) -> u32 {
        let mut notes = self.notes();
        let entry = notes.living.entry(key.clone()).or_default();
        entry.failures = entry.failures.saturating_add(1);
        entry.trouble = trouble;
        entry.failures
    }

    /// Notes why a look at a deleted run failed.
    pub(super) fn failed_departed(&self, uid: &str, trouble: String) {
        if let Some((_, entry)) = self.notes().departed.get_mut(uid) {
            entry.trouble = trouble;
        }
    }

    /// How many failures there were in a row.
    pub(super) fn failures(&self, key: &Key) -> u32 {
        self.notes().living.get(key).map_or(0, |entry| entry.failures)
    }

    /// The object is gone, and nothing of it is due.
    pub(super) fn forget(&self, key: &Key, uid: &str) {
        let mut notes = self.notes();
        if notes.living.get(key).is_some_and(|entry| entry.uid == uid || uid.is_empty()) {
            notes.living.remove(key);
        }
    }

    /// The object is gone, and something of it is due: its notes leave the name to whoever has it next.
    pub(super) fn depart(&self, key: &Key, uid: &str, now: Instant) {
        let mut notes = self.notes();
        let is_its = notes.living.get(key).is_some_and(|entry| entry.uid == uid);
        let entry = if is_its { notes.living.remove(key) } else { None };
        let mut entry = entry.unwrap_or_else(|| Entry { uid: uid.to_owned(), ..Entry::default() });
        entry.waiting_since.get_or_insert(now);
        notes.departed.insert(uid.to_owned(), (key.clone(), entry));
    }

    /// A deleted run was told, or is lost.
    pub(super) fn bury(&self, uid: &str) {
        self.notes().departed.remove(uid);
    }

    /// The deleted runs that are not told yet, in the order of their names.
    pub(super) fn departed(&self) -> Vec<String> {
        let mut names: Vec<String> = self.notes().departed.values().map(|(key, _)| shown(key)).collect();
        names.sort_unstable();
        names
    }

    /// Forgets the objects of one watch that `lives` does not know.
    pub(super) fn retain(&self, lives: impl Fn(&Key) -> bool) {
        self.notes().living.retain(|key, _| lives(key));
    }

    /// Keeps only what was announced, which stays true whoever watches meanwhile.
    pub(super) fn rest(&self) {
        let mut notes = self.notes();
        notes.departed.clear();
        notes.living.retain(|_, entry| {
            entry.waiting_since = None;
            entry.failures = 0;
            entry.trouble.clear();
            !entry.marks.is_empty()
        });
    }

    /// The run whose oldest due event has been waiting for the longest.
    pub(super) fn oldest(&self, now: Instant) -> Option<Stuck> {
        let notes = self.notes();
        let living = notes.living.iter();
        let all = living.chain(notes.departed.values().map(|(key, entry)| (key, entry)));
        let due = all.filter_map(|(key, entry)| Some((entry.waiting_since?, key, entry)));
        let (since, key, entry) = due.min_by_key(|(since, ..)| *since)?;
        Some(Stuck {
            kind: key.dyntype.as_str(),
            namespace: key.namespace.clone().unwrap_or_default(),
            name: key.name.clone(),
            age: now.saturating_duration_since(since),
            trouble: entry.trouble.clone(),
        })
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Notes ===

impl Notes {
    fn of(&mut self, key: &Key, uid: &str) -> &mut Entry {
        if self.departed.contains_key(uid)
            && let Some((_, entry)) = self.departed.get_mut(uid)
        {
            return entry;
        }
        let entry = self.living.entry(key.clone()).or_default();
        if entry.uid != uid {
            *entry = Entry { uid: uid.to_owned(), ..Entry::default() };
        }
        entry
    }
}
