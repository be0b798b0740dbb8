//! Mapping files that change while the service runs: good ones take over, bad ones are told and change nothing; and
//! the admin port, where that is seen.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::future::{join, join_all};
use pipewright::event::Data;
use serde_json::Value;

use crate::support::program::Dev;
use crate::support::service::{SECRET, Service, Setup, http_client};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const GOOD: &str = "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: note}
spec:
  events: [{type: com.example.a}]
  do:
    - name: note
      emit:
        type: com.example.first
        to: default
        content: {id: '{{event.id}}'}
";

/// Sends an event, and gives the types of what it became.
async fn emitted(service: &Service) -> Vec<String> {
    let event = r#"{"specversion":"1.0","id":"1","source":"/tests","type":"com.example.a"}"#;
    assert_eq!(service.send("POST", "/events", &[STRUCTURED], event).await.status, 202);
    service.events.take().iter().map(|event| event.ty().to_owned()).collect()
}

/// What `/readyz?verbose` says; it is 200 whatever the mappings are like.
async fn verbose(service: &Service) -> String {
    assert_eq!(service.get("/readyz").await.text, "ok\n");
    let answer = service.get("/readyz?verbose").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.ends_with("ok\n"), "{}", answer.text);
    answer.text
}

async fn problems(service: &Service) -> u32 {
    let text = service.get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix("pipewright_mapping_problems "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_mapping_takes_over_and_a_broken_one_does_not() {
    let service = Setup::new().mapping("note", GOOD).start().await;
    assert_eq!(emitted(&service).await, ["com.example.first"]);
    assert!(verbose(&service).await.contains("[+] mappings ok\n"));
    assert_eq!(problems(&service).await, 0);

    service.directory.write("note.yaml", &GOOD.replace("com.example.first", "com.example.second"));
    service.until("the edit is in force", async || emitted(&service).await == ["com.example.second"]).await;
    assert!(verbose(&service).await.contains("[+] mappings ok\n"));

    service.directory.write("note.yaml", &GOOD.replace("content:", "contents:"));
    service.until("the mistake is told", async || problems(&service).await == 1).await;
    let text = verbose(&service).await;
    let path = service.directory.path().join("note.yaml").display().to_string();
    assert!(
        text.contains(
            "[!] mappings: 1 errors in the newest versions of 1 files, whose last good versions stay in force; 1 mappings are\n"
        ),
        "{text}"
    );
    assert!(text.contains(&format!("{path}:11:9")), "{text}");
    assert!(text.contains("unknown field `contents` in `emit`"), "{text}");
    assert!(text.contains("did you mean `content`?"), "{text}");
    assert_eq!(emitted(&service).await, ["com.example.second"], "the set before stays in force");
    assert!((service.metric("pipewright_mappings").await - 1.0).abs() < 0.1);

    service.directory.write("note.yaml", &GOOD.replace("com.example.first", "com.example.third"));
    service
        .until("the mended one is in force", async || emitted(&service).await == ["com.example.third"])
        .await;
    assert!(verbose(&service).await.contains("[+] mappings ok\n"));
    service.until("nothing is wrong any more", async || problems(&service).await == 0).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_comes_and_goes_counts() {
    let service = Setup::new().mapping("note", GOOD).start().await;
    let other =
        GOOD.replace("{name: note}", "{name: other}").replace("com.example.first", "com.example.other");
    service.directory.write("other.yaml", &other);
    service.until("both are in force", async || emitted(&service).await.len() == 2).await;
    fs::remove_file(service.directory.path().join("note.yaml")).unwrap();
    service.until("one is gone", async || emitted(&service).await == ["com.example.other"]).await;
    assert!((service.metric("pipewright_mappings").await - 1.0).abs() < 0.1);
    service.stop().await;
}

/// The `..data` of a mounted `ConfigMap` is a link that is swapped.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_config_map_is_reloaded_when_its_link_is_swapped() {
    use std::os::unix::fs::symlink;

    let service = Setup::new().start().await;
    let root = service.directory.path();
    let swap = |version: &str, text: &str| {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("note.yaml"), text).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    swap("..2026_01", GOOD);
    symlink("..data/note.yaml", root.join("note.yaml")).unwrap();
    service.until("the first version", async || emitted(&service).await == ["com.example.first"]).await;
    swap("..2026_02", &GOOD.replace("com.example.first", "com.example.second"));
    service.until("the second version", async || emitted(&service).await == ["com.example.second"]).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_mistakes_in_a_running_service_are_twelve_findings_and_change_nothing() {
    let service = Setup::new().mapping("note", GOOD).start().await;
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mappings-with-12-mistakes");
    copy(&fixture, &service.directory.path().join("new"));
    service.until("the mistakes are told", async || problems(&service).await == 12).await;
    let text = verbose(&service).await;
    assert!(
        text.contains(
            "[!] mappings: 12 errors in the newest versions of 3 files, whose last good versions stay in force; 1 mappings are\n"
        ),
        "{text}"
    );
    for (place, code) in [
        ("build.yaml:8:3", "unknown-field"),
        ("build.yaml:11:66", "wrong-type"),
        ("build.yaml:12:50", "invalid-path"),
        ("build.yaml:13:38", "unknown-helper"),
        ("build.yaml:16:34", "invalid-cel"),
        ("build.yaml:19:11", "computed-name"),
        ("build.yaml:26:24", "unknown-variable"),
        ("emit.yaml:9:20", "event-loop"),
        ("emit.yaml:19:42", "unknown-sink"),
        ("nested/script.yml:3:18", "duplicate-name"),
        ("nested/script.yml:21:31", "forbidden-template"),
        ("nested/script.yml:24:7", "unknown-kind"),
    ] {
        let place = service.directory.path().join("new").join(place).display().to_string();
        assert!(text.contains(&place) && text.contains(code), "{place} {code}\n{text}");
    }
    assert_eq!(text.matches("hint: ").count(), 12, "each says what to do:\n{text}");
    assert_eq!(emitted(&service).await, ["com.example.first"], "the set before stays in force");

    fs::remove_dir_all(service.directory.path().join("new")).unwrap();
    service.until("nothing is wrong any more", async || problems(&service).await == 0).await;
    assert!(verbose(&service).await.contains("[+] mappings ok\n"));
    assert_eq!(emitted(&service).await, ["com.example.first"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_disappears_leaves_the_running_set_in_place() {
    let service = Setup::new().mapping("note", GOOD).start().await;
    let moved = service.directory.path().with_extension("moved");
    fs::rename(service.directory.path(), &moved).unwrap();
    service.until("the loss is told", async || problems(&service).await == 1).await;
    let text = verbose(&service).await;
    assert!(text.contains(&service.directory.path().display().to_string()), "{text}");
    assert_eq!(emitted(&service).await, ["com.example.first"]);
    fs::rename(&moved, service.directory.path()).unwrap();
    service.until("nothing is wrong any more", async || problems(&service).await == 0).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_service_whose_first_mappings_have_mistakes_does_not_start() {
    let setup = Setup::new()
        .mapping("note", &GOOD.replace("content:", "contents:"))
        .with(|settings| settings.process.strict_mappings = true);
    let error = setup.try_start().await.err().unwrap().to_string();
    assert!(error.starts_with("the mappings cannot be used:\n\n"), "{error}");
    assert!(error.contains("note.yaml:11:9") && error.contains("did you mean `content`?"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_a_broken_file_serves_the_good_ones_and_says_so() {
    let other =
        GOOD.replace("{name: note}", "{name: other}").replace("com.example.first", "com.example.other");
    let service = Setup::new()
        .mapping("note", &GOOD.replace("content:", "contents:"))
        .mapping("other", &other)
        .start()
        .await;
    assert_eq!(emitted(&service).await, ["com.example.other"]);
    let text = verbose(&service).await;
    assert!(text.contains("[!] mappings: 1 errors") && text.contains("did you mean `content`?"), "{text}");
    assert!((service.metric("pipewright_mappings_invalid").await - 1.0).abs() < 0.1);
    // While one file is broken the others are renewed, and the broken one is back when it is mended.
    service.directory.write("other.yaml", &other.replace("com.example.other", "com.example.newer"));
    service.until("the edit", async || emitted(&service).await == ["com.example.newer"]).await;
    service.directory.write("note.yaml", GOOD);
    service.until("both", async || emitted(&service).await.len() == 2).await;
    assert!(service.metric("pipewright_mappings_invalid").await < 0.5);
    // Broken again, it keeps its last good version, and no third file takes its name meanwhile.
    service.directory.write("note.yaml", &GOOD.replace("content:", "contents:"));
    service.until("the mistake", async || problems(&service).await == 1).await;
    assert_eq!(emitted(&service).await.len(), 2);
    service.directory.write("third.yaml", &GOOD.replace("com.example.first", "com.example.third"));
    service.until("the third is refused", async || problems(&service).await == 2).await;
    let mut types = emitted(&service).await;
    types.sort();
    assert_eq!(types, ["com.example.first", "com.example.newer"], "one of each name");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_any_good_file_is_not_ready_and_keeps_no_event() {
    let service =
        Setup::new().mapping("note", &GOOD.replace("content:", "contents:")).try_start().await.unwrap();
    let ready = service.get("/readyz").await;
    assert_eq!(ready.status, 503, "{}", ready.text);
    assert!(ready.text.contains("no mapping file can be used"), "{}", ready.text);
    let event = r#"{"specversion":"1.0","id":"1","source":"/tests","type":"com.example.a"}"#;
    let answer = service.send("POST", "/events", &[STRUCTURED], event).await;
    answer.later(503, "no mapping file can be used");
    service.directory.write("note.yaml", GOOD);
    service.until("it is ready", async || service.get("/readyz").await.status == 200).await;
    assert_eq!(emitted(&service).await, ["com.example.first"]);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_during_reloads_is_answered_by_one_whole_set() {
    const SENDERS: usize = 4;
    const BATCH: usize = 3;
    let service = Setup::new().mapping("note", GOOD).start().await;
    let running = Cell::new(true);
    let sending = join_all((0..SENDERS).map(async |sender| {
        let mut sent = 0;
        while running.get() {
            let event = |index| {
                format!(
                    r#"{{"specversion":"1.0","id":"{sender}-{sent}/{index}","source":"/tests","type":"com.example.a"}}"#
                )
            };
            let batch = (0..BATCH).map(event).collect::<Vec<_>>().join(",");
            let batched = ("content-type", "application/cloudevents-batch+json");
            service.send("POST", "/events", &[batched], format!("[{batch}]")).await.accepted("sent");
            sent += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        sent
    }));
    let editing = async {
        let mut taken = Vec::new();
        for ty in ["com.example.second", "com.example.third"] {
            service.directory.write("note.yaml", &GOOD.replace("content:", "contents:"));
            service.until("the mistake is told", async || problems(&service).await == 1).await;
            service.directory.write("note.yaml", &GOOD.replace("com.example.first", ty));
            let arrives = async || {
                let events = service.events.take();
                let found = events.iter().any(|event| event.ty() == ty);
                taken.extend(events);
                found
            };
            service.until(ty, arrives).await;
        }
        running.set(false);
        taken
    };
    let (sent, mut events) = join(sending, editing).await;
    events.extend(service.events.take());

    // Every event of every batch once, and a batch by one set alone.
    let sent: usize = sent.iter().sum();
    assert!(sent > 100, "{sent}");
    assert_eq!(events.len(), sent * BATCH);
    let mut batches: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for event in &events {
        let Data::Json(data) = event.data() else { panic!("{event:?}") };
        let data: Value = serde_json::from_slice(data).unwrap();
        let batch = data["id"].as_str().unwrap().split('/').next().unwrap().to_owned();
        batches.entry(batch).or_default().push(event.ty());
    }
    assert_eq!(batches.len(), sent);
    assert!(batches.values().all(|types| types == &[types[0]; BATCH]), "{batches:?}");
    let seen: BTreeSet<&str> = batches.values().map(|types| types[0]).collect();
    assert_eq!(Vec::from_iter(seen), ["com.example.first", "com.example.second", "com.example.third"]);
    service.stop().await;
}

// --- The admin port.

/// Reads an exposition as strictly as OpenMetrics 1.0 puts it, and gives the kind of each family.
fn open_metrics(text: &str) -> BTreeMap<&str, &str> {
    let body = text.strip_suffix("# EOF\n").expect(text);
    let mut kinds = BTreeMap::new();
    let mut units = BTreeMap::new();
    let mut series = BTreeMap::new();
    let mut family = "";
    for line in body.lines() {
        if let Some(metadata) = line.strip_prefix("# ") {
            let [keyword, name, value] = metadata.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            match keyword {
                "HELP" => assert!(!value.is_empty(), "{line}"),
                "TYPE" => assert_eq!(kinds.insert(name, value), None, "one block for one family: {line}"),
                "UNIT" => assert_eq!(units.insert(name, value), None, "{line}"),
                _ => panic!("{line}"),
            }
            family = name;
            continue;
        }
        let (name, rest) = line.split_at(line.find(['{', ' ']).expect(line));
        let (labels, value) = labels(rest);
        let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("not of `{family}`: {line}"));
        match (kinds[family], suffix) {
            ("counter", "_total") => assert!(value >= 0.0, "{line}"),
            ("info", "_info") => assert!((value - 1.0).abs() < f64::EPSILON, "{line}"),
            ("gauge", "") | ("histogram", "_sum" | "_count") => assert!(value.is_finite(), "{line}"),
            ("histogram", "_bucket") => assert!(labels.contains_key("le"), "{line}"),
            _ => panic!("no sample of a {}: {line}", kinds[family]),
        }
        assert_eq!(series.insert((name, labels), value), None, "one sample for one series: {line}");
    }
    for (name, unit) in units {
        assert!(name.ends_with(&format!("_{unit}")), "{name} {unit}");
    }
    for ((name, labels), value) in &series {
        let Some(histogram) = name.strip_suffix("_count") else { continue };
        let bucket = format!("{histogram}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for ((name, of), count) in &series {
            let mut of = of.clone();
            if *name == bucket
                && let Some(bound) = of.remove("le")
                && of == *labels
            {
                buckets.push((bound.parse().unwrap(), *count));
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "cumulative: {buckets:?}");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, *value)), "{name}");
    }
    kinds
}

/// The labels and the value of a sample, after its name.
fn labels(sample: &str) -> (BTreeMap<&str, &str>, f64) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = sample.strip_prefix('{') else { return (labels, sample.trim().parse().unwrap()) };
    while !rest.starts_with('}') {
        let (name, after) = rest.split_once("=\"").expect(sample);
        let name = name.trim_start_matches(',');
        assert!(!name.is_empty() && name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_'), "{sample}");
        let (value, after) = after.split_once('"').expect(sample);
        assert!(!value.contains('\\'), "no value of ours needs an escape: {sample}");
        assert_eq!(labels.insert(name, value), None, "{sample}");
        rest = after;
    }
    (labels, rest[1..].trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_open_metrics_before_and_after_traffic() {
    let service = Setup::new().mapping("note", GOOD).shipped("pull-request-build").start().await;
    let answer = service.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let before = open_metrics(&answer.text);

    emitted(&service).await;
    let opened = include_str!("../fixtures/github/pull_request.opened.json");
    service.github("pull_request", opened).await.accepted("created");
    service.github("pull_request", opened).await.accepted("duplicate");
    service.delivery("github", "wrong", "push", "1", "{}").await.refused(401, "");
    service.delivery("nobody%22", SECRET, "a\"b", "1", "{}").await.refused(404, "");
    service.send("POST", "/events", &[STRUCTURED], "{").await.refused(400, "");

    let after = service.get("/metrics").await.text;
    let kinds = open_metrics(&after);
    assert!(before.iter().all(|(family, kind)| kinds.get(family) == Some(kind)), "{before:?} {kinds:?}");
    for (family, kind) in [
        ("pipewright_build", "info"),
        ("pipewright_acks", "counter"),
        ("pipewright_answer_duration_seconds", "histogram"),
        ("pipewright_body_inflight_bytes", "gauge"),
    ] {
        assert_eq!(kinds[family], kind);
    }
    for line in [
        "pipewright_acks_total{route=\"webhook\",code=\"202\"} 2",
        "pipewright_acks_total{route=\"webhook\",code=\"401\"} 1",
        "pipewright_acks_total{route=\"webhook\",code=\"404\"} 1",
        "pipewright_acks_total{route=\"events\",code=\"400\"} 1",
        "pipewright_mappings 2",
    ] {
        assert!(after.lines().any(|other| other == line), "{line}\n{after}");
    }
    assert!(!after.contains("nobody"), "no label comes from a request: {after}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_level_is_read_and_changed_while_the_process_runs() {
    let dev = Dev::start("log-level");
    let url = format!("{}/log-level", dev.told("health").rsplit_once('/').unwrap().0);
    let http = http_client();
    let get = async || http.get(&url).send().await.unwrap().text().await.unwrap();
    let put = async |level: &'static str| {
        let answer = http.put(&url).body(level).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(get().await, "warn\n");
    for (level, reason) in [
        ("", "`` is not a log level: it is empty; try `info` or `info,pipewright=debug`\n"),
        (
            "debgu",
            "`debgu` is not a log level: `debgu` is no level, and a target needs one, as in `debgu=debug`; try",
        ),
        ("info,pipewright=loud", "`info,pipewright=loud` is not a log level: "),
    ] {
        let (status, text) = put(level).await;
        assert!(status == 400 && text.starts_with(reason), "{level}: {status} {text}");
        assert_eq!(get().await, "warn\n", "a mistake changes nothing");
    }
    assert_eq!(put("warn,pipewright=debug").await.0, 200);
    assert!(get().await.contains("pipewright=debug"), "{}", get().await);
    dev.wait_for_error("log level changed");
    assert_eq!(put("OFF").await, (200, "off\n".to_owned()));
    assert_eq!(get().await, "off\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_a_logger_of_its_own_says_so() {
    let service = Setup::new().start().await;
    assert_eq!(service.get("/livez").await.text, "ok\n");
    assert_eq!(service.get("/healthz").await.text, "ok\n");
    let url = format!("http://{}/log-level", service.admin);
    let answer = http_client().put(url).body("debug").send().await.unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.text().await.unwrap(), "this process has no log level of its own\n");
    service.stop().await;
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
