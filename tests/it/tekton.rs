//! End to end with the real Tekton: a signed webhook comes in, its controllers play the run, events leave.

mod dollar;
mod load;
mod misfits;
mod results;
mod scenarios;
mod story;
mod tektons_own;
mod verdicts;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use pipewright::event::annotation::EMITTED;
use pipewright::vocabulary::tekton::RunKind;
use pipewright_cluster::Cluster;
use serde_json::{Value, json};

use self::scenarios::{A_GOOD, GOOD, PIPELINES, SCENARIOS, Scenario, one};
use self::story::{lines, masked, told};
use self::tektons_own::{Relay, Switched};
use self::world::{KINDS, World, condition, noted, resource, timeless};
use crate::support::corpus::{self, Schemas};
use crate::support::service::Setup;

/// Plays all scenarios at once, and asserts what was told.
async fn play_all(world: &World) {
    join_all(SCENARIOS.iter().enumerate().map(|(number, scenario)| scenario.play(world, number + 1))).await;
    world.until_noted().await;
    world.overtaken().await;
    let told: Vec<_> = SCENARIOS.iter().map(|it| (it.name, lines(&world.told(it.name)))).collect();
    let wanted: Vec<_> = SCENARIOS.iter().map(|it| (it.name, it.story())).collect();
    assert_eq!(told, wanted);
    world.assert_all_valid().await;
    for Scenario { name, .. } in SCENARIOS {
        let text = world.recorder.events(|events| masked(events, name, &world.real.namespace));
        insta::assert_snapshot!(*name, text);
    }
}

/// Every event about a run of the scenarios: how often its id arrived, and what it said. A task and its pipeline tell of
/// an image under one id.
fn by_id(world: &World) -> BTreeMap<String, Vec<Value>> {
    let mut ids: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    world.recorder.events(|events| {
        for Scenario { name, .. } in SCENARIOS {
            for told in told(events, name) {
                let key = format!("{} of {}", told.event, told.uid);
                ids.entry(key).or_default().push(timeless(&told.data));
            }
        }
    });
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_run_is_told_once_and_in_order() {
    let mappings: Vec<_> = SCENARIOS.iter().map(Scenario::mapping).collect();
    let Some(world) = World::start("tekton", PIPELINES, &mappings).await else { return };
    play_all(&world).await;
}

/// Without a controller on the cluster that plays it: its status is all that counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_custom_run_is_told_of_as_a_task() {
    let service = Setup::new().start().await;
    let runs: Api<DynamicObject> =
        Api::default_namespaced_with(service.ground.client(), &resource(RunKind::CustomRun));
    let run = json!({
        "apiVersion": "tekton.dev/v1beta1", "kind": "CustomRun",
        "metadata": {"name": "gate", "labels": {"pipewright.dev/mapping": "custom"}},
        "spec": {"customRef": {"apiVersion": "example.com/v1", "kind": "Approval", "name": "manager"}},
    });
    runs.create(&PostParams::default(), &serde_json::from_value(run).unwrap()).await.unwrap();
    let mut events = Vec::new();
    for (status, reason, count) in [("Unknown", "Running", 1), ("False", "Rejected", 2)] {
        let at = "2026-01-01T00:00:00Z";
        let condition =
            json!({"type": "Succeeded", "status": status, "reason": reason, "lastTransitionTime": at});
        let patch = Patch::Merge(json!({"status": {"startTime": at, "conditions": [condition]}}));
        runs.patch_status("gate", &PatchParams::default(), &patch).await.unwrap();
        service
            .until(reason, async || {
                events.extend(service.events.take());
                events.len() >= count
            })
            .await;
    }
    assert_eq!(lines(&told(&events, "custom")), ["CustomRun: started, finished failure Rejected"]);
    let types: Vec<_> = events.iter().map(pipewright::event::Event::ty).collect();
    assert_eq!(types, ["dev.cdevents.taskrun.started.0.3.0", "dev.cdevents.taskrun.finished.0.3.0"]);
    service
        .until("the note", async || noted(&runs.get("gate").await.unwrap()).is_some_and(|it| it.len() == 2))
        .await;
    service.stop().await;
}

