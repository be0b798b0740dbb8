//! Ten times more than it can do: what is accepted exists, the rest is told when to come again, and memory stays as it
//! is.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates and percentiles for people"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pipewright::source::signature;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::BUILD_PIPELINE;
use crate::support::process::{Adapter, Cluster, Folder, Recorder, SECRET, fixture, shipped_mappings};

/// Requests that may be in flight: with a sink that takes its time, this is the capacity.
const IN_FLIGHT: usize = 16;
/// How long the sink takes.
const SINK: Duration = Duration::from_millis(20);
/// Senders that wait for each answer, and go on at once: ten for each place.
const SENDERS: usize = 10 * IN_FLIGHT;

/// Bodies that differ in a number of fixed width.
struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    fn new() -> Self {
        let mark = 987_654_321;
        let mut payload = fixture("pull_request.opened.json");
        payload["number"] = json!(1);
        payload["pull_request"]["number"] = json!(1);
        // The commit is what makes a pull request another one here.
        payload["pull_request"]["head"]["sha"] = json!(format!("{mark:040}"));
        let text = serde_json::to_string(&payload).unwrap();
        let (before, after) = text.split_once(&format!("{mark:040}")).unwrap();
        Self { before: before.into(), after: after.into() }
    }

    /// A signed request for change `number`.
    fn request(&self, number: usize) -> Vec<u8> {
        let body = [&self.before, format!("{number:040x}").as_bytes(), &self.after].concat();
        let mut request = format!(
            "POST /webhooks/github HTTP/1.1\r\nhost: pipewright\r\ncontent-type: application/json\r\n\
             x-github-event: pull_request\r\nx-github-delivery: {number}\r\nx-hub-signature-256: {}\r\n\
             content-length: {}\r\n\r\n",
            signature::sign(SECRET.as_bytes(), &body),
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(&body);
        request
    }
}

/// What a sender saw.
#[derive(Default)]
struct Seen {
    accepted: Vec<usize>,
    /// How long each refusal took.
    refusals: Vec<Duration>,
    connections: usize,
}

/// The status, and how long the sender was asked to wait.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> (u16, Option<u64>, bool) {
    stream.write_all(request).await.unwrap();
    buffer.clear();
    loop {
        let count = stream.read_buf(buffer).await.unwrap();
        assert!(count > 0, "closed after {:?}", String::from_utf8_lossy(buffer));
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).unwrap();
        let value = |name: &str| {
            head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
        };
        let length: usize = value("content-length").map_or(0, |length| length.parse().unwrap());
        let status = head[9..12].parse().unwrap();
        let after = value("retry-after").map(|seconds| seconds.parse().unwrap());
        let close = value("connection").is_some_and(|value| value == "close");
        while buffer.len() < end + 4 + length {
            assert!(stream.read_buf(buffer).await.unwrap() > 0);
        }
        return (status, after, close);
    }
}

/// Sends until it is told to stop, each delivery until it is accepted, `pause` after every answer.
async fn send(
    address: SocketAddr,
    next: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    pause: Duration,
    accepted: Arc<AtomicUsize>,
) -> Seen {
    let template = Template::new();
    let mut seen = Seen { connections: 1, ..Seen::default() };
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    'deliveries: while !stop.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let request = template.request(number);
        loop {
            let sent = Instant::now();
            let (status, after, close) = exchange(&mut stream, &request, &mut buffer).await;
            if close {
                stream = TcpStream::connect(address).await.unwrap();
                seen.connections += 1;
            }
            match status {
                202 => {
                    seen.accepted.push(number);
                    accepted.fetch_add(1, Ordering::Relaxed);
                    continue 'deliveries;
                }
                429 | 503 => {
                    seen.refusals.push(sent.elapsed());
                    assert!(after.is_some_and(|seconds| (1..=30).contains(&seconds)), "{after:?}");
                }
                other => panic!("answered {other}: {}", String::from_utf8_lossy(&buffer)),
            }
            tokio::time::sleep(pause).await;
            if stop.load(Ordering::Relaxed) {
                break 'deliveries;
            }
        }
    }
    seen
}

/// So many senders for so long; what they saw together.
async fn load(
    address: SocketAddr,
    next: &Arc<AtomicUsize>,
    senders: usize,
    pause: Duration,
    time: Duration,
    mut each_second: impl FnMut(usize),
) -> Seen {
    let stop = Arc::new(AtomicBool::new(false));
    let accepted = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..senders)
        .map(|_| {
            let (next, stop, accepted) = (Arc::clone(next), Arc::clone(&stop), Arc::clone(&accepted));
            tokio::spawn(send(address, next, stop, pause, accepted))
        })
        .collect();
    let begun = Instant::now();
    while begun.elapsed() < time {
        tokio::time::sleep(Duration::from_secs(1).min(time)).await;
        each_second(accepted.load(Ordering::Relaxed));
    }
    stop.store(true, Ordering::Relaxed);
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.unwrap();
        all.accepted.extend(seen.accepted);
        all.refusals.extend(seen.refusals);
        all.connections += seen.connections;
    }
    all.refusals.sort_unstable();
    all
}

