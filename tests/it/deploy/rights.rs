//! The rights of the service account: enough for the whole work, and none too many.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use pipewright::event::Event;
use serde_json::{Value, json};

use super::pod::Container;
use super::proxy::{Call, Proxy};
use super::verbs::break_mapping;
use super::{edit, editable, installed, make_pipeline};
use crate::support::deployed::{self, kubectl, render};
use crate::support::ground::Real;
use crate::support::process::{Recorder, fixture};

pub fn resource(kind: &str) -> ApiResource {
    let version = if kind == "CustomRun" { "v1beta1" } else { "v1" };
    ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", version, kind))
}

/// The last part of `dev.cdevents.<subject>.<predicate>` of every event about a kind of run.
pub fn told(events: &[Event], subject: &str, about: &str) -> Vec<String> {
    let begins = format!("dev.cdevents.{subject}.");
    let about = events.iter().filter(|event| event.subject().is_some_and(|it| it.contains(about)));
    about.filter_map(|event| event.ty().strip_prefix(&begins)?.split('.').next().map(str::to_owned)).collect()
}

/// Makes a TaskRun that has ended when this returns.
pub async fn old_task_run(admin: &Client, namespace: &str) {
    let run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun", "metadata": {"name": "old"},
        "spec": {"taskSpec": {"steps": [{"name": "s", "image": "alpine", "command": ["true"]}]}},
    });
    deployed::apply(admin, namespace, &run).await;
    let runs: Api<DynamicObject> = Api::namespaced_with(admin.clone(), namespace, &resource("TaskRun"));
    until("the old TaskRun ends", async || {
        runs.get("old").await.unwrap().data["status"]["completionTime"].is_string()
    })
    .await;
}

