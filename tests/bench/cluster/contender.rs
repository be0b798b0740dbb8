//! Who makes the runs, and what has to be running for it.

use std::process::Command;

use anyhow::{Context, ensure};
use pipewright::event::annotation;
use pipewright::source::signature::sign;
use pipewright_cluster::Cluster;
use serde_json::{Value, json};

use crate::process::{Folder, Service, Sink};
use crate::{SECRET, payload};

/// What ours does: the same as `tests/cluster/triggers.yaml`.
const MAPPING: &str = "\
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: push}
spec:
  events: [{type: com.github.push}]
  filter:
    - cel: event.data.ref.startsWith('refs/heads/')
  let:
    repository: {path: $.data.repository.clone_url, required: true}
    revision: {path: $.data.after, required: true}
    branch: {cel: \"event.data.ref.split('/')[2]\", required: true}
  do:
    - name: build
      pipelineRun:
        metadata:
          labels: {example.com/revision: \"{{revision}}\"}
        spec:
          pipelineRef: {name: build}
          params:
            - {name: repository, value: \"{{repository}}\"}
            - {name: revision, value: \"{{revision}}\"}
            - {name: branch, value: \"{{branch}}\"}
  dedupeBy: [repository, revision]
";

/// One way from a push to a run.
pub struct Contender {
    /// For people.
    pub name: &'static str,
    /// Where its runs are.
    pub namespace: &'static str,
    /// Where it listens.
    pub url: String,
    /// Processes of the cluster that are its own; they run only in its rounds.
    processes: &'static [&'static str],
    /// Ours, which runs all the time; idle, it takes nothing.
    service: Option<Service>,
    /// Whether it makes the run without what we write on ours.
    is_bare: bool,
    payload: Value,
}

/// One push, ready to be sent.
pub struct Push {
    /// The commit that is pushed, by which the run is known.
    pub revision: String,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// All of them: direct, direct without our labels and annotations, ours, ours with the announcing of runs, Triggers with
/// raised limits, Triggers as installed.
pub fn all(folder: &Folder, cluster: &Cluster) -> anyhow::Result<Vec<Contender>> {
    let payload = payload::push()?;
    for namespace in ["direct", "bare", "pipewright", "announcing"] {
        create_namespace(cluster, namespace)?;
    }
    let server = &cluster.server;
    let direct = |name, namespace, is_bare| Contender {
        name,
        namespace,
        url: format!("{server}/apis/tekton.dev/v1/namespaces/{namespace}/pipelineruns"),
        processes: &[],
        service: None,
        is_bare,
        payload: payload.clone(),
    };
    let mut contenders =
        vec![direct("direct POST", "direct", false), direct("direct POST, bare", "bare", true)];
    for (name, namespace, watched) in
        [("Pipewright", "pipewright", "nothing-here"), ("Pipewright, announcing", "announcing", "announcing")]
    {
        let limits = "{}";
        let settings = format!("namespace: {namespace}\n  watchNamespace: {watched}\n  limits: {limits}");
        let path = folder.mappings(&format!("mappings-{namespace}"), MAPPING)?;
        let service = Service::on(folder, &cluster.kubeconfig, namespace, &path, Sink::None, &settings)?;
        contenders.push(Contender {
            name,
            namespace,
            url: format!("http://{}/webhooks/github", service.address),
            processes: &[],
            service: Some(service),
            is_bare: false,
            payload: payload.clone(),
        });
    }
    let port = cluster.processes.get("triggers-sink").and_then(|it| it.port).context(
        "the cluster was started without the programs of Tekton Triggers: `make bench-cluster` starts one with them",
    )?;
    for (name, processes) in [
        ("Triggers, raised limits", &["triggers-interceptors-raised", "triggers-sink-raised"]),
        ("Triggers, as installed", &["triggers-interceptors", "triggers-sink"]),
    ] {
        contenders.push(Contender {
            name,
            namespace: "triggers",
            url: format!("http://127.0.0.1:{port}/"),
            processes,
            service: None,
            is_bare: false,
            payload: payload.clone(),
        });
    }
    Ok(contenders)
}

fn create_namespace(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let kubectl = cluster.programs.get("kubectl").context("no kubectl")?;
    let output = Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(&cluster.kubeconfig)
        .args(["create", "namespace", name])
        .output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    // From a run before this one, on the same cluster.
    ensure!(output.status.success() || error.contains("AlreadyExists"), "{error}");
    Ok(())
}

// === impl Contender ===

impl Contender {
    /// Whether its rate does not depend on how it is asked.
    pub fn is_slow(&self) -> bool {
        self.processes.first() == Some(&"triggers-interceptors")
    }

    /// Whether it is no adapter, and the request is the run itself.
    pub fn is_direct(&self) -> bool {
        self.service.is_none() && self.processes.is_empty()
    }

    /// Starts what is its own.
    pub fn start(&self, cluster: &Cluster) -> anyhow::Result<()> {
        self.processes.iter().try_for_each(|process| cluster.start(process))
    }

    /// Ends what is its own, at once: a sink goes on after SIGTERM.
    pub fn stop(&self, cluster: &Cluster) -> anyhow::Result<()> {
        self.processes.iter().try_for_each(|process| cluster.kill(process))
    }

    /// Its own processes, while it runs.
    pub fn pids(&self) -> anyhow::Result<Vec<u32>> {
        if let Some(service) = &self.service {
            return Ok(vec![service.pid()]);
        }
        let cluster = Cluster::from_environment()?.context("no cluster")?;
        let pid = |name: &&str| cluster.processes.get(*name).and_then(|it| it.pid).context("it does not run");
        self.processes.iter().map(pid).collect()
    }

    /// The push of a commit of its own, as this contender wants it.
    pub fn push(&self, token: &str, number: u64) -> anyhow::Result<Push> {
        // Not the same in any two runs of the benchmark on one cluster.
        let revision = format!("{:032x}{number:08x}", u128::from(std::process::id()));
        if self.is_direct() {
            let headers = vec![
                ("authorization", format!("Bearer {token}")),
                ("content-type", "application/json".into()),
            ];
            return Ok(Push { body: serde_json::to_vec(&self.run(&revision, number))?, revision, headers });
        }
        let mut payload = self.payload.clone();
        payload["after"] = revision.clone().into();
        let body = serde_json::to_vec(&payload)?;
        let headers = vec![
            ("content-type", "application/json".to_owned()),
            ("user-agent", "GitHub-Hookshot/044aadd".to_owned()),
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", format!("72d3162e-cc78-11e3-81ab-{number:012x}")),
            ("x-hub-signature-256", sign(SECRET.as_bytes(), &body)),
        ];
        Ok(Push { revision, headers, body })
    }

    /// The run that the others make of it; unless it is bare, with as much in it as we write on ours, for the API server
    /// works on each label and annotation.
    fn run(&self, revision: &str, number: u64) -> Value {
        let text = |pointer: &str| self.payload.pointer(pointer).cloned().unwrap_or_default();
        let branch =
            text("/ref").as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
        let mut run = json!({
            "apiVersion": "tekton.dev/v1",
            "kind": "PipelineRun",
            "metadata": {
                "generateName": "push-",
                "namespace": self.namespace,
                "labels": {"example.com/revision": revision},
            },
            "spec": {
                "pipelineRef": {"name": "build"},
                "params": [
                    {"name": "repository", "value": text("/repository/clone_url")},
                    {"name": "revision", "value": revision},
                    {"name": "branch", "value": branch},
                ],
            },
        });
        if !self.is_bare {
            let id = format!("{:024x}{number:012x}", u128::from(std::process::id()));
            run["metadata"] = json!({
                "name": format!("push-build-{number:020x}"),
                "namespace": self.namespace,
                "labels": {
                    "example.com/revision": revision,
                    (annotation::MANAGED_BY): annotation::MANAGER,
                    (annotation::MAPPING): "push",
                    (annotation::ACTION): "build",
                },
                "annotations": {
                    (annotation::EFFECT_KEY): format!("{number:064x}"),
                    (annotation::EVENT_ID): id,
                    (annotation::EVENT_SOURCE): text("/repository/url"),
                    (annotation::EVENT_TYPE): "com.github.push",
                },
            });
        }
        run
    }
}
