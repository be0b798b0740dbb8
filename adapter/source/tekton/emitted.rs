//! The annotation that lists what was announced of a run.
//!
//! Tekton copies the annotations of a `PipelineRun` to its `TaskRun`s, so a value counts only on the object whose
//! `uid` it names; and a run that was deleted and created again under its name has another `uid`.

use serde::{Deserialize, Serialize};

use super::run::Run;
use crate::event::annotation::EMITTED;
use crate::vocabulary::tekton::{FINISHED, Transition, is_output, is_progress, settled_tasks};

#[derive(Deserialize, Serialize)]
struct Value<'a> {
    #[serde(borrow)]
    uid: std::borrow::Cow<'a, str>,
    sent: Vec<String>,
    /// Set by whoever also tells what a run made.
    #[serde(default)]
    made: bool,
}

/// Stands for everything that a run made: who announced its end before it was told what runs make has announced that too, or
/// an upgrade would announce the artifacts of every run that is still there.
const MADE: &str = "made";

/// The transitions that the object itself says were announced.
///
/// A value that does not parse is no value: everything is announced again under the same ids, and the value mended.
pub(super) fn sent(run: &Run) -> Vec<String> {
    let annotations = run.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(EMITTED))
        .and_then(|text| serde_json::from_str::<Value<'_>>(text).ok())
        .filter(|value| value.uid == run.uid())
        .map(|Value { mut sent, made, .. }| {
            if !made && sent.iter().any(|name| name == FINISHED) {
                sent.push(MADE.to_owned());
            }
            sent
        })
        .unwrap_or_default()
}

/// The transitions that were reached and not announced, in order. Nobody is told of progress after the end, nor of progress
/// that an object of before shows: what was asked for may be newer than what the watch says next.
pub(super) fn due(reached: Vec<Transition>, announced: &[String]) -> Vec<Transition> {
    let is_known = |wanted: &str| announced.iter().any(|name| name == wanted);
    let (is_over, is_made) = (is_known(FINISHED), is_known(MADE));
    let newest = announced.iter().filter_map(|name| settled_tasks(name)).max();
    let is_done = |it: &Transition| {
        is_known(&it.name)
            || is_over && is_progress(&it.name)
            || is_made && is_output(&it.name)
            || settled_tasks(&it.name).is_some_and(|tasks| newest.is_some_and(|newest| tasks < newest))
    };
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
    let value = serde_json::json!({"uid": uid, "sent": announced, "made": true}).to_string();
    serde_json::json!({"metadata": {"uid": uid, "annotations": {EMITTED: value}}})
}
