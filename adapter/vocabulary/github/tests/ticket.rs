use super::*;

fn issue(action: &str) -> Value {
    json!({
        "action": action,
        "issue": {
            "number": 3, "title": "It breaks", "html_url": "https://github.com/Acme/shop/issues/3",
            "user": {"login": "mallory"}, "labels": [{"name": "urgent"}, {"name": "Bug"}],
            "assignees": [{"login": "eve"}, {"login": "bob"}], "milestone": {"title": "v1"},
            "state": "open", "state_reason": null,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z", "closed_at": null,
        },
        "repository": repository(), "sender": {"login": "eve"},
    })
}

#[test]
fn an_opened_issue_is_a_created_ticket() {
    let event = one("issues", &issue("opened"));
    assert_eq!(event.ty(), "dev.cdevents.ticket.created.0.2.0");
    assert_eq!(event.time(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(
        data(&event)["subject"],
        json!({
            "id": "issues/3",
            "content": {
                "summary": "It breaks", "ticketType": "bug", "creator": "mallory", "assignees": ["eve", "bob"],
                "labels": ["urgent", "Bug"], "milestone": "v1", "uri": "https://github.com/Acme/shop/issues/3",
            },
        })
    );
    assert_eq!(
        data(&event)["customData"]["ticket"],
        json!({
            "number": 3, "title": "It breaks", "url": "https://github.com/Acme/shop/issues/3", "author": "mallory",
            "state": "open", "labels": ["urgent", "Bug"], "assignees": ["eve", "bob"], "milestone": "v1",
        })
    );
}

#[test]
fn the_type_of_an_issue_goes_before_its_labels() {
    for (name, expected) in
        [("Feature", "enhancement"), ("Task", "task"), ("Bug", "bug"), ("Épopée", "épopée")]
    {
        let mut body = issue("opened");
        body["issue"]["type"] = json!({"name": name});
        assert_eq!(data(&one("issues", &body))["subject"]["content"]["ticketType"], expected);
        assert_eq!(data(&one("issues", &body))["customData"]["ticket"]["type"], name);
    }
    let mut body = issue("opened");
    body["issue"]["labels"] = json!([{"name": "urgent"}]);
    assert_eq!(data(&one("issues", &body))["subject"]["content"].get("ticketType"), None);
}

#[test]
fn whatever_changes_about_an_issue_is_an_update_that_follows_from_its_creation() {
    let created = one("issues", &issue("opened"));
    for action in [
        "reopened",
        "edited",
        "assigned",
        "unassigned",
        "labeled",
        "unlabeled",
        "milestoned",
        "demilestoned",
        "typed",
        "untyped",
        "pinned",
        "unpinned",
        "locked",
        "unlocked",
        "transferred",
    ] {
        let event = one("issues", &issue(action));
        assert_eq!(event.ty(), "dev.cdevents.ticket.updated.0.2.0", "{action}");
        assert_eq!(event.time(), Some("2026-01-01T01:00:00Z"));
        assert_eq!(data(&event)["subject"]["content"]["updatedBy"], "eve");
        assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
        assert_eq!(event.attribute("correlationid"), created.attribute("correlationid"));
    }
}

#[test]
fn two_labels_within_a_second_are_two_updates() {
    let mut first = issue("labeled");
    first["label"] = json!({"name": "urgent"});
    let mut second = first.clone();
    second["label"] = json!({"name": "bug"});
    assert_ne!(one("issues", &first).id(), one("issues", &second).id());
}

#[test]
fn a_closed_issue_says_why() {
    for (reason, resolution) in [
        (json!("completed"), "completed"),
        (json!("not_planned"), "withdrawn"),
        (json!("duplicate"), "duplicate"),
        (json!(null), "completed"),
        (json!(""), "completed"),
        (json!("new_reason"), "new_reason"),
    ] {
        let mut body = issue("closed");
        body["issue"]["state_reason"] = reason;
        body["issue"]["closed_at"] = json!("2026-01-01T02:00:00Z");
        let event = one("issues", &body);
        assert_eq!(event.ty(), "dev.cdevents.ticket.closed.0.2.0");
        assert_eq!(event.time(), Some("2026-01-01T02:00:00Z"));
        assert_eq!(data(&event)["subject"]["content"]["resolution"], resolution);
        assert_eq!(data(&event)["subject"]["content"]["updatedBy"], "eve");
    }
    let deleted = one("issues", &issue("deleted"));
    assert_eq!(deleted.ty(), "dev.cdevents.ticket.closed.0.2.0");
    assert_eq!(data(&deleted)["subject"]["content"]["resolution"], "deleted");
}

#[test]
fn an_issue_that_is_a_pull_request_is_no_ticket() {
    let mut body = issue("milestoned");
    body["issue"]["pull_request"] = json!({"url": "https://api.github.com/repos/Acme/shop/pulls/3"});
    assert_eq!(run("issues", &body).len(), 1);
    body["issue"]["pull_request"] = json!(null);
    assert_eq!(run("issues", &body).len(), 2);
}

#[test]
fn an_issue_may_lack_its_author_and_its_address() {
    let body = json!({
        "action": "opened", "issue": {"number": 3, "title": null, "user": null, "labels": null, "html_url": "a b"},
        "repository": repository(), "sender": null,
    });
    let event = one("issues", &body);
    assert_eq!(event.time(), Some(RECEIVED));
    let content = json!({"summary": "", "creator": "ghost", "uri": "https://github.com/Acme/shop/issues/3"});
    assert_eq!(data(&event)["subject"]["content"], content);
}
