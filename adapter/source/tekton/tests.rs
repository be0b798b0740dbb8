//! The watch of runs against a small API server in memory, and the rules of what is due.

mod api;
mod departed;
mod sinks;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::run::Run;
use super::status::WatchState;
use super::*;
use crate::event::annotation::EMITTED;
use api::Api;

const PATIENCE: Duration = Duration::from_secs(20);

/// The transitions of the tests: queued, started and finished by the first condition, and what the status lists.
fn transitions(kind: RunKind, object: &Value) -> Vec<Transition> {
    let status = object["status"]["conditions"][0]["status"].as_str();
    let names: &[&'static str] = match status {
        None => &["queued"],
        Some("Unknown") => &["queued", "started"],
        Some(_) => &["queued", "started", "finished"],
    };
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let event = |name: &str| {
        Event::builder(format!("{uid}/{name}"), format!("/{}", kind.as_str()), name).build().unwrap()
    };
    let mut all: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let further = if names.len() == 2 { "progress" } else { "made" };
    for name in object["status"][further].as_array().into_iter().flatten() {
        all.push(name.as_str().unwrap().to_owned());
    }
    all.into_iter().map(|name| Transition { event: event(&name), name: name.into() }).collect()
}

/// A run with what else its status leads to.
fn with(mut object: Value, further: &str, names: &[&str]) -> Value {
    object["status"][further] = json!(names);
    object
}

fn run_object(name: &str, uid: &str, condition: Option<&str>) -> Value {
    let mut object = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"name": name, "namespace": "ci", "uid": uid, "managedFields": [{"manager": "tekton"}]},
    });
    if let Some(status) = condition {
        object["status"] = json!({"conditions": [{"type": "Succeeded", "status": status}]});
    }
    object
}

/// The ids of what was delivered, in order, and a script of failures by id.
#[derive(Clone, Default)]
struct Receiver {
    ids: Arc<Mutex<Vec<String>>>,
    failing: Arc<Mutex<BTreeMap<String, usize>>>,
    attempts: Arc<AtomicUsize>,
}

impl Receiver {
    fn ids(&self) -> Vec<String> {
        self.ids.lock().unwrap().clone()
    }

    fn fail(&self, id: &str, times: usize) {
        self.failing.lock().unwrap().insert(id.to_owned(), times);
    }

    /// One sink, `default`, which takes everything in order.
    fn take(&self, attempt: &Attempt) -> Delivered {
        let Attempt { event, behind, .. } = attempt;
        let failed = || Delivered {
            behind: BTreeSet::from(["default".to_owned()]),
            fault: Some(Fault::transient("the sink is away", None)),
            ..Delivered::default()
        };
        if !behind.is_empty() {
            return failed();
        }
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if let Some(times) = self.failing.lock().unwrap().get_mut(event.id()).filter(|times| **times > 0) {
            *times -= 1;
            return failed();
        }
        self.ids.lock().unwrap().push(event.id().to_owned());
        Delivered::default()
    }
}

