//! Payloads that nobody has recorded: what forges may send one day, and what people may call things.

use pipewright::event::Event;
use pipewright::vocabulary::{Forge, events};
use serde_json::{Value, json};

use super::equal::{A, B, Sent, ZERO, changes, pushes};
use super::{is_cdevent, webhook};
use crate::support::corpus::{self, Schemas};
use crate::vocabulary::collect;

const OPENED: super::equal::Names =
    ("pull_request", "opened", Some("open"), "pullrequest:created", "pr:opened");

/// Names that git takes for a branch, and some that only a broken sender would write.
const NAMES: &[&str] = &[
    "feature/x",
    "größe/日本語#1 %20",
    "a&b;c|d$(x)`y`\"z'",
    "\u{7}bell",
    "\u{1b}[31mred",
    "\u{202e}txt.exe",
    "\u{fdd0}\u{ffff}",
    "\u{10ffff}",
    "refs/heads/refs/heads/x",
    "-",
    ".",
];

fn told(sent: &Sent) -> Vec<Event> {
    let webhook = webhook(sent.forge, sent.event, "1", sent.body.to_string());
    events(&webhook).unwrap_or_else(|error| panic!("{:?}: {error}", sent.forge))
}

/// The one `CDEvent`, which must be valid.
fn one(sent: &Sent, schemas: Option<&Schemas>) -> Event {
    let mut all: Vec<Event> = told(sent).into_iter().filter(is_cdevent).collect();
    assert_eq!(all.len(), 1, "{:?}: {all:?}", sent.forge);
    let event = all.remove(0);
    if let Some(schemas) = schemas {
        schemas.assert_valid(&event);
    }
    event
}

fn schemas() -> Option<Schemas> {
    corpus::root().map(|root| Schemas::load(&root))
}

#[test]
fn branches_may_be_called_anything() {
    let schemas = schemas();
    for name in NAMES {
        for (before, after) in [(ZERO, A), (A, B), (A, ZERO)] {
            let mut ids = Vec::new();
            for sent in pushes("branch", name, before, after) {
                let event = one(&sent, schemas.as_ref());
                let push = &event.tree().unwrap()["customData"]["push"];
                assert_eq!(push["branch"], *name, "{:?}", sent.forge);
                assert_eq!(push["ref"], format!("refs/heads/{name}"));
                ids.push(event.subject().unwrap().to_owned());
            }
            assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        }
    }
}

#[test]
fn titles_branches_and_people_of_a_change_may_be_called_anything() {
    let schemas = schemas();
    for name in NAMES {
        for mut sent in changes(OPENED) {
            let pull = match sent.forge {
                Forge::GitLab => &mut sent.body["object_attributes"],
                Forge::Bitbucket => &mut sent.body["pullrequest"],
                Forge::BitbucketDataCenter => &mut sent.body["pullRequest"],
                _ => &mut sent.body["pull_request"],
            };
            pull["title"] = json!(format!("{name}\n\u{0}{{{{title}}}}"));
            match sent.forge {
                Forge::GitLab => pull["source_branch"] = json!(name),
                Forge::Bitbucket => pull["source"]["branch"]["name"] = json!(name),
                Forge::BitbucketDataCenter => pull["fromRef"]["id"] = json!(format!("refs/heads/{name}")),
                _ => pull["head"]["ref"] = json!(name),
            }
            let event = one(&sent, schemas.as_ref());
            let change = &event.tree().unwrap()["customData"]["change"];
            assert_eq!(change["title"], format!("{name}\n\u{0}{{{{title}}}}"));
            assert_eq!(change["source"]["branch"], *name, "{:?}", sent.forge);
        }
    }
}

