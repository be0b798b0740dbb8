//! Where events come in: a request becomes an authenticated delivery here, or is refused.

pub mod bitbucket;
mod delivery;
pub mod gitea;
pub mod github;
pub mod gitlab;
pub mod secret;
pub mod signature;
pub mod tekton;
pub mod token;

use std::fmt;

use bytes::Bytes;

use self::secret::Secrets;
use self::signature::SignatureError;
pub use crate::vocabulary::alias;
pub use crate::vocabulary::outcome::Outcomes;
use crate::vocabulary::{Forge, Webhook};
pub use crate::vocabulary::{PayloadError, events_with};

/// A forge's webhook that we answer, under `/webhooks/{name}`.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    forge: Forge,
    auth: Auth,
}

/// How a source knows that a delivery comes from its forge. There is no third way: whoever wants no secrets must
/// say that it is insecure.
#[derive(Clone, Debug)]
pub enum Auth {
    /// By a signature with one of these secrets.
    Signed(Secrets),
    /// Not at all.
    Insecure,
}

/// What a delivery was authenticated by; its text is a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {
    /// By the secret at this place in the source's list.
    Secret(usize),
    /// By nothing, as the source allows.
    Insecure,
}

/// The headers of a request; names are looked up in any case of letters.
pub trait Headers {
    /// The value of a header; `None` when it is absent, or not visible ASCII.
    fn get(&self, name: &str) -> Option<&str>;
}

/// Why a delivery is refused.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The signature is missing or wrong.
    #[error(transparent)]
    Unauthorized(#[from] SignatureError),
    /// A header or the body is not what the forge sends.
    #[error("{0}")]
    Malformed(String),
    /// The body is in a format that we do not read.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
}

// === impl Source ===

impl Source {
    /// A source whose deliveries are signed.
    pub fn signed(name: impl Into<String>, forge: Forge, secrets: Secrets) -> Self {
        Self { name: name.into(), forge, auth: Auth::Signed(secrets) }
    }

    /// A source that takes whatever is sent; for trying only.
    pub fn insecure(name: impl Into<String>, forge: Forge) -> Self {
        Self { name: name.into(), forge, auth: Auth::Insecure }
    }

    /// The name, which is the last segment of the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who sends.
    pub fn forge(&self) -> Forge {
        self.forge
    }

    /// How deliveries are authenticated.
    pub fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Authenticates a delivery over its raw bytes, and only then looks into it.
    ///
    /// # Errors
    /// Why it is refused. The text never repeats what the sender sent.
    pub fn receive(
        &self,
        headers: &impl Headers,
        body: Bytes,
        received: jiff::Timestamp,
    ) -> Result<(Webhook, Authenticated), Rejection> {
        match self.forge {
            Forge::GitHub => github::receive(&self.auth, headers, body, received),
            Forge::Gitea | Forge::Forgejo => gitea::receive(self.forge, &self.auth, headers, &body, received),
            Forge::GitLab => gitlab::receive(&self.auth, headers, body, received),
            Forge::Bitbucket | Forge::BitbucketDataCenter => {
                bitbucket::receive(self.forge, &self.auth, headers, body, received)
            }
        }
    }
}

// === impl Authenticated ===

impl fmt::Display for Authenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(index) => write!(f, "{index}"),
            Self::Insecure => f.write_str("insecure"),
        }
    }
}

// === impl Rejection ===

impl Rejection {
    /// The status code of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthorized(_) => 401,
            Self::Malformed(_) => 400,
            Self::UnsupportedMediaType(_) => 415,
        }
    }
}
