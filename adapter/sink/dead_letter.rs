//! Where events go that a sink did not take: Knative's `deadLetterSink`, and the attributes of a dead letter.

use std::collections::BTreeMap;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::http::{Accepted, Common, Refusal, Token, Verdict};
use super::spec::{Delivery, Destination, SinkSpec, SinkUrl};
use super::target::HttpTarget;
use super::{DEFAULT, DeadLetter, Receipt, SendError, Sinks, Target};
use crate::event::{AttributeError, Event};

/// The most characters of base64 text in `knativeerrordata`, as in Knative.
const MAX_DATA: usize = 1024;
/// The code of a delivery that was never answered, as in Knative.
const NO_ANSWER: i32 = 500;

/// Where a sink's dead letters go. Only the events of that sink: what is refused there has no further place.
pub(super) enum Letters {
    /// Another sink.
    Named(String),
    /// An address of its own.
    Own(HttpTarget),
}

/// Why an event became a dead letter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause<'a> {
    /// The sink that did not take it.
    pub(super) destination: &'a SinkUrl,
    /// Its last answer; `None` when it gave none.
    pub(super) status: Option<u16>,
    /// The body of that answer, or what went wrong instead.
    pub(super) data: &'a [u8],
}

// === impl Letters ===

impl Letters {
    pub(super) fn new(
        name: &str,
        spec: &SinkSpec,
        named: &BTreeMap<String, SinkSpec>,
        common: &Common,
    ) -> Result<Option<Self>, String> {
        match &spec.delivery.dead_letter_sink {
            None => Ok(None),
            Some(Destination::Sink(other)) if other == name => {
                Err("`deadLetterSink` is the sink itself; name another".to_owned())
            }
            // The platform may give the default sink, or a receiver in this process may be it.
            Some(Destination::Sink(other)) if other == DEFAULT || named.contains_key(other) => {
                Ok(Some(Self::Named(other.clone())))
            }
            Some(Destination::Sink(other)) => Err(format!(
                "`deadLetterSink` names the sink `{other}`, and there is none; add a document of kind `Sink` with \
                 this name"
            )),
            Some(Destination::Url(url)) if *url == spec.url => {
                Err("`deadLetterSink` is the sink's own `url`; name another place".to_owned())
            }
            Some(Destination::Url(url)) => {
                // Tried as hard as the sink itself, without its headers and token, which are for that sink.
                let mut own = SinkSpec::new(url.clone());
                own.delivery = Delivery { dead_letter_sink: None, ..spec.delivery.clone() };
                let own = HttpTarget::new(&format!("{name}/dead-letter"), &own, Token::None, common)
                    .map_err(|reason| format!("`deadLetterSink`: {reason}"))?;
                Ok(Some(Self::Own(own)))
            }
        }
    }
}

// === impl Sinks ===

impl Sinks {
    /// Sends the event as a dead letter.
    pub(super) async fn bury(
        &self,
        event: &Event,
        sink: &HttpTarget,
        refusal: Refusal,
        letters: &Letters,
        start: Instant,
        deadline: Instant,
    ) -> Result<Receipt, SendError> {
        let unanswered = || format!("dispatch error: {}", refusal.reason).into_bytes();
        let data = if refusal.status.is_some() { refusal.answer.clone() } else { unanswered() };
        let cause =
            Cause { destination: sink.url(), status: refusal.status.map(|it| it.as_u16()), data: &data };
        let Ok(letter) = letter(event, cause) else {
            return Err(refusal.into_error(sink.name()));
        };
        let target = match letters {
            Letters::Own(own) => own,
            Letters::Named(name) => match self.targets.get(name) {
                // Its own dead letter sink is left alone: there are no chains, and no circles.
                Some(Target::Http { sink, .. }) => sink,
                Some(Target::InProcess(receiver)) => {
                    receiver.receive(&letter);
                    return Ok(Receipt::buried(1, 202, start, name, refusal));
                }
                None => return Err(refusal.into_error(sink.name())),
            },
        };
        match target.send(&letter, deadline).await {
            Ok(Accepted { attempts, status }) => {
                Ok(Receipt::buried(attempts, status.as_u16(), start, target.name(), refusal))
            }
            Err(second) => {
                // It may work later if either may.
                let verdict = if second.verdict == Verdict::Never { refusal.verdict } else { Verdict::Later };
                let reason = format!(
                    "{}; its dead letter sink `{}`: {}",
                    refusal.reason,
                    target.name(),
                    second.reason
                );
                let retry_after = second.retry_after.or(refusal.retry_after);
                Err(Refusal { verdict, retry_after, reason, ..refusal }.into_error(sink.name()))
            }
        }
    }
}

