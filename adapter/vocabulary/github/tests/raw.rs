use serde_json::{Value, json};

use super::*;
use crate::vocabulary::github::raw as rules;
use crate::vocabulary::pick::pick;

#[test]
fn the_raw_event_carries_the_body_as_it_came() {
    let body = pull_request("opened");
    let webhook = webhook("pull_request", &body);
    let raw = &events(&webhook).unwrap()[0];
    assert_eq!(raw.id(), "delivery-1");
    assert_eq!(raw.ty(), "com.github.pull_request.opened");
    assert_eq!(raw.source(), "https://api.github.com/repos/Acme/shop");
    assert_eq!(raw.subject(), Some("42"));
    assert_eq!(raw.time(), Some("2026-01-01T01:00:00Z"));
    assert_eq!(raw.datacontenttype(), Some("application/json"));
    assert_eq!(*raw.data(), crate::event::Data::Json(webhook.body.clone()));
}

#[test]
fn events_and_actions_of_the_future_are_raw_events() {
    for (event, body, ty) in [
        ("brand_new", json!({}), "com.github.brand_new"),
        ("brand_new", json!({"action": "shiny"}), "com.github.brand_new.shiny"),
        ("pull_request", json!({"action": "teleported"}), "com.github.pull_request.teleported"),
        ("pull_request", json!({}), "com.github.pull_request"),
        ("issues", json!({"action": 5, "issue": "none"}), "com.github.issue"),
        ("release", json!({"action": "a b\n", "release": []}), "com.github.release"),
    ] {
        let all = run(event, &body);
        assert_eq!(all.len(), 1, "{event}");
        assert_eq!(all[0].ty(), ty);
        assert_eq!(all[0].source(), "https://github.com");
        assert_eq!(all[0].time(), Some(RECEIVED));
    }
}

#[test]
fn the_source_falls_back_to_the_organization_and_then_to_the_host() {
    let source = |body: Value| run("brand_new", &body)[0].source().to_owned();
    let organization = "https://ghe.example.com/api/v3/orgs/acme";
    assert_eq!(source(json!({"organization": {"url": organization}})), organization);
    assert_eq!(
        source(json!({"repository": {"url": "not a uri"}, "organization": {"url": organization}})),
        organization
    );
    let sender = json!({"sender": {"html_url": "https://ghe.example.com:8443/eve"}});
    assert_eq!(source(sender), "https://ghe.example.com:8443");
    assert_eq!(source(json!({"hook": {"url": "https://api.github.com/app/hook"}})), "https://github.com");
}

#[test]
fn the_odd_rows_of_the_specification_are_kept() {
    for (event, body, ty, source, subject) in [
        (
            "commit_comment",
            json!({"action": "created", "comment": {"id": 3, "url": "https://x/c/3", "commit_id": "abc"}}),
            "com.github.commit_comment.created",
            "https://x/c/3/abc",
            Some("3"),
        ),
        (
            "deployment_status",
            json!({"action": "created", "deployment": {"url": "https://x/d/1"},
                   "deployment_status": {"state": "failure", "url": "https://x/d/1/s/2"}}),
            "com.github.deployment_status.failure",
            "https://x/d/1",
            Some("https://x/d/1/s/2"),
        ),
        (
            "membership",
            json!({"action": "added", "scope": "team", "team": {"url": "https://x/t"}, "member": {"login": "eve"}}),
            "com.github.membership.team.added",
            "https://x/t",
            Some("eve"),
        ),
        (
            "marketplace_purchase",
            json!({"action": "purchased", "sender": {"url": "https://x/users/eve"},
                   "marketplace_purchase": {"account": {"login": "acme"}}}),
            "com.github.marketplace_purchase.purchased",
            "https://x/users",
            Some("acme"),
        ),
        (
            "create",
            json!({"ref": "main", "ref_type": "repository",
                   "repository": {"url": "https://x/r", "html_url": "https://y/o/r"}}),
            "com.github.create.repository",
            "https://x/r",
            Some("main"),
        ),
        (
            "security_advisory",
            json!({"action": "withdrawn", "security_advisory": {"ghsa_id": "G"}}),
            "com.github.security_advisory.withdrawn",
            "github.com",
            Some("G"),
        ),
        (
            "status",
            json!({"state": "pending", "sha": A, "repository": {"url": "https://x/r"}}),
            "com.github.status.pending",
            "https://x/r",
            Some(A),
        ),
        (
            "star",
            json!({"action": "created", "repository": {"url": "https://x/r"}}),
            "com.github.star.created",
            "https://x/r",
            None,
        ),
    ] {
        // These have nothing but what the raw event is made of.
        let webhook = webhook(event, &body);
        let json = std::str::from_utf8(&webhook.body).unwrap();
        let row = rules::row_of(&webhook).unwrap();
        let raw = rules::event(&webhook, json, row, &pick(json, row.paths()).unwrap()).unwrap();
        assert_eq!((raw.ty(), raw.source(), raw.subject()), (ty, source, subject));
    }
}

#[test]
fn ping_is_a_raw_event_only() {
    let all = run("ping", &json!({"zen": "Keep it simple", "hook_id": 1, "repository": repository()}));
    assert_eq!(all.iter().map(Event::ty).collect::<Vec<_>>(), ["com.github.ping"]);
}

#[test]
fn a_delivery_without_an_id_gets_one_from_its_body() {
    let mut first = webhook("ping", &json!({"a": 1}));
    first.delivery.clear();
    let mut other = webhook("ping", &json!({"a": 2}));
    other.delivery.clear();
    let id = |webhook: &Webhook| events(webhook).unwrap()[0].id().to_owned();
    assert_eq!(id(&first), id(&first));
    assert_ne!(id(&first), id(&other));
}
