//! Nothing that nobody vouches for starts a run: every folder of `deploy/` as it is shipped, on the real API server, with every
//! port in reach.

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::{DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};

use super::manifests::{OVERLAYS, overlay};
use super::pod::{Container, Pod};
use super::rights::resource;
use super::{make_pipeline, with_secret};
use crate::support::deployed::{self, render};
use crate::support::ground::Real;
use crate::support::process::fixture;

/// A push as every envelope has it that becomes the event of a webhook, with the type of that envelope.
fn envelopes() -> Vec<(String, Value)> {
    let push = fixture("push.main.json");
    let change = fixture("pull_request.opened.json");
    let gitlab = json!({"object_kind": "push", "ref": "refs/heads/main",
        "before": "a".repeat(40), "after": "b".repeat(40),
        "project": {"id": 7, "path_with_namespace": "myorg/shop", "web_url": "https://gitlab.com/myorg/shop",
            "git_http_url": "https://evil.example/x.git", "default_branch": "main"}});
    let cdevent = |ty: &str, subject: Value, custom: Value| {
        json!({"context": {"specversion": "0.5.1", "id": "1", "source": "https://github.com/myorg/shop", "type": ty,
            "timestamp": "2026-01-02T03:04:05Z"}, "subject": subject, "customData": custom})
    };
    let repository = json!({"owner": "myorg", "name": "shop", "url": "https://github.com/myorg/shop",
        "cloneUrl": "https://evil.example/x.git", "defaultBranch": "main"});
    let pushed = cdevent(
        "dev.cdeventsx.git-ref.updated.0.1.0",
        json!({"id": "refs/heads/main", "content": {}}),
        json!({"forge": {"name": "github", "event": "push", "delivery": "d"}, "repository": repository,
            "push": {"ref": "refs/heads/main", "branch": "main", "after": "b".repeat(40)}}),
    );
    let opened = |version: &str| {
        cdevent(
            &format!("dev.cdevents.change.created.{version}"),
            json!({"id": "5", "content": {"repository": {"id": "myorg/shop"}}}),
            json!({"forge": {"name": "github", "event": "pull_request", "delivery": "d"}, "repository": repository,
                "change": {"number": 5, "title": "t", "draft": false, "labels": [],
                    "author": {"login": "ann", "association": "OWNER"},
                    "source": {"branch": "x", "sha": "b".repeat(40), "fork": false,
                        "repositoryUrl": "https://evil.example/x.git"},
                    "target": {"branch": "main", "sha": "a".repeat(40)}}}),
        )
    };
    [
        ("dev.knative.source.github.push", push.clone()),
        ("dev.knative.source.github.pull_request", change.clone()),
        ("dev.knative.sources.gitlab.push", gitlab.clone()),
        ("dev.knative.sources.gitlabsource.Push Hook", gitlab),
        ("com.github.push", push),
        ("com.github.pull_request.opened", change),
        ("dev.cdeventsx.git-ref.updated.0.1.0", pushed),
        ("dev.cdevents.change.created.0.4.0", opened("0.4.0")),
        ("dev.cdevents.change.created.0.3.0", opened("0.3.0")),
        ("dev.cdevents.change.created.0.1.2", opened("0.1.2")),
        ("dev.tekton.event.pipelinerun.started.v1", json!({"pipelineRun": {"metadata": {"name": "x"}}})),
    ]
    .map(|(ty, data)| (ty.to_owned(), data))
    .into()
}

/// Requests to one address, in each of the three modes, with what a sender may claim besides.
async fn send_events(url: &str, proof: Option<&str>) -> Vec<(String, u16)> {
    let http = crate::support::http();
    let mut answers = Vec::new();
    let mut batch = Vec::new();
    for (ty, data) in envelopes() {
        let event = json!({"specversion": "1.0", "id": "1", "source": "https://github.com/myorg/shop", "type": ty,
            "datacontenttype": "application/json", "pipewrightsource": "github", "data": data});
        let mut requests = vec![
            http.post(url)
                .header("content-type", "application/cloudevents+json; charset=utf-8")
                .body(event.to_string()),
        ];
        if !ty.contains(' ') {
            let binary = http
                .post(url)
                .header("content-type", "application/json")
                .header("ce-specversion", "1.0")
                .header("ce-id", "1")
                .header("ce-source", "https://github.com/myorg/shop")
                .header("ce-type", &ty)
                .header("ce-pipewrightsource", "github");
            requests.push(binary.body(data.to_string()));
        }
        batch.push(event);
        for mut request in requests {
            if let Some(proof) = proof {
                request = request.header("authorization", proof);
            }
            answers.push((format!("{ty} to {url}"), request.send().await.unwrap().status().as_u16()));
        }
    }
    let request = http
        .post(url)
        .header("content-type", "application/cloudevents-batch+json")
        .body(Value::from(batch).to_string());
    answers.push((format!("a batch to {url}"), request.send().await.unwrap().status().as_u16()));
    answers
}

/// Deliveries without a signature, or with one by a secret that is nobody's.
async fn send_webhooks(url: &str) -> Vec<(String, u16)> {
    let http = crate::support::http();
    let mut answers = Vec::new();
    for (event, file) in [("push", "push.main.json"), ("pull_request", "pull_request.opened.json")] {
        let body = serde_json::to_vec(&fixture(file)).unwrap();
        let signature = pipewright::source::signature::sign(b"guessed", &body);
        for source in ["github", "gitea", "gitlab", "bitbucket"] {
            for proof in
                [None, Some(("x-hub-signature-256", signature.as_str())), Some(("x-gitlab-token", "guessed"))]
            {
                let mut request = http
                    .post(format!("{url}/webhooks/{source}"))
                    .header("content-type", "application/json")
                    .header("x-github-event", event)
                    .header("x-gitea-event", event)
                    .header("x-github-delivery", uuid::Uuid::new_v4().to_string())
                    .body(body.clone());
                if let Some((name, value)) = proof {
                    request = request.header(name, value);
                }
                answers.push((
                    format!("{event} to {url}/webhooks/{source}"),
                    request.send().await.unwrap().status().as_u16(),
                ));
            }
        }
    }
    answers
}

