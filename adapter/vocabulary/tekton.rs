//! Tekton's runs as `CDEvents`: every transition that has happened, read off the object's status.
//!
//! Level-triggered: the object alone decides, so it does not matter what was seen of it before, by which replica, or in
//! which order. Ids are functions of (uid, transition).

mod cluster;
mod deleted;
mod made;
mod object;
mod output;
mod progress;

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

pub use self::cluster::{Cluster, ClusterError};
pub use self::deleted::{deleted, lean, weight};
use self::object::{Object, State};
pub use self::output::is_output;
pub use self::progress::{PROGRESSED, is_progress, settled_tasks};
use super::cdevent::{CdEvent, CdEventError, Link, occurrence_id};
use super::extract::Package;
use super::outcome::Outcome;
use super::types::{Type, resolve};
use crate::event::Event;
use crate::event::annotation;
use crate::event::identity::chain_uuid;

/// A kind of object that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RunKind {
    /// `tekton.dev/v1` `PipelineRun`.
    PipelineRun,
    /// `tekton.dev/v1` `TaskRun`.
    TaskRun,
    /// `tekton.dev/v1beta1` `CustomRun`.
    CustomRun,
}

/// Something that happened to a run.
#[derive(Debug)]
pub struct Transition {
    /// What tells it from all others of the run: `queued`, `started`, `finished`; for what the run made the predicate and
    /// the beginning of the event's id; for progress the counts ([`is_progress`]).
    pub name: Cow<'static, str>,
    /// What is to be announced.
    pub event: Event,
}

/// The name of the transition after which nothing but what was made is told of a run.
pub const FINISHED: &str = "finished";

/// Longest text of `errors` and of a result in bytes, so that an event stays within the 64 KiB that every
/// intermediary forwards (CloudEvents 1.0.2, "Size Limits").
const MAX_TEXT: usize = 4096;
/// Most bytes of all results together.
const MAX_RESULTS: usize = 32 * 1024;

/// Every transition of the object that has happened, oldest first: the past of an object first seen when it was
/// finished, too.
///
/// Nothing for an object without a uid, a namespace or a name: no API server has one.
pub fn transitions(object: &Value, kind: RunKind, cluster: &Cluster) -> Vec<Transition> {
    let Some(run) = Object::read(object, kind) else { return Vec::new() };
    let run = Run { run, cluster };
    let mut transitions = Vec::with_capacity(4);
    let happened = [
        ("queued", run.run.queued_at(), State::Queued),
        ("started", run.run.started_at(), State::Started),
        (FINISHED, run.run.finished_at(), State::Finished),
    ];
    let mut parent = run.pipeline_run_started();
    for (name, at, state) in happened {
        if state == State::Finished
            && at.is_none()
            && let Some(progress) = run.progress(parent.as_deref())
        {
            transitions.push(progress);
        }
        let Some(at) = at else { continue };
        // An API server's object has nothing that could not be written; anything else is not announced.
        let Ok((id, event)) = run.event(name, state, at, parent.as_deref()) else { continue };
        transitions.push(Transition { name: Cow::Borrowed(name), event });
        if state == State::Finished {
            run.outputs(&id, at, &mut transitions);
        }
        parent = Some(id);
    }
    transitions
}

// === impl RunKind ===

impl RunKind {
    /// The kind's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PipelineRun => "PipelineRun",
            Self::TaskRun => "TaskRun",
            Self::CustomRun => "CustomRun",
        }
    }

    /// The name in the API's paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::PipelineRun => "pipelineruns",
            Self::TaskRun => "taskruns",
            Self::CustomRun => "customruns",
        }
    }

    /// The API group and version that we read.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::PipelineRun | Self::TaskRun => "tekton.dev/v1",
            Self::CustomRun => "tekton.dev/v1beta1",
        }
    }

    /// The subject in the types of its events.
    fn subject(self) -> &'static str {
        match self {
            Self::PipelineRun => "pipelinerun",
            // A custom task is a task to everybody who looks at a pipeline.
            Self::TaskRun | Self::CustomRun => "taskrun",
        }
    }
}

/// A run together with its cluster.
struct Run<'a> {
    run: Object<'a>,
    cluster: &'a Cluster,
}

/// `subject.content` of all five types; each has the fields that are set.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_run: Option<Reference>,
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a str>,
}

#[derive(Serialize)]
struct Reference {
    id: String,
}

/// `customData`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extract<'a> {
    tekton: Tekton<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapping: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Cause<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a str>,
    /// What was made, in the shape that a forge's package has.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<&'a Package<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a made::Service<'a>>,
}

/// The object; reason, message and results only once it is finished, so that an event about what happened earlier is the
/// same whenever it is computed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tekton<'a> {
    kind: &'static str,
    uid: &'a str,
    namespace: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_run: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    results: Map<String, Value>,
}

/// The event that caused the run.
#[derive(Serialize)]
struct Cause<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'a str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    ty: Option<&'a str>,
}

// === impl Run ===

