//! Deliveries of Bitbucket Cloud and of Bitbucket Data Center: signature and headers.

use bytes::Bytes;

use super::delivery::{self, MAX_EVENT, header};
use super::signature::{self, BITBUCKET};
use super::{Auth, Authenticated, Headers, Rejection};
use crate::vocabulary::{Forge, Webhook};

/// How the names of events begin that only one of the two sends.
const SENDERS: &[(Forge, &str)] = &[
    (Forge::Bitbucket, "repo:push"),
    (Forge::Bitbucket, "pullrequest:"),
    (Forge::BitbucketDataCenter, "repo:refs_changed"),
    (Forge::BitbucketDataCenter, "pr:"),
    (Forge::BitbucketDataCenter, "diagnostics:"),
];

/// Authenticates a delivery and takes its body out.
pub(super) fn receive(
    forge: Forge,
    auth: &Auth,
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<(Webhook, Authenticated), Rejection> {
    delivery::sent_by(forge, headers)?;
    let authenticated = match auth {
        Auth::Signed(secrets) => {
            let value = headers.get(BITBUCKET.header);
            Authenticated::Secret(signature::verify(secrets, BITBUCKET, value, &body)?)
        }
        Auth::Insecure => Authenticated::Insecure,
    };
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
    Ok((delivery::webhook(forge, event, id, &json, received)?, authenticated))
}

#[cfg(test)]
mod tests;
