//! Gitea's and Forgejo's deliveries: signature, headers, body in JSON or as a form.

use bytes::Bytes;

use super::delivery::{self, MAX_DELIVERY, MAX_EVENT, header};
use super::secret::Secrets;
use super::signature::{self, Scheme, SignatureError};
use super::{Field, Headers, Rejection};
use crate::vocabulary::{Forge, Webhook};

/// The headers of one of the two; what else they send is for programs that know GitHub or Gogs.
struct Names {
    event: &'static str,
    event_type: &'static str,
    delivery: &'static str,
    signature: Scheme,
}

static GITEA: Names = Names {
    event: "X-Gitea-Event",
    event_type: "X-Gitea-Event-Type",
    delivery: "X-Gitea-Delivery",
    signature: signature::GITEA,
};
static FORGEJO: Names = Names {
    event: "X-Forgejo-Event",
    event_type: "X-Forgejo-Event-Type",
    delivery: "X-Forgejo-Delivery",
    signature: signature::FORGEJO,
};

/// What the finer names are called in the other header.
const FINER: &[(&str, &str)] = &[
    ("issue_assign", "issues"),
    ("issue_label", "issues"),
    ("issue_milestone", "issues"),
    ("pull_request_assign", "pull_request"),
    ("pull_request_label", "pull_request"),
    ("pull_request_milestone", "pull_request"),
    ("pull_request_sync", "pull_request"),
    ("pull_request_review_request", "pull_request"),
    ("pull_request_comment", "issue_comment"),
    ("pull_request_review_approved", "pull_request_approved"),
    ("pull_request_review_rejected", "pull_request_rejected"),
    ("pull_request_review_comment", "pull_request_comment"),
];

fn folded(event: String) -> String {
    let coarse = FINER.iter().find(|(finer, _)| *finer == event).map(|(_, coarse)| (*coarse).to_owned());
    coarse.unwrap_or(event)
}

/// The place of the secret that a delivery was signed with.
pub(super) fn authenticate(
    forge: Forge,
    secrets: &Secrets,
    headers: &impl Headers,
    body: &Bytes,
) -> Result<usize, SignatureError> {
    let scheme = names(forge).signature;
    // The JSON is what is signed, also where it came in a form. What is no form that we can read is not told before the
    // signature is right.
    let unpacked = delivery::unpacked(headers, body.clone());
    let signed = unpacked.as_ref().unwrap_or(body);
    signature::verify(secrets, scheme, headers.get(scheme.header), signed)
}

/// Takes the body of a delivery out.
pub(super) fn read(
    forge: Forge,
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<Webhook, Rejection> {
    let names = names(forge);
    let json = delivery::unpacked(headers, body)?;
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let event = if headers.get(names.event) == Field::Value(b"") {
        // Some events have no name there (`package`, `status` and those of Actions, by version), but a finer one here.
        folded(header(forge, headers, names.event_type, MAX_EVENT, is_word)?)
    } else {
        header(forge, headers, names.event, MAX_EVENT, is_word)?
    };
    let id = header(forge, headers, names.delivery, MAX_DELIVERY, |b| b.is_ascii_graphic())?;
    delivery::webhook(forge, event, id, &json, received)
}

fn names(forge: Forge) -> &'static Names {
    if forge == Forge::Forgejo { &FORGEJO } else { &GITEA }
}

#[cfg(test)]
mod tests;
