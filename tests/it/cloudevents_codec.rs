//! Real events through every content mode, with nothing changed.

use bytes::Bytes;
use pipewright::event::http::{Message, decode, encode_batch, encode_binary, encode_structured};
use pipewright::event::{Data, Event, json};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::corpus;

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
