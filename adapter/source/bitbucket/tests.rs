use std::collections::HashMap;

use super::*;
use crate::source::secret::{Secret, Secrets};
use crate::source::{Authenticated, Field, Source};

const SECRET: &str = "It's a Secret to Everybody";
const BODY: &[u8] = b"{\"test\": true}";

struct Request(HashMap<String, String>);

impl Headers for Request {
    fn get(&self, name: &str) -> Field<'_> {
        self.0.get(&name.to_ascii_lowercase()).into()
    }
}

impl Request {
    fn signed(event: &str, body: &[u8]) -> Self {
        Self(HashMap::new())
            .with("content-type", "application/json; charset=utf-8")
            .with("x-event-key", event)
            .with("x-hub-signature", &signature::sign(SECRET.as_bytes(), body))
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), value.to_owned());
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.0.remove(name).expect("it was there");
        self
    }

    fn send(&self, forge: Forge, body: &[u8]) -> Result<(Webhook, Authenticated), Rejection> {
        let secrets = ["another", SECRET].map(|it| Secret::literal(it).unwrap());
        let source = Source::signed("it", forge, Secrets::literal(secrets).unwrap());
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
    for (forge, event, header, id) in [
        (Forge::Bitbucket, "repo:push", "x-request-uuid", "d5a1f0c6-1d9e-4c3e-9d0a-0a0b0c0d0e0f"),
        (Forge::BitbucketDataCenter, "pr:reviewer:needs_work", "x-request-id", "@1X2Y3Zx700x12x0"),
        (Forge::BitbucketDataCenter, "diagnostics:ping", "x-request-id", "1"),
    ] {
        let request = Request::signed(event, BODY).with(header, id);
        let (webhook, authenticated) = request.send(forge, BODY).unwrap();
        assert_eq!((webhook.forge, webhook.event.as_str(), webhook.delivery.as_str()), (forge, event, id));
        assert_eq!(authenticated, Authenticated::Secret(1));
        // Without an id, the body is one.
        let anonymous = || Request::signed(event, BODY).send(forge, BODY).unwrap().0.delivery;
        assert_eq!((anonymous(), anonymous().len()), (anonymous(), 36));
    }
}

#[test]
fn a_missing_an_empty_and_a_wrong_signature_are_unauthorized() {
    let request = || Request::signed("repo:push", BODY);
    let github = signature::sign(SECRET.as_bytes(), BODY);
    for (request, what) in [
        (request().without("x-hub-signature"), "is missing"),
        (request().without("x-hub-signature").with("x-hub-signature-256", &github), "is missing"),
        (request().with("x-hub-signature", ""), "has no signature, since the webhook has no secret"),
        (request().with("x-hub-signature", "sha256="), "has no signature, since the webhook has no secret"),
        (request().with("x-hub-signature", "sha1=00"), "must be `sha256=` and 64 hexadecimal digits"),
        (Request::signed("repo:push", b"{}"), "matches none of this source's secrets"),
    ] {
        let (status, reason) = refusal(request.send(Forge::Bitbucket, BODY));
        assert_eq!(status, 401);
        assert!(reason.starts_with(&format!("header `X-Hub-Signature` {what}")), "{reason}");
    }
}

#[test]
fn the_two_are_told_apart_by_their_events() {
    for (event, of) in [
        ("repo:push", Forge::Bitbucket),
        ("pullrequest:created", Forge::Bitbucket),
        ("repo:refs_changed", Forge::BitbucketDataCenter),
        ("pr:opened", Forge::BitbucketDataCenter),
        ("diagnostics:ping", Forge::BitbucketDataCenter),
    ] {
        for source in [Forge::Bitbucket, Forge::BitbucketDataCenter] {
            let result = Request::signed(event, BODY).send(source, BODY);
            if of == source {
                assert!(result.is_ok(), "{event}");
                continue;
            }
            let (status, reason) = refusal(result);
            assert_eq!(status, 400);
            assert!(reason.contains(&format!("set `forge: {}` in", of.name())), "{reason}");
        }
    }
    // What either may send is taken from both.
    for source in [Forge::Bitbucket, Forge::BitbucketDataCenter] {
        assert!(Request::signed("repo:fork", BODY).send(source, BODY).is_ok());
    }
}

#[test]
fn the_event_is_required() {
    for (request, reason) in [
        (Request::signed("", BODY), "header `X-Event-Key` is empty"),
        (
            Request::signed("a b", BODY),
            "header `X-Event-Key` is not one that a forge of type bitbucket sends",
        ),
    ] {
        assert_eq!(refusal(request.send(Forge::Bitbucket, BODY)), (400, reason.to_owned()));
    }
}
