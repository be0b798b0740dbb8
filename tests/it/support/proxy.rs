//! A proxy between an adapter and the API server that fails on purpose, by chance with a seed, and counts what it did.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::request::Parts;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pipewright_embedded::faults::{Fault, Mix};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Watches {
    /// They last.
    #[default]
    Pass,
    /// They break off, each so long after it began.
    Cut(Duration),
    /// They are answered with 503.
    Refuse,
}

/// The proxy; it ends with its owner.
pub struct Proxy {
    /// Where it is, for a kubeconfig.
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    state: Mutex<State>,
    /// Whether nobody gets through.
    outage: watch::Sender<bool>,
    /// Changes when every open watch is to break off.
    cut: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    mix: Option<Mix>,
    watches: Watches,
    /// The value of `Authorization` without which the answer is 401.
    authorization: Option<String>,
    counts: BTreeMap<String, usize>,
}

/// A connection that can be reset instead of closed.
struct Breakable {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

/// The connection ends here.
#[derive(Debug)]
struct Broken;

type Answer = Response<UnsyncBoxBody<Bytes, Broken>>;

// === impl Proxy ===

impl Proxy {
    /// A proxy for a server, whose certificate is signed by the authority in a PEM file if it has one. It does nothing
    /// wrong yet.
    pub fn start(upstream: &str, authority: Option<&Path>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut roots = rustls::RootCertStore::empty();
        if let Some(path) = authority {
            let certificates = CertificateDer::pem_file_iter(path).unwrap();
            roots.add_parsable_certificates(certificates.map(Result::unwrap));
        }
        let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
            state: Mutex::default(),
            outage: watch::Sender::new(false),
            cut: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(TcpListener::from_std(listener).unwrap(), shared.clone()));
        Self { url, shared, task }
    }

    /// Faults at random, the start of watches included.
    pub fn mix(&self, mix: Mix) {
        self.shared.state().mix = Some(mix);
    }

    /// What becomes of watches from now on; those that are open break off unless they may last.
    pub fn watches(&self, watches: Watches) {
        self.shared.state().watches = watches;
        if watches != Watches::Pass {
            self.cut();
        }
    }

    /// Breaks off every open watch.
    pub fn cut(&self) {
        self.shared.cut.send_modify(|cut| *cut += 1);
    }

    /// Resets every connection, and each new one, until it is called with `false`.
    pub fn outage(&self, outage: bool) {
        self.shared.outage.send_replace(outage);
    }

    /// Demands this token of every request.
    pub fn demand(&self, token: &str) {
        self.shared.state().authorization = Some(format!("Bearer {token}"));
    }

    /// How often something happened; the names are those in [`Self::counts`].
    pub fn count(&self, name: &str) -> usize {
        self.shared.state().counts.get(name).copied().unwrap_or_default()
    }

