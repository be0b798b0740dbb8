//! Gitea and Forgejo: what a real Gitea sent, replayed over HTTP with its own headers and signatures, and recorded payloads
//! of older versions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use pipewright::event::{Data, Event};
use pipewright::settings::{Announce, SourceDocument, SourceSpec};
use pipewright::source::Auth;
use pipewright::source::signature;
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::scope::Scope;
use pipewright::vocabulary::{Forge, Webhook, events, events_with};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::corpus::{self, Schemas};
use crate::support::service::{Answer, Service, Setup, literal};
use crate::vocabulary::{anything, mutate};

/// What the deliveries of the corpus are signed with.
const SECRET: &str = "loopback-hmac-secret";
const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const ZERO: &str = "0000000000000000000000000000000000000000";

/// A delivery as Gitea sent it.
struct Delivery {
    name: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

#[derive(Deserialize)]
struct Capture<'a> {
    request: CapturedRequest,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct CapturedRequest {
    headers: Vec<(String, String)>,
}

// === impl Delivery ===

impl Delivery {
    /// All of the corpus, in the order in which they were sent.
    fn all(root: &Path) -> Vec<Self> {
        let folder = root.join("forge/gitea-live");
        let found: Vec<Self> = corpus::json_files(&folder)
            .iter()
            .map(|path| {
                let text = std::fs::read_to_string(path).unwrap();
                let capture: Capture<'_> = serde_json::from_str(&text).unwrap();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                let mut delivery = Self { name, headers: capture.request.headers, body: Bytes::new() };
                let body = capture.body.get();
                delivery.body = match serde_json::from_str::<String>(body) {
                    Ok(form) => form.into(),
                    Err(_) => delivery.written(body).into(),
                };
                assert_eq!(delivery.header("Content-Length"), delivery.body.len().to_string());
                delivery
            })
            .collect();
        assert_eq!(found.len(), 89);
        found
    }

    fn named<'a>(all: &'a [Self], number: &str) -> &'a Self {
        all.iter().find(|it| it.name.starts_with(number)).unwrap_or_else(|| panic!("{number}"))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).unwrap()
    }

    /// The body as Go wrote it, of the capture's one line.
    fn written(&self, json: &str) -> String {
        let indent = if ["repository", "wiki"].contains(&self.header("X-Gitea-Event")) { " " } else { "  " };
        let (mut out, mut depth, mut in_text, mut escaped) = (String::new(), 0, false, false);
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        };
        let mut rest = json.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '<' | '>' | '&' => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
                _ if in_text => out.push(c),
                '{' | '[' => {
                    out.push(c);
                    if !matches!(rest.peek(), Some('}' | ']')) {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
                '}' | ']' => {
                    if !out.ends_with(['{', '[']) {
                        depth -= 1;
                        line(&mut out, depth);
                    }
                    out.push(c);
                }
                ',' => {
                    out.push(c);
                    line(&mut out, depth);
                }
                ':' => out.push_str(": "),
                _ => out.push(c),
            }
            in_text ^= c == '"' && !escaped;
            escaped = in_text && c == '\\' && !escaped;
        }
        out
    }

    /// Sends it to a source, with the headers that make a difference.
    async fn send(&self, service: &Service, source: &str) -> Answer {
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("X-") || name == "Content-Type" || name == "User-Agent")
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        service.send("POST", &format!("/webhooks/{source}"), &headers, self.body.clone()).await
    }
}

/// Announces all, with a source `it` for a forge.
fn announcing(forge: Forge) -> Setup {
    Setup::new().with(|settings| {
        settings.process.announce = Announce::All;
        let spec = SourceSpec::Forge(forge, Auth::Signed(vec![literal(SECRET)]));
        settings.sources.push(SourceDocument { name: "it".to_owned(), scope: Scope::default(), spec });
    })
}

fn webhook(event: &str, body: impl Into<Bytes>) -> Webhook {
    Webhook {
        forge: Forge::Gitea,
        event: event.to_owned(),
        delivery: "f6266f16-1bf3-46a5-9ea4-602e06ead473".to_owned(),
        body: body.into(),
        received: "2026-01-02T03:04:05Z".parse().unwrap(),
    }
}

/// The raw event and the others.
fn listed(list: &mut String, name: &str, events: &[Event]) {
    writeln!(list, "{name}").unwrap();
    for event in events {
        writeln!(list, "  {} | {} | {}", event.ty(), event.subject().unwrap_or("-"), event.source()).unwrap();
    }
}

