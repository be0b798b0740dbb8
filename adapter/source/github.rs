//! GitHub's deliveries ("Webhook events and payloads"): signature, headers, body in JSON or as a form.

use bytes::Bytes;

use super::delivery::{self, MAX_DELIVERY, MAX_EVENT, header};
use super::secret::Secrets;
use super::signature::SignatureError;
use super::{Headers, Rejection, signature};
use crate::vocabulary::{Forge, Webhook};

/// The place of the secret that a delivery was signed with, over the bytes as they came.
pub(super) fn authenticate(
    secrets: &Secrets,
    headers: &impl Headers,
    body: &[u8],
) -> Result<usize, SignatureError> {
    signature::verify(secrets, signature::GITHUB, headers.get(signature::HEADER), body)
}

/// Takes the body of a delivery out.
pub(super) fn read(
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<Webhook, Rejection> {
    let json = delivery::unpacked(headers, body)?;
    let event = header(Forge::GitHub, headers, "X-GitHub-Event", MAX_EVENT, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
    })?;
    let id = header(Forge::GitHub, headers, "X-GitHub-Delivery", MAX_DELIVERY, |b| b.is_ascii_graphic())?;
    delivery::webhook(Forge::GitHub, event, id, &json, received)
}

#[cfg(test)]
mod tests;
