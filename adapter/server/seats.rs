//! Which connection leaves when a port that turns nobody away is full.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Context;

use futures::task::AtomicWaker;

/// The connections of a port, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<VecDeque<Weak<Seat>>>);

/// One connection's place.
#[derive(Debug, Default)]
pub(super) struct Seat {
    lost: AtomicBool,
    /// A request is being answered.
    pub(super) busy: AtomicBool,
    waker: AtomicWaker,
}

// === impl Seats ===

impl Seats {
    /// A place for one more.
    pub(super) fn take(&self) -> Arc<Seat> {
        let seat = Arc::new(Seat::default());
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| seat.strong_count() > 0);
        seats.push_back(Arc::downgrade(&seat));
        seat
    }

    /// Tells the oldest connection that answers nothing to leave, or without one the oldest of all. Whether there is one.
    pub(super) fn vacate(&self) -> bool {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| seat.strong_count() > 0);
        let idle = |seat: &Weak<Seat>| seat.upgrade().is_some_and(|it| !it.busy.load(Ordering::Relaxed));
        let place = seats.iter().position(idle).unwrap_or(0);
        let Some(seat) = seats.remove(place).and_then(|seat| seat.upgrade()) else { return false };
        seat.lost.store(true, Ordering::Release);
        seat.waker.wake();
        true
    }
}

// === impl Seat ===

impl Seat {
    /// Whether the connection has to leave; if not, the task is woken when it does.
    pub(super) fn is_lost(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.lost.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use futures::task::noop_waker;

    use super::*;

    #[test]
    fn the_oldest_that_answers_nothing_leaves_first() {
        let seats = Seats::default();
        let [busy, gone, old, new] = [(); 4].map(|()| seats.take());
        busy.busy.store(true, Ordering::Relaxed);
        drop(gone);
        let waker = noop_waker();
        let context = Context::from_waker(&waker);
        let lost = |order: [&Arc<Seat>; 3]| order.map(|seat| seat.is_lost(&context));
        assert!(seats.vacate());
        assert_eq!(lost([&busy, &old, &new]), [false, true, false]);
        assert!(seats.vacate() && seats.vacate());
        assert_eq!(lost([&busy, &old, &new]), [true, true, true]);
        assert!(!seats.vacate());
    }
}
