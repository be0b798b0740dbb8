//! Secrets that are shared with senders: where they are, and their current values.
//!
//! A list of them is what makes rotation possible: the new one is listed beside the old, any of them counts. Values
//! are read again while the process runs; a value that cannot be read keeps the last good one.

mod weakness;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use kube::{Api, Client};
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde::Deserialize;
use tokio::io::AsyncReadExt;

/// The most secrets that one list may have: each costs an HMAC over every body.
pub const MAX_SECRETS: usize = 8;
/// The longest secret, in bytes.
const MAX_LENGTH: usize = 16 * 1024;
/// How often values are read again. A new one in a file counts when two looks have seen it, so after twice as long.
const REFRESH: Duration = Duration::from_secs(5);
/// How long the Kubernetes API may take to give one.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A secret value; never empty, and never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretReference {
    /// In a file, such as a mounted Kubernetes Secret. A line end at the end of the file is not part of it.
    File(PathBuf),
    /// In a key of a Kubernetes Secret. A line end at the end is not part of it.
    SecretKeyRef(SecretKeyRef),
    /// Here; only for tests and for trying: no settings file can say it.
    #[serde(skip)]
    Literal(Secret),
}

/// A key of a Kubernetes Secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretKeyRef {
    /// The Secret's name.
    pub name: String,
    /// The key in its `data`.
    pub key: String,
    /// Its namespace; absent: the one of the process.
    #[serde(default)]
    pub namespace: Option<String>,
}

/// The current values of a list of secrets; a cheap handle.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>);

/// Why a secret has no value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// An empty list.
    #[error("there is no secret: name at least one")]
    None,
    /// A list that is too long.
    #[error("there are {0} secrets: at most {MAX_SECRETS} can be valid at the same time")]
    TooMany(usize),
    /// An empty value, with which anyone could sign.
    #[error("{0} is empty")]
    Empty(String),
    /// A value that everybody would guess.
    #[error("{0} holds nothing but blanks")]
    Blank(String),
    /// A value that is no secret.
    #[error("{0} is longer than {MAX_LENGTH} bytes")]
    TooLong(String),
    /// A file that cannot be read.
    #[error("file `{}` cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A Kubernetes Secret that cannot be read.
    #[error("{place} cannot be read: {reason}")]
    Kubernetes {
        /// The Secret.
        place: String,
        /// Why.
        reason: String,
    },
    /// A Kubernetes Secret without the key.
    #[error("{0} does not exist")]
    Key(String),
}

struct Inner {
    slots: Vec<Slot>,
    client: Option<Client>,
    namespace: String,
}

struct Slot {
    reference: SecretReference,
    current: ArcSwap<Prepared>,
    seen: Mutex<Seen>,
}

/// What the looks at a secret have come to.
#[derive(Default)]
struct Seen {
    /// Since when it cannot be read.
    unreadable: Option<Instant>,
    /// A new value that the last look found in a file: it may have been written by half.
    pending: Option<Secret>,
}

/// A value with what is computed from it once instead of for every request.
pub(super) struct Prepared {
    secret: Secret,
    pub(super) key: hmac::Key,
    /// The key of Standard Webhooks, which is in base64 after `whsec_`; of any other secret the same as `key`.
    pub(super) standard_key: hmac::Key,
    pub(super) digest: [u8; 32],
}

// === impl Secret ===

impl Secret {
    /// Takes a value, without one line end at its end.
    ///
    /// # Errors
    /// When nothing is left, or too much. `place` is what the error calls it.
    fn new(value: &[u8], place: impl FnOnce() -> String) -> Result<Self, SecretError> {
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        match value.len() {
            0 => Err(SecretError::Empty(place())),
            _ if weakness::is_blank(value) => Err(SecretError::Blank(place())),
            1..=MAX_LENGTH => Ok(Self(value.into())),
            _ => Err(SecretError::TooLong(place())),
        }
    }

    /// A value that is at hand.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn literal(value: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        Self::new(value.as_ref(), || "the secret".to_owned())
    }

    /// The value, for whoever plays the sender.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

// === impl SecretReference ===

impl SecretReference {
    async fn read(&self, client: Option<&Client>, namespace: &str) -> Result<Secret, SecretError> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let place = || format!("file `{}`", path.display());
                let failed = |source| SecretError::File { path: path.clone(), source };
                let mut value = Vec::new();
                let file = tokio::fs::File::open(path).await.map_err(failed)?;
                file.take(MAX_LENGTH as u64 + 3).read_to_end(&mut value).await.map_err(failed)?;
                Secret::new(&value, place)
            }
            Self::SecretKeyRef(key) => key.read(client, namespace).await,
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file `{}`", path.display()),
            Self::SecretKeyRef(it) => write!(f, "key `{}` of Secret `{}`", it.key, it.name),
            Self::Literal(_) => f.write_str("the secret"),
        }
    }
}

// === impl SecretKeyRef ===

impl SecretKeyRef {
    async fn read(&self, client: Option<&Client>, namespace: &str) -> Result<Secret, SecretError> {
        let namespace = self.namespace.as_deref().unwrap_or(namespace);
        let secret = format!("Secret `{namespace}/{}`", self.name);
        let failed = |reason: String| SecretError::Kubernetes { place: secret.clone(), reason };
        let Some(client) = client else { return Err(failed("there is no cluster".into())) };
        let api = Api::<k8s_openapi::api::core::v1::Secret>::namespaced(client.clone(), namespace);
        let object = tokio::time::timeout(TIMEOUT, api.get(&self.name))
            .await
            .map_err(|_| failed(format!("no answer within {} s", TIMEOUT.as_secs())))?
            .map_err(|error| match error {
                kube::Error::Api(status) => failed(status.message),
                error => failed(error.to_string()),
            })?;
        let place = || format!("key `{}` of {secret}", self.key);
        match object.data.unwrap_or_default().get(&self.key) {
            Some(value) => Secret::new(&value.0, place),
            None => Err(SecretError::Key(place())),
        }
    }
}

