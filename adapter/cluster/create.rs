//! Creating an object under a computed name: 201, or 409 and the live object bears our key, both mean done.

use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout_at;

use super::{CALL_TIMEOUT, Collection};
use crate::event::annotation;
use crate::event::fault::{Fault, Kind};

/// The most of an answer that is read; etcd's own limit of an object is 1.5 MiB.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// The first pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(40);
/// The longest wait that the server may ask for, and that is passed on to the sender.
const MAX_RETRY_AFTER: Duration = Duration::from_mins(1);
/// The longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The object exists, with our key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// This call made the object of this `uid`.
    Now(String),
    /// The object of this `uid` was there already: an earlier delivery, another replica, or a call whose answer was
    /// lost.
    Before(String),
}

/// Why the object does not exist, or is not known to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The API server did not do it in time; a later try may work.
    #[error("the cluster does not answer as it should: {reason}")]
    Transient {
        /// What it said last.
        reason: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The API server will never accept this object.
    #[error("the cluster refuses the object: {reason} (HTTP {status})")]
    Rejected {
        /// Its status code.
        status: u16,
        /// Its message.
        reason: String,
    },
    /// Another object has the name, without our key.
    #[error(
        "`{name}` exists and was not made for this event: its annotation `{}` differs",
        annotation::EFFECT_KEY
    )]
    NameTaken {
        /// The name.
        name: String,
    },
}

/// An object and the key that proves it ours.
#[derive(Clone, Copy, Debug)]
pub struct NewObject<'a> {
    /// Where objects of its kind are.
    pub collection: Collection,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The value of [`annotation::EFFECT_KEY`].
    pub key: &'a str,
    /// The whole object.
    pub object: &'a Value,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Live {
    #[serde(default)]
    metadata: LiveMetadata,
}

