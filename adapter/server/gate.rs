//! Admission before any byte of a body is read: how many requests, and how much memory for their bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Shed, ShedReason};

/// Shared by all workers; cloning shares the counts.
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
    draining: AtomicBool,
    metrics: Metrics,
}

/// One request inside; leaves when dropped.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    bytes: usize,
}

// === impl Gate ===

impl Gate {
    /// A gate for so many requests, whose bodies together take so many bytes.
    pub fn new(max_requests: usize, max_bytes: usize, metrics: Metrics) -> Self {
        Self {
            inner: Arc::new(Inner {
                max_requests,
                max_bytes,
                requests: AtomicUsize::new(0),
                bytes: AtomicUsize::new(0),
                draining: AtomicBool::new(false),
                metrics,
            }),
        }
    }

    /// Lets one request in.
    ///
    /// # Errors
    /// Why not.
    pub fn enter(&self) -> Result<Ticket, ShedReason> {
        if !take(&self.inner.requests, 1, self.inner.max_requests) {
            return Err(self.shed(ShedReason::in_flight));
        }
        self.inner.metrics.in_flight.inc();
        Ok(Ticket { gate: self.clone(), bytes: 0 })
    }

    /// Whether the process is on its way out.
    pub fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// Makes readiness fall; requests are still served.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Requests inside.
    pub fn in_flight(&self) -> usize {
        self.inner.requests.load(Ordering::Relaxed)
    }

    fn shed(&self, reason: ShedReason) -> ShedReason {
        self.inner.metrics.shed.get_or_create(&Shed { reason }).inc();
        reason
    }
}

// === impl Ticket ===

impl Ticket {
    /// Reserves memory for `bytes` more of the body.
    ///
    /// # Errors
    /// When all requests together would hold too much.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), ShedReason> {
        let inner = &self.gate.inner;
        if !take(&inner.bytes, bytes, inner.max_bytes) {
            return Err(self.gate.shed(ShedReason::memory));
        }
        self.bytes += bytes;
        inner.metrics.body_bytes.inc_by(i64::try_from(bytes).unwrap_or(i64::MAX));
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let inner = &self.gate.inner;
        inner.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        inner.metrics.body_bytes.dec_by(i64::try_from(self.bytes).unwrap_or(i64::MAX));
        inner.requests.fetch_sub(1, Ordering::Relaxed);
        inner.metrics.in_flight.dec();
    }
}

fn take(counter: &AtomicUsize, amount: usize, max: usize) -> bool {
    counter
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(amount).filter(|sum| *sum <= max)
        })
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_bound_is_refused_and_room_comes_back() {
        let gate = Gate::new(2, 100, Metrics::new());
        let mut first = gate.enter().unwrap();
        let second = gate.enter().unwrap();
        assert_eq!(gate.enter().unwrap_err(), ShedReason::in_flight);
        first.reserve(90).unwrap();
        assert_eq!(first.reserve(11).unwrap_err(), ShedReason::memory);
        drop(first);
        let mut third = gate.enter().unwrap();
        third.reserve(100).unwrap();
        drop((second, third));
        assert_eq!(gate.in_flight(), 0);
        assert_eq!(gate.inner.bytes.load(Ordering::Relaxed), 0);
    }
}
