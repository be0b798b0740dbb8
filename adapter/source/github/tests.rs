use std::collections::HashMap;

use super::*;
use crate::source::secret::{Secret, Secrets};
use crate::source::{Authenticated, Field, Source};

const SECRET: &str = "It's a Secret to Everybody";

struct Request(HashMap<String, String>);

impl Headers for Request {
    fn get(&self, name: &str) -> Field<'_> {
        self.0.get(&name.to_ascii_lowercase()).into()
    }
}

impl Request {
    /// A push, signed, in JSON.
    fn signed(body: &[u8]) -> Self {
        Self(HashMap::new())
            .with("content-type", "application/json")
            .with("x-github-event", "push")
            .with("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
            .with(signature::HEADER, &signature::sign(SECRET.as_bytes(), body))
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.0.remove(name).expect("it was there");
        self
    }

    fn send(&self, body: &[u8]) -> Result<(Webhook, Authenticated), Rejection> {
        let secrets = ["another", SECRET].map(|it| Secret::literal(it).unwrap());
        let source = Source::signed("github", Forge::GitHub, Secrets::literal(secrets).unwrap());
        let received = source.receive(self, Bytes::copy_from_slice(body), jiff::Timestamp::UNIX_EPOCH);
        received.map(|(delivery, by)| (delivery.webhook().unwrap(), by))
    }
}

fn refusal(result: Result<impl Sized, Rejection>) -> (u16, String) {
    let rejection = result.err().expect("refused");
    (rejection.status(), rejection.to_string())
}

#[test]
fn a_signed_delivery_becomes_a_webhook() {
    let body = b"{\"ref\": \"refs/heads/main\"}\n";
    let (webhook, authenticated) = Request::signed(body).send(body).unwrap();
    assert_eq!(webhook.event, "push");
    assert_eq!(webhook.delivery, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(webhook.body, "{\"ref\": \"refs/heads/main\"}");
    assert_eq!(authenticated, Authenticated::Secret(1));
    assert_eq!(authenticated.to_string(), "1");
}

#[test]
fn an_unsigned_delivery_is_unauthorized() {
    assert_eq!(
        refusal(Request::signed(b"{}").without(signature::HEADER).send(b"{}")),
        (
            401,
            "header `X-Hub-Signature-256` is missing: set this source's secret in the webhook's settings at the forge"
                .to_owned()
        )
    );
}

#[test]
fn a_signature_of_sha_1_does_not_count() {
    let sha1 = Request::signed(b"{}").without(signature::HEADER).with("x-hub-signature", "sha1=2e7a");
    assert_eq!(refusal(sha1.send(b"{}")).0, 401);
}

#[test]
fn a_changed_body_is_unauthorized_before_anything_is_said_about_it() {
    let request = Request::signed(b"{}").with("content-type", "text/plain").without("x-github-event");
    assert_eq!(
        refusal(request.send(b"{]")),
        (
            401,
            "header `X-Hub-Signature-256` matches none of this source's secrets: the sender has another secret, or the \
             body was changed on the way, as by a proxy that writes it anew"
                .to_owned()
        )
    );
}

#[test]
fn an_insecure_source_takes_unsigned_deliveries_only_when_it_says_so() {
    let source = Source::insecure("github", Forge::GitHub);
    let request = Request::signed(b"").without(signature::HEADER);
    let (_, authenticated) =
        source.receive(&request, Bytes::from_static(b"{}"), jiff::Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(authenticated.to_string(), "insecure");
    assert!(Secrets::literal([]).is_err(), "and a signed one cannot exist without secrets");
}

#[test]
fn a_form_is_signed_as_it_came_and_carries_the_json_in_payload() {
    let form = b"payload=%7B%22a%22%3A+%22%C3%BC+%2B%22%7D";
    for content_type in
        ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"]
    {
        let (webhook, _) = Request::signed(form).with("content-type", content_type).send(form).unwrap();
        assert_eq!(webhook.body, r#"{"a": "ü +"}"#);
    }
}

#[test]
fn a_form_without_one_sound_payload_is_malformed() {
    for (form, message) in [
        ("", "the form must have one field `payload`"),
        ("other=%7B%7D", "the form must have one field `payload`"),
        ("payload=%7B%7D&payload=%7B%7D", "the form must have one field `payload`"),
        ("payload=%7", "the form has a `%` that starts no escape in `payload`"),
        ("payload=", "the payload must be a JSON object"),
    ] {
        let request =
            Request::signed(form.as_bytes()).with("content-type", "application/x-www-form-urlencoded");
        assert_eq!(refusal(request.send(form.as_bytes())), (400, message.to_owned()), "{form}");
    }
}

#[test]
fn other_media_types_are_unsupported() {
    let expected = (
        415,
        "header `content-type` must be `application/json` or `application/x-www-form-urlencoded`".to_owned(),
    );
    for content_type in ["text/plain", "application/xml", "", "json"] {
        assert_eq!(refusal(Request::signed(b"{}").with("content-type", content_type).send(b"{}")), expected);
    }
    assert_eq!(refusal(Request::signed(b"{}").without("content-type").send(b"{}")), expected);
    assert_eq!(
        refusal(Request::signed(b"{}").with("content-encoding", "gzip").send(b"{}")),
        (415, "header `content-encoding` is not supported: send the body uncompressed".to_owned())
    );
}

#[test]
fn event_and_delivery_are_required_bounded_and_printable() {
    for (header, shown) in [("x-github-event", "X-GitHub-Event"), ("x-github-delivery", "X-GitHub-Delivery")]
    {
        let (absent, empty) =
            (Request::signed(b"{}").without(header), Request::signed(b"{}").with(header, " "));
        assert_eq!(refusal(absent.send(b"{}")), (400, format!("header `{shown}` is missing")));
        assert_eq!(refusal(empty.send(b"{}")), (400, format!("header `{shown}` is empty")));
        for bad in ["a b", "a\nb", "ü", &"x".repeat(129)] {
            assert_eq!(
                refusal(Request::signed(b"{}").with(header, bad).send(b"{}")),
                (400, format!("header `{shown}` is not one that a forge of type github sends")),
                "{bad}"
            );
        }
    }
}

#[test]
fn the_body_is_a_json_object() {
    for body in ["", "[1]", "\"{}\"", " 7"] {
        assert_eq!(
            refusal(Request::signed(body.as_bytes()).send(body.as_bytes())),
            (400, "the payload must be a JSON object".to_owned()),
            "{body}"
        );
    }
}

#[test]
fn refusals_never_repeat_what_was_sent() {
    let body = b"{\"token\": \"hunter2\" oops}";
    let texts = [
        refusal(Request::signed(body).with(signature::HEADER, "hunter2").send(body)).1,
        refusal(Request::signed(b"{}").with("x-github-event", "hunter 2").send(b"{}")).1,
        refusal(Request::signed(b"\"hunter2\"").send(b"\"hunter2\"")).1,
    ];
    for text in texts {
        assert!(!text.contains("hunter"), "{text}");
    }
}
