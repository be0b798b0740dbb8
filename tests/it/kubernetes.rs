//! The contract of a Kubernetes API with Tekton: what holds on the real cluster holds on the embedded one.
//!
//! Each test runs on both, in a namespace of its own; [`exchanges`] holds recorded answers against both, word for word,
//! and [`random`] compares the two on random requests. Where they differ the real one is right.

mod apply;
mod create;
mod delete;
mod exchanges;
mod list;
mod random;
mod update;
pub mod watch;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams, Preconditions, PropagationPolicy, VersionMatch, WatchEvent, WatchParams,
};
use kube::core::PartialObjectMeta;
use kube::core::response::Status;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::support::ground::{Ground, on_both_clusters};

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn runs(client: &Client) -> Api<DynamicObject> {
    Api::default_namespaced_with(client.clone(), &resource("tekton.dev/v1", "PipelineRun"))
}

fn task_runs(client: &Client) -> Api<DynamicObject> {
    Api::default_namespaced_with(client.clone(), &resource("tekton.dev/v1", "TaskRun"))
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn run(name: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"name": name},
        // Tekton leaves it alone.
        "spec": {"managedBy": "example.dev/nobody", "pipelineRef": {"name": "build"}},
    }))
}

fn map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data: BTreeMap<&str, &str> = data.iter().copied().collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()
}

fn labelled(name: &str, labels: &[(&str, &str)]) -> ConfigMap {
    let mut map = map(name, &[]);
    map.labels_mut().extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    map
}

fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Box<Status> {
    match result {
        Err(kube::Error::Api(status)) => status,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn post() -> PostParams {
    PostParams::default()
}

fn merge(patch: Value) -> Patch<Value> {
    Patch::Merge(patch)
}

fn params() -> PatchParams {
    PatchParams::default()
}

fn version<K: kube::Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_ref().unwrap().parse().unwrap()
}

async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    for _ in 0..1000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

fn name_of(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(map) => format!("+{}", map.name_any()),
        WatchEvent::Modified(map) => format!("~{}", map.name_any()),
        WatchEvent::Deleted(map) => format!("-{}", map.name_any()),
        WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.is_empty() => "bookmark".to_owned(),
        WatchEvent::Bookmark(_) => "end".to_owned(),
        WatchEvent::Error(status) => format!("{} {}", status.code, status.reason),
    }
}

fn quiet() -> WatchParams {
    WatchParams { bookmarks: false, ..WatchParams::default() }
}
