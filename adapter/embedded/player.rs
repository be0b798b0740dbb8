//! The player: walks runs through Tekton's conditions, in the place of Tekton's controller and of the kubelet.
//!
//! It **runs no container**. Time and outcome of a task come from annotations of its run, with the names in this
//! module, or from [`PlayerOptions`]; Tekton copies the annotations of a `PipelineRun` to its children, so those of a
//! `PipelineRun` hold for all its tasks. It works through the API like any controller: what is to do is read from the
//! objects, so that a restart, a repeat or a lost event changes nothing. `CustomRun`s are created for custom tasks and
//! then left to whoever implements them.

mod graph;
mod pipeline_run;
mod task_run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::object;
use super::write::Clock;
use pipewright_tekton as tekton;

/// How long each task takes, such as `2s` or `150ms`.
pub const DURATION: &str = "player.pipewright.dev/duration";
/// `succeed` or `fail`.
pub const OUTCOME: &str = "player.pipewright.dev/outcome";
/// The name of the only task of a pipeline that fails.
pub const FAIL_TASK: &str = "player.pipewright.dev/fail-task";
/// `true` keeps tasks running until it is taken away or the run is cancelled or times out.
pub const HOLD: &str = "player.pipewright.dev/hold";
/// A JSON map of results; with `.<task>` behind it, of that task alone.
pub const RESULTS: &str = "player.pipewright.dev/results";
/// Says on every child that nothing ran.
const NOTE: &str = "player.pipewright.dev/note";

/// How the player plays where annotations say nothing.
#[derive(Clone, Debug)]
pub struct PlayerOptions {
    /// How long a task takes.
    pub task_duration: Duration,
    /// How many objects are handled at once, of each kind.
    pub concurrency: u16,
}

/// A running player; it stops when it is dropped.
pub(super) struct Player {
    tasks: Vec<JoinHandle<()>>,
}

/// What every step of the player needs.
struct Context {
    client: kube::Client,
    options: PlayerOptions,
    clock: Clock,
    /// When a task began to run, by uid: timestamps of the API are whole seconds.
    running: Mutex<HashMap<String, Instant>>,
}

/// A watch that broke is opened again soon, however often it breaks: the cluster is in the same process.
struct Steady;

/// Why a step did not come through; it is repeated.
#[derive(Debug, thiserror::Error)]
enum PlayError {
    #[error("the API refused: {0}")]
    Api(#[from] kube::Error),
    #[error("an object is not JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A condition to set.
#[derive(Clone, Debug)]
struct Condition {
    status: &'static str,
    reason: &'static str,
    message: String,
}

// === impl PlayerOptions ===

impl Default for PlayerOptions {
    fn default() -> Self {
        Self { task_duration: Duration::from_secs(1), concurrency: 16 }
    }
}

// === impl Player ===

impl Player {
    /// Starts playing everything that the client reaches.
    pub fn start(client: &kube::Client, options: PlayerOptions, clock: Clock) -> Self {
        let concurrency = options.concurrency;
        let context = Arc::new(Context { client: client.clone(), options, clock, running: Mutex::default() });
        let config = || Config::default().concurrency(concurrency);
        let again = |_: Arc<DynamicObject>, error: &PlayError, _: Arc<Context>| {
            tracing::debug!(%error, "the player tries again");
            Action::requeue(Duration::from_millis(50))
        };
        let (pipeline_runs, task_runs, custom_runs) = (
            resource("tekton.dev/v1", "PipelineRun"),
            resource("tekton.dev/v1", "TaskRun"),
            resource("tekton.dev/v1beta1", "CustomRun"),
        );
        let api = |resource: &ApiResource| Api::<DynamicObject>::all_with(client.clone(), resource);
        let runs =
            Controller::new_with(api(&pipeline_runs), watcher::Config::default(), pipeline_runs.clone())
                .owns_with(api(&task_runs), task_runs.clone(), watcher::Config::default())
                .owns_with(api(&custom_runs), custom_runs, watcher::Config::default())
                .with_config(config())
                .trigger_backoff(Steady)
                .run(pipeline_run::reconcile, again, context.clone())
                .for_each(|_| std::future::ready(()));
        let tasks = Controller::new_with(api(&task_runs), watcher::Config::default(), task_runs)
            .with_config(config())
            .trigger_backoff(Steady)
            .run(task_run::reconcile, again, context)
            .for_each(|_| std::future::ready(()));
        Self { tasks: vec![tokio::spawn(runs), tokio::spawn(tasks)] }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

// === impl Steady ===

impl Iterator for Steady {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }
}

impl Backoff for Steady {
    fn reset(&mut self) {}
}

// === impl Context ===

impl Context {
    fn api(&self, api_version: &str, kind: &str, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &resource(api_version, kind))
    }

    fn now(&self) -> String {
        format!("{:.0}", (self.clock)())
    }

    /// Writes a status; the resourceVersion refuses it when the object is another by now.
    async fn set_status(&self, run: &Value, status: Value) -> Result<(), PlayError> {
        if run.get("status") == Some(&status) {
            return Ok(());
        }
        let api = self.api(
            object::text(run, &["apiVersion"]),
            object::text(run, &["kind"]),
            object::namespace(run),
        );
        let version = object::meta_str(run, "resourceVersion");
        let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
        api.patch_status(object::name(run), &params(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    /// How long a task has been running.
    fn running_for(&self, uid: &str) -> Duration {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.entry(uid.to_owned()).or_insert_with(Instant::now).elapsed()
    }

    fn forget(&self, uid: &str) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// How much is left of a timeout that began at `start`; `None` when it never ends.
    fn left(&self, start: &str, timeout: &str) -> Option<Duration> {
        let timeout = tekton::positive_duration(timeout).filter(|timeout| !timeout.is_zero())?;
        let start: Timestamp = start.parse().ok()?;
        let gone = Duration::try_from((self.clock)().duration_since(start)).unwrap_or_default();
        Some(timeout.saturating_sub(gone))
    }
}

// === impl Condition ===

impl Condition {
    fn new(status: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    /// Sets it in a status; the transition time changes only with the condition.
    fn set(&self, status: &mut Value, now: &str) {
        let old = status.get("conditions").and_then(|conditions| conditions.get(0));
        let same = old.is_some_and(|old| {
            old["status"] == self.status && old["reason"] == self.reason && old["message"] == self.message
        });
        if !same {
            status["conditions"] = json!([{
                "type": "Succeeded",
                "status": self.status,
                "reason": self.reason,
                "message": self.message,
                "lastTransitionTime": now,
            }]);
        }
    }
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn params() -> PatchParams {
    PatchParams { field_manager: Some("pipewright-player".to_owned()), ..PatchParams::default() }
}

/// Whether another controller plays this run.
fn is_managed_elsewhere(run: &Value) -> bool {
    !matches!(object::text(run, &["spec", "managedBy"]), "" | "tekton.dev/pipeline")
}

/// The status as it is, as a map.
fn status_of(run: &Value) -> Value {
    run.get("status").filter(|status| status.is_object()).cloned().unwrap_or_else(|| json!({}))
}

/// The results that an annotation asks for.
fn annotated_results(run: &Value, annotation: &str) -> Option<Vec<Value>> {
    let map: serde_json::Map<String, Value> =
        serde_json::from_str(object::annotation(run, annotation)?).ok()?;
    let result = |(name, value): (String, Value)| {
        let value = tekton::param_value(&value);
        let ty = match &value {
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            _ => "string",
        };
        json!({"name": name, "type": ty, "value": value})
    };
    Some(map.into_iter().map(result).collect())
}
