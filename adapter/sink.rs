//! Where events go out: named sinks, each with its own address, content mode, retries and connections.
//!
//! The promise of a [`Receipt`] is that the receiver, or the dead letter sink in its place, answered 2xx. Nothing is kept
//! in memory after that, and no attempt begins after the caller's deadline, so whoever gave the event can always be told
//! whether it left.

mod backlog;
mod batch;
pub(crate) mod client;
mod dead_letter;
pub mod delivery;
mod encode;
mod http;
mod overrides;
mod retry_after;
mod spec;
pub mod timeline;
mod trace;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::HeaderValue;

use self::dead_letter::Cause;
use self::http::{Common, HttpSink, Refusal, Token, Verdict};
use crate::event::Event;
use crate::event::fault::{Fault, Kind};
use crate::telemetry::Metrics;

pub use batch::Batch;
pub use dead_letter::Destination;
pub use delivery::{BackoffPolicy, Delivery, IsoDuration};
pub use overrides::Overrides;
pub use spec::{Mode, SinkSpec, SinkUrl};

/// The name of the sink of `K_SINK`.
pub const DEFAULT: &str = "default";

/// What Knative's `SinkBinding` and its peers hand to a container; the composition root reads it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `K_SINK`: the URL of the default sink. Empty while the binding is not resolved.
    pub sink: Option<String>,
    /// `K_CE_OVERRIDES`: JSON `{"extensions": {…}}`, or empty.
    pub ce_overrides: Option<String>,
    /// `K_CA_CERTS`: PEM certificates trusted besides those of the system, or empty.
    pub ca_certs: Option<String>,
    /// The file of the default sink's bearer token, `/oidc/token` in a bound container. It need not exist.
    pub token_file: Option<PathBuf>,
    /// `NAMESPACE`: where this process runs, sent as the header `Kn-Namespace`.
    pub namespace: Option<String>,
    /// `K_SINK_TIMEOUT`: the seconds that one attempt at the default sink may take.
    pub timeout: Option<String>,
}

/// Every place that events go to, by name.
pub struct Sinks {
    targets: BTreeMap<String, Target>,
    overrides: Overrides,
}

/// Something in this process that takes events, such as the timeline of `dev`.
pub trait Receive: Send + Sync {
    /// Takes one event. It must return soon: the sender waits.
    fn receive(&self, event: &Event);
}

/// Proof that a sink took the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How many requests it took; at least 1.
    pub attempts: u32,
    /// The status code of the last answer.
    pub status: u16,
    /// From the first request to the answer, waits included.
    pub elapsed: Duration,
    /// Why the event went to the dead letter sink instead. The rest of the receipt is that sink's then.
    pub dead_letter: Option<Box<DeadLetter>>,
}

/// A delivery that a dead letter sink took over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The dead letter sink's name.
    pub sink: String,
    /// How many requests the sink itself had got.
    pub attempts: u32,
    /// Why it did not take the event.
    pub reason: String,
}

/// Why an event was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It may work later: the sink is unreachable, slow or overloaded.
    #[error("sink `{sink}`, after {attempts} attempts: {reason}")]
    Transient {
        /// The sink's name.
        sink: String,
        /// How many requests were made; 0 when the deadline had passed before the first.
        attempts: u32,
        /// The last answer's status code, if there was an answer.
        status: Option<u16>,
        /// How long the sink asked us to wait, at most its `retryAfterMax`.
        retry_after: Option<Duration>,
        /// What went wrong last.
        reason: String,
    },
    /// It will never work with this event and this sink.
    #[error("sink `{sink}`: {reason}")]
    Permanent {
        /// The sink's name.
        sink: String,
        /// How many requests were made.
        attempts: u32,
        /// The answer's status code; `None` when no request could be made of the event.
        status: Option<u16>,
        /// What went wrong.
        reason: String,
    },
    /// No sink has this name.
    #[error("there is no sink `{0}`")]
    UnknownSink(String),
    /// There is no default sink: `K_SINK` is empty and no sink document is named `default`.
    #[error("there is no default sink: set `K_SINK`, or configure a sink named `default`")]
    NoDefault,
}

