use super::*;

fn body(action: &str) -> Value {
    let mut repository = repository();
    repository["created_at"] = json!("2026-01-01T00:00:00Z");
    repository["updated_at"] = json!("2026-01-01T01:00:00Z");
    json!({"action": action, "repository": repository, "sender": {"login": "eve"}})
}

#[test]
fn a_repository_is_created_by_itself_or_as_a_fork() {
    let event = one("repository", &body("created"));
    assert_eq!(event.ty(), "dev.cdevents.repository.created.0.3.0");
    assert_eq!(event.time(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(
        data(&event)["subject"],
        json!({
            "id": "Acme/shop", "source": "https://github.com",
            "content": {
                "name": "shop", "owner": "Acme", "uri": "https://github.com/Acme/shop.git",
                "viewUrl": "https://github.com/Acme/shop",
            },
        })
    );
    let mut original = repository();
    original["html_url"] = json!("https://github.com/other/shop");
    let fork =
        json!({"forkee": body("created")["repository"], "repository": original, "sender": {"login": "eve"}});
    assert_eq!(one("fork", &fork).id(), event.id());
}

#[test]
fn a_change_of_a_repository_follows_from_its_creation() {
    let created = one("repository", &body("created"));
    for action in ["edited", "publicized", "privatized", "archived", "unarchived"] {
        let event = one("repository", &body(action));
        assert_eq!(event.ty(), "dev.cdevents.repository.modified.0.3.0");
        assert_eq!(event.time(), Some("2026-01-01T01:00:00Z"));
        assert_eq!(event.attribute("causationid").as_deref(), Some(created.id()));
        assert_eq!(event.attribute("correlationid"), created.attribute("correlationid"));
    }
}

#[test]
fn public_is_the_same_as_publicized() {
    let mut public = body("");
    public.as_object_mut().unwrap().remove("action");
    assert_eq!(one("public", &public).id(), one("repository", &body("publicized")).id());
}

#[test]
fn a_repository_with_a_new_name_is_related_to_its_old_one() {
    let created = one("repository", &body("created"));
    let mut renamed = body("renamed");
    renamed["repository"]["name"] = json!("store");
    renamed["repository"]["full_name"] = json!("Acme/store");
    renamed["repository"]["html_url"] = json!("https://github.com/Acme/store");
    renamed["changes"] = json!({"repository": {"name": {"from": "shop"}}});
    let renamed = one("repository", &renamed);
    let link =
        json!([{"linkType": "RELATION", "linkKind": "RENAMED", "target": {"contextId": created.id()}}]);
    assert_eq!(data(&renamed)["context"]["links"], link);
    assert_eq!(data(&renamed)["customData"]["previous"], json!({"owner": "Acme", "name": "shop"}));
    assert_eq!(renamed.attribute("correlationid"), created.attribute("correlationid"));

    for kind in ["user", "organization"] {
        let mut transferred = body("transferred");
        transferred["repository"]["owner"] = json!({"login": "Other"});
        transferred["repository"]["html_url"] = json!("https://github.com/Other/shop");
        transferred["changes"] = json!({"owner": {"from": {}}});
        transferred["changes"]["owner"]["from"][kind] = json!({"login": "Acme"});
        let transferred = one("repository", &transferred);
        assert_eq!(data(&transferred)["context"]["links"], link);
        assert_eq!(data(&transferred)["customData"]["previous"], json!({"owner": "Acme", "name": "shop"}));
    }
}

#[test]
fn a_deleted_repository_is_told_once_for_each_that_had_the_name() {
    let first = one("repository", &body("deleted"));
    assert_eq!(first.ty(), "dev.cdevents.repository.deleted.0.3.0");
    assert_eq!(first.time(), Some(RECEIVED));
    let mut second = body("deleted");
    second["repository"]["id"] = json!(8);
    assert_ne!(first.id(), one("repository", &second).id());
}
