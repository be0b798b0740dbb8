//! A bearer token in a file, as a pod has it: read again now and then, and at once when the API server refuses it.
//!
//! kube reads such a file once a minute, whatever the API server says meanwhile: a token that is revoked, or that a late
//! kubelet renews after its end, would cost as much as fifty seconds of refusals.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, header};
use kube::config::AuthInfo;
use tower::{Layer, Service};

/// How long a token is used before the file is read again; a kubelet renews one long before its end.
const READ_AGAIN: Duration = Duration::from_secs(50);

/// The token of a file, for all clients together; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    token: Arc<Mutex<Token>>,
}

/// A service that sends the token along.
#[derive(Clone, Debug)]
pub(super) struct Authorized<S> {
    inner: S,
    file: TokenFile,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    read: Instant,
    refused: bool,
}

// === impl TokenFile ===

impl TokenFile {
    /// The file that a configuration names, where it leaves no better way to say who this is. The configuration then
    /// names it no longer.
    ///
    /// # Errors
    /// When the file cannot be read or holds no token.
    pub(super) fn take(user: &mut AuthInfo) -> Result<Option<Self>, String> {
        // In the order in which kube looks.
        let password = user.username.is_some() && user.password.is_some();
        if user.auth_provider.is_some() || password || user.token.is_some() {
            return Ok(None);
        }
        let Some(path) = user.token_file.take() else { return Ok(None) };
        Self::open(PathBuf::from(path)).map(Some)
    }

    fn open(path: PathBuf) -> Result<Self, String> {
        let header = read(&path)?;
        let token = Token { header, read: Instant::now(), refused: false };
        Ok(Self { path, token: Arc::new(Mutex::new(token)) })
    }

    /// The value of `Authorization`.
    fn header(&self) -> HeaderValue {
        let mut token = self.token();
        if token.refused || token.read.elapsed() >= READ_AGAIN {
            token.read = Instant::now();
            // While there is none, or none that can be sent, the old one is the best guess.
            match read(&self.path) {
                Ok(header) => {
                    // One that was refused is read again until there is another.
                    token.refused &= header == token.header;
                    token.header = header;
                }
                Err(reason) => tracing::debug!("the token is not read again: {reason}"),
            }
        }
        token.header.clone()
    }

    /// Takes note that the API server does not take this token.
    fn refused(&self, header: &HeaderValue) {
        let mut token = self.token();
        // The answer may be to a token from before.
        if token.header == *header {
            token.refused = true;
        }
    }

    fn token(&self) -> MutexGuard<'_, Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Layer<S> for TokenFile {
    type Service = Authorized<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorized { inner, file: self.clone() }
    }
}

// === impl Authorized ===

impl<S, A, B> Service<Request<A>> for Authorized<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
    B: 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let (file, header) = (self.file.clone(), self.file.header());
        request.headers_mut().insert(header::AUTHORIZATION, header.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                file.refused(&header);
            }
            Ok(response)
        })
    }
}

fn read(path: &Path) -> Result<HeaderValue, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the token file {} cannot be read: {error}", path.display()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("the token file {} is empty", path.display()));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| format!("the token file {} holds what no header can", path.display()))?;
    header.set_sensitive(true);
    Ok(header)
}
