use serde_json::json;

use super::*;

#[test]
fn a_release_and_each_file_that_it_links_to_are_artifacts() {
    let events = run(&release("create"));
    let subjects: Vec<_> = events[1..].iter().map(|event| event.subject().unwrap()).collect();
    assert_eq!(
        subjects,
        [
            "pkg:gitlab/acme/web/shop@v1.0%2Frc%2B1",
            "pkg:generic/shop.tar.gz@v1.0%2Frc%2B1?download_url=https%3A%2F%2Fexample.com%2Fshop.tar.gz",
        ]
    );
    for event in &events[1..] {
        assert_eq!(event.ty(), "dev.cdevents.artifact.published.0.3.0");
        assert_eq!(event.time(), Some("2026-01-01T02:00:00Z"));
        let custom = &data(event)["customData"];
        assert_eq!(custom.get("sender"), None, "GitLab does not say");
        assert_eq!(custom["release"]["target"], A);
    }
    assert_eq!(data(&events[2])["customData"]["release"]["asset"]["name"], "shop.tar.gz");
}

#[test]
fn a_deleted_release_follows_from_its_publication() {
    let (published, deleted) = (run(&release("create")), run(&release("delete")));
    for (published, deleted) in published[1..].iter().zip(&deleted[1..]) {
        assert_eq!(deleted.ty(), "dev.cdevents.artifact.deleted.0.2.0");
        assert_eq!(deleted.time(), Some(RECEIVED));
        assert_eq!(deleted.attribute("causationid").as_deref(), Some(published.id()));
    }
    assert_eq!(deleted.len(), 3);
}

#[test]
fn an_edition_is_raw_only_and_a_bare_release_is_one_artifact() {
    assert_eq!(run(&release("update")).len(), 1);
    let mut body = release("create");
    for field in ["assets", "commit", "name", "url"] {
        body[field] = json!(null);
    }
    assert_eq!(run(&body).len(), 2);
}
