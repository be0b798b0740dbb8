//! Creation, and what is refused at it.

use super::*;

on_both_clusters! {
    create_fills_in_what_the_server_owns_and_drops_the_status,
    of_a_hundred_creators_of_one_name_one_wins,
    generated_names_are_unique_and_short_enough,
    bad_metadata_is_refused_with_causes,
    what_is_too_large_is_refused,
    a_namespace_must_exist_and_match,
    a_dry_run_answers_and_stores_nothing,
    secrets_take_plain_strings,
    a_lease_lasts_a_second_at_least,
    tekton_refuses_what_its_webhook_refuses,
    the_spec_of_a_run_is_frozen_but_for_its_status,
}

async fn create_fills_in_what_the_server_owns_and_drops_the_status(ground: Ground) {
    let client = ground.client();
    let mut first = run("first");
    first.data["status"] = json!({"startTime": "2020-01-01T00:00:00Z"});
    first.metadata.uid = Some("mine".to_owned());
    let made = runs(&client).create(&post(), &first).await.unwrap();
    assert!(made.data.get("status").is_none());
    assert_eq!(made.metadata.generation, Some(1));
    assert_eq!(made.uid().unwrap().len(), 36);
    assert!(made.creation_timestamp().is_some());
    // As Tekton's webhook does.
    assert_eq!(made.data["spec"]["timeouts"]["pipeline"], "1h0m0s");
    assert_eq!(made.data["spec"]["taskRunTemplate"]["serviceAccountName"], "default");
    let live = runs(&client).get("first").await.unwrap();
    assert_eq!(live, made);
}

