mod made;
mod progress;
mod reasons;

use serde_json::json;

use super::*;
use crate::vocabulary::outcome::Outcomes;

const UID: &str = "11111111-1111-1111-1111-111111111111";

fn cluster() -> Cluster {
    Cluster::new("https://tekton.example.com/prod", None, "https://10.0.0.1:6443/").unwrap()
}

fn pipeline_run(status: &Value) -> Value {
    json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {
            "name": "build-1", "namespace": "ci", "uid": UID, "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"tekton.dev/pipeline": "build"},
        },
        "spec": {"pipelineRef": {"name": "build"}},
        "status": status,
    })
}

fn task_run(status: &Value) -> Value {
    let mut object = pipeline_run(status);
    object["metadata"] = json!({
        "name": "build-1-test", "namespace": "ci", "uid": "22222222-2222-2222-2222-222222222222",
        "creationTimestamp": "2026-01-01T00:00:02Z",
        "labels": {
            "tekton.dev/pipeline": "build", "tekton.dev/pipelineRun": "build-1", "tekton.dev/pipelineRunUID": UID,
            "tekton.dev/pipelineTask": "test",
        },
    });
    object
}

fn unknown(reason: &str) -> Value {
    json!({"startTime": "2026-01-01T00:00:01Z",
           "conditions": [{"type": "Succeeded", "status": "Unknown", "reason": reason}]})
}

fn done(status: &str, reason: &str) -> Value {
    json!({"startTime": "2026-01-01T00:00:01Z", "completionTime": "2026-01-01T00:01:00Z",
           "conditions": [{"type": "Succeeded", "status": status, "reason": reason, "message": "because"}]})
}

fn names(object: &Value, kind: RunKind) -> Vec<String> {
    transitions(object, kind, &cluster()).iter().map(|transition| transition.name.to_string()).collect()
}

fn last(object: &Value, kind: RunKind) -> Value {
    transitions(object, kind, &cluster()).pop().unwrap().event.tree().unwrap().clone()
}

#[test]
fn what_has_happened_to_a_pipeline_run_is_read_off_its_status() {
    let run = |status: Value| names(&pipeline_run(&status), RunKind::PipelineRun);
    assert_eq!(run(Value::Null), ["queued"]);
    assert_eq!(
        run(
            json!({"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "PipelineRunPending"}]})
        ),
        ["queued"]
    );
    for reason in
        ["Started", "Running", "ResolvingPipelineRef", "PipelineRunStopping", "CancelledRunningFinally"]
    {
        assert_eq!(run(unknown(reason)), ["queued", "started"], "{reason}");
    }
    assert_eq!(run(done("True", "Succeeded")), ["queued", "started", "finished"]);
    // Cancelled before it began.
    let mut never = done("False", "Cancelled");
    never.as_object_mut().unwrap().remove("startTime");
    assert_eq!(run(never), ["queued", "finished"]);
}

#[test]
fn a_task_run_has_started_when_its_pod_has() {
    let run = |status: Value| names(&task_run(&status), RunKind::TaskRun);
    assert!(run(Value::Null).is_empty());
    for reason in ["Pending", "ResolvingTaskRef", "TaskRunPending", "PullImageFailed", "ToBeRetried"] {
        assert!(run(unknown(reason)).is_empty(), "{reason}");
    }
    assert_eq!(run(unknown("Running")), ["started"]);
    assert_eq!(run(done("False", "TaskRunImagePullFailed")), ["started", "finished"]);
}

#[test]
fn a_retry_is_no_second_start() {
    let mut status = unknown("ToBeRetried");
    status["retriesStatus"] = json!([{"startTime": "2026-01-01T00:00:01Z"}]);
    status.as_object_mut().unwrap().remove("startTime");
    let between = transitions(&task_run(&status), RunKind::TaskRun, &cluster());
    let mut again = unknown("Running");
    again["startTime"] = json!("2026-01-01T00:00:30Z");
    again["retriesStatus"] = status["retriesStatus"].clone();
    let after = transitions(&task_run(&again), RunKind::TaskRun, &cluster());
    assert_eq!((between.len(), after.len()), (1, 1));
    assert_eq!(between[0].event, after[0].event);
    assert_eq!(after[0].event.time(), Some("2026-01-01T00:00:01Z"));
}

#[test]
fn a_custom_run_may_leave_its_start_time_out() {
    let mut run = task_run(&json!({"extraFields": null}));
    run["spec"] = json!({"customRef": {"apiVersion": "x/v1", "kind": "Approval", "name": "gate"}});
    assert!(names(&run, RunKind::CustomRun).is_empty());
    run["status"] = json!({"conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Waiting"}]});
    assert_eq!(names(&run, RunKind::CustomRun), ["started"]);
    run["status"] = done("False", "Rejected");
    let finished = last(&run, RunKind::CustomRun);
    assert_eq!(finished["context"]["type"], "dev.cdevents.taskrun.finished.0.3.0");
    assert_eq!(finished["subject"]["content"]["outcome"], "failure");
    assert_eq!(
        finished["subject"]["content"]["uri"],
        "https://10.0.0.1:6443/apis/tekton.dev/v1beta1/namespaces/ci/customruns/build-1-test"
    );
}