// === impl Receipt ===

impl Receipt {
    fn buried(attempts: u32, status: u16, start: Instant, sink: &str, refusal: Refusal) -> Self {
        let letter = DeadLetter { sink: sink.to_owned(), attempts: refusal.attempts, reason: refusal.reason };
        Self { attempts, status, elapsed: start.elapsed(), dead_letter: Some(Box::new(letter)) }
    }
}

/// The event with the three attributes of Knative's dead letters, in place of those that an earlier death left. Id and
/// source stay, so that a letter that is sent again means the same event.
fn letter(event: &Event, cause: Cause<'_>) -> Result<Event, AttributeError> {
    let data = &cause.data[..cause.data.len().min(MAX_DATA / 4 * 3)];
    event
        .to_builder()
        // Without its query, which may hold a key.
        .extension("knativeerrordest", cause.destination.to_string())
        .extension("knativeerrorcode", cause.status.map_or(NO_ANSWER, i32::from))
        .extension("knativeerrordata", STANDARD.encode(data))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_says_where_the_event_died_and_of_what_and_a_second_death_replaces_the_first() {
        let event = Event::builder("1", "/s", "t").extension("chain", "c").build().unwrap();
        let first: SinkUrl = "http://broker/in?key=hush".parse().unwrap();
        let cause = Cause { destination: &first, status: Some(422), data: b"no such branch" };
        let once = letter(&event, cause).unwrap();
        assert_eq!(once.attribute("knativeerrordest").as_deref(), Some("http://broker/in"));
        assert_eq!(once.attribute("knativeerrorcode").as_deref(), Some("422"));
        assert_eq!(once.attribute("knativeerrordata").as_deref(), Some("bm8gc3VjaCBicmFuY2g="));
        assert_eq!((once.id(), once.source(), once.ty()), ("1", "/s", "t"));
        assert_eq!(once.attribute("chain").as_deref(), Some("c"));

        let second: SinkUrl = "https://other/".parse().unwrap();
        let cause = Cause { destination: &second, status: None, data: b"" };
        let twice = letter(&once, cause).unwrap();
        assert_eq!(twice.attribute("knativeerrordest").as_deref(), Some("https://other/"));
        assert_eq!(twice.attribute("knativeerrorcode").as_deref(), Some("500"));
        assert_eq!(twice.attribute("knativeerrordata").as_deref(), Some(""));
    }

    #[test]
    fn the_data_is_cut_after_1024_characters_of_base64() {
        let url: SinkUrl = "http://a/".parse().unwrap();
        let event = Event::builder("1", "/s", "t").build().unwrap();
        for (length, characters) in [(0, 0), (1, 4), (767, 1024), (768, 1024), (5000, 1024)] {
            let data = vec![b'x'; length];
            let letter = letter(&event, Cause { destination: &url, status: Some(400), data: &data }).unwrap();
            let text = letter.attribute("knativeerrordata").unwrap().into_owned();
            assert_eq!(text.len(), characters, "{length}");
            assert!(STANDARD.encode(&data).starts_with(&text));
        }
    }
}
