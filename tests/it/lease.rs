//! One replica of several watches runs: it hands over, crashes, is robbed and cut off, and every transition still
//! arrives, under one id.

mod told;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use http::StatusCode;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use pipewright::cluster::lease::Timing;
use pipewright_embedded::faults::{Fault, Rate, Requests};

use pipewright::event::Event;
use pipewright::sink::SinkSpec;
use serde_json::{Value, json};

use crate::support::BUILD_PIPELINE;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::leases;
use crate::support::process::{Adapter, Cluster, Folder, Recorder};
use crate::support::service::{Service, Setup, pipeline_runs};
use told::{Told, all_told, expected, one_id_each, repeated, told};

on_both_clusters! {
    a_replica_that_is_killed_is_followed_when_its_lease_expires,
    one_replica_watches_and_the_other_says_who,
    a_replica_that_ends_hands_over_and_nothing_is_lost_or_repeated,
    a_delivery_under_way_is_finished_and_noted_before_another_replica_leads,
    a_stolen_lease_ends_the_watch_and_comes_back_when_the_thief_expires,
    a_deleted_lease_is_made_again_by_its_leader,
    a_leader_that_cannot_renew_stops_and_begins_again_and_stays_ready,
    what_a_peers_clock_says_changes_nothing,
    without_the_right_to_a_lease_it_serves_says_what_is_missing_and_keeps_trying,
    a_namespace_that_does_not_exist_is_said_too,
    two_leaders_by_force_tell_every_transition_under_one_id,
}

/// Nothing happens by waiting: whatever happens in a test, the watch of the Lease brought.
const SLOW: Timing = Timing {
    lease_duration: Duration::from_hours(1),
    renew_deadline: Duration::from_mins(50),
    retry_period: Duration::from_mins(40),
};
/// For what has to expire.
const QUICK: Timing = Timing {
    lease_duration: Duration::from_secs(3),
    renew_deadline: Duration::from_secs(2),
    retry_period: Duration::from_millis(200),
};

async fn played(ground: &Ground) {
    ground.create(BUILD_PIPELINE).await;
}

/// One more replica.
fn replica(ground: &Ground, timing: Timing) -> Setup {
    Setup::over(ground).with(|settings| settings.process.leader_election.timing = timing)
}

async fn leads(service: &Service) -> bool {
    service.metric("pipewright_leader").await > 0.5
}

async fn changes(service: &Service) -> f64 {
    service.metric("pipewright_leader_transitions_total").await
}

async fn until_leading(service: &Service) {
    service.until("leading", async || leads(service).await).await;
}

async fn verbose(service: &Service) -> String {
    let answer = service.get("/readyz?verbose").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text
}

async fn spec(ground: &Ground) -> LeaseSpec {
    leases::api(&ground.client()).get("pipewright").await.unwrap().spec.unwrap()
}

/// Puts another holder into the Lease, whoever is in it.
async fn write(ground: &Ground, holder: &str, seconds: i32, renewed: &str) {
    leases::write(&ground.client(), holder, seconds, renewed).await;
}

async fn create(client: &kube::Client, name: &str) {
    create_with(client, name, json!({"pipelineRef": {"name": "build"}})).await;
}

async fn create_with(client: &kube::Client, name: &str, spec: Value) {
    let run: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": name}, "spec": spec,
    }))
    .unwrap();
    let api = Api::<DynamicObject>::default_namespaced_with(client.clone(), &pipeline_runs());
    api.create(&PostParams::default(), &run).await.unwrap();
}

async fn one_replica_watches_and_the_other_says_who(ground: Ground) {
    played(&ground).await;
    let first = replica(&ground, SLOW).start().await;
    assert!(leads(&first).await, "a free Lease is taken before the process is ready");
    let second = replica(&ground, SLOW).start().await;
    assert!(!leads(&second).await);
    let record = spec(&ground).await;
    let holder = record.holder_identity.unwrap();
    assert_eq!((record.lease_transitions, record.lease_duration_seconds), (Some(0), Some(3600)));
    assert!(record.acquire_time.is_some() && record.renew_time.is_some());
    let text = verbose(&second).await;
    assert!(text.contains(&format!("[+] watch ok: standby; the leader is {holder}\n")), "{text}");
    assert!(verbose(&first).await.contains("[+] watch ok\n"));

    create(&ground.client(), "one").await;
    let mut all = Told::new();
    all_told(&[&first], 1, &mut all).await;
    // Tekton's own event reaches the standby, which leaves the look to the leader.
    let body =
        json!({"pipelineRun": {"metadata": {"namespace": ground.namespace(), "name": "one"}}}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "5c0d41f8-9d5e-4f4f-9d56-0123456789ab"),
        ("ce-source", "/apis///namespaces/default//x"),
        ("ce-type", "dev.tekton.event.pipelinerun.started.v1"),
    ];
    second.send("POST", "/", &headers, body).await.accepted("ignored");
    // What comes after it comes from the leader alone.
    create(&ground.client(), "two").await;
    all_told(&[&first], 2, &mut all).await;
    assert_eq!(second.events.count(), 0);
    assert_eq!((changes(&first).await, changes(&second).await), (1.0, 0.0));
    second.stop().await;
    first.stop().await;
}

