use serde_json::{Value, json};

use super::*;
use crate::event::Event;
use crate::vocabulary::testing::{A, B, RECEIVED, ZERO, data, lost};
use crate::vocabulary::{Forge, events, testing};

const PAGE: &str = "https://git.example.com/bb/projects/ACME/repos/shop";

fn webhook(event: &str, body: &Value) -> Webhook {
    testing::webhook(Forge::BitbucketDataCenter, event, body)
}

fn run(event: &str, body: &Value) -> Vec<Event> {
    events(&webhook(event, body)).unwrap()
}

/// The one `CDEvent` of a delivery.
fn one(event: &str, body: &Value) -> Event {
    testing::one(&webhook(event, body))
}

fn repository(id: u64, key: &str) -> Value {
    json!({
        "slug": "shop", "id": id, "name": "The Shop", "project": {"key": key, "name": "Acme"},
        "links": {
            "self": [null, {"href": format!("https://git.example.com/bb/projects/{key}/repos/shop/browse")}],
            "clone": [
                {"href": "ssh://git@git.example.com/acme/shop.git", "name": "ssh"},
                {"href": format!("https://git.example.com/bb/scm/{key}/shop.git"), "name": "http"},
            ],
        },
    })
}

fn push(changes: &Value) -> Value {
    json!({
        "eventKey": "repo:refs_changed", "date": "2026-01-01T10:00:00+1000", "actor": {"name": "eve"},
        "repository": repository(7, "ACME"), "changes": changes,
    })
}

fn pull_request(date: &str) -> Value {
    json!({
        "date": date, "actor": {"name": "eve", "displayName": "Eve E."},
        "pullRequest": {
            "id": 42, "version": 1, "title": "Add \"carts\"", "state": "OPEN", "createdDate": 1_767_225_600_123_i64,
            "fromRef": {"id": "refs/heads/feature/carts", "latestCommit": A, "repository": repository(8, "~MAL")},
            "toRef": {"id": "refs/heads/main", "latestCommit": B, "repository": repository(7, "ACME")},
            "author": {"user": {"name": "mallory"}},
            "links": {"self": [{"href": format!("{PAGE}/pull-requests/42")}]},
            "properties": {"mergeCommit": {"id": A}},
        },
    })
}

#[test]
fn a_ref_is_made_moved_and_taken_away() {
    for (reference, from, to, deed, ty, subject) in [
        ("refs/heads/feature/x", ZERO, A, "ADD", "dev.cdevents.branch.created.0.3.0", "feature/x"),
        ("refs/heads/feature/x", A, ZERO, "DELETE", "dev.cdevents.branch.deleted.0.3.0", "feature/x"),
        ("refs/heads/x", A, B, "UPDATE", "dev.cdeventsx.git-ref.updated.0.1.0", "x"),
        ("refs/tags/v1", ZERO, A, "ADD", "dev.cdeventsx.git-tag.created.0.1.0", "v1"),
        ("refs/tags/v1", A, ZERO, "DELETE", "dev.cdeventsx.git-tag.deleted.0.1.0", "v1"),
        ("refs/tags/v1", A, B, "UPDATE", "dev.cdeventsx.git-tag.updated.0.1.0", "v1"),
    ] {
        let mut body = push(&json!([{"refId": reference, "fromHash": from, "toHash": to, "type": deed}]));
        let event = one("repo:refs_changed", &body);
        assert_eq!((event.ty(), event.subject()), (ty, Some(subject)));
        assert_eq!((event.source(), event.time()), (PAGE, Some("2026-01-01T00:00:00Z")));
        body["date"] = json!("2026-01-01T10:00:01+1000");
        assert_ne!(one("repo:refs_changed", &body).id(), event.id(), "another time, another occurrence");
    }
}

#[test]
fn a_push_of_several_refs_is_an_event_for_each() {
    let change = |id: &str| json!({"refId": id, "fromHash": ZERO, "toHash": A, "type": "ADD"});
    let changes = json!([change("refs/heads/a"), change("refs/notes/x"), change("refs/tags/b"), {}]);
    let events = run("repo:refs_changed", &push(&changes));
    let subjects: Vec<_> = events[1..].iter().map(|event| event.subject().unwrap()).collect();
    assert_eq!(subjects, ["a", "b"]);
    assert_eq!(
        data(&events[1])["customData"],
        json!({
            "forge": {"name": "bitbucket-data-center", "event": "repo:refs_changed", "delivery": "delivery-1"},
            "sender": "eve",
            "repository": {
                "owner": "ACME", "name": "shop", "url": PAGE, "cloneUrl": "https://git.example.com/bb/scm/ACME/shop.git",
                "sshUrl": "ssh://git@git.example.com/acme/shop.git",
            },
            "push": {"ref": "refs/heads/a", "branch": "a", "after": A, "commit": A},
        })
    );
}

#[test]
fn a_new_pull_request_is_a_created_change() {
    let event = one("pr:opened", &pull_request("2026-01-01T10:00:00+1000"));
    assert_eq!(event.ty(), "dev.cdevents.change.created.0.4.0");
    assert_eq!((event.subject(), event.time()), (Some("pull/42"), Some("2026-01-01T00:00:00.123Z")));
    assert_eq!(
        data(&event)["customData"]["change"],
        json!({
            "number": 42, "title": "Add \"carts\"", "author": "mallory", "authorAssociation": "unknown", "draft": false, "labels": [],
            "url": format!("{PAGE}/pull-requests/42"),
            "source": {
                "branch": "feature/carts", "sha": A, "fork": true,
                "repositoryUrl": "https://git.example.com/bb/scm/~MAL/shop.git",
            },
            "target": {"branch": "main", "sha": B},
        })
    );
}

