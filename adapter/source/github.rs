//! GitHub's deliveries ("Webhook events and payloads"): signature, headers, body in JSON or as a form.

use bytes::Bytes;

use super::delivery::{self, MAX_DELIVERY, MAX_EVENT, header};
use super::{Auth, Authenticated, Headers, Rejection, signature};
use crate::vocabulary::{Forge, Webhook};

/// Authenticates a delivery and takes its body out.
pub(super) fn receive(
    auth: &Auth,
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<(Webhook, Authenticated), Rejection> {
    delivery::sent_by(Forge::GitHub, headers)?;
    // Over the bytes as they came, before anything is said about them: nobody else gets to know anything.
    let authenticated = match auth {
        Auth::Signed(secrets) => {
            let value = headers.get(signature::HEADER);
            Authenticated::Secret(signature::verify(secrets, signature::GITHUB, value, &body)?)
        }
        Auth::Insecure => Authenticated::Insecure,
    };
    let json = delivery::unpacked(headers, body)?;
    let event = header(Forge::GitHub, headers, "X-GitHub-Event", MAX_EVENT, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
    })?;
    let id = header(Forge::GitHub, headers, "X-GitHub-Delivery", MAX_DELIVERY, |b| b.is_ascii_graphic())?;
    Ok((delivery::webhook(Forge::GitHub, event, id, &json, received)?, authenticated))
}

#[cfg(test)]
mod tests;
