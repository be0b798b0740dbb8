use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::vocabulary::{Forge, events};

const RECEIVED: &str = "2026-01-02T03:04:05Z";
const ZERO: &str = "0000000000000000000000000000000000000000";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn webhook(event: &str, body: &Value) -> Webhook {
    Webhook {
        forge: Forge::GitHub,
        event: event.to_owned(),
        delivery: "delivery-1".to_owned(),
        body: Bytes::from(body.to_string()),
        received: RECEIVED.parse().unwrap(),
    }
}

fn run(event: &str, body: &Value) -> Vec<Event> {
    events(&webhook(event, body)).unwrap()
}

/// The one `CDEvent` of a delivery.
fn one(event: &str, body: &Value) -> Event {
    let mut all = run(event, body);
    assert_eq!(all.len(), 2, "{all:?}");
    all.remove(1)
}

fn data(event: &Event) -> &Value {
    event.tree().unwrap()
}

fn repository() -> Value {
    json!({
        "id": 7, "name": "shop", "full_name": "Acme/shop", "owner": {"login": "Acme"},
        "html_url": "https://github.com/Acme/shop", "url": "https://api.github.com/repos/Acme/shop",
        "clone_url": "https://github.com/Acme/shop.git", "default_branch": "main",
        "pushed_at": 1_700_000_000,
    })
}

fn push(reference: &str, before: &str, after: &str) -> Value {
    json!({
        "ref": reference, "before": before, "after": after, "created": before == ZERO, "deleted": after == ZERO,
        "forced": false, "commits": [{}, {}], "head_commit": {"timestamp": "2020-01-01T00:00:00+02:00"},
        "repository": repository(), "sender": {"login": "eve", "html_url": "https://github.com/eve"},
    })
}

fn pull_request(action: &str) -> Value {
    json!({
        "action": action, "number": 42,
        "pull_request": {
            "number": 42, "title": "Add \"carts\"", "html_url": "https://github.com/Acme/shop/pull/42",
            "user": {"login": "mallory"}, "draft": false, "labels": [{"name": "urgent"}],
            "head": {"ref": "carts", "sha": A, "repo": {"id": 8, "clone_url": "https://github.com/mallory/shop.git"}},
            "base": {"ref": "main", "sha": B, "repo": {"id": 7}},
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z",
            "closed_at": null, "merged_at": null, "merged": false, "merge_commit_sha": B,
        },
        "repository": repository(), "sender": {"login": "eve"},
    })
}

fn release(action: &str) -> Value {
    json!({
        "action": action,
        "release": {
            "id": 5, "tag_name": "v1.0/rc+1", "name": "One", "html_url": "https://github.com/Acme/shop/releases/5",
            "target_commitish": "main", "author": {"login": "mallory"}, "draft": false, "prerelease": true,
            "published_at": "2026-01-01T02:00:00Z",
            "assets": [
                {"name": "shop.tar.gz", "browser_download_url": "https://github.com/d/shop.tar.gz",
                 "content_type": "application/gzip", "size": 12, "digest": "sha256:ab"},
                {"name": "notes"},
            ],
        },
        "repository": repository(), "sender": {"login": "eve"},
    })
}

// --- raw

#[test]
fn the_raw_event_carries_the_body_as_it_came() {
    let body = pull_request("opened");
    let webhook = webhook("pull_request", &body);
    let raw = &events(&webhook).unwrap()[0];
    assert_eq!(raw.id(), "delivery-1");
    assert_eq!(raw.ty(), "com.github.pull_request.opened");
    assert_eq!(raw.source(), "https://api.github.com/repos/Acme/shop");
    assert_eq!(raw.subject(), Some("42"));
    assert_eq!(raw.time(), Some("2026-01-01T01:00:00Z"));
    assert_eq!(raw.datacontenttype(), Some("application/json"));
    assert_eq!(*raw.data(), crate::event::Data::Json(webhook.body.clone()));
}

