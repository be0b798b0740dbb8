//! The cluster that a test stands on: the embedded one, or a namespace of its own in the real one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use pipewright::cluster::memory::{Memory, Options};
use pipewright::cluster::{self, Clients};
use serde_json::json;

use super::skip;

/// A cluster for one test.
#[derive(Clone)]
pub enum Ground {
    /// In this process, for this test alone.
    Embedded(Memory),
    /// Shared by all tests of the run.
    Real(Real),
}

/// A namespace of the real cluster.
#[derive(Clone)]
pub struct Real {
    /// The cluster, whose processes can be stopped.
    pub cluster: Arc<pipewright_cluster::Cluster>,
    /// The namespace, which is this test's own.
    pub namespace: String,
    /// A kubeconfig of an administrator, whose context has that namespace.
    pub kubeconfig: PathBuf,
}

/// Each test twice, as `<name>::on_the_embedded_cluster` and `<name>::on_a_real_cluster`; the second one is skipped where
/// there is none.
macro_rules! on_both_clusters {
    ($($(#[$meta:meta])* async fn $name:ident($ground:ident: Ground) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, clippy::wildcard_imports)]
            use super::*;

            $(#[$meta])*
            async fn test($ground: $crate::support::ground::Ground) $body

            #[tokio::test(flavor = "multi_thread")]
            async fn on_the_embedded_cluster() {
                test($crate::support::ground::Ground::embedded()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_a_real_cluster() {
                if let Some(ground) = $crate::support::ground::Ground::real().await {
                    test(ground).await;
                }
            }
        }
    )*};
}
pub(crate) use on_both_clusters;

// === impl Ground ===

impl Ground {
    /// A new embedded cluster, without a player.
    pub fn embedded() -> Self {
        Self::Embedded(Memory::start(Options::default()))
    }

    /// A new namespace of the real cluster; none, and the test is noted as skipped, where there is no such cluster.
    pub async fn real() -> Option<Self> {
        Real::new().await.map(Self::Real)
    }

    /// The namespace of the test.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Embedded(_) => "default",
            Self::Real(real) => &real.namespace,
        }
    }

    /// An administrator's client, whose default namespace is the test's.
    pub async fn client(&self) -> Client {
        match self {
            Self::Embedded(memory) => memory.client("default"),
            Self::Real(real) => real.client().await,
        }
    }

    /// What a service is started with.
    pub async fn clients(&self) -> Clients {
        match self {
            Self::Embedded(memory) => memory.clients("default"),
            Self::Real(real) => cluster::connect(Some(&real.kubeconfig)).await.unwrap(),
        }
    }
}

// === impl Real ===

impl Real {
    /// A new namespace; none, and the test is noted as skipped, where there is no real cluster.
    pub async fn new() -> Option<Self> {
        let Some(cluster) = pipewright_cluster::Cluster::from_environment().unwrap() else {
            skip("no real cluster: `make test` starts one where Go is installed");
            return None;
        };
        Some(Self::in_cluster(Arc::new(cluster)).await)
    }

    /// A new namespace in a certain cluster.
    pub async fn in_cluster(cluster: Arc<pipewright_cluster::Cluster>) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("test-{}-{number}", std::process::id());
        let kubeconfig = cluster.folder.join(format!("{namespace}.kubeconfig"));
        write_kubeconfig(&kubeconfig, &cluster, &cluster.server, &namespace);
        let real = Self { cluster, namespace, kubeconfig };
        let object: Namespace =
            serde_json::from_value(json!({"metadata": {"name": real.namespace}})).unwrap();
        Api::all(real.client().await).create(&PostParams::default(), &object).await.unwrap();
        real
    }

    /// An administrator's client.
    pub async fn client(&self) -> Client {
        client(&self.kubeconfig).await
    }
}

/// A kubeconfig of an administrator by way of `server`, such as a proxy.
pub fn write_kubeconfig(path: &Path, cluster: &pipewright_cluster::Cluster, server: &str, namespace: &str) {
    let (authority, token) = (cluster.authority.display(), &cluster.token);
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: '{authority}'}}}}]\n\
         users: [{{name: u, user: {{token: {token}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: c, user: u, namespace: {namespace}}}}}]\n"
    );
    std::fs::write(path, text).unwrap();
}

/// A client of whatever a kubeconfig leads to.
pub async fn client(kubeconfig: &Path) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}
