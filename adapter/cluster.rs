//! The Kubernetes API: the same client for a real cluster and for the embedded one.

use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

pub mod create;
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

/// Builds a client from `kubeconfig` (a file), or from the usual places: `KUBECONFIG`, `~/.kube/config`, the pod's
/// service account.
///
/// # Errors
/// When no configuration is found or it cannot be used. Whether the server answers is not tried.
pub async fn connect(kubeconfig: Option<&std::path::Path>) -> Result<Client, ClusterError> {
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
    Client::try_from(config).map_err(|error| ClusterError::Client(error.to_string()))
}