/// A watch at work.
struct Watching {
    status: Arc<Status>,
    hints: Hints,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

fn start(api: &Api, receiver: &Receiver) -> Watching {
    start_after(api, receiver, None)
}

/// One that follows another leader.
fn start_after(api: &Api, receiver: &Receiver, inherited: Option<Inherited>) -> Watching {
    let config = Config { kinds: vec![RunKind::PipelineRun], ..Config::default() };
    let receiver = receiver.clone();
    let watch = RunWatch::new(api.client(), config, transitions, move |event| {
        let receiver = receiver.clone();
        async move {
            tokio::task::yield_now().await;
            receiver.take(&event)
        }
    });
    let (stop, stopped) = oneshot::channel();
    let (status, hints) = (watch.status(), watch.hints());
    let stopped = async move { drop(stopped.await) };
    let task = match inherited {
        None => tokio::spawn(watch.run(stopped)),
        Some(inherited) => tokio::spawn(watch.resume(stopped, inherited)),
    };
    Watching { status, hints, stop, task }
}

impl Watching {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it stops").unwrap();
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn mark(api: &Api, name: &str) -> Option<Value> {
    let object = api.get(name)?;
    let mut mark: Value = serde_json::from_str(object["metadata"]["annotations"][EMITTED].as_str()?).unwrap();
    // What is written here always says that it knows of what runs make.
    mark.as_object_mut().unwrap().retain(|name, value| name != "made" || *value != json!(true));
    Some(mark)
}

fn all(uid: &str) -> Value {
    json!({"uid": uid, "sent": ["queued", "started", "finished"]})
}

#[tokio::test]
async fn a_run_that_is_finished_when_first_seen_is_announced_whole_and_in_order() {
    let (api, receiver) = (Api::default(), Receiver::default());
    api.apply(run_object("a", "u1", Some("True")));
    let watching = start(&api, &receiver);
    until("the mark", || mark(&api, "a") == Some(all("u1"))).await;
    assert_eq!(receiver.ids(), ["u1/queued", "u1/started", "u1/finished"]);
    assert_eq!(api.count("PATCH"), 1, "one mark for all three");
    assert!(watching.status.synced());
    assert_eq!(watching.status.delivered(), 3);
    until("nothing waiting", || watching.status.oldest_undelivered().is_none()).await;
    watching.stop().await;

    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    api.apply(run_object("b", "u2", None));
    until("the next run", || receiver.ids().len() == 4).await;
    assert_eq!(receiver.ids()[3], "u2/queued", "a restart repeats nothing that is marked");
    watching.stop().await;
}

#[tokio::test]
async fn each_step_of_a_run_is_announced_when_it_happens() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    for (condition, count) in [(None, 1), (Some("Unknown"), 2), (Some("Unknown"), 2), (Some("False"), 3)] {
        api.update("a", || run_object("a", "u1", condition));
        until("the announcement", || receiver.ids().len() == count).await;
    }
    until("the mark", || mark(&api, "a") == Some(all("u1"))).await;
    assert_eq!(receiver.ids(), ["u1/queued", "u1/started", "u1/finished"]);
    watching.stop().await;
}

#[tokio::test]
async fn a_step_that_the_watch_tells_is_not_asked_for_again() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    api.apply(run_object("a", "1", None));
    until("queued", || receiver.ids() == ["1/queued"] && mark(&api, "a").is_some()).await;
    assert_eq!(api.count("GET one"), 0);
    // A failure means that time passes: the newest state counts then.
    receiver.fail("1/finished", 1);
    api.update("a", || run_object("a", "1", Some("True")));
    until("all", || mark(&api, "a") == Some(all("1"))).await;
    assert_eq!(receiver.ids(), ["1/queued", "1/started", "1/finished"]);
    assert_eq!(api.count("GET one"), 1, "a repeat reads the run");
    watching.stop().await;
}

#[tokio::test]
async fn what_a_run_made_is_announced_as_surely_as_its_end() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let made = ["published/1", "published/2"];
    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    receiver.fail("u1/published/2", 2);
    api.apply(with(run_object("a", "u1", Some("True")), "made", &made));
    let marked =
        json!({"uid": "u1", "sent": ["queued", "started", "finished", "published/1", "published/2"]});
    until("the mark", || mark(&api, "a") == Some(marked.clone())).await;
    let each = ["u1/queued", "u1/started", "u1/finished", "u1/published/1", "u1/published/2"];
    assert_eq!(receiver.ids(), each, "each once, though one was refused twice");
    watching.stop().await;

    // A version that knew of no artifacts announced the end of the first, and the beginning of the second.
    let mut over = with(run_object("b", "u2", Some("True")), "made", &made);
    over["metadata"]["annotations"] = json!({EMITTED: all("u2").to_string()});
    api.apply(over);
    let mut running = with(run_object("c", "u3", Some("True")), "made", &made);
    let begun = json!({"uid": "u3", "sent": ["queued", "started"]});
    running["metadata"]["annotations"] = json!({EMITTED: begun.to_string()});
    api.apply(running);
    let watching = start(&api, &receiver);
    until("the artifacts", || receiver.ids().len() == 8).await;
    assert_eq!(receiver.ids()[5..], ["u3/finished", "u3/published/1", "u3/published/2"]);
    until("nothing waiting", || watching.status.oldest_undelivered().is_none()).await;
    watching.stop().await;
}

