//! The drift test: random requests, the same to both clusters, and each pair of answers compared.
//!
//! The sequences come from a seed, which is printed; `CONTRACT_SEED` repeats one and `CONTRACT_STEPS` makes it longer.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::wire::{Step, Wire};
use crate::support::ground::Ground;

/// A small generator of our own, so that a seed means the same for ever (Steele et al., "`SplitMix`").
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const PLURALS: &[&str] =
    &["configmaps", "configmaps", "secrets", "leases", "pipelines", "customruns", "serviceaccounts"];
const NAMES: &[&str] = &["a", "b", "c"];
const MANAGERS: &[&str] = &["one", "two", "three"];
const WORDS: &[&str] = &["x", "y", "z"];

fn words(random: &mut Random) -> Value {
    let mut map = json!({});
    for word in WORDS {
        if random.chance(50) {
            map[*word] = json!(random.pick(&["1", "2", ""]));
        }
    }
    map
}

fn metadata(random: &mut Random, plural: &str, name: &str, fresh: bool) -> Value {
    let mut meta = json!({ "name": name });
    if random.chance(40) {
        meta["labels"] = words(random);
    }
    if random.chance(25) {
        meta["annotations"] = words(random);
    }
    if random.chance(10) {
        meta["labels"]["Not a key"] = json!("v");
    }
    if random.chance(8) {
        meta["finalizers"] = json!([random.pick(&["a.dev/one", "a.dev/two", "plain"])]);
    }
    if random.chance(8) {
        meta["uid"] = json!("${uid?:configmaps/a}");
    }
    if !fresh && random.chance(50) {
        meta["resourceVersion"] = json!(format!("${{version?:{plural}/{name}}}"));
    } else if random.chance(5) {
        meta["resourceVersion"] = json!(random.pick(&["1", "0", "x"]));
    }
    meta
}

fn spec(random: &mut Random, plural: &str) -> (&'static str, Value) {
    match plural {
        "configmaps" => ("data", words(random)),
        "secrets" => ("stringData", words(random)),
        "leases" => (
            "spec",
            json!({"holderIdentity": random.pick(WORDS), "leaseDurationSeconds": random.below(3), "leaseTransitions": 1}),
        ),
        "pipelines" => {
            let task = |random: &mut Random| json!({"name": random.pick(&["build", "test", "ship"]), "taskRef": {"name": random.pick(WORDS)}});
            let tasks: Vec<Value> = (0..random.below(3)).map(|_| task(random)).collect();
            ("spec", json!({"tasks": tasks, "description": random.pick(&["", "d"])}))
        }
        "customruns" => {
            let mut spec =
                json!({"customRef": {"apiVersion": "e.dev/v1", "kind": random.pick(&["K", "L", ""])}});
            if random.chance(30) {
                spec["status"] = json!("RunCancelled");
            }
            ("spec", spec)
        }
        _ => ("automountServiceAccountToken", json!(random.chance(50))),
    }
}

fn document(random: &mut Random, plural: &str, name: &str, fresh: bool) -> Value {
    let (version, kind) = match plural {
        "configmaps" => ("v1", "ConfigMap"),
        "secrets" => ("v1", "Secret"),
        "leases" => ("coordination.k8s.io/v1", "Lease"),
        "pipelines" => ("tekton.dev/v1", "Pipeline"),
        "customruns" => ("tekton.dev/v1beta1", "CustomRun"),
        _ => ("v1", "ServiceAccount"),
    };
    let (field, value) = spec(random, plural);
    let mut object =
        json!({"apiVersion": version, "kind": kind, "metadata": metadata(random, plural, name, fresh)});
    object[field] = value;
    if plural == "customruns" && random.chance(20) {
        object["status"] = json!({"extraFields": words(random)});
    }
    object
}

