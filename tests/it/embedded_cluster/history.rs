//! History that is lost on demand: pages, watches, and watchers that recover.

use super::*;
use crate::kubernetes::watch::followed;

fn runner(cluster: &Memory) -> impl FnMut(usize) {
    let cluster = cluster.clone();
    move |n| {
        if n % 500 == 250 {
            cluster.faults().cut_watches();
        }
        if n % 1000 == 750 {
            cluster.faults().cut_watches();
            cluster.faults().compact();
        }
    }
}

#[tokio::test]
async fn lists_of_the_forgotten_past_are_refused() {
    let cluster = cluster();
    let api = maps(&cluster.client("default"));
    for n in 0..3 {
        api.create(&post(), &map(&format!("m{n}"), &[])).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    let (then, token) = (first.metadata.resource_version.unwrap(), first.metadata.continue_.unwrap());
    cluster.faults().compact();
    let exact = ListParams::default().at(&then).matching(VersionMatch::Exact);
    let status = refusal(api.list(&exact).await);
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    let status = refusal(api.list(&ListParams::default().limit(2).continue_token(&token)).await);
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn a_watch_from_the_forgotten_past_is_told_so() {
    let cluster = cluster();
    let api = maps(&cluster.client("default"));
    let made = api.create(&post(), &map("a", &[])).await.unwrap();
    cluster.faults().compact();
    let mut old = api.watch(&quiet(), &made.resource_version().unwrap()).await.unwrap().boxed();
    assert_eq!(name_of(&old.next().await.unwrap().unwrap()), "410 Expired");
    let now = api.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    api.create(&post(), &map("b", &[])).await.unwrap();
    let mut new = api.watch(&quiet(), &now).await.unwrap().boxed();
    assert_eq!(name_of(&new.next().await.unwrap().unwrap()), "+b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_recovers_from_cut_watches_and_lost_history() {
    let cluster = cluster();
    let client = cluster.client("default");
    let config = watcher::Config::default().page_size(50);
    let restarts = followed(&client, config, 3000, runner(&cluster)).await;
    assert!(restarts > 1, "the history was never lost");
    let cluster = self::cluster();
    let client = cluster.client("default");
    followed(&client, watcher::Config::default().streaming_lists(), 3000, runner(&cluster)).await;
    // A log that is far too short.
    let short =
        Memory::start(Options { limits: Limits { changes: 20, bytes: 1 << 20 }, ..Options::default() });
    let client = short.client("default");
    followed(&client, watcher::Config::default().any_semantic(), 3000, runner(&short)).await;
}

/// The real server sends one a minute, which is too long for a test.
#[tokio::test]
async fn bookmarks_carry_a_quiet_watch_forward() {
    let cluster = cluster();
    let client = cluster.client("default");
    let start = maps(&client).list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    // Changes elsewhere move the version on without an event in this watch.
    runs(&client).create(&post(), &run("r")).await.unwrap();
    let mut stream = maps(&client).watch(&WatchParams::default(), &start).await.unwrap().boxed();
    let event = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Bookmark(bookmark) = event else { panic!("{event:?}") };
    assert!(bookmark.metadata.resource_version.parse::<u64>().unwrap() > start.parse().unwrap());
}