/// Without a controller on the cluster that plays it: what its status says that it made, and how far it has come.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_how_far_it_has_come_and_what_it_made() {
    let page = "https://dash.example.com/#/namespaces/{namespace}/{kind}/{name}";
    let setup = Setup::new().with(|settings| {
        settings.process.announce_progress = true;
        settings.process.run_url = Some(page.to_owned());
    });
    let service = setup.start().await;
    let client = service.ground.client();
    let runs: Api<DynamicObject> = Api::default_namespaced_with(client, &resource(RunKind::PipelineRun));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "build", "labels": {"pipewright.dev/mapping": "made"}, "annotations": {
            "cd.service.deployed": "", "pipewright.dev/change-id": "pull/1",
        }},
        // Whose controller is this test.
        "spec": {"pipelineRef": {"name": "build"}, "managedBy": "example.com/it"},
    });
    runs.create(&PostParams::default(), &serde_json::from_value(run).unwrap()).await.unwrap();
    let at = "2026-01-01T00:00:00Z";
    let condition = |status: &str, reason: &str, message: &str| json!([{"type": "Succeeded", "status": status, "reason": reason, "message": message, "lastTransitionTime": at}]);
    let running = |completed: u32, incomplete: u32| {
        let message = format!(
            "Tasks Completed: {completed} (Failed: 0, Cancelled 0), Incomplete: {incomplete}, Skipped: 0"
        );
        json!({"startTime": at, "conditions": condition("Unknown", "Running", &message)})
    };
    let results = json!([
        {"name": "IMAGE_URL", "value": "ghcr.io/acme/shop:v1\n"},
        {"name": "IMAGE_DIGEST", "value": format!("sha256:{}\n", "ab".repeat(32))},
        {"name": "CHAINS-GIT_COMMIT", "value": commit},
        {"name": "cd.service.envId", "value": "prod"}, {"name": "cd.service.name", "value": "shop"},
        {"name": "cd.service.version", "value": "1.2"},
        {"name": "other_IMAGE_URL", "value": ["an", "array"]}, {"name": "other_IMAGE_DIGEST", "value": "none"},
    ]);
    let end = json!({"completionTime": at, "conditions": condition("True", "Succeeded", "done"), "results": results});
    let mut events = Vec::new();
    for (what, status, count) in
        [("the first task", running(1, 2), 3), ("the second task", running(2, 1), 4), ("the end", end, 8)]
    {
        let patch = Patch::Merge(json!({"status": status}));
        runs.patch_status("build", &PatchParams::default(), &patch).await.unwrap();
        service
            .until(what, async || {
                events.extend(service.events.take());
                events.len() >= count
            })
            .await;
    }
    assert_eq!(
        lines(&told(&events, "made")),
        [
            "PipelineRun: queued, started, progressed, progressed, finished success Succeeded, packaged, published, deployed"
        ]
    );
    let schemas = corpus::root().map(|root| Schemas::load(&root));
    for event in &events {
        if let Some(schemas) = &schemas {
            schemas.assert_valid(event);
        }
    }
    let content = |place: usize| events[place].tree().unwrap()["subject"]["content"].clone();
    assert_eq!(content(4)["uri"], "https://dash.example.com/#/namespaces/default/pipelineruns/build");
    assert_eq!(content(3)["percent"], 66);
    assert_eq!(content(5)["change"], json!({"id": commit}));
    assert_eq!(content(7)["artifactId"], "pkg:generic/shop@1.2");
    // Of progress nothing is left on the object, and of what was made there is a note.
    let names = async || noted(&runs.get("build").await.unwrap()).unwrap_or_default();
    service.until("the note", async || names().await.len() == 6).await;
    let names = names().await;
    assert_eq!(names[..3], ["queued", "started", "finished"]);
    assert!(names[3].starts_with("packaged/") && names[5].starts_with("deployed/"), "{names:?}");
    service.stop().await;
}

