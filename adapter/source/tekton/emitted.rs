//! The annotation that lists what was announced of a run.
//!
//! Tekton copies the annotations of a `PipelineRun` to its `TaskRun`s, so a value counts only on the object whose
//! `uid` it names; and a run that was deleted and created again under its name has another `uid`.

use std::collections::{BTreeMap, BTreeSet};

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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    part: BTreeMap<String, BTreeSet<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
}

/// What was announced of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The transitions that all took who are to take them.
    pub(super) sent: Vec<String>,
    /// Of transitions that some took and others have not yet, the effects that exist.
    pub(super) part: BTreeMap<String, BTreeSet<String>>,
    /// What was refused for good, in few words.
    pub(super) refused: Vec<String>,
}

/// Stands for everything that a run made: who announced its end before it was told what runs make has announced that too, or
/// an upgrade would announce the artifacts of every run that is still there.
const MADE: &str = "made";
/// The most transitions, and effects of each, whose progress is noted: the annotation stays below a few KiB. What is not
/// noted may be sent again by another process, under the same id.
const MAX_PARTS: usize = 8;
const MAX_EFFECTS: usize = 32;
/// The most refusals, and characters of each, that are noted.
const MAX_REFUSALS: usize = 8;
const MAX_REFUSAL: usize = 100;

// === impl Marks ===

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.part.is_empty() && self.refused.is_empty()
    }

    /// Adds a transition that was announced.
    pub(super) fn add(&mut self, name: &str) {
        add(&mut self.sent, name);
        self.part.remove(name);
    }

    /// Adds effects of a transition that others have not taken yet.
    pub(super) fn add_part(&mut self, name: &str, done: &BTreeSet<String>) {
        if done.is_empty() || !self.part.contains_key(name) && self.part.len() >= MAX_PARTS {
            return;
        }
        let held = self.part.entry(name.to_owned()).or_default();
        for token in done {
            if held.len() < MAX_EFFECTS {
                held.insert(token.clone());
            }
        }
    }

    /// Adds what was refused for good.
    pub(super) fn add_refusal(&mut self, refusal: &str) {
        let short: String = refusal.chars().take(MAX_REFUSAL).collect();
        if self.refused.len() < MAX_REFUSALS && !self.refused.contains(&short) {
            self.refused.push(short);
        }
    }

    /// Adds what another has.
    pub(super) fn merge(&mut self, other: &Self) {
        for name in &other.sent {
            self.add(name);
        }
        for (name, done) in &other.part {
            if !self.sent.contains(name) {
                self.add_part(name, done);
            }
        }
        for refusal in &other.refused {
            self.add_refusal(refusal);
        }
    }
}

/// What the object itself says was announced.
///
/// A value that does not parse is no value: everything is announced again under the same ids, and the value mended.
pub(super) fn read(run: &Run) -> Marks {
    let annotations = run.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(EMITTED))
        .and_then(|text| serde_json::from_str::<Value<'_>>(text).ok())
        .filter(|value| value.uid == run.uid())
        .map(|Value { mut sent, made, part, refused, .. }| {
            if !made && sent.iter().any(|name| name == FINISHED) {
                sent.push(MADE.to_owned());
            }
            Marks { sent, part, refused }
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
fn add(announced: &mut Vec<String>, name: &str) {
    if name == FINISHED || is_progress(name) {
        announced.retain(|known| !is_progress(known));
    }
    let is_over = announced.iter().any(|known| known == FINISHED);
    let is_done = announced.iter().any(|known| known == name) || is_over && is_progress(name);
    if !is_done {
        announced.push(name.to_owned());
    }
}

/// The merge patch that writes `marks`. The `uid` makes the API server refuse it for another object of the name.
pub(super) fn patch(uid: &str, marks: &Marks) -> serde_json::Value {
    let Marks { sent, part, refused } = marks.clone();
    let value = Value { uid: uid.into(), sent, made: true, part, refused };
    let text = serde_json::to_string(&value).unwrap_or_default();
    serde_json::json!({"metadata": {"uid": uid, "annotations": {EMITTED: text}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stay_small_whatever_is_noted() {
        let mut marks = Marks::default();
        let many: BTreeSet<String> = (0..500).map(|n| format!("{n:012}")).collect();
        for n in 0..100 {
            marks.add_part(&format!("p{n}"), &many);
            marks.add_refusal(&format!("{n} {}", "é".repeat(5_000)));
        }
        let text = patch("u", &marks)["metadata"]["annotations"][EMITTED].to_string();
        assert!(text.len() < 8 * 1024, "{}", text.len());
        marks.add("p0");
        assert!(!marks.part.contains_key("p0") && marks.sent == ["p0"]);
    }
}
