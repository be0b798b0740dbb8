use serde_json::json;

use super::*;

#[test]
fn a_ref_is_made_moved_and_taken_away() {
    for (kind, reference, before, after, ty, subject) in [
        ("push", "refs/heads/feature/x", ZERO, A, "dev.cdevents.branch.created.0.3.0", "feature/x"),
        ("push", "refs/heads/feature/x", A, ZERO, "dev.cdevents.branch.deleted.0.3.0", "feature/x"),
        ("push", "refs/heads/feature/x", A, B, "dev.cdeventsx.git-ref.updated.0.1.0", "feature/x"),
        ("tag_push", "refs/tags/v1", ZERO, A, "dev.cdeventsx.git-tag.created.0.1.0", "v1"),
        ("tag_push", "refs/tags/v1", A, ZERO, "dev.cdeventsx.git-tag.deleted.0.1.0", "v1"),
        ("tag_push", "refs/tags/v1", A, B, "dev.cdeventsx.git-tag.updated.0.1.0", "v1"),
    ] {
        let event = one(&push(kind, reference, before, after));
        assert_eq!((event.ty(), event.subject()), (ty, Some(subject)));
        assert_eq!(event.source(), "https://gitlab.example.com/acme/web/shop");
        let told = &data(&event)["customData"]["push"];
        assert_eq!(told["ref"], reference);
        assert_eq!(told.get("before"), (before != ZERO).then(|| json!(before)).as_ref());
        assert_eq!(told.get("after"), (after != ZERO).then(|| json!(after)).as_ref());
        assert_eq!(told.get("forced"), None, "GitLab does not say");
        // Only what moved has the time of a commit.
        let moved = before != ZERO && after != ZERO;
        assert_eq!(event.time(), Some(if moved { "2020-01-01T22:00:00Z" } else { RECEIVED }));
    }
}

#[test]
fn who_what_and_where_is_told() {
    let event = one(&push("push", "refs/heads/main", A, B));
    assert_eq!(
        data(&event)["customData"],
        json!({
            "forge": {"name": "gitlab", "event": "push", "delivery": "delivery-1"},
            "sender": "eve",
            "repository": {
                "owner": "acme/web", "name": "shop", "url": "https://gitlab.example.com/acme/web/shop",
                "cloneUrl": "https://gitlab.example.com/acme/web/shop.git", "defaultBranch": "main",
            },
            "push": {"ref": "refs/heads/main", "branch": "main", "before": A, "after": B, "commit": B, "commits": 55},
        })
    );
    assert_eq!(
        data(&event)["subject"]["content"]["repository"],
        json!({"id": "acme/web/shop", "source": "https://gitlab.example.com"})
    );
}

#[test]
fn whatever_hook_it_came_through_it_is_one_event() {
    let body = push("push", "refs/heads/main", A, B);
    let ids: Vec<String> = ["Push Hook", "System Hook", "Anything"]
        .into_iter()
        .zip(["1", "2", "3"])
        .map(|(event, delivery)| {
            let webhook = Webhook { delivery: delivery.to_owned(), ..webhook(event, &body) };
            events(&webhook).unwrap()[1].id().to_owned()
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0], ids[2]);
    assert_ne!(ids[0], one(&push("push", "refs/heads/main", B, A)).id());
}

#[test]
fn other_refs_are_raw_only() {
    for reference in ["refs/notes/commits", "refs/heads/", "refs/merge-requests/1/head", "main"] {
        assert_eq!(run(&push("push", reference, A, B)).len(), 1, "{reference}");
    }
}

#[test]
fn what_old_versions_leave_out_is_absent() {
    let mut body = push("push", "refs/heads/main", A, B);
    for field in ["user_username", "commits", "total_commits_count", "checkout_sha"] {
        body.as_object_mut().unwrap().remove(field);
    }
    for field in ["git_http_url", "default_branch", "id"] {
        body["project"][field] = Value::Null;
    }
    let event = one(&body);
    let custom = &data(&event)["customData"];
    assert_eq!((custom.get("sender"), custom["push"].get("commits")), (None, None));
    assert_eq!(custom["repository"].as_object().unwrap().len(), 3);
    assert_eq!(event.time(), Some(RECEIVED));
}

#[test]
fn what_a_row_cannot_be_without_is_named() {
    for (pointer, reason) in [
        ("/ref", "missing field `ref`"),
        ("/project", "missing field `project`"),
        ("/project/web_url", "missing field `web_url`"),
    ] {
        let mut body = push("push", "refs/heads/main", A, B);
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field);
        let error = lost(&webhook("Push Hook", &body));
        assert!(error.contains(reason), "{error}");
    }
    let mut body = push("push", "refs/heads/main", A, B);
    body["project"]["web_url"] = json!("git@gitlab.example.com");
    let error = lost(&webhook("Push Hook", &body));
    assert_eq!(error, "the body is not a `push` payload: `project.web_url` must be an http or https URL");
}
