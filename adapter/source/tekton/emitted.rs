//! The annotation that lists what was announced of a run.
//!
//! Tekton copies the annotations of a `PipelineRun` to its `TaskRun`s, so a value counts only on the object whose
//! `uid` it names; and a run that was deleted and created again under its name has another `uid`.

use serde::{Deserialize, Serialize};

use super::run::Run;
use crate::event::annotation::EMITTED;
use crate::vocabulary::tekton::Transition;

#[derive(Deserialize, Serialize)]
struct Value<'a> {
    #[serde(borrow)]
    uid: std::borrow::Cow<'a, str>,
    sent: Vec<String>,
}

/// The transitions that the object itself says were announced.
///
/// A value that does not parse is no value: everything is announced again under the same ids, and the value mended.
pub(super) fn sent(run: &Run) -> Vec<String> {
    let annotations = run.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(EMITTED))
        .and_then(|text| serde_json::from_str::<Value<'_>>(text).ok())
        .filter(|value| value.uid == run.uid())
        .map(|value| value.sent)
        .unwrap_or_default()
}

/// The transitions that were reached and not announced, in order.
pub(super) fn due(reached: Vec<Transition>, announced: &[String]) -> Vec<Transition> {
    reached.into_iter().filter(|transition| !announced.iter().any(|name| name == transition.name)).collect()
}

/// The merge patch that marks `announced`. The `uid` makes the API server refuse it for another object of the name.
pub(super) fn patch(uid: &str, announced: &[String]) -> serde_json::Value {
    let value = serde_json::json!({"uid": uid, "sent": announced}).to_string();
    serde_json::json!({"metadata": {"uid": uid, "annotations": {EMITTED: value}}})
}
