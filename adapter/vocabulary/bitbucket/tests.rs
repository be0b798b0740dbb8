use serde_json::{Value, json};

use super::*;
use crate::event::Event;
use crate::vocabulary::testing::{A, B, RECEIVED, data, lost};
use crate::vocabulary::{Forge, events, testing};

fn webhook(event: &str, body: &Value) -> Webhook {
    testing::webhook(Forge::Bitbucket, event, body)
}

fn run(event: &str, body: &Value) -> Vec<Event> {
    events(&webhook(event, body)).unwrap()
}

/// The one `CDEvent` of a delivery.
fn one(event: &str, body: &Value) -> Event {
    testing::one(&webhook(event, body))
}

fn repository() -> Value {
    json!({
        "type": "repository", "uuid": "{7}", "name": "The Shop", "full_name": "acme/shop",
        "links": {"html": {"href": "https://bitbucket.org/acme/shop"}},
        "owner": {"type": "team", "display_name": "Acme"},
    })
}

fn actor() -> Value {
    json!({"type": "user", "display_name": "Eve E.", "nickname": "eve", "uuid": "{e}", "account_id": "1:2"})
}

fn reference(kind: &str, name: &str, hash: &str) -> Value {
    json!({"type": kind, "name": name, "target": {"hash": hash, "date": "2020-01-01T00:00:00+02:00"}})
}

fn push(changes: &Value) -> Value {
    json!({"push": {"changes": changes}, "repository": repository(), "actor": actor()})
}

fn pull_request() -> Value {
    json!({
        "pullrequest": {
            "id": 42, "title": "Add \"carts\"", "state": "OPEN", "draft": false,
            "links": {"html": {"href": "https://bitbucket.org/acme/shop/pull-requests/42"}},
            "author": {"nickname": "mallory"},
            "source": {
                "branch": {"name": "carts"}, "commit": {"hash": "aaaaaaaaaaaa"},
                "repository": {"uuid": "{8}", "full_name": "mallory/shop"},
            },
            "destination": {
                "branch": {"name": "main"}, "commit": {"hash": "bbbbbbbbbbbb"},
                "repository": {"uuid": "{7}", "full_name": "acme/shop"},
            },
            "merge_commit": {"hash": "cccccccccccc"},
            "created_on": "2026-01-01T00:00:00.123456+00:00", "updated_on": "2026-01-01T01:00:00.5+00:00",
        },
        "repository": repository(), "actor": actor(),
    })
}

#[test]
fn a_ref_is_made_moved_and_taken_away() {
    for (old, new, ty, subject) in [
        (json!(null), reference("branch", "feature/x", A), "dev.cdevents.branch.created.0.3.0", "feature/x"),
        (reference("branch", "feature/x", A), json!(null), "dev.cdevents.branch.deleted.0.3.0", "feature/x"),
        (
            reference("branch", "x", A),
            reference("branch", "x", B),
            "dev.cdeventsx.git-ref.updated.0.1.0",
            "x",
        ),
        (json!(null), reference("tag", "v1", A), "dev.cdeventsx.git-tag.created.0.1.0", "v1"),
        (reference("tag", "v1", A), json!(null), "dev.cdeventsx.git-tag.deleted.0.1.0", "v1"),
        (reference("tag", "v1", A), reference("tag", "v1", B), "dev.cdeventsx.git-tag.updated.0.1.0", "v1"),
    ] {
        let moved = !old.is_null() && !new.is_null();
        let event =
            one("repo:push", &push(&json!([{"old": old, "new": new, "forced": true, "commits": [{}, {}]}])));
        assert_eq!((event.ty(), event.subject()), (ty, Some(subject)));
        assert_eq!(event.source(), "https://bitbucket.org/acme/shop");
        assert_eq!(event.time(), Some(if moved { "2019-12-31T22:00:00Z" } else { RECEIVED }));
        assert_eq!(data(&event)["customData"]["push"]["forced"], true);
    }
}

