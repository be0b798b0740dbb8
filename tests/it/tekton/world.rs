//! A namespace in which the real Tekton plays runs, with the real program between a forge and a sink.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams,
};
use pipewright::event::Event;
use pipewright::event::annotation::EMITTED;
use pipewright::vocabulary::cdevent::occurrence_id;
use pipewright::vocabulary::tekton::{Cluster, RunKind, transitions};
use serde_json::{Value, json};

use super::story::{Told, told};
use crate::support::corpus::{self, Schemas};
use crate::support::deployed::kubectl;
use crate::support::ground::Real;
use crate::support::http;
use crate::support::process::{Adapter, Folder, Recorder, fixture, post_webhook};

/// `source` of the events.
pub const SOURCE: &str = "https://tekton.example.com/";
/// What does not happen within this time does not happen: the machine may be busy with many tests at once.
const PATIENCE: Duration = Duration::from_secs(150);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The kinds of runs.
pub const KINDS: [RunKind; 3] = [RunKind::PipelineRun, RunKind::TaskRun, RunKind::CustomRun];

/// The namespace, and who is around it.
pub struct World {
    pub real: Real,
    pub client: Client,
    pub adapter: Adapter,
    pub recorder: Recorder,
    _folder: Folder,
    http: reqwest::Client,
    schemas: Option<Schemas>,
}

// === impl World ===

impl World {
    /// A new namespace with these objects, and an adapter with these mapping files that is ready.
    pub async fn start(name: &str, objects: &str, mappings: &[(String, String)]) -> Option<Self> {
        Self::start_with(name, objects, mappings, "").await
    }

    /// The same with more settings, as YAML that begins with a comma.
    pub async fn start_with(
        name: &str,
        objects: &str,
        mappings: &[(String, String)],
        settings: &str,
    ) -> Option<Self> {
        let real = Real::new().await?;
        let folder = Folder::kept(name);
        let path = folder.path().join("mappings");
        std::fs::create_dir(&path).unwrap();
        for (name, text) in mappings {
            std::fs::write(path.join(format!("{name}.yaml")), text).unwrap();
        }
        let recorder = Recorder::start();
        let mut adapter = Adapter::at(&folder, "adapter", &real.adapter().await, &path, Some(&recorder));
        let namespace = &real.namespace;
        adapter.settings(&format!(
            "{{namespace: {namespace}, watchNamespace: {namespace}, eventSource: '{SOURCE}', \
             leaderElection: {{leaseDuration: PT5S, renewDeadline: PT4S, retryPeriod: PT0.5S}}{settings}}}"
        ));
        apply(&real, objects);
        adapter.event_token(&folder, super::tektons_own::TOKEN);
        adapter.start();
        adapter.ready().await;
        let client = real.client();
        let schemas = corpus::root().map(|root| Schemas::load(&root));
        Some(Self { real, client, adapter, recorder, _folder: folder, http: http(), schemas })
    }

    /// A pull request with this title and number arrives, signed, and its run exists.
    pub async fn webhook(&self, title: &str, number: usize) {
        let (delivery, body) = pull_request(title, number);
        let begin = Instant::now();
        loop {
            let answer =
                post_webhook(&self.http, &self.adapter.url, "pull_request", &delivery, &body).await.unwrap();
            match answer {
                // An answer of the API server that comes too late is asked for again, and then the run is there.
                (202, result) => {
                    return assert!(["created", "duplicate"].contains(&result.as_str()), "{title}: {result}");
                }
                (503, _) if begin.elapsed() < PATIENCE => tokio::time::sleep(BETWEEN_LOOKS).await,
                other => panic!("{title}: {other:?} {}", self.adapter.log()),
            }
        }
    }

    /// What was told of the runs of one mapping, in the order of arrival.
    pub fn told(&self, mapping: &str) -> Vec<Told> {
        self.recorder.events(|events| told(events, mapping))
    }

