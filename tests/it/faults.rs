//! A cluster that misbehaves: answers lost before and after the commit, throttling, outages, broken watches.

use std::time::Duration;

use futures::StreamExt as _;
use http::StatusCode;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use pipewright::event::Event;
use pipewright_embedded::faults::{Fault, Rate, Requests};
use pipewright_embedded::player;
use serde_json::{Value, json};

use crate::support::BUILD_PIPELINE;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::process::fixture;
use crate::support::service::{Receiver, SECRET, Service, Setup, pipeline_runs};

on_both_clusters! {
    a_create_whose_answer_is_lost_is_one_run_and_accepted,
    a_throttled_create_waits_as_it_is_told_and_is_made_once,
    an_outage_longer_than_the_deadline_acknowledges_nothing,
    a_merge_and_the_push_that_it_makes_are_one_run,
    with_the_shipped_mappings_a_merge_and_its_push_are_one_run_in_either_order,
    two_events_of_one_delivery_that_mean_the_same_are_one_run,
    a_redelivery_completes_what_a_failing_sink_left_undone_and_doubles_nothing,
    watches_that_break_and_a_past_that_is_forgotten_lose_no_transition,
    tasks_have_their_own_transitions_although_tekton_copies_the_mark_of_their_run,
    a_run_made_again_under_its_name_is_announced_anew,
    a_pending_run_is_queued_and_starts_when_it_is_released,
    what_happened_while_nobody_watched_is_told_in_order_and_only_once,
    events_of_tekton_itself_make_us_look_and_are_never_the_fact,
    an_event_of_tekton_makes_us_look_while_the_watch_is_away,
    a_long_list_comes_to_its_end_though_pages_of_it_fail,
    a_create_that_is_refused_waits_as_long_as_it_is_told,
    a_wait_that_is_longer_than_the_deadline_is_passed_on,
    nothing_is_acknowledged_that_nobody_could_see,
}

const POST: Requests = Requests::Method("POST");

fn opened() -> Vec<u8> {
    serde_json::to_vec(&fixture("pull_request.opened.json")).unwrap()
}

/// A service over a cluster that plays the runs it makes.
async fn played(ground: &Ground) -> Service {
    ground.create(BUILD_PIPELINE).await;
    Setup::over(ground).shipped("pull-request-build").start().await
}

fn runs(service: &Service) -> Api<DynamicObject> {
    Api::default_namespaced_with(service.ground.client(), &pipeline_runs())
}

/// The transitions among events, as `pipelinerun.queued`, in the order of their arrival.
fn transitions(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| event.ty().strip_prefix("dev.cdevents."))
        .filter(|ty| ty.contains("run."))
        .map(|ty| ty.splitn(3, '.').take(2).collect::<Vec<_>>().join("."))
        .collect()
}

/// Waits until so many transitions of this name came, and gives all events since the last look.
async fn arrived(service: &Service, name: &str, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    service
        .until(name, async || {
            events.extend(service.events.take());
            transitions(&events).iter().filter(|found| *found == name).count() >= count
        })
        .await;
    events
}

fn uid(event: &Event) -> &str {
    event.tree().unwrap()["customData"]["tekton"]["uid"].as_str().unwrap()
}

async fn a_create_whose_answer_is_lost_is_one_run_and_accepted(ground: Ground) {
    for fault in [Fault::ResetAfter, Fault::ResetBefore, Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 0)] {
        let service = Setup::over(&ground).shipped("pull-request-build").start().await;
        service.ground.faults().inject(fault, POST, Rate::Next(1));
        let answer = service.github("pull_request", opened()).await;
        assert_eq!(answer.status, 202, "{fault:?}: {answer:?}");
        assert_eq!(service.runs().await.len(), 1, "{fault:?}");
        service.github("pull_request", opened()).await.accepted("duplicate");
        assert_eq!(service.runs().await.len(), 1, "{fault:?}");
        service.stop().await;
    }
}

