//! Whatever steps write as results, and people as annotations, what is told of it is valid.

use std::collections::HashSet;

use pipewright::vocabulary::tekton::{Cluster, RunKind, transitions};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::corpus::{self, Schemas};

const SHA: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Names of results and params that mean something.
const NAMES: [&str; 14] = [
    "IMAGE_URL",
    "IMAGE_DIGEST",
    "IMAGES",
    "x_ARTIFACT_URI",
    "x_ARTIFACT_DIGEST",
    "ARTIFACT_OUTPUTS",
    "CHAINS-GIT_URL",
    "CHAINS-GIT_COMMIT",
    "cd.artifact.id",
    "cd.artifact.name",
    "cd.artifact.version",
    "cd.service.envId",
    "cd.service.name",
    "cd.service.version",
];

/// Most of these with some value, and one of any name.
fn items() -> impl Strategy<Value = Value> {
    let known = proptest::collection::vec(proptest::option::weighted(0.8, value()), NAMES.len());
    (known, ".{0,20}", value()).prop_map(|(known, name, value)| {
        let named =
            NAMES.iter().zip(known).filter_map(|(name, value)| Some(json!({"name": name, "value": value?})));
        named.chain([json!({"name": name, "value": value})]).collect()
    })
}

/// What a step may have written.
fn text() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(vec![
        SHA,
        COMMIT,
        "ghcr.io/acme/shop:v1\n",
        "r.example.com:5000/a",
        "oci://r.example.com/a",
        "pkg:npm/%40acme/shop@1.0",
        "pkg:/maven/a/b@1",
        "https://example.com/a b",
        "https://example.com/shop-1.0.tgz",
        "git+https://github.com/acme/shop",
        "pull/1",
        "prod",
        "1.2",
        "",
        " \n",
    ]);
    prop_oneof![
        6 => known.prop_map(str::to_owned),
        2 => "\\PC{0,40}",
        1 => ".{0,40}",
        1 => "(pkg:|oci://|https://|a/)?[a-zA-Z0-9@:/%?#._\\-]{0,40}",
        1 => Just(format!("ghcr.io/acme/shop@{SHA},alpine:3@{SHA}\nx@{SHA}")),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        8 => text().prop_map(Value::from),
        1 => proptest::collection::vec(text(), 0..3).prop_map(Value::from),
        2 => (text(), text()).prop_map(|(uri, digest)| json!({"uri": uri, "digest": digest})),
        1 => Just(Value::Null),
        1 => Just(json!(5)),
    ]
}

fn annotation() -> impl Strategy<Value = String> {
    proptest::sample::select(vec![
        "cd.artifact.packaged",
        "cd.artifact.published",
        "cd.service.deployed",
        "cd.service.upgraded",
        "cd.service.rolledback",
        "cd.service.removed",
        "cd.events/results.artifact.id",
        "cd.events/results.service.envid",
        "pipewright.dev/change-id",
        "pipewright.dev/change-source",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_results_say_every_event_is_valid(
        results in items(),
        params in items(),
        annotations in proptest::collection::hash_map(annotation(), text(), 0..10),
    ) {
        // Compiled once: that takes longer than all cases.
        static SCHEMAS: std::sync::LazyLock<Option<Schemas>> =
            std::sync::LazyLock::new(|| corpus::root().map(|root| Schemas::load(&root)));
        let run = json!({
            "metadata": {"name": "a", "namespace": "ci", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z",
                         "annotations": annotations},
            "spec": {"params": params},
            "status": {
                "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
                "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
                "results": results,
            },
        });
        let cluster = Cluster::new("https://tekton.example.com/", None, "https://10.0.0.1").unwrap();
        let all = transitions(&run, RunKind::PipelineRun, &cluster);
        prop_assert!((3..=103).contains(&all.len()));
        let ids: HashSet<&str> = all.iter().map(|it| it.event.id()).collect();
        let names: HashSet<&str> = all.iter().map(|it| &*it.name).collect();
        prop_assert_eq!((ids.len(), names.len()), (all.len(), all.len()));
        if let Some(schemas) = &*SCHEMAS {
            for transition in &all {
                schemas.assert_valid(&transition.event);
            }
        }
    }
}
