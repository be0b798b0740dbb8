//! How long a broken watch waits before it is opened again.
//!
//! kube's default waits up to 30 s and forgets past failures only after two minutes without one: a watch that works
//! and is cut now and then, as by a proxy, would be away most of the time.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use kube::runtime::utils::Backoff;

/// The first wait; each further one is twice as long, and up to its own length longer by chance.
const FIRST: Duration = Duration::from_millis(400);
/// The longest: one process asks, not a thousand nodes.
const LONGEST: Duration = Duration::from_secs(5);

/// The waits.
#[derive(Debug)]
pub(super) struct Waits {
    waits: ExponentialBackoff,
    /// What came since the last failure.
    items: u32,
}

// === impl Waits ===

impl Waits {
    pub(super) fn new() -> Self {
        Self { waits: waits(), items: 0 }
    }
}

impl Iterator for Waits {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        // One item says nothing: the watcher announces every list before it is asked for.
        if std::mem::take(&mut self.items) > 1 {
            self.waits = waits();
        }
        Some(self.waits.next().map_or(LONGEST, |wait| wait.min(LONGEST)))
    }
}

impl Backoff for Waits {
    /// Called for every item.
    fn reset(&mut self) {
        self.items = self.items.saturating_add(1);
    }
}

fn waits() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .with_jitter()
        .without_max_times()
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_while_nothing_comes_and_begin_anew_when_something_did() {
        let mut waits = Waits::new();
        let first = |wait: Duration| (FIRST..=FIRST * 2).contains(&wait);
        assert!(first(waits.next().unwrap()));
        for _ in 0..20 {
            // A list was begun, and failed.
            waits.reset();
            waits.next().unwrap();
        }
        assert_eq!(waits.next().unwrap(), LONGEST);
        waits.reset();
        waits.reset();
        assert!(first(waits.next().unwrap()));
        assert!(waits.next().unwrap() > FIRST);
    }
}