#[derive(Default, Deserialize)]
struct LiveMetadata {
    #[serde(default)]
    uid: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// What one call to the API server told.
enum Answer {
    Done(Created),
    /// The name is taken: look at the live object.
    Exists,
    /// Nobody knows whether the call was done: look.
    Unknown(Trouble),
    Busy(Trouble),
    Failed(CreateError),
}

/// Why a call did not do its work, and how long the server asks to wait.
struct Trouble {
    reason: String,
    retry_after: Option<Duration>,
}

/// An answer of the API server.
struct Reply {
    status: StatusCode,
    /// `Retry-After` in seconds; the API server knows no other form.
    retry_after: Option<Duration>,
    text: bytes::Bytes,
}

/// Creates `new`, trying until `deadline`.
///
/// A call whose answer is lost is followed by a look at the live object, so that it is neither doubled nor reported
/// as missing.
///
/// # Errors
/// See [`CreateError`].
pub async fn create(client: &Client, new: NewObject<'_>, deadline: Instant) -> Result<Created, CreateError> {
    let body = serde_json::to_vec(new.object)
        .map_err(|error| CreateError::Rejected { status: 400, reason: error.to_string() })?;
    let mut pause = FIRST_PAUSE;
    loop {
        let Trouble { reason, retry_after } = match attempt(client, new, &body, deadline).await {
            Answer::Done(created) => return Ok(created),
            Answer::Failed(error) => return Err(error),
            Answer::Busy(trouble) => trouble,
            Answer::Exists => match look(client, new, deadline).await {
                Look::Ours(uid) => return Ok(Created::Before(uid)),
                Look::Other => return Err(CreateError::NameTaken { name: new.name.to_owned() }),
                // It was deleted between the two calls: create it again.
                Look::Absent => Trouble::of("the object was deleted just now"),
                Look::Unknown(trouble) => trouble,
            },
            Answer::Unknown(first) => match look(client, new, deadline).await {
                Look::Ours(uid) => return Ok(Created::Before(uid)),
                Look::Other => return Err(CreateError::NameTaken { name: new.name.to_owned() }),
                Look::Absent => first,
                Look::Unknown(later) => first.then(&later),
            },
        };
        let wait = retry_after.unwrap_or(Duration::ZERO).max(pause);
        if wait + FIRST_PAUSE >= deadline.saturating_duration_since(Instant::now()) {
            return Err(CreateError::Transient { reason, retry_after });
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

async fn attempt(client: &Client, new: NewObject<'_>, body: &[u8], deadline: Instant) -> Answer {
    let path = format!("{}?fieldManager={}", collection(new), annotation::MANAGER);
    let reply = match call(client, Method::POST, &path, Some(body), deadline).await {
        Ok(reply) => reply,
        Err(reason) => return Answer::Unknown(Trouble::of(reason)),
    };
    if reply.status.is_success() {
        // An answer that cannot be read says that the object exists all the same.
        let live = serde_json::from_slice::<Live>(&reply.text).unwrap_or_default();
        return Answer::Done(Created::Now(live.metadata.uid));
    }
    let told = Status::read(&reply.text);
    match reply.status.as_u16() {
        409 => Answer::Exists,
        // Overload passes; credentials are rotated.
        429 | 401 => Answer::Busy(reply.trouble(told)),
        // A quota is freed when older objects go, and rights are granted; an API server that has just started knows
        // none for a second. Refusals by policy stay.
        403 if ["exceeded quota", "is forbidden: User "].iter().any(|it| told.message.contains(it)) => {
            Answer::Busy(reply.trouble(told))
        }
        // A missing namespace is the mapping's mistake; a missing kind is Tekton not (yet) installed.
        404 if told.details.kind != "namespaces" => Answer::Busy(reply.trouble(told)),
        code @ 400..=499 => Answer::Failed(CreateError::Rejected { status: code, reason: told.message }),
        // A 503 may come from in front of the API server, after the call went through.
        _ => Answer::Unknown(reply.trouble(told)),
    }
}

enum Look {
    /// The object bears our key; its `uid`.
    Ours(String),
    Other,
    Absent,
    Unknown(Trouble),
}

async fn look(client: &Client, new: NewObject<'_>, deadline: Instant) -> Look {
    let path = format!("{}/{}", collection(new), new.name);
    match call(client, Method::GET, &path, None, deadline).await {
        Ok(reply) if reply.status == StatusCode::OK => match serde_json::from_slice::<Live>(&reply.text) {
            Ok(live) => match live.metadata.annotations.get(annotation::EFFECT_KEY) {
                Some(key) if key == new.key => Look::Ours(live.metadata.uid),
                _ => Look::Other,
            },
            Err(error) => Look::Unknown(Trouble::of(format!("the live object cannot be read: {error}"))),
        },
        Ok(reply) if reply.status == StatusCode::NOT_FOUND => Look::Absent,
        Ok(reply) => Look::Unknown(reply.trouble(Status::read(&reply.text))),
        Err(reason) => Look::Unknown(Trouble::of(reason)),
    }
}

async fn call(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&[u8]>,
    deadline: Instant,
) -> Result<Reply, String> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.unwrap_or_default().to_vec()))
        .map_err(|error| format!("the request cannot be made: {error}"))?;
    let until = deadline.min(Instant::now() + CALL_TIMEOUT);
    let exchange = async {
        let response = client.send(request).await.map_err(|error| match error {
            // Without kube's own word for it before it.
            kube::Error::Service(error) => error.to_string(),
            error => error.to_string(),
        })?;
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        // The created object comes back whole and only its uid is of use here; all bytes are read so that the
        // connection can be used again.
        let text = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| format!("its answer broke off: {error}"))?
            .to_bytes();
        Ok(Reply { status, retry_after, text })
    };
    timeout_at(until.into(), exchange).await.map_err(|_| "no answer in time".to_owned())?
}

fn collection(new: NewObject<'_>) -> String {
    let Collection { api_version, plural } = new.collection;
    format!("/apis/{api_version}/namespaces/{}/{plural}", new.namespace)
}

// === impl CreateError ===

impl From<CreateError> for Fault {
    fn from(error: CreateError) -> Self {
        let kind = match &error {
            CreateError::Transient { retry_after, .. } => Kind::Transient { after: *retry_after },
            CreateError::Rejected { .. } | CreateError::NameTaken { .. } => Kind::Permanent,
        };
        Self::of(kind, error)
    }
}

// === impl Trouble ===

impl Trouble {
    fn of(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), retry_after: None }
    }

    /// This, and what came of the look after it.
    fn then(self, later: &Self) -> Self {
        // The same said twice is no more than said once.
        let reason = if self.reason == later.reason {
            self.reason
        } else {
            format!("{}; then {}", self.reason, later.reason)
        };
        Self { reason, retry_after: self.retry_after.max(later.retry_after) }
    }
}

// === impl Reply ===

impl Reply {
    fn trouble(&self, told: Status) -> Trouble {
        let reason = match self.status.as_u16() {
            400..=499 => told.message,
            _ => format!("HTTP {}: {}", self.status, told.message),
        };
        let told = told.details.retry_after_seconds.map(Duration::from_secs);
        Trouble { reason, retry_after: told.max(self.retry_after).map(|wait| wait.min(MAX_RETRY_AFTER)) }
    }
}

// === impl Status ===

impl Status {
    fn read(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or_else(|_| Self {
            message: String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned(),
            details: Details::default(),
        })
    }
}
