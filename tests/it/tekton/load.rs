//! Many runs at once: every transition of each leaves, in order and under one id, although Tekton writes the annotations
//! on which the notes about them stand.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use futures::{StreamExt, stream};
use kube::api::{Api, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use pipewright::vocabulary::tekton::RunKind;

use super::story::{Told, lines};
use super::world::{KINDS, World, noted, resource};
use crate::support::delivery::Progress;

const RUNS: usize = 200;

const PIPELINE: &str = "
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: pair}
spec:
  tasks:
    - {name: a, taskSpec: &work {steps: [{name: work, image: alpine, command: ['true']}]}}
    - {name: b, runAfter: [a], taskSpec: *work}
";

const MAPPING: &str = "
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: load}
spec:
  events: [{type: dev.cdevents.change.created}]
  do: [{name: run, pipelineRun: {spec: {pipelineRef: {name: pair}}}}]
";

/// How the notes on the runs fared.
#[derive(Default)]
struct Notes {
    by_uid: HashMap<String, BTreeSet<String>>,
    written: usize,
    /// Something that was noted was no longer.
    reverted: usize,
}

// === impl Notes ===

impl Notes {
    /// Watches all runs of the namespace for as long as the test lives.
    fn watch(world: &World) -> Arc<Mutex<Self>> {
        let notes = Arc::new(Mutex::new(Self::default()));
        for kind in KINDS {
            let api: Api<DynamicObject> =
                Api::namespaced_with(world.client.clone(), &world.real.namespace, &resource(kind));
            let notes = Arc::clone(&notes);
            tokio::spawn(async move {
                let mut watched = watcher(api, watcher::Config::default()).boxed();
                while let Some(event) = watched.next().await {
                    if let Ok(Event::Apply(object) | Event::InitApply(object)) = event {
                        notes.lock().unwrap().see(&object);
                    }
                }
            });
        }
        notes
    }

    fn see(&mut self, object: &DynamicObject) {
        let now: BTreeSet<String> = noted(object).into_iter().flatten().collect();
        let before = self.by_uid.entry(object.metadata.uid.clone().unwrap()).or_default();
        self.reverted += usize::from(!now.is_superset(before));
        self.written += usize::from(!before.is_superset(&now));
        *before = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_transitions_of_two_hundred_runs_leave_once_each_and_in_order() {
    let mappings = [("load".to_owned(), MAPPING.to_owned())];
    let Some(world) = World::start("tekton-load", PIPELINE, &mappings).await else { return };
    let notes = Notes::watch(&world);
    let begin = std::time::Instant::now();
    stream::iter(1..=RUNS)
        .for_each_concurrent(8, |number| {
            let world = &world;
            async move { world.webhook(&format!("Change {number}"), number).await }
        })
        .await;
    let sent = begin.elapsed();
    // The change, three of the pipeline run, two of each task.
    let (wanted, mut progress) = (RUNS * 8, Progress::new());
    while world.recorder.events(<[_]>::len) < wanted {
        let arrived = world.recorder.events(<[_]>::len);
        assert!(progress.goes_on(arrived), "{arrived} of {wanted} arrived: {}", world.adapter.log());
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let all = begin.elapsed();
    world.until_noted().await;
    world.overtaken().await;
    let story = world.told("load");
    let ids: BTreeSet<&str> = story.iter().map(|told| told.event.as_str()).collect();
    let Notes { written, reverted, .. } = std::mem::take(&mut *notes.lock().unwrap());
    println!(
        "{RUNS} webhooks in {:.1} s, all told after {:.1} s: {} transitions, {} of them again; {written} notes written, \
         {reverted} reverted by Tekton",
        sent.as_secs_f64(),
        all.as_secs_f64(),
        ids.len(),
        story.len() - ids.len(),
    );
    assert_eq!(world.objects(RunKind::PipelineRun, "load").await.len(), RUNS);
    assert_eq!(told_once(&story), RUNS * 7);
    world.assert_all_valid().await;
}

/// Asserts that everything was told of each object once and in order; says how much.
fn told_once(story: &[Told]) -> usize {
    const GOOD: [&str; 3] = [
        "PipelineRun: queued, started, finished success Succeeded",
        "TaskRun a: started, finished success Succeeded",
        "TaskRun b: started, finished success Succeeded",
    ];
    let mut count = [0; 3];
    for line in lines(story) {
        let place = GOOD.iter().position(|good| *good == line);
        count[place.unwrap_or_else(|| panic!("{line}"))] += 1;
    }
    assert_eq!(count, [RUNS; 3]);
    story.len()
}
