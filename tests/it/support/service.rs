//! A whole service in this process, over an embedded cluster, with its ports on loopback and its events captured.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use pipewright::app::{self, Parts, StartError};
use pipewright::event::Event;
use pipewright::settings::{Settings, SourceDocument, SourceSpec};
use pipewright::sink::{DEFAULT, Environment, Receive, SinkSpec, Sinks};
use pipewright::source::secret::{Secret, SecretReference};
use pipewright::source::{Auth, generic, signature};
use pipewright::vocabulary::Forge;
use pipewright::vocabulary::scope::Scope;
use pipewright_embedded::{Memory, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::ground::Ground;

/// The secret of the source `github`.
pub const SECRET: &str = "It's a Secret to Everybody";

/// The header in which a [`Receiver`] notes what it answered.
pub const ANSWERED: &str = "x-answered";

/// A directory of its own that is gone at the end.
pub struct Directory(PathBuf);

impl Directory {
    /// An empty one.
    pub fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pipewright-it-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces a file at one instant, as careful editors do.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a sink in this process took.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<Event>>>);

impl Captured {
    /// Everything since the last call.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// How many are waiting to be taken.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Receive for Captured {
    fn receive(&self, event: &Event) {
        self.0.lock().unwrap().push(event.to_builder().build().unwrap());
    }
}

/// A real HTTP server that keeps what it gets.
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    status: Arc<AtomicU16>,
    refused: Arc<Mutex<Option<(String, u16)>>>,
    requests: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
}

impl Receiver {
    /// Starts one that answers 202.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(AtomicU16::new(202));
        let requests = Arc::default();
        let refused: Arc<Mutex<Option<(String, u16)>>> = Arc::default();
        let receiver = Self {
            address,
            status: Arc::clone(&status),
            refused: Arc::clone(&refused),
            requests: Arc::clone(&requests),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (status, requests, refused) =
                    (Arc::clone(&status), Arc::clone(&requests), Arc::clone(&refused));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (status, requests, refused) =
                        (Arc::clone(&status), Arc::clone(&requests), Arc::clone(&refused));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let text = String::from_utf8_lossy(&body).into_owned();
                        let refused = refused.lock().unwrap().clone();
                        let refused = refused.filter(|(ty, _)| text.contains(ty)).map(|(_, status)| status);
                        let status = refused.unwrap_or_else(|| status.load(Ordering::Relaxed));
                        let mut headers = head.headers;
                        headers.insert(ANSWERED, status.into());
                        requests.lock().unwrap().push((headers, body));
                        let response = Response::builder().status(status);
                        Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).unwrap())
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        receiver
    }

    /// The sink that posts here.
    pub fn spec(&self) -> SinkSpec {
        SinkSpec::new(format!("http://{}/in", self.address).parse().unwrap())
    }

    /// What it answers from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// What it answers from now on to events whose JSON contains this text.
    pub fn refuse(&self, text: &str, status: u16) {
        *self.refused.lock().unwrap() = Some((text.to_owned(), status));
    }

    /// Every request since the last call.
    pub fn take(&self) -> Vec<(HeaderMap, Bytes)> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

/// What a service is started with.
pub struct Setup {
    /// Settings; ports, mappings and, where there are none, the source `github` are filled in.
    pub settings: Settings,
    /// Mapping files: the name without `.yaml`, and the text.
    pub mappings: Vec<(String, String)>,
    /// Whether the default sink captures in this process.
    pub capture: bool,
    /// The cluster; a new embedded one, without a player, where there is none.
    pub ground: Option<Ground>,
}

impl Setup {
    /// Without mappings, with a capturing default sink, and with a route for CloudEvents that is open.
    pub fn new() -> Self {
        let mut settings = Settings::default();
        settings.process.insecure_events = true;
        Self { settings, mappings: Vec::new(), capture: true, ground: None }
    }

    /// The same with the settings' own defaults, with which nobody may send CloudEvents.
    pub fn closed() -> Self {
        Self::new().with(|it| it.process.insecure_events = false)
    }

    /// The same over a given cluster.
    pub fn over(ground: &Ground) -> Self {
        Self::new().on(ground)
    }

    /// Over a given cluster.
    pub fn on(mut self, ground: &Ground) -> Self {
        self.ground = Some(ground.clone());
        self
    }

    /// Adds a mapping file.
    pub fn mapping(mut self, name: &str, text: &str) -> Self {
        self.mappings.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds a mapping that is shipped with the project.
    pub fn shipped(self, name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("mappings/{name}.yaml"));
        let text = fs::read_to_string(path).unwrap();
        self.mapping(name, &text)
    }

