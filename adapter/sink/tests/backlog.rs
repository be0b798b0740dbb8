//! Bounds on what waits for one sink.

use futures::future::join_all;

use super::*;

#[tokio::test]
async fn no_more_requests_than_allowed_are_in_flight_and_all_are_taken() {
    let server = Server::start([Answer::Late(Duration::from_millis(5))]).await;
    let sinks = sinks(SinkSpec { max_in_flight: 2, ..quick(&server.url()) });
    let metrics = Metrics::new();
    let sinks = sinks.measured(&metrics);
    let peak = async {
        let mut peak = 0;
        loop {
            let labels = crate::telemetry::metrics::BySink { sink: "out".to_owned() };
            peak = peak.max(metrics.sink_in_flight.get_or_create(&labels).get());
            if server.received().len() >= 40 {
                return peak;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let events = (0..40).map(|_| event()).collect::<Vec<_>>();
    let (results, peak) =
        tokio::join!(join_all(events.iter().map(|event| sinks.send("out", event, soon()))), peak);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(peak, 2);
    let text = metrics.encode();
    for line in [
        "sink_inflight{sink=\"out\"} 0",
        "sink_waiting{sink=\"out\"} 0",
        "sink_refusals_total{sink=\"out\"} 0",
    ] {
        assert!(text.contains(&format!("pipewright_{line}\n")), "{text}");
    }
}

#[tokio::test]
async fn beyond_the_bound_a_delivery_is_refused_at_once_and_may_come_again() {
    let server = Server::start([Answer::Late(Duration::from_millis(100))]).await;
    let letters = Server::start([]).await;
    let mut spec = SinkSpec { max_in_flight: 1, max_waiting: 2, ..quick(&server.url()) };
    spec.delivery.dead_letter_sink = Some(Destination::Url(letters.url().parse().unwrap()));
    let metrics = Metrics::new();
    let sinks = sinks(spec).measured(&metrics);
    let events = (0..5).map(|_| event()).collect::<Vec<_>>();
    let results = join_all(events.iter().map(|event| sinks.send("out", event, soon()))).await;
    let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 2);
    for error in refused {
        let SendError::Transient { attempts: 0, retry_after: Some(wait), reason, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(wait, Duration::from_secs(1));
        assert_eq!(reason, "3 deliveries to it are under way already");
    }
    assert_eq!(server.received().len(), 3);
    assert!(letters.received().is_empty(), "the sink has refused nothing");
    assert!(
        metrics.encode().contains("pipewright_sink_refusals_total{sink=\"out\"} 2"),
        "{}",
        metrics.encode()
    );
}

#[tokio::test]
async fn a_sink_that_answers_nothing_soon_holds_few_and_lets_the_rest_go() {
    let server = Server::start([Answer::Late(Duration::from_secs(4))]).await;
    let mut spec = SinkSpec { max_in_flight: 4, ..quick(&server.url()) };
    spec.delivery.timeout = IsoDuration(Duration::from_secs(10));
    let sinks = Arc::new(sinks(spec));
    let task = |sinks: &Arc<Sinks>| {
        let sinks = sinks.clone();
        tokio::spawn(async move { sinks.send("out", &event(), soon()).await })
    };
    let mut first: Vec<_> = (0..8).map(|_| task(&sinks)).collect();
    // Four are in flight; the others wait until it is clear that the sink stalls, not until their deadline.
    let mut refused = 0;
    while refused < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        for index in (0..first.len()).rev() {
            if first[index].is_finished() {
                let error = first.swap_remove(index).await.unwrap().unwrap_err();
                assert!(error.to_string().contains("it has answered none for 1 s"), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(server.received().len(), 4);
    let error = sinks.send("out", &event(), soon()).await.unwrap_err();
    assert!(error.to_string().contains("it has taken nothing for 1 s, and 4 deliveries wait"), "{error}");
    for held in first {
        held.await.unwrap().unwrap();
    }
    // It has worked.
    let again = tokio::time::timeout(Duration::from_millis(500), sinks.send("out", &event(), soon())).await;
    assert!(again.is_err(), "taken on, and on its way: {again:?}");
}