// === impl Secrets ===

impl Secrets {
    /// Reads every secret of a list for the first time.
    ///
    /// # Errors
    /// When one of them has no value, or the list is empty or too long.
    pub async fn open(
        references: &[SecretReference],
        client: &Client,
        namespace: &str,
    ) -> Result<Self, SecretError> {
        Self::load(references, Some(client.clone()), namespace).await
    }

    /// Secrets that are at hand, so that there is nothing to read.
    ///
    /// # Errors
    /// When the list is empty or too long.
    pub fn literal(secrets: impl IntoIterator<Item = Secret>) -> Result<Self, SecretError> {
        let slots = secrets
            .into_iter()
            .map(|secret| Slot::new(SecretReference::Literal(secret.clone()), secret))
            .collect();
        Self::new(slots, None, "")
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.slots.len()
    }

    /// Reads all values again, now and then, for ever. What fails is logged once, and once when it works again;
    /// `told` is given how long one of them could not be read by now.
    pub async fn refresh(&self, told: impl Fn(Duration)) {
        self.refresh_every(REFRESH, told).await;
    }

    async fn refresh_every(&self, interval: Duration, told: impl Fn(Duration)) {
        loop {
            tokio::time::sleep(interval).await;
            self.refresh_once().await;
            told(self.unreadable_for());
        }
    }

    /// How long the secret could not be read for which that has been longest; zero when all can be.
    pub fn unreadable_for(&self) -> Duration {
        let since = self.0.slots.iter().filter_map(|slot| slot.seen().unreadable);
        since.map(|since| since.elapsed()).max().unwrap_or_default()
    }

    /// Reads all values again. A secret that cannot be read keeps its value, also when it was deleted: who wants to
    /// revoke one replaces it or takes it off the list.
    pub async fn refresh_once(&self) {
        for slot in &self.0.slots {
            let read = slot.reference.read(self.0.client.as_ref(), &self.0.namespace).await;
            slot.look(read);
        }
    }

    /// The place of the secret that `matches`. All of them are tried whichever it is, so that the time it takes
    /// does not say which one matched.
    pub(super) fn find(&self, matches: impl Fn(&Prepared) -> bool) -> Option<usize> {
        let mut found = None;
        for (index, slot) in self.0.slots.iter().enumerate() {
            if matches(&slot.current.load()) && found.is_none() {
                found = Some(index);
            }
        }
        found
    }

    async fn load(
        references: &[SecretReference],
        client: Option<Client>,
        namespace: &str,
    ) -> Result<Self, SecretError> {
        let mut slots = Vec::with_capacity(references.len());
        for reference in references {
            let secret = reference.read(client.as_ref(), namespace).await?;
            weakness::warn(reference, &secret);
            slots.push(Slot::new(reference.clone(), secret));
        }
        Self::new(slots, client, namespace)
    }

    fn new(slots: Vec<Slot>, client: Option<Client>, namespace: &str) -> Result<Self, SecretError> {
        match slots.len() {
            0 => Err(SecretError::None),
            1..=MAX_SECRETS => Ok(Self(Arc::new(Inner { slots, client, namespace: namespace.to_owned() }))),
            count => Err(SecretError::TooMany(count)),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.slots.iter().map(|slot| &slot.reference)).finish()
    }
}

// === impl Slot ===

impl Slot {
    fn new(reference: SecretReference, secret: Secret) -> Self {
        Self { reference, current: ArcSwap::from_pointee(Prepared::new(secret)), seen: Mutex::default() }
    }

    /// Takes over what a look found.
    fn look(&self, read: Result<Secret, SecretError>) {
        let mut seen = self.seen();
        let place = &self.reference;
        let secret = match read {
            Ok(secret) => secret,
            Err(error) => {
                seen.pending = None;
                if seen.unreadable.is_none() {
                    seen.unreadable = Some(Instant::now());
                    tracing::warn!(%error, "secret cannot be read, its last value stays valid");
                }
                return;
            }
        };
        let readable_again = seen.unreadable.take().is_some();
        if secret == self.current.load().secret {
            seen.pending = None;
            if readable_again {
                tracing::info!(%place, "secret can be read again");
            }
        } else if matches!(place, SecretReference::File(_)) && seen.pending.as_ref() != Some(&secret) {
            // Whoever writes a file in place leaves half of it for a moment, and half a secret is no secret.
            seen.pending = Some(secret);
        } else {
            seen.pending = None;
            weakness::warn(place, &secret);
            self.current.store(Arc::new(Prepared::new(secret)));
            tracing::info!(%place, "secret changed");
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Prepared ===

impl Prepared {
    fn new(secret: Secret) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
        let standard = secret.0.strip_prefix(b"whsec_").and_then(|rest| BASE64_STANDARD.decode(rest).ok());
        // A key of no bytes would be everybody's.
        let standard = standard.filter(|key| !key.is_empty());
        let standard_key =
            standard.map_or_else(|| key.clone(), |bytes| hmac::Key::new(hmac::HMAC_SHA256, &bytes));
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &secret.0).as_ref());
        Self { secret, key, standard_key, digest: hash }
    }
}

#[cfg(test)]
mod tests;
