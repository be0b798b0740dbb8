//! `CDEvents` of 0.1 to 0.4.

use std::path::Path;

use pipewright::event::{Event, json};
use pipewright::vocabulary::alias;
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::outcome::{Outcome, Outcomes};
use pipewright::vocabulary::types::{TYPES, lookup};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::seen;
use crate::support::corpus::{self, Schemas};
use crate::support::program::run;
use crate::support::service::{Directory, Setup};
use crate::vocabulary::{anything, mutate};

/// The official examples of 0.5.1, one of each type.
fn examples(root: &Path) -> Vec<Value> {
    let examples: Vec<Value> = corpus::json_files(&root.join("cdevents/conformance"))
        .iter()
        .map(|path| corpus::json(path))
        .collect();
    assert_eq!(examples.len(), 45);
    examples
}

/// An event of 0.5.1 as 0.4.1 had it.
fn downgraded(current: &Value) -> Value {
    let mut old = current.clone();
    let context = old["context"].as_object_mut().unwrap();
    context.remove("specversion");
    context.insert("version".to_owned(), json!("0.4.1"));
    let ty = lookup(context["type"].as_str().unwrap()).unwrap();
    let [major, minor, patch] = ty.version;
    let name = format!("{}.{major}.{}.{patch}", ty.base(), minor - 1);
    context.insert("type".to_owned(), name.into());
    if let Some(links) = context.get_mut("links") {
        *links = snake(links);
    }
    old["subject"]["type"] = json!(ty.subject);
    old["subject"]["content"] = with_url(&old["subject"]["content"]);
    if ty.subject.starts_with("test")
        && let Some(outcome) = old["subject"]["content"].get_mut("outcome")
    {
        *outcome = match outcome.as_str().unwrap() {
            "success" => json!("pass"),
            "failure" => json!("fail"),
            other => json!(other),
        };
    }
    old
}

fn snake(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(snake).collect(),
        Value::Object(members) => {
            let renamed = members.iter().map(|(name, value)| {
                let name = match name.as_str() {
                    "linkType" => "link_type",
                    "linkKind" => "link_kind",
                    "contextId" => "context_id",
                    name => name,
                };
                (name.to_owned(), snake(value))
            });
            Value::Object(renamed.collect())
        }
        other => other.clone(),
    }
}

