//! The manifests as kubectl renders them, held to the API server's own schema and admission.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use pipewright_cluster::Cluster;
use serde_json::{Value, json};

use crate::support::deployed::{kubectl, only, render};
use crate::support::ground::Real;
use crate::support::program::PROJECT;
use crate::support::skip;

/// What each overlay installs, beside what `deploy/base/adapter` does.
pub const OVERLAYS: [(&str, &[&str]); 4] = [
    ("base", &["Role pipewright-runs", "RoleBinding pipewright-runs"]),
    (
        "knative",
        &[
            "Role pipewright-runs",
            "RoleBinding pipewright-runs",
            "SinkBinding pipewright",
            "Trigger pipewright",
        ],
    ),
    ("tekton", &["Namespace pipewright", "Role ci/pipewright-runs", "RoleBinding ci/pipewright-runs"]),
    (
        "cluster-wide",
        &[
            "Namespace pipewright",
            "ClusterRole pipewright-watch",
            "ClusterRoleBinding pipewright-watch",
            "ClusterRole pipewright-start",
            "RoleBinding pipewright-start",
        ],
    ),
];
const EVERYWHERE: [&str; 12] = [
    "ServiceAccount pipewright",
    "Role pipewright-lease",
    "RoleBinding pipewright-lease",
    "Role pipewright-events",
    "RoleBinding pipewright-events",
    "ConfigMap pipewright-mappings",
    "ConfigMap pipewright-settings",
    "Service pipewright",
    "Service pipewright-events",
    "Deployment pipewright",
    "PodDisruptionBudget pipewright",
    "NetworkPolicy pipewright",
];

/// The release of Knative Eventing whose schemas count, and the checksum of its module.
const KNATIVE: [&str; 2] =
    ["knative.dev/eventing@v0.47.0", "h1:FfM1aS7iBn9o0v7xqIBEWcR4XZ8Ny7YyFPAOyLEgMok="];

/// The files there that define the kinds that we use.
const KNATIVE_KINDS: [(&str, &str); 2] = [
    ("trigger.yaml", "crd/triggers.eventing.knative.dev"),
    ("sinkbindings.yaml", "crd/sinkbindings.sources.knative.dev"),
];

pub fn overlay(name: &str) -> PathBuf {
    Path::new("deploy").join(name)
}

/// The real cluster, or a note that it is not there.
pub fn cluster() -> Option<Cluster> {
    let cluster = Cluster::from_environment().unwrap();
    if cluster.is_none() {
        skip("no real cluster: `make test` starts one where Go is installed");
    }
    cluster
}

/// Kind, namespace and name, without the hash of a generated name; the namespace only when the overlay did not choose it.
pub fn listed(document: &Value, own: Option<&str>) -> String {
    let text = |pointer| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, namespace) = (text("/kind"), text("/metadata/namespace"));
    let mut name = text("/metadata/name");
    if name.starts_with("pipewright-settings-") {
        name = name.rsplit_once('-').unwrap().0;
    }
    match namespace {
        "" => format!("{kind} {name}"),
        namespace if Some(namespace) == own => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    }
}

