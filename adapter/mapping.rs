//! Mappings: declarative rules that turn an event into a [`Plan`].
//!
//! ```text
//!  files → document (YAML with places) → compile (expressions, names, refusals) → index by event type
//!  event → index → filter → let → when → template → plan
//! ```
//!
//! Everything but [`load`] and [`watch`] is a function of its arguments: no I/O, no clock, no random number.

mod compile;
mod document;
mod evaluate;
pub mod example;
pub mod explain;
mod folder;
mod foreign;
mod index;
mod known;
mod lint;
pub mod load;
pub mod objects;
mod params;
mod place;
pub mod schema;
pub mod watch;

use std::cell::LazyCell;
use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use self::compile::Mapping;
use self::evaluate::{StepOutcome, Verdict};
use self::explain::Explanation;
pub use self::folder::Folder;
use self::index::Index;
use self::objects::Objects;
pub use crate::action::PlanError;
use crate::action::{Action, Destination, Emit, Origin, Plan};
use crate::diagnostic::{Diagnostic, Report};
use crate::event::Event;
use crate::event::identity::Key;
use crate::expression::{budget, template, words};
use crate::vocabulary::options::Options;
use crate::vocabulary::schema::Schemas;

/// What mappings may refer to, besides the event.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// Names of the configured sinks; `default` is always known.
    pub sinks: Vec<String>,
    /// The values that expressions see as `config`.
    pub config: Value,
    /// The namespace of runs whose mapping names none.
    pub namespace: String,
    /// `source` of the events that we emit.
    pub event_source: String,
    /// How the payloads of examples are read, and which events forges are told of.
    pub options: Options,
    /// Whether pipelines' runs also say how far they have come.
    pub with_progress: bool,
    /// The namespace whose runs become events; `*` is all of them.
    pub watched: String,
    /// The types of what sources without a forge send, and whether more follows each after a dot.
    pub source_types: Vec<(String, bool)>,
    /// The schemas of custom types, which emitted events have to satisfy.
    pub schemas: Schemas,
    /// Pipelines and Tasks against which runs are held.
    pub objects: Objects,
    /// The paths whose mappings may only create in some namespaces.
    pub folders: Vec<Folder>,
}

/// A mapping file as it was read.
#[derive(Clone, Debug)]
pub struct File {
    /// The path as the user named it.
    pub path: String,
    /// Its text.
    pub text: Arc<str>,
}

/// Compiled mappings, indexed by event type; immutable, shared by every request.
#[derive(Debug)]
pub struct MappingSet {
    mappings: Vec<Mapping>,
    index: Index,
    catalog: Catalog,
}

/// The most actions of one delivery.
const MAX_ACTIONS: usize = 1000;
/// The most bytes of all runs and events of one delivery.
const MAX_PLAN: usize = 32 * 1024 * 1024;
/// The most characters of the names of mappings in a reason.
const MAX_NAMES: usize = 400;

/// Collects the actions of a plan, each effect once.
#[derive(Default)]
struct Planner {
    plan: Plan,
    keys: HashSet<Key>,
    failed: HashSet<(String, String)>,
}

// === impl Catalog ===

/// No sink but `default`, no `config`, the namespace `default`.
impl Default for Catalog {
    fn default() -> Self {
        Self {
            sinks: Vec::new(),
            config: Value::Object(serde_json::Map::new()),
            namespace: "default".to_owned(),
            event_source: "/pipewright".to_owned(),
            options: Options::default(),
            with_progress: false,
            watched: "*".to_owned(),
            source_types: Vec::new(),
            schemas: Schemas::default(),
            objects: Objects::default(),
            folders: Vec::new(),
        }
    }
}

// === impl MappingSet ===

/// No mappings.
impl Default for MappingSet {
    fn default() -> Self {
        Self { mappings: Vec::new(), index: Index::default(), catalog: Catalog::default() }
    }
}

impl MappingSet {
    /// Compiles every document of every file; reports all problems of all of them.
    ///
    /// # Errors
    /// The report, when any finding in it is an error. The report beside a set holds warnings only.
    pub fn compile(files: &[File], catalog: &Catalog) -> Result<(Self, Report), Report> {
        let mut report = Report::default();
        let mappings = compile::compile(files, catalog, &mut report);
        // A mapping with a mistake is not as its author means it.
        if !report.has_errors() {
            lint::circles::check(&mappings, files, catalog, &mut report);
        }
        let mut index = Index::default();
        for (place, mapping) in mappings.iter().enumerate() {
            let Ok(place) = u32::try_from(place) else {
                report.push(Diagnostic::error("too-many", "there are more mappings than can be counted"));
                break;
            };
            index.add(place, mapping);
        }
        if report.has_errors() {
            return Err(report);
        }
        Ok((Self { mappings, index, catalog: catalog.clone() }, report))
    }

    /// The plan of all mappings for all events of one delivery.
    ///
    /// Actions stand in the order of events, then of mappings, then of `do`; an effect that several of them ask for
    /// stands there once. A mapping that cannot be computed for an event has no action for it, and is among the plan's
    /// failures; the others are not touched by that.
    pub fn plan(&self, events: &[Arc<Event>]) -> Plan {
        self.plan_with(events, |event| self.candidates(event).collect())
    }

    /// Whether a mapping may look at the payload of this event.
    pub fn is_wanted(&self, event: &Event) -> bool {
        self.candidates(event).next().is_some()
    }

