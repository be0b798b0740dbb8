//! Installed with the commands of `docs/deploy.md`, at work, and taken away again.

use std::path::Path;
use std::sync::Arc;

use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use pipewright_cluster::Cluster;
use serde_json::{Value, json};

use super::pod::{Container, Pod};
use super::{edit, editable, installed, make_pipeline};
use crate::support::deployed::{self, kubectl};
use crate::support::ground::Real;
use crate::support::process::{Recorder, SECRET, fixture, shipped_mappings};

/// What is installed in a namespace, as the API server has it.
fn found(cluster: &Cluster, namespace: &str, kinds: &str) -> Vec<Value> {
    let text = kubectl(cluster, &["get", kinds, "-n", namespace, "-o", "json"], "").unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
}

fn make_secret(cluster: &Cluster, namespace: &str) {
    let literal = format!("--from-literal=secret={SECRET}");
    let command = ["create", "secret", "generic", "github-webhook", "-n", namespace, &literal];
    kubectl(cluster, &command, "").unwrap();
}

/// A pod of what is installed, under its service account.
async fn start(cluster: &Cluster, admin: &Client, namespace: &str, sink: &Recorder) -> Pod {
    let documents = found(cluster, namespace, "deployments,configmaps,secrets");
    let token = deployed::token(admin, namespace).await;
    let kubeconfig = deployed::write_kubeconfig(cluster, namespace, &cluster.server, &token);
    let mut pod = Container::new(&documents, namespace)
        .with("KUBECONFIG", kubeconfig.to_str().unwrap())
        .with("K_SINK", &sink.url)
        .start_as_process();
    pod.ready().await;
    pod
}

/// A webhook is sent, and the run that it makes is announced to its end.
async fn works(pod: &Pod, sink: &Recorder) {
    let (code, result, text) = pod.webhook("pull_request", &fixture("pull_request.opened.json")).await;
    assert_eq!((code, result.as_str()), (202, "created"), "{text}");
    let finished = |ty: &str| ty.starts_with("dev.cdevents.pipelinerun.finished.");
    pod.until("the end of the run is announced", async || {
        sink.events(|events| events.iter().any(|event| finished(event.ty())))
    })
    .await;
    assert!(!pod.log().contains("forbidden"), "{}", pod.log());
}

