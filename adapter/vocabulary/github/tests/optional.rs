//! What is told only when somebody wants it.

use super::*;
use crate::vocabulary::events_with;
use crate::vocabulary::options::OPTIONAL;

fn wanting(optional: Optional, event: &str, body: &Value) -> Vec<Event> {
    let options = Options { optional: vec![optional], ..Options::default() };
    events_with(&webhook(event, body), &options).unwrap()
}

/// The one `CDEvent`; without the option there is none.
fn only(optional: Optional, event: &str, body: &Value) -> Event {
    assert_eq!(run(event, body).len(), 1, "{event} is told without being wanted");
    let mut all = wanting(optional, event, body);
    assert_eq!(all.len(), 2, "{all:?}");
    all.remove(1)
}

fn alert(event: &str, action: &str) -> Value {
    let mut alert = json!({
        "number": 20, "state": "open", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z",
    });
    let own = match event {
        "dependabot_alert" => json!({
            "html_url": "https://github.com/Acme/shop/security/dependabot/20", "dismissed_reason": null,
            "security_advisory": {"summary": "semver is slow", "severity": "medium"},
            "security_vulnerability": {"severity": "critical"}, "fixed_at": null,
        }),
        "code_scanning_alert" => json!({
            "html_url": "https://github.com/Acme/shop/security/code-scanning/20", "tool": {"name": "CodeQL"},
            "rule": {"id": "sql", "description": "SQL from users", "severity": "warning"},
        }),
        _ => json!({"secret_type": "aws_key", "secret_type_display_name": "AWS key", "resolution": null}),
    };
    alert.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    json!({"action": action, "alert": alert, "repository": repository(), "sender": {"login": "eve"}})
}

#[test]
fn every_option_tells_something_of_its_own() {
    let comment = json!({
        "action": "created", "comment": {"id": 9, "body": "hi", "created_at": "2026-01-01T02:00:00Z"},
        "issue": {"number": 3, "title": "t", "html_url": "https://github.com/Acme/shop/issues/3",
            "created_at": "2026-01-01T00:00:00Z"},
        "repository": repository(), "sender": {"login": "eve"},
    });
    let mut labeled = pull_request("labeled");
    labeled["label"] = json!({"name": "urgent"});
    let group = json!({
        "action": "checks_requested",
        "merge_group": {"head_sha": A, "base_sha": B, "base_ref": "refs/heads/main",
            "head_ref": format!("refs/heads/gh-readonly-queue/main/pr-42-{B}")},
        "repository": repository(),
    });
    let dispatch = json!({
        "action": "nightly", "branch": "main", "client_payload": {"full": true}, "repository": repository(),
    });
    for (optional, _, _) in OPTIONAL {
        let (event, body, expected) = match optional {
            Optional::Alerts => (
                "dependabot_alert",
                alert("dependabot_alert", "created"),
                "dev.cdevents.ticket.created.0.2.0",
            ),
            Optional::ChangeDetails => ("pull_request", labeled.clone(), "dev.cdevents.change.updated.0.3.0"),
            Optional::Comments => {
                ("issue_comment", comment.clone(), "dev.cdeventsx.forge-comment.created.0.1.0")
            }
            Optional::TicketComments => {
                ("issue_comment", comment.clone(), "dev.cdevents.ticket.updated.0.2.0")
            }
            Optional::Dispatches => {
                ("repository_dispatch", dispatch.clone(), "dev.cdeventsx.forge-dispatch.requested.0.1.0")
            }
            Optional::MergeGroups => ("merge_group", group.clone(), "dev.cdevents.change.updated.0.3.0"),
            Optional::DirectPush => {
                let all = wanting(*optional, "push", &push("refs/heads/main", A, B));
                let types: Vec<&str> = all.iter().map(Event::ty).collect();
                let expected = [
                    "com.github.push",
                    "dev.cdeventsx.git-ref.updated.0.1.0",
                    "dev.cdevents.change.merged.0.3.0",
                ];
                assert_eq!(types, expected);
                assert_eq!(all[2].subject(), Some(B));
                assert_eq!(data(&all[2])["customData"], data(&all[1])["customData"]);
                for other in [push("refs/heads/carts", A, B), push("refs/heads/main", ZERO, B)] {
                    assert_eq!(wanting(*optional, "push", &other).len(), 2, "{other}");
                }
                continue;
            }
        };
        assert_eq!(only(*optional, event, &body).ty(), expected);
    }
}

