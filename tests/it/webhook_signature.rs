//! The real payloads of GitHub, signed: taken as they are, refused when one byte differs or the end is missing.

use std::collections::HashMap;

use bytes::Bytes;
use pipewright::source::secret::{Secret, Secrets};
use pipewright::source::signature::sign;
use pipewright::source::{Authenticated, Field, Headers, Rejection, Source};
use pipewright::vocabulary::{Forge, Webhook};

use crate::support::corpus;

const SECRET: &str = "for this test";

struct Request(HashMap<&'static str, String>);

impl Headers for Request {
    fn get(&self, name: &str) -> Field<'_> {
        self.0.get(name.to_ascii_lowercase().as_str()).into()
    }
}

fn deliver(
    source: &Source,
    event: &str,
    media_type: &str,
    signature: String,
    body: Vec<u8>,
) -> Result<(Webhook, Authenticated), Rejection> {
    let request = Request(HashMap::from([
        ("content-type", media_type.to_owned()),
        ("x-github-event", event.to_owned()),
        ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()),
        ("x-hub-signature-256", signature),
    ]));
    let received = source.receive(&request, Bytes::from(body), jiff::Timestamp::UNIX_EPOCH);
    received.map(|(delivery, by)| (delivery.webhook().unwrap(), by))
}

/// As browsers and GitHub encode a form field.
fn form(json: &[u8]) -> Vec<u8> {
    let mut form = b"payload=".to_vec();
    for byte in json {
        match byte {
            b' ' => form.push(b'+'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => form.push(*byte),
            other => form.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
    form
}

#[test]
fn every_payload_is_taken_when_signed_and_refused_when_changed_or_cut() {
    let Some(folder) = corpus::folder("forge/github") else { return };
    let files = corpus::json_files(&folder);
    assert_eq!(files.len(), 150);
    let secrets = ["next", SECRET].map(|it| Secret::literal(it).unwrap());
    let source = Source::signed("github", Forge::GitHub, Secrets::literal(secrets).unwrap());
    for file in files {
        let body = std::fs::read(&file).unwrap();
        let event = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let signature = sign(SECRET.as_bytes(), &body);
        let send = |signature: &str, body: &[u8]| {
            deliver(&source, event, "application/json", signature.to_owned(), body.to_vec())
        };

        let (webhook, authenticated) = send(&signature, &body).unwrap();
        assert_eq!(authenticated, Authenticated::Secret(1));
        assert_eq!(webhook.event, event);
        assert_eq!(webhook.body, body.trim_ascii(), "{}", file.display());

        for at in [0, body.len() / 2, body.len() - 1] {
            let mut changed = body.clone();
            changed[at] ^= 1;
            let rejection = send(&signature, &changed).unwrap_err();
            assert!(matches!(rejection, Rejection::Unauthorized(_)), "{}: {rejection}", file.display());
            assert_eq!(rejection.status(), 401);
        }

        let cut = &body.trim_ascii_end()[..body.trim_ascii_end().len() - 1];
        let (webhook_cut, _) = send(&sign(SECRET.as_bytes(), cut), cut).unwrap();
        let error = pipewright::vocabulary::events(&webhook_cut).unwrap_err().to_string();
        assert!(error.contains(" at line "), "the position: {error}");

        let form = form(&body);
        let signature = sign(SECRET.as_bytes(), &form);
        let (from_form, _) =
            deliver(&source, event, "application/x-www-form-urlencoded", signature, form).unwrap();
        assert_eq!(from_form.body, webhook.body, "{}", file.display());
    }
}
