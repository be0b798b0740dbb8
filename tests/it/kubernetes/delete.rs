//! Deletion: finalizers, preconditions, what becomes of owned objects.

use super::*;

on_both_clusters! {
    finalizers_hold_an_object_until_they_are_gone,
    deletion_is_held_to_its_preconditions,
    deletion_takes_what_the_object_owned,
    foreground_deletion_waits_for_what_is_held,
    orphans_stay_and_lose_the_reference,
    an_object_whose_owner_is_gone_already_is_collected,
    collections_are_deleted_by_selector,
    a_namespace_takes_its_contents_along,
}

async fn finalizers_hold_an_object_until_they_are_gone(ground: Ground) {
    let client = ground.client();
    let api = runs(&client);
    let mut held = run("r");
    held.finalizers_mut().push("example.dev/hold".to_owned());
    let made = api.create(&post(), &held).await.unwrap();
    let marked = api.delete("r", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(marked.meta_deletion().is_some());
    let status = refusal(api.create(&post(), &run("r")).await);
    assert_eq!(status.code, 409);
    let status = refusal(
        api.patch(
            "r",
            &params(),
            &merge(json!({"metadata": {"finalizers": ["example.dev/hold", "example.dev/new"]}})),
        )
        .await,
    );
    assert!(
        status.message.contains("no new finalizers can be added if the object is being deleted"),
        "{}",
        status.message
    );
    let ignored = api
        .patch("r", &params(), &merge(json!({"metadata": {"deletionTimestamp": null, "labels": {"x": "y"}}})))
        .await
        .unwrap();
    assert!(ignored.meta_deletion().is_some());
    api.patch("r", &params(), &merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    assert!(api.get_opt("r").await.unwrap().is_none());
    assert_ne!(api.create(&post(), &run("r")).await.unwrap().uid(), made.uid());
}

trait Deletion {
    fn meta_deletion(&self) -> Option<String>;
}

impl Deletion for DynamicObject {
    fn meta_deletion(&self) -> Option<String> {
        self.metadata.deletion_timestamp.as_ref().map(|time| time.0.to_string())
    }
}

async fn deletion_is_held_to_its_preconditions(ground: Ground) {
    let client = ground.client();
    let made = maps(&client).create(&post(), &map("a", &[])).await.unwrap();
    let with = |uid: Option<String>, version: Option<String>| DeleteParams {
        preconditions: Some(Preconditions { uid, resource_version: version }),
        ..DeleteParams::default()
    };
    let status = refusal(maps(&client).delete("a", &with(Some("x".to_owned()), None)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(
        status.message.contains("the UID in the precondition (x) does not match the UID in record"),
        "{}",
        status.message
    );
    maps(&client).patch("a", &params(), &merge(json!({"data": {"k": "v"}}))).await.unwrap();
    let stale = with(made.uid(), made.resource_version());
    assert_eq!(refusal(maps(&client).delete("a", &stale).await).code, 409);
    let gone = maps(&client).delete("a", &with(made.uid(), None)).await.unwrap().right().unwrap();
    assert!(gone.is_success());
    assert_eq!(refusal(maps(&client).delete("a", &DeleteParams::default()).await).code, 404);
}

async fn family(client: &Client) -> (String, String) {
    let parent = runs(client).create(&post(), &run("parent")).await.unwrap();
    let uid = parent.uid().unwrap();
    let owner = |kind: &str, version: &str, name: &str, uid: &str| json!([{"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true}]);
    let child = object(json!({
        "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
        "metadata": {"name": "child", "ownerReferences": owner("PipelineRun", "tekton.dev/v1", "parent", &uid)},
        "spec": {"taskRef": {"name": "t"}},
    }));
    let child = task_runs(client).create(&post(), &child).await.unwrap().uid().unwrap();
    let grandchild: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "grandchild", "ownerReferences": owner("TaskRun", "tekton.dev/v1", "child", &child)},
    }))
    .unwrap();
    maps(client).create(&post(), &grandchild).await.unwrap();
    (uid, child)
}

async fn family_is_gone(client: &Client) {
    eventually("the family is gone", || async {
        let left = runs(client).get_opt("parent").await.unwrap().is_some()
            || task_runs(client).get_opt("child").await.unwrap().is_some()
            || maps(client).get_opt("grandchild").await.unwrap().is_some();
        (!left).then_some(())
    })
    .await;
}

async fn deletion_takes_what_the_object_owned(ground: Ground) {
    let client = ground.client();
    family(&client).await;
    runs(&client).delete("parent", &DeleteParams::background()).await.unwrap();
    family_is_gone(&client).await;
    family(&client).await;
    runs(&client).delete("parent", &DeleteParams::foreground()).await.unwrap();
    family_is_gone(&client).await;
}

async fn foreground_deletion_waits_for_what_is_held(ground: Ground) {
    let client = ground.client();
    family(&client).await;
    task_runs(&client)
        .patch("child", &params(), &merge(json!({"metadata": {"finalizers": ["example.dev/hold"]}})))
        .await
        .unwrap();
    runs(&client).delete("parent", &DeleteParams::foreground()).await.unwrap();
    let parent = runs(&client).get("parent").await.unwrap();
    assert_eq!(parent.finalizers(), ["foregroundDeletion"]);
    eventually("the child is marked", || async {
        task_runs(&client).get("child").await.unwrap().meta_deletion()
    })
    .await;
    task_runs(&client)
        .patch(
            "child",
            &params(),
            &Patch::Json::<()>(
                serde_json::from_value(json!([{"op": "remove", "path": "/metadata/finalizers/0"}])).unwrap(),
            ),
        )
        .await
        .unwrap();
    family_is_gone(&client).await;
}

async fn orphans_stay_and_lose_the_reference(ground: Ground) {
    let client = ground.client();
    family(&client).await;
    let orphan =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    runs(&client).delete("parent", &orphan).await.unwrap();
    eventually("the parent is gone", || async {
        runs(&client).get_opt("parent").await.unwrap().is_none().then_some(())
    })
    .await;
    let child = task_runs(&client).get("child").await.unwrap();
    assert!(child.owner_references().is_empty());
    assert!(maps(&client).get_opt("grandchild").await.unwrap().is_some());
}

async fn an_object_whose_owner_is_gone_already_is_collected(ground: Ground) {
    let client = ground.client();
    let (uid, _) = family(&client).await;
    runs(&client).delete("parent", &DeleteParams::background()).await.unwrap();
    let late: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": "late", "ownerReferences": [{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "name": "parent", "uid": uid}]},
    }))
    .unwrap();
    maps(&client).create(&post(), &late).await.unwrap();
    eventually("the late one is gone", || async {
        maps(&client).get_opt("late").await.unwrap().is_none().then_some(())
    })
    .await;
}

