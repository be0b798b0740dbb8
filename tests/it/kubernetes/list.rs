//! Lists: selectors, pages, versions.

use super::*;

on_both_clusters! {
    lists_are_selected_by_labels_and_fields,
    pages_show_one_moment_though_the_cluster_moves_on,
    metadata_alone_can_be_read,
}

async fn lists_are_selected_by_labels_and_fields(ground: Ground) {
    let client = ground.client();
    for (name, labels) in
        [("a", vec![("app", "web"), ("tier", "1")]), ("b", vec![("app", "db")]), ("c", vec![])]
    {
        maps(&client).create(&post(), &labelled(name, &labels)).await.unwrap();
    }
    for (labels, names) in [
        ("app=web", vec!["a"]),
        ("app", vec!["a", "b"]),
        ("!app", vec!["c"]),
        ("app in (web,db),tier!=1", vec!["b"]),
    ] {
        let found = maps(&client).list(&ListParams::default().labels(labels)).await.unwrap();
        assert_eq!(found.iter().map(ConfigMap::name_any).collect::<Vec<_>>(), names, "{labels}");
    }
    let found = maps(&client).list(&ListParams::default().fields("metadata.name=b")).await.unwrap();
    assert_eq!(found.items.len(), 1);
    let status = refusal(runs(&client).list(&ListParams::default().fields("spec.x=b")).await);
    assert_eq!((status.code, status.message.as_str()), (400, "field label not supported: spec.x"));
}

async fn pages_show_one_moment_though_the_cluster_moves_on(ground: Ground) {
    let client = ground.client();
    for n in 0..25 {
        maps(&client).create(&post(), &map(&format!("m{n:02}"), &[])).await.unwrap();
    }
    let first = maps(&client).list(&ListParams::default().limit(10)).await.unwrap();
    assert_eq!(first.items.len(), 10);
    maps(&client).delete("m24", &DeleteParams::default()).await.unwrap();
    maps(&client).delete("m03", &DeleteParams::default()).await.unwrap();
    maps(&client).create(&post(), &map("m20b", &[])).await.unwrap();
    let mut names: Vec<String> = first.iter().map(ConfigMap::name_any).collect();
    let mut token = first.metadata.continue_.clone();
    while let Some(next) = token.filter(|token| !token.is_empty()) {
        let page = maps(&client).list(&ListParams::default().limit(10).continue_token(&next)).await.unwrap();
        assert_eq!(page.metadata.resource_version, first.metadata.resource_version);
        names.extend(page.iter().map(ConfigMap::name_any));
        token = page.metadata.continue_;
    }
    assert_eq!(names, (0..25).map(|n| format!("m{n:02}")).collect::<Vec<_>>());

    let then = first.metadata.resource_version.unwrap();
    let exact = ListParams::default().at(&then).matching(VersionMatch::Exact);
    assert_eq!(maps(&client).list(&exact).await.unwrap().items.len(), 25);
    assert_eq!(maps(&client).list(&ListParams::default().at(&then)).await.unwrap().items.len(), 24);
    let status = refusal(maps(&client).list(&ListParams::default().at("99999999999999")).await);
    assert_eq!((status.code, status.reason.as_str()), (504, "Timeout"));
}

async fn metadata_alone_can_be_read(ground: Ground) {
    let client = ground.client();
    maps(&client).create(&post(), &map("a", &[("k", "v")])).await.unwrap();
    let api: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client);
    assert_eq!(api.get("a").await.unwrap().name_any(), "a");
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 1);
}
