//! Payloads that others were hurt by, and what they must become here.

use pipewright::event::Event;
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::{Cost, Forge, Webhook, events, read};
use serde_json::{Value, json};

use super::{fixture, is_cdevent, webhook};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn sent(forge: Forge, event: &str, body: &Value) -> Webhook {
    webhook(forge, event, "1", body.to_string())
}

/// The `CDEvents`.
fn told(forge: Forge, event: &str, body: &Value) -> Vec<Event> {
    let mut all = events(&sent(forge, event, body)).unwrap();
    assert!(!is_cdevent(&all[0]));
    all.retain(is_cdevent);
    all
}

/// The one.
fn one(forge: Forge, event: &str, body: &Value) -> Event {
    let mut all = told(forge, event, body);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn custom_data(event: &Event) -> &Value {
    &event.tree().unwrap()["customData"]
}

fn chain(event: &Event) -> &Value {
    &event.tree().unwrap()["context"]["chainId"]
}

#[test]
fn an_annotated_tag_names_the_commit_and_is_in_its_chain() {
    let mut data_center = json!({
        "eventKey": "repo:refs_changed", "date": "2026-01-01T00:00:00+0000", "actor": {"name": "ann"},
        "repository": {"id": 7, "slug": "till", "project": {"key": "ORG"}},
        "changes": [{"refId": "refs/tags/v1.2.3", "fromHash": "0000000000000000000000000000000000000000", "toHash": B, "type": "ADD"}],
        "toCommit": {"id": A},
    });
    let mut github = fixture("github/push.annotated-tag.json");
    let mut gitlab = fixture("gitlab/tag_push.annotated-tag.json");
    for (forge, event, body) in [
        (Forge::GitHub, "push", &mut github),
        (Forge::GitLab, "Tag Push Hook", &mut gitlab),
        (Forge::BitbucketDataCenter, "repo:refs_changed", &mut data_center),
    ] {
        let tag = one(forge, event, body);
        let push = &custom_data(&tag)["push"];
        assert_eq!((&push["after"], &push["commit"]), (&json!(B), &json!(A)), "{forge:?}");
        // The branch was pushed with this commit.
        let branch = "refs/heads/main";
        let of_branch = if forge == Forge::BitbucketDataCenter {
            body["changes"][0]["refId"] = json!(branch);
            body["changes"][0]["toHash"] = json!(A);
            event
        } else {
            body["ref"] = json!(branch);
            body["after"] = json!(A);
            if forge == Forge::GitLab {
                body["object_kind"] = json!("push");
            }
            event
        };
        let push = one(forge, of_branch, body);
        assert_eq!(custom_data(&push)["push"]["commit"], A, "{forge:?}");
        assert_eq!(chain(&push), chain(&tag), "{forge:?}");
    }
}

#[test]
fn of_gitea_nobody_knows_the_commit_of_a_tag() {
    let mut body = fixture("github/push.annotated-tag.json");
    body["head_commit"] = json!(null);
    let tag = one(Forge::Gitea, "push", &body);
    let push = &custom_data(&tag)["push"];
    assert_eq!((&push["after"], push.get("commit")), (&json!(B), None));
}

/// Each of these was refused once, with the raw event and the hook in the end.
#[test]
fn a_field_that_only_describes_costs_itself() {
    for (forge, event, name, path) in [
        (Forge::GitHub, "push", "github/push.unused-field.json", "repository.created_at"),
        (Forge::GitHub, "pull_request", "github/pull_request.label-as-text.json", "pull_request.labels[0]"),
        (Forge::GitLab, "Push Hook", "gitlab/push.user-as-number.json", "user_username"),
    ] {
        let reading = read(&sent(forge, event, &fixture(name)), &Options::default()).unwrap();
        assert_eq!(reading.events.len(), 2, "{name}: {:?}", reading.misfits);
        let misfits: Vec<_> = reading.misfits.iter().map(|it| (it.path.as_str(), it.costs)).collect();
        assert_eq!(misfits, [(path, Cost::Field)], "{name}");
    }
}

#[test]
fn a_whole_number_of_seconds_is_a_time_however_it_is_written() {
    let floats = fixture("github/push.float-time.json");
    let mut whole = floats.clone();
    let pushed_at = floats["repository"]["pushed_at"].as_f64().unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "it is whole")]
    let seconds = pushed_at as i64;
    whole["repository"]["pushed_at"] = json!(seconds);
    assert_eq!(one(Forge::GitHub, "push", &floats).id(), one(Forge::GitHub, "push", &whole).id());
    let mut broken = floats;
    broken["repository"]["pushed_at"] = json!(pushed_at + 0.5);
    assert!(told(Forge::GitHub, "push", &broken).is_empty());
}

