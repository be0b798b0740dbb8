//! A request from its body to its plan: where that is done, and the memory that it takes until the trees are gone.

use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderValue};
use actix_web::{HttpRequest, web};
use bytes::Bytes;

use super::answer::Answer;
use super::evaluation::{Evaluation, NoResult, USUAL, is_usual};
use super::gate::{Standing, Ticket};
use super::{State, body};
use crate::event::Event;
use crate::event::json::weight;
use crate::pipeline::Planned;
use crate::source::{Field, Headers, Webhook};
use crate::telemetry::metrics::ShedReason;

/// How long a large delivery waits for memory, at most.
const WAIT: Duration = Duration::from_millis(1500);
/// How often it is looked whether there is some.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// A plan with less in it is not worth counting.
const SMALL_PLAN: usize = 64 * 1024;

/// What of a forge's payload is read into structures, which borrow its texts: one value in so many.
const PART_READ: usize = 4;

/// The head of a request.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    pub(super) headers: &'a HeaderMap,
    query: &'a str,
}

/// The memory for what is made of a body until there is a plan.
pub(super) struct Room<'a> {
    ticket: &'a mut Ticket,
    /// Whether what any usual delivery needs is reserved, so that nothing has to be weighed.
    is_usual: bool,
    /// Reserved until there is a plan.
    trees: usize,
    /// As long as that it waits for room.
    until: Instant,
    /// Where that is: who proves nothing waits only while nobody else wants the thread.
    evaluation: &'a Evaluation,
}

/// Has `work` done, which goes from a body to a plan: here for a usual body, else on one of the threads for large ones.
/// What it reserved is given back then, and what the plan holds is counted.
///
/// # Errors
/// That of `work`; 429 when there is no room.
pub(super) async fn evaluate<T: Send + 'static>(
    state: &web::Data<State>,
    request: &HttpRequest,
    mut ticket: Ticket,
    body: Bytes,
    deadline: Instant,
    work: impl FnOnce(&State, Head<'_>, Bytes, &mut Room<'_>) -> Result<(Planned, T), Answer> + Send + 'static,
) -> Result<(Ticket, Planned, T), Answer> {
    if is_usual(&body) && ticket.try_reserve(USUAL) {
        let evaluation = &state.evaluation;
        let mut room =
            Room { ticket: &mut ticket, is_usual: true, trees: USUAL, until: deadline, evaluation };
        let (planned, told) = work(state, Head::of(request), body, &mut room)?;
        room.end(&planned);
        return Ok((ticket, planned, told));
    }
    let (standing, door) = (ticket.standing(), ticket.door());
    let (headers, query) = (request.headers().clone(), request.query_string().to_owned());
    let shared = state.clone();
    let evaluated = state.evaluation.run(standing, move || {
        if Instant::now() >= deadline {
            return Err(Answer::unavailable("the evaluation could not begin in time; try again", None));
        }
        let until = deadline.min(Instant::now() + WAIT);
        let evaluation = &shared.evaluation;
        let mut room = Room { ticket: &mut ticket, is_usual: false, trees: 0, until, evaluation };
        let head = Head { headers: &headers, query: &query };
        let (planned, told) = work(&shared, head, body, &mut room)?;
        room.end(&planned);
        Ok((ticket, planned, told))
    });
    match evaluated.await {
        Ok(result) => result,
        Err(NoResult::Bug) => Err(Answer::bug()),
        Err(NoResult::Busy) => {
            let reason = state.gate.shed(&door, ShedReason::evaluation);
            Err(body::no_room(reason, door.retry_after()))
        }
    }
}

// === impl Head ===

impl<'a> Head<'a> {
    pub(super) fn of(request: &'a HttpRequest) -> Self {
        Self { headers: request.headers(), query: request.query_string() }
    }
}

impl Headers for Head<'_> {
    fn get(&self, name: &str) -> Field<'_> {
        Field::of(self.headers.get_all(name).map(HeaderValue::as_bytes))
    }

    fn query(&self) -> &str {
        self.query
    }
}

// === impl Room ===