#[test]
fn a_push_of_several_refs_is_an_event_for_each() {
    let changes = json!([
        {"old": null, "new": reference("branch", "a", A)},
        {"old": null, "new": reference("branch", "b", A)},
        {"old": null, "new": reference("bookmark", "c", A)},
        {"old": null, "new": null},
        {"old": reference("tag", "v1", A), "new": null},
    ]);
    let events = run("repo:push", &push(&changes));
    let subjects: Vec<_> = events[1..].iter().map(|event| event.subject().unwrap()).collect();
    assert_eq!(subjects, ["a", "b", "v1"]);
    assert_eq!(
        data(&events[1])["customData"],
        json!({
            "forge": {"name": "bitbucket", "event": "repo:push", "delivery": "delivery-1"},
            "sender": "eve",
            "repository": {"owner": "acme", "name": "shop", "url": "https://bitbucket.org/acme/shop", "cloneUrl": "https://bitbucket.org/acme/shop.git"},
            "push": {"ref": "refs/heads/a", "branch": "a", "after": A, "commit": A},
        })
    );
    assert_eq!(run("repo:push", &push(&json!(null))).len(), 1);
}

#[test]
fn a_new_pull_request_is_a_created_change() {
    let event = one("pullrequest:created", &pull_request());
    assert_eq!(event.ty(), "dev.cdevents.change.created.0.4.0");
    assert_eq!((event.subject(), event.time()), (Some("pull/42"), Some("2026-01-01T00:00:00.123456Z")));
    assert_eq!(
        data(&event)["customData"]["change"],
        json!({
            "number": 42, "title": "Add \"carts\"", "author": "mallory", "authorAssociation": "unknown", "draft": false, "labels": [],
            "url": "https://bitbucket.org/acme/shop/pull-requests/42",
            "source": {"branch": "carts", "sha": "aaaaaaaaaaaa", "repositoryUrl": "https://bitbucket.org/mallory/shop.git", "fork": true},
            "target": {"branch": "main", "sha": "bbbbbbbbbbbb"},
        })
    );
}

#[test]
fn each_event_is_what_it_means_and_follows_from_the_creation() {
    let created = one("pullrequest:created", &pull_request());
    for (event, ty, state) in [
        ("updated", "dev.cdevents.change.updated.0.3.0", None),
        ("fulfilled", "dev.cdevents.change.merged.0.3.0", None),
        ("rejected", "dev.cdevents.change.abandoned.0.3.0", None),
        ("approved", "dev.cdevents.change.reviewed.0.3.0", Some("approved")),
        ("unapproved", "dev.cdevents.change.reviewed.0.3.0", Some("dismissed")),
        ("changes_request_created", "dev.cdevents.change.reviewed.0.3.0", Some("changes_requested")),
        ("changes_request_removed", "dev.cdevents.change.reviewed.0.3.0", Some("dismissed")),
    ] {
        let mut body = pull_request();
        let review =
            json!({"date": "2026-01-01T02:00:00+00:00", "user": {"nickname": "adam", "uuid": "{a}"}});
        if event.contains("approved") {
            body["approval"] = review;
        } else if state.is_some() {
            body["changes_request"] = review;
        }
        let event = one(&format!("pullrequest:{event}"), &body);
        assert_eq!(event.ty(), ty);
        let custom = &data(&event)["customData"];
        assert_eq!(custom["review"]["state"].as_str(), state);
        assert_eq!(custom["review"]["author"].as_str(), state.map(|_| "adam"));
        assert_eq!(
            event.time(),
            Some(if state.is_some() { "2026-01-01T02:00:00Z" } else { "2026-01-01T01:00:00.5Z" })
        );
        let merged = ty.contains("merged").then_some("cccccccccccc");
        assert_eq!(custom["change"]["mergeCommit"].as_str(), merged);
        assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
        assert_eq!(event.attribute("correlationid"), created.attribute("correlationid"));
    }
}

#[test]
fn updates_and_reviews_at_other_times_are_other_occurrences() {
    let id = |event: &str, at: &str| {
        let mut body = pull_request();
        body["pullrequest"]["updated_on"] = json!(at);
        body["approval"] = json!({"date": at, "user": {"uuid": "{a}"}});
        one(event, &body).id().to_owned()
    };
    let (first, second) = ("2026-01-01T01:00:00.5+00:00", "2026-01-01T01:00:00.6+00:00");
    for event in ["pullrequest:updated", "pullrequest:approved"] {
        assert_eq!(id(event, first), id(event, first));
        assert_ne!(id(event, first), id(event, second), "{event}");
    }
    // Each of these happens once.
    for event in ["pullrequest:fulfilled", "pullrequest:rejected"] {
        assert_eq!(id(event, first), id(event, second), "{event}");
    }
}