async fn runs(admin: &Client, namespace: &str) -> Vec<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
    let api: Api<DynamicObject> = Api::namespaced_with(admin.clone(), namespace, &resource);
    api.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_documentation_install_what_works_and_take_it_away() {
    let Some(real) = Real::new().await else { return };
    let (cluster, admin, namespace) = (&real.cluster, real.client(), real.namespace.as_str());
    let sink = Recorder::start();
    make_pipeline(&admin, namespace).await;
    make_secret(cluster, namespace);
    kubectl(cluster, &["apply", "-n", namespace, "-k", "deploy/base"], "").unwrap();

    let mut pod = start(cluster, &admin, namespace, &sink).await;
    works(&pod, &sink).await;
    assert_eq!(runs(&admin, namespace).await.len(), 1);

    // A changed mapping reaches the running pod as the kubelet brings it, by the swap of a link.
    pod.swap("etc/pipewright/mappings", &[("none.yaml", "")]);
    pod.until("the mappings are gone", async || {
        pod.page("/metrics").await.contains("\npipewright_mappings 0\n")
    })
    .await;
    let text = std::fs::read_to_string(shipped_mappings().join("push-build.yaml")).unwrap();
    pod.swap("etc/pipewright/mappings", &[("push-build.yaml", &text)]);
    pod.until("one is there", async || pod.page("/metrics").await.contains("\npipewright_mappings 1\n"))
        .await;
    let (code, result, text) = pod.webhook("push", &fixture("push.main.json")).await;
    assert_eq!((code, result.as_str()), (202, "created"), "{text}");
    pod.terminate();

    kubectl(cluster, &["delete", "-n", namespace, "-k", "deploy/base"], "").unwrap();
    kubectl(cluster, &["delete", "lease", "pipewright", "-n", namespace], "").unwrap();
    let kinds = "deployments,services,roles,rolebindings,poddisruptionbudgets,networkpolicies,leases";
    let left = found(cluster, namespace, kinds);
    assert!(left.is_empty(), "{left:?}");
    let left = found(cluster, namespace, "configmaps,secrets,serviceaccounts");
    let names: Vec<&str> = left.iter().map(|it| it["metadata"]["name"].as_str().unwrap()).collect();
    assert!(!names.iter().any(|name| name.contains("pipewright")), "{names:?}");
    assert_eq!(runs(&admin, namespace).await.len(), 2, "runs stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_may_be_in_another_namespace_than_the_pods() {
    let Some(real) = Real::new().await else { return };
    let (cluster, admin, pods) = (&real.cluster, real.client(), real.namespace.as_str());
    let other = Real::in_cluster(Arc::clone(cluster)).await;
    let builds = other.namespace.as_str();
    let folder = editable("tekton");
    let named = |namespace: &str| format!("namespace: {namespace}\n");
    edit(&folder, "deploy/tekton/adapter/kustomization.yaml", "namespace: pipewright\n", &named(pods));
    edit(&folder, "deploy/tekton/adapter/namespace.yaml", "name: pipewright\n", &format!("name: {pods}\n"));
    edit(&folder, "deploy/tekton/runs/kustomization.yaml", "namespace: ci\n", &named(builds));
    let overlay = folder.path().join("deploy/tekton");
    kubectl(cluster, &["apply", "-k", overlay.to_str().unwrap()], "").unwrap();
    make_secret(cluster, pods);
    make_pipeline(&admin, builds).await;

    let sink = Recorder::start();
    let pod = start(cluster, &admin, pods, &sink).await;
    works(&pod, &sink).await;
    assert_eq!((runs(&admin, pods).await.len(), runs(&admin, builds).await.len()), (0, 1));
    assert_eq!(found(cluster, pods, "leases").len(), 1);
    assert_eq!(found(cluster, builds, "leases").len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_may_be_read_through_the_api_where_a_role_grants_it() {
    let Some(real) = Real::new().await else { return };
    let (cluster, admin, namespace) = (&real.cluster, real.client(), real.namespace.as_str());
    make_pipeline(&admin, namespace).await;
    make_secret(cluster, namespace);
    let kubeconfig = deployed::kubeconfig(cluster, namespace).await;
    let sink = Recorder::start();
    let container = || {
        let container = Container::new(&installed(cluster), namespace)
            .with("KUBECONFIG", kubeconfig.to_str().unwrap())
            .with("K_SINK", &sink.url);
        container.edit("etc/pipewright/settings/pipewright.yaml", |text| {
            let file = "file: /etc/pipewright/github/secret";
            text.replace(file, "secretKeyRef: {name: github-webhook, key: secret}")
        });
        container
    };
    let mut pod = container().start_as_process();
    let log = pod.ends_badly();
    assert!(log.contains("cannot get resource") && log.contains("secrets"), "{log}");

    let grant = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "secret"}, "rules": [{
            "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["github-webhook"], "verbs": ["get"],
        }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "secret"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "secret"},
        "subjects": [{"kind": "ServiceAccount", "name": "pipewright", "namespace": namespace}],
    });
    deployed::apply(&admin, namespace, &grant).await;
    deployed::apply(&admin, namespace, &binding).await;
    for right in deployed::rights(&[grant]) {
        right.is(true, &admin, namespace).await;
    }
    let mut pod = container().start_as_process();
    pod.ready().await;
    works(&pod, &sink).await;
}

/// The manifests name a folder that is there; a ConfigMap cannot be made of a file that is not.
#[test]
fn every_shipped_mapping_is_installed_or_left_out_on_purpose() {
    let list = std::fs::read_to_string(shipped_mappings().join("Kustomization")).unwrap();
    for entry in std::fs::read_dir(shipped_mappings()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(Path::new(&name).extension().is_none() || list.contains(&name), "{name}");
    }
}
