//! What becomes of an event when its sink fails, in every way that a receiver can: one table, from a real service and
//! real sockets.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use pipewright::sink::{DEFAULT, Destination, IsoDuration, SinkSpec};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::ground::{Ground, on_both_clusters};
use crate::support::process::fixture;
use crate::support::service::{Answer, Receiver, Service, Setup, pipeline_runs};

on_both_clusters! {
    a_dead_letter_that_is_sent_again_means_the_event_that_died,
    a_transition_that_the_dead_letter_sink_took_is_done,
}

const TAKEN: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

/// What a sink does with each request.
#[derive(Clone, Copy)]
enum Does {
    /// Refuses connections.
    Nothing,
    /// Answers with these bytes and keeps the connection.
    Says(&'static str),
    /// Answers with these bytes and closes.
    Breaks(&'static str),
    /// Redirects to a place that would take it.
    Redirects,
    /// Never answers.
    Hangs,
    /// Is no TLS server.
    Garbles,
}

const BEHAVIOURS: [(&str, Does); 17] = [
    ("202", Does::Says(TAKEN)),
    ("down", Does::Nothing),
    ("slow: longer than the timeout", Does::Hangs),
    ("500", Does::Says("HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops")),
    ("404", Does::Says("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")),
    ("408", Does::Says("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")),
    ("409", Does::Says("HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n")),
    ("413", Does::Says("HTTP/1.1 413 Too Large\r\ncontent-length: 9\r\n\r\ntoo large")),
    ("422", Does::Says("HTTP/1.1 422 No\r\ncontent-length: 14\r\n\r\nno such branch")),
    ("429, Retry-After: 1", Does::Says("HTTP/1.1 429 Slow\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")),
    (
        "429, Retry-After: 3600",
        Does::Says("HTTP/1.1 429 Slow\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n"),
    ),
    ("302 to elsewhere", Does::Redirects),
    ("200 with prose", Does::Says("HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"status\": \"thanks\"}")),
    (
        "200, closes halfway through the body",
        Does::Breaks("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhal"),
    ),
    ("closes halfway through the head", Does::Breaks("HTTP/1.1 202 Acc")),
    ("closes before an answer", Does::Breaks("")),
    ("garbage instead of TLS", Does::Garbles),
];

/// A sink on loopback that misbehaves until it is mended.
struct Sink {
    url: String,
    does: Does,
    mended: Arc<AtomicBool>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    /// The port of one that is down: taken, and not listening.
    port: Option<TcpSocket>,
}

// === impl Sink ===

impl Sink {
    fn start(does: Does, elsewhere: &Receiver) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let scheme = if matches!(does, Does::Garbles) { "https" } else { "http" };
        let url = format!("{scheme}://{}/in?key=hush", socket.local_addr().unwrap());
        let location = format!("http://{}/elsewhere", elsewhere.address);
        let redirect = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let mut sink = Self { url, does, mended: Arc::default(), bodies: Arc::default(), port: None };
        if matches!(does, Does::Nothing) {
            sink.port = Some(socket);
        } else {
            sink.listen(socket.listen(64).unwrap(), redirect);
        }
        sink
    }

    fn listen(&self, listener: TcpListener, redirect: String) {
        let (does, mended, bodies) = (self.does, Arc::clone(&self.mended), Arc::clone(&self.bodies));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, does, mended.clone(), bodies.clone(), redirect.clone()));
            }
        });
    }

    /// Lets it take everything from now on.
    fn mend(&mut self) {
        self.mended.store(true, Ordering::Relaxed);
        if let Some(socket) = self.port.take() {
            self.listen(socket.listen(64).unwrap(), String::new());
        }
    }

    fn spec(&self) -> SinkSpec {
        let mut spec = SinkSpec::new(self.url.parse().unwrap());
        spec.delivery.retry = 2;
        spec.delivery.backoff_delay = IsoDuration(Duration::from_millis(1));
        let patience = if matches!(self.does, Does::Hangs) { 300 } else { 5000 };
        spec.delivery.timeout = IsoDuration(Duration::from_millis(patience));
        spec
    }

    /// The ids of what arrived since the last call, in order.
    fn take(&self) -> Vec<String> {
        let bodies = std::mem::take(&mut *self.bodies.lock().unwrap());
        assert!(bodies.windows(2).all(|two| two[0] == two[1]), "an attempt differs from the one before");
        bodies.iter().map(|body| id(body)).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    does: Does,
    mended: Arc<AtomicBool>,
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    redirect: String,
) {
    if matches!(does, Does::Garbles) {
        let _ = stream.read(&mut [0; 1024]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        return;
    }
    while let Some(body) = read_body(&mut stream).await {
        bodies.lock().unwrap().push(body);
        let answer = match does {
            _ if mended.load(Ordering::Relaxed) => TAKEN,
            Does::Hangs => std::future::pending().await,
            Does::Redirects => &redirect,
            Does::Says(answer) | Does::Breaks(answer) => answer,
            Does::Nothing | Does::Garbles => unreachable!(),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() || matches!(does, Does::Breaks(_)) {
            return;
        }
    }
}

/// The body of one request; `None` when the client has closed.
async fn read_body(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                return Some(bytes[end + 4..].to_vec());
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
}

fn id(body: &[u8]) -> String {
    let tree: Value = serde_json::from_slice(body).unwrap();
    tree["id"].as_str().unwrap().to_owned()
}

fn saw(answer: &Answer) -> String {
    match (answer.header("retry-after"), answer.result()) {
        ("", "") => answer.status.to_string(),
        ("", result) => format!("{} {result}", answer.status),
        (wait, _) => format!("{}, Retry-After: {wait}", answer.status),
    }
}

fn times(ids: &[String]) -> String {
    let distinct: BTreeSet<_> = ids.iter().collect();
    match (ids.len(), distinct.len()) {
        (0, _) => "–".to_owned(),
        (count, ids) => format!("{count}×, {ids} id"),
    }
}

/// Dead letters as `code data`.
fn letters(requests: &[(http::HeaderMap, bytes::Bytes)]) -> String {
    let shown = requests.iter().map(|(_, body)| {
        let tree: Value = serde_json::from_slice(body).unwrap();
        let data = STANDARD.decode(tree["knativeerrordata"].as_str().unwrap()).unwrap();
        format!("{} `{}`", tree["knativeerrorcode"], String::from_utf8(data).unwrap())
    });
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() { "–".to_owned() } else { shown.join(", ") }
}

/// One row: a push to a service whose sink does this, and the same push again when the sink is mended.
async fn row(name: &str, does: Does, with_letters: bool, elsewhere: &Receiver) -> (String, BTreeSet<String>) {
    let mut sink = Sink::start(does, elsewhere);
    let receiver = Receiver::start().await;
    let mut spec = sink.spec();
    if with_letters {
        spec.delivery.dead_letter_sink = Some(Destination::Sink("letters".to_owned()));
    }
    let service = Setup::new()
        .sink(DEFAULT, spec)
        .sink("letters", receiver.spec())
        // The deadline must end nothing but what the table says.
        .with(|settings| settings.process.limits.webhook_deadline = Duration::from_secs(30))
        .start()
        .await;
    let push = fixture("pull_request.opened.json").to_string();
    let answer = service.github("pull_request", push.clone()).await;
    let (arrived, buried) = (sink.take(), receiver.take());
    for (_, body) in &buried {
        let tree: Value = serde_json::from_slice(body).unwrap();
        let address = sink.url.split('?').next().unwrap();
        assert_eq!(tree["knativeerrordest"], address, "{name}: where it died, without the key");
    }
    assert!(!answer.text.contains("hush"), "{answer:?}");
    let dead = service.get("/metrics").await.text;
    let counted = dead.contains("pipewright_emit_dead_lettered_total{sink=\"default\"} 1");
    assert_eq!(counted, !buried.is_empty(), "{name}");

    // One that is no TLS server at all stays so.
    sink.mend();
    let again = service.github("pull_request", push).await;
    let redelivered = sink.take();
    let mut ids: BTreeSet<_> = arrived.iter().chain(&redelivered).cloned().collect();
    ids.extend(buried.iter().map(|(_, body)| id(body)));
    ids.extend(receiver.take().iter().map(|(_, body)| id(body)));
    service.stop().await;
    let row = format!(
        "| {name} | {} | {} | {} | {} | {}, {} |",
        if with_letters { "yes" } else { "no" },
        saw(&answer),
        times(&arrived),
        letters(&buried),
        saw(&again),
        times(&redelivered),
    );
    (row, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_that_a_sink_can_fail_in_one_table() {
    let elsewhere = Receiver::start().await;
    let mut table = "| the sink | dead letter sink | the webhook's sender saw | arrived at the sink | dead letters: code \
                     and data | redelivered when the sink is mended |\n|---|---|---|---|---|---|\n"
        .to_owned();
    let mut all = BTreeSet::new();
    for with_letters in [false, true] {
        let rows = BEHAVIOURS.iter().map(|(name, does)| row(name, *does, with_letters, &elsewhere));
        for (row, ids) in join_all(rows).await {
            let _ = writeln!(table, "{row}");
            all.extend(ids);
        }
    }
    println!("{table}");
    assert!(elsewhere.take().is_empty(), "a redirect was followed");
    assert_eq!(all.len(), 1, "one event, one id, wherever and however often it arrives: {all:?}");
    insta::assert_snapshot!("table", table);
}

async fn a_dead_letter_that_is_sent_again_means_the_event_that_died(ground: Ground) {
    let mapping = "
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: build}
spec:
  events: [{type: com.example.wanted}]
  do:
    - {name: build, pipelineRun: {spec: {pipelineRef: {name: build}}}}
    - {name: tell, emit: {type: dev.cdeventsx.pipewright-build.requested.0.1.0, to: chat, subject: a}}
";
    let (chat, attic) = (Receiver::start().await, Receiver::start().await);
    let mut spec = chat.spec();
    spec.delivery.dead_letter_sink = Some(Destination::Sink("attic".to_owned()));
    let service = Setup::over(&ground)
        .mapping("build", mapping)
        .sink("chat", spec)
        .sink("attic", attic.spec())
        .start()
        .await;
    let headers = [("content-type", "application/cloudevents+json")];
    let event = json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.wanted"});
    service.send("POST", "/events", &headers, event.to_string()).await.accepted("created");

    // As a broker's dead letter sink would hand it back.
    let mut letter = event.clone();
    letter["knativeerrordest"] = "http://elsewhere/".into();
    letter["knativeerrorcode"] = 503.into();
    letter["knativeerrordata"] = "b29wcw==".into();
    service.send("POST", "/events", &headers, letter.to_string()).await.accepted("duplicate");
    let mut binary = vec![
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/s"),
        ("ce-type", "com.example.wanted"),
        ("ce-knativeerrorcode", "503"),
        ("ce-knativeerrordest", "http://elsewhere/"),
    ];
    service.send("POST", "/", &binary, "").await.accepted("duplicate");
    binary.push(("ce-knativeerrordata", ""));
    service.send("POST", "/", &binary, "").await.accepted("duplicate");
    assert_eq!(service.runs().await.len(), 1);
    let sent: BTreeSet<_> = chat.take().iter().map(|(_, body)| id(body)).collect();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(attic.take().is_empty());
    service.stop().await;
}

async fn a_transition_that_the_dead_letter_sink_took_is_done(ground: Ground) {
    let (sink, attic) = (Receiver::start().await, Receiver::start().await);
    sink.answer(400);
    let mut spec = sink.spec();
    spec.delivery.dead_letter_sink = Some(Destination::Sink("attic".to_owned()));
    let service = Setup::over(&ground).sink(DEFAULT, spec).sink("attic", attic.spec()).start().await;
    let api: Api<DynamicObject> = Api::default_namespaced_with(service.ground.client(), &pipeline_runs());
    // Which nobody plays: it has one transition.
    let run = json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "build-1"},
        "spec": {"pipelineRef": {"name": "build"}, "managedBy": "example.com/nobody"}});
    api.create(&PostParams::default(), &serde_json::from_value(run).unwrap()).await.unwrap();
    service
        .until("the transition is noted on the run", async || {
            let run = api.get("build-1").await.unwrap();
            run.metadata.annotations.unwrap_or_default().contains_key("pipewright.dev/emitted")
        })
        .await;
    let buried = attic.take();
    assert_eq!(letters(&buried), "400 ``");
    assert_eq!(sink.take().iter().map(|(_, body)| id(body)).collect::<Vec<_>>(), [id(&buried[0].1)]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_hangs_takes_its_share_and_no_other_sinks() {
    let route = |name: &str, to: &str| {
        format!(
            "
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: {name}}}
spec:
  events: [{{type: com.example.{name}}}]
  do: [{{name: tell, emit: {{type: dev.cdeventsx.pipewright-{name}.requested.0.1.0, to: {to}, subject: a}}}}]
"
        )
    };
    let elsewhere = Receiver::start().await;
    let hanging = Sink::start(Does::Hangs, &elsewhere);
    let mut spec = hanging.spec();
    spec.delivery.timeout = IsoDuration(Duration::from_mins(1));
    (spec.max_in_flight, spec.max_waiting) = (4, 4);
    let service = Arc::new(
        Setup::new()
            .mapping("stuck", &route("stuck", "hanging"))
            .mapping("fine", &route("fine", DEFAULT))
            .sink("hanging", spec)
            .with(|settings| settings.process.limits.event_deadline = Duration::from_secs(15))
            .start()
            .await,
    );
    let send = async |service: &Service, ty: &str, number: usize| {
        let headers = [("content-type", "application/cloudevents+json")];
        let ty = format!("com.example.{ty}");
        let event = json!({"specversion": "1.0", "id": number.to_string(), "source": "/s", "type": ty});
        service.send("POST", "/events", &headers, event.to_string()).await
    };
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..60 {
        let (service, answered) = (Arc::clone(&service), answered.clone());
        senders.spawn(async move {
            let _ = answered.send(send(&service, "stuck", number).await);
        });
    }
    drop(answered);
    // Eight are held; the others are sent back while those are.
    for _ in 0..52 {
        let answer = answers.recv().await.unwrap();
        answer.later(503, "sink `hanging`");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(answer.text.contains("under way already"), "{answer:?}");
    }
    for number in 0..60 {
        send(&service, "fine", number).await.accepted("sent");
    }
    assert_eq!(service.events.count(), 60);
    let metrics = service.get("/metrics").await.text;
    assert!(metrics.contains("pipewright_sink_inflight{sink=\"hanging\"} 4\n"), "{metrics}");
    assert!(metrics.contains("pipewright_sink_refusals_total{sink=\"hanging\"} 52\n"), "{metrics}");
    // Those that wait give up when it is clear that the sink hangs, those in flight at their deadline.
    while let Some(answer) = answers.recv().await {
        answer.later(503, "sink `hanging`");
    }
    assert_eq!(hanging.bodies.lock().unwrap().len(), 4);
    senders.join_all().await;
    Arc::into_inner(service).unwrap().stop().await;
}
