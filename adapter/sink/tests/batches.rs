//! Batches: who travels together, and what each gets.

use futures::future::join_all;

use super::*;

fn batched(url: &str, max_events: usize, linger: Duration) -> SinkSpec {
    SinkSpec { batch: Some(Batch { max_events, linger: IsoDuration(linger) }), ..quick(url) }
}

fn numbered(ids: impl IntoIterator<Item = usize>) -> Vec<Event> {
    let event = |id: usize| {
        let builder = Event::builder(format!("e{id}"), "/tests", "t");
        builder.json(format!("{{\"number\":{id}}}")).build().unwrap()
    };
    ids.into_iter().map(event).collect()
}

async fn send_all(sinks: &Sinks, events: &[Event]) -> Vec<Result<Receipt, SendError>> {
    join_all(events.iter().map(|event| sinks.send("out", event, soon()))).await
}

/// The ids of each request.
fn batches(server: &Server) -> Vec<Vec<String>> {
    let ids = |received: &Received| {
        let trees: Vec<serde_json::Value> = serde_json::from_slice(&received.body).unwrap();
        trees.iter().map(|tree| tree["id"].as_str().unwrap().to_owned()).collect()
    };
    server.received().iter().map(ids).collect()
}

#[tokio::test]
async fn what_waits_at_the_same_moment_goes_in_one_request() {
    let server = Server::start([]).await;
    let sinks = sinks(batched(&server.url(), 32, Duration::from_millis(50)));
    let events = numbered(0..10);
    for receipt in send_all(&sinks, &events).await {
        assert_eq!(receipt.unwrap().attempts, 1);
    }
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].headers["content-type"], "application/cloudevents-batch+json; charset=utf-8");
    let headers = [("content-type", received[0].headers["content-type"].as_bytes())];
    assert_eq!(crate::event::http::decode(headers, received[0].body.clone()).unwrap(), events);
}

#[tokio::test]
async fn a_full_batch_waits_no_longer() {
    let server = Server::start([]).await;
    let sinks = sinks(batched(&server.url(), 4, Duration::from_secs(1)));
    let start = Instant::now();
    for _ in 0..10 {
        assert!(send_all(&sinks, &numbered(0..8)).await.iter().all(Result::is_ok));
    }
    assert_eq!(batches(&server).iter().map(Vec::len).collect::<Vec<_>>(), [4; 20]);
    // Ten times two lingers would be twenty seconds.
    assert!(start.elapsed() < Duration::from_secs(9), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_batch_is_bounded_in_bytes_and_what_is_larger_goes_alone() {
    let server = Server::start([]).await;
    let sinks = sinks(batched(&server.url(), 32, Duration::from_millis(50)));
    let sized = |id: &str, bytes: usize| {
        let json = format!("\"{}\"", "x".repeat(bytes));
        Event::builder(id, "/tests", "t").json(json).build().unwrap()
    };
    let events = [
        sized("a", 400_000),
        sized("b", 400_000),
        sized("c", 400_000),
        sized("d", 2_000_000),
        sized("e", 10),
    ];
    assert!(send_all(&sinks, &events).await.iter().all(Result::is_ok));
    let mut batches = batches(&server);
    batches.sort();
    assert_eq!(batches, [vec!["a", "b"], vec!["c"], vec!["d"], vec!["e"]]);
}

#[tokio::test]
async fn one_bad_event_does_not_condemn_the_others() {
    let server = Server::start([Answer::Refuse(422, "\"number\":2}")]).await;
    let letters = Server::start([]).await;
    let mut spec = batched(&server.url(), 32, Duration::from_millis(50));
    let results = send_all(&sinks(spec.clone()), &numbered(0..4)).await;
    for (id, result) in results.into_iter().enumerate() {
        match result {
            Ok(receipt) => assert!(id != 2 && receipt.attempts == 2, "{id}: {receipt:?}"),
            Err(error) => {
                assert_eq!(id, 2);
                assert!(matches!(error, SendError::Permanent { status: Some(422), .. }), "{error:?}");
            }
        }
    }
    let mut seen = batches(&server);
    assert_eq!(seen.remove(0), ["e0", "e1", "e2", "e3"]);
    seen.sort();
    assert_eq!(seen, [["e0"], ["e1"], ["e2"], ["e3"]]);

    spec.delivery.dead_letter_sink = Some(Destination::Url(letters.url().parse().unwrap()));
    assert!(send_all(&sinks(spec), &numbered(0..4)).await.iter().all(Result::is_ok));
    assert_eq!(letters.ids(), ["e2"]);
}

#[tokio::test]
async fn retries_send_the_same_bytes() {
    let server = Server::start([Answer::Status(503), Answer::Close]).await;
    let sinks = sinks(batched(&server.url(), 32, Duration::from_millis(20)));
    for receipt in send_all(&sinks, &numbered(0..3)).await {
        assert_eq!(receipt.unwrap().attempts, 3);
    }
    let received = server.received();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|it| it.body == received[0].body));
}

#[tokio::test]
async fn whoever_goes_away_takes_nothing_from_the_others() {
    let server = Server::start([]).await;
    let sinks = sinks(batched(&server.url(), 32, Duration::from_millis(200)));
    let events = numbered(0..3);
    let first = sinks.send("out", &events[0], soon());
    // The first opens the batch and is gone before it leaves.
    assert!(tokio::time::timeout(Duration::from_millis(20), first).await.is_err());
    assert!(send_all(&sinks, &events[1..]).await.iter().all(Result::is_ok));
    assert_eq!(batches(&server), [["e1", "e2"]]);
}

#[tokio::test]
async fn a_deadline_ends_the_wait_of_its_own_event_only() {
    let server = Server::start([Answer::Late(Duration::from_millis(250))]).await;
    let sinks = sinks(batched(&server.url(), 2, Duration::from_secs(1)));
    let events = numbered(0..2);
    let (hasty, patient) = tokio::join!(
        sinks.send("out", &events[0], Instant::now() + Duration::from_millis(50)),
        sinks.send("out", &events[1], soon())
    );
    assert!(matches!(hasty, Err(SendError::Transient { .. })), "{hasty:?}");
    patient.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[test]
fn a_batch_in_binary_mode_is_refused_at_the_start() {
    let spec = SinkSpec { mode: Mode::Binary, ..batched("http://a/", 2, Duration::ZERO) };
    let error = Sinks::new(&Environment::default(), [("out".to_owned(), spec)]).unwrap_err().to_string();
    assert!(error.contains("sink `out`: `batch` needs `mode: structured`"), "{error}");
}
