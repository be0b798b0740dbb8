//! Runs that are deleted while something about them is due.

use super::*;
use crate::event::annotation::{DELETED_RUNS, WATCHED};

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

/// What a leader has noted when it is killed.
fn killed(watching: &Watching) -> Inherited {
    let notes = watching.status.notes().unwrap();
    watching.task.abort();
    Inherited::read(&notes)
}

async fn settled(watching: &Watching) {
    until("what was missed is known", || watching.status.notes().is_some()).await;
}

#[tokio::test]
async fn what_a_killed_leader_kept_and_what_nobody_saw_deleted_is_told_by_the_next() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start_after(&api, &receiver, Some(Inherited::default()));
    settled(&watching).await;
    // One is told, one is not when the leader goes, and one lives.
    api.apply(run_object("told", "u1", Some("True")));
    until("the mark", || mark(&api, "told") == Some(all("u1"))).await;
    api.delete("told");
    receiver.fail("u2/finished", usize::MAX);
    api.apply(run_object("kept", "u2", Some("True")));
    until("a failure", || watching.status.failures() > 0).await;
    api.delete("kept");
    until("it is kept", || watching.status.departed() == 1).await;
    api.apply(run_object("lives", "u3", Some("Unknown")));
    until("it is seen", || mark(&api, "lives").is_some()).await;
    let left = killed(&watching);
    receiver.fail("u2/finished", 0);
    // Nobody watches.
    api.apply(run_object("short", "u4", Some("False")));
    api.delete("short");
    api.delete("lives");
    api.apply(run_object("lives", "u5", None));

    let watching = start_after(&api, &receiver, Some(left));
    let told = |id: &str| receiver.ids().iter().filter(|it| *it == id).count();
    until("all is told", || ["u2", "u3", "u4"].iter().all(|uid| told(&format!("{uid}/finished")) == 1)).await;
    until("the new one of the name", || told("u5/queued") == 1).await;
    // What comes while both watches look is told once.
    api.apply(run_object("late", "u6", Some("True")));
    api.delete("late");
    until("the last", || told("u6/finished") == 1).await;
    settled(&watching).await;
    until("nothing is kept", || watching.status.departed() == 0).await;
    assert_eq!(watching.status.lost(), 0);
    for id in ["u1/finished", "u3/queued", "u3/started", "u4/queued", "u6/queued", "u6/finished"] {
        assert_eq!(told(id), 1, "{id}: {:?}", receiver.ids());
    }
    watching.stop().await;
}

#[tokio::test]
async fn what_the_cluster_has_forgotten_of_a_killed_leader_is_counted_and_the_rest_told() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start_after(&api, &receiver, Some(Inherited::default()));
    settled(&watching).await;
    receiver.fail("u1/finished", usize::MAX);
    api.apply(run_object("kept", "u1", Some("True")));
    until("a failure", || watching.status.failures() > 0).await;
    api.delete("kept");
    until("it is kept", || watching.status.departed() == 1).await;
    api.apply(run_object("other", "u2", Some("True")));
    until("the mark", || mark(&api, "other") == Some(all("u2"))).await;
    let version = api.get("other").unwrap()["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    let seen = format!(" {version}");
    until("it is seen", || watching.status.notes().unwrap()[WATCHED].ends_with(&seen)).await;
    let left = killed(&watching);
    api.apply(run_object("short", "u3", Some("True")));
    api.delete("short");
    api.forget(version);

    let watching = start_after(&api, &receiver, Some(left.clone()));
    until("the rest", || receiver.ids().contains(&"u3/finished".to_owned())).await;
    settled(&watching).await;
    assert_eq!(watching.status.lost(), 1);
    assert!(!receiver.ids().contains(&"u1/finished".to_owned()));
    watching.stop().await;

    // Nothing at all is left.
    api.forget(u64::MAX - 1);
    let watching = start_after(&api, &receiver, Some(left));
    settled(&watching).await;
    assert_eq!(watching.status.lost(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn what_a_leader_cannot_tell_before_its_end_is_left_to_the_next() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start_after(&api, &receiver, Some(Inherited::default()));
    settled(&watching).await;
    receiver.fail("u1/queued", usize::MAX);
    api.apply(run_object("a", "u1", None));
    until("a failure", || watching.status.failures() > 0).await;
    api.delete("a");
    until("it is kept", || watching.status.departed() == 1).await;
    let status = Arc::clone(&watching.status);
    watching.stop().await;
    assert_eq!((status.lost(), status.departed()), (0, 0));
    let notes = status.notes().unwrap();
    assert_eq!(notes[DELETED_RUNS], "1 PipelineRun ci/a");
    receiver.fail("u1/queued", 0);
    let watching = start_after(&api, &receiver, Some(Inherited::read(&notes)));
    until("all is told", || receiver.ids() == ["u1/queued", "u1/started", "u1/finished"]).await;
    settled(&watching).await;
    assert_eq!(watching.status.lost(), 0);
    assert_eq!(watching.status.notes().unwrap().get(DELETED_RUNS), None);
    watching.stop().await;
}
