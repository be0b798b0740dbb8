//! Real events through every content mode, with nothing changed.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use pipewright::event::http::{Message, decode, encode_batch, encode_binary, encode_structured};
use pipewright::event::{Data, Event, json};
use pipewright::settings::Announce;
use pipewright::sink::{Batch, Mode as SinkMode};
use pipewright::vocabulary::{self, Forge, Webhook};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::corpus;
use crate::support::service::{Receiver, Setup};
use crate::vocabulary::{anything, mutate};

/// A captured request: `{"request": {"headers": [[name, value], …]}, "body": …}`.
#[derive(Deserialize)]
struct Captured<'a> {
    request: Request,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Request {
    headers: Vec<(String, String)>,
}

fn received(message: Message) -> Vec<Event> {
    let (headers, body) = message;
    decode(headers.iter().map(|(name, value)| (name.as_ref(), value.as_bytes())), body).unwrap()
}

/// Sends `event` in all three modes, reads it back, and lets the SDK read what we wrote.
fn assert_unchanged(event: &Event, payload: &str) {
    assert_eq!(event.data(), &Data::Json(Bytes::copy_from_slice(payload.as_bytes())), "the bytes that came");
    for message in [encode_binary(event), encode_structured(event), encode_batch([event])] {
        let events = received(message);
        assert_eq!(events, [event.to_builder().build().unwrap()]);
        assert_eq!(events[0].data(), event.data());
    }
    let both = received(encode_batch([event, event]));
    assert_eq!([&both[0], &both[1]], [event, event]);

    let (_, structured) = encode_structured(event);
    let theirs: cloudevents::Event = serde_json::from_slice(&structured).unwrap();
    assert_eq!(theirs, cloudevents::Event::try_from(event).unwrap());
    let theirs = serde_json::to_vec(&theirs).unwrap();
    let back = json::decode(theirs.into()).unwrap();
    assert_eq!(
        (back.id(), back.source(), back.ty(), back.subject()),
        (event.id(), event.source(), event.ty(), event.subject())
    );
    assert_eq!(back.tree(), event.tree());
}

#[test]
fn the_captured_tekton_events_pass_through_every_mode_unchanged() {
    let Some(folder) = corpus::folder("tekton-events") else { return };
    let files = corpus::json_files(&folder);
    assert_eq!(files.len(), 173);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let captured: Captured<'_> = serde_json::from_str(&text).unwrap();
        let headers = captured.request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let body = captured.body.get();
        let events = decode(headers, Bytes::copy_from_slice(body.as_bytes())).unwrap();
        assert_eq!(events.len(), 1, "{}", file.display());
        let event = &events[0];
        for (name, value) in &captured.request.headers {
            let name = name.to_ascii_lowercase();
            if let Some(attribute) = name.strip_prefix("ce-") {
                assert_eq!(event.attribute(attribute).as_deref(), Some(value.as_str()), "{}", file.display());
            }
        }
        assert_eq!(event.datacontenttype(), Some("application/json"));
        assert!(event.extensions().is_empty());
        assert_unchanged(event, body);
    }
}

#[test]
fn the_cdevents_conformance_events_pass_through_every_mode_unchanged() {
    let Some(folder) = corpus::folder("cdevents/conformance") else { return };
    let files = corpus::json_files(&folder);
    assert_eq!(files.len(), 45);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let data: Value = serde_json::from_str(&text).unwrap();
        let member = |pointer: &str| data.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        let attributes = [
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", member("/context/id")),
            ("ce-source", member("/context/source")),
            ("ce-type", member("/context/type")),
            ("ce-time", member("/context/timestamp")),
            // The subjects are package URLs in part, which hold percent signs and must come back as they were.
            ("ce-subject", member("/subject/id").replace('%', "%25")),
            ("Content-Type", "application/json".to_owned()),
        ];
        let headers = attributes.iter().map(|(name, value)| (*name, value.as_bytes()));
        let events = decode(headers, Bytes::copy_from_slice(text.as_bytes())).unwrap();
        assert_eq!(events[0].subject(), Some(member("/subject/id").as_str()), "{}", file.display());
        assert_unchanged(&events[0], text.trim());
    }
}

// --- Events that we make of forges' payloads.