    /// Changes settings.
    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Adds a sink over HTTP.
    pub fn sink(mut self, name: &str, spec: SinkSpec) -> Self {
        if name == DEFAULT {
            self.capture = false;
        }
        self.settings.sinks.push(pipewright::settings::SinkDocument { name: name.to_owned(), spec });
        self
    }

    /// Adds a GitHub source.
    pub fn source(mut self, name: &str, secrets: Vec<SecretReference>) -> Self {
        let auth = if secrets.is_empty() { Auth::Insecure } else { Auth::Signed(secrets) };
        let spec = SourceSpec::Forge(Forge::GitHub, auth);
        self.settings.sources.push(SourceDocument { name: name.to_owned(), scope: Scope::default(), spec });
        self
    }

    /// Adds a source without a forge: `generic` is its field in a `Source` document, and its secrets are given; none means
    /// that it takes everything.
    pub fn generic(mut self, name: &str, generic: &str, secrets: &[&str]) -> Self {
        let known = if secrets.is_empty() { "insecure: true" } else { "secrets: [{file: /replaced}]" };
        let document = format!(
            "apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {{name: {name}}}\n\
             spec: {{generic: {generic}, {known}}}\n"
        );
        let mut sources = Settings::parse(&document).unwrap_or_else(|error| panic!("{error}")).sources;
        if let SourceSpec::Generic(_, generic::Auth::Proof(_, references)) = &mut sources[0].spec {
            *references = secrets.iter().map(|it| literal(it)).collect();
        }
        self.settings.sources.append(&mut sources);
        self
    }

    /// Starts it, and waits until it is ready.
    pub async fn start(self) -> Service {
        let service = self.try_start().await.unwrap_or_else(|error| panic!("{error}"));
        service.until("ready", async || service.get("/readyz").await.status == 200).await;
        service
    }

    /// Starts it, if it can be started.
    pub async fn try_start(mut self) -> Result<Service, StartError> {
        let directory = Directory::new();
        for (name, text) in &self.mappings {
            directory.write(&format!("{name}.yaml"), text);
        }
        if self.settings.sources.is_empty() {
            self = self.source("github", vec![literal(SECRET)]);
        }
        let Self { mut settings, capture, ground, .. } = self;
        settings.process.listen = "127.0.0.1:0".into();
        settings.process.admin_listen = "127.0.0.1:0".into();
        // Whatever the environment of the tests says about a pod.
        let ground = ground.unwrap_or_else(|| Ground::Embedded(Memory::start(Options::default())));
        let namespace = ground.namespace();
        settings.process.leader_election.namespace.get_or_insert_with(|| namespace.to_owned());
        if let Ground::Real(_) = ground {
            // What other tests do elsewhere is not seen here.
            settings.process.namespace = namespace.to_owned();
            settings.process.watch_namespace = namespace.to_owned();
        }
        settings.process.mappings = vec![directory.path().to_owned().into()];
        let specs = settings.sinks.iter().map(|sink| (sink.name.clone(), sink.spec.clone()));
        let mut sinks = Sinks::new(&Environment::default(), specs).unwrap();
        let events = Captured::default();
        if capture {
            sinks = sinks.with_receiver(DEFAULT, Arc::new(events.clone()));
        }
        let clients = ground.clients().await;
        let parts = Parts { settings, clients, sinks, log: None, on_reload: None };
        let running = app::start(parts).await?;
        Ok(Service {
            address: running.address,
            events_address: running.events_address,
            admin: running.admin_address,
            probe: running.probe_address,
            ground,
            events,
            directory,
            http: http_client(),
            running,
        })
    }
}

/// A running service. `stop` ends it.
pub struct Service {
    /// The public port.
    pub address: SocketAddr,
    /// Where events come in; the public port, unless they have an address of their own.
    pub events_address: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    /// The port for probes alone.
    pub probe: Option<SocketAddr>,
    /// Its cluster.
    pub ground: Ground,
    /// What the default sink took.
    pub events: Captured,
    /// Its mapping files.
    pub directory: Directory,
    http: reqwest::Client,
    running: app::Service,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub text: String,
}

impl Answer {
    /// A header's value; empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// What became of the event.
    pub fn result(&self) -> &str {
        self.header("x-pipewright-result")
    }

    /// Asserts acceptance in the form that every sender takes for one.
    #[track_caller]
    pub fn accepted(&self, result: &str) {
        assert_eq!((self.status, self.text.as_str()), (202, ""), "{self:?}");
        assert_eq!(self.result(), result, "{self:?}");
        assert_eq!(self.header("content-length"), "0", "{self:?}");
    }

