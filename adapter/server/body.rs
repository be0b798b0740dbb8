//! Reading a body: bounded in size, in time, and in memory over all requests.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::time::timeout;

use super::answer::Answer;
use super::gate::Ticket;
use crate::telemetry::metrics::ShedReason;

/// Reads the whole body, or says with which answer the request ends.
///
/// # Errors
/// 413 over `limit`, 408 after `deadline`, 415 for an encoded body, 429 without memory, 400 when it breaks off.
pub async fn read(
    request: &HttpRequest,
    payload: Payload,
    ticket: &mut Ticket,
    limit: usize,
    deadline: Duration,
) -> Result<Bytes, Answer> {
    if let Some(coding) = request.headers().get(CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Answer::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "header `content-encoding`: send the body as it is, without compression",
        ));
    }
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    if let Some(length) = announced {
        ticket.reserve(length).map_err(no_room)?;
    }
    match timeout(deadline, collect(payload, ticket, limit, announced)).await {
        Ok(result) => result,
        Err(_) => Err(Answer::refused(
            StatusCode::REQUEST_TIMEOUT,
            format!("the body did not arrive within {} s", deadline.as_secs_f32()),
        )),
    }
}

async fn collect(
    mut payload: Payload,
    ticket: &mut Ticket,
    limit: usize,
    announced: Option<usize>,
) -> Result<Bytes, Answer> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| {
            Answer::refused(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))
        })?;
        let held = first.len() + rest.len();
        if held + chunk.len() > limit {
            return Err(too_large(limit));
        }
        if announced.is_none() {
            ticket.reserve(chunk.len()).map_err(no_room)?;
        }
        // A body in one chunk, the usual case, is not copied.
        if held == 0 {
            first = chunk;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(announced.unwrap_or(0).max(held + chunk.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&chunk);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

fn too_large(limit: usize) -> Answer {
    Answer::refused(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {limit} bytes"))
}

/// The answer to a request that the gate did not let in.
pub fn no_room(reason: ShedReason) -> Answer {
    match reason {
        ShedReason::in_flight => Answer::overloaded("too many requests are in flight; try again"),
        ShedReason::memory => Answer::overloaded("no memory is left for this body; try again"),
        ShedReason::not_ready => Answer::unavailable("not ready yet; try again", None),
    }
}