fn patch(random: &mut Random, plural: &str) -> (&'static str, Value) {
    let (field, value) = spec(random, plural);
    let merge = match random.below(5) {
        0 => json!({"metadata": {"labels": words(random)}}),
        1 => json!({"metadata": {"labels": null, "annotations": words(random)}}),
        2 => {
            json!({"metadata": {"finalizers": random.pick(&[json!(null), json!([]), json!(["a.dev/one"])].each_ref())}})
        }
        3 => json!({ field: value }),
        _ => json!({ field: value, "metadata": {"labels": {"x": null, "y": random.pick(WORDS)}} }),
    };
    match random.below(4) {
        0 | 1 => ("MERGE", merge),
        2 => ("STRATEGIC", merge),
        _ => {
            let path =
                random.pick(&["/metadata/labels", "/metadata/labels/x", "/data/x", "/metadata/finalizers"]);
            let operation = match random.below(4) {
                0 => json!({"op": "remove", "path": path}),
                1 => json!({"op": "test", "path": path, "value": random.pick(&["1", "2"])}),
                2 => {
                    json!({"op": "replace", "path": path, "value": random.pick(&[json!("1"), json!({"y": "1"})].each_ref())})
                }
                _ => json!({"op": "add", "path": "/metadata/labels", "value": words(random)}),
            };
            ("JSON", json!([operation]))
        }
    }
}

fn step(random: &mut Random) -> Step {
    let plural = random.pick(PLURALS);
    let name = random.pick(NAMES);
    let object = format!("{plural}/{name}");
    let manager = random.pick(MANAGERS);
    let dry = if random.chance(6) { "&dryRun=All" } else { "" };
    let query = format!("?fieldManager={manager}{dry}");
    let (verb, target, body) = match random.below(20) {
        0..4 => ("POST", format!("{plural}{query}"), document(random, plural, name, true)),
        4..7 => ("PUT", format!("{object}{query}"), document(random, plural, name, false)),
        7..11 => {
            let (verb, body) = patch(random, plural);
            (verb, format!("{object}{query}"), body)
        }
        11..15 => {
            let force = if random.chance(30) { "&force=true" } else { "" };
            ("APPLY", format!("{object}{query}{force}"), document(random, plural, name, true))
        }
        15 | 16 => {
            let body = match random.below(4) {
                0 => json!({"preconditions": {"uid": "${uid?:configmaps/a}"}}),
                1 => json!({"preconditions": {"resourceVersion": format!("${{version?:{object}}}")}}),
                _ => Value::Null,
            };
            ("DELETE", object, body)
        }
        17 => {
            let selector = random.pick(&["x=1", "x", "!x", "x in (1,2),y", "x!=1"]).replace(' ', "+");
            let verb = random.pick(&["GET", "METADATALIST"]);
            // Each namespace of the real cluster has a service account of its own making.
            let plural = if plural == "serviceaccounts" { "configmaps" } else { plural };
            (verb, format!("{plural}?labelSelector={selector}"), Value::Null)
        }
        18 => ("GET", object, Value::Null),
        _ => (
            "MERGE",
            format!("customruns/{name}/status{query}"),
            json!({"status": {"extraFields": words(random)}, "metadata": {"labels": {"no": "no"}}}),
        ),
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Step { verb: verb.to_owned(), target, headers: Vec::new(), body }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// Sends as many random requests to both, and gives what differed.
async fn compare(seed: u64, steps: u64, real: Ground) -> String {
    let embedded = Ground::embedded();
    let (mut one, mut two) = (Wire::new(&embedded), Wire::new(&real));
    (one.managed, two.managed) = (true, true);
    let mut random = Random(seed);
    let (mut wrong, mut sent) = (String::new(), Vec::new());
    for _ in 0..steps {
        let step = step(&mut random);
        let (ours, theirs) = tokio::join!(one.send(&step), two.send(&step));
        sent.push(format!("{} {} {}", step.verb, step.target, step.body));
        if ours != theirs {
            let history: Vec<_> =
                sent.iter().filter(|line| line.contains(step.target.split('?').next().unwrap())).collect();
            let last = history[history.len().saturating_sub(6)..].iter().map(|line| line.as_str());
            let last: Vec<&str> = last.collect();
            write!(
                wrong,
                "seed {seed}\n  {}\n  real\n    {theirs:?}\n  embedded\n    {ours:?}\n\n",
                last.join("\n  ")
            )
            .unwrap();
            break;
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_are_answered_the_same_by_both_clusters() {
    let seeds: Vec<u64> = match std::env::var("CONTRACT_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=8).collect(),
    };
    let mut wrong = String::new();
    for seed in seeds {
        let Some(real) = Ground::real().await else { return };
        wrong += &compare(seed, number("CONTRACT_STEPS", 250), real).await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}
