//! The parts of a Tekton object that its events are made of.

use jiff::Timestamp;
use serde_json::Value;

use super::RunKind;
use crate::event::annotation;
use crate::vocabulary::time;

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Queued,
    Started,
    Finished,
}

/// A run's object, looked at.
pub struct Object<'a> {
    pub kind: RunKind,
    pub uid: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
    json: &'a Value,
    /// The condition `Succeeded`.
    condition: Option<&'a Value>,
}

/// Reasons of a condition `Unknown` that mean that nothing runs yet.
const PENDING_PIPELINE_RUN: &[&str] = &["PipelineRunPending"];
const PENDING_TASK_RUN: &[&str] = &[
    "TaskRunPending",
    "Pending",
    "ExceededNodeResources",
    "ExceededResourceQuota",
    "PullImageFailed",
    "ResolvingTaskRef",
    "ResolvingStepActionRef",
    "ToBeRetried",
];

// === impl Object ===

impl<'a> Object<'a> {
    pub fn read(object: &'a Value, kind: RunKind) -> Option<Self> {
        let metadata = object.get("metadata")?;
        let text = |name: &str| metadata.get(name).and_then(Value::as_str).filter(|text| is_plain(text));
        let condition = at(object, "status.conditions")
            .and_then(Value::as_array)
            .and_then(|all| all.iter().find(|condition| condition["type"] == "Succeeded"));
        Some(Self {
            kind,
            uid: text("uid")?,
            namespace: text("namespace")?,
            name: text("name")?,
            json: object,
            condition,
        })
    }

