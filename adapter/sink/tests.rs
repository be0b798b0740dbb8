//! Sinks against a real HTTP server on loopback that fails in every way a receiver can.

mod backlog;
mod batches;
mod connections;
mod letters;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::http::{HeaderMap, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;

/// What the server does with one request.
#[derive(Clone, Debug)]
enum Answer {
    Status(u16),
    Headers(u16, Vec<(&'static str, String)>),
    Body(u16, String),
    /// Takes longer than the client's patience.
    Never,
    /// Closes the connection without an answer.
    Close,
    /// Refuses what contains this text, and takes the rest. It stays in force.
    Refuse(u16, &'static str),
    /// Takes it after this time. It stays in force.
    Late(Duration),
}

#[derive(Clone, Debug)]
struct Received {
    headers: HeaderMap,
    body: Bytes,
}

/// A receiver that answers by a script and then with 202.
struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Server {
    async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let log = received.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (script.clone(), log.clone());
                let service = service_fn(move |request: Request<Incoming>| {
                    let (script, log) = (script.clone(), log.clone());
                    async move { answer(request, &script, &log).await }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, received }
    }

    fn url(&self) -> String {
        format!("http://{}/in?key=hush", self.address)
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    fn ids(&self) -> Vec<String> {
        let id = |it: &Received| {
            let tree: serde_json::Value = serde_json::from_slice(&it.body).unwrap();
            tree["id"].as_str().unwrap().to_owned()
        };
        self.received().iter().map(id).collect()
    }
}

async fn answer(
    request: Request<Incoming>,
    script: &Mutex<VecDeque<Answer>>,
    log: &Mutex<Vec<Received>>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    log.lock().unwrap().push(Received { headers: head.headers, body: body.clone() });
    let next = {
        let mut script = script.lock().unwrap();
        match script.front() {
            Some(Answer::Refuse(..) | Answer::Late(_)) => script.front().cloned(),
            _ => script.pop_front(),
        }
    };
    let next = next.unwrap_or(Answer::Status(202));
    let (status, headers, body) = match next {
        Answer::Status(status) => (status, Vec::new(), String::new()),
        Answer::Headers(status, headers) => (status, headers, String::new()),
        Answer::Body(status, body) => (status, Vec::new(), body),
        Answer::Refuse(status, text) => {
            let refused = String::from_utf8_lossy(&body).contains(text);
            (if refused { status } else { 202 }, Vec::new(), String::new())
        }
        Answer::Late(time) => {
            tokio::time::sleep(time).await;
            (202, Vec::new(), String::new())
        }
        Answer::Never => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            (200, Vec::new(), String::new())
        }
        // An error of the service makes hyper drop the connection.
        Answer::Close => return Err(std::io::Error::other("scripted")),
    };
    let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
    for (name, value) in headers {
        response = response.header(name, value);
    }
    Ok(response.body(Full::from(body)).unwrap())
}

fn event() -> Event {
    Event::builder("4711", "/tests", "dev.cdevents.change.created.0.4.0")
        .subject("café 1")
        .extension("chain", "c1")
        .json(r#"{"b":1,"a":[1.0,2]}"#.to_owned())
        .build()
        .unwrap()
}

/// Short waits: the schedule itself is tested in `delivery`.
fn quick(url: &str) -> SinkSpec {
    let mut spec = SinkSpec::new(url.parse().unwrap());
    spec.delivery = Delivery {
        retry: 2,
        backoff_delay: IsoDuration(Duration::from_millis(2)),
        timeout: IsoDuration(Duration::from_millis(300)),
        ..Delivery::default()
    };
    spec
}

fn sinks(spec: SinkSpec) -> Sinks {
    Sinks::new(&Environment::default(), [("out".to_owned(), spec)]).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Sends one event to a server with this script.
async fn run(script: impl IntoIterator<Item = Answer>) -> (Result<Receipt, SendError>, Server) {
    let server = Server::start(script).await;
    let result = sinks(quick(&server.url())).send("out", &event(), soon()).await;
    (result, server)
}

#[tokio::test]
async fn a_structured_event_is_one_json_body() {
    let (result, server) = run([]).await;
    let receipt = result.unwrap();
    assert_eq!((receipt.attempts, receipt.status), (1, 202));
    let received = server.received();
    let tree: serde_json::Value = serde_json::from_slice(&received[0].body).unwrap();
    assert_eq!(
        tree,
        serde_json::json!({"specversion": "1.0", "id": "4711", "source": "/tests", "subject": "café 1",
            "type": "dev.cdevents.change.created.0.4.0", "chain": "c1", "datacontenttype": "application/json",
            "data": {"b": 1, "a": [1.0, 2]}})
    );
    let content_type = received[0].headers["content-type"].to_str().unwrap();
    assert!(content_type.starts_with("application/cloudevents+json"), "{content_type}");
    assert_eq!(received[0].headers["user-agent"], concat!("pipewright/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_binary_event_is_headers_and_the_payload_as_it_came() {
    let server = Server::start([]).await;
    let spec = SinkSpec { mode: Mode::Binary, ..quick(&server.url()) };
    sinks(spec).send("out", &event(), soon()).await.unwrap();
    let received = server.received();
    assert_eq!(received[0].body, r#"{"b":1,"a":[1.0,2]}"#);
    let header = |name: &str| received[0].headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!((header("ce-id").as_str(), header("ce-specversion").as_str()), ("4711", "1.0"));
    assert_eq!(header("ce-subject"), "caf%C3%A9%201");
    assert_eq!(header("ce-chain"), "c1");
}

#[tokio::test]
async fn answers_that_may_change_are_tried_again_with_the_same_id() {
    for status in [404, 408, 409, 425, 429, 500, 502, 503, 504] {
        let (result, server) = run([Answer::Status(status)]).await;
        let receipt = result.unwrap();
        assert_eq!((receipt.attempts, receipt.status), (2, 202), "{status}");
        assert_eq!(server.ids(), ["4711", "4711"], "{status}");
        let received = server.received();
        assert_eq!(received[0].body, received[1].body, "{status}");
    }
}

#[tokio::test]
async fn answers_that_never_change_are_not_tried_again() {
    for status in [300, 304, 400, 401, 403, 405, 410, 413, 415, 422] {
        let (result, server) = run([Answer::Status(status)]).await;
        match result.unwrap_err() {
            SendError::Permanent { attempts: 1, status: Some(is), .. } => assert_eq!(is, status),
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(server.received().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_not_followed() {
    let elsewhere = Server::start([]).await;
    let (result, server) = run([Answer::Headers(302, vec![("location", elsewhere.url())])]).await;
    assert!(matches!(result, Err(SendError::Permanent { status: Some(302), .. })), "{result:?}");
    assert_eq!(server.received().len(), 1);
    assert!(elsewhere.received().is_empty());
}

#[tokio::test]
async fn an_answer_that_stays_bad_is_transient_after_all_retries() {
    let (result, server) = run(vec![Answer::Status(500); 5]).await;
    match result.unwrap_err() {
        SendError::Transient { attempts: 3, status: Some(500), retry_after: None, reason, .. } => {
            assert_eq!(reason, "it answered 500 Internal Server Error");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.ids(), ["4711"; 3]);
}

#[tokio::test]
async fn a_sink_that_is_down_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/in?key=hush", listener.local_addr().unwrap());
    drop(listener);
    let error = sinks(quick(&url)).send("out", &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { attempts: 3, status: None, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("refused") && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_timeout_and_is_tried_again() {
    let start = Instant::now();
    let (result, server) = run([Answer::Never]).await;
    assert_eq!(result.unwrap().attempts, 2);
    assert_eq!(server.ids(), ["4711"; 2]);
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_connection_that_closes_without_an_answer_is_tried_again() {
    let (result, server) = run([Answer::Close]).await;
    assert_eq!(result.unwrap().attempts, 2);
    assert_eq!(server.ids(), ["4711"; 2]);
}

#[tokio::test]
async fn retry_after_is_waited_for_up_to_its_limit() {
    let server = Server::start([Answer::Headers(429, vec![("retry-after", "3600".to_owned())])]).await;
    let mut spec = quick(&server.url());
    spec.delivery.retry_after_max = IsoDuration(Duration::from_millis(150));
    let start = Instant::now();
    let receipt = sinks(spec).send("out", &event(), soon()).await.unwrap();
    assert_eq!(receipt.attempts, 2);
    assert!(start.elapsed() >= Duration::from_millis(150), "{:?}", start.elapsed());
    assert!(receipt.elapsed >= Duration::from_millis(150));
}

#[tokio::test]
async fn a_retry_after_beyond_the_deadline_is_handed_to_the_caller_at_once() {
    let server = Server::start([Answer::Headers(503, vec![("retry-after", "7".to_owned())])]).await;
    let start = Instant::now();
    let deadline = start + Duration::from_secs(2);
    let error = sinks(quick(&server.url())).send("out", &event(), deadline).await.unwrap_err();
    let SendError::Transient { attempts: 1, retry_after: Some(wait), .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(wait, Duration::from_secs(7));
    assert!(start.elapsed() < Duration::from_secs(2), "waiting would have been in vain");
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let server = Server::start([]).await;
    let past = Instant::now();
    let error = sinks(quick(&server.url())).send("out", &event(), past).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { attempts: 0, .. }), "{error:?}");
    assert!(server.received().is_empty());

    let never = Server::start(vec![Answer::Never; 3]).await;
    let mut spec = quick(&never.url());
    spec.delivery.timeout = IsoDuration(Duration::from_secs(30));
    let start = Instant::now();
    let deadline = start + Duration::from_millis(200);
    let error = sinks(spec).send("out", &event(), deadline).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { attempts: 1, .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test]
async fn prose_after_a_2xx_does_not_matter_however_long() {
    for body in ["thanks".to_owned(), "x".repeat(1_000_000)] {
        let (result, _) = run([Answer::Body(200, body)]).await;
        let receipt = result.unwrap();
        assert_eq!((receipt.attempts, receipt.status), (1, 200));
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_sink_said_on_one_short_line() {
    let (result, _) =
        run([Answer::Body(422, format!("no\n\u{1b}[31m such\r\nbranch {}", "x".repeat(999)))]).await;
    let text = result.unwrap_err().to_string();
    assert!(
        text.starts_with("sink `out`: it answered 422 Unprocessable Entity: no \\u{1b}[31m such branch xxx"),
        "{text}"
    );
    assert!(text.len() < 300 && !text.chars().any(char::is_control), "{text}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_after_a_2xx_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nhalf").await.unwrap();
    });
    let receipt = sinks(quick(&url)).send("out", &event(), soon()).await.unwrap();
    assert_eq!((receipt.attempts, receipt.status), (1, 202));
}

#[tokio::test]
async fn connections_are_kept_for_the_next_event() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let service = service_fn(|_: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("taken")))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    let sinks = sinks(quick(&url));
    for _ in 0..5 {
        sinks.send("out", &event(), soon()).await.unwrap();
    }
    assert_eq!(connections.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[tokio::test]
async fn configured_headers_and_the_token_file_go_with_every_attempt() {
    let file = std::env::temp_dir().join(format!("pipewright-token-{}", uuid::Uuid::new_v4()));
    let server = Server::start([Answer::Status(503)]).await;
    let mut spec: SinkSpec = serde_json::from_value(serde_json::json!({
        "url": server.url(), "headers": {"x-api-key": "k"}, "tokenFile": file,
        "delivery": {"retry": 1, "backoffDelay": "PT0.001S"},
    }))
    .unwrap();
    let sink = sinks(spec.clone());
    let error = sink.send("out", &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { status: None, .. }), "a named file must exist: {error:?}");
    assert!(server.received().is_empty());

    std::fs::write(&file, "first\n").unwrap();
    sink.send("out", &event(), soon()).await.unwrap();
    std::fs::write(&file, "second\n").unwrap();
    sink.send("out", &event(), soon()).await.unwrap();
    let seen: Vec<_> =
        server.received().iter().map(|it| it.headers["authorization"].to_str().unwrap().to_owned()).collect();
    assert_eq!(seen, ["Bearer first", "Bearer first", "Bearer second"]);
    assert!(server.received().iter().all(|it| it.headers["x-api-key"] == "k"));
    std::fs::remove_file(&file).unwrap();

    spec.token_file = None;
    sinks(spec).send("out", &event(), soon()).await.unwrap();
    assert!(!server.received().last().unwrap().headers.contains_key("authorization"));
}

#[tokio::test]
async fn the_environment_gives_the_default_sink() {
    let server = Server::start([]).await;
    let environment = Environment {
        sink: Some(server.url()),
        ce_overrides: Some(r#"{"extensions":{"team":"a","chain":"over"}}"#.to_owned()),
        ca_certs: Some(String::new()),
        token_file: Some("/nonexistent/oidc/token".into()),
        ..Environment::default()
    };
    let sinks = Sinks::new(&environment, []).unwrap();
    assert!(sinks.has_default());
    sinks.send(DEFAULT, &event(), soon()).await.unwrap();
    let tree: serde_json::Value = serde_json::from_slice(&server.received()[0].body).unwrap();
    assert_eq!((&tree["team"], &tree["chain"], &tree["id"]), (&"a".into(), &"over".into(), &"4711".into()));
    assert!(!server.received()[0].headers.contains_key("authorization"), "the token file need not be there");
    assert!(!server.received()[0].headers.contains_key("kn-namespace"));
}

#[tokio::test]
async fn the_namespace_goes_with_every_request() {
    let server = Server::start([]).await;
    let environment = Environment { namespace: Some("ci".to_owned()), ..Environment::default() };
    let sinks = Sinks::new(&environment, [("out".to_owned(), quick(&server.url()))]).unwrap();
    sinks.send("out", &event(), soon()).await.unwrap();
    assert_eq!(server.received()[0].headers["kn-namespace"], "ci");
}

#[tokio::test]
async fn the_platform_may_set_the_time_limit_of_its_sink() {
    let server = Server::start(vec![Answer::Never; 9]).await;
    let environment =
        Environment { sink: Some(server.url()), timeout: Some("1".to_owned()), ..Environment::default() };
    let mut spec = quick(&server.url());
    spec.delivery = Delivery { retry: 0, ..Delivery::default() };
    let sinks = Sinks::new(&environment, [(DEFAULT.to_owned(), spec.clone())]).unwrap();
    let start = Instant::now();
    let error = sinks.send(DEFAULT, &event(), soon()).await.unwrap_err();
    assert!(error.to_string().contains("did not answer in time"), "{error}");
    assert!((1..5).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());

    // What the document says counts more, and a number below 1 is no limit of ours.
    spec.delivery.timeout = IsoDuration(Duration::from_millis(50));
    for timeout in ["60", "0", "-1", " "] {
        let environment = Environment { timeout: Some(timeout.to_owned()), ..environment.clone() };
        let sinks = Sinks::new(&environment, [(DEFAULT.to_owned(), spec.clone())]).unwrap();
        let start = Instant::now();
        sinks.send(DEFAULT, &event(), soon()).await.unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(5), "{timeout}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn the_trace_of_an_event_is_a_header_too() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for mode in [Mode::Structured, Mode::Binary] {
        let server = Server::start([]).await;
        let traced =
            event().to_builder().extension("traceparent", PARENT).extension("tracestate", "a=1").build();
        let sinks = sinks(SinkSpec { mode, ..quick(&server.url()) });
        sinks.send("out", &traced.unwrap(), soon()).await.unwrap();
        let odd = event().to_builder().extension("traceparent", "prose").build().unwrap();
        sinks.send("out", &odd, soon()).await.unwrap();
        let received = server.received();
        assert_eq!(
            (&received[0].headers["traceparent"], &received[0].headers["tracestate"]),
            (&::http::HeaderValue::from_static(PARENT), &::http::HeaderValue::from_static("a=1"))
        );
        assert!(!received[1].headers.contains_key("traceparent"));
    }
}

#[tokio::test]
async fn the_platform_decides_the_address_and_the_document_the_rest() {
    let server = Server::start([Answer::Status(500)]).await;
    let environment = Environment { sink: Some(server.url()), ..Environment::default() };
    let mut spec = quick("http://127.0.0.1:1/");
    spec.delivery.retry = 0;
    let sinks = Sinks::new(&environment, [(DEFAULT.to_owned(), spec)]).unwrap();
    let error = sinks.send(DEFAULT, &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { attempts: 1, status: Some(500), .. }), "{error:?}");
}

#[tokio::test]
async fn an_unresolved_binding_means_no_default_sink() {
    for sink in [None, Some(String::new()), Some("  ".to_owned())] {
        let environment = Environment {
            sink,
            ce_overrides: Some(String::new()),
            ca_certs: Some(String::new()),
            token_file: Some("/oidc/token".into()),
            ..Environment::default()
        };
        let sinks = Sinks::new(&environment, []).unwrap();
        assert!(!sinks.has_default());
        assert!(matches!(sinks.send(DEFAULT, &event(), soon()).await, Err(SendError::NoDefault)));
        assert!(
            matches!(sinks.send("other", &event(), soon()).await, Err(SendError::UnknownSink(name)) if name == "other")
        );
    }
}

#[test]
fn a_bad_environment_is_refused_by_the_variable_that_is_bad() {
    let base = Environment::default();
    for (environment, start) in [
        (Environment { sink: Some("broker".into()), ..base.clone() }, "`K_SINK` must be an absolute URL"),
        (Environment { ce_overrides: Some("{".into()), ..base.clone() }, "`K_CE_OVERRIDES` must be JSON"),
        (
            Environment { ca_certs: Some("not pem".into()), ..base.clone() },
            "`K_CA_CERTS` must be PEM certificates",
        ),
        (
            Environment { sink: Some("http://a/".into()), timeout: Some("10s".into()), ..base.clone() },
            "`K_SINK_TIMEOUT` must be a whole number of seconds, not `10s`",
        ),
        (Environment { namespace: Some("a\nb".into()), ..base.clone() }, "`NAMESPACE` must be"),
    ] {
        let error = Sinks::new(&environment, []).unwrap_err().to_string();
        assert!(error.starts_with(start), "{error}");
    }
    let twice = ["a", "a"].map(|name| (name.to_owned(), quick("http://127.0.0.1:1/")));
    assert!(matches!(Sinks::new(&base, twice), Err(ConfigError::Duplicate(name)) if name == "a"));
}

/// Answers every request on every connection with 202, over TLS with the fixture's certificate.
fn serve_tls() -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::io::{Read, Write};

    let certificate =
        CertificateDer::from_pem_slice(include_bytes!("../../tests/fixtures/tls/loopback.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../../tests/fixtures/tls/loopback.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut tls = rustls::StreamOwned::new(session, stream.unwrap());
            std::thread::spawn(move || {
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                // A client that does not trust us ends the handshake with an error here.
                while let Ok(read @ 1..) = tls.read(&mut buffer) {
                    request.extend_from_slice(&buffer[..read]);
                    if request.ends_with(b"}") {
                        tls.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").unwrap();
                        request.clear();
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn certificates_of_the_environment_are_trusted_besides_the_systems() {
    let sink = Some(serve_tls());
    let mut spec = quick("http://127.0.0.1:1/");
    spec.delivery.retry = 0;
    spec.delivery.timeout = IsoDuration(Duration::from_secs(5));
    let trusting = Environment {
        sink: sink.clone(),
        ca_certs: Some(include_str!("../../tests/fixtures/tls/ca.pem").to_owned()),
        ..Environment::default()
    };
    let sinks = Sinks::new(&trusting, [(DEFAULT.to_owned(), spec.clone())]).unwrap();
    assert_eq!(sinks.send(DEFAULT, &event(), soon()).await.unwrap().status, 202);

    let unaware = Environment { sink, ..Environment::default() };
    let sinks = Sinks::new(&unaware, [(DEFAULT.to_owned(), spec)]).unwrap();
    let error = sinks.send(DEFAULT, &event(), soon()).await.unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_receiver_in_this_process_takes_events_too() {
    struct Kept(Mutex<Vec<String>>);
    impl Receive for Kept {
        fn receive(&self, event: &Event) {
            self.0.lock().unwrap().push(event.id().to_owned());
        }
    }
    let kept = Arc::new(Kept(Mutex::default()));
    let sinks = Sinks::new(&Environment::default(), []).unwrap().with_receiver(DEFAULT, kept.clone());
    sinks.send(DEFAULT, &event(), soon()).await.unwrap();
    assert_eq!(*kept.0.lock().unwrap(), ["4711"]);
    assert_eq!(sinks.names().collect::<Vec<_>>(), [DEFAULT]);
}
