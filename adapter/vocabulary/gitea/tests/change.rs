use super::*;

#[test]
fn the_life_of_a_change_links_to_its_beginning() {
    let opened = one("pull_request", &pull_request("opened"));
    assert_eq!(opened.ty(), "dev.cdevents.change.created.0.4.0");
    assert_eq!(opened.subject(), Some("pull/42"));
    assert_eq!(opened.time(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(data(&opened)["customData"]["change"]["source"]["fork"], true);
    for (event, action, ty) in [
        ("pull_request", "synchronized", "dev.cdevents.change.updated"),
        ("pull_request", "edited", "dev.cdevents.change.updated"),
        ("pull_request", "reopened", "dev.cdevents.change.updated"),
        ("pull_request", "closed", "dev.cdevents.change.abandoned"),
        ("pull_request_approved", "reviewed", "dev.cdevents.change.reviewed"),
    ] {
        let later = one(event, &pull_request(action));
        assert!(later.ty().starts_with(ty), "{}", later.ty());
        assert_eq!(later.attribute("causationid").as_deref(), Some(opened.id()));
        assert_eq!(later.attribute("correlationid"), opened.attribute("correlationid"));
    }
    for action in ["label_updated", "assigned", "review_requested", "milestoned", "invented"] {
        assert_eq!(run("pull_request", &pull_request(action)).len(), 1, "{action}");
    }
}

#[test]
fn what_is_merged_is_merged_and_has_its_commit() {
    let mut body = pull_request("closed");
    let pull = &mut body["pull_request"];
    pull["merged"] = json!(true);
    pull["merged_at"] = json!("2026-01-01T05:00:00Z");
    pull["merge_commit_sha"] = json!(B);
    let merged = one("pull_request", &body);
    assert_eq!(merged.ty(), "dev.cdevents.change.merged.0.3.0");
    assert_eq!(merged.time(), Some("2026-01-01T05:00:00Z"));
    assert_eq!(data(&merged)["customData"]["change"]["mergeCommit"], B);
}

#[test]
fn each_review_is_an_event_with_its_state() {
    let review = |event: &str, content: &str, comments: u64| {
        let mut body = pull_request("reviewed");
        body["review"] = json!({"type": event.replace("request_", "request_review_"), "content": content});
        body["pull_request"]["review_comments"] = json!(comments);
        one(event, &body)
    };
    let mut ids = std::collections::HashSet::new();
    for (event, state) in [
        ("pull_request_approved", "approved"),
        ("pull_request_rejected", "changes_requested"),
        ("pull_request_comment", "commented"),
    ] {
        let reviewed = review(event, "Well.", 1);
        assert_eq!(
            data(&reviewed)["customData"]["review"],
            json!({"state": state, "author": "eve"}),
            "neither its page nor its commit is told"
        );
        assert_eq!(reviewed.id(), review(event, "Well.", 1).id());
        assert!(ids.insert(reviewed.id().to_owned()));
        assert!(ids.insert(review(event, "Otherwise.", 1).id().to_owned()));
        assert!(ids.insert(review(event, "Well.", 2).id().to_owned()));
    }
    // Versions before reviews had their words.
    let mut body = pull_request("reviewed");
    body.as_object_mut().unwrap().remove("review");
    let reviewed = one("pull_request_rejected", &body);
    assert_eq!(data(&reviewed)["customData"]["review"]["state"], "changes_requested");
}

#[test]
fn a_comment_on_a_change_is_neither_a_review_nor_an_update() {
    let body = json!({
        "action": "created", "is_pull": true, "issue": {"number": 42}, "comment": {"id": 3},
        "pull_request": pull_request("opened")["pull_request"], "repository": repository(),
    });
    assert_eq!(run("issue_comment", &body).len(), 1);
}

#[test]
fn a_change_of_a_repository_that_is_gone_is_one_from_elsewhere() {
    let mut body = pull_request("closed");
    body["pull_request"]["head"]["repo"] = Value::Null;
    let source = &data(&one("pull_request", &body))["customData"]["change"]["source"].clone();
    assert_eq!(*source, json!({"branch": "carts", "sha": A, "fork": true}));
}
