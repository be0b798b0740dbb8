//! Nothing lost, nothing doubled: the real program as processes, redelivered to, killed and restarted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::{Value, json};

use crate::support::process::{
    Adapter, Cluster, Folder, Recorder, fixture, post_webhook, shipped_mappings, status,
};
use crate::support::{BUILD_PIPELINE, http};

/// A pull request of its own for every number, as the forge would send it.
struct Delivery {
    number: usize,
    id: String,
    body: Vec<u8>,
}

impl Delivery {
    fn new(template: &Value, number: usize) -> Self {
        let mut payload = template.clone();
        payload["number"] = json!(number);
        payload["pull_request"]["number"] = json!(number);
        payload["pull_request"]["head"]["sha"] = json!(format!("{number:040x}"));
        payload["pull_request"]["title"] = json!(format!("Change {number}"));
        let id = format!("{number:08x}-0000-4000-8000-000000000000");
        Self { number, id, body: serde_json::to_vec(&payload).unwrap() }
    }
}

fn deliveries(count: usize) -> Vec<Arc<Delivery>> {
    let template = fixture("pull_request.opened.json");
    (1..=count).map(|number| Arc::new(Delivery::new(&template, number))).collect()
}

fn runs(client: &kube::Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
    Api::namespaced_with(client.clone(), "default", &resource)
}

/// The numbers of the pull requests that have a run, one entry for each run.
async fn built(client: &kube::Client, selector: Option<&str>) -> Vec<usize> {
    let parameters = ListParams { label_selector: selector.map(str::to_owned), ..ListParams::default() };
    let list = runs(client).list(&parameters).await.unwrap();
    list.items
        .iter()
        .map(|run| run.metadata.labels.as_ref().unwrap()["example.com/pull-request"].parse().unwrap())
        .collect()
}

/// How many runs the player has not brought to their end.
async fn unfinished(client: &kube::Client) -> usize {
    let list = runs(client).list(&ListParams::default()).await.unwrap();
    list.items.iter().filter(|run| run.data.pointer("/status/completionTime").is_none()).count()
}

/// Pseudo-random numbers that are the same in every run of the tests.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_webhooks_sent_three_times_to_two_replicas_give_a_thousand_runs() {
    const COUNT: usize = 1_000;
    let folder = Folder::new("redelivery");
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let mut replicas = ["one", "two"].map(|name| {
        let mut replica = Adapter::new(&folder, name, &cluster, &shipped_mappings(), None);
        replica.start();
        replica
    });
    for replica in &replicas {
        replica.ready().await;
    }
    let client = http();
    let posts = deliveries(COUNT).into_iter().flat_map(|delivery| {
        let urls = [0, 1, 0, 1, 0, 1].map(|replica: usize| replicas[replica].url.clone());
        urls.map(|url| (Arc::clone(&delivery), url))
    });
    let answers: Vec<(u16, String)> =
        stream::iter(posts)
            .map(|(delivery, url)| {
                let client = client.clone();
                async move {
                    post_webhook(&client, &url, "pull_request", &delivery.id, &delivery.body).await.unwrap()
                }
            })
            .buffer_unordered(24)
            .collect()
            .await;

    let log = || format!("{}\n{}", replicas[0].log(), replicas[1].log());
    assert_eq!(answers.len(), 6 * COUNT);
    assert!(answers.iter().all(|(status, _)| *status == 202), "{}", log());
    let created = answers.iter().filter(|(_, result)| result == "created").count();
    assert_eq!(created, COUNT, "each run was created by exactly one of its deliveries");
    let numbers = built(&cluster.client(), None).await;
    assert_eq!(numbers.len(), COUNT);
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), COUNT);
    replicas.iter_mut().for_each(Adapter::kill);
}

/// What a run's events at the sink say about it.
#[derive(Default)]
struct Announced {
    /// Every id under which each transition arrived.
    ids: BTreeMap<&'static str, BTreeSet<String>>,
    /// Transitions in the order of their first arrival.
    order: Vec<&'static str>,
    arrivals: usize,
}

/// By the run's uid.
fn announced(recorder: &Recorder) -> HashMap<String, Announced> {
    recorder.events(|events| {
        let mut runs: HashMap<String, Announced> = HashMap::new();
        for event in events {
            let transition = match event.ty().strip_prefix("dev.cdevents.pipelinerun.") {
                Some(rest) if rest.starts_with("queued.") => "queued",
                Some(rest) if rest.starts_with("started.") => "started",
                Some(rest) if rest.starts_with("finished.") => "finished",
                _ => continue,
            };
            let uid = event.tree().unwrap()["customData"]["tekton"]["uid"].as_str().unwrap().to_owned();
            let run = runs.entry(uid).or_default();
            run.arrivals += 1;
            let ids = run.ids.entry(transition).or_default();
            if ids.is_empty() {
                run.order.push(transition);
            }
            ids.insert(event.id().to_owned());
        }
        runs
    })
}

