//! Heads, bodies and documents that are meant to cost much: each is refused, and the process stays small.

use std::fmt::Write as _;
use std::process::Command;

use futures::future::join_all;

use super::{Conversation, head};
use crate::support::process::{Adapter, Cluster, Folder, SECRET, fixture, post_webhook, shipped_mappings};
use crate::support::{BUILD_PIPELINE, http};
use pipewright::source::signature;

const MIB: u64 = 1024;

/// The real program with the shipped mappings, warmed up so that its memory is that of a process at work.
async fn warm(folder: &Folder, cluster: &Cluster) -> Adapter {
    let mut adapter = Adapter::new(folder, "adapter", cluster, &shipped_mappings(), None);
    adapter.start();
    adapter.ready().await;
    for _ in 0..100 {
        good(&adapter).await;
    }
    adapter
}

async fn good(adapter: &Adapter) {
    let body = serde_json::to_vec(&fixture("pull_request.opened.json")).unwrap();
    let (status, _) =
        post_webhook(&http(), &adapter.url, "pull_request", "good", &body).await.expect("an answer");
    assert_eq!(status, 202, "{}", adapter.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_headers_are_refused_and_leave_no_memory_behind() {
    let folder = Folder::new("flood");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let adapter = warm(&folder, &cluster).await;
    let before = adapter.resident();
    let address = adapter.url.strip_prefix("http://").unwrap().parse().unwrap();
    let long = "x".repeat(64 * 1024);
    let floods = [
        ("100,000 headers", head("a", b"", &"a: b\r\n".repeat(100_000))),
        ("one header of 1 MiB", head("a", b"", &format!("a: {}\r\n", "x".repeat(1 << 20)))),
        ("a name of 64 KiB", head("a", b"", &format!("{long}: b\r\n"))),
        ("a path of 64 KiB", head("a", b"", "").replacen("/github", &format!("/{long}"), 1)),
        ("a query of 64 KiB", head("a", b"", "").replacen("/github", &format!("/github?{long}"), 1)),
        ("a method of 64 KiB", head("a", b"", "").replacen("POST", &long, 1)),
        ("100 headers", head("a", b"", &"a: b\r\n".repeat(100))),
    ];
    for (name, flood) in &floods {
        let held = (0..40).map(|_| Conversation::hold(address, flood.as_bytes()));
        for conversation in join_all(held).await {
            // Where the client still writes, a reset may overtake the answer.
            let statuses = conversation.statuses();
            assert!(matches!(*statuses, [431 | 400] | []), "{name}: {conversation:?}");
            assert!(conversation.closed, "{name}: {conversation:?}");
        }
        // One that stops writing in time is told.
        let short = &flood.as_bytes()[..flood.len().min(20_000)];
        let conversation = Conversation::hold(address, short).await;
        assert!(matches!(*conversation.statuses(), [431 | 400]), "{name}: {conversation:?}");
        println!("{name}: {:?}", conversation.statuses());
    }
    assert!(adapter.metric("pipewright_connections_refused_total").await > 40.0);
    good(&adapter).await;
    let after = adapter.resident();
    println!("resident: {before} KiB before, {after} KiB after");
    assert!(after < before + 32 * MIB, "{before} KiB before, {after} KiB after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_refused_before_it_is_unpacked() {
    let folder = Folder::new("bomb");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let adapter = warm(&folder, &cluster).await;
    // 256 MiB of zeros in about 256 KiB: more than all bodies together may take.
    let bomb =
        Command::new("sh").args(["-c", "head -c 268435456 /dev/zero | gzip -9"]).output().unwrap().stdout;
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let before = adapter.resident();
    let client = http();
    for coding in
        ["gzip", "x-gzip", "deflate", "br", "zstd", "compress", "GZIP", "gzip, gzip", "identity, gzip"]
    {
        for path in ["/webhooks/github", "/events", "/"] {
            let response = client
                .post(format!("{}{path}", adapter.url))
                .header("content-encoding", coding)
                .header("content-type", "application/cloudevents+json")
                .header("x-github-event", "push")
                .header("x-github-delivery", "1")
                .header("x-hub-signature-256", signature::sign(SECRET.as_bytes(), &bomb))
                .body(bomb.clone())
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), 415, "{coding} {path}");
            assert!(response.text().await.unwrap().contains("without compression"));
        }
    }
    let after = adapter.resident();
    println!("a bomb of {} bytes 27 times; resident: {before} KiB before, {after} KiB after", bomb.len());
    assert!(after < before + 16 * MIB, "{before} KiB before, {after} KiB after");
    good(&adapter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_as_deep_as_a_well_or_as_wide_as_the_sea_are_answered() {
    let folder = Folder::new("deep");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let adapter = warm(&folder, &cluster).await;
    let before = adapter.resident();
    let client = http();
    let deep = 100_000;
    let mut wide = String::from("{");
    for number in 0..300_000 {
        let _ = write!(wide, "\"k{number}\":{number},");
    }
    wide.push_str("\"end\":0}");
    let cases = [
        ("arrays", format!("{{\"a\":{}{}}}", "[".repeat(deep), "]".repeat(deep)), 400),
        ("objects", format!("{}0{}", "{\"a\":".repeat(deep), "}".repeat(deep)), 400),
        ("depth 200", format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)), 400),
        ("depth 100", format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)), 202),
        ("25 MB of brackets", "[".repeat(25_000_000), 400),
        ("300,000 keys", wide, 202),
    ];
    for (name, body, expected) in &cases {
        for event in ["push", "pull_request", "brand_new"] {
            let (status, _) =
                post_webhook(&client, &adapter.url, event, "deep", body.as_bytes()).await.expect(name);
            // A known event that lacks what it always has is refused as well.
            let good = status == *expected || (event != "brand_new" && status == 400);
            assert!(good, "{name} as {event}: {status}");
        }
        if body.len() > 900_000 {
            continue;
        }
        let event = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{body}}}"#);
        for (content_type, text) in [
            ("application/cloudevents+json", event.clone()),
            ("application/cloudevents-batch+json", format!("[{event}]")),
        ] {
            let request = client.post(format!("{}/events", adapter.url)).header("content-type", content_type);
            let response = request.body(text).send().await.unwrap();
            assert_eq!(response.status(), *expected, "{name} as {content_type}");
        }
        let binary = client
            .post(format!("{}/events", adapter.url))
            .header("content-type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-id", "1")
            .header("ce-source", "/s")
            .header("ce-type", "dev.cdevents.change.created.0.4.0");
        let status = binary.body(body.clone()).send().await.unwrap().status().as_u16();
        println!("{name}: binary mode, a type that a mapping wants: {status}");
        assert!(status == 202 || (400..500).contains(&status), "{name} in binary mode: {status}");
    }
    let after = adapter.resident();
    println!("resident: {before} KiB before, {after} KiB after");
    assert!(after < before + 192 * MIB, "{before} KiB before, {after} KiB after");
    good(&adapter).await;
}
