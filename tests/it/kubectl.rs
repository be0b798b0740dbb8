//! The real `kubectl` against both clusters: the embedded one on loopback, and the real one.
//!
//! The program is `$PIPEWRIGHT_KUBECTL`, else the one that `tests/cluster/build.sh kubectl` built, else the one on
//! PATH; without any the test says so and passes, except with `CI=true`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pipewright_embedded::{Served, write_kubeconfig};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::ground::{Ground, on_both_clusters};
use crate::support::skip;

struct Kubectl {
    program: PathBuf,
    folder: PathBuf,
    config: PathBuf,
    served: Option<Served>,
}

struct Output {
    ok: bool,
    out: String,
    err: String,
}

impl Kubectl {
    async fn start(ground: &Ground, test: &str) -> Option<Self> {
        let program = find()?;
        let namespace = ground.namespace().to_owned();
        let folder = std::env::temp_dir()
            .join(format!("pipewright-kubectl-{}-{test}-{namespace}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (config, served) = match ground {
            Ground::Embedded(memory) => {
                let served = memory.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
                write_kubeconfig(&folder.join("config"), &served.url()).unwrap();
                (folder.join("config"), Some(served))
            }
            Ground::Real(real) => (real.kubeconfig.clone(), None),
        };
        Some(Self { program, folder, config, served })
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(args.split_whitespace())
            .env("KUBECONFIG", &self.config)
            .env("HOME", &self.folder)
            .env("KUBECACHEDIR", self.folder.join("cache"))
            .kill_on_drop(true);
        command
    }

    async fn run(&self, args: &str, input: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output =
            tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await.unwrap().unwrap();
        Output {
            ok: output.status.success(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    async fn ok(&self, args: &str) -> String {
        self.feed(args, "").await
    }

    async fn feed(&self, args: &str, input: &str) -> String {
        let output = self.run(args, input).await;
        assert!(output.ok, "kubectl {args}: {}{}", output.out, output.err);
        output.out
    }

    async fn refused(&self, args: &str, input: &str) -> String {
        let output = self.run(args, input).await;
        assert!(!output.ok, "kubectl {args} passed: {}", output.out);
        output.err
    }

    async fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{args} -o json")).await).unwrap()
    }

    async fn stop(self) {
        if let Some(served) = self.served {
            served.stop().await;
        }
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PIPEWRIGHT_KUBECTL") {
        return Some(PathBuf::from(named));
    }
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/kube");
    let mut key = std::fs::read(module.join("go.mod")).unwrap();
    key.extend(std::fs::read(module.join("go.sum")).unwrap());
    let digest = ring::digest::digest(&ring::digest::SHA256, &key);
    let key = u64::from_be_bytes(digest.as_ref()[..8].try_into().unwrap());
    let key = format!("{key:016x}");
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let built = cache.map(|cache| cache.join(format!("pipewright/kube-{key}/kubectl")));
    let on_path = || {
        std::env::split_paths(&std::env::var_os("PATH")?)
            .map(|folder| folder.join("kubectl"))
            .find(|p| p.is_file())
    };
    let found = built.filter(|program| program.is_file()).or_else(on_path);
    if found.is_none() {
        skip(
            "no kubectl in $PIPEWRIGHT_KUBECTL, the cache or PATH; with Go, tests/cluster/build.sh builds it",
        );
    }
    found
}

/// A document of each kind, and the arguments that name it; `NAMESPACE` is that of the test.
const DOCUMENTS: &[(&str, &str)] = &[
    (
        "pipelines/build",
        "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: build, labels: {app: web}}\n\
         spec:\n  tasks:\n  - {name: compile, taskRef: {kind: Task, name: compile}}\n",
    ),
    (
        "pipelineruns/first",
        "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: first, labels: {app: web}}\n\
         spec:\n  managedBy: example.dev/nobody\n  pipelineRef: {name: build}\n",
    ),
    (
        "tasks/compile",
        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: compile, labels: {app: web}}\n\
         spec:\n  steps:\n  - {name: make, image: alpine, command: [make], computeResources: {}}\n",
    ),
    (
        "taskruns/once",
        "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: once, labels: {app: web}}\n\
         spec:\n  taskRef: {name: compile}\n",
    ),
    (
        "customruns/approve",
        "apiVersion: tekton.dev/v1beta1\nkind: CustomRun\nmetadata: {name: approve, labels: {app: web}}\n\
         spec:\n  customRef: {apiVersion: example.dev/v1, kind: Approval}\n",
    ),
    (
        "configmaps/settings",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {app: web}}\ndata: {color: blue}\n",
    ),
    (
        "secrets/token",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: token, labels: {app: web}}\ndata: {password: aHVzaA==}\n",
    ),
    (
        "leases/leader",
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: leader, labels: {app: web}}\n\
         spec: {holderIdentity: one, leaseDurationSeconds: 15}\n",
    ),
    (
        "events/hello",
        "apiVersion: v1\nkind: Event\nmetadata: {name: hello, labels: {app: web}}\n\
         involvedObject: {apiVersion: tekton.dev/v1, kind: PipelineRun, name: first, namespace: NAMESPACE}\n\
         reason: Started\nmessage: it runs\ntype: Normal\nlastTimestamp: 2026-01-02T03:04:05Z\n",
    ),
    (
        "namespaces/NAMESPACE-team",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: NAMESPACE-team, labels: {app: web}}\n",
    ),
    (
        "serviceaccounts/builder",
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: builder, labels: {app: web}}\n",
    ),
];