/// The commits of which the sink was told.
fn arrived(recorder: &Recorder) -> BTreeSet<usize> {
    recorder.events(|events| {
        let changes = events.iter().filter(|event| event.ty().starts_with("dev.cdevents.change.created."));
        let sha = |event: &pipewright::event::Event| {
            let tree = event.tree().unwrap();
            let sha = tree["customData"]["change"]["source"]["sha"].as_str().unwrap();
            usize::from_str_radix(sha, 16).unwrap()
        };
        changes.map(sha).collect()
    })
}

async fn overloaded(name: &str, mappings: &std::path::Path) -> (Folder, Cluster, Recorder, Adapter) {
    let folder = Folder::new(name);
    let recorder = Recorder::start();
    recorder.delay(SINK);
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, mappings, Some(&recorder));
    adapter
        .settings(&format!("{{limits: {{inFlight: {IN_FLIGHT}, sourceShare: 100, webhookDeadline: PT2M}}}}"));
    adapter.start();
    adapter.ready().await;
    (folder, cluster, recorder, adapter)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_much_is_refused_at_once_and_what_is_accepted_exists() {
    let (_folder, cluster, recorder, adapter) = overloaded("overload", &shipped_mappings()).await;
    let address = adapter.url.strip_prefix("http://").unwrap().parse().unwrap();
    let next = Arc::new(AtomicUsize::new(1));
    let pause = Duration::from_millis(50);
    let warm = load(address, &next, IN_FLIGHT / 2, pause, Duration::from_secs(1), |_| {}).await;
    let before = adapter.resident();
    let mut most = before;
    let seen =
        load(address, &next, SENDERS, pause, Duration::from_secs(5), |_| most = most.max(adapter.resident()))
            .await;

    println!(
        "{} accepted, {} refused, the slowest refusal {:.0?}, {} connections for {SENDERS} senders; resident: {before} \
         KiB before, {most} KiB at most",
        seen.accepted.len(),
        seen.refusals.len(),
        seen.refusals.last().copied().unwrap_or_default(),
        seen.connections
    );
    // But for a few whose body was late.
    assert!(seen.connections < SENDERS + SENDERS / 10, "{}: a refusal costs a connection", seen.connections);
    assert!(most < before + 64 * 1024, "{before} KiB before, {most} KiB at most");
    let shed = adapter.metric("pipewright_shed_total").await;
    assert!(shed >= seen.refusals.len() as f64, "{shed}");

    // At once, and as if nothing had been.
    let alone = load(address, &next, 1, pause, Duration::from_millis(300), |_| {}).await;
    assert!(!alone.accepted.is_empty() && alone.refusals.is_empty());
    let promised: BTreeSet<usize> = [warm, seen, alone].into_iter().flat_map(|seen| seen.accepted).collect();
    let missing: Vec<_> = promised.difference(&arrived(&recorder)).copied().collect();
    assert!(missing.is_empty(), "acknowledged, and not at the sink: {missing:?}");
    let runs = crate::restarts::count_runs(&cluster.client()).await;
    assert!(runs >= promised.len(), "{runs} runs for {} acknowledged", promised.len());
    let log = adapter.log();
    assert!(log.contains("requests turned away"), "{log}");
    assert!(log.lines().count() < 60, "a line for each refusal would be another flood:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_refused_without_being_read_and_the_answer_arrives() {
    let (_folder, _cluster, recorder, adapter) = overloaded("large", &shipped_mappings()).await;
    let address: SocketAddr = adapter.url.strip_prefix("http://").unwrap().parse().unwrap();
    recorder.delay(Duration::from_mins(2));
    let template = Arc::new(Template::new());
    let busy: Vec<_> = (1..=IN_FLIGHT)
        .map(|number| {
            let template = Arc::clone(&template);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                exchange(&mut stream, &template.request(number), &mut Vec::new()).await.0
            })
        })
        .collect();
    while adapter.metric("pipewright_inflight").await < IN_FLIGHT as f64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = adapter.resident();
    let body = vec![b'x'; 25 * 1024 * 1024];
    let client = crate::support::http();
    for _ in 0..4 {
        let post = client.post(format!("{}/webhooks/github", adapter.url)).body(body.clone());
        let response = post.send().await.expect("an answer, and no reset before it");
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["connection"], "close");
        assert!(response.headers().contains_key("retry-after"));
        assert!(response.text().await.unwrap().contains("too many requests are in flight"));
    }
    let after = adapter.resident();
    println!("resident: {before} KiB before, {after} KiB after 4 bodies of 25 MiB");
    assert!(after < before + 8 * 1024, "{before} KiB before, {after} KiB after");
    // Who asks first is not even invited to send.
    let mut asking = TcpStream::connect(address).await.unwrap();
    let head = "POST /webhooks/github HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 26214400\r\n\r\n";
    asking.write_all(head.as_bytes()).await.unwrap();
    let answer = crate::support::service::read_answer(&mut asking).await;
    answer.later(429, "too many requests are in flight");
    assert_eq!(answer.header("connection"), "close");
    recorder.delay(SINK);
    for request in busy {
        assert_eq!(request.await.unwrap(), 202);
    }
    // And is when there is room.
    let mut asking = TcpStream::connect(address).await.unwrap();
    asking.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(crate::support::service::read_answer(&mut asking).await.status, 100);
}

