//! Where events go out: named sinks, each with its own address, content mode, retries and connections.
//!
//! The promise of a [`Receipt`] is that the receiver, or the dead letter sink in its place, answered 2xx. Nothing is kept
//! in memory after that, and no attempt begins after the caller's deadline, so whoever gave the event can always be told
//! whether it left.

mod backlog;
mod batch;
pub(crate) mod client;
mod dead_letter;
mod encode;
mod environment;
mod http;
mod overrides;
mod retry_after;
mod schedule;
mod spec;
mod target;
pub mod timeline;
mod trace;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::dead_letter::Letters;
use self::http::{Common, Refusal, Token, Verdict};
use self::target::HttpTarget;
use crate::event::Event;
use crate::event::fault::{Fault, Kind};
use crate::telemetry::Metrics;

pub use environment::{ConfigError, Environment};
pub use overrides::Overrides;
pub use spec::{BackoffPolicy, Batch, Delivery, Destination, IsoDuration, Mode, SinkSpec, SinkUrl};

/// The name of the sink of `K_SINK`.
pub const DEFAULT: &str = "default";

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

enum Target {
    Http { sink: HttpTarget, letters: Option<Letters> },
    InProcess(Arc<dyn Receive>),
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
            let sink = HttpTarget::new(name, spec, token, &common).map_err(wrong)?;
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
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").field("names", &self.targets.keys()).finish_non_exhaustive()
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
