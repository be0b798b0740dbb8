//! Knative's `GitHubSource` and `GitLabSource`.

use bytes::Bytes;
use pipewright::event::{Data, Event};
use pipewright::settings::Announce;
use pipewright::vocabulary::{Forge, Webhook, events};
use serde_json::{Value, json};

use super::seen;
use crate::support::corpus;
use crate::support::service::Setup;

const OPENED: &str = include_str!("../../fixtures/github/pull_request.opened.json");
const PUSH: &str = include_str!("../../fixtures/github/push.main.json");
const DELIVERY: &str = "72d3162e-cc78-11e3-81ab-4c9367dc0958";

/// An event as `GitHubSource` makes it of a delivery.
fn github(event: &str, body: impl Into<Bytes>) -> Event {
    Event::builder(DELIVERY, "https://github.com/myorg/shop", format!("dev.knative.source.github.{event}"))
        .subject("42")
        .time("2026-01-02T03:04:05Z")
        .extension("owner", "myorg")
        .json(body)
        .build()
        .unwrap()
}

fn webhook(forge: Forge, event: &str, body: impl Into<Bytes>) -> Webhook {
    Webhook {
        forge,
        event: event.to_owned(),
        delivery: DELIVERY.to_owned(),
        body: body.into(),
        received: "2026-01-02T03:04:05Z".parse().unwrap(),
    }
}

fn ids(events: &[Event]) -> Vec<(&str, &str)> {
    events.iter().map(|event| (event.ty(), event.id())).collect()
}

/// A payload as a program writes it anew that has read it into structures of its own: what it does not know and what is
/// null is gone, times are all in one form.
fn rewritten(body: &str) -> String {
    fn rewrite(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|name, value| {
                    !value.is_null() && !name.starts_with("node_") && name != "visibility"
                });
                for (name, value) in members.iter_mut() {
                    match (name.as_str(), value.as_i64()) {
                        ("pushed_at", Some(second)) => {
                            *value = jiff::Timestamp::from_second(second).unwrap().to_string().into();
                        }
                        _ => rewrite(value),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(rewrite),
            _ => {}
        }
    }
    let mut value: Value = serde_json::from_str(body).unwrap();
    rewrite(&mut value);
    value.to_string()
}

#[test]
fn every_recorded_payload_gives_what_its_webhook_gives_and_the_event_itself() {
    let Some(root) = corpus::root() else { return };
    let mut cdevents = 0;
    for payload in corpus::github(&root) {
        let event = github(&payload.event, payload.body.trim_ascii().to_vec());
        let seen = seen(&event);
        assert_eq!(seen[0], event);
        let of_webhook = events(&webhook(Forge::GitHub, &payload.event, payload.body)).unwrap();
        assert_eq!(seen[1..], of_webhook, "{}", payload.name);
        cdevents += of_webhook.len() - 1;
    }
    assert!(cdevents >= 57, "{cdevents}");
    for path in corpus::json_files(&root.join("forge/gitlab")) {
        let body = std::fs::read(&path).unwrap();
        let kind = corpus::json(&path)["object_kind"].as_str().unwrap().to_owned();
        for (ty, header) in [
            // What GitLab calls a build, the header calls a job.
            (format!("dev.knative.sources.gitlab.{kind}"), Some("System Hook")),
            (format!("dev.knative.sources.gitlab.{kind}"), None),
            ("dev.knative.sources.gitlabsource.System Hook".to_owned(), None),
        ] {
            let mut event = Event::builder(DELIVERY, "https://gitlab.com/o/r", ty)
                .time("2026-01-02T03:04:05Z")
                .json(body.trim_ascii().to_vec());
            if let Some(header) = header {
                event = event.extension("comgitlabevent", header);
            }
            let event = event.build().unwrap();
            let of_webhook = events(&webhook(Forge::GitLab, "System Hook", body.clone())).unwrap();
            assert_eq!(seen(&event)[1..], of_webhook, "{}", path.display());
        }
    }
}

