//! Everything that can become of a run: the pipelines, what each scenario does, and what has to be told of it.

use std::collections::BTreeMap;

use pipewright::event::annotation::EMITTED;
use pipewright::vocabulary::tekton::RunKind;
use serde_json::{Value, json};

use super::world::{World, condition, noted};

/// The pipelines of the scenarios.
pub const PIPELINES: &str = include_str!("pipelines.yaml");

/// One thing that happens in a scenario.
pub enum Step {
    /// Waits until this was told.
    Told(&'static str),
    /// Patches the pipeline run.
    Patch(fn() -> Value),
    /// Puts back the note about what was announced to an older state, as Tekton's controller does at the end of a
    /// reconcile that began before it was written, and waits until it is mended.
    Revert,
    /// Lets the pod of a task end.
    Release(&'static str),
    /// Its controller writes the status of the run of a custom task.
    Custom(fn() -> Value),
    /// Its controller writes the status of the pipeline run.
    Status(fn() -> Value),
    /// Somebody creates a task run, whose name may be the pipeline run's.
    TaskRun(fn(name: &str) -> Value),
    /// Somebody deletes the pipeline run.
    Delete,
    /// The same webhook comes again.
    Again,
}
use Step::{Again, Custom, Delete, Patch, Release, Revert, Status, TaskRun, Told};

/// A webhook, what Tekton makes of it, and what is told of that.
pub struct Scenario {
    /// The title of the pull request, and the name of the mapping.
    pub name: &'static str,
    /// How the pods play.
    play: &'static str,
    /// The run that the mapping wants, as YAML.
    spec: &'static str,
    steps: &'static [Step],
    /// Status and reason of the pipeline run in the end; none where it is gone.
    end: Option<(&'static str, &'static str)>,
    /// What is told of each object.
    story: &'static [&'static str],
}

const QUICK: &str = "duration: 100ms";
const HOLD: &str = "hold: 'true'";
/// What the task of this scenario writes as its results.
const IMAGE: &str = r#"results: '{"IMAGE_URL": "ghcr.io/acme/shop:v1", "IMAGE_DIGEST": "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}'"#;
const ONE: &str = "pipelineRef: {name: one}";
const TWO: &str = "pipelineRef: {name: two}";
const CUSTOM: &str = "pipelineRef: {name: custom}";
/// A pipeline run, and its task `a`, that end well.
pub const GOOD: &str = "PipelineRun: queued, started, finished success Succeeded";
pub const A_GOOD: &str = "TaskRun a: started, finished success Succeeded";

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "succeeded",
        play: "{results: '{\"digest\": \"sha256:ab\"}'}",
        spec: "pipelineRef: {name: results}",
        steps: &[],
        end: Some(("True", "Succeeded")),
        story: &[GOOD, A_GOOD],
    },
    Scenario {
        name: "image",
        play: IMAGE,
        spec: "pipelineRef: {name: image}",
        steps: &[],
        end: Some(("True", "Succeeded")),
        story: &[
            "PipelineRun: queued, started, finished success Succeeded, packaged, published",
            "TaskRun a: started, finished success Succeeded, packaged, published",
        ],
    },
    Scenario {
        name: "finally",
        play: QUICK,
        spec: TWO,
        steps: &[],
        end: Some(("True", "Succeeded")),
        story: &[
            GOOD,
            A_GOOD,
            "TaskRun b: started, finished success Succeeded",
            "TaskRun last: started, finished success Succeeded",
        ],
    },
    Scenario {
        name: "failed",
        play: "exit-code.a: '1'",
        spec: TWO,
        steps: &[],
        end: Some(("False", "Failed")),
        story: &[
            "PipelineRun: queued, started, finished failure Failed",
            "TaskRun a: started, finished failure StepFailed",
            "TaskRun last: started, finished success Succeeded",
        ],
    },
    Scenario {
        name: "cancelled",
        play: HOLD,
        spec: TWO,
        steps: &[Told("TaskRun a started"), Patch(|| json!({"spec": {"status": "Cancelled"}}))],
        end: Some(("False", "Cancelled")),
        story: &[
            "PipelineRun: queued, started, finished cancel Cancelled",
            "TaskRun a: started, finished cancel TaskRunCancelled",
        ],
    },
    Scenario {
        name: "cancelled-finally",
        play: HOLD,
        spec: TWO,
        steps: &[
            Told("TaskRun a started"),
            Patch(|| json!({"spec": {"status": "CancelledRunFinally"}})),
            Release("last"),
        ],
        end: Some(("False", "Cancelled")),
        story: &[
            "PipelineRun: queued, started, finished cancel Cancelled",
            "TaskRun a: started, finished cancel TaskRunCancelled",
            "TaskRun last: started, finished success Succeeded",
        ],
    },
    Scenario {
        name: "stopped-finally",
        play: HOLD,
        spec: TWO,
        steps: &[
            Told("TaskRun a started"),
            Patch(|| json!({"spec": {"status": "StoppedRunFinally"}})),
            Release("a"),
            Release("last"),
        ],
        end: Some(("False", "Cancelled")),
        story: &[
            "PipelineRun: queued, started, finished cancel Cancelled",
            A_GOOD,
            "TaskRun last: started, finished success Succeeded",
        ],
    },
    Scenario {
        name: "timeout",
        play: HOLD,
        spec: "{pipelineRef: {name: two}, timeouts: {pipeline: 8s}}",
        steps: &[],
        end: Some(("False", "PipelineRunTimeout")),
        story: &[
            "PipelineRun: queued, started, finished error PipelineRunTimeout",
            "TaskRun a: started, finished cancel TaskRunCancelled",
        ],
    },
    Scenario {
        name: "task-timeout",
        play: HOLD,
        spec: "pipelineRef: {name: task-timeout}",
        steps: &[],
        end: Some(("False", "Failed")),
        story: &[
            "PipelineRun: queued, started, finished failure Failed",
            "TaskRun a: started, finished error TaskRunTimeout",
        ],
    },
    Scenario {
        name: "retried",
        play: "first-exit-code: '1'",
        spec: "pipelineRef: {name: retry}",
        steps: &[],
        end: Some(("True", "Succeeded")),
        story: &[GOOD, A_GOOD],
    },
    Scenario {
        name: "retried-in-vain",
        play: "exit-code: '1'",
        spec: "pipelineRef: {name: retry}",
        steps: &[],
        end: Some(("False", "Failed")),
        story: &[
            "PipelineRun: queued, started, finished failure Failed",
            "TaskRun a: started, finished failure StepFailed",
        ],
    },
    Scenario {
        name: "pending",
        play: QUICK,
        spec: "{pipelineRef: {name: one}, status: PipelineRunPending}",
        steps: &[Told("PipelineRun queued"), Patch(|| json!({"spec": {"status": null}}))],
        end: Some(("True", "Succeeded")),
        story: &[GOOD, A_GOOD],
    },
    Scenario {
        name: "pending-cancelled",
        play: QUICK,
        spec: "{pipelineRef: {name: one}, status: PipelineRunPending}",
        steps: &[Told("PipelineRun queued"), Patch(|| json!({"spec": {"status": "Cancelled"}}))],
        end: Some(("False", "Cancelled")),
        story: &["PipelineRun: queued, started, finished cancel Cancelled"],
    },
    Scenario {
        name: "missing-task",
        play: QUICK,
        spec: "pipelineRef: {name: missing-task}",
        steps: &[],
        end: Some(("False", "CouldntGetTask")),
        story: &["PipelineRun: queued, started, finished error CouldntGetTask"],
    },
    Scenario {
        name: "missing-pipeline",
        play: QUICK,
        spec: "pipelineRef: {name: none}",
        steps: &[],
        end: Some(("False", "CouldntGetPipeline")),
        story: &["PipelineRun: queued, started, finished error CouldntGetPipeline"],
    },
    Scenario {
        name: "missing-param",
        play: QUICK,
        spec: "pipelineRef: {name: params}",
        steps: &[],
        end: Some(("False", "ParameterMissing")),
        story: &["PipelineRun: queued, started, finished error ParameterMissing"],
    },
    Scenario {
        name: "matrix",
        play: QUICK,
        spec: "pipelineRef: {name: matrix}",
        steps: &[],
        end: Some(("True", "Succeeded")),
        story: &[
            GOOD,
            "TaskRun a-0: started, finished success Succeeded",
            "TaskRun a-1: started, finished success Succeeded",
            "TaskRun a-2: started, finished success Succeeded",
        ],
    },
    Scenario {
        name: "when",
        play: QUICK,
        spec: "pipelineRef: {name: when}",
        steps: &[],
        end: Some(("True", "Completed")),
        story: &["PipelineRun: queued, started, finished success Completed", A_GOOD],
    },
    Scenario {
        name: "custom",
        play: QUICK,
        spec: CUSTOM,
        steps: &[
            Custom(|| running("2026-01-01T00:00:00Z")),
            Told("CustomRun gate started"),
            Custom(|| {
                let mut status = done("True", "Approved", "the manager says yes");
                status["results"] = json!([{"name": "answer", "value": "yes"}]);
                status
            }),
        ],
        end: Some(("True", "Succeeded")),
        story: &["CustomRun gate: started, finished success Approved", GOOD, A_GOOD],
    },
    Scenario {
        name: "custom-refused",
        play: QUICK,
        spec: CUSTOM,
        steps: &[
            Custom(|| running("2026-01-01T00:00:00Z")),
            Custom(|| done("False", "Rejected", "the manager says no")),
        ],
        end: Some(("False", "Failed")),
        story: &[
            "CustomRun gate: started, finished failure Rejected",
            "PipelineRun: queued, started, finished failure Failed",
        ],
    },
    Scenario {
        name: "custom-cancelled",
        play: QUICK,
        spec: CUSTOM,
        steps: &[
            Custom(|| running("2026-01-01T00:00:00Z")),
            Told("CustomRun gate started"),
            Patch(|| json!({"spec": {"status": "Cancelled"}})),
            Told("PipelineRun finished cancel Cancelled"),
            Custom(|| done("False", "CustomRunCancelled", "as asked")),
        ],
        end: Some(("False", "Cancelled")),
        story: &[
            "CustomRun gate: started, finished cancel CustomRunCancelled",
            "PipelineRun: queued, started, finished cancel Cancelled",
        ],
    },
    Scenario {
        name: "deleted",
        play: HOLD,
        spec: ONE,
        steps: &[Told("TaskRun a started"), Told("PipelineRun started"), Delete],
        end: None,
        story: &[
            "PipelineRun: queued, started, finished cancel Deleted",
            "TaskRun a: started, finished cancel Deleted",
        ],
    },
    Scenario {
        name: "again",
        play: QUICK,
        spec: ONE,
        steps: &[
            Told("PipelineRun finished success Succeeded"),
            Told("TaskRun a finished success Succeeded"),
            Delete,
            Again,
        ],
        end: Some(("True", "Succeeded")),
        story: &[GOOD, GOOD, A_GOOD, A_GOOD],
    },
    Scenario {
        name: "again-at-once",
        play: HOLD,
        spec: ONE,
        steps: &[Told("TaskRun a started"), Told("PipelineRun started"), Delete, Again, Release("a")],
        end: Some(("True", "Succeeded")),
        story: &[
            "PipelineRun: queued, started, finished cancel Deleted",
            GOOD,
            "TaskRun a: started, finished cancel Deleted",
            A_GOOD,
        ],
    },
    Scenario {
        name: "reverted",
        play: HOLD,
        spec: ONE,
        steps: &[Told("TaskRun a started"), Told("PipelineRun started"), Revert, Release("a"), Revert],
        end: Some(("True", "Succeeded")),
        story: &[GOOD, A_GOOD],
    },
    Scenario {
        name: "namesake",
        play: QUICK,
        spec: ONE,
        steps: &[TaskRun(|name| task_run(name, "namesake"))],
        end: Some(("True", "Succeeded")),
        story: &[GOOD, "TaskRun: started, finished success Succeeded", A_GOOD],
    },
    Scenario {
        name: "alone",
        play: QUICK,
        spec: ONE,
        steps: &[TaskRun(|_| task_run("alone", "alone"))],
        end: Some(("True", "Succeeded")),
        story: &[GOOD, "TaskRun: started, finished success Succeeded", A_GOOD],
    },
    Scenario {
        name: "managed-by",
        play: QUICK,
        spec: "{pipelineRef: {name: one}, managedBy: example.com/other}",
        steps: &[
            Told("PipelineRun queued"),
            Status(|| running("2026-01-01T00:00:00Z")),
            Told("PipelineRun started"),
            Status(|| done("True", "Succeeded", "somebody else played it")),
        ],
        end: Some(("True", "Succeeded")),
        story: &[GOOD],
    },
];

