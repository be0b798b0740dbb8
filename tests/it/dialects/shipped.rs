//! The shipped mappings of Eiffel, Keptn and `OpenCI`: every event that they make is valid, and none goes round in circles.

use std::path::Path;
use std::sync::Arc;

use pipewright::action::Action;
use pipewright::event::http::encode_structured;
use pipewright::event::{Event, json};
use pipewright::mapping::{Catalog, File, MappingSet};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::seen;
use crate::support::corpus::{self, Schemas};
use crate::support::service::{Service, Setup};
use crate::vocabulary::{anything, mutate};

const DIALECTS: [&str; 5] = ["eiffel", "keptn", "keptn-out", "openci", "openci-out"];

fn file(name: &str) -> File {
    let path = format!("{}/mappings/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(Path::new(&path)).unwrap();
    File { path, text: text.into() }
}

/// The events that the examples of a file start from.
fn examples(file: &File) -> Vec<Event> {
    let document: Value = serde_saphyr::from_str(&file.text).unwrap();
    let examples = document["spec"]["examples"].as_array().unwrap();
    let mut events = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let mut event = example["given"]["cloudEvent"].clone();
        for (name, value) in [
            ("specversion", "1.0".to_owned()),
            ("id", format!("example-{index}")),
            ("source", "/example".to_owned()),
        ] {
            event.as_object_mut().unwrap().entry(name).or_insert(value.into());
        }
        events.push(json::decode(event.to_string().into()).unwrap());
    }
    events
}

#[test]
fn every_cdevent_that_the_shipped_mappings_make_is_valid() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let files = DIALECTS.map(file);
    let (set, report) =
        MappingSet::compile(&files, &Catalog::default()).unwrap_or_else(|it| panic!("{}", it.to_json()));
    assert!(report.is_empty(), "{}", report.to_json());
    let (mut valid, mut types) = (0, std::collections::BTreeSet::new());
    for event in files.iter().flat_map(examples) {
        let events: Vec<Arc<Event>> = seen(&event).into_iter().map(Arc::new).collect();
        for action in set.plan(&events).complete().unwrap().actions {
            let Action::Emit(emit) = action else { panic!("{action:?}") };
            if emit.event.ty().starts_with("dev.cdevents") {
                schemas.assert_valid(&emit.event);
                valid += 1;
            }
            types.insert(emit.event.ty().to_owned());
        }
    }
    assert!(valid >= 36, "{valid}");
    let types: Vec<String> = types.into_iter().collect();
    insta::assert_snapshot!("shipped_dialects", types.join("\n"));
}

#[test]
fn whatever_stands_in_such_an_event_what_is_made_of_it_is_valid() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let files = DIALECTS.map(file);
    let (set, _) =
        MappingSet::compile(&files, &Catalog::default()).unwrap_or_else(|it| panic!("{}", it.to_json()));
    let examples: Vec<Event> = files.iter().flat_map(examples).collect();
    let (planned, refused) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let strategy = (0..examples.len(), any::<u64>(), anything());
    proptest!(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() }, |((index, place, value) in strategy)| {
        let example = &examples[index];
        let mut data = example.tree().unwrap().clone();
        mutate(&mut data, place, &value);
        let event = example.to_builder().json(data.to_string()).build().unwrap();
        match set.plan(&[Arc::new(event)]).complete() {
            // What is no such event at all is refused, with the place in the mapping.
            Err(error) => {
                prop_assert!(!error.place.is_empty() && !error.reason.is_empty());
                refused.set(refused.get() + 1);
            }
            Ok(plan) => for action in plan.actions {
                let Action::Emit(emit) = action else { panic!("{action:?}") };
                if emit.event.ty().starts_with("dev.cdevents") {
                    schemas.assert_valid(&emit.event);
                    planned.set(planned.get() + 1);
                }
            }
        }
    });
    assert!(planned.get() > 300 && refused.get() < 1000, "{} {}", planned.get(), refused.get());
}

