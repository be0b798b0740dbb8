//! Where requests come in, and the pools that they take from.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::Metrics;
use crate::telemetry::metrics::{ByDoor, Route};

/// The longest wait that a sender is asked for.
const MAX_RETRY: Duration = Duration::from_secs(30);

/// The route of events, or a source of webhooks.
#[derive(Debug)]
pub struct Door {
    route: Route,
    source: String,
    pool: Pool,
    /// How long a request stays inside, in microseconds: a moving average over about eight of them.
    stay: AtomicU64,
    in_flight: Gauge,
    held: Gauge,
}

/// So many places and so much memory.
#[derive(Debug)]
pub(super) struct Pool {
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

// === impl Door ===

impl Door {
    pub(super) fn new(route: Route, source: &str, pool: Pool, metrics: &Metrics) -> Self {
        let labels = ByDoor { route, source: source.to_owned() };
        Self {
            route,
            source: source.to_owned(),
            pool,
            stay: AtomicU64::new(0),
            in_flight: metrics.in_flight.get_or_create(&labels).clone(),
            held: metrics.body_bytes.get_or_create(&labels).clone(),
        }
    }

    /// The route.
    pub fn route(&self) -> Route {
        self.route
    }

    /// The source's name; empty for events.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// When one of the requests inside will have left: as long as they take at present, a second at least.
    pub fn retry_after(&self) -> Duration {
        let stay = Duration::from_micros(self.stay.load(Ordering::Relaxed));
        stay.clamp(Duration::from_secs(1), MAX_RETRY)
    }

    pub(super) fn left_after(&self, stay: Duration) {
        let stay = u64::try_from(stay.as_micros()).unwrap_or(u64::MAX);
        let before = self.stay.load(Ordering::Relaxed);
        // Two that leave at once may count as one: it is an average.
        self.stay.store(before - before / 8 + stay / 8, Ordering::Relaxed);
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn in_flight(&self) -> &Gauge {
        &self.in_flight
    }

    pub(super) fn held(&self) -> &Gauge {
        &self.held
    }
}

// === impl Pool ===

impl Pool {
    pub(super) fn new(max_requests: usize, max_bytes: usize) -> Self {
        Self { max_requests, max_bytes, requests: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn is_full(&self) -> bool {
        self.requests() >= self.max_requests
    }

    pub(super) fn enter(&self) -> bool {
        take(&self.requests, 1, self.max_requests)
    }

    pub(super) fn leave(&self) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn could_hold(&self, bytes: usize) -> bool {
        bytes <= self.max_bytes
    }

    pub(super) fn fits(&self, bytes: usize) -> bool {
        self.bytes.load(Ordering::Relaxed).checked_add(bytes).is_some_and(|sum| sum <= self.max_bytes)
    }

    pub(super) fn reserve(&self, bytes: usize) -> bool {
        take(&self.bytes, bytes, self.max_bytes)
    }

    pub(super) fn charge(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn take(counter: &AtomicUsize, amount: usize, max: usize) -> bool {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(amount).filter(|sum| *sum <= max)
        })
        .is_ok()
}