#[tokio::test]
async fn of_progress_only_the_newest_is_marked_and_none_after_the_end() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    let running = |progress: &str| with(run_object("a", "u1", Some("Unknown")), "progress", &[progress]);
    let sent = |names: &[&str]| Some(json!({"uid": "u1", "sent": names}));
    for (progress, count) in [("progressed/0", 3), ("progressed/1", 4), ("progressed/1", 4)] {
        api.update("a", || running(progress));
        until(progress, || receiver.ids().len() == count).await;
        until("the mark", || mark(&api, "a") == sent(&["queued", "started", progress])).await;
    }
    // Tekton writes an older note over ours: it is mended, and nothing is told again.
    let mut reverted = running("progressed/1");
    reverted["metadata"]["annotations"] =
        json!({EMITTED: sent(&["queued", "started", "progressed/0"]).unwrap().to_string()});
    api.apply(reverted);
    until("the mark again", || mark(&api, "a") == sent(&["queued", "started", "progressed/1"])).await;
    api.update("a", || run_object("a", "u1", Some("True")));
    until("the end", || mark(&api, "a") == Some(all("u1"))).await;
    // A status out of an old cache.
    api.update("a", || running("progressed/2"));
    api.apply(run_object("b", "u2", None));
    until("the next run", || receiver.ids().contains(&"u2/queued".to_owned())).await;
    let told: Vec<String> = receiver.ids().into_iter().filter(|id| id.starts_with("u1")).collect();
    assert_eq!(told, ["u1/queued", "u1/started", "u1/progressed/0", "u1/progressed/1", "u1/finished"]);
    watching.stop().await;
}

#[tokio::test]
async fn a_mark_copied_from_a_parent_does_not_count() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let mut child = run_object("child", "u2", Some("Unknown"));
    child["metadata"]["annotations"] = json!({EMITTED: all("u1").to_string(), "kept": "yes"});
    api.apply(child);
    let watching = start(&api, &receiver);
    until("the mark", || mark(&api, "child") == Some(json!({"uid": "u2", "sent": ["queued", "started"]})))
        .await;
    assert_eq!(receiver.ids(), ["u2/queued", "u2/started"]);
    assert_eq!(api.get("child").unwrap()["metadata"]["annotations"]["kept"], "yes");
    watching.stop().await;
}

#[tokio::test]
async fn a_run_created_again_under_its_name_is_another_run() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    api.apply(run_object("a", "u1", Some("True")));
    until("the first", || mark(&api, "a") == Some(all("u1"))).await;
    api.delete("a");
    api.apply(run_object("a", "u2", Some("True")));
    until("the second", || mark(&api, "a") == Some(all("u2"))).await;
    assert_eq!(receiver.ids()[3..], ["u2/queued", "u2/started", "u2/finished"]);
    watching.stop().await;
}

#[tokio::test]
async fn a_mark_never_lands_on_another_run_of_the_name() {
    let (api, receiver) = (Api::default(), Receiver::default());
    api.apply(run_object("a", "u1", None));
    // The run is replaced between the delivery and the mark.
    api.before_patch(|api| {
        api.delete("a");
        api.apply(run_object("a", "u2", None));
    });
    let watching = start(&api, &receiver);
    let second = json!({"uid": "u2", "sent": ["queued"]});
    until("the second run's own mark", || mark(&api, "a") == Some(second.clone())).await;
    // The first one was deleted before its end, and is told to the end.
    until("both", || receiver.ids().len() == 4).await;
    let of = |uid: &str| receiver.ids().into_iter().filter(|id| id.starts_with(uid)).collect::<Vec<_>>();
    assert_eq!(of("u1"), ["u1/queued", "u1/started", "u1/finished"]);
    assert_eq!(of("u2"), ["u2/queued"]);
    watching.stop().await;
}

#[tokio::test]
async fn a_failed_delivery_is_repeated_in_order_and_holds_up_no_other_run() {
    let (api, receiver) = (Api::default(), Receiver::default());
    receiver.fail("u1/started", usize::MAX);
    api.apply(run_object("a", "u1", Some("True")));
    api.apply(run_object("b", "u2", Some("True")));
    let watching = start(&api, &receiver);
    until("the other run", || mark(&api, "b") == Some(all("u2"))).await;
    until("what was delivered of the first", || {
        mark(&api, "a") == Some(json!({"uid": "u1", "sent": ["queued"]}))
    })
    .await;
    assert!(watching.status.oldest_undelivered().is_some());
    receiver.fail("u1/started", 0);
    until("the rest", || mark(&api, "a") == Some(all("u1"))).await;
    let of_a: Vec<_> = receiver.ids().into_iter().filter(|id| id.starts_with("u1")).collect();
    assert_eq!(of_a, ["u1/queued", "u1/started", "u1/finished"]);
    assert!(watching.status.failures() >= 1);
    watching.stop().await;
}