async fn a_replica_that_ends_hands_over_and_nothing_is_lost_or_repeated(ground: Ground) {
    const RUNS: usize = 60;
    played(&ground).await;
    let mut current = replica(&ground, SLOW).start().await;
    let mut all = Told::new();
    let maker = tokio::spawn({
        let client = ground.client();
        async move {
            for number in 0..RUNS {
                create(&client, &format!("run-{number}")).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    for round in 1..=3 {
        let next = replica(&ground, SLOW).start().await;
        assert!(!leads(&next).await);
        let before = spec(&ground).await;
        let (events, asked) = (current.events.clone(), Instant::now());
        // Readiness falls, requests are still served: the watch does not wait for them.
        current.drain();
        until_leading(&next).await;
        println!("hand-over {round}: {:?}", asked.elapsed());
        let after = spec(&ground).await;
        assert_ne!(after.holder_identity, before.holder_identity);
        assert_eq!(after.lease_transitions, Some(round));
        assert!(after.acquire_time > before.acquire_time);
        assert!(!leads(&current).await);
        current.stop().await;
        told(&events.take(), &mut all);
        current = next;
    }
    maker.await.unwrap();
    all_told(&[&current], RUNS, &mut all).await;
    // Tekton sometimes writes a run back as it was before the note; the next leader then sends it again, with its id.
    let reverted = if matches!(ground, Ground::Real(_)) { 3 } else { 0 };
    assert!(repeated(&all) <= reverted, "each leader noted what it had sent before it let go");
    current.stop().await;
    let released = spec(&ground).await;
    assert_eq!(released.holder_identity.as_deref(), Some(""));
    assert_eq!((released.lease_duration_seconds, released.lease_transitions), (Some(1), Some(3)));
}

async fn a_delivery_under_way_is_finished_and_noted_before_another_replica_leads(ground: Ground) {
    // Which nobody plays: each has one transition.
    let nobodys = || json!({"pipelineRef": {"name": "build"}, "managedBy": "example.com/nobody"});
    let sink = Recorder::start();
    let slow = || replica(&ground, SLOW).sink("default", SinkSpec::new(sink.url.parse().unwrap()));
    let first = slow().start().await;
    let second = slow().start().await;
    let client = ground.client();
    sink.delay(Duration::from_secs(3));
    create_with(&client, "one", nobodys()).await;
    let waiting = async || first.metric("pipewright_oldest_unemitted_transition_seconds").await >= 1.0;
    first.until("a delivery under way", waiting).await;
    sink.delay(Duration::ZERO);
    first.drain();
    until_leading(&second).await;
    assert_eq!(sink.events(<[Event]>::len), 1, "it was not waited for");
    create_with(&client, "two", nobodys()).await;
    second.until("told", async || sink.events(<[Event]>::len) >= 2).await;
    first.stop().await;
    second.stop().await;
    let mut all = Told::new();
    sink.events(|events| told(events, &mut all));
    assert_eq!((all.len(), repeated(&all)), (2, 0), "{all:?}");
}

async fn a_replica_that_is_killed_is_followed_when_its_lease_expires(ground: Ground) {
    const RUNS: usize = 30;
    let folder = Folder::new("lease");
    let cluster = Cluster::on(&ground, &folder, BUILD_PIPELINE, Some(Duration::from_millis(100))).await;
    let mappings = folder.path().join("mappings");
    std::fs::create_dir_all(&mappings).unwrap();
    let sink = Recorder::start();
    let mut adapters: Vec<Adapter> = ["a", "b"]
        .map(|name| {
            let adapter = Adapter::new(&folder, name, &cluster, &mappings, Some(&sink));
            adapter.short_lease();
            adapter
        })
        .into();
    for adapter in &mut adapters {
        adapter.start();
        adapter.ready().await;
    }
    let client = cluster.client();
    let api = leases::api(&client);
    let holder = async || api.get("pipewright").await.unwrap().spec.unwrap().holder_identity;
    let mut made = 0;
    for leader in [0, 1] {
        let before = holder().await;
        for _ in 0..RUNS / 3 {
            create(&client, &format!("run-{made}")).await;
            made += 1;
        }
        let started = Instant::now();
        let count = || sink.events(<[Event]>::len);
        let seen = count();
        while count() < seen + 10 {
            assert!(started.elapsed() < Duration::from_secs(20), "{}", adapters[leader].log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        adapters[leader].kill();
        let started = Instant::now();
        while holder().await == before {
            assert!(started.elapsed() < Duration::from_secs(40), "{}", adapters[1 - leader].log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        println!("followed after {:?}", started.elapsed());
        adapters[leader].start();
        adapters[leader].ready().await;
    }
    for _ in 0..RUNS / 3 {
        create(&client, &format!("run-{made}")).await;
        made += 1;
    }
    let started = Instant::now();
    loop {
        let mut all = Told::new();
        sink.events(|events| told(events, &mut all));
        let expected = expected(&client, RUNS).await;
        if expected.len() == 5 * RUNS && all.keys().cloned().collect::<BTreeSet<_>>() == expected {
            one_id_each(&all);
            println!("{} transitions, {} sent more than once", all.len(), repeated(&all));
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{} of {}", all.len(), expected.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_stolen_lease_ends_the_watch_and_comes_back_when_the_thief_expires(ground: Ground) {
    const ROUNDS: usize = 3;
    played(&ground).await;
    let service = replica(&ground, SLOW).start().await;
    let client = ground.client();
    let mut all = Told::new();
    for round in 1..=ROUNDS {
        // Long enough for the slowest machine to see that nobody watches.
        write(&ground, "thief", 3600, "2026-01-01T00:00:00Z").await;
        service.until("robbed", async || !leads(&service).await).await;
        let standby = "[+] watch ok: standby; the leader is thief";
        service.until(standby, async || verbose(&service).await.contains(standby)).await;
        create(&client, &format!("run-{round}")).await;
        service.until("played", async || expected(&client, round).await.len() == 5 * round).await;
        assert_eq!(service.events.count(), 0, "a standby tells nothing");
        // The record changes once more, and then never again.
        write(&ground, "accomplice", 1, "2026-01-01T00:00:00Z").await;
        until_leading(&service).await;
        all_told(&[&service], round, &mut all).await;
    }
    assert_eq!(repeated(&all), 0);
    assert_eq!(spec(&ground).await.lease_transitions, Some(3 * i32::try_from(ROUNDS).unwrap()));
    assert!((changes(&service).await - 7.0).abs() < 0.1);
    service.stop().await;
}

async fn a_deleted_lease_is_made_again_by_its_leader(ground: Ground) {
    played(&ground).await;
    let service = replica(&ground, SLOW).start().await;
    let standby = replica(&ground, SLOW).start().await;
    let api = leases::api(&ground.client());
    let before = api.get("pipewright").await.unwrap();
    api.delete("pipewright", &DeleteParams::default()).await.unwrap();
    service.until("made again", async || api.get_opt("pipewright").await.unwrap().is_some()).await;
    let after = api.get("pipewright").await.unwrap();
    assert_ne!(before.metadata.uid, after.metadata.uid);
    let holder = |lease: &Lease| lease.spec.clone().unwrap().holder_identity;
    assert_eq!(holder(&before), holder(&after));
    assert_eq!((changes(&service).await, changes(&standby).await), (1.0, 0.0), "it led all the time");
    standby.stop().await;
    service.stop().await;
}

async fn a_leader_that_cannot_renew_stops_and_begins_again_and_stays_ready(ground: Ground) {
    played(&ground).await;
    let service = replica(&ground, QUICK).start().await;
    let client = ground.client();
    let mut all = Told::new();
    let refusal = Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 1);
    for (round, (fault, requests)) in
        [(refusal, Requests::Method("PUT")), (Fault::ResetBefore, Requests::All)].into_iter().enumerate()
    {
        ground.faults().inject(fault, requests, Rate::Percent(100));
        service.until("stopped", async || !leads(&service).await).await;
        let text = verbose(&service).await;
        let problem = format!("[!] watch: the Lease `{}/pipewright` cannot be used: ", ground.namespace());
        assert!(text.contains(&problem), "{text}");
        ground.faults().clear();
        create(&client, &format!("run-{round}")).await;
        until_leading(&service).await;
        all_told(&[&service], round + 1, &mut all).await;
        service.until("good again", async || verbose(&service).await.contains("[+] watch ok\n")).await;
    }
    assert_eq!(spec(&ground).await.lease_transitions, Some(0), "nobody else was in the Lease");
    service.stop().await;
}

async fn what_a_peers_clock_says_changes_nothing(ground: Ground) {
    played(&ground).await;
    write(&ground, "peer", 3600, "1970-01-01T00:00:00Z").await;
    let service = replica(&ground, QUICK).start().await;
    for (renewed, looks) in [("1999-12-31T00:00:00Z", 5), ("2199-12-31T00:00:00Z", 5)] {
        write(&ground, "peer", 3600, renewed).await;
        // It looks, again and again, and keeps still.
        tokio::time::sleep(QUICK.retry_period * looks).await;
        assert!(!leads(&service).await, "{renewed}");
        let text = verbose(&service).await;
        assert!(text.contains("standby; the leader is peer"), "{text}");
    }
    for renewed in ["1970-01-01T00:00:00Z", "2199-12-31T00:00:00Z"] {
        write(&ground, "peer", 1, renewed).await;
        until_leading(&service).await;
        assert_ne!(spec(&ground).await.holder_identity.as_deref(), Some("peer"));
        write(&ground, "peer", 3600, renewed).await;
        service.until("robbed", async || !leads(&service).await).await;
    }
    service.stop().await;
}

async fn without_the_right_to_a_lease_it_serves_says_what_is_missing_and_keeps_trying(ground: Ground) {
    played(&ground).await;
    ground.faults().inject(Fault::Status(StatusCode::FORBIDDEN, 0), Requests::Writes, Rate::Percent(100));
    let service = replica(&ground, QUICK).start().await;
    let text = verbose(&service).await;
    let lease = format!("[!] watch: the Lease `{}/pipewright`", ground.namespace());
    for needle in [lease.as_str(), "403", "grant get, create, update and watch"] {
        assert!(text.contains(needle), "`{needle}` is not in {text}");
    }
    assert!(!leads(&service).await);
    ground.faults().clear();
    until_leading(&service).await;
    let mut all = Told::new();
    create(&ground.client(), "one").await;
    all_told(&[&service], 1, &mut all).await;
    service.stop().await;
}

async fn a_namespace_that_does_not_exist_is_said_too(ground: Ground) {
    // Another Lease than that of `deploy/`.
    let ground = ground.administered();
    played(&ground).await;
    let mut setup = replica(&ground, QUICK);
    let elsewhere = format!("elsewhere-{}", ground.namespace());
    setup.settings.process.leader_election.namespace = Some(elsewhere.clone());
    let service = setup.start().await;
    let text = verbose(&service).await;
    assert!(text.contains(&format!("the Lease `{elsewhere}/pipewright`")) && text.contains("404"), "{text}");
    ground.create(&format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {elsewhere}}}\n")).await;
    until_leading(&service).await;
    service.stop().await;
}

async fn two_leaders_by_force_tell_every_transition_under_one_id(ground: Ground) {
    const RUNS: usize = 20;
    // Another Lease than that of `deploy/`.
    let ground = ground.administered();
    played(&ground).await;
    let mut services = Vec::new();
    for name in ["left", "right"] {
        let mut setup = replica(&ground, QUICK);
        setup.settings.process.leader_election.lease_name = name.into();
        services.push(setup.start().await);
    }
    // Without an election it is the same.
    let mut setup = replica(&ground, QUICK);
    setup.settings.process.leader_election.enabled = false;
    services.push(setup.start().await);
    for service in &services {
        assert!(leads(service).await);
    }
    let client = ground.client();
    for number in 0..RUNS {
        create(&client, &format!("run-{number}")).await;
    }
    let mut all = Told::new();
    all_told(&services.iter().collect::<Vec<_>>(), RUNS, &mut all).await;
    println!("{} transitions, {} sent more than once", all.len(), repeated(&all));
    for service in services {
        let events = service.events.clone();
        service.stop().await;
        told(&events.take(), &mut all);
    }
    one_id_each(&all);
    assert!(repeated(&all) > 0, "they did not work at the same time");
    let marks: Vec<Value> = {
        let api = Api::<DynamicObject>::default_namespaced_with(client, &pipeline_runs());
        let items = api.list(&ListParams::default()).await.unwrap().items;
        items
            .iter()
            .map(|run| {
                serde_json::from_str(&run.metadata.annotations.as_ref().unwrap()["pipewright.dev/emitted"])
            })
            .collect::<Result<_, _>>()
            .unwrap()
    };
    assert!(
        marks.iter().all(|mark| mark["sent"].as_array().is_some_and(|sent| sent.len() == 3)),
        "{marks:?}"
    );
}
