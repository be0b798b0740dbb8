//! Runs that the webhook takes and that end at once, since they do not fit their Pipeline: the same end on both clusters.

use serde_json::{Value, json};

use crate::support::ground::{Ground, on_both_clusters};
use crate::support::objects::{object, post, runs};

const PIPELINE: &str = "
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: strict}
spec:
  params:
    - {name: url}
    - {name: revision, default: main}
    - {name: list, type: array, default: [a]}
    - {name: image, type: object, properties: {name: {}, tag: {}}, default: {name: shop, tag: latest}}
  workspaces: [{name: source}, {name: cache, optional: true}]
  tasks:
    - name: one
      params: [{name: url, value: $(params.url)}]
      taskSpec:
        params: [{name: url}]
        steps: [{name: a, image: alpine, command: [\"true\"]}]
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: object}
spec:
  params: [{name: image, type: object, properties: {name: {}, tag: {}}}]
  tasks: [{name: one, taskSpec: {steps: [{name: a, image: alpine, command: [\"true\"]}]}}]
";

fn cases() -> Vec<(&'static str, Value)> {
    let source = json!([{"name": "source", "emptyDir": {}}]);
    let of = |name: &str, params: Value| json!({"pipelineRef": {"name": name}, "params": params, "workspaces": source});
    let url = json!({"name": "url", "value": "x"});
    vec![
        ("unknown", of("nobody", json!([url]))),
        ("missing", of("strict", json!([]))),
        ("number-for-text", of("strict", json!([{"name": "url", "value": 5}]))),
        ("list-for-text", of("strict", json!([{"name": "url", "value": ["x"]}]))),
        ("numbers-for-list", of("strict", json!([url, {"name": "list", "value": [1, 2]}]))),
        (
            "text-for-list",
            of("strict", json!([url, {"name": "list", "value": "x"}, {"name": "revision", "value": ["y"]}])),
        ),
        ("numbers-in-object", of("strict", json!([url, {"name": "image", "value": {"name": 1}}]))),
        ("no-key", of("object", json!([{"name": "image", "value": {"tag": "1"}}]))),
        ("more-than-declared", of("strict", json!([url, {"name": "urll", "value": "x"}]))),
        ("no-workspace", json!({"pipelineRef": {"name": "strict"}, "params": [url]})),
        (
            "other-task",
            json!({
                "pipelineRef": {"name": "strict"}, "params": [url], "workspaces": source,
                "taskRunSpecs": [{"pipelineTaskName": "two"}],
            }),
        ),
    ]
}

/// Each run's reason and message, in the order of the cases, without the namespace.
async fn ends(ground: &Ground) -> Vec<String> {
    let api = runs(&ground.client());
    ground.create(PIPELINE).await;
    for (name, spec) in cases() {
        let run = json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": name}, "spec": spec,
        });
        api.create(&post(), &object(run)).await.unwrap();
    }
    let mut ends = Vec::new();
    for (name, _) in cases() {
        let run = loop {
            let run = api.get(name).await.unwrap();
            let status = run.data.pointer("/status/conditions/0/status").and_then(Value::as_str);
            if matches!(status, Some("True" | "False")) {
                break run;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        let text = |key: &str| {
            let pointer = format!("/status/conditions/0/{key}");
            run.data.pointer(&pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (reason, message) = (text("reason"), text("message"));
        let message = message.replace(ground.namespace(), "NAMESPACE");
        ends.push(format!("{name}: {reason}: {message}"));
    }
    ends
}

async fn a_run_that_does_not_fit_its_pipeline_ends_with_tektons_reason(ground: Ground) {
    insta::assert_snapshot!("misfits", ends(&ground).await.join("\n"));
}

on_both_clusters! { a_run_that_does_not_fit_its_pipeline_ends_with_tektons_reason }
