//! Where events come in: a request becomes an authenticated delivery here, or is refused.

pub mod bitbucket;
mod delivery;
pub mod events;
pub mod generic;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod headers;
pub mod oidc;
pub mod secret;
pub mod sending;
pub mod signature;
pub mod tekton;
pub mod token;
mod voucher;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use self::delivery::delivery_id;
use self::generic::{Generic, ProofError};
pub use self::headers::{Field, Headers};
use self::secret::Secrets;
use self::signature::SignatureError;
pub use self::voucher::Voucher;
use crate::event::Event;
use crate::vocabulary::Forge;
pub use crate::vocabulary::alias;
pub use crate::vocabulary::options::Options;
use crate::vocabulary::read;
pub use crate::vocabulary::{Cost, Misfit, PayloadError, Reading, Webhook};

/// A webhook that we answer, under `/webhooks/{name}`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Every event that comes in here is given it: it is who vouches for it.
    name: Arc<str>,
    sender: Sender,
    /// How payloads are read, and what they may tell of.
    options: Options,
}

/// Who sends to a source, and how it is known that they do; `S` are the secrets, or where they are.
#[derive(Clone, Debug)]
pub enum Sender<S = Secrets> {
    /// A forge, which has its own way to authenticate a delivery.
    Forge(Forge, Auth<S>),
    /// Anything else that sends webhooks.
    Generic(Generic, generic::Auth<S>),
}

/// How a source knows that a delivery comes from its forge. There is no third way: whoever wants no secrets must
/// say that it is insecure.
#[derive(Clone, Debug)]
pub enum Auth<S = Secrets> {
    /// By a signature with one of these secrets.
    Signed(S),
    /// Not at all.
    Insecure,
}

/// What came, authenticated.
#[derive(Debug)]
pub enum Delivery {
    /// A forge's: [`Source::told`] says what it means.
    Webhook(Webhook),
    /// Any other, which is one event: mappings say what it means.
    Event(Box<Event>),
}

/// What a delivery was authenticated by; its text is a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authenticated {
    /// By the secret at this place in the source's list.
    Secret(usize),
    /// By nothing, as the source allows.
    Insecure,
}

/// Why a delivery is refused.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The signature is missing or wrong.
    #[error(transparent)]
    Unauthorized(#[from] SignatureError),
    /// The token or signature of a sender without a parser is missing or wrong.
    #[error(transparent)]
    Unproved(#[from] ProofError),
    /// A header or the body is not what the sender of this source sends.
    #[error("{0}")]
    Malformed(String),
    /// The body is in a format that we do not read.
    #[error("{0}")]
    UnsupportedMediaType(&'static str),
}

// === impl Source ===

impl Source {
    /// A source by its sender.
    pub fn new(name: impl Into<Arc<str>>, sender: Sender) -> Self {
        Self { name: name.into(), sender, options: Options::default() }
    }

    /// A forge whose deliveries are signed.
    pub fn signed(name: impl Into<Arc<str>>, forge: Forge, secrets: Secrets) -> Self {
        Self::new(name, Sender::Forge(forge, Auth::Signed(secrets)))
    }

    /// A forge of which whatever is sent is taken; for trying only.
    pub fn insecure(name: impl Into<Arc<str>>, forge: Forge) -> Self {
        Self::new(name, Sender::Forge(forge, Auth::Insecure))
    }

    /// The same, with payloads read like this.
    #[must_use]
    pub fn reading(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// What a delivery of the forge means.
    ///
    /// # Errors
    /// The payload is not what its forge sends, or about what this source does not speak for.
    pub fn told(&self, webhook: &Webhook) -> Result<Reading, PayloadError> {
        read(webhook, &self.options)
    }

    /// The name, which is the last segment of the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, as every event of a delivery is given it.
    pub fn voucher(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it takes whatever is sent.
    pub fn is_insecure(&self) -> bool {
        matches!(self.sender, Sender::Forge(_, Auth::Insecure) | Sender::Generic(_, generic::Auth::Insecure))
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
    ) -> Result<(Delivery, Authenticated), Rejection> {
        let authenticated = self.authenticate(headers, &body)?;
        Ok((self.read(headers, body, received)?, authenticated))
    }

    /// The first half of [`Source::receive`]: who sent a delivery, by its raw bytes. Nothing is said about the body.
    ///
    /// # Errors
    /// It is not known who did, or it is another forge's.
    pub fn authenticate(&self, headers: &impl Headers, body: &Bytes) -> Result<Authenticated, Rejection> {
        match &self.sender {
            Sender::Forge(forge, auth) => {
                // Another forge's signature stands elsewhere: that it is missing would be no help.
                delivery::sent_by(*forge, headers)?;
                let Auth::Signed(secrets) = auth else { return Ok(Authenticated::Insecure) };
                let place = match forge {
                    Forge::GitHub => github::authenticate(secrets, headers, body),
                    Forge::Gitea | Forge::Forgejo => gitea::authenticate(*forge, secrets, headers, body),
                    Forge::GitLab => gitlab::authenticate(secrets, headers, body),
                    Forge::Bitbucket | Forge::BitbucketDataCenter => {
                        bitbucket::authenticate(secrets, headers, body)
                    }
                }?;
                Ok(Authenticated::Secret(place))
            }
            Sender::Generic(_, auth) => Ok(auth.check(headers, body)?),
        }
    }

    /// The second half of [`Source::receive`], for what is authentic: what was sent.
    ///
    /// # Errors
    /// A header or the body is not what the sender of this source sends.
    pub fn read(
        &self,
        headers: &impl Headers,
        body: Bytes,
        received: jiff::Timestamp,
    ) -> Result<Delivery, Rejection> {
        let webhook = match &self.sender {
            Sender::Forge(forge, _) => match forge {
                Forge::GitHub => github::read(headers, body, received),
                Forge::Gitea | Forge::Forgejo => gitea::read(*forge, headers, body, received),
                Forge::GitLab => gitlab::read(headers, body, received),
                Forge::Bitbucket | Forge::BitbucketDataCenter => {
                    bitbucket::read(*forge, headers, body, received)
                }
            },
            Sender::Generic(generic, _) => {
                return Ok(Delivery::Event(Box::new(generic.event(headers, &body, received)?)));
            }
        }?;
        Ok(Delivery::Webhook(webhook))
    }
}

// === impl Delivery ===

impl Delivery {
    /// A forge's, if it is one.
    pub fn webhook(self) -> Option<Webhook> {
        match self {
            Self::Webhook(webhook) => Some(webhook),
            Self::Event(_) => None,
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
            Self::Unauthorized(_) | Self::Unproved(_) => 401,
            Self::Malformed(_) => 400,
            Self::UnsupportedMediaType(_) => 415,
        }
    }
}