impl Room<'_> {
    /// The ticket of the request.
    pub(super) fn ticket(&mut self) -> &mut Ticket {
        self.ticket
    }

    /// Takes a place inside.
    ///
    /// # Errors
    /// 429 when there is none.
    pub(super) fn enter(&mut self) -> Result<(), Answer> {
        self.ticket.enter().map_err(|reason| body::no_room(reason, self.ticket.retry_after()))
    }

    /// Makes room for the tree of XML, from which the JSON of an event is made.
    ///
    /// # Errors
    /// 413 or 429 when there is none.
    pub(super) fn for_document(&mut self, head: Head<'_>, body: &[u8]) -> Result<(), Answer> {
        let is_xml = || {
            let kind = head.get("content-type").bytes();
            kind.is_some_and(|it| it.windows(3).any(|letters| letters.eq_ignore_ascii_case(b"xml")))
        };
        if self.is_usual || !is_xml() {
            return Ok(());
        }
        self.reserve(weight::of_xml(body))
    }

    /// Makes room for what a forge's payload is read into: of what is wanted of it, which is little.
    ///
    /// # Errors
    /// 413 when there are too many values in it for its size, or when it could never be held; 429 when there is no room.
    pub(super) fn for_payload(&mut self, webhook: &Webhook) -> Result<(), Answer> {
        if self.is_usual {
            return Ok(());
        }
        let length = webhook.body.len();
        let weight = weight::check_text(&webhook.body).map_err(too_heavy)?;
        self.reserve(weight.saturating_sub(length) / PART_READ)
    }

    /// Makes room for the largest tree of these events, and for what mappings copy of it; one is there at a time.
    ///
    /// # Errors
    /// 413 when an event has too many values for its size, or when they could never be held; 429 when there is no room.
    pub(super) fn for_trees<'e>(
        &mut self,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Result<(), Answer> {
        if self.is_usual {
            return Ok(());
        }
        let mut largest = 0;
        for event in events {
            largest = largest.max(weight::check(event).map_err(too_heavy)?);
        }
        self.reserve(weight::at_work(largest))
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Answer> {
        // On a thread of its own; the evaluation beside this one is soon over, and its trees are gone then.
        while self.ticket.could_reserve(bytes) && Instant::now() < self.until && !self.is_in_the_way() {
            if self.ticket.try_reserve(bytes) {
                self.trees += bytes;
                return Ok(());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        self.ticket.reserve(bytes).map_err(|reason| body::no_room(reason, self.ticket.retry_after()))?;
        self.trees += bytes;
        Ok(())
    }

    /// Whether a sender that proves nothing waits on a thread that a known one wants.
    fn is_in_the_way(&self) -> bool {
        self.ticket.standing() == Standing::Open && self.evaluation.is_wanted()
    }

    /// There is a plan, and no tree any more.
    fn end(self, planned: &Planned) {
        self.ticket.release(self.trees);
        if planned.size() > SMALL_PLAN {
            self.ticket.charge(planned.size());
        }
    }
}

fn too_heavy(reason: weight::TooHeavy) -> Answer {
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the event is refused: {reason}"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::server::gate::{Bounds, Gate};
    use crate::telemetry::Metrics;

    const LONG: Duration = Duration::from_hours(1);

    #[tokio::test(flavor = "multi_thread")]
    async fn who_proves_nothing_waits_for_memory_only_while_no_known_sender_wants_the_thread() {
        let bounds = Bounds { requests: 10, bytes: 1000, open_share: 100, source_share: 100 };
        let gate = Gate::new(bounds, true, [], Metrics::new());
        let ticket = || gate.approach(gate.events(), Standing::Open).unwrap();
        let mut held = ticket();
        held.reserve(600).unwrap();
        let evaluation = Evaluation::start().unwrap();
        let (told, has_ended) = mpsc::channel();
        // More than there are threads, none of which finds memory.
        let strangers: Vec<_> = (0..4)
            .map(|_| {
                let (here, mut ticket, told) = (evaluation.clone(), ticket(), told.clone());
                let wait = move || {
                    let until = Instant::now() + LONG;
                    let (ticket, evaluation) = (&mut ticket, &here);
                    let mut room = Room { ticket, is_usual: false, trees: 0, until, evaluation };
                    told.send(room.reserve(500).is_ok()).unwrap();
                };
                let evaluation = evaluation.clone();
                tokio::spawn(async move { evaluation.run(Standing::Open, wait).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(has_ended.try_recv().is_err(), "they wait");
        let known = tokio::time::timeout(Duration::from_secs(30), evaluation.run(Standing::Proved, || 7));
        assert_eq!(known.await, Ok(Ok(7)));
        assert_eq!(has_ended.recv(), Ok(false));
        // And whoever still waits gets it when it is there.
        drop(held);
        for stranger in strangers {
            assert_eq!(stranger.await.unwrap(), Ok(()));
        }
        drop(told);
        assert!(has_ended.iter().any(|it| it));
    }
}