async fn a_throttled_create_waits_as_it_is_told_and_is_made_once(ground: Ground) {
    let service = Setup::over(&ground).shipped("pull-request-build").start().await;
    service.ground.faults().inject(Fault::Status(StatusCode::TOO_MANY_REQUESTS, 1), POST, Rate::Next(2));
    let started = std::time::Instant::now();
    service.github("pull_request", opened()).await.accepted("created");
    assert!(started.elapsed() >= Duration::from_secs(2), "Retry-After was not honoured");
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

async fn an_outage_longer_than_the_deadline_acknowledges_nothing(ground: Ground) {
    let service = Setup::over(&ground)
        .shipped("pull-request-build")
        .with(|settings| settings.process.limits.webhook_deadline = Duration::from_millis(800))
        .start()
        .await;
    service.ground.faults().inject(Fault::ResetBefore, Requests::All, Rate::Percent(100));
    service.github("pull_request", opened()).await.later(503, "pull-request-build");
    service.ground.faults().clear();
    assert_eq!(service.runs().await.len(), 0);
    service.github("pull_request", opened()).await.accepted("created");
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

async fn a_merge_and_the_push_that_it_makes_are_one_run(ground: Ground) {
    // The commit is the same, so is the run.
    let mapping = "
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: build-main}
spec:
  events: [{type: dev.cdevents.change.merged}, {type: dev.cdeventsx.git-ref.updated}]
  let:
    repo: {path: $.data.customData.repository.url, required: true}
    merged: {path: $.data.customData.change.mergeCommit}
    pushed: {path: $.data.customData.push.after}
    commit: {cel: 'vars.merged != null ? vars.merged : vars.pushed', required: true}
  do: [{name: build, pipelineRun: {spec: {pipelineRef: {name: build}}}}]
  dedupeBy: [repo, commit]
";
    let service = Setup::over(&ground).mapping("build-main", mapping).start().await;
    let payload = |name| serde_json::to_vec(&fixture(name)).unwrap();
    let merge = service.github("pull_request", payload("pull_request.closed.merged.json")).await;
    merge.accepted("created");
    let push =
        service.delivery("github", SECRET, "push", "another-delivery", payload("push.main.json")).await;
    push.accepted("duplicate");
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

async fn with_the_shipped_mappings_a_merge_and_its_push_are_one_run_in_either_order(ground: Ground) {
    let payload = |name| serde_json::to_vec(&fixture(name)).unwrap();
    let merge = ("pull_request", "delivery-of-the-merge", payload("pull_request.closed.merged.json"));
    let push = ("push", "delivery-of-the-push", payload("push.main.json"));
    for order in [[&merge, &push], [&push, &merge]] {
        let mut setup = Setup::over(&ground);
        for name in ["announce-run", "pull-request-build", "push-build", "tag-release"] {
            setup = setup.shipped(name);
        }
        let service = setup.start().await;
        for _ in 0..2 {
            for (event, delivery, body) in order {
                let answer = service.delivery("github", SECRET, event, delivery, body.clone()).await;
                assert_eq!(answer.status, 202, "{answer:?}");
            }
        }
        assert_eq!(service.runs().await.len(), 1, "first the {}", order[0].0);
        service.stop().await;
    }
}

async fn two_events_of_one_delivery_that_mean_the_same_are_one_run(ground: Ground) {
    // The raw event and the CDEvent of the delivery both match; what they are told apart by does not count.
    let mapping = "
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: build-twice}
spec:
  events: [{type: com.github.pull_request.opened}, {type: dev.cdevents.change.created}]
  let:
    raw: {path: $.data.pull_request.head.sha}
    extract: {path: $.data.customData.change.source.sha}
    commit: {cel: 'vars.raw != null ? vars.raw : vars.extract', required: true}
  do: [{name: build, pipelineRun: {spec: {pipelineRef: {name: build}}}}]
";
    for (dedupe, runs) in [("", 2), ("  dedupeBy: [commit]\n", 1)] {
        let service = Setup::over(&ground.another().await)
            .mapping("build-twice", &format!("{mapping}{dedupe}"))
            .start()
            .await;
        service.github("pull_request", opened()).await.accepted("created");
        assert_eq!(service.runs().await.len(), runs, "{dedupe}");
        service.github("pull_request", opened()).await;
        assert_eq!(service.runs().await.len(), runs, "{dedupe}");
        service.stop().await;
    }
}

async fn a_redelivery_completes_what_a_failing_sink_left_undone_and_doubles_nothing(ground: Ground) {
    let mapping = "
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: build-and-tell}
spec:
  events: [{type: dev.cdevents.change.created}]
  do:
    - {name: build, pipelineRun: {spec: {pipelineRef: {name: build}}}}
    - {name: tell, emit: {type: dev.cdeventsx.pipewright-build.requested.0.1.0, to: chat, subject: a}}
";
    let chat = Receiver::start().await;
    let service = Setup::over(&ground)
        .mapping("build-and-tell", mapping)
        .sink("chat", chat.spec())
        .with(|settings| settings.process.limits.webhook_deadline = Duration::from_millis(600))
        .start()
        .await;
    chat.answer(503);
    for _ in 0..2 {
        service.github("pull_request", opened()).await.later(503, "sink `chat`");
        assert_eq!(service.runs().await.len(), 1, "the run came first, and once");
    }
    chat.answer(202);
    assert_eq!(service.github("pull_request", opened()).await.status, 202);
    assert_eq!(service.runs().await.len(), 1);
    let ids: Vec<Value> = chat
        .take()
        .iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(body).unwrap()["id"].clone())
        .collect();
    assert!(ids.len() >= 3, "{ids:?}");
    assert!(ids.iter().all(|id| *id == ids[0]), "every try bears the same id: {ids:?}");
    service.stop().await;
}

