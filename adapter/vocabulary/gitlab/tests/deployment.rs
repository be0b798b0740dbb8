use serde_json::json;

use super::*;

fn deployment(status: &str) -> Value {
    json!({
        "object_kind": "deployment", "status": status, "status_changed_at": "2026-01-01 21:50:00 +0200",
        "deployment_id": 15, "deployable_url": "https://gitlab.example.com/acme/web/shop/-/jobs/796",
        "environment": "staging", "environment_tier": "staging", "short_sha": &A[..8], "ref": "main",
        "commit_url": format!("https://gitlab.example.com/acme/web/shop/-/commit/{A}"),
        "project": project(), "user": {"id": 3, "username": "eve"},
    })
}

#[test]
fn a_deployment_is_what_its_status_says() {
    for (status, ty, subject) in [
        ("running", "dev.cdeventsx.forge-deployment.progressing.0.1.0", "deployments/15"),
        ("failed", "dev.cdeventsx.forge-deployment.failed.0.1.0", "deployments/15"),
        ("canceled", "dev.cdeventsx.forge-deployment.canceled.0.1.0", "deployments/15"),
        ("success", "dev.cdevents.service.deployed.0.3.0", "acme/web/shop"),
    ] {
        let event = one(&deployment(status));
        assert_eq!(
            (event.ty(), event.subject(), event.time()),
            (ty, Some(subject), Some("2026-01-01T19:50:00Z"))
        );
        assert_eq!(data(&event)["subject"]["content"]["artifactId"], format!("pkg:gitlab/acme/web/shop@{A}"));
        assert_eq!(
            data(&event)["customData"]["deployment"],
            json!({
                "id": "15", "environment": "staging", "state": status, "ref": "main", "sha": A, "author": "eve",
                "url": "https://gitlab.example.com/acme/web/shop/-/jobs/796", "production": false,
            })
        );
    }
    assert_eq!(run(&deployment("created")).len(), 1);
}

#[test]
fn an_environment_with_an_address_is_published_too() {
    let mut body = deployment("success");
    body["environment_external_url"] = json!("https://staging.example.com");
    let events = run(&body);
    assert_eq!(events.len(), 3);
    assert_eq!(events[2].ty(), "dev.cdevents.service.published.0.3.0");
    assert_eq!(events[2].attribute("causationid").as_deref(), Some(events[1].id()));
}

#[test]
fn without_the_page_of_the_commit_there_is_its_short_name_and_without_an_environment_nothing() {
    let mut body = deployment("success");
    body["commit_url"] = json!(null);
    assert_eq!(data(&one(&body))["customData"]["deployment"]["sha"], &A[..8]);
    body["environment"] = json!("");
    assert!(lost(&webhook("Deployment Hook", &body)).contains("`environment`"));
}
