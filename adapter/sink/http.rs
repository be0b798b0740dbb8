//! One sink over HTTP: its connections, one attempt, and the loop of attempts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::http::StatusCode;
use ::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use backon::Retryable;
use tracing::debug;

use super::delivery::Delivery;
use super::encode::{self, Message};
use super::spec::{Mode, SinkSpec, SinkUrl};
use super::{Receipt, SendError, retry_after};
use crate::event::Event;

/// How much of an answer is read, so that the connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;
/// How long is spent on reading it.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// How many characters of a refusal go into the reason.
const MAX_EXCERPT: usize = 160;
/// A projected token is below 2 KiB.
const MAX_TOKEN: u64 = 16 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Below the usual 60 s of servers and proxies, so that they do not close a connection that we are about to use.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_IDLE: usize = 64;

/// A sink with its own pool of connections.
pub(super) struct HttpSink {
    client: reqwest::Client,
    url: SinkUrl,
    headers: HeaderMap,
    mode: Mode,
    token: Token,
    delivery: Delivery,
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

/// Why one attempt failed.
#[derive(Debug)]
struct Failure {
    kind: Kind,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
    reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Transient,
    Permanent,
    /// The caller's time is over.
    Deadline,
}

/// The certificates of `K_CA_CERTS`.
pub(super) fn certificates(pem: &str) -> Result<Vec<reqwest::Certificate>, String> {
    if pem.trim().is_empty() {
        return Ok(Vec::new());
    }
    let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
        .map_err(|error| format!("must be PEM certificates: {}", chain(&error)))?;
    if certificates.is_empty() {
        return Err("must be PEM certificates: there is none in it".to_owned());
    }
    Ok(certificates)
}

// === impl HttpSink ===

impl HttpSink {
    pub(super) fn new(
        spec: &SinkSpec,
        token: Token,
        certificates: &[reqwest::Certificate],
    ) -> Result<Self, String> {
        // The client takes the process-wide provider; a second call is refused, and that is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder()
            .user_agent(concat!("pipewright/", env!("CARGO_PKG_VERSION")))
            // An operator's sink is reached directly and nowhere else: no proxy of the environment, no redirects,
            // and no retries but the ones that are counted here.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE);
        let builder = if spec.url.is_https() {
            builder.tls_certs_merge(certificates.iter().cloned())
        } else {
            // An image without system certificates can still speak plain HTTP.
            builder.tls_certs_only([])
        };
        let client = builder.build().map_err(|error| chain(&error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &spec.headers {
            if let (Some(name), Some(value)) = (name.header(), value.header()) {
                headers.insert(name, value);
            }
        }
        Ok(Self {
            client,
            url: spec.url.clone(),
            headers,
            mode: spec.mode,
            token,
            delivery: spec.delivery.clone(),
        })
    }

    pub(super) async fn send(
        &self,
        name: &str,
        event: &Event,
        deadline: Instant,
    ) -> Result<Receipt, SendError> {
        let start = Instant::now();
        let mut attempts = 0;
        // Encoded once: every attempt is the same bytes under the same id.
        let result = match encode::encode(event, self.mode) {
            Err(reason) => Err(Failure { kind: Kind::Permanent, status: None, retry_after: None, reason }),
            Ok(message) => {
                (|| {
                    // An attempt without time is none.
                    attempts += u32::from(Instant::now() < deadline);
                    self.attempt(&message, deadline)
                })
                .retry(self.delivery.schedule())
                .when(|failure| failure.kind == Kind::Transient)
                .adjust(|failure, wait| {
                    let wait = wait?.max(failure.retry_after.unwrap_or_default());
                    // Waiting beyond the deadline would only delay the answer.
                    Instant::now().checked_add(wait).filter(|then| *then < deadline).map(|_| wait)
                })
                .notify(|failure, wait| {
                    debug!(
                        sink = name,
                        event.id = event.id(),
                        ?wait,
                        reason = failure.reason,
                        "sending again"
                    );
                })
                .await
            }
        };
        match result {
            Ok(status) => Ok(Receipt { attempts, status: status.as_u16(), elapsed: start.elapsed() }),
            Err(Failure { kind: Kind::Permanent, status, reason, .. }) => Err(SendError::Permanent {
                sink: name.to_owned(),
                attempts,
                status: status.map(|status| status.as_u16()),
                reason,
            }),
            Err(Failure { status, retry_after, reason, .. }) => Err(SendError::Transient {
                sink: name.to_owned(),
                attempts,
                status: status.map(|status| status.as_u16()),
                retry_after,
                reason,
            }),
        }
    }

    async fn attempt(&self, message: &Message, deadline: Instant) -> Result<StatusCode, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::new(
                Kind::Deadline,
                "the deadline passed before it could be sent".to_owned(),
            ));
        }
        let mut headers = self.headers.clone();
        headers.extend(message.headers.clone());
        if let Some(token) = self.token.read()? {
            headers.insert(AUTHORIZATION, token);
        }
        let mut response = self
            .client
            .post(self.url.url().clone())
            .headers(headers)
            .timeout(left.min(self.delivery.timeout.0))
            .body(message.body.clone())
            .send()
            .await
            .map_err(Failure::transport)?;
        let status = response.status();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after::parse(value, jiff::Timestamp::now()))
            .map(|wait| self.delivery.obeyed(wait));
        let excerpt = drain(&mut response).await;
        if status.is_success() {
            return Ok(status);
        }
        let kind = if is_transient(status) { Kind::Transient } else { Kind::Permanent };
        let reason = match excerpt.as_str() {
            "" => format!("it answered {status}"),
            excerpt => format!("it answered {status}: {excerpt}"),
        };
        Err(Failure { kind, status: Some(status), retry_after, reason })
    }
}

/// Every status that some receiver uses for "try again": the union of what Knative and the CloudEvents SDKs retry.
fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 404 | 408 | 409 | 425 | 429)
}

/// Reads the answer's body, within limits, and gives its beginning as one printable line.
async fn drain(response: &mut reqwest::Response) -> String {
    let mut head = Vec::new();
    let _ = tokio::time::timeout(ANSWER_TIME, async {
        let mut total = 0;
        // Whatever goes wrong here: the status has come, and the status is the answer.
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = (MAX_EXCERPT * 4).saturating_sub(head.len()).min(chunk.len());
            head.extend_from_slice(&chunk[..room]);
            total += chunk.len();
            if total >= MAX_ANSWER {
                break;
            }
        }
    })
    .await;
    let text = String::from_utf8_lossy(&head);
    let line = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    line.collect::<Vec<_>>().join(" ").chars().take(MAX_EXCERPT).collect()
}

// === impl Token ===

impl Token {
    /// The header value, read anew each time since the platform rewrites the file in place.
    fn read(&self) -> Result<Option<HeaderValue>, Failure> {
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
                Err(Failure::new(Kind::Transient, format!("token file `{}`: {error}", file.display())))
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

// === impl Failure ===

impl Failure {
    fn new(kind: Kind, reason: String) -> Self {
        Self { kind, status: None, retry_after: None, reason }
    }

    fn transport(error: reqwest::Error) -> Self {
        let kind = if error.is_builder() { Kind::Permanent } else { Kind::Transient };
        let reason = if error.is_timeout() {
            "it did not answer in time".to_owned()
        } else {
            // The URL may hold a key, and the sink is named anyway.
            chain(&error.without_url())
        };
        Self::new(kind, reason)
    }
}

/// An error with its causes, which reqwest's own text leaves out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