async fn watches_that_break_and_a_past_that_is_forgotten_lose_no_transition(ground: Ground) {
    const COUNT: usize = 40;
    let service = played(&ground).await;
    let breaker = tokio::spawn({
        let faults = service.ground.faults();
        async move {
            for round in 0.. {
                tokio::time::sleep(Duration::from_millis(40)).await;
                faults.cut_watches();
                if round % 3 == 0 {
                    faults.compact();
                }
            }
        }
    });
    let mut payload = fixture("pull_request.opened.json");
    for number in 0..COUNT {
        payload["pull_request"]["head"]["sha"] = json!(format!("{number:040x}"));
        service.github("pull_request", serde_json::to_vec(&payload).unwrap()).await.accepted("created");
    }
    let events = arrived(&service, "pipelinerun.finished", COUNT).await;
    breaker.abort();
    let mut ids = std::collections::BTreeMap::<(String, String), Vec<&str>>::new();
    for event in events.iter().filter(|event| event.ty().starts_with("dev.cdevents.pipelinerun.")) {
        let key = (uid(event).to_owned(), event.ty().to_owned());
        ids.entry(key).or_default().push(event.id());
    }
    assert_eq!(ids.len(), 3 * COUNT, "queued, started and finished of each");
    for (transition, ids) in &ids {
        assert!(ids.iter().all(|id| *id == ids[0]), "{transition:?} has more than one id: {ids:?}");
    }
    for run in ids.keys().map(|(run, _)| run) {
        let of_the_run = events.iter().filter(|event| event.ty().starts_with("dev.cdevents.pipelinerun."));
        let mut types: Vec<&str> = of_the_run.filter(|event| uid(event) == run).map(Event::ty).collect();
        let mut seen = std::collections::BTreeSet::new();
        types.retain(|ty| seen.insert(*ty));
        let order = ["queued", "started", "finished"];
        assert!(types.iter().zip(order).all(|(ty, name)| ty.contains(name)), "{run}: {types:?}");
    }
    service.stop().await;
}

async fn tasks_have_their_own_transitions_although_tekton_copies_the_mark_of_their_run(ground: Ground) {
    let service = played(&ground).await;
    service.github("pull_request", opened()).await.accepted("created");
    // Which of the two ends is told first depends on the cluster.
    let mut events = Vec::new();
    service
        .until("both ends", async || {
            events.extend(service.events.take());
            let told = transitions(&events);
            ["pipelinerun.finished", "taskrun.finished"].iter().all(|end| told.iter().any(|ty| ty == end))
        })
        .await;
    assert_eq!(
        transitions(&events).into_iter().collect::<std::collections::BTreeSet<_>>(),
        [
            "pipelinerun.finished",
            "pipelinerun.queued",
            "pipelinerun.started",
            "taskrun.finished",
            "taskrun.started"
        ]
        .map(str::to_owned)
        .into()
    );
    service.stop().await;
}

async fn a_run_made_again_under_its_name_is_announced_anew(ground: Ground) {
    let service = played(&ground).await;
    service.github("pull_request", opened()).await.accepted("created");
    let first = arrived(&service, "pipelinerun.finished", 1).await;
    let name = service.runs().await[0].metadata.name.clone().unwrap();
    runs(&service).delete(&name, &DeleteParams::default()).await.unwrap();
    service.until("deleted", async || service.runs().await.is_empty()).await;

    service.github("pull_request", opened()).await.accepted("created");
    let second = arrived(&service, "pipelinerun.finished", 1).await;
    assert_eq!(service.runs().await[0].metadata.name.as_deref(), Some(name.as_str()));
    let last = |events: &[Event]| {
        let finished =
            events.iter().find(|event| event.ty().starts_with("dev.cdevents.pipelinerun.finished"));
        finished.map(|event| (uid(event).to_owned(), event.id().to_owned())).unwrap()
    };
    let (first, second) = (last(&first), last(&second));
    assert_ne!(first.0, second.0);
    assert_ne!(first.1, second.1, "another run is another event");
    service.stop().await;
}

