//! One connection: how long and how large a request's head may be, how long an idle or a leaving peer is kept, and how
//! many connections there are.
//!
//! actix-http bounds the time of the first head on a connection only, lets a head grow to 128 KiB, and waits without
//! end for a peer that takes no bytes. Here every wait between two requests has an end.

use std::cell::Cell;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::seats::{Seat, Seats};
use super::stream::Stream;
use super::tls::{self, ClientSubject, Tls};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{ByPort, ConnectionBound, Port, Refused};

/// How long an idle connection is kept: longer than the usual proxy's, so that the proxy closes first.
pub const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a peer that was told to go may go on sending, so that it reads its answer before a reset.
pub const LINGER: Duration = Duration::from_secs(3);
/// How much it may send in that time before it is no longer listened to.
const LINGER_BYTES: usize = 1024 * 1024;
/// How long a peer may take none of the bytes of its answer.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// How many connections that were told to leave may still be there.
const LEAVING: usize = 64;

const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-length: 0\r\n\r\n";
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_LARGE: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open at the same time, over all workers.
    pub connections: usize,
    /// Bytes of a request's head.
    pub head: usize,
    /// Time for a whole head to arrive.
    pub head_deadline: Duration,
}

/// The open connections of one port; cloning shares the count.
#[derive(Clone, Debug)]
pub struct Connections {
    open: Arc<AtomicUsize>,
    limits: Limits,
    port: Port,
    metrics: Metrics,
    /// Who leaves when it is full; absent where newcomers are turned away instead.
    seats: Option<Arc<Seats>>,
}

/// A socket with its bounds, as actix-http reads and writes it.
pub struct Connection {
    stream: Stream,
    /// Whose certificate the peer has shown.
    subject: Option<ClientSubject>,
    seat: Option<Arc<Seat>>,
    progress: Rc<Progress>,
    timer: Pin<Box<Sleep>>,
    /// Since when the peer takes no bytes.
    stalled: Option<Instant>,
    connections: Connections,
}

/// What a connection is doing, shared with the requests on it.
#[derive(Debug)]
pub struct Progress {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    /// Bytes that arrived in this phase.
    bytes: Cell<usize>,
    /// The parser has been given a chance since the head reached its bound.
    parsed: Cell<bool>,
    /// The body of the request at hand has not been read to its end.
    unread: Cell<bool>,
    seat: Option<Arc<Seat>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A head is arriving.
    Head,
    /// A request is being worked on; its own deadlines hold.
    Request,
    /// Between two requests.
    Idle,
    /// The last answer was given, and the peer is still sending.
    Closing,
    /// Refused here, without actix-http knowing.
    Refused,
}

// === impl Connections ===

impl Connections {
    /// None yet.
    pub fn new(port: Port, limits: Limits, metrics: Metrics) -> Self {
        // The port is in the metrics from its start, and not from its first connection.
        drop(metrics.connections.get_or_create(&ByPort { port }));
        Self { open: Arc::default(), limits, port, metrics, seats: None }
    }

    /// When it is full the oldest connection leaves, so that whoever comes is heard.
    #[must_use]
    pub fn closing_the_oldest(self) -> Self {
        Self { seats: Some(Arc::default()), ..self }
    }

