use serde_json::json;

use super::*;

const PAGE: &str = "https://gitlab.example.com/acme/web/shop";

/// Type, source, subject and time.
fn attributes(event: &Event) -> (&str, &str, Option<&str>, Option<&str>) {
    (event.ty(), event.source(), event.subject(), event.time())
}

#[test]
fn the_eleven_sections_of_the_specification_hold() {
    let note = |noteable: &str| {
        json!({
            "object_kind": "note", "project": project(), "repository": repository(),
            "commit": {"url": "https://gitlab.example.com/acme/web/shop/-/commit/aaaa"},
            "object_attributes": {
                "id": 9, "noteable_type": noteable, "action": "create", "created_at": "2026-01-01 01:02:03 UTC",
                "url": "https://gitlab.example.com/acme/web/shop/-/x/1#note_9",
            },
        })
    };
    let object = |kind: &str, attributes: Value| {
        json!({
            "object_kind": kind, "project": project(), "repository": repository(), "object_attributes": attributes,
        })
    };
    let job = json!({
        "object_kind": "build", "build_id": 8, "build_status": "running", "build_name": "test", "repository": repository(),
        "project": project(), "commit": {"id": 1, "status": "pending"},
    });
    let commented = Some("2026-01-01T01:02:03Z");
    let x = "https://gitlab.example.com/acme/web/shop/-/x/1";
    for (body, ty, source, subject, time) in [
        (push("push", "refs/heads/main", A, B), "push", PAGE, Some(B), None),
        (push("push", "refs/heads/main", A, ZERO), "push", PAGE, None, None),
        (push("tag_push", "refs/tags/v1", ZERO, A), "tag_push", PAGE, Some("refs/tags/v1"), None),
        (
            object("issue", json!({"iid": 5, "state": "opened", "action": "open"})),
            "issue.opened",
            PAGE,
            Some("5"),
            None,
        ),
        (
            note("Commit"),
            "note.commit",
            "https://gitlab.example.com/acme/web/shop/-/commit/aaaa",
            Some("9"),
            commented,
        ),
        (note("MergeRequest"), "note.merge_request", x, Some("9"), commented),
        (note("Issue"), "note.issue", x, Some("9"), commented),
        (note("Snippet"), "note.snippet", x, Some("9"), commented),
        (merge_request("open"), "merge_request.open", PAGE, Some("42"), Some("2026-01-01T00:00:00Z")),
        (
            object("wiki_page", json!({"slug": "home", "action": "create"})),
            "wiki_page.create",
            PAGE,
            Some("home"),
            None,
        ),
        (
            object("pipeline", json!({"id": 31, "iid": 3, "status": "running"})),
            "pipeline.running",
            PAGE,
            Some("31"),
            None,
        ),
        (job, "job.running", PAGE, Some("8"), None),
    ] {
        let raw = run(&body).remove(0);
        let ty = format!("com.gitlab.{ty}");
        assert_eq!(attributes(&raw), (ty.as_str(), source, subject, time.or(Some(RECEIVED))));
        assert_eq!(raw.id(), "delivery-1");
        assert_eq!(*data(&raw), body, "the data is the body");
    }
}

#[test]
fn events_that_are_not_listed_follow_the_same_rule() {
    for (body, ty, source, subject) in [
        (release("create"), "release.create", PAGE, Some("v1.0/rc+1")),
        (
            json!({"object_kind": "deployment", "status": "success", "deployment_id": 15, "environment": "prod", "project": project()}),
            "deployment.success",
            PAGE,
            Some("15"),
        ),
        (
            json!({"object_kind": "emoji", "event_type": "award", "project": project(), "object_attributes": {"id": 1, "action": "award"}}),
            "emoji.award",
            PAGE,
            Some("1"),
        ),
        (
            json!({"event_name": "project_create", "path_with_namespace": "acme/new"}),
            "project_create",
            "/acme/new",
            None,
        ),
        (json!({"event_name": "group_create", "full_path": "a b"}), "group_create", "gitlab", None),
        (json!({}), "system", "gitlab", None),
        (json!({"object_kind": "a b", "action": "x"}), "system.x", "gitlab", None),
        (json!({"object_kind": "news", "action": "a.b"}), "news", "gitlab", None),
    ] {
        let raw = run(&body).remove(0);
        assert_eq!(attributes(&raw), (format!("com.gitlab.{ty}").as_str(), source, subject, Some(RECEIVED)));
    }
}

#[test]
fn the_header_says_what_the_payload_does_not() {
    let raw =
        |event: &str| events(&webhook(event, &json!({}))).map(|mut events| events.remove(0).ty().to_owned());
    assert_eq!(raw("Feature Flag Hook").unwrap(), "com.gitlab.feature_flag");
    assert_eq!(raw("wiki_page").unwrap(), "com.gitlab.wiki_page");
    assert!(raw("x/y").unwrap_err().to_string().contains("the name of the event must consist of"));
}