    /// `<namespace>/<name>`: the subject of its events. A name can be used again, so it does not identify.
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.metadata("labels", name)
    }

    pub fn annotation(&self, name: &str) -> Option<&'a str> {
        self.metadata("annotations", name)
    }

    /// Whether there is such an annotation, whatever it holds.
    pub fn is_annotated(&self, name: &str) -> bool {
        at(self.json, "metadata.annotations").and_then(|all| all.get(name)).is_some()
    }

    /// The params by name.
    pub fn params(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let params = at(self.json, "spec.params").and_then(Value::as_array);
        params.into_iter().flatten().filter_map(named)
    }

    /// The condition's status: `True`, `False` or `Unknown`.
    pub fn status(&self) -> Option<&'a str> {
        self.of_condition("status")
    }

    pub fn reason(&self) -> Option<&'a str> {
        self.of_condition("reason")
    }

    pub fn message(&self) -> Option<&'a str> {
        self.of_condition("message")
    }

    /// The pipeline's name: the same from the first event of a run to the last. Tekton's label comes only when the run has
    /// begun, and is the run's own name where no Pipeline of the cluster is named, so that it counts last.
    pub fn pipeline(&self) -> &'a str {
        let plain = |name: Option<&'a str>| name.filter(|name| is_plain(name));
        plain(self.text("spec.pipelineRef.name"))
            .or_else(|| plain(self.resolved_name()))
            .or_else(|| plain(self.text("metadata.generateName").map(|name| name.trim_end_matches('-'))))
            .or_else(|| plain(self.label(annotation::MAPPING)))
            .or_else(|| plain(self.label("tekton.dev/pipeline")))
            .unwrap_or(self.name)
    }

    /// What a resolver is asked for by name, such as that of a hub, a bundle or the cluster.
    fn resolved_name(&self) -> Option<&'a str> {
        let params = at(self.json, "spec.pipelineRef.params")?.as_array()?;
        let (_, name) = params.iter().filter_map(named).find(|(name, _)| *name == "name")?;
        name.as_str()
    }

    /// The task's name in its pipeline, or of the task that it refers to.
    pub fn task(&self) -> &'a str {
        self.label("tekton.dev/pipelineTask")
            .or_else(|| self.text("spec.taskRef.name"))
            .or_else(|| self.text("spec.customRef.name"))
            .or_else(|| self.text("spec.customRef.kind"))
            .or_else(|| self.text("spec.customSpec.kind"))
            .filter(|name| !name.is_empty())
            .unwrap_or("<embedded>")
    }

    /// The pipeline that a task belongs to, as Tekton labels it; the name of the run itself, which it also puts there, is none.
    pub fn pipeline_of_task(&self) -> Option<&'a str> {
        self.label("tekton.dev/pipeline").filter(|name| Some(*name) != self.label("tekton.dev/pipelineRun"))
    }

    /// Name and uid of the `PipelineRun` that this run is a task of.
    pub fn pipeline_run(&self) -> Option<(&'a str, Option<&'a str>)> {
        match self.kind {
            RunKind::PipelineRun => None,
            RunKind::TaskRun | RunKind::CustomRun => self
                .label("tekton.dev/pipelineRun")
                .map(|name| (name, self.label("tekton.dev/pipelineRunUID"))),
        }
    }

    /// When it was asked for; `None` for kinds that have no such event in `CDEvents` 0.5.1.
    pub fn queued_at(&self) -> Option<Timestamp> {
        match self.kind {
            RunKind::PipelineRun => self.created_at(),
            RunKind::TaskRun | RunKind::CustomRun => None,
        }
    }

    /// When it began, if it has.
    pub fn started_at(&self) -> Option<Timestamp> {
        let start = self.time("status.startTime");
        // A retry starts the clock anew, but the run has begun once only.
        let first_try = at(self.json, "status.retriesStatus")
            .and_then(|tries| tries.get(0)?.get("startTime")?.as_str())
            .and_then(time::parse);
        let is_pending = |reasons: &[&str]| {
            self.status() != Some("True")
                && self.status() != Some("False")
                && self.reason().is_none_or(|reason| reasons.contains(&reason))
        };
        match self.kind {
            RunKind::PipelineRun => start.filter(|_| !is_pending(PENDING_PIPELINE_RUN)),
            RunKind::TaskRun => first_try.or_else(|| start.filter(|_| !is_pending(PENDING_TASK_RUN))),
            // Its controller may leave the time out; a condition shows that it has taken the run up.
            RunKind::CustomRun => start.or_else(|| self.condition.and_then(|_| self.created_at())),
        }
    }

    /// When it ended, if it has.
    pub fn finished_at(&self) -> Option<Timestamp> {
        if !matches!(self.status(), Some("True" | "False")) {
            return None;
        }
        self.time("status.completionTime").or_else(|| self.changed_at()).or_else(|| self.created_at())
    }

    /// The results by name; older versions and other kinds call them otherwise.
    pub fn results(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let status = self.json.get("status");
        ["results", "pipelineResults", "taskResults"]
            .into_iter()
            .find_map(move |name| status?.get(name)?.as_array())
            .into_iter()
            .flatten()
            .filter_map(named)
    }

    /// When the condition last changed.
    pub fn changed_at(&self) -> Option<Timestamp> {
        self.of_condition("lastTransitionTime").and_then(time::parse)
    }

    fn created_at(&self) -> Option<Timestamp> {
        self.time("metadata.creationTimestamp")
    }

    fn of_condition(&self, name: &str) -> Option<&'a str> {
        self.condition?.get(name)?.as_str()
    }

    fn metadata(&self, map: &str, name: &str) -> Option<&'a str> {
        self.json.get("metadata")?.get(map)?.get(name)?.as_str().filter(|text| is_plain(text))
    }

    fn text(&self, path: &str) -> Option<&'a str> {
        at(self.json, path).and_then(Value::as_str)
    }

    fn time(&self, path: &str) -> Option<Timestamp> {
        self.text(path).and_then(time::parse)
    }
}

/// The value below these keys, joined by dots. `Value::pointer` looks for escapes in each of them, twice.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

fn named(item: &Value) -> Option<(&str, &Value)> {
    Some((item.get("name")?.as_str()?, item.get("value")?))
}

/// Whether a text may become an attribute of an event. Kubernetes lets an annotation hold anything.
fn is_plain(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}
