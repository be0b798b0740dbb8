//! What the embedded cluster has that no real one has: faults, options, the player, the listener. What both must do is in
//! `kubernetes`.

mod history;
mod player;
mod serve;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{
    Api, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, ValidationDirective,
    VersionMatch, WatchEvent, WatchParams,
};
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use pipewright_embedded::faults::{Fault, Mix, Rate, Requests};
use pipewright_embedded::{Limits, Memory, Options, PlayerOptions};
use serde_json::json;

use crate::support::objects::*;

fn cluster() -> Memory {
    Memory::start(Options { bookmarks: Duration::from_millis(50), ..Options::default() })
}

fn played() -> Memory {
    let player = PlayerOptions { task_duration: Duration::from_millis(20), ..PlayerOptions::default() };
    Memory::start(Options { player: Some(player), ..Options::default() })
}

fn run(name: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "tekton.dev/v1",
        "kind": "PipelineRun",
        "metadata": {"name": name},
        "spec": {"pipelineRef": {"name": "build"}},
    }))
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