/// A run of one task.
pub fn one(name: &'static str, play: &'static str) -> Scenario {
    Scenario::new(name, play, ONE)
}

fn running(since: &str) -> Value {
    json!({"startTime": since, "conditions": [{
        "type": "Succeeded", "status": "Unknown", "reason": "Running", "message": "", "lastTransitionTime": since,
    }]})
}

fn done(status: &str, reason: &str, message: &str) -> Value {
    let at = "2026-01-01T00:01:00Z";
    json!({"completionTime": at, "conditions": [{
        "type": "Succeeded", "status": status, "reason": reason, "message": message, "lastTransitionTime": at,
    }]})
}

/// A task run without a pipeline, with the label by which these tests find what was told of it.
fn task_run(name: &str, mapping: &str) -> Value {
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": name, "labels": {"pipewright.dev/mapping": mapping}},
        "spec": {"taskRef": {"name": "work"}},
    })
}

// === impl Scenario ===

impl Scenario {
    /// A run that is steered by its test.
    pub fn new(name: &'static str, play: &'static str, spec: &'static str) -> Self {
        Self { name, play, spec, steps: &[], end: None, story: &[] }
    }

    /// The mapping file that turns its webhook into its run.
    pub fn mapping(&self) -> (String, String) {
        let Self { name, spec, .. } = self;
        let play: BTreeMap<String, String> = serde_saphyr::from_str(self.play).unwrap();
        let play: BTreeMap<String, String> =
            play.into_iter().map(|(key, value)| (format!("play.pipewright.dev/{key}"), value)).collect();
        let spec: Value = serde_saphyr::from_str(spec).unwrap();
        let document = json!({
            "apiVersion": "pipewright.dev/v1alpha1", "kind": "Mapping", "metadata": {"name": name},
            "spec": {
                "events": [{"type": "dev.cdevents.change.created"}],
                "filter": [{"cel": format!("event.data.customData.change.title == '{name}'")}],
                "do": [{"name": "run", "pipelineRun": {"metadata": {"annotations": play}, "spec": spec}}],
            },
        });
        ((*name).to_owned(), document.to_string())
    }

