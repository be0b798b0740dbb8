mod change;
mod check;
mod deployment;
mod git;
mod optional;
mod package;
mod payload;
mod peers;
mod raw;
mod release;
mod repository;
mod run;
mod ticket;

use std::collections::HashSet;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::event::Event;
use crate::vocabulary::occurrence::custom;
use crate::vocabulary::testing::{A, B, RECEIVED, ZERO, data, lost};
use crate::vocabulary::types::resolve;
use crate::vocabulary::{Forge, events, testing};

fn webhook(event: &str, body: &Value) -> Webhook {
    testing::webhook(Forge::GitHub, event, body)
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