#[tokio::test]
async fn an_event_whose_mark_was_refused_is_not_sent_again_by_the_same_process() {
    let (api, receiver) = (Api::default(), Receiver::default());
    api.fail_patches(1);
    api.apply(run_object("a", "u1", Some("True")));
    let watching = start(&api, &receiver);
    until("the mark", || mark(&api, "a") == Some(all("u1"))).await;
    assert_eq!(receiver.attempts.load(Ordering::Relaxed), 3);
    watching.stop().await;
}

#[tokio::test]
async fn a_mark_that_tekton_reverts_is_mended_without_another_event() {
    let (api, receiver) = (Api::default(), Receiver::default());
    api.apply(run_object("a", "u1", Some("True")));
    let watching = start(&api, &receiver);
    until("the mark", || mark(&api, "a") == Some(all("u1"))).await;
    let mut older = run_object("a", "u1", Some("True"));
    older["metadata"]["annotations"] = json!({EMITTED: json!({"uid": "u1", "sent": ["queued"]}).to_string()});
    api.apply(older);
    until("the mark again", || mark(&api, "a") == Some(all("u1"))).await;
    assert_eq!(receiver.ids().len(), 3);
    watching.stop().await;
}

#[tokio::test]
async fn a_cluster_without_tekton_is_no_crash_and_its_installation_is_noticed() {
    let (api, receiver) = (Api::default(), Receiver::default());
    api.serve(false);
    let watching = start(&api, &receiver);
    until("the absence", || watching.status.state(RunKind::PipelineRun) == WatchState::Absent).await;
    assert!(watching.status.synced(), "nothing to wait for");
    api.serve(true);
    api.apply(run_object("a", "u1", None));
    until("the event", || receiver.ids() == ["u1/queued"]).await;
    assert_eq!(watching.status.state(RunKind::PipelineRun), WatchState::Synced);
    assert_eq!(watching.status.relists(), 0);
    watching.stop().await;
}

#[tokio::test]
async fn a_run_is_not_taken_for_gone_while_its_kind_is_not_served() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    receiver.fail("u1/queued", 1);
    api.apply(run_object("a", "u1", Some("True")));
    until("the failure", || watching.status.failures() == 1).await;
    // As an API server does that has just started. Its watches go on where they were and tell nothing twice.
    api.serve(false);
    until("the second look", || api.count("GET one") > 0 && watching.status.failures() == 2).await;
    api.serve(true);
    until("the mark", || mark(&api, "a") == Some(all("u1"))).await;
    assert_eq!(receiver.ids(), ["u1/queued", "u1/started", "u1/finished"]);
    assert_eq!(watching.status.lost(), 0);
    watching.stop().await;
}

#[tokio::test]
async fn a_hint_finds_what_a_silent_watch_does_not_tell() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    until("the list", || watching.status.synced()).await;
    api.mute();
    api.apply(run_object("a", "u1", Some("Unknown")));
    let look_at = |name: &str| {
        let (namespace, name) = ("ci".to_owned(), name.to_owned());
        watching.hints.look_at(RunRef { kind: RunKind::PipelineRun, namespace, name });
    };
    look_at("no-such-run");
    look_at("a");
    until("the events", || receiver.ids() == ["u1/queued", "u1/started"]).await;
    api.apply(run_object("a", "u1", Some("True")));
    look_at("a");
    until("the end", || receiver.ids().len() == 3).await;
    watching.stop().await;
}

#[tokio::test]
async fn a_lost_watch_lists_again_and_misses_nothing() {
    let (api, receiver) = (Api::default(), Receiver::default());
    let watching = start(&api, &receiver);
    api.apply(run_object("a", "u1", None));
    until("the first", || receiver.ids().len() == 1).await;
    api.mute();
    api.apply(run_object("b", "u2", None));
    api.apply(run_object("a", "u1", Some("True")));
    api.expire();
    until("both", || receiver.ids().len() == 4).await;
    assert_eq!(watching.status.relists(), 1);
    watching.stop().await;
}

