//! Where in a PipelineRun (Tekton v1) templates may stand: where the sender's data can only be data.
//!
//! The lists hold what is allowed, so that a field that nobody thought of is closed. Lists of YAML are passed through: what holds
//! for `params` holds for each of its items.

/// What may stand at a place in a PipelineRun.
#[derive(Debug)]
pub(super) enum Place {
    /// Templates, at any depth.
    Data,
    /// A map whose keys are the author's and whose values are data, such as labels.
    Pairs,
    /// Params of a resolver, which say what is run.
    ResolverParams,
    /// No templates, but for what is below these fields.
    Fields(&'static [(&'static str, &'static Place)]),
}

use Place::{Data, Fields, Pairs, ResolverParams};

/// No templates at all.
pub(super) static CLOSED: Place = Fields(&[]);
/// Templates everywhere.
pub(super) static OPEN: Place = Data;
/// The spec of a PipelineRun.
pub(super) static RUN: Place = Fields(&[
    ("params", &PARAMS),
    ("pipelineRef", &REFERENCE),
    ("pipelineSpec", &PIPELINE),
    ("taskRunTemplate", &TASK_RUN),
    ("taskRunSpecs", &TASK_RUN),
]);

static PAIRS: Place = Pairs;
static RESOLVER_PARAMS: Place = ResolverParams;
static PARAMS: Place = Fields(&[("value", &OPEN)]);
static REFERENCE: Place = Fields(&[("params", &RESOLVER_PARAMS)]);
static METADATA: Place = Fields(&[("labels", &PAIRS), ("annotations", &PAIRS)]);
static PIPELINE: Place = Fields(&[("tasks", &TASK), ("finally", &TASK)]);
static TASK: Place = Fields(&[
    ("params", &PARAMS),
    ("matrix", &MATRIX),
    ("taskRef", &REFERENCE),
    ("taskSpec", &TASK_SPEC),
    ("pipelineRef", &REFERENCE),
    ("pipelineSpec", &PIPELINE),
]);
static MATRIX: Place = Fields(&[("params", &PARAMS), ("include", &INCLUDED)]);
static INCLUDED: Place = Fields(&[("params", &PARAMS)]);
static TASK_SPEC: Place = Fields(&[
    ("metadata", &METADATA),
    ("steps", &STEP),
    ("sidecars", &CONTAINER),
    ("stepTemplate", &CONTAINER),
]);
static STEP: Place = Fields(&[("env", &ENVIRONMENT), ("params", &PARAMS), ("ref", &REFERENCE)]);
static CONTAINER: Place = Fields(&[("env", &ENVIRONMENT)]);
static ENVIRONMENT: Place = Fields(&[("value", &OPEN)]);
static TASK_RUN: Place = Fields(&[("metadata", &METADATA), ("podTemplate", &CONTAINER)]);

// === impl Place ===

impl Place {
    /// The place of the field `name` of a map here.
    pub(super) fn field(&'static self, name: &str) -> &'static Place {
        match self {
            Data => self,
            Pairs => &OPEN,
            ResolverParams => &CLOSED,
            Fields(fields) => {
                fields.iter().find(|(field, _)| *field == name).map_or(&CLOSED, |(_, place)| place)
            }
        }
    }

    /// Whether a template may stand here itself.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Data)
    }

    /// Whether the keys of maps are the author's own, so that `unsafe` is a key like others.
    pub(super) fn is_data(&self) -> bool {
        matches!(self, Data | Pairs)
    }
}