/// Every recorded payload of every forge.
fn payloads(root: &Path) -> Vec<Webhook> {
    let folders = [
        ("github", Forge::GitHub),
        ("gitlab", Forge::GitLab),
        ("gitea", Forge::Gitea),
        ("bitbucket-cloud", Forge::Bitbucket),
        ("bitbucket-datacenter", Forge::BitbucketDataCenter),
    ];
    let mut webhooks = Vec::new();
    for (folder, forge) in folders {
        for path in corpus::json_files(&root.join("forge").join(folder)) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let parent = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
            let event = match forge {
                Forge::GitHub => parent.to_owned(),
                Forge::GitLab => "System Hook".to_owned(),
                Forge::Gitea if name.contains("comment") => "issue_comment".to_owned(),
                Forge::Gitea if name.starts_with("pull_request") => "pull_request".to_owned(),
                Forge::Gitea if name.starts_with("issues") => "issues".to_owned(),
                Forge::Gitea => name.to_owned(),
                Forge::Bitbucket if name.starts_with("pr") => "pullrequest:updated".to_owned(),
                Forge::Bitbucket => "repo:push".to_owned(),
                _ => corpus::json(&path)["eventKey"].as_str().unwrap().to_owned(),
            };
            webhooks.push(Webhook {
                forge,
                event,
                delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
                body: std::fs::read(&path).unwrap().into(),
                received: "2026-01-02T03:04:05Z".parse().unwrap(),
            });
        }
    }
    assert!(webhooks.len() > 190, "{}", webhooks.len());
    webhooks
}

/// Writes events in all three modes, alone and together, and reads them back.
fn read_back(events: &[Event]) {
    for event in events {
        for message in [encode_binary(event), encode_structured(event), encode_batch([event])] {
            assert_eq!(received(message), std::slice::from_ref(event));
        }
    }
    assert_eq!(received(encode_batch(events)), events);
}

#[test]
fn the_decoder_accepts_what_the_encoder_writes_of_every_event_that_a_forge_can_cause() {
    let Some(root) = corpus::root() else { return };
    let payloads = payloads(&root);
    let mut raw_and_derived = [0, 0];
    for webhook in &payloads {
        let events = vocabulary::events(webhook).unwrap();
        read_back(&events);
        raw_and_derived[0] += 1;
        raw_and_derived[1] += events.len() - 1;
    }
    assert!(raw_and_derived[0] > 190 && raw_and_derived[1] > 80, "{raw_and_derived:?}");
    // And with whatever in some places of them.
    let changed = std::cell::Cell::new(0);
    let strategy = (0..payloads.len(), any::<[u64; 2]>(), [anything(), anything()]);
    proptest!(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() }, |((index, places, values) in strategy)| {
        let mut webhook = payloads[index].clone();
        let mut body: Value = serde_json::from_slice(&webhook.body).unwrap();
        for (place, value) in places.into_iter().zip(values) {
            mutate(&mut body, place, &value);
        }
        webhook.body = body.to_string().into();
        if let Ok(events) = vocabulary::events(&webhook) {
            read_back(&events);
            changed.set(changed.get() + events.len());
        }
    });
    assert!(changed.get() > 1500, "{}", changed.get());
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_of_all_three_modes_receive_one_and_the_same_event() {
    let receivers = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
    let mut setup = Setup::new().with(|settings| settings.process.announce = Announce::Nothing);
    let names = ["structured", "binary", "batched"];
    let mut actions = String::new();
    for (name, receiver) in names.into_iter().zip(&receivers) {
        let mut spec = receiver.spec();
        match name {
            "binary" => spec.mode = SinkMode::Binary,
            "batched" => spec.batch = Some(Batch::default()),
            _ => {}
        }
        setup = setup.sink(name, spec);
        writeln!(actions, "    - {{name: {name}, emit: {{forward: true, to: {name}}}}}").unwrap();
    }
    let mapping = format!(
        "apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {{name: copy}}\nspec:\n  events: [{{type: \"*\"}}]\n  do:\n{actions}"
    );
    let service = setup.mapping("copy", &mapping).start().await;
    // What headers can carry only percent-encoded.
    let mut body: Value = serde_json::from_str(include_str!("../fixtures/github/push.branch.json")).unwrap();
    body["ref"] = "refs/heads/größe/100%\u{1F600} \"x\"".into();
    service.github("push", body.to_string()).await.accepted("sent");
    let mut seen = Vec::new();
    for (name, receiver) in names.into_iter().zip(&receivers) {
        let mut events = Vec::new();
        for (headers, body) in receiver.take() {
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            events.extend(decode(headers, body).unwrap_or_else(|error| panic!("{name}: {error}")));
        }
        events.sort_by(|one, two| one.ty().cmp(two.ty()));
        seen.push(events);
    }
    assert_eq!(seen[0].len(), 2);
    assert!(
        seen[0].iter().any(|event| event.subject().is_some_and(|it| it.contains('\u{1F600}'))),
        "{seen:?}"
    );
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    service.stop().await;
}
