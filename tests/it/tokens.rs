//! The identity of a pod: what happens when the API server does not take its token, or grants it nothing yet.

use std::time::Duration;

use pipewright_embedded::{Memory, Options, PlayerOptions, Served};

use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};

use crate::support::accounts::Account;
use crate::support::delivery::{Delivery, Progress, built, deliveries};
use crate::support::ground::{Ground, Real, write_kubeconfig_for};
use crate::support::process::{Adapter, Folder, Recorder, post_webhook, shipped_mappings};
use crate::support::proxy::Proxy;
use crate::support::{BUILD_PIPELINE, http};

/// An adapter whose API server wants a token.
struct Pod {
    memory: Memory,
    proxy: Proxy,
    adapter: Adapter,
    recorder: Recorder,
    folder: Folder,
    _served: Served,
}

impl Pod {
    async fn start(token: &str) -> Self {
        let folder = Folder::new("token");
        let player = PlayerOptions { task_duration: Duration::from_millis(50), ..PlayerOptions::default() };
        let memory = Memory::start(Options { player: Some(player), ..Options::default() });
        memory.apply_yaml(BUILD_PIPELINE).unwrap();
        let served = memory.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
        let proxy = Proxy::start(&served.url(), None);
        proxy.demand("first");
        let file = folder.write("token", token);
        let kubeconfig = folder.write(
            "kubeconfig",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: '{}'}}}}]\n\
                 users: [{{name: u, user: {{tokenFile: '{}'}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
                proxy.url,
                file.display()
            ),
        );
        let recorder = Recorder::start();
        let mut adapter = Adapter::at(&folder, "adapter", &kubeconfig, &shipped_mappings(), Some(&recorder));
        adapter.short_lease();
        adapter.start();
        Self { memory, proxy, adapter, recorder, folder, _served: served }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_read_again_at_once_and_costs_no_webhook_and_no_transition() {
    // As an editor leaves a file.
    let pod = Pod::start("first\n").await;
    pod.adapter.ready().await;
    let client = http();
    let webhooks: Vec<_> = deliveries(3).collect();
    let post = async |number: usize| {
        let webhook = &webhooks[number - 1];
        post_webhook(&client, &pod.adapter.url, "pull_request", &webhook.id, &webhook.body).await.unwrap()
    };
    assert_eq!(post(1).await.0, 202);

    pod.proxy.demand("second");
    pod.proxy.cut();
    assert_eq!(post(2).await, (503, String::new()), "the sender keeps it");
    assert!(pod.proxy.count("401") > 0);
    pod.folder.write("token", "");
    assert_eq!(post(2).await.0, 503, "a file that is being written");
    pod.folder.write("token", "second");
    // At the first try: whoever reads the file once a minute refuses it.
    assert_eq!(post(2).await.0, 202, "{}", pod.adapter.log());
    assert_eq!(post(3).await.0, 202);
    assert_eq!(built(&pod.memory.client("default"), None).await.len(), 3);
    // Three changes, and of each run three transitions and two of its task.
    let (told, mut progress) = (|| pod.recorder.events(<[_]>::len), Progress::new());
    while told() < 3 + 3 * 5 {
        assert!(progress.goes_on(told()), "{} arrived: {}", told(), pod.adapter.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_wrong_token_it_is_not_ready_until_the_right_one_comes_and_says_why() {
    let pod = Pod::start("wrong").await;
    let url = format!("{}/readyz?verbose", pod.adapter.admin);
    let client = http();
    let mut progress = Progress::new();
    loop {
        if let Ok(answer) = client.get(&url).send().await {
            let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
            assert_eq!(status, 503, "{text}");
            if text.contains("[-] watch") && text.contains("401") {
                break;
            }
        }
        assert!(progress.goes_on(0), "{}", pod.adapter.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!pod.adapter.log().contains("grant"), "rights are not what is missing: {}", pod.adapter.log());
    pod.folder.write("token", "first");
    pod.adapter.ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_come_late_on_a_real_cluster_cost_no_webhook() {
    let Some(real) = Real::new().await else { return };
    Ground::Real(real.clone()).create(BUILD_PIPELINE).await;
    let folder = Folder::new("rights");
    let account = Account::create(&real, folder.path().join("token")).await;
    account.write(&account.bound("token").await);
    let bindings: Api<RoleBinding> = Api::default_namespaced(real.client());
    let binding = bindings.get("adapter").await.unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let user = format!("tokenFile: {}", account.token_file.display());
    write_kubeconfig_for(&kubeconfig, &real.cluster, &real.cluster.server, &real.namespace, &user);
    let mut adapter = Adapter::at(&folder, "adapter", &kubeconfig, &shipped_mappings(), None);
    adapter.namespace(&real.namespace);
    adapter.settings(&format!("{{watchNamespace: {}}}", real.namespace));
    adapter.start();
    adapter.ready().await;

    bindings.delete("adapter", &DeleteParams::default()).await.unwrap();
    let client = http();
    let post = async |webhook: &Delivery| {
        let post = post_webhook(&client, &adapter.url, "pull_request", &webhook.id, &webhook.body);
        post.await.unwrap().0
    };
    // The API server hears of it within milliseconds.
    let mut refused = None;
    for webhook in deliveries(100) {
        let code = post(&webhook).await;
        if code != 202 {
            refused = Some((webhook, code));
            break;
        }
    }
    let (webhook, code) = refused.expect("the rights are gone");
    assert_eq!(code, 503, "the sender keeps it: {}", adapter.log());
    let metadata = ObjectMeta { name: binding.metadata.name, ..ObjectMeta::default() };
    let binding = RoleBinding { metadata, ..binding };
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    assert_eq!(post(&webhook).await, 202, "{}", adapter.log());
    assert_eq!(built(&real.client(), Some(webhook.number)).await, [webhook.number]);
}
