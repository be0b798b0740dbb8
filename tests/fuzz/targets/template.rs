//! Templates, CEL and JSONPath: whatever the event says, a plan has the structure that its author wrote.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use pipewright::action::{Action, Plan};
use pipewright::event::{Data, Event, json};
use pipewright::mapping::{Catalog, File, MappingSet};
use serde_json::{Value, json};

use super::cloudevents::assert_unchanged;

const MAPPINGS: &str = include_str!("template.yaml");

/// Data in which nothing is special.
const PLAIN: &str =
    r#"{"title": "a title", "body": "a body", "labels": ["one"], "n": 1, "list": [{"name": "x"}]}"#;

/// Each mapping alone, so that what one refuses hides nothing of another, with the outline of a plan from plain data.
static SETS: OnceLock<Vec<(MappingSet, Vec<Outline>)>> = OnceLock::new();

/// The paths of an object with, for strings, how many substitutions (`$(`) they hold; nothing below a typed param.
type Outline = BTreeMap<String, Option<usize>>;

/// The input is the event's data: JSON, or lines for its fields.
pub fn run(input: &[u8]) {
    let event = event(input);
    for (set, outlines) in SETS.get_or_init(sets) {
        match set.plan(std::slice::from_ref(&event)).complete() {
            Ok(plan) => check(&plan, outlines),
            Err(error) => {
                let text = error.to_string();
                assert!(text.starts_with("mapping `"), "{text}");
                assert!(text.len() < 16 * 1024, "an error must not quote its input");
            }
        }
    }
}

fn event(input: &[u8]) -> Arc<Event> {
    let data = if let Ok(json) = json::well_formed(input) {
        Bytes::copy_from_slice(json)
    } else {
        let text = String::from_utf8_lossy(input);
        let mut lines = text.split('\n');
        let mut line = || lines.next().unwrap_or_default();
        let (title, body, number) = (line(), line(), line().parse().unwrap_or(0.5_f64));
        let labels: Vec<&str> = lines.take(40).collect();
        let list: Vec<Value> = labels.iter().map(|name| json!({"name": name})).collect();
        json!({"title": title, "body": body, "n": number, "labels": labels, "list": list}).to_string().into()
    };
    let event = Event::builder("1", "https://example.com/fuzz", "com.example.fuzz")
        .datacontenttype("application/json")
        .data(Data::Json(data));
    Arc::new(event.build().expect("its attributes are fixed"))
}

fn sets() -> Vec<(MappingSet, Vec<Outline>)> {
    let catalog = Catalog { sinks: vec!["audit".to_owned()], ..Catalog::default() };
    let compile = |text: &str| {
        let file = File { path: "template.yaml".to_owned(), text: Arc::from(text) };
        MappingSet::compile(&[file], &catalog).unwrap_or_else(|report| panic!("{report}")).0
    };
    let sets = MAPPINGS.split("\n---\n").map(|text| {
        let set = compile(text);
        let plan = set.plan(&[event(PLAIN.as_bytes())]).complete().unwrap_or_else(|error| panic!("{error}"));
        assert!(!plan.actions.is_empty(), "plain data is planned for");
        let outlines = runs(&plan).map(outline).collect();
        (set, outlines)
    });
    sets.collect()
}

fn runs(plan: &Plan) -> impl Iterator<Item = &Value> {
    plan.actions.iter().filter_map(|action| match action {
        Action::PipelineRun(run) => Some(&run.object),
        Action::Emit(_) => None,
    })
}

fn check(plan: &Plan, outlines: &[Outline]) {
    for action in &plan.actions {
        if let Action::Emit(emit) = action {
            assert_unchanged(&emit.event);
        }
    }
    for (run, wanted) in runs(plan).zip(outlines) {
        assert_eq!(&outline(run), wanted, "data changed the structure, or left a substitution: {run:#}");
    }
}

fn outline(object: &Value) -> Outline {
    let mut found = Outline::new();
    note(object, String::new(), false, &mut found);
    found
}

fn note(value: &Value, path: String, typed: bool, found: &mut Outline) {
    match value {
        // Inside a typed value only substitutions count, and there must be none.
        Value::String(text) if typed => assert_eq!(substitutions(text), 0, "{path}: {text:?}"),
        Value::Array(items) if typed => items.iter().for_each(|item| note(item, path.clone(), true, found)),
        Value::Object(members) if typed => {
            for (name, member) in members {
                assert_eq!(substitutions(name), 0, "{path}: {name:?}");
                note(member, path.clone(), true, found);
            }
        }
        Value::String(text) => drop(found.insert(path, Some(substitutions(text)))),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note(item, format!("{path}/{index}"), false, found);
            }
        }
        Value::Object(members) => {
            let typed = |members: &serde_json::Map<String, Value>| {
                members.get("name").and_then(Value::as_str).is_some_and(|name| name.starts_with("typed"))
            };
            let typed = path.starts_with("/spec/params") && typed(members);
            for (name, member) in members {
                note(member, format!("{path}/{name}"), typed && name == "value", found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) if typed => {}
        Value::Null | Value::Bool(_) | Value::Number(_) => drop(found.insert(path, None)),
    }
}

/// How often Tekton or the kubelet could substitute.
fn substitutions(text: &str) -> usize {
    text.matches("$(").count()
}
