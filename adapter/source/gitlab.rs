//! GitLab's deliveries: the secret token, or the signature by a signing token, and the headers.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use ring::hmac;
use subtle::ConstantTimeEq;

use super::delivery::{self, MAX_DELIVERY, MAX_EVENT, header};
use super::secret::Secrets;
use super::signature::{GITLAB, GITLAB_TOKEN, SignatureError};
use super::{Auth, Authenticated, Headers, Rejection};
use crate::vocabulary::{Forge, Webhook};

/// One signature for each signing token that is valid; more would be somebody else's.
const MAX_SIGNATURES: usize = 8;

/// Authenticates a delivery and takes its body out.
pub(super) fn receive(
    auth: &Auth,
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<(Webhook, Authenticated), Rejection> {
    delivery::sent_by(Forge::GitLab, headers)?;
    let authenticated = match auth {
        Auth::Signed(secrets) => Authenticated::Secret(authenticate(secrets, headers, &body)?),
        Auth::Insecure => Authenticated::Insecure,
    };
    let json = delivery::unpacked(headers, body)?;
    let event = header(Forge::GitLab, headers, "X-Gitlab-Event", MAX_EVENT, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b' ' | b'_' | b'-')
    })?;
    let id = id(headers, &event, &json);
    Ok((delivery::webhook(Forge::GitLab, event, id, &json, received)?, authenticated))
}

/// A delivery is authentic by its signature or by its token: a webhook may have both, and a source either.
fn authenticate(secrets: &Secrets, headers: &impl Headers, body: &[u8]) -> Result<usize, SignatureError> {
    let given = |name| headers.get(name).map(str::trim);
    let signature = given(GITLAB.header).filter(|value| !value.is_empty());
    let token = given(GITLAB_TOKEN.header);
    if let Some(place) = signature.and_then(|signature| signed_by(secrets, headers, signature, body)) {
        return Ok(place);
    }
    match token {
        // Digests have one length, so that the time does not tell the token's.
        Some(token) if !token.is_empty() => {
            let given = digest(&SHA256, token.as_bytes());
            let is_it = |known: &[u8; 32]| known.ct_eq(given.as_ref()).into();
            secrets.find(|it| is_it(&it.digest)).ok_or(SignatureError::Mismatch(GITLAB_TOKEN))
        }
        _ if signature.is_some() => Err(SignatureError::Mismatch(GITLAB)),
        Some(_) => Err(SignatureError::Empty(GITLAB_TOKEN)),
        None => Err(SignatureError::Missing(GITLAB_TOKEN)),
    }
}

/// The place of the secret that made one of the signatures (Standard Webhooks, "Verifying webhook authenticity").
fn signed_by(secrets: &Secrets, headers: &impl Headers, signatures: &str, body: &[u8]) -> Option<usize> {
    let (id, at) = (headers.get("webhook-id")?.trim(), headers.get("webhook-timestamp")?.trim());
    let tags = signatures.split(' ').take(MAX_SIGNATURES);
    let tags: Vec<Vec<u8>> =
        tags.filter_map(|it| BASE64_STANDARD.decode(it.strip_prefix(GITLAB.prefix)?).ok()).collect();
    secrets.find(|it| {
        let mut context = hmac::Context::with_key(&it.standard_key);
        for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
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
    let told = |name| headers.get(name).map(str::trim).filter(is_id);
    // What the signature covers goes first: another header could be changed by whoever has got hold of a delivery.
    let is_signed = headers.get(GITLAB.header).is_some_and(|value| !value.trim().is_empty());
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
