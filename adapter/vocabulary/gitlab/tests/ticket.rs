use serde_json::json;

use super::*;

fn issue(kind: &str, action: &str) -> Value {
    json!({
        "object_kind": kind, "project": project(), "repository": repository(), "user": {"id": 3, "username": "eve"},
        "labels": [{"title": "bug"}], "assignees": [{"username": "adam"}], "changes": {},
        "object_attributes": {
            "id": 301, "iid": 23, "title": "It is broken", "action": action, "author_id": 3, "type": "Issue",
            "state": if action == "close" { "closed" } else { "opened" },
            "url": "https://gitlab.example.com/acme/web/shop/-/issues/23", "created_at": "2026-01-01 01:00:00 UTC",
            "updated_at": "2026-01-01 02:00:00 UTC",
            "closed_at": if action == "close" { json!("2026-01-01 03:00:00 UTC") } else { json!(null) },
        },
    })
}

#[test]
fn an_issue_is_a_ticket_from_its_creation_to_its_end() {
    for kind in ["issue", "work_item"] {
        let created = one(&issue(kind, "open"));
        assert_eq!(created.ty(), "dev.cdevents.ticket.created.0.2.0");
        assert_eq!((created.subject(), created.time()), (Some("issues/23"), Some("2026-01-01T01:00:00Z")));
        assert_eq!(
            data(&created)["subject"]["content"],
            json!({
                "summary": "It is broken", "creator": "eve", "ticketType": "bug", "labels": ["bug"],
                "assignees": ["adam"], "uri": "https://gitlab.example.com/acme/web/shop/-/issues/23",
            })
        );
        assert_eq!(data(&created)["customData"]["ticket"]["state"], "open");
        for (action, ty, time) in [
            ("update", "dev.cdevents.ticket.updated.0.2.0", "2026-01-01T02:00:00Z"),
            ("reopen", "dev.cdevents.ticket.updated.0.2.0", "2026-01-01T02:00:00Z"),
            ("close", "dev.cdevents.ticket.closed.0.2.0", "2026-01-01T03:00:00Z"),
        ] {
            let event = one(&issue(kind, action));
            assert_eq!((event.ty(), event.time()), (ty, Some(time)));
            assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
            assert_eq!(data(&event)["subject"]["content"]["updatedBy"], "eve");
            let resolution = data(&event)["subject"]["content"]["resolution"].as_str();
            assert_eq!(resolution, (action == "close").then_some("completed"));
        }
    }
}

#[test]
fn a_duplicate_and_an_incident_say_so() {
    let mut body = issue("issue", "close");
    body["object_attributes"]["duplicated_to_id"] = json!(5);
    body["object_attributes"]["type"] = json!("Incident");
    let event = one(&body);
    let content = &data(&event)["subject"]["content"];
    assert_eq!((&content["resolution"], &content["ticketType"]), (&json!("duplicate"), &json!("incident")));
}

#[test]
fn each_edition_is_one_and_each_closing_too() {
    let id = |action: &str, field: &str, value: Value| {
        let mut body = issue("issue", action);
        if field == "changes" {
            body[field] = value;
        } else {
            body["object_attributes"][field] = value;
        }
        one(&body).id().to_owned()
    };
    assert_ne!(id("update", "changes", json!({"a": 1})), id("update", "changes", json!({"a": 2})));
    let (first, second) = (json!("2026-01-01 03:00:00 UTC"), json!("2026-01-01 04:00:00 UTC"));
    assert_ne!(id("close", "closed_at", first.clone()), id("close", "closed_at", second.clone()));
    assert_ne!(id("update", "updated_at", first), id("update", "updated_at", second));
}

#[test]
fn notes_are_no_tickets() {
    let mut body = issue("note", "create");
    body["issue"] = json!({"iid": 23});
    assert_eq!(run(&body).len(), 1);
}
