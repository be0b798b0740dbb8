//! Bounds that hold whatever comes: memory, places of those who prove something, and a log that nobody reads.

use std::io::Read as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::support::process::{Adapter, Cluster, Folder, Recorder, fixture, post_webhook, shipped_mappings};
use crate::support::service::{Receiver, SECRET, Setup};
use crate::support::{BUILD_PIPELINE, http};
use pipewright::settings::Announce;

const MIB: u64 = 1024;
/// `bodyMemory` of these tests.
const BUDGET: u64 = 100 * MIB;

/// A change's event of about so many bytes, most of them a list of one item.
fn change(item: &str, bytes: usize) -> String {
    let list = format!("{item},").repeat(bytes / (item.len() + 1));
    let data = json!({
        "context": {"specversion": "0.5.1", "id": "1", "source": "https://forge.example/a/b",
                    "type": "dev.cdevents.change.created.0.4.0", "timestamp": "2026-01-31T12:00:00Z"},
        "subject": {"id": "1", "content": {"repository": {"id": "a/b"}}},
        "customData": {
            "a": [],
            "change": {
                "number": 1, "draft": false, "target": {"branch": "main"},
                "source": {"sha": "1f38", "fork": false, "repositoryUrl": "https://forge.example/a/b.git"},
            },
        },
    });
    data.to_string().replace("\"a\":[]", &format!("\"a\":[{list}null]"))
}

async fn post(client: &reqwest::Client, url: &str, id: &str, ty: &str, body: String) -> (u16, String) {
    let post = client.post(format!("{url}/events")).body(body);
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "https://forge.example/a/b"),
        ("ce-type", ty),
        ("content-type", "application/json"),
    ];
    let post = headers.into_iter().fold(post, |post, (name, value)| post.header(name, value));
    let response = match post.send().await {
        Ok(response) => response,
        // There are fewer files for connections than are asked for.
        Err(error) => return (503, error.to_string()),
    };
    (response.status().as_u16(), response.text().await.unwrap())
}

