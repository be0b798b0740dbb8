//! The vocabulary against real payloads, the official schemas and the project's own SDK.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;

use bytes::Bytes;
use pipewright::event::{Data, Event};
use pipewright::settings::Settings;
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::tekton::{Cluster, RunKind, transitions};
use pipewright::vocabulary::types::{
    Empty, EventType, Extra, Field, Kind, Presence, TYPES, Type, check, lookup,
};
use pipewright::vocabulary::{Forge, Webhook, events, events_with, github};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::corpus::{self, Schemas};
use crate::support::service::Setup;

fn webhook(event: &str, delivery: &str, body: impl Into<Bytes>) -> Webhook {
    Webhook {
        forge: Forge::GitHub,
        event: event.to_owned(),
        delivery: delivery.to_owned(),
        body: body.into(),
        received: "2026-01-02T03:04:05Z".parse().unwrap(),
    }
}

fn is_cdevent(event: &Event) -> bool {
    event.ty().starts_with("dev.cdevents")
}

// --- the table of types

#[test]
fn the_table_equals_the_official_schemas() {
    let Some(root) = corpus::root() else { return };
    let mut schemas = 0;
    for path in corpus::files(&root.join("cdevents/schemas")) {
        let schema = corpus::json(&path);
        let Some(ty) = schema.pointer("/properties/context/properties/type/enum/0") else { continue };
        let ty = ty.as_str().unwrap();
        let ours = lookup(ty).unwrap_or_else(|| panic!("{ty}"));
        assert_eq!(ours.to_string(), ty);
        assert_eq!(ours.schema(), schema["$id"].as_str().unwrap());
        let content = schema.pointer("/properties/subject/properties/content").unwrap();
        assert_eq!(described(ours.fields, Extra::Refused), normalized(content), "{ty}");
        schemas += 1;
    }
    assert_eq!((schemas, TYPES.len()), (45, 45));
}

/// A row of the table as a JSON schema.
fn described(fields: &[Field], extra: Extra) -> Value {
    let mut required: Vec<&str> =
        fields.iter().filter(|f| f.presence == Presence::Required).map(|f| f.name).collect();
    required.sort_unstable();
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), described_kind(&field.kind))).collect();
    json!({"type": "object", "properties": properties, "required": required, "open": extra == Extra::Allowed})
}

fn described_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::NonEmpty => json!({"type": "string", "minLength": 1}),
        Kind::Uri => json!({"type": "string", "format": "uri"}),
        Kind::UriReference => json!({"type": "string", "minLength": 1, "format": "uri-reference"}),
        Kind::OneOf(words) => json!({"type": "string", "enum": words}),
        Kind::Suggested(words, Empty::Allowed) => {
            json!({"anyOf": [{"type": "string", "enum": words}, {"type": "string"}]})
        }
        Kind::Suggested(words, Empty::Refused) => {
            json!({"anyOf": [{"type": "string", "enum": words}, {"type": "string", "minLength": 1}]})
        }
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Object(fields, extra) => described(fields, *extra),
    }
}

/// An official schema in the same form: defaults written out, what says nothing left out.
fn normalized(schema: &Value) -> Value {
    if schema["type"] == "object" {
        let properties: Map<String, Value> = schema["properties"]
            .as_object()
            .map(|all| all.iter().map(|(name, value)| (name.clone(), normalized(value))).collect())
            .unwrap_or_default();
        let mut required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        required.sort_unstable();
        let open = schema["additionalProperties"] != false;
        return json!({"type": "object", "properties": properties, "required": required, "open": open});
    }
    let mut schema = schema.clone();
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("example");
        // An absolute URI is never empty.
        if fields.get("format") == Some(&json!("uri")) {
            fields.remove("minLength");
        }
    }
    schema
}

#[test]
fn every_conformance_event_is_accepted() {
    let Some(root) = corpus::root() else { return };
    let mut seen = HashSet::new();
    for path in corpus::files(&root.join("cdevents/conformance")) {
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let event = corpus::json(&path);
        let ty = Type::parse(event["context"]["type"].as_str().unwrap()).unwrap();
        assert_eq!(check(&ty, &event["subject"]["content"]), Ok(()), "{}", path.display());
        seen.insert(ty.to_string());
    }
    assert_eq!(seen.len(), 45);
    let custom = corpus::json(&root.join("cdevents/custom/conformance.json"));
    let ty = Type::parse(custom["context"]["type"].as_str().unwrap()).unwrap();
    assert!(matches!(ty, Type::Custom(_)));
    assert_eq!(check(&ty, &custom["subject"]["content"]), Ok(()));
}

