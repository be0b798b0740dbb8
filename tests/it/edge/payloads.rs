//! Real payloads, broken in every way that JSON and its readers know: answered, never with a 5xx.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

use super::announcing;
use crate::support::corpus;
use crate::support::service::Setup;

/// Pseudo-random numbers that are the same in every run of the tests.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// What is done to a payload.
const MUTATIONS: [&str; 18] = [
    "cut",
    "flip",
    "nul",
    "bom",
    "surrogate",
    "huge number",
    "duplicate key",
    "another type",
    "null",
    "no key",
    "deep",
    "long text",
    "not utf-8",
    "escaped nul",
    "negative",
    "control character",
    "empty",
    "template",
];

/// A random place after a character of the text; the end when there is none.
fn after(text: &[u8], byte: u8, random: &mut Random) -> usize {
    let start = random.below(text.len());
    let found = text[start..].iter().position(|it| *it == byte).map(|at| start + at);
    found.or_else(|| text.iter().position(|it| *it == byte)).map_or(text.len(), |at| at + 1)
}

fn inserted(text: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    [&text[..at], bytes, &text[at..]].concat()
}

/// Replaces a random node of the tree.
fn replaced(body: &[u8], random: &mut Random, change: impl Fn(&mut Value)) -> Vec<u8> {
    let mut tree: Value = serde_json::from_slice(body).unwrap();
    visit(&mut tree, random, &change);
    serde_json::to_vec(&tree).unwrap()
}

fn visit(node: &mut Value, random: &mut Random, change: &impl Fn(&mut Value)) {
    match node {
        Value::Object(map) if !map.is_empty() && random.below(4) > 0 => {
            let at = random.below(map.len());
            visit(map.values_mut().nth(at).unwrap(), random, change);
        }
        Value::Array(list) if !list.is_empty() && random.below(4) > 0 => {
            let at = random.below(list.len());
            visit(&mut list[at], random, change);
        }
        node => change(node),
    }
}

