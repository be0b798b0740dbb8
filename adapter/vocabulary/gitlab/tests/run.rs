use serde_json::json;

use super::*;

fn pipeline(status: &str) -> Value {
    json!({
        "object_kind": "pipeline", "project": project(), "user": {"id": 3, "username": "eve"},
        "object_attributes": {
            "id": 31, "iid": 3, "name": null, "ref": "main", "tag": false, "sha": A, "status": status,
            "source": "push", "url": "https://gitlab.example.com/acme/web/shop/-/pipelines/31",
            "created_at": "2026-01-01 01:00:00 UTC", "finished_at": "2026-01-01 03:00:00 UTC",
        },
        "merge_request": {"iid": 42, "target_project_id": 7},
        "builds": [
            {"name": "lint", "status": "failed", "allow_failure": true, "started_at": "2026-01-01 02:00:01 UTC"},
            {"name": "test", "status": "failed", "allow_failure": false, "started_at": "2026-01-01 02:00:00 UTC"},
            {"name": "ship", "status": "skipped", "allow_failure": false, "started_at": null},
        ],
    })
}

fn job(status: &str) -> Value {
    json!({
        "object_kind": "build", "ref": "main", "tag": false, "sha": A, "build_id": 1977, "build_name": "test",
        "build_stage": "test", "build_status": status, "build_failure_reason": "script_failure",
        "build_started_at": "2026-01-01 02:00:00 UTC", "build_finished_at": "2026-01-01 02:30:00 UTC",
        "pipeline_id": 31, "project_id": 7, "project": project(), "user": {"id": 3, "username": "eve"},
        "commit": {"id": 31, "name": "Build branch", "sha": A},
        "repository": {"homepage": "https://gitlab.example.com/acme/web/shop", "git_http_url": "https://x/y.git"},
    })
}

#[test]
fn a_pipeline_is_queued_started_and_finished_and_each_follows_from_the_one_before() {
    let [queued, started, finished] = ["pending", "running", "failed"].map(|status| one(&pipeline(status)));
    for (event, ty, time, parent) in [
        (&queued, "dev.cdevents.pipelinerun.queued.0.3.0", "2026-01-01T01:00:00Z", None),
        (&started, "dev.cdevents.pipelinerun.started.0.3.0", "2026-01-01T02:00:00Z", Some(queued.id())),
        (&finished, "dev.cdevents.pipelinerun.finished.0.3.0", "2026-01-01T03:00:00Z", Some(started.id())),
    ] {
        assert_eq!((event.ty(), event.subject(), event.time()), (ty, Some("pipelines/31"), Some(time)));
        assert_eq!(event.attribute("causationid").as_deref(), parent);
        assert_eq!(event.attribute("correlationid"), queued.attribute("correlationid"));
    }
    assert_eq!(
        data(&finished)["subject"]["content"],
        json!({
            "pipelineName": "shop", "uri": "https://gitlab.example.com/acme/web/shop/-/pipelines/31",
            "outcome": "failure", "errors": "test",
        })
    );
    assert_eq!(
        data(&finished)["customData"]["run"],
        json!({
            "id": "31", "name": "shop", "cause": "push", "conclusion": "failed", "app": "gitlab-ci", "branch": "main",
            "url": "https://gitlab.example.com/acme/web/shop/-/pipelines/31", "sha": A, "changes": [42],
        })
    );
}

#[test]
fn all_ways_to_wait_are_one_event_and_each_end_is_one() {
    let id = |status: &str| one(&pipeline(status)).id().to_owned();
    for status in ["created", "waiting_for_resource", "preparing"] {
        assert_eq!(id(status), id("pending"), "{status}");
    }
    let mut again = pipeline("failed");
    again["object_attributes"]["finished_at"] = json!("2026-01-01 04:00:00 UTC");
    assert_ne!(one(&again).id(), id("failed"));
    for status in ["manual", "scheduled", "canceling", "brand_new"] {
        assert_eq!(run(&pipeline(status)).len(), 1, "{status}");
    }
}

#[test]
fn outcomes_are_those_of_the_table() {
    for (status, outcome) in
        [("success", "success"), ("failed", "failure"), ("canceled", "cancel"), ("skipped", "success")]
    {
        for event in [one(&pipeline(status)), one(&job(status))] {
            assert_eq!(data(&event)["subject"]["content"]["outcome"], outcome);
            assert_eq!(data(&event)["customData"]["run"]["conclusion"], status);
        }
    }
    let skipped = one(&pipeline("skipped"));
    assert_eq!(skipped.attribute("causationid").as_deref(), Some(one(&pipeline("created")).id()));
}

#[test]
fn a_job_is_a_task_of_its_pipeline() {
    let [started, finished] = ["running", "failed"].map(|status| one(&job(status)));
    assert_eq!(started.ty(), "dev.cdevents.taskrun.started.0.3.0");
    assert_eq!((started.subject(), started.time()), (Some("jobs/1977"), Some("2026-01-01T02:00:00Z")));
    assert_eq!(started.attribute("causationid").as_deref(), Some(one(&pipeline("running")).id()));
    assert_eq!(finished.ty(), "dev.cdevents.taskrun.finished.0.3.0");
    assert_eq!(finished.time(), Some("2026-01-01T02:30:00Z"));
    assert_eq!(finished.attribute("causationid").as_deref(), Some(started.id()));
    assert_eq!(
        data(&finished)["subject"]["content"],
        json!({
            "taskName": "Build branch/test", "outcome": "failure", "errors": "script_failure",
            "pipelineRun": {"id": "pipelines/31", "source": "https://gitlab.example.com/acme/web/shop"},
        })
    );
    let mut never = job("canceled");
    never["build_started_at"] = json!(null);
    assert_eq!(one(&never).attribute("causationid").as_deref(), Some(one(&pipeline("running")).id()));
    for status in ["created", "pending", "manual"] {
        assert_eq!(run(&job(status)).len(), 1, "{status}");
    }
}

#[test]
fn a_job_of_an_old_version_has_its_project_from_the_repository() {
    let mut body = job("running");
    body["project"] = json!(null);
    body["commit"] = json!(null);
    let event = one(&body);
    assert_eq!(event.source(), "https://gitlab.example.com/acme/web/shop");
    let custom = &data(&event)["customData"];
    assert_eq!(
        (&custom["repository"]["owner"], &custom["repository"]["name"]),
        (&json!("acme/web"), &json!("shop"))
    );
    assert_eq!(event.id(), one(&job("running")).id());
    body["repository"] = json!(null);
    let error = lost(&webhook("Job Hook", &body));
    assert_eq!(error, "the body is not a `build` payload: missing field `project`");
}

#[test]
fn tags_and_refs_of_merge_requests_are_no_branches() {
    for (reference, tag) in [("v1", true), ("refs/merge-requests/42/head", false)] {
        let mut body = pipeline("running");
        body["object_attributes"]["ref"] = json!(reference);
        body["object_attributes"]["tag"] = json!(tag);
        body["merge_request"]["target_project_id"] = json!(8);
        let event = one(&body);
        let run = &data(&event)["customData"]["run"];
        assert_eq!((run.get("branch"), &run["changes"]), (None, &json!([])));
    }
}
