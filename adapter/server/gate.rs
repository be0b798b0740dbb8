//! Admission before any byte of a body is read: how many requests, and how much memory for their bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Shed, ShedReason};

/// How often a line in the log says that requests are turned away.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// The longest wait that a sender is asked for.
const MAX_RETRY: Duration = Duration::from_secs(30);

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
    /// How long a request stays inside, in microseconds: a moving average over about eight of them.
    stay: AtomicU64,
    /// Requests turned away since the last line in the log.
    unlogged: AtomicU64,
    /// When that line was written, in milliseconds since `started`.
    logged: AtomicU64,
    started: Instant,
    metrics: Metrics,
}

/// One request, first before the gate with the memory of its body, then inside; leaves when dropped.
#[derive(Debug)]
pub struct Ticket {
    gate: Gate,
    bytes: usize,
    entered: Option<Instant>,
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
                stay: AtomicU64::new(0),
                unlogged: AtomicU64::new(0),
                logged: AtomicU64::new(0),
                started: Instant::now(),
                metrics,
            }),
        }
    }

    /// Lets one request come near, so that its body is read. It takes no place inside yet: whoever sends slowly keeps
    /// nobody else out.
    ///
    /// # Errors
    /// When there is no place inside at present.
    pub fn approach(&self) -> Result<Ticket, ShedReason> {
        if self.in_flight() >= self.inner.max_requests {
            return Err(self.shed(ShedReason::in_flight));
        }
        Ok(Ticket { gate: self.clone(), bytes: 0, entered: None })
    }

    /// When one of the requests inside will have left: as long as they take at present, a second at least.
    pub fn retry_after(&self) -> Duration {
        let stay = Duration::from_micros(self.inner.stay.load(Ordering::Relaxed));
        stay.clamp(Duration::from_secs(1), MAX_RETRY)
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
        let inner = &self.inner;
        inner.metrics.shed.get_or_create(&Shed { reason }).inc();
        inner.unlogged.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(inner.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = |last: u64| {
            let first = last == 0;
            (first || now - last.min(now) >= u64::try_from(LOG_EVERY.as_millis()).unwrap_or(u64::MAX))
                .then_some(now.max(1))
        };
        if inner.logged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            let requests = inner.unlogged.swap(0, Ordering::Relaxed);
            tracing::warn!(requests, ?reason, in_flight = self.in_flight(), "requests turned away");
        }
        reason
    }
}

// === impl Ticket ===

impl Ticket {
    /// Takes a place inside.
    ///
    /// # Errors
    /// When there is none any more.
    pub fn enter(&mut self) -> Result<(), ShedReason> {
        let inner = &self.gate.inner;
        if !take(&inner.requests, 1, inner.max_requests) {
            return Err(self.gate.shed(ShedReason::in_flight));
        }
        inner.metrics.in_flight.inc();
        self.entered = Some(Instant::now());
        Ok(())
    }

    /// Asks whether there is memory for `bytes` more at present, without taking it.
    ///
    /// # Errors
    /// When there is not.
    pub fn fits(&self, bytes: usize) -> Result<(), ShedReason> {
        let inner = &self.gate.inner;
        match inner.bytes.load(Ordering::Relaxed).checked_add(bytes) {
            Some(sum) if sum <= inner.max_bytes => Ok(()),
            _ => Err(self.gate.shed(ShedReason::memory)),
        }
    }

    /// When to come again.
    pub fn retry_after(&self) -> Duration {
        self.gate.retry_after()
    }

    /// Bytes reserved so far.
    pub fn reserved(&self) -> usize {
        self.bytes
    }

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
        if let Some(entered) = self.entered {
            inner.requests.fetch_sub(1, Ordering::Relaxed);
            inner.metrics.in_flight.dec();
            let stay = u64::try_from(entered.elapsed().as_micros()).unwrap_or(u64::MAX);
            let before = inner.stay.load(Ordering::Relaxed);
            // Two that leave at once may count as one: it is an average.
            inner.stay.store(before - before / 8 + stay / 8, Ordering::Relaxed);
        }
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
        let [mut first, mut second, mut third] = [(); 3].map(|()| gate.approach().unwrap());
        first.enter().unwrap();
        second.enter().unwrap();
        assert_eq!(third.enter().unwrap_err(), ShedReason::in_flight);
        assert_eq!(gate.approach().unwrap_err(), ShedReason::in_flight);
        first.reserve(90).unwrap();
        assert_eq!(first.reserve(11).unwrap_err(), ShedReason::memory);
        assert_eq!(second.fits(11).unwrap_err(), ShedReason::memory);
        drop(first);
        third.enter().unwrap();
        third.reserve(100).unwrap();
        drop((second, third));
        assert_eq!(gate.in_flight(), 0);
        assert_eq!(gate.inner.bytes.load(Ordering::Relaxed), 0);
    }
}
