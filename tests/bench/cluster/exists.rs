//! When runs come into being, as a watch of the API server sees it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, WatchEvent, WatchParams};
use kube::{Client, Config};
use pipewright_cluster::Cluster;
use tokio::sync::oneshot;

/// The first sight of each run, by its revision; the watch ends with it.
pub struct Exists {
    seen: Seen,
    _watch: oneshot::Sender<()>,
}

type Seen = Arc<Mutex<HashMap<String, Instant>>>;

// === impl Exists ===

impl Exists {
    /// Watches a namespace, on a thread of its own.
    pub fn watch(cluster: &Cluster, namespace: &str) -> anyhow::Result<Self> {
        let seen = Seen::default();
        let (ready, told) = mpsc::channel();
        let (watch, ended) = oneshot::channel();
        let (cluster, namespace, into) = (cluster.clone(), namespace.to_owned(), Arc::clone(&seen));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let client = client(&cluster)?;
                tokio::select! {
                    result = follow(&into, &client, &namespace, &ready) => result,
                    _ = ended => Ok(()),
                }
            })
        });
        told.recv().context("the runs cannot be watched")?;
        Ok(Self { seen, _watch: watch })
    }

    /// How many there are of these.
    pub fn count(&self) -> usize {
        self.seen.lock().map_or(0, |seen| seen.len())
    }

    /// When it was first seen.
    pub fn at(&self, revision: &str) -> Option<Instant> {
        self.seen.lock().ok()?.get(revision).copied()
    }
}

async fn follow(
    seen: &Seen,
    client: &Client,
    namespace: &str,
    ready: &mpsc::Sender<()>,
) -> anyhow::Result<()> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let version = api.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
    let params = WatchParams::default().timeout(290);
    let mut events = api.watch(&params, &version.unwrap_or_default()).await?.boxed();
    ready.send(())?;
    while let Some(event) = events.next().await {
        let WatchEvent::Added(run) = event? else { continue };
        let labels = run.metadata.labels.unwrap_or_default();
        if let (Some(revision), Ok(mut seen)) = (labels.get("example.com/revision"), seen.lock()) {
            seen.entry(revision.clone()).or_insert_with(Instant::now);
        }
    }
    Ok(())
}

/// An administrator's client.
pub fn client(cluster: &Cluster) -> anyhow::Result<Client> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::new(cluster.server.parse()?);
    config.root_cert = Some(vec![authority(cluster)?]);
    config.auth_info.token = Some(cluster.token.clone().into());
    Ok(Client::try_from(config)?)
}

/// The certificate of the cluster's authority, DER.
pub fn authority(cluster: &Cluster) -> anyhow::Result<Vec<u8>> {
    let pem = std::fs::read_to_string(&cluster.authority)?;
    let encoded: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Ok(BASE64_STANDARD.decode(encoded)?)
}

/// Holds two ways to the same run: as many labels, annotations and parameters, with the same names.
pub fn compare(cluster: &Cluster, one: &str, other: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let shape = |namespace: &str| {
        runtime.block_on(async {
            let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
            let api: Api<DynamicObject> = Api::namespaced_with(client(cluster)?, namespace, &kind);
            let runs = api.list(&ListParams::default().limit(1)).await?;
            let run = runs.items.into_iter().next().with_context(|| format!("no run in {namespace}"))?;
            let names = |map: Option<BTreeMap<String, String>>| {
                map.unwrap_or_default().into_keys().collect::<Vec<_>>()
            };
            anyhow::Ok((
                names(run.metadata.labels),
                names(run.metadata.annotations),
                run.data["spec"]["params"].as_array().map(Vec::len),
            ))
        })
    };
    let (one, other) = (shape(one)?, shape(other)?);
    ensure!(one == other, "the direct POST makes another run than we do: {one:?} and {other:?}");
    Ok(())
}

/// How many of these runs are not in the namespace.
pub fn absent(cluster: &Cluster, namespace: &str, revisions: &[&str]) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
        let api: Api<DynamicObject> = Api::namespaced_with(client(cluster)?, namespace, &kind);
        let mut absent = 0.0;
        for revision in revisions {
            let labels = ListParams::default().labels(&format!("example.com/revision={revision}"));
            if api.list_metadata(&labels).await?.items.is_empty() {
                absent += 1.0;
            }
        }
        Ok(absent)
    })
}