// --- A real Gitea 1.26.

#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_of_a_real_gitea_is_taken_by_its_own_signature_and_gives_the_documented_events() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let service = announcing(Forge::Gitea).start().await;
    let (mut list, mut all, mut ids) = (String::new(), 0, HashSet::new());
    for delivery in Delivery::all(&root) {
        let name = &delivery.name;
        let answer = delivery.send(&service, "it").await;
        if delivery.header("X-Gitea-Signature").is_empty() {
            answer
                .refused(401, "header `X-Gitea-Signature` has no signature, since the webhook has no secret");
            writeln!(list, "{name}\n  (no signature: refused)").unwrap();
            continue;
        }
        assert_eq!((answer.status, answer.text.as_str()), (202, ""), "{name}");
        let events = service.events.take();
        let (raw, derived) = events.split_first().unwrap();
        assert!(raw.ty().starts_with(&format!("com.gitea.{}", delivery.header("X-Gitea-Event"))), "{name}");
        assert_eq!(raw.id(), delivery.header("X-Gitea-Delivery"));
        for event in derived {
            schemas.assert_valid(event);
            ids.insert(event.id().to_owned());
        }
        all += derived.len();
        listed(&mut list, name, &events);
    }
    println!("{all} CDEvents with {} ids", ids.len());
    insta::assert_snapshot!("live", list);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gitea_tells_twice_has_one_id() {
    let Some(root) = corpus::root() else { return };
    let all = Delivery::all(&root);
    let service = announcing(Forge::Gitea).start().await;
    let cdevent = async |number: &str| {
        assert_eq!(Delivery::named(&all, number).send(&service, "it").await.status, 202);
        let mut events = service.events.take();
        assert_eq!(events.len(), 2, "{number}: {events:?}");
        events.remove(1)
    };
    // `create` and `push`: branches, a tag, a tag of a release, in one push with others, in a fork.
    for (one, other) in [("007", "008"), ("013", "014"), ("022", "023"), ("073", "074"), ("085", "086")] {
        let (one, other) = (cdevent(one).await, cdevent(other).await);
        assert_eq!((one.id(), one.ty(), one.subject()), (other.id(), other.ty(), other.subject()));
        assert_eq!(one.attribute("correlationid"), other.attribute("correlationid"));
    }
    // A second hook, or a redelivery by hand: the same bytes with another delivery's id.
    let mut twice: HashMap<String, Vec<String>> = HashMap::new();
    for suffix in ["", "-again"] {
        for delivery in &all {
            let headers: Vec<(&str, String)> = delivery
                .headers
                .iter()
                .filter(|(name, _)| name.starts_with("X-G") || name == "Content-Type")
                .map(|(name, value)| {
                    let again = if name == "X-Gitea-Delivery" { suffix } else { "" };
                    (name.as_str(), format!("{value}{again}"))
                })
                .collect();
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            service.send("POST", "/webhooks/it", &headers, delivery.body.clone()).await;
            for event in service.events.take() {
                if event.ty().starts_with("dev.cdevents") {
                    let place = format!("{} {} {}", delivery.name, event.ty(), event.subject().unwrap());
                    twice.entry(place).or_default().push(event.id().to_owned());
                }
            }
        }
    }
    assert!(twice.len() > 40, "{}", twice.len());
    for (place, ids) in &twice {
        assert!(ids.len() == 2 && ids[0] == ids[1], "{place}: {ids:?}");
    }
    // And everything else has one of its own.
    let mut by_id: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (place, ids) in &twice {
        by_id.entry(&ids[0]).or_default().push(place);
    }
    let shared: Vec<usize> = by_id.values().map(Vec::len).filter(|count| *count > 1).collect();
    assert_eq!(shared, [2; 5], "{by_id:#?}");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_to_a_source_of_another_forge_says_which_it_is() {
    let Some(root) = corpus::root() else { return };
    let all = Delivery::all(&root);
    let delivery = Delivery::named(&all, "041");
    for forge in [Forge::GitHub, Forge::Forgejo] {
        let service = announcing(forge).start().await;
        delivery.send(&service, "it").await.refused(400, "set `forge: gitea` in the settings of the source");
        assert_eq!(service.events.count(), 0);
        service.stop().await;
    }
    let service = announcing(Forge::Gitea).start().await;
    let answer = service.delivery("it", SECRET, "push", "1", Bytes::from_static(b"{}")).await;
    answer.refused(400, "set `forge: github` in the settings of the source");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgejo_is_known_by_headers_of_its_own() {
    let Some(root) = corpus::root() else { return };
    let all = Delivery::all(&root);
    let mut delivery = Delivery { name: String::new(), headers: Vec::new(), body: Bytes::new() };
    let gitea = Delivery::named(&all, "041");
    delivery.body = gitea.body.clone();
    // It sends its own beside all that Gitea sends.
    for (name, value) in &gitea.headers {
        delivery.headers.push((name.clone(), value.clone()));
        if name.starts_with("X-Gitea-") {
            delivery.headers.push((name.replace("Gitea", "Forgejo"), value.clone()));
        }
    }
    let service = announcing(Forge::Forgejo).start().await;
    assert_eq!(delivery.send(&service, "it").await.status, 202);
    let events = service.events.take();
    assert_eq!(events[0].ty(), "com.forgejo.pull_request.opened");
    assert_eq!(events[1].tree().unwrap()["customData"]["forge"]["name"], "forgejo");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_of_which_one_byte_differs_is_refused() {
    let Some(root) = corpus::root() else { return };
    let service = announcing(Forge::Gitea).start().await;
    for mut delivery in Delivery::all(&root) {
        let mut body = delivery.body.to_vec();
        let middle = body.len() / 2;
        body[middle] ^= 1;
        delivery.body = body.into();
        assert_eq!(delivery.send(&service, "it").await.status, 401, "{}", delivery.name);
    }
    assert_eq!(service.events.count(), 0);
    service.stop().await;
}

// --- Older versions.

#[test]
fn payloads_of_older_versions_give_the_documented_events() {
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let mut list = String::new();
    for path in corpus::json_files(&root.join("forge/gitea")) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let event = match name {
            "branch_delete" | "tag_delete" => "delete",
            _ if name.contains("comment") => "issue_comment",
            _ if name.starts_with("pull_request") => "pull_request",
            _ if name.starts_with("issues") => "issues",
            other => other,
        };
        let events = events(&webhook(event, std::fs::read(&path).unwrap())).unwrap();
        events[1..].iter().for_each(|event| schemas.assert_valid(event));
        listed(&mut list, name, &events);
    }
    insta::assert_snapshot!("older", list);
}

// --- One shape for all forges.

/// The same repository on either forge.
fn repository() -> Value {
    json!({
        "id": 7, "name": "shop", "full_name": "Acme/shop", "owner": {"login": "Acme"},
        "html_url": "https://git.example.com/Acme/shop", "url": "https://git.example.com/api/v1/repos/Acme/shop",
        "clone_url": "https://git.example.com/Acme/shop.git", "default_branch": "main",
    })
}

fn of_github(mut body: Value) -> Value {
    body["repository"] = repository();
    body["repository"]["pushed_at"] = json!(1_700_000_000);
    body["sender"] = json!({"login": "eve"});
    body
}

fn of_gitea(mut body: Value) -> Value {
    body["repository"] = repository();
    body["repository"]["updated_at"] = json!("2023-11-14T22:13:19Z");
    body["sender"] = json!({"id": 2, "login": "eve", "username": "eve"});
    body
}

/// One `CDEvent` of each forge.
fn pair(github: (&str, Value), gitea: (&str, Value)) -> [Event; 2] {
    [(Forge::GitHub, github.0, of_github(github.1)), (Forge::Gitea, gitea.0, of_gitea(gitea.1))].map(
        |(forge, event, body)| {
            let mut webhook = webhook(event, body.to_string());
            webhook.forge = forge;
            let mut all = events(&webhook).unwrap();
            assert_eq!(all.len(), 2, "{event}");
            all.remove(1)
        },
    )
}

/// What a mapping sees of an event, without what names the forge.
fn seen(event: &Event, absent: &[&str]) -> Value {
    let mut data = event.tree().unwrap().clone();
    let custom = data["customData"].as_object_mut().unwrap();
    custom.remove("forge");
    for path in absent {
        let (parent, field) = path.rsplit_once('/').unwrap();
        data.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field);
    }
    json!({"type": event.ty(), "subject": data["subject"], "custom": data["customData"]})
}

#[expect(clippy::too_many_lines, reason = "one list of happenings")]
#[test]
fn the_same_happening_is_the_same_event_as_on_github() {
    let side = |reference: &str, sha: &str, id: u64| {
        let clone_url = format!("https://git.example.com/{id}.git");
        json!({"ref": reference, "sha": sha, "repo": {"id": id, "clone_url": clone_url}})
    };
    let pull_request = |closed: Option<bool>| {
        let at = closed.map(|_| "2026-01-01T05:00:00Z");
        json!({
            "number": 42, "title": "Add carts", "html_url": "https://git.example.com/Acme/shop/pulls/42",
            "user": {"login": "mallory"}, "draft": true, "labels": [{"name": "urgent"}],
            "head": side("carts", A, 8), "base": side("main", B, 7),
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T01:00:00Z", "closed_at": at,
            "merged": closed == Some(true), "merged_at": at.filter(|_| closed == Some(true)),
            "merge_commit_sha": closed.filter(|merged| *merged).map(|_| B),
        })
    };
    let change =
        |action: &str, closed: Option<bool>| json!({"action": action, "pull_request": pull_request(closed)});
    let release = json!({
        "action": "published",
        "release": {
            "id": 5, "tag_name": "v1", "name": "One", "html_url": "https://git.example.com/Acme/shop/releases/tag/v1",
            "target_commitish": "main", "author": {"login": "mallory"}, "draft": false, "prerelease": true,
            "published_at": "2026-01-01T02:00:00Z", "assets": [],
        },
    });
    let pushed = |reference: &str, before: &str, after: &str| {
        let github = json!({
            "ref": reference, "before": before, "after": after, "created": before == ZERO, "deleted": after == ZERO,
            "forced": false, "commits": [{}, {}],
        });
        let gitea = json!({
            "ref": reference, "before": before, "after": after, "commits": [{}, {}], "total_commits": 2,
        });
        (("push", github), ("push", gitea))
    };
    let same = |body: Value| (("pull_request", body.clone()), ("pull_request", body));
    let approved = |review: Value| {
        let mut body = change("submitted", None);
        body["review"] = review;
        body
    };
    let ticket = |action: &str| {
        let issue = json!({
            "number": 3, "title": "It breaks", "html_url": "https://git.example.com/Acme/shop/issues/3",
            "user": {"login": "mallory"}, "labels": [{"name": "bug"}], "assignees": [{"login": "eve"}],
            "milestone": {"title": "One"}, "state": "open", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T01:00:00Z", "closed_at": "2026-01-01T02:00:00Z",
        });
        json!({"action": action, "issue": issue})
    };
    let status = |state: &str| {
        json!({
            "id": 9, "sha": A, "context": "ci/unit", "state": state, "description": "2 of 3 failed",
            "target_url": "https://ci.example.com/9", "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:01Z",
        })
    };
    let forced = &["/customData/push/forced"][..];
    let review = &["/customData/review/url", "/customData/review/commit"][..];
    let cases = [
        (pushed("refs/heads/feature/x", ZERO, A), &[][..]),
        // Gitea does not say whether a push was forced.
        (pushed("refs/heads/feature/x", A, B), forced),
        (pushed("refs/tags/v1", ZERO, A), &[]),
        (pushed("refs/tags/v1", A, ZERO), &[]),
        (same(change("opened", None)), &[]),
        (
            (("pull_request", change("synchronize", None)), ("pull_request", change("synchronized", None))),
            &[],
        ),
        (same(change("edited", None)), &[]),
        (same(change("reopened", None)), &[]),
        (same(change("closed", Some(true))), &[]),
        (same(change("closed", Some(false))), &[]),
        // Nor the page and the commit of a review.
        (
            (
                (
                    "pull_request_review",
                    approved(json!({
                        "id": 1, "state": "approved", "user": {"login": "eve"}, "html_url": "https://git.example.com/r",
                        "commit_id": A, "submitted_at": "2026-01-01T01:00:00Z",
                    })),
                ),
                ("pull_request_approved", {
                    let mut body = change("reviewed", None);
                    body["review"] = json!({"type": "pull_request_review_approved", "content": "Good."});
                    body
                }),
            ),
            review,
        ),
        ((("issues", ticket("opened")), ("issues", ticket("opened"))), &[]),
        ((("issues", ticket("reopened")), ("issues", ticket("reopened"))), &[]),
        ((("issues", ticket("closed")), ("issues", ticket("closed"))), &[]),
        ((("status", status("pending")), ("status", status("pending"))), &[]),
        ((("status", status("failure")), ("status", status("failure"))), &[]),
        ((("repository", json!({"action": "created"})), ("repository", json!({"action": "created"}))), &[]),
        ((("repository", json!({"action": "deleted"})), ("repository", json!({"action": "deleted"}))), &[]),
        // The type of a purl is the forge.
        ((("release", release.clone()), ("release", release)), &["/subject/id"]),
    ];
    for ((github, gitea), poorer) in cases {
        let [github, gitea] = pair(github, gitea);
        if !gitea.ty().starts_with("dev.cdevents.artifact") {
            assert_eq!(seen(&gitea, &[]), seen(&gitea, poorer), "what is poorer is absent");
        }
        assert_eq!(seen(&gitea, poorer), seen(&github, poorer));
    }
}

// --- Payloads that are in no corpus.

#[test]
fn mutated_payloads_never_panic_and_never_give_an_invalid_event() {
    let everything = Options::everything();
    let Some(root) = corpus::root() else { return };
    let schemas = Schemas::load(&root);
    let payloads: Vec<(String, Value)> = Delivery::all(&root)
        .into_iter()
        .filter_map(|it| {
            Some((it.header("X-Gitea-Event").to_owned(), serde_json::from_slice(&it.body).ok()?))
        })
        .collect();
    let changes = prop::collection::vec((any::<u64>(), anything()), 1..4);
    let outcomes = std::cell::Cell::new((0, 0, 0));
    let config = ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((event, mut payload) in prop::sample::select(payloads), changes in changes)| {
        for (seed, replacement) in &changes {
            mutate(&mut payload, *seed, replacement);
        }
        let (mut good, mut cdevents, mut refused) = outcomes.get();
        match events_with(&webhook(&event, serde_json::to_vec(&payload).unwrap()), &everything) {
            Ok(events) => {
                good += 1;
                prop_assert!(events[0].ty().starts_with("com.gitea."));
                for event in &events[1..] {
                    cdevents += 1;
                    schemas.assert_valid(event);
                }
            }
            Err(error) => {
                refused += 1;
                // Whatever is in an object, there is a raw event.
                prop_assert!(!payload.is_object(), "{error}");
            }
        }
        outcomes.set((good, cdevents, refused));
    });
    let (good, cdevents, refused) = outcomes.get();
    println!("{good} taken with {cdevents} CDEvents, {refused} refused");
    assert!(good > 500 && cdevents > 200 && refused < 100, "{good} {cdevents} {refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_titles_of_any_kind_and_a_push_of_300_commits_come_through() {
    let service = announcing(Forge::Gitea).start().await;
    let send = async |event: &str, body: Value| {
        let body = Bytes::from(of_gitea(body).to_string());
        let signature = signature::sign(SECRET.as_bytes(), &body);
        let headers = [
            ("content-type", "application/json"),
            ("x-gitea-event", event),
            ("x-gitea-delivery", "1"),
            ("x-gitea-signature", &signature["sha256=".len()..]),
        ];
        service.send("POST", "/webhooks/it", &headers, body).await
    };
    let name = "feature/größe/日本語#1 %20";
    let mut push =
        json!({"ref": format!("refs/heads/{name}"), "before": A, "after": B, "total_commits": 300});
    push["commits"] = json!([{}, {}, {}, {}, {}]);
    assert_eq!(send("push", push).await.status, 202);
    let events = service.events.take();
    assert_eq!(events[1].subject(), Some(name));
    assert_eq!(events[1].tree().unwrap()["customData"]["push"]["commits"], 300);

    let title = "\u{0} \u{1b}[31m \u{202e}$(params.x) \"'`\n{{name}}";
    let pull_request = json!({
        "number": 1, "title": title, "head": {"ref": "x", "sha": A}, "base": {"ref": "main", "sha": B},
        "created_at": "2026-01-01T00:00:00Z",
    });
    assert_eq!(
        send("pull_request", json!({"action": "opened", "pull_request": pull_request})).await.status,
        202
    );
    let events = service.events.take();
    assert_eq!(events[1].tree().unwrap()["customData"]["change"]["title"], title);

    assert_eq!(send("pull_request", json!({"action": "opened"})).await.status, 202);
    assert_eq!(service.events.take().len(), 1, "the raw event");
    assert_eq!(send("invented", json!({"action": null})).await.status, 202);
    let events = service.events.take();
    assert_eq!((events.len(), events[0].ty()), (1, "com.gitea.invented"));
    let Data::Json(_) = events[0].data() else { panic!("{:?}", events[0].data()) };
    service.stop().await;
}