#[test]
fn one_odd_change_of_a_push_costs_only_itself() {
    let body = fixture("bitbucket/push.null-change.json");
    assert_eq!(one(Forge::Bitbucket, "repo:push", &body).subject(), Some("x/y"));
    let mut without_target = body.clone();
    without_target["push"]["changes"][0] =
        json!({"old": null, "new": {"type": "branch", "name": "z", "target": 5}});
    assert_eq!(one(Forge::Bitbucket, "repo:push", &without_target).subject(), Some("x/y"));
    for (path, value) in
        [("/push", json!(null)), ("/push/changes", json!(5)), ("/repository/links", json!(null))]
    {
        let mut body = body.clone();
        *body.pointer_mut(path).unwrap() = value;
        assert!(told(Forge::Bitbucket, "repo:push", &body).is_empty(), "{path}");
    }
    let data_center = |changes: Value| {
        json!({
            "eventKey": "repo:refs_changed", "date": "2026-01-01T00:00:00+0000",
            "repository": {"id": 7, "slug": "till", "project": {"key": "ORG"}}, "changes": changes,
        })
    };
    let change = json!({"refId": "refs/heads/x", "fromHash": B, "toHash": A, "type": "UPDATE"});
    for odd in [
        json!(null),
        json!(5),
        json!({"refId": "refs/heads/y", "fromHash": B, "toHash": 5, "type": "UPDATE"}),
    ] {
        let body = data_center(json!([odd, change]));
        assert_eq!(one(Forge::BitbucketDataCenter, "repo:refs_changed", &body).subject(), Some("x"), "{odd}");
    }
}

#[test]
fn what_identifies_costs_the_event_and_says_where_it_stands() {
    let mut body = fixture("github/pull_request.label-as-text.json");
    body["pull_request"]["created_at"] = json!({"seconds": 5});
    let reading = read(&sent(Forge::GitHub, "pull_request", &body), &Options::default()).unwrap();
    assert_eq!(reading.events.len(), 1);
    let lost: Vec<_> = reading.misfits.iter().filter(|it| it.costs == Cost::Event).collect();
    assert_eq!(lost.len(), 1, "{:?}", reading.misfits);
    assert!(lost[0].reason.contains("`pull_request.created_at`"), "{lost:?}");
    // Which of two it is, nobody knows.
    let twice = body.to_string().replace("\"number\"", "\"number\": 9, \"number\"");
    let reading = read(&webhook(Forge::GitHub, "pull_request", "1", twice), &Options::default()).unwrap();
    assert_eq!(reading.events.len(), 1);
    let lost = reading.misfits.iter().find(|it| it.costs == Cost::Event).unwrap();
    assert!(lost.reason.contains("duplicate field"), "{lost:?}");
}

#[test]
fn the_name_of_an_image_is_lower_case_and_its_owner_as_told() {
    let event =
        one(Forge::GitHub, "registry_package", &fixture("github/registry_package.image-in-capitals.json"));
    let package = &custom_data(&event)["package"];
    assert_eq!(package["image"], "ghcr.io/acmeco/front-end");
    assert_eq!(package["namespace"], "AcmeCo");
    let mut body = fixture("forgejo/package.json");
    body["package"]["owner"]["login"] = json!("AcmeCo");
    let event = one(Forge::Forgejo, "package", &body);
    assert_eq!(custom_data(&event)["package"]["image"], "gt.example.com/acmeco/front-end");
}

#[test]
fn approvals_that_gitlab_takes_back_itself_have_no_reviewer() {
    let mut body = fixture("gitlab/merge_request.approvals-reset.json");
    let reset = one(Forge::GitLab, "Merge Request Hook", &body);
    let data = custom_data(&reset);
    assert_eq!((&data["review"]["state"], data["review"].get("author")), (&json!("dismissed"), None));
    assert_eq!(data["sender"], "pusher");
    body["object_attributes"]["system"] = json!(false);
    let taken_back = one(Forge::GitLab, "Merge Request Hook", &body);
    assert_eq!(custom_data(&taken_back)["review"]["author"], "pusher");
    assert_eq!(reset.id(), taken_back.id());
}