#[test]
fn a_push_of_300_commits_is_one_event_that_says_so() {
    let commit = json!({
        "id": A, "message": "x".repeat(2_000), "timestamp": "2026-01-01T00:00:00Z", "author": {"name": "eve"},
        "added": vec!["a"; 50], "removed": [], "modified": [],
    });
    for mut sent in pushes("branch", "main", A, B) {
        let commits = Value::from(vec![commit.clone(); 300]);
        let tells = match sent.forge {
            // They list a few and count all.
            Forge::GitLab => {
                sent.body["commits"] = Value::from(vec![commit.clone(); 20]);
                sent.body["total_commits_count"] = json!(300);
                true
            }
            Forge::Gitea | Forge::Forgejo => {
                sent.body["total_commits"] = json!(300);
                true
            }
            Forge::Bitbucket => {
                sent.body["push"]["changes"][0]["commits"] = commits;
                true
            }
            Forge::GitHub => {
                sent.body["commits"] = commits;
                true
            }
            Forge::BitbucketDataCenter => false,
        };
        let event = one(&sent, None);
        let push = &event.tree().unwrap()["customData"]["push"];
        assert_eq!(push["commits"], if tells { json!(300) } else { Value::Null }, "{:?}", sent.forge);
        let pipewright::event::Data::Json(json) = event.data() else { panic!() };
        assert!(json.len() < 4_096, "an event stays small: {}", json.len());
    }
}

#[test]
fn events_and_actions_of_tomorrow_are_raw_only() {
    for mut sent in changes(OPENED) {
        match sent.forge {
            Forge::GitHub | Forge::Gitea | Forge::Forgejo => sent.body["action"] = json!("sparkled"),
            Forge::GitLab => sent.body["object_attributes"]["action"] = json!("sparkled"),
            Forge::Bitbucket => sent.event = "pullrequest:sparkled",
            Forge::BitbucketDataCenter => sent.event = "pr:sparkled",
        }
        let types: Vec<String> = told(&sent).iter().map(|event| event.ty().to_owned()).collect();
        assert_eq!(types.len(), 1, "{types:?}");
        assert!(types[0].ends_with("sparkled"), "{types:?}");
        let body = json!({"object_kind": "invented", "action": null, "something": [1, {"new": true}]});
        let event = if sent.forge == Forge::GitLab { "Invented Hook" } else { "invented" };
        let invented = Sent { event, body, ..sent };
        assert_eq!(told(&invented).len(), 1, "{:?}", invented.forge);
    }
}

#[test]
fn what_is_null_is_as_good_as_absent() {
    let needed = |path: &str| {
        [
            "number",
            "iid",
            "id",
            "action",
            "object_kind",
            "ref",
            "refId",
            "slug",
            "key",
            "web_url",
            "html_url",
            "href",
        ]
        .iter()
        .any(|name| path.ends_with(&format!("/{name}")))
    };
    let mut tried = 0;
    for sent in pushes("branch", "main", A, B).into_iter().chain(changes(OPENED)) {
        let mut places = Vec::new();
        collect(&sent.body, String::new(), &mut places);
        for place in places.iter().filter(|place| !place.is_empty() && !needed(place)) {
            let mut with_null = Sent { body: sent.body.clone(), ..sent };
            *with_null.body.pointer_mut(place).unwrap() = Value::Null;
            let mut without = Sent { body: sent.body.clone(), ..sent };
            let (parent, name) = place.rsplit_once('/').unwrap();
            if let Some(parent) = without.body.pointer_mut(parent).unwrap().as_object_mut() {
                parent.remove(name);
            } else {
                continue;
            }
            let ids = |sent: &Sent| {
                let webhook = webhook(sent.forge, sent.event, "1", sent.body.to_string());
                let events = events(&webhook).map_err(|error| error.to_string())?;
                Ok::<_, String>(events.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>())
            };
            let (null, absent) = (ids(&with_null), ids(&without));
            assert!(null.is_ok(), "{:?} {place}: {null:?}", sent.forge);
            assert_eq!(null, absent, "{:?} {place}", sent.forge);
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
}

#[test]
fn a_renamed_repository_keeps_its_chains() {
    for sent in changes(OPENED) {
        let before = one(&sent, None);
        let text = sent.body.to_string().replace("acme/shop", "acme/store").replace("\"shop\"", "\"store\"");
        let renamed = Sent { body: serde_json::from_str(&text).unwrap(), ..sent };
        let after = one(&renamed, None);
        assert_ne!(after.source(), before.source(), "{:?}", renamed.forge);
        let chain = |event: &Event| event.tree().unwrap()["context"]["chainId"].clone();
        assert_eq!(chain(&after), chain(&before), "{:?}", renamed.forge);
    }
}
