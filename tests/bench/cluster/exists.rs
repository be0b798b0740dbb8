//! When runs come into being, as a watch of the API server sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use anyhow::Context;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, WatchEvent, WatchParams};
use kube::{Client, Config};
use pipewright_cluster::Cluster;

/// The first sight of each run, by its revision.
#[derive(Clone, Default)]
pub struct Exists(Arc<Mutex<HashMap<String, Instant>>>);

// === impl Exists ===

impl Exists {
    /// Watches a namespace, on a thread of its own, until the process ends or the watch does.
    pub fn watch(cluster: &Cluster, namespace: &str) -> anyhow::Result<Self> {
        let seen = Self::default();
        let (ready, told) = mpsc::channel();
        let (cluster, namespace, into) = (cluster.clone(), namespace.to_owned(), seen.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { into.run(&client(&cluster)?, &namespace, &ready).await })
        });
        told.recv().context("the runs cannot be watched")?;
        Ok(seen)
    }

    async fn run(self, client: &Client, namespace: &str, ready: &mpsc::Sender<()>) -> anyhow::Result<()> {
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
        let version = api.list(&ListParams::default().limit(1)).await?.metadata.resource_version;
        let params = WatchParams::default().timeout(290);
        let mut events = api.watch(&params, &version.unwrap_or_default()).await?.boxed();
        ready.send(())?;
        while let Some(event) = events.next().await {
            let WatchEvent::Added(run) = event? else { continue };
            let labels = run.metadata.labels.unwrap_or_default();
            if let (Some(revision), Ok(mut seen)) = (labels.get("example.com/revision"), self.0.lock()) {
                seen.entry(revision.clone()).or_insert_with(Instant::now);
            }
        }
        Ok(())
    }

    /// How many there are of these.
    pub fn count(&self) -> usize {
        self.0.lock().map_or(0, |seen| seen.len())
    }

    /// When it was first seen.
    pub fn at(&self, revision: &str) -> Option<Instant> {
        self.0.lock().ok()?.get(revision).copied()
    }
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
