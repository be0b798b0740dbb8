use super::*;

const SERVICE: &str = "Acme/shop";

fn deployment(payload: &Value) -> Value {
    json!({
        "action": "created",
        "deployment": {
            "id": 145, "sha": A, "ref": "main", "task": "deploy", "payload": payload, "environment": "production",
            "description": "for the fair", "creator": {"login": "mallory"}, "production_environment": true,
            "transient_environment": false, "created_at": "2026-01-01T00:00:00Z",
        },
        "repository": repository(), "sender": {"login": "eve"},
    })
}

fn status(state: &str) -> Value {
    let mut body = deployment(&json!({}));
    body["deployment_status"] = json!({
        "id": 209, "state": state, "environment": "production", "description": "", "environment_url": "",
        "log_url": "https://ci.example.com/log", "created_at": "2026-01-01T00:10:00Z",
    });
    body
}

#[test]
fn a_successful_deployment_is_a_deployed_service() {
    let created = one("deployment", &deployment(&json!({})));
    assert_eq!(created.ty(), "dev.cdeventsx.forge-deployment.created.0.1.0");
    assert_eq!(created.subject(), Some("deployments/145"));
    assert_eq!(created.time(), Some("2026-01-01T00:00:00Z"));
    let event = one("deployment_status", &status("success"));
    assert_eq!(event.ty(), "dev.cdevents.service.deployed.0.3.0");
    assert_eq!(event.time(), Some("2026-01-01T00:10:00Z"));
    assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
    assert_eq!(event.attribute("correlationid"), created.attribute("correlationid"));
    assert_eq!(
        data(&event)["subject"],
        json!({
            "id": SERVICE,
            "content": {
                "environment": {"id": "production", "source": "https://github.com/Acme/shop"},
                "artifactId": format!("pkg:github/acme/shop@{A}"),
            },
        })
    );
    assert_eq!(
        data(&event)["customData"]["deployment"],
        json!({
            "id": "145", "environment": "production", "task": "deploy", "state": "success",
            "description": "for the fair", "ref": "main", "sha": A, "author": "mallory",
            "url": "https://ci.example.com/log", "production": true, "transient": false,
        })
    );
}

#[test]
fn a_deployment_with_an_address_is_published_too() {
    let mut body = status("success");
    body["deployment_status"]["environment_url"] = json!("https://shop.example.com");
    let all = run("deployment_status", &body);
    let types: Vec<&str> = all[1..].iter().map(Event::ty).collect();
    assert_eq!(types, ["dev.cdevents.service.deployed.0.3.0", "dev.cdevents.service.published.0.3.0"]);
    assert_eq!(all[2].attribute("causationid").as_deref(), Some(all[1].id()));
    assert_eq!(data(&all[2])["customData"]["deployment"]["environmentUrl"], "https://shop.example.com");
    let content = json!({"environment": {"id": "production", "source": "https://github.com/Acme/shop"}});
    assert_eq!(data(&all[2])["subject"]["content"], content);
}

#[test]
fn a_rollback_and_a_removal_have_their_types() {
    let mut body = status("success");
    body["deployment"]["task"] = json!("rollback");
    assert_eq!(one("deployment_status", &body).ty(), "dev.cdevents.service.rolledback.0.3.0");
    let removed = one("deployment_status", &status("inactive"));
    assert_eq!(removed.ty(), "dev.cdevents.service.removed.0.3.0");
    assert_eq!(removed.subject(), Some(SERVICE));
}

#[test]
fn the_way_of_a_deployment_is_told_in_types_of_ours() {
    for (state, predicate) in [
        ("queued", "queued"),
        ("pending", "pending"),
        ("waiting", "pending"),
        ("in_progress", "progressing"),
        ("failure", "failed"),
        ("error", "errored"),
    ] {
        let event = one("deployment_status", &status(state));
        assert_eq!(event.ty(), format!("dev.cdeventsx.forge-deployment.{predicate}.0.1.0"));
        assert_eq!(event.subject(), Some("deployments/145"));
        assert_eq!(data(&event)["subject"]["content"]["service"]["id"], SERVICE);
        assert_eq!(data(&event)["customData"]["deployment"]["state"], state);
    }
    assert_eq!(run("deployment_status", &status("new_state")).len(), 1);
}