on_both_clusters! {
    every_kind_is_created_read_patched_applied_and_deleted,
    server_side_apply_reports_conflicts_and_takes_fields_by_force,
    watching_shows_changes_as_they_happen,
    discovery_names_every_resource_and_refusals_are_readable,
}

async fn every_kind_is_created_read_patched_applied_and_deleted(ground: Ground) {
    let Some(kubectl) = Kubectl::start(&ground, "kinds").await else { return };
    for (object, document) in DOCUMENTS {
        let [object, document] = [object, document].map(|text| text.replace("NAMESPACE", ground.namespace()));
        let (plural, name) = object.split_once('/').unwrap();
        let made = kubectl.feed("create -f -", &document).await;
        assert!(made.contains(&format!("{name} created")), "{made}");
        let twice = kubectl.refused("create -f -", &document).await;
        assert!(
            twice.contains("AlreadyExists") && twice.contains(&format!("{name:?} already exists")),
            "{twice}"
        );

        let table = kubectl.ok(&format!("get {plural} -l app=web")).await;
        let heading = table.lines().next().unwrap();
        if plural == "events" {
            assert!(heading.starts_with("LAST SEEN") && table.contains("pipelinerun/first"), "{table}");
        } else {
            assert!(
                heading.starts_with("NAME ") && table.lines().nth(1).unwrap().starts_with(name),
                "{table}"
            );
        }
        if plural.ends_with("runs") {
            for column in ["SUCCEEDED", "REASON", "STARTTIME", "COMPLETIONTIME"] {
                assert!(heading.contains(column), "{heading}");
            }
        } else if plural != "events" {
            assert!(heading.ends_with("AGE"), "{heading}");
        }
        assert!(kubectl.ok(&format!("get {plural} -l app=db -o name")).await.is_empty());
        kubectl.ok(&format!("get {plural} -o wide")).await;
        let yaml = kubectl.ok(&format!("get {object} -o yaml")).await;
        assert!(yaml.contains(&format!("  name: {name}\n")) && yaml.contains("  uid: "), "{yaml}");
        assert_eq!(kubectl.json(&format!("get {object}")).await["metadata"]["name"], name);
        assert_eq!(
            kubectl.json(&format!("get {plural} -l app=web")).await["items"][0]["metadata"]["name"],
            name
        );

        kubectl
            .ok(&format!(
                "patch {object} --type merge -p {{\"metadata\":{{\"labels\":{{\"by\":\"merge\"}}}}}}"
            ))
            .await;
        kubectl
            .ok(&format!("patch {object} --type json -p [{{\"op\":\"add\",\"path\":\"/metadata/labels/also\",\"value\":\"json\"}}]"))
            .await;
        kubectl.ok(&format!("label {object} hand=made")).await;
        kubectl.ok(&format!("annotate {object} note=x")).await;
        let live = kubectl.json(&format!("get {object}")).await;
        for (key, value) in [("by", "merge"), ("also", "json"), ("hand", "made"), ("app", "web")] {
            assert_eq!(live["metadata"]["labels"][key], value, "{object}");
        }

        let changed = document.replace("app: web", "app: web, tier: two");
        assert!(kubectl.feed("apply -f -", &changed).await.contains("configured"), "{object}");
        assert!(kubectl.feed("apply -f -", &changed).await.contains("unchanged"), "{object}");
        kubectl.feed("diff -f -", &changed).await;
        let removed = kubectl.feed("apply -f -", &document).await;
        assert!(removed.contains("configured"), "{removed}");
        assert!(kubectl.json(&format!("get {object}")).await["metadata"]["labels"].get("tier").is_none());
        let server_side = kubectl.feed("apply --server-side -f -", &changed).await;
        assert!(server_side.contains("serverside-applied"), "{server_side}");
        assert_eq!(kubectl.json(&format!("get {object}")).await["metadata"]["labels"]["tier"], "two");
        kubectl.feed("apply --server-side --dry-run=server -f -", &document).await;
        kubectl.feed("replace -f -", &changed).await;
        assert!(kubectl.ok(&format!("describe {object}")).await.contains(name));

        let gone = kubectl.ok(&format!("delete {object}")).await;
        assert!(gone.contains("deleted"), "{gone}");
        let missing = kubectl.refused(&format!("get {object}"), "").await;
        assert!(missing.contains("NotFound"), "{missing}");
    }
    kubectl.stop().await;
}

