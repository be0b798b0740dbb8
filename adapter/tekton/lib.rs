//! What Tekton takes and what it refuses: the rules of its admission webhook and of its controller for the fields that a
//! mapping may write (tektoncd/pipeline v1.15), in its own words.
//!
//! ```text
//!  JSON → shape (types, as Go reads them) → run, pipeline, task (rules) → Verdict
//! ```
//!
//! Mappings ask here before a run is shown as fine, and the embedded cluster asks here before it stores one. Settings of
//! Tekton are taken to be as it comes; a rule that depends on one says so ([`fields::FieldError::gate`]).

pub mod duration;
mod expression;
pub mod fields;
pub mod known;
mod matrix;
mod name;
mod param;
mod pipeline;
mod reference;
pub mod results;
mod run;
mod shape;
mod task;
mod view;
mod when;

use serde_json::Value;

use fields::FieldErrors;
use shape::{PIPELINE_RUN_SPEC, PIPELINE_SPEC, Reading, Struct, TASK_RUN_SPEC, TASK_SPEC};

pub use duration::{parse as parse_duration, positive as positive_duration, print as print_duration};
pub use shape::{Stranger, UNKNOWN, param_value};

/// What Tekton says of an object.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Why it is refused; empty when it is taken.
    pub errors: FieldErrors,
    /// Whether it cannot even be read, so that no rule was asked.
    pub malformed: bool,
    /// Fields that Tekton does not know.
    pub strangers: Vec<Stranger>,
    /// Fields that nobody looked into here.
    pub unchecked: Vec<String>,
}

/// What Tekton says of the `spec` of a PipelineRun. Texts with [`UNKNOWN`] in them are taken to be right.
pub fn pipeline_run(spec: &Value) -> Verdict {
    verdict(spec, &PIPELINE_RUN_SPEC, run::check_pipeline_run)
}

/// What Tekton says of the `spec` of a TaskRun.
pub fn task_run(spec: &Value) -> Verdict {
    verdict(spec, &TASK_RUN_SPEC, run::check_task_run)
}

/// What Tekton says of the `spec` of a Pipeline.
pub fn pipeline(spec: &Value) -> Verdict {
    verdict(spec, &PIPELINE_SPEC, |spec, path, errors| {
        pipeline::check(spec, path, errors);
        pipeline::check_standalone(spec, path, errors);
    })
}

/// What Tekton says of the `spec` of a Task.
pub fn task(spec: &Value) -> Verdict {
    verdict(spec, &TASK_SPEC, |spec, path, errors| {
        task::check(spec, path, errors);
        task::check_usage(view::list(spec, "steps"), &param::specs(spec), path, errors);
    })
}

/// Why Go cannot read the `spec` of an object of this kind.
pub fn unreadable(kind: &str, spec: &Value) -> Option<String> {
    let shape = match kind {
        "PipelineRun" => &PIPELINE_RUN_SPEC,
        "TaskRun" => &TASK_RUN_SPEC,
        "Pipeline" => &PIPELINE_SPEC,
        "Task" => &TASK_SPEC,
        _ => return None,
    };
    let mut reading = Reading::default();
    shape::read(spec, shape, "spec", &mut reading);
    // Go stops at the first, and does not say where a duration stands.
    let first = reading.errors.iter().next()?;
    Some(if first.message.starts_with("time: ") { first.message.to_owned() } else { first.text() })
}

fn verdict(
    spec: &Value,
    shape: &'static Struct,
    rules: impl FnOnce(&Value, &str, &mut FieldErrors),
) -> Verdict {
    let mut reading = Reading::default();
    let spec = Value::Object(shape::read(spec, shape, "spec", &mut reading));
    let Reading { mut errors, strangers, unchecked, unknown } = reading;
    let malformed = !errors.is_empty();
    if !malformed && !unknown {
        rules(&spec, "spec", &mut errors);
        errors.retain(|message, paths| {
            !has_unknown(message) && !paths.iter().any(|path| shape::is_unknown(path))
        });
    }
    Verdict { errors, malformed, strangers, unchecked }
}

/// Whether a message quotes a text that is not known yet.
fn has_unknown(message: &str) -> bool {
    shape::is_unknown(message) || message.contains("\\u{fdd1}")
}