    /// The same as [`MappingSet::plan`], without the index: every mapping is asked.
    #[doc(hidden)]
    pub fn plan_by_scan(&self, events: &[Arc<Event>]) -> Plan {
        self.plan_with(events, |_| self.mappings.iter().collect())
    }

    fn plan_with<'m>(&'m self, events: &[Arc<Event>], asked: impl Fn(&Event) -> Vec<&'m Mapping>) -> Plan {
        budget::begin_delivery();
        let mut planner = Planner::default();
        for event in events {
            let mappings = asked(event);
            if mappings.is_empty() {
                continue;
            }
            // Its tree goes when its mappings are through.
            let event = Arc::new(event.untouched());
            // Weighed once, and only where a mapping may look at it.
            let weighed = LazyCell::new(|| evaluate::weigh(&event));
            for mapping in mappings {
                let verdict = match &*weighed {
                    Ok(()) => mapping.evaluate(&event, &self.catalog),
                    Err(reason) => Err(mapping.error("events".to_owned(), reason.to_string())),
                };
                match verdict {
                    Ok(verdict) => planner.add(mapping, verdict),
                    Err(error) => planner.fail(error),
                }
            }
        }
        planner.finish()
    }

    /// Every event against every mapping, with the reason of each outcome; computed by the code that plans.
    pub fn explain(&self, events: &[Arc<Event>]) -> Vec<Explanation> {
        budget::begin_delivery();
        let mut keys = HashSet::new();
        let mut is_new = |action: &Action| keys.insert(action.origin().key);
        let mut explanations = Vec::new();
        for event in events {
            for mapping in &self.mappings {
                let verdict = mapping.evaluate(event, &self.catalog);
                explanations.push(explain::explanation(
                    mapping,
                    event,
                    &self.catalog.config,
                    verdict,
                    &mut is_new,
                ));
            }
        }
        explanations
    }

    /// The names of the mappings, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.mappings.iter().map(|mapping| mapping.name.as_str())
    }

    /// How many mappings there are.
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn candidates(&self, event: &Event) -> impl Iterator<Item = &Mapping> {
        let places = self.index.candidates(event);
        places.into_iter().filter_map(|place| self.mappings.get(usize::try_from(place).ok()?))
    }
}

// === impl Planner ===

impl Planner {
    /// Takes all actions of a mapping for an event, or none of them.
    fn add(&mut self, mapping: &Mapping, verdict: Verdict<'_>) {
        let Verdict::Fired(fired) = verdict else { return };
        let (number, bytes) = (self.plan.actions.len(), self.plan.bytes);
        for (index, step) in fired.steps.into_iter().enumerate() {
            let StepOutcome::Planned(action) = step.outcome else { continue };
            if !self.keys.insert(action.origin().key) {
                continue;
            }
            self.plan.bytes += size(&action);
            let reason = if self.plan.actions.len() == MAX_ACTIONS {
                format!(
                    "this would be action {} of the delivery, of which there may be {MAX_ACTIONS}",
                    MAX_ACTIONS + 1
                )
            } else if self.plan.bytes > MAX_PLAN {
                format!("the runs and events of the delivery would be larger than {MAX_PLAN} bytes together")
            } else {
                self.plan.actions.push(*action);
                continue;
            };
            let reason = format!("{reason}; send smaller batches, or narrow the mappings down");
            let error = PlanError { mapping: mapping.name.clone(), place: format!("do[{index}]"), reason };
            self.fail(error);
            self.plan.actions.truncate(number);
            self.plan.bytes = bytes;
            return;
        }
    }

    /// Notes a failure, each place of a mapping once: the events of a batch may all meet the same.
    fn fail(&mut self, error: PlanError) {
        if self.failed.insert((error.mapping.clone(), error.place.clone())) {
            self.plan.failures.push(error);
        }
    }

    /// The plan. An answer has room for one event, so where two are wanted neither is given: which of them its sender
    /// gets must not depend on an order.
    fn finish(self) -> Plan {
        let Plan { actions, mut failures, bytes } = self.plan;
        let is_reply = |action: &Action| matches!(action, Action::Emit(Emit { to: Destination::Reply, .. }));
        if actions.iter().filter(|action| is_reply(action)).count() < 2 {
            return Plan { actions, failures, bytes };
        }
        let (replies, actions): (Vec<Action>, Vec<Action>) = actions.into_iter().partition(is_reply);
        let mut names: Vec<String> = Vec::new();
        for Origin { mapping, action, .. } in replies.iter().map(Action::origin) {
            let name = format!("`{mapping}`, action `{action}`");
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let reason = format!(
            "{} answers are wanted for one request ({}), and there is room for one; narrow the mappings down, or send one \
             event a request",
            replies.len(),
            words::truncate(&names.join("; "), MAX_NAMES)
        );
        let mut told = HashSet::new();
        for Origin { mapping, action, .. } in replies.iter().map(Action::origin) {
            if told.insert(mapping.as_str()) {
                let place = format!("action `{action}`, emit.to");
                failures.push(PlanError { mapping: mapping.clone(), place, reason: reason.clone() });
            }
        }
        Plan { actions, failures, bytes }
    }
}

/// The bytes that an action holds, roughly; an event that is only forwarded is held already.
fn size(action: &Action) -> usize {
    match action {
        Action::PipelineRun(run) => template::size(&run.object),
        Action::Emit(emit) => emit.event.data().len(),
    }
}

#[cfg(test)]
mod tests;
