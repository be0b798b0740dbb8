//! Events that wait for the same sink at the same moment, as one request (CloudEvents HTTP binding, section 3.3).
//!
//! A batch is carried by a task of its own, so that a caller who goes away takes nothing from the others. Everybody gets
//! the result of the batch; when it is refused for good, its events go one by one, and each gets its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::{Notify, oneshot};
use tokio::time::{timeout, timeout_at};

use super::encode;
use super::http::{Accepted, HttpSink, Refusal, Verdict};
use super::spec::Batch;

/// The most bytes of a batch; an event larger than this goes alone.
const MAX_BYTES: usize = 1024 * 1024;
/// How many events of a refused batch are sent at the same time.
const SINGLES: usize = 8;

/// The batches of one sink.
pub(super) struct Batcher {
    sink: Arc<HttpSink>,
    batch: Batch,
    /// The one that still takes events.
    open: Mutex<Option<Arc<Open>>>,
}

/// A batch that takes events. Its lock is taken under that of the batcher or alone.
#[derive(Debug, Default)]
struct Open {
    members: Mutex<Members>,
    full: Notify,
}

#[derive(Debug, Default)]
struct Members {
    list: Vec<Member>,
    bytes: usize,
}

#[derive(Debug)]
struct Member {
    json: Bytes,
    deadline: Instant,
    reply: oneshot::Sender<Result<Accepted, Refusal>>,
}

// === impl Batcher ===

impl Batcher {
    pub(super) fn new(sink: Arc<HttpSink>, batch: Batch) -> Self {
        Self { sink, batch, open: Mutex::default() }
    }

    /// Sends an event in the company of others.
    pub(super) async fn send(self: &Arc<Self>, json: Bytes, deadline: Instant) -> Result<Accepted, Refusal> {
        let (reply, result) = oneshot::channel();
        if let Some(open) = self.add(Member { json, deadline, reply }) {
            tokio::spawn(carry(Arc::clone(self), open));
        }
        match timeout_at(deadline.into(), result).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                Err(Refusal::new(Verdict::Later, "the batch with this event was given up".to_owned()))
            }
            Err(_) => Err(Refusal::new(
                Verdict::Later,
                "the deadline passed before the batch with this event was taken".to_owned(),
            )),
        }
    }

    /// Puts an event into the open batch; gives a new one, which somebody must carry, if there was no room.
    fn add(&self, member: Member) -> Option<Arc<Open>> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = slot.clone() {
            let mut members = open.members();
            let bytes = members.bytes + 1 + member.json.len();
            if bytes <= MAX_BYTES {
                members.bytes = bytes;
                members.list.push(member);
                if members.list.len() >= self.batch.max_events {
                    *slot = None;
                    open.full.notify_one();
                }
                return None;
            }
            drop(members);
            open.full.notify_one();
        }
        let open = Arc::new(Open::default());
        {
            let mut members = open.members();
            members.bytes = member.json.len();
            members.list.push(member);
        }
        *slot = Some(Arc::clone(&open));
        Some(open)
    }

    /// Takes the events of a batch, which takes no more from now on.
    fn close(&self, open: &Arc<Open>) -> Vec<Member> {
        let mut slot = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, open)) {
            *slot = None;
        }
        let mut members = std::mem::take(&mut open.members().list);
        drop(slot);
        // Nobody waits for these any more: their senders keep them.
        members.retain(|member| !member.reply.is_closed());
        members
    }
}

/// Waits until the batch is full or has lingered, sends it, and tells everybody.
async fn carry(batcher: Arc<Batcher>, open: Arc<Open>) {
    let (sink, linger) = (&batcher.sink, batcher.batch.linger.0);
    // Whichever comes first.
    let _ = timeout(linger, open.full.notified()).await;
    let until = open.members().list.iter().map(|member| member.deadline).max().unwrap_or_else(Instant::now);
    // More may join while requests before this one are under way.
    let room = sink.room(1, until).await;
    let members = batcher.close(&open);
    let room = match room {
        Ok(room) => room,
        Err(refusal) => return members.into_iter().for_each(|member| member.tell(Err(refusal.clone()))),
    };
    let Some(until) = members.iter().map(|member| member.deadline).max() else { return };
    let message = encode::batch(members.iter().map(|member| &member.json), sink.headers());
    let result = sink.deliver(&message, until, Some(room)).await;
    let refused = match result {
        Err(refusal) if refusal.verdict == Verdict::Never && members.len() > 1 => refusal,
        result => return members.into_iter().for_each(|member| member.tell(result.clone())),
    };
    tracing::debug!(
        sink = sink.name(),
        events = members.len(),
        reason = refused.reason,
        "a batch was refused; its events are sent one by one"
    );
    let singles: Vec<_> = members.into_iter().map(|member| alone(sink, member, refused.attempts)).collect();
    stream::iter(singles).buffer_unordered(SINGLES).collect::<()>().await;
}

/// Sends one event as a batch of one: the receiver is still one that takes batches.
async fn alone(sink: &HttpSink, member: Member, before: u32) {
    let message = encode::batch(std::iter::once(&member.json), sink.headers());
    let result = match sink.deliver(&message, member.deadline, None).await {
        Ok(accepted) => Ok(Accepted { attempts: accepted.attempts + before, ..accepted }),
        Err(refusal) => Err(Refusal { attempts: refusal.attempts + before, ..refusal }),
    };
    member.tell(result);
}

// === impl Open ===

impl Open {
    fn members(&self) -> std::sync::MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Member ===

impl Member {
    fn tell(self, result: Result<Accepted, Refusal>) {
        // Whoever went away has kept the event.
        let _ = self.reply.send(result);
    }
}
