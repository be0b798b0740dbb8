//! One event against one mapping: the same code for the live path, dry runs, `explain` and examples.

mod cdevent;
mod emit;
mod run;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::Catalog;
use super::PlanError;
use super::compile::{self, ActionKind, Let, Mapping, Source};
use super::document::Presence;
use crate::action::{Action, Origin};
use crate::event::Event;
use crate::event::identity::Key;
use crate::event::json::weight;
use crate::expression::budget;
use crate::expression::cel::{EvalError, Input};
use crate::expression::filter::Reason;
use crate::expression::number;
use crate::expression::template::LeafError;

/// Refuses an event whose tree would take more memory than its size allows.
///
/// # Errors
/// When it would.
pub(super) fn weigh(event: &Event) -> Result<(), weight::TooHeavy> {
    if weight::is_small(event.data().len()) { Ok(()) } else { weight::check(event).map(drop) }
}

/// What one mapping makes of one event.
#[derive(Debug)]
pub(crate) enum Verdict<'m> {
    /// No entry of `events` matches.
    OtherEvent,
    /// Clause `clause` of `filter` does not hold.
    Filtered { clause: usize, reason: Reason<'m> },
    /// It runs.
    Fired(Fired<'m>),
}

/// What a mapping that runs wants.
#[derive(Debug)]
pub(crate) struct Fired<'m> {
    pub(crate) vars: Map<String, Value>,
    pub(crate) steps: Vec<Step<'m>>,
}

/// One entry of `do` for one event.
#[derive(Debug)]
pub(crate) struct Step<'m> {
    pub(crate) name: &'m str,
    pub(crate) outcome: StepOutcome<'m>,
}

/// Whether an action is wanted.
#[derive(Debug)]
pub(crate) enum StepOutcome<'m> {
    Planned(Box<Action>),
    /// `when` does not hold.
    Skipped(Reason<'m>),
}

/// What an action is made from.
struct Basis<'a> {
    mapping: &'a Mapping,
    event: &'a Arc<Event>,
    vars: &'a Map<String, Value>,
    catalog: &'a Catalog,
    /// The chain that the event continues.
    chain: Option<String>,
    /// Identity of the event, or of what `dedupeBy` folds it with.
    key: Key,
}

// === impl Mapping ===

