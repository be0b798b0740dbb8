//! Watches: order, resumption, bookmarks, lost history.

use super::*;

on_both_clusters! {
    a_watch_tells_everything_after_a_version_once_and_in_order,
    initial_events_end_with_a_marked_bookmark,
    a_watch_ends_when_its_time_is_over,
    a_watcher_follows_hundreds_of_changes,
    a_watcher_that_streams_its_lists_follows_hundreds_of_changes,
}

async fn seen(client: &Client, watch: &WatchParams, from: &str, count: usize) -> Vec<String> {
    let stream = maps(client).watch(watch, from).await.unwrap();
    let events = stream.map_ok(|event| name_of(&event)).take(count).try_collect();
    tokio::time::timeout(Duration::from_secs(20), events).await.unwrap().unwrap()
}

async fn a_watch_tells_everything_after_a_version_once_and_in_order(ground: Ground) {
    let client = ground.client();
    let start = maps(&client).list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let made = maps(&client).create(&post(), &labelled("a", &[("in", "yes")])).await.unwrap();
    maps(&client).create(&post(), &map("b", &[])).await.unwrap();
    maps(&client).patch("a", &params(), &merge(json!({"metadata": {"labels": {"in": "no"}}}))).await.unwrap();
    maps(&client)
        .patch("b", &params(), &merge(json!({"metadata": {"labels": {"in": "yes"}}})))
        .await
        .unwrap();
    maps(&client).delete("b", &DeleteParams::default()).await.unwrap();
    assert_eq!(seen(&client, &quiet(), &start, 5).await, ["+a", "+b", "~a", "~b", "-b"]);
    assert_eq!(seen(&client, &quiet(), &made.resource_version().unwrap(), 2).await, ["+b", "~a"]);
    assert_eq!(seen(&client, &quiet(), "0", 1).await, ["+a"]);
    // An object that begins or ceases to match is added or deleted.
    assert_eq!(seen(&client, &quiet().labels("in=yes"), &start, 4).await, ["+a", "-a", "+b", "-b"]);
    assert_eq!(seen(&client, &quiet().fields("metadata.name=b"), &start, 3).await, ["+b", "~b", "-b"]);
}

async fn initial_events_end_with_a_marked_bookmark(ground: Ground) {
    let client = ground.client();
    maps(&client).create(&post(), &map("a", &[])).await.unwrap();
    let watch = WatchParams { send_initial_events: true, ..WatchParams::default() };
    assert_eq!(seen(&client, &watch, "0", 2).await, ["+a", "end"]);
}

async fn a_watch_ends_when_its_time_is_over(ground: Ground) {
    let client = ground.client();
    let watch = WatchParams { timeout: Some(1), ..quiet() };
    let stream = maps(&client).watch(&watch, "0").await.unwrap();
    let events: Vec<_> = tokio::time::timeout(Duration::from_secs(10), stream.collect()).await.unwrap();
    assert!(events.is_empty(), "{events:?}");
}

/// Creates, changes and deletes maps while a watcher follows, and compares what it holds at the end. `trouble` is called
/// after each change; gives how often the watcher began anew.
pub async fn followed(
    client: &Client,
    config: watcher::Config,
    changes: usize,
    mut trouble: impl FnMut(usize),
) -> usize {
    let follower = {
        let api = maps(client);
        tokio::spawn(async move {
            let mut stream = watcher(api, config).boxed();
            let (mut held, mut next, mut restarts) = (BTreeMap::new(), BTreeMap::new(), 0);
            while let Some(event) = stream.next().await {
                match event {
                    Ok(watcher::Event::Init) => {
                        restarts += 1;
                        next.clear();
                    }
                    Ok(watcher::Event::InitApply(map)) => drop(next.insert(map.name_any(), version(&map))),
                    Ok(watcher::Event::InitDone) => held = std::mem::take(&mut next),
                    Ok(watcher::Event::Apply(map)) => {
                        let name = map.name_any();
                        let old = held.insert(name.clone(), version(&map));
                        assert!(old.is_none_or(|old| old < version(&map)), "{name} went back");
                        if name == "zz-last" {
                            break;
                        }
                    }
                    Ok(watcher::Event::Delete(map)) => drop(held.remove(&map.name_any())),
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
                if held.contains_key("zz-last") {
                    break;
                }
            }
            (held, restarts)
        })
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    for n in 0..changes {
        let name = format!("m{:03}", n % 300);
        match n % 3 {
            0 => drop(maps(client).create(&post(), &map(&name, &[])).await),
            1 => {
                let config = Patch::Merge(json!({"data": {"n": n.to_string()}}));
                drop(maps(client).patch(&name, &params(), &config).await);
            }
            _ => {
                if n % 7 == 0 {
                    drop(maps(client).delete(&name, &DeleteParams::default()).await);
                } else {
                    drop(maps(client).create(&post(), &map(&name, &[])).await);
                    drop(
                        maps(client)
                            .patch(&name, &params(), &merge(json!({"data": {"n": n.to_string()}})))
                            .await,
                    );
                }
            }
        }
        trouble(n);
    }
    maps(client).create(&post(), &map("zz-last", &[])).await.unwrap();
    let (held, restarts) = tokio::time::timeout(Duration::from_mins(1), follower).await.unwrap().unwrap();
    let live = maps(client).list(&ListParams::default()).await.unwrap();
    let live: BTreeMap<_, _> = live.iter().map(|map| (map.name_any(), version(map))).collect();
    assert_eq!(held, live);
    restarts
}

async fn a_watcher_follows_hundreds_of_changes(ground: Ground) {
    let client = ground.client();
    assert_eq!(followed(&client, watcher::Config::default(), 900, |_| {}).await, 1);
}

async fn a_watcher_that_streams_its_lists_follows_hundreds_of_changes(ground: Ground) {
    let client = ground.client();
    assert_eq!(followed(&client, watcher::Config::default().streaming_lists(), 900, |_| {}).await, 1);
}
