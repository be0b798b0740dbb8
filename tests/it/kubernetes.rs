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
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
    PropagationPolicy, VersionMatch, WatchParams,
};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};

use crate::support::ground::{Ground, on_both_clusters};
use crate::support::objects::*;

fn run(name: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"name": name},
        // Tekton leaves it alone.
        "spec": {"managedBy": "example.dev/nobody", "pipelineRef": {"name": "build"}},
    }))
}

fn labelled(name: &str, labels: &[(&str, &str)]) -> ConfigMap {
    let mut map = map(name, &[]);
    map.labels_mut().extend(labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    map
}
