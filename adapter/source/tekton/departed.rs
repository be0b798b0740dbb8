//! Runs that were deleted while something about them was due: their last state is kept until it is told.
//!
//! They are bounded in number and bytes.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::{Notify, OwnedMutexGuard};

use super::reached::Pin;
use super::run::Run;
use crate::vocabulary::tekton::weight;

/// The most deleted runs that are kept.
const MAX_RUNS: usize = 10_000;
/// The most bytes of all of them together.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Deleted runs with something due.
#[derive(Debug, Default)]
pub(super) struct Departed {
    waiting: Mutex<VecDeque<Gone>>,
    /// Wakes the one that tells of them.
    pub(super) wake: Notify,
    number: AtomicUsize,
    bytes: AtomicUsize,
}

/// A deleted run.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) key: ObjectRef<Run>,
    pub(super) run: Run,
    bytes: usize,
    pub(super) pin: Pin,
}

/// One look at a time for each run, whether it lives or not.
#[derive(Debug, Default)]
pub(super) struct Turns {
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

// === impl Departed ===

impl Departed {
    /// Keeps a run until it is told; `false` when there is no room.
    pub(super) fn keep(&self, key: ObjectRef<Run>, run: Run, pin: impl FnOnce() -> Pin) -> bool {
        let bytes = weight(&run.object);
        if self.number.load(Ordering::Relaxed) >= MAX_RUNS
            || self.bytes.load(Ordering::Relaxed) + bytes > MAX_BYTES
        {
            return false;
        }
        self.number.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.waiting().push_back(Gone { key, run, bytes, pin: pin() });
        self.wake.notify_one();
        true
    }

    /// How many are kept.
    pub(super) fn number(&self) -> usize {
        self.number.load(Ordering::Relaxed)
    }

    pub(super) fn release(&self, gone: &Gone) {
        self.number.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(gone.bytes, Ordering::Relaxed);
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, VecDeque<Gone>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Turns ===

impl Turns {
    /// Waits until nobody else looks at the run.
    pub(super) async fn take(&self, uid: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() >= 1024 {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            Arc::clone(locks.entry(uid.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}