/// So many of one body at once; how often each status came.
async fn burst(adapter: &Adapter, count: usize, body: &str) -> std::collections::BTreeMap<u16, usize> {
    let client = &http();
    let posts = (0..count).map(|number| {
        let body = body.to_owned();
        async move {
            let ty = "dev.cdevents.change.created.0.4.0";
            post(client, &adapter.url, &format!("{number}"), ty, body).await.0
        }
    });
    let mut statuses = std::collections::BTreeMap::new();
    for status in join_all(posts).await {
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_payloads_stays_below_its_bound() {
    let folder = Folder::new("memory");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), None);
    adapter.settings(&format!("{{limits: {{bodyMemory: {}}}}}", BUDGET * 1024));
    adapter.start();
    adapter.ready().await;
    let event = "dev.cdevents.change.created.0.4.0";
    assert_eq!(post(&http(), &adapter.url, "0", event, change("{\"name\":\"x\"}", 1000)).await.0, 202);

    // A hundred times its size as a tree: refused, and nothing is built.
    let heavy = change(r#"{"":0}"#, 1_000_000);
    let before = adapter.peak_memory().unwrap();
    let (status, text) = post(&http(), &adapter.url, "1", event, heavy.clone()).await;
    assert_eq!(status, 413, "{text}");
    assert!(text.contains("mostly punctuation") && text.contains("send fewer values"), "{text}");
    assert_eq!(burst(&adapter, 16, &heavy).await, [(413, 16)].into());
    let after = adapter.peak_memory().unwrap();
    println!("peak: {before} KiB before, {after} KiB after 17 events that are too heavy");
    assert!(after < before + 48 * MIB, "{before} KiB before, {after} KiB after");

    // Of usual objects, ten megabytes as a tree: each is taken, or told to come again.
    let usual =
        json!({"name": "a name of some length", "url": "https://forge.example/a/b", "id": 12_345_678});
    let usual = usual.to_string();
    let allowed = change(&usual, 1_000_000);
    let statuses = burst(&adapter, 16, &allowed).await;
    println!("{statuses:?} for 16 of what is allowed; peak: {} KiB", adapter.peak_memory().unwrap());
    assert!(statuses.keys().all(|it| [202, 429].contains(it)) && statuses[&202] >= 1, "{statuses:?}");
    assert!(adapter.peak_memory().unwrap() < before + BUDGET, "{:?}", adapter.peak_memory());
    // All of it is given back.
    assert!(adapter.metric("pipewright_body_inflight_bytes").await.abs() < 0.5);
    assert!(adapter.metric("pipewright_inflight").await.abs() < 0.5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_never_be_held_is_413_and_what_cannot_be_held_now_is_429() {
    let service = Setup::new()
        .shipped("pull-request-build")
        .with(|it| {
            it.process.insecure_events = true;
            it.process.limits.body_memory = 4 << 20;
        })
        .start()
        .await;
    let event = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "https://forge.example/a/b"),
        ("ce-type", "dev.cdevents.change.created.0.4.0"),
        ("content-type", "application/json"),
    ];
    // Within the allowance for its size, and more than a sender who proves nothing has here.
    let body = change(r#"{"name":"x"}"#, 60_000);
    let answer = service.send("POST", "/events", &event, body).await;
    answer.refused(413, "takes more memory than one sender may have");
    let small = change(r#"{"name":"x"}"#, 2_000);
    assert_ne!(service.send("POST", "/events", &event, small).await.status, 413);
    let metrics = service.get("/metrics").await.text;
    let shed = "pipewright_shed_total{reason=\"too_large\",route=\"events\",source=\"\"} 1\n";
    assert!(metrics.contains(shed), "{metrics}");
    service.stop().await;
}

/// A mapping whose runs wait for a quota, for events that anybody may send.
const QUOTA: &str = "\
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: quota}
spec:
  events: [{type: com.example.wanted}]
  do:
    - name: run
      pipelineRun: {spec: {pipelineRef: {name: build}}}
";

#[tokio::test(flavor = "multi_thread")]
async fn events_of_strangers_that_wait_for_a_quota_keep_no_signed_webhook_out() {
    use pipewright_embedded::faults::{Fault, Rate, Requests};

    let service = Setup::new()
        .mapping("quota", QUOTA)
        .with(|it| {
            it.process.insecure_events = true;
            it.process.announce = Announce::Nothing;
            it.process.limits.event_deadline = Duration::from_secs(15);
            it.process.limits.in_flight = 64;
        })
        .start()
        .await;
    // As long as the deadline of an event: the place is held for all of that.
    let held = Fault::Delay(Duration::from_mins(10));
    service.ground.faults().inject(held, Requests::Method("POST"), Rate::Next(u64::MAX));
    let (client, url) = (http(), service.url(""));
    let strangers: Vec<_> = (0..150)
        .map(|number| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                post(&client, &url, &number.to_string(), "com.example.wanted", "{}".into()).await.0
            })
        })
        .collect();
    service.until("places are taken", async || service.metric("pipewright_inflight").await > 31.5).await;
    service.until("others are refused", async || shed(&service).await > 0).await;
    let mut accepted = 0;
    for number in 0..77 {
        let answer = service.delivery("github", SECRET, "push", &number.to_string(), "{}").await;
        accepted += usize::from(answer.status == 202);
    }
    assert_eq!(accepted, 77);
    let metrics = service.get("/metrics").await.text;
    assert!(
        metrics.contains("pipewright_inflight{route=\"events\",source=\"\"} 32\n"),
        "half of the places: {metrics}"
    );
    assert!(metrics.contains("pipewright_inflight{route=\"webhook\",source=\"github\"} 0\n"), "{metrics}");
    for stranger in strangers {
        assert!(matches!(stranger.await.unwrap(), 429 | 503));
    }
    service.stop().await;
}

