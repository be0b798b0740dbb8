//! The manifests: rendered by kubectl, held to the API server's own schema and admission, and to a table of facts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use pipewright::event::Event;
use pipewright::mapping::{Catalog, File, MappingSet};
use pipewright::settings::Settings;
use pipewright_cluster::Cluster;
use serde_json::{Value, json};

use super::{edit, editable};
use crate::support::deployed::{kubectl, only, render};
use crate::support::ground::Real;
use crate::support::program::PROJECT;
use crate::support::skip;

/// What each overlay installs, beside what `deploy/base/adapter` does.
const OVERLAYS: [(&str, &[&str]); 4] = [
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
        &["Namespace pipewright", "ClusterRole pipewright-runs", "ClusterRoleBinding pipewright-runs"],
    ),
];
const EVERYWHERE: [&str; 9] = [
    "ServiceAccount pipewright",
    "Role pipewright-lease",
    "RoleBinding pipewright-lease",
    "ConfigMap pipewright-mappings",
    "ConfigMap pipewright-settings",
    "Service pipewright",
    "Deployment pipewright",
    "PodDisruptionBudget pipewright",
    "NetworkPolicy pipewright",
];

/// The release of Knative Eventing whose schemas count, and the checksum of its module.
const KNATIVE: [&str; 2] =
    ["knative.dev/eventing@v0.47.0", "h1:FfM1aS7iBn9o0v7xqIBEWcR4XZ8Ny7YyFPAOyLEgMok="];

fn overlay(name: &str) -> PathBuf {
    Path::new("deploy").join(name)
}

/// The real cluster, or a note that it is not there.
fn cluster() -> Option<Cluster> {
    let cluster = Cluster::from_environment().unwrap();
    if cluster.is_none() {
        skip("no real cluster: `make test` starts one where Go is installed");
    }
    cluster
}

/// Kind, namespace and name, without the hash of a generated name; the namespace only when the overlay did not choose it.
fn listed(document: &Value, own: Option<&str>) -> String {
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
    let namespaces: Api<Namespace> = Api::all(real.client().await);
    for name in ["pipewright", "ci"] {
        let object = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        match namespaces.create(&PostParams::default(), &object).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => panic!("{error}"),
        }
    }
    let knative = knative_crds(&real.cluster);
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
    for file in ["trigger.yaml", "sinkbindings.yaml"] {
        let file = folder.join(file);
        kubectl(cluster, &["apply", "--server-side", "-f", file.to_str().unwrap()], "").unwrap();
    }
    let both = ["crd/triggers.eventing.knative.dev", "crd/sinkbindings.sources.knative.dev"];
    kubectl(cluster, &["wait", "--for=condition=Established", both[0], both[1]], "").unwrap();
    true
}

#[test]
fn the_pod_is_hardened_in_every_overlay() {
    let Some(cluster) = cluster() else { return };
    for (name, _) in OVERLAYS {
        let documents = render(&cluster, &overlay(name));
        let deployment = only(&documents, "Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        for (place, pointer, expected) in [
            (pod, "/securityContext/runAsNonRoot", json!(true)),
            (pod, "/securityContext/runAsUser", json!(65532)),
            (pod, "/securityContext/runAsGroup", json!(65532)),
            (pod, "/securityContext/fsGroup", json!(65532)),
            (pod, "/securityContext/seccompProfile", json!({"type": "RuntimeDefault"})),
            (container, "/securityContext/privileged", json!(false)),
            (container, "/securityContext/allowPrivilegeEscalation", json!(false)),
            (container, "/securityContext/readOnlyRootFilesystem", json!(true)),
            (container, "/securityContext/capabilities", json!({"drop": ["ALL"]})),
            (container, "/resources/limits/memory", json!("512Mi")),
            // Only what asks for a token gets one, and the name of the Service is no source of variables.
            (only(&documents, "ServiceAccount"), "/automountServiceAccountToken", json!(false)),
            (pod, "/automountServiceAccountToken", json!(true)),
            (pod, "/serviceAccountName", json!("pipewright")),
            (pod, "/enableServiceLinks", json!(false)),
            // Nothing of the node.
            (pod, "/hostNetwork", Value::Null),
            (pod, "/hostPID", Value::Null),
            (pod, "/hostIPC", Value::Null),
            (pod, "/initContainers", Value::Null),
            (container, "/envFrom", Value::Null),
        ] {
            assert_eq!(place.pointer(pointer).unwrap_or(&Value::Null), &expected, "{name}: {pointer}");
        }
        assert_eq!(pod["containers"].as_array().unwrap().len(), 1);
        for volume in pod["volumes"].as_array().unwrap() {
            assert!(volume["configMap"].is_object() || volume["secret"]["defaultMode"] == 0o440, "{volume}");
        }
        for mount in container["volumeMounts"].as_array().unwrap() {
            assert_eq!(mount["readOnly"], true, "{mount}");
        }
        for variable in container["env"].as_array().unwrap() {
            assert!(variable["valueFrom"]["secretKeyRef"].is_null(), "{variable}");
        }
    }
}