    /// Runs of a kind in the namespace.
    pub fn api(&self, kind: RunKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.real.namespace, &resource(kind))
    }

    /// The objects of one mapping.
    pub async fn objects(&self, kind: RunKind, mapping: &str) -> Vec<DynamicObject> {
        let parameters = ListParams::default().labels(&format!("pipewright.dev/mapping={mapping}"));
        self.api(kind).list(&parameters).await.unwrap().items
    }

    /// The pipeline run of a mapping.
    pub async fn run(&self, mapping: &str) -> Option<DynamicObject> {
        let mut runs = self.objects(RunKind::PipelineRun, mapping).await;
        assert!(runs.len() <= 1, "{mapping} has {} runs", runs.len());
        runs.pop()
    }

    /// Creates a run.
    pub async fn create(&self, kind: RunKind, object: Value) -> DynamicObject {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        self.api(kind).create(&PostParams::default(), &object).await.unwrap()
    }

    /// Patches a run.
    pub async fn patch(&self, kind: RunKind, name: &str, patch: &Value) {
        self.api(kind).patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Writes the status of a run, as its controller does.
    pub async fn report(&self, kind: RunKind, name: &str, status: &Value) {
        let patch = json!({"status": status});
        self.api(kind).patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Lets the pod of a task end that was told to hold.
    pub async fn release(&self, run: &str, task: &str) {
        let labels = format!("tekton.dev/pipelineRun={run},tekton.dev/pipelineTask={task}");
        self.until(&format!("a pod of {task}"), async || !self.pods(&labels).await.is_empty()).await;
        let patch = json!({"metadata": {"annotations": {"play.pipewright.dev/hold": null}}});
        for pod in self.pods(&labels).await {
            let name = pod.metadata.name.unwrap();
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.real.namespace);
            pods.patch(&name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        }
    }

    /// Deletes a pipeline run and waits until it, its tasks and their pods are gone.
    pub async fn delete(&self, mapping: &str) {
        let run = self.run(mapping).await.unwrap().metadata.name.unwrap();
        self.api(RunKind::PipelineRun).delete(&run, &DeleteParams::background()).await.unwrap();
        let labels = format!("tekton.dev/pipelineRun={run}");
        self.until("the end of the objects", async || {
            let mut left = self.pods(&labels).await.len();
            for kind in KINDS {
                left += self.objects(kind, mapping).await.len();
            }
            left == 0
        })
        .await;
    }

    async fn pods(&self, labels: &str) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.real.namespace);
        pods.list(&ListParams::default().labels(labels)).await.unwrap().items
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let begin = Instant::now();
        while !condition().await {
            assert!(
                begin.elapsed() < PATIENCE,
                "still not: {what}; the adapter says: {}",
                self.adapter.log()
            );
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Waits until everything that a run in the namespace has reached is noted on it: then all of it was delivered.
    pub async fn until_noted(&self) {
        let cluster = cluster();
        for kind in KINDS {
            self.until("every transition is noted", async || {
                self.api(kind).list(&ListParams::default()).await.unwrap().items.iter().all(|object| {
                    let reached = transitions(&tree(kind, object), kind, &cluster).len();
                    noted(object).is_some_and(|noted| noted.len() == reached)
                })
            })
            .await;
        }
    }

    /// Waits until the watch of pipeline runs has gone beyond what happened before.
    pub async fn overtaken(&self) {
        let object = json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
            "metadata": {"generateName": "later-", "labels": {"pipewright.dev/mapping": "later"}},
            "spec": {"status": "PipelineRunPending", "pipelineSpec": {"tasks": [
                {"name": "a", "taskSpec": {"steps": [{"name": "s", "image": "alpine", "command": ["true"]}]}},
            ]}},
        });
        let later = self.create(RunKind::PipelineRun, object).await;
        let uid = later.metadata.uid.unwrap();
        self.until("the later run", async || self.told("later").iter().any(|told| told.uid == uid)).await;
        let name = later.metadata.name.unwrap();
        self.api(RunKind::PipelineRun).delete(&name, &DeleteParams::default()).await.unwrap();
    }

    /// Asserts that every event that arrived is valid, has the id that its run and transition have, and, where the run
    /// still exists, says what the object as it is now says.
    pub async fn assert_all_valid(&self) {
        let cluster = cluster();
        let mut derived: BTreeMap<(String, String), Event> = BTreeMap::new();
        for kind in KINDS {
            for object in self.api(kind).list(&ListParams::default()).await.unwrap().items {
                let uid = object.metadata.uid.clone().unwrap();
                for transition in transitions(&tree(kind, &object), kind, &cluster) {
                    derived.insert((transition.event.id().to_owned(), uid.clone()), transition.event);
                }
            }
        }
        let mut compared = 0;
        self.recorder.events(|events| {
            for event in events {
                if let Some(schemas) = &self.schemas {
                    schemas.assert_valid(event);
                }
                let data = event.tree().unwrap();
                let Some(uid) = data["customData"]["tekton"]["uid"].as_str() else { continue };
                let base = event.ty().rsplitn(4, '.').nth(3).unwrap();
                if ["queued", "started", "finished"].iter().any(|name| base.ends_with(name)) {
                    let id = occurrence_id(base, SOURCE, event.subject().unwrap(), &[uid]);
                    assert_eq!(event.id(), id, "{data:#}");
                }
                if let Some(now) = derived.get(&(event.id().to_owned(), uid.to_owned())) {
                    assert_eq!(timeless(data), timeless(now.tree().unwrap()));
                    compared += 1;
                }
            }
        });
        assert!(compared > 0, "no event could be compared with its object");
    }
}

