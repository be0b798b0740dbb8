//! URLs that events may be posted to.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// A URL that events may be posted to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SinkUrl(Url);

/// Why a text is no URL of a sink.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// It does not parse.
    #[error("must be an absolute URL such as `http://broker/`: {0}")]
    Malformed(String),
    /// Another scheme.
    #[error("must be an `http` or `https` URL, not `{0}`")]
    Scheme(String),
    /// Credentials in the URL end up in logs.
    #[error("must not carry a user or password in its URL; use `headers` or `tokenFile`")]
    Credentials,
}

// === impl SinkUrl ===

impl SinkUrl {
    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(in crate::sink) fn as_url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for SinkUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let url = Url::parse(text).map_err(|error| UrlError::Malformed(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(UrlError::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        Ok(Self(url))
    }
}

impl TryFrom<String> for SinkUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<SinkUrl> for String {
    fn from(url: SinkUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for SinkUrl {
    /// Without the query, which may hold a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        url.set_query(None);
        url.set_fragment(None);
        write!(f, "{url}")
    }
}

impl fmt::Debug for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SinkUrl({self})")
    }
}