/// The changes that the webhooks told of went to the sink before they were acknowledged, each under one id.
fn one_id_for_each_change(recorder: &Recorder, count: usize) {
    let mut changes: HashMap<String, BTreeSet<String>> = HashMap::new();
    recorder.events(|events| {
        for event in events.iter().filter(|event| event.ty().starts_with("dev.cdevents.change.created.")) {
            let number = &event.tree().unwrap()["customData"]["change"]["number"];
            changes.entry(number.to_string()).or_default().insert(event.id().to_owned());
        }
    });
    assert_eq!(changes.len(), count);
    assert!(changes.values().all(|ids| ids.len() == 1), "a change had more than one id");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_killed_twenty_times_during_two_thousand_webhooks_loses_and_doubles_nothing() {
    const COUNT: usize = 2_000;
    const KILLS: usize = 20;
    let folder = Folder::new("kill");
    let recorder = Recorder::start();
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, Some(Duration::from_millis(50)));
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), Some(&recorder));
    adapter.start();
    adapter.ready().await;

    let client = http();
    let cluster_client = cluster.client();
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let repeats = Arc::new(AtomicUsize::new(0));
    let sender = tokio::spawn({
        let (acknowledged, repeats) = (Arc::clone(&acknowledged), Arc::clone(&repeats));
        let (client, cluster_client, url) = (client.clone(), cluster_client.clone(), adapter.url.clone());
        async move {
            stream::iter(deliveries(COUNT))
                .for_each_concurrent(8, |delivery| {
                    let (client, cluster, url) = (&client, &cluster_client, &url);
                    let (acknowledged, repeats) = (&acknowledged, &repeats);
                    async move {
                        let deadline = Instant::now() + Duration::from_mins(1);
                        loop {
                            match post_webhook(client, url, "pull_request", &delivery.id, &delivery.body)
                                .await
                            {
                                Ok((202, _)) => break,
                                Ok((code, _)) => assert!(code >= 500 || code == 429, "answered {code}"),
                                Err(_) => {}
                            }
                            assert!(Instant::now() < deadline, "no acknowledgement of {}", delivery.number);
                            repeats.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(Duration::from_millis(25)).await;
                        }
                        acknowledged.lock().unwrap().insert(delivery.number);
                        // At this instant the event is acknowledged: its run must exist, whatever happens to the adapter.
                        let selector = format!("example.com/pull-request={}", delivery.number);
                        assert_eq!(built(cluster, Some(&selector)).await, [delivery.number]);
                    }
                })
                .await;
        }
    });

    let mut random = Random(20);
    let mut kills = 0;
    for kill in 1..=KILLS {
        // Spread over the whole of it, at a moment that nobody chose.
        let due = COUNT * kill / (KILLS + 1);
        while acknowledged.lock().unwrap().len() < due {
            assert!(!sender.is_finished(), "the sender ended early: {}", adapter.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        tokio::time::sleep(Duration::from_millis(random.below(40) as u64)).await;
        adapter.kill();
        kills += 1;
        // Nobody is there now who could make up for a run that was promised and does not exist.
        let promised = acknowledged.lock().unwrap().clone();
        let exists: BTreeSet<usize> = built(&cluster_client, None).await.into_iter().collect();
        let missing: Vec<_> = promised.difference(&exists).collect();
        assert!(missing.is_empty(), "acknowledged without a run after kill {kill}: {missing:?}");
        tokio::time::sleep(Duration::from_millis(random.below(20) as u64)).await;
        adapter.start();
    }
    sender.await.unwrap();
    adapter.ready().await;
    assert_eq!(kills, KILLS);
    assert!(repeats.load(Ordering::Relaxed) > 0, "no kill met a request; they prove nothing");

    let mut numbers = built(&cluster_client, None).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=COUNT).collect::<Vec<_>>(), "one run each");

    let finished = |runs: &HashMap<String, Announced>| {
        runs.values().filter(|run| run.ids.contains_key("finished")).count()
    };
    let mut arrived = announced(&recorder);
    let mut progress = (finished(&arrived), Instant::now());
    while progress.0 < COUNT {
        // However slow the machine is: what stands still is lost.
        if progress.1.elapsed() > Duration::from_secs(100) {
            let open = unfinished(&cluster_client).await;
            panic!("{} of {COUNT} announced as finished, {open} not finished: {}", progress.0, adapter.log());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        arrived = announced(&recorder);
        if finished(&arrived) > progress.0 {
            progress = (finished(&arrived), Instant::now());
        }
    }
    assert_eq!(arrived.len(), COUNT);
    let mut resends = 0;
    for (uid, run) in &arrived {
        assert_eq!(run.order, ["queued", "started", "finished"], "{uid}");
        for (transition, ids) in &run.ids {
            assert_eq!(ids.len(), 1, "{transition} of {uid} had {ids:?}");
        }
        resends += run.arrivals - 3;
    }
    one_id_for_each_change(&recorder, COUNT);
    println!(
        "{COUNT} webhooks, {kills} kills, {} repeats by the sender, {} runs, {resends} transitions sent again",
        repeats.load(Ordering::Relaxed),
        numbers.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_adapter_answers_what_it_took_and_ends_well() {
    let folder = Folder::new("terminate");
    let recorder = Recorder::start();
    let cluster = Cluster::start(&folder, BUILD_PIPELINE, None);
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), Some(&recorder));
    adapter.start();
    adapter.ready().await;
    // The sink makes every delivery last longer than the second of draining.
    recorder.delay(Duration::from_millis(1_500));
    let client = http();
    let in_flight: Vec<_> = deliveries(20)
        .into_iter()
        .map(|delivery| {
            let (client, url) = (client.clone(), adapter.url.clone());
            tokio::spawn(async move {
                post_webhook(&client, &url, "pull_request", &delivery.id, &delivery.body).await
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(400)).await;
    adapter.terminate();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(status(&format!("{}/readyz", adapter.admin)).await, Some(503), "readiness falls first");
    for request in in_flight {
        assert_eq!(request.await.unwrap().unwrap().0, 202, "{}", adapter.log());
    }
    assert!(adapter.wait().success());
    assert_eq!(built(&cluster.client(), None).await.len(), 20);
}