#[test]
fn the_parts_fit_together() {
    let Some(cluster) = cluster() else { return };
    for (name, _) in OVERLAYS {
        let documents = render(&cluster, &overlay(name));
        let template = &only(&documents, "Deployment")["spec"]["template"];
        let labels = &template["metadata"]["labels"];
        for (kind, pointer) in [
            ("Deployment", "/spec/selector/matchLabels"),
            ("Service", "/spec/selector"),
            ("PodDisruptionBudget", "/spec/selector/matchLabels"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ] {
            assert_eq!(only(&documents, kind).pointer(pointer), Some(labels), "{name}: {kind}");
        }
        let spread = &template["spec"]["topologySpreadConstraints"][0];
        assert_eq!(&spread["labelSelector"]["matchLabels"], labels);

        // The settings and the ports agree, and only one of the ports has a Service.
        let settings = documents.iter().find(|it| it["data"]["pipewright.yaml"].is_string()).unwrap();
        let settings = Settings::parse(settings["data"]["pipewright.yaml"].as_str().unwrap()).unwrap();
        let container = &template["spec"]["containers"][0];
        for (port, listen) in [(0, settings.process.listen), (1, settings.process.admin_listen)] {
            let port = &container["ports"][port]["containerPort"];
            assert_eq!(listen, format!("0.0.0.0:{port}"));
        }
        assert_eq!(only(&documents, "Service")["spec"]["ports"].as_array().unwrap().len(), 1);
        assert_eq!(only(&documents, "Service")["spec"]["ports"][0]["targetPort"], "http");
        for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "admin"}));
        }
        let mount = |name: &str| {
            let mounts = container["volumeMounts"].as_array().unwrap();
            let mount = mounts.iter().find(|mount| mount["name"] == name).unwrap();
            PathBuf::from(mount["mountPath"].as_str().unwrap())
        };
        assert_eq!(settings.process.mappings, [mount("mappings")]);
        let argument = format!("--settings={}", mount("settings").join("pipewright.yaml").display());
        assert_eq!(container["args"], json!(["serve", argument]));
        // Room for the draining (5 s) and for requests under way (30 s).
        assert!(template["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap() > 35);
    }
}

#[test]
fn the_mappings_work_without_a_sink() {
    let Some(cluster) = cluster() else { return };
    let documents = render(&cluster, &overlay("base"));
    let mappings = documents.iter().find(|it| it["metadata"]["name"] == "pipewright-mappings").unwrap();
    let mappings = mappings["data"].as_object().unwrap();
    let file =
        |(name, text): (&String, &Value)| File { path: name.clone(), text: text.as_str().unwrap().into() };
    let files: Vec<File> = mappings.iter().map(file).collect();
    let (set, report) =
        MappingSet::compile(&files, &Catalog::default()).unwrap_or_else(|report| panic!("{report}"));
    assert!(report.is_empty(), "{report}");
    assert_eq!(set.len(), 3);
    for file in files {
        assert!(!file.text.contains("to: default"), "{}", file.path);
    }
}

