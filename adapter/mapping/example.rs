//! The examples inside mapping files: each is an event and the plan that its mapping must make of it.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::MappingSet;
use super::compile::Mapping;
use super::document::{Example, Given};
use super::evaluate::{StepOutcome, Verdict};
use super::explain::{action_json, filter_reason, when_reason};
use crate::event::{Data, Event, voucher};
use crate::vocabulary::options::Options;
use crate::vocabulary::{self, Forge, Webhook, alias};

/// Reads the files that examples name: gets the mapping file's path and the name that stands in it.
pub type ReadFile<'a> = dyn Fn(&str, &str) -> Result<Vec<u8>, String> + 'a;

/// What became of one example.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExampleOutcome {
    /// The mapping's name.
    pub mapping: String,
    /// The path of its file.
    pub file: String,
    /// The example's name.
    pub example: String,
    /// Whether it holds.
    #[serde(flatten)]
    pub result: ExampleResult,
}

/// Whether an example holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "result", rename_all = "camelCase")]
pub enum ExampleResult {
    /// The plan is as expected.
    Passed,
    /// It is not.
    Failed {
        /// The first difference, such as `expect[0].pipelineRun.spec.pipelineRef.name: expected "a", got "b"`.
        difference: String,
        /// The list under `expect`.
        expected: Value,
        /// The whole plan, in the same form.
        actual: Value,
        /// Why the mapping did not run, where it did not.
        reasons: Vec<String>,
    },
    /// The example cannot be run.
    Broken {
        /// Why.
        reason: String,
    },
}

// === impl MappingSet ===

impl MappingSet {
    /// Runs every example of every mapping, each against its own mapping only.
    pub fn run_examples(&self, read: &ReadFile<'_>) -> Vec<ExampleOutcome> {
        let mut outcomes = Vec::new();
        for mapping in &self.mappings {
            for example in &mapping.examples {
                outcomes.push(ExampleOutcome {
                    mapping: mapping.name.clone(),
                    file: mapping.file.clone(),
                    example: example.name.to_string(),
                    result: self
                        .run_example(mapping, example, read)
                        .unwrap_or_else(|reason| ExampleResult::Broken { reason }),
                });
            }
        }
        outcomes
    }

    fn run_example(
        &self,
        mapping: &Mapping,
        example: &Example,
        read: &ReadFile<'_>,
    ) -> Result<ExampleResult, String> {
        let mut actual = Vec::new();
        let mut reasons = Vec::new();
        let mut others = Vec::new();
        let mut is_for = false;
        let mut keys = std::collections::HashSet::new();
        let config = &self.catalog.config;
        for event in events(&example.given, &mapping.file, read, &self.catalog.options)? {
            let event = Arc::new(event);
            match mapping.evaluate(&event, &self.catalog).map_err(|error| error.to_string())? {
                Verdict::OtherEvent => others.push(format!("`{}`", event.ty())),
                Verdict::Filtered { clause, reason } => {
                    let reason = filter_reason(mapping, &event, config, clause, &reason);
                    reasons.push(format!("`{}`: filter[{clause}]: {reason}", event.ty()));
                }
                Verdict::Fired(fired) => {
                    is_for = true;
                    for (index, step) in fired.steps.into_iter().enumerate() {
                        match step.outcome {
                            StepOutcome::Planned(action) => {
                                if keys.insert(action.origin().key) {
                                    actual.push(action_json(&action));
                                }
                            }
                            StepOutcome::Skipped(reason) => {
                                let reason =
                                    when_reason(mapping, &event, config, &fired.vars, index, &reason);
                                reasons.push(format!("`{}`: action `{}`: {reason}", event.ty(), step.name));
                            }
                        }
                    }
                }
            }
        }
        // The raw event beside a CDEvent is nothing to speak of, unless no event is one that the mapping is for.
        if !is_for && reasons.is_empty() && !others.is_empty() {
            reasons.push(format!("no entry of `events` matches {}", others.join(" or ")));
        }
        Ok(match difference(&example.expect, &actual) {
            None => ExampleResult::Passed,
            Some(difference) => ExampleResult::Failed {
                difference,
                expected: Value::Array(example.expect.clone()),
                actual: Value::Array(actual),
                reasons,
            },
        })
    }
}

