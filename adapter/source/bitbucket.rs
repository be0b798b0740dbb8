//! Deliveries of Bitbucket Cloud and of Bitbucket Data Center: signature and headers.

use bytes::Bytes;

use super::delivery::{self, MAX_EVENT, header};
use super::secret::Secrets;
use super::signature::{self, BITBUCKET, SignatureError};
use super::{Headers, Rejection};
use crate::vocabulary::{Forge, Webhook};

/// How the names of events begin that only one of the two sends.
const SENDERS: &[(Forge, &str)] = &[
    (Forge::Bitbucket, "repo:push"),
    (Forge::Bitbucket, "pullrequest:"),
    (Forge::BitbucketDataCenter, "repo:refs_changed"),
    (Forge::BitbucketDataCenter, "pr:"),
    (Forge::BitbucketDataCenter, "diagnostics:"),
];

/// The place of the secret that a delivery was signed with.
pub(super) fn authenticate(
    secrets: &Secrets,
    headers: &impl Headers,
    body: &[u8],
) -> Result<usize, SignatureError> {
    signature::verify(secrets, BITBUCKET, headers.get(BITBUCKET.header), body)
}

/// Takes the body of a delivery out.
pub(super) fn read(
    forge: Forge,
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<Webhook, Rejection> {
    let json = delivery::unpacked(headers, body)?;
    let event = header(forge, headers, "X-Event-Key", MAX_EVENT, |b| {
        b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-')
    })?;
    let sender = SENDERS.iter().find(|(_, start)| event.starts_with(start));
    if let Some((sender, _)) = sender.filter(|(sender, _)| *sender != forge) {
        return Err(Rejection::Malformed(format!(
            "header `X-Event-Key` names an event of a forge of type {sender}, and this source is of type {}: set \
             `forge: {sender}` in the settings of the source, or send it to another one",
            forge.name(),
            sender = sender.name()
        )));
    }
    let id = delivery::id(headers, &["X-Request-UUID", "X-Request-Id"], &event, &json);
    delivery::webhook(forge, event, id, &json, received)
}

#[cfg(test)]
mod tests;
