//! Senders that take their time: thousands of them hold neither places nor memory, and nobody else waits for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Conversation, announcing, delivery, head, raise_files};
use crate::support::process::{Adapter, Cluster, Folder, fixture, post_webhook, shipped_mappings};
use crate::support::{BUILD_PIPELINE, http};

/// Connections of senders.
const CONNECTIONS: &str = "pipewright_connections{port=\"public\"}";

/// How an attacker begins, and the byte that it repeats once a second.
struct Attack {
    begin: Vec<u8>,
    more: &'static [u8],
}

/// What became of it.
struct Ended {
    heard: String,
    after: Duration,
}

impl Attack {
    async fn run(&self, address: SocketAddr, connected: &AtomicUsize) -> Ended {
        let stream = loop {
            // The backlog of the listener is finite.
            match TcpStream::connect(address).await {
                Ok(stream) => break stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        };
        let (mut reader, mut writer) = stream.into_split();
        let _ = writer.write_all(&self.begin).await;
        let begun = Instant::now();
        connected.fetch_add(1, Ordering::Relaxed);
        let mut heard = Vec::new();
        let mut part = [0; 1024];
        loop {
            match tokio::time::timeout(Duration::from_secs(1), reader.read(&mut part)).await {
                Ok(Ok(count @ 1..)) => heard.extend_from_slice(&part[..count]),
                Ok(_) => break,
                Err(_) => {
                    let _ = writer.write_all(self.more).await;
                    assert!(begun.elapsed() < Duration::from_mins(2), "held on to for two minutes");
                }
            }
        }
        Ended { heard: String::from_utf8_lossy(&heard).into_owned(), after: begun.elapsed() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_thousand_slow_senders_keep_nobody_waiting_and_are_sent_away() {
    // Each takes a descriptor here and one there.
    let files = raise_files();
    let each = 1_000.min(files.saturating_sub(2_000) / 4);
    assert!(each > 50, "only {files} files may be open");
    let folder = Folder::new("slow");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), None);
    adapter.start();
    adapter.ready().await;
    let address: SocketAddr = adapter.url.strip_prefix("http://").unwrap().parse().unwrap();
    let client = http();
    let good = Arc::new(serde_json::to_vec(&fixture("pull_request.opened.json")).unwrap());
    for _ in 0..50 {
        let answer = post_webhook(&client, &adapter.url, "pull_request", "good", &good).await.unwrap();
        assert_eq!(answer.0, 202);
    }
    let before = adapter.resident();

    let half = head("slow", b"", "content-length: 20000\r\n");
    let cut = half.len() - 4;
    let whole = delivery("quick", "{}");
    let attacks = [
        // Half of the heads come second on their connection, where many servers have no clock.
        Attack { begin: half.as_bytes()[..cut].to_vec(), more: b"x" },
        Attack { begin: [whole.as_bytes(), &half.as_bytes()[..cut]].concat(), more: b"x" },
        Attack { begin: half.clone().into_bytes(), more: b"x" },
        Attack {
            begin: head("slow", b"", "transfer-encoding: chunked\r\n").into_bytes(),
            more: b"1\r\nx\r\n",
        },
    ];
    let connected = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = attacks
        .into_iter()
        .map(|attack| {
            let (attack, connected) = (Arc::new(attack), Arc::clone(&connected));
            tokio::spawn(async move {
                let all = (0..each).map(|_| {
                    let (attack, connected) = (Arc::clone(&attack), Arc::clone(&connected));
                    tokio::spawn(async move { attack.run(address, &connected).await })
                });
                join_all(all.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap).collect::<Vec<_>>()
            })
        })
        .collect();

    let (mut answered, mut most, mut open) = (0, before, 0.0_f64);
    let mut latest = Duration::ZERO;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let sent = Instant::now();
        let answer = post_webhook(&client, &adapter.url, "pull_request", "good", &good).await;
        assert_eq!(answer.expect("an answer").0, 202, "{}", adapter.log());
        latest = latest.max(sent.elapsed());
        answered += 1;
        most = most.max(adapter.resident());
        if answered % 20 == 1 {
            open = open.max(adapter.metric("pipewright_connections").await);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.unwrap());
    }
    let [first_heads, second_heads, bodies, chunked] = &ends[..] else { unreachable!() };
    let with = |ends: &[Ended], code: &str| ends.iter().filter(|end| end.heard.contains(code)).count();
    println!("{} slow senders, at most {open} connections open", 4 * each);
    for (name, ends) in [
        ("first head", first_heads),
        ("second head", second_heads),
        ("body", bodies),
        ("chunked body", chunked),
    ] {
        let longest = ends.iter().map(|end| end.after).max().unwrap();
        println!(
            "{name}: {} × 408, {} × 429, the last gone after {longest:.1?}",
            with(ends, " 408 "),
            with(ends, " 429 ")
        );
        assert_eq!(
            with(ends, " 408 "),
            each,
            "{name}: {:?}",
            ends.iter().find(|end| !end.heard.contains(" 408 ")).map(|end| &end.heard)
        );
        // Seconds, with much room for a machine that is busy.
        assert!(longest < Duration::from_secs(45), "{name}: {longest:?}");
    }
    assert_eq!(with(second_heads, " 202 "), each, "the request before the slow head was answered");
    let after = adapter.resident();
    println!("{answered} good requests answered, the slowest in {latest:.2?}");
    println!("resident: {before} KiB before, {most} KiB at most, {after} KiB after");
    assert!(answered > 20, "{answered}");
    assert!(open > f64::from(u32::try_from(2 * each).unwrap()), "{open}: they were not there together");
    assert!(most < before + 256 * 1024, "{before} KiB before, {most} KiB at most");

    let deadline = Instant::now() + Duration::from_secs(30);
    while adapter.metric("pipewright_connections").await > 8.0 {
        assert!(Instant::now() < deadline, "connections stay open");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(adapter.metric("pipewright_body_inflight_bytes").await.abs() < 0.5);
    assert!(adapter.metric("pipewright_inflight").await.abs() < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_may_be_slow_but_not_below_its_rate() {
    let service = announcing().with(|it| it.process.limits.body_rate = 200).start().await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(1_992));
    let request = head("patient", body.as_bytes(), &format!("content-length: {}\r\n", body.len()));
    // 500 bytes in a second, more than it must be, takes longer than the grace of two seconds.
    let send = async |event_bytes: &[u8], pace: usize| {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        for part in event_bytes.chunks(pace) {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if stream.write_all(part).await.is_err() {
                break;
            }
        }
        crate::support::service::read_answer(&mut stream).await
    };
    let (fast, slow) = tokio::join!(send(body.as_bytes(), 180), send(&body.as_bytes()[..40], 2));
    fast.accepted("sent");
    slow.refused(408, "the body came with less than 200 bytes in a second");
    assert_eq!(slow.header("connection"), "close");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_announces_a_large_body_and_sends_nothing_holds_no_memory() {
    let service = announcing().with(|it| it.process.limits.body_memory = 1 << 20).start().await;
    let large = head("large", b"", &format!("content-length: {}\r\n", 1 << 20));
    let mut holders = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(large.as_bytes()).await.unwrap();
        holders.push(stream);
    }
    service.until("they are in", async || service.metric(CONNECTIONS).await > 49.5).await;
    service.github("good", "{}").await.accepted("sent");
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(700_000));
    service.github("good", body).await.accepted("sent");
    // And a body that can never fit is refused when it is announced.
    let mut first = TcpStream::connect(service.address).await.unwrap();
    let never = head("never", b"", &format!("content-length: {}\r\n", (1 << 20) + 1));
    first.write_all(never.as_bytes()).await.unwrap();
    let answer = crate::support::service::read_answer(&mut first).await;
    answer.refused(413, "more memory than one sender may have");
    drop(holders);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_bound_are_told_to_come_again_and_counted() {
    let service = announcing().with(|it| it.process.limits.connections = 10).start().await;
    let idle: Vec<TcpStream> = join_all((0..10).map(|_| TcpStream::connect(service.address)))
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    service.until("they are in", async || service.metric(CONNECTIONS).await > 9.5).await;
    for _ in 0..5 {
        let conversation = Conversation::hold(service.address, b"").await;
        assert_eq!(conversation.statuses(), [503], "{conversation:?}");
        assert!(conversation.text.contains("retry-after: 1"), "{conversation:?}");
        assert!(conversation.closed);
    }
    let refused = service.get("/metrics").await.text;
    assert!(
        refused.contains("pipewright_connections_refused_total{port=\"public\",bound=\"connections\"} 5"),
        "{refused}"
    );
    // The admin port is another one.
    assert_eq!(service.get("/readyz").await.status, 200);
    drop(idle);
    service.until("they are gone", async || service.metric(CONNECTIONS).await < 0.5).await;
    service.github("after", "{}").await.accepted("sent");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_take_an_answer_is_not_waited_for() {
    // Answers are small; many of them on one connection fill every buffer on the way.
    let service = announcing().start().await;
    let one = head("deaf", b"", "content-length: 0\r\n");
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let flood = one.repeat(200);
    let (begun, mut sent) = (Instant::now(), 0);
    // Writes until the server reads no more, because it cannot write; and then until it hangs up.
    loop {
        match tokio::time::timeout(
            Duration::from_mins(1),
            stream.write(&flood.as_bytes()[sent % flood.len()..]),
        )
        .await
        {
            Ok(Ok(count)) => {
                sent += count;
                assert!(begun.elapsed() < Duration::from_mins(2), "it goes on for ever");
            }
            Ok(Err(_)) => break,
            Err(late) => panic!("held on to for a minute: {late}"),
        }
    }
    println!("{sent} bytes were written in {:.1?}", begun.elapsed());
    let answers = service.metric("pipewright_answer_duration_seconds_count{route=\"webhook\"}").await;
    // The rest never left the sender's buffers, or was thrown away with the connection.
    assert!(answers > 1_000.0, "{answers}");
    service.until("it is gone", async || service.metric(CONNECTIONS).await < 0.5).await;
    let text = service.get("/metrics").await.text;
    assert!(
        text.contains("pipewright_connections_refused_total{port=\"public\",bound=\"write_time\"} 1"),
        "{text}"
    );
    service.stop().await;
}
