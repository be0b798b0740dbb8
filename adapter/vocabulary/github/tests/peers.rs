//! What other translators of GitHub's webhooks get wrong, each as a fact about ours.

use super::*;

#[test]
fn an_approving_review_is_told_like_any_other() {
    for state in ["approved", "changes_requested", "commented"] {
        let mut body = pull_request("submitted");
        body["review"] = json!({"id": 1, "state": state, "submitted_at": "2026-01-01T03:00:00Z"});
        let event = one("pull_request_review", &body);
        assert_eq!(event.ty(), "dev.cdevents.change.reviewed.0.3.0");
        assert_eq!(data(&event)["customData"]["review"]["state"], state);
    }
}

#[test]
fn a_pushed_tag_is_no_branch() {
    let event = one("push", &push("refs/tags/v1", ZERO, A));
    assert_eq!(event.ty(), "dev.cdeventsx.git-tag.created.0.1.0");
    assert_eq!(event.subject(), Some("v1"));
}

#[test]
fn a_comment_is_no_edit_of_a_ticket() {
    for action in ["created", "edited", "deleted"] {
        let mut body = json!({
            "action": action, "comment": {"id": 1, "body": "/test"},
            "issue": {"number": 42, "title": "t", "created_at": "2026-01-01T00:00:00Z"},
            "repository": repository(), "sender": {"login": "eve"},
        });
        assert_eq!(run("issue_comment", &body).len(), 1, "{action}");
        // GitHub calls a pull request an issue here.
        body["issue"]["pull_request"] = json!({"url": "https://api.github.com/repos/Acme/shop/pulls/42"});
        assert_eq!(run("issue_comment", &body).len(), 1, "{action}");
    }
}

#[test]
fn the_deletion_of_a_branch_is_told_though_it_has_no_commit() {
    let mut body = push("refs/heads/carts", A, ZERO);
    body["head_commit"] = json!(null);
    let event = one("push", &body);
    assert_eq!(event.ty(), "dev.cdevents.branch.deleted.0.3.0");
    assert_eq!(event.time(), Some("2023-11-14T22:13:20Z"));
}

#[test]
fn a_neutral_run_has_an_outcome_that_the_specification_knows() {
    let body = json!({
        "action": "completed", "workflow_run": {"id": 1, "name": "CI", "conclusion": "neutral"},
        "repository": repository(),
    });
    let event = one("workflow_run", &body);
    assert_eq!(data(&event)["subject"]["content"]["outcome"], "success");
    assert_eq!(data(&event)["customData"]["run"]["conclusion"], "neutral");
}

#[test]
fn a_release_is_told_once_though_three_deliveries_tell_it() {
    let told = |action| run("release", &release(action)).len() - 1;
    assert_eq!(["created", "published", "released", "prereleased"].map(told), [0, 3, 0, 0]);
}
