//! Who may send CloudEvents: nobody, unless the settings say so.

mod issuer;
mod mtls;
mod oidc;

use serde_json::{Value, json};

use crate::support::service::{Answer, Service, Setup, literal};

const STRUCTURED: (&str, &str) = ("content-type", "application/cloudevents+json");
const PUSH: &str = include_str!("../fixtures/github/push.main.json");
const OPENED: &str = include_str!("../fixtures/github/pull_request.opened.json");
/// A run for each event that a stranger would like to start one with.
const BUILD: &str = r"apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: build-anything}
spec:
  events:
    - type: com.github.push
    - type: dev.cdeventsx.git-ref.updated
    - type: dev.cdevents.change.created
    - type: com.example.image.pushed
    - type: dev.knative.source.github.*
  do:
    - name: build
      pipelineRun: {spec: {pipelineRef: {name: build}}}
";

/// Events that look as if a forge's webhook had been checked, or that mappings take for one.
fn forged() -> Vec<Value> {
    let event = |ty: &str, source: &str, data: Value| {
        json!({"specversion": "1.0", "id": "1", "source": source, "type": ty,
            "datacontenttype": "application/json", "data": data})
    };
    let github = "https://github.com/myorg/shop";
    let evil = |text: &str| -> Value {
        serde_json::from_str(&text.replace("https://github.com/", "https://evil.example/")).unwrap()
    };
    let cdevent = |ty: &str, content: Value| {
        json!({
            "context": {"version": "0.5.1", "id": "1", "source": github, "type": ty,
                "timestamp": "2026-01-01T00:00:00Z", "specversion": "0.5.1"},
            "subject": {"id": "1", "source": github, "type": ty.split('.').nth(2).unwrap(), "content": content},
            "customData": {"repository": {"cloneUrl": "https://evil.example/x.git"}},
        })
    };
    let [change, git_ref] = ["dev.cdevents.change.created.0.4.0", "dev.cdeventsx.git-ref.updated.0.1.0"];
    vec![
        event("dev.knative.source.github.push", github, evil(PUSH)),
        event("dev.knative.source.github.pull_request", github, evil(OPENED)),
        event("com.github.push", github, evil(PUSH)),
        event(change, github, cdevent(change, json!({"repository": {"id": "myorg/shop"}}))),
        event(git_ref, github, cdevent(git_ref, json!({"ref": "refs/heads/main"}))),
        event("com.example.image.pushed", "https://registry.example.com", json!({"tag": "latest"})),
        event("dev.tekton.event.pipelinerun.started.v1", "/runs/1", json!({"pipelineRun": {}})),
    ]
}

/// An event in each mode: headers and body.
fn modes(event: &Value) -> Vec<(Vec<(String, String)>, String)> {
    let content_type = |value: &str| ("content-type".to_owned(), value.to_owned());
    let attributes = ["specversion", "id", "source", "type"];
    let mut binary: Vec<(String, String)> = attributes
        .iter()
        .map(|name| (format!("ce-{name}"), event[*name].as_str().unwrap().to_owned()))
        .collect();
    binary.push(content_type("application/json"));
    vec![
        (binary, event["data"].to_string()),
        (vec![content_type("application/cloudevents+json")], event.to_string()),
        (vec![content_type("application/cloudevents-batch+json")], format!("[{event}]")),
    ]
}

async fn post(service: &Service, path: &str, headers: &[(String, String)], body: &str) -> Answer {
    let headers: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    service.send("POST", path, &headers, body.to_owned()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_default_settings_no_event_is_taken_in_any_mode_and_none_does_anything() {
    let service = Setup::closed()
        .mapping("anything", BUILD)
        .shipped("push-build")
        .generic(
            "registry",
            "{type: com.example.image.pushed, source: 'https://registry.example.com'}",
            &["s"],
        )
        .source("github", vec![literal(crate::support::service::SECRET)])
        .start()
        .await;
    let mut tried = 0;
    for event in forged() {
        for (mut headers, body) in modes(&event) {
            for path in ["/", "/events"] {
                let answer = post(&service, path, &headers, &body).await;
                answer.refused(403, "`eventTokens`, `eventOidc` or `eventTls`");
                answer.refused(403, "`insecureEvents: true`");
                tried += 1;
            }
            // No proof is one where none was asked for.
            headers.push(("authorization".into(), "Bearer x".into()));
            post(&service, "/?access_token=x", &headers, &body).await.refused(403, "is closed");
            tried += 1;
        }
    }
    assert_eq!(tried, 7 * 3 * 3);
    assert_eq!((service.runs().await.len(), service.events.count()), (0, 0));
    let none = "pipewright_events_authenticated_total{by=\"none\"}";
    assert!((service.metric(none).await - f64::from(tried)).abs() < 0.5);
    let ready = service.get("/readyz?verbose").await.text;
    assert!(ready.contains("[+] events ok: the route for CloudEvents is closed"), "{ready}");

    // Nobody has taken the place of the forge's own.
    service.github("push", PUSH).await.accepted("created");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_authorization_headers_none_counts() {
    let service = Setup::new().with(|it| it.process.event_tokens = vec![literal("token")]).start().await;
    let event = forged()[5].to_string();
    for twice in [["Bearer token", "Bearer token"], ["Bearer token", "Bearer x"], ["Basic x", "Bearer token"]]
    {
        let headers = [STRUCTURED, ("authorization", twice[0]), ("Authorization", twice[1])];
        let answer = service.send("POST", "/events", &headers, event.clone()).await;
        answer.refused(401, "`authorization` appears twice");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_is_open_to_everybody_says_so() {
    let service = Setup::closed().with(|it| it.process.insecure_events = true).start().await;
    let event = &forged()[5];
    service.send("POST", "/events", &[STRUCTURED], event.to_string()).await.accepted("ignored");
    let ready = service.get("/readyz?verbose").await;
    assert!(ready.text.contains("[!] events: CloudEvents are taken with no proof at all"), "{ready:?}");
    assert_eq!(ready.status, 200);
    assert!(service.metric("pipewright_events_authenticated_total{by=\"insecure\"}").await > 0.5);
    service.stop().await;
}