impl Mapping {
    /// What this mapping makes of `event`.
    ///
    /// # Errors
    /// An expression that cannot be computed, a required value that is missing, a rendered object that cannot be created.
    pub(crate) fn evaluate<'m>(
        &'m self,
        event: &Arc<Event>,
        catalog: &Catalog,
    ) -> Result<Verdict<'m>, PlanError> {
        if !self.patterns.iter().any(|pattern| pattern.matches(event)) {
            return Ok(Verdict::OtherEvent);
        }
        budget::begin_mapping();
        let none = Map::new();
        let input = Input { event, vars: &none, config: &catalog.config };
        for (clause, test) in self.filter.iter().enumerate() {
            match test.check(input) {
                Ok(None) => {}
                Ok(Some(reason)) => return Ok(Verdict::Filtered { clause, reason }),
                Err(reason) => return Err(self.error(format!("filter[{clause}]"), reason)),
            }
        }
        let vars = self.vars(event, catalog)?;
        let mut basis = None;
        let mut steps = Vec::with_capacity(self.actions.len());
        for (index, action) in self.actions.iter().enumerate() {
            let skipped = self.skipped(index, action, event, &vars, catalog)?;
            let outcome = if let Some(reason) = skipped {
                StepOutcome::Skipped(reason)
            } else {
                let basis = match &mut basis {
                    Some(basis) => basis,
                    none @ None => none.insert(self.basis(event, &vars, catalog)?),
                };
                StepOutcome::Planned(Box::new(basis.plan(index, action)?))
            };
            steps.push(Step { name: &action.name, outcome });
        }
        Ok(Verdict::Fired(Fired { vars, steps }))
    }

    fn skipped<'m>(
        &self,
        index: usize,
        action: &'m compile::Action,
        event: &Event,
        vars: &Map<String, Value>,
        catalog: &Catalog,
    ) -> Result<Option<Reason<'m>>, PlanError> {
        let Some(when) = &action.when else { return Ok(None) };
        match when.truth(Input { event, vars, config: &catalog.config }) {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(Reason::False(when.source()))),
            Err(EvalError::Missing(name)) => Ok(Some(Reason::Missing(when.source(), name))),
            Err(EvalError::Failed(reason)) => {
                let hint = "a `let` item without a value is null: give it a `default`";
                Err(self.error(format!("do[{index}].when"), format!("{reason}; {hint}")))
            }
        }
    }

    fn vars(&self, event: &Event, catalog: &Catalog) -> Result<Map<String, Value>, PlanError> {
        let mut vars = Map::new();
        for item in &self.lets {
            let place = || format!("let.{}", item.name);
            let found = item.value(event, &vars, catalog).map_err(|reason| self.error(place(), reason))?;
            let mut value = match (found, &item.presence) {
                (Value::Null, Presence::Default(default)) => default.clone(),
                (Value::Null, Presence::Required) => {
                    return Err(self.error(place(), item.missing()));
                }
                (Value::Array(items), Presence::Required) if items.is_empty() && item.finds_lists() => {
                    return Err(self.error(place(), item.missing()));
                }
                (value, _) => value,
            };
            number::plain(&mut value);
            vars.insert(item.name.clone(), value);
        }
        Ok(vars)
    }

    fn basis<'a>(
        &'a self,
        event: &'a Arc<Event>,
        vars: &'a Map<String, Value>,
        catalog: &'a Catalog,
    ) -> Result<Basis<'a>, PlanError> {
        let key = if self.dedupe_by.is_empty() {
            Key::event(event.source(), event.id())
        } else {
            let mut parts = vec![self.name.clone()];
            for name in &self.dedupe_by {
                match vars.get(name) {
                    // Maps are sorted, so that equal values have equal texts.
                    Some(value) if !value.is_null() => parts.push(value.to_string()),
                    _ => {
                        let reason = format!(
                            "`{name}` has no value for this event, which would fold it with every other such event; set `required: true` or give it a `default`"
                        );
                        return Err(self.error("dedupeBy".to_owned(), reason));
                    }
                }
            }
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            Key::of("dedupe", &parts)
        };
        Ok(Basis { mapping: self, event, vars, catalog, chain: cdevent::chain_id(event), key })
    }

    pub(super) fn error(&self, place: String, reason: String) -> PlanError {
        PlanError { mapping: self.name.clone(), place, reason }
    }
}

// === impl Let ===

impl Let {
    /// The value; null when there is none.
    fn value(&self, event: &Event, vars: &Map<String, Value>, catalog: &Catalog) -> Result<Value, String> {
        match &self.source {
            Source::Path(path) => {
                path.find(event).map(Option::unwrap_or_default).map_err(|error| error.to_string())
            }
            Source::Cel(expression) => {
                match expression.value(Input { event, vars, config: &catalog.config }) {
                    Ok(value) => Ok(value),
                    Err(EvalError::Missing(_)) => Ok(Value::Null),
                    Err(EvalError::Failed(reason)) => Err(reason),
                }
            }
            Source::Template { leaf, uses } => {
                match leaf.render(&uses.context(event, vars, &catalog.config)) {
                    Ok(value) => Ok(value),
                    Err(LeafError::NoValue(_)) => Ok(Value::Null),
                    Err(error) => Err(error.to_string()),
                }
            }
            Source::Constant(text) => Ok(Value::String(text.clone())),
        }
    }

    fn missing(&self) -> String {
        format!(
            "`{}` is required and this event has no value for it; exclude such events with `filter`",
            self.name
        )
    }

    /// Whether an empty list means that nothing was found.
    fn finds_lists(&self) -> bool {
        matches!(&self.source, Source::Path(path) if !path.is_plain())
    }
}

// === impl Basis ===

impl Basis<'_> {
    fn plan(&self, index: usize, action: &compile::Action) -> Result<Action, PlanError> {
        let origin = Origin {
            mapping: self.mapping.name.clone(),
            action: action.name.clone(),
            event_id: self.event.id().to_owned(),
            event_source: self.event.source().to_owned(),
            event_type: self.event.ty().to_owned(),
            key: Key::effect(
                self.event.voucher().unwrap_or_default(),
                &self.key,
                &self.mapping.name,
                &action.name,
            ),
        };
        let place = format!("do[{index}]");
        match &action.kind {
            ActionKind::PipelineRun(run) => self.run(run, origin, &place),
            ActionKind::Emit(emit) => self.emit(emit, origin, &place),
        }
    }

    fn error(&self, place: String, reason: &dyn std::fmt::Display) -> PlanError {
        self.mapping.error(place, reason.to_string())
    }
}