async fn a_pending_run_is_queued_and_starts_when_it_is_released(ground: Ground) {
    let service = played(&ground).await;
    let run: Value = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "held"},
        "spec": {"pipelineRef": {"name": "build"}, "status": "PipelineRunPending"},
    });
    let run: DynamicObject = serde_json::from_value(run).unwrap();
    runs(&service).create(&PostParams::default(), &run).await.unwrap();
    let events = arrived(&service, "pipelinerun.queued", 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let later = service.events.take();
    assert_eq!(transitions(&events).len() + transitions(&later).len(), 1, "nothing starts while it is held");

    let release = json!({"spec": {"status": null}});
    runs(&service).patch("held", &PatchParams::default(), &Patch::Merge(release)).await.unwrap();
    let events = arrived(&service, "pipelinerun.finished", 1).await;
    let of_the_run: Vec<String> =
        transitions(&events).into_iter().filter(|name| name.starts_with("pipelinerun")).collect();
    assert_eq!(of_the_run, ["pipelinerun.started", "pipelinerun.finished"]);
    service.stop().await;
}

async fn what_happened_while_nobody_watched_is_told_in_order_and_only_once(ground: Ground) {
    ground.create(BUILD_PIPELINE).await;
    // The one is for the embedded cluster's player, the other for the kubelet of the real one.
    let fails = json!({player::OUTCOME: "fail", "play.pipewright.dev/exit-code": "1"});
    let api = Api::<DynamicObject>::default_namespaced_with(ground.client(), &pipeline_runs());
    let run: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "early", "annotations": fails},
        "spec": {"pipelineRef": {"name": "build"}},
    }))
    .unwrap();
    api.create(&PostParams::default(), &run).await.unwrap();
    for _ in 0..200 {
        let run = api.get("early").await.unwrap();
        if run.data.pointer("/status/completionTime").is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let start = || Setup::over(&ground).start();
    let service = start().await;
    let events = arrived(&service, "pipelinerun.finished", 1).await;
    let names: Vec<String> =
        transitions(&events).into_iter().filter(|name| name.starts_with("pipelinerun")).collect();
    assert_eq!(names, ["pipelinerun.queued", "pipelinerun.started", "pipelinerun.finished"]);
    let finished = events.iter().find(|event| event.ty().contains("pipelinerun.finished")).unwrap();
    assert_eq!(finished.tree().unwrap()["subject"]["content"]["outcome"], "failure");
    // The tasks' marks too, before the next service looks.
    tokio::time::sleep(Duration::from_millis(300)).await;
    service.stop().await;

    let service = start().await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(transitions(&service.events.take()), [""; 0], "the marks are on the objects");
    service.stop().await;
}

async fn events_of_tekton_itself_make_us_look_and_are_never_the_fact(ground: Ground) {
    let service = played(&ground).await;
    service.github("pull_request", opened()).await.accepted("created");
    arrived(&service, "pipelinerun.finished", 1).await;
    let run = service.runs().await.remove(0);
    let name = run.metadata.name.unwrap();
    let metadata = json!({"namespace": ground.namespace(), "name": name});
    let body = json!({"pipelineRun": {"metadata": metadata}}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "5c0d41f8-9d5e-4f4f-9d56-0123456789ab"),
        ("ce-source", "/apis///namespaces/default//x"),
        ("ce-type", "dev.tekton.event.pipelinerun.failed.v1"),
    ];
    service.send("POST", "/", &headers, body).await.accepted("ignored");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        transitions(&service.events.take()),
        [""; 0],
        "it says `failed`, but the run succeeded and was told"
    );
    service.stop().await;
}

