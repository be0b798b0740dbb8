//! What it costs to read a payload and to make all of its events, beside what it costs to read it at all.
//!
//! The floor is the least that any program does that knows what it wants: serde's own reading of the payload into a
//! structure that borrows a dozen fields of it, and nothing made of them. They take turns on one thread, and a
//! forge's figure is the sum over its payloads of the best of many passes, which nothing interrupts.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pipewright::vocabulary::{Forge, Webhook, events};
use serde::Deserialize;
use serde_json::Value;

use crate::table::{Row, Table};
use crate::{payload, progress};

/// How often every payload is read by each.
const PASSES: usize = 60;
/// The most that our part may cost by the floor's.
const GOAL: f64 = 1.5;

/// What a program wants at least that makes something of a push or a pull request.
#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is that they are read")]
struct Wanted<'a> {
    action: Option<&'a str>,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    before: Option<&'a str>,
    after: Option<&'a str>,
    #[serde(borrow)]
    pull_request: Option<Change<'a>>,
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is that they are read")]
struct Change<'a> {
    number: Option<u64>,
    html_url: Option<&'a str>,
    updated_at: Option<&'a str>,
    #[serde(borrow)]
    head: Option<Side<'a>>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is that they are read")]
struct Side<'a> {
    sha: Option<&'a str>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is that they are read")]
struct Repository<'a> {
    full_name: Option<&'a str>,
    html_url: Option<&'a str>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "what is measured is that they are read")]
struct Account<'a> {
    login: Option<&'a str>,
}

/// The name of the event and the body, of a recorded file and what is in it.
type Reader = fn(&Path, Value) -> Option<(String, Value)>;

/// The recorded payloads of one forge.
struct Recorded {
    name: &'static str,
    webhooks: Vec<Webhook>,
}

/// The rows of all forges whose payloads are there, and of the two payloads that the other parts of the run send.
pub fn measure(_: &crate::process::Folder, table: &mut Table) -> anyhow::Result<()> {
    let mut all = vec![
        one("push of 7.7 kB", "push", payload::push_body()?),
        one("pull request of 23.6 kB", "pull_request", payload::pull_request_body()?),
    ];
    all.extend(recorded()?);
    for Recorded { name, webhooks } in all {
        progress(&format!("vocabulary, {name}: {} payloads, {PASSES} passes", webhooks.len()));
        let bytes: usize = webhooks.iter().map(|webhook| webhook.body.len()).sum();
        let (mut floor, mut ours, mut made) = (Duration::ZERO, Duration::ZERO, 0);
        for webhook in &webhooks {
            let [parse, whole] = alternate(
                || {
                    let _ = black_box(serde_json::from_slice::<Wanted<'_>>(black_box(&webhook.body)));
                },
                || {
                    let _ = black_box(events(black_box(webhook)));
                },
            );
            floor += parse;
            ours += whole;
            made += events(webhook).map_or(0, |events| events.len());
        }
        let each = |all: Duration| all.as_secs_f64() * 1e6 / count(webhooks.len());
        let what = format!("vocabulary, {name}");
        table.push(Row::info(&format!("{what}: time each"), "µs", each(ours)).beside(each(floor)));
        let ratio = ours.as_secs_f64() / floor.as_secs_f64();
        table.push(Row::at_most(&format!("{what}: by a parse's"), "ratio", ratio, GOAL));
        progress(&format!("{what}: {bytes} bytes, {made} events"));
    }
    Ok(())
}

/// The best time of each; they take turns. A pass is too short to be interrupted often, and the best one is not.
fn alternate(floor: impl Fn(), ours: impl Fn()) -> [Duration; 2] {
    const TIMES: u32 = 8;
    let mut best = [Duration::MAX; 2];
    for _ in 0..PASSES {
        for (best, work) in best.iter_mut().zip([&floor as &dyn Fn(), &ours]) {
            let before = Instant::now();
            for _ in 0..TIMES {
                work();
            }
            *best = (*best).min(before.elapsed() / TIMES);
        }
    }
    best
}

fn one(name: &'static str, event: &str, body: Vec<u8>) -> Recorded {
    Recorded { name, webhooks: vec![webhook(Forge::GitHub, event, body)] }
}

fn webhook(forge: Forge, event: &str, body: impl Into<Bytes>) -> Webhook {
    Webhook {
        forge,
        event: event.to_owned(),
        delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
        body: body.into(),
        received: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// What was recorded of real forges, as far as it is there.
fn recorded() -> anyhow::Result<Vec<Recorded>> {
    let folder = payload::corpus().join("forge");
    let folders: [(&str, &str, Forge, Reader); 5] = [
        ("GitHub", "github", Forge::GitHub, |path, body| Some((text(path.parent()?.file_name()?)?, body))),
        ("GitLab", "gitlab", Forge::GitLab, |_, body| Some(("System Hook".to_owned(), body))),
        ("Gitea", "gitea-live", Forge::Gitea, |_, mut recorded| {
            let headers = recorded["request"]["headers"].as_array()?;
            let event = headers.iter().find(|pair| pair[0] == "X-Gitea-Event")?[1].as_str()?.to_owned();
            Some((event, recorded["body"].take())).filter(|(_, body)| body.is_object())
        }),
        ("Bitbucket Cloud", "bitbucket-cloud", Forge::Bitbucket, |path, body| {
            let name = text(path.file_stem()?)?;
            let event = match name.strip_prefix("pr_")?.split('_').next()? {
                "declined" => "rejected",
                event => event,
            };
            Some((format!("pullrequest:{event}"), body))
        }),
        ("Bitbucket Data Center", "bitbucket-datacenter", Forge::BitbucketDataCenter, |_, body| {
            Some((body["eventKey"].as_str()?.to_owned(), body))
        }),
    ];
    let mut all = Vec::new();
    for (name, below, forge, read) in folders {
        let mut webhooks = Vec::new();
        for path in json_files(&folder.join(below)) {
            let recorded: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
            if let Some((event, body)) = read(&path, recorded) {
                // As a forge sends it: without the white space that people read it with.
                webhooks.push(webhook(forge, &event, serde_json::to_vec(&body)?));
            }
        }
        if webhooks.is_empty() {
            progress(&format!("vocabulary: no recorded payloads of {name}; set PIPEWRIGHT_CORPUS"));
        } else {
            all.push(Recorded { name, webhooks });
        }
    }
    Ok(all)
}

fn text(name: &std::ffi::OsStr) -> Option<String> {
    name.to_str().map(str::to_owned)
}

fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(json_files(&path));
        } else if path.extension().is_some_and(|it| it == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[expect(clippy::cast_precision_loss, reason = "a number of files")]
fn count(number: usize) -> f64 {
    number as f64
}
