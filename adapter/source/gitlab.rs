//! GitLab's deliveries: the secret token, or the signature by a signing token, and the headers.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use ring::hmac;
use subtle::ConstantTimeEq;

use super::delivery::{self, MAX_DELIVERY, MAX_EVENT, header};
use super::secret::Secrets;
use super::signature::{GITLAB, GITLAB_TOKEN, SignatureError};
use super::token::place_of;
use super::{Field, Headers, Rejection};
use crate::vocabulary::{Forge, Webhook};

/// One signature for each signing token that is valid; more would be somebody else's.
const MAX_SIGNATURES: usize = 8;

/// Takes the body of a delivery out.
pub(super) fn read(
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<Webhook, Rejection> {
    let json = delivery::unpacked(headers, body)?;
    let event = header(Forge::GitLab, headers, "X-Gitlab-Event", MAX_EVENT, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-')
    })?;
    let id = id(headers, &event, &json);
    delivery::webhook(Forge::GitLab, event, id, &json, received)
}

/// The place of the secret by which a delivery is authentic, by its signature or by its token: a webhook may have both,
/// and a source either.
pub(super) fn authenticate(
    secrets: &Secrets,
    headers: &impl Headers,
    body: &[u8],
) -> Result<usize, SignatureError> {
    let signature = headers.get(GITLAB.header);
    let signatures = signature.text().filter(|value| !value.is_empty());
    if let Some(place) = signatures.and_then(|signatures| signed_by(secrets, headers, signatures, body)) {
        return Ok(place);
    }
    let no_signature = matches!(signature, Field::Absent | Field::Value(b""));
    match headers.get(GITLAB_TOKEN.header) {
        Field::Repeated => Err(SignatureError::Repeated(GITLAB_TOKEN)),
        Field::Value(token) if !token.is_empty() => {
            place_of(secrets, token).ok_or(SignatureError::Mismatch(GITLAB_TOKEN))
        }
        _ if signature == Field::Repeated => Err(SignatureError::Repeated(GITLAB)),
        _ if !no_signature => Err(SignatureError::Mismatch(GITLAB)),
        Field::Value(_) => Err(SignatureError::Empty(GITLAB_TOKEN)),
        Field::Absent => Err(SignatureError::Missing(GITLAB_TOKEN)),
    }
}

/// The place of the secret that made one of the signatures (Standard Webhooks, "Verifying webhook authenticity").
fn signed_by(secrets: &Secrets, headers: &impl Headers, signatures: &str, body: &[u8]) -> Option<usize> {
    let (id, at) = (headers.get("webhook-id").bytes()?, headers.get("webhook-timestamp").bytes()?);
    let tags = signatures.split(' ').take(MAX_SIGNATURES);
    let tags: Vec<Vec<u8>> =
        tags.filter_map(|it| BASE64_STANDARD.decode(it.strip_prefix(GITLAB.prefix)?).ok()).collect();
    secrets.find(|it| {
        let mut context = hmac::Context::with_key(&it.standard_key);
        for part in [id, b".", at, b".", body] {
            context.update(part);
        }
        let own = context.sign();
        // All of them, whichever it is.
        tags.iter().fold(false, |found, tag| found | bool::from(tag.ct_eq(own.as_ref())))
    })
}

/// `Idempotency-Key`, which GitLab 17.4 and later keep when they send again. Before, `X-Gitlab-Event-UUID` is the same for
/// all refs of one push and all events that one request caused, so that the body has to tell them apart.
fn id(headers: &impl Headers, event: &str, body: &[u8]) -> String {
    let is_id = |value: &&str| {
        (1..=MAX_DELIVERY / 2).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
    };
    let told = |name| headers.get(name).text().filter(is_id);
    // What the signature covers goes first: another header could be changed by whoever has got hold of a delivery.
    let is_signed = headers.get(GITLAB.header).bytes().is_some_and(|value| !value.is_empty());
    let signed = told("webhook-id").filter(|_| is_signed);
    if let Some(key) = signed.or_else(|| told("Idempotency-Key")).or_else(|| told("webhook-id")) {
        return key.to_owned();
    }
    let computed = delivery::computed_id(event, body);
    match told("X-Gitlab-Event-UUID") {
        Some(uuid) => format!("{uuid}:{computed}"),
        None => computed,
    }
}

#[cfg(test)]
mod tests;