    /// What happened how often: `requests`, `watches`, each kind of fault, `server 409` for such an answer of the
    /// server, `gone` for watches that were told 410.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.shared.state().counts.clone()
    }

    /// How many requests each fault of the mix met.
    pub fn met(&self) -> Vec<(Fault, u64)> {
        self.shared.state().mix.iter().flat_map(Mix::met).collect()
    }

    /// How many faults it made.
    pub fn faults(&self) -> usize {
        let state = self.shared.state();
        let ours =
            |name: &str| !name.starts_with("server") && !["requests", "watches", "gone"].contains(&name);
        state.counts.iter().filter(|(name, _)| ours(name)).map(|(_, count)| count).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        // Connections have tasks of their own.
        self.outage(true);
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn count(&self, name: impl Into<String>) {
        *self.state().counts.entry(name.into()).or_default() += 1;
    }

    /// Answers one request, or breaks its connection.
    async fn answer(
        self: Arc<Self>,
        reset: Arc<AtomicBool>,
        request: Request<Incoming>,
    ) -> Result<Answer, Broken> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let query = parts.uri.query().unwrap_or_default();
        let is_watch = query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1" | "watch"));
        self.count(if is_watch { "watches" } else { "requests" });
        let (fault, watches) = {
            let mut state = self.state();
            let demanded = state.authorization.as_ref();
            let given = parts.headers.get(header::AUTHORIZATION);
            let allowed = demanded.is_none_or(|it| given.is_some_and(|given| given == it.as_str()));
            let unauthorized = Fault::Status(StatusCode::UNAUTHORIZED, 0);
            let fault = if allowed { state.mix.as_mut().and_then(Mix::meet) } else { Some(unauthorized) };
            (fault, state.watches)
        };
        if let Some(fault) = fault {
            self.count(name(fault));
        }
        let late = match fault {
            Some(Fault::Status(code, after)) => return Ok(refusal(code, after)),
            Some(Fault::ResetBefore) => return broken(&reset),
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                Duration::ZERO
            }
            Some(Fault::Late(time)) => time,
            _ => Duration::ZERO,
        };
        if is_watch && watches == Watches::Refuse {
            self.count("watch refused");
            return Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, 0));
        }
        // A task of its own: it goes on when the client gives up.
        let passed = tokio::spawn({
            let shared = self.clone();
            async move {
                tokio::time::sleep(late).await;
                shared.pass_on(parts, body).await
            }
        });
        let Ok(response) = passed.await.unwrap() else {
            self.count("server does not answer");
            return broken(&reset);
        };
        self.count(format!("server {}", response.status().as_u16()));
        match fault {
            Some(Fault::ResetAfter) => return broken(&reset),
            Some(Fault::Stall(time)) => tokio::time::sleep(time).await,
            _ => {}
        }
        let (mut parts, body) = response.into_parts();
        for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        let body =
            if is_watch { self.watch(body, watches, reset) } else { body.map_err(|_| Broken).boxed_unsync() };
        Ok(Response::from_parts(parts, body))
    }

    async fn pass_on(&self, mut parts: Parts, body: Bytes) -> Result<Response<Incoming>, Broken> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.upstream).parse().unwrap();
        for name in [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        let request = Request::from_parts(parts, Full::new(body));
        self.client.request(request).await.map_err(|_| Broken)
    }

    /// The body of a watch, which is looked into and breaks off.
    fn watch(
        self: &Arc<Self>,
        body: Incoming,
        watches: Watches,
        reset: Arc<AtomicBool>,
    ) -> UnsyncBoxBody<Bytes, Broken> {
        let (shared, mut cut) = (self.clone(), self.cut.subscribe());
        let end = Box::pin(async move {
            match watches {
                Watches::Cut(time) => {
                    let _ = tokio::time::timeout(time, cut.changed()).await;
                }
                _ => {
                    let _ = cut.changed().await;
                }
            }
        });
        let frames = stream::unfold(Some((body, end)), move |state| {
            let (shared, reset) = (shared.clone(), reset.clone());
            async move {
                let (mut body, mut end) = state?;
                tokio::select! {
                    frame = body.frame() => {
                        let frame = frame?.map_err(|_| Broken);
                        if let Some(data) = frame.as_ref().ok().and_then(Frame::data_ref)
                            && is_gone(data)
                        {
                            shared.count("gone");
                        }
                        Some((frame, Some((body, end))))
                    }
                    () = &mut end => {
                        shared.count("watch cut");
                        reset.store(true, Ordering::Relaxed);
                        Some((Err(Broken), None))
                    }
                }
            }
        });
        StreamBody::new(frames).boxed_unsync()
    }
}

/// Whether it is the event by which a watch is told that its version is too old.
fn is_gone(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    text.starts_with(r#"{"type":"ERROR""#) && text.contains(r#""code":410"#)
}

// === impl Breakable ===

impl AsyncRead for Breakable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Drop for Breakable {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proxy broke the connection")
    }
}

impl std::error::Error for Broken {}

fn broken(reset: &AtomicBool) -> Result<Answer, Broken> {
    reset.store(true, Ordering::Relaxed);
    Err(Broken)
}

/// What a fault is counted as.
fn name(fault: Fault) -> String {
    match fault {
        Fault::Status(code, 0) => code.as_u16().to_string(),
        Fault::Status(code, _) => format!("{} with Retry-After", code.as_u16()),
        Fault::ResetBefore => "reset before".into(),
        Fault::ResetAfter => "reset after".into(),
        Fault::Delay(time) => format!("{time:?} before it is asked"),
        Fault::Late(time) => format!("done {time:?} late"),
        Fault::Stall(time) => format!("answered {time:?} late"),
    }
}

/// An answer such as a load balancer gives: no `Status` of Kubernetes.
fn refusal(code: StatusCode, after: u32) -> Answer {
    let body = Full::new(Bytes::from_static(b"refused on purpose\n")).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = code;
    if after > 0 {
        response.headers_mut().insert(header::RETRY_AFTER, after.into());
    }
    response
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = stream.set_nodelay(true);
        let mut outage = shared.outage.subscribe();
        let shared = shared.clone();
        tokio::spawn(async move {
            let reset = Arc::new(AtomicBool::new(false));
            let stream = Breakable { stream, reset: reset.clone() };
            let service = service_fn({
                let (shared, reset) = (shared.clone(), reset.clone());
                move |request| shared.clone().answer(reset.clone(), request)
            });
            tokio::select! {
                biased;
                _ = outage.wait_for(|outage| *outage) => {
                    reset.store(true, Ordering::Relaxed);
                    shared.count("connection reset");
                }
                _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
            }
        });
    }
}