#[test]
fn the_form_of_what_goes_to_openci_can_be_chosen() {
    let mut out = file("openci-out");
    out.text = out.text.replace("form: {template: environment}", "form: {template: camelCase}").into();
    let (set, _) =
        MappingSet::compile(&[out], &Catalog::default()).unwrap_or_else(|it| panic!("{}", it.to_json()));
    let told = |ty: &str, subject: &str, content: Value| {
        let event = Event::builder("e-1", "https://ci.example.com/1", ty)
            .time("2026-11-20T23:34:56+02:00")
            .subject(subject)
            .json(json!({"subject": {"content": content}}).to_string())
            .build()
            .unwrap();
        let plan = set.plan(&[Arc::new(event)]).complete().unwrap();
        let [Action::Emit(emit)] = &plan.actions[..] else { panic!("{plan:?}") };
        emit.event.tree().unwrap().clone()
    };
    let common = |more: Value| {
        let mut all =
            json!({"eventId": "e-1", "eventTime": "21:34:56UTC", "buildUrl": "https://ci.example.com/1"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    assert_eq!(
        told("dev.cdevents.artifact.published.0.3.0", "pkg:generic/a", json!({})),
        common(json!({"artifactUrl": "pkg:generic/a"}))
    );
    assert_eq!(
        told(
            "dev.cdeventsx.openci-baseline.defined.0.1.0",
            "b",
            json!({"uri": "https://b", "consistsOf": [{"id": "x"}]})
        ),
        common(json!({"baselineName": "b", "baselineUrl": "https://b", "consistsOf": "x"}))
    );
    assert_eq!(
        told(
            "dev.cdeventsx.openci-confidencelevel.modified.0.1.0",
            "b",
            json!({"name": "STABLE", "value": "SUCCESS"})
        ),
        common(json!({"baselineName": "b", "baselineUrl": "", "confidenceLevel": {"STABLE": "SUCCESS"}}))
    );
}

async fn post(service: &Service, event: &Event) {
    let (headers, body) = encode_structured(event);
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
    let answer = service.send("POST", "/events", &headers, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// The types of the events that leave, round by round, when all of them come back as from a broker.
async fn rounds(service: &Service, first: &Event) -> Vec<Vec<String>> {
    let mut rounds = Vec::new();
    let mut under_way = vec![first.to_builder().build().unwrap()];
    while !under_way.is_empty() {
        assert!(rounds.len() < 5, "{rounds:?}");
        for event in &under_way {
            post(service, event).await;
        }
        under_way = service.events.take();
        let mut types: Vec<String> = under_way.iter().map(|event| event.ty().to_owned()).collect();
        types.sort();
        rounds.push(types);
    }
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_from_a_dialect_does_not_go_out_there_again_nor_come_in_twice() {
    let mut setup = Setup::new();
    for name in DIALECTS {
        setup = setup.shipped(name);
    }
    let service = setup.start().await;
    let event = |ty: &str, data: Value| {
        Event::builder("e-1", "https://ci.example.com/1", ty)
            .time("2026-11-20T12:40:00Z")
            .subject("s")
            .json(data.to_string())
            .build()
            .unwrap()
    };

    let from_openci = event(
        "org.openci.event",
        json!({"EVENT_ID": "o-1", "EVENT_TIME": "12:34:56UTC", "BUILD_URL": "https://ci.example.com/1",
               "ARTIFACT_URL": "https://nexus.example.com/a.tgz", "PROJECT_BRANCH": "master", "AUTORELEASE": "SUCCESS"}),
    );
    let came = [
        "dev.cdevents.artifact.packaged.0.3.0",
        "dev.cdevents.artifact.published.0.3.0",
        "dev.cdeventsx.openci-confidencelevel.modified.0.1.0",
    ];
    assert_eq!(rounds(&service, &from_openci).await, [came.to_vec(), vec![]]);

    let from_keptn = event(
        "sh.keptn.event.deployment.finished",
        json!({"project": "p", "stage": "dev", "service": "carts", "result": "pass", "status": "succeeded"}),
    );
    assert_eq!(rounds(&service, &from_keptn).await, [vec!["dev.cdevents.service.deployed.0.3.0"], vec![]]);

    // Ours goes out once; that it comes back changes nothing.
    let cdevent = |ty: &str, subject: &str, content: Value| {
        let context = json!({"specversion": "0.5.1", "id": "e-1", "source": "https://ci.example.com/1", "type": ty,
                             "timestamp": "2026-11-20T12:40:00Z"});
        event(ty, json!({"context": context, "subject": {"id": subject, "content": content}}))
    };
    let published = cdevent("dev.cdevents.artifact.published.0.3.0", "pkg:generic/a", json!({}));
    assert_eq!(rounds(&service, &published).await, [vec!["org.openci.ArtifactCreated"], vec![]]);
    let deployed = json!({"environment": {"id": "prod"}, "artifactId": "pkg:generic/a"});
    let deployed = cdevent("dev.cdevents.service.deployed.0.3.0", "shop", deployed);
    assert_eq!(rounds(&service, &deployed).await, [vec!["sh.keptn.event.deployment.finished"], vec![]]);

    // From one dialect into another.
    let composed = event(
        "io.github.eiffel-community.EiffelCompositionDefinedEvent",
        json!({"meta": {"id": "e-9", "type": "EiffelCompositionDefinedEvent", "version": "3.0.0", "time": 1},
               "data": {"name": "release"}, "links": [{"type": "ELEMENT", "target": "e-8"}]}),
    );
    assert_eq!(
        rounds(&service, &composed).await,
        [vec!["dev.cdeventsx.openci-baseline.defined.0.1.0"], vec!["org.openci.BaselineDefined"], vec![]]
    );
    service.stop().await;
}
