//! The Kubernetes API: the same client for a real cluster and for the embedded one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

pub mod create;
pub mod lease;
pub mod memory;

/// How long one call to the API server may take; a webhook has 8 s for all of them.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a kubeconfig nor a service account was found, or one of them is broken.
    #[error(
        "no cluster to talk to: {0}; set KUBECONFIG, run inside a cluster, or try `pipewright dev`, which needs none"
    )]
    Configuration(String),
    /// The client cannot be built, such as for a broken certificate.
    #[error("the cluster's client cannot be built: {0}")]
    Client(String),
}

/// The collection of a kind of objects in the API's paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// Group and version.
    pub api_version: &'static str,
    /// The plural name.
    pub plural: &'static str,
}

/// Tekton's PipelineRuns.
pub const PIPELINE_RUNS: Collection = Collection { api_version: "tekton.dev/v1", plural: "pipelineruns" };

/// Makes clients of one cluster.
///
/// A client belongs to the thread that it is made on: its queue and its connections are served there. Whoever uses it
/// from another thread pays for two changes of threads a request, which is more than the request itself.
#[derive(Clone)]
pub struct Clients(Arc<dyn Fn() -> Client + Send + Sync>);

// === impl Clients ===

impl Clients {
    /// Clients that `make` makes.
    pub fn new(make: impl Fn() -> Client + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    /// A client for this thread; call it inside its runtime.
    pub fn client(&self) -> Client {
        (self.0)()
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// Finds the cluster of `kubeconfig` (a file), or from the usual places: `KUBECONFIG`, `~/.kube/config`, the pod's
/// service account.
///
/// # Errors
/// When no configuration is found or it cannot be used. Whether the server answers is not tried.
pub async fn connect(kubeconfig: Option<&std::path::Path>) -> Result<Clients, ClusterError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .map_err(|error| ClusterError::Configuration(error.to_string()))?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .map_err(|error| ClusterError::Configuration(error.to_string()))?
        }
        None => {
            kube::Config::infer().await.map_err(|error| ClusterError::Configuration(error.to_string()))?
        }
    };
    // A retried POST could outlive the sender's patience; the callers retry by name, inside their deadline.
    config.default_retry = false;
    config.connect_timeout = Some(CALL_TIMEOUT);
    let first = Client::try_from(config.clone()).map_err(|error| ClusterError::Client(error.to_string()))?;
    // What worked once may fail later only where a file of the configuration is gone by then.
    Ok(Clients::new(move || Client::try_from(config.clone()).unwrap_or_else(|_| first.clone())))
}
