use std::collections::HashMap;

use super::*;
use crate::source::secret::Secret;
use crate::source::{Authenticated, Source};

const TOKEN: &str = "glpat for this test";
/// The key and the vector of Standard Webhooks' own documentation.
const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &[u8] = br#"{"test": 2432232314}"#;
const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

struct Request(HashMap<String, String>);

impl Headers for Request {
    fn get(&self, name: &str) -> Field<'_> {
        self.0.get(&name.to_ascii_lowercase()).into()
    }
}

impl Request {
    /// A push with nothing that says who sent it.
    fn bare() -> Self {
        Self(HashMap::new())
            .with("content-type", "application/json")
            .with("x-gitlab-event", "Push Hook")
            .with("x-gitlab-event-uuid", "13792a34-cac6-4fda-95a8-c58e00a3954e")
            .with("idempotency-key", "f5e5f430-f57b-4e6e-9fac-d9128cd7232f")
    }

    fn signed() -> Self {
        Self::bare()
            .with("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
            .with("webhook-timestamp", "1614265330")
            .with("webhook-signature", SIGNATURE)
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
        let secrets = ["another", TOKEN, SIGNING].map(|it| Secret::literal(it).unwrap());
        let source = Source::signed("gitlab", Forge::GitLab, Secrets::literal(secrets).unwrap());
        let received = source.receive(self, Bytes::copy_from_slice(body), jiff::Timestamp::UNIX_EPOCH);
        received.map(|(delivery, by)| (delivery.webhook().unwrap(), by))
    }

    fn delivery(&self, body: &[u8]) -> String {
        self.send(body).unwrap().0.delivery
    }
}

fn refusal(result: Result<impl Sized, Rejection>) -> (u16, String) {
    let rejection = result.err().expect("refused");
    (rejection.status(), rejection.to_string())
}

#[test]
fn any_of_the_tokens_counts_and_its_place_is_told() {
    for (token, place) in [("another", 0), (TOKEN, 1), (SIGNING, 2)] {
        let (webhook, authenticated) = Request::bare().with("x-gitlab-token", token).send(BODY).unwrap();
        assert_eq!(authenticated, Authenticated::Secret(place));
        assert_eq!((webhook.forge, webhook.event.as_str()), (Forge::GitLab, "Push Hook"));
        assert_eq!(webhook.body, BODY);
    }
}

#[test]
fn a_missing_an_empty_and_a_wrong_token_are_unauthorized() {
    let request = |token: &str| Request::bare().with("x-gitlab-token", token);
    for (request, what) in [
        (Request::bare(), "is missing: set this source's secret in the webhook's settings at the forge"),
        (request(""), "has no signature, since the webhook has no secret"),
        (request(" "), "has no signature, since the webhook has no secret"),
        (request("wrong"), "matches none of this source's secrets"),
        (request("anothe"), "matches none of this source's secrets"),
        (request("anotherr"), "matches none of this source's secrets"),
    ] {
        // Before anything is said about the body.
        let (status, reason) = refusal(request.send(b"{]"));
        assert_eq!(status, 401);
        assert!(reason.starts_with(&format!("header `X-Gitlab-Token` {what}")), "{reason}");
    }
}

#[test]
fn a_signature_over_id_time_and_body_counts() {
    let (_, authenticated) = Request::signed().send(BODY).unwrap();
    assert_eq!(authenticated, Authenticated::Secret(2));
    let several = format!("v1,AAAA v1a,x {SIGNATURE}");
    assert!(Request::signed().with("webhook-signature", &several).send(BODY).is_ok());
    // The webhook has a token that this source does not know, or the other way round.
    assert!(Request::signed().with("x-gitlab-token", "unknown").send(BODY).is_ok());
    let token = Request::signed().with("webhook-signature", "v1,AAAA").with("x-gitlab-token", TOKEN);
    assert_eq!(token.send(BODY).unwrap().1, Authenticated::Secret(1));
}

#[test]
fn a_signature_of_anything_else_is_unauthorized() {
    for (request, body) in [
        (Request::signed(), &b"{\"test\": 2432232315}"[..]),
        (Request::signed().with("webhook-id", "msg_other"), BODY),
        (Request::signed().with("webhook-timestamp", "1614265331"), BODY),
        (Request::signed().with("webhook-signature", &SIGNATURE.replace("v1,", "v1a,")), BODY),
        (Request::signed().with("webhook-signature", "v1,"), BODY),
        (Request::signed().without("webhook-id"), BODY),
    ] {
        assert_eq!(refusal(request.send(body)), (401, SignatureError::Mismatch(GITLAB).to_string()));
    }
    let empty = Request::signed().with("webhook-signature", " ");
    assert_eq!(refusal(empty.send(BODY)).0, 401);
}

#[test]
fn a_delivery_keeps_its_id_and_two_of_one_request_have_two() {
    let request = || Request::bare().with("x-gitlab-token", TOKEN);
    assert_eq!(request().delivery(BODY), "f5e5f430-f57b-4e6e-9fac-d9128cd7232f");
    let old = || request().without("idempotency-key");
    assert!(old().delivery(BODY).starts_with("13792a34-cac6-4fda-95a8-c58e00a3954e:"));
    assert_eq!(old().delivery(BODY), old().delivery(BODY));
    assert_ne!(old().delivery(BODY), old().delivery(b"{}"));
    let oldest = || old().without("x-gitlab-event-uuid");
    assert_eq!(oldest().delivery(BODY), oldest().delivery(BODY));
    assert_ne!(oldest().delivery(BODY), oldest().delivery(b"{}"));
    assert_eq!(
        request().with("idempotency-key", "a\u{1}b").without("x-gitlab-event-uuid").delivery(BODY).len(),
        36
    );
}

#[test]
fn the_event_is_required_and_another_forges_is_told_apart() {
    let request = || Request::bare().with("x-gitlab-token", TOKEN);
    for (request, reason) in [
        (request().without("x-gitlab-event"), "header `X-Gitlab-Event` is missing"),
        (
            request().with("x-gitlab-event", "Push/Hook"),
            "header `X-Gitlab-Event` is not one that a forge of type gitlab",
        ),
        (request().without("x-gitlab-event").with("x-github-event", "push"), "set `forge: github`"),
    ] {
        let (status, text) = refusal(request.send(BODY));
        assert_eq!(status, 400);
        assert!(text.contains(reason), "{text}");
    }
    let source = Source::insecure("github", Forge::GitHub);
    let result = source.receive(&request(), Bytes::from_static(BODY), jiff::Timestamp::UNIX_EPOCH);
    assert!(refusal(result).1.contains("set `forge: gitlab`"));
}

#[test]
fn an_insecure_source_takes_anything() {
    let source = Source::insecure("gitlab", Forge::GitLab);
    let result = source.receive(&Request::bare(), Bytes::from_static(BODY), jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(result.unwrap().1, Authenticated::Insecure);
}