fn with_url(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let renamed = members.iter().map(|(name, value)| {
                (if name == "uri" { "url".to_owned() } else { name.clone() }, with_url(value))
            });
            Value::Object(renamed.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

/// An event around a `CDEvent`, as the binding has it.
fn wrapped(document: &Value) -> Event {
    let member = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or("?").to_owned();
    Event::builder(member("/context/id"), member("/context/source"), member("/context/type"))
        .subject(member("/subject/id"))
        .time(member("/context/timestamp"))
        .json(document.to_string())
        .build()
        .unwrap()
}

fn one(event: &Event) -> Event {
    let mut events = seen(event);
    assert_eq!(events.len(), 1);
    events.remove(0)
}

#[test]
fn each_of_the_45_types_comes_back_from_its_form_in_0_4() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    for current in examples(&root) {
        let old = downgraded(&current);
        assert_ne!(schemas.problems(&old), Vec::<String>::new());
        let event = one(&wrapped(&old));
        schemas.assert_valid(&event);
        let mut document = event.tree().unwrap().clone();
        let outcome = &old["subject"]["content"]["outcome"];
        if *outcome == "pass" || *outcome == "fail" {
            // The sender's word is not lost.
            let original = json!({"specversion": "0.4.1", "type": old["context"]["type"], "content": {"outcome": outcome}});
            assert_eq!(document["customData"]["original"], original);
            match current.get("customData") {
                Some(_) => drop(document["customData"].as_object_mut().unwrap().remove("original")),
                None => drop(document.as_object_mut().unwrap().remove("customData")),
            }
        }
        assert_eq!(document, current);
        assert_eq!(event.id(), current["context"]["id"]);
        // Of the examples' three links the `PATH` is the parent.
        assert_eq!(
            event.attribute("causationid").as_deref(),
            current["context"]["links"][1]["from"]["contextId"].as_str()
        );
        // What is in today's words stays the bytes that came.
        assert_eq!(one(&event), event);
    }
}

#[test]
fn what_is_of_0_5_or_newer_passes_unchanged() {
    let Some(root) = corpus::root() else { return };
    for current in examples(&root) {
        let ty = lookup(current["context"]["type"].as_str().unwrap()).unwrap();
        let [major, minor, _] = ty.version;
        for name in [ty.to_string(), format!("{}.{major}.{}.0-draft", ty.base(), minor + 1)] {
            let mut event = current.clone();
            event["context"]["type"] = json!(name);
            let event = wrapped(&event);
            assert_eq!(one(&event), event);
        }
        // A sender that is half upgraded: its `specversion` tells whose rules it follows.
        let mut half = downgraded(&current);
        half["context"]["specversion"] = json!("0.5.0");
        assert_eq!(one(&wrapped(&half)), wrapped(&half));
    }
}

#[test]
fn what_cannot_be_normalised_goes_on_as_it_came() {
    let finished = |content: Value| {
        json!({
            "context": {"version": "0.3.0", "id": "1", "source": "/s", "timestamp": "2023-06-08T11:30:22Z",
                        "type": "dev.cdevents.testcaserun.finished.0.1.0"},
            "subject": {"id": "run-1", "type": "testCaseRun", "content": content},
        })
    };
    let valid = finished(json!({"outcome": "pass", "environment": {"id": "dev"}}));
    assert_eq!(one(&wrapped(&valid)).ty(), "dev.cdevents.testcaserun.finished.0.3.0");
    let mut others = vec![
        finished(json!({"outcome": "pass"})),
        finished(json!({"environment": {"id": "dev"}})),
        finished(json!({"outcome": "pass", "environment": {"id": ""}})),
        finished(json!({"outcome": 1, "environment": {"id": "dev"}})),
        finished(json!("none")),
    ];
    for (pointer, value) in [
        // 0.5.1 has no such type, and none of another major version.
        ("/context/type", json!("dev.cdevents.testcase.finished.0.1.0")),
        ("/context/type", json!("dev.cdevents.testcaserun.finished.1.0.0")),
        ("/context/timestamp", json!("yesterday")),
        ("/context/source", json!("not a source")),
        ("/context/id", json!("")),
        ("/context", json!(null)),
        ("/subject", json!([])),
        ("/subject/id", json!(7)),
        ("/subject/id", json!("a\u{0}b")),
    ] {
        let mut broken = valid.clone();
        *broken.pointer_mut(pointer).unwrap() = value;
        others.push(broken);
    }
    for other in others {
        let ty = other.pointer("/context/type").and_then(Value::as_str);
        let event = Event::builder("1", "/s", ty.unwrap_or("dev.cdevents.testcaserun.finished.0.1.0"))
            .json(other.to_string())
            .build()
            .unwrap();
        assert_eq!(one(&event), event, "{other:#}");
    }
    // The envelope says something else than the content.
    let event = Event::builder("1", "/s", "dev.cdevents.testcaserun.started.0.1.0").json(valid.to_string());
    let event = event.build().unwrap();
    assert_eq!(one(&event), event);
    for event in [
        Event::builder("1", "/s", "dev.cdevents.change.created.0.1.0").build().unwrap(),
        Event::builder("1", "/s", "dev.cdeventsx.tool-a.b.0.1.0").json("[]").build().unwrap(),
        Event::builder("1", "/s", "com.example.other").json("{}").build().unwrap(),
    ] {
        assert_eq!(one(&event), event);
    }
}

#[test]
fn what_0_5_1_has_no_place_for_is_kept_in_custom_data() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let old = json!({
        "context": {"version": "0.2.0", "id": "85e4cef0-e5bf-4bfd-9e62-5b227867b064", "source": "cluster56c2",
                    "type": "dev.cdevents.testcaserun.finished.0.1.0", "timestamp": "2023-06-08T11:30:22.30535521Z",
                    "links": [
                        {"linkType": "START", "chainId": "c"},
                        {"link_type": "PATH", "from": {"context_id": "p"}},
                        {"linkType": "PATH"},
                    ],
                    "environment": "eu"},
        "subject": {
            "id": "test-cdevents-7", "source": "", "type": "testCaseRun", "owner": "qa",
            "content": {
                "outcome": "pass",
                "severity": "blocker",
                "reason": "",
                "environment": {"id": "testkube", "source": "cluster56c2"},
                "testCase": {"id": "test-cdevents", "type": "functional", "uri": "/tests/executions/test-cdevents"},
                "testSuiteRun": {"source": "no id"},
                "duration": 12,
            },
        },
    });
    for (given, kept) in [
        (None, json!({})),
        (Some(json!({"team": "qa"})), json!({"team": "qa"})),
        (Some(json!("c29tZQ==")), json!({})),
        (Some(json!({"original": 1})), json!({})),
    ] {
        let mut old = old.clone();
        if let Some(given) = &given {
            old["customData"] = given.clone();
        }
        let event = one(&wrapped(&old));
        schemas.assert_valid(&event);
        let document = event.tree().unwrap();
        assert_eq!(
            document["subject"],
            json!({"id": "test-cdevents-7", "content": {
                "outcome": "success",
                "environment": {"id": "testkube", "source": "cluster56c2"},
                "testCase": {"id": "test-cdevents", "type": "functional"},
            }})
        );
        assert_eq!(document["context"]["links"], json!([{"linkType": "PATH", "from": {"contextId": "p"}}]));
        let mut original = json!({
            "specversion": "0.2.0",
            "type": "dev.cdevents.testcaserun.finished.0.1.0",
            "context": {"links": [{"linkType": "PATH"}], "environment": "eu"},
            "subject": {"owner": "qa"},
            "content": {
                "outcome": "pass",
                "severity": "blocker",
                "testCase": {"uri": "/tests/executions/test-cdevents"},
                "testSuiteRun": {"source": "no id"},
                "duration": 12,
            },
        });
        if let Some(given) = given.filter(|_| kept == json!({})) {
            original["customData"] = given;
        }
        let mut expected = kept;
        expected["original"] = original;
        assert_eq!(document["customData"], expected);
    }
}