#[test]
fn each_overlay_installs_these_objects_and_no_tekton() {
    let Some(cluster) = cluster() else { return };
    for (name, more) in OVERLAYS {
        let documents = render(&cluster, &overlay(name));
        let own = documents.iter().find(|document| document["kind"] == "Deployment").unwrap();
        let own = own["metadata"]["namespace"].as_str();
        let found: BTreeSet<String> = documents.iter().map(|document| listed(document, own)).collect();
        let expected = EVERYWHERE.iter().chain(more);
        assert_eq!(found, expected.map(|it| (*it).to_owned()).collect(), "{name}");
        assert_eq!(found.len(), documents.len(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_document_is_valid_to_the_api_server_itself() {
    let Some(real) = Real::new().await else { return };
    let namespaces: Api<Namespace> = Api::all(real.client());
    for name in ["pipewright", "ci"] {
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        match namespaces.create(&PostParams::default(), &object).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{error}"),
        }
    }
    // The cluster is that of all tests: it is left as it was.
    let before = kubectl(&real.cluster, &["get", KNATIVE_KINDS[0].1], "").is_ok();
    let knative = before || knative_crds(&real.cluster);
    for (name, _) in OVERLAYS {
        let documents = render(&real.cluster, &overlay(name));
        let kept: Vec<Value> = documents
            .into_iter()
            .filter(|document| knative || !document["apiVersion"].as_str().unwrap().contains("knative.dev"))
            .collect();
        let given = kept[0]["metadata"]["namespace"].is_string() || kept[0]["kind"] == "Namespace";
        let namespace = if given { "" } else { real.namespace.as_str() };
        let out = validate(&real.cluster, namespace, &kept).unwrap();
        assert_eq!(
            out.lines().filter(|line| line.ends_with("(server dry run)")).count(),
            kept.len(),
            "{out}"
        );
        println!("{name}: {} documents are valid", kept.len());
    }

    // It would notice: a field that does not exist, a value that does not fit, and, for Knative, the same.
    let base = render(&real.cluster, &overlay("knative"));
    for (kind, pointer, field, value, complaint) in [
        ("Deployment", "/spec/template/spec", "serviceAcountName", json!("x"), "serviceAcountName"),
        ("Deployment", "/spec", "replicas", json!("two"), "replicas"),
        ("NetworkPolicy", "/spec", "policyTypes", json!(["Inwards"]), "policyTypes"),
        ("SinkBinding", "/spec/sink/ref", "nmae", json!("x"), "nmae"),
        ("Trigger", "/spec/delivery", "retry", json!("ten"), "retry"),
    ] {
        let mut wrong = only(&base, kind).clone();
        wrong.pointer_mut(pointer).unwrap()[field] = value;
        if knative || !wrong["apiVersion"].as_str().unwrap().contains("knative.dev") {
            let error = validate(&real.cluster, &real.namespace, &[wrong]).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }
    if knative && !before {
        let names = KNATIVE_KINDS.map(|(_, name)| name);
        kubectl(&real.cluster, &["delete", "--wait=false", names[0], names[1]], "").unwrap();
    }
}

/// Server-side dry run of an apply that leaves nothing unknown.
fn validate(cluster: &Cluster, namespace: &str, documents: &[Value]) -> Result<String, String> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents}).to_string();
    let mut arguments = vec!["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
    if !namespace.is_empty() {
        arguments.extend(["-n", namespace]);
    }
    kubectl(cluster, &arguments, &list)
}

/// Makes the real API server know the kinds of Knative that we use, by Knative's own definitions.
fn knative_crds(cluster: &Cluster) -> bool {
    let [module, sum] = KNATIVE;
    let output = Command::new("go")
        .args(["mod", "download", "-json", module])
        .current_dir(std::env::temp_dir())
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        skip("the Go module of Knative Eventing cannot be had: its kinds are not validated");
        return false;
    };
    let module: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(module["Sum"], sum, "another content under the same version");
    let folder = Path::new(module["Dir"].as_str().unwrap()).join("config/core/resources");
    for (file, name) in KNATIVE_KINDS {
        let file = folder.join(file);
        kubectl(cluster, &["apply", "--server-side", "-f", file.to_str().unwrap()], "").unwrap();
        kubectl(cluster, &["wait", "--for=condition=Established", name], "").unwrap();
    }
    true
}

/// A field of the pod, and what takes it away.
type Change = (&'static str, &'static dyn Fn(&mut Value));

/// Each level of Pod Security that the pod would break without one of its fields.
#[tokio::test(flavor = "multi_thread")]
async fn the_restricted_level_of_pod_security_takes_the_pod_and_nothing_less_hardened() {
    let Some(real) = Real::new().await else { return };
    let admin = real.client();
    let namespaces: Api<Namespace> = Api::all(admin.clone());
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    namespaces.patch(&real.namespace, &PatchParams::default(), &Patch::Merge(&labels)).await.unwrap();

    let documents = render(&real.cluster, &overlay("base"));
    let template = only(&documents, "Deployment")["spec"]["template"].clone();
    let pods: Api<Pod> = Api::namespaced(admin, &real.namespace);
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let create = async |change: &dyn Fn(&mut Value)| {
        let mut pod = json!({"metadata": {"name": "pipewright-0"}, "spec": template["spec"]});
        change(&mut pod["spec"]);
        pods.create(&parameters, &serde_json::from_value(pod).unwrap()).await
    };
    create(&|_| {}).await.unwrap();
    let changes: [Change; 6] = [
        ("runAsNonRoot", &|pod| pod["securityContext"]["runAsNonRoot"] = Value::Null),
        ("runAsUser=0", &|pod| pod["securityContext"]["runAsUser"] = json!(0)),
        ("seccompProfile", &|pod| pod["securityContext"]["seccompProfile"] = Value::Null),
        ("allowPrivilegeEscalation", &|pod| {
            pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = Value::Null;
        }),
        ("capabilities", &|pod| pod["containers"][0]["securityContext"]["capabilities"] = Value::Null),
        ("hostPath", &|pod| pod["volumes"][0] = json!({"name": "settings", "hostPath": {"path": "/"}})),
    ];
    for (what, change) in changes {
        match create(change).await {
            Err(kube::Error::Api(status)) if status.code == 403 && status.message.contains(what) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

/// What a forge on the internet reaches by the example, as the API server takes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_an_ingress_leads_to_webhooks_only() {
    let Some(real) = Real::new().await else { return };
    let text = std::fs::read_to_string(Path::new(PROJECT).join("deploy/ingress.yaml")).unwrap();
    let ingress: Value = serde_saphyr::from_str(&text).unwrap();
    validate(&real.cluster, &real.namespace, std::slice::from_ref(&ingress)).unwrap();
    let rules = ingress["spec"]["rules"].as_array().unwrap();
    let [rule] = &rules[..] else { panic!("{rules:?}") };
    let paths = rule["http"]["paths"].as_array().unwrap();
    let [path] = &paths[..] else { panic!("{paths:?}") };
    assert_eq!((path["path"].as_str(), path["pathType"].as_str()), (Some("/webhooks/"), Some("Prefix")));
    assert!(ingress["spec"]["defaultBackend"].is_null());
    let documents = render(&real.cluster, &overlay("base"));
    let service = &path["backend"]["service"];
    let leads =
        documents.iter().find(|it| it["kind"] == "Service" && it["metadata"]["name"] == service["name"]);
    assert_eq!(leads.unwrap()["spec"]["ports"][0]["targetPort"], "http");
}