/// The tasks end one after the other, each when it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn tekton_is_asked_how_far_a_run_has_come() {
    let scenario = Scenario::new("progress", "hold: 'true'", "pipelineRef: {name: two}");
    let settings = ", announceProgress: true";
    let mappings = [scenario.mapping()];
    let Some(world) = World::start_with("tekton-progress", PIPELINES, &mappings, settings).await else {
        return;
    };
    world.webhook("progress", 1).await;
    let percents = || -> Vec<u64> {
        let told = world.told("progress").into_iter().filter(|told| told.transition == "progressed");
        told.map(|told| told.data["subject"]["content"]["percent"].as_u64().unwrap()).collect()
    };
    let run = async || world.run("progress").await.unwrap().metadata.name.unwrap();
    for (task, percent) in [("a", 0), ("b", 33), ("last", 66)] {
        world.until(&format!("{percent} %"), async || percents().last() == Some(&percent)).await;
        world.release(&run().await, task).await;
    }
    world
        .until("the end", async || {
            world.told("progress").iter().any(|it| it.line() == "PipelineRun finished success Succeeded")
        })
        .await;
    world.until_noted().await;
    world.overtaken().await;
    assert_eq!(percents(), [0, 33, 66], "once each, and in order");
    let of_run: Vec<_> = world.told("progress").into_iter().filter(|it| it.label == "PipelineRun").collect();
    assert_eq!(
        lines(&of_run),
        ["PipelineRun: queued, started, progressed, progressed, progressed, finished success Succeeded"]
    );
    world.assert_all_valid().await;
}

/// All scenarios, while Tekton also sends its own events to the adapter, sends them all again after a restart, and falls
/// silent.
#[tokio::test(flavor = "multi_thread")]
async fn tektons_own_events_change_nothing() {
    let mappings: Vec<_> = SCENARIOS.iter().map(Scenario::mapping).collect();
    let Some(mut world) = World::start("tekton-own", PIPELINES, &mappings).await else { return };
    let namespace = world.real.namespace.clone();
    let relay = Relay::start(&world.adapter.url);
    let on = Switched::on(&world.real, &relay.url);
    while relay.seen(&namespace).is_empty() {
        world.overtaken().await;
    }
    play_all(&world).await;

    let sent = relay.seen(&namespace);
    assert!(sent.iter().all(|seen| seen.status == 202), "{sent:#?}");
    let of = |uid: &str| sent.iter().filter(|seen| seen.uid == uid).count();
    let mut uids: Vec<_> = world.told("succeeded").into_iter().map(|told| told.uid).collect();
    uids.dedup();
    assert!(uids.iter().all(|uid| of(uid) >= 2), "Tekton told of each run and task: {sent:#?}");
    // A name that is used again is one that Tekton has told of already.
    let again: Vec<_> = world.told("again").into_iter().filter(|told| told.label == "PipelineRun").collect();
    let (first, second) = (&again.first().unwrap().uid, &again.last().unwrap().uid);
    assert!(first != second && of(first) >= 2 && of(second) == 0, "{} {}", of(first), of(second));

    let before = by_id(&world);
    assert!(before.values().all(|told| told.len() == 1));
    restart(&world, "tekton-events").await;
    let known: BTreeSet<String> = sent.iter().map(|seen| seen.id.clone()).collect();
    let mut ended = BTreeSet::new();
    for kind in KINDS {
        for object in world.api(kind).list(&ListParams::default()).await.unwrap().items {
            ended.extend(object.metadata.uid);
        }
    }
    let sent_again = || -> BTreeSet<String> {
        let new = relay.seen(&namespace).into_iter().filter(|seen| !known.contains(&seen.id));
        new.map(|seen| seen.uid).collect()
    };
    world.until("everything is sent again", async || sent_again().is_superset(&ended)).await;
    world.overtaken().await;
    assert_eq!(by_id(&world), before, "after the restart of Tekton's events controller");
    println!(
        "Tekton sent {} events of {} objects, and after its restart {} with new ids, and {} of other namespaces; {} left",
        sent.len(),
        ended.len(),
        relay.seen(&namespace).len() - sent.len(),
        relay.elsewhere(&namespace),
        before.len()
    );

    // Off: a new process that knows nothing, over the same objects, of which nothing is noted.
    drop(on);
    world.adapter.terminate();
    world.adapter.wait();
    let patch = json!({"metadata": {"annotations": {EMITTED: null}}});
    for kind in KINDS {
        for object in world.api(kind).list(&ListParams::default()).await.unwrap().items {
            world.patch(kind, &object.metadata.name.unwrap(), &patch).await;
        }
    }
    world.recorder.take();
    world.adapter.start();
    world.adapter.ready().await;
    world.until_noted().await;
    let lives = |told: &Value| ended.contains(told["customData"]["tekton"]["uid"].as_str().unwrap());
    let mut expected = before;
    expected.retain(|_, told| lives(&told[0]));
    assert_eq!(by_id(&world), expected, "with Tekton's own events on and off");
}

