//! Dead letters: what goes to the dead letter sink, and what does not.

use super::*;

fn reference(name: &str) -> Destination {
    Destination::Sink(name.to_owned())
}

/// A sink `out` whose dead letters go to the URL `letters`.
fn with_letters(server: &Server, letters: &Server) -> Sinks {
    let mut spec = quick(&server.url());
    spec.delivery.dead_letter_sink = Some(Destination::Url(letters.url().parse().unwrap()));
    sinks(spec)
}

fn tree(received: &Received) -> serde_json::Value {
    serde_json::from_slice(&received.body).unwrap()
}

#[tokio::test]
async fn an_event_that_is_refused_for_good_goes_to_the_dead_letter_sink() {
    let server = Server::start([Answer::Body(422, "no such branch".to_owned())]).await;
    let letters = Server::start([Answer::Status(503)]).await;
    let receipt = with_letters(&server, &letters).send("out", &event(), soon()).await.unwrap();
    assert_eq!((receipt.attempts, receipt.status), (2, 202));
    let letter = receipt.dead_letter.unwrap();
    assert_eq!((letter.sink.as_str(), letter.attempts), ("out/dead-letter", 1));
    assert_eq!(letter.reason, "it answered 422 Unprocessable Entity: no such branch");
    let tree = tree(&letters.received()[1]);
    assert_eq!((&tree["id"], &tree["source"]), (&"4711".into(), &"/tests".into()));
    assert_eq!(tree["knativeerrordest"], format!("http://{}/in", server.address));
    assert_eq!(tree["knativeerrorcode"], 422);
    assert_eq!(tree["knativeerrordata"], "bm8gc3VjaCBicmFuY2g=");
    assert_eq!(tree["data"], serde_json::json!({"b": 1, "a": [1.0, 2]}));
}

#[tokio::test]
async fn an_event_whose_retries_are_used_up_goes_there_too() {
    let server = Server::start(vec![Answer::Status(500); 3]).await;
    let letters = Server::start([]).await;
    let receipt = with_letters(&server, &letters).send("out", &event(), soon()).await.unwrap();
    assert_eq!(receipt.dead_letter.unwrap().attempts, 3);
    assert_eq!(tree(&letters.received()[0])["knativeerrorcode"], 500);
    assert_eq!(tree(&letters.received()[0])["knativeerrordata"], "");
}

#[tokio::test]
async fn a_deadline_that_ends_the_retries_leaves_the_event_with_its_sender() {
    let letters = Server::start([]).await;
    let wait = Answer::Headers(503, vec![("retry-after", "30".to_owned())]);
    let server = Server::start([wait]).await;
    let sinks = with_letters(&server, &letters);
    let error = sinks.send("out", &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { attempts: 1, .. }), "{error:?}");

    // The last attempt, cut short.
    let server = Server::start([Answer::Never]).await;
    let mut spec = quick(&server.url());
    spec.delivery.retry = 0;
    spec.delivery.timeout = IsoDuration(Duration::from_secs(30));
    spec.delivery.dead_letter_sink = Some(Destination::Url(letters.url().parse().unwrap()));
    let deadline = Instant::now() + Duration::from_millis(100);
    let error = super::sinks(spec).send("out", &event(), deadline).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { attempts: 1, .. }), "{error:?}");
    assert!(letters.received().is_empty());
}

#[tokio::test]
async fn a_dead_letter_sink_that_is_down_leaves_the_event_with_its_sender_until_it_is_up() {
    let server = Server::start([Answer::Refuse(400, "4711")]).await;
    let letters = Server::start(vec![Answer::Status(503); 3]).await;
    let sinks = with_letters(&server, &letters);
    let error = sinks.send("out", &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("400 Bad Request; its dead letter sink `out/dead-letter`: it answered 503"),
        "{text}"
    );
    sinks.send("out", &event(), soon()).await.unwrap();

    // Refused there for good, too: what the sink itself said decides.
    let letters = Server::start([Answer::Refuse(400, "4711")]).await;
    let error = with_letters(&server, &letters).send("out", &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Permanent { status: Some(400), .. }), "{error:?}");
    let server = Server::start([Answer::Refuse(500, "4711")]).await;
    let error = with_letters(&server, &letters).send("out", &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Transient { status: Some(500), .. }), "{error:?}");
}

#[tokio::test]
async fn letters_to_another_sink_go_by_its_own_settings_and_there_they_end() {
    let server = Server::start([Answer::Refuse(400, "4711")]).await;
    let letters = Server::start([Answer::Refuse(422, "4711")]).await;
    let named = |name: &str, server: &Server, next: &str| {
        let mut spec = quick(&server.url());
        spec.headers = serde_json::from_value(serde_json::json!({"x-sink": name})).unwrap();
        spec.delivery.dead_letter_sink = Some(reference(next));
        (name.to_owned(), spec)
    };
    // A circle at sight; each step is taken once.
    let specs = [named("a", &server, "b"), named("b", &letters, "a")];
    let sinks = Sinks::new(&Environment::default(), specs).unwrap();
    let error = sinks.send("a", &event(), soon()).await.unwrap_err();
    assert!(matches!(error, SendError::Permanent { status: Some(400), .. }), "{error:?}");
    assert_eq!((server.received().len(), letters.received().len()), (1, 1));
    assert_eq!(letters.received()[0].headers["x-sink"], "b");
}

#[tokio::test]
async fn a_receiver_in_this_process_takes_letters_too() {
    struct Kept(Mutex<Vec<String>>);
    impl Receive for Kept {
        fn receive(&self, event: &Event) {
            self.0.lock().unwrap().push(event.attribute("knativeerrorcode").unwrap().into_owned());
        }
    }
    let server = Server::start([Answer::Status(400)]).await;
    let mut spec = quick(&server.url());
    spec.delivery.dead_letter_sink = Some(reference(DEFAULT));
    let kept = Arc::new(Kept(Mutex::default()));
    let sinks = sinks(spec).with_receiver(DEFAULT, kept.clone());
    let receipt = sinks.send("out", &event(), soon()).await.unwrap();
    assert_eq!(receipt.dead_letter.unwrap().sink, DEFAULT);
    assert_eq!(*kept.0.lock().unwrap(), ["400"]);
}

#[test]
fn a_dead_letter_sink_that_cannot_be_is_refused_at_the_start() {
    let spec = |destination: Destination| {
        let mut spec = quick("http://127.0.0.1:1/");
        spec.delivery.dead_letter_sink = Some(destination);
        spec
    };
    for (destination, reason) in [
        (Destination::Sink("out".to_owned()), "sink `out`: `deadLetterSink` is the sink itself"),
        (Destination::Sink("gone".to_owned()), "`deadLetterSink` names the sink `gone`, and there is none"),
        (
            Destination::Url("http://127.0.0.1:1/".parse().unwrap()),
            "`deadLetterSink` is the sink's own `url`",
        ),
    ] {
        let error = Sinks::new(&Environment::default(), [("out".to_owned(), spec(destination))]).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
