//! The annotation that lists what was announced of a run.
//!
//! Tekton copies the annotations of a `PipelineRun` to its `TaskRun`s, so a value counts only on the object whose
//! `uid` it names; and a run that was deleted and created again under its name has another `uid`.

use serde::{Deserialize, Serialize};

use super::run::Run;
use crate::event::annotation::EMITTED;
use crate::vocabulary::tekton::{FINISHED, Transition, is_progress};

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

/// The transitions that were reached and not announced, in order. Nobody is told of progress after the end.
pub(super) fn due(reached: Vec<Transition>, announced: &[String]) -> Vec<Transition> {
    let is_over = announced.iter().any(|name| name == FINISHED);
    let is_done =
        |it: &Transition| announced.iter().any(|name| *name == it.name) || is_over && is_progress(&it.name);
    reached.into_iter().filter(|it| !is_done(it)).collect()
}

/// Adds what was announced. Of progress the newest stays, and none once the run is finished: Tekton copies the annotation
/// to every task that it creates later.
pub(super) fn add(announced: &mut Vec<String>, name: &str) {
    if name == FINISHED || is_progress(name) {
        announced.retain(|known| !is_progress(known));
    }
    let is_over = announced.iter().any(|known| known == FINISHED);
    let is_done = announced.iter().any(|known| known == name) || is_over && is_progress(name);
    if !is_done {
        announced.push(name.to_owned());
    }
}

/// The merge patch that marks `announced`. The `uid` makes the API server refuse it for another object of the name.
pub(super) fn patch(uid: &str, announced: &[String]) -> serde_json::Value {
    let value = serde_json::json!({"uid": uid, "sent": announced}).to_string();
    serde_json::json!({"metadata": {"uid": uid, "annotations": {EMITTED: value}}})
}