async fn collections_are_deleted_by_selector(ground: Ground) {
    let client = ground.client();
    for n in 0..10 {
        maps(&client)
            .create(&post(), &labelled(&format!("m{n}"), &[("half", if n < 5 { "a" } else { "b" })]))
            .await
            .unwrap();
    }
    maps(&client)
        .delete_collection(&DeleteParams::default(), &ListParams::default().labels("half=a"))
        .await
        .unwrap();
    let left = maps(&client).list(&ListParams::default()).await.unwrap();
    assert!(left.items.len() == 5 && left.iter().all(|map| map.labels()["half"] == "b"));
}

async fn a_namespace_takes_its_contents_along(ground: Ground) {
    let client = ground.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let team = serde_json::from_value(json!({"metadata": {"name": "team"}})).unwrap();
    let made = namespaces.create(&post(), &team).await.unwrap();
    assert_eq!(made.status.unwrap().phase.as_deref(), Some("Active"));
    let inside: Api<ConfigMap> = Api::namespaced(client.clone(), "team");
    let mut held = map("held", &[]);
    held.finalizers_mut().push("example.dev/hold".to_owned());
    inside.create(&post(), &held).await.unwrap();
    inside.create(&post(), &map("free", &[])).await.unwrap();
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    eventually("the free one is gone", || async {
        inside.get_opt("free").await.unwrap().is_none().then_some(())
    })
    .await;
    let status = refusal(inside.create(&post(), &map("new", &[])).await);
    assert_eq!(status.code, 403);
    assert!(
        status
            .message
            .contains("unable to create new content in namespace team because it is being terminated"),
        "{}",
        status.message
    );
    inside.patch("held", &params(), &merge(json!({"metadata": {"finalizers": null}}))).await.unwrap();
    eventually("the namespace is gone", || async {
        namespaces.get_opt("team").await.unwrap().is_none().then_some(())
    })
    .await;
    let status = refusal(namespaces.delete("default", &DeleteParams::default()).await);
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
}