/// The vocabulary as the adapter is told to use it.
fn cluster() -> Cluster {
    Cluster::new(SOURCE, None, SOURCE.trim_end_matches('/')).unwrap()
}

/// Without its time, and what a message says of the status before: Tekton's controller may finish a run twice, the second
/// time out of an old cache, and with a later time. Ids do not depend on it.
pub fn timeless(data: &Value) -> Value {
    let mut data = data.clone();
    data["context"]["timestamp"] = Value::Null;
    for place in ["/customData/tekton/message", "/subject/content/errors"] {
        if let Some(Value::String(text)) = data.pointer_mut(place)
            && let Some(end) = text.find("\nPrevious status: ")
        {
            text.truncate(end);
        }
    }
    data
}

/// An object as the API server sent it.
fn tree(kind: RunKind, object: &DynamicObject) -> Value {
    let mut tree = serde_json::to_value(object).unwrap();
    tree["apiVersion"] = kind.api_version().into();
    tree["kind"] = kind.as_str().into();
    tree
}

/// The transitions that stand on an object as announced.
pub fn noted(object: &DynamicObject) -> Option<Vec<String>> {
    let text = object.metadata.annotations.as_ref()?.get(EMITTED)?;
    let value: Value = serde_json::from_str(text).unwrap();
    if value["uid"].as_str() != object.metadata.uid.as_deref() {
        return None;
    }
    serde_json::from_value(value["sent"].clone()).ok()
}

/// Status and reason of the condition of a run; empty where it has none.
pub fn condition(object: &DynamicObject) -> (String, String) {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let condition = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Succeeded"));
    let text = |name: &str| condition.and_then(|it| it[name].as_str()).unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

pub fn resource(kind: RunKind) -> ApiResource {
    let (group, version) = kind.api_version().split_once('/').unwrap();
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind.as_str()))
}

/// The delivery and the body of a pull request of its own.
pub fn pull_request(title: &str, number: usize) -> (String, Vec<u8>) {
    let mut payload = fixture("pull_request.opened.json");
    payload["number"] = json!(number);
    payload["pull_request"]["number"] = json!(number);
    payload["pull_request"]["head"]["sha"] = json!(format!("{number:040x}"));
    payload["pull_request"]["title"] = title.into();
    (format!("{number:08x}-0000-4000-8000-000000000000"), serde_json::to_vec(&payload).unwrap())
}

/// `kubectl apply` with what is given, in the namespace.
pub fn apply(real: &Real, objects: &str) {
    kubectl(&real.cluster, &["-n", &real.namespace, "apply", "-f", "-"], objects).unwrap();
}
