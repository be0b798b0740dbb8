//! A small HTTP/1.1 client for one address: POST, a bounded answer, and connections that are kept.
//!
//! Nothing is followed, proxied or compressed. A connection is driven by the task that uses it, so that an exchange
//! wakes no other task and no other thread; between uses it lies in the [`pool`].

mod pool;
mod tls;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{HOST, HeaderMap, HeaderValue, USER_AGENT};
use ::http::uri::{PathAndQuery, Scheme};
use ::http::{Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;
use url::Url;

use self::pool::Pool;
pub(crate) use self::tls::Tls;

/// How much of an answer is read, so that the connection can be used again.
const MAX_ANSWER: usize = 64 * 1024;
/// How long is spent on reading it.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// For the name, the connection and the TLS handshake together.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// An answer's head with more bytes than this is none.
const MAX_HEAD: usize = 64 * 1024;
/// Below the usual 60 s of servers and proxies, so that they do not close a connection that we are about to use.
const IDLE_TIME: Duration = Duration::from_secs(30);
const AGENT: &str = concat!("pipewright/", env!("CARGO_PKG_VERSION"));

/// A client of one address; its connections are its own.
pub(crate) struct Client {
    connector: Connector,
    /// Where connections go.
    origin: Uri,
    /// What a request asks for there.
    target: Uri,
    host: HeaderValue,
    pool: Arc<Pool>,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As much of the body as came within the limits. The status is the answer, so a body that breaks off is no error.
    pub(crate) body: Vec<u8>,
}

/// Why there was no answer. The texts name no URL: it may hold a key, and the caller knows where it sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// There is no connection.
    #[error("it cannot be connected: {0}")]
    Connect(String),
    /// The time for the request is over.
    #[error("it did not answer in time")]
    Timeout,
    /// The connection ended, or what came is no HTTP.
    #[error("it did not answer: {0}")]
    Broken(String),
}

/// How a connection is made.
#[derive(Clone)]
enum Connector {
    Plain(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
}

type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// One connection with what drives it.
struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: http1::Connection<Stream, Full<Bytes>>,
    /// The driver has ended and must not be polled again.
    ended: bool,
}

// === impl Client ===

impl Client {
    /// A client that posts to `url`.
    ///
    /// # Errors
    /// A text for people, when the address cannot be written in a request or there are no system certificates.
    pub(crate) fn new(url: &Url, tls: &Tls) -> Result<Self, String> {
        let uri =
            |text: &str| Uri::try_from(text).map_err(|error| format!("its URL cannot be sent: {error}"));
        let origin = uri(&url[..url::Position::BeforePath])?;
        let target = match &url[url::Position::BeforePath..url::Position::AfterQuery] {
            "" => PathAndQuery::from_static("/").into(),
            path => uri(path)?,
        };
        let authority = origin.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        let host = HeaderValue::from_str(authority).map_err(|error| error.to_string())?;
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIME));
        http.enforce_http(false);
        let connector = if origin.scheme() == Some(&Scheme::HTTPS) {
            Connector::Tls(HttpsConnector::from((http, tls.config()?)))
        } else {
            Connector::Plain(http)
        };
        Ok(Self { connector, origin, target, host, pool: Pool::new(IDLE_TIME) })
    }

    /// The headers that every request of this client has; what a request adds goes on top.
    pub(crate) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, self.host.clone());
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers
    }

    /// Posts `body` with exactly `headers`, which start from [`Client::headers`], and waits at most `limit` for the
    /// head of the answer.
    ///
    /// A kept connection that turns out to be closed is not the receiver's fault and costs no try: the request is sent
    /// again, at once and once, on a new one. The receiver may have seen it then; `repeated` counts that.
    pub(crate) async fn post(
        &self,
        headers: &HeaderMap,
        body: &Bytes,
        limit: Duration,
        repeated: &mut u32,
    ) -> Result<Answer, ClientError> {
        let head = timeout(limit, async {
            if let Some(mut connection) = self.pool.take().await {
                match connection.send(self.request(headers, body)).await {
                    Err(error) if error.is_parse() => return Err(ClientError::Broken(chain(&error))),
                    Err(_) => *repeated += 1,
                    Ok(response) => return Ok((connection, response)),
                }
            }
            let mut connection = self.connect().await?;
            let response = connection.send(self.request(headers, body)).await;
            response
                .map(|response| (connection, response))
                .map_err(|error| ClientError::Broken(chain(&error)))
        });
        let (mut connection, response) = head.await.map_err(|_| ClientError::Timeout)??;
        let (head, body) = response.into_parts();
        let (body, whole) = connection.read(body).await;
        if whole && connection.is_idle().await {
            self.pool.put(connection);
        }
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    fn request(&self, headers: &HeaderMap, body: &Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = headers.clone();
        request
    }

    async fn connect(&self) -> Result<Connection, ClientError> {
        let stream = timeout(CONNECT_TIME, self.connector.clone().connect(self.origin.clone()));
        let stream = stream
            .await
            .map_err(|_| ClientError::Connect(format!("not within {} s", CONNECT_TIME.as_secs())))?
            .map_err(ClientError::Connect)?;
        let (sender, driver) = http1::Builder::new()
            .max_header_size(MAX_HEAD)
            .handshake(stream)
            .await
            .map_err(|error| ClientError::Broken(chain(&error)))?;
        Ok(Connection { sender, driver, ended: false })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("origin", &self.origin).finish_non_exhaustive()
    }
}

// === impl Connector ===

impl Connector {
    async fn connect(self, origin: Uri) -> Result<Stream, String> {
        match self {
            Self::Plain(mut http) => {
                let stream = http.call(origin).await.map_err(|error| chain(&error))?;
                Ok(MaybeHttpsStream::Http(stream))
            }
            Self::Tls(mut https) => https.call(origin).await.map_err(|error| chain(error.as_ref())),
        }
    }
}

// === impl Connection ===

impl Connection {
    /// Lets the connection do what it can now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.ended && Pin::new(&mut self.driver).poll(cx).is_ready() {
            self.ended = true;
        }
    }

    /// Whether another request can go out; a connection that the other side has closed says no.
    async fn is_idle(&mut self) -> bool {
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(())
        })
        .await;
        !self.ended && self.sender.is_ready()
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        let mut answer = pin!(self.sender.send_request(request));
        poll_fn(|cx| {
            if !self.ended && Pin::new(&mut self.driver).poll(cx).is_ready() {
                self.ended = true;
            }
            answer.as_mut().poll(cx)
        })
        .await
    }

    /// What comes of the body within the limits, and whether that was all.
    async fn read(&mut self, mut body: Incoming) -> (Vec<u8>, bool) {
        let mut bytes = Vec::new();
        if body.is_end_stream() {
            return (bytes, true);
        }
        let whole = timeout(ANSWER_TIME, async {
            loop {
                let frame = poll_fn(|cx| {
                    self.drive(cx);
                    Pin::new(&mut body).poll_frame(cx)
                });
                match frame.await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(frame)) => {
                        let part = frame.into_data().unwrap_or_default();
                        let room = (MAX_ANSWER - bytes.len()).min(part.len());
                        bytes.extend_from_slice(&part[..room]);
                        if bytes.len() >= MAX_ANSWER {
                            return false;
                        }
                    }
                }
            }
        });
        let whole = whole.await.unwrap_or(false);
        (bytes, whole)
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        // Some errors repeat their cause in their own text.
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