    /// Asserts a refusal, in plain text that says `reason`.
    #[track_caller]
    pub fn refused(&self, status: u16, reason: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.text.contains(reason), "`{reason}` is not in {self:?}");
        assert_eq!(self.header("content-type"), "text/plain; charset=utf-8", "{self:?}");
        assert_eq!(self.header("x-pipewright-result"), "");
    }

    /// Asserts that the sender is asked to try again.
    #[track_caller]
    pub fn later(&self, status: u16, reason: &str) {
        self.refused(status, reason);
        let seconds: u64 = self.header("retry-after").parse().unwrap();
        assert!((1..60).contains(&seconds), "{self:?}");
    }
}

impl Service {
    /// A path at the public port.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Any request to the public port.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, self.url(path)).body(body.into());
        for (name, value) in headers {
            let value = reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(*name, value);
        }
        answer(request.send().await.unwrap_or_else(|error| panic!("{error:?}"))).await
    }

    /// Signs and posts a GitHub delivery to the source `github`.
    pub async fn github(&self, event: &str, body: impl Into<Bytes>) -> Answer {
        self.delivery("github", SECRET, event, "72d3162e-cc78-11e3-81ab-4c9367dc0958", body).await
    }

    /// Signs and posts a GitHub delivery.
    pub async fn delivery(
        &self,
        source: &str,
        secret: &str,
        event: &str,
        delivery: &str,
        body: impl Into<Bytes>,
    ) -> Answer {
        let body = body.into();
        let signature = signature::sign(secret.as_bytes(), &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", event),
            ("x-github-delivery", delivery),
            ("x-hub-signature-256", &signature),
        ];
        self.send("POST", &format!("/webhooks/{source}"), &headers, body).await
    }

    /// A page of the admin port.
    pub async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(format!("http://{}{path}", self.admin)).send().await.unwrap()).await
    }

    /// The sum of a metric over all its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let of_name = |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let series: Vec<&str> = text.lines().filter(|line| of_name(line)).collect();
        assert!(!series.is_empty(), "no `{name}` in\n{text}");
        series.iter().map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Whether the metrics have this line.
    pub async fn has_metric(&self, line: &str) -> bool {
        self.get("/metrics").await.text.lines().any(|it| it == line)
    }

    /// Every PipelineRun: in the namespace of the test where others have theirs, or in all.
    pub async fn runs(&self) -> Vec<DynamicObject> {
        let (client, kind) = (self.ground.client(), pipeline_runs());
        let api: Api<DynamicObject> = match &self.ground {
            Ground::Embedded(_) => Api::all_with(client, &kind),
            Ground::Real(real) => Api::namespaced_with(client, &real.namespace, &kind),
        };
        api.list(&ListParams::default()).await.unwrap().items
    }

    /// Waits until `condition` holds.
    pub async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !condition().await {
            assert!(started.elapsed() < Duration::from_secs(20), "still not: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Makes readiness fall, as before the end.
    pub fn drain(&self) {
        self.running.drain();
    }

    /// Ends it; what is in flight is finished.
    pub async fn stop(self) {
        drop(self.http);
        tokio::time::timeout(Duration::from_secs(20), self.running.stop()).await.unwrap();
    }
}

/// The kind of every run here.
pub fn pipeline_runs() -> ApiResource {
    let kind = GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun");
    ApiResource::from_gvk(&kind)
}

/// A secret that is known here.
pub fn literal(secret: &str) -> SecretReference {
    SecretReference::Literal(Secret::literal(secret).unwrap())
}

/// Bytes onto the wire as they are; the answer as it comes until the server closes or `content-length` is reached.
pub async fn raw(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    read_answer(&mut stream).await
}

/// Reads one answer.
pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut part = [0; 4096];
        let count = stream.read(&mut part).await.unwrap_or_else(|error| panic!("no answer: {error}"));
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&part[..count]);
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.trim_end().lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        headers.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.trim().parse().unwrap());
    }
    let length: usize = headers.get("content-length").map_or(0, |it| it.to_str().unwrap().parse().unwrap());
    let mut body = bytes.split_off(head);
    while body.len() < length {
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(count) if count > 0 => body.extend_from_slice(&part[..count]),
            _ => break,
        }
    }
    Answer { status, headers, text: String::from_utf8(body).unwrap() }
}

/// A client with its own connections.
pub fn http_client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap()
}

async fn answer(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    Answer { status, headers, text: response.text().await.unwrap() }
}
