//! Faults on demand, the listener, loading of YAML.

use super::*;

#[tokio::test]
async fn faults_happen_on_demand() {
    let cluster = cluster();
    let client = cluster.client("default");
    let faults = cluster.faults();
    faults.inject(Fault::Status(http::StatusCode::SERVICE_UNAVAILABLE, 2), Requests::Writes, Rate::Next(1));
    let status = refusal(maps(&client).create(&post(), &map("a", &[])).await);
    assert_eq!((status.code, status.details.unwrap().retry_after_seconds), (503, 2));
    faults.inject(Fault::ResetBefore, Requests::Method("POST"), Rate::Next(1));
    assert!(matches!(maps(&client).create(&post(), &map("a", &[])).await, Err(kube::Error::Service(_))));
    assert!(maps(&client).get_opt("a").await.unwrap().is_none());
    faults.inject(Fault::ResetAfter, Requests::Method("POST"), Rate::Next(1));
    assert!(maps(&client).create(&post(), &map("a", &[])).await.is_err());
    assert!(maps(&client).get_opt("a").await.unwrap().is_some());
    faults.inject(Fault::Status(http::StatusCode::TOO_MANY_REQUESTS, 1), Requests::All, Rate::Percent(30));
    let mut refused = 0;
    for _ in 0..100 {
        refused += usize::from(maps(&client).get("a").await.is_err());
    }
    assert_eq!(refused, 30);
    faults.clear();
    faults.inject(Fault::Delay(Duration::from_millis(50)), Requests::All, Rate::Next(1));
    let start = std::time::Instant::now();
    maps(&client).get("a").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_meet_only_who_comes_over_http() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = cluster();
    let served = cluster.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let mut config = kube::Config::new(served.url().parse().unwrap());
    config.default_retry = false;
    let (remote, local) = (Client::try_from(config).unwrap(), cluster.client("default"));
    let faults = [
        Fault::Status(http::StatusCode::SERVICE_UNAVAILABLE, 1),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::Stall(Duration::from_millis(1)),
    ];
    cluster.faults().mix(Some(Mix::new(30, faults.to_vec(), 7)));
    let mut failed = 0;
    for number in 0..400 {
        let name = format!("map-{number}");
        failed += u64::from(maps(&remote).create(&post(), &map(&name, &[])).await.is_err());
        maps(&local).get_opt(&name).await.unwrap();
    }
    let mix = cluster.faults().mix(None).unwrap();
    let met: BTreeMap<String, u64> = mix.met().map(|(fault, met)| (format!("{fault:?}"), met)).collect();
    assert_eq!(mix.requests(), 400);
    assert!(met.values().all(|met| (10..60).contains(met)), "{met:?}");
    // A stalled answer is an answer; what was reset afterwards is there.
    let of = |name: &str| met.iter().find(|(fault, _)| fault.starts_with(name)).unwrap().1;
    assert_eq!(failed, of("Status") + of("ResetBefore") + of("ResetAfter"));
    let exist = maps(&local).list(&ListParams::default()).await.unwrap().items.len();
    assert_eq!(exist as u64, 400 - of("Status") - of("ResetBefore"));
    // Watches are met too.
    cluster.faults().mix(Some(Mix::new(100, vec![faults[0]], 7)));
    assert_eq!(refusal(maps(&remote).watch(&quiet(), "0").await.map(|_| ())).code, 503);
    assert!(maps(&local).watch(&quiet(), "0").await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_watches_over_http_are_cut_and_expire() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = cluster();
    let served = cluster.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let remote = maps(&Client::try_from(kube::Config::new(served.url().parse().unwrap())).unwrap());
    let local = maps(&cluster.client("default"));
    let before = version(&local.create(&post(), &map("a", &[])).await.unwrap()).to_string();
    let mut here = local.watch(&quiet(), &before).await.unwrap().boxed();
    let mut there = remote.watch(&quiet(), &before).await.unwrap().boxed();
    cluster.faults().cut_served_watches();
    assert!(!matches!(there.next().await, Some(Ok(_))));
    let mut there = remote.watch(&quiet(), &before).await.unwrap().boxed();
    cluster.faults().expire_served_watches();
    assert!(!matches!(there.next().await, Some(Ok(_))));
    let mut again = remote.watch(&quiet(), &before).await.unwrap().boxed();
    assert!(matches!(again.next().await, Some(Ok(WatchEvent::Error(status))) if status.code == 410));
    // What happens now is told to who stayed, and to who begins after it.
    let now = version(&local.create(&post(), &map("b", &[])).await.unwrap()).to_string();
    assert_eq!(name_of(&here.next().await.unwrap().unwrap()), "+b");
    let mut later = remote.watch(&quiet(), &now).await.unwrap().boxed();
    local.create(&post(), &map("c", &[])).await.unwrap();
    assert_eq!(name_of(&later.next().await.unwrap().unwrap()), "+c");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_request_is_carried_out_after_its_client_has_gone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cluster = cluster();
    let served = cluster.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let remote = Client::try_from(kube::Config::new(served.url().parse().unwrap())).unwrap();
    let local = cluster.client("default");
    let late = Fault::Late(Duration::from_millis(500));
    cluster.faults().inject(late, Requests::Method("POST"), Rate::Next(1));
    let (api, parameters, object) = (maps(&remote), post(), map("a", &[]));
    let create = api.create(&parameters, &object);
    assert!(tokio::time::timeout(Duration::from_millis(100), create).await.is_err());
    drop(remote);
    eventually("the late map", async || maps(&local).get_opt("a").await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_cluster_is_served_on_loopback_and_stops() {
    let cluster = cluster();
    let served = cluster.serve(tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let remote = Client::try_from(kube::Config::new(served.url().parse().unwrap())).unwrap();
    maps(&remote).create(&post(), &map("a", &[])).await.unwrap();
    assert!(maps(&cluster.client("default")).get_opt("a").await.unwrap().is_some());
    let mut watch = maps(&remote).watch(&quiet(), "0").await.unwrap().boxed();
    assert_eq!(name_of(&watch.next().await.unwrap().unwrap()), "+a");
    let discovery = kube::Discovery::new(remote.clone()).run_aggregated().await.unwrap();
    assert!(discovery.has_group("tekton.dev"));
    let discovery = kube::Discovery::new(remote.clone()).run().await.unwrap();
    let (found, _) =
        discovery.resolve_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun")).unwrap();
    assert_eq!(found.plural, "pipelineruns");
    assert_eq!(remote.apiserver_version().await.unwrap().major, "1");
    let address = served.address();
    let start = std::time::Instant::now();
    served.stop().await;
    assert!(start.elapsed() < Duration::from_secs(4));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = cluster().serve(listener).unwrap_err();
    assert!(error.to_string().contains("listens on loopback only"), "{error}");
}

#[tokio::test]
async fn yaml_is_loaded_as_kubernetes_reads_it() {
    let cluster = cluster();
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {n: \"yes\", m: \"0755\"}\n---\n\
                apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: build}\nspec: {description: none}\n";
    assert_eq!(cluster.apply_yaml(text).unwrap(), 2);
    assert_eq!(cluster.apply_yaml(text).unwrap(), 2);
    let client = cluster.client("default");
    assert_eq!(maps(&client).get("a").await.unwrap().data.unwrap()["n"], "yes");
    // YAML 1.1, as kubectl reads it: `yes` is no text.
    let error = cluster
        .apply_yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {n: yes}}")
        .unwrap_err();
    assert!(error.to_string().contains(".data.n: expected string"), "{error}");
    let error = cluster.apply_yaml("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n").unwrap_err();
    assert_eq!(error.to_string(), "document 1: kind `Pod` of `v1` is not served by the embedded cluster");
    let error = cluster.apply_yaml("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A}\n").unwrap_err();
    assert!(error.to_string().starts_with("document 1: ConfigMap \"A\" is invalid"), "{error}");
}

#[tokio::test]
async fn unknown_field_validation_is_accepted() {
    let client = cluster().client("default");
    let strict =
        PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::apply("x") };
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    maps(&client).patch("a", &strict, &Patch::Apply(&config)).await.unwrap();
}
