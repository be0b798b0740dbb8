//! Payloads of which one field has another type than the forge gives it today: what that costs.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Instant;

use pipewright::event::Event;
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::{Forge, events_with};
use serde_json::{Value, json};

use super::{is_cdevent, webhook};
use crate::support::corpus;

/// A payload, and what it is called.
struct Sample {
    forge: Forge,
    name: String,
    event: String,
    body: Value,
}

/// What became of all changes of one forge's payloads.
#[derive(Default)]
struct Tally {
    payloads: usize,
    changes: usize,
    /// Deliveries of which nothing is told.
    lost: usize,
    /// The CDEvents of the payloads as they were, once for each change.
    due: usize,
    kept: usize,
    /// Those among the due and the kept where the change was one of type, not a `null`.
    due_of_types: usize,
    kept_of_types: usize,
}

fn sample(forge: Forge, name: &str, event: &str, path: &Path) -> Sample {
    Sample { forge, name: name.to_owned(), event: event.to_owned(), body: corpus::json(path) }
}

/// The payloads of this repository, and those of the corpus where there is one.
fn samples() -> Vec<Sample> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut all = Vec::new();
    for path in corpus::json_files(&fixtures.join("github")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        all.push(sample(Forge::GitHub, name, name.split('.').next().unwrap(), &path));
    }
    for path in corpus::json_files(&fixtures.join("forges")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let forge: Forge = path.parent().unwrap().file_name().unwrap().to_str().unwrap().parse().unwrap();
        let event = match (forge, name.split('.').next().unwrap()) {
            (Forge::Bitbucket, "push") => "repo:push",
            (Forge::Bitbucket, _) => "pullrequest:created",
            (Forge::BitbucketDataCenter, "pr") => "pr:opened",
            (Forge::BitbucketDataCenter, _) => "repo:refs_changed",
            (Forge::GitLab, _) => "System Hook",
            (_, event) => event,
        };
        all.push(sample(forge, name, event, &path));
    }
    let Some(root) = corpus::root() else { return all };
    for payload in super::payloads(&root) {
        let body = serde_json::from_slice(&payload.body).unwrap();
        all.push(Sample { forge: payload.forge, name: payload.name, event: payload.event, body });
    }
    for payload in corpus::github(&root) {
        let body = serde_json::from_slice(&payload.body).unwrap();
        all.push(Sample { forge: Forge::GitHub, name: payload.name, event: payload.event, body });
    }
    for path in corpus::json_files(&root.join("forge/gitea-live")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut capture = corpus::json(&path);
        let headers = capture["request"]["headers"].as_array().unwrap();
        let event =
            headers.iter().find(|it| it[0] == "X-Gitea-Event").unwrap()[1].as_str().unwrap().to_owned();
        let body = capture["body"].take();
        // What came in a form is the same as another.
        if body.is_object() {
            let forge = if all.len() % 2 == 0 { Forge::Gitea } else { Forge::Forgejo };
            all.push(Sample { forge, name: name.to_owned(), event, body });
        }
    }
    all
}

/// The places of a tree, as JSON pointers; below a thousand of them.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), value))
            .collect(),
        Value::Array(items) => {
            items.iter().enumerate().take(3).map(|(i, value)| (format!("{at}/{i}"), value)).collect()
        }
        _ => return,
    };
    for (place, value) in below {
        if found.len() < 1000 {
            found.push(place.clone());
            places(value, &place, found);
        }
    }
}

/// Every change of type that can be made to a value, and `null`; of a time also a text that is none.
fn changes(place: &str, value: &Value) -> Vec<Value> {
    let others = [json!(null), json!("x"), json!(5), json!(1.5), json!(true), json!([]), json!({})];
    let same = |other: &Value| match (value, other) {
        (Value::Number(value), Value::Number(other)) => value.is_f64() == other.is_f64(),
        _ => std::mem::discriminant(value) == std::mem::discriminant(other),
    };
    others.into_iter().filter(|other| !same(other) || other.is_string() && is_time(place)).collect()
}

/// What identifies the `CDEvents` of a delivery.
fn identities(events: &[Event]) -> HashSet<[String; 4]> {
    let all = events.iter().filter(|event| is_cdevent(event));
    all.map(|it| [it.ty(), it.id(), it.source(), it.subject().unwrap_or_default()].map(str::to_owned))
        .collect()
}

/// Whether a value of this kind there means something else instead of nothing: times may be numbers, what an edition changed
/// may be anything, of these GitLab takes the next that is a word, and an issue that has this object is a pull request.
fn may_mean_something(place: &str, replacement: &Value) -> bool {
    let last = place.rsplit('/').next().unwrap_or_default();
    place.starts_with("/changes")
        || is_time(place) && replacement.is_number()
        || last == "pull_request" && replacement.is_object()
}

