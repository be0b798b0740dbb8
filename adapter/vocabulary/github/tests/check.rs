use super::*;

fn check_run(action: &str, app: &str) -> Value {
    json!({
        "action": action,
        "check_run": {
            "id": 128, "name": "linter", "head_sha": A, "html_url": "https://github.com/Acme/shop/runs/128",
            "status": "completed", "conclusion": "failure", "output": {"title": "3 problems"},
            "check_suite": {"id": 118, "head_branch": "carts"}, "app": {"slug": app, "name": "Linter"},
            "pull_requests": [{"number": 42, "base": {"repo": {"id": 7}}}],
            "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:05:00Z",
        },
        "repository": repository(), "sender": {"login": "eve"},
    })
}

fn check_suite(app: &str, conclusion: &str) -> Value {
    json!({
        "action": "completed",
        "check_suite": {
            "id": 118, "head_branch": "carts", "head_sha": A, "conclusion": conclusion, "app": {"slug": app},
            "updated_at": "2026-01-01T00:06:00Z",
        },
        "repository": repository(), "sender": {"login": "eve"},
    })
}

fn status(state: &str, id: u64) -> Value {
    json!({
        "id": id, "sha": A, "context": "ci/build", "state": state, "description": "2 tests failed",
        "target_url": "https://ci.example.com/1", "created_at": "2026-01-01T00:00:00+00:00",
        "updated_at": "2026-01-01T00:00:01+00:00", "repository": repository(), "sender": {"login": "eve"},
    })
}

#[test]
fn a_check_is_a_task_of_its_suite() {
    let started = one("check_run", &check_run("created", "linter"));
    let finished = one("check_run", &check_run("completed", "linter"));
    assert_eq!(started.ty(), "dev.cdevents.taskrun.started.0.3.0");
    assert_eq!(started.time(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(data(&started)["subject"]["content"].get("outcome"), None);
    assert_eq!(finished.time(), Some("2026-01-01T00:05:00Z"));
    assert_eq!(finished.attribute("causationid").as_deref(), Some(started.id()));
    assert_eq!(
        data(&finished)["subject"],
        json!({
            "id": "check-runs/128",
            "content": {
                "taskName": "linter", "uri": "https://github.com/Acme/shop/runs/128",
                "pipelineRun": {"id": "check-suites/118", "source": "https://github.com/Acme/shop"},
                "outcome": "failure", "errors": "3 problems",
            },
        })
    );
    assert_eq!(data(&finished)["customData"]["run"]["app"], "linter");
    assert_eq!(data(&finished)["customData"]["run"]["changes"], json!([42]));
    let suite = one("check_suite", &check_suite("linter", "neutral"));
    assert_eq!(suite.subject(), Some("check-suites/118"));
    assert_eq!(data(&suite)["subject"]["content"], json!({"pipelineName": "linter", "outcome": "success"}));
    assert_eq!(suite.attribute("correlationid"), finished.attribute("correlationid"));
}

#[test]
fn checks_of_github_actions_are_told_as_jobs_only() {
    assert_eq!(run("check_run", &check_run("created", "github-actions")).len(), 1);
    assert_eq!(run("check_run", &check_run("completed", "github-actions")).len(), 1);
    assert_eq!(run("check_suite", &check_suite("github-actions", "success")).len(), 1);
}

#[test]
fn a_wish_for_another_run_is_a_raw_event_only() {
    for action in ["rerequested", "requested_action"] {
        assert_eq!(run("check_run", &check_run(action, "linter")).len(), 1, "{action}");
    }
    let mut suite = check_suite("linter", "success");
    suite["action"] = json!("rerequested");
    assert_eq!(run("check_suite", &suite).len(), 1);
}

#[test]
fn a_check_that_is_completed_again_is_told_again() {
    let mut again = check_run("completed", "linter");
    again["check_run"]["completed_at"] = json!("2026-01-01T00:07:00Z");
    let first = one("check_run", &check_run("completed", "linter"));
    assert_ne!(first.id(), one("check_run", &again).id());
}

#[test]
fn a_status_is_a_task_that_begins_or_ends() {
    let pending = one("status", &status("pending", 1));
    assert_eq!(pending.ty(), "dev.cdevents.taskrun.started.0.3.0");
    assert_eq!(pending.subject(), Some(format!("{A}/statuses/ci/build").as_str()));
    assert_eq!(pending.time(), Some("2026-01-01T00:00:01Z"));
    let content = json!({"taskName": "ci/build", "uri": "https://ci.example.com/1"});
    assert_eq!(data(&pending)["subject"]["content"], content);
    for state in ["success", "failure", "error"] {
        let event = one("status", &status(state, 2));
        assert_eq!(event.ty(), "dev.cdevents.taskrun.finished.0.3.0");
        assert_eq!(data(&event)["subject"]["content"]["outcome"], state);
        let errors = data(&event)["subject"]["content"].get("errors");
        assert_eq!(errors, (state != "success").then(|| json!("2 tests failed")).as_ref());
        assert_eq!(event.attribute("correlationid"), pending.attribute("correlationid"));
    }
    assert_eq!(run("status", &status("expected", 3)).len(), 1);
}

#[test]
fn each_report_of_a_status_is_an_event_of_its_own() {
    let first = one("status", &status("failure", 1));
    assert_ne!(first.id(), one("status", &status("failure", 2)).id());
    assert_eq!(first.id(), one("status", &status("failure", 1)).id());
}

#[test]
fn a_context_may_hold_anything() {
    let mut body = status("success", 1);
    body["context"] = json!("größe\n\u{fffe}\u{7}");
    body["target_url"] = json!("not a url");
    body["description"] = json!(null);
    let event = one("status", &body);
    assert_eq!(event.subject(), Some(format!("{A}/statuses/größe%0A%EF%BF%BE%07").as_str()));
    assert_eq!(data(&event)["subject"]["content"].get("uri"), None);
    assert_eq!(data(&event)["subject"]["content"]["taskName"], "größe\n\u{fffe}\u{7}");
}
