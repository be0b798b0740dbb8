//! One sink over HTTP: one attempt, and the loop of attempts.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::http::StatusCode;
use ::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use tracing::debug;

use super::backlog::{self, Backlog, Full, Place, Room};
use super::client::{Client, ClientError, Tls};
use super::encode::{self, Message};
use super::retry_after;
use super::schedule::Schedule;
use super::spec::{Delivery, Mode, SinkSpec, SinkUrl};
use crate::event::Event;
use crate::telemetry::Metrics;

/// How many bytes of a refusal go into the reason.
const MAX_EXCERPT: usize = 200;
/// How many bytes of a refusal are kept: what fits into a dead letter.
const MAX_ANSWER: usize = 768;
/// A projected token is below 2 KiB.
const MAX_TOKEN: u64 = 16 * 1024;
/// What Knative's adapters say about where they run.
pub(super) const NAMESPACE: HeaderName = HeaderName::from_static("kn-namespace");

/// A sink with its own pool of connections.
pub(super) struct HttpSink {
    name: String,
    client: Client,
    url: SinkUrl,
    /// Those of every request.
    headers: HeaderMap,
    mode: Mode,
    token: Token,
    delivery: Delivery,
    backlog: Backlog,
}

/// What all sinks have in common.
pub(super) struct Common {
    pub(super) tls: Tls,
    pub(super) namespace: Option<HeaderValue>,
}

/// Where the bearer token comes from.
#[derive(Clone, Debug)]
pub(super) enum Token {
    None,
    /// A file that the platform may or may not mount.
    IfPresent(PathBuf),
    /// A file that the configuration names.
    Required(PathBuf),
}

/// The sink took it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) attempts: u32,
    pub(super) status: StatusCode,
}

/// The sink did not take it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) verdict: Verdict,
    pub(super) attempts: u32,
    pub(super) status: Option<StatusCode>,
    pub(super) retry_after: Option<Duration>,
    pub(super) reason: String,
    /// The beginning of the last answer's body.
    pub(super) answer: Vec<u8>,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another attempt may work.
    Again,
    /// Another attempt may work, and there are no more.
    Exhausted,
    /// It may work later, but this caller's time or place is used up.
    Later,
    /// It will never work.
    Never,
}

// === impl HttpSink ===