#[test]
fn each_event_is_what_it_means_and_follows_from_the_creation() {
    let created = one("pr:opened", &pull_request("2026-01-01T10:00:00+1000"));
    for (event, ty, state) in [
        ("pr:from_ref_updated", "dev.cdevents.change.updated.0.3.0", None),
        ("pr:modified", "dev.cdevents.change.updated.0.3.0", None),
        ("pr:merged", "dev.cdevents.change.merged.0.3.0", None),
        ("pr:declined", "dev.cdevents.change.abandoned.0.3.0", None),
        ("pr:deleted", "dev.cdevents.change.abandoned.0.3.0", None),
        ("pr:reviewer:approved", "dev.cdevents.change.reviewed.0.3.0", Some("approved")),
        ("pr:reviewer:unapproved", "dev.cdevents.change.reviewed.0.3.0", Some("dismissed")),
        ("pr:reviewer:needs_work", "dev.cdevents.change.reviewed.0.3.0", Some("changes_requested")),
    ] {
        let mut body = pull_request("2026-01-01T11:00:00+1000");
        body["participant"] = json!({"user": {"name": "adam"}, "lastReviewedCommit": B});
        let event = one(event, &body);
        assert_eq!((event.ty(), event.time()), (ty, Some("2026-01-01T01:00:00Z")));
        let custom = &data(&event)["customData"];
        assert_eq!(custom["review"]["state"].as_str(), state);
        assert_eq!(custom["review"]["author"].as_str(), state.map(|_| "adam"));
        assert_eq!(custom["review"]["commit"].as_str(), state.map(|_| B));
        assert_eq!(custom["change"]["mergeCommit"].as_str(), ty.contains("merged").then_some(A));
        assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
        assert_eq!(event.attribute("correlationid"), created.attribute("correlationid"));
    }
}

#[test]
fn what_was_declined_and_then_deleted_is_abandoned_once_and_what_was_merged_never() {
    let mut body = pull_request("2026-01-01T11:00:00+1000");
    body["pullRequest"]["closedDate"] = json!(1_767_229_200_000_i64);
    body["pullRequest"]["state"] = json!("DECLINED");
    let declined = one("pr:declined", &body);
    body["date"] = json!("2026-01-02T11:00:00+1000");
    assert_eq!(one("pr:deleted", &body).id(), declined.id());
    body["pullRequest"]["state"] = json!("MERGED");
    assert_eq!(run("pr:deleted", &body).len(), 1);
}

#[test]
fn a_payload_that_does_not_tell_the_host_has_its_path_for_a_source() {
    let mut body = push(&json!([{"refId": "refs/heads/a", "fromHash": ZERO, "toHash": A, "type": "ADD"}]));
    for links in [Value::Null, json!({"self": [null]}), json!({"self": []}), json!({"clone": null})] {
        body["repository"]["links"] = links;
        body["repository"]["project"]["key"] = json!("~ADMIN");
        let events = run("repo:refs_changed", &body);
        for event in &events {
            assert_eq!(event.source(), "/projects/~ADMIN/repos/shop");
        }
        let event = data(&events[1]);
        assert_eq!(event["customData"]["repository"], json!({"owner": "~ADMIN", "name": "shop"}));
        assert_eq!(event["subject"]["content"]["repository"], json!({"id": "~ADMIN/shop"}));
    }
}

#[test]
fn the_raw_event_has_the_name_with_dots() {
    let opened = pull_request("2026-01-01T10:00:00+1000");
    for (event, body, ty, source, subject, time) in [
        (
            "pr:reviewer:needs_work",
            opened,
            "pr.reviewer.needs_work",
            PAGE,
            Some("42"),
            "2026-01-01T00:00:00Z",
        ),
        ("diagnostics:ping", json!({"test": true}), "diagnostics.ping", "bitbucket", None, RECEIVED),
        ("brand_new", json!({"repository": {"slug": 7}}), "brand_new", "bitbucket", None, RECEIVED),
    ] {
        let raw = run(event, &body).remove(0);
        assert_eq!(raw.ty(), format!("com.bitbucket.{ty}"));
        assert_eq!((raw.id(), raw.source()), ("delivery-1", source));
        assert_eq!((raw.subject(), raw.time()), (subject, Some(time)));
        assert_eq!(*data(&raw), body);
    }
    assert_eq!(run("diagnostics:ping", &json!({"test": true})).len(), 1, "nothing happened");
}

#[test]
fn what_a_row_cannot_be_without_is_named() {
    let mut body = push(&json!([]));
    body["repository"]["slug"] = json!("");
    let error = lost(&webhook("repo:refs_changed", &body));
    assert!(error.ends_with("`repository` must have a `slug` and a `project.key`"), "{error}");
    body["repository"] = Value::Null;
    assert!(lost(&webhook("repo:refs_changed", &body)).contains("`repository`"));
}

#[test]
fn a_repository_that_is_renamed_knows_its_old_name() {
    let mut old = repository(7, "ACME");
    old["slug"] = json!("store");
    let mut body = json!({"date": "2026-01-01T10:00:00+1000", "old": old, "new": repository(7, "ACME")});
    let event = one("repo:modified", &body);
    assert_eq!(event.ty(), "dev.cdevents.repository.modified.0.3.0");
    assert_eq!((event.source(), event.subject()), (PAGE, Some("ACME/shop")));
    assert_eq!(data(&event)["customData"]["previous"], json!({"owner": "ACME", "name": "store"}));
    body["old"]["slug"] = json!("shop");
    assert_eq!(data(&one("repo:modified", &body))["customData"].get("previous"), None);
    body["new"]["links"] = Value::Null;
    let raw = run("repo:modified", &body);
    assert_eq!((raw.len(), raw[0].source()), (1, "/projects/ACME/repos/shop"));
}
