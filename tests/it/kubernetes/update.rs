//! PUT and PATCH: versions, the split of spec and status, the patch types.

use super::*;

on_both_clusters! {
    a_put_needs_the_latest_version,
    spec_and_status_are_written_apart,
    a_patch_that_carries_a_version_or_uid_is_held_to_it,
    of_racing_writers_with_a_version_one_wins_each_round,
    json_patches_test_and_change_and_are_all_or_nothing,
    strategic_patches_are_for_core_kinds,
    a_write_that_changes_nothing_makes_no_new_version,
}

async fn a_put_needs_the_latest_version(ground: Ground) {
    let client = ground.client();
    let made = maps(&client).create(&post(), &map("a", &[("k", "1")])).await.unwrap();
    let mut newer = made.clone();
    newer.data.as_mut().unwrap().insert("k".to_owned(), "2".to_owned());
    let updated = maps(&client).replace("a", &post(), &newer).await.unwrap();
    assert!(version(&updated) > version(&made));
    let status = refusal(maps(&client).replace("a", &post(), &newer).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again"
    );
    // A core kind may be replaced without a version; a custom one may not.
    maps(&client).replace("a", &post(), &map("a", &[("k", "3")])).await.unwrap();
    runs(&client).create(&post(), &run("r")).await.unwrap();
    let status = refusal(runs(&client).replace("r", &post(), &run("r")).await);
    assert_eq!(status.code, 422);
    assert!(
        status
            .message
            .contains("metadata.resourceVersion: Invalid value: 0: must be specified for an update"),
        "{}",
        status.message
    );
    let mut other = map("a", &[]);
    other.metadata.uid = Some("other".to_owned());
    let status = refusal(maps(&client).replace("a", &post(), &other).await);
    assert!(
        status.message.contains("Precondition failed: UID in precondition: other, UID in object meta: "),
        "{}",
        status.message
    );
}

async fn spec_and_status_are_written_apart(ground: Ground) {
    let client = ground.client();
    let api = runs(&client);
    let made = api.create(&post(), &run("r")).await.unwrap();
    let both = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"status": "Cancelled"}, "status": {"startTime": "2026-01-01T00:00:00Z"}});
    let through_status = api.patch_status("r", &params(), &merge(both.clone())).await.unwrap();
    assert_eq!(through_status.data["status"]["startTime"], "2026-01-01T00:00:00Z");
    assert!(through_status.data["spec"].get("status").is_none() && through_status.labels().is_empty());
    assert_eq!(through_status.metadata.generation, made.metadata.generation);
    let mut both = both;
    both["status"]["startTime"] = json!("2027-01-01T00:00:00Z");
    let through_main = api.patch("r", &params(), &merge(both)).await.unwrap();
    assert_eq!(through_main.data["spec"]["status"], "Cancelled");
    assert_eq!(through_main.labels()["a"], "b");
    assert_eq!(through_main.data["status"]["startTime"], "2026-01-01T00:00:00Z");
    assert_eq!(through_main.metadata.generation, Some(2));
    let mut replaced = through_main.clone();
    replaced.data["status"] = json!({"startTime": "2028-01-01T00:00:00Z"});
    replaced.data["spec"]["status"] = json!("StoppedRunFinally");
    let replaced = api.replace_status("r", &post(), &replaced).await.unwrap();
    assert_eq!(replaced.data["status"]["startTime"], "2028-01-01T00:00:00Z");
    assert_eq!(replaced.data["spec"]["status"], "Cancelled");
    let got = api.get_status("r").await.unwrap();
    assert_eq!(version(&got), version(&replaced));
}

