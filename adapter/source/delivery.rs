//! What the deliveries of all forges have in common: a body in JSON or as a form, and headers that say what it is.

use bytes::Bytes;

use super::{Field, Headers, Rejection};
use crate::event::MediaType;
use crate::event::http::percent_decode;
use crate::event::identity::Key;
use crate::vocabulary::{Forge, Webhook};

/// The longest name of an event.
pub const MAX_EVENT: usize = 64;
/// The longest id of a delivery; a UUID has 36 characters.
pub const MAX_DELIVERY: usize = 128;

/// The headers that name the event, the most telling first: Forgejo sends Gitea's too, and both send GitHub's.
const SENDERS: &[(Forge, &str)] = &[
    (Forge::Forgejo, "X-Forgejo-Event"),
    (Forge::Gitea, "X-Gitea-Event"),
    (Forge::GitHub, "X-GitHub-Event"),
    (Forge::GitLab, "X-Gitlab-Event"),
];

/// The headers in which forges tell the id of a delivery, the most telling first.
const IDS: &[&str] = &[
    "X-Forgejo-Delivery",
    "X-Gitea-Delivery",
    "X-GitHub-Delivery",
    "Idempotency-Key",
    "webhook-id",
    "X-Gitlab-Event-UUID",
    "X-Request-UUID",
    "X-Request-Id",
];

/// The id that a forge gave a delivery, whichever forge it is, for the log: nothing is known of the delivery yet.
pub fn delivery_id(headers: &impl Headers) -> Option<&str> {
    told_id(headers, IDS)
}

/// The id in the first of these headers that has one.
fn told_id<'a>(headers: &'a impl Headers, names: &[&'static str]) -> Option<&'a str> {
    let is_id = |value: &&str| {
        (1..=MAX_DELIVERY).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_graphic())
    };
    names.iter().filter_map(|name| headers.get(name).text()).find(is_id)
}

/// Refuses what another forge sends; it is looked at before the signature, which stands elsewhere then.
pub fn sent_by(forge: Forge, headers: &impl Headers) -> Result<(), Rejection> {
    let sender = SENDERS.iter().find(|(_, header)| !headers.get(header).is_absent());
    match sender {
        Some((sender, header)) if *sender != forge => Err(Rejection::Malformed(format!(
            "header `{header}` comes from a forge of type {sender}, and this source is of type {}: \
             set `forge: {sender}` in the settings of the source, or send it to another one",
            forge.name(),
            sender = sender.name()
        ))),
        _ => Ok(()),
    }
}

/// A delivery whose body begins as a JSON object does; whether it is one, [`crate::vocabulary::events`] finds out while it reads.
pub fn webhook(
    forge: Forge,
    event: String,
    delivery: String,
    json: &Bytes,
    received: jiff::Timestamp,
) -> Result<Webhook, Rejection> {
    let text = json.trim_ascii();
    if !text.starts_with(b"{") {
        return Err(Rejection::Malformed("the payload must be a JSON object".into()));
    }
    let body = json.slice_ref(text);
    Ok(Webhook { forge, event, delivery, body, received })
}

/// Refuses a body that is compressed: what it would become is not bounded.
pub fn uncompressed(headers: &impl Headers) -> Result<(), Rejection> {
    match headers.get("content-encoding") {
        Field::Absent => Ok(()),
        Field::Value(coding) if coding.eq_ignore_ascii_case(b"identity") => Ok(()),
        Field::Value(_) | Field::Repeated => Err(Rejection::UnsupportedMediaType(
            "header `content-encoding` is not supported: send the body uncompressed",
        )),
    }
}

/// The JSON text: the body, or the field `payload` of a form.
pub fn unpacked(headers: &impl Headers, body: Bytes) -> Result<Bytes, Rejection> {
    uncompressed(headers)?;
    let media_type = headers.get("content-type").text().and_then(MediaType::parse);
    match media_type {
        Some(it) if it.is_json() => Ok(body),
        Some(it) if it.is("application/x-www-form-urlencoded") => payload(&body),
        _ => Err(Rejection::UnsupportedMediaType(
            "header `content-type` must be `application/json` or `application/x-www-form-urlencoded`",
        )),
    }
}

/// A header that must be there, and what it may consist of.
pub fn header(
    forge: Forge,
    headers: &impl Headers,
    name: &'static str,
    longest: usize,
    allowed: fn(u8) -> bool,
) -> Result<String, Rejection> {
    let field = headers.get(name);
    match (field, field.text()) {
        (Field::Absent, _) => Err(Rejection::Malformed(format!("header `{name}` is missing"))),
        (Field::Value(b""), _) => Err(Rejection::Malformed(format!("header `{name}` is empty"))),
        (Field::Repeated, _) => Err(Rejection::Malformed(format!("header `{name}` stands more than once"))),
        (_, Some(value)) if value.len() <= longest && value.bytes().all(allowed) => Ok(value.to_owned()),
        (Field::Value(_), _) => Err(Rejection::Malformed(format!(
            "header `{name}` is not one that a forge of type {} sends",
            forge.name()
        ))),
    }
}

/// The id of a delivery in the first of these headers that has one; else one that is computed from the event and the body, so
/// that the same delivery has the same id.
pub fn id(headers: &impl Headers, names: &[&'static str], event: &str, body: &[u8]) -> String {
    told_id(headers, names).map_or_else(|| computed_id(event, body), str::to_owned)
}

/// An id that the event and the body have in common with no other delivery.
pub fn computed_id(event: &str, body: &[u8]) -> String {
    Key::of("delivery", &[event, &String::from_utf8_lossy(body)]).event_id()
}

/// The one field `payload` of a form (URL standard, `application/x-www-form-urlencoded`).
fn payload(form: &[u8]) -> Result<Bytes, Rejection> {
    let malformed = |reason: &str| Rejection::Malformed(format!("the form {reason}"));
    let mut fields = form.split(|byte| *byte == b'&').filter_map(|field| field.strip_prefix(b"payload="));
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Err(malformed("must have one field `payload`"));
    };
    let spaced: Vec<u8> = field.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded =
        percent_decode(&spaced).ok_or_else(|| malformed("has a `%` that starts no escape in `payload`"))?;
    Ok(decoded.into())
}