#[test]
fn events_and_actions_of_the_future_are_raw_events() {
    for (event, body, ty) in [
        ("brand_new", json!({}), "com.github.brand_new"),
        ("brand_new", json!({"action": "shiny"}), "com.github.brand_new.shiny"),
        ("pull_request", json!({"action": "teleported"}), "com.github.pull_request.teleported"),
        ("pull_request", json!({}), "com.github.pull_request"),
        ("issues", json!({"action": 5, "issue": "none"}), "com.github.issue"),
        ("release", json!({"action": "a b\n", "release": []}), "com.github.release"),
    ] {
        let all = run(event, &body);
        assert_eq!(all.len(), 1, "{event}");
        assert_eq!(all[0].ty(), ty);
        assert_eq!(all[0].source(), "https://github.com");
        assert_eq!(all[0].time(), Some(RECEIVED));
    }
}

#[test]
fn the_source_falls_back_to_the_organization_and_then_to_the_host() {
    let source = |body: Value| run("brand_new", &body)[0].source().to_owned();
    let organization = "https://ghe.example.com/api/v3/orgs/acme";
    assert_eq!(source(json!({"organization": {"url": organization}})), organization);
    assert_eq!(
        source(json!({"repository": {"url": "not a uri"}, "organization": {"url": organization}})),
        organization
    );
    let sender = json!({"sender": {"html_url": "https://ghe.example.com:8443/eve"}});
    assert_eq!(source(sender), "https://ghe.example.com:8443");
    assert_eq!(source(json!({"hook": {"url": "https://api.github.com/app/hook"}})), "https://github.com");
}

#[test]
fn the_odd_rows_of_the_specification_are_kept() {
    for (event, body, ty, source, subject) in [
        (
            "commit_comment",
            json!({"action": "created", "comment": {"id": 3, "url": "https://x/c/3", "commit_id": "abc"}}),
            "com.github.commit_comment.created",
            "https://x/c/3/abc",
            Some("3"),
        ),
        (
            "deployment_status",
            json!({"action": "created", "deployment": {"url": "https://x/d/1"},
                   "deployment_status": {"state": "failure", "url": "https://x/d/1/s/2"}}),
            "com.github.deployment_status.failure",
            "https://x/d/1",
            Some("https://x/d/1/s/2"),
        ),
        (
            "membership",
            json!({"action": "added", "scope": "team", "team": {"url": "https://x/t"}, "member": {"login": "eve"}}),
            "com.github.membership.team.added",
            "https://x/t",
            Some("eve"),
        ),
        (
            "marketplace_purchase",
            json!({"action": "purchased", "sender": {"url": "https://x/users/eve"},
                   "marketplace_purchase": {"account": {"login": "acme"}}}),
            "com.github.marketplace_purchase.purchased",
            "https://x/users",
            Some("acme"),
        ),
        (
            "create",
            json!({"ref": "main", "ref_type": "repository",
                   "repository": {"url": "https://x/r", "html_url": "https://y/o/r"}}),
            "com.github.create.repository",
            "https://x/r",
            Some("main"),
        ),
        (
            "security_advisory",
            json!({"action": "withdrawn", "security_advisory": {"ghsa_id": "G"}}),
            "com.github.security_advisory.withdrawn",
            "github.com",
            Some("G"),
        ),
        (
            "status",
            json!({"state": "pending", "sha": A, "repository": {"url": "https://x/r"}}),
            "com.github.status.pending",
            "https://x/r",
            Some(A),
        ),
        (
            "star",
            json!({"action": "created", "repository": {"url": "https://x/r"}}),
            "com.github.star.created",
            "https://x/r",
            None,
        ),
    ] {
        let raw = &run(event, &body)[0];
        assert_eq!((raw.ty(), raw.source(), raw.subject()), (ty, source, subject));
    }
}

#[test]
fn ping_is_a_raw_event_only() {
    let all = run("ping", &json!({"zen": "Keep it simple", "hook_id": 1, "repository": repository()}));
    assert_eq!(all.iter().map(Event::ty).collect::<Vec<_>>(), ["com.github.ping"]);
}