#[test]
fn alerts_of_three_scanners_are_incidents_from_their_discovery_to_their_end() {
    for (event, subject, creator, priority, summary) in [
        ("dependabot_alert", "security/dependabot/20", "dependabot", "high", "semver is slow"),
        ("code_scanning_alert", "security/code-scanning/20", "CodeQL", "medium", "SQL from users"),
        ("secret_scanning_alert", "security/secret-scanning/20", "secret-scanning", "high", "AWS key"),
    ] {
        let created = only(Optional::Alerts, event, &alert(event, "created"));
        let content = &data(&created)["subject"]["content"];
        assert_eq!(created.subject(), Some(subject));
        assert_eq!(content["uri"], format!("https://github.com/Acme/shop/{subject}"));
        assert_eq!(
            (&content["ticketType"], &content["creator"], &content["priority"], &content["summary"]),
            (&json!("incident"), &json!(creator), &json!(priority), &json!(summary))
        );
        let (end, field, resolution) = match event {
            "dependabot_alert" => ("fixed", "fixed_at", "completed"),
            "code_scanning_alert" => ("closed_by_user", "dismissed_at", "withdrawn"),
            _ => ("resolved", "resolved_at", "completed"),
        };
        let mut body = alert(event, end);
        body["alert"][field] = json!("2026-01-01T05:00:00Z");
        if event == "code_scanning_alert" {
            body["alert"]["dismissed_reason"] = json!("false positive");
        } else if event == "secret_scanning_alert" {
            body["alert"]["resolution"] = json!("revoked");
        }
        let closed = only(Optional::Alerts, event, &body);
        assert_eq!(closed.ty(), "dev.cdevents.ticket.closed.0.2.0");
        assert_eq!(closed.time(), Some("2026-01-01T05:00:00Z"));
        assert_eq!(data(&closed)["subject"]["content"]["resolution"], resolution, "{event}");
        assert_eq!(data(&closed)["context"]["links"][0]["from"]["contextId"], created.id());
        let reopened = only(Optional::Alerts, event, &alert(event, "reopened"));
        assert_eq!(reopened.ty(), "dev.cdevents.ticket.updated.0.2.0");
        let chain = |event: &Event| data(event)["context"]["chainId"].clone();
        assert_eq!((chain(&closed), chain(&reopened)), (chain(&created), chain(&created)));
    }
    // The number of an issue, and one chain, are not those of an alert.
    let issue = json!({
        "action": "opened", "repository": repository(),
        "issue": {"number": 20, "title": "t", "created_at": "2026-01-01T00:00:00Z"},
    });
    let alert = only(Optional::Alerts, "dependabot_alert", &alert("dependabot_alert", "created"));
    assert_ne!(data(&one("issues", &issue))["context"]["chainId"], data(&alert)["context"]["chainId"]);
}

#[test]
fn two_labels_that_are_set_at_once_are_two_updates() {
    let labeled = |name: &str| {
        let mut body = pull_request("labeled");
        body["label"] = json!({"name": name});
        only(Optional::ChangeDetails, "pull_request", &body)
    };
    assert_ne!(labeled("urgent").id(), labeled("later").id());
    assert_eq!(labeled("urgent").id(), labeled("urgent").id());
    for (action, field, value) in [
        ("review_requested", "requested_reviewer", json!({"login": "bob"})),
        ("review_requested", "requested_team", json!({"name": "ops"})),
        ("milestoned", "milestone", json!({"title": "v1"})),
        ("assigned", "assignee", json!({"login": "bob"})),
    ] {
        let mut body = pull_request(action);
        let bare = only(Optional::ChangeDetails, "pull_request", &body);
        body[field] = value;
        assert_ne!(only(Optional::ChangeDetails, "pull_request", &body).id(), bare.id(), "{field}");
    }
}

#[test]
fn the_queue_of_merges_updates_the_change_that_it_is_about() {
    let group = |head: &str| {
        json!({
            "action": "checks_requested",
            "merge_group": {"head_sha": A, "base_sha": B, "base_ref": "refs/heads/main", "head_ref": head,
                "head_commit": {"timestamp": "2026-01-01T04:00:00Z"}},
            "repository": repository(), "sender": {"login": "eve"},
        })
    };
    let branch = format!("gh-readonly-queue/main/pr-42-{B}");
    let event = only(Optional::MergeGroups, "merge_group", &group(&format!("refs/heads/{branch}")));
    assert_eq!((event.subject(), event.time()), (Some("pull/42"), Some("2026-01-01T04:00:00Z")));
    let change = &data(&event)["customData"]["change"];
    assert_eq!(change["source"]["branch"], branch);
    assert_eq!((&change["source"]["sha"], &change["target"]["branch"]), (&json!(A), &json!("main")));
    let opened = one("pull_request", &pull_request("opened"));
    assert_eq!(data(&event)["context"]["chainId"], data(&opened)["context"]["chainId"]);
    assert_eq!(data(&event)["context"].get("links"), None, "its creation is not told");
    assert_eq!(wanting(Optional::MergeGroups, "merge_group", &group("refs/heads/other")).len(), 1);
}

