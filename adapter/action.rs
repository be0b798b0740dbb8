//! What a mapping wants done: a [`Plan`] of [`Action`]s with deterministic names, and its execution.
//!
//! A plan is plain data. Dry run, `explain`, the examples inside mapping files and the live path compute the same
//! plan; only the live path hands it to the executor.

pub mod effect;
pub mod execute;

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::event::Event;
use crate::event::identity::EffectKey;

/// Everything that a delivery asks for, in the order of mappings and of the actions inside each.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The actions; two with the same key are one effect.
    pub actions: Vec<Action>,
    /// What could not be planned. Each entry costs what it names and nothing else.
    pub failures: Vec<PlanError>,
    /// The bytes of all runs and events that they make, roughly.
    pub bytes: usize,
}

/// Why a part of a plan cannot be computed: the mapping, the place and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mapping `{mapping}`, {place}: {reason}")]
pub struct PlanError {
    /// The mapping's name.
    pub mapping: String,
    /// Where in it, such as `let.commit` or `do[0].pipelineRun.spec.params[1].value`.
    pub place: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Create a Tekton `PipelineRun`.
    PipelineRun(CreateRun),
    /// Send an event to a sink.
    Emit(Emit),
}

/// Who asks for an action, and for which event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The mapping's name.
    pub mapping: String,
    /// The action's name inside the mapping.
    pub action: String,
    /// `id` of the event that caused it.
    pub event_id: String,
    /// `source` of that event.
    pub event_source: String,
    /// `type` of that event.
    pub event_type: String,
    /// The identity of the effect.
    #[serde(serialize_with = "as_text")]
    pub key: EffectKey,
}

/// A `PipelineRun` to create.
#[derive(Clone, Debug)]
pub struct CreateRun {
    /// Who asks.
    pub origin: Origin,
    /// The namespace; the same as in `object`.
    pub namespace: String,
    /// The deterministic name; the same as in `object`.
    pub name: String,
    /// The whole object as it goes to the API server.
    pub object: Value,
}

/// An event to send.
#[derive(Clone, Debug)]
pub struct Emit {
    /// Who asks.
    pub origin: Origin,
    /// Where it goes.
    pub to: Destination,
    /// The event.
    pub event: Arc<Event>,
}

/// Where an emitted event goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Destination {
    /// The sink of this name; `default` is the one of `K_SINK` or of the configuration.
    Sink(String),
    /// The answer to the request that carried the event (Knative Trigger reply).
    Reply,
}

// === impl Plan ===

impl Plan {
    /// The plan where nothing failed.
    ///
    /// # Errors
    /// The first part that cannot be computed.
    pub fn complete(mut self) -> Result<Self, PlanError> {
        if self.failures.is_empty() { Ok(self) } else { Err(self.failures.swap_remove(0)) }
    }
}

// === impl Action ===

impl Action {
    /// Who asks for it.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::PipelineRun(run) => &run.origin,
            Self::Emit(emit) => &emit.origin,
        }
    }
}

fn as_text<S: serde::Serializer>(key: &EffectKey, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(key)
}