#[test]
fn a_delivery_without_an_id_gets_one_from_its_body() {
    let mut first = webhook("ping", &json!({"a": 1}));
    first.delivery.clear();
    let mut other = webhook("ping", &json!({"a": 2}));
    other.delivery.clear();
    let id = |webhook: &Webhook| events(webhook).unwrap()[0].id().to_owned();
    assert_eq!(id(&first), id(&first));
    assert_ne!(id(&first), id(&other));
}

// --- push, create, delete

#[test]
fn a_push_to_a_branch_is_an_update_of_the_ref() {
    let event = one("push", &push("refs/heads/feature/a", A, B));
    assert_eq!(event.ty(), "dev.cdeventsx.git-ref.updated.0.1.0");
    assert_eq!(event.source(), "https://github.com/Acme/shop");
    assert_eq!(event.subject(), Some("feature/a"));
    assert_eq!(event.time(), Some("2023-11-14T22:13:20Z"));
    assert_eq!(event.dataschema(), Some("https://cdevents.dev/0.5.1/schema/custom"));
    assert_eq!(
        data(&event)["subject"]["content"],
        json!({
            "repository": {"id": "Acme/shop", "source": "https://github.com"},
            "ref": "refs/heads/feature/a", "before": A, "after": B,
        })
    );
    assert_eq!(
        data(&event)["customData"],
        json!({
            "forge": {"name": "github", "event": "push", "delivery": "delivery-1"},
            "sender": "eve",
            "repository": {
                "owner": "Acme", "name": "shop", "url": "https://github.com/Acme/shop",
                "cloneUrl": "https://github.com/Acme/shop.git", "defaultBranch": "main",
            },
            "push": {
                "ref": "refs/heads/feature/a", "branch": "feature/a", "before": A, "after": B, "forced": false,
                "commits": 2,
            },
        })
    );
}

#[test]
fn new_and_deleted_branches_and_tags_have_their_own_types() {
    for (reference, before, after, ty, subject) in [
        ("refs/heads/x", ZERO, A, "dev.cdevents.branch.created.0.3.0", "x"),
        ("refs/heads/x", A, ZERO, "dev.cdevents.branch.deleted.0.3.0", "x"),
        ("refs/tags/v1", ZERO, A, "dev.cdeventsx.git-tag.created.0.1.0", "v1"),
        ("refs/tags/v1", A, B, "dev.cdeventsx.git-tag.updated.0.1.0", "v1"),
        ("refs/tags/v1", A, ZERO, "dev.cdeventsx.git-tag.deleted.0.1.0", "v1"),
    ] {
        let mut body = push(reference, before, after);
        let event = one("push", &body);
        assert_eq!((event.ty(), event.subject()), (ty, Some(subject)));
        let push = &data(&event)["customData"]["push"];
        assert_eq!(push.get("before").is_none(), before == ZERO);
        assert_eq!(push.get("after").is_none(), after == ZERO);
        // The zeros alone say it too.
        body.as_object_mut().unwrap().remove("created");
        body["deleted"] = Value::Null;
        assert_eq!(one("push", &body), event);
    }
    assert_eq!(run("push", &push("refs/notes/x", A, B)).len(), 1);
    assert_eq!(run("push", &push("refs/heads/", A, B)).len(), 1);
}

#[test]
fn create_and_delete_have_the_id_of_their_push() {
    for (kind, prefix) in [("branch", "refs/heads/"), ("tag", "refs/tags/")] {
        for (event, before, after) in [("create", ZERO, A), ("delete", A, ZERO)] {
            let mut told = json!({"ref": "x", "ref_type": kind, "repository": repository()});
            // GitHub spells this time as text here.
            told["repository"]["pushed_at"] = json!("2023-11-14T22:13:20Z");
            let told = one(event, &told);
            let pushed = one("push", &push(&format!("{prefix}x"), before, after));
            assert_eq!((told.id(), told.ty(), told.subject()), (pushed.id(), pushed.ty(), pushed.subject()));
            assert_eq!(told.time(), pushed.time());
        }
    }
}