/// Makes a CustomRun and ends it, as its controller would.
pub async fn custom_run(admin: &Client, namespace: &str, name: &str) {
    let run = json!({
        "apiVersion": "tekton.dev/v1beta1", "kind": "CustomRun", "metadata": {"name": name},
        "spec": {"customRef": {"apiVersion": "example.com/v1", "kind": "Approval"}},
    });
    deployed::apply(admin, namespace, &run).await;
    let now = "2026-01-01T00:00:00Z";
    let done =
        json!({"type": "Succeeded", "status": "True", "reason": "Approved", "lastTransitionTime": now});
    let status = json!({"status": {"conditions": [done], "startTime": now, "completionTime": now}});
    let runs: Api<DynamicObject> = Api::namespaced_with(admin.clone(), namespace, &resource("CustomRun"));
    runs.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < Duration::from_mins(1), "still not: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deployed_account_suffices_for_the_whole_work_and_every_verb_of_it_is_used() {
    let Some(real) = Real::new().await else { return };
    let (admin, namespace) = (real.client(), real.namespace.as_str());
    make_pipeline(&admin, namespace).await;
    let proxy = Proxy::start(&real.cluster).await;
    let sink = Recorder::start();
    let start = async || {
        let kubeconfig = deployed::kubeconfig_by_way_of(&real.cluster, namespace, &proxy.url).await;
        let documents = installed(&real.cluster);
        let container = Container::new(&documents, namespace)
            .with("KUBECONFIG", kubeconfig.to_str().unwrap())
            .with("K_SINK", &sink.url);
        // Mistakes are told in the cluster.
        break_mapping(&container, "kind: Mapping", "kind: Mappin");
        let mut pod = container.start_as_process();
        pod.ready().await;
        pod
    };

    let mut pod = start().await;
    let body = fixture("pull_request.opened.json");
    let (status, result, text) = pod.webhook("pull_request", &body).await;
    assert_eq!((status, result.as_str()), (202, "created"), "{text}");
    let (status, result, text) = pod.webhook("pull_request", &body).await;
    assert_eq!((status, result.as_str()), (202, "duplicate"), "{text}");
    let life = ["queued", "started", "finished"];
    pod.until("the run is announced", async || {
        sink.events(|events| {
            told(events, "pipelinerun", "pull-request-build") == life
                && told(events, "taskrun", "pull-request-build") == life[1..]
        })
    })
    .await;
    let runs: Api<DynamicObject> = Api::namespaced_with(admin.clone(), namespace, &resource("PipelineRun"));
    let run = runs.list(&ListParams::default()).await.unwrap().items.remove(0);
    assert_eq!(run.data["status"]["conditions"][0]["status"], "True", "{:?}", run.data["status"]);
    // A leader renews its Lease now and then.
    let renewed = |call: &Call| call.resource == "leases" && call.verb == "update";
    pod.until("the Lease is renewed", async || proxy.calls().iter().any(renewed)).await;
    pod.terminate();

    // What happens while nobody watches is announced by the next one.
    old_task_run(&admin, namespace).await;
    custom_run(&admin, namespace, "asked").await;
    let again = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "meanwhile"},
        "spec": {"pipelineRef": {"name": "build"}},
    });
    deployed::apply(&admin, namespace, &again).await;
    let pod = start().await;
    pod.until("the rest is announced", async || {
        sink.events(|events| {
            told(events, "pipelinerun", "meanwhile") == life
                && told(events, "taskrun", "/old") == life[1..]
                && told(events, "taskrun", "/asked") == life[1..]
        })
    })
    .await;

    let granted = deployed::rights(&render(&real.cluster, Path::new("deploy/base")));
    let granted: BTreeSet<_> =
        granted.into_iter().map(|right| (right.resource, right.verb, right.name)).collect();
    let used = || -> BTreeSet<_> {
        let calls = proxy.calls().into_iter();
        calls
            .map(|call| {
                let named = call.resource == "leases" && call.verb != "create";
                (call.resource, call.verb, call.name.filter(|_| named))
            })
            .collect()
    };
    // What was announced last is noted in a moment.
    pod.until("every right is used", async || granted.is_subset(&used())).await;
    let calls = proxy.calls();
    println!("{} calls: {:?}", calls.len(), used());
    assert_eq!(used(), granted);
    let refused: Vec<&Call> = calls.iter().filter(|call| matches!(call.status, 401 | 403)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    assert!(!pod.log().contains("forbidden"), "{}", pod.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_may_do_nothing_else() {
    let Some(real) = Real::new().await else { return };
    let (cluster, namespace) = (&real.cluster, real.namespace.as_str());
    let other = Real::in_cluster(Arc::clone(cluster)).await;
    let kubeconfig = deployed::kubeconfig(cluster, namespace).await;
    let ours = deployed::client_of(&kubeconfig).await;

    // What the API server says that it may, beside what every account may: ask what it may.
    let rules = async |namespace: &str| {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
        });
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews")
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&review).unwrap())
            .unwrap();
        let answer: Value = ours.request(request).await.unwrap();
        assert_eq!(answer["status"]["incomplete"], false, "{answer}");
        let rules = answer["status"]["resourceRules"].as_array().unwrap().clone();
        rules.into_iter().map(|rule| rule.to_string()).collect::<BTreeSet<_>>()
    };
    let everybody = rules(&other.namespace).await;
    for rule in &everybody {
        assert!(rule.contains("authorization.k8s.io") || rule.contains("authentication.k8s.io"), "{rule}");
    }
    let own: BTreeSet<_> = rules(namespace).await.difference(&everybody).cloned().collect();
    let documents = render(cluster, Path::new("deploy/base"));
    let given = documents.iter().filter(|document| document["kind"] == "Role");
    let granted: BTreeSet<_> =
        given.flat_map(|role| role["rules"].as_array().unwrap()).map(Value::to_string).collect();
    assert_eq!(own, granted);

    // And when it tries. The objects need not exist: the question is asked first.
    let elsewhere = other.namespace.as_str();
    let runs = "/apis/tekton.dev/v1";
    let leases = "/apis/coordination.k8s.io/v1";
    for (method, path) in [
        ("GET", format!("/api/v1/namespaces/{namespace}/secrets")),
        ("GET", format!("/api/v1/namespaces/{namespace}/secrets/github-webhook")),
        ("GET", format!("/api/v1/namespaces/{namespace}/configmaps/pipewright-mappings")),
        ("GET", format!("/api/v1/namespaces/{namespace}/pods")),
        ("POST", format!("/api/v1/namespaces/{namespace}/pods")),
        ("POST", format!("/api/v1/namespaces/{namespace}/serviceaccounts/pipewright/token")),
        ("GET", "/api/v1/namespaces".to_owned()),
        ("DELETE", format!("{runs}/namespaces/{namespace}/pipelineruns/x")),
        ("DELETE", format!("{runs}/namespaces/{namespace}/pipelineruns")),
        ("PUT", format!("{runs}/namespaces/{namespace}/pipelineruns/x")),
        ("PATCH", format!("{runs}/namespaces/{namespace}/pipelineruns/x/status")),
        ("POST", format!("{runs}/namespaces/{namespace}/taskruns")),
        ("DELETE", format!("{runs}/namespaces/{namespace}/taskruns/x")),
        ("GET", format!("{runs}/namespaces/{namespace}/pipelines/build")),
        ("GET", format!("{runs}/pipelineruns")),
        ("POST", format!("{runs}/namespaces/{elsewhere}/pipelineruns")),
        ("GET", format!("{runs}/namespaces/{elsewhere}/pipelineruns")),
        ("GET", format!("{leases}/namespaces/{namespace}/leases")),
        ("GET", format!("{leases}/namespaces/{namespace}/leases/another")),
        ("DELETE", format!("{leases}/namespaces/{namespace}/leases/pipewright")),
        ("PATCH", format!("{leases}/namespaces/{namespace}/leases/pipewright")),
        ("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles".to_owned()),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header(
                "content-type",
                if method == "PATCH" { "application/merge-patch+json" } else { "application/json" },
            )
            .body(if method == "GET" { Vec::new() } else { b"{}".to_vec() })
            .unwrap();
        match ours.request::<Value>(request).await {
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            other => panic!("{method} {path}: {other:?}"),
        }
    }
}

