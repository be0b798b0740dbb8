//! Whose branch a change comes from, and what its author is to the repository: what decides whether strangers' code runs.

use pipewright::vocabulary::{Forge, events};
use serde_json::{Value, json};

use super::{fixture, is_cdevent, webhook};

/// `customData.change` of the one `CDEvent`.
fn change(forge: Forge, event: &str, body: &Value) -> Value {
    let mut all = events(&webhook(forge, event, "1", body.to_string())).unwrap();
    all.retain(is_cdevent);
    assert_eq!(all.len(), 1, "{forge:?}: {body:#}");
    all[0].tree().unwrap()["customData"]["change"].clone()
}

fn is_fork(forge: Forge, event: &str, body: &Value) -> bool {
    change(forge, event, body)["source"]["fork"].as_bool().unwrap()
}

#[test]
fn a_repository_that_is_not_named_on_both_sides_is_a_fork() {
    let body = fixture("github/pull_request.repositories-without-id.json");
    assert!(is_fork(Forge::GitHub, "pull_request", &body));
    let named = json!({"id": 7, "full_name": "org/till"});
    for (head, base, fork) in [
        (named.clone(), named.clone(), false),
        (json!({"full_name": "org/till"}), named.clone(), false),
        (named.clone(), json!({"id": 7}), false),
        (json!({}), json!({}), true),
        (json!(null), json!(null), true),
        (json!(null), named.clone(), true),
        (json!({"id": 7}), json!({"full_name": "org/till"}), true),
        (json!({"id": 7, "full_name": "ann/till"}), named.clone(), true),
        (json!({"id": 8, "full_name": "org/till"}), named, true),
        (json!({"id": null, "full_name": ""}), json!({"id": null, "full_name": ""}), true),
    ] {
        let mut body = body.clone();
        body["pull_request"]["head"]["repo"] = head.clone();
        body["pull_request"]["base"]["repo"] = base.clone();
        for forge in [Forge::GitHub, Forge::Gitea, Forge::Forgejo] {
            assert_eq!(is_fork(forge, "pull_request", &body), fork, "{forge:?}: {head} {base}");
        }
    }
}

#[test]
fn on_bitbucket_too() {
    let cloud = fixture("bitbucket/pullrequest.created.json");
    let named = json!({"uuid": "{7}", "full_name": "org/till"});
    for (source, target, fork) in [
        (named.clone(), named.clone(), false),
        (json!({"full_name": "org/till"}), named.clone(), false),
        (json!({}), json!({}), true),
        (json!(null), named.clone(), true),
        (json!({"uuid": "{8}", "full_name": "org/till"}), named, true),
    ] {
        let mut body = cloud.clone();
        body["pullrequest"]["source"]["repository"] = source.clone();
        body["pullrequest"]["destination"]["repository"] = target.clone();
        assert_eq!(is_fork(Forge::Bitbucket, "pullrequest:created", &body), fork, "{source} {target}");
    }
}

/// Who may not write pushes to `refs/for/…`; such a proposal has no branch, and looks as if it came from the repository.
#[test]
fn a_proposal_without_a_branch_is_a_fork() {
    let body = fixture("gitea/pull_request.agit.json");
    for forge in [Forge::Gitea, Forge::Forgejo] {
        let told = change(forge, "pull_request", &body);
        assert_eq!(told["source"]["fork"], true, "{forge:?}");
        assert_eq!(told["source"]["branch"], "refs/pull/4/head");
        assert_eq!(told["authorAssociation"], "unknown");
    }
    let mut branch = body;
    branch["pull_request"]["head"]["ref"] = json!("fix");
    assert!(!is_fork(Forge::Gitea, "pull_request", &branch));
}

#[test]
fn what_the_author_is_to_the_repository_is_told_in_one_shape() {
    let mut body = fixture("github/pull_request.repositories-without-id.json");
    for (word, told) in [
        (json!("OWNER"), "owner"),
        (json!("MEMBER"), "member"),
        (json!("COLLABORATOR"), "collaborator"),
        (json!("CONTRIBUTOR"), "contributor"),
        (json!("FIRST_TIME_CONTRIBUTOR"), "none"),
        (json!("NONE"), "none"),
        (json!("SOMETHING_NEW"), "unknown"),
        (json!(null), "unknown"),
    ] {
        body["pull_request"]["author_association"] = word.clone();
        let change = change(Forge::GitHub, "pull_request", &body);
        assert_eq!(change["authorAssociation"], told, "{word}");
        assert!(change["author"].is_string(), "{change}");
    }
    // The repository is the author's own.
    for forge in [Forge::Gitea, Forge::Forgejo] {
        let mut body = fixture("gitea/pull_request.agit.json");
        body["pull_request"]["user"]["login"] = body["repository"]["owner"]["login"].clone();
        assert_eq!(change(forge, "pull_request", &body)["authorAssociation"], "owner", "{forge:?}");
    }
    let mut body = fixture("bitbucket/pullrequest.created.json");
    assert_eq!(change(Forge::Bitbucket, "pullrequest:created", &body)["authorAssociation"], "unknown");
    body["pullrequest"]["author"]["uuid"] = json!("{1}");
    body["repository"]["owner"] = json!({"uuid": "{2}", "nickname": "ann"});
    assert_eq!(change(Forge::Bitbucket, "pullrequest:created", &body)["authorAssociation"], "unknown");
    body["repository"]["owner"]["uuid"] = json!("{1}");
    assert_eq!(change(Forge::Bitbucket, "pullrequest:created", &body)["authorAssociation"], "owner");
}

#[test]
fn on_gitlab_only_the_sender_can_be_known_as_the_owner() {
    let mut body = fixture("gitlab/merge_request.approvals-reset.json");
    body["object_attributes"]["action"] = json!("open");
    body["project"]["path_with_namespace"] = json!("ann/till");
    body["user"] = json!({"id": 3, "username": "ann"});
    let told = change(Forge::GitLab, "Merge Request Hook", &body);
    assert_eq!((&told["author"], &told["authorAssociation"]), (&json!("ann"), &json!("owner")));
    assert_eq!(told["source"]["fork"], false);
    body["user"]["id"] = json!(4);
    let told = change(Forge::GitLab, "Merge Request Hook", &body);
    assert_eq!((&told["author"], &told["authorAssociation"]), (&json!(null), &json!("unknown")));
    for ids in [json!(null), json!(8)] {
        body["object_attributes"]["source_project_id"] = ids;
        assert!(is_fork(Forge::GitLab, "Merge Request Hook", &body));
    }
}