/// Contents that are valid, or wrong in one place.
fn contents() -> impl Strategy<Value = (&'static EventType, Value)> {
    let word = prop_oneof![
        Just("success"),
        Just("low"),
        Just("report"),
        Just("manual"),
        Just(""),
        Just("https://example.com/a"),
        Just("/relative"),
        Just("a b"),
        Just("mailto:x"),
        Just("text"),
    ]
    .prop_map(Value::from);
    let leaf = prop_oneof![8 => word, 1 => Just(Value::Null), 1 => Just(json!(1))];
    let value = prop_oneof![
        4 => leaf.clone(),
        1 => prop::collection::vec(leaf.clone(), 0..2).prop_map(Value::from),
        4 => prop::collection::btree_map("id|source|uri|type|name|other", leaf, 0..4)
            .prop_map(|map| Value::Object(map.into_iter().collect())),
    ];
    prop::sample::select(TYPES.iter().collect::<Vec<_>>()).prop_flat_map(move |ty| {
        let names: Vec<&str> = ty.fields.iter().map(|f| f.name).chain(["surplus"]).collect();
        prop::collection::btree_map(prop::sample::select(names), value.clone(), 0..6).prop_map(move |map| {
            (ty, Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()))
        })
    })
}

#[test]
fn the_check_agrees_with_the_official_schemas() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let agreed = std::cell::Cell::new(0);
    proptest!(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() }, |((ty, content) in contents())| {
        let event = json!({
            "context": {"specversion": "0.5.1", "id": "1", "source": "/s", "type": ty.to_string(),
                        "timestamp": "2026-01-02T03:04:05Z"},
            "subject": {"id": "1", "content": content},
        });
        let theirs = schemas.problems(&event);
        let ours = check(&Type::from(ty), &content);
        prop_assert_eq!(ours.is_ok(), theirs.is_empty(), "{:?} / {:?}\n{:#}", ours, theirs, event);
        agreed.set(agreed.get() + u32::from(ours.is_ok()));
    });
    // Not all of them were wrong.
    assert!(agreed.get() > 300, "{}", agreed.get());
}

// --- GitHub

#[test]
fn every_github_payload_gives_one_raw_event_and_valid_cdevents() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let payloads = corpus::github(&root);
    assert_eq!(payloads.len(), 150);
    let mut list = String::new();
    let mut all = 0;
    for payload in &payloads {
        let webhook = webhook(&payload.event, "72d3162e-cc78-11e3-81ab-4c9367dc0958", payload.body.clone());
        let events = events(&webhook).unwrap_or_else(|e| panic!("{}: {e}", payload.name));
        let raw: Vec<&Event> = events.iter().filter(|event| !is_cdevent(event)).collect();
        assert_eq!(raw.len(), 1, "{}", payload.name);
        assert_eq!(events[0].id(), webhook.delivery);
        // The recorded files end in a line break, which is not of the payload.
        let body = webhook.body.slice_ref(webhook.body.trim_ascii());
        assert_eq!(events[0].data(), &Data::Json(body));
        assert_eq!(events.iter().map(Event::id).collect::<HashSet<_>>().len(), events.len());
        writeln!(list, "{}", payload.name).unwrap();
        for event in &events {
            if is_cdevent(event) {
                schemas.assert_valid(event);
                all += 1;
            }
            let (subject, time) = (event.subject().unwrap_or("-"), event.time().unwrap());
            writeln!(list, "  {} | {subject} | {time} | {}", event.ty(), event.source()).unwrap();
            if is_cdevent(event) {
                writeln!(list, "    {}", event.tree().unwrap()["subject"]["content"]).unwrap();
            }
        }
    }
    assert!(all >= 57, "{all}");
    insta::assert_snapshot!("github", list);
}