#[test]
fn a_branch_made_again_is_another_occurrence() {
    let first = push("refs/heads/x", ZERO, A);
    let mut again = first.clone();
    again["repository"]["pushed_at"] = json!(1_700_000_060);
    assert_ne!(one("push", &first).id(), one("push", &again).id());
}

#[test]
fn pushes_to_one_ref_stay_apart() {
    let there = push("refs/heads/main", A, B);
    let back = push("refs/heads/main", B, A);
    let mut again = there.clone();
    again["repository"]["pushed_at"] = json!(1_700_000_060);
    let mut elsewhere = there.clone();
    elsewhere["repository"]["html_url"] = json!("https://ghe.example.com/Acme/shop");
    let ids: HashSet<String> =
        [&there, &back, &again, &elsewhere].iter().map(|body| one("push", body).id().to_owned()).collect();
    assert_eq!(ids.len(), 4);
}

#[test]
fn a_push_without_times_is_dated_by_its_commit_and_then_by_its_receipt() {
    let mut body = push("refs/heads/main", A, B);
    body["repository"]["pushed_at"] = Value::Null;
    assert_eq!(one("push", &body).time(), Some("2019-12-31T22:00:00Z"));
    body["head_commit"] = Value::Null;
    assert_eq!(one("push", &body).time(), Some(RECEIVED));
}

#[test]
fn the_commit_makes_the_chain_of_a_push() {
    let chain = |body: &Value| one("push", body).attribute("correlationid").unwrap().into_owned();
    assert_eq!(chain(&push("refs/heads/main", A, B)), chain(&push("refs/tags/v1", ZERO, B)));
    assert_ne!(chain(&push("refs/heads/main", A, B)), chain(&push("refs/heads/main", B, A)));
}

// --- pull requests

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
            "author": "mallory", "draft": false, "labels": ["urgent"],
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

// --- releases

#[test]
fn a_published_release_and_each_of_its_files_are_artifacts() {
    let all = run("release", &release("published"));
    let subjects: Vec<&str> = all[1..].iter().filter_map(Event::subject).collect();
    assert_eq!(
        subjects,
        [
            "pkg:github/acme/shop@v1.0%2Frc%2B1",
            "pkg:generic/shop.tar.gz@v1.0%2Frc%2B1?checksum=sha256%3Aab\
             &download_url=https%3A%2F%2Fgithub.com%2Fd%2Fshop.tar.gz",
            "pkg:generic/notes@v1.0%2Frc%2B1",
        ]
    );
    for event in &all[1..] {
        assert_eq!(event.ty(), "dev.cdevents.artifact.published.0.3.0");
        assert_eq!(event.time(), Some("2026-01-01T02:00:00Z"));
        assert_eq!(data(event)["subject"]["content"], json!({"user": "eve"}));
    }
    assert_eq!(
        data(&all[2])["customData"]["release"],
        json!({
            "tag": "v1.0/rc+1", "name": "One", "url": "https://github.com/Acme/shop/releases/5",
            "author": "mallory", "target": "main", "draft": false, "prerelease": true,
            "asset": {
                "name": "shop.tar.gz", "url": "https://github.com/d/shop.tar.gz",
                "contentType": "application/gzip", "size": 12, "digest": "sha256:ab",
            },
        })
    );
    for action in ["created", "released", "prereleased", "edited"] {
        assert_eq!(run("release", &release(action)).len(), 1, "{action}");
    }
}

#[test]
fn no_id_comes_twice_in_one_delivery() {
    let mut body = release("published");
    body["release"]["assets"] = json!([{"name": "same"}, {"name": "same"}]);
    assert_eq!(run("release", &body).len(), 3);
}

#[test]
fn a_withdrawn_release_deletes_what_was_published() {
    let published = run("release", &release("published"));
    let deleted = run("release", &release("deleted"));
    assert_eq!(deleted.len(), published.len());
    for (deleted, published) in deleted[1..].iter().zip(&published[1..]) {
        assert_eq!(deleted.ty(), "dev.cdevents.artifact.deleted.0.2.0");
        assert_eq!(deleted.subject(), published.subject());
        assert_eq!(deleted.attribute("causationid").as_deref(), Some(published.id()));
        assert_eq!(deleted.time(), Some(RECEIVED));
    }
}

