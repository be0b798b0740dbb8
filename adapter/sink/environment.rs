//! What the platform says about the default sink, and why sinks cannot be set up.

use std::path::PathBuf;
use std::time::Duration;

use ::http::HeaderValue;

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

// === impl Environment ===

impl Environment {
    pub(super) fn namespace(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let namespace = self.namespace.as_deref().map(str::trim).filter(|namespace| !namespace.is_empty());
        namespace.map(HeaderValue::from_str).transpose().map_err(|_| ConfigError::Namespace)
    }

    /// Nothing for a number below 1, which means no limit to Knative and the usual one to us.
    pub(super) fn timeout(&self) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = self.timeout.as_deref().map(str::trim).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let seconds: i64 = text.parse().map_err(|_| ConfigError::Timeout(text.to_owned()))?;
        Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs))
    }
}
