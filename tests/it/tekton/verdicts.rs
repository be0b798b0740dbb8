//! Our rules for what Tekton takes, against Tekton's own webhook on a real API server: the same specs, the same verdicts.
//!
//! `VERDICTS_SEED` is another start, and `VERDICTS` another number of specs: `VERDICTS=2000 VERDICTS_SEED=7`.

mod specs;

use futures::StreamExt as _;
use kube::api::PostParams;
use pipewright_tekton as tekton;
use serde_json::{Value, json};

use self::specs::{Random, spec};
use crate::support::ground::Ground;
use crate::support::objects::{object, runs};

/// What one of the two says of a spec: nothing, or why it is refused.
type Said = Result<(), String>;

fn ours(spec: &Value) -> (Said, usize) {
    let verdict = tekton::pipeline_run(spec);
    let said = if verdict.errors.is_empty() { Ok(()) } else { Err(verdict.errors.text()) };
    (said, verdict.unchecked.len())
}

async fn admission(ground: &Ground, spec: &Value) -> Said {
    let run = json!({
        "apiVersion": "tekton.dev/v1", "kind": "PipelineRun",
        "metadata": {"generateName": "verdict-"}, "spec": spec,
    });
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    match runs(&ground.client()).create(&dry, &object(run)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(other) => panic!("{other}"),
    }
}

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().unwrap())
}

/// What differs in a list of specs, one line each, and how many were refused and how many not looked into everywhere.
async fn compare(real: &Ground, specs: Vec<Value>) -> (Vec<String>, usize, usize) {
    let embedded = Ground::embedded();
    let (embedded, mut wrong, mut refused, mut unchecked) = (&embedded, Vec::new(), 0, 0);
    let mut said = futures::stream::iter(specs)
        .map(|spec| async move {
            let theirs = admission(real, &spec).await;
            let embedded = admission(embedded, &spec).await;
            (spec, theirs, embedded)
        })
        .buffer_unordered(8);
    while let Some((spec, theirs, embedded)) = said.next().await {
        let (ours, open) = ours(&spec);
        let differs = ours.is_ok() != embedded.is_ok() || open == 0 && ours.is_ok() != theirs.is_ok();
        if differs {
            wrong.push(format!(
                "{spec}\n    ours {ours:?}\n    theirs {theirs:?}\n    embedded {embedded:?}\n"
            ));
        }
        unchecked += usize::from(open > 0);
        refused += usize::from(theirs.is_err());
    }
    (wrong, refused, unchecked)
}

#[tokio::test(flavor = "multi_thread")]
async fn our_verdict_on_a_spec_is_the_webhooks_on_a_real_cluster() {
    let Some(real) = Ground::real().await else { return };
    let (seed, count) = (number("VERDICTS_SEED", 1), number("VERDICTS", 400));
    let mut random = Random::new(seed as u64);
    let specs = (0..count).map(|_| spec(&mut random)).collect();
    let (wrong, refused, unchecked) = compare(&real, specs).await;
    println!(
        "{count} specs, {refused} refused, {unchecked} not looked into everywhere, {} differ",
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {count} differ:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(12)].join("\n")
    );
    assert!(refused * 4 > count && refused * 4 < count * 3, "{refused} of {count} are refused");
    assert!(unchecked * 10 < count, "{unchecked} of {count} have fields that nobody looks into");
}
