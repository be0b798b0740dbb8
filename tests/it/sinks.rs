//! Sinks that misbehave, each in its own way: what the sender of a webhook is told, and what arrives where.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pipewright::sink::{DEFAULT, Destination, IsoDuration, SinkSpec};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::process::fixture;
use crate::support::service::{Receiver, Setup};

/// What a sink does with every request.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// Nothing listens at its port.
    Down,
    /// Reads, and does not answer.
    Silent,
    /// Answers with these bytes and keeps the connection.
    Answers(&'static str),
    /// Answers with these bytes and closes it.
    Closes(&'static str),
    /// Sends its client to another address.
    Redirects,
    /// Refuses so many requests and takes the others.
    Heals(usize),
}

/// A sink over a bare socket, which can do what no HTTP server would.
struct Sink {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    /// A port that is taken, so that nobody else listens there either.
    _closed: Option<TcpSocket>,
}

const EMPTY: &str = "content-length: 0\r\n\r\n";

const TABLE: &[(&str, Behaviour)] = &[
    ("down", Behaviour::Down),
    ("slow: no answer in time", Behaviour::Silent),
    ("500", Behaviour::Answers("HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")),
    ("404", Behaviour::Answers("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")),
    ("408", Behaviour::Answers("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")),
    ("409", Behaviour::Answers("HTTP/1.1 409 Conflict\r\ncontent-length: 0\r\n\r\n")),
    ("413", Behaviour::Answers("HTTP/1.1 413 Payload Too Large\r\ncontent-length: 9\r\n\r\ntoo large")),
    (
        "429 with Retry-After",
        Behaviour::Answers("HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"),
    ),
    ("302", Behaviour::Redirects),
    (
        "2xx with prose",
        Behaviour::Answers("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}"),
    ),
    (
        "2xx that closes halfway through its body",
        Behaviour::Closes("HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\nhalf"),
    ),
    ("closes halfway through the head", Behaviour::Closes("HTTP/1.1 202 Acc")),
    ("closes without an answer", Behaviour::Closes("")),
    ("no HTTP", Behaviour::Closes("\u{16}\u{3}\u{1} hello")),
    ("503 twice, then 202", Behaviour::Heals(2)),
];

// === impl Sink ===

impl Sink {
    fn start(behaviour: Behaviour, elsewhere: SocketAddr) -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        if matches!(behaviour, Behaviour::Down) {
            return Self { address, seen, _closed: Some(socket) };
        }
        let listener = socket.listen(64).unwrap();
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, behaviour, elsewhere, Arc::clone(&all)));
            }
        });
        Self { address, seen, _closed: None }
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn ids(&self) -> usize {
        self.seen.lock().unwrap().iter().collect::<BTreeSet<_>>().len()
    }

    fn spec(&self) -> SinkSpec {
        let mut spec = SinkSpec::new(format!("http://{}/in", self.address).parse().unwrap());
        spec.delivery.retry = 2;
        spec.delivery.backoff_delay = IsoDuration(Duration::from_millis(10));
        spec.delivery.timeout = IsoDuration(Duration::from_millis(700));
        spec
    }
}

async fn serve(
    mut stream: TcpStream,
    behaviour: Behaviour,
    elsewhere: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
) {
    while let Some(id) = read_id(&mut stream).await {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(id);
            seen.len() - 1
        };
        let answer = match behaviour {
            Behaviour::Down | Behaviour::Silent => std::future::pending().await,
            Behaviour::Answers(text) | Behaviour::Closes(text) => text.to_owned(),
            Behaviour::Redirects => {
                format!("HTTP/1.1 302 Found\r\nlocation: http://{elsewhere}/in\r\n{EMPTY}")
            }
            Behaviour::Heals(refusals) if before < refusals => {
                format!("HTTP/1.1 503 Service Unavailable\r\n{EMPTY}")
            }
            Behaviour::Heals(_) => format!("HTTP/1.1 202 Accepted\r\n{EMPTY}"),
        };
        let _ = stream.write_all(answer.as_bytes()).await;
        if matches!(behaviour, Behaviour::Closes(_)) {
            return;
        }
    }
}

/// The id of the event in the next request; `None` when the client has closed.
async fn read_id(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
            let length: usize = length.trim().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                let event: Value = serde_json::from_slice(&bytes[end + 4..]).unwrap();
                return Some(event["id"].as_str().unwrap().to_owned());
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// One delivery and its redelivery; the row of the table.
async fn row(name: &str, behaviour: Behaviour, with_letters: bool) -> String {
    let (elsewhere, letters) = (Receiver::start().await, Receiver::start().await);
    let sink = Sink::start(behaviour, elsewhere.address);
    let mut spec = sink.spec();
    if with_letters {
        spec.delivery.dead_letter_sink = Some(Destination::Url(letters.spec().url));
    }
    let service = Setup::new().sink(DEFAULT, spec).start().await;
    let body = serde_json::to_vec(&fixture("pull_request.opened.json")).unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        let answer = service.github("pull_request", body.clone()).await;
        let after = answer.header("retry-after");
        told.push(match answer.status {
            202 => {
                answer.accepted("sent");
                "202".to_owned()
            }
            status if after.is_empty() => status.to_string(),
            status => format!("{status}, retry-after {after}"),
        });
    }
    let dead: Vec<Value> =
        letters.take().iter().map(|(_, body)| serde_json::from_slice(body).unwrap()).collect();
    let ids: BTreeSet<&str> = dead.iter().map(|letter| letter["id"].as_str().unwrap()).collect();
    let seen = sink.seen.lock().unwrap().clone();
    assert!(ids.iter().all(|id| seen.is_empty() || seen.iter().any(|it| it == id)), "{name}: another id");
    assert_eq!(elsewhere.take().len(), 0, "{name}: nothing is followed");
    let dead = match dead.first() {
        None => "-".to_owned(),
        Some(first) => {
            use base64::Engine as _;
            let data = first["knativeerrordata"].as_str().unwrap();
            let data = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
            format!(
                "{} of {} id, code {}, data {:?}",
                dead.len(),
                ids.len(),
                first["knativeerrorcode"],
                String::from_utf8_lossy(&data)
            )
        }
    };
    let (requests, distinct) = (sink.requests(), sink.ids());
    service.stop().await;
    let letters = if with_letters { "yes" } else { "no" };
    format!("{name:41} | {letters:7} | {:40} | {requests:8} | {distinct:3} | {dead}", told.join("; "))
}

/// K36: one run, one table. Each webhook is delivered twice, as by a sender that tries again; the sink has two retries.
#[tokio::test(flavor = "multi_thread")]
async fn each_way_for_a_sink_to_misbehave_has_its_row() {
    let mut table = format!(
        "{:41} | {:7} | {:40} | {:8} | {:3} | dead letters\n",
        "the sink", "letters", "the webhook's sender is told, twice", "requests", "ids"
    );
    for with_letters in [false, true] {
        for (name, behaviour) in TABLE {
            table.push_str(&row(name, *behaviour, with_letters).await);
            table.push('\n');
        }
    }
    println!("{table}");
    insta::assert_snapshot!(table);
}
