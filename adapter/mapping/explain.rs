//! Why a mapping did or did not run, as data.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::PlanError;
use super::compile::Mapping;
use super::evaluate::{Fired, StepOutcome, Verdict};
use crate::action::{Action, Destination};
use crate::event::Event;
use crate::expression::cel::Input;
use crate::expression::filter::Reason;
use crate::expression::pattern::matches_type;
use crate::expression::{view, words};

/// The most characters of a value in a reason.
const MAX_SHOWN: usize = 80;

/// One event against one mapping.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The mapping's name.
    pub mapping: String,
    /// The path of its file.
    pub file: String,
    /// `id` of the event.
    pub event_id: String,
    /// `type` of the event.
    pub event_type: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of one event and one mapping.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Outcome {
    /// The mapping ran.
    Fired {
        /// The values of `let`.
        vars: Map<String, Value>,
        /// What became of each entry of `do`.
        actions: Vec<ActionExplanation>,
    },
    /// It did not.
    NotFired {
        /// What kept it: `events`, or a clause such as `filter[1]`.
        place: String,
        /// Why.
        reason: String,
    },
    /// It cannot be computed; the delivery is refused.
    Failed {
        /// Where in the mapping.
        place: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// What became of one entry of `do`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionExplanation {
    /// The action's name.
    pub action: String,
    /// Whether it is wanted.
    #[serde(flatten)]
    pub outcome: ActionOutcome,
}

/// Whether an action is wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "camelCase")]
pub enum ActionOutcome {
    /// It is part of the plan.
    Planned {
        /// `{pipelineRun: …}` or `{emit: …}`, as [`action_json`] writes it.
        plan: Value,
    },
    /// Another event of the delivery asks for the same effect.
    Duplicate {
        /// The identity of the effect.
        key: String,
    },
    /// Its `when` does not hold.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// An action as examples, `explain` and dry runs show it.
///
/// A run is `{action, pipelineRun: <the object>}`; an emit is `{action, emit: {to, type, source, subject, id, time, chainId,
/// links, content, customData, event}}`, where `event` is the CloudEvent in its JSON form.
pub fn action_json(action: &Action) -> Value {
    match action {
        Action::PipelineRun(run) => json!({"action": run.origin.action, "pipelineRun": run.object}),
        Action::Emit(emit) => {
            let event = view::event_json(&emit.event);
            let to = match &emit.to {
                Destination::Sink(name) => name.as_str(),
                Destination::Reply => "reply",
            };
            let is_cdevent = crate::expression::pattern::is_cdevent(emit.event.ty());
            let part = |pointer: &str| event.pointer(pointer).cloned();
            let of_cdevent = |pointer: &str| if is_cdevent { part(pointer) } else { None };
            let mut shown = json!({"to": to, "type": emit.event.ty(), "source": emit.event.source()});
            let content = if is_cdevent { part("/data/subject/content") } else { part("/data") };
            for (name, value) in [
                ("subject", part("/subject")),
                ("id", part("/id")),
                ("time", part("/time")),
                ("chainId", of_cdevent("/data/context/chainId")),
                ("links", of_cdevent("/data/context/links")),
                ("content", content),
                ("customData", of_cdevent("/data/customData")),
            ] {
                if let Some(value) = value {
                    shown[name] = value;
                }
            }
            shown["event"] = event;
            json!({"action": emit.origin.action, "emit": shown})
        }
    }
}

/// Puts a verdict into words.
pub(super) fn explanation(
    mapping: &Mapping,
    event: &Event,
    config: &Value,
    verdict: Result<Verdict<'_>, PlanError>,
    is_new: &mut dyn FnMut(&Action) -> bool,
) -> Explanation {
    let outcome = match verdict {
        Ok(Verdict::OtherEvent) => Outcome::NotFired {
            place: "events".to_owned(),
            reason: format!("no entry of `events` matches {}", describe(mapping, event)),
        },
        Ok(Verdict::Filtered { clause, reason }) => Outcome::NotFired {
            place: format!("filter[{clause}]"),
            reason: filter_reason(mapping, event, config, clause, &reason),
        },
        Ok(Verdict::Fired(fired)) => explain_fired(mapping, event, config, fired, is_new),
        Err(error) => Outcome::Failed { place: error.place, reason: error.reason },
    };
    Explanation {
        mapping: mapping.name.clone(),
        file: mapping.file.clone(),
        event_id: event.id().to_owned(),
        event_type: event.ty().to_owned(),
        outcome,
    }
}

/// What of the event no pattern matches: its type, or another attribute when some pattern has the type.
fn describe(mapping: &Mapping, event: &Event) -> String {
    let mismatch = mapping.patterns.iter().find_map(|pattern| {
        let has_type =
            pattern.attributes.iter().all(|(name, glob)| name != "type" || matches_type(glob, event.ty()));
        has_type.then(|| {
            pattern.attributes.iter().find(|(name, glob)| {
                name != "type" && !event.attribute(name).is_some_and(|value| glob.matches(&value))
            })
        })?
    });
    match mismatch {
        Some((name, glob)) => match event.attribute(name) {
            Some(value) => format!("the {name} `{value}` (wanted: `{}`)", glob.as_str()),
            None => format!("an event without `{name}` (wanted: `{}`)", glob.as_str()),
        },
        None => format!("the type `{}`", event.ty()),
    }
}

/// Why a clause of `filter` does not hold, with the values that it saw.
pub(super) fn filter_reason(
    mapping: &Mapping,
    event: &Event,
    config: &Value,
    clause: usize,
    reason: &Reason<'_>,
) -> String {
    let vars = Map::new();
    let seen = mapping.filter.get(clause).map(|clause| clause.seen(Input { event, vars: &vars, config }));
    told(reason, seen)
}

/// Why the action at `index` is not wanted, with the values that its `when` saw.
pub(super) fn when_reason(
    mapping: &Mapping,
    event: &Event,
    config: &Value,
    vars: &Map<String, Value>,
    index: usize,
    reason: &Reason<'_>,
) -> String {
    let when = mapping.actions.get(index).and_then(|action| action.when.as_ref());
    let seen = when.map(|when| when.seen(Input { event, vars, config }));
    told(reason, seen)
}

/// A reason and the values behind it: ``… is false (here `event.subject` is "x")``.
fn told(reason: &Reason<'_>, seen: Option<Vec<(String, Option<Value>)>>) -> String {
    // What is absent has been named.
    if matches!(reason, Reason::Absent(_) | Reason::Missing(..)) {
        return reason.to_string();
    }
    let mut texts: Vec<String> = Vec::new();
    for (name, value) in seen.unwrap_or_default() {
        let text = match value {
            None => format!("`{name}` is absent"),
            Some(value) => {
                let text = value.to_string();
                let short = words::truncate(&text, MAX_SHOWN);
                format!("`{name}` is {short}{}", if short.len() < text.len() { "…" } else { "" })
            }
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() { reason.to_string() } else { format!("{reason} (here {})", texts.join(", ")) }
}

fn explain_fired(
    mapping: &Mapping,
    event: &Event,
    config: &Value,
    fired: Fired<'_>,
    is_new: &mut dyn FnMut(&Action) -> bool,
) -> Outcome {
    let vars = &fired.vars;
    let actions = fired
        .steps
        .into_iter()
        .enumerate()
        .map(|(index, step)| ActionExplanation {
            action: step.name.to_owned(),
            outcome: match step.outcome {
                StepOutcome::Skipped(reason) => ActionOutcome::Skipped {
                    reason: when_reason(mapping, event, config, vars, index, &reason),
                },
                StepOutcome::Planned(action) if is_new(&action) => {
                    ActionOutcome::Planned { plan: action_json(&action) }
                }
                StepOutcome::Planned(action) => {
                    ActionOutcome::Duplicate { key: action.origin().key.to_string() }
                }
            },
        })
        .collect();
    Outcome::Fired { vars: fired.vars, actions }
}