#[test]
fn two_requests_for_the_same_run_are_two() {
    let body = json!({
        "inputs": {"name": "Mona"}, "ref": "refs/heads/main", "workflow": ".github/workflows/hello.yml",
        "repository": repository(), "sender": {"login": "eve"},
    });
    let first = only(Optional::Dispatches, "workflow_dispatch", &body);
    assert_eq!(
        data(&first)["subject"]["content"],
        json!({
            "repository": {"id": "Acme/shop", "source": "https://github.com"}, "ref": "refs/heads/main",
            "name": ".github/workflows/hello.yml", "inputs": {"name": "Mona"},
        })
    );
    let options = Options { optional: vec![Optional::Dispatches], ..Options::default() };
    let again = Webhook { delivery: "delivery-2".to_owned(), ..webhook("workflow_dispatch", &body) };
    assert_ne!(events_with(&again, &options).unwrap()[1].id(), first.id());
}

#[test]
fn a_comment_belongs_to_what_it_is_on() {
    let comment = |on: Value| {
        let mut body = json!({
            "action": "created",
            "comment": {"id": 9, "body": "/test all", "user": {"login": "mallory", "type": "User"},
                "html_url": "https://github.com/Acme/shop/issues/42#c9", "created_at": "2026-01-01T02:00:00Z"},
            "repository": repository(), "sender": {"login": "mallory"},
        });
        body.as_object_mut().unwrap().extend(on.as_object().unwrap().clone());
        body
    };
    let created_at = "2026-01-01T00:00:00Z";
    let on_change =
        comment(json!({"issue": {"number": 42, "created_at": created_at, "pull_request": {"url": "u"}}}));
    let event = only(Optional::Comments, "issue_comment", &on_change);
    assert_eq!(event.subject(), Some("pull/42/comments/9"));
    let opened = one("pull_request", &pull_request("opened"));
    assert_eq!(data(&event)["context"]["links"][0]["from"]["contextId"], opened.id());
    assert_eq!(data(&event)["context"]["chainId"], data(&opened)["context"]["chainId"]);
    assert_eq!(
        data(&event)["customData"]["comment"],
        json!({
            "id": "9", "on": "change", "number": 42, "body": "/test all", "author": "mallory", "authorAssociation": "unknown", "bot": false,
            "url": "https://github.com/Acme/shop/issues/42#c9",
        })
    );
    let on_ticket = comment(json!({"issue": {"number": 3, "created_at": created_at, "pull_request": null}}));
    assert_eq!(only(Optional::Comments, "issue_comment", &on_ticket).subject(), Some("issues/3/comments/9"));
    // What neither is nor is not a pull request is not told of, nor taken for the other.
    for neither in [json!("x"), json!(5), json!(true), json!([])] {
        let body =
            comment(json!({"issue": {"number": 3, "created_at": created_at, "pull_request": neither}}));
        assert_eq!(wanting(Optional::Comments, "issue_comment", &body).len(), 1, "{body}");
    }
    let mut on_commit = comment(json!({}));
    on_commit["comment"]["commit_id"] = json!(A);
    let subject = format!("commits/{A}/comments/9");
    assert_eq!(only(Optional::Comments, "commit_comment", &on_commit).subject(), Some(&*subject));
    let mut long = on_change.clone();
    long["comment"]["body"] = json!("ä".repeat(20_000));
    let event = only(Optional::Comments, "issue_comment", &long);
    assert_eq!(data(&event)["customData"]["comment"]["body"].as_str().unwrap().len(), 16 * 1024);
    for action in ["edited", "deleted"] {
        let mut other = on_change.clone();
        other["action"] = json!(action);
        assert_eq!(wanting(Optional::Comments, "issue_comment", &other).len(), 1);
    }
}

#[test]
fn no_two_usual_rows_are_for_one_delivery() {
    let usual: Vec<_> = ROWS.iter().filter(|row| row.only.is_none()).collect();
    for (index, row) in usual.iter().enumerate() {
        let twin = usual[index + 1..].iter().find(|other| {
            other.event == row.event
                && (other.action == row.action || row.action.is_none() || other.action.is_none())
        });
        assert!(twin.is_none(), "{} {:?}", row.event, row.action);
    }
}