#[test]
fn what_only_some_want_is_valid_too_and_comes_besides_the_usual() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let everything = Options::everything();
    let mut more = BTreeSet::new();
    for payload in corpus::github(&root) {
        let webhook = webhook(&payload.event, "delivery", payload.body);
        let (usual, all) = (events(&webhook).unwrap(), events_with(&webhook, &everything).unwrap());
        assert_eq!(all[..usual.len()], usual, "{}", payload.name);
        for event in &all[usual.len()..] {
            schemas.assert_valid(event);
            more.insert(format!("{} {}", payload.event, event.ty()));
        }
    }
    insta::assert_snapshot!("optional", more.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_same_delivery_gives_the_same_events_and_another_one_the_same_cdevents() {
    let Some(root) = corpus::root() else { return };
    for payload in corpus::github(&root) {
        let first = events(&webhook(&payload.event, "1", payload.body.clone())).unwrap();
        assert_eq!(first, events(&webhook(&payload.event, "1", payload.body.clone())).unwrap());
        let again = events(&webhook(&payload.event, "2", payload.body.clone())).unwrap();
        assert_ne!(first[0].id(), again[0].id());
        let ids = |events: &[Event]| events[1..].iter().map(|e| e.id().to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&again), "{}", payload.name);
    }
}

#[test]
fn create_and_push_of_one_tag_deletion_are_one_event() {
    let Some(root) = corpus::root() else { return };
    let payloads = corpus::github(&root);
    let id = |name: &str| {
        let payload = payloads.iter().find(|payload| payload.name == name).unwrap();
        let events = events(&webhook(&payload.event, name, payload.body.clone())).unwrap();
        assert_eq!(events[1].ty(), "dev.cdeventsx.git-tag.deleted.0.1.0");
        events[1].id().to_owned()
    };
    assert_eq!(id("push/payload.json"), id("delete/with-installation.payload.json"));
    // The same through the hook of an organisation.
    assert_eq!(id("push/1.payload.json"), id("delete/with-organization.payload.json"));
    assert_eq!(id("push/payload.json"), id("push/1.payload.json"));
}

/// The ids of the `CDEvents` of a delivery.
fn cdevent_ids(event: &str, body: &Value) -> Vec<String> {
    let events = events(&webhook(event, "1", serde_json::to_vec(body).unwrap())).unwrap();
    events.iter().filter(|event| is_cdevent(event)).map(|event| event.id().to_owned()).collect()
}

#[test]
fn a_repository_hook_an_organization_hook_an_app_and_a_redelivery_give_the_same_ids() {
    let Some(root) = corpus::root() else { return };
    let mut compared = 0;
    for payload in corpus::github(&root) {
        let mut plain: Value = serde_json::from_slice(&payload.body).unwrap();
        let ids = cdevent_ids(&payload.event, &plain);
        plain.as_object_mut().unwrap().remove("organization");
        plain.as_object_mut().unwrap().remove("installation");
        let mut organization = plain.clone();
        organization["organization"] =
            json!({"login": "acme", "id": 1, "url": "https://api.github.com/orgs/acme"});
        let mut app = organization.clone();
        app["installation"] = json!({"id": 1, "node_id": "x"});
        for body in [&plain, &organization, &app] {
            assert_eq!(cdevent_ids(&payload.event, body), ids, "{}", payload.name);
            compared += ids.len();
        }
    }
    assert!(compared >= 3 * 57, "{compared}");
}

#[test]
fn what_two_events_tell_is_one_id() {
    let Some(root) = corpus::root() else { return };
    let payloads = corpus::github(&root);
    let ids = |name: &str, tag: Option<&str>| {
        let payload = payloads.iter().find(|payload| payload.name == name).unwrap();
        let mut body: Value = serde_json::from_slice(&payload.body).unwrap();
        for field in ["package", "registry_package"] {
            if let Some(name) =
                body.pointer_mut(&format!("/{field}/package_version/container_metadata/tag/name"))
            {
                *name = json!(tag);
            }
        }
        let ids = cdevent_ids(&payload.event, &body);
        assert_eq!(ids.len(), usize::from(!name.contains("package") || tag.is_some()), "{name}");
        ids
    };
    assert_eq!(
        ids("fork/with-installation.payload.json", None),
        ids("repository/created.payload.json", None)
    );
    assert_eq!(ids("public/payload.json", None), ids("repository/publicized.payload.json", None));
    let (package, registry) =
        ("package/published.docker.payload.json", "registry_package/published.docker.payload.json");
    assert_eq!(ids(package, Some("v1")), ids(registry, Some("v1")));
    assert_ne!(ids(package, Some("v1")), ids(package, Some("v2")));
    // As recorded, they tell of a layer without a tag.
    assert_eq!(ids(package, None), ids(registry, None));
}

