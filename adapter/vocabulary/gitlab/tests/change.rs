use serde_json::json;

use super::*;

#[test]
fn an_opened_merge_request_is_a_created_change() {
    let event = one(&merge_request("open"));
    assert_eq!(event.ty(), "dev.cdevents.change.created.0.4.0");
    assert_eq!(event.subject(), Some("pull/42"));
    assert_eq!(event.time(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(event.attribute("causationid"), None);
    assert_eq!(data(&event)["subject"]["content"]["description"], "Add \"carts\"");
    assert_eq!(data(&event)["customData"]["forge"]["action"], "open");
    assert_eq!(
        data(&event)["customData"]["change"],
        json!({
            "number": 42, "title": "Add \"carts\"", "author": "eve", "authorAssociation": "unknown", "draft": false, "labels": ["urgent"],
            "url": "https://gitlab.example.com/acme/web/shop/-/merge_requests/42",
            "source": {
                "branch": "carts", "sha": A, "repositoryUrl": "https://gitlab.example.com/mallory/shop.git",
                "fork": true,
            },
            "target": {"branch": "main"},
        })
    );
}

#[test]
fn each_action_is_what_it_means_and_follows_from_the_creation() {
    let created = one(&merge_request("open"));
    for (action, ty, state) in [
        ("reopen", "dev.cdevents.change.updated.0.3.0", None),
        ("merge", "dev.cdevents.change.merged.0.3.0", None),
        ("close", "dev.cdevents.change.abandoned.0.3.0", None),
        ("approved", "dev.cdevents.change.reviewed.0.3.0", Some("approved")),
        ("approval", "dev.cdevents.change.reviewed.0.3.0", Some("approved")),
        ("unapproved", "dev.cdevents.change.reviewed.0.3.0", Some("dismissed")),
        ("unapproval", "dev.cdevents.change.reviewed.0.3.0", Some("dismissed")),
    ] {
        let mut body = merge_request(action);
        body["object_attributes"]["merge_commit_sha"] = json!(B);
        let event = one(&body);
        assert_eq!(event.ty(), ty, "{action}");
        let custom = &data(&event)["customData"];
        assert_eq!(custom["review"]["state"].as_str(), state, "{action}");
        assert_eq!(custom["change"]["mergeCommit"].as_str(), (action == "merge").then_some(B), "{action}");
        assert_eq!(event.time(), Some(if state.is_some() { RECEIVED } else { "2026-01-01T01:00:00Z" }));
        assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()), "{action}");
        assert_eq!(event.attribute("correlationid"), created.attribute("correlationid"));
    }
}

#[test]
fn an_update_is_an_event_when_it_changed_what_would_be_merged() {
    let update = |changes: Value, oldrev: Option<&str>| {
        let mut body = merge_request("update");
        body["changes"] = changes;
        body["object_attributes"]["oldrev"] = json!(oldrev);
        run(&body).into_iter().nth(1)
    };
    let mut ids = std::collections::HashSet::new();
    for (changes, oldrev) in [
        (json!({}), Some(B)),
        (json!({}), Some(A)),
        (json!({"title": {"previous": "a", "current": "b"}}), None),
        (json!({"title": {"previous": "b", "current": "a"}}), None),
        (json!({"description": {"previous": null, "current": "b"}}), None),
        (json!({"target_branch": {"previous": "a", "current": "b"}}), None),
        (json!({"draft": {"previous": true, "current": false}, "labels": {}}), None),
    ] {
        let event = update(changes, oldrev).unwrap();
        assert_eq!(event.ty(), "dev.cdevents.change.updated.0.3.0");
        assert!(ids.insert(event.id().to_owned()));
    }
    for changes in [json!({}), json!({"labels": {"previous": [], "current": []}}), json!(null), json!([1])] {
        assert!(update(changes.clone(), None).is_none(), "{changes}");
    }
}

#[test]
fn a_merge_request_is_merged_once_and_may_be_closed_again() {
    let id = |action: &str, updated_at: &str| {
        let mut body = merge_request(action);
        body["object_attributes"]["updated_at"] = json!(updated_at);
        one(&body).id().to_owned()
    };
    assert_eq!(id("merge", "2026-01-01 01:00:00 UTC"), id("merge", "2026-01-01 02:00:00 UTC"));
    assert_ne!(id("close", "2026-01-01 01:00:00 UTC"), id("close", "2026-01-01 02:00:00 UTC"));
    // Versions spell the same time in several ways.
    assert_eq!(id("close", "2026-01-01 01:00:00 UTC"), id("close", "2026-01-01T02:00:00.000+01:00"));
}

#[test]
fn who_approved_and_when_tells_approvals_apart() {
    let id = |action: &str, user: &str| {
        let mut body = merge_request(action);
        body["user"]["username"] = json!(user);
        one(&body).id().to_owned()
    };
    assert_eq!(id("approved", "eve"), id("approved", "eve"));
    assert_ne!(id("approved", "eve"), id("approved", "adam"));
    assert_ne!(id("approved", "eve"), id("unapproved", "eve"));
}

#[test]
fn what_is_not_known_is_absent() {
    let mut body = merge_request("open");
    body["user"] = json!({"username": "eve"});
    let request = &mut body["object_attributes"];
    for field in ["title", "url", "draft", "source", "source_project_id", "last_commit"] {
        request[field] = Value::Null;
    }
    request["work_in_progress"] = json!(true);
    let event = one(&body);
    assert_eq!(
        data(&event)["customData"]["change"],
        json!({
            "number": 42, "title": "", "authorAssociation": "unknown", "draft": true, "labels": ["urgent"], "target": {"branch": "main"},
            // A project that is gone was another one.
            "source": {"branch": "carts", "fork": true},
        })
    );
    assert_eq!(data(&event)["subject"]["content"].get("description"), None);
}

#[test]
fn actions_that_nobody_knows_are_raw_only() {
    for action in ["label", "", "merge/train", "opened"] {
        assert_eq!(run(&merge_request(action)).len(), 1, "{action}");
    }
    let mut body = merge_request("open");
    body["object_attributes"].as_object_mut().unwrap().remove("action");
    assert_eq!(run(&body).len(), 1);
}