#[test]
fn a_payload_that_was_written_anew_gives_the_same_cdevents() {
    for (event, body) in [("pull_request", OPENED), ("push", PUSH)] {
        let written = rewritten(body);
        assert_ne!(
            serde_json::from_str::<Value>(body).unwrap(),
            serde_json::from_str::<Value>(&written).unwrap()
        );
        let theirs = seen(&github(event, written));
        let ours = events(&webhook(Forge::GitHub, event, body)).unwrap();
        assert_eq!(ids(&theirs[1..]), ids(&ours));
        assert!(ours.len() > 1);
    }
}

#[test]
fn what_does_not_parse_goes_on_as_it_came() {
    let text = Event::builder("1", "/s", "dev.knative.source.github.push");
    let text = text.datacontenttype("text/plain").data(Data::Text("{}".to_owned())).build().unwrap();
    for event in [
        text,
        github("push", "[]"),
        github("", PUSH),
        github("a/b", PUSH),
        Event::builder("1", "/s", "dev.knative.sources.ping").json("{}").build().unwrap(),
        Event::builder("1", "/s", "dev.knative.source.github.push").build().unwrap(),
    ] {
        assert_eq!(seen(&event), [event]);
    }
    // What is an object has a raw event, whatever is in it.
    let odd = seen(&github("push", "{\"ref\": 1}"));
    assert_eq!(
        odd.iter().map(Event::ty).collect::<Vec<_>>(),
        ["dev.knative.source.github.push", "com.github.push"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_and_githubsource_tell_one_cdevent_and_neither_takes_the_others_place() {
    for webhook_first in [true, false] {
        let service = Setup::new()
            .with(|settings| settings.process.announce = Announce::All)
            .shipped("pull-request-build")
            .start()
            .await;
        // As a Trigger delivers it.
        let source = async |body: String| {
            let headers = [
                ("content-type", "application/json"),
                ("ce-specversion", "1.0"),
                ("ce-id", DELIVERY),
                ("ce-source", "https://github.com/myorg/shop"),
                ("ce-type", "dev.knative.source.github.pull_request"),
                ("ce-subject", "42"),
                ("ce-action", "opened"),
                ("ce-knativearrivaltime", "2026-11-20T09:11:05Z"),
                ("prefer", "reply"),
            ];
            service.send("POST", "/", &headers, body).await
        };
        let mut sent = Vec::new();
        for turn in [webhook_first, !webhook_first] {
            let answer = if turn {
                service.github("pull_request", OPENED).await
            } else {
                source(rewritten(OPENED)).await
            };
            // Whoever may send events is not the forge: each has a run of its own.
            answer.accepted("created");
            // The run tells of itself, sooner or later.
            let events =
                service.events.take().into_iter().filter(|event| !event.ty().contains(".pipelinerun."));
            sent.push(events.map(|event| (event.ty().to_owned(), event.id().to_owned())).collect::<Vec<_>>());
        }
        assert_eq!(service.runs().await.len(), 2);
        // The raw event and the CDEvent, and not the envelope, which whoever sent it has.
        assert_eq!(sent[0], sent[1]);
        let types: Vec<&str> = sent[0].iter().map(|(ty, _)| ty.as_str()).collect();
        assert_eq!(types, ["com.github.pull_request.opened", "dev.cdevents.change.created.0.4.0"]);
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_for_the_types_of_the_source_itself_still_runs() {
    let mapping = r"
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: knative}
spec:
  events: [{type: dev.knative.source.github.pull_request, action: opened}]
  do: [{name: tell, emit: {type: com.example.told, content: {}}}]
";
    let service = Setup::new().mapping("knative", mapping).start().await;
    let mut event: Value = json!({"specversion": "1.0", "id": "1", "source": "https://github.com/myorg/shop",
        "type": "dev.knative.source.github.pull_request", "action": "opened"});
    event["data"] = serde_json::from_str(OPENED).unwrap();
    let headers = [("content-type", "application/cloudevents+json")];
    service.send("POST", "/events", &headers, event.to_string()).await.accepted("sent");
    let mut types: Vec<String> = service.events.take().iter().map(|event| event.ty().to_owned()).collect();
    types.sort();
    assert_eq!(types, ["com.example.told", "dev.cdevents.change.created.0.4.0"]);
    service.stop().await;
}
