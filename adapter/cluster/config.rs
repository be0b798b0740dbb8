//! Which cluster: the kubeconfig or the pod's service account, without the proxies of the environment.

use std::path::Path;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::ClusterError;

/// Where a kubeconfig names no proxy kube takes one of the environment, and there is nothing to tell it otherwise. So
/// every cluster gets this one, which leads nowhere and is taken out again.
const NO_PROXY: &str = "http://no-proxy.invalid/";

/// The configuration of `kubeconfig` (a file), or of the usual places.
pub(super) async fn find(kubeconfig: Option<&Path>) -> Result<Config, ClusterError> {
    let unusable = |error: &dyn std::fmt::Display| ClusterError::Configuration(error.to_string());
    match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            of_file(file).await
        }
        None => match Kubeconfig::read() {
            Ok(file) => match of_file(file).await {
                // A file that cannot be used is no reason not to run in a pod.
                Err(ClusterError::Configuration(_)) => {
                    Config::infer().await.map_err(|error| unusable(&error))
                }
                other => other,
            },
            Err(_) => Config::infer().await.map_err(|error| unusable(&error)),
        },
    }
}

async fn of_file(mut file: Kubeconfig) -> Result<Config, ClusterError> {
    for cluster in file.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        let proxy = cluster.proxy_url.get_or_insert_default();
        if proxy.is_empty() {
            NO_PROXY.clone_into(proxy);
        }
    }
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|error| ClusterError::Configuration(error.to_string()))?;
    match config.proxy_url.take() {
        // Its authority may hold a password.
        Some(proxy) if proxy != NO_PROXY => Err(ClusterError::Proxy {
            server: config.cluster_url.to_string(),
            proxy: proxy.host().unwrap_or_default().to_owned(),
        }),
        _ => Ok(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(cluster: &str) -> Kubeconfig {
        Kubeconfig::from_yaml(&format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: 'https://api:6443'{cluster}}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        ))
        .unwrap()
    }

    #[tokio::test]
    async fn only_a_proxy_of_the_kubeconfig_is_an_error_and_it_is_told_without_its_password() {
        for cluster in ["", ", proxy-url: ''"] {
            let config = of_file(file(cluster)).await.unwrap();
            assert_eq!((config.cluster_url.host(), config.proxy_url), (Some("api"), None));
        }
        let error =
            of_file(file(", proxy-url: 'http://me:hush@proxy.example:3128'")).await.unwrap_err().to_string();
        assert!(error.contains("`proxy-url`") && error.contains("proxy.example"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
}
