use serde_json::{Value, json};

use super::*;

#[test]
fn an_opened_pull_request_is_a_created_change() {
    let event = one("pull_request", &pull_request("opened"));
    assert_eq!(event.ty(), "dev.cdevents.change.created.0.4.0");
    assert_eq!(event.subject(), Some("pull/42"));
    assert_eq!(event.time(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(event.attribute("causationid"), None);
    assert_eq!(
        data(&event)["subject"]["content"],
        json!({
            "description": "Add \"carts\"",
            "repository": {"id": "Acme/shop", "source": "https://github.com"},
        })
    );
    assert_eq!(data(&event)["customData"]["forge"]["action"], "opened");
    assert_eq!(
        data(&event)["customData"]["change"],
        json!({
            "number": 42, "title": "Add \"carts\"", "url": "https://github.com/Acme/shop/pull/42",
            "author": "mallory", "authorAssociation": "unknown", "draft": false, "labels": ["urgent"],
            "source": {
                "branch": "carts", "sha": A, "repositoryUrl": "https://github.com/mallory/shop.git", "fork": true,
            },
            "target": {"branch": "main", "sha": B},
        })
    );
}

#[test]
fn later_events_of_a_change_follow_from_its_creation() {
    let created = one("pull_request", &pull_request("opened"));
    let mut review = pull_request("submitted");
    review["review"] = json!({"id": 1, "state": "APPROVED", "submitted_at": "2026-01-01T03:00:00Z"});
    let mut merged = pull_request("closed");
    merged["pull_request"]["merged"] = json!(true);
    merged["pull_request"]["merged_at"] = json!("2026-01-01T04:00:00Z");
    for (event, body) in [
        ("pull_request", pull_request("synchronize")),
        ("pull_request", pull_request("closed")),
        ("pull_request", merged),
        ("pull_request_review", review),
    ] {
        let event = one(event, &body);
        assert_eq!(
            data(&event)["context"]["links"],
            json!([{"linkType": "PATH", "from": {"contextId": created.id()}}])
        );
        assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
        assert_eq!(event.attribute("correlationid"), created.attribute("correlationid"));
    }
}

#[test]
fn every_action_that_changes_what_would_be_merged_is_an_update() {
    for action in [
        "reopened",
        "synchronize",
        "edited",
        "converted_to_draft",
        "ready_for_review",
        "enqueued",
        "dequeued",
        "auto_merge_enabled",
        "auto_merge_disabled",
    ] {
        let event = one("pull_request", &pull_request(action));
        assert_eq!(event.ty(), "dev.cdevents.change.updated.0.3.0", "{action}");
        assert_eq!(event.time(), Some("2026-01-01T01:00:00Z"));
    }
}

#[test]
fn labels_and_assignments_are_raw_events_only() {
    for action in ["labeled", "unlabeled", "assigned", "review_requested", "milestoned", "locked"] {
        assert_eq!(run("pull_request", &pull_request(action)).len(), 1, "{action}");
    }
}

#[test]
fn two_updates_stay_apart_by_commit_time_action_and_edit() {
    let first = pull_request("synchronize");
    let mut commit = first.clone();
    commit["pull_request"]["head"]["sha"] = json!(B);
    let mut later = first.clone();
    later["pull_request"]["updated_at"] = json!("2026-01-01T01:00:01Z");
    let edited = pull_request("edited");
    let mut title = edited.clone();
    title["changes"] = json!({"title": {"from": "x"}});
    let mut base = edited.clone();
    base["changes"] = json!({"base": {"ref": {"from": "x"}}});
    let all = [first, commit, later, edited, title, base];
    let ids: HashSet<String> = all.iter().map(|body| one("pull_request", body).id().to_owned()).collect();
    assert_eq!(ids.len(), all.len());
}

#[test]
fn one_occurrence_through_two_hooks_is_one_id() {
    let repository_hook = pull_request("synchronize");
    let mut organization_hook = repository_hook.clone();
    organization_hook["organization"] = json!({"login": "Acme", "url": "https://api.github.com/orgs/Acme"});
    organization_hook["installation"] = json!({"id": 1});
    let mut second = webhook("pull_request", &organization_hook);
    second.delivery = "delivery-2".to_owned();
    let second = events(&second).unwrap();
    let first = run("pull_request", &repository_hook);
    assert_ne!(first[0].id(), second[0].id());
    assert_eq!(first[1].id(), second[1].id());
}

#[test]
fn closed_unmerged_pull_request_is_abandoned() {
    let mut body = pull_request("closed");
    body["pull_request"]["closed_at"] = json!("2026-01-01T05:00:00Z");
    let event = one("pull_request", &body);
    assert_eq!(event.ty(), "dev.cdevents.change.abandoned.0.3.0");
    assert_eq!(event.time(), Some("2026-01-01T05:00:00Z"));
    assert!(data(&event)["customData"]["change"].get("mergeCommit").is_none());
    // Closed once more after it was reopened.
    body["pull_request"]["closed_at"] = json!("2026-01-01T06:00:00Z");
    assert_ne!(one("pull_request", &body).id(), event.id());
}

#[test]
fn merged_pull_request_names_the_commit_of_the_merge() {
    let mut body = pull_request("closed");
    body["pull_request"]["merged_at"] = json!("2026-01-01T04:00:00Z");
    for merged in [json!(true), Value::Null] {
        body["pull_request"]["merged"] = merged;
        let event = one("pull_request", &body);
        assert_eq!(event.ty(), "dev.cdevents.change.merged.0.3.0");
        assert_eq!(event.time(), Some("2026-01-01T04:00:00Z"));
        assert_eq!(data(&event)["customData"]["change"]["mergeCommit"], B);
    }
}

#[test]
fn a_branch_of_the_same_repository_is_no_fork() {
    let fork = |head: Value| {
        let mut body = pull_request("opened");
        body["pull_request"]["head"]["repo"] = head;
        data(&one("pull_request", &body))["customData"]["change"]["source"]["fork"].clone()
    };
    assert_eq!(fork(json!({"id": 7})), false);
    assert_eq!(fork(json!({"id": 8})), true);
    assert_eq!(fork(Value::Null), true);
}

#[test]
fn a_review_is_a_reviewed_change() {
    let mut body = pull_request("submitted");
    body["review"] = json!({
        "id": 11, "state": "CHANGES_REQUESTED", "user": {"login": "trent"}, "commit_id": A,
        "html_url": "https://github.com/Acme/shop/pull/42#r11", "submitted_at": "2026-01-01T03:00:00Z",
    });
    let submitted = one("pull_request_review", &body);
    assert_eq!(submitted.ty(), "dev.cdevents.change.reviewed.0.3.0");
    assert_eq!(submitted.time(), Some("2026-01-01T03:00:00Z"));
    assert_eq!(
        data(&submitted)["customData"]["review"],
        json!({
            "state": "changes_requested", "author": "trent", "commit": A,
            "url": "https://github.com/Acme/shop/pull/42#r11",
        })
    );
    body["action"] = json!("dismissed");
    let dismissed = one("pull_request_review", &body);
    assert_ne!(dismissed.id(), submitted.id());
    assert_eq!(dismissed.time(), Some("2026-01-01T01:00:00Z"));
    body["action"] = json!("edited");
    assert_eq!(run("pull_request_review", &body).len(), 1);
}