#[test]
fn a_deleted_draft_was_no_artifact() {
    let mut body = release("deleted");
    body["release"]["draft"] = json!(true);
    body["release"]["published_at"] = Value::Null;
    assert_eq!(run("release", &body).len(), 1);
}

// --- hosts, errors

#[test]
fn enterprise_hosts_are_sources_of_their_own() {
    let mut body = pull_request("opened");
    body["repository"]["html_url"] = json!("https://ghe.example.com:8443/Acme/shop");
    let event = one("pull_request", &body);
    assert_eq!(event.source(), "https://ghe.example.com:8443/Acme/shop");
    assert_eq!(data(&event)["subject"]["content"]["repository"]["source"], "https://ghe.example.com:8443");
    let public = one("pull_request", &pull_request("opened"));
    assert_ne!(event.id(), public.id());
    assert_ne!(event.attribute("correlationid"), public.attribute("correlationid"));
}

#[test]
fn a_payload_with_only_what_is_needed_is_enough() {
    let repository = json!({"html_url": "https://github.com/Acme/shop"});
    let push = json!({"ref": "refs/heads/main", "repository": repository});
    assert_eq!(
        data(&one("push", &push))["customData"]["repository"],
        json!({
            "owner": "Acme", "name": "shop", "url": "https://github.com/Acme/shop",
        })
    );
    let side = json!({"ref": "a", "sha": A});
    let pull = json!({"action": "opened", "repository": repository,
        "pull_request": {"number": 1, "title": null, "labels": null, "head": side, "base": side}});
    let event = one("pull_request", &pull);
    assert_eq!(event.time(), Some(RECEIVED));
    assert!(data(&event)["subject"]["content"].get("description").is_none());
}

#[test]
fn a_malformed_payload_is_refused_with_the_name_of_the_field() {
    let mut wrong = pull_request("opened");
    wrong["pull_request"]["head"]["sha"] = json!(5);
    let mut missing = pull_request("opened");
    missing["pull_request"]["base"].as_object_mut().unwrap().remove("ref");
    let mut url = push("refs/heads/main", A, B);
    url["repository"]["html_url"] = json!("javascript:alert(1)");
    let review = pull_request("submitted");
    let mut array = release("published");
    array["release"]["assets"] = json!([{"name": "a"}, {"name": []}]);
    for (event, body, wanted) in [
        ("pull_request", wrong, "`pull_request.head.sha`: invalid type: integer `5`, expected a string"),
        ("pull_request", missing, "`pull_request.base`: missing field `ref`"),
        ("push", url, "`repository.html_url` must be an http or https URL"),
        ("push", json!({}), "missing field `ref`"),
        ("pull_request_review", review, "missing field `review`"),
        ("release", array, "`release.assets[1].name`: invalid type: sequence, expected a string"),
        ("brand_new", json!([1]), "expected an object"),
        ("brand new", json!({}), "the name of the event"),
    ] {
        let error = events(&webhook(event, &body)).unwrap_err().to_string();
        assert!(error.starts_with(&format!("the body is not a `{event}` payload: ")), "{error}");
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn bytes_that_are_no_json_text_are_refused() {
    let mut webhook = webhook("brand_new", &json!({}));
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(200), "]".repeat(200));
    for body in [&b""[..], b"{", b"{\"a\": 1}x", b"{\"a\": \"\xff\"}", b"payload=%7B%7D", deep.as_bytes()] {
        webhook.body = Bytes::copy_from_slice(body);
        assert!(events(&webhook).is_err(), "{}", String::from_utf8_lossy(body));
    }
    // Many levels' worth of brackets, side by side.
    webhook.body = Bytes::from(format!("{{\"a\": [{}[]]}}", "[],".repeat(500)));
    assert!(events(&webhook).is_ok());
}

#[test]
fn every_row_names_types_that_exist() {
    for row in ROWS {
        for base in row.becomes {
            assert!(resolve(base).is_some() || custom(base).is_ok(), "{base}");
        }
    }
}
