//! `POST /webhooks/{source}`: the delivery of a forge, or of any other sender.

use std::fmt::Write as _;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::answer::{Answer, Effects};
use super::{State, answer, answered, body, peer, shared};
use crate::event::attribute::shown;
use crate::pipeline::{Incoming, Outcome};
use crate::source::{
    Authenticated, Cost, Delivery, Field, Headers, Misfit, PayloadError, Rejection, Source, Webhook,
};
use crate::telemetry::metrics::{ByCost, ByRoute, OfSource, Route, Signature};

/// The head of a request.
pub(super) struct RequestHeaders<'a>(pub(super) &'a HttpRequest);

impl Headers for RequestHeaders<'_> {
    fn get(&self, name: &str) -> Field<'_> {
        Field::of(self.0.headers().get_all(name).map(HeaderValue::as_bytes))
    }

    fn query(&self) -> &str {
        self.0.query_string()
    }
}

/// Receives one delivery: bounded read, signature, events, plan, effects, answer.
pub async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    name: web::Path<String>,
    state: web::Data<State>,
) -> HttpResponse {
    let started = Instant::now();
    let mut response = answered(&state, Route::webhook, &request, async {
        let mut ticket = match state.gate.approach() {
            Ok(ticket) => ticket,
            Err(reason) => return body::turn_away(&request, payload, &state.gate, reason).await,
        };
        let Some(source) = state.sources.get(name.as_str()) else {
            return unknown(&state, &request, &name);
        };
        if RequestHeaders(&request).get("authorization") == Field::Repeated {
            let text = "header `authorization` appears twice: send it once";
            return Answer::refused(StatusCode::UNAUTHORIZED, text);
        }
        let bounds = &state.bounds;
        let body = match body::read(&request, payload, &mut ticket, bounds.webhook_body, bounds).await {
            Ok(body) => body,
            Err(answer) => return answer,
        };
        if let Err(reason) = ticket.enter() {
            return body::no_room(reason, state.gate.retry_after());
        }
        deliver(&state, source, &request, body, started).await
    })
    .await;
    answer::keep_private(&request, &mut response);
    response
}

async fn deliver(
    state: &State,
    source: &Source,
    request: &HttpRequest,
    body: Bytes,
    started: Instant,
) -> Answer {
    let received = jiff::Timestamp::now();
    let headers = RequestHeaders(request);
    let authenticated = source.authenticate(&headers, &body);
    count_signature(state, source, &authenticated);
    let delivery = authenticated.and_then(|_| source.read(&headers, body, received));
    let (events, delivery, event) = match delivery {
        Ok(Delivery::Webhook(webhook)) => match source.told(&webhook) {
            Ok(reading) => {
                note_misfits(state, source, &webhook, &reading.misfits);
                (shared(reading.events, source.voucher()), webhook.delivery, webhook.event)
            }
            Err(PayloadError::Foreign(foreign)) => {
                state.metrics.foreign.get_or_create(&OfSource { source: source.name().to_owned() }).inc();
                return Answer::refused(StatusCode::FORBIDDEN, foreign.to_string());
            }
            Err(error) => return Answer::refused(StatusCode::BAD_REQUEST, error.to_string()),
        },
        Ok(Delivery::Event(event)) => {
            let (id, ty) = (event.id().to_owned(), event.ty().to_owned());
            (shared(vec![*event], source.voucher()), id, ty)
        }
        Err(rejection) => return refuse(&rejection),
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
    let outcome = state.pipeline.process(&incoming, started + state.bounds.webhook_deadline).await;
    if outcome.fault().is_none() {
        // Most deliveries are wanted by nobody, and a line for each is a tenth of what they cost.
        if Effects::of(&outcome) == Effects::Ignored {
            tracing::debug!(
                source = source.name(),
                delivery,
                event,
                events = incoming.events.len(),
                "delivery accepted; no mapping wants it"
            );
        } else {
            tracing::info!(
                source = source.name(),
                delivery,
                event,
                events = incoming.events.len(),
                created = outcome.created(),
                duplicates = outcome.existed(),
                emitted = outcome.sent(),
                "delivery accepted"
            );
        }
    }
    // A forge reads no event in an answer.
    Outcome { reply: None, ..outcome }.into()
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