/// Why the sinks cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// `K_SINK` is no usable URL.
    #[error("`K_SINK` {0}")]
    Sink(String),
    /// `K_CE_OVERRIDES` is malformed.
    #[error("`K_CE_OVERRIDES` {0}")]
    Overrides(String),
    /// `K_CA_CERTS` is malformed.
    #[error("`K_CA_CERTS` {0}")]
    CaCerts(String),
    /// `K_SINK_TIMEOUT` is no number of seconds.
    #[error("`K_SINK_TIMEOUT` must be a whole number of seconds, not `{0}`")]
    Timeout(String),
    /// `NAMESPACE` is no name.
    #[error("`NAMESPACE` must be the name of a namespace")]
    Namespace,
    /// Two sinks of one name.
    #[error("sink `{0}` is defined twice")]
    Duplicate(String),
    /// The HTTP client cannot be built, for want of system certificates for example.
    #[error("sink `{sink}`: {reason}")]
    Client {
        /// The sink's name.
        sink: String,
        /// What is missing.
        reason: String,
    },
}

enum Target {
    Http { sink: Arc<HttpSink>, letters: Option<Letters> },
    InProcess(Arc<dyn Receive>),
}

/// Where a sink's dead letters go. Only the events of that sink: what is refused there has no further place.
enum Letters {
    /// Another sink.
    Named(String),
    /// An address of its own.
    Own(Arc<HttpSink>),
}

// === impl Sinks ===

impl Sinks {
    /// Sets up the sinks of the environment and of the documents of kind `Sink`.
    ///
    /// `K_SINK` replaces the URL of a document named `default` and keeps the rest of it, so that delivery settings
    /// can be configured for a sink whose address the platform decides.
    ///
    /// # Errors
    /// The first part of the environment that is malformed, a name used twice, or an HTTP client that cannot be built.
    pub fn new(
        environment: &Environment,
        specs: impl IntoIterator<Item = (String, SinkSpec)>,
    ) -> Result<Self, ConfigError> {
        let overrides = Overrides::parse(environment.ce_overrides.as_deref().unwrap_or_default())
            .map_err(ConfigError::Overrides)?;
        let tls = client::Tls::new(environment.ca_certs.as_deref().unwrap_or_default())
            .map_err(ConfigError::CaCerts)?;
        let common = Common { tls, namespace: environment.namespace()? };
        let mut named = BTreeMap::new();
        for (name, spec) in specs {
            if named.insert(name.clone(), spec).is_some() {
                return Err(ConfigError::Duplicate(name));
            }
        }
        let bound = environment.sink.as_deref().map(str::trim).filter(|url| !url.is_empty());
        if let Some(url) = bound {
            let url: SinkUrl =
                url.parse().map_err(|error: spec::UrlError| ConfigError::Sink(error.to_string()))?;
            let spec = named.entry(DEFAULT.to_owned()).or_insert_with(|| SinkSpec::new(url.clone()));
            spec.url = url;
            if let Some(timeout) = environment.timeout()?
                && spec.delivery.timeout == Delivery::default().timeout
            {
                spec.delivery.timeout = IsoDuration(timeout);
            }
        }
        let mut targets = BTreeMap::new();
        for (name, spec) in &named {
            let token = match (&spec.token_file, &environment.token_file) {
                (Some(file), _) => Token::Required(file.clone()),
                // The token is minted for the bound sink's audience, and no other sink may see it.
                (None, Some(file)) if name == DEFAULT && bound.is_some() => Token::IfPresent(file.clone()),
                (None, _) => Token::None,
            };
            let wrong = |reason| ConfigError::Client { sink: name.clone(), reason };
            let letters = Letters::new(name, spec, &named, &common).map_err(wrong)?;
            let sink = Arc::new(HttpSink::new(name, spec, token, &common).map_err(wrong)?);
            targets.insert(name.clone(), Target::Http { sink, letters });
        }
        Ok(Self { targets, overrides })
    }

    /// Adds, or replaces, a sink in this process.
    #[must_use]
    pub fn with_receiver(mut self, name: impl Into<String>, receiver: Arc<dyn Receive>) -> Self {
        self.targets.insert(name.into(), Target::InProcess(receiver));
        self
    }

