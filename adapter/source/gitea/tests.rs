use std::collections::HashMap;

use super::*;
use crate::source::secret::{Secret, Secrets};
use crate::source::{Authenticated, Field, Source};

const SECRET: &str = "It's a Secret to Everybody";
const BODY: &[u8] = b"{\"ref\": \"refs/heads/main\"}";

struct Request(HashMap<String, String>);

impl Headers for Request {
    fn get(&self, name: &str) -> Field<'_> {
        self.0.get(&name.to_ascii_lowercase()).into()
    }
}

impl Request {
    /// A push with all headers that Gitea sends, and Forgejo's own where it sends them.
    fn signed(forge: Forge, body: &[u8]) -> Self {
        let signature = signature::sign(SECRET.as_bytes(), body);
        let mut all = Self(HashMap::new())
            .with("content-type", "application/json")
            .with("x-hub-signature-256", &signature)
            .with("x-github-event", "push")
            .with("x-github-delivery", "1");
        let names = ["gogs", "gitea", "forgejo"];
        let count = [Forge::GitHub, Forge::Gitea, Forge::Forgejo].iter().position(|it| *it == forge).unwrap();
        for name in &names[..if count == 0 { 0 } else { count + 1 }] {
            all = all
                .with(&format!("x-{name}-event"), "push")
                .with(&format!("x-{name}-delivery"), "1")
                .with(&format!("x-{name}-signature"), &signature["sha256=".len()..]);
        }
        all
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
    for forge in [Forge::Gitea, Forge::Forgejo] {
        let (webhook, authenticated) = Request::signed(forge, BODY).send(forge, BODY).unwrap();
        assert_eq!((webhook.forge, webhook.event.as_str(), webhook.delivery.as_str()), (forge, "push", "1"));
        assert_eq!(webhook.body, BODY);
        assert_eq!(authenticated, Authenticated::Secret(1));
    }
}

#[test]
fn only_the_forges_own_signature_counts() {
    for (forge, name) in [(Forge::Gitea, "X-Gitea-Signature"), (Forge::Forgejo, "X-Forgejo-Signature")] {
        let lower = name.to_ascii_lowercase();
        let request = || Request::signed(forge, BODY);
        for (request, what) in [
            (request().without(&lower), "is missing"),
            (request().with(&lower, ""), "has no signature, since the webhook has no secret"),
            (request().with(&lower, "0"), "must be 64 hexadecimal digits"),
            (request().with(&lower, &"0".repeat(64)), "matches none of this source's secrets"),
        ] {
            let (status, reason) = refusal(request.send(forge, BODY));
            assert_eq!(status, 401);
            assert!(reason.starts_with(&format!("header `{name}` {what}")), "{reason}");
        }
        assert_eq!(refusal(request().send(forge, b"{}")).0, 401);
    }
}

#[test]
fn a_form_is_signed_over_its_json() {
    let form = b"payload=%7B%22ref%22%3A+%22refs%2Fheads%2Fmain%22%7D";
    let request = |signed: &[u8]| {
        Request::signed(Forge::Gitea, signed).with("content-type", "application/x-www-form-urlencoded")
    };
    let (webhook, _) = request(BODY).send(Forge::Gitea, form).unwrap();
    assert_eq!(webhook.body, BODY);
    assert_eq!(refusal(request(form).send(Forge::Gitea, form)).0, 401);
    // What is wrong with a form is told to those who have the secret.
    assert_eq!(refusal(request(BODY).send(Forge::Gitea, b"other=1")).0, 401);
    assert_eq!(refusal(request(b"other=1").send(Forge::Gitea, b"other=1")).0, 400);
    let text = Request::signed(Forge::Gitea, BODY).with("content-type", "text/plain");
    assert_eq!(refusal(text.send(Forge::Gitea, BODY)).0, 415);
}

#[test]
fn forges_are_told_apart_though_they_send_each_others_headers() {
    let all = [Forge::GitHub, Forge::Gitea, Forge::Forgejo];
    for sender in all {
        for source in all {
            let result = Request::signed(sender, BODY).send(source, BODY);
            if sender == source {
                assert_eq!(result.unwrap().0.forge, sender);
                continue;
            }
            let (status, reason) = refusal(result);
            assert_eq!(status, 400, "{reason}");
            assert!(reason.contains(&format!("set `forge: {}`", sender.name())), "{reason}");
        }
    }
}

/// Some versions have no name for some events there, such as packages and those of Actions.
#[test]
fn where_the_event_has_no_name_its_finer_name_counts() {
    for (forge, name) in [(Forge::Gitea, "gitea"), (Forge::Forgejo, "forgejo")] {
        for (finer, event) in [
            ("package", "package"),
            ("status", "status"),
            ("action_run_success", "action_run_success"),
            ("pull_request_sync", "pull_request"),
            ("pull_request_review_approved", "pull_request_approved"),
            ("pull_request_comment", "issue_comment"),
        ] {
            let request = Request::signed(forge, BODY)
                .with("x-gitea-event", "")
                .with(&format!("x-{name}-event"), "")
                .with(&format!("x-{name}-event-type"), finer);
            assert_eq!(request.send(forge, BODY).unwrap().0.event, event, "{finer}");
        }
        let nameless = Request::signed(forge, BODY).with(&format!("x-{name}-event"), " ");
        assert_eq!(refusal(nameless.send(forge, BODY)).0, 400);
    }
}

#[test]
fn headers_that_are_missing_or_odd_are_named() {
    let request = || Request::signed(Forge::Gitea, BODY);
    for (request, what) in [
        (request().without("x-gitea-delivery"), "header `X-Gitea-Delivery` is missing"),
        (
            request().with("x-gitea-event", "A B"),
            "header `X-Gitea-Event` is not one that a forge of type gitea sends",
        ),
    ] {
        assert_eq!(refusal(request.send(Forge::Gitea, BODY)), (400, what.to_owned()));
    }
}
