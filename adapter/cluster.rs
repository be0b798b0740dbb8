//! The Kubernetes API: the same client for a real cluster and for the embedded one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

use token::TokenFile;

mod config;
pub mod create;
pub mod lease;
mod token;

/// How long one call to the API server may take; a webhook has 8 s for all of them.
pub const CALL_TIMEOUT: Duration = Duration::from_millis(2_500);

/// How long a connection to the API server is silent before the other side is asked whether it is there …
const KEEPALIVE: Duration = Duration::from_secs(15);
/// … how long until it is asked again …
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);
/// … and how often before the connection is given up.
const KEEPALIVE_TRIES: u32 = 3;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a kubeconfig nor a service account was found, or one of them is broken.
    #[error(
        "no cluster to talk to: {0}; set KUBECONFIG, run inside a cluster, or try `pipewright dev`, which needs none"
    )]
    Configuration(String),
    /// The kubeconfig names a proxy.
    #[error(
        "the kubeconfig leads to {server} through the proxy `{proxy}` (`proxy-url`), and proxies are not supported: name an \
         address of the API server that can be reached from here"
    )]
    Proxy {
        /// The API server.
        server: String,
        /// The host of the proxy.
        proxy: String,
    },
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

/// Clients of one cluster: one for what runs in the background, and one for each thread that serves.
///
/// A client belongs to the thread that it is made on: its queue and its connections are served there. Whoever uses it
/// from another thread pays for two changes of threads a request, which is more than the request itself.
#[derive(Clone)]
pub struct Clients {
    background: Client,
    make: Arc<dyn Fn() -> Client + Send + Sync>,
}

// === impl Clients ===

impl Clients {
    /// `background`, and for each thread what `make` makes.
    pub fn new(background: Client, make: impl Fn() -> Client + Send + Sync + 'static) -> Self {
        Self { background, make: Arc::new(make) }
    }

    /// The client for watches and for whatever else runs on any thread.
    pub fn background(&self) -> &Client {
        &self.background
    }

    /// A client for this thread; call it inside its runtime.
    pub fn for_this_thread(&self) -> Client {
        (self.make)()
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
    let mut config = config::find(kubeconfig).await?;
    // A retried POST could outlive the sender's patience; the callers retry by name, inside their deadline.
    config.default_retry = false;
    config.connect_timeout = Some(CALL_TIMEOUT);
    let unusable = |error: kube::Error| ClusterError::Client(error.to_string());
    let token = TokenFile::take(&mut config.auth_info).map_err(ClusterError::Configuration)?;
    // One set of certificates for all threads.
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(Some(CALL_TIMEOUT));
    // A watch says nothing for minutes: without these, nobody would notice for as long that its server is gone.
    http.set_keepalive(Some(KEEPALIVE));
    http.set_keepalive_interval(Some(KEEPALIVE_AGAIN));
    http.set_keepalive_retries(Some(KEEPALIVE_TRIES));
    let connector = config.rustls_https_connector_with_connector(http).map_err(unusable)?;
    let background = plain(&config, token.clone(), connector.clone()).map_err(unusable)?;
    let otherwise = background.clone();
    Ok(Clients::new(background, move || {
        // What worked once fails later only where a file that the configuration names is gone by then.
        plain(&config, token.clone(), connector.clone()).unwrap_or_else(|_| otherwise.clone())
    }))
}

/// What [`Client::try_from`] makes, without its spans, whose cost is that of a small answer, and without its log, which
/// has one line for every call that fails, in the voice of an error and without a word about which.
fn plain<C>(config: &Config, token: Option<TokenFile>, connector: C) -> kube::Result<Client>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let server = config.cluster_url.to_string();
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .option_layer(token)
        .layer(config.extra_headers_layer()?)
        .map_err(move |error| unreachable(&server, error))
        .service(hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector));
    Ok(Client::new(service, config.default_namespace.clone()))
}

/// An error of the connection in words that say whose it is: that of the library has them in its sources only.
fn unreachable(server: &str, error: hyper_util::client::legacy::Error) -> BoxError {
    if !error.is_connect() {
        return BoxError::from(error);
    }
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("the API server at {server} cannot be reached: {text}").into()
}