    /// Counts in `metrics` from now on.
    #[must_use]
    pub fn measured(self, metrics: &Metrics) -> Self {
        for target in self.targets.values() {
            if let Target::Http { sink, letters } = target {
                sink.measure(metrics);
                if let Some(Letters::Own(own)) = letters {
                    own.measure(metrics);
                }
            }
        }
        self
    }

    /// The names of the sinks, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// Whether events without a named destination can leave.
    pub fn has_default(&self) -> bool {
        self.targets.contains_key(DEFAULT)
    }

    /// Sends one event, with the sink's retries, until it is taken, refused, or `deadline` has come. What was refused
    /// for good, or not taken with all retries, goes to the sink's dead letter sink; when the deadline alone ended the
    /// retries it does not, since whoever sent the event still has it.
    ///
    /// # Errors
    /// [`SendError::Transient`] when a later call may succeed: the caller keeps the event, or lets its sender keep
    /// it. [`SendError::Permanent`] when no later call can.
    pub async fn send(&self, name: &str, event: &Event, deadline: Instant) -> Result<Receipt, SendError> {
        let target = self.targets.get(name).ok_or_else(|| {
            if name == DEFAULT { SendError::NoDefault } else { SendError::UnknownSink(name.to_owned()) }
        })?;
        let overridden = self.overrides.apply(event).map_err(|error| SendError::Permanent {
            sink: name.to_owned(),
            attempts: 0,
            status: None,
            reason: error.to_string(),
        })?;
        let event = overridden.as_ref().unwrap_or(event);
        let start = Instant::now();
        let (sink, letters) = match target {
            Target::Http { sink, letters } => (sink, letters),
            Target::InProcess(receiver) => {
                receiver.receive(event);
                return Ok(Receipt { attempts: 1, status: 202, elapsed: Duration::ZERO, dead_letter: None });
            }
        };
        let refusal = match sink.send(event, deadline).await {
            Ok(http::Accepted { attempts, status }) => {
                let (status, elapsed) = (status.as_u16(), start.elapsed());
                return Ok(Receipt { attempts, status, elapsed, dead_letter: None });
            }
            Err(refusal) => refusal,
        };
        match letters {
            Some(letters) if matches!(refusal.verdict, Verdict::Exhausted | Verdict::Never) => {
                self.bury(event, sink, refusal, letters, start, deadline).await
            }
            _ => Err(refusal.into_error(name)),
        }
    }

    /// Sends the event as a dead letter.
    async fn bury(
        &self,
        event: &Event,
        sink: &HttpSink,
        refusal: Refusal,
        letters: &Letters,
        start: Instant,
        deadline: Instant,
    ) -> Result<Receipt, SendError> {
        let unanswered = || format!("dispatch error: {}", refusal.reason).into_bytes();
        let data = if refusal.status.is_some() { refusal.answer.clone() } else { unanswered() };
        let cause =
            Cause { destination: sink.url(), status: refusal.status.map(|it| it.as_u16()), data: &data };
        let Ok(letter) = dead_letter::letter(event, cause) else {
            return Err(refusal.into_error(sink.name()));
        };
        let target = match letters {
            Letters::Own(own) => own,
            Letters::Named(name) => match self.targets.get(name) {
                // Its own dead letter sink is left alone: there are no chains, and no circles.
                Some(Target::Http { sink, .. }) => sink,
                Some(Target::InProcess(receiver)) => {
                    receiver.receive(&letter);
                    return Ok(Receipt::buried(1, 202, start, name, refusal));
                }
                None => return Err(refusal.into_error(sink.name())),
            },
        };
        match target.send(&letter, deadline).await {
            Ok(http::Accepted { attempts, status }) => {
                Ok(Receipt::buried(attempts, status.as_u16(), start, target.name(), refusal))
            }
            Err(second) => {
                // It may work later if either may.
                let verdict = if second.verdict == Verdict::Never { refusal.verdict } else { Verdict::Later };
                let reason = format!(
                    "{}; its dead letter sink `{}`: {}",
                    refusal.reason,
                    target.name(),
                    second.reason
                );
                let retry_after = second.retry_after.or(refusal.retry_after);
                Err(Refusal { verdict, retry_after, reason, ..refusal }.into_error(sink.name()))
            }
        }
    }
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").field("names", &self.targets.keys()).finish_non_exhaustive()
    }
}