fn mutated(body: &[u8], mutation: &str, random: &mut Random) -> Vec<u8> {
    match mutation {
        "cut" => body[..random.below(body.len())].to_vec(),
        "flip" => {
            let mut body = body.to_vec();
            let at = random.below(body.len());
            body[at] ^= 1 << random.below(8);
            body
        }
        "nul" => inserted(body, random.below(body.len()), b"\0"),
        "bom" => inserted(body, 0, "\u{feff}".as_bytes()),
        "surrogate" => inserted(body, after(body, b'"', random), br"\ud800"),
        "huge number" => inserted(body, after(body, b':', random), b"1e400,\"x\":"),
        "duplicate key" => {
            inserted(body, after(body, b'{', random), br#""action":"opened","action":"closed","#)
        }
        "another type" => replaced(body, random, |node| {
            *node = match node {
                Value::String(_) => serde_json::json!([{"a": 1}]),
                Value::Number(_) => serde_json::json!("number"),
                Value::Object(_) => serde_json::json!(7),
                _ => serde_json::json!({"a": {"b": []}}),
            };
        }),
        "null" => replaced(body, random, |node| *node = Value::Null),
        "no key" => replaced(body, random, |node| {
            if let Value::Object(map) = node
                && let Some(first) = map.keys().next().cloned()
            {
                map.remove(&first);
            }
        }),
        "deep" => replaced(body, random, |node| {
            for _ in 0..120 {
                *node = Value::Array(vec![node.take()]);
            }
        }),
        "long text" => replaced(body, random, |node| *node = Value::String("ä".repeat(40_000))),
        "not utf-8" => inserted(body, after(body, b'"', random), &[0xff, 0xc0, 0x80]),
        "escaped nul" => inserted(body, after(body, b'"', random), br"\u0000\u202e"),
        "negative" => inserted(body, after(body, b':', random), b"-18446744073709551617,\"x\":"),
        "control character" => inserted(body, after(body, b'"', random), b"\r\n\x1b[2J"),
        "empty" => replaced(body, random, |node| *node = Value::String(String::new())),
        "template" => replaced(body, random, |node| {
            *node = Value::String("$(params.x) {{json event}} ${{x}} `id`".into());
        }),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_broken_payloads_are_answered_and_none_with_a_5xx() {
    let Some(root) = corpus::root() else { return };
    let mut setup = announcing();
    for name in ["announce-run", "pull-request-build", "push-build", "tag-release"] {
        setup = setup.shipped(name);
    }
    let service = setup.start().await;
    let mut random = Random(5);
    let mut answers: BTreeMap<(&str, u16), usize> = BTreeMap::new();
    let payloads = corpus::github(&root);
    // The corpus holds few of those that mappings want: they come with every mutation many times.
    let fixtures =
        ["pull_request.opened.json", "pull_request.synchronize.json", "push.main.json", "push.tag.json"];
    let wanted = fixtures.iter().cycle().take(60).map(|name| {
        let event = name.split('.').next().unwrap().to_owned();
        let body = serde_json::to_vec(&crate::support::process::fixture(name)).unwrap();
        corpus::Payload { name: (*name).to_owned(), event, body }
    });
    for payload in payloads.into_iter().chain(wanted) {
        for mutation in MUTATIONS {
            let body = Bytes::from(mutated(&payload.body, mutation, &mut random));
            let answer = service.github(&payload.event, body.clone()).await;
            assert!(
                answer.status == 202 || (400..500).contains(&answer.status),
                "{} with {mutation}: {answer:?}\n{}",
                payload.name,
                String::from_utf8_lossy(&body)
            );
            *answers.entry((mutation, answer.status)).or_default() += 1;
            service.events.take();
            if random.below(8) > 0 {
                continue;
            }
            // The same bytes as an event of somebody else.
            let structured = [("content-type", "application/cloudevents+json")];
            let body =
                [br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":"#, &body[..], b"}"]
                    .concat();
            let answer = service.send("POST", "/events", &structured, body).await;
            assert!(answer.status < 500, "{} with {mutation}: {answer:?}", payload.name);
            *answers.entry(("as a structured event", answer.status)).or_default() += 1;
            service.events.take();
        }
    }
    let total: usize = answers.values().sum();
    assert!(total > 3_000, "{total}");
    let sum =
        |status| answers.iter().filter(|((_, it), _)| *it == status).map(|(_, count)| count).sum::<usize>();
    println!("{total} requests: {} × 202, {} × 400, {} × 422", sum(202), sum(400), sum(422));
    for ((mutation, status), count) in &answers {
        println!("{mutation}: {count} × {status}");
    }
    // Each kind of damage did what it should: these cannot be read, those can.
    for mutation in ["cut", "nul", "not utf-8", "control character"] {
        assert!(answers.contains_key(&(mutation, 400)), "{mutation}: {answers:?}");
    }
    for mutation in ["another type", "null", "long text", "template", "escaped nul"] {
        assert!(answers.contains_key(&(mutation, 202)), "{mutation}: {answers:?}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_json_has_one_meaning_or_is_refused() {
    let service =
        Setup::new().with(|it| it.process.announce = pipewright::settings::Announce::All).start().await;
    for (body, expected) in [
        ("{\"a\":1e400}", 400),
        ("{\"a\":\"\\ud800\"}", 400),
        ("{\"a\":\"\\udc00\\ud800\"}", 400),
        ("\u{feff}{\"a\":1}", 400),
        ("{\"a\":1}\0", 400),
        ("\0{\"a\":1}", 400),
        ("{\"a\":\"\0\"}", 400),
        ("{\"a\":NaN}", 400),
        ("{\"a\":Infinity}", 400),
        ("{\"a\":0x1}", 400),
        ("{\"a\":01}", 400),
        ("{\"a\":+1}", 400),
        ("{'a':1}", 400),
        ("{\"a\":1,}", 400),
        ("{\"a\":1}{\"b\":2}", 400),
        ("{\"a\":1} // comment", 400),
        ("{\"a\":\"\\u0000\"}", 202),
        ("{\"a\":\"\\ud83d\\ude00\"}", 202),
        ("{\"a\":18446744073709551616}", 202),
        ("{\"a\":-0.0}", 202),
        ("{\"\":1}", 202),
    ] {
        let answer = service.github("brand_new", body.to_owned()).await;
        println!("{body:?}: {}", answer.status);
        assert_eq!(answer.status, expected, "{body:?}: {answer:?}");
    }
    service.stop().await;
}
