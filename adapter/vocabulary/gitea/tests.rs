mod change;
mod git;
mod other;
mod raw;

use serde_json::{Value, json};

use super::*;
use crate::event::Event;
use crate::vocabulary::testing::{A, B, RECEIVED, ZERO, data, lost};
use crate::vocabulary::{Forge, events, testing};

fn webhook(event: &str, body: &Value) -> Webhook {
    testing::webhook(Forge::Gitea, event, body)
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
        "id": 7, "name": "shop", "full_name": "Acme/shop", "owner": {"login": "Acme"},
        "html_url": "https://git.example.com/Acme/shop",
        "url": "https://git.example.com/api/v1/repos/Acme/shop",
        "clone_url": "https://git.example.com/Acme/shop.git", "default_branch": "main",
        "updated_at": "2025-12-31T00:00:00Z",
    })
}

fn push(reference: &str, before: &str, after: &str) -> Value {
    json!({
        "ref": reference, "before": before, "after": after, "commits": [{}, {}, {}, {}, {}], "total_commits": 55,
        "head_commit": {"timestamp": "2020-01-01T00:00:00+02:00"}, "repository": repository(),
        "pusher": {"login": "eve"}, "sender": {"login": "eve", "html_url": "https://git.example.com/eve"},
    })
}

fn pull_request(action: &str) -> Value {
    json!({
        "action": action, "number": 42,
        "pull_request": {
            "number": 42, "title": "Add \"carts\"", "html_url": "https://git.example.com/Acme/shop/pulls/42",
            "user": {"login": "mallory"}, "draft": false, "labels": [{"name": "urgent"}],
            "head": {"ref": "carts", "sha": A, "repo": {"id": 8, "clone_url": "https://git.example.com/mallory/shop.git"}},
            "base": {"ref": "main", "sha": B, "repo": {"id": 7}},
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z",
            "closed_at": null, "merged_at": null, "merged": false, "merge_commit_sha": null, "review_comments": 1,
        },
        "repository": repository(), "sender": {"login": "eve"}, "commit_id": "", "review": null,
    })
}