// === impl Letters ===

impl Letters {
    fn new(
        name: &str,
        spec: &SinkSpec,
        named: &BTreeMap<String, SinkSpec>,
        common: &Common,
    ) -> Result<Option<Self>, String> {
        match &spec.delivery.dead_letter_sink {
            None => Ok(None),
            Some(Destination::Sink(other)) if other == name => {
                Err("`deadLetterSink` is the sink itself; name another".to_owned())
            }
            // The platform may give the default sink, or a receiver in this process may be it.
            Some(Destination::Sink(other)) if other == DEFAULT || named.contains_key(other) => {
                Ok(Some(Self::Named(other.clone())))
            }
            Some(Destination::Sink(other)) => Err(format!(
                "`deadLetterSink` names the sink `{other}`, and there is none; add a document of kind `Sink` with \
                 this name"
            )),
            Some(Destination::Url(url)) if *url == spec.url => {
                Err("`deadLetterSink` is the sink's own `url`; name another place".to_owned())
            }
            Some(Destination::Url(url)) => {
                // Tried as hard as the sink itself, without its headers and token, which are for that sink.
                let mut own = SinkSpec::new(url.clone());
                own.delivery = Delivery { dead_letter_sink: None, ..spec.delivery.clone() };
                let own = HttpSink::new(&format!("{name}/dead-letter"), &own, Token::None, common)
                    .map_err(|reason| format!("`deadLetterSink`: {reason}"))?;
                Ok(Some(Self::Own(Arc::new(own))))
            }
        }
    }
}

// === impl Environment ===

impl Environment {
    fn namespace(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let namespace = self.namespace.as_deref().map(str::trim).filter(|namespace| !namespace.is_empty());
        namespace.map(HeaderValue::from_str).transpose().map_err(|_| ConfigError::Namespace)
    }

    /// Nothing for a number below 1, which means no limit to Knative and the usual one to us.
    fn timeout(&self) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = self.timeout.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let seconds: i64 = text.parse().map_err(|_| ConfigError::Timeout(text.to_owned()))?;
        Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
    }
}

// === impl Receipt ===

impl Receipt {
    fn buried(attempts: u32, status: u16, start: Instant, sink: &str, refusal: Refusal) -> Self {
        let letter = DeadLetter { sink: sink.to_owned(), attempts: refusal.attempts, reason: refusal.reason };
        Self { attempts, status, elapsed: start.elapsed(), dead_letter: Some(Box::new(letter)) }
    }
}

// === impl Refusal ===

impl Refusal {
    fn into_error(self, sink: &str) -> SendError {
        let (sink, status) = (sink.to_owned(), self.status.map(|status| status.as_u16()));
        let Self { verdict, attempts, retry_after, reason, .. } = self;
        match verdict {
            Verdict::Never => SendError::Permanent { sink, attempts, status, reason },
            Verdict::Again | Verdict::Exhausted | Verdict::Later => {
                SendError::Transient { sink, attempts, status, retry_after, reason }
            }
        }
    }
}

// === impl SendError ===

impl From<SendError> for Fault {
    fn from(error: SendError) -> Self {
        let kind = match &error {
            SendError::Transient { retry_after, .. } => Kind::Transient { after: *retry_after },
            SendError::Permanent { .. } | SendError::UnknownSink(_) | SendError::NoDefault => Kind::Permanent,
        };
        Self::of(kind, error)
    }
}

impl SendError {
    /// How many requests were made.
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Transient { attempts, .. } | Self::Permanent { attempts, .. } => *attempts,
            Self::UnknownSink(_) | Self::NoDefault => 0,
        }
    }

    /// The last answer's status code.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Transient { status, .. } | Self::Permanent { status, .. } => *status,
            Self::UnknownSink(_) | Self::NoDefault => None,
        }
    }

    /// Whether a later call may succeed.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }
}
