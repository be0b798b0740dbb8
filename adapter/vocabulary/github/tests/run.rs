use super::*;

fn workflow_run(action: &str, conclusion: Option<&str>) -> Value {
    json!({
        "action": action,
        "workflow_run": {
            "id": 289, "name": "", "path": ".github/workflows/ci.yml@refs/heads/carts", "head_branch": "carts",
            "head_sha": A, "event": "pull_request", "conclusion": conclusion, "run_attempt": 2,
            "html_url": "https://github.com/Acme/shop/actions/runs/289",
            "pull_requests": [
                {"number": 42, "base": {"repo": {"id": 7}}},
                {"number": 9, "base": {"repo": {"id": 1234}}},
            ],
            "created_at": "2026-01-01T00:00:00Z", "run_started_at": "2026-01-01T00:01:00Z",
            "updated_at": "2026-01-01T00:09:00Z",
        },
        "workflow": {"name": "CI", "path": ".github/workflows/ci.yml"},
        "repository": repository(), "sender": {"login": "eve"},
    })
}

fn workflow_job(action: &str, conclusion: Option<&str>) -> Value {
    json!({
        "action": action,
        "workflow_job": {
            "id": 11, "run_id": 289, "run_attempt": 2, "name": "test", "workflow_name": "CI", "head_branch": "carts",
            "head_sha": A, "html_url": "https://github.com/Acme/shop/actions/runs/289/job/11",
            "conclusion": conclusion,
            "steps": [
                {"name": "Set up job", "conclusion": "success"}, {"name": "cargo test", "conclusion": "failure"},
                {"name": "Upload", "conclusion": "skipped"}, {"name": "Lint", "conclusion": "failure"},
            ],
            "started_at": "2026-01-01T00:02:00Z", "completed_at": "2026-01-01T00:08:00Z",
        },
        "repository": repository(), "sender": {"login": "eve"},
    })
}

#[test]
fn a_workflow_run_is_queued_started_and_finished_in_one_chain() {
    let queued = one("workflow_run", &workflow_run("requested", Some("action_required")));
    let started = one("workflow_run", &workflow_run("in_progress", None));
    let finished = one("workflow_run", &workflow_run("completed", Some("failure")));
    assert_eq!(queued.ty(), "dev.cdevents.pipelinerun.queued.0.3.0");
    assert_eq!(started.ty(), "dev.cdevents.pipelinerun.started.0.3.0");
    assert_eq!(finished.ty(), "dev.cdevents.pipelinerun.finished.0.3.0");
    let times = [&queued, &started, &finished].map(|event| event.time().unwrap().to_owned());
    assert_eq!(times, ["2026-01-01T00:01:00Z", "2026-01-01T00:01:00Z", "2026-01-01T00:09:00Z"]);
    for event in [&queued, &started, &finished] {
        assert_eq!(event.subject(), Some("actions/runs/289/attempts/2"));
        assert_eq!(event.attribute("correlationid"), queued.attribute("correlationid"));
    }
    assert_eq!(queued.attribute("causationid"), None);
    assert_eq!(started.attribute("causationid").as_deref(), Some(queued.id()));
    assert_eq!(finished.attribute("causationid").as_deref(), Some(started.id()));
    let content = json!({
        "pipelineName": ".github/workflows/ci.yml", "uri": "https://github.com/Acme/shop/actions/runs/289",
    });
    assert_eq!(data(&started)["subject"]["content"], content);
    assert_eq!(data(&finished)["subject"]["content"]["outcome"], "failure");
    assert_eq!(data(&queued)["customData"]["run"].get("conclusion"), None);
    assert_eq!(
        data(&finished)["customData"]["run"],
        json!({
            "id": "289", "name": "CI", "file": ".github/workflows/ci.yml", "attempt": 2, "cause": "pull_request",
            "conclusion": "failure", "url": "https://github.com/Acme/shop/actions/runs/289",
            "app": "github-actions", "branch": "carts", "sha": A, "changes": [42],
        })
    );
}

#[test]
fn a_commit_its_push_and_its_runs_are_one_chain() {
    let push = one("push", &push("refs/heads/carts", B, A));
    let run = one("workflow_run", &workflow_run("requested", None));
    let job = one("workflow_job", &workflow_job("in_progress", None));
    assert_eq!(push.attribute("correlationid"), run.attribute("correlationid"));
    assert_eq!(push.attribute("correlationid"), job.attribute("correlationid"));
}