#[test]
fn a_custom_event_of_0_4_keeps_its_type_and_content() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let current = corpus::json(&root.join("cdevents/custom/conformance.json"));
    let mut old = current.clone();
    old["context"].as_object_mut().unwrap().remove("specversion");
    old["context"]["version"] = json!("0.4.1");
    old["subject"]["type"] = json!("mytool-resource");
    if let Some(links) = old["context"].get_mut("links") {
        *links = snake(links);
    }
    let event = one(&wrapped(&old));
    schemas.assert_valid(&event);
    assert_eq!(event.tree().unwrap(), &current);
}

#[test]
fn the_table_of_outcomes_decides_what_an_old_word_means() {
    let event = wrapped(&json!({
        "context": {"version": "0.4.1", "id": "1", "source": "/s", "timestamp": "2024-06-08T11:30:22Z",
                    "type": "dev.cdevents.taskrun.finished.0.2.0"},
        "subject": {"id": "1", "type": "taskRun", "content": {"outcome": "neutral"}},
    }));
    let outcome = |outcomes: &Outcomes| {
        let event = event.to_builder().build().unwrap();
        let options = Options { outcomes: outcomes.clone(), ..Options::default() };
        let events = alias::events(event, &options, jiff::Timestamp::UNIX_EPOCH);
        events[0].tree().unwrap()["subject"]["content"]["outcome"].clone()
    };
    assert_eq!(outcome(&Outcomes::default()), "success");
    assert_eq!(outcome(&Outcomes::with([("neutral".to_owned(), Outcome::Cancel)])), "cancel");
}

