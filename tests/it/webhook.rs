//! A forge's deliveries over HTTP: what is accepted, what is refused and how, and that nothing is acknowledged before
//! its effect exists.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use pipewright::event::{Data, Event, annotation};
use pipewright::settings::{Announce, Settings};
use pipewright::source::secret::{SecretKeyRef, SecretReference};
use pipewright::source::signature;
use pipewright_embedded::faults::{Fault, Rate, Requests};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::corpus;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::service::{
    Answer, Receiver, SECRET, Service, Setup, literal, pipeline_runs, raw, read_answer,
};

on_both_clusters! {
    a_form_encoded_delivery_is_read_and_signed_over_the_form,
    a_secret_comes_from_a_kubernetes_secret,
    more_requests_than_the_bound_are_429,
    the_result_says_what_became_of_a_delivery,
    while_the_cluster_fails_it_is_503_and_a_redelivery_makes_one_run,
    a_mapping_that_cannot_be_computed_is_422_with_its_place_and_costs_only_itself,
    a_run_that_is_refused_keeps_back_the_events_of_its_own_mapping_alone,
    while_the_sink_is_down_it_is_503_and_afterwards_the_event_is_there,
    a_name_that_something_else_has_is_422,
    a_hostile_title_reaches_the_run_as_one_literal_string,
    while_it_drains_it_is_not_ready_and_still_serves,
    a_request_in_flight_is_finished_when_the_service_stops,
}

const OPENED: &str = include_str!("../fixtures/github/pull_request.opened.json");
const MIB: usize = 1024 * 1024;

fn announcing() -> Setup {
    Setup::new().with(|settings| settings.process.announce = Announce::All)
}

fn building(ground: &Ground) -> Setup {
    Setup::over(ground).shipped("pull-request-build")
}

/// A request as it goes over the wire, signed, without the body that it announces.
fn head(service: &Service, body: &[u8], length: &str) -> String {
    format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\nx-github-event: brand_new\r\n\
         x-github-delivery: 1\r\nx-hub-signature-256: {}\r\n{length}\r\n\r\n",
        service.address,
        signature::sign(SECRET.as_bytes(), body)
    )
}