/// Ends a process of the cluster as a crash does, and starts it again.
async fn restart(world: &World, process: &'static str) {
    Away::kill(world, process).await.back().await;
}

/// A process of the cluster that is killed, and comes back in any case: other tests need it too.
struct Away {
    cluster: Arc<Cluster>,
    process: &'static str,
    is_back: bool,
}

impl Away {
    async fn kill(world: &World, process: &'static str) -> Self {
        let cluster = Arc::clone(&world.real.cluster);
        let away = Self { cluster: Arc::clone(&cluster), process, is_back: false };
        tokio::task::spawn_blocking(move || cluster.kill(process)).await.unwrap().unwrap();
        away
    }

    async fn back(mut self) {
        let (cluster, process) = (Arc::clone(&self.cluster), self.process);
        tokio::task::spawn_blocking(move || cluster.start(process)).await.unwrap().unwrap();
        self.is_back = true;
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        if !self.is_back
            && let Err(error) = self.cluster.start(self.process)
        {
            eprintln!("{} is still away: {error:#}", self.process);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_nobody_looked_is_told_afterwards() {
    let names = ["stays", "goes", "returns"];
    let mappings = names.map(|name| one(name, "hold: 'true'").mapping());
    let Some(mut world) = World::start("tekton-away", PIPELINES, &mappings).await else { return };
    for (number, name) in names.iter().enumerate() {
        world.webhook(name, number + 1).await;
    }
    for name in names {
        world.until(name, async || world.told(name).len() == 3).await;
    }
    world.until_noted().await;
    world.adapter.kill();

    // Tekton's controller misses the end of the pods as well.
    let away = Away::kill(&world, "tekton-controller").await;
    for name in names {
        let run = world.run(name).await.unwrap().metadata.name.unwrap();
        world.release(&run, "a").await;
    }
    away.back().await;
    let ends = async |name: &str| {
        world.until(name, async || condition(&world.run(name).await.unwrap()).0 == "True").await;
    };
    for name in names {
        ends(name).await;
    }
    world.delete("goes").await;
    let mut again = world.run("returns").await.unwrap();
    world.delete("returns").await;
    // As somebody does who restores a backup, with the note about the run of before.
    let metadata = again.metadata.clone();
    again.metadata = kube::core::ObjectMeta {
        name: metadata.name,
        labels: metadata.labels,
        annotations: metadata.annotations,
        ..kube::core::ObjectMeta::default()
    };
    again.data["status"].take();
    again.metadata.annotations.as_mut().unwrap().remove("play.pipewright.dev/hold");
    assert!(again.metadata.annotations.as_ref().unwrap().contains_key(EMITTED));
    world.create(RunKind::PipelineRun, serde_json::to_value(&again).unwrap()).await;
    ends("returns").await;

    world.adapter.start();
    world.adapter.ready().await;
    world.until_noted().await;
    world.overtaken().await;
    assert_eq!(lines(&world.told("stays")), [GOOD, A_GOOD]);
    // The API server still knows what has been deleted, and how it ended.
    assert_eq!(lines(&world.told("goes")), [GOOD, A_GOOD]);
    assert_eq!(lines(&world.told("returns")), [GOOD, GOOD, A_GOOD, A_GOOD]);
    world.assert_all_valid().await;
    let run = world.run("returns").await.unwrap().metadata.name.unwrap();
    world.api(RunKind::PipelineRun).delete(&run, &DeleteParams::background()).await.unwrap();
}
