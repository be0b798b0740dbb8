//! Admission before any byte of a body is read: how many requests, and how much memory for what they make us hold.
//!
//! Every door, which is the route of events or a source of webhooks, has its share of both, so that no sender and no
//! slow sink behind one takes everything. Requests that prove nothing have a share together, and so have those that
//! have not proved anything yet: what lies beyond is for senders that are known.

mod door;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Route, Shed, ShedReason};

pub use door::Door;
use door::Pool;

/// How often a line in the log says that requests are turned away.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// What there is, and which part of it one kind of request may take.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests at work.
    pub requests: usize,
    /// Bytes of bodies, and of what is made of them.
    pub bytes: usize,
    /// Percent of both for all requests that prove nothing.
    pub open_share: u8,
    /// Percent of both for each door, where there are several.
    pub source_share: u8,
}

/// What is known of who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing, and nothing is asked.
    Open,
    /// Nothing yet: the proof is in the body.
    Unproved,
    /// It has been proved.
    Proved,
}

/// Shared by all workers; cloning shares the counts.
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    all: Pool,
    /// Of requests that prove nothing.
    open: Pool,
    /// Of those, and of the ones that have not proved anything yet.
    unproved: Pool,
    events: Arc<Door>,
    sources: Vec<Arc<Door>>,
    draining: AtomicBool,
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
    door: Arc<Door>,
    standing: Standing,
    bytes: usize,
    entered: Option<Instant>,
}

// === impl Bounds ===

impl Bounds {
    fn part(self, percent: u8) -> Pool {
        let part = |whole: usize| {
            (whole / 100 * usize::from(percent) + whole % 100 * usize::from(percent) / 100).max(1)
        };
        Pool::new(part(self.requests), part(self.bytes))
    }
}

// === impl Gate ===

