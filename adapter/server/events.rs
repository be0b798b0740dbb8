//! `POST /` and `POST /events`: CloudEvents in binary, structured and batched mode; `OPTIONS`: the handshake of the
//! CloudEvents webhook specification.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::answer::Answer;
use super::delivery::{self, Head, Room};
use super::gate::Standing;
use super::tls::ClientSubject;
use super::{State, answer, answered, body, shared};
use crate::event::Event;
use crate::event::attribute::shown;
use crate::event::http::{self, Handshake, HandshakeRequest};
use crate::pipeline::{Incoming, Planned, Progress};
use crate::source::events::{Credentials, Denied};
use crate::source::{Headers, Voucher, alias};
use crate::telemetry::metrics::{Authentication, ByRoute, Route};

/// When to come again with a token whose key is not known yet: as soon as the issuer may be asked again.
const KEYS_RETRY: Duration = Duration::from_secs(10);

/// Receives events; acknowledges all of them or none.
pub async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let mut response = answered(&state, Route::events, &request, async {
        let door = state.gate.events();
        // Whoever may come in at all is let in before the body; only then is it known how far.
        let voucher = match admit(&state, &request).await {
            Ok(voucher) => voucher,
            Err(answer) => return answer,
        };
        let standing = if voucher == Voucher::Insecure { Standing::Open } else { Standing::Proved };
        let mut ticket = match state.gate.approach(door, standing) {
            Ok(ticket) => ticket,
            Err(reason) => return body::turn_away(&request, payload, door, reason).await,
        };
        let bounds = &state.bounds;
        let body = match body::read(&request, payload, &mut ticket, bounds.event_body, bounds).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        if let Err(reason) = ticket.enter() {
            return body::no_room(reason, ticket.retry_after());
        }
        let deadline = started + bounds.event_deadline;
        let voucher: Arc<str> = voucher.to_string().into();
        let work = move |state: &State, head: Head<'_>, body, room: &mut Room<'_>| {
            plan(state, head, body, &voucher, room)
        };
        let (_ticket, planned, events) =
            match delivery::evaluate(&state, &request, ticket, body, deadline, work).await {
                Ok(evaluated) => evaluated,
                Err(answer) => return answer,
            };
        let outcome = state.pipeline.execute(&planned, &Progress::default(), deadline).await;
        if outcome.fault().is_none() {
            for event in &events {
                tracing::info!(
                    event_id = event.id,
                    event_source = event.source,
                    event_type = event.ty,
                    created = outcome.created(),
                    duplicates = outcome.existed(),
                    emitted = outcome.sent(),
                    "event accepted"
                );
            }
        }
        outcome.into()
    })
    .await;
    answer::keep_private(&request, &mut response);
    response
}

/// Who vouches for the events of this request; decided before any byte of the body is read.
async fn admit(state: &State, request: &HttpRequest) -> Result<Voucher, Answer> {
    let headers = Head::of(request);
    let credentials = Credentials {
        authorization: headers.get("authorization"),
        query: request.query_string(),
        certificate: request.conn_data::<ClientSubject>().map(|it| it.0.as_str()),
    };
    let admitted = state.event_auth.admit(&credentials).await;
    let by = admitted.as_ref().map_or("none", Voucher::way);
    state.metrics.events_authenticated.get_or_create(&Authentication { by }).inc();
    admitted.map_err(|denied| match denied {
        Denied::Later(_) => Answer::unavailable(denied.to_string(), Some(KEYS_RETRY)),
        Denied::Closed | Denied::Forbidden(_) => Answer::refused(StatusCode::FORBIDDEN, denied.to_string()),
        Denied::Unproved(_) => Answer::refused(StatusCode::UNAUTHORIZED, denied.to_string()),
    })
}

/// An event in the log.
struct Told {
    id: String,
    source: String,
    ty: String,
}

/// From the body to the plan.
fn plan(
    state: &State,
    head: Head<'_>,
    body: Bytes,
    voucher: &Arc<str>,
    room: &mut Room<'_>,
) -> Result<(Planned, Vec<Told>), Answer> {
    let headers = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let came = http::decode(headers, body).map_err(|error| {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        Answer::refused(status, error.to_string())
    })?;
    state.metrics.events_received.get_or_create(&ByRoute { route: Route::events }).inc_by(came.len() as u64);
    if let Some(event) = namesake(&came) {
        tracing::warn!(
            event_id = event.id(),
            event_source = event.source(),
            "two events of a batch have one source and id and are not the same: one of them is dropped"
        );
    }
    // What is put into today's words is read on the way.
    room.for_trees(&came)?;
    let incoming = seen(state, came, voucher);
    for event in &incoming.events {
        (state.hint)(event);
    }
    let planned = state.pipeline.plan(&incoming);
    let told = |event: &Arc<Event>| Told {
        id: shown(event.id()),
        source: shown(event.source()),
        ty: shown(event.ty()),
    };
    Ok((planned, incoming.events.iter().map(told).collect()))
}

/// The first event of a batch whose `source` and `id` an earlier one has that differs: a mistake of the sender, since the
/// two stand for one event.
fn namesake(events: &[Event]) -> Option<&Event> {
    let mut seen = HashMap::with_capacity(events.len());
    events.iter().find(|event| *seen.entry((event.source(), event.id())).or_insert(*event) != *event)
}

/// What the mappings see of the events that came; nothing in an event says who vouched for it.
fn seen(state: &State, came: Vec<Event>, voucher: &Arc<str>) -> Incoming {
    let received = jiff::Timestamp::now();
    let mut incoming = Incoming::default();
    for event in came {
        let events = shared(alias::events(event, &state.options, received), voucher);
        // What another one stands for is announced as if the forge's webhook had told it.
        if let Some(from) = state.announce_from {
            incoming.announced.extend(events.iter().skip(1 + from).cloned());
        }
        incoming.events.extend(events);
    }
    incoming
}

/// Grants or refuses a sender's wish to deliver here (CloudEvents webhooks 1.0, section 4).
pub async fn options(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let wish = HandshakeRequest {
        origin: answer::header(&request, "webhook-request-origin"),
        rate: answer::header(&request, "webhook-request-rate"),
    };
    match http::handshake(&wish, &state.origins) {
        Handshake::Granted(headers) => {
            let mut response = HttpResponse::Ok();
            for (name, value) in headers {
                response.insert_header((name, value));
            }
            response.finish()
        }
        Handshake::Refused => answer::wrong_method("POST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_events_of_one_source_and_id_are_told_apart_by_what_they_say() {
        let event = |source: &str, id: &str, json: &'static str| {
            Event::builder(id, source, "t").json(json).build().unwrap()
        };
        let one = || event("/a", "1", "{}");
        assert_eq!(namesake(&[]), None);
        assert_eq!(namesake(&[one(), one(), event("/a", "2", "[]"), event("/b", "1", "[]")]), None);
        let batch = [one(), event("/a", "2", "{}"), event("/a", "1", "[]")];
        assert_eq!(namesake(&batch), batch.last());
    }
}