/// Who has the token of an account that may start runs everywhere is as good as an administrator: a PipelineRun is a pod under any
/// account of its namespace.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_whole_cluster_the_account_starts_runs_only_where_that_is_bound() {
    let Some(real) = Real::new().await else { return };
    let (cluster, pods) = (&real.cluster, real.namespace.as_str());
    let other = Real::in_cluster(Arc::clone(cluster)).await;
    let builds = other.namespace.as_str();
    let folder = editable("whole-cluster");
    let file = |name: &str| format!("deploy/cluster-wide/{name}.yaml");
    edit(&folder, &file("kustomization"), "namespace: pipewright\n", &format!("namespace: {pods}\n"));
    edit(&folder, &file("namespace"), "name: pipewright\n", &format!("name: {pods}\n"));
    let overlay = folder.path().join("deploy/cluster-wide");
    kubectl(cluster, &["apply", "-k", overlay.to_str().unwrap()], "").unwrap();

    let token = deployed::token(&real.client(), pods).await;
    let kubeconfig = deployed::write_kubeconfig(cluster, pods, &cluster.server, &token);
    let ours = deployed::client_of(&kubeconfig).await;
    let may = async |verb: &str, namespace: &str| {
        let runs =
            json!({"namespace": namespace, "group": "tekton.dev", "resource": "pipelineruns", "verb": verb});
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": runs},
        });
        let request = Request::post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("content-type", "application/json")
            .body(serde_json::to_vec(&review).unwrap())
            .unwrap();
        let answer: Value = ours.request(request).await.unwrap();
        answer["status"]["allowed"] == true
    };
    until("the account may start runs beside its pods", async || may("create", pods).await).await;
    until("it may watch runs everywhere", async || may("watch", "").await).await;
    for namespace in ["", "kube-system", "default", builds] {
        assert!(!may("create", namespace).await, "`{namespace}`");
        assert!(!may("delete", namespace).await, "`{namespace}`");
    }
    let bind = ["create", "rolebinding", "pipewright-start", "-n", builds, "--clusterrole=pipewright-start"];
    let account = format!("--serviceaccount={pods}:pipewright");
    kubectl(cluster, &[&bind[..], &[&account]].concat(), "").unwrap();
    until("it may start runs where that is bound", async || may("create", builds).await).await;
    for namespace in ["", "kube-system", "default"] {
        assert!(!may("create", namespace).await, "`{namespace}`");
    }
    // What is of no namespace would stay.
    kubectl(cluster, &["delete", "clusterrolebinding", "pipewright-watch"], "").unwrap();
    kubectl(cluster, &["delete", "clusterrole", "pipewright-watch", "pipewright-start"], "").unwrap();
}
