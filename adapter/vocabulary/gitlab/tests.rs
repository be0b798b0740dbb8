mod change;
mod deployment;
mod git;
mod raw;
mod release;
mod run;
mod ticket;

use serde_json::{Value, json};

use super::*;
use crate::event::Event;
use crate::vocabulary::testing::{A, B, RECEIVED, ZERO, data, lost};
use crate::vocabulary::{Forge, events, testing};

fn webhook(event: &str, body: &Value) -> Webhook {
    testing::webhook(Forge::GitLab, event, body)
}

fn run(body: &Value) -> Vec<Event> {
    events(&webhook("System Hook", body)).unwrap()
}

/// The one `CDEvent` of a delivery.
fn one(body: &Value) -> Event {
    testing::one(&webhook("System Hook", body))
}

fn project() -> Value {
    json!({
        "id": 7, "name": "The Shop", "path_with_namespace": "acme/web/shop", "namespace": "Web",
        "web_url": "https://gitlab.example.com/acme/web/shop",
        "git_http_url": "https://gitlab.example.com/acme/web/shop.git", "default_branch": "main",
    })
}

fn repository() -> Value {
    json!({"name": "The Shop", "homepage": "https://gitlab.example.com/acme/web/shop"})
}

fn push(kind: &str, reference: &str, before: &str, after: &str) -> Value {
    json!({
        "object_kind": kind, "event_name": kind, "ref": reference, "before": before, "after": after,
        "checkout_sha": if after == ZERO { Value::Null } else { json!(after) }, "user_username": "eve",
        "commits": [
            {"id": A, "timestamp": "2020-01-01T00:00:00+02:00"}, {"id": B, "timestamp": "2020-01-02T00:00:00+02:00"},
        ],
        "total_commits_count": 55, "project": project(), "repository": repository(),
    })
}

fn merge_request(action: &str) -> Value {
    json!({
        "object_kind": "merge_request", "event_type": "merge_request", "user": {"id": 3, "username": "eve"},
        "project": project(), "repository": repository(), "labels": [{"title": "urgent"}], "changes": {},
        "object_attributes": {
            "id": 1000, "iid": 42, "title": "Add \"carts\"", "action": action, "state": "opened", "author_id": 3,
            "url": "https://gitlab.example.com/acme/web/shop/-/merge_requests/42", "draft": false,
            "source_branch": "carts", "source_project_id": 8, "target_branch": "main", "target_project_id": 7,
            "source": {"git_http_url": "https://gitlab.example.com/mallory/shop.git"}, "last_commit": {"id": A},
            "merge_commit_sha": null, "created_at": "2026-01-01 00:00:00 UTC", "updated_at": "2026-01-01 01:00:00 UTC",
        },
    })
}

fn release(action: &str) -> Value {
    json!({
        "object_kind": "release", "action": action, "id": 5, "tag": "v1.0/rc+1", "name": "One",
        "url": "https://gitlab.example.com/acme/web/shop/-/releases/v1.0", "created_at": "2026-01-01 02:00:00 UTC",
        "released_at": "2030-01-01 00:00:00 UTC", "project": project(), "commit": {"id": A},
        "assets": {
            "count": 2, "links": [{"name": "shop.tar.gz", "url": "https://example.com/shop.tar.gz"}],
            "sources": [{"format": "zip", "url": "https://gitlab.example.com/shop.zip"}],
        },
    })
}