#[test]
fn the_payload_may_name_the_artifact() {
    let purl = "pkg:oci/shop@sha256%3Aab?repository_url=ghcr.io/acme/shop";
    for payload in [json!({"artifact": purl}), json!(json!({"artifact": purl}).to_string())] {
        let mut body = status("success");
        body["deployment"]["payload"] = payload;
        assert_eq!(data(&one("deployment_status", &body))["subject"]["content"]["artifactId"], purl);
    }
    for payload in
        [json!("text"), json!([1]), json!({"artifact": 1}), json!({"artifact": "no purl"}), json!(null)]
    {
        let mut body = status("success");
        body["deployment"]["payload"] = payload;
        let artifact = format!("pkg:github/acme/shop@{A}");
        assert_eq!(data(&one("deployment_status", &body))["subject"]["content"]["artifactId"], artifact);
    }
}

#[test]
fn a_deployment_without_an_environment_is_refused_with_its_name() {
    let mut body = deployment(&json!({}));
    body["deployment"]["environment"] = json!(null);
    let error = lost(&webhook("deployment", &body));
    assert!(error.contains("`deployment.environment`"), "{error}");
}

fn review(action: &str) -> Value {
    json!({
        "action": action,
        "workflow_run": {"id": 289, "name": "CD", "head_sha": A, "run_attempt": 1, "html_url": "https://github.com/r"},
        "since": "2026-01-01T00:20:00Z", "repository": repository(), "sender": {"login": "eve"},
    })
}

#[test]
fn an_approval_is_asked_for_and_given_to_each_job() {
    let mut requested = review("requested");
    requested["workflow_job_run"] =
        json!({"id": 5, "environment": "production", "html_url": "https://github.com/j"});
    requested["environment"] = json!("production");
    requested["requestor"] = json!({"login": "mallory"});
    requested["reviewers"] = json!([
        {"type": "User", "reviewer": {"login": "bob", "name": null}},
        {"type": "Team", "reviewer": {"name": "admins"}},
    ]);
    let requested = one("deployment_review", &requested);
    assert_eq!(requested.ty(), "dev.cdeventsx.forge-approval.requested.0.1.0");
    assert_eq!(requested.time(), Some("2026-01-01T00:20:00Z"));
    assert_eq!(
        data(&requested)["subject"],
        json!({
            "id": "actions/jobs/5/approval",
            "content": {
                "environment": {"id": "production", "source": "https://github.com/Acme/shop"},
                "requestor": "mallory", "uri": "https://github.com/j",
            },
        })
    );
    assert_eq!(data(&requested)["customData"]["approval"]["reviewers"], json!(["bob", "admins"]));

    let mut approved = review("approved");
    approved["approver"] = json!({"login": "bob"});
    approved["requester"] = json!({"login": "mallory"});
    approved["comment"] = json!("go");
    approved["workflow_job_runs"] =
        json!([{"id": 5, "environment": "production"}, {"id": 6, "environment": "staging"}]);
    let all = run("deployment_review", &approved);
    assert_eq!(all.len(), 3);
    assert!(all[1..].iter().all(|event| event.ty() == "dev.cdeventsx.forge-approval.approved.0.1.0"));
    assert_eq!(all[1].attribute("causationid").as_deref(), Some(requested.id()));
    assert_eq!(data(&all[1])["subject"]["content"]["responder"], "bob");
    assert_eq!(data(&all[2])["subject"]["content"]["environment"]["id"], "staging");
    assert_eq!(data(&all[2])["customData"]["approval"]["comment"], "go");
    let rejected = one("deployment_review", &review("rejected"));
    assert_eq!(rejected.ty(), "dev.cdeventsx.forge-approval.rejected.0.1.0");
    assert_eq!(rejected.subject(), Some("actions/runs/289/attempts/1/approval"));
}

#[test]
fn a_protection_rule_asks_for_an_approval_too() {
    let mut body = deployment(&json!({}));
    body["action"] = json!("requested");
    body["environment"] = json!("production");
    let event = one("deployment_protection_rule", &body);
    assert_eq!(event.ty(), "dev.cdeventsx.forge-approval.requested.0.1.0");
    assert_eq!(event.subject(), Some("deployments/145/approval"));
    assert_eq!(data(&event)["customData"]["deployment"]["id"], "145");
    assert_eq!(data(&event)["customData"]["approval"]["environment"], "production");
}