const HOST: &str = "https://ghe.example.com:8443";

#[test]
fn a_github_enterprise_host_gives_the_same_events_with_a_source_of_its_own() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let mut compared = 0;
    for payload in corpus::github(&root) {
        let text = String::from_utf8(payload.body.clone()).unwrap();
        let moved = text
            .replace("https://api.github.com", &format!("{HOST}/api/v3"))
            .replace("https://github.com", HOST)
            .replace("http://github.com", HOST);
        let public = events(&webhook(&payload.event, "1", payload.body.clone())).unwrap();
        let own = events(&webhook(&payload.event, "1", moved)).unwrap();
        assert_eq!(
            public.iter().map(Event::ty).collect::<Vec<_>>(),
            own.iter().map(Event::ty).collect::<Vec<_>>(),
            "{}",
            payload.name
        );
        for (public, own) in public.iter().zip(&own).filter(|(_, own)| is_cdevent(own)) {
            schemas.assert_valid(own);
            assert!(own.source().starts_with(HOST), "{}", own.source());
            assert_ne!(public.id(), own.id());
            assert_ne!(public.attribute("correlationid"), own.attribute("correlationid"));
            compared += 1;
        }
    }
    assert!(compared >= 57, "{compared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_a_run_is_what_the_settings_say() {
    let body = json!({
        "action": "completed",
        "workflow_run": {"id": 1, "name": "CI", "conclusion": "neutral", "updated_at": "2026-01-01T00:00:00Z"},
        "repository": {"id": 7, "full_name": "acme/shop", "html_url": "https://github.com/acme/shop"},
    });
    let body = Bytes::from(body.to_string());
    for (outcomes, expected) in [("{}", "success"), ("{neutral: failure, Succeeded: error}", "failure")] {
        let text =
            format!("apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec:\n  outcomes: {outcomes}\n");
        let parsed = Settings::parse(&text).unwrap();
        let setup = Setup::new().with(|settings| settings.process.outcomes = parsed.process.outcomes);
        let service = setup.start().await;
        assert_eq!(service.github("workflow_run", body.clone()).await.status, 202);
        let events = service.events.take();
        assert_eq!(events.len(), 1);
        let data = events[0].tree().unwrap();
        assert_eq!(data["subject"]["content"]["outcome"], expected);
        assert_eq!(data["customData"]["run"]["conclusion"], "neutral");
        service.stop().await;
    }
    for (wrong, reason) in [
        ("{neutral: bad}", "unknown variant `bad`"),
        ("{Neutral: failure}", "`Neutral` is no word for the end of a run; write `neutral`"),
    ] {
        let text =
            format!("apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec:\n  outcomes: {wrong}\n");
        let error = Settings::parse(&text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn cut_off_payloads_are_refused() {
    let Some(root) = corpus::root() else { return };
    for payload in corpus::github(&root) {
        let whole = payload.body.trim_ascii_end().len();
        for cut in [0, 1, whole / 2, whole - 1] {
            let result = events(&webhook(&payload.event, "1", payload.body[..cut].to_vec()));
            assert!(result.is_err(), "{} cut at {cut}", payload.name);
        }
    }
}

/// One change somewhere in a payload.
pub fn mutate(value: &mut Value, seed: u64, replacement: &Value) {
    let mut places = Vec::new();
    collect(value, String::new(), &mut places);
    let place = &places[usize::try_from(seed).unwrap() % places.len()];
    if let Some(target) = value.pointer_mut(place) {
        *target = replacement.clone();
    }
}

/// The paths that the vocabulary may look at: not deeper than four.
pub fn collect(value: &Value, at: String, places: &mut Vec<String>) {
    if at.matches('/').count() < 4 {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    collect(value, format!("{at}/{key}"), places);
                }
            }
            Value::Array(items) => {
                for (i, value) in items.iter().enumerate() {
                    collect(value, format!("{at}/{i}"), places);
                }
            }
            _ => {}
        }
    }
    places.push(at);
}

pub fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        Just(json!("\u{1}\n")),
        Just(json!("a b%<>\"")),
        Just(json!("https://exa mple.com/x")),
        Just(json!("https://ghe.example.com:8443/o/r")),
        Just(json!("-009999-01-01T00:00:00Z")),
        Just(json!("\u{10ffff}")),
        Just(json!({})),
        Just(json!([])),
        Just(json!([[], {"name": 1}])),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(json!(1e300)),
        any::<bool>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        "[a-z]{1,9}".prop_map(Value::from),
    ]
}