async fn shed(service: &crate::support::service::Service) -> usize {
    let text = service.get("/metrics").await.text;
    let name = "pipewright_shed_total{reason=\"in_flight\",route=\"events\",source=\"\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_delivery_is_evaluated_elsewhere_and_means_the_same() {
    let receiver = Receiver::start().await;
    let service = Setup::new().shipped("pull-request-build").sink("default", receiver.spec()).start().await;
    let mut payload = fixture("pull_request.opened.json");
    payload["pull_request"]["body"] = json!("x".repeat(300_000));
    payload["more"] = json!(vec![json!({"name": "some value", "url": "https://forge.example/x"}); 2000]);
    let large = payload.to_string();
    service.github("pull_request", large.clone()).await.accepted("created");
    // The same occurrence, small.
    service
        .github("pull_request", fixture("pull_request.opened.json").to_string())
        .await
        .accepted("duplicate");
    let mut wrong = large.clone();
    wrong.push(' ');
    let answer = service.delivery("github", "another secret", "pull_request", "1", wrong).await;
    answer.refused(401, "");
    // Not signed: it costs nothing but that.
    assert!(service.metric("pipewright_inflight").await.abs() < 0.5);
    assert!(service.metric("pipewright_body_inflight_bytes").await.abs() < 0.5);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing() {
    let folder = Folder::new("stalled");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let recorder = Recorder::start();
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), Some(&recorder));
    // Nobody reads this end; the pipe takes 64 KiB.
    let (mut reader, writer) = std::io::pipe().unwrap();
    adapter.log_level("debug");
    adapter.start_with(Stdio::from(writer));
    adapter.ready().await;
    let client = http();
    let body = serde_json::to_vec(&fixture("pull_request.opened.json")).unwrap();
    for number in 0..1000 {
        let answer = post_webhook(&client, &adapter.url, "pull_request", &number.to_string(), &body).await;
        assert_eq!(answer.expect("an answer").0, 202, "delivery {number}");
    }
    // More lines than may wait: refusals, which are a line each.
    let mut number = 0;
    while adapter.metric("pipewright_log_lines_dropped_total").await < 1.0 {
        number += 1;
        assert!(number < 20_000, "nothing is dropped");
        let path = format!("{}/webhooks/{}", adapter.url, "x".repeat(4000));
        assert_eq!(client.post(path).body("{}").send().await.unwrap().status(), 404);
    }
    // Somebody reads again: what waited comes, and a line that says that more was there.
    let (lines, read) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = reader.read(&mut buffer) {
            text.extend_from_slice(&buffer[..count]);
            if String::from_utf8_lossy(&text).contains("lines of the log were dropped") {
                break;
            }
        }
        let _ = lines.send(text);
        // Nobody reads any more, and the end does not wait for that.
        std::thread::sleep(Duration::from_mins(1));
    });
    let text = read.recv_timeout(Duration::from_secs(30)).expect("a line about those that were dropped");
    let text = String::from_utf8_lossy(&text);
    let told = text.lines().find(|line| line.contains("were dropped")).unwrap();
    let told: serde_json::Value =
        serde_json::from_str(told).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert!(told["lines"].as_u64().is_some_and(|lines| lines > 0), "{told}");
    adapter.terminate();
    let begun = Instant::now();
    assert!(adapter.wait().success());
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_and_a_closed_pipe_do_no_harm() {
    let folder = Folder::new("no-log");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for (name, stderr) in [("closed", Stdio::from(writer)), ("full", Stdio::from(full))] {
        let mut adapter = Adapter::new(&folder, name, &cluster, &shipped_mappings(), None);
        adapter.log_level("debug");
        adapter.start_with(stderr);
        adapter.ready().await;
        let body = serde_json::to_vec(&fixture("pull_request.opened.json")).unwrap();
        for number in 0..50 {
            let id = format!("{name}-{number}");
            let answer = post_webhook(&http(), &adapter.url, "pull_request", &id, &body).await;
            assert_eq!(answer.expect("an answer").0, 202, "{id}");
        }
        assert!(adapter.metric("pipewright_log_lines_dropped_total").await >= 50.0, "{name}");
        adapter.terminate();
        assert!(adapter.wait().success(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_has_a_bound_whatever_is_in_it() {
    let folder = Folder::new("long-lines");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), None);
    adapter.log_level("info");
    adapter.start();
    adapter.ready().await;
    let id = "i".repeat(900_000);
    let event = json!({"specversion": "1.0", "id": id, "source": "/s", "type": "com.example.unwanted"});
    let post = http().post(format!("{}/events", adapter.url)).body(event.to_string());
    let post = post.header("content-type", "application/cloudevents+json");
    assert_eq!(post.send().await.unwrap().status(), 202);
    let accepted = |log: &str| log.contains("event accepted");
    let end = Instant::now() + Duration::from_secs(20);
    while !accepted(&adapter.log()) && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = adapter.log();
    assert!(accepted(&log) && log.lines().all(|line| line.len() < 20_000), "{} bytes", log.len());
}
