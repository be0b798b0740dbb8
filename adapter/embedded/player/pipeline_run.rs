//! Plays one `PipelineRun`: creates its children in order, counts how they end, and says so in Tekton's words.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::{DynamicObject, ListParams, Patch, PostParams};
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::super::admission;
use super::graph::{self, Variables};
use super::{Condition, Context, NOTE, PlayError, RESULTS, object};
use super::{annotated_results, is_managed_elsewhere, params, status_of};
use pipewright_tekton::known::{self, Mismatch};

/// How a child stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

/// A run with what is known of it at this step.
struct Play<'a> {
    context: &'a Context,
    run: &'a Value,
    pipeline: &'a Value,
    pipeline_name: &'a str,
    /// Children by the name of their pipeline task.
    children: BTreeMap<String, Value>,
}

/// How many tasks stand how.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    succeeded: usize,
    failed: usize,
    cancelled: usize,
    incomplete: usize,
    skipped: usize,
}

/// One step.
pub async fn reconcile(object: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, PlayError> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let api = context.api("tekton.dev/v1", "PipelineRun", namespace);
    // The cache may be behind; decisions are made on what is there now.
    let Some(run) = api.get_opt(name).await? else { return Ok(Action::await_change()) };
    let run = serde_json::to_value(run)?;
    if admission::is_done(&run) || is_managed_elsewhere(&run) || object::is_deleting(&run) {
        return Ok(Action::await_change());
    }
    let now = context.now();
    let mut status = status_of(&run);
    let asked = object::text(&run, &["spec", "status"]);
    if asked == "PipelineRunPending" {
        let message = format!("PipelineRun {name:?} is pending");
        Condition::new("Unknown", "PipelineRunPending", message).set(&mut status, &now);
        context.set_status(&run, status).await?;
        return Ok(Action::await_change());
    }
    if status.get("startTime").is_none() {
        status["startTime"] = json!(now);
    }
    let (pipeline_name, pipeline) = match resolve(&context, &run).await? {
        Ok(found) => found,
        Err(message) => {
            Condition::new("False", "CouldntGetPipeline", message).set(&mut status, &now);
            status["completionTime"] = json!(now);
            context.set_status(&run, status).await?;
            return Ok(Action::await_change());
        }
    };
    if object::label(&run, "tekton.dev/pipeline").is_none() {
        let label = json!({"metadata": {"labels": {"tekton.dev/pipeline": pipeline_name}}});
        api.patch(name, &params(), &Patch::Merge(label)).await?;
        return Ok(Action::await_change());
    }
    status["pipelineSpec"] = pipeline.clone();
    if let Some(wrong) = known::mismatches(&run["spec"], &pipeline).into_iter().next() {
        unfit(&run, &pipeline_name, &wrong).set(&mut status, &now);
        status["completionTime"] = json!(now);
        context.set_status(&run, status).await?;
        return Ok(Action::await_change());
    }
    let children = children(&context, &run).await?;
    let play =
        Play { context: &context, run: &run, pipeline: &pipeline, pipeline_name: &pipeline_name, children };

    let timeout = object::text(&run, &["spec", "timeouts", "pipeline"]);
    let left = context.left(object::text(&status, &["startTime"]), timeout);
    let ended = if asked == "Cancelled" {
        let why = "TaskRun cancelled as the PipelineRun it belongs to has been cancelled.";
        play.cancel_children(why).await?;
        Some(Condition::new("False", "Cancelled", format!("PipelineRun {name:?} was cancelled")))
    } else if left.is_some_and(|left| left.is_zero()) {
        let why = "TaskRun cancelled as the PipelineRun it belongs to has timed out.";
        play.cancel_children(why).await?;
        let message = format!("PipelineRun {name:?} failed to finish within {timeout:?}");
        Some(Condition::new("False", "PipelineRunTimeout", message))
    } else {
        None
    };
    let condition = match ended {
        Some(condition) => condition,
        None => play.advance(asked).await?,
    };
    if condition.status != "Unknown" {
        status["completionTime"] = json!(now);
        if condition.status == "True"
            && let Some(results) = play.results()
        {
            status["results"] = Value::Array(results);
        }
    }
    condition.set(&mut status, &now);
    let references = play.references().await?;
    if !references.is_empty() {
        status["childReferences"] = Value::Array(references);
    }
    context.set_status(&run, status).await?;
    Ok(match (condition.status, left) {
        ("Unknown", Some(left)) => Action::requeue(left),
        _ => Action::await_change(),
    })
}

