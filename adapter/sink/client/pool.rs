//! Connections between two uses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Id};

use super::Connection;

const MAX_IDLE: usize = 64;

/// The idle connections of one client.
pub(super) struct Pool {
    held: Mutex<Held>,
    idle_time: Duration,
}

#[derive(Default)]
struct Held {
    /// The longest idle one first.
    idle: VecDeque<Idle>,
    /// Whether a task looks after them.
    watched: bool,
}

struct Idle {
    connection: Connection,
    /// A connection belongs to the runtime that made it: elsewhere, each of its wake-ups would take two threads.
    runtime: Id,
    since: Instant,
}

/// The task that closes what was idle for too long.
struct Watch(Weak<Pool>);

// === impl Pool ===

impl Pool {
    /// A pool that closes what was not used for `idle_time`.
    pub(super) fn new(idle_time: Duration) -> Arc<Self> {
        Arc::new(Self { held: Mutex::default(), idle_time })
    }

    /// A connection that is not known to be closed; the last one used is the first to be used again.
    pub(super) async fn take(&self) -> Option<Connection> {
        loop {
            let mut connection = self.pop()?;
            if connection.is_idle().await {
                return Some(connection);
            }
        }
    }

    fn pop(&self) -> Option<Connection> {
        let runtime = Handle::try_current().ok()?.id();
        let mut held = self.held();
        let found = held.idle.iter().rposition(|idle| idle.runtime == runtime)?;
        let idle = held.idle.remove(found)?;
        drop(held);
        (idle.since.elapsed() < self.idle_time).then_some(idle.connection)
    }

    pub(super) fn put(self: &Arc<Self>, connection: Connection) {
        let Ok(handle) = Handle::try_current() else { return };
        let idle = Idle { connection, runtime: handle.id(), since: Instant::now() };
        let mut held = self.held();
        let surplus = if held.idle.len() >= MAX_IDLE { held.idle.pop_front() } else { None };
        held.idle.push_back(idle);
        let watched = std::mem::replace(&mut held.watched, true);
        drop(held);
        drop(surplus);
        if !watched {
            handle.spawn(Watch(Arc::downgrade(self)).run(self.idle_time));
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Watch ===

impl Watch {
    async fn run(self, idle_time: Duration) {
        loop {
            tokio::time::sleep(idle_time / 2).await;
            let Some(pool) = self.0.upgrade() else { return };
            let mut held = pool.held();
            let fresh = held.idle.iter().position(|idle| idle.since.elapsed() < idle_time);
            let old: Vec<Idle> = {
                let count = fresh.unwrap_or(held.idle.len());
                held.idle.drain(..count).collect()
            };
            let done = held.idle.is_empty();
            if done {
                held.watched = false;
            }
            drop(held);
            // Closing is a system call each: not under the lock.
            drop(old);
            if done {
                return;
            }
        }
    }
}

impl Drop for Watch {
    /// When the runtime ends in between: the next connection gets a new watch.
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.held().watched = false;
        }
    }
}
