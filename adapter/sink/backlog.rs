//! How much may wait for one sink, so that a slow or dead one holds up neither memory nor the other sinks.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::telemetry::Metrics;
use crate::telemetry::metrics::BySink;

/// What a delivery that found no room asks its sender to wait.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A sink that has answered nothing useful for so long is stalled.
const PATIENCE: Duration = Duration::from_secs(1);
/// Which part of its requests a stalled sink may still have under way.
const STALLED_SHARE: usize = 4;

/// The deliveries that one sink has taken on.
#[derive(Debug)]
pub(super) struct Backlog {
    requests: Semaphore,
    max_in_flight: usize,
    max_waiting: usize,
    under_way: AtomicUsize,
    started: Instant,
    /// When the sink last showed that it works, or had nothing to do: milliseconds after `started`.
    progress: AtomicU64,
    meters: OnceLock<Meters>,
}

#[derive(Debug)]
struct Meters {
    in_flight: Gauge,
    waiting: Gauge,
    refused: Counter,
}

/// One delivery's place among those that are under way.
pub(super) struct Place<'a>(&'a Backlog);

/// Room for one request.
pub(super) struct Room<'a> {
    backlog: &'a Backlog,
    events: usize,
    _permit: SemaphorePermit<'a>,
}

/// There is no place; the text says why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full(pub(super) String);

// === impl Backlog ===

impl Backlog {
    pub(super) fn new(max_in_flight: usize, max_waiting: usize) -> Self {
        Self {
            requests: Semaphore::new(max_in_flight),
            max_in_flight,
            max_waiting,
            under_way: AtomicUsize::new(0),
            started: Instant::now(),
            progress: AtomicU64::new(0),
            meters: OnceLock::new(),
        }
    }

    /// Counts in `metrics` from now on.
    pub(super) fn measure(&self, sink: &str, metrics: &Metrics) {
        let labels = BySink { sink: sink.to_owned() };
        // A second call would count the same thing.
        let _ = self.meters.set(Meters {
            in_flight: metrics.sink_in_flight.get_or_create_owned(&labels),
            waiting: metrics.sink_waiting.get_or_create_owned(&labels),
            refused: metrics.sink_refusals.get_or_create_owned(&labels),
        });
    }

    /// Takes on a delivery, or refuses it at once.
    pub(super) fn enter(&self) -> Result<Place<'_>, Full> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        if before == 0 {
            self.works();
        }
        let limit = self.max_in_flight.saturating_add(self.max_waiting);
        let reason = if before >= limit {
            format!("{limit} deliveries to it are under way already")
        } else if before >= self.max_in_flight.div_ceil(STALLED_SHARE) && self.is_stalled(Instant::now()) {
            format!("it has taken nothing for {} s, and {before} deliveries wait for it", PATIENCE.as_secs())
        } else {
            self.meter(|meters| meters.waiting.inc());
            return Ok(Place(self));
        };
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        self.meter(|meters| meters.refused.inc());
        Err(Full(reason))
    }

    /// Waits for room for a request with so many events: until `deadline`, but not long when the sink is stalled.
    /// `None` means that the deadline has come.
    pub(super) async fn room(&self, events: usize, deadline: Instant) -> Result<Option<Room<'_>>, Full> {
        let permit = if let Ok(permit) = self.requests.try_acquire() {
            permit
        } else {
            // One future for the whole wait: it keeps its place in the queue.
            let mut acquire = std::pin::pin!(self.requests.acquire());
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match timeout(left.min(PATIENCE), &mut acquire).await {
                    Ok(Ok(permit)) => break permit,
                    // The semaphore is never closed.
                    Ok(Err(_)) => return Ok(None),
                    Err(_) if left <= PATIENCE => return Ok(None),
                    Err(_) if self.is_stalled(Instant::now()) => {
                        self.meter(|meters| meters.refused.inc());
                        return Err(Full(format!(
                            "{} requests are in flight and it has answered none for {} s",
                            self.max_in_flight,
                            PATIENCE.as_secs()
                        )));
                    }
                    Err(_) => {}
                }
            }
        };
        self.meter(|meters| {
            meters.in_flight.inc();
            meters.waiting.dec_by(signed(events));
        });
        Ok(Some(Room { backlog: self, events, _permit: permit }))
    }

    /// The sink has given an answer that settles a delivery.
    pub(super) fn works(&self) {
        self.progress.store(self.since_start(Instant::now()), Ordering::Relaxed);
    }

    fn is_stalled(&self, now: Instant) -> bool {
        let idle = self.since_start(now).saturating_sub(self.progress.load(Ordering::Relaxed));
        Duration::from_millis(idle) >= PATIENCE
    }

    fn since_start(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    fn meter<T>(&self, count: impl FnOnce(&Meters) -> T) {
        if let Some(meters) = self.meters.get() {
            count(meters);
        }
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

// === impl Place ===

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
        self.0.meter(|meters| meters.waiting.dec());
    }
}

// === impl Room ===

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.backlog.meter(|meters| {
            meters.in_flight.dec();
            meters.waiting.inc_by(signed(self.events));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_taken_on_as_fit_and_a_place_that_is_left_is_free_again() {
        let backlog = Backlog::new(2, 1);
        let mut places: Vec<_> = (0..3).map(|_| backlog.enter().ok().unwrap()).collect();
        let full = backlog.enter().err().unwrap();
        assert_eq!(full, Full("3 deliveries to it are under way already".to_owned()));
        places.pop();
        assert!(backlog.enter().is_ok());
    }

    #[test]
    fn a_stalled_sink_keeps_a_part_of_its_places_until_it_works_again() {
        let mut backlog = Backlog::new(8, 100);
        let place = backlog.enter().ok().unwrap();
        std::mem::forget(place);
        // Now is two seconds after the last sign of life.
        backlog.started = Instant::now().checked_sub(2 * PATIENCE).unwrap();
        backlog.progress = AtomicU64::new(0);
        let second = backlog.enter().ok().unwrap();
        let full = backlog.enter().err().unwrap();
        assert!(full.0.contains("it has taken nothing for 1 s, and 2 deliveries wait"), "{}", full.0);
        backlog.works();
        assert!(backlog.enter().is_ok());
        drop(second);
    }

    #[tokio::test]
    async fn a_waiter_gives_up_at_its_deadline_and_gets_room_when_there_is_some() {
        let backlog = Backlog::new(1, 1);
        let soon = || Instant::now() + Duration::from_millis(20);
        let room = backlog.room(1, soon()).await.unwrap().unwrap();
        assert!(backlog.room(1, soon()).await.unwrap().is_none());
        drop(room);
        assert!(backlog.room(1, soon()).await.unwrap().is_some());
    }
}