// --- The corpus.

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_payload_is_one_raw_event_and_valid_cdevents() {
    let Some(root) = corpus::root() else { return };
    let schemas = corpus::Schemas::load(&root);
    let payloads = corpus::github(&root);
    assert_eq!(payloads.len(), 150);
    let service = announcing().start().await;
    let mut cdevents = 0;
    for payload in payloads {
        let name = &payload.name;
        let body = Bytes::from(payload.body);
        let answer = service.github(&payload.event, body.clone()).await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""), "{name}");
        let events = service.events.take();
        let (raw, derived) = events.split_first().unwrap();
        assert!(raw.ty().starts_with("com.github."), "{name}: {}", raw.ty());
        let Data::Json(data) = raw.data() else { panic!("{name}: {:?}", raw.data()) };
        assert_eq!(data, body.trim_ascii(), "{name}: the body as it came");
        for event in derived {
            assert!(event.ty().starts_with("dev.cdevents"), "{name}: {}", event.ty());
            schemas.assert_valid(event);
        }
        cdevents += derived.len();
    }
    assert!(cdevents > 20, "{cdevents}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_payload_with_one_byte_changed_is_401_and_a_truncated_one_400() {
    let Some(root) = corpus::root() else { return };
    let service = announcing().start().await;
    for payload in corpus::github(&root) {
        let length = payload.body.len();
        let mut changed = payload.body.clone();
        changed[length / 2] ^= 1;
        let headers = [
            ("content-type", "application/json"),
            ("x-github-event", &payload.event),
            ("x-github-delivery", "1"),
            ("x-hub-signature-256", &signature::sign(SECRET.as_bytes(), &payload.body)),
        ];
        let answer = service.send("POST", "/webhooks/github", &headers, changed).await;
        answer.refused(401, "header `X-Hub-Signature-256` matches none of this source's secrets");

        let end = payload.body.trim_ascii_end().len() - 1;
        for cut in [end, length / 2, 1] {
            let answer = service.github(&payload.event, payload.body[..cut].to_vec()).await;
            answer.refused(400, "the body is not a `");
        }
    }
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_of_26_mib_is_413_announced_or_not() {
    let service = announcing().start().await;
    let mut body = b"{\"padding\":\"".to_vec();
    body.resize(26 * MIB - 2, b'x');
    body.extend_from_slice(b"\"}");
    let reason = "the body is larger than 26214400 bytes";

    // Announced, and not even begun.
    let answer = raw(service.address, head(&service, &body, "content-length: 27262976").as_bytes()).await;
    answer.refused(413, reason);
    // Announced, and sent all the same, as senders do.
    let answer = service.github("push", body.clone()).await;
    answer.refused(413, reason);
    // In chunks of unknown number.
    let mut request = head(&service, &body, "transfer-encoding: chunked").into_bytes();
    for chunk in body.chunks(64 * 1024) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    raw(service.address, &request).await.refused(413, reason);

    assert_eq!(service.events.count(), 0);
    // Nothing is left reserved.
    assert!(service.metric("pipewright_body_inflight_bytes").await.abs() < 0.5);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_just_under_the_bound_is_accepted() {
    // It is the size that counts here, however long a busy machine takes for it.
    let patient = |it: &mut pipewright::settings::Settings| {
        it.process.limits.body_deadline = Duration::from_mins(1);
        it.process.limits.webhook_deadline = Duration::from_mins(1);
        it.process.limits.body_rate = 1;
    };
    let service = announcing().with(patient).start().await;
    let mut body = b"{\"padding\":\"".to_vec();
    body.resize(25 * MIB - 2, b'x');
    body.extend_from_slice(b"\"}");
    service.github("brand_new", body).await.accepted("sent");
    assert_eq!(service.events.take().len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_known_yet_is_one_raw_event() {
    let service = announcing().start().await;
    service.github("brand_new", r#"{"action": "invented"}"#).await.accepted("sent");
    let events = service.events.take();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].ty(), "com.github.brand_new.invented");
    assert_eq!(events[0].data(), &Data::Json(Bytes::from_static(br#"{"action": "invented"}"#)));
    service.stop().await;
}

// --- Who may come in.

async fn a_form_encoded_delivery_is_read_and_signed_over_the_form(ground: Ground) {
    let service = building(&ground).start().await;
    let mut form = "payload=".to_owned();
    for byte in OPENED.bytes() {
        match byte {
            b' ' => form.push('+'),
            byte if byte.is_ascii_alphanumeric() => form.push(char::from(byte)),
            byte => write!(form, "%{byte:02X}").unwrap(),
        }
    }
    let post = async |form: String, signed: &str| {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-github-event", "pull_request"),
            ("x-github-delivery", "1"),
            ("x-hub-signature-256", &signature::sign(SECRET.as_bytes(), signed.as_bytes())),
        ];
        service.send("POST", "/webhooks/github", &headers, form).await
    };
    post(form.clone(), OPENED).await.refused(401, "matches none of this source's secrets");
    post(form.clone(), &form).await.accepted("created");
    post("other=1".into(), "other=1").await.refused(400, "the form must have one field `payload`");
    assert_eq!(service.runs().await.len(), 1);
    // The same pull request as JSON is the same run.
    service.github("pull_request", OPENED).await;
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_secret_is_rotated_both_work_and_no_other() {
    let service = announcing().source("github", vec![literal("old"), literal("new")]).start().await;
    let body = r#"{"action": "a"}"#;
    for secret in ["old", "new"] {
        service.delivery("github", secret, "brand_new", "1", body).await.accepted("sent");
    }
    for secret in ["other", "old ", "ol"] {
        service
            .delivery("github", secret, "brand_new", "1", body)
            .await
            .refused(401, "matches none of this source's secrets");
    }
    let headers = [("content-type", "application/json"), ("x-github-event", "a"), ("x-github-delivery", "1")];
    let unsigned = service.send("POST", "/webhooks/github", &headers, body).await;
    unsigned.refused(401, "header `X-Hub-Signature-256` is missing: set this source's secret");
    let malformed = [headers.as_slice(), &[("x-hub-signature-256", "sha1=abc")]].concat();
    let malformed = service.send("POST", "/webhooks/github", &malformed, body).await;
    malformed.refused(401, "must be `sha256=` and 64 hexadecimal digits");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_source_takes_unsigned_deliveries() {
    let service = announcing().source("open", Vec::new()).start().await;
    let headers = [("content-type", "application/json"), ("x-github-event", "a"), ("x-github-delivery", "1")];
    service.send("POST", "/webhooks/open", &headers, "{}").await.accepted("sent");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_that_is_replaced_while_running_counts() {
    let secrets = crate::support::service::Directory::new();
    secrets.write("secret", "before\n");
    let file = SecretReference::File(secrets.path().join("secret"));
    let service = announcing().source("github", vec![file]).start().await;
    let post = async |secret: &str| service.delivery("github", secret, "a", "1", "{}").await.status;
    assert_eq!((post("before").await, post("after").await), (202, 401));
    secrets.write("secret", "after\n");
    service.until("the new secret counts", async || post("after").await == 202).await;
    assert_eq!(post("before").await, 401);
    service.stop().await;
}

async fn a_secret_comes_from_a_kubernetes_secret(ground: Ground) {
    let ground = ground.administered();
    ground
        .create("apiVersion: v1\nkind: Secret\nmetadata: {name: github-webhook}\ndata: {secret: aHVzaAo=}\n")
        .await;
    let key = SecretKeyRef { name: "github-webhook".into(), key: "secret".into(), namespace: None };
    let secrets = vec![SecretReference::SecretKeyRef(key)];
    let service = announcing().on(&ground).source("github", secrets).start().await;
    service.delivery("github", "hush", "a", "1", "{}").await.accepted("sent");
    service.delivery("github", "aHVzaAo=", "a", "1", "{}").await.refused(401, "none of this source's");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_secret_cannot_be_read_does_not_start() {
    let key = SecretKeyRef { name: "absent".into(), key: "secret".into(), namespace: Some("ci".into()) };
    for (reference, reason) in [
        (SecretReference::File("/nowhere/secret".into()), "file `/nowhere/secret` cannot be read"),
        (SecretReference::SecretKeyRef(key), "Secret `ci/absent` cannot be read"),
    ] {
        let error = announcing().source("github", vec![reference]).try_start().await.err().unwrap();
        assert!(error.to_string().starts_with(&format!("source `github`: {reason}")), "{error}");
    }
}

// --- What a request must look like.

#[tokio::test(flavor = "multi_thread")]
async fn paths_methods_and_codings_that_are_not_served_say_what_is() {
    let service = announcing().source("github", vec![literal(SECRET)]).source("other", vec![literal("b")]);
    let service = service.start().await;
    let answer = service.delivery("nobody", SECRET, "a", "1", "{}").await;
    answer.refused(404, "there is no source `nobody`; the sources are: github, other");
    service.delivery("other", SECRET, "a", "1", "{}").await.refused(401, "none of this source's secrets");
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = service.send(method, "/webhooks/github", &[], "").await;
        answer.refused(405, "this method is not allowed here; use POST");
        assert_eq!(answer.header("allow"), "POST");
    }
    let answer = service.send("POST", "/nothing", &[], "").await;
    answer.refused(410, "nothing is served at `/nothing`");

    let mut headers = vec![
        ("x-github-event", "a"),
        ("x-github-delivery", "1"),
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let signature = signature::sign(SECRET.as_bytes(), b"{}");
    headers.push(("x-hub-signature-256", &signature));
    let post = async |headers: &[(&str, &str)]| service.send("POST", "/webhooks/github", headers, "{}").await;
    post(&headers)
        .await
        .refused(415, "header `content-encoding`: send the body as it is, without compression");
    headers[3].1 = "Identity";
    post(&headers).await.accepted("sent");
    headers[2].1 = "text/plain";
    post(&headers).await.refused(415, "header `content-type` must be `application/json` or");
    headers[2].1 = "Application/JSON; Charset=UTF-8";
    post(&headers).await.accepted("sent");
    headers[0].1 = "../a";
    post(&headers).await.refused(400, "header `X-GitHub-Event` is not one that a forge of type github sends");
    headers[0].0 = "x-other";
    post(&headers).await.refused(400, "header `X-GitHub-Event` is missing");
    service.github("a", "[]").await.refused(400, "the payload must be a JSON object");
    service.github("a", "").await.refused(400, "the payload must be a JSON object");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stalls_is_408() {
    let service =
        announcing().with(|it| it.process.limits.body_deadline = Duration::from_millis(300)).start().await;
    for length in ["content-length: 10\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let request = head(&service, b"{}", length);
        let request = request.strip_suffix("\r\n\r\n").unwrap();
        raw(service.address, request.as_bytes()).await.refused(408, "the body did not arrive within 0.3 s");
    }
    // The place in the queue and the memory are free again.
    assert!(service.metric("pipewright_inflight").await.abs() < 0.5);
    assert!(service.metric("pipewright_body_inflight_bytes").await.abs() < 0.5);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_does_nothing() {
    let service = announcing().start().await;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(format!("{}{{", head(&service, b"{}", "content-length: 2")).as_bytes()).await.unwrap();
    service.until("it is in", async || service.metric("pipewright_body_inflight_bytes").await > 0.5).await;
    drop(stream);
    service.until("it is out", async || service.metric("pipewright_body_inflight_bytes").await < 0.5).await;
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

// --- Bounds.

async fn more_requests_than_the_bound_are_429(ground: Ground) {
    let service = building(&ground).with(|it| it.process.limits.in_flight = 1).start().await;
    let delay = Fault::Delay(Duration::from_secs(2));
    service.ground.faults().inject(delay, Requests::Method("POST"), Rate::Next(1));
    let request = head(&service, OPENED.as_bytes(), &format!("content-length: {}", OPENED.len()));
    let request = request.replace("brand_new", "pull_request") + OPENED;
    let mut first = TcpStream::connect(service.address).await.unwrap();
    first.write_all(request.as_bytes()).await.unwrap();
    service.until("it is in", async || service.metric("pipewright_inflight").await > 0.5).await;
    service.github("a", "{}").await.later(429, "too many requests are in flight; try again");
    let event = [("content-type", "application/cloudevents-batch+json")];
    service.send("POST", "/events", &event, "[]").await.later(429, "too many requests are in flight");
    // Health and readiness are not in the queue.
    assert_eq!(service.get("/livez").await.status, 200);
    assert_eq!(service.get("/readyz").await.status, 200);
    read_answer(&mut first).await.accepted("created");
    service.github("a", "{}").await.accepted("ignored");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_memory_than_the_bound_is_429() {
    // Three quarters of it are for bodies whose signature is not checked yet.
    let limits = |it: &mut Settings| {
        (it.process.limits.body_memory, it.process.limits.source_share) = (1300, 100);
    };
    let service = announcing().with(limits).start().await;
    let body = format!("{{\"a\":\"{}\"}}", "x".repeat(892));
    let mut first = TcpStream::connect(service.address).await.unwrap();
    let length = format!("content-length: {}", body.len());
    let (begin, end) = body.split_at(850);
    first.write_all((head(&service, body.as_bytes(), &length) + begin).as_bytes()).await.unwrap();
    service.until("it is in", async || service.metric("pipewright_body_inflight_bytes").await > 0.5).await;
    let other = format!("{{\"a\":\"{}\"}}", "x".repeat(200));
    service.github("a", other.clone()).await.later(429, "no memory is left for this body; try again");
    let chunked = head(&service, other.as_bytes(), "transfer-encoding: chunked");
    let chunked = format!("{chunked}{:x}\r\n{other}\r\n0\r\n\r\n", other.len());
    raw(service.address, chunked.as_bytes()).await.later(429, "no memory is left for this body; try again");
    service.github("a", "{}").await.accepted("sent");
    first.write_all(end.as_bytes()).await.unwrap();
    read_answer(&mut first).await.accepted("sent");
    service.github("a", other).await.accepted("sent");
    service.stop().await;
}

// --- Nothing is acknowledged before its effect exists.

async fn the_result_says_what_became_of_a_delivery(ground: Ground) {
    let service = building(&ground).with(|it| it.process.announce = Announce::Nothing).start().await;
    service.github("pull_request", OPENED).await.accepted("created");
    service.github("pull_request", OPENED).await.accepted("duplicate");
    service.github("brand_new", "{}").await.accepted("ignored");
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

async fn while_the_cluster_fails_it_is_503_and_a_redelivery_makes_one_run(ground: Ground) {
    // The real one needs more, beside other tests.
    let deadline = Duration::from_millis(if ground.is_real() { 2_500 } else { 400 });
    let service = building(&ground)
        .with(|it| {
            it.process.announce = Announce::Nothing;
            it.process.limits.webhook_deadline = deadline;
        })
        .start()
        .await;
    let faults = service.ground.faults();
    for fault in [
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 7),
        Fault::Status(StatusCode::TOO_MANY_REQUESTS, 7),
        Fault::ResetBefore,
        Fault::Delay(Duration::from_secs(3)),
    ] {
        faults.inject(fault, Requests::Method("POST"), Rate::Percent(100));
        let answer = service.github("pull_request", OPENED).await;
        let run = format!("PipelineRun `{}/", ground.namespace());
        answer.later(503, &format!("mapping `pull-request-build`, action `build`, {run}"));
        if fault == Fault::Status(StatusCode::TOO_MANY_REQUESTS, 7) {
            assert_eq!(answer.header("retry-after"), "7");
        }
        faults.clear();
        assert_eq!(service.runs().await.len(), 0, "{fault:?}");
    }
    // Done, but the answer was lost: the live object tells.
    faults.inject(Fault::ResetAfter, Requests::Method("POST"), Rate::Next(1));
    assert_eq!(service.github("pull_request", OPENED).await.status, 202);
    service.github("pull_request", OPENED).await.accepted("duplicate");
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

async fn a_mapping_that_cannot_be_computed_is_422_with_its_place_and_costs_only_itself(ground: Ground) {
    let service = building(&ground)
        .mapping(
            "strict",
            "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: strict}
spec:
  events: [{type: dev.cdevents.change.created}]
  let:
    milestone: {path: $.data.customData.change.milestone, required: true}
  do:
    - name: note
      emit: {type: com.example.noted, to: default, content: {milestone: '{{milestone}}'}}
",
        )
        .start()
        .await;
    let answer = service.github("pull_request", OPENED).await;
    answer.refused(422, "mapping `strict`, let.milestone: ");
    assert_eq!(
        answer.text,
        "mapping `strict`, let.milestone: `milestone` is required and this event has no value for it; exclude such events with `filter`\n"
    );
    assert_eq!(service.runs().await.len(), 1, "the run of the other mapping");
    let told = |events: Vec<Event>| events.iter().filter(|it| it.ty().contains(".change.created.")).count();
    assert_eq!(told(service.events.take()), 1, "the CDEvent");
    assert!(service.has_metric("pipewright_plan_errors_total{mapping=\"strict\"} 1").await);
    // Again: nothing is doubled, and the answer is the same.
    service.github("pull_request", OPENED).await.refused(422, "mapping `strict`, let.milestone: ");
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

/// A mapping with a run and an event that tells of it; `metadata` is the run's.
fn telling(name: &str, metadata: &str) -> String {
    format!(
        "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {{name: {name}}}
spec:
  events: [{{type: dev.cdevents.change.created}}]
  do:
    - name: build
      pipelineRun: {{metadata: {metadata}, spec: {{pipelineRef: {{name: build}}}}}}
    - name: tell
      emit: {{type: com.example.{name}, to: default}}
"
    )
}

async fn a_run_that_is_refused_keeps_back_the_events_of_its_own_mapping_alone(ground: Ground) {
    let service = Setup::over(&ground)
        .mapping("a", &telling("absent", "{namespace: no-such-namespace}"))
        .mapping("b", &telling("present", "{}"))
        .start()
        .await;
    let answer = service.github("pull_request", OPENED).await;
    let reason = "mapping `absent`, action `build`, PipelineRun `no-such-namespace/absent-build-";
    // An account with rights in one namespace is not told that the other does not exist, and it may be let in later.
    match &service.ground {
        Ground::Real(_) => answer.later(503, reason),
        Ground::Embedded(_) => answer.refused(422, reason),
    }
    assert!(!answer.text.contains("`present`"), "{answer:?}");
    assert_eq!(service.runs().await.len(), 1);
    let types: Vec<String> = service.events.take().iter().map(|it| it.ty().to_owned()).collect();
    let count = |ty: &str| types.iter().filter(|it| it.starts_with(ty)).count();
    assert_eq!(count("dev.cdevents.change.created"), 1);
    assert_eq!((count("com.example.present"), count("com.example.absent")), (1, 0), "{types:?}");
    service.stop().await;
}

async fn while_the_sink_is_down_it_is_503_and_afterwards_the_event_is_there(ground: Ground) {
    let receiver = Receiver::start().await;
    let service = building(&ground)
        .sink("default", receiver.spec())
        .with(|it| it.process.limits.webhook_deadline = Duration::from_millis(600))
        .start()
        .await;
    receiver.answer(503);
    service.github("pull_request", OPENED).await.later(503, "sink `default`, after ");
    assert_eq!(service.runs().await.len(), 1, "what was done stays done");
    assert!(!receiver.take().is_empty());
    receiver.answer(400);
    service.github("pull_request", OPENED).await.refused(422, "sink `default`: ");
    receiver.take();
    receiver.answer(202);
    service.github("pull_request", OPENED).await.accepted("duplicate");
    // The run's own events go there too.
    let types = receiver.take().into_iter().map(|(_, body)| {
        let event: Value = serde_json::from_slice(&body).unwrap();
        event["type"].as_str().unwrap().to_owned()
    });
    assert_eq!(types.filter(|ty| ty == "dev.cdevents.change.created.0.4.0").count(), 1);
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}

async fn a_name_that_something_else_has_is_422(ground: Ground) {
    let service = building(&ground).start().await;
    service.github("pull_request", OPENED).await.accepted("created");
    let run = service.runs().await.remove(0);
    let client = service.ground.client();
    let runs = Api::<DynamicObject>::default_namespaced_with(client, &pipeline_runs());
    let patch = json!({"metadata": {"annotations": {annotation::EFFECT_KEY: null}}});
    runs.patch(&run.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let answer = service.github("pull_request", OPENED).await;
    answer.refused(422, "exists and was not made for this event");
    assert!(answer.text.contains(&run.name_any()), "{answer:?}");
    assert!((service.metric("pipewright_name_conflict_total").await - 1.0).abs() < 0.1);
    service.stop().await;
}

// --- Hostile text.

fn titled(title: &str) -> String {
    let mut payload: Value = serde_json::from_str(OPENED).unwrap();
    payload["pull_request"]["title"] = title.into();
    payload.to_string()
}

async fn a_hostile_title_reaches_the_run_as_one_literal_string(ground: Ground) {
    for (title, expected) in [
        (
            "\"; rm -rf / $(params.secret) {{config}} \\n- x: y",
            "\"; rm -rf / $ (params.secret) {{config}} \\n- x: y",
        ),
        (
            "\"; rm -rf / $(params.secret) {{config}} \n- x: y",
            "\"; rm -rf / $ (params.secret) {{config}} \n- x: y",
        ),
        ("'\u{0} {{{json event}}} &lt; <b> \u{2028} 👾", "'\u{0} {{{json event}}} &lt; <b> \u{2028} 👾"),
    ] {
        let service = building(&ground.another().await).start().await;
        service.github("pull_request", titled(title)).await.accepted("created");
        let runs = service.runs().await;
        assert_eq!(runs.len(), 1);
        let params = &runs[0].data["spec"]["params"];
        assert_eq!(params.as_array().unwrap().len(), 4, "{params}");
        assert_eq!(params[3], json!({"name": "title", "value": expected}));
        assert_eq!(runs[0].data["spec"]["pipelineRef"], json!({"name": "build"}));
        service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_never_repeats_what_the_sender_sent() {
    let service = announcing().start().await;
    let answers: Vec<Answer> = vec![
        service.github("push", r#"{"hush": "#).await,
        service.github("push", r#"["hush"]"#).await,
        service.delivery("github", SECRET, "hush<b>", "1", "{}").await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(!answer.text.contains("hush"), "{answer:?}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_in_an_answer_is_printable_and_short() {
    let service = announcing().start().await;
    let answer = service.delivery("a%0Ab%1B[31m", SECRET, "a", "1", "{}").await;
    answer.refused(404, r"there is no source `a\nb\u{1b}[31m`; the sources are: github");
    let long = "x".repeat(10_000);
    let answer = service.delivery(&long, SECRET, "a", "1", "{}").await;
    answer.refused(404, &format!("there is no source `{}…`; the sources are: github", &long[..64]));
    let answer = service.send("POST", &format!("/{long}"), &[], "").await;
    answer.refused(410, &format!("nothing is served at `/{}…`; send CloudEvents to", &long[..63]));
    service.stop().await;
}

// --- Connections.

/// Everything that the server sends until it closes, or is silent for a while.
async fn conversation(service: &Service, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let reading = async {
        let mut part = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut part).await {
            bytes.extend_from_slice(&part[..count]);
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(1500), reading).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bytes_of_a_refused_body_are_never_read_as_a_request() {
    let service = announcing().start().await;
    let smuggled = head(&service, b"{}", "content-length: 2") + "{}";
    for refused in [
        // Too large, a coding, an unknown source, a wrong method.
        head(&service, b"", "content-length: 27262976"),
        head(&service, b"", &format!("content-encoding: gzip\r\ncontent-length: {}", smuggled.len())),
        head(&service, b"", &format!("content-length: {}", smuggled.len())).replace("/github", "/nobody"),
        head(&service, b"", &format!("content-length: {}", smuggled.len())).replace("POST", "PUT"),
        // Two lengths, of which proxies and servers may believe different ones.
        head(&service, b"", "content-length: 0\r\ntransfer-encoding: chunked"),
        head(&service, b"", &format!("content-length: {}\r\ncontent-length: 0", smuggled.len())),
    ] {
        let text = conversation(&service, format!("{refused}{smuggled}").as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 4"), "{refused}{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{refused}{text}");
    }
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_many_deliveries() {
    let service = announcing().start().await;
    let one = head(&service, b"{}", "content-length: 2") + "{}";
    let text = conversation(&service, one.repeat(20).as_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 202 Accepted").count(), 20, "{text}");
    assert_eq!(service.events.take().len(), 20);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_408() {
    let service = announcing().start().await;
    let answer = raw(service.address, b"POST /webhooks/github HTTP/1.1\r\nhost: a\r\n").await;
    assert_eq!(answer.status, 408);
    service.stop().await;
}

async fn while_it_drains_it_is_not_ready_and_still_serves(ground: Ground) {
    let service = building(&ground).start().await;
    service.drain();
    service.get("/readyz").await.refused(503, "[-] serving failed: the process is shutting down");
    assert_eq!(service.get("/livez").await.status, 200);
    service.github("pull_request", OPENED).await.accepted("created");
    service.stop().await;
}

async fn a_request_in_flight_is_finished_when_the_service_stops(ground: Ground) {
    let service = building(&ground).start().await;
    service.ground.faults().inject(
        Fault::Delay(Duration::from_secs(1)),
        Requests::Method("POST"),
        Rate::Next(1),
    );
    let events = service.events.clone();
    let body = Bytes::from_static(OPENED.as_bytes());
    let request = head(&service, &body, &format!("content-length: {}", body.len()));
    let request = request.replace("brand_new", "pull_request") + OPENED;
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    service.until("it is in", async || service.metric("pipewright_inflight").await > 0.5).await;
    service.stop().await;
    read_answer(&mut stream).await.accepted("created");
    let events = events.take();
    assert!(events.iter().any(|event| event.ty() == "dev.cdevents.change.created.0.4.0"), "{events:?}");
    let runs = Api::<DynamicObject>::default_namespaced_with(ground.client(), &pipeline_runs());
    assert_eq!(runs.list(&kube::api::ListParams::default()).await.unwrap().items.len(), 1);
}
