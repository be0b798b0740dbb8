//! How far the watch has come: what a leader notes on the Lease, so that the next one finds out what was deleted since.
//!
//! A resourceVersion is never compared and never computed with. The API server keeps changes for a minute or some, and
//! says so when a version is too old.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::annotation::{DELETED_RUNS, WATCHED};
use crate::vocabulary::tekton::RunKind;

/// The version of the last change that the watch of each kind has brought, and those before kept deletions.
#[derive(Debug, Default)]
pub(super) struct Reached(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kinds: BTreeMap<&'static str, Position>,
    pins: u64,
    /// What the leader before deleted is found out: the runs that were found gone, by their `uid`.
    resuming: Option<HashSet<String>>,
    /// Whether that was done, so that what is noted holds.
    is_settled: bool,
    /// The deleted runs that are left to the next leader, by name.
    left: Vec<String>,
}

#[derive(Debug, Default)]
struct Position {
    seen: Option<String>,
    /// The versions before the deletion of each run that is kept, oldest first.
    pins: BTreeMap<u64, Option<String>>,
}

/// The version before a deletion, held until the deleted run is told.
#[derive(Debug)]
pub(super) struct Pin {
    kind: RunKind,
    number: u64,
}

/// Where the watch of a kind goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// After this version something was deleted that may not be told.
    pub(super) told: String,
    /// After this version nothing was seen.
    pub(super) seen: String,
}

/// What the leader before has left on the Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inherited {
    /// How many deleted runs it kept, and the first of them by name.
    pub(super) deleted: Option<String>,
    starts: Vec<(String, Start)>,
}

// === impl Reached ===

impl Reached {
    /// The watch has brought a change.
    pub(super) fn see(&self, kind: RunKind, version: Option<&String>) {
        if let Some(version) = version.filter(|it| !it.is_empty()) {
            let mut state = self.state();
            let position = state.kinds.entry(kind.as_str()).or_default();
            position.seen.get_or_insert_default().clone_from(version);
        }
    }

    /// Holds what came last before a deletion, or `since`.
    pub(super) fn pin(&self, kind: RunKind, since: Option<&str>) -> Pin {
        let mut state = self.state();
        state.pins += 1;
        let number = state.pins;
        let position = state.kinds.entry(kind.as_str()).or_default();
        let since = since.map(str::to_owned).or_else(|| position.seen.clone());
        position.pins.insert(number, since);
        Pin { kind, number }
    }

    /// The deleted run is told, or counted as lost.
    pub(super) fn release(&self, pin: &Pin) {
        if let Some(position) = self.state().kinds.get_mut(pin.kind.as_str()) {
            position.pins.remove(&pin.number);
        }
    }

    /// Leaves the deleted run to the next leader; `false` where none can find it.
    pub(super) fn leave(&self, pin: &Pin, name: String) -> bool {
        let mut state = self.state();
        let position = state.kinds.get(pin.kind.as_str());
        let is_found = position.and_then(|it| it.pins.get(&pin.number)).is_some_and(Option::is_some);
        if state.is_settled && is_found {
            state.left.push(name);
        }
        state.is_settled && is_found
    }

    /// The deleted runs that are left to the next leader.
    pub(super) fn left(&self) -> Vec<String> {
        self.state().left.clone()
    }

    /// A watch begins that has to find out what it has missed.
    pub(super) fn resume(&self) {
        let mut state = self.state();
        *state = State { pins: state.pins, resuming: Some(HashSet::new()), ..State::default() };
    }

    /// Whether nothing has said so far that this run is gone. Only what a watch and the one before both say comes twice.
    pub(super) fn is_news(&self, uid: &str) -> bool {
        self.state().resuming.as_mut().is_none_or(|gone| gone.insert(uid.to_owned()))
    }

    /// What was missed is known.
    pub(super) fn settle(&self) {
        let mut state = self.state();
        state.resuming = None;
        state.is_settled = true;
    }

    /// What the next leader should know: `None` while what the one before noted still holds.
    pub(super) fn note(&self) -> Option<String> {
        let state = self.state();
        let positions = state.kinds.iter().filter_map(|(kind, position)| {
            let seen = position.seen.as_ref()?;
            let told = position.pins.values().next().map_or(Some(seen), Option::as_ref)?;
            Some(format!("{kind} {told} {seen}"))
        });
        state.is_settled.then(|| positions.collect::<Vec<_>>().join(", "))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Inherited ===

impl Inherited {
    /// Reads the annotations of the Lease. What cannot be read was not written by us.
    pub fn read(notes: &BTreeMap<String, String>) -> Self {
        let positions = notes.get(WATCHED).map(String::as_str).unwrap_or_default().split(", ");
        let start = |position: &str| {
            let mut words = position.split(' ').map(str::to_owned);
            let (kind, told, seen) = (words.next()?, words.next()?, words.next()?);
            Some((kind, Start { told, seen }))
        };
        Self { deleted: notes.get(DELETED_RUNS).cloned(), starts: positions.filter_map(start).collect() }
    }

    pub(super) fn start(&self, kind: RunKind) -> Option<&Start> {
        self.starts.iter().find(|(it, _)| it == kind.as_str()).map(|(_, start)| start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: RunKind = RunKind::PipelineRun;

    fn see(reached: &Reached, version: &str) {
        reached.see(KIND, Some(&version.to_owned()));
    }

    #[test]
    fn what_is_noted_begins_before_the_oldest_deletion_that_is_not_told() {
        let reached = Reached::default();
        assert_eq!(reached.note(), None);
        reached.resume();
        see(&reached, "7");
        assert_eq!(reached.note(), None, "what the leader before noted still holds");
        reached.settle();
        assert_eq!(reached.note().unwrap(), "PipelineRun 7 7");
        let first = reached.pin(KIND, None);
        see(&reached, "8");
        let second = reached.pin(KIND, None);
        see(&reached, "9");
        assert_eq!(reached.note().unwrap(), "PipelineRun 7 9");
        reached.release(&first);
        assert_eq!(reached.note().unwrap(), "PipelineRun 8 9");
        reached.release(&second);
        assert_eq!(reached.note().unwrap(), "PipelineRun 9 9");
        let notes = BTreeMap::from([(WATCHED.to_owned(), "PipelineRun 8 9, TaskRun 3 4".to_owned())]);
        let start = Start { told: "8".to_owned(), seen: "9".to_owned() };
        assert_eq!(Inherited::read(&notes).start(KIND), Some(&start));
        assert_eq!(Inherited::read(&notes).start(RunKind::CustomRun), None);
        let notes = BTreeMap::from([(WATCHED.to_owned(), "rubbish".to_owned())]);
        assert_eq!(Inherited::read(&notes), Inherited::default());
    }

    #[test]
    fn a_run_is_news_once_while_two_watches_tell_of_it() {
        let reached = Reached::default();
        assert!(reached.is_news("a") && reached.is_news("a"), "one watch says it once");
        reached.resume();
        assert!(reached.is_news("a") && !reached.is_news("a"));
        reached.settle();
        assert!(reached.is_news("a"));
    }
}