/// The events that an example starts from.
fn events(given: &Given, file: &str, read: &ReadFile<'_>, options: &Options) -> Result<Vec<Event>, String> {
    let (events, voucher) = match given {
        Given::Webhook { source, forge, event, body } => {
            let forge = forge.as_ref().unwrap_or(source);
            let forge: Forge = forge.parse().map_err(|_| format!("unknown source `{}`", &**forge))?;
            let webhook = Webhook {
                forge,
                event: event.to_string(),
                // Fixed, so that an example has the same outcome at any time.
                delivery: "00000000-0000-4000-8000-000000000000".to_owned(),
                body: read(file, body)?.into(),
                received: jiff::Timestamp::UNIX_EPOCH,
            };
            let events = vocabulary::events_with(&webhook, options).map_err(|error| error.to_string())?;
            (events, Some(source))
        }
        Given::File { source, file: name } => {
            let bytes = read(file, name)?;
            let value: Value = serde_json::from_slice(&bytes)
                .map_err(|error| format!("`{}` is not JSON: {error}", &**name))?;
            let events = match value {
                Value::Array(items) => {
                    let seen: Result<Vec<Vec<Event>>, String> =
                        items.into_iter().map(|item| seen(item, options)).collect();
                    seen?.into_iter().flatten().collect()
                }
                one => seen(one, options)?,
            };
            (events, source.as_ref())
        }
        Given::Inline { source, event } => (seen(event.clone(), options)?, source.as_ref()),
    };
    let voucher: Arc<str> = voucher.map_or(voucher::INSECURE, |voucher| voucher).into();
    Ok(events.into_iter().map(|event| event.vouched(Arc::clone(&voucher))).collect())
}

/// What mappings see of a CloudEvent that comes in.
fn seen(value: Value, options: &Options) -> Result<Vec<Event>, String> {
    Ok(alias::events(cloud_event(value)?, options, jiff::Timestamp::UNIX_EPOCH))
}

/// A CloudEvent from its JSON form. `id`, `source` and `time` may be left out in an example.
fn cloud_event(value: Value) -> Result<Event, String> {
    let Value::Object(mut members) = value else { return Err("a CloudEvent is a JSON object".to_owned()) };
    let mut text = |name: &str| match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` of the CloudEvent must be a string")),
    };
    text("specversion")?;
    let ty = text("type")?.ok_or("the CloudEvent has no `type`")?;
    let id = text("id")?.unwrap_or_else(|| "example".to_owned());
    let source = text("source")?.unwrap_or_else(|| "/example".to_owned());
    let mut event = Event::builder(id, source, ty);
    if let Some(subject) = text("subject")? {
        event = event.subject(subject);
    }
    if let Some(time) = text("time")? {
        event = event.time(time);
    }
    if let Some(schema) = text("dataschema")? {
        event = event.dataschema(schema);
    }
    let media_type = text("datacontenttype")?;
    match members.remove("data") {
        None | Some(Value::Null) => {}
        Some(data) => {
            let data = Data::Json(data.to_string().into());
            event =
                event.datacontenttype(media_type.unwrap_or_else(|| "application/json".to_owned())).data(data);
        }
    }
    for (name, value) in members {
        event = match value {
            Value::String(text) => event.extension(name, text),
            Value::Bool(flag) => event.extension(name, flag),
            Value::Number(number) => {
                let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
                event.extension(name.clone(), number.ok_or(format!("`{name}` must fit into 32 bits"))?)
            }
            _ => return Err(format!("the extension `{name}` must be a string, a number or a boolean")),
        };
    }
    event.build().map_err(|error| error.to_string())
}

/// The first difference between what is expected and what is planned.
fn difference(expected: &[Value], actual: &[Value]) -> Option<String> {
    for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
        if let Some(difference) = mismatch(expected, actual, &format!("expect[{index}]")) {
            return Some(difference);
        }
    }
    if expected.len() == actual.len() {
        return None;
    }
    let names = |list: &[Value]| {
        let names: Vec<String> = list
            .iter()
            .map(|item| format!("`{}`", item.get("action").and_then(Value::as_str).unwrap_or("…")))
            .collect();
        if names.is_empty() { "no action".to_owned() } else { format!("the actions {}", names.join(", ")) }
    };
    Some(format!("expect: expected {}, got {}", names(expected), names(actual)))
}

/// Maps match when every expected member does; lists when they are as long and every item does.
fn mismatch(expected: &Value, actual: &Value, place: &str) -> Option<String> {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(name, wanted)| {
            let place = format!("{place}.{name}");
            match found.get(name) {
                Some(found) => mismatch(wanted, found, &place),
                None => Some(format!("{place}: expected {}, got nothing{}", shown(wanted), members(found))),
            }
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            let first =
                wanted.iter().zip(found).enumerate().find_map(|(index, (wanted, found))| {
                    mismatch(wanted, found, &format!("{place}[{index}]"))
                });
            first.or_else(|| {
                (wanted.len() != found.len())
                    .then(|| format!("{place}: expected {} items, got {}", wanted.len(), found.len()))
            })
        }
        (wanted, found) if same(wanted, found) => None,
        (wanted, found) => Some(format!("{place}: expected {}, got {}", shown(wanted), shown(found))),
    }
}

/// `12` and `12.0` are one number.
fn same(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => one == two || one.as_f64() == two.as_f64(),
        _ => one == two,
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    let short = crate::expression::words::truncate(&text, 200);
    if short.len() < text.len() { format!("{short}…") } else { text }
}

fn members(found: &Map<String, Value>) -> String {
    if found.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = found.keys().map(String::as_str).take(12).collect();
    format!(" (there is: {})", names.join(", "))
}
