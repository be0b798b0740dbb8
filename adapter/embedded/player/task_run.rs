//! Plays one `TaskRun`: Pending, Running, and an end that annotations or the options choose.

use std::sync::Arc;

use kube::api::DynamicObject;
use kube::runtime::controller::Action;
use serde_json::{Value, json};

use super::super::admission;
use super::{Condition, Context, DURATION, FAIL_TASK, HOLD, OUTCOME, PlayError, RESULTS, object};
use super::{annotated_results, is_managed_elsewhere, status_of};
use pipewright_tekton as tekton;

/// One step.
pub async fn reconcile(object: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, PlayError> {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let api = context.api("tekton.dev/v1", "TaskRun", namespace);
    // The cache may be behind; decisions are made on what is there now.
    let Some(run) = api.get_opt(name).await? else { return Ok(Action::await_change()) };
    let run = serde_json::to_value(run)?;
    let uid = object::uid(&run);
    if admission::is_done(&run) || is_managed_elsewhere(&run) || object::is_deleting(&run) {
        context.forget(uid);
        return Ok(Action::await_change());
    }
    let now = context.now();
    let mut status = status_of(&run);
    match object::text(&run, &["spec", "status"]) {
        "TaskRunCancelled" => {
            let message =
                format!("TaskRun {name:?} was cancelled. {}", object::text(&run, &["spec", "statusMessage"]));
            return finish(
                &context,
                &run,
                status,
                &Condition::new("False", "TaskRunCancelled", message),
                &now,
            )
            .await;
        }
        "TaskRunPending" => {
            let message = format!("TaskRun {name:?} is pending");
            Condition::new("Unknown", "TaskRunPending", message).set(&mut status, &now);
            context.set_status(&run, status).await?;
            return Ok(Action::await_change());
        }
        _ => {}
    }
    let start = object::text(&status, &["startTime"]).to_owned();
    if start.is_empty() {
        status["startTime"] = json!(now);
        status["podName"] = json!(format!("{name}-pod"));
        Condition::new("Unknown", "Pending", "Pending").set(&mut status, &now);
        context.set_status(&run, status).await?;
        return Ok(Action::await_change());
    }
    let timeout = object::text(&run, &["spec", "timeout"]);
    let left = context.left(&start, timeout);
    if left.is_some_and(|left| left.is_zero()) {
        let message = format!("TaskRun {name:?} failed to finish within {timeout:?}");
        return finish(&context, &run, status, &Condition::new("False", "TaskRunTimeout", message), &now)
            .await;
    }
    let running = admission::succeeded(&run).is_some_and(|condition| condition["reason"] == "Running");
    if !running {
        let message = "Not all Steps in the Task have finished executing";
        Condition::new("Unknown", "Running", message).set(&mut status, &now);
        context.set_status(&run, status).await?;
        return Ok(Action::await_change());
    }
    let gone = context.running_for(uid);
    if object::annotation(&run, HOLD) == Some("true") {
        return Ok(left.map_or_else(Action::await_change, Action::requeue));
    }
    let duration = object::annotation(&run, DURATION)
        .and_then(tekton::positive_duration)
        .unwrap_or(context.options.task_duration);
    if gone < duration {
        let wait = duration.saturating_sub(gone);
        return Ok(Action::requeue(left.map_or(wait, |left| wait.min(left))));
    }
    let condition = if fails(&run) {
        Condition::new(
            "False",
            "Failed",
            "\"step-played\" exited with code 1 (played by the embedded cluster, no container ran)",
        )
    } else {
        let results = results(&context, &run).await?;
        if !results.is_empty() {
            status["results"] = Value::Array(results);
        }
        let message = "All Steps have completed executing (played by the embedded cluster, no container ran)";
        Condition::new("True", "Succeeded", message)
    };
    finish(&context, &run, status, &condition, &now).await
}

/// What the annotations say, and of what the task declares besides something that looks like it.
async fn results(context: &Context, run: &Value) -> Result<Vec<Value>, PlayError> {
    let task = object::label(run, "tekton.dev/pipelineTask").unwrap_or_default();
    let of_task = annotated_results(run, &format!("{RESULTS}.{task}"));
    let mut results = of_task.or_else(|| annotated_results(run, RESULTS)).unwrap_or_default();
    let reference = &run["spec"]["taskRef"];
    let name = object::text(reference, &["name"]);
    let spec = match run["spec"].get("taskSpec").filter(|spec| spec.is_object()) {
        Some(inline) => Some(inline.clone()),
        None if name.is_empty() || !object::text(reference, &["resolver"]).is_empty() => None,
        None => {
            let tasks = context.api("tekton.dev/v1", "Task", object::namespace(run));
            tasks.get_opt(name).await?.and_then(|task| task.data.get("spec").cloned())
        }
    };
    for result in tekton::results::plausible(&spec.unwrap_or_default(), object::name(run)) {
        if !results.iter().any(|known| known["name"] == result["name"]) {
            results.push(result);
        }
    }
    Ok(results)
}

fn fails(run: &Value) -> bool {
    match object::annotation(run, FAIL_TASK) {
        Some(task) => object::label(run, "tekton.dev/pipelineTask") == Some(task),
        None => object::annotation(run, OUTCOME) == Some("fail"),
    }
}

async fn finish(
    context: &Context,
    run: &Value,
    mut status: Value,
    condition: &Condition,
    now: &str,
) -> Result<Action, PlayError> {
    condition.set(&mut status, now);
    if status.get("startTime").is_none() {
        status["startTime"] = json!(now);
    }
    status["completionTime"] = json!(now);
    context.set_status(run, status).await?;
    context.forget(object::uid(run));
    Ok(Action::await_change())
}