/// The pipeline's name and spec, or why there is none.
async fn resolve(context: &Context, run: &Value) -> Result<Result<(String, Value), String>, PlayError> {
    let (namespace, name) = (object::namespace(run), object::name(run));
    if let Some(spec) = run["spec"].get("pipelineSpec").filter(|spec| spec.is_object()) {
        return Ok(Ok((name.to_owned(), spec.clone())));
    }
    let failed =
        |why: &str| Ok(Err(format!("Error retrieving pipeline for pipelinerun {namespace}/{name}: {why}")));
    let reference = &run["spec"]["pipelineRef"];
    if !object::text(reference, &["resolver"]).is_empty() {
        return failed("the embedded cluster has no resolvers");
    }
    let pipeline = object::text(reference, &["name"]);
    match context.api("tekton.dev/v1", "Pipeline", namespace).get_opt(pipeline).await? {
        Some(found) => {
            let spec = found.data.get("spec").cloned().unwrap_or_default();
            Ok(Ok((pipeline.to_owned(), spec)))
        }
        None => failed(&format!(
            "error when getting Pipeline for PipelineRun {name}: tekton client cannot get pipeline {pipeline} from local \
             cluster: pipelines.tekton.dev {pipeline:?} not found"
        )),
    }
}

/// The condition of a run that does not fit its pipeline.
fn unfit(run: &Value, pipeline: &str, wrong: &Mismatch) -> Condition {
    let namespace = object::namespace(run);
    let (run, pipeline) = (format!("{namespace}/{}", object::name(run)), format!("{namespace}/{pipeline}"));
    let what = match wrong.reason {
        "ParameterMissing" => format!("is missing some parameters required by Pipeline {pipeline}"),
        "ParameterTypeMismatch" => {
            format!("parameters have mismatching types with Pipeline {pipeline}'s parameters")
        }
        "ObjectParameterMissKeys" => {
            format!("parameters is missing object keys required by Pipeline {pipeline}'s parameters")
        }
        "InvalidWorkspaceBindings" => format!("doesn't bind Pipeline {pipeline}'s Workspaces correctly"),
        _ => "doesn't define taskRunSpecs correctly".to_owned(),
    };
    let message = format!("[User error] PipelineRun {run} {what}: {}", wrong.message);
    Condition::new("False", wrong.reason, message)
}

async fn children(context: &Context, run: &Value) -> Result<BTreeMap<String, Value>, PlayError> {
    let selector = ListParams::default().labels(&format!("tekton.dev/pipelineRunUID={}", object::uid(run)));
    let mut children = BTreeMap::new();
    for (api_version, kind) in [("tekton.dev/v1", "TaskRun"), ("tekton.dev/v1beta1", "CustomRun")] {
        let list = context.api(api_version, kind, object::namespace(run)).list(&selector).await?;
        for child in list {
            let mut child = serde_json::to_value(child)?;
            // Items of a list do not have to say what they are.
            child["apiVersion"] = json!(api_version);
            child["kind"] = json!(kind);
            let task = object::label(&child, "tekton.dev/pipelineTask").unwrap_or_default().to_owned();
            children.insert(task, child);
        }
    }
    Ok(children)
}

fn state(child: &Value) -> State {
    let condition = admission::succeeded(child);
    let text = |key| condition.map(|condition| object::text(condition, &[key])).unwrap_or_default();
    match (text("status"), text("reason")) {
        ("True", _) => State::Succeeded,
        ("False", "TaskRunCancelled" | "CustomRunCancelled") => State::Cancelled,
        ("False", _) => State::Failed,
        _ => State::Running,
    }
}

fn tasks<'a>(pipeline: &'a Value, list: &str) -> &'a [Value] {
    pipeline.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn task_name(task: &Value) -> &str {
    object::text(task, &["name"])
}

// === impl Play ===

