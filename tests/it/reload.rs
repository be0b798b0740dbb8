//! Mapping files that change while the service runs: good ones take over, bad ones are told and change nothing.

use std::fs;
use std::path::Path;

use crate::support::service::{Service, Setup};

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
            "[!] mappings: 1 errors in the newest files; the 1 mappings before them stay in force\n"
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
            "[!] mappings: 12 errors in the newest files; the 1 mappings before them stay in force\n"
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
async fn a_service_whose_first_mappings_have_mistakes_does_not_start() {
    let setup = Setup::new().mapping("note", &GOOD.replace("content:", "contents:"));
    let error = setup.try_start().await.err().unwrap().to_string();
    assert!(error.starts_with("the mappings cannot be used:\n\n"), "{error}");
    assert!(error.contains("note.yaml:11:9") && error.contains("did you mean `content`?"), "{error}");
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