    /// Has it happen, and waits until everything was told.
    pub async fn play(&self, world: &World, number: usize) {
        let Self { name, .. } = self;
        world.webhook(name, number).await;
        for step in self.steps {
            self.step(step, world, number).await;
        }
        if let Some((status, reason)) = self.end {
            world
                .until(&format!("the end of {name}"), async || {
                    condition(&world.run(name).await.unwrap()).0 == status
                })
                .await;
            let end = condition(&world.run(name).await.unwrap());
            assert_eq!(end, (status.to_owned(), reason.to_owned()), "{name}");
        }
        let wanted: usize = self.story.iter().map(|line| line.split(", ").count()).sum();
        world.until(&format!("{:?} of {name}", self.story), async || world.told(name).len() >= wanted).await;
    }

    /// What has to be told: of each object everything, in its order, once.
    pub fn story(&self) -> Vec<String> {
        let mut story: Vec<String> = self.story.iter().map(|line| (*line).to_owned()).collect();
        story.sort();
        story
    }

    async fn step(&self, step: &Step, world: &World, number: usize) {
        let mapping = self.name;
        let run = async || world.run(mapping).await.unwrap().metadata.name.unwrap();
        match step {
            Told(wanted) => {
                let what = format!("{mapping}: {wanted}");
                world
                    .until(&what, async || world.told(mapping).iter().any(|told| told.line() == *wanted))
                    .await;
            }
            Patch(patch) => world.patch(RunKind::PipelineRun, &run().await, &patch()).await,
            Revert => {
                let has = async |wanted: &str| {
                    let noted = noted(&world.run(mapping).await.unwrap()).unwrap_or_default();
                    noted.iter().any(|it| it == wanted)
                };
                world.until("the note", async || has("started").await).await;
                let uid = world.run(mapping).await.unwrap().metadata.uid;
                let old = json!({"uid": uid, "sent": ["queued"]}).to_string();
                let patch = json!({"metadata": {"annotations": {EMITTED: old}}});
                world.patch(RunKind::PipelineRun, &run().await, &patch).await;
                world.until("the note again", async || has("started").await).await;
            }
            Release(task) => world.release(&run().await, task).await,
            Custom(status) => {
                world
                    .until("a custom run", async || {
                        !world.objects(RunKind::CustomRun, mapping).await.is_empty()
                    })
                    .await;
                let mut found = world.objects(RunKind::CustomRun, mapping).await;
                let name = found.pop().unwrap().metadata.name.unwrap();
                world.report(RunKind::CustomRun, &name, &status()).await;
            }
            Status(status) => world.report(RunKind::PipelineRun, &run().await, &status()).await,
            TaskRun(object) => drop(world.create(RunKind::TaskRun, object(&run().await)).await),
            Delete => world.delete(mapping).await,
            Again => world.webhook(mapping, number).await,
        }
    }
}