async fn runs(real: &Real) -> usize {
    let runs: Api<DynamicObject> =
        Api::namespaced_with(real.client(), &real.namespace, &resource("PipelineRun"));
    runs.list(&ListParams::default()).await.unwrap().items.len()
}

/// A pod of an overlay in a namespace of the test, whose settings have been edited.
async fn start_with(real: &Real, name: &str, edit: impl FnOnce(String) -> String) -> Pod {
    make_pipeline(&real.client(), &real.namespace).await;
    let documents = with_secret(render(&real.cluster, &overlay(name)));
    let kubeconfig = deployed::kubeconfig(&real.cluster, &real.namespace).await;
    let container = Container::new(&documents, &real.namespace)
        .with("KUBECONFIG", kubeconfig.to_str().unwrap())
        .with("PIPEWRIGHT_NAMESPACE", &real.namespace)
        .with("PIPEWRIGHT_WATCH_NAMESPACE", &real.namespace);
    container.edit("etc/pipewright/settings/pipewright.yaml", edit);
    let mut pod = container.start_as_process();
    pod.ready().await;
    pod
}

async fn start(real: &Real, name: &str) -> Pod {
    start_with(real, name, |settings| settings).await
}

/// A token of a service account, as the API server issues it for an audience.
async fn token_for(real: &Real, account: &str, audience: &str) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(real.client(), &real.namespace);
    let new = serde_json::from_value(json!({"metadata": {"name": account}})).unwrap();
    if accounts.get_opt(account).await.unwrap().is_none() {
        accounts.create(&PostParams::default(), &new).await.unwrap();
    }
    let request: TokenRequest =
        serde_json::from_value(json!({"spec": {"audiences": [audience], "expirationSeconds": 3600}}))
            .unwrap();
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
    answer.status.unwrap().token
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_unsigned_starts_a_run_in_any_overlay() {
    for (name, _) in OVERLAYS {
        let Some(real) = Real::new().await else { return };
        let pod = start(&real, name).await;
        let mut answers = Vec::new();
        for port in [&pod.url, &pod.admin, &pod.events, &pod.probes] {
            answers.append(&mut send_webhooks(port).await);
            for path in ["/", "/events", "/events/", "//events", "/webhooks/events"] {
                answers.append(&mut send_events(&format!("{port}{path}"), None).await);
            }
        }
        for proof in ["Bearer ", "Bearer x", "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic Og=="] {
            answers.append(&mut send_events(&format!("{}/events", pod.events), Some(proof)).await);
        }
        let taken: Vec<_> = answers.iter().filter(|(_, status)| *status < 400).collect();
        assert!(taken.is_empty(), "{name}: {taken:?}");
        assert_eq!(runs(&real).await, 0, "{name}");
        // And it would have been a run, had somebody signed it.
        let (status, result, text) = pod.webhook("pull_request", &fixture("pull_request.opened.json")).await;
        assert_eq!((status, result.as_str()), (202, "created"), "{name}: {text}");
        assert_eq!(runs(&real).await, 1, "{name}");
        println!("{name}: {} requests, none was taken", answers.len());
    }
}

/// Knative gives each Trigger a service account and sends its token, with the audience of the subscriber: `deploy/knative` lets
/// that one in, by the keys that the API server itself shows.
#[tokio::test(flavor = "multi_thread")]
async fn the_triggers_own_token_lets_its_events_in_and_no_other_token_does() {
    const TRIGGER: &str = "pipewright-oidc-eventing.knative.dev-trigger";
    let Some(real) = Real::new().await else { return };
    let pod = start_with(&real, "knative", |settings| {
        let issuer = "https://kubernetes.default.svc.cluster.local";
        let account = "system:serviceaccount:ci:";
        assert!(settings.contains(issuer) && settings.contains(account), "{settings}");
        settings
            .replace(issuer, &real.cluster.server)
            .replace(account, &format!("system:serviceaccount:{}:", real.namespace))
    })
    .await;
    let send = async |token: &str| {
        let (_, event) = envelopes().into_iter().find(|(ty, _)| ty == "com.github.push").unwrap();
        let request = crate::support::http()
            .post(format!("{}/events", pod.events))
            .bearer_auth(token)
            .header("ce-specversion", "1.0")
            .header("ce-id", "1")
            .header("ce-source", "https://github.com/myorg/shop")
            .header("ce-type", "dev.knative.source.github.push")
            .header("content-type", "application/json")
            .body(event.to_string());
        request.send().await.unwrap().status().as_u16()
    };
    // For somebody else, for the API server, and of another account.
    let others = [
        (token_for(&real, TRIGGER, "https://somebody.else").await, 401),
        (token_for(&real, TRIGGER, &real.cluster.server).await, 401),
        (token_for(&real, "default", "pipewright").await, 403),
        (deployed::token(&real.client(), &real.namespace).await, 401),
    ];
    for (other, status) in &others {
        assert_eq!(send(other).await, *status);
    }
    assert_eq!(runs(&real).await, 0);
    assert_eq!(send(&token_for(&real, TRIGGER, "pipewright").await).await, 202);
    assert_eq!(runs(&real).await, 1);
}
