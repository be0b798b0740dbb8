//! Server-side apply: ownership, conflicts, pruning.

use super::*;

on_both_clusters! {
    apply_creates_updates_owns_and_prunes,
    apply_sees_fields_that_were_written_without_it,
    apply_to_a_run_and_to_its_status_are_two_owners,
}

async fn apply_creates_updates_owns_and_prunes(ground: Ground) {
    let client = ground.client();
    let api = maps(&client);
    let config = |data: Value| {
        Patch::Apply(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}),
        )
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    let made = api.patch("a", &one, &config(json!({"x": "1", "y": "1"}))).await.unwrap();
    let fields = made.metadata.managed_fields.as_ref().unwrap();
    assert_eq!((fields[0].manager.as_deref(), fields[0].operation.as_deref()), (Some("one"), Some("Apply")));
    assert_eq!(fields[0].fields_v1.as_ref().unwrap().0, json!({"f:data": {"f:x": {}, "f:y": {}}}));
    let again = api.patch("a", &one, &config(json!({"x": "1", "y": "1"}))).await.unwrap();
    assert_eq!(version(&again), version(&made));

    // Another manager may share a value, but not change it.
    api.patch("a", &two, &config(json!({"y": "1", "z": "2"}))).await.unwrap();
    let status = refusal(api.patch("a", &two, &config(json!({"x": "2", "y": "1", "z": "2"}))).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"one\": .data.x");
    let cause = &status.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.x"));

    // What one gives up stays while two wants it, and goes when nobody does.
    let pruned = api.patch("a", &one, &config(json!({}))).await.unwrap();
    assert_eq!(pruned.data.unwrap().into_keys().collect::<Vec<_>>(), ["y", "z"]);
    let forced =
        api.patch("a", &PatchParams::apply("three").force(), &config(json!({"z": "9"}))).await.unwrap();
    assert_eq!(forced.data.unwrap()["z"], "9");
    let without = api.patch("a", &two, &config(json!({"y": "1"}))).await.unwrap();
    assert_eq!(without.data.unwrap()["z"], "9");
}

async fn apply_sees_fields_that_were_written_without_it(ground: Ground) {
    let client = ground.client();
    let api = maps(&client);
    let creator = PostParams { field_manager: Some("creator".to_owned()), ..post() };
    api.create(&creator, &map("a", &[("x", "1")])).await.unwrap();
    let config = Patch::Apply(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "2"}}),
    );
    let status = refusal(api.patch("a", &PatchParams::apply("applier"), &config).await);
    assert_eq!(status.message, "Apply failed with 1 conflict: conflict with \"creator\" using v1: .data.x");
    api.patch("a", &PatchParams::apply("applier").force(), &config).await.unwrap();
    // Now the applier owns it, until a patch of somebody else takes it over.
    let patcher = PatchParams { field_manager: Some("patcher".to_owned()), ..params() };
    api.patch("a", &patcher, &merge(json!({"data": {"x": "3"}}))).await.unwrap();
    let status = refusal(api.patch("a", &PatchParams::apply("applier"), &config).await);
    assert!(status.message.contains("conflict with \"patcher\" using v1"), "{}", status.message);
}

async fn apply_to_a_run_and_to_its_status_are_two_owners(ground: Ground) {
    let client = ground.client();
    let api = runs(&client);
    let config = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "r", "annotations": {"a": "1"}},
        "spec": {"managedBy": "example.dev/nobody", "pipelineRef": {"name": "build"}},
    });
    api.patch("r", &PatchParams::apply("us"), &Patch::Apply(&config)).await.unwrap();
    let status = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": "r"},
        "status": {"startTime": "2026-01-01T00:00:00Z"},
    });
    let live = api.patch_status("r", &PatchParams::apply("us"), &Patch::Apply(&status)).await.unwrap();
    assert_eq!(live.data["status"]["startTime"], "2026-01-01T00:00:00Z");
    assert_eq!(live.annotations()["a"], "1");
    let subresources: Vec<_> = live.managed_fields().iter().map(|entry| entry.subresource.clone()).collect();
    assert!(
        subresources.contains(&Some("status".to_owned())) && subresources.contains(&None),
        "{subresources:?}"
    );
    // An annotation of ours that we no longer apply goes; the label of another stays.
    api.patch("r", &params(), &merge(json!({"metadata": {"labels": {"theirs": "x"}}}))).await.unwrap();
    let mut config = config;
    config["metadata"] = json!({"name": "r"});
    let live = api.patch("r", &PatchParams::apply("us"), &Patch::Apply(&config)).await.unwrap();
    assert!(live.annotations().is_empty());
    assert_eq!(live.labels()["theirs"], "x");
}