    /// Takes a socket in, or tells the peer to come again and drops it.
    pub fn admit(&self, stream: TcpStream) -> Option<Connection> {
        let full = self.open.load(Ordering::Relaxed) >= self.limits.connections;
        let mut max = self.limits.connections;
        if let Some(seats) = &self.seats
            && full
            && seats.vacate()
        {
            self.refused(ConnectionBound::oldest);
            max += LEAVING;
        }
        let taken = self
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < max).then_some(open + 1));
        if taken.is_err() {
            self.refused(ConnectionBound::connections);
            // It fits into the empty buffer of a socket; nobody waits for more.
            let _ = stream.into_std().and_then(|mut stream| stream.write(TOO_MANY));
            return None;
        }
        self.gauge().inc();
        // Answers are small and written at once.
        let _ = stream.set_nodelay(true);
        let now = Instant::now();
        let seat = self.seats.as_ref().map(|seats| seats.take());
        Some(Connection {
            stream: Stream::Plain(stream),
            subject: None,
            progress: Rc::new(Progress::new(now, seat.clone())),
            seat,
            timer: Box::pin(sleep_until(now + self.limits.head_deadline)),
            stalled: None,
            connections: self.clone(),
        })
    }

    /// How many may be open.
    pub fn bound(&self) -> usize {
        self.limits.connections
    }

    fn refused(&self, bound: ConnectionBound) {
        self.metrics.connections_refused.get_or_create(&Refused { port: self.port, bound }).inc();
    }

    fn gauge(&self) -> Gauge {
        self.metrics.connections.get_or_create_owned(&ByPort { port: self.port })
    }
}

// === impl Progress ===

impl Progress {
    fn new(now: Instant, seat: Option<Arc<Seat>>) -> Self {
        Self {
            seat,
            phase: Cell::new(Phase::Head),
            since: Cell::new(now),
            bytes: Cell::new(0),
            parsed: Cell::new(false),
            unread: Cell::new(false),
        }
    }

    /// A request begins; `unread` when it has a body.
    pub fn begin(&self, unread: bool) {
        self.enter(Phase::Request, self.since.get());
        self.unread.set(unread);
    }

    /// The body of the request at hand was read to its end.
    pub fn body_read(&self) {
        self.unread.set(false);
    }

    /// The request has its answer. Returns whether the connection must close after it: when `close` says so, or when
    /// there may be bytes of the body under way that nobody wants.
    pub fn end(&self, close: bool) -> bool {
        let close = close || self.unread.get();
        self.enter(if close { Phase::Closing } else { Phase::Idle }, Instant::now());
        close
    }

    fn enter(&self, phase: Phase, now: Instant) {
        if let Some(seat) = &self.seat {
            seat.busy.store(phase == Phase::Request, Ordering::Relaxed);
        }
        self.phase.set(phase);
        self.since.set(now);
        self.bytes.set(0);
        self.parsed.set(false);
    }

    fn arrived(&self, bytes: usize, now: Instant) {
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head, now);
        }
        self.bytes.set(self.bytes.get().saturating_add(bytes));
    }
}

// === impl Connection ===

impl Connection {
    /// What the requests on it report to.
    pub fn progress(&self) -> Rc<Progress> {
        Rc::clone(&self.progress)
    }

    /// Whose certificate the peer has shown.
    pub fn subject(&self) -> Option<ClientSubject> {
        self.subject.clone()
    }

