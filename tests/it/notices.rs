//! Mistakes in mapping files as somebody sees them who looks at the cluster: Kubernetes Events about the pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;

use crate::support::BUILD_PIPELINE;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::process::{Adapter, Cluster, Folder};

on_both_clusters! {
    a_start_with_a_broken_file_makes_an_event_that_names_file_and_mistake,
    the_same_mistake_is_one_event_and_others_come_one_after_another,
    a_start_that_fails_for_a_mistake_makes_one_event_however_often_it_is_tried,
}

const GOOD: &str = "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: note}
spec:
  events: [{type: com.example.a}]
  do: [{name: run, pipelineRun: {spec: {pipelineRef: {name: build}}}}]
";

/// A process that takes itself for a pod.
struct Pod {
    adapter: Adapter,
    folder: Folder,
    cluster: Cluster,
}

// === impl Pod ===

impl Pod {
    /// With a good mapping `note.yaml` and a broken one, `broken.yaml`; not started.
    async fn new(ground: &Ground) -> Self {
        let folder = Folder::new("notices");
        let cluster = Cluster::on(ground, &folder, BUILD_PIPELINE, None).await;
        let mappings = folder.path().join("mappings");
        std::fs::create_dir(&mappings).unwrap();
        let mut adapter = Adapter::new(&folder, "adapter", &cluster, &mappings, None);
        adapter.environment("POD_NAMESPACE", ground.namespace().to_owned().leak());
        adapter.environment("HOSTNAME", "pipewright-0");
        adapter.environment("POD_UID", "5b1f8f4c-0000-4000-8000-000000000000");
        let pod = Self { adapter, folder, cluster };
        pod.write("note.yaml", GOOD);
        pod.write("broken.yaml", &broken("doo"));
        pod
    }

    fn write(&self, name: &str, text: &str) {
        self.folder.write(&format!("mappings/{name}"), text);
    }

    /// What was told in the cluster.
    async fn events(&self) -> Vec<Event> {
        let api: Api<Event> = Api::default_namespaced(self.cluster.client());
        let events = api.list(&ListParams::default()).await.unwrap().items.into_iter();
        events.filter(|event| event.reason.as_deref() == Some("InvalidMappings")).collect()
    }

    /// Waits for an Event that says this.
    async fn told(&self, text: &str) -> Event {
        for _ in 0..600 {
            let mut events = self.events().await.into_iter();
            if let Some(event) = events.find(|event| event.message.as_ref().unwrap().contains(text)) {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no Event says `{text}`: {}", self.adapter.log());
    }

    async fn problems(&self, number: f64) {
        for _ in 0..400 {
            if (self.adapter.metric("pipewright_mapping_problems").await - number).abs() < 0.5 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("not {number} problems: {}", self.adapter.log());
    }
}

/// A mapping with this unknown field.
fn broken(field: &str) -> String {
    mended().replace("  do:", &format!("  {field}: 1\n  do:"))
}

fn mended() -> String {
    GOOD.replace("{name: note}", "{name: broken}")
}

async fn a_start_with_a_broken_file_makes_an_event_that_names_file_and_mistake(ground: Ground) {
    let mut pod = Pod::new(&ground).await;
    pod.adapter.start();
    pod.adapter.ready().await;
    let event = pod.told("broken.yaml").await;
    let message = event.message.clone().unwrap();
    println!("{message}");
    assert!(message.starts_with("mapping files have mistakes and are not in force: "), "{message}");
    assert!(message.contains("mappings/broken.yaml:6:3") && message.contains("`doo`"), "{message}");
    assert!(!message.contains("note.yaml"), "{message}");
    let about = &event.involved_object;
    assert_eq!((about.kind.as_deref(), about.name.as_deref()), (Some("Pod"), Some("pipewright-0")));
    assert_eq!(about.uid.as_deref(), Some("5b1f8f4c-0000-4000-8000-000000000000"));
    assert_eq!(about.namespace.as_deref(), Some(ground.namespace()));
    assert_eq!(event.type_.as_deref(), Some("Warning"));
    assert_eq!(event.source.unwrap().component.as_deref(), Some("pipewright"));
    assert_eq!(pod.events().await.len(), 1);
}

async fn the_same_mistake_is_one_event_and_others_come_one_after_another(ground: Ground) {
    let mut pod = Pod::new(&ground).await;
    pod.adapter.start();
    pod.adapter.ready().await;
    pod.told("`doo`").await;
    // Mended, and broken again in the same way.
    for _ in 0..2 {
        pod.write("broken.yaml", &mended());
        pod.problems(0.0).await;
        pod.write("broken.yaml", &broken("doo"));
        pod.problems(1.0).await;
    }
    // The same mistake beside changes that are none, and then quickly others.
    for number in 0..2 {
        pod.write("note.yaml", &format!("{GOOD}# {number}\n"));
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    for number in 0..4 {
        pod.write("broken.yaml", &broken(&format!("do{number}")));
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    let event = pod.told("`do3`").await;
    let told = pod.events().await;
    let messages: Vec<_> = told.iter().map(|it| it.message.as_ref().unwrap()).collect();
    println!("{messages:#?}");
    assert_eq!(messages.iter().filter(|it| it.contains("`doo`")).count(), 1, "{messages:?}");
    assert!(told.len() <= 3, "of what came faster only the newest is told: {messages:?}");
    // The one before was told ten seconds earlier.
    let times = told.iter().filter(|it| it.metadata.uid != event.metadata.uid);
    let before = times.map(|it| it.last_timestamp.as_ref().unwrap().0).max().unwrap();
    let pause = event.last_timestamp.unwrap().0.duration_since(before).as_secs();
    assert!(pause >= 9, "{pause} s");
}

async fn a_start_that_fails_for_a_mistake_makes_one_event_however_often_it_is_tried(ground: Ground) {
    let mut pod = Pod::new(&ground).await;
    pod.adapter.settings("{strictMappings: true}");
    for _ in 0..3 {
        pod.adapter.start();
        assert!(!tokio::task::block_in_place(|| pod.adapter.wait()).success());
    }
    let event = pod.told("broken.yaml").await;
    assert!(event.message.unwrap().contains("`doo`"));
    assert_eq!(pod.events().await.len(), 1);
}