async fn server_side_apply_reports_conflicts_and_takes_fields_by_force(ground: Ground) {
    let Some(kubectl) = Kubectl::start(&ground, "ssa").await else { return };
    let document = |color: &str| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{color: {color}}}\n")
    };
    kubectl.feed("apply --server-side --field-manager=one -f -", &document("blue")).await;
    let refused = kubectl.refused("apply --server-side --field-manager=two -f -", &document("red")).await;
    assert!(refused.contains("conflict with \"one\": .data.color"), "{refused}");
    kubectl.feed("apply --server-side --field-manager=two --force-conflicts -f -", &document("red")).await;
    let live = kubectl.json("get cm c --show-managed-fields").await;
    assert_eq!(live["data"]["color"], "red");
    assert_eq!(live["metadata"]["managedFields"][0]["manager"], "two");
    kubectl.stop().await;
}

async fn watching_shows_changes_as_they_happen(ground: Ground) {
    let Some(kubectl) = Kubectl::start(&ground, "watch").await else { return };
    let mut child = kubectl
        .command("get pipelineruns -w --output-watch-events --no-headers")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line =
            tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await.unwrap().unwrap().unwrap();
        let words: Vec<String> = line.split_whitespace().take(4).map(str::to_owned).collect();
        words
    };
    let document = DOCUMENTS[1].1;
    kubectl.feed("create -f -", document).await;
    assert_eq!(next().await[..2], ["ADDED", "first"]);
    let status = "{\"status\":{\"conditions\":[{\"type\":\"Succeeded\",\"status\":\"Unknown\",\"reason\":\"Running\",\"lastTransitionTime\":\"2026-01-02T03:04:05Z\"}]}}";
    kubectl.ok(&format!("patch pipelinerun first --subresource=status --type=merge -p {status}")).await;
    assert_eq!(next().await, ["MODIFIED", "first", "Unknown", "Running"]);
    kubectl.ok("delete pipelinerun first").await;
    assert_eq!(next().await[..2], ["DELETED", "first"]);
    child.kill().await.unwrap();
    kubectl.ok("wait --for=create namespace/default --timeout=10s").await;
    kubectl.stop().await;
}

async fn discovery_names_every_resource_and_refusals_are_readable(ground: Ground) {
    let Some(kubectl) = Kubectl::start(&ground, "discovery").await else { return };
    let resources = kubectl.ok("api-resources --no-headers").await;
    for line in [
        "pr,prs",
        "tr,trs",
        "customruns",
        "configmaps",
        "secrets",
        "leases",
        "events",
        "namespaces",
        "pipelines",
        "tasks",
    ] {
        assert!(resources.contains(line), "{line}: {resources}");
    }
    let version = kubectl.ok("version").await;
    assert!(version.contains("Server Version: v1.36.3"), "{version}");
    assert!(kubectl.ok("get --raw /readyz").await.contains("ok"));
    kubectl.ok("get pr,tr,cm -A").await;
    kubectl.ok("get tekton").await;
    kubectl.ok("create configmap typed --from-literal=a=b").await;
    kubectl.ok("create secret generic typed --from-literal=a=b").await;
    kubectl.ok("create namespace typed").await;
    kubectl.ok("create serviceaccount typed -n typed").await;
    kubectl.ok("delete namespace typed").await;
    assert_eq!(kubectl.json("get secret typed").await["data"]["a"], "Yg==");

    let both = DOCUMENTS[1]
        .1
        .replace("pipelineRef: {name: build}", "pipelineRef: {name: b}\n  pipelineSpec: {tasks: []}");
    let refused = kubectl.refused("create -f -", &both).await;
    assert!(
        refused.contains("expected exactly one, got both: spec.pipelineRef, spec.pipelineSpec"),
        "{refused}"
    );
    let bad = kubectl.refused("create configmap Bad_Name", "").await;
    assert!(bad.contains("a lowercase RFC 1123 subdomain must consist of"), "{bad}");
    let absent = kubectl.refused("create -n nowhere -f -", DOCUMENTS[5].1).await;
    assert!(absent.contains("namespaces \"nowhere\" not found"), "{absent}");
    kubectl.stop().await;
}
