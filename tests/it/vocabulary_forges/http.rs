//! Deliveries over HTTP: each forge's own way to authenticate, and what is refused.

use pipewright::event::Event;
use pipewright::settings::{Announce, SourceDocument, SourceSpec};
use pipewright::source::Auth;
use pipewright::source::signature::sign;
use pipewright::vocabulary::Forge;
use pipewright::vocabulary::scope::Scope;
use serde_json::json;

use crate::support::corpus;
use crate::support::service::{SECRET, Service, Setup, literal};

/// A source for each of the three, by the name of its forge.
async fn service() -> Service {
    let mut setup = Setup::new().with(|settings| settings.process.announce = Announce::All);
    for forge in [Forge::GitLab, Forge::Bitbucket, Forge::BitbucketDataCenter] {
        let spec = SourceSpec::Forge(forge, Auth::Signed(vec![literal("next"), literal(SECRET)]));
        setup.settings.sources.push(SourceDocument {
            name: forge.name().to_owned(),
            scope: Scope::default(),
            spec,
        });
    }
    setup.start().await
}

/// The headers of a delivery without those that authenticate it.
fn headers<'a>(forge: Forge, event: &'a str, delivery: &'a str) -> Vec<(&'static str, &'a str)> {
    let (event_header, delivery_header) = match forge {
        Forge::GitLab => ("X-Gitlab-Event", "Idempotency-Key"),
        Forge::Bitbucket => ("X-Event-Key", "X-Request-UUID"),
        _ => ("X-Event-Key", "X-Request-Id"),
    };
    vec![("content-type", "application/json"), (event_header, event), (delivery_header, delivery)]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_payload_is_accepted_once_authentic_and_keeps_its_ids_when_sent_again() {
    let Some(root) = corpus::root() else { return };
    let service = service().await;
    for payload in super::payloads(&root) {
        let path = format!("/webhooks/{}", payload.forge.name());
        let signature = sign(SECRET.as_bytes(), &payload.body);
        let own = match payload.forge {
            Forge::GitLab => ("X-Gitlab-Token", SECRET),
            _ => ("X-Hub-Signature", signature.as_str()),
        };
        let mut ids = Vec::new();
        for _ in 0..2 {
            let mut headers = headers(payload.forge, &payload.event, "d-1");
            headers.push(own);
            let answer = service.send("POST", &path, &headers, payload.body.clone()).await;
            assert_eq!((answer.status, answer.text.as_str()), (202, ""), "{}", payload.name);
            let events = service.events.take();
            assert_eq!(events[0].id(), "d-1", "{}", payload.name);
            ids.push(events.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>());
        }
        assert_eq!(ids[0], ids[1], "{}", payload.name);
    }
    let metrics = service.get("/metrics").await.text;
    for name in ["gitlab", "bitbucket", "bitbucket-data-center"] {
        // The second of the two secrets.
        let counted = format!("pipewright_signatures_total{{source=\"{name}\",secret=\"1\"}}");
        assert!(metrics.contains(&counted), "{metrics}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_authentic_is_401_with_the_name_of_the_header() {
    let service = service().await;
    let body = "{\"repository\": 1}";
    for (forge, event, header) in [
        (Forge::GitLab, "Push Hook", "X-Gitlab-Token"),
        (Forge::Bitbucket, "repo:push", "X-Hub-Signature"),
        (Forge::BitbucketDataCenter, "repo:refs_changed", "X-Hub-Signature"),
    ] {
        let foreign = sign(b"foreign", body.as_bytes());
        for (value, reason) in [
            (None, "is missing"),
            (Some(""), "has no signature"),
            (Some(foreign.as_str()), "matches none of this source's secrets"),
        ] {
            let mut headers = headers(forge, event, "d-1");
            headers.extend(value.map(|value| (header, value)));
            let answer = service.send("POST", &format!("/webhooks/{}", forge.name()), &headers, body).await;
            answer.refused(401, &format!("header `{header}` {reason}"));
        }
    }
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_of_the_connection_is_accepted_and_no_cdevent() {
    let service = service().await;
    for (forge, event, body, ty) in [
        (
            Forge::BitbucketDataCenter,
            "diagnostics:ping",
            json!({"test": true}),
            "com.bitbucket.diagnostics.ping",
        ),
        (Forge::GitLab, "Brand New Hook", json!({"object_kind": "brand_new"}), "com.gitlab.brand_new"),
        (Forge::Bitbucket, "brand:new", json!({}), "com.bitbucket.brand.new"),
    ] {
        let body = body.to_string();
        let signature = sign(SECRET.as_bytes(), body.as_bytes());
        let mut headers = headers(forge, event, "d-1");
        headers.extend([("X-Gitlab-Token", SECRET), ("X-Hub-Signature", signature.as_str())]);
        let answer = service.send("POST", &format!("/webhooks/{}", forge.name()), &headers, body).await;
        assert_eq!((answer.status, answer.text.as_str()), (202, ""));
        let events = service.events.take();
        assert_eq!(events.iter().map(Event::ty).collect::<Vec<_>>(), [ty]);
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_used_of_a_payload_is_counted_by_what_it_costs() {
    let service = service().await;
    let mut body = super::fixture("gitlab/push.user-as-number.json");
    for (what, counted) in [
        (None, "costs=\"field\"} 1"),
        (Some(json!(5)), "costs=\"event\"} 1"),
        // An object whatever is in it.
        (Some(json!({})), "costs=\"event\"} 2"),
    ] {
        if let Some(odd) = what {
            body["project"] = odd;
        }
        let mut headers = headers(Forge::GitLab, "Push Hook", "d-1");
        headers.push(("X-Gitlab-Token", SECRET));
        let answer = service.send("POST", "/webhooks/gitlab", &headers, body.to_string()).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let raw = service.events.take();
        assert_eq!(raw[0].ty(), "com.gitlab.push");
        let metrics = service.get("/metrics").await.text;
        let line = format!("pipewright_payload_misfits_total{{forge=\"gitlab\",{counted}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}
