//! Runs that are deleted while something about them is due.

use super::*;

#[tokio::test]
async fn what_is_due_of_a_deleted_run_is_told_when_the_sink_is_back() {
    let (api, receiver) = (Api::default(), Receiver::default());
    receiver.fail("u1/queued", 2);
    let watching = start(&api, &receiver);
    api.apply(run_object("a", "u1", None));
    until("a failure", || watching.status.failures() > 0).await;
    api.delete("a");
    until("it is kept", || watching.status.departed() == 1).await;
    assert_eq!(watching.status.stuck().unwrap().name, "a");
    // It had not ended, and now it has.
    until("all is told", || receiver.ids() == ["u1/queued", "u1/started", "u1/finished"]).await;
    until("no more waiting", || watching.status.oldest_undelivered().is_none()).await;
    assert_eq!((watching.status.lost(), watching.status.departed()), (0, 0));
    watching.stop().await;
}

#[tokio::test]
async fn a_run_that_ends_and_is_deleted_at_once_is_told_once() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    let runs: Vec<(String, String)> = (0..20).map(|n| (format!("a{n}"), format!("u{n}"))).collect();
    for (name, uid) in &runs {
        receiver.fail(&format!("{uid}/queued"), 1);
        api.apply(run_object(name, uid, Some("Unknown")));
    }
    until("the failures", || watching.status.failures() >= 20).await;
    for (name, uid) in &runs {
        api.update(name, || run_object(name, uid, Some("True")));
        api.delete(name);
        // Its name goes to another one.
        api.apply(run_object(name, &format!("{uid}b"), Some("False")));
    }
    until("all ends", || receiver.ids().iter().filter(|id| id.ends_with("/finished")).count() == 40).await;
    until("no more waiting", || watching.status.oldest_undelivered().is_none()).await;
    let mut ids = receiver.ids();
    ids.sort();
    let number = ids.len();
    ids.dedup();
    assert_eq!((number, ids.len(), watching.status.lost()), (120, 120, 0));
    watching.stop().await;
}

#[tokio::test]
async fn a_run_that_is_deleted_before_its_end_while_all_is_told_ends_once() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    api.apply(run_object("a", "u1", Some("Unknown")));
    until("the mark", || mark(&api, "a") == Some(json!({"uid": "u1", "sent": ["queued", "started"]}))).await;
    api.delete("a");
    until("its end", || receiver.ids() == ["u1/queued", "u1/started", "u1/finished"]).await;
    // One that is over and told leaves without a word.
    api.apply(run_object("b", "u2", Some("True")));
    until("the mark", || mark(&api, "b") == Some(all("u2"))).await;
    api.delete("b");
    api.apply(run_object("c", "u3", None));
    until("the next", || receiver.ids().last().is_some_and(|id| id == "u3/queued")).await;
    assert_eq!(receiver.ids().len(), 7);
    watching.stop().await;
}

#[tokio::test]
async fn a_run_that_is_gone_after_a_gap_of_the_watch_has_ended() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    api.apply(run_object("a", "u1", Some("Unknown")));
    api.apply(run_object("b", "u2", Some("Unknown")));
    api.apply(run_object("c", "u3", Some("True")));
    until("the first", || receiver.ids().len() == 7).await;
    api.mute();
    for name in ["a", "b", "c"] {
        api.delete(name);
    }
    api.apply(run_object("b", "u4", None));
    api.expire();
    until("the ends", || receiver.ids().len() == 10).await;
    let mut last = receiver.ids().split_off(7);
    last.sort();
    assert_eq!(last, ["u1/finished", "u2/finished", "u4/queued"]);
    watching.stop().await;
}

#[tokio::test]
async fn what_no_sink_took_when_the_watch_ends_is_counted() {
    let (api, receiver) = (Api::default(), Receiver::default());
    receiver.fail("u1/queued", usize::MAX);
    let watching = start(&api, &receiver);
    api.apply(run_object("a", "u1", None));
    until("a failure", || watching.status.failures() > 0).await;
    api.delete("a");
    until("it is kept", || watching.status.departed() == 1).await;
    let status = Arc::clone(&watching.status);
    assert_eq!(status.lost(), 0);
    watching.stop().await;
    assert_eq!((status.lost(), status.departed()), (1, 0));
}
