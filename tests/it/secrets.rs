//! Secrets as they are shown and compared over HTTP: bytes, of which nobody said that they are ASCII.

use pipewright::settings::{SourceDocument, SourceSpec};
use pipewright::source::Auth;
use pipewright::source::signature::sign;
use pipewright::vocabulary::Forge;
use pipewright::vocabulary::scope::Scope;

use crate::support::service::{SECRET, Service, Setup, literal};

/// Has two letters outside of ASCII.
const ODD: &str = "dév☃ of sixteen bytes";
const JSON: (&str, &str) = ("content-type", "application/json");
const EVENT: &str = r#"{"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.it", "datacontenttype": "text/plain"}"#;

fn gitlab(setup: Setup, secret: &str) -> Setup {
    setup.with(|settings| {
        let spec = SourceSpec::Forge(Forge::GitLab, Auth::Signed(vec![literal(secret)]));
        settings.sources.push(SourceDocument { name: "gitlab".into(), scope: Scope::default(), spec });
    })
}

async fn post(service: &Service, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let answer = service.send("POST", path, headers, body.to_owned()).await;
    (answer.status, answer.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_outside_ascii_is_taken_wherever_it_is_shown_and_a_wrong_one_nowhere() {
    let service = gitlab(Setup::new(), ODD)
        .generic("token", "{type: t, source: /s}", &[ODD])
        .generic("header", "{type: t, source: /s, tokenHeader: X-Auth-Token}", &[ODD])
        .with(|settings| {
            settings.process.insecure_events = false;
            settings.process.event_tokens = vec![literal(ODD)];
        })
        .start()
        .await;
    for (secret, accepted) in [(ODD, true), ("dev☃ of sixteen bytes", false), ("d\u{e9}v", false)] {
        let bearer = format!("Bearer {secret}");
        let event = ("content-type", "application/cloudevents+json");
        for (path, headers, body) in [
            (
                "/webhooks/gitlab",
                &[("x-gitlab-token", secret), ("x-gitlab-event", "New Hook"), JSON][..],
                "{}",
            ),
            ("/webhooks/token", &[("authorization", &*bearer), JSON], "{}"),
            ("/webhooks/header", &[("x-auth-token", secret), JSON], "{}"),
            ("/events", &[("authorization", &bearer), event], EVENT),
        ] {
            let (status, text) = post(&service, path, headers, body).await;
            assert_eq!(status, if accepted { 202 } else { 401 }, "{path} {secret}: {text}");
            assert!(!text.contains("missing"), "{path}: the header is there: {text}");
        }
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_there_is_never_called_missing() {
    let service = gitlab(Setup::new(), SECRET)
        .source("github", vec![literal(SECRET)])
        .generic("named", "{type: t, source: /s, eventHeader: X-Event, tokenHeader: X-Token}", &[SECRET])
        .start()
        .await;
    let signature = sign(SECRET.as_bytes(), b"{}");
    let signed = ("x-hub-signature-256", &*signature);
    let (id, push) = (("x-github-delivery", "1"), ("x-github-event", "push"));
    let named = ("x-token", SECRET);
    for (path, headers, status, reason) in [
        (
            "github",
            &[("x-hub-signature-256", "sha256=é"), push, id, JSON][..],
            401,
            "must be `sha256=` and 64",
        ),
        ("github", &[signed, signed, push, id, JSON], 401, "`X-Hub-Signature-256` stands more than once"),
        ("github", &[signed, ("x-github-event", "é"), id, JSON], 400, "`X-GitHub-Event` is not one that"),
        ("github", &[signed, push, push, id, JSON], 400, "`X-GitHub-Event` stands more than once"),
        ("github", &[signed, push, ("x-github-delivery", "é"), JSON], 400, "`X-GitHub-Delivery` is not one"),
        ("gitlab", &[("x-gitlab-token", "é"), JSON], 401, "`X-Gitlab-Token` matches none"),
        ("gitlab", &[("webhook-signature", "é"), JSON], 401, "`webhook-signature` matches none"),
        (
            "gitlab",
            &[("x-gitlab-token", SECRET), ("x-gitlab-token", SECRET), JSON],
            401,
            "`X-Gitlab-Token` stands more than once",
        ),
        ("named", &[("x-token", "é"), JSON], 401, "`X-Token` matches none"),
        ("named", &[named, named, JSON], 401, "`X-Token` stands more than once"),
        ("named", &[named, ("x-event", "é"), JSON], 400, "`X-Event` must have 1 to 64 letters"),
        ("named", &[named, ("x-event", "a"), ("x-event", "a"), JSON], 400, "`X-Event` stands more than once"),
    ] {
        let (found, text) = post(&service, &format!("/webhooks/{path}"), headers, "{}").await;
        assert_eq!(found, status, "{path} {headers:?}: {text}");
        assert!(text.contains(reason) && !text.contains("missing"), "{path} {headers:?}: {text}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_that_fit_no_secret_are_counted_and_nothing_else_is_counted_with_them() {
    let service = Setup::new().source("github", vec![literal(SECRET)]).start().await;
    let post = async |secret: &str, headers: &[(&str, &str)], body: &str| {
        let signature = sign(secret.as_bytes(), body.as_bytes());
        let mut all = vec![("x-hub-signature-256", &*signature), JSON];
        all.extend(headers);
        post(&service, "/webhooks/github", &all, body).await.0
    };
    let id = ("x-github-delivery", "1");
    let push = ("x-github-event", "push");
    // Known, and no delivery all the same.
    assert_eq!(post(SECRET, &[push, id], "[]").await, 400);
    assert_eq!(post(SECRET, &[push, id], "{").await, 400);
    assert_eq!(post(SECRET, &[id], "{}").await, 400);
    // Of another forge, so that it is not known which secret it would have shown.
    assert_eq!(post(SECRET, &[("x-gitea-event", "push"), id], "{}").await, 400);
    let counted = async |secret: &str| {
        let label = format!("pipewright_signatures_total{{source=\"github\",secret=\"{secret}\"}} ");
        let text = service.get("/metrics").await.text;
        text.lines().find_map(|line| line.strip_prefix(&label).map(str::to_owned))
    };
    assert_eq!((counted("none").await, counted("0").await.as_deref()), (None, Some("3")));
    assert_eq!(post("other", &[push, id], "{}").await, 401);
    assert_eq!((counted("none").await.as_deref(), counted("0").await.as_deref()), (Some("1"), Some("3")));
    service.stop().await;
}
