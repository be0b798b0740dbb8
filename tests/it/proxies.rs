//! Between the process and its cluster: proxies of the environment, and an API server that is not there.

use pipewright::source::signature::sign;

use crate::support::process::{Adapter, Cluster, Folder, Recorder, SECRET, free_ports, shipped_mappings};
use crate::support::{BUILD_PIPELINE, http};

const OPENED: &str = include_str!("../fixtures/github/pull_request.opened.json");

/// Posts a pull request to the adapter: the status, and what it says.
async fn post(adapter: &Adapter) -> (u16, String) {
    let body = OPENED;
    let request = http().post(format!("{}/webhooks/github", adapter.url)).body(body);
    let request = request.header("content-type", "application/json").header("x-github-event", "pull_request");
    let request = request.header("x-github-delivery", "1");
    let answer =
        request.header("x-hub-signature-256", sign(SECRET.as_bytes(), body.as_bytes())).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_of_the_environment_are_used_neither_for_the_cluster_nor_for_sinks() {
    let folder = Folder::new("proxies");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let recorder = Recorder::start();
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), Some(&recorder));
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        adapter.environment(name, "http://127.0.0.1:1");
    }
    adapter.start();
    adapter.ready().await;
    assert_eq!(post(&adapter).await, (202, String::new()), "{}", adapter.log());
    assert!(recorder.events(<[_]>::len) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_away_is_named_with_the_reason_once() {
    let folder = Folder::new("away");
    let [port, _] = free_ports();
    let server = format!("http://127.0.0.1:{port}");
    let kubeconfig = folder.write(
        "kubeconfig",
        &format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{server}'}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
        ),
    );
    let mut adapter = Adapter::at(&folder, "adapter", &kubeconfig, &shipped_mappings(), None);
    adapter.start();
    let livez = format!("{}/livez", adapter.admin);
    while http().get(&livez).send().await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (status, text) = post(&adapter).await;
    assert_eq!(status, 503, "{text}");
    let told = format!("the API server at {server}/ cannot be reached: Connection refused");
    assert_eq!(text.matches(&told).count(), 1, "{text}");
    assert!(!text.contains("ServiceError") && !text.contains("client error"), "{text}");
}
