//! Where deliveries are evaluated: usual ones on the thread that read them, large ones on a few threads of their own,
//! a few at a time, so that they keep nobody else waiting and their trees do not pile up.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::gate::Standing;
use crate::event::json::weight::rough_weight;

/// Threads for large deliveries.
const THREADS: usize = 2;
/// Large deliveries that may wait for one of them.
const MAX_WAITING: usize = 64;
/// How many of those may be of senders that prove nothing.
const MAX_WAITING_OPEN: usize = 16;

/// Memory for the evaluation of a usual delivery.
pub(super) const USUAL: usize = 2 * 1024 * 1024;
/// A body that is a usual delivery whatever stands in it: no tree of it is larger than [`USUAL`].
const SMALL: usize = 16 * 1024;
/// A body that is none whatever stands in it.
const LARGE: usize = 256 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The threads; they end with the last clone.
#[derive(Clone)]
pub struct Evaluation {
    threads: Arc<Threads>,
}

/// Ends the threads when it is dropped.
struct Threads(Arc<Queue>);

#[derive(Default)]
struct Queue {
    state: Mutex<Waiting>,
    filled: Condvar,
}

#[derive(Default)]
struct Waiting {
    first: VecDeque<Job>,
    /// Of senders that prove nothing: when nothing else is there.
    open: VecDeque<Job>,
    over: bool,
}

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoResult {
    /// Too many are waiting.
    Busy,
    /// The work met a bug.
    Bug,
}

/// Whether a body is a usual delivery.
pub(super) fn is_usual(body: &[u8]) -> bool {
    body.len() <= SMALL || body.len() <= LARGE && rough_weight(body) <= USUAL
}

// === impl Evaluation ===

impl Evaluation {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start() -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let threads = Self { threads: Arc::new(Threads(Arc::clone(&queue))) };
        for _ in 0..THREADS {
            let queue = Arc::clone(&queue);
            std::thread::Builder::new().name("evaluation".to_owned()).spawn(move || queue.work())?;
        }
        Ok(threads)
    }

    /// Has `work` done on one of the threads.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        standing: Standing,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let (sender, result) = oneshot::channel();
        let job = Box::new(move || {
            // Whoever wanted it may have gone.
            let _ = sender.send(work());
        });
        if !self.threads.0.push(standing, job) {
            return Err(NoResult::Busy);
        }
        result.await.map_err(|_| NoResult::Bug)
    }

    /// Whether deliveries of known senders wait for a thread.
    pub(super) fn is_wanted(&self) -> bool {
        !self.threads.0.lock().first.is_empty()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.filled.notify_all();
    }
}

// === impl Queue ===

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, standing: Standing, job: Job) -> bool {
        let mut waiting = self.lock();
        let is_open = standing == Standing::Open;
        let total = waiting.first.len() + waiting.open.len();
        if total >= MAX_WAITING || is_open && waiting.open.len() >= MAX_WAITING_OPEN {
            return false;
        }
        let queue = if is_open { &mut waiting.open } else { &mut waiting.first };
        queue.push_back(job);
        self.filled.notify_one();
        true
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The one that waits is told by the end of the channel.
            let _ = std::panic::catch_unwind(AssertUnwindSafe(job));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if waiting.over {
                return None;
            }
            let next = waiting.first.pop_front();
            if let Some(job) = next.or_else(|| waiting.open.pop_front()) {
                return Some(job);
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures::future::join_all;
    use futures::{FutureExt, poll};

    use super::*;
    use crate::event::json::weight::WORST;

    /// Takes both threads until something is sent.
    fn occupied(evaluation: &Evaluation) -> [mpsc::Sender<()>; THREADS] {
        std::array::from_fn(|_| {
            let (go, wait) = mpsc::channel::<()>();
            let (begun, has_begun) = mpsc::channel();
            let job = Box::new(move || {
                let _ = begun.send(());
                let _ = wait.recv();
            });
            assert!(evaluation.threads.0.push(Standing::Proved, job));
            has_begun.recv().unwrap();
            go
        })
    }

    #[tokio::test]
    async fn open_senders_wait_in_a_bounded_queue_behind_those_that_are_known() {
        let evaluation = Evaluation::start().unwrap();
        let go = occupied(&evaluation);
        let order = Arc::new(Mutex::new(Vec::new()));
        let run = |standing| {
            let order = Arc::clone(&order);
            evaluation.run(standing, move || order.lock().unwrap().push(standing)).boxed()
        };
        let mut waiting: Vec<_> = (0..MAX_WAITING_OPEN).map(|_| run(Standing::Open)).collect();
        for one in &mut waiting {
            assert!(poll!(one).is_pending());
        }
        assert_eq!(run(Standing::Open).await, Err(NoResult::Busy));
        let mut known: Vec<_> = (MAX_WAITING_OPEN..MAX_WAITING).map(|_| run(Standing::Unproved)).collect();
        for one in &mut known {
            assert!(poll!(one).is_pending());
        }
        assert_eq!(run(Standing::Proved).await, Err(NoResult::Busy));
        // One thread goes on, so that there is an order.
        let [first, second] = go;
        drop(first);
        assert!(join_all(waiting.into_iter().chain(known)).await.iter().all(Result::is_ok));
        drop(second);
        let order = order.lock().unwrap();
        let known = MAX_WAITING - MAX_WAITING_OPEN;
        assert!(order[..known].iter().all(|it| *it == Standing::Unproved), "{order:?}");
        assert_eq!(order.len(), MAX_WAITING);
    }

    #[tokio::test]
    async fn a_bug_costs_its_own_delivery_and_no_thread() {
        let evaluation = Evaluation::start().unwrap();
        for _ in 0..2 * THREADS {
            let died = evaluation.run(Standing::Proved, || assert_eq!(1, 2, "on purpose")).await;
            assert_eq!(died, Err(NoResult::Bug));
        }
        assert_eq!(evaluation.run(Standing::Proved, || 7).await, Ok(7));
    }

    #[test]
    fn no_usual_delivery_needs_more_than_is_set_aside_for_one() {
        const { assert!(SMALL * WORST <= USUAL) };
        let full = |byte: u8, length| vec![byte; length];
        assert!(is_usual(&full(b'{', SMALL)));
        assert!(!is_usual(&full(b'{', SMALL + 1)) && !is_usual(&full(b'x', LARGE + 1)));
        let payload = include_str!("../../tests/fixtures/github/pull_request.opened.json");
        let larger = format!("[{}null]", format!("{payload},").repeat(8));
        assert!(
            larger.len() > 2 * SMALL && is_usual(larger.as_bytes()),
            "{}",
            rough_weight(larger.as_bytes())
        );
    }
}