    /// Does the handshake, in the time that a head may take.
    ///
    /// # Errors
    /// When there is none: it takes too long, or the peer speaks no TLS, or shows a certificate that does not count.
    pub async fn secure(mut self, tls: &Tls) -> io::Result<Self> {
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Nothing) else {
            return Ok(self);
        };
        let peer = stream.peer_addr().ok();
        let limit = self.connections.limits.head_deadline;
        let shaken = tokio::time::timeout(limit, tls.acceptor().accept(stream)).await;
        match shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                self.subject = tls::subject(stream.get_ref().1);
                self.stream = Stream::Tls(Box::new(stream));
                self.progress.enter(Phase::Head, Instant::now());
                Ok(self)
            }
            Err(error) => {
                self.connections.refused(ConnectionBound::handshake);
                // Who only looks whether the port is open sends nothing.
                if error.kind() != io::ErrorKind::UnexpectedEof {
                    let peer = peer.map(|it| it.to_string()).unwrap_or_default();
                    tracing::warn!(peer, %error, "TLS handshake failed");
                }
                Err(error)
            }
        }
    }

    fn is_lost(&self, context: &Context<'_>) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.is_lost(context))
    }

    /// When the present wait ends. Nothing is read while nothing can be written, so then only that counts.
    fn due(&self) -> Option<Instant> {
        if let Some(since) = self.stalled {
            return Some(since + WRITE_TIME);
        }
        let since = self.progress.since.get();
        match self.progress.phase.get() {
            Phase::Head => Some(since + self.connections.limits.head_deadline),
            Phase::Request => None,
            Phase::Idle => Some(since + KEEP_ALIVE),
            Phase::Closing | Phase::Refused => Some(since + LINGER),
        }
    }

    /// Makes sure that the task is woken when the present wait ends.
    fn watch(&mut self, context: &mut Context<'_>) {
        let Some(due) = self.due() else { return };
        if self.timer.deadline() > due || self.timer.is_elapsed() {
            self.timer.as_mut().reset(due);
        }
        // A timer that was set for an earlier wait fires too soon; then the task looks again.
        if self.timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }

    /// Answers in actix-http's place, and goes on reading for a moment so that the answer is read.
    fn refuse(
        &mut self,
        context: &mut Context<'_>,
        answer: &[u8],
        bound: ConnectionBound,
    ) -> Poll<io::Result<()>> {
        self.connections.refused(bound);
        if self.stalled.is_none() {
            self.stream.try_write(context, answer);
        }
        let _ = Pin::new(&mut self.stream).poll_shutdown(context);
        self.progress.enter(Phase::Refused, Instant::now());
        self.poll_refused(context, Instant::now())
    }

    /// Reads and forgets; the end of the stream is what actix-http is told at last.
    fn poll_refused(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<io::Result<()>> {
        let mut scratch = [0; 4096];
        let progress = &self.progress;
        while now < progress.since.get() + LINGER && progress.bytes.get() < LINGER_BYTES {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    progress.bytes.set(progress.bytes.get() + buffer.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    self.watch(context);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let now = Instant::now();
        if this.is_lost(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        // Who takes no answers is not asked for more requests: actix-http would go on and keep all their answers.
        if this.stalled.is_some() {
            this.watch(context);
            return Poll::Pending;
        }
        let (since, bytes) = (this.progress.since.get(), this.progress.bytes.get());
        let limits = &this.connections.limits;
        match this.progress.phase.get() {
            Phase::Head if now >= since + limits.head_deadline => {
                return this.refuse(context, TOO_SLOW, ConnectionBound::head_time);
            }
            // What came in one go may be a small head with a large body: the parser looks first.
            Phase::Head if bytes >= limits.head && !this.progress.parsed.replace(true) => {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Phase::Head if bytes >= limits.head => {
                return this.refuse(context, TOO_LARGE, ConnectionBound::head_size);
            }
            Phase::Idle if now >= since + KEEP_ALIVE => return Poll::Ready(Ok(())),
            Phase::Closing if now >= since + LINGER => return Poll::Ready(Ok(())),
            Phase::Closing if bytes >= LINGER_BYTES => {
                this.watch(context);
                return Poll::Pending;
            }
            Phase::Refused => return this.poll_refused(context, now),
            Phase::Head | Phase::Request | Phase::Idle | Phase::Closing => {}
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        match &result {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                this.progress.arrived(buffer.filled().len() - before, now);
            }
            Poll::Ready(_) => {}
            Poll::Pending => this.watch(context),
        }
        result
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_lost(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        if result.is_ready() {
            if this.stalled.take().is_some() {
                // Reading has been waiting for this.
                context.waker().wake_by_ref();
            }
            return result;
        }
        let now = Instant::now();
        if now >= *this.stalled.get_or_insert(now) + WRITE_TIME {
            this.connections.refused(ConnectionBound::write_time);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        this.watch(context);
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // After an answer this is the last call until something happens.
        this.watch(context);
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
        self.connections.gauge().dec();
    }
}
