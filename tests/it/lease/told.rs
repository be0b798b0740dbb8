//! Which transitions were told, how often and under which ids, and which there should be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use pipewright::event::Event;

use crate::support::service::Service;

/// Ids by the uid of the run and the type, with how often each came.
pub type Told = BTreeMap<(String, String), BTreeMap<String, usize>>;

pub fn told(events: &[Event], into: &mut Told) {
    for event in events.iter().filter(|event| event.ty().contains("run.")) {
        let tree = event.tree().unwrap();
        let uid = tree["customData"]["tekton"]["uid"].as_str().unwrap().to_owned();
        let ty = event.ty().split('.').skip(2).take(2).collect::<Vec<_>>().join(".");
        *into.entry((uid, ty)).or_default().entry(event.id().to_owned()).or_default() += 1;
    }
}

/// The transitions that `runs` finished pipeline runs of one task have.
pub async fn expected(client: &kube::Client, runs: usize) -> BTreeSet<(String, String)> {
    let mut expected = BTreeSet::new();
    for (kind, names) in [
        ("PipelineRun", &["pipelinerun.queued", "pipelinerun.started", "pipelinerun.finished"][..]),
        ("TaskRun", &["taskrun.started", "taskrun.finished"][..]),
    ] {
        let kind = kube::api::GroupVersionKind::gvk("tekton.dev", "v1", kind);
        let resource = kube::api::ApiResource::from_gvk(&kind);
        let api = Api::<DynamicObject>::default_namespaced_with(client.clone(), &resource);
        let items = api.list(&ListParams::default()).await.unwrap().items;
        assert!(items.len() <= runs, "{} of {runs}", items.len());
        for uid in items.iter().map(|item| item.metadata.uid.clone().unwrap()) {
            expected.extend(names.iter().map(|name| (uid.clone(), (*name).to_owned())));
        }
    }
    expected
}

/// Waits until every transition of so many runs was told by any of the replicas.
pub async fn all_told(replicas: &[&Service], runs: usize, told_before: &mut Told) {
    let client = replicas[0].ground.client();
    let started = Instant::now();
    loop {
        for replica in replicas {
            told(&replica.events.take(), told_before);
        }
        let expected = expected(&client, runs).await;
        let have: BTreeSet<_> = told_before.keys().cloned().collect();
        if expected.len() == 5 * runs && have == expected {
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(40),
            "of {} transitions {} are missing: {:?}",
            5 * runs,
            expected.difference(&have).count(),
            expected.difference(&have).next()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    one_id_each(told_before);
}

#[track_caller]
pub fn one_id_each(told: &Told) {
    for (transition, ids) in told {
        assert_eq!(ids.len(), 1, "{transition:?}: {ids:?}");
    }
}

pub fn repeated(told: &Told) -> usize {
    told.values().flat_map(BTreeMap::values).filter(|count| **count > 1).count()
}