impl Gate {
    /// A gate with a door for each of these sources, and one for events; `has_events` says whether events come at all.
    pub fn new<'a>(
        bounds: Bounds,
        has_events: bool,
        sources: impl IntoIterator<Item = &'a str>,
        metrics: Metrics,
    ) -> Self {
        let mut names: Vec<&str> = sources.into_iter().collect();
        names.sort_unstable();
        // Where there is nobody else, nobody else's part is kept free.
        let share = if names.len() + usize::from(has_events) > 1 { bounds.source_share } else { 100 };
        let door = |route, name: &str| Arc::new(Door::new(route, name, bounds.part(share), &metrics));
        Self {
            inner: Arc::new(Inner {
                all: bounds.part(100),
                open: bounds.part(bounds.open_share),
                // In the middle: those that will have proved something wait for no one who never will.
                unproved: bounds.part(bounds.open_share.midpoint(100)),
                events: door(Route::events, ""),
                sources: names.into_iter().map(|name| door(Route::webhook, name)).collect(),
                draining: AtomicBool::new(false),
                unlogged: AtomicU64::new(0),
                logged: AtomicU64::new(0),
                started: Instant::now(),
                metrics,
            }),
        }
    }

    /// The door of the route of events.
    pub fn events(&self) -> &Arc<Door> {
        &self.inner.events
    }

    /// The door of a source of webhooks.
    pub fn source(&self, name: &str) -> Option<&Arc<Door>> {
        let sources = &self.inner.sources;
        sources.binary_search_by(|door| door.source().cmp(name)).ok().and_then(|at| sources.get(at))
    }

    /// Lets one request come near, so that its body is read. It takes no place inside yet: whoever sends slowly keeps
    /// nobody else out.
    ///
    /// # Errors
    /// When there is no place inside at present.
    pub fn approach(&self, door: &Arc<Door>, standing: Standing) -> Result<Ticket, ShedReason> {
        let ticket = Ticket { gate: self.clone(), door: Arc::clone(door), standing, bytes: 0, entered: None };
        if ticket.inside().any(Pool::is_full) {
            return Err(self.shed(door, ShedReason::in_flight));
        }
        Ok(ticket)
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
        self.inner.all.requests()
    }

    /// Counts a request that is turned away, for a reason that may have gone when it comes again.
    pub fn shed(&self, door: &Door, reason: ShedReason) -> ShedReason {
        let inner = &self.inner;
        let labels = Shed { reason, route: door.route(), source: door.source().to_owned() };
        inner.metrics.shed.get_or_create(&labels).inc();
        inner.unlogged.fetch_add(1, Ordering::Relaxed);
        let now = u64::try_from(inner.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = |last: u64| {
            let first = last == 0;
            (first || now - last.min(now) >= u64::try_from(LOG_EVERY.as_millis()).unwrap_or(u64::MAX))
                .then_some(now.max(1))
        };
        if inner.logged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            let requests = inner.unlogged.swap(0, Ordering::Relaxed);
            tracing::warn!(
                requests,
                ?reason,
                route = ?door.route(),
                source = door.source(),
                in_flight = self.in_flight(),
                "requests turned away"
            );
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
        if !take_all(self.inside(), Pool::enter, Pool::leave) {
            return Err(self.gate.shed(&self.door, ShedReason::in_flight));
        }
        self.door.in_flight().inc();
        self.entered = Some(Instant::now());
        Ok(())
    }

    /// The sender has proved who it is: the request counts with those of known senders from now on. Before it enters.
    pub fn prove(&mut self) {
        if self.standing == Standing::Unproved {
            self.gate.inner.unproved.release(self.bytes);
            self.standing = Standing::Proved;
        }
    }

    /// What is known of the sender.
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Where it came in.
    pub fn door(&self) -> Arc<Door> {
        Arc::clone(&self.door)
    }

    /// Asks whether there is memory for `bytes` more at present, without taking it.
    ///
    /// # Errors
    /// When there is not.
    pub fn fits(&self, bytes: usize) -> Result<(), ShedReason> {
        if self.memory().all(|pool| pool.fits(bytes)) { Ok(()) } else { Err(self.no_memory(bytes)) }
    }

    /// When to come again.
    pub fn retry_after(&self) -> Duration {
        self.door.retry_after()
    }

    /// Bytes reserved so far.
    pub fn reserved(&self) -> usize {
        self.bytes
    }

    /// Reserves memory for `bytes` more.
    ///
    /// # Errors
    /// When all requests of its kind together would hold too much, or this one alone.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), ShedReason> {
        if self.try_reserve(bytes) { Ok(()) } else { Err(self.no_memory(bytes)) }
    }

    /// Reserves memory for `bytes` more, if there is some at present; not counted as a refusal.
    pub fn try_reserve(&mut self, bytes: usize) -> bool {
        let taken = take_all(self.memory(), |pool| pool.reserve(bytes), |pool| pool.release(bytes));
        if taken {
            self.hold(bytes);
        }
        taken
    }

    /// Whether `bytes` more could be reserved if nobody else were there.
    pub fn could_reserve(&self, bytes: usize) -> bool {
        self.memory().all(|pool| pool.could_hold(self.bytes.saturating_add(bytes)))
    }

    /// Counts memory that is held already, whatever the bounds: others have to wait for it.
    pub fn charge(&mut self, bytes: usize) {
        self.memory().for_each(|pool| pool.charge(bytes));
        self.hold(bytes);
    }

    /// Gives memory back.
    pub fn release(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.memory().for_each(|pool| pool.release(bytes));
        self.bytes -= bytes;
        self.door.held().dec_by(signed(bytes));
    }

    fn hold(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.door.held().inc_by(signed(bytes));
    }

    fn no_memory(&self, bytes: usize) -> ShedReason {
        let is_possible = self.could_reserve(bytes);
        self.gate.shed(&self.door, if is_possible { ShedReason::memory } else { ShedReason::too_large })
    }

    /// Where its place counts.
    fn inside(&self) -> impl Iterator<Item = &Pool> + Clone {
        let inner = &self.gate.inner;
        let open = (self.standing == Standing::Open).then_some(&inner.open);
        [&inner.all, self.door.pool()].into_iter().chain(open)
    }

    /// Where its memory counts.
    fn memory(&self) -> impl Iterator<Item = &Pool> + Clone {
        let unproved = (self.standing != Standing::Proved).then_some(&self.gate.inner.unproved);
        self.inside().chain(unproved)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.release(self.bytes);
        if let Some(entered) = self.entered {
            self.inside().for_each(Pool::leave);
            self.door.in_flight().dec();
            self.door.left_after(entered.elapsed());
        }
    }
}

/// Takes of all pools or of none.
fn take_all<'a>(
    pools: impl Iterator<Item = &'a Pool> + Clone,
    take: impl Fn(&Pool) -> bool,
    give_back: impl Fn(&Pool),
) -> bool {
    for (taken, pool) in pools.clone().enumerate() {
        if !take(pool) {
            pools.take(taken).for_each(give_back);
            return false;
        }
    }
    true
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