#[test]
fn an_event_of_the_past_is_the_same_whenever_it_is_computed() {
    let states = [Value::Null, unknown("Running"), unknown("PipelineRunStopping"), done("False", "Failed")];
    let all: Vec<Vec<Transition>> = states
        .iter()
        .map(|status| transitions(&pipeline_run(status), RunKind::PipelineRun, &cluster()))
        .collect();
    for pair in all.windows(2) {
        for (before, after) in pair[0].iter().zip(&pair[1]) {
            assert_eq!(before.event, after.event);
        }
    }
    assert_eq!(all[3].len(), 3);
}

#[test]
fn each_transition_follows_from_the_one_before() {
    let all = transitions(&pipeline_run(&done("True", "Completed")), RunKind::PipelineRun, &cluster());
    assert_eq!(all[0].event.attribute("causationid"), None);
    assert_eq!(all[1].event.attribute("causationid").as_deref(), Some(all[0].event.id()));
    assert_eq!(all[2].event.attribute("causationid").as_deref(), Some(all[1].event.id()));
    let task = transitions(&task_run(&done("True", "Succeeded")), RunKind::TaskRun, &cluster());
    assert_eq!(task[0].event.attribute("causationid").as_deref(), Some(all[1].event.id()));
    assert_eq!(task[1].event.attribute("causationid").as_deref(), Some(task[0].event.id()));
    // One chain for the run and its tasks.
    assert_eq!(task[0].event.attribute("correlationid"), all[0].event.attribute("correlationid"));
}

#[test]
fn a_name_used_again_is_another_run() {
    let first = pipeline_run(&Value::Null);
    let mut again = first.clone();
    again["metadata"]["uid"] = json!("33333333-3333-3333-3333-333333333333");
    let id = |object: &Value| transitions(object, RunKind::PipelineRun, &cluster())[0].event.id().to_owned();
    assert_ne!(id(&first), id(&again));
}

#[test]
fn a_finished_run_tells_how_and_why() {
    let mut run = pipeline_run(&done("False", "Failed"));
    run["status"]["results"] = json!([
        {"name": "digest", "value": "sha256:ab"},
        {"name": "images", "value": ["a", "b"]},
        {"name": "huge", "value": "x".repeat(5000)},
    ]);
    let finished = last(&run, RunKind::PipelineRun);
    assert_eq!(
        finished["subject"],
        json!({
            "id": "ci/build-1",
            "content": {
                "pipelineName": "build", "outcome": "failure", "errors": "because",
                "uri": "https://10.0.0.1:6443/apis/tekton.dev/v1/namespaces/ci/pipelineruns/build-1",
            },
        })
    );
    assert_eq!(finished["context"]["timestamp"], "2026-01-01T00:01:00Z");
    assert_eq!(
        finished["customData"],
        json!({"tekton": {
            "kind": "PipelineRun", "uid": UID, "namespace": "ci", "name": "build-1", "pipeline": "build",
            "status": "False", "reason": "Failed", "message": "because",
            "results": {"digest": "sha256:ab", "images": ["a", "b"]},
        }})
    );
    // As version v1beta1 called them.
    run["status"]["pipelineResults"] = json!([{"name": "old", "value": "1"}]);
    run["status"].as_object_mut().unwrap().remove("results");
    assert_eq!(last(&run, RunKind::PipelineRun)["customData"]["tekton"]["results"], json!({"old": "1"}));
}

#[test]
fn a_task_names_its_pipeline_run() {
    let finished = last(&task_run(&done("False", "StepFailed")), RunKind::TaskRun);
    assert_eq!(
        finished["subject"]["content"],
        json!({
            "taskName": "test", "pipelineRun": {"id": "ci/build-1"}, "outcome": "failure", "errors": "because",
            "uri": "https://10.0.0.1:6443/apis/tekton.dev/v1/namespaces/ci/taskruns/build-1-test",
        })
    );
    assert_eq!(finished["customData"]["tekton"]["pipelineRun"], "build-1");
}

