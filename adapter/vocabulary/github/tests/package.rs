use super::*;

const DIGEST: &str = "sha256:3da1996a8115d7616457760d9920b815241d0a03b34cf5f04e9a0e9d8de37498";

fn package(kind: &str, name: &str, version: &Value) -> Value {
    json!({
        "id": 1, "name": name, "namespace": "Acme", "ecosystem": kind, "package_type": kind,
        "html_url": "https://github.com/Acme/shop/packages/1", "updated_at": "2026-01-01T00:00:00Z",
        "owner": {"login": "Acme", "html_url": "https://github.com/Acme"}, "package_version": version,
    })
}

fn image(tag: &str) -> Value {
    let version = json!({
        "id": 57, "version": DIGEST, "package_url": format!("ghcr.io/Acme/Shop:{tag}"),
        "container_metadata": {"tag": {"name": tag, "digest": DIGEST}, "labels": {"revision": A}},
    });
    package("CONTAINER", "Shop", &version)
}

fn body(field: &str, package: Value) -> Value {
    let mut body = json!({"action": "published", "repository": repository(), "sender": {"login": "eve"}});
    body[field] = package;
    body
}

fn purl(package: Value) -> String {
    one("package", &body("package", package)).subject().unwrap().to_owned()
}

#[test]
fn an_image_with_a_tag_is_an_artifact() {
    let event = one("package", &body("package", image("v1")));
    assert_eq!(event.ty(), "dev.cdevents.artifact.published.0.3.0");
    assert_eq!(event.time(), Some("2026-01-01T00:00:00Z"));
    let digest = DIGEST.replace(':', "%3A");
    let purl = format!("pkg:oci/shop@{digest}?repository_url=ghcr.io/acme/shop&tag=v1");
    assert_eq!(event.subject(), Some(purl.as_str()));
    assert_eq!(data(&event)["subject"]["content"], json!({"user": "eve"}));
    assert_eq!(
        data(&event)["customData"]["package"],
        json!({
            "type": "container", "namespace": "Acme", "name": "Shop", "version": DIGEST, "tag": "v1",
            "digest": DIGEST, "image": "ghcr.io/acme/shop", "url": "https://github.com/Acme/shop/packages/1", "sha": A,
        })
    );
    // The image was made from a commit: the chain is that one's.
    let push = one("push", &push("refs/heads/main", B, A));
    assert_eq!(event.attribute("correlationid"), push.attribute("correlationid"));
}

#[test]
fn a_layer_without_a_tag_is_no_artifact() {
    assert_eq!(run("package", &body("package", image(""))).len(), 1);
}

#[test]
fn package_and_registry_package_are_one_event() {
    let first = one("package", &body("package", image("v1")));
    let mut other = image("v1");
    // Seen in recorded deliveries: the two differ in the id of the version.
    other["package_version"]["id"] = json!(58);
    let second = one("registry_package", &body("registry_package", other));
    assert_eq!(first.id(), second.id());
    let mut moved = image("v1");
    moved["updated_at"] = json!("2026-01-02T00:00:00Z");
    assert_ne!(first.id(), one("package", &body("package", moved)).id());
}

#[test]
fn an_update_tells_of_images_only() {
    let mut updated = body("package", image("v2"));
    updated["action"] = json!("updated");
    assert_eq!(one("package", &updated).ty(), "dev.cdevents.artifact.published.0.3.0");
    let mut npm = body("package", package("npm", "carts", &json!({"version": "1.0.0"})));
    npm["action"] = json!("updated");
    assert_eq!(run("package", &npm).len(), 1);
}

#[test]
fn each_kind_of_package_has_its_purl() {
    let version = json!({"version": "1.0.0+x"});
    assert_eq!(purl(package("npm", "Carts", &version)), "pkg:npm/%40acme/carts@1.0.0%2Bx");
    assert_eq!(purl(package("npm", "@other/carts", &version)), "pkg:npm/%40other/carts@1.0.0%2Bx");
    assert_eq!(purl(package("rubygems", "carts", &version)), "pkg:gem/carts@1.0.0%2Bx");
    assert_eq!(purl(package("nuget", "Acme.Carts", &version)), "pkg:nuget/Acme.Carts@1.0.0%2Bx");
    assert_eq!(purl(package("docker", "carts", &version)), "pkg:docker/acme/carts@1.0.0%2Bx");
    assert_eq!(purl(package("new kind", "carts", &version)), "pkg:generic/Acme/carts@1.0.0%2Bx");
    let files = json!({"version": "1.0", "package_files": [{"name": null}, {"name": "carts-api-1.0.pom"}]});
    assert_eq!(purl(package("maven", "com.acme.carts-api", &files)), "pkg:maven/com.acme/carts-api@1.0");
    let other = json!({"version": "1.0", "package_files": [{"name": "else-1.0.pom"}]});
    assert_eq!(purl(package("maven", "com.acme.carts", &other)), "pkg:maven/com.acme.carts@1.0");
}

#[test]
fn a_package_may_belong_to_an_account_alone() {
    let mut body = body("package", package("npm", "carts", &json!({"version": "1"})));
    body["repository"] = json!(null);
    let event = one("package", &body);
    assert_eq!(event.source(), "https://github.com/Acme");
    assert_eq!(data(&event)["customData"].get("repository"), None);
    body["package"]["owner"] = json!(null);
    let error = lost(&webhook("package", &body));
    assert!(error.contains("`package.owner.html_url`"), "{error}");
}

#[test]
fn a_package_without_a_version_is_a_raw_event_only() {
    assert_eq!(run("package", &body("package", package("npm", "carts", &json!(null)))).len(), 1);
}
