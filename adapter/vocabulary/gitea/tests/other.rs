//! Tickets, statuses, packages, repositories.

use super::*;

fn issue(action: &str, labels: &[&str]) -> Value {
    let labels: Vec<Value> = labels.iter().map(|name| json!({"id": 1, "name": name})).collect();
    json!({
        "action": action, "number": 3,
        "issue": {
            "number": 3, "title": "It breaks", "html_url": "https://git.example.com/Acme/shop/issues/3",
            "user": {"login": "mallory"}, "labels": labels, "assignees": null, "milestone": null, "state": "open",
            "pull_request": null, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z",
            "closed_at": null,
        },
        "repository": repository(), "sender": {"login": "eve"}, "commit_id": "",
    })
}

#[test]
fn tickets_are_made_changed_and_closed() {
    let opened = one("issues", &issue("opened", &["bug"]));
    assert_eq!((opened.ty(), opened.subject()), ("dev.cdevents.ticket.created.0.2.0", Some("issues/3")));
    assert_eq!(data(&opened)["subject"]["content"]["ticketType"], "bug");
    let closed = one("issues", &issue("closed", &[]));
    assert_eq!(closed.ty(), "dev.cdevents.ticket.closed.0.2.0");
    assert_eq!(closed.attribute("causationid").as_deref(), Some(opened.id()));
    // The set of labels is all that is told, and the time counts seconds.
    let labelled = one("issues", &issue("label_updated", &["bug"]));
    assert_eq!(labelled.ty(), "dev.cdevents.ticket.updated.0.2.0");
    assert_ne!(labelled.id(), one("issues", &issue("label_updated", &["bug", "urgent"])).id());
    assert_eq!(run("issues", &issue("invented", &[])).len(), 1);
}

#[test]
fn every_status_that_gitea_has_is_told_and_no_other() {
    let status = |state: &str| {
        json!({
            "id": 4, "sha": A, "context": "ci/unit", "state": state, "description": "", "target_url": "",
            "updated_at": "2026-01-01T00:00:00Z", "repository": repository(), "sender": {"login": "eve"},
        })
    };
    let outcome = |state: &str| {
        let event = one("status", &status(state));
        data(&event)["subject"]["content"]["outcome"].as_str().unwrap_or("-").to_owned()
    };
    let found = ["pending", "success", "error", "failure", "warning", "skipped"].map(outcome);
    assert_eq!(found, ["-", "success", "error", "failure", "success", "success"]);
    // Gitea takes any other word too.
    assert_eq!(run("status", &status("whatever")).len(), 1);
}

#[test]
fn packages_have_the_purl_of_their_type() {
    let package = |kind: &str, name: &str, version: &str| {
        json!({
            "action": "created", "repository": null,
            "package": {
                "id": 1, "owner": {"login": "Acme", "html_url": "https://git.example.com/Acme"}, "repository": null,
                "type": kind, "name": name, "version": version, "created_at": "2026-01-01T00:00:00Z",
            },
            "sender": {"login": "eve"},
        })
    };
    for (kind, name, version, purl) in [
        ("generic", "tool", "1.0", "pkg:generic/Acme/tool@1.0"),
        ("npm", "@shop/carts", "1.0", "pkg:npm/%40shop/carts@1.0"),
        ("npm", "carts", "1.0", "pkg:npm/carts@1.0"),
        ("maven", "com.acme:carts", "1.0", "pkg:maven/com.acme/carts@1.0"),
        ("pypi", "carts", "1.0", "pkg:pypi/carts@1.0"),
        ("go", "acme.dev/carts", "v1.0.0", "pkg:golang/acme.dev/carts@v1.0.0"),
        ("container", "Shop", "v1", "pkg:oci/shop?repository_url=git.example.com/acme/shop&tag=v1"),
        ("invented", "x", "1", "pkg:generic/Acme/x@1"),
    ] {
        let event = one("package", &package(kind, name, version));
        assert_eq!(event.ty(), "dev.cdevents.artifact.published.0.3.0");
        assert_eq!(event.subject(), Some(purl));
        assert_eq!(event.source(), "https://git.example.com/Acme", "it belongs to no repository");
    }
    let mut linked = package("generic", "tool", "1.0");
    linked["package"]["repository"] = repository();
    linked["action"] = json!("deleted");
    let event = one("package", &linked);
    assert_eq!(
        (event.ty(), event.source()),
        ("dev.cdevents.artifact.deleted.0.2.0", "https://git.example.com/Acme/shop")
    );
    assert_eq!(run("package", &package("container", "shop", "sha256:ab")).len(), 1, "a part of an image");
    let nobodys = json!({"action": "created", "package": {"id": 1, "name": "x"}});
    let error = lost(&webhook("package", &nobodys));
    assert!(error.contains("`package.repository` or `package.owner.html_url` must be there"), "{error}");
}

#[test]
fn a_fork_is_a_new_repository_however_it_is_told() {
    let mut new = repository();
    new["full_name"] = json!("bob/shop");
    new["owner"] = json!({"login": "bob"});
    new["html_url"] = json!("https://git.example.com/bob/shop");
    new["created_at"] = json!("2026-01-01T00:00:00Z");
    let forked = one("fork", &json!({"forkee": repository(), "repository": new, "sender": {"login": "bob"}}));
    assert_eq!(forked.ty(), "dev.cdevents.repository.created.0.3.0");
    assert_eq!((forked.source(), forked.subject()), ("https://git.example.com/bob/shop", Some("bob/shop")));
    let created = json!({"action": "created", "repository": new, "sender": {"login": "bob"}});
    assert_eq!(one("repository", &created).id(), forked.id());
    let deleted = json!({"action": "deleted", "repository": new, "sender": {"login": "bob"}});
    assert_eq!(one("repository", &deleted).ty(), "dev.cdevents.repository.deleted.0.3.0");
}
