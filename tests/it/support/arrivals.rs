//! What the events at a sink say: which transitions of which runs arrived, in which order and under which ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::process::Recorder;

/// The transitions of a pipeline run.
pub const PIPELINE_RUN: [&str; 3] = ["queued", "started", "finished"];
/// The transitions of a task run.
pub const TASK_RUN: [&str; 2] = ["started", "finished"];

/// Everything that arrived so far.
#[derive(Default)]
pub struct Arrivals {
    /// By the run's uid.
    pipeline_runs: HashMap<String, Run>,
    task_runs: HashMap<String, Run>,
    /// The ids of the events that tell of a change, by its number.
    changes: HashMap<String, BTreeSet<String>>,
}

/// What arrived of one run.
#[derive(Default)]
struct Run {
    /// Every id under which each transition arrived.
    ids: BTreeMap<String, BTreeSet<String>>,
    /// Transitions in the order of their first arrival.
    order: Vec<String>,
    arrivals: usize,
}

// === impl Arrivals ===

impl Arrivals {
    /// Takes what arrived since the last call out of the recorder.
    pub fn read(&mut self, recorder: &Recorder) {
        for event in recorder.take() {
            let Some(ty) = event.ty().strip_prefix("dev.cdevents.") else { continue };
            let mut words = ty.split('.');
            let (subject, predicate) = (words.next().unwrap(), words.next().unwrap());
            let runs = match subject {
                "pipelinerun" => &mut self.pipeline_runs,
                "taskrun" => &mut self.task_runs,
                "change" => {
                    let number = event.tree().unwrap()["customData"]["change"]["number"].to_string();
                    self.changes.entry(number).or_default().insert(event.id().to_owned());
                    continue;
                }
                _ => continue,
            };
            let uid = event.tree().unwrap()["customData"]["tekton"]["uid"].as_str().unwrap().to_owned();
            let run = runs.entry(uid).or_default();
            run.arrivals += 1;
            if !run.ids.contains_key(predicate) {
                run.order.push(predicate.to_owned());
            }
            run.ids.entry(predicate.to_owned()).or_default().insert(event.id().to_owned());
        }
    }

    /// How many transitions arrived at least once.
    pub fn transitions(&self) -> usize {
        self.pipeline_runs.values().chain(self.task_runs.values()).map(|run| run.order.len()).sum()
    }

    /// How often a transition arrived again.
    pub fn again(&self) -> usize {
        let all = self.pipeline_runs.values().chain(self.task_runs.values());
        all.map(|run| run.arrivals - run.order.len()).sum()
    }

    /// How many ids beyond the one that each transition may have.
    pub fn ids_too_many(&self) -> usize {
        let all = self.pipeline_runs.values().chain(self.task_runs.values());
        all.flat_map(|run| run.ids.values()).map(|ids| ids.len() - 1).sum()
    }

    /// How many transitions of these runs, by uid, did not arrive: of pipeline runs, and of task runs.
    pub fn missing(&self, pipeline_runs: &BTreeSet<String>, task_runs: &BTreeSet<String>) -> usize {
        let kinds = [
            (&self.pipeline_runs, pipeline_runs, PIPELINE_RUN.as_slice()),
            (&self.task_runs, task_runs, TASK_RUN.as_slice()),
        ];
        let of = |run: Option<&Run>, all: &[&str]| {
            all.iter().filter(|name| !run.is_some_and(|run| run.ids.contains_key(**name))).count()
        };
        kinds
            .iter()
            .map(|(told, uids, all)| uids.iter().map(|uid| of(told.get(uid), all)).sum::<usize>())
            .sum()
    }

    /// Of how many runs something arrived that are not among these.
    pub fn unknown(&self, pipeline_runs: &BTreeSet<String>, task_runs: &BTreeSet<String>) -> usize {
        let kinds = [(&self.pipeline_runs, pipeline_runs), (&self.task_runs, task_runs)];
        kinds.iter().map(|(told, uids)| told.keys().filter(|uid| !uids.contains(*uid)).count()).sum()
    }

    /// Asserts that every transition of `count` pipeline runs with one task each arrived in its order and under one
    /// id, and so did every change.
    pub fn assert_complete(&self, count: usize) {
        self.assert_all(count, count);
    }

    /// The same where not every pipeline run came as far as to have a task run.
    pub fn assert_all(&self, count: usize, task_runs: usize) {
        for (kind, runs, count, order) in [
            ("pipeline run", &self.pipeline_runs, count, PIPELINE_RUN.as_slice()),
            ("task run", &self.task_runs, task_runs, TASK_RUN.as_slice()),
        ] {
            assert_eq!(runs.len(), count, "{kind}s that events told of");
            for (uid, run) in runs {
                assert_eq!(run.order, order, "the transitions of {kind} {uid}");
                for (transition, ids) in &run.ids {
                    assert_eq!(ids.len(), 1, "{transition} of {kind} {uid} had {ids:?}");
                }
            }
        }
        assert_eq!(self.changes.len(), count, "changes that were announced");
        assert!(self.changes.values().all(|ids| ids.len() == 1), "a change had more than one id");
    }
}
