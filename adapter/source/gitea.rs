//! Gitea's and Forgejo's deliveries: signature, headers, body in JSON or as a form.

use bytes::Bytes;

use super::delivery::{self, MAX_DELIVERY, MAX_EVENT, header};
use super::signature::{self, Scheme};
use super::{Auth, Authenticated, Headers, Rejection};
use crate::vocabulary::{Forge, Webhook};

/// The headers of one of the two; what else they send is for programs that know GitHub or Gogs.
struct Names {
    event: &'static str,
    delivery: &'static str,
    signature: Scheme,
}

const GITEA: Names =
    Names { event: "X-Gitea-Event", delivery: "X-Gitea-Delivery", signature: signature::GITEA };
const FORGEJO: Names =
    Names { event: "X-Forgejo-Event", delivery: "X-Forgejo-Delivery", signature: signature::FORGEJO };

/// Authenticates a delivery and takes its body out.
pub(super) fn receive(
    forge: Forge,
    auth: &Auth,
    headers: &impl Headers,
    body: &Bytes,
    received: jiff::Timestamp,
) -> Result<(Webhook, Authenticated), Rejection> {
    delivery::sent_by(forge, headers)?;
    let names = if forge == Forge::Forgejo { FORGEJO } else { GITEA };
    // The JSON is what is signed, also where it came in a form. What is no form that we can read is not told before the
    // signature is right.
    let unpacked = delivery::unpacked(headers, body.clone());
    let signed = unpacked.as_ref().unwrap_or(body);
    let authenticated = match auth {
        Auth::Signed(secrets) => {
            let value = headers.get(names.signature.header);
            Authenticated::Secret(signature::verify(secrets, names.signature, value, signed)?)
        }
        Auth::Insecure => Authenticated::Insecure,
    };
    let json = unpacked?;
    let event = header(forge, headers, names.event, MAX_EVENT, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
    })?;
    let id = header(forge, headers, names.delivery, MAX_DELIVERY, |b| b.is_ascii_graphic())?;
    Ok((delivery::webhook(forge, event, id, &json, received)?, authenticated))
}

#[cfg(test)]
mod tests;
