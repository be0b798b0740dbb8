//! Reading a body: bounded in size, in time, and in memory over all requests.

use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::Bounds;
use super::answer::Answer;
use super::connection::Progress;
use super::gate::{Door, Ticket};
use crate::telemetry::metrics::ShedReason;

/// How long a body may take to get going before its rate counts.
const GRACE: Duration = Duration::from_secs(2);
/// The largest body that is read and forgotten so that its connection can go on.
const DISCARDED: usize = 64 * 1024;
/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Reads the whole body, or says with which answer the request ends.
///
/// Memory is reserved as it is used: who announces a large body and sends nothing holds none.
///
/// # Errors
/// 413 over `limit`, 408 after its deadline or below the least rate, 415 for an encoded body, 429 without memory, 400
/// when it breaks off.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    ticket: &mut Ticket,
    limit: usize,
    bounds: &Bounds,
) -> Result<Bytes, Answer> {
    if let Some(coding) = request.headers().get(CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Answer::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "header `content-encoding`: send the body as it is, without compression",
        ));
    }
    let announced = announced(request);
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    ticket.fits(announced.unwrap_or(0)).map_err(|reason| no_room(reason, ticket.retry_after()))?;
    let body = collect(payload, ticket, limit, announced, bounds).await?;
    whole(request);
    Ok(body)
}

/// Turns a request away. A small body, which is here already or nearly so, is read and forgotten, so that the
/// connection can carry the next request; after a large one, or one of unknown length, it closes.
pub async fn turn_away(
    request: &HttpRequest,
    mut payload: Payload,
    door: &Door,
    reason: ShedReason,
) -> Answer {
    if announced(request).is_some_and(|length| length <= DISCARDED) {
        let end = Instant::now() + DISCARD_TIME;
        loop {
            match timeout_at(end, payload.next()).await {
                Ok(Some(Ok(_))) => {}
                Ok(None) => {
                    whole(request);
                    break;
                }
                Ok(Some(Err(_))) | Err(_) => break,
            }
        }
    }
    no_room(reason, door.retry_after())
}

async fn collect(
    mut payload: Payload,
    ticket: &mut Ticket,
    limit: usize,
    announced: Option<usize>,
    bounds: &Bounds,
) -> Result<Bytes, Answer> {
    let started = Instant::now();
    let end = started + bounds.body_deadline;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let held = first.len() + rest.len();
        let pace = Duration::from_secs((held / bounds.body_rate.max(1)) as u64);
        let Ok(next) = timeout_at(end.min(started + GRACE + pace), payload.next()).await else {
            return Err(too_slow(bounds, Instant::now() < end));
        };
        let Some(chunk) = next else { break };
        let chunk = chunk.map_err(|error| {
            Answer::refused(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))
        })?;
        let length = held + chunk.len();
        if length > limit {
            return Err(too_large(limit));
        }
        // A body in one chunk, the usual case, is not copied.
        if held == 0 {
            reserve(ticket, length)?;
            first = chunk;
            continue;
        }
        if length > rest.capacity() {
            // Doubled each time, up to what was announced.
            let room = length.max((2 * held).min(announced.unwrap_or(limit)));
            reserve(ticket, room)?;
            rest.reserve(room - rest.len());
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&chunk);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

/// Brings what is reserved to `bytes`.
fn reserve(ticket: &mut Ticket, bytes: usize) -> Result<(), Answer> {
    ticket
        .reserve(bytes.saturating_sub(ticket.reserved()))
        .map_err(|reason| no_room(reason, ticket.retry_after()))
}

fn announced(request: &HttpRequest) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Tells the connection that the next byte is that of another request.
fn whole(request: &HttpRequest) {
    if let Some(progress) = request.conn_data::<Rc<Progress>>() {
        progress.body_read();
    }
}

fn too_slow(bounds: &Bounds, in_time: bool) -> Answer {
    let text = if in_time {
        format!(
            "the body came with less than {} bytes in a second; send it faster, or from nearer",
            bounds.body_rate
        )
    } else {
        format!("the body did not arrive within {} s", bounds.body_deadline.as_secs_f32())
    };
    Answer::refused(StatusCode::REQUEST_TIMEOUT, text)
}

fn too_large(limit: usize) -> Answer {
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
}

/// The answer to a request that the gate did not let in.
pub fn no_room(reason: ShedReason, after: Duration) -> Answer {
    match reason {
        ShedReason::in_flight => Answer::overloaded("too many requests are in flight; try again", after),
        ShedReason::memory => Answer::overloaded("no memory is left for this body; try again", after),
        ShedReason::evaluation => {
            Answer::overloaded("too many large bodies wait for their evaluation; try again", after)
        }
        ShedReason::too_large => Answer::refused(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body, with what is made of it, takes more memory than one sender may have: send less at a time, or \
             raise `limits.bodyMemory`",
        ),
        ShedReason::not_ready => Answer::unavailable("not ready yet; try again", None),
    }
}
