use super::*;

#[test]
fn a_push_counts_all_commits_and_does_not_say_whether_it_was_forced() {
    let event = one("push", &push("refs/heads/feature/a", A, B));
    assert_eq!(event.ty(), "dev.cdeventsx.git-ref.updated.0.1.0");
    assert_eq!(event.source(), "https://git.example.com/Acme/shop");
    assert_eq!(event.subject(), Some("feature/a"));
    // The commit may be years old, and `updated_at` is the time of an earlier push.
    assert_eq!(event.time(), Some(RECEIVED));
    assert_eq!(
        data(&event)["customData"],
        json!({
            "forge": {"name": "gitea", "event": "push", "delivery": "delivery-1"},
            "sender": "eve",
            "repository": {
                "owner": "Acme", "name": "shop", "url": "https://git.example.com/Acme/shop",
                "cloneUrl": "https://git.example.com/Acme/shop.git", "defaultBranch": "main",
            },
            "push": {
                "ref": "refs/heads/feature/a", "branch": "feature/a", "before": A, "after": B, "commit": B, "commits": 55,
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
        let event = one("push", &push(reference, before, after));
        assert_eq!((event.ty(), event.subject()), (ty, Some(subject)));
        let push = &data(&event)["customData"]["push"];
        assert_eq!(push.get("before").is_none(), before == ZERO);
        assert_eq!(push.get("after").is_none(), after == ZERO);
        assert_eq!(push.get("forced").is_none(), ty.contains("updated"));
    }
    assert_eq!(run("push", &push("refs/notes/x", A, B)).len(), 1);
    assert_eq!(run("push", &push("refs/for/main", A, B)).len(), 1);
}

#[test]
fn a_test_delivery_is_raw_only() {
    assert_eq!(run("push", &push("refs/heads/main", A, A)).len(), 1);
    assert_eq!(run("push", &push("nope", A, A)).len(), 1);
}

#[test]
fn create_and_push_of_one_new_ref_are_one_event() {
    for (reference, name, kind) in [("refs/heads/x", "x", "branch"), ("refs/tags/x", "x", "tag")] {
        let pushed = one("push", &push(reference, ZERO, A));
        let create = json!({
            "ref": name, "ref_type": kind, "sha": A, "repository": repository(), "sender": {"login": "eve"},
        });
        let created = one("create", &create);
        assert_eq!((created.id(), created.ty()), (pushed.id(), pushed.ty()));
        assert_eq!(created.attribute("correlationid"), pushed.attribute("correlationid"));
        assert_eq!(data(&created)["customData"]["push"]["after"], A);

        // Made anew, after another push or on another commit.
        let mut later = create.clone();
        later["repository"]["updated_at"] = json!("2025-12-31T00:00:01Z");
        assert_ne!(one("create", &later).id(), created.id());
        let mut elsewhere = create;
        elsewhere["sha"] = json!(B);
        assert_ne!(one("create", &elsewhere).id(), created.id());
    }
}

#[test]
fn delete_and_push_of_one_deleted_tag_are_one_event() {
    let delete =
        json!({"ref": "v1", "ref_type": "tag", "repository": repository(), "sender": {"login": "eve"}});
    assert_eq!(one("delete", &delete).id(), one("push", &push("refs/tags/v1", A, ZERO)).id());
}

#[test]
fn what_a_payload_does_not_have_is_absent() {
    let bare = json!({
        "ref": "refs/heads/x", "before": A, "after": B, "total_commits": null, "head_commit": null,
        "repository": {"html_url": "https://git.example.com/Acme/shop"},
    });
    let event = one("push", &bare);
    let custom = &data(&event)["customData"];
    assert_eq!(
        custom["push"],
        json!({"ref": "refs/heads/x", "branch": "x", "before": A, "after": B, "commit": B})
    );
    assert_eq!(custom.get("sender"), None);
    for incomplete in [json!({"before": null}), json!({"after": null})] {
        let mut body = bare.clone();
        body.as_object_mut().unwrap().extend(incomplete.as_object().unwrap().clone());
        assert_eq!(run("push", &body).len(), 1);
    }
    let create = json!({"ref": "x", "ref_type": "branch", "repository": bare["repository"]});
    assert_eq!(data(&one("create", &create))["customData"]["push"].get("after"), None);
    let error = lost(&webhook("create", &json!({"ref": "x", "repository": {}})));
    assert!(error.contains("missing field `"), "{error}");
}
