//! The cluster that a test stands on: the embedded one, or a namespace of its own in the real one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client, Config};
use pipewright::cluster::{self, Clients};
use pipewright_embedded::{Memory, Options, PlayerOptions};
use serde_json::{Value, json};

use super::faulty::{Board, Switch};
use super::{deployed, skip};

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
    /// Whether the adapter is an administrator too, because it shall do more than `deploy/` lets it.
    is_administrator: bool,
    board: Board,
}

/// Each of these functions twice, as the tests `<name>::on_the_embedded_cluster` and `<name>::on_a_real_cluster`; the second
/// one is skipped where there is no such cluster.
macro_rules! on_both_clusters {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn on_the_embedded_cluster() {
                super::$name($crate::support::ground::Ground::embedded()).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_a_real_cluster() {
                if let Some(ground) = $crate::support::ground::Ground::real().await {
                    super::$name(ground).await;
                }
            }
        }
    )+};
}
pub(crate) use on_both_clusters;

// === impl Ground ===

impl Ground {
    /// A new embedded cluster. Its player plays each task in 50 ms, as KWOK does in 100.
    pub fn embedded() -> Self {
        let player = PlayerOptions { task_duration: Duration::from_millis(50), ..PlayerOptions::default() };
        Self::Embedded(Memory::start(Options { player: Some(player), ..Options::default() }))
    }

    /// A new namespace of the real cluster; none, and the test is noted as skipped, where there is no such cluster.
    pub async fn real() -> Option<Self> {
        Real::new().await.map(Self::Real)
    }

    /// Another one of its kind, in which nothing is yet.
    pub async fn another(&self) -> Self {
        match self {
            Self::Embedded(_) => Self::embedded(),
            Self::Real(real) => Self::Real(Real::in_cluster(Arc::clone(&real.cluster)).await),
        }
    }

    /// Whether it is the real one, which plays some ten runs a second.
    pub fn is_real(&self) -> bool {
        matches!(self, Self::Real(_))
    }

    /// The namespace of the test.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Embedded(_) => "default",
            Self::Real(real) => &real.namespace,
        }
    }

    /// An administrator's client, whose default namespace is the test's.
    pub fn client(&self) -> Client {
        match self {
            Self::Embedded(memory) => memory.client("default"),
            Self::Real(real) => real.client(),
        }
    }

    /// What a service is started with.
    pub async fn clients(&self) -> Clients {
        match self {
            Self::Embedded(memory) => {
                let served = memory.clone();
                Clients::new(memory.client("default"), move || served.client("default"))
            }
            Self::Real(real) => {
                let _ = rustls::crypto::ring::default_provider().install_default();
                real.board.before(&cluster::connect(Some(&real.adapter().await)).await.unwrap())
            }
        }
    }

    /// With an adapter that may do more than the service account of `deploy/`.
    pub fn administered(self) -> Self {
        match self {
            Self::Embedded(_) => self,
            Self::Real(real) => Self::Real(Real { is_administrator: true, ..real }),
        }
    }

    /// What can go wrong between the service and the cluster.
    pub fn faults(&self) -> Switch {
        match self {
            Self::Embedded(memory) => Switch::Embedded(memory.faults().clone()),
            Self::Real(real) => Switch::Real(real.board.clone()),
        }
    }

    /// Creates the objects of a YAML text, in the test's namespace where they have one.
    pub async fn create(&self, text: &str) {
        let client = self.client();
        for document in text.split("\n---") {
            let mut value: Value = serde_saphyr::from_str(document).unwrap();
            let text = |name: &str| value[name].as_str().unwrap().to_owned();
            let (api_version, kind) = (text("apiVersion"), text("kind"));
            let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
            let api: Api<DynamicObject> = if kind == "Namespace" {
                Api::all_with(client.clone(), &resource)
            } else {
                value["metadata"].as_object_mut().unwrap().remove("namespace");
                Api::default_namespaced_with(client.clone(), &resource)
            };
            let object: DynamicObject = serde_json::from_value(value).unwrap();
            api.create(&PostParams::default(), &object).await.unwrap();
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
        let real = Self { cluster, namespace, kubeconfig, is_administrator: false, board: Board::new() };
        let object: Namespace =
            serde_json::from_value(json!({"metadata": {"name": real.namespace}})).unwrap();
        Api::all(real.client()).create(&PostParams::default(), &object).await.unwrap();
        real
    }

    /// A kubeconfig for the adapter: that of exactly the service account which `deploy/` installs.
    pub async fn adapter(&self) -> PathBuf {
        if self.is_administrator {
            return self.kubeconfig.clone();
        }
        deployed::kubeconfig(&self.cluster, &self.namespace).await
    }

    /// An administrator's client.
    pub fn client(&self) -> Client {
        client(&self.cluster, &self.cluster.server, &self.namespace)
    }
}

/// A kubeconfig of an administrator by way of `server`, such as a proxy.
pub fn write_kubeconfig(path: &Path, cluster: &pipewright_cluster::Cluster, server: &str, namespace: &str) {
    write_kubeconfig_for(path, cluster, server, namespace, &format!("token: {}", cluster.token));
}

/// A kubeconfig of another user, such as `tokenFile: /a/b`.
pub fn write_kubeconfig_for(
    path: &Path,
    cluster: &pipewright_cluster::Cluster,
    server: &str,
    namespace: &str,
    user: &str,
) {
    let authority = cluster.authority.display();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: '{authority}'}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: c, user: u, namespace: {namespace}}}}}]\n"
    );
    std::fs::write(path, text).unwrap();
}

/// An administrator's client by way of `server`.
pub fn client(cluster: &pipewright_cluster::Cluster, server: &str, namespace: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::new(server.parse().unwrap());
    let pem = std::fs::read_to_string(&cluster.authority).unwrap();
    let encoded: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    config.root_cert = Some(vec![BASE64_STANDARD.decode(encoded).unwrap()]);
    config.auth_info.token = Some(cluster.token.clone().into());
    namespace.clone_into(&mut config.default_namespace);
    config.default_retry = false;
    Client::try_from(config).unwrap()
}
