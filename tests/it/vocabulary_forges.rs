//! GitLab and both Bitbuckets: recorded payloads, the same happening on every forge, and deliveries over HTTP.

mod equal;
mod forks;
mod http;
mod known;
mod misfits;
mod odd;

use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use pipewright::event::{Data, Event};
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::{Forge, Webhook, events, events_with};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::corpus::{self, Schemas};
use crate::vocabulary::{anything, mutate};

/// A recorded payload.
pub(crate) struct Payload {
    pub(crate) forge: Forge,
    pub(crate) name: String,
    pub(crate) event: String,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn webhook(forge: Forge, event: &str, delivery: &str, body: impl Into<Bytes>) -> Webhook {
    Webhook {
        forge,
        event: event.to_owned(),
        delivery: delivery.to_owned(),
        body: body.into(),
        received: "2026-01-02T03:04:05Z".parse().unwrap(),
    }
}

/// A payload of `tests/fixtures/forges`.
fn fixture(name: &str) -> Value {
    corpus::json(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/forges").join(name))
}

/// Every recorded payload of the three forges. Of GitLab's the payload says what it is, of Bitbucket Cloud's the name of
/// the file.
pub(crate) fn payloads(root: &Path) -> Vec<Payload> {
    let folders = [
        ("gitlab", Forge::GitLab),
        ("bitbucket-cloud", Forge::Bitbucket),
        ("bitbucket-datacenter", Forge::BitbucketDataCenter),
    ];
    let mut payloads = Vec::new();
    for (folder, forge) in folders {
        for path in corpus::json_files(&root.join("forge").join(folder)) {
            let file = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let event = match (forge, file.split('_').nth(1)) {
                (Forge::GitLab, _) => "System Hook".to_owned(),
                (Forge::BitbucketDataCenter, _) => {
                    corpus::json(&path)["eventKey"].as_str().unwrap().to_owned()
                }
                (_, Some("created" | "updated" | "fulfilled")) => {
                    format!("pullrequest:{}", file.split('_').nth(1).unwrap())
                }
                (_, Some("declined")) => "pullrequest:rejected".to_owned(),
                _ => "repo:push".to_owned(),
            };
            let body = std::fs::read(&path).unwrap();
            payloads.push(Payload { forge, name: format!("{folder}/{file}"), event, body });
        }
    }
    assert_eq!(payloads.len(), 14 + 7 + 10);
    payloads
}

fn is_cdevent(event: &Event) -> bool {
    event.ty().starts_with("dev.cdevents")
}

#[test]
fn every_payload_gives_one_raw_event_and_valid_cdevents() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let mut list = String::new();
    for payload in payloads(&root) {
        let webhook = webhook(payload.forge, &payload.event, "delivery", payload.body);
        let events = events(&webhook).unwrap_or_else(|e| panic!("{}: {e}", payload.name));
        assert_eq!(events.iter().filter(|event| !is_cdevent(event)).count(), 1, "{}", payload.name);
        assert_eq!(events[0].id(), "delivery");
        assert_eq!(events[0].data(), &Data::Json(webhook.body.slice_ref(webhook.body.trim_ascii())));
        assert_eq!(events.iter().map(Event::id).collect::<HashSet<_>>().len(), events.len());
        writeln!(list, "{}", payload.name).unwrap();
        for event in &events {
            if is_cdevent(event) {
                schemas.assert_valid(event);
            }
            let (subject, time) = (event.subject().unwrap_or("-"), event.time().unwrap());
            writeln!(list, "  {} | {subject} | {time} | {}", event.ty(), event.source()).unwrap();
        }
    }
    insta::assert_snapshot!("forges", list);
}

#[test]
fn another_delivery_of_the_same_payload_gives_the_same_cdevents() {
    let Some(root) = corpus::root() else { return };
    for payload in payloads(&root) {
        let run = |delivery| {
            events(&webhook(payload.forge, &payload.event, delivery, payload.body.clone())).unwrap()
        };
        let (first, again) = (run("1"), run("2"));
        assert_eq!(first, run("1"));
        assert_ne!(first[0].id(), again[0].id());
        let ids = |events: &[Event]| events[1..].iter().map(|it| it.id().to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&again), "{}", payload.name);
    }
}

#[test]
fn cut_off_payloads_are_refused() {
    let Some(root) = corpus::root() else { return };
    for payload in payloads(&root) {
        let whole = payload.body.trim_ascii_end().len();
        for cut in [0, 1, whole / 2, whole - 1] {
            let webhook = webhook(payload.forge, &payload.event, "1", payload.body[..cut].to_vec());
            assert!(events(&webhook).is_err(), "{} cut at {cut}", payload.name);
        }
    }
}

#[test]
fn mutated_payloads_never_panic_and_never_give_an_invalid_event() {
    let everything = Options::everything();
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let payloads: Vec<(Forge, String, Value)> = payloads(&root)
        .into_iter()
        .map(|it| (it.forge, it.event, serde_json::from_slice(&it.body).unwrap()))
        .collect();
    let changes = prop::collection::vec((any::<u64>(), anything()), 1..4);
    let outcomes = std::cell::Cell::new((0, 0));
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((forge, event, mut payload) in prop::sample::select(payloads), changes in changes)| {
        for (seed, replacement) in &changes {
            mutate(&mut payload, *seed, replacement);
        }
        let (mut cdevents, mut refused) = outcomes.get();
        match events_with(&webhook(forge, &event, "delivery", serde_json::to_vec(&payload).unwrap()), &everything) {
            Ok(events) => {
                prop_assert!(!is_cdevent(&events[0]));
                prop_assert!(!events[0].source().is_empty());
                for event in &events[1..] {
                    cdevents += 1;
                    schemas.assert_valid(event);
                }
            }
            Err(error) => {
                refused += 1;
                // Whatever is in an object, there is a raw event.
                prop_assert!(!payload.is_object(), "{}", error);
            }
        }
        outcomes.set((cdevents, refused));
    });
    let (cdevents, refused) = outcomes.get();
    assert!(cdevents > 500 && refused < 100, "{cdevents} {refused}");
}
