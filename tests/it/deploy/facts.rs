//! Facts about the rendered manifests: what is hardened, what belongs together, what follows from one name.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pipewright::event::Event;
use pipewright::mapping::{Catalog, File, MappingSet};
use pipewright::settings::Settings;
use serde_json::{Value, json};

use super::manifests::{OVERLAYS, cluster, listed, overlay};
use super::{edit, editable};
use crate::support::deployed::{self, only, render};
use crate::support::program::PROJECT;

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
            ("PodDisruptionBudget", "/spec/selector/matchLabels"),
            ("NetworkPolicy", "/spec/podSelector/matchLabels"),
        ] {
            assert_eq!(only(&documents, kind).pointer(pointer), Some(labels), "{name}: {kind}");
        }
        let spread = &template["spec"]["topologySpreadConstraints"][0];
        assert_eq!(&spread["labelSelector"]["matchLabels"], labels);

        // The settings and the ports agree; the webhooks' port and the events' port have a Service each, the others none.
        let settings = documents.iter().find(|it| it["data"]["pipewright.yaml"].is_string()).unwrap();
        let settings = Settings::parse(settings["data"]["pipewright.yaml"].as_str().unwrap()).unwrap();
        let container = &template["spec"]["containers"][0];
        let process = &settings.process;
        let listens = [&process.listen, &process.admin_listen];
        let others = [process.events_listen.as_ref().unwrap(), process.probe_listen.as_ref().unwrap()];
        for (port, listen) in listens.into_iter().chain(others).enumerate() {
            let port = &container["ports"][port]["containerPort"];
            assert_eq!(*listen, format!("[::]:{port}"));
        }
        let services = documents.iter().filter(|document| document["kind"] == "Service");
        let services: Vec<_> = services
            .map(|service| {
                assert_eq!(service.pointer("/spec/selector"), Some(labels), "{name}");
                let ports = service["spec"]["ports"].as_array().unwrap();
                assert_eq!(ports.len(), 1);
                (service["metadata"]["name"].as_str().unwrap(), ports[0]["targetPort"].as_str().unwrap())
            })
            .collect();
        assert_eq!(services, [("pipewright", "http"), ("pipewright-events", "events")]);
        for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")] {
            assert_eq!(container[probe]["httpGet"], json!({"path": path, "port": "probes"}));
        }
        // Only the webhooks are open to everybody, and the probes to nobody but the kubelet.
        let rules = only(&documents, "NetworkPolicy")["spec"]["ingress"].as_array().unwrap();
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| (rule["ports"][0]["port"].as_str().unwrap(), rule["from"].is_array()))
            .collect();
        assert_eq!(rules, [("http", false), ("events", true), ("admin", true)]);
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

    // Other mappings restart nothing; other settings do. A folder is rendered once, so each time it has another path.
    std::fs::write(own.join("build.yaml"), "changed\n").unwrap();
    let changed = render(&cluster, &own.join("../mine"));
    let mappings = changed.iter().find(|it| it["metadata"]["name"] == "pipewright-mappings").unwrap();
    assert_eq!(mappings["data"], json!({"build.yaml": "changed\n"}));
    assert_eq!(pod(&changed), pod(&before));
    let text = std::fs::read_to_string(own.join("pipewright.yaml")).unwrap();
    std::fs::write(own.join("pipewright.yaml"), text + "# changed\n").unwrap();
    assert_ne!(pod(&render(&cluster, &own.join("../mine/../mine"))), pod(&before));
}

#[test]
fn the_cluster_wide_rules_are_those_of_one_namespace() {
    let Some(cluster) = cluster() else { return };
    let (base, wide) = (render(&cluster, &overlay("base")), render(&cluster, &overlay("cluster-wide")));
    let runs =
        base.iter().find(|it| it["kind"] == "Role" && it["metadata"]["name"] == "pipewright-runs").unwrap();
    let rules = |name: &str| {
        let role = wide.iter().find(|it| it["kind"] == "ClusterRole" && it["metadata"]["name"] == name);
        deployed::granted(&role.unwrap()["rules"])
    };
    let (watch, start) = (rules("pipewright-watch"), rules("pipewright-start"));
    assert_eq!(watch.union(&start).cloned().collect::<BTreeSet<_>>(), deployed::granted(&runs["rules"]));
    // What starts runs is bound in one namespace, never everywhere.
    assert!(watch.iter().all(|right| right.verb != "create"), "{watch:?}");
    let bound = &only(&wide, "ClusterRoleBinding")["roleRef"]["name"];
    assert_eq!(bound, "pipewright-watch");
}

/// What differs is who may send events: nobody in `deploy/base`, the Trigger in `deploy/knative`.
#[test]
fn the_settings_for_knative_are_those_of_one_namespace_and_say_who_may_send() {
    let Some(cluster) = cluster() else { return };
    let settings = |name: &str| {
        let documents = render(&cluster, &overlay(name));
        let map = documents.iter().find(|it| it["data"]["pipewright.yaml"].is_string()).unwrap().clone();
        Settings::parse(map["data"]["pipewright.yaml"].as_str().unwrap()).unwrap()
    };
    let (base, mut knative) = (settings("base"), settings("knative"));
    for settings in [&base, &knative] {
        assert!(settings.process.event_tokens.is_empty() && !settings.process.insecure_events);
    }
    assert!(base.process.event_oidc.is_none());
    let oidc = knative.process.event_oidc.take().unwrap();
    assert_eq!(format!("{base:?}"), format!("{knative:?}"));
    let documents = render(&cluster, &overlay("knative"));
    assert_eq!(only(&documents, "Trigger")["spec"]["subscriber"]["audience"], oidc.audience.as_str());
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
        !set.plan(&[Arc::new(event.build().unwrap())]).complete().unwrap().actions.is_empty()
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