/// One minute at ten times what it can do. Not part of `make test`: `PIPEWRIGHT_SOAK=1 cargo test --release --test it
/// -- overload::soak --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn soak_a_minute_at_ten_times_capacity() {
    if std::env::var_os("PIPEWRIGHT_SOAK").is_none() {
        println!("set PIPEWRIGHT_SOAK for this one");
        return;
    }
    let empty = Folder::new("overload-none");
    let (_folder, _cluster, recorder, adapter) = overloaded("overload-soak", empty.path()).await;
    let address = adapter.url.strip_prefix("http://").unwrap().parse().unwrap();
    let next = Arc::new(AtomicUsize::new(1));
    // As many senders as there are places: the most that it can do, with nothing refused.
    load(address, &next, IN_FLIGHT, Duration::ZERO, Duration::from_secs(3), |_| {}).await;
    let time = Duration::from_secs(10);
    let peak = load(address, &next, IN_FLIGHT, Duration::ZERO, time, |_| {}).await;
    let peak_rate = peak.accepted.len() as f64 / time.as_secs_f64();
    // Ten times that is asked for: each sender asks again after a pause that makes it so.
    let pause =
        Duration::from_secs_f64(SENDERS as f64 / (10.0 * peak_rate)).saturating_sub(Duration::from_millis(1));
    let time = Duration::from_mins(1);
    let (mut residents, mut rates, mut last) = (vec![adapter.resident()], Vec::new(), 0);
    let seen = load(address, &next, SENDERS, pause, time, |accepted| {
        residents.push(adapter.resident());
        rates.push(accepted - last);
        last = accepted;
    })
    .await;
    let goodput = seen.accepted.len() as f64 / time.as_secs_f64();
    let refused = seen.refusals.len() as f64 / time.as_secs_f64();
    let at = |part: f64| seen.refusals[((seen.refusals.len() - 1) as f64 * part) as usize];
    let recovery = Instant::now();
    let alone = load(address, &next, 1, Duration::ZERO, Duration::from_millis(500), |_| {}).await;
    assert!(alone.refusals.is_empty() && !alone.accepted.is_empty());
    println!(
        "peak: {peak_rate:.0} accepted per second by {IN_FLIGHT} senders, {} refused",
        peak.refusals.len()
    );
    println!(
        "overload: asked {:.0} per second by {SENDERS} senders ({:.1} times the peak)",
        goodput + refused,
        (goodput + refused) / peak_rate
    );
    println!(
        "goodput: {goodput:.0} per second, {:.0} % of the peak; in its worst second {}",
        100.0 * goodput / peak_rate,
        rates.iter().min().unwrap()
    );
    println!(
        "refused: {refused:.0} per second; p50 {:.1?}, p99 {:.1?}, max {:.1?}",
        at(0.5),
        at(0.99),
        at(1.0)
    );
    println!(
        "resident: {} KiB at the start, {} in the middle, {} at the end",
        residents[0],
        residents[residents.len() / 2],
        residents.last().unwrap()
    );
    println!("after it: {} alone in {:.1?}, none refused", alone.accepted.len(), recovery.elapsed());
    // Nothing but refusals: every place is taken by a request whose sink does not answer.
    recorder.delay(Duration::from_mins(2));
    let template = Template::new();
    let busy: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let request = template.request(next.fetch_add(1, Ordering::Relaxed));
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                exchange(&mut stream, &request, &mut Vec::new()).await.0
            })
        })
        .collect();
    while adapter.metric("pipewright_inflight").await < IN_FLIGHT as f64 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let cpu = adapter.cpu();
    let full = load(address, &next, 16, Duration::ZERO, Duration::from_secs(4), |_| {}).await;
    let cpu = adapter.cpu().saturating_sub(cpu);
    println!(
        "refusals only: {} in 4 s by 16 senders, {:.1} µs of CPU each",
        full.refusals.len(),
        cpu.as_secs_f64() * 1e6 / full.refusals.len() as f64
    );
    recorder.delay(SINK);
    for request in busy {
        assert_eq!(request.await.unwrap(), 202);
    }
    let promised: BTreeSet<usize> =
        [peak, seen, alone, full].into_iter().flat_map(|seen| seen.accepted).collect();
    let missing = promised.difference(&arrived(&recorder)).count();
    println!("acknowledged: {}, missing: {missing}", promised.len());
    assert_eq!(missing, 0);
    assert!(goodput >= 0.9 * peak_rate, "{goodput:.0} of {peak_rate:.0} per second");
}
