//! What is told of runs when a sink is away or refuses, when a mapping cannot be computed, and when runs are deleted.

mod killed;

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use pipewright::event::annotation::{DELETED_RUNS, EMITTED};
use serde_json::{Value, json};

use crate::support::ground::{Ground, on_both_clusters};
use crate::support::leases;
use crate::support::service::{ANSWERED, Receiver, Service, Setup, pipeline_runs};

on_both_clusters! {
    runs_that_end_and_are_deleted_while_the_sink_is_away_are_told_once_each,
    a_run_that_is_deleted_before_its_end_is_told_as_cancelled,
    what_a_killed_leader_had_still_to_tell_is_counted_by_the_next,
    a_final_refusal_is_noted_and_the_next_transition_goes_out,
    a_sink_that_refuses_makes_no_other_sink_get_an_event_twice,
    a_mapping_that_cannot_be_computed_keeps_nothing_from_the_default_sink,
}

/// A mapping that does this on the events of runs.
fn on_runs(name: &str, predicate: &str, rest: &str) -> String {
    format!(
        "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: {name}}}
spec:
  events: [{{type: dev.cdevents.pipelinerun.{predicate}}}]
{rest}
"
    )
}

fn api(ground: &Ground) -> Api<DynamicObject> {
    let (client, kind) = (ground.client(), pipeline_runs());
    match ground {
        Ground::Embedded(_) => Api::namespaced_with(client, "default", &kind),
        Ground::Real(real) => Api::namespaced_with(client, &real.namespace, &kind),
    }
}

async fn create(api: &Api<DynamicObject>, name: &str) {
    let run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": name},
        // Nobody plays it but these tests.
        "spec": {"pipelineRef": {"name": "build"}, "managedBy": "example.com/tests"},
    });
    api.create(&PostParams::default(), &serde_json::from_value(run).unwrap()).await.unwrap();
}