#[test]
fn outcomes_follow_the_table_and_the_table_can_be_changed() {
    let outcome = |status: &str, reason: &str, kind, cluster: &Cluster| {
        let object = if kind == RunKind::PipelineRun {
            pipeline_run(&done(status, reason))
        } else {
            task_run(&done(status, reason))
        };
        let event = transitions(&object, kind, cluster).pop().unwrap().event;
        event.tree().unwrap()["subject"]["content"]["outcome"].as_str().unwrap().to_owned()
    };
    let (pipeline, task, custom) = (RunKind::PipelineRun, RunKind::TaskRun, RunKind::CustomRun);
    for (kind, status, reason, expected) in [
        (pipeline, "True", "Succeeded", "success"),
        (pipeline, "True", "Completed", "success"),
        (pipeline, "False", "Failed", "failure"),
        (pipeline, "False", "Cancelled", "cancel"),
        (pipeline, "False", "PipelineRunTimeout", "error"),
        (pipeline, "False", "CouldntGetPipeline", "error"),
        (pipeline, "False", "ReasonOfTheFuture", "error"),
        (task, "False", "StepFailed", "failure"),
        (task, "False", "FailureIgnored", "failure"),
        (task, "False", "TaskRunCancelled", "cancel"),
        (task, "False", "TaskRunTimeout", "error"),
        (task, "False", "StepOOM", "error"),
        (custom, "True", "Approved", "success"),
        (custom, "False", "Rejected", "failure"),
        (custom, "False", "CustomRunCancelled", "cancel"),
        (custom, "False", "CustomRunTimedOut", "error"),
    ] {
        assert_eq!(outcome(status, reason, kind, &cluster()), expected, "{kind:?} {reason}");
    }
    let changed: Outcomes = serde_json::from_value(json!({"PipelineRunTimeout": "cancel"})).unwrap();
    let cluster = cluster().outcomes(changed);
    assert_eq!(outcome("False", "PipelineRunTimeout", pipeline, &cluster), "cancel");
    assert_eq!(outcome("False", "Failed", pipeline, &cluster), "failure");
}

#[test]
fn a_run_that_we_created_continues_the_chain_of_its_event() {
    let mut run = pipeline_run(&done("True", "Succeeded"));
    run["metadata"]["labels"]["pipewright.dev/mapping"] = json!("build-change");
    run["metadata"]["labels"]["pipewright.dev/action"] = json!("build");
    run["metadata"]["annotations"] = json!({
        "pipewright.dev/event-id": "e1", "pipewright.dev/event-source": "https://github.com/o/r",
        "pipewright.dev/event-type": "dev.cdevents.change.created.0.4.0", "pipewright.dev/chain-id": "c1",
        "pipewright.dev/delivery": "d1",
    });
    let all = transitions(&run, RunKind::PipelineRun, &cluster());
    let trigger = json!({"linkType": "RELATION", "linkKind": "TRIGGER", "target": {"contextId": "e1"}});
    for transition in &all {
        assert_eq!(transition.event.attribute("correlationid").as_deref(), Some("c1"));
        let links = transition.event.tree().unwrap()["context"]["links"].as_array().unwrap();
        assert!(links.contains(&trigger), "{links:?}");
    }
    assert_eq!(all[0].event.attribute("causationid").as_deref(), Some("e1"));
    let data = &all[0].event.tree().unwrap()["customData"];
    assert_eq!(data["mapping"], "build-change");
    assert_eq!(data["action"], "build");
    assert_eq!(data["delivery"], "d1");
    assert_eq!(
        data["event"],
        json!({"id": "e1", "source": "https://github.com/o/r", "type": "dev.cdevents.change.created.0.4.0"})
    );
    // Tekton copies the annotations to the tasks; the chain goes on there, but the event asked for the pipeline.
    let mut task = task_run(&unknown("Running"));
    task["metadata"]["annotations"] = run["metadata"]["annotations"].clone();
    let started = last(&task, RunKind::TaskRun);
    assert_eq!(started["context"]["chainId"], "c1");
    assert_eq!(started["context"]["links"].as_array().unwrap().len(), 1);
}

