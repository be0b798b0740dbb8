//! Where events go out: named sinks, each with its own address, content mode, retries and connections.
//!
//! The promise of a [`Receipt`] is that the receiver answered 2xx. Nothing is kept in memory after that, and nothing
//! is sent after the caller's deadline, so whoever gave the event can always be told whether it left.

pub mod delivery;
mod encode;
mod http;
mod overrides;
mod retry_after;
mod spec;
pub mod timeline;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::Event;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// How many requests it took; at least 1.
    pub attempts: u32,
    /// The status code of the last answer.
    pub status: u16,
    /// From the first request to the answer, waits included.
    pub elapsed: Duration,
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
    Http(Box<http::HttpSink>),
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
        let certificates = http::certificates(environment.ca_certs.as_deref().unwrap_or_default())
            .map_err(ConfigError::CaCerts)?;
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
            match named.get_mut(DEFAULT) {
                Some(spec) => spec.url = url,
                None => drop(named.insert(DEFAULT.to_owned(), SinkSpec::new(url))),
            }
        }
        let mut targets = BTreeMap::new();
        for (name, spec) in named {
            let token = match (&spec.token_file, &environment.token_file) {
                (Some(file), _) => http::Token::Required(file.clone()),
                // The token is minted for the bound sink's audience, and no other sink may see it.
                (None, Some(file)) if name == DEFAULT && bound.is_some() => {
                    http::Token::IfPresent(file.clone())
                }
                (None, _) => http::Token::None,
            };
            let sink = http::HttpSink::new(&spec, token, &certificates)
                .map_err(|reason| ConfigError::Client { sink: name.clone(), reason })?;
            targets.insert(name, Target::Http(Box::new(sink)));
        }
        Ok(Self { targets, overrides })
    }

    /// Adds, or replaces, a sink in this process.
    #[must_use]
    pub fn with_receiver(mut self, name: impl Into<String>, receiver: Arc<dyn Receive>) -> Self {
        self.targets.insert(name.into(), Target::InProcess(receiver));
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

    /// Sends one event, with the sink's retries, until it is taken, refused, or `deadline` has come.
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
        match target {
            Target::Http(sink) => sink.send(name, event, deadline).await,
            Target::InProcess(receiver) => {
                receiver.receive(event);
                Ok(Receipt { attempts: 1, status: 202, elapsed: Duration::ZERO })
            }
        }
    }
}

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").field("names", &self.targets.keys()).finish_non_exhaustive()
    }
}

// === impl SendError ===

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
