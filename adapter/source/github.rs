//! GitHub's deliveries ("Webhook events and payloads"): signature, headers, body in JSON or as a form.

use bytes::Bytes;

use super::{Auth, Authenticated, Headers, Rejection, signature};
use crate::event::MediaType;
use crate::event::http::percent_decode;
use crate::event::json::well_formed;
use crate::vocabulary::{Forge, Webhook};

/// The longest name of an event.
const MAX_EVENT: usize = 64;
/// The longest id of a delivery; a UUID has 36 characters.
const MAX_DELIVERY: usize = 128;

/// Authenticates a delivery and takes its body out.
pub(super) fn receive(
    auth: &Auth,
    headers: &impl Headers,
    body: Bytes,
    received: jiff::Timestamp,
) -> Result<(Webhook, Authenticated), Rejection> {
    // First of all, and over the bytes as they came: nobody else gets to know anything.
    let authenticated = match auth {
        Auth::Signed(secrets) => {
            Authenticated::Secret(signature::verify(secrets, headers.get(signature::HEADER), &body)?)
        }
        Auth::Insecure => Authenticated::Insecure,
    };
    let json = unpacked(headers, body)?;
    let event = header(headers, "X-GitHub-Event", MAX_EVENT, |b| {
        b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'
    })?;
    let delivery = header(headers, "X-GitHub-Delivery", MAX_DELIVERY, |b| b.is_ascii_graphic())?;
    let text = well_formed(&json)
        .map_err(|error| Rejection::Malformed(format!("the payload is not well-formed JSON: {error}")))?;
    if !text.starts_with(b"{") {
        return Err(Rejection::Malformed("the payload must be a JSON object".into()));
    }
    let body = json.slice_ref(text);
    Ok((Webhook { forge: Forge::GitHub, event, delivery, body, received }, authenticated))
}

/// The JSON text: the body, or the field `payload` of a form.
fn unpacked(headers: &impl Headers, body: Bytes) -> Result<Bytes, Rejection> {
    if headers.get("content-encoding").is_some_and(|it| !it.trim().eq_ignore_ascii_case("identity")) {
        return Err(Rejection::UnsupportedMediaType(
            "header `content-encoding` is not supported: send the body uncompressed",
        ));
    }
    let media_type = headers.get("content-type").and_then(MediaType::parse);
    match media_type {
        Some(it) if it.is_json() => Ok(body),
        Some(it) if it.is("application/x-www-form-urlencoded") => payload(&body),
        _ => Err(Rejection::UnsupportedMediaType(
            "header `content-type` must be `application/json` or `application/x-www-form-urlencoded`",
        )),
    }
}

fn header(
    headers: &impl Headers,
    name: &'static str,
    longest: usize,
    allowed: fn(u8) -> bool,
) -> Result<String, Rejection> {
    match headers.get(name).map(str::trim) {
        None | Some("") => Err(Rejection::Malformed(format!("header `{name}` is missing"))),
        Some(value) if value.len() <= longest && value.bytes().all(allowed) => Ok(value.to_owned()),
        Some(_) => Err(Rejection::Malformed(format!("header `{name}` is not one that GitHub sends"))),
    }
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

#[cfg(test)]
mod tests;
