//! `POST /webhooks/{source}`: the delivery of a forge, or of any other sender.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::answer::{Answer, Effects};
use super::delivery::{self, Head, Room};
use super::gate::Standing;
use super::{State, answer, answered, body, peer, shared};
use crate::event::attribute::shown;
use crate::pipeline::{Incoming, Outcome, Planned, Progress};
use crate::source::{
    Authenticated, Cost, Delivery, Field, Headers, Misfit, PayloadError, Rejection, Source, Webhook,
};
use crate::telemetry::metrics::{ByCost, ByRoute, OfSource, Route, Signature};

/// A delivery in the log.
struct Told {
    delivery: String,
    event: String,
    events: usize,
}

/// Receives one delivery: bounded read, signature, events, plan, effects, answer.
pub async fn receive(request: HttpRequest, payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let started = Instant::now();
    let mut response = answered(&state, Route::webhook, &request, async {
        let name = request.match_info().as_str().rsplit('/').next().unwrap_or_default().to_owned();
        let (Some(source), Some(door)) = (state.sources.get(&name), state.gate.source(&name)) else {
            return unknown(&state, &request, &name);
        };
        if Head::of(&request).get("authorization") == Field::Repeated {
            let text = "header `authorization` appears twice: send it once";
            return Answer::refused(StatusCode::UNAUTHORIZED, text);
        }
        let standing = if source.is_insecure() { Standing::Open } else { Standing::Unproved };
        let mut ticket = match state.gate.approach(door, standing) {
            Ok(ticket) => ticket,
            Err(reason) => return body::turn_away(&request, payload, door, reason).await,
        };
        let bounds = &state.bounds;
        let body = match body::read(&request, payload, &mut ticket, bounds.webhook_body, bounds).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        let deadline = started + bounds.webhook_deadline;
        let of = name.clone();
        let work = move |state: &State, head: Head<'_>, body, room: &mut Room<'_>| {
            plan(state, &of, head, body, room)
        };
        let (_ticket, planned, told) =
            match delivery::evaluate(&state, &request, ticket, body, deadline, work).await {
                Ok(evaluated) => evaluated,
                Err(answer) => return answer,
            };
        let outcome = state.pipeline.execute(&planned, &Progress::default(), deadline).await;
        if outcome.fault().is_none() {
            log_accepted(&name, &told, &outcome);
        }
        // A forge reads no event in an answer.
        Outcome { reply: None, ..outcome }.into()
    })
    .await;
    answer::keep_private(&request, &mut response);
    response
}

/// From the body to the plan: a place inside is taken when the sender is known.
fn plan(
    state: &State,
    name: &str,
    head: Head<'_>,
    body: Bytes,
    room: &mut Room<'_>,
) -> Result<(Planned, Told), Answer> {
    let Some(source) = state.sources.get(name) else { return Err(Answer::bug()) };
    let received = jiff::Timestamp::now();
    let authenticated = source.authenticate(&head, &body);
    count_signature(state, source, &authenticated);
    authenticated.map_err(|rejection| refuse(&rejection))?;
    room.ticket().prove();
    room.enter()?;
    room.for_document(head, &body)?;
    let delivery = source.read(&head, body, received).map_err(|rejection| refuse(&rejection))?;
    let (events, delivery, event) = match delivery {
        Delivery::Webhook(webhook) => {
            room.for_payload(&webhook)?;
            let reading = source.told(&webhook).map_err(|error| unreadable(state, name, &error))?;
            note_misfits(state, source, &webhook, &reading.misfits);
            (shared(reading.events, source.voucher()), webhook.delivery, webhook.event)
        }
        Delivery::Event(event) => {
            let (id, ty) = (event.id().to_owned(), event.ty().to_owned());
            (shared(vec![*event], source.voucher()), id, ty)
        }
    };
    state
        .metrics
        .events_received
        .get_or_create(&ByRoute { route: Route::webhook })
        .inc_by(events.len() as u64);
    let announced = match state.announce_from {
        Some(from) => events.iter().skip(from).cloned().collect(),
        None => Vec::new(),
    };
    let incoming = Incoming { events, announced };
    room.for_trees(incoming.events.iter().map(Arc::as_ref).filter(|event| state.pipeline.wants(event)))?;
    let planned = state.pipeline.plan(&incoming);
    Ok((planned, Told { delivery, event, events: incoming.events.len() }))
}

fn log_accepted(source: &str, told: &Told, outcome: &Outcome) {
    let Told { delivery, event, events } = told;
    // Most deliveries are wanted by nobody, and a line for each is a tenth of what they cost.
    if Effects::of(outcome) == Effects::Ignored {
        tracing::debug!(source, delivery, event, events, "delivery accepted; no mapping wants it");
    } else {
        tracing::info!(
            source,
            delivery,
            event,
            events,
            created = outcome.created(),
            duplicates = outcome.existed(),
            emitted = outcome.sent(),
            "delivery accepted"
        );
    }
}

/// Counts by which secret a delivery was known, or that no secret fits. What came to the wrong source is neither.
fn count_signature(state: &State, source: &Source, authenticated: &Result<Authenticated, Rejection>) {
    let secret = match authenticated {
        Ok(by) => by.to_string(),
        Err(Rejection::Unauthorized(_) | Rejection::Unproved(_)) => "none".to_owned(),
        Err(Rejection::Malformed(_) | Rejection::UnsupportedMediaType(_)) => return,
    };
    state.metrics.signatures.get_or_create(&Signature { source: source.name().to_owned(), secret }).inc();
}

/// Counts what of a payload could not be used, and says where it stands.
fn note_misfits(state: &State, source: &Source, webhook: &Webhook, misfits: &[Misfit]) {
    for Misfit { path, reason, costs } in misfits {
        let forge = webhook.forge.name();
        state.metrics.misfits.get_or_create(&ByCost { forge, costs: costs.name() }).inc();
        let (source, delivery, event) = (source.name(), &webhook.delivery, &webhook.event);
        match costs {
            Cost::Field => {
                tracing::debug!(source, delivery, event, path, reason, "a field could not be used");
            }
            Cost::Event => tracing::warn!(
                source,
                delivery,
                event,
                path,
                reason,
                "only the raw event is told: what identifies another could not be used"
            ),
        }
    }
}

fn unreadable(state: &State, source: &str, error: &PayloadError) -> Answer {
    let status = if let PayloadError::Foreign(_) = error {
        state.metrics.foreign.get_or_create(&OfSource { source: source.to_owned() }).inc();
        StatusCode::FORBIDDEN
    } else {
        StatusCode::BAD_REQUEST
    };
    Answer::refused(status, error.to_string())
}

fn refuse(rejection: &Rejection) -> Answer {
    let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST);
    Answer::refused(status, rejection.to_string())
}

/// Strangers are not told which sources there are; who sends from this machine has started them.
fn unknown(state: &State, request: &HttpRequest, name: &str) -> Answer {
    let mut text = format!("there is no source `{}`", shown(name));
    if peer::is_local(request) {
        let mut known: Vec<&str> = state.sources.keys().map(String::as_str).collect();
        known.sort_unstable();
        let _ = write!(text, "; the sources are: {}", known.join(", "));
    } else {
        text.push_str(
            ": the path is `/webhooks/` and `metadata.name` of a `Source` document in the settings",
        );
    }
    Answer::refused(StatusCode::NOT_FOUND, text)
}