impl Play<'_> {
    /// Creates what is due and gives the condition that follows.
    async fn advance(&self, asked: &str) -> Result<Condition, PlayError> {
        let (main, last) = (tasks(self.pipeline, "tasks"), tasks(self.pipeline, "finally"));
        let cancelling = asked == "CancelledRunFinally";
        if cancelling {
            let why = "TaskRun cancelled as the PipelineRun it belongs to has been cancelled.";
            self.cancel_main(main, why).await?;
        }
        let mut count = self.count(main);
        // A failure, a cancelled task or a graceful stop lets nothing new begin.
        let stopping = !asked.is_empty() || count.failed + count.cancelled > 0;
        let mut due: Vec<(&Value, &str)> = Vec::new();
        if stopping {
            count.skipped += count.incomplete - self.running(main);
            count.incomplete = self.running(main);
        } else {
            let ready = |task: &&Value| {
                graph::needs(task)
                    .iter()
                    .all(|need| self.children.get(need).is_some_and(|child| state(child) == State::Succeeded))
            };
            due.extend(
                main.iter()
                    .filter(|task| self.child(task).is_none())
                    .filter(ready)
                    .map(|task| (task, "tasks")),
            );
        }
        let main_ended = count.incomplete == 0;
        let end = self.count(last);
        if main_ended {
            due.extend(last.iter().filter(|task| self.child(task).is_none()).map(|task| (task, "finally")));
        }
        let variables = graph::variables(
            self.run,
            self.pipeline,
            self.children.iter().map(|(task, child)| (task.as_str(), child)),
        );
        for (task, member_of) in due {
            self.create(task, member_of, &variables).await?;
        }
        count.succeeded += end.succeeded;
        count.failed += end.failed;
        count.cancelled += end.cancelled;
        count.incomplete += end.incomplete;
        Ok(self.condition(count, asked, main_ended && !last.is_empty()))
    }

    fn condition(&self, count: Count, asked: &str, in_finally: bool) -> Condition {
        let completed = count.succeeded + count.failed + count.cancelled;
        if count.incomplete > 0 {
            let message = format!(
                "Tasks Completed: {completed} (Failed: {}, Cancelled {}), Incomplete: {}, Skipped: {}",
                count.failed, count.cancelled, count.incomplete, count.skipped
            );
            let reason = match asked {
                "CancelledRunFinally" => "CancelledRunningFinally",
                "StoppedRunFinally" => "StoppedRunningFinally",
                _ if count.failed + count.cancelled > 0 && !in_finally => "PipelineRunStopping",
                _ => "Running",
            };
            return Condition::new("Unknown", reason, message);
        }
        let message = format!(
            "Tasks Completed: {completed} (Failed: {}, Cancelled {}), Skipped: {}",
            count.failed, count.cancelled, count.skipped
        );
        if count.failed > 0 {
            Condition::new("False", "Failed", message)
        } else if !asked.is_empty() {
            Condition::new(
                "False",
                "Cancelled",
                format!("PipelineRun {:?} was cancelled", object::name(self.run)),
            )
        } else if count.cancelled > 0 {
            Condition::new("False", "Cancelled", message)
        } else if count.skipped > 0 {
            Condition::new("True", "Completed", message)
        } else {
            Condition::new("True", "Succeeded", message)
        }
    }

    fn child(&self, task: &Value) -> Option<&Value> {
        self.children.get(task_name(task))
    }

    fn count(&self, tasks: &[Value]) -> Count {
        let mut count = Count::default();
        for task in tasks {
            match self.child(task).map(state) {
                Some(State::Succeeded) => count.succeeded += 1,
                Some(State::Failed) => count.failed += 1,
                Some(State::Cancelled) => count.cancelled += 1,
                Some(State::Running) | None => count.incomplete += 1,
            }
        }
        count
    }

    fn running(&self, tasks: &[Value]) -> usize {
        tasks.iter().filter(|task| self.child(task).map(state) == Some(State::Running)).count()
    }

    async fn cancel_children(&self, why: &str) -> Result<(), PlayError> {
        self.cancel(self.children.values(), why).await
    }

    async fn cancel_main(&self, main: &[Value], why: &str) -> Result<(), PlayError> {
        self.cancel(main.iter().filter_map(|task| self.child(task)), why).await
    }

    async fn cancel(&self, children: impl Iterator<Item = &Value>, why: &str) -> Result<(), PlayError> {
        for child in children.filter(|child| state(child) == State::Running) {
            let (kind, word) = match object::text(child, &["kind"]) {
                "CustomRun" => ("CustomRun", "RunCancelled"),
                _ => ("TaskRun", "TaskRunCancelled"),
            };
            if object::text(child, &["spec", "status"]) == word {
                continue;
            }
            let why = why.replace("TaskRun cancelled", &format!("{kind} cancelled"));
            let patch = json!({"spec": {"status": word, "statusMessage": why}});
            let api = self.context.api(object::text(child, &["apiVersion"]), kind, object::namespace(child));
            api.patch(object::name(child), &params(), &Patch::Merge(patch)).await?;
        }
        Ok(())
    }

    /// Creates the child of a task; one that exists already is as good.
    async fn create(&self, task: &Value, member_of: &str, variables: &Variables) -> Result<(), PlayError> {
        let run = self.run;
        let reference = &task["taskRef"];
        let api_version = object::text(reference, &["apiVersion"]);
        let is_custom = !api_version.is_empty() && !api_version.starts_with("tekton.dev/")
            || task["taskSpec"].get("apiVersion").is_some();
        let (child_version, kind) =
            if is_custom { ("tekton.dev/v1beta1", "CustomRun") } else { ("tekton.dev/v1", "TaskRun") };

        let mut labels = object::meta(run).get("labels").cloned().unwrap_or_else(|| json!({}));
        for (key, value) in [
            ("tekton.dev/pipeline", self.pipeline_name),
            ("tekton.dev/pipelineRun", object::name(run)),
            ("tekton.dev/pipelineRunUID", object::uid(run)),
            ("tekton.dev/pipelineTask", task_name(task)),
            ("tekton.dev/memberOf", member_of),
            ("app.kubernetes.io/managed-by", "tekton-pipelines"),
        ] {
            labels[key] = json!(value);
        }
        let task_ref = object::text(reference, &["name"]);
        if !is_custom && !task_ref.is_empty() {
            labels["tekton.dev/task"] = json!(task_ref);
        }
        // Tekton copies every annotation of the run; consumers rely on it.
        let mut annotations = object::meta(run).get("annotations").cloned().unwrap_or_else(|| json!({}));
        annotations[NOTE] = json!("played by the embedded cluster; no container runs");

        let mut spec = json!({});
        let mut copy = |from: &str, to: &str| {
            if let Some(value) = task.get(from).filter(|value| !value.is_null()) {
                spec[to] = graph::substitute(value, variables);
            }
        };
        copy("params", "params");
        copy("taskRef", if is_custom { "customRef" } else { "taskRef" });
        copy("taskSpec", if is_custom { "customSpec" } else { "taskSpec" });
        copy("timeout", "timeout");
        if let (false, Some(Value::Object(inline))) = (is_custom, spec.get_mut("taskSpec")) {
            // What a task has only inside a pipeline.
            for field in ["apiVersion", "kind", "spec", "metadata"] {
                inline.remove(field);
            }
        }
        let account = object::text(run, &["spec", "taskRunTemplate", "serviceAccountName"]);
        if !account.is_empty() {
            spec["serviceAccountName"] = json!(account);
        }
        let child = json!({
            "apiVersion": child_version,
            "kind": kind,
            "metadata": {
                "name": child_name(object::name(run), task_name(task)),
                "namespace": object::namespace(run),
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": "tekton.dev/v1",
                    "kind": "PipelineRun",
                    "name": object::name(run),
                    "uid": object::uid(run),
                    "controller": true,
                    "blockOwnerDeletion": true,
                }],
            },
            "spec": spec,
        });
        let child: DynamicObject = serde_json::from_value(child)?;
        let api = self.context.api(child_version, kind, object::namespace(run));
        match api
            .create(&PostParams { field_manager: params().field_manager, ..PostParams::default() }, &child)
            .await
        {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    /// `childReferences`, with what this step created.
    async fn references(&self) -> Result<Vec<Value>, PlayError> {
        let children = children(self.context, self.run).await?;
        let order = tasks(self.pipeline, "tasks").iter().chain(tasks(self.pipeline, "finally"));
        Ok(order
            .filter_map(|task| children.get(task_name(task)))
            .map(|child| {
                json!({
                    "apiVersion": child["apiVersion"],
                    "kind": child["kind"],
                    "name": object::name(child),
                    "pipelineTaskName": object::label(child, "tekton.dev/pipelineTask"),
                })
            })
            .collect())
    }

    /// The results of the run: those that an annotation asks for, else those that the pipeline declares.
    fn results(&self) -> Option<Vec<Value>> {
        if let Some(results) = annotated_results(self.run, RESULTS) {
            return Some(results);
        }
        let variables = graph::variables(
            self.run,
            self.pipeline,
            self.children.iter().map(|(task, child)| (task.as_str(), child)),
        );
        let declared = tasks(self.pipeline, "results");
        let results: Vec<Value> = declared
            .iter()
            .map(|result| {
                let value = graph::substitute(&result["value"], &variables);
                json!({"name": result["name"], "value": value})
            })
            .filter(|result| !result["value"].to_string().contains("$("))
            .collect();
        (!results.is_empty()).then_some(results)
    }
}

/// `<run>-<task>`, or a shortened form with a hash when that is too long for a name.
fn child_name(run: &str, task: &str) -> String {
    const LIMIT: usize = 63;
    let name = format!("{run}-{task}");
    if name.len() <= LIMIT {
        return name;
    }
    let hash = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, name.as_bytes()).simple().to_string();
    let room = LIMIT - 1 - hash.len();
    let cut: String = run.chars().take(room).collect();
    format!("{}-{hash}", cut.trim_end_matches(['-', '.']))
}