/// A mapping that tells what it saw.
const TELL: &str = r#"
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: tell}
spec:
  events: [{type: dev.cdevents.*}]
  filter: [{cel: "has(event.data.context.specversion)"}]
  let: {content: {path: $.data.subject.content}, type: {path: $.type}, original: {path: $.data.customData.original, default: {}}}
  do:
    - {name: tell, emit: {type: com.example.told, content: {type: "{{type}}", content: "{{content}}", original: "{{original}}"}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_well_known_senders_post_meets_the_mappings_in_todays_words() {
    let service = Setup::new().mapping("tell", TELL).start().await;
    let post = async |ty: &str, source: &str, extra: &[(&str, &str)], body: Value| {
        let mut headers = vec![
            ("content-type", "application/json"),
            ("ce-specversion", "1.0"),
            ("ce-id", "271069a8-fc18-44f1-b38f-9d70a1695819"),
            ("ce-source", source),
            ("ce-type", ty),
        ];
        headers.extend(extra);
        service.send("POST", "/events", &headers, body.to_string()).await.accepted("sent");
        let events = service.events.take();
        assert_eq!(events.len(), 1);
        // The source's own time, whether the envelope has it or not.
        assert_eq!(events[0].time(), Some("2024-03-20T14:27:05Z"));
        events[0].tree().unwrap().clone()
    };
    let cdevent = |version: &str, ty: &str, source: &str, subject: Value| {
        json!({
            "context": {"version": version, "id": "271069a8-fc18-44f1-b38f-9d70a1695819", "source": source,
                        "type": ty, "timestamp": "2024-03-20T14:27:05Z"},
            "subject": subject,
        })
    };

    // The Jenkins plugin: SDK 0.1.2, a source and a URL that are relative to Jenkins.
    let ty = "dev.cdevents.pipelinerun.finished.0.1.0";
    let source = "job/shop/7/";
    let content =
        json!({"pipelineName": "shop", "url": "job/shop/7/", "outcome": "failure", "errors": "boom"});
    let subject = json!({"id": "7", "source": source, "type": "pipelineRun", "content": content});
    let told = post(ty, source, &[], cdevent("0.1.2", ty, source, subject)).await;
    let content = json!({"pipelineName": "shop", "outcome": "failure", "errors": "boom"});
    let original = json!({"specversion": "0.1.2", "type": ty, "content": {"url": "job/shop/7/"}});
    assert_eq!(
        told,
        json!({"type": "dev.cdevents.pipelinerun.finished.0.3.0", "content": content, "original": original})
    );

    // Spinnaker's echo: SDK 0.3.1, binary, without `ce-subject` and `ce-time`.
    let ty = "dev.cdevents.taskrun.started.0.1.1";
    let source = "https://spinnaker.example.com/deck";
    let content = json!({"taskName": "deploy", "url": "https://spinnaker.example.com/x",
                         "pipelineRun": {"id": "01H", "source": source}});
    let subject = json!({"id": "stage-1", "source": source, "type": "taskRun", "content": content});
    let told = post(ty, source, &[], cdevent("0.3.0", ty, source, subject)).await;
    let content = json!({"taskName": "deploy", "uri": "https://spinnaker.example.com/x",
                         "pipelineRun": {"id": "01H", "source": source}});
    assert_eq!(
        told,
        json!({"type": "dev.cdevents.taskrun.started.0.3.0", "content": content, "original": {}})
    );

    // cdviz: 0.4.1, GitHub's own word as the outcome.
    let ty = "dev.cdevents.pipelinerun.finished.0.2.0";
    let source = "https://cdviz.example.com?source=github";
    let content = json!({"pipelineName": "o/r/ci", "url": "https://github.com/o/r/actions/runs/1", "outcome": "neutral"});
    let subject = json!({"id": "https://api.github.com/repos/o/r/actions/runs/1", "type": "pipelineRun", "content": content});
    let told =
        post(ty, source, &[("ce-time", "2024-03-20T14:27:05Z")], cdevent("0.4.1", ty, source, subject)).await;
    let content = json!({"pipelineName": "o/r/ci", "uri": "https://github.com/o/r/actions/runs/1", "outcome": "success"});
    let original = json!({"specversion": "0.4.1", "type": ty, "content": {"outcome": "neutral"}});
    assert_eq!(
        told,
        json!({"type": "dev.cdevents.pipelinerun.finished.0.3.0", "content": content, "original": original})
    );
    service.stop().await;
}

#[test]
fn explain_and_test_see_what_the_service_sees() {
    let folder = Directory::new();
    let old = json!({
        "context": {"version": "0.4.1", "id": "1", "source": "/s", "timestamp": "2024-06-08T11:30:22Z",
                    "type": "dev.cdevents.taskrun.finished.0.2.0"},
        "subject": {"id": "1", "type": "taskRun", "content": {"outcome": "neutral"}},
    });
    folder.write("event.json", &json::tree(&wrapped(&old)).to_string());
    folder.write("tell.yaml", &format!("{TELL}  examples:\n    - name: an old event\n      given: {{cloudEvent: event.json}}\n      expect: [{{action: tell, emit: {{content: {{type: dev.cdevents.taskrun.finished.0.3.0, content: {{outcome: success}}}}}}}}]\n"));
    let at = |name: &str| folder.path().join(name).display().to_string();
    let explained = run(&["explain", "--mappings", &at("tell.yaml"), &at("event.json")]);
    assert_eq!(explained.code, 0, "{}", explained.err);
    assert!(
        explained.out.contains("FIRED      tell on dev.cdevents.taskrun.finished.0.3.0"),
        "{}",
        explained.out
    );
    let tested = run(&["test", &at("tell.yaml")]);
    assert_eq!(tested.code, 0, "{}", tested.out);
    // With another table of outcomes.
    folder.write(
        "settings.yaml",
        "apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec: {outcomes: {neutral: cancel}}\n",
    );
    let explained = run(&[
        "explain",
        "--settings",
        &at("settings.yaml"),
        "--mappings",
        &at("tell.yaml"),
        &at("event.json"),
    ]);
    assert!(explained.out.contains("\"outcome\":\"cancel\""), "{}{}", explained.out, explained.err);
}

#[test]
fn whatever_an_old_event_holds_it_is_valid_today_or_unchanged() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let examples = examples(&root);
    let renewed = std::cell::Cell::new(0);
    let strategy = (0..TYPES.len(), any::<[u64; 2]>(), [anything(), anything()]);
    proptest!(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() }, |((index, places, values) in strategy)| {
        let mut old = downgraded(&examples[index]);
        let envelope = wrapped(&old);
        for (place, value) in places.into_iter().zip(values) {
            mutate(&mut old, place, &value);
        }
        let event = Event::builder(envelope.id(), envelope.source(), envelope.ty()).json(old.to_string()).build().unwrap();
        let now = one(&event);
        prop_assert_eq!((now.id(), now.source()), (event.id(), event.source()));
        if now != event {
            let document = now.tree().unwrap();
            prop_assert_eq!(schemas.problems(document), Vec::<String>::new(), "{:#}", old);
            prop_assert_eq!(document["subject"]["id"].as_str(), now.subject());
            renewed.set(renewed.get() + 1);
        }
    });
    assert!(renewed.get() > 500, "{}", renewed.get());
}
