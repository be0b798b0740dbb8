use serde_json::{Value, json};

use super::*;

#[test]
fn a_push_to_a_branch_is_an_update_of_the_ref() {
    let event = one("push", &push("refs/heads/feature/a", A, B));
    assert_eq!(event.ty(), "dev.cdeventsx.git-ref.updated.0.1.0");
    assert_eq!(event.source(), "https://github.com/Acme/shop");
    assert_eq!(event.subject(), Some("feature/a"));
    assert_eq!(event.time(), Some("2023-11-14T22:13:20Z"));
    assert_eq!(event.dataschema(), Some("https://pipewright.dev/schemas/git-ref.updated.0.1.0.json"));
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
                "ref": "refs/heads/feature/a", "branch": "feature/a", "before": A, "after": B, "commit": B, "forced": false,
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
