use super::*;
use crate::vocabulary::gitea::raw as rules;
use crate::vocabulary::pick::pick;

fn raw(event: &str, body: &Value) -> Event {
    run(event, body).remove(0)
}

#[test]
fn every_event_has_a_raw_one_by_its_own_name() {
    let page = "https://git.example.com/Acme/shop";
    let forkee = json!({"html_url": page});
    let fork = json!({"html_url": "https://git.example.com/bob/shop", "created_at": "2026-01-01T00:00:00Z"});
    for (event, body, ty, subject) in [
        ("push", push("refs/heads/x", A, B), "com.gitea.push", Some("refs/heads/x")),
        ("pull_request", pull_request("opened"), "com.gitea.pull_request.opened", Some("42")),
        (
            "pull_request_comment",
            pull_request("reviewed"),
            "com.gitea.pull_request_comment.reviewed",
            Some("42"),
        ),
        (
            "create",
            json!({"ref": "x", "ref_type": "tag", "repository": repository()}),
            "com.gitea.create.tag",
            Some("x"),
        ),
        (
            "status",
            json!({"state": "pending", "sha": A, "repository": repository()}),
            "com.gitea.status.pending",
            Some(A),
        ),
        ("wiki", json!({"action": "created", "repository": repository()}), "com.gitea.wiki.created", None),
        ("invented", json!({"action": "done", "repository": repository()}), "com.gitea.invented.done", None),
        // The new one is the `repository` here.
        (
            "fork",
            json!({"forkee": forkee, "repository": fork}),
            "com.gitea.fork",
            Some("https://git.example.com/bob/shop"),
        ),
    ] {
        // What a row would need and does not have is no matter of the raw event.
        let webhook = webhook(event, &body);
        let json = std::str::from_utf8(&webhook.body).unwrap();
        let row = rules::row_of(&webhook).unwrap();
        let found = rules::event(&webhook, json, row, &pick(json, row.paths()).unwrap()).unwrap();
        assert_eq!((found.ty(), found.subject()), (ty, subject));
        assert_eq!(found.source(), page, "{ty}");
        assert_eq!(found.id(), "delivery-1");
    }
}

#[test]
fn a_package_without_a_repository_comes_from_its_owner() {
    let owner = "https://git.example.com/Acme";
    let mut body = json!({
        "action": "created", "repository": null,
        "package": {"id": 1, "name": "x", "owner": {"html_url": owner}, "repository": null},
    });
    assert_eq!(raw("package", &body).source(), owner);
    body["package"]["repository"] = repository();
    assert_eq!(raw("package", &body).source(), "https://git.example.com/Acme/shop");
    let sender = json!({"sender": {"html_url": "https://git.example.com/eve"}});
    assert_eq!(raw("invented", &sender).source(), "https://git.example.com");
    assert_eq!(raw("invented", &json!({})).source(), "/gitea");
}

#[test]
fn forgejo_speaks_of_itself() {
    let mut webhook = webhook("pull_request", &pull_request("opened"));
    webhook.forge = Forge::Forgejo;
    let all = events(&webhook).unwrap();
    assert_eq!(all[0].ty(), "com.forgejo.pull_request.opened");
    assert_eq!(data(&all[1])["customData"]["forge"]["name"], "forgejo");
}
