//! Kinds and objects for tests that speak to an API server, embedded or real.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::core::response::Status;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

/// A kind by its version and name.
pub fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// `PipelineRun`s of the client's namespace.
pub fn runs(client: &Client) -> Api<DynamicObject> {
    Api::default_namespaced_with(client.clone(), &resource("tekton.dev/v1", "PipelineRun"))
}

/// `TaskRun`s of the client's namespace.
pub fn task_runs(client: &Client) -> Api<DynamicObject> {
    Api::default_namespaced_with(client.clone(), &resource("tekton.dev/v1", "TaskRun"))
}

/// `ConfigMap`s of the client's namespace.
pub fn maps(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

/// An object from JSON.
pub fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

/// A `ConfigMap`.
pub fn map(name: &str, data: &[(&str, &str)]) -> ConfigMap {
    let data: BTreeMap<&str, &str> = data.iter().copied().collect();
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()
}

/// What the API server refused with.
pub fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> Box<Status> {
    match result {
        Err(kube::Error::Api(status)) => status,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// A plain creation.
pub fn post() -> PostParams {
    PostParams::default()
}

/// A merge patch.
pub fn merge(patch: Value) -> Patch<Value> {
    Patch::Merge(patch)
}

/// A plain patch.
pub fn params() -> PatchParams {
    PatchParams::default()
}

/// The `resourceVersion` as a number.
pub fn version<K: kube::Resource>(object: &K) -> u64 {
    object.meta().resource_version.as_ref().unwrap().parse().unwrap()
}

/// Waits at most ten seconds for something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    for _ in 0..1000 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

/// An event of a watch in a few characters.
pub fn name_of(event: &WatchEvent<ConfigMap>) -> String {
    match event {
        WatchEvent::Added(map) => format!("+{}", map.name_any()),
        WatchEvent::Modified(map) => format!("~{}", map.name_any()),
        WatchEvent::Deleted(map) => format!("-{}", map.name_any()),
        WatchEvent::Bookmark(bookmark) if bookmark.metadata.annotations.is_empty() => "bookmark".to_owned(),
        WatchEvent::Bookmark(_) => "end".to_owned(),
        WatchEvent::Error(status) => format!("{} {}", status.code, status.reason),
    }
}

/// A watch without bookmarks.
pub fn quiet() -> WatchParams {
    WatchParams { bookmarks: false, ..WatchParams::default() }
}