async fn of_a_hundred_creators_of_one_name_one_wins(ground: Ground) {
    let client = ground.client();
    let attempts = (0..100).map(|_| {
        let api = runs(&client);
        tokio::spawn(async move { api.create(&post(), &run("one")).await })
    });
    let mut made = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        match attempt.await.unwrap() {
            Ok(_) => made += 1,
            Err(kube::Error::Api(status)) => {
                assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
                assert_eq!(status.message, "pipelineruns.tekton.dev \"one\" already exists");
                let details = status.details.unwrap();
                assert_eq!((details.name.as_str(), details.kind.as_str()), ("one", "pipelineruns"));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 1);
}

async fn generated_names_are_unique_and_short_enough(ground: Ground) {
    let client = ground.client();
    let mut names = BTreeSet::new();
    for _ in 0..200 {
        let mut map = map("", &[]);
        map.metadata.name = None;
        map.metadata.generate_name = Some("x".repeat(80));
        names.insert(maps(&client).create(&post(), &map).await.unwrap().name_any());
    }
    assert_eq!(names.len(), 200);
    assert!(names.iter().all(|name| name.len() == 63));
}

async fn bad_metadata_is_refused_with_causes(ground: Ground) {
    let client = ground.client();
    let status = refusal(maps(&client).create(&post(), &map("Bad_Name", &[])).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"));
    assert!(
        status.message.starts_with("ConfigMap \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of"),
        "{}",
        status.message
    );
    let cause = &status.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldValueInvalid", "metadata.name"));

    let status = refusal(maps(&client).create(&post(), &labelled("a", &[("k", "not ok")])).await);
    assert!(
        status.message.contains("metadata.labels: Invalid value: \"not ok\": a valid label must be"),
        "{}",
        status.message
    );
    let status = refusal(maps(&client).create(&post(), &labelled("a", &[("-k", "v")])).await);
    assert!(
        status.message.contains("metadata.labels: Invalid value: \"-k\": name part must consist of"),
        "{}",
        status.message
    );

    let mut full = map("full", &[]);
    full.annotations_mut().insert("k".to_owned(), "v".repeat(262_143));
    maps(&client).create(&post(), &full).await.unwrap();
    full.metadata.name = Some("fuller".to_owned());
    full.annotations_mut().insert("l".to_owned(), String::new());
    let status = refusal(maps(&client).create(&post(), &full).await);
    assert_eq!(
        status.message,
        "ConfigMap \"fuller\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes"
    );

    let mut nameless = map("", &[]);
    nameless.metadata.name = None;
    let status = refusal(maps(&client).create(&post(), &nameless).await);
    assert!(
        status.message.ends_with("metadata.name: Required value: name or generateName is required"),
        "{}",
        status.message
    );
}

async fn what_is_too_large_is_refused(ground: Ground) {
    let client = ground.client();
    let status = refusal(maps(&client).create(&post(), &map("a", &[("k", &"v".repeat(1_048_577))])).await);
    assert_eq!(status.code, 422, "{status:?}");
    let status = refusal(maps(&client).create(&post(), &map("a", &[("k", &"v".repeat(3_200_000))])).await);
    assert_eq!((status.code, status.reason.as_str()), (413, "RequestEntityTooLarge"));
}

async fn a_namespace_must_exist_and_match(ground: Ground) {
    let client = ground.client();
    let elsewhere: Api<ConfigMap> = Api::namespaced(client.clone(), "nowhere");
    let status = refusal(elsewhere.create(&post(), &map("a", &[])).await);
    assert_eq!((status.code, status.message.as_str()), (404, "namespaces \"nowhere\" not found"));
    let mut astray = map("a", &[]);
    astray.metadata.namespace = Some("other".to_owned());
    let status = refusal(maps(&client).create(&post(), &astray).await);
    assert_eq!(status.code, 400);
    assert_eq!(
        status.message,
        "the namespace of the provided object does not match the namespace sent on the request"
    );
    let status = refusal(maps(&client).get("absent").await);
    assert_eq!((status.code, status.message.as_str()), (404, "configmaps \"absent\" not found"));
}

async fn a_dry_run_answers_and_stores_nothing(ground: Ground) {
    let client = ground.client();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let made = maps(&client).create(&dry, &map("a", &[("k", "v")])).await.unwrap();
    assert!(made.uid().is_some());
    assert!(maps(&client).get_opt("a").await.unwrap().is_none());
    maps(&client).create(&post(), &map("a", &[("k", "v")])).await.unwrap();
    let dry = PatchParams { dry_run: true, ..params() };
    let patched = maps(&client).patch("a", &dry, &merge(json!({"data": {"k": "w"}}))).await.unwrap();
    assert_eq!(patched.data.unwrap()["k"], "w");
    maps(&client).delete("a", &DeleteParams { dry_run: true, ..DeleteParams::default() }).await.unwrap();
    assert_eq!(maps(&client).get("a").await.unwrap().data.unwrap()["k"], "v");
}

async fn secrets_take_plain_strings(ground: Ground) {
    let client = ground.client();
    let api: Api<Secret> = Api::default_namespaced(client);
    let secret =
        serde_json::from_value(json!({"metadata": {"name": "s"}, "stringData": {"a": "plain"}})).unwrap();
    let made = api.create(&post(), &secret).await.unwrap();
    assert_eq!(made.data.unwrap()["a"].0, b"plain");
    assert_eq!((made.type_.as_deref(), made.string_data), (Some("Opaque"), None));
}

async fn a_lease_lasts_a_second_at_least(ground: Ground) {
    use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
    let api: Api<Lease> = Api::default_namespaced(ground.client());
    let mut lease = Lease::default();
    lease.metadata.name = Some("a".to_owned());
    let spec = |seconds, transitions| {
        let (seconds, transitions) = (Some(seconds), Some(transitions));
        Some(LeaseSpec {
            lease_duration_seconds: seconds,
            lease_transitions: transitions,
            ..LeaseSpec::default()
        })
    };
    lease.spec = spec(0, -1);
    let status = refusal(api.create(&post(), &lease).await);
    assert_eq!(
        status.message,
        "Lease.coordination.k8s.io \"a\" is invalid: [spec.leaseDurationSeconds: Invalid value: 0: must be greater than \
         0, spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0]"
    );
    lease.spec = spec(1, 0);
    api.create(&post(), &lease).await.unwrap();
}

async fn tekton_refuses_what_its_webhook_refuses(ground: Ground) {
    let client = ground.client();
    let denied = |message: &str| {
        format!(
            "admission webhook \"validation.webhook.pipeline.tekton.dev\" denied the request: validation failed: {message}"
        )
    };
    for (change, message) in [
        (
            json!({"pipelineSpec": {"description": "x"}}),
            "expected exactly one, got both: spec.pipelineRef, spec.pipelineSpec",
        ),
        (
            json!({"pipelineRef": null}),
            "expected exactly one, got neither: spec.pipelineRef, spec.pipelineSpec",
        ),
        (
            json!({"status": "Nonsense"}),
            "invalid value: Nonsense should be Cancelled, CancelledRunFinally, StoppedRunFinally or PipelineRunPending: spec.status",
        ),
    ] {
        let mut bad = run("bad");
        for (key, value) in change.as_object().unwrap() {
            bad.data["spec"][key] = value.clone();
        }
        let status = refusal(runs(&client).create(&post(), &bad).await);
        assert_eq!((status.code, status.reason.as_str()), (400, "BadRequest"));
        assert_eq!(status.message, denied(message));
    }
    let status = refusal(runs(&client).create(&post(), &run(&"x".repeat(64))).await);
    assert_eq!(
        status.message,
        denied("Invalid resource name: length must be no more than 63 characters: metadata.name")
    );
    runs(&client).create(&post(), &run(&"x".repeat(63))).await.unwrap();
}

async fn the_spec_of_a_run_is_frozen_but_for_its_status(ground: Ground) {
    let client = ground.client();
    let api = runs(&client);
    api.create(&post(), &run("r")).await.unwrap();
    let status = refusal(
        api.patch("r", &params(), &merge(json!({"spec": {"params": [{"name": "a", "value": "b"}]}}))).await,
    );
    assert!(
        status.message.ends_with(
            "invalid value: Once the PipelineRun has started, only status updates are allowed: spec"
        ),
        "{}",
        status.message
    );
    let pending =
        api.patch("r", &params(), &merge(json!({"spec": {"status": "PipelineRunPending"}}))).await.unwrap();
    assert_eq!(pending.metadata.generation, Some(2));
    let released = api.patch("r", &params(), &merge(json!({"spec": {"status": null}}))).await.unwrap();
    assert!(released.data["spec"].get("status").is_none());
    api.patch("r", &params(), &merge(json!({"metadata": {"annotations": {"note": "free"}}}))).await.unwrap();
}