#[test]
fn the_address_of_a_run_is_made_from_the_template() {
    let template = "https://dash.example.com/#/namespaces/{namespace}/{kind}/{name}?u={uid}";
    let cluster = Cluster::new("/tekton", Some(template), "http://localhost:8001").unwrap();
    let all = transitions(&pipeline_run(&Value::Null), RunKind::PipelineRun, &cluster);
    assert_eq!(
        all[0].event.tree().unwrap()["subject"]["content"]["uri"],
        format!("https://dash.example.com/#/namespaces/ci/pipelineruns/build-1?u={UID}")
    );
    assert_eq!(all[0].event.source(), "/tekton");
}

#[test]
fn settings_that_would_give_invalid_events_are_refused() {
    let api = "https://10.0.0.1";
    assert!(matches!(Cluster::new("", None, api), Err(ClusterError::Source(_))));
    assert!(matches!(Cluster::new("a b", None, api), Err(ClusterError::Source(_))));
    assert!(matches!(Cluster::new("/t", None, "10.0.0.1"), Err(ClusterError::Api(_))));
    // Whoever says where runs are needs no such address.
    assert!(Cluster::new("/t", Some("https://d/{name}"), "/t").is_ok());
    assert!(matches!(Cluster::new("/t", Some("/{name}"), api), Err(ClusterError::RunUrl(_))));
    assert!(matches!(Cluster::new("/t", Some("https://d/{nam}"), api), Err(ClusterError::RunUrl(_))));
}

#[test]
fn things_that_are_no_runs_have_no_transitions() {
    for object in [json!(null), json!([]), json!({}), json!({"metadata": {"name": "a", "namespace": "b"}})] {
        assert!(transitions(&object, RunKind::PipelineRun, &cluster()).is_empty());
    }
    let mut odd = pipeline_run(&done("True", "Succeeded"));
    odd["metadata"]["annotations"] =
        json!({"pipewright.dev/event-id": "a\nb", "pipewright.dev/chain-id": ""});
    assert_eq!(names(&odd, RunKind::PipelineRun), ["queued", "started", "finished"]);
    odd["status"] = json!({"conditions": "none", "startTime": 5});
    assert_eq!(names(&odd, RunKind::PipelineRun), ["queued"]);
}

/// Where Tekton has no name of a Pipeline it labels a run with the run's own, once the run has begun.
#[test]
fn a_run_has_one_pipeline_from_its_first_event_to_its_last() {
    let resolver = |params: Value| json!({"pipelineRef": {"resolver": "hub", "params": params}});
    for (metadata, spec, pipeline) in [
        (
            json!({"generateName": "build-"}),
            resolver(json!([{"name": "url", "value": "https://g.example.com/r"}])),
            "build",
        ),
        (json!({"generateName": "b-"}), resolver(json!([{"name": "name", "value": "golang"}])), "golang"),
        (json!({"generateName": "build-"}), json!({"pipelineSpec": {"tasks": []}}), "build"),
        (
            json!({"labels": {"pipewright.dev/mapping": "push-build"}}),
            json!({"pipelineSpec": {"tasks": []}}),
            "push-build",
        ),
        (json!({"generateName": "x-"}), json!({"pipelineRef": {"name": "deploy"}}), "deploy"),
        (json!({}), json!({"pipelineSpec": {"tasks": []}}), "build-1"),
        (json!({}), resolver(json!([{"name": "name", "value": 5}, 6, null])), "build-1"),
    ] {
        let mut run = pipeline_run(&done("True", "Succeeded"));
        run["spec"] = spec.clone();
        run["metadata"].as_object_mut().unwrap().remove("labels");
        for (name, value) in metadata.as_object().unwrap() {
            run["metadata"][name] = value.clone();
        }
        let told = |run: &Value| {
            let all = transitions(run, RunKind::PipelineRun, &cluster());
            let data = all.iter().map(|it| it.event.tree().unwrap());
            data.flat_map(|it| {
                [&it["subject"]["content"]["pipelineName"], &it["customData"]["tekton"]["pipeline"]]
                    .map(Value::clone)
            })
            .collect::<Vec<_>>()
        };
        let mut all = told(&run);
        run["metadata"]["labels"]["tekton.dev/pipeline"] = json!("build-1");
        all.extend(told(&run));
        // Queued, started and finished.
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|name| *name == pipeline), "{spec}: {all:?}");
    }
    let mut task = task_run(&done("True", "Succeeded"));
    task["metadata"]["labels"]["tekton.dev/pipeline"] = json!("build-1");
    assert_eq!(last(&task, RunKind::TaskRun)["customData"]["tekton"].get("pipeline"), None);
}
