//! The same happening is told in the same way whatever forge it comes from; what a forge does not tell is absent.

use pipewright::event::Event;
use pipewright::vocabulary::options::{Optional, Options};
use pipewright::vocabulary::{Forge, events_with};
use serde_json::{Value, json};

use super::webhook;

pub const ZERO: &str = "0000000000000000000000000000000000000000";
pub const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const PAGE: &str = "https://git.example.com/acme/shop";
const CLONE: &str = "https://git.example.com/acme/shop.git";
const FORK: &str = "https://git.example.com/mallory/shop.git";
const CHANGE: &str = "https://git.example.com/acme/shop/changes/42";

/// What a forge sent.
pub struct Sent {
    pub forge: Forge,
    pub event: &'static str,
    pub body: Value,
    /// What it does not tell, as pointers into `customData`.
    pub silent: &'static [&'static str],
}

fn sent(forge: Forge, event: &'static str, body: Value, silent: &'static [&'static str]) -> Sent {
    Sent { forge, event, body, silent }
}

/// The one `CDEvent`.
fn told(sent: &Sent) -> Event {
    let webhook = webhook(sent.forge, sent.event, "1", sent.body.to_string());
    let options = Options { optional: vec![Optional::Comments], ..Options::default() };
    let mut events =
        events_with(&webhook, &options).unwrap_or_else(|error| panic!("{:?}: {error}", sent.forge));
    assert_eq!(events.len(), 2, "{:?}: {events:?}", sent.forge);
    events.remove(1)
}

/// Holds all that the others tell to what the first tells.
fn assert_equal(ty: &str, all: &[Sent]) {
    let [first, others @ ..] = all else { panic!("nothing was sent") };
    let first = told(first);
    assert_eq!(first.ty().rsplitn(4, '.').last(), Some(ty));
    for other in others {
        let event = told(other);
        let name = other.forge.name();
        assert_eq!(
            (event.ty(), event.source(), event.subject()),
            (first.ty(), first.source(), first.subject())
        );
        let (mut expected, actual) = (first.tree().unwrap().clone(), event.tree().unwrap());
        let custom = &mut expected["customData"];
        custom.as_object_mut().unwrap().remove("forge");
        for pointer in other.silent {
            let (parent, field) = pointer.rsplit_once('/').unwrap();
            let parent = custom.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            assert!(parent.remove(field).is_some(), "{name}: `{pointer}` is not told anyhow");
        }
        let mut told = actual["customData"].clone();
        let forge = told.as_object_mut().unwrap().remove("forge").unwrap();
        assert_eq!(forge["name"], name);
        assert_eq!(told, *custom, "{name}");
        assert_eq!(actual["subject"]["content"], expected["subject"]["content"], "{name}");
    }
}

fn github(mut body: Value) -> Value {
    body["repository"] = json!({
        "id": 7, "name": "shop", "full_name": "acme/shop", "owner": {"login": "acme"}, "html_url": PAGE,
        "clone_url": CLONE, "default_branch": "main", "pushed_at": 1_767_225_600,
    });
    body["sender"] = json!({"login": "eve"});
    body
}

fn gitlab(mut body: Value) -> Value {
    body["project"] = json!({
        "id": 7, "name": "The Shop", "path_with_namespace": "acme/shop", "web_url": PAGE, "git_http_url": CLONE,
        "default_branch": "main",
    });
    body["user"] = json!({"id": 3, "username": "eve"});
    body["user_username"] = json!("eve");
    body
}

fn bitbucket(mut body: Value) -> Value {
    body["repository"] = json!({
        "uuid": "{7}", "name": "The Shop", "full_name": "acme/shop", "links": {"html": {"href": PAGE}},
        "mainbranch": {"name": "main"},
    });
    body["actor"] = json!({"nickname": "eve", "uuid": "{e}"});
    body
}

fn data_center_repository(id: u64, owner: &str) -> Value {
    json!({
        "id": id, "slug": "shop", "name": "The Shop", "project": {"key": owner},
        "links": {
            "self": [{"href": format!("https://git.example.com/{owner}/shop/browse")}],
            "clone": [{"name": "http", "href": format!("https://git.example.com/{owner}/shop.git")}],
        },
    })
}

fn data_center(mut body: Value) -> Value {
    body["date"] = json!("2026-01-01T01:00:00+0000");
    body["actor"] = json!({"name": "eve"});
    body
}

// --- Refs

/// `before` or `after` is `ZERO` where there is none.
pub fn pushes(kind: &str, name: &str, before: &str, after: &str) -> [Sent; 5] {
    let is_tag = kind == "tag";
    let reference = format!("refs/{}/{name}", if is_tag { "tags" } else { "heads" });
    let side = |hash: &str| match hash {
        ZERO => Value::Null,
        hash => json!({"type": kind, "name": name, "target": {"hash": hash}}),
    };
    let deed = match (before, after) {
        (ZERO, _) => "ADD",
        (_, ZERO) => "DELETE",
        _ => "UPDATE",
    };
    let commits = json!([{}, {}]);
    let commit = if after == ZERO { Value::Null } else { json!({"id": after}) };
    let gitea_silent: &[&str] = match (deed, is_tag) {
        ("UPDATE", true) => &["/push/forced", "/push/commit"],
        ("UPDATE", false) => &["/push/forced"],
        ("ADD", true) => &["/push/commit"],
        _ => &[],
    };
    let change = json!({
        "old": side(before), "new": side(after), "forced": false, "commits": commits,
    });
    let mut moved = data_center(json!({
        "changes": [{"refId": reference, "fromHash": before, "toHash": after, "type": deed}], "toCommit": commit,
    }));
    moved["repository"] = data_center_repository(7, "acme");
    [
        sent(
            Forge::GitHub,
            "push",
            github(json!({
                "ref": reference, "before": before, "after": after, "created": before == ZERO,
                "deleted": after == ZERO, "forced": false, "commits": commits, "head_commit": commit,
            })),
            &[],
        ),
        sent(
            Forge::Gitea,
            "push",
            github(json!({
                "ref": reference, "before": before, "after": after, "commits": [{}], "total_commits": 2,
            })),
            gitea_silent,
        ),
        sent(
            Forge::GitLab,
            if is_tag { "Tag Push Hook" } else { "Push Hook" },
            gitlab(json!({
                "object_kind": if is_tag { "tag_push" } else { "push" }, "ref": reference, "before": before,
                "after": after, "commits": commits, "total_commits_count": 2, "checkout_sha": commit["id"],
            })),
            &["/push/forced"],
        ),
        sent(Forge::Bitbucket, "repo:push", bitbucket(json!({"push": {"changes": [change]}})), &[]),
        sent(
            Forge::BitbucketDataCenter,
            "repo:refs_changed",
            moved,
            &["/repository/defaultBranch", "/push/forced", "/push/commits"],
        ),
    ]
}

#[test]
fn branches_and_tags() {
    for (ty, kind, name, before, after) in [
        ("dev.cdevents.branch.created", "branch", "feature/x", ZERO, A),
        ("dev.cdevents.branch.deleted", "branch", "feature/x", A, ZERO),
        ("dev.cdeventsx.git-ref.updated", "branch", "main", A, B),
        ("dev.cdeventsx.git-tag.created", "tag", "v1", ZERO, A),
        ("dev.cdeventsx.git-tag.updated", "tag", "v1", A, B),
        ("dev.cdeventsx.git-tag.deleted", "tag", "v1", A, ZERO),
    ] {
        assert_equal(ty, &pushes(kind, name, before, after));
    }
}

// --- Changes

/// The names of one happening at GitHub (event and action), GitLab (action), Bitbucket Cloud and Data Center.
pub type Names = (&'static str, &'static str, Option<&'static str>, &'static str, &'static str);

pub fn changes((event, action, gitlab_action, cloud, data_center_event): Names) -> Vec<Sent> {
    let is_review = event == "pull_request_review";
    let state = if action == "dismissed" {
        "dismissed"
    } else {
        gitlab_action.map_or("changes_requested", |_| "approved")
    };
    let is_merged = cloud == "pullrequest:fulfilled";
    let mut at_github = github(json!({
        "action": action,
        "pull_request": {
            "number": 42, "title": "Add carts", "html_url": CHANGE, "user": {"login": "eve"}, "draft": true, "labels": [],
            "head": {"ref": "feature/x", "sha": A, "repo": {"id": 8, "clone_url": FORK}},
            "base": {"ref": "main", "sha": B, "repo": {"id": 7}}, "merged": is_merged, "merge_commit_sha": B,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z",
        },
    }));
    let mut at_cloud = bitbucket(json!({
        "pullrequest": {
            "id": 42, "title": "Add carts", "links": {"html": {"href": CHANGE}}, "author": {"nickname": "eve"},
            "draft": true, "merge_commit": {"hash": B}, "created_on": "2026-01-01T00:00:00+00:00",
            "source": {"branch": {"name": "feature/x"}, "commit": {"hash": A}, "repository": {"uuid": "{8}", "full_name": "mallory/shop"}},
            "destination": {"branch": {"name": "main"}, "commit": {"hash": B}, "repository": {"uuid": "{7}", "full_name": "acme/shop"}},
        },
    }));
    let mut at_data_center = data_center(json!({
        "pullRequest": {
            "id": 42, "title": "Add carts", "links": {"self": [{"href": CHANGE}]}, "draft": true,
            "author": {"user": {"name": "eve"}}, "createdDate": 1_767_225_600_000_i64, "state": "OPEN",
            "fromRef": {
                "id": "refs/heads/feature/x", "latestCommit": A, "repository": data_center_repository(8, "mallory"),
            },
            "toRef": {"id": "refs/heads/main", "latestCommit": B, "repository": data_center_repository(7, "acme")},
            "properties": {"mergeCommit": {"id": B}},
        },
    }));
    let is_push = gitlab_action == Some("update");
    if is_push {
        at_github["before"] = json!(B);
        at_data_center["previousFromHash"] = json!(B);
    }
    if is_review {
        at_github["review"] =
            json!({"id": 1, "state": state, "user": {"login": "eve"}, "commit_id": A, "html_url": CHANGE});
        at_cloud["approval"] = json!({"user": {"nickname": "eve"}});
        at_data_center["participant"] = json!({"user": {"name": "eve"}, "lastReviewedCommit": A});
    }
    let at_gitea = match (event, action, gitlab_action) {
        ("pull_request", "synchronize", _) => Some(("pull_request", "synchronized")),
        ("pull_request", ..) => Some(("pull_request", action)),
        (_, "submitted", Some(_)) => Some(("pull_request_approved", "reviewed")),
        (_, "submitted", None) => Some(("pull_request_rejected", "reviewed")),
        // A review that is dismissed is not told.
        _ => None,
    };
    let at_gitea = at_gitea.map(|(event, action)| {
        let mut body = at_github.clone();
        body["action"] = json!(action);
        if is_review {
            body["review"] = json!({"type": "pull_request_review", "content": ""});
        }
        sent(Forge::Gitea, event, body, if is_review { &["/review/url", "/review/commit"] } else { &[] })
    });
    let mut all = vec![sent(Forge::GitHub, event, at_github, &[])];
    all.extend(at_gitea);
    if let Some(action) = gitlab_action {
        let request = json!({
            "iid": 42, "title": "Add carts", "url": CHANGE, "author_id": 3, "draft": true, "action": action,
            "source_branch": "feature/x", "source_project_id": 8, "source": {"git_http_url": FORK}, "oldrev": is_push.then_some(B),
            "target_branch": "main", "target_project_id": 7, "last_commit": {"id": A}, "merge_commit_sha": B,
            "created_at": "2026-01-01 00:00:00 UTC", "updated_at": "2026-01-01 01:00:00 UTC",
        });
        let body =
            gitlab(json!({"object_kind": "merge_request", "labels": [], "object_attributes": request}));
        let silent: &[&str] = if is_review {
            &["/change/target/sha", "/review/url", "/review/commit"]
        } else {
            &["/change/target/sha"]
        };
        all.push(sent(Forge::GitLab, "Merge Request Hook", body, silent));
    }
    let silent: &[&str] = match (is_review, is_push) {
        (true, _) => &["/review/url", "/review/commit"],
        (false, true) => &["/change/source/before"],
        (false, false) => &[],
    };
    all.push(sent(Forge::Bitbucket, cloud, at_cloud, silent));
    let silent: &[&str] = if is_review {
        &["/repository/defaultBranch", "/review/url"]
    } else {
        &["/repository/defaultBranch"]
    };
    all.push(sent(Forge::BitbucketDataCenter, data_center_event, at_data_center, silent));
    all
}

#[test]
fn changes_and_reviews() {
    let (pull, review) = ("pull_request", "pull_request_review");
    for (ty, names) in [
        ("created", (pull, "opened", Some("open"), "pullrequest:created", "pr:opened")),
        ("updated", (pull, "synchronize", Some("update"), "pullrequest:updated", "pr:from_ref_updated")),
        ("updated", (pull, "edited", Some("update"), "pullrequest:updated", "pr:modified")),
        ("merged", (pull, "closed", Some("merge"), "pullrequest:fulfilled", "pr:merged")),
        ("abandoned", (pull, "closed", Some("close"), "pullrequest:rejected", "pr:declined")),
        ("reviewed", (review, "submitted", Some("approved"), "pullrequest:approved", "pr:reviewer:approved")),
        (
            "reviewed",
            (review, "submitted", None, "pullrequest:changes_request_created", "pr:reviewer:needs_work"),
        ),
        (
            "reviewed",
            (review, "dismissed", Some("unapproved"), "pullrequest:unapproved", "pr:reviewer:unapproved"),
        ),
    ] {
        assert_equal(&format!("dev.cdevents.change.{ty}"), &changes(names));
    }
}

// --- Releases

#[test]
fn releases() {
    let release = "https://git.example.com/acme/shop/releases/v1";
    for (ty, github_action, gitlab_action) in
        [("published", "published", "create"), ("deleted", "deleted", "delete")]
    {
        let at_github = github(json!({
            "action": github_action,
            "release": {
                "id": 5, "tag_name": "v1", "name": "One", "html_url": release, "target_commitish": A,
                "author": {"login": "eve"}, "published_at": "2026-01-01T00:00:00Z", "assets": [],
            },
        }));
        let at_gitlab = gitlab(json!({
            "object_kind": "release", "action": gitlab_action, "id": 5, "tag": "v1", "name": "One", "url": release,
            "commit": {"id": A}, "created_at": "2026-01-01 00:00:00 UTC", "assets": {"links": [], "sources": [{}]},
        }));
        let [first, second] = [
            told(&sent(Forge::GitHub, "release", at_github, &[])),
            told(&sent(Forge::GitLab, "Release Hook", at_gitlab, &[])),
        ];
        assert_eq!(first.ty(), second.ty());
        assert!(first.ty().starts_with(&format!("dev.cdevents.artifact.{ty}.")), "{}", first.ty());
        // Only the kind of the purl differs, and GitLab does not say who did it.
        assert_eq!(first.subject(), Some("pkg:github/acme/shop@v1"));
        assert_eq!(second.subject(), Some("pkg:gitlab/acme/shop@v1"));
        let mut expected = first.tree().unwrap()["customData"].clone();
        for (parent, field) in [("", "forge"), ("", "sender"), ("/release", "author")] {
            expected.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        }
        let mut actual = second.tree().unwrap()["customData"].clone();
        actual.as_object_mut().unwrap().remove("forge");
        assert_eq!(actual, expected);
    }
}

// --- Tickets

/// What GitHub and GitLab call it, the trigger at Bitbucket Cloud and the state that the ticket is in then.
fn tickets(action: &str, gitlab_action: &str, cloud: &'static str, is_closed: bool) -> [Sent; 4] {
    let page = "https://git.example.com/acme/shop/issues/6";
    let state = |open: &'static str, closed: &'static str| if is_closed { closed } else { open };
    let at_github = github(json!({
        "action": action,
        "issue": {
            "number": 6, "title": "It is broken", "html_url": page, "user": {"login": "eve"}, "labels": [],
            "assignees": [{"login": "adam"}], "state": state("open", "closed"),
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z",
        },
    }));
    let at_gitlab = gitlab(json!({
        "object_kind": "issue", "labels": [], "assignees": [{"username": "adam"}],
        "object_attributes": {
            "iid": 6, "title": "It is broken", "url": page, "author_id": 3, "action": gitlab_action,
            "state": state("opened", "closed"), "created_at": "2026-01-01 00:00:00 UTC",
            "updated_at": "2026-01-01 01:00:00 UTC",
        },
    }));
    let at_cloud = bitbucket(json!({
        "issue": {
            "id": 6, "title": "It is broken", "links": {"html": {"href": page}}, "reporter": {"nickname": "eve"},
            "assignee": {"nickname": "adam"}, "state": state("open", "closed"),
            "created_on": "2026-01-01T00:00:00+00:00", "updated_on": "2026-01-01T01:00:00+00:00",
        },
        "changes": {"status": {"old": "new", "new": state("open", "closed")}},
    }));
    [
        sent(Forge::Gitea, "issues", at_github.clone(), &[]),
        sent(Forge::GitHub, "issues", at_github, &[]),
        sent(Forge::GitLab, "Issue Hook", at_gitlab, &[]),
        sent(Forge::Bitbucket, cloud, at_cloud, &[]),
    ]
}

#[test]
fn tickets_from_their_creation_to_their_end() {
    for (ty, action, gitlab_action, cloud, is_closed) in [
        ("created", "opened", "open", "issue:created", false),
        ("updated", "reopened", "reopen", "issue:updated", false),
        ("closed", "closed", "close", "issue:updated", true),
    ] {
        assert_equal(&format!("dev.cdevents.ticket.{ty}"), &tickets(action, gitlab_action, cloud, is_closed));
    }
}

// --- Comments

#[test]
fn comments_on_changes() {
    let comment = "https://git.example.com/acme/shop/changes/42#9";
    let bodies = changes(("pull_request", "opened", Some("open"), "pullrequest:created", "pr:opened"));
    let all: Vec<Sent> = bodies
        .into_iter()
        .map(|Sent { forge, mut body, .. }| {
            let (event, silent): (_, &[&str]) = match forge {
                Forge::GitHub | Forge::Gitea | Forge::Forgejo => {
                    body["action"] = json!("created");
                    body["comment"] = json!({
                        "id": 9, "body": "/test", "html_url": comment, "user": {"login": "eve"}, "path": "cart.rs",
                    });
                    let is_github = forge == Forge::GitHub;
                    (if is_github { "pull_request_review_comment" } else { "issue_comment" }, &[])
                }
                Forge::GitLab => {
                    body["merge_request"] = body["object_attributes"].take();
                    body["object_kind"] = json!("note");
                    body["object_attributes"] = json!({
                        "id": 9, "note": "/test", "noteable_type": "MergeRequest", "url": comment,
                        "position": {"new_path": "cart.rs"},
                    });
                    ("Note Hook", &["/change/author", "/change/target/sha"])
                }
                Forge::Bitbucket => {
                    body["comment"] = json!({
                        "id": 9, "content": {"raw": "/test"}, "links": {"html": {"href": comment}},
                        "inline": {"path": "cart.rs"}, "user": {"nickname": "eve"},
                    });
                    ("pullrequest:comment_created", &[])
                }
                Forge::BitbucketDataCenter => {
                    body["comment"] = json!({"id": 9, "text": "/test", "author": {"name": "eve"}});
                    ("pr:comment:added", &["/repository/defaultBranch", "/comment/url", "/comment/path"])
                }
            };
            sent(forge, event, body, silent)
        })
        .collect();
    assert_eq!(all.len(), 5);
    let [github, others @ ..] = &*all else { panic!() };
    for other in others {
        let mut first = Sent { body: github.body.clone(), ..*github };
        // The page of the comment is in the content too.
        if other.forge == Forge::BitbucketDataCenter {
            first.body["comment"]["html_url"] = json!("");
            let mut other = Sent { body: other.body.clone(), ..*other };
            other.silent = &["/repository/defaultBranch", "/comment/url", "/comment/path"];
            assert_equal("dev.cdeventsx.forge-comment.created", &[first, other]);
        } else {
            let other = Sent { body: other.body.clone(), ..*other };
            assert_equal("dev.cdeventsx.forge-comment.created", &[first, other]);
        }
    }
}

#[test]
fn comments_on_tickets() {
    let comment = "https://git.example.com/acme/shop/issues/6#9";
    let all = tickets("opened", "open", "issue:created", false).map(|Sent { forge, mut body, .. }| {
        let (event, silent): (_, &[&str]) = match forge {
            Forge::GitLab => {
                body["issue"] = body["object_attributes"].take();
                body["object_kind"] = json!("note");
                body["object_attributes"] =
                    json!({"id": 9, "note": "/close", "noteable_type": "Issue", "url": comment, "action": "create"});
                ("Note Hook", &[])
            }
            Forge::Bitbucket => {
                body["comment"] = json!({
                    "id": 9, "content": {"raw": "/close"}, "links": {"html": {"href": comment}},
                    "user": {"nickname": "eve"},
                });
                ("issue:comment_created", &[])
            }
            _ => {
                body["action"] = json!("created");
                body["comment"] =
                    json!({"id": 9, "body": "/close", "html_url": comment, "user": {"login": "eve"}});
                ("issue_comment", &[])
            }
        };
        sent(forge, event, body, silent)
    });
    assert_equal("dev.cdeventsx.forge-comment.created", &all);
}