#[test]
fn another_attempt_is_another_run() {
    let mut again = workflow_run("requested", None);
    again["workflow_run"]["run_attempt"] = json!(3);
    let first = one("workflow_run", &workflow_run("requested", None));
    assert_ne!(first.id(), one("workflow_run", &again).id());
}

#[test]
fn a_job_follows_from_the_start_of_its_run() {
    let run = one("workflow_run", &workflow_run("in_progress", None));
    let started = one("workflow_job", &workflow_job("in_progress", None));
    let finished = one("workflow_job", &workflow_job("completed", Some("failure")));
    assert_eq!(started.ty(), "dev.cdevents.taskrun.started.0.3.0");
    assert_eq!(finished.ty(), "dev.cdevents.taskrun.finished.0.3.0");
    assert_eq!(started.attribute("causationid").as_deref(), Some(run.id()));
    assert_eq!(finished.attribute("causationid").as_deref(), Some(started.id()));
    assert_eq!(
        data(&finished)["subject"],
        json!({
            "id": "actions/jobs/11",
            "content": {
                "taskName": "CI/test", "uri": "https://github.com/Acme/shop/actions/runs/289/job/11",
                "pipelineRun": {"id": "actions/runs/289/attempts/2", "source": "https://github.com/Acme/shop"},
                "outcome": "failure", "errors": "cargo test, Lint",
            },
        })
    );
    let times = [&started, &finished].map(|event| event.time().unwrap().to_owned());
    assert_eq!(times, ["2026-01-01T00:02:00Z", "2026-01-01T00:08:00Z"]);
}

#[test]
fn a_skipped_job_never_began() {
    let run = one("workflow_run", &workflow_run("in_progress", None));
    let skipped = one("workflow_job", &workflow_job("completed", Some("skipped")));
    assert_eq!(skipped.attribute("causationid").as_deref(), Some(run.id()));
    assert_eq!(data(&skipped)["subject"]["content"]["outcome"], "success");
    assert_eq!(data(&skipped)["customData"]["run"]["conclusion"], "skipped");
}

#[test]
fn every_conclusion_is_one_of_the_four_outcomes_or_no_end() {
    for (conclusion, outcome) in [
        ("success", "success"),
        ("neutral", "success"),
        ("skipped", "success"),
        ("failure", "failure"),
        ("cancelled", "cancel"),
        ("timed_out", "error"),
        ("startup_failure", "error"),
        ("stale", "error"),
        ("a word of the future", "error"),
    ] {
        let event = one("workflow_run", &workflow_run("completed", Some(conclusion)));
        assert_eq!(data(&event)["subject"]["content"]["outcome"], outcome, "{conclusion}");
        assert_eq!(data(&event)["customData"]["run"]["conclusion"], conclusion);
    }
    let without = one("workflow_run", &workflow_run("completed", None));
    assert_eq!(data(&without)["subject"]["content"]["outcome"], "error");
    // It waits for somebody, and will be completed again.
    assert_eq!(run("workflow_run", &workflow_run("completed", Some("action_required"))).len(), 1);
}

#[test]
fn what_waits_for_a_runner_has_no_event_of_the_specification() {
    for action in ["queued", "waiting"] {
        assert_eq!(run("workflow_job", &workflow_job(action, None)).len(), 1, "{action}");
    }
}

#[test]
fn a_run_may_lack_all_but_its_id() {
    let body = json!({
        "action": "in_progress", "workflow_run": {"id": 1, "name": null, "pull_requests": null}, "workflow": null,
        "repository": repository(),
    });
    let event = one("workflow_run", &body);
    assert_eq!(event.time(), Some(RECEIVED));
    // The type demands a name and an address.
    let content = json!({"pipelineName": "", "uri": "https://github.com/Acme/shop"});
    assert_eq!(data(&event)["subject"]["content"], content);
}

#[test]
fn a_run_without_an_id_is_refused_with_its_name() {
    let mut body = workflow_run("completed", None);
    body["workflow_run"].as_object_mut().unwrap().remove("id");
    let error = lost(&webhook("workflow_run", &body));
    assert!(error.contains("`workflow_run`") && error.contains("`id`"), "{error}");
}