#[test]
fn times_of_data_center_are_one_in_both_spellings() {
    let text = fixture("bitbucket-data-center/pr.opened.iso-times.json");
    let mut number = text.clone();
    let created: jiff::Timestamp = text["pullRequest"]["createdDate"].as_str().unwrap().parse().unwrap();
    number["pullRequest"]["createdDate"] = json!(created.as_millisecond());
    let [text, number] = [&text, &number].map(|body| one(Forge::BitbucketDataCenter, "pr:opened", body));
    assert_eq!((text.id(), text.time()), (number.id(), number.time()));
}

#[test]
fn bitbucket_cloud_tells_what_to_clone() {
    let event = one(Forge::Bitbucket, "pullrequest:created", &fixture("bitbucket/pullrequest.created.json"));
    let data = custom_data(&event);
    assert_eq!(data["repository"]["cloneUrl"], "https://bitbucket.org/org/till.git");
    assert_eq!(data["change"]["source"]["repositoryUrl"], "https://bitbucket.org/ann/till.git");
}

#[test]
fn a_draft_that_is_published_on_gitea_is_published_once() {
    let release = |action: &str, draft: bool| {
        let mut body = json!({
            "action": action,
            "release": {
                "id": 3, "tag_name": "v1", "html_url": "https://gt.example.com/org/till/releases/tag/v1", "draft": draft,
                "prerelease": false, "published_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z",
            },
        });
        body["repository"] = fixture("gitea/pull_request.agit.json")["repository"].clone();
        told(Forge::Gitea, "release", &body)
    };
    assert!(release("updated", true).is_empty());
    let (updated, published) = (release("updated", false), release("published", false));
    assert_eq!((updated.len(), published.len()), (1, 1));
    assert_eq!(updated[0].ty(), "dev.cdevents.artifact.published.0.3.0");
    assert_eq!(updated[0].id(), published[0].id());
}

fn gitea_run(action: &str, attempt: u64, started: &str, completed: &str, conclusion: &str) -> Value {
    let repository = fixture("gitea/pull_request.agit.json")["repository"].clone();
    json!({
        "action": action,
        "workflow": {"id": "ci.yaml", "name": "CI", "path": ".gitea/workflows/ci.yaml"},
        "workflow_run": {
            "id": 12, "run_number": 3, "run_attempt": attempt, "path": "ci.yaml@refs/heads/main", "head_branch": "main", "head_sha": A,
            "event": "push", "status": "completed", "conclusion": conclusion, "html_url": "https://gt.example.com/org/till/actions/runs/3",
            "pull_requests": null, "created_at": "2026-01-01T00:00:00Z", "started_at": started, "completed_at": completed,
        },
        "repository": repository, "sender": {"login": "ann"},
    })
}

#[test]
fn runs_of_gitea_actions_are_told_as_githubs() {
    const NEVER: &str = "1970-01-01T00:00:00Z";
    let (began, ended) = ("2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z");
    let event = |body: &Value| one(Forge::Gitea, "workflow_run", body);
    let queued = event(&gitea_run("requested", 0, NEVER, NEVER, ""));
    let started = event(&gitea_run("in_progress", 0, began, NEVER, ""));
    let finished = event(&gitea_run("completed", 0, began, ended, "failure"));
    let again = event(&gitea_run("completed", 0, "2026-01-01T00:03:00Z", "2026-01-01T00:04:00Z", "success"));
    let types: Vec<&str> = [&queued, &started, &finished].map(Event::ty).to_vec();
    assert_eq!(
        types,
        [
            "dev.cdevents.pipelinerun.queued.0.3.0",
            "dev.cdevents.pipelinerun.started.0.3.0",
            "dev.cdevents.pipelinerun.finished.0.3.0",
        ]
    );
    for event in [&queued, &started, &finished, &again] {
        assert_eq!(event.subject(), Some("actions/runs/12/attempts/1"));
    }
    assert_ne!(finished.id(), again.id());
    for (event, parent) in [(&started, &queued), (&finished, &started)] {
        assert_eq!(event.attribute("causationid").as_deref(), Some(parent.id()));
    }
    let content = &finished.tree().unwrap()["subject"]["content"];
    assert_eq!(
        (&content["outcome"], &content["pipelineName"]),
        (&json!("failure"), &json!(".gitea/workflows/ci.yaml"))
    );
    assert_eq!((finished.time(), started.time()), (Some(ended), Some(began)));
    let counted = event(&gitea_run("completed", 2, began, ended, "success"));
    assert_eq!(counted.subject(), Some("actions/runs/12/attempts/2"));
}