#[test]
fn what_is_not_known_is_absent() {
    let mut body = pull_request();
    body["pullrequest"]["source"] = json!({"branch": null, "commit": null, "repository": null});
    body["pullrequest"]["author"] = json!({"display_name": "An App"});
    for field in ["title", "links", "draft"] {
        body["pullrequest"][field] = Value::Null;
    }
    body["actor"] = Value::Null;
    let event = one("pullrequest:created", &body);
    let custom = &data(&event)["customData"];
    assert_eq!(custom.get("sender"), None);
    assert_eq!(
        custom["change"],
        json!({
            "number": 42, "title": "", "author": "An App", "authorAssociation": "unknown", "draft": false, "labels": [],
            "source": {"branch": "", "fork": true}, "target": {"branch": "main", "sha": "bbbbbbbbbbbb"},
        })
    );
    let mut body = pull_request();
    body["repository"]["links"] = Value::Null;
    let error = lost(&webhook("pullrequest:created", &body));
    assert!(error.ends_with("`repository.links.html.href` must be an http or https URL"), "{error}");
}

#[test]
fn the_raw_event_has_the_name_with_dots() {
    let page = "https://bitbucket.org/acme/shop";
    for (event, body, ty, source, subject, time) in [
        ("repo:push", push(&json!([])), "repo.push", page, None, RECEIVED),
        (
            "pullrequest:created",
            pull_request(),
            "pullrequest.created",
            page,
            Some("42"),
            "2026-01-01T01:00:00.5Z",
        ),
        (
            "issue:comment_created",
            json!({"comment": {"id": 4}, "issue": {"id": 3, "updated_on": "2026-01-01T00:00:00+00:00"}}),
            "issue.comment_created",
            "https://bitbucket.org",
            Some("4"),
            "2026-01-01T00:00:00Z",
        ),
        ("brand:new:event", json!({}), "brand.new.event", "https://bitbucket.org", None, RECEIVED),
    ] {
        let raw = run(event, &body).remove(0);
        assert_eq!(raw.ty(), format!("com.bitbucket.{ty}"));
        assert_eq!((raw.id(), raw.source()), ("delivery-1", source));
        assert_eq!((raw.subject(), raw.time()), (subject, Some(time)));
        assert_eq!(*data(&raw), body);
    }
    for bad in ["", ":", "a:", "a b", "repo::push"] {
        assert!(events(&webhook(bad, &json!({}))).is_err(), "{bad}");
    }
}

#[test]
fn a_status_is_a_task_that_runs_or_has_ended() {
    let status = |state: &str| {
        json!({
            "commit_status": {
                "key": "unit", "name": "Unit tests", "description": "2 failed", "state": state, "refname": "main",
                "url": "https://ci.example.com/1", "updated_on": "2026-01-01T01:00:00+00:00",
                "links": {"commit": {"href": format!("https://api.bitbucket.org/2.0/repositories/acme/shop/commit/{A}")}},
            },
            "repository": repository(), "actor": actor(),
        })
    };
    for (state, ty, outcome) in [
        ("INPROGRESS", "dev.cdevents.taskrun.started.0.3.0", None),
        ("SUCCESSFUL", "dev.cdevents.taskrun.finished.0.3.0", Some("success")),
        ("FAILED", "dev.cdevents.taskrun.finished.0.3.0", Some("failure")),
        ("STOPPED", "dev.cdevents.taskrun.finished.0.3.0", Some("cancel")),
    ] {
        for event in ["repo:commit_status_created", "repo:commit_status_updated"] {
            let event = one(event, &status(state));
            assert_eq!((event.ty(), event.subject()), (ty, Some(format!("{A}/statuses/unit").as_str())));
            let content = &data(&event)["subject"]["content"];
            assert_eq!((&content["taskName"], content["outcome"].as_str()), (&json!("Unit tests"), outcome));
            let failed = matches!(outcome, Some("failure" | "cancel"));
            assert_eq!(content["errors"].as_str(), failed.then_some("2 failed"));
            assert_eq!(data(&event)["customData"]["run"]["sha"], A);
        }
    }
    assert_eq!(run("repo:commit_status_updated", &status("NEW")).len(), 1);
    let mut body = status("FAILED");
    body["commit_status"]["links"] = Value::Null;
    let error = lost(&webhook("repo:commit_status_updated", &body));
    assert!(error.ends_with("`commit_status.links.commit.href` must name the commit"), "{error}");
    body["commit_status"]["commit"] = json!({"hash": B});
    assert_eq!(data(&one("repo:commit_status_updated", &body))["customData"]["run"]["sha"], B);
}