async fn an_event_of_tekton_makes_us_look_while_the_watch_is_away(ground: Ground) {
    let service = Setup::over(&ground).start().await;
    // The watch ends, its place in the past is gone, and listing fails: kube waits longer every time.
    let faults = service.ground.faults();
    faults.inject(Fault::ResetBefore, Requests::Method("GET"), Rate::Percent(100));
    faults.compact();
    faults.cut_watches();
    // Two kinds are watched; right after the third try of each, the next one is seconds away.
    let lists = async || service.metric("pipewright_watch_relists_total").await;
    service.until("tried in vain", async || lists().await >= 6.0).await;
    let before = lists().await;
    faults.clear();
    let run: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": "unseen"}, "spec": {"pipelineRef": {"name": "build"}},
    }))
    .unwrap();
    runs(&service).create(&PostParams::default(), &run).await.unwrap();
    let metadata = json!({"namespace": ground.namespace(), "name": "unseen"});
    let body = json!({"pipelineRun": {"metadata": metadata}}).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "5c0d41f8-9d5e-4f4f-9d56-0123456789ab"),
        ("ce-source", "/apis///namespaces/default//unseen"),
        ("ce-type", "dev.tekton.event.pipelinerun.started.v1"),
    ];
    service.send("POST", "/", &headers, body).await.accepted("ignored");
    arrived(&service, "pipelinerun.queued", 1).await;
    assert!((lists().await - before).abs() < 0.1, "the watch was back; the hint was not needed");
    service.stop().await;
}

async fn a_long_list_comes_to_its_end_though_pages_of_it_fail(ground: Ground) {
    // Six pages, and three of each ten reads fail: never are four pages in a row read at the first try.
    const COUNT: usize = 2_600;
    let api: Api<DynamicObject> = Api::default_namespaced_with(ground.client(), &pipeline_runs());
    let creates = (0..COUNT).map(|number| {
        // Somebody else's, so that nobody plays them.
        let run: DynamicObject = serde_json::from_value(json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": format!("run-{number}")},
            "spec": {"pipelineRef": {"name": "build"}, "managedBy": "example.com/nobody"},
        }))
        .unwrap();
        let api = api.clone();
        async move { api.create(&PostParams::default(), &run).await.unwrap() }
    });
    futures::stream::iter(creates).buffer_unordered(16).collect::<Vec<_>>().await;
    let code = StatusCode::SERVICE_UNAVAILABLE;
    ground.faults().inject(Fault::Status(code, 0), Requests::Method("GET"), Rate::Percent(30));
    let service = Setup::over(&ground).start().await;
    // Nothing that is listed is looked at before the list is complete.
    arrived(&service, "pipelinerun.queued", 1).await;
    service.stop().await;
}

async fn a_create_that_is_refused_waits_as_long_as_it_is_told(ground: Ground) {
    let service = Setup::over(&ground).shipped("pull-request-build").start().await;
    let faults = service.ground.faults();
    // A 503 may come after the commit: it is looked at first, and then waited for.
    faults.inject(Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 2), POST, Rate::Next(1));
    let started = std::time::Instant::now();
    service.github("pull_request", opened()).await.accepted("created");
    assert!(started.elapsed() >= Duration::from_secs(2), "Retry-After was not honoured");
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

async fn a_wait_that_is_longer_than_the_deadline_is_passed_on(ground: Ground) {
    let service = Setup::over(&ground).shipped("pull-request-build").start().await;
    let faults = service.ground.faults();
    for (code, told) in [(StatusCode::SERVICE_UNAVAILABLE, 20), (StatusCode::TOO_MANY_REQUESTS, 30)] {
        faults.inject(Fault::Status(code, told), POST, Rate::Next(1));
        let started = std::time::Instant::now();
        let answer = service.github("pull_request", opened()).await;
        answer.later(503, "pull-request-build");
        assert_eq!(answer.header("retry-after"), told.to_string());
        assert!(started.elapsed() < Duration::from_secs(6), "it waited in vain");
        assert_eq!(service.runs().await.len(), 0);
    }
    // Nobody is sent away for ever.
    faults.inject(Fault::Status(StatusCode::SERVICE_UNAVAILABLE, u32::MAX), POST, Rate::Next(1));
    let answer = service.github("pull_request", opened()).await;
    answer.refused(503, "pull-request-build");
    assert_eq!(answer.header("retry-after"), "60");
    service.github("pull_request", opened()).await.accepted("created");
    service.stop().await;
}

async fn nothing_is_acknowledged_that_nobody_could_see(ground: Ground) {
    // The run exists, but no read ever tells: that is no proof.
    let service = Setup::over(&ground)
        .shipped("pull-request-build")
        .with(|settings| settings.process.limits.webhook_deadline = Duration::from_secs(1))
        .start()
        .await;
    let faults = service.ground.faults();
    faults.inject(Fault::ResetAfter, POST, Rate::Percent(100));
    faults.inject(
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 0),
        Requests::Method("GET"),
        Rate::Percent(100),
    );
    service.github("pull_request", opened()).await.later(503, "pull-request-build");
    faults.clear();
    assert_eq!(service.runs().await.len(), 1);
    service.github("pull_request", opened()).await.accepted("duplicate");
    service.stop().await;
}
