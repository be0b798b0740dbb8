//! What the embedded cluster has that no real one has: faults, options, the player, the listener. What both must do is in
//! `kubernetes`.

mod history;
mod player;
mod serve;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
    PostParams, ValidationDirective, VersionMatch, WatchEvent, WatchParams,
};
use kube::core::response::Status;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use pipewright::cluster::memory::faults::{Fault, Mix, Rate, Requests};
use pipewright::cluster::memory::{Limits, Memory, Options, PlayerOptions};
use serde_json::{Value, json};

fn cluster() -> Memory {
    Memory::start(Options { bookmarks: Duration::from_millis(50), ..Options::default() })
}

fn played() -> Memory {
    let player = PlayerOptions { task_duration: Duration::from_millis(20), ..PlayerOptions::default() };
    Memory::start(Options { player: Some(player), ..Options::default() })
}

fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn runs(client: &Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), "default", &resource("tekton.dev/v1", "PipelineRun"))
}

fn task_runs(client: &Client) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), "default", &resource("tekton.dev/v1", "TaskRun"))
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), "default")
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn run(name: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"name": name},
        "spec": {"pipelineRef": {"name": "build"}},
    }))
}

fn map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data: BTreeMap<&str, &str> = data.iter().copied().collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()
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

fn condition(run: &DynamicObject) -> (String, String, String) {
    let condition = &run.data["status"]["conditions"][0];
    let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

async fn until(api: &Api<DynamicObject>, name: &str, reason: &str) -> DynamicObject {
    eventually(&format!("{name} is {reason}"), || async {
        api.get_opt(name).await.unwrap().filter(|run| condition(run).1 == reason)
    })
    .await
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