impl Run<'_> {
    fn event(
        &self,
        name: &'static str,
        state: State,
        at: jiff::Timestamp,
        parent: Option<&str>,
    ) -> Result<(String, Event), CdEventError> {
        let run = &self.run;
        let base = format!("dev.cdevents.{}.{name}", run.kind.subject());
        // `queued`, `started` and `finished` exist for every subject that is asked for here.
        let Some(ty) = resolve(&base) else { return Err(CdEventError::Unknown(base)) };
        let mut event = self
            .about(ty, &run.id(), &[run.uid], at)
            .content(&self.content(state))?
            .custom_data(&self.extract(state))?;
        if let Some(parent) = parent {
            event = event.link(Link::Path { from: parent.to_owned() });
        }
        // The annotation travels to the tasks of a pipeline, but the event asked for the pipeline only.
        if run.pipeline_run().is_none()
            && let Some(cause) = run.annotation(annotation::EVENT_ID)
        {
            event = event.link(Link::Relation { kind: "TRIGGER".to_owned(), target: cause.to_owned() });
        }
        let id = event.id().to_owned();
        Ok((id, event.build()?))
    }

    /// The beginning of every event of the run.
    fn about(&self, ty: impl Into<Type>, subject: &str, occurrence: &[&str], at: jiff::Timestamp) -> CdEvent {
        CdEvent::occurrence(ty, &self.cluster.source, subject, occurrence, at).chain(self.chain())
    }

    /// The uid of the pipeline's run that this run is a task of, or else its own.
    fn root(&self) -> &str {
        self.run.pipeline_run().and_then(|(_, uid)| uid).unwrap_or(self.run.uid)
    }

    /// The id of the `started` of the pipeline's run that this run is a task of.
    fn pipeline_run_started(&self) -> Option<String> {
        let (name, uid) = self.run.pipeline_run()?;
        let id = format!("{}/{name}", self.run.namespace);
        uid.map(|uid| occurrence_id("dev.cdevents.pipelinerun.started", &self.cluster.source, &id, &[uid]))
    }

    /// The chain of the event that caused the run, or one for the pipeline's run and all of its tasks.
    fn chain(&self) -> String {
        let run = &self.run;
        run.annotation(annotation::CHAIN_ID)
            .map_or_else(|| chain_uuid(&["tekton", &self.cluster.source, self.root()]), str::to_owned)
    }

    fn content(&self, state: State) -> Content<'_> {
        let run = &self.run;
        let mut content = Content { uri: self.cluster.url(run), ..Content::default() };
        match run.kind {
            RunKind::PipelineRun => content.pipeline_name = Some(run.pipeline()),
            RunKind::TaskRun | RunKind::CustomRun => {
                content.task_name = Some(run.task());
                content.pipeline_run =
                    run.pipeline_run().map(|(name, _)| Reference { id: format!("{}/{name}", run.namespace) });
            }
        }
        if state == State::Finished {
            let outcome = self.outcome();
            content.outcome = Some(outcome.as_str());
            content.errors = run
                .message()
                .filter(|message| outcome != Outcome::Success && !message.is_empty())
                .map(shorten);
        }
        content
    }

    fn outcome(&self) -> Outcome {
        let reason = self.run.reason().unwrap_or_default();
        let other = match self.run.kind {
            RunKind::PipelineRun | RunKind::TaskRun => Outcome::Error,
            // Its controller may use any word for "no".
            RunKind::CustomRun => Outcome::Failure,
        };
        match self.run.status() {
            Some("True") => self.cluster.outcomes.of_true(reason),
            _ => self.cluster.outcomes.of_false(reason, other),
        }
    }

    fn extract(&self, state: State) -> Extract<'_> {
        let run = &self.run;
        let finished = state == State::Finished;
        let is_task = run.kind != RunKind::PipelineRun;
        Extract {
            tekton: Tekton {
                kind: run.kind.as_str(),
                uid: run.uid,
                namespace: run.namespace,
                name: run.name,
                pipeline: if is_task { run.pipeline_of_task() } else { Some(run.pipeline()) },
                pipeline_run: run.pipeline_run().map(|(name, _)| name),
                task: is_task.then(|| run.task()),
                status: run.status().filter(|_| finished),
                reason: run.reason().filter(|_| finished),
                message: run.message().filter(|_| finished).map(shorten),
                results: if finished { results(run) } else { Map::new() },
            },
            mapping: run.label(annotation::MAPPING),
            action: run.label(annotation::ACTION),
            event: run.annotation(annotation::EVENT_ID).map(|id| Cause {
                id,
                source: run.annotation(annotation::EVENT_SOURCE),
                ty: run.annotation(annotation::EVENT_TYPE),
            }),
            delivery: run.annotation(annotation::DELIVERY),
            package: None,
            service: None,
        }
    }
}

/// The results by name, as many as fit.
fn results(run: &Object<'_>) -> Map<String, Value> {
    let mut left = MAX_RESULTS;
    let mut results = Map::new();
    for (name, value) in run.results() {
        let size = name.len() + size_of(value);
        if size > MAX_TEXT.min(left) {
            continue;
        }
        left -= size;
        results.insert(name.to_owned(), value.clone());
    }
    results
}

/// About the length of a value's JSON text.
fn size_of(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 3,
        Value::Array(items) => 2 + items.iter().map(size_of).sum::<usize>(),
        Value::Object(fields) => 2 + fields.iter().map(|(k, v)| k.len() + 4 + size_of(v)).sum::<usize>(),
    }
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

#[cfg(test)]
mod tests;