#[test]
fn mutated_payloads_never_panic_and_never_give_an_invalid_event() {
    let everything = Options::everything();
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let known: HashSet<&str> = github::ROWS.iter().map(|row| row.event).collect();
    let payloads: Vec<(String, Value)> = corpus::github(&root)
        .into_iter()
        .map(|payload| (payload.event.clone(), serde_json::from_slice(&payload.body).unwrap()))
        .collect();
    let (typed, raw): (Vec<_>, Vec<_>) =
        payloads.into_iter().partition(|(event, _)| known.contains(&event.as_str()));
    let one_of = prop_oneof![3 => prop::sample::select(typed), 1 => prop::sample::select(raw)];
    let changes = prop::collection::vec((any::<u64>(), anything()), 1..4);
    let outcomes = std::cell::Cell::new((0, 0, 0));
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((event, mut payload) in one_of, changes in changes)| {
        for (seed, replacement) in &changes {
            mutate(&mut payload, *seed, replacement);
        }
        let body = serde_json::to_vec(&payload).unwrap();
        let (mut good, mut cdevents, mut refused) = outcomes.get();
        match events_with(&webhook(&event, "delivery", body), &everything) {
            Ok(events) => {
                good += 1;
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
                prop_assert!(!payload.is_object(), "{event}: {error}");
            }
        }
        outcomes.set((good, cdevents, refused));
    });
    let (good, cdevents, refused) = outcomes.get();
    assert!(good > 500 && cdevents > 200 && refused < 100, "{good} {cdevents} {refused}");
}

// --- Tekton

#[test]
fn every_captured_tekton_run_gives_valid_events() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let cluster = Cluster::new("https://tekton.example.com/c", None, "https://10.0.0.1:6443").unwrap();
    let index = std::fs::read_to_string(root.join("tekton-events/index.tsv")).unwrap();
    // The last state of each object, and on the way the events that every earlier state gave.
    let mut runs: BTreeMap<(String, String), (RunKind, Value)> = BTreeMap::new();
    let mut seen: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    let mut captures = 0;
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let capture = corpus::json(&root.join("tekton-events").join(columns[0]));
        let kind = match columns[2] {
            "pipelineRun" => RunKind::PipelineRun,
            "taskRun" => RunKind::TaskRun,
            "customRun" => RunKind::CustomRun,
            other => panic!("{other}"),
        };
        let object = capture["body"][columns[2]].clone();
        let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
        for transition in transitions(&object, kind, &cluster) {
            schemas.assert_valid(&transition.event);
            let known = seen.entry(uid.clone()).or_default();
            if !known.iter().any(|event| event.id() == transition.event.id()) {
                known.push(transition.event);
            }
        }
        let scenario = capture["scenario"].as_str().unwrap().to_owned();
        runs.insert((scenario, uid), (kind, object));
        captures += 1;
    }
    assert_eq!(captures, 173);
    let mut list = String::new();
    for ((scenario, uid), (kind, object)) in &runs {
        let all = transitions(object, *kind, &cluster);
        // Nothing that an earlier state announced is missing in the last one, or otherwise in any way.
        let now: Vec<&Event> = all.iter().map(|transition| &transition.event).collect();
        let before: Vec<&Event> = seen.get(uid).into_iter().flatten().collect();
        assert_eq!(before, now, "{scenario}");
        let reason = object.pointer("/status/conditions/0/reason").and_then(Value::as_str).unwrap_or("-");
        let task = object.pointer("/metadata/labels/tekton.dev~1pipelineTask").and_then(Value::as_str);
        writeln!(list, "{scenario}: {} {} {reason}", kind.as_str(), task.unwrap_or("-")).unwrap();
        for transition in &all {
            let data = transition.event.tree().unwrap();
            let outcome = data["subject"]["content"]["outcome"].as_str().unwrap_or("");
            writeln!(list, "  {} {outcome}", transition.name).unwrap();
        }
    }
    // uids are random, so the order of equal lines is not.
    let mut blocks: Vec<String> = Vec::new();
    for line in list.lines() {
        match blocks.last_mut() {
            Some(block) if line.starts_with(' ') => write!(block, "\n{}", line.trim_end()).unwrap(),
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks.sort();
    insta::assert_snapshot!("tekton", blocks.join("\n"));
}