impl HttpSink {
    pub(super) fn new(name: &str, spec: &SinkSpec, token: Token, common: &Common) -> Result<Self, String> {
        spec.check()?;
        let client = Client::new(spec.url.as_url(), &common.tls)?;
        let mut headers = client.headers();
        if let Some(namespace) = &common.namespace {
            headers.insert(NAMESPACE, namespace.clone());
        }
        for (name, value) in &spec.headers {
            if let (Some(name), Some(value)) = (name.header(), value.header()) {
                headers.insert(name, value);
            }
        }
        Ok(Self {
            name: name.to_owned(),
            client,
            url: spec.url.clone(),
            headers,
            mode: spec.mode,
            token,
            delivery: spec.delivery.clone(),
            backlog: Backlog::new(spec.max_in_flight, spec.max_waiting),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn url(&self) -> &SinkUrl {
        &self.url
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn measure(&self, metrics: &Metrics) {
        self.backlog.measure(&self.name, metrics);
    }

    /// Takes a place among the deliveries that wait; refuses at once when there is none.
    pub(super) fn enter(&self) -> Result<Place<'_>, Refusal> {
        self.backlog.enter().map_err(Refusal::full)
    }

    /// Sends one event in a request of its own.
    pub(super) async fn send(&self, event: &Event, deadline: Instant) -> Result<Accepted, Refusal> {
        let message = encode::encode(event, self.mode, &self.headers)
            .map_err(|reason| Refusal::new(Verdict::Never, reason))?;
        self.deliver(&message, deadline, None).await
    }

    /// Sends a message, again and again if need be, the same bytes each time. `room` is for the first attempt.
    pub(super) async fn deliver(
        &self,
        message: &Message,
        deadline: Instant,
        mut room: Option<Room<'_>>,
    ) -> Result<Accepted, Refusal> {
        let mut attempts = 0;
        let mut waits = Schedule::new(&self.delivery);
        loop {
            let result = self.attempt(message, deadline, room.take(), &mut attempts).await;
            let mut refusal = match result {
                Ok(status) => {
                    self.backlog.works();
                    return Ok(Accepted { attempts, status });
                }
                Err(refusal) => Refusal { attempts, ..refusal },
            };
            if refusal.verdict == Verdict::Never {
                self.backlog.works();
            }
            if refusal.verdict != Verdict::Again {
                return Err(refusal);
            }
            let Some(wait) = waits.next() else {
                // Without a single request the sink has refused nothing.
                refusal.verdict = if attempts > 0 { Verdict::Exhausted } else { Verdict::Later };
                return Err(refusal);
            };
            let wait = wait.max(refusal.retry_after.unwrap_or_default());
            // Waiting beyond the deadline would only delay the answer.
            if Instant::now().checked_add(wait).is_none_or(|then| then >= deadline) {
                refusal.verdict = Verdict::Later;
                return Err(refusal);
            }
            debug!(
                sink = self.name,
                events = message.events,
                ?wait,
                reason = refusal.reason,
                "sending again"
            );
            tokio::time::sleep(wait).await;
        }
    }

    /// Waits for room for one request.
    pub(super) async fn room(&self, events: usize, deadline: Instant) -> Result<Room<'_>, Refusal> {
        let room = self.backlog.room(events, deadline).await.map_err(Refusal::full)?;
        room.ok_or_else(|| {
            Refusal::new(Verdict::Later, "the deadline passed before it could be sent".to_owned())
        })
    }

    async fn attempt(
        &self,
        message: &Message,
        deadline: Instant,
        room: Option<Room<'_>>,
        attempts: &mut u32,
    ) -> Result<StatusCode, Refusal> {
        let token = self.token.read()?;
        let _room = match room {
            Some(room) => room,
            None => self.room(message.events, deadline).await?,
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let reason = "the deadline passed before it could be sent".to_owned();
            return Err(Refusal::new(Verdict::Later, reason));
        }
        *attempts += 1;
        let limit = left.min(self.delivery.timeout.0);
        let answer = match token {
            None => self.client.post(&message.headers, &message.body, limit, attempts).await,
            Some(token) => {
                let mut headers = message.headers.clone();
                headers.insert(AUTHORIZATION, token);
                self.client.post(&headers, &message.body, limit, attempts).await
            }
        };
        let answer = answer.map_err(|error| {
            // A caller that is in a hurry has not used up the sink's patience.
            let cut = matches!(error, ClientError::Timeout) && left < self.delivery.timeout.0;
            Refusal::new(if cut { Verdict::Later } else { Verdict::Again }, error.to_string())
        })?;
        if answer.status.is_success() {
            return Ok(answer.status);
        }
        let retry_after = answer
            .headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after::parse(value, jiff::Timestamp::now()))
            .map(|wait| self.delivery.obeyed(wait));
        let reason = match excerpt(&answer.body).as_str() {
            "" => format!("it answered {}", answer.status),
            excerpt => format!("it answered {}: {excerpt}", answer.status),
        };
        let mut body = answer.body;
        body.truncate(MAX_ANSWER);
        Err(Refusal {
            verdict: if is_transient(answer.status) { Verdict::Again } else { Verdict::Never },
            attempts: 0,
            status: Some(answer.status),
            retry_after,
            reason,
            answer: body,
        })
    }
}

/// Every status that some receiver uses for "try again": the union of what Knative and the CloudEvents SDKs retry.
fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 409 | 425 | 429)
}

/// The beginning of an answer's body as one line of printable ASCII; anything else is escaped, as `\u{1b}` or `\xff`. A
/// sink's words go into our answers and logs, and must not steer a terminal or take the shape of other lines there.
fn excerpt(body: &[u8]) -> String {
    let mut text = String::new();
    for chunk in body[..body.len().min(MAX_EXCERPT)].utf8_chunks() {
        for word in chunk.valid().split_whitespace() {
            if !text.is_empty() {
                text.push(' ');
            }
            word.chars().for_each(|c| match c {
                ' '..='~' => text.push(c),
                other => text.extend(other.escape_unicode()),
            });
        }
        // The end may cut a character in two.
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

// === impl Refusal ===

impl Refusal {
    pub(super) fn new(verdict: Verdict, reason: String) -> Self {
        Self { verdict, attempts: 0, status: None, retry_after: None, reason, answer: Vec::new() }
    }

    fn full(Full(reason): Full) -> Self {
        Self { retry_after: Some(backlog::RETRY_AFTER), ..Self::new(Verdict::Later, reason) }
    }
}

// === impl Token ===

impl Token {
    /// The header value, read anew each time since the platform rewrites the file in place.
    fn read(&self) -> Result<Option<HeaderValue>, Refusal> {
        let (file, required) = match self {
            Self::None => return Ok(None),
            Self::IfPresent(file) => (file, false),
            Self::Required(file) => (file, true),
        };
        match read_token(file) {
            Ok(token) => Ok(Some(token)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => Ok(None),
            // A rotation may be under way.
            Err(error) => {
                Err(Refusal::new(Verdict::Again, format!("token file `{}`: {error}", file.display())))
            }
        }
    }
}

/// On this thread: the platform's volumes are in memory, and to have another thread read costs many times as much.
fn read_token(file: &Path) -> std::io::Result<HeaderValue> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(MAX_TOKEN).read_to_string(&mut text)?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", text.trim()))
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it holds no token"))?;
    value.set_sensitive(true);
    Ok(value)
}