fn is_time(place: &str) -> bool {
    ["_at", "_on", "date", "Date", "timestamp"].iter().any(|end| place.ends_with(end))
}

/// With `PIPEWRIGHT_SWEEP=all` every change is tried, else one of seventeen, another one in each payload.
#[test]
fn a_field_of_another_type_never_costs_a_delivery_and_never_changes_what_an_event_is() {
    let step = if std::env::var_os("PIPEWRIGHT_SWEEP").is_some_and(|it| it == "all") { 1 } else { 17 };
    let options = Options::everything();
    let began = Instant::now();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (number, sample) in samples().into_iter().enumerate() {
        let told = |body: &Value| {
            events_with(&webhook(sample.forge, &sample.event, "1", body.to_string()), &options)
        };
        let tally = tallies.entry(sample.forge.name()).or_default();
        tally.payloads += 1;
        let Ok(whole) = told(&sample.body).map(|events| identities(&events)) else {
            wrong.push(format!("{}: refused as it is", sample.name));
            continue;
        };
        let mut found = Vec::new();
        places(&sample.body, "", &mut found);
        let all = found.iter().flat_map(|place| {
            let value = sample.body.pointer(place).unwrap();
            changes(place, value).into_iter().map(move |replacement| (place, replacement))
        });
        for (place, replacement) in all.skip(number % step).step_by(step) {
            let mut body = sample.body.clone();
            *body.pointer_mut(place).unwrap() = replacement.clone();
            let kept = if let Ok(events) = told(&body) {
                identities(&events)
            } else {
                tally.lost += 1;
                HashSet::new()
            };
            tally.changes += 1;
            tally.due += whole.len();
            let kept_of_due = kept.intersection(&whole).count();
            tally.kept += kept_of_due;
            if !replacement.is_null() {
                tally.due_of_types += whole.len();
                tally.kept_of_types += kept_of_due;
                if kept_of_due < kept.len() && !may_mean_something(place, &replacement) {
                    wrong.push(format!(
                        "{} {place} {replacement}: {:?}",
                        sample.name,
                        kept.difference(&whole)
                    ));
                }
            }
        }
    }
    for (forge, it) in &tallies {
        println!(
            "{forge}: {} payloads, {} changes, {} deliveries lost, {} of {} CDEvents kept ({} of {} where it was no null)",
            it.payloads, it.changes, it.lost, it.kept, it.due, it.kept_of_types, it.due_of_types
        );
    }
    let sum = |of: fn(&Tally) -> usize| tallies.values().map(of).sum::<usize>();
    println!(
        "all: {} changes, {} deliveries lost, {} of {} CDEvents kept, in {:?}",
        sum(|it| it.changes),
        sum(|it| it.lost),
        sum(|it| it.kept),
        sum(|it| it.due),
        began.elapsed()
    );
    println!("{} are something else than they were", wrong.len());
    wrong.iter().take(40).for_each(|it| println!("  {it}"));
    assert_eq!(sum(|it| it.lost), 0);
    assert!(wrong.is_empty());
    // Most fields only decorate.
    assert!(sum(|it| it.kept) * 100 > sum(|it| it.due) * 90);
}

#[test]
fn what_identifies_an_event_is_what_it_should_be_or_there_is_no_event() {
    let options = Options::everything();
    let told = |sample: &Sample, body: &Value| {
        let events = events_with(&webhook(sample.forge, &sample.event, "1", body.to_string()), &options);
        identities(&events.unwrap())
    };
    let mut all = samples();
    let links = "/pullRequest/toRef/repository/links";
    for (forge, name, place, replacements) in [
        (Forge::GitHub, "push.main.json", "/repository/pushed_at", vec![json!("x"), json!("yesterday")]),
        (
            Forge::BitbucketDataCenter,
            "pr.opened.iso-times.json",
            "/pullRequest/createdDate",
            vec![json!("x")],
        ),
        (Forge::BitbucketDataCenter, "pr.opened.iso-times.json", links, vec![json!("x"), json!([])]),
    ] {
        let sample = all.iter_mut().find(|it| it.forge == forge && it.name == name).unwrap();
        let whole = told(sample, &sample.body);
        assert!(!whole.is_empty(), "{name}");
        for replacement in replacements {
            let mut body = sample.body.clone();
            let (parent, member) = place.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap()[member] = replacement.clone();
            let kept = told(sample, &body);
            assert!(kept.is_subset(&whole), "{name} {place} {replacement}: {kept:?}");
            assert!(kept.len() < whole.len(), "{name} {place} {replacement}: {kept:?}");
        }
    }
}