#[tokio::test]
async fn stopping_lets_deliveries_under_way_finish_and_mark() {
    let api = Api::default();
    api.apply(run_object("a", "u1", None));
    let (entered, begun) = oneshot::channel();
    let entered = Arc::new(Mutex::new(Some(entered)));
    let config = Config { kinds: vec![RunKind::PipelineRun], ..Config::default() };
    let watch = RunWatch::new(api.client(), config, transitions, move |_| {
        let entered = entered.lock().unwrap().take();
        async move {
            entered.map(|it| it.send(()));
            tokio::time::sleep(Duration::from_millis(100)).await;
            Delivered::default()
        }
    });
    let task = tokio::spawn(watch.run(async move { drop(begun.await) }));
    tokio::time::timeout(PATIENCE, task).await.expect("it stops").unwrap();
    assert_eq!(mark(&api, "a"), Some(json!({"uid": "u1", "sent": ["queued"]})));
}

#[tokio::test]
async fn a_watch_that_never_began_stops_too() {
    let (api, receiver) = (Api::default(), Receiver::default());
    api.serve(false);
    let watching = start(&api, &receiver);
    until("the absence", || watching.status.state(RunKind::PipelineRun) == WatchState::Absent).await;
    watching.stop().await;
}

fn parsed(object: Value) -> Run {
    serde_json::from_value(object).unwrap()
}

#[test]
fn what_is_due_is_what_was_reached_and_not_announced() {
    let object = run_object("a", "u1", Some("True"));
    let due = |announced: &[&str]| {
        let announced: Vec<String> = announced.iter().map(|it| (*it).to_owned()).collect();
        let due = emitted::due(transitions(RunKind::PipelineRun, &object), &announced);
        due.iter().map(|it| it.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(due(&[]), ["queued", "started", "finished"]);
    assert_eq!(due(&["queued"]), ["started", "finished"]);
    assert_eq!(due(&["started"]), ["queued", "finished"]);
    assert!(due(&["queued", "started", "finished", "of a later version"]).is_empty());
}

#[test]
fn progress_never_goes_back() {
    let due = |reached: &str, announced: &str| {
        let object = with(run_object("a", "u1", Some("Unknown")), "progress", &[reached]);
        let announced: Vec<String> = ["queued", "started", announced].map(str::to_owned).into();
        emitted::due(transitions(RunKind::PipelineRun, &object), &announced).len()
    };
    let (before, now) = ("progressed/1.0.0.0.2", "progressed/1.0.0.1.1");
    assert_eq!((due(now, before), due(before, now), due(now, now)), (1, 0, 0));
    assert_eq!(due("progressed/2.1.0.0.1", now), 1, "as many, but others");
}

#[test]
fn only_the_runs_own_mark_is_read() {
    let mut object = run_object("a", "u1", None);
    let mut sent = |text: &str| {
        object["metadata"]["annotations"] = json!({EMITTED: text});
        emitted::read(&parsed(object.clone())).sent
    };
    assert_eq!(sent(r#"{"uid":"u1","sent":["queued","x"]}"#), ["queued", "x"]);
    for text in ["", "queued", "{}", r#"{"uid":"u2","sent":["queued"]}"#, r#"{"uid":"u1","sent":"queued"}"#] {
        assert!(sent(text).is_empty(), "`{text}`");
    }
    assert!(emitted::read(&parsed(run_object("a", "u1", None))).sent.is_empty());
}

fn sent(names: &[&str]) -> emitted::Marks {
    let sent = names.iter().map(|name| (*name).to_owned()).collect();
    emitted::Marks { sent, ..emitted::Marks::default() }
}

#[test]
fn a_mark_is_read_as_it_was_written() {
    let patch = emitted::patch("u1", &sent(&["queued", "started"]));
    assert_eq!(patch["metadata"]["uid"], "u1");
    let mut object = run_object("a", "u1", None);
    object["metadata"]["annotations"] = patch["metadata"]["annotations"].clone();
    assert_eq!(emitted::read(&parsed(object.clone())).sent, ["queued", "started"]);
    let mut over = sent(&["queued", "started", "finished"]);
    over.part.insert("made".to_owned(), BTreeSet::from(["0123456789ab".to_owned()]));
    over.refused.push("started: sink `a` says no".to_owned());
    object["metadata"]["annotations"] = emitted::patch("u1", &over)["metadata"]["annotations"].clone();
    assert_eq!(emitted::read(&parsed(object)), over);
}

#[test]
fn a_run_is_held_without_its_managed_fields() {
    let run = parsed(run_object("a", "u1", None));
    assert!(run.object["metadata"].get("managedFields").is_none() && run.metadata.managed_fields.is_none());
    assert_eq!((run.uid(), run.object["kind"].as_str()), ("u1", Some("PipelineRun")));
    assert!(run.slim().object.is_null() && run.slim().uid() == "u1");
}