#[test]
fn jobs_of_gitea_actions_are_tasks_of_their_run() {
    let job = |action: &str, conclusion: &str| {
        let body = json!({
            "action": action,
            "workflow_job": {
                "id": 31, "run_id": 12, "run_attempt": 1, "name": "test", "head_branch": "main", "head_sha": A, "conclusion": conclusion,
                "html_url": "https://gt.example.com/org/till/actions/runs/3/jobs/31", "started_at": "2026-01-01T00:01:00Z",
                "completed_at": "2026-01-01T00:02:00Z", "steps": [{"name": "make", "conclusion": "failure"}],
            },
            "repository": fixture("gitea/pull_request.agit.json")["repository"].clone(), "sender": {"login": "ann"},
        });
        told(Forge::Gitea, "workflow_job", &body)
    };
    assert!(job("queued", "").is_empty());
    let (started, finished) = (job("in_progress", ""), job("completed", "failure"));
    assert_eq!(finished[0].attribute("causationid").as_deref(), Some(started[0].id()));
    let content = &finished[0].tree().unwrap()["subject"]["content"];
    assert_eq!(content["pipelineRun"]["id"], "actions/runs/12/attempts/1");
    assert_eq!((&content["outcome"], &content["errors"]), (&json!("failure"), &json!("make")));
}

#[test]
fn forgejo_tells_the_end_of_a_run_once_whatever_it_calls_it() {
    let body = |status: &str, stopped: &str| {
        json!({
            "action": "success", "prior_status": "running",
            "run": {
                "id": 12, "title": "Fix", "workflow_id": "ci.yaml", "index_in_repo": 3, "trigger_user": {"login": "ann"},
                "prettyref": "main", "commit_sha": A, "event": "push", "trigger_event": "push", "status": status,
                "started": "2026-01-01T00:01:00Z", "stopped": stopped, "html_url": "https://fj.example.com/org/till/actions/runs/3",
                "repository": fixture("gitea/pull_request.agit.json")["repository"].clone(),
            },
        })
    };
    let ended = "2026-01-01T00:02:00Z";
    let success = one(Forge::Forgejo, "action_run_success", &body("success", ended));
    let recovered = one(Forge::Forgejo, "action_run_recover", &body("success", ended));
    let failure = one(Forge::Forgejo, "action_run_failure", &body("failure", "2026-01-01T00:05:00Z"));
    assert_eq!(success.ty(), "dev.cdevents.pipelinerun.finished.0.3.0");
    assert_eq!((success.id(), success.time()), (recovered.id(), Some(ended)));
    assert_ne!(success.id(), failure.id());
    let outcomes = [&success, &failure].map(|it| it.tree().unwrap()["subject"]["content"]["outcome"].clone());
    assert_eq!(outcomes, [json!("success"), json!("failure")]);
    assert_eq!(custom_data(&success)["run"]["sha"], A);
}

#[test]
fn the_address_over_ssh_and_the_commit_before_are_told_where_they_are() {
    let mut github = fixture("github/pull_request.repositories-without-id.json");
    github["action"] = json!("synchronize");
    github["before"] = json!(B);
    github["repository"]["ssh_url"] = json!("git@github.com:org/till.git");
    let mut gitlab = fixture("gitlab/merge_request.approvals-reset.json");
    gitlab["object_attributes"]["action"] = json!("update");
    gitlab["object_attributes"]["oldrev"] = json!(B);
    gitlab["project"]["git_ssh_url"] = json!("git@gl.example.com:org/team/till.git");
    let mut data_center = fixture("bitbucket-data-center/pr.opened.iso-times.json");
    data_center["previousFromHash"] = json!(B);
    data_center["pullRequest"]["toRef"]["repository"]["links"] =
        json!({"clone": [{"name": "ssh", "href": "ssh://git@bb.example.com:7999/org/till.git"}]});
    for (forge, event, body, ssh) in [
        (Forge::GitHub, "pull_request", &github, "git@github.com:org/till.git"),
        (Forge::GitLab, "Merge Request Hook", &gitlab, "git@gl.example.com:org/team/till.git"),
        (
            Forge::BitbucketDataCenter,
            "pr:from_ref_updated",
            &data_center,
            "ssh://git@bb.example.com:7999/org/till.git",
        ),
    ] {
        let event = one(forge, event, body);
        let data = custom_data(&event);
        assert_eq!(data["repository"]["sshUrl"], ssh, "{forge:?}");
        assert_eq!(data["change"]["source"]["before"], B, "{forge:?}");
    }
}
