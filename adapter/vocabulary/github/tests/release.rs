use serde_json::{Value, json};

use super::*;

#[test]
fn a_published_release_and_each_of_its_files_are_artifacts() {
    let all = run("release", &release("published"));
    let subjects: Vec<&str> = all[1..].iter().filter_map(Event::subject).collect();
    assert_eq!(
        subjects,
        [
            "pkg:github/acme/shop@v1.0%2Frc%2B1",
            "pkg:generic/shop.tar.gz@v1.0%2Frc%2B1?checksum=sha256%3Aab\
             &download_url=https%3A%2F%2Fgithub.com%2Fd%2Fshop.tar.gz",
            "pkg:generic/notes@v1.0%2Frc%2B1",
        ]
    );
    for event in &all[1..] {
        assert_eq!(event.ty(), "dev.cdevents.artifact.published.0.3.0");
        assert_eq!(event.time(), Some("2026-01-01T02:00:00Z"));
        assert_eq!(data(event)["subject"]["content"], json!({"user": "eve"}));
    }
    assert_eq!(
        data(&all[2])["customData"]["release"],
        json!({
            "tag": "v1.0/rc+1", "name": "One", "url": "https://github.com/Acme/shop/releases/5",
            "author": "mallory", "target": "main", "draft": false, "prerelease": true,
            "asset": {
                "name": "shop.tar.gz", "url": "https://github.com/d/shop.tar.gz",
                "contentType": "application/gzip", "size": 12, "digest": "sha256:ab",
            },
        })
    );
    for action in ["created", "released", "prereleased", "edited"] {
        assert_eq!(run("release", &release(action)).len(), 1, "{action}");
    }
}

#[test]
fn no_id_comes_twice_in_one_delivery() {
    let mut body = release("published");
    body["release"]["assets"] = json!([{"name": "same"}, {"name": "same"}]);
    assert_eq!(run("release", &body).len(), 3);
}

#[test]
fn a_withdrawn_release_deletes_what_was_published() {
    let published = run("release", &release("published"));
    let deleted = run("release", &release("deleted"));
    assert_eq!(deleted.len(), published.len());
    for (deleted, published) in deleted[1..].iter().zip(&published[1..]) {
        assert_eq!(deleted.ty(), "dev.cdevents.artifact.deleted.0.2.0");
        assert_eq!(deleted.subject(), published.subject());
        assert_eq!(deleted.attribute("causationid").as_deref(), Some(published.id()));
        assert_eq!(deleted.time(), Some(RECEIVED));
    }
}

#[test]
fn a_deleted_draft_was_no_artifact() {
    let mut body = release("deleted");
    body["release"]["draft"] = json!(true);
    body["release"]["published_at"] = Value::Null;
    assert_eq!(run("release", &body).len(), 1);
}