async fn a_patch_that_carries_a_version_or_uid_is_held_to_it(ground: Ground) {
    let client = ground.client();
    let api = runs(&client);
    let made = api.create(&post(), &run("r")).await.unwrap();
    let guarded =
        |version: &str| merge(json!({"metadata": {"resourceVersion": version, "labels": {"v": version}}}));
    let current = made.resource_version().unwrap();
    api.patch("r", &params(), &guarded(&current)).await.unwrap();
    let status = refusal(api.patch("r", &params(), &guarded(&current)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let status = refusal(api.patch("r", &params(), &merge(json!({"metadata": {"uid": "x"}}))).await);
    assert_eq!(status.code, 422);
    assert!(
        status.message.contains("metadata.uid: Invalid value: \"x\": field is immutable"),
        "{}",
        status.message
    );
    let same = merge(json!({"metadata": {"uid": made.uid(), "labels": {"ok": "yes"}}}));
    assert_eq!(api.patch("r", &params(), &same).await.unwrap().labels()["ok"], "yes");
}

async fn of_racing_writers_with_a_version_one_wins_each_round(ground: Ground) {
    let api = maps(&ground.client());
    api.create(&post(), &map("counter", &[("n", "0")])).await.unwrap();
    let client = ground.client();
    let writers = (0..8).map(|_| {
        let api = maps(&client);
        tokio::spawn(async move {
            let mut conflicts = 0;
            for _ in 0..25 {
                loop {
                    let mut map = api.get("counter").await.unwrap();
                    let n: u32 = map.data.as_ref().unwrap()["n"].parse().unwrap();
                    map.data.as_mut().unwrap().insert("n".to_owned(), (n + 1).to_string());
                    tokio::task::yield_now().await;
                    match api.replace("counter", &post(), &map).await {
                        Ok(_) => break,
                        Err(kube::Error::Api(status)) if status.is_conflict() => conflicts += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
            }
            conflicts
        })
    });
    let mut conflicts = 0;
    for writer in writers.collect::<Vec<_>>() {
        conflicts += writer.await.unwrap();
    }
    assert!(conflicts > 0, "the writers never met");
    assert_eq!(api.get("counter").await.unwrap().data.unwrap()["n"], "200");
}

async fn json_patches_test_and_change_and_are_all_or_nothing(ground: Ground) {
    let client = ground.client();
    let api = maps(&client);
    let made = api.create(&post(), &map("a", &[("k", "1")])).await.unwrap();
    let patch = |operations: Value| Patch::Json::<()>(serde_json::from_value(operations).unwrap());
    let good = patch(json!([
        {"op": "test", "path": "/data/k", "value": "1"},
        {"op": "replace", "path": "/data/k", "value": "2"},
        {"op": "add", "path": "/metadata/labels", "value": {"x": "y"}},
    ]));
    let patched = api.patch("a", &params(), &good).await.unwrap();
    assert_eq!((patched.data.as_ref().unwrap()["k"].as_str(), patched.labels()["x"].as_str()), ("2", "y"));
    let status = refusal(api.patch("a", &params(), &good).await);
    assert_eq!((status.code, status.reason.as_str()), (422, "Invalid"), "{status:?}");
    assert_eq!(version(&api.get("a").await.unwrap()), version(&patched));
    assert!(version(&patched) > version(&made));
}

async fn strategic_patches_are_for_core_kinds(ground: Ground) {
    let client = ground.client();
    maps(&client).create(&post(), &map("a", &[("k", "1"), ("l", "2")])).await.unwrap();
    let patched = maps(&client)
        .patch("a", &params(), &Patch::Strategic(json!({"data": {"k": null, "m": "3"}})))
        .await
        .unwrap();
    assert_eq!(patched.data.unwrap().into_keys().collect::<Vec<_>>(), ["l", "m"]);
    runs(&client).create(&post(), &run("r")).await.unwrap();
    let status =
        refusal(runs(&client).patch("r", &params(), &Patch::Strategic(json!({"metadata": {}}))).await);
    assert_eq!((status.code, status.reason.as_str()), (415, "UnsupportedMediaType"));
}

async fn a_write_that_changes_nothing_makes_no_new_version(ground: Ground) {
    let client = ground.client();
    let made = maps(&client).create(&post(), &map("a", &[("k", "1")])).await.unwrap();
    let patched = maps(&client).patch("a", &params(), &merge(json!({"data": {"k": "1"}}))).await.unwrap();
    assert_eq!(version(&patched), version(&made));
    let replaced = maps(&client).replace("a", &post(), &made).await.unwrap();
    assert_eq!(version(&replaced), version(&made));
}