/// Sets the condition, as Tekton's controller does.
async fn advance(api: &Api<DynamicObject>, name: &str, status: &str) {
    let at = "2026-01-01T00:00:00Z";
    let condition =
        json!([{"type": "Succeeded", "status": status, "reason": "Running", "lastTransitionTime": at}]);
    let status = json!({"status": {"startTime": at, "conditions": condition}});
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// The predicate, such as `started`, the run's name and the event of every event about a pipeline's run that arrived.
fn told(receiver: &Receiver) -> Vec<(String, String, Value)> {
    told_if(receiver, |_| true)
}

/// The same of those that were answered so.
fn told_if(receiver: &Receiver, answered: impl Fn(&str) -> bool) -> Vec<(String, String, Value)> {
    let mut told = Vec::new();
    for (headers, body) in receiver.take() {
        if !answered(headers[ANSWERED].to_str().unwrap()) {
            continue;
        }
        let event: Value = serde_json::from_slice(&body).unwrap();
        let ty = event["type"].as_str().unwrap();
        if let Some(rest) = ty.strip_prefix("dev.cdevents.pipelinerun.") {
            let predicate = rest.split('.').next().unwrap().to_owned();
            let name = event["subject"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            told.push((predicate, name, event));
        }
    }
    told
}

fn names(told: &[(String, String, Value)]) -> Vec<&str> {
    told.iter().map(|(predicate, ..)| predicate.as_str()).collect()
}

async fn deleted_while_away(ground: Ground, number: usize, away: Duration) {
    let receiver = Receiver::start().await;
    let service = Setup::over(&ground).sink("default", receiver.spec()).start().await;
    let api = api(&ground);
    receiver.answer(503);
    for n in 0..number {
        let name = format!("gone-{n}");
        create(&api, &name).await;
        advance(&api, &name, "Unknown").await;
        advance(&api, &name, "True").await;
        api.delete(&name, &DeleteParams::default()).await.unwrap();
    }
    tokio::time::sleep(away).await;
    assert!(service.metric("pipewright_deleted_runs").await > 0.5, "they are kept");
    receiver.answer(202);
    let mut all = Vec::new();
    // What waits is tried again within two minutes.
    for _ in 0..150 {
        all.extend(told_if(&receiver, |status| status == "202"));
        if all.iter().filter(|(predicate, ..)| predicate == "finished").count() >= number {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    service.until("nothing waits", async || service.metric("pipewright_deleted_runs").await < 0.5).await;
    all.extend(told_if(&receiver, |status| status == "202"));
    for predicate in ["queued", "started", "finished"] {
        let mut found: Vec<&str> =
            all.iter().filter(|(it, ..)| it == predicate).map(|(_, name, _)| name.as_str()).collect();
        let arrived = found.len();
        found.sort_unstable();
        found.dedup();
        assert_eq!((arrived, found.len()), (number, number), "{predicate}");
    }
    assert!(all.iter().all(
        |(it, _, event)| it != "finished" || event["data"]["subject"]["content"]["outcome"] == "success"
    ));
    assert!(service.metric("pipewright_transitions_lost_total").await < 0.5);
    service.stop().await;
}

async fn runs_that_end_and_are_deleted_while_the_sink_is_away_are_told_once_each(ground: Ground) {
    deleted_while_away(ground, 20, Duration::from_secs(2)).await;
}

/// Takes some minutes, as the next: `cargo test --test it two_hundred -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn two_hundred_runs_that_are_deleted_while_the_sink_is_away_for_a_minute_are_told_once_each() {
    deleted_while_away(Ground::embedded(), 200, Duration::from_mins(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn two_hundred_runs_of_a_real_cluster_that_are_deleted_while_the_sink_is_away_are_told_once_each() {
    if let Some(ground) = Ground::real().await {
        deleted_while_away(ground, 200, Duration::from_mins(1)).await;
    }
}

async fn a_run_that_is_deleted_before_its_end_is_told_as_cancelled(ground: Ground) {
    let receiver = Receiver::start().await;
    let service = Setup::over(&ground).sink("default", receiver.spec()).start().await;
    let api = api(&ground);
    create(&api, "stopped").await;
    advance(&api, "stopped", "Unknown").await;
    let mut all = Vec::new();
    service
        .until("it has begun", async || {
            all.extend(told(&receiver));
            all.len() == 2
        })
        .await;
    api.delete("stopped", &DeleteParams::default()).await.unwrap();
    service
        .until("its end", async || {
            all.extend(told(&receiver));
            all.len() == 3
        })
        .await;
    assert_eq!(names(&all), ["queued", "started", "finished"]);
    let data = &all[2].2["data"];
    assert_eq!(data["subject"]["content"]["outcome"], "cancel");
    assert_eq!(data["customData"]["tekton"]["reason"], "Deleted");
    service.stop().await;
}

async fn marks(service: &Service, name: &str) -> Value {
    let run = service.runs().await.into_iter().find(|run| run.name_any() == name).unwrap();
    run.annotations().get(EMITTED).map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

async fn a_final_refusal_is_noted_and_the_next_transition_goes_out(ground: Ground) {
    let receiver = Receiver::start().await;
    receiver.refuse("dev.cdevents.pipelinerun.started", 400);
    let service = Setup::over(&ground).sink("default", receiver.spec()).start().await;
    let api = api(&ground);
    create(&api, "refused").await;
    advance(&api, "refused", "Unknown").await;
    advance(&api, "refused", "True").await;
    service
        .until("the mark", async || {
            marks(&service, "refused").await["sent"] == json!(["queued", "started", "finished"])
        })
        .await;
    let marks = marks(&service, "refused").await;
    assert_eq!(marks["refused"], json!(["started: sink `default`: it answered 400 Bad Request"]));
    let all = told(&receiver);
    assert_eq!(names(&all), ["queued", "started", "finished"], "each once");
    assert!(service.has_metric("pipewright_transitions_refused_total{mapping=\"\"} 1").await);
    assert!(service.metric("pipewright_oldest_unemitted_transition_seconds").await < 0.5);
    service.stop().await;
}

async fn a_sink_that_refuses_makes_no_other_sink_get_an_event_twice(ground: Ground) {
    let (good, chat) = (Receiver::start().await, Receiver::start().await);
    let forward = "  do: [{name: tell, emit: {forward: true, to: chat}}]";
    let service = Setup::over(&ground)
        .sink("default", good.spec())
        .sink("chat", chat.spec())
        .mapping("chat", &on_runs("chat", "*", forward))
        .start()
        .await;
    let api = api(&ground);
    // For good first, and then for a while.
    for (name, status) in [("never", 400), ("later", 503)] {
        chat.answer(status);
        create(&api, name).await;
        advance(&api, name, "True").await;
        let mut all = Vec::new();
        service
            .until("the good one has all", async || {
                all.extend(told(&good));
                all.len() == 3
            })
            .await;
        assert_eq!(names(&all), ["queued", "started", "finished"]);
    }
    service
        .until("the note", async || marks(&service, "later").await["part"]["finished"][0].is_string())
        .await;
    chat.take();
    chat.answer(202);
    let mut all = Vec::new();
    service
        .until("the other has all", async || {
            all.extend(told(&chat));
            all.len() == 3
        })
        .await;
    assert_eq!(names(&all), ["queued", "started", "finished"], "in order");
    service.until("the mark", async || marks(&service, "later").await.get("part").is_none()).await;
    assert!(told(&good).is_empty(), "nothing twice");
    service.stop().await;
}

async fn a_mapping_that_cannot_be_computed_keeps_nothing_from_the_default_sink(ground: Ground) {
    let receiver = Receiver::start().await;
    let rest = "  let: {ticket: {path: $.data.ticket, required: true}}
  do: [{name: note, emit: {type: com.example.noted, content: {ticket: '{{ticket}}'}}}]";
    let service = Setup::over(&ground)
        .sink("default", receiver.spec())
        .mapping("strict", &on_runs("strict", "started", rest))
        .start()
        .await;
    let api = api(&ground);
    create(&api, "run").await;
    advance(&api, "run", "Unknown").await;
    advance(&api, "run", "True").await;
    let mut all = Vec::new();
    service
        .until("all is told", async || {
            all.extend(told(&receiver));
            all.len() == 3
        })
        .await;
    assert_eq!(names(&all), ["queued", "started", "finished"]);
    assert!(service.has_metric("pipewright_transitions_refused_total{mapping=\"strict\"} 1").await);
    assert!(service.has_metric("pipewright_plan_errors_total{mapping=\"strict\"} 1").await);
    service.stop().await;
}

async fn what_a_killed_leader_had_still_to_tell_is_counted_by_the_next(ground: Ground) {
    let receiver = Receiver::start().await;
    receiver.answer(503);
    let soon = |setup: Setup| {
        setup.with(|settings| {
            settings.process.leader_election.timing.retry_period = Duration::from_millis(200);
        })
    };
    let service = soon(Setup::over(&ground).sink("default", receiver.spec())).start().await;
    let api = api(&ground);
    for name in ["one", "two"] {
        create(&api, name).await;
        advance(&api, name, "True").await;
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    // What a leader notes while it lives.
    let leases = leases::api(&ground.client());
    let note = async || {
        let lease = leases.get("pipewright").await.unwrap();
        lease.annotations().get(DELETED_RUNS).cloned()
    };
    let namespace = ground.namespace();
    let wanted = format!("2 PipelineRun {namespace}/one, PipelineRun {namespace}/two");
    service.until("the note", async || note().await.as_ref() == Some(&wanted)).await;
    // One that ends in good order leaves them to the next, which asks the cluster for them.
    service.stop().await;
    assert_eq!(note().await.as_ref(), Some(&wanted));
    receiver.take();
    receiver.answer(202);
    let service = soon(Setup::over(&ground).sink("default", receiver.spec())).start().await;
    let mut all = Vec::new();
    service
        .until("both are told", async || {
            all.extend(told(&receiver));
            all.len() == 6
        })
        .await;
    service.until("its end", async || note().await.is_none()).await;
    assert!(service.metric("pipewright_transitions_lost_total").await < 0.5);
    service.stop().await;

    // Of others the cluster knows nothing any more.
    let wanted = format!("2 PipelineRun {namespace}/three, PipelineRun {namespace}/four");
    let mut lease = leases.get("pipewright").await.unwrap();
    lease.annotations_mut().insert(DELETED_RUNS.to_owned(), wanted);
    leases.replace("pipewright", &PostParams::default(), &lease).await.unwrap();
    let service = soon(Setup::over(&ground)).start().await;
    service.until("the loss", async || service.metric("pipewright_transitions_lost_total").await > 1.5).await;
    service.until("its end", async || note().await.is_none()).await;
    assert!(service.metric("pipewright_transitions_lost_total").await < 2.5);
    service.stop().await;
}
