//! JWTs: those of the issuer for us are taken, and no others.

use std::sync::atomic::Ordering;

use pipewright::source::oidc::Document;
use ring::hmac;
use serde_json::{Value, json};

use super::issuer::{Issuer, Key, at, message};
use super::{STRUCTURED, forged};
use crate::support::service::{Answer, Service, Setup};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

async fn service(issuer: &Issuer, subjects: &[&str]) -> Service {
    let document = Document {
        issuer: issuer.url.clone(),
        audience: "pipewright".to_owned(),
        jwks_uri: None,
        ca_file: None,
        subjects: subjects.iter().map(|it| (*it).to_owned()).collect(),
    };
    Setup::closed().with(|it| it.process.event_oidc = Some(document)).start().await
}

async fn post(service: &Service, token: &str) -> Answer {
    let authorization = format!("Bearer {token}");
    let headers = [STRUCTURED, ("authorization", authorization.as_str())];
    service.send("POST", "/events", &headers, forged()[5].to_string()).await
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_issuer_for_us_is_taken_and_any_other_is_401() {
    let (rsa, ec, stranger) = (Key::rsa(0), Key::ec(), Key::rsa(1));
    let issuer = Issuer::start(json!([rsa.jwk("rsa"), ec.jwk("ec"), {"kty": "OKP", "kid": "other"}])).await;
    let service = service(&issuer, &[]).await;
    let ready = async || service.get("/readyz?verbose").await.text;
    let told = format!("[+] events ok: CloudEvents are taken with a JWT of {} for `pipewright`", issuer.url);
    service.until("the keys are read", async || ready().await.contains(&told)).await;

    let claims = issuer.claims();
    let good = rsa.sign("rsa", &claims);
    for token in [
        good.clone(),
        ec.sign("ec", &claims),
        rsa.sign("rsa", &with(&claims, "aud", json!("pipewright"))),
        rsa.sign("rsa", &with(&claims, "aud", json!(["other", "pipewright"]))),
        // Clocks differ a little.
        rsa.sign("rsa", &with(&claims, "exp", json!(at(-10)))),
        rsa.sign("rsa", &with(&claims, "nbf", json!(at(10)))),
    ] {
        post(&service, &token).await.accepted("ignored");
    }
    assert!(service.metric("pipewright_events_authenticated_total{by=\"oidc\"}").await > 5.5);

    let mut without_nbf = claims.clone();
    without_nbf.as_object_mut().unwrap().remove("nbf");
    post(&service, &rsa.sign("rsa", &without_nbf)).await.accepted("ignored");

    for (name, value, reason) in [
        ("aud", json!(["https://kubernetes.default.svc"]), "`aud` does not name `eventOidc.audience`"),
        ("aud", json!("pipewright2"), "`aud` does not name"),
        ("aud", json!([]), "`aud` does not name"),
        ("aud", json!(7), "`aud` is missing"),
        ("aud", Value::Null, "`aud` is missing"),
        ("iss", json!("https://issuer.example"), "`iss` is not `eventOidc.issuer`"),
        ("iss", json!(format!("{}/", issuer.url)), "`iss` is not"),
        ("iss", Value::Null, "`iss` is missing"),
        ("exp", json!(at(-60)), "`exp` is over"),
        ("exp", json!(at(3600).to_string()), "`exp` is missing"),
        ("exp", Value::Null, "`exp` is missing"),
        ("nbf", json!(at(3600)), "`nbf` has not come yet"),
        ("nbf", json!(at(0).to_string()), "`nbf` is of a wrong type"),
        ("sub", Value::Null, "the token"),
        ("sub", json!(""), "`sub` is not a name"),
        ("sub", json!("a\nb"), "`sub` is not a name"),
        ("sub", json!("a".repeat(257)), "`sub` is not a name"),
    ] {
        let answer = post(&service, &rsa.sign("rsa", &with(&claims, name, value.clone()))).await;
        assert_eq!(answer.status, 401, "{name} {value}: {answer:?}");
        assert!(answer.text.contains(reason), "{name} {value}: {answer:?}");
    }

    // Whose signature it is not.
    let (head, signature) = good.rsplit_once('.').unwrap();
    let header = |alg: &str| message(&json!({"alg": alg, "kid": "rsa"}), &claims);
    let hs256 = header("HS256");
    let forged = |secret: &[u8]| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), hs256.as_bytes());
        format!("{hs256}.{}", BASE64.encode(tag))
    };
    let pem = include_str!("../../fixtures/oidc/rsa-1.pem");
    for (token, reason) in [
        (stranger.sign("rsa", &claims), "signature fits no key"),
        (
            format!(
                "{}.{signature}",
                message(&json!({"alg": "RS256", "kid": "rsa"}), &with(&claims, "x", json!(1)))
            ),
            "signature fits no key",
        ),
        (format!("{head}."), "signature"),
        (format!("{}.", header("none")), "not a JWT signed with RS256 or ES256"),
        (format!("{}.{signature}", header("none")), "not a JWT signed"),
        (format!("{}.{signature}", header("None")), "not a JWT signed"),
        (forged(&rsa.public()), "not a JWT signed"),
        (forged(pem.as_bytes()), "not a JWT signed"),
        (forged(b""), "not a JWT signed"),
        (format!("{}.{signature}", header("RS512")), "not a JWT signed"),
        (format!("{}.{signature}", header("PS256")), "not a JWT signed"),
        ("x".to_owned(), "not a JWT signed"),
        ("a.b.c".to_owned(), "not a JWT signed"),
        (format!("{good}.x"), "not a JWT signed"),
        (String::new(), ""),
    ] {
        let answer = post(&service, &token).await;
        assert_eq!(answer.status, 401, "{token}: {answer:?}");
        assert!(answer.text.contains(reason), "{token}: {answer:?}");
    }
    // Without a `kid` the keys of its kind are tried.
    let unnamed = message(&json!({"alg": "RS256"}), &claims);
    post(&service, &format!("{unnamed}.{signature}")).await.refused(401, "signature fits no key");
    // A key of another kind is not the one of that name.
    post(&service, &rsa.sign("ec", &claims)).await.later(503, "");
    service.send("POST", "/events", &[STRUCTURED], "{}").await.refused(401, "send a JWT of the issuer");
    service
        .send("POST", &format!("/events?access_token={good}"), &[STRUCTURED], "{}")
        .await
        .refused(401, "send");
    assert_eq!(issuer.reads.load(Ordering::Relaxed), 1, "the keys are kept");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_that_is_not_on_the_list_is_403() {
    let key = Key::ec();
    let issuer = Issuer::start(json!([key.jwk("1")])).await;
    let service = service(&issuer, &["system:serviceaccount:ci:*", "robot"]).await;
    for (subject, status) in [
        ("system:serviceaccount:ci:builds-oidc-eventing.knative.dev-trigger", 202),
        ("robot", 202),
        ("robot2", 403),
        ("system:serviceaccount:ci-evil:builds", 403),
        ("system:serviceaccount:default:default", 403),
        ("*", 403),
    ] {
        let token = key.sign("1", &with(&issuer.claims(), "sub", json!(subject)));
        let answer = post(&service, &token).await;
        assert_eq!(answer.status, status, "{subject}: {answer:?}");
        assert!(!answer.text.contains("evil"), "{answer:?}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_and_made_up_names_of_keys_cost_the_issuer_nothing() {
    let [old, new] = [Key::rsa(0), Key::rsa(1)];
    let issuer = Issuer::start(json!([old.jwk("old")])).await;
    let service = service(&issuer, &[]).await;
    post(&service, &old.sign("old", &issuer.claims())).await.accepted("ignored");
    assert_eq!(issuer.reads.load(Ordering::Relaxed), 1);

    issuer.rotate(json!([new.jwk("new")]));
    let token = new.sign("new", &issuer.claims());
    // It may be newer than what was read a moment ago: it is not refused for good, so that its sender keeps the event.
    post(&service, &token).await.later(503, "try again");
    for number in 0..50 {
        post(&service, &old.sign(&format!("made up {number}"), &issuer.claims()))
            .await
            .later(503, "try again");
    }
    assert_eq!(issuer.reads.load(Ordering::Relaxed), 1);
    service.until("the new key is known", async || post(&service, &token).await.status == 202).await;
    assert_eq!(issuer.reads.load(Ordering::Relaxed), 2);
    // What the issuer no longer has proves nothing any more.
    assert_ne!(post(&service, &old.sign("old", &issuer.claims())).await.status, 202);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_issuer_is_away_senders_are_asked_to_come_again_and_readiness_says_why() {
    let key = Key::ec();
    let issuer = Issuer::start(json!([key.jwk("1")])).await;
    issuer.up.store(false, Ordering::Relaxed);
    let service = service(&issuer, &[]).await;
    let token = key.sign("1", &issuer.claims());
    post(&service, &token)
        .await
        .later(503, "the keys of the issuer in `eventOidc` cannot be read at present");
    let ready = service.get("/readyz?verbose").await;
    assert!(ready.text.contains("[!] events: ") && ready.text.contains("503"), "{ready:?}");
    assert_eq!(ready.status, 200);
    issuer.up.store(true, Ordering::Relaxed);
    service.until("the issuer is back", async || post(&service, &token).await.status == 202).await;
    // And goes again: what is known stays good.
    issuer.up.store(false, Ordering::Relaxed);
    post(&service, &token).await.accepted("ignored");
    service.stop().await;
}