#[test]
fn an_issue_is_closed_by_its_state() {
    let issue = |state: &str, new: Option<&str>| {
        json!({
            "issue": {
                "id": 6, "title": "It is broken", "kind": "bug", "priority": "blocker", "state": state,
                "reporter": actor(), "assignee": {"nickname": "adam"}, "milestone": {"name": "1.0"},
                "links": {"html": {"href": "https://bitbucket.org/acme/shop/issues/6"}},
                "created_on": "2026-01-01T00:00:00+00:00", "updated_on": "2026-01-01T01:00:00+00:00",
            },
            "changes": {"status": new.map(|new| json!({"old": "open", "new": new}))},
            "repository": repository(), "actor": actor(),
        })
    };
    let created = one("issue:created", &issue("new", None));
    assert_eq!((created.ty(), created.subject()), ("dev.cdevents.ticket.created.0.2.0", Some("issues/6")));
    assert_eq!(
        data(&created)["subject"]["content"],
        json!({
            "summary": "It is broken", "ticketType": "bug", "creator": "eve", "assignees": ["adam"],
            "priority": "high", "milestone": "1.0", "uri": "https://bitbucket.org/acme/shop/issues/6",
        })
    );
    for (state, new, ty, told, resolution) in [
        ("open", Some("open"), "updated", "open", None),
        ("resolved", None, "updated", "closed", None),
        ("resolved", Some("resolved"), "closed", "closed", Some("completed")),
        ("wontfix", Some("wontfix"), "closed", "closed", Some("withdrawn")),
        ("duplicate", Some("duplicate"), "closed", "closed", Some("duplicate")),
        ("closed", Some("closed"), "closed", "closed", Some("completed")),
    ] {
        let event = one("issue:updated", &issue(state, new));
        assert_eq!(event.ty(), format!("dev.cdevents.ticket.{ty}.0.2.0"), "{state}");
        assert_eq!(data(&event)["customData"]["ticket"]["state"], told);
        assert_eq!(data(&event)["subject"]["content"]["resolution"].as_str(), resolution);
        assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
    }
}

#[test]
fn repositories_are_made_by_forks_changed_and_taken_away() {
    let mut fork = repository();
    fork["full_name"] = json!("mallory/shop");
    fork["links"]["html"]["href"] = json!("https://bitbucket.org/mallory/shop");
    let body = json!({"repository": repository(), "fork": fork, "actor": actor()});
    for (event, ty, subject) in [
        ("repo:fork", "dev.cdevents.repository.created.0.3.0", "mallory/shop"),
        ("repo:updated", "dev.cdevents.repository.modified.0.3.0", "acme/shop"),
        ("repo:deleted", "dev.cdevents.repository.deleted.0.3.0", "acme/shop"),
    ] {
        let found = one(event, &body);
        assert_eq!((found.ty(), found.subject()), (ty, Some(subject)));
        assert_eq!(data(&found)["subject"]["content"]["viewUrl"], found.source());
        let again = Webhook { delivery: "delivery-2".to_owned(), ..webhook(event, &body) };
        assert_eq!(events(&again).unwrap()[1].id() == found.id(), event != "repo:updated");
    }
    let error = lost(&webhook("repo:fork", &json!({"repository": repository()})));
    assert!(error.ends_with("missing field `fork`"), "{error}");
}
