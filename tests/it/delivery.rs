//! Nothing lost, nothing doubled: the real program as processes, redelivered to, killed and restarted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;

use crate::support::arrivals::{Arrivals, PIPELINE_RUN, TASK_RUN};
use crate::support::delivery::{Progress, built, deliveries, unfinished};
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::process::{
    Adapter, Cluster, Folder, Random, Recorder, post_webhook, shipped_mappings, status,
};
use crate::support::{BUILD_PIPELINE, http};

on_both_clusters! {
    webhooks_sent_three_times_to_two_replicas_give_one_run_each,
    an_adapter_killed_again_and_again_during_webhooks_loses_and_doubles_nothing,
    a_terminated_adapter_answers_what_it_took_and_ends_well,
}

async fn webhooks_sent_three_times_to_two_replicas_give_one_run_each(ground: Ground) {
    let count = if ground.is_real() { 300 } else { 1_000 };
    let folder = Folder::new("redelivery");
    let cluster = Cluster::on(&ground, &folder, BUILD_PIPELINE, None).await;
    let mut replicas = ["one", "two"].map(|name| {
        let mut replica = Adapter::new(&folder, name, &cluster, &shipped_mappings(), None);
        replica.start();
        replica
    });
    for replica in &replicas {
        replica.ready().await;
    }
    let client = http();
    let posts = deliveries(count).flat_map(|delivery| {
        let urls = [0, 1, 0, 1, 0, 1].map(|replica: usize| replicas[replica].url.clone());
        urls.map(|url| (Arc::clone(&delivery), url))
    });
    let answers: Vec<(u16, String)> = stream::iter(posts)
        .map(|(delivery, url)| {
            let client = client.clone();
            let is_real = ground.is_real();
            async move {
                loop {
                    let answer =
                        post_webhook(&client, &url, "pull_request", &delivery.id, &delivery.body).await;
                    // The real one may be slower than a deadline; then the sender keeps its event, and sends again.
                    match answer.unwrap() {
                        (503, _) if is_real => tokio::time::sleep(Duration::from_millis(200)).await,
                        other => return other,
                    }
                }
            }
        })
        .buffer_unordered(24)
        .collect()
        .await;

    let log = || format!("{}\n{}", replicas[0].log(), replicas[1].log());
    assert_eq!(answers.len(), 6 * count);
    assert!(answers.iter().all(|(status, _)| *status == 202), "{}", log());
    let created = answers.iter().filter(|(_, result)| result == "created").count();
    // An answer of the real one that came too late for its call says nothing: then all of them are told of a duplicate.
    let told = if ground.is_real() { created } else { count };
    assert_eq!(created, told, "each run was created by exactly one of its deliveries");
    assert!(created <= count, "{created} runs were created");
    let numbers = built(&cluster.client(), None).await;
    assert_eq!(numbers.len(), count);
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), count);
    replicas.iter_mut().for_each(Adapter::kill);
}

async fn an_adapter_killed_again_and_again_during_webhooks_loses_and_doubles_nothing(ground: Ground) {
    let count = if ground.is_real() { 300 } else { 2_000 };
    let kills_wanted = if ground.is_real() { 10 } else { 20 };
    let folder = Folder::new("kill");
    let recorder = Recorder::start();
    let cluster = Cluster::on(&ground, &folder, BUILD_PIPELINE, Some(Duration::from_millis(50))).await;
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), Some(&recorder));
    adapter.short_lease();
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
            stream::iter(deliveries(count))
                .for_each_concurrent(8, |delivery| {
                    let (client, cluster, url) = (&client, &cluster_client, &url);
                    let (acknowledged, repeats) = (&acknowledged, &repeats);
                    async move {
                        let mut tries = Progress::new();
                        loop {
                            match post_webhook(client, url, "pull_request", &delivery.id, &delivery.body)
                                .await
                            {
                                Ok((202, _)) => break,
                                Ok((code, _)) => assert!(code >= 500 || code == 429, "answered {code}"),
                                Err(_) => {}
                            }
                            assert!(tries.goes_on(0), "no acknowledgement of {}", delivery.number);
                            repeats.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(Duration::from_millis(25)).await;
                        }
                        acknowledged.lock().unwrap().insert(delivery.number);
                        // At this instant the event is acknowledged: its run must exist, whatever happens to the adapter.
                        assert_eq!(built(cluster, Some(delivery.number)).await, [delivery.number]);
                    }
                })
                .await;
        }
    });

    let mut random = Random(20);
    let mut kills = 0;
    for kill in 1..=kills_wanted {
        // Spread over the whole of it, at a moment that nobody chose.
        let due = count * kill / (kills_wanted + 1);
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
    assert_eq!(kills, kills_wanted);
    assert!(repeats.load(Ordering::Relaxed) > 0, "no kill met a request; they prove nothing");

    let mut numbers = built(&cluster_client, None).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "one run each");

    let (mut arrivals, mut progress) = (Arrivals::default(), Progress::new());
    while arrivals.transitions() < count * (PIPELINE_RUN.len() + TASK_RUN.len()) {
        if !progress.goes_on(arrivals.transitions()) {
            let open = unfinished(&cluster_client).await;
            panic!("{} transitions arrived, {open} not finished: {}", arrivals.transitions(), adapter.log());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        arrivals.read(&recorder);
    }
    arrivals.assert_complete(count);
    println!(
        "{count} webhooks, {kills} kills, {} repeats by the sender, {} runs, {} transitions sent again",
        repeats.load(Ordering::Relaxed),
        numbers.len(),
        arrivals.again()
    );
}

async fn a_terminated_adapter_answers_what_it_took_and_ends_well(ground: Ground) {
    let folder = Folder::new("terminate");
    let recorder = Recorder::start();
    let cluster = Cluster::on(&ground, &folder, BUILD_PIPELINE, None).await;
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), Some(&recorder));
    adapter.start();
    adapter.ready().await;
    // The sink makes every delivery last longer than the second of draining.
    recorder.delay(Duration::from_millis(1_500));
    let client = http();
    let in_flight: Vec<_> = deliveries(20)
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