/// Each level of Pod Security that the pod would break without one of its fields.
#[tokio::test(flavor = "multi_thread")]
async fn the_restricted_level_of_pod_security_takes_the_pod_and_nothing_less_hardened() {
    let Some(real) = Real::new().await else { return };
    let admin = real.client().await;
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
    let changes: [(&str, &dyn Fn(&mut Value)); 6] = [
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

#[test]
fn a_namespace_is_named_once_and_everything_follows() {
    let Some(cluster) = cluster() else { return };
    let folder = editable("overlays");
    for (file, from, to) in [
        ("tekton/adapter/kustomization.yaml", "namespace: pipewright\n", "namespace: events\n"),
        ("tekton/adapter/namespace.yaml", "name: pipewright\n", "name: events\n"),
        ("tekton/runs/kustomization.yaml", "namespace: ci\n", "namespace: builds\n"),
        ("cluster-wide/kustomization.yaml", "namespace: pipewright\n", "namespace: events\n"),
        ("cluster-wide/namespace.yaml", "name: pipewright\n", "name: events\n"),
    ] {
        edit(&folder, &format!("deploy/{file}"), from, to);
    }
    for overlay in ["tekton", "cluster-wide"] {
        let documents = render(&cluster, &folder.path().join("deploy").join(overlay));
        for document in &documents {
            let text = document.to_string();
            let stays = [r#""ci""#, r#""namespace":"pipewright""#].into_iter().find(|it| text.contains(it));
            assert_eq!(stays, None, "{overlay}: {}", listed(document, None));
            if document["kind"].as_str().unwrap().ends_with("RoleBinding") {
                let subject =
                    json!([{"kind": "ServiceAccount", "name": "pipewright", "namespace": "events"}]);
                assert_eq!(document["subjects"], subject);
            }
        }
        let variables = &only(&documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]["env"];
        let value = |name: &str| {
            let found = variables.as_array().unwrap().iter().find(|it| it["name"] == name).unwrap();
            assert!(overlay == "cluster-wide" || found["valueFrom"].is_null());
            found["value"].clone()
        };
        if overlay == "tekton" {
            assert_eq!(
                [value("PIPEWRIGHT_NAMESPACE"), value("PIPEWRIGHT_WATCH_NAMESPACE")],
                ["builds", "builds"]
            );
        } else {
            assert_eq!(value("PIPEWRIGHT_WATCH_NAMESPACE"), "*");
        }
    }
}

/// The cluster is that of all tests, so nothing is changed.
#[test]
fn the_patch_of_tektons_events_names_our_service_and_takes_nothing_away() {
    let Some(cluster) = cluster() else { return };
    let namespace = ["-n", "tekton-pipelines"];
    let file = "--patch-file=deploy/tekton/config-events.yaml";
    let patch = ["patch", "configmap", "config-events", "--dry-run=server", "-o", "json"];
    let patched = kubectl(&cluster, &[&patch[..], &namespace, &[file]].concat(), "").unwrap();
    let data = serde_json::from_str::<Value>(&patched).unwrap()["data"].clone();
    let documents = render(&cluster, &overlay("tekton"));
    let service = &only(&documents, "Service")["metadata"];
    let [name, own] = ["name", "namespace"].map(|field| service[field].as_str().unwrap());
    assert_eq!(data["sink"], format!("http://{name}.{own}.svc/events"));
    assert!(data["_example"].is_string(), "what was there stays: {data}");
}

#[test]
fn the_kustomization_of_the_documentation_renders() {
    let Some(cluster) = cluster() else { return };
    let page = std::fs::read_to_string(Path::new(PROJECT).join("docs/deploy.md")).unwrap();
    let kustomization = page.split("```yml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = editable("own");
    let own = folder.path().join("mine");
    std::fs::create_dir(&own).unwrap();
    let settings = Path::new(PROJECT).join("deploy/base/adapter/pipewright.yaml");
    std::fs::copy(settings, own.join("pipewright.yaml")).unwrap();
    std::fs::write(own.join("kustomization.yaml"), kustomization).unwrap();
    std::fs::write(own.join("build.yaml"), "mine\n").unwrap();

    let before = render(&cluster, &own);
    let mappings = before.iter().find(|it| it["metadata"]["name"] == "pipewright-mappings").unwrap();
    assert_eq!(mappings["data"], json!({"build.yaml": "mine\n"}));
    for document in &before {
        assert_eq!(document["metadata"]["namespace"], "ci", "{}", listed(document, None));
    }
    let pod = |documents: &[Value]| only(documents, "Deployment")["spec"]["template"]["spec"].clone();
    assert_eq!(pod(&before)["containers"][0]["image"], "registry.example.com/pipewright:0.1.0");

    // Other mappings restart nothing; other settings do.
    std::fs::write(own.join("build.yaml"), "changed\n").unwrap();
    let mut same = own.clone();
    same.push(".");
    assert_eq!(pod(&render(&cluster, &same)), pod(&before));
    let text = std::fs::read_to_string(own.join("pipewright.yaml")).unwrap();
    std::fs::write(own.join("pipewright.yaml"), text + "# changed\n").unwrap();
    let mut again = own.clone();
    again.push("../mine");
    assert_ne!(pod(&render(&cluster, &again)), pod(&before));
}

#[test]
fn the_cluster_wide_rules_are_those_of_one_namespace() {
    let Some(cluster) = cluster() else { return };
    let (base, wide) = (render(&cluster, &overlay("base")), render(&cluster, &overlay("cluster-wide")));
    let runs =
        base.iter().find(|it| it["kind"] == "Role" && it["metadata"]["name"] == "pipewright-runs").unwrap();
    assert_eq!(only(&wide, "ClusterRole")["rules"], runs["rules"]);
}

/// The filters of a Trigger are the dialect that mappings speak, so that our own evaluation can say what they let through.
#[test]
fn the_trigger_lets_nothing_through_that_we_sent() {
    let Some(cluster) = cluster() else { return };
    let documents = render(&cluster, &overlay("knative"));
    let overrides = &only(&documents, "SinkBinding")["spec"]["ceOverrides"]["extensions"];
    let extensions = overrides.as_object().unwrap();
    assert!(!extensions.is_empty());
    let mapping = json!({
        "apiVersion": "pipewright.dev/v1alpha1", "kind": "Mapping", "metadata": {"name": "trigger"},
        "spec": {
            "events": [{"type": "*"}],
            "filter": only(&documents, "Trigger")["spec"]["filters"],
            "do": [{"name": "take", "pipelineRun": {"spec": {"pipelineRef": {"name": "p"}}}}],
        },
    });
    let file = File { path: "trigger".into(), text: mapping.to_string().into() };
    let (set, _) =
        MappingSet::compile(&[file], &Catalog::default()).unwrap_or_else(|report| panic!("{report}"));
    let passes = |ty: &str, sent: bool| {
        let mut event = Event::builder("1", "https://example.com/", ty);
        for (name, value) in extensions.iter().filter(|_| sent) {
            event = event.extension(name, value.as_str().unwrap());
        }
        !set.plan(&[Arc::new(event.build().unwrap())]).unwrap().actions.is_empty()
    };
    for ty in [
        "dev.cdevents.change.created.0.3.0",
        "dev.cdeventsx.git-ref.updated.0.1.0",
        "dev.tekton.event.pipelinerun.running.v1",
    ] {
        assert!(passes(ty, false), "{ty}");
        assert!(!passes(ty, true), "{ty}");
    }
    assert!(!passes("com.example.other", false));
}
