//! Several sinks: each has a progress of its own.

use super::*;

/// Two sinks: `default`, which takes everything, and `other`, which takes nothing for a while.
#[derive(Clone, Default)]
struct Two {
    taken: Arc<Mutex<Vec<String>>>,
    other_is_away: Arc<std::sync::atomic::AtomicBool>,
}

impl Two {
    fn take(&self, attempt: &Attempt) -> Delivered {
        let mut delivered = Delivered::default();
        for sink in ["default", "other"] {
            if attempt.done.contains(sink) {
                continue;
            }
            let is_away = sink == "other" && self.other_is_away.load(Ordering::Relaxed);
            if is_away || attempt.behind.contains(sink) {
                delivered.behind.insert(sink.to_owned());
                delivered.fault = Some(Fault::transient("away", None));
            } else {
                delivered.done.insert(sink.to_owned());
                self.taken.lock().unwrap().push(format!("{sink} {}", attempt.event.id()));
            }
        }
        delivered
    }

    fn watch(&self, api: &Api) -> (Arc<Status>, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
        let config = Config { kinds: vec![RunKind::PipelineRun], ..Config::default() };
        let two = self.clone();
        let watch = RunWatch::new(api.client(), config, transitions, move |attempt| {
            std::future::ready(two.take(&attempt))
        });
        let (stop, stopped) = oneshot::channel();
        let status = watch.status();
        (status, stop, tokio::spawn(watch.run(async move { drop(stopped.await) })))
    }
}

#[tokio::test]
async fn a_sink_that_is_away_makes_no_other_get_an_event_twice_nor_wait() {
    let (api, two) = (Api::default(), Two::default());
    two.other_is_away.store(true, Ordering::Relaxed);
    api.apply(run_object("a", "u1", Some("True")));
    let (status, stop, task) = two.watch(&api);
    until("some tries", || status.failures() >= 2).await;
    let first = ["default u1/queued", "default u1/started", "default u1/finished"];
    assert_eq!(*two.taken.lock().unwrap(), first);
    until("the note", || mark(&api, "a").is_some_and(|mark| mark["part"]["finished"] == json!(["default"])))
        .await;
    stop.send(()).unwrap();
    task.await.unwrap();

    // Another process knows who has what.
    let (_, stop, task) = two.watch(&api);
    two.other_is_away.store(false, Ordering::Relaxed);
    until("the mark", || mark(&api, "a") == Some(all("u1"))).await;
    let taken = two.taken.lock().unwrap().clone();
    assert_eq!(taken[3..], ["other u1/queued", "other u1/started", "other u1/finished"]);
    stop.send(()).unwrap();
    task.await.unwrap();
}
