//! What Tekton's substitution makes of data that looks like a reference.

use std::collections::BTreeMap;

use base64::Engine as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use pipewright::vocabulary::tekton::RunKind;
use serde_json::json;

use super::world::World;

/// A step for every way in which a param is used.
const PIPELINE: &str = "
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: titles}
spec:
  params: [{name: title}, {name: secret}]
  tasks:
    - name: a
      params:
        - {name: title, value: $(params.title)}
        - {name: titles, value: ['$(params.title)', '<$(params.title)>']}
        - {name: secret, value: $(params.secret)}
      taskSpec:
        params: [{name: title}, {name: titles, type: array}, {name: secret}]
        steps:
          - {name: script, image: alpine, script: 'echo <$(params.title)>'}
          - name: arguments
            image: alpine
            command: [echo]
            args: [$(params.title), '$(params.titles[*])']
            env: [{name: TITLE, value: $(params.title)}]
";

const MAPPING: &str = r#"
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: titles}
spec:
  events: [{type: dev.cdevents.change.created}]
  let: {title: {path: $.data.customData.change.title, required: true}}
  do:
    - name: run
      pipelineRun:
        spec:
          pipelineRef: {name: titles}
          params:
            - {name: title, value: "{{title}}"}
            - {name: secret, value: s3cret}
"#;

const HOSTILE: &str = "T $(params.secret) $(params['secret']) $(context.pipelineRun.name) $$(params.secret) \
                       $(tasks.a.results.x) $(params.title) `id` 5$";

/// What a pod does with the title: the script, the arguments of a step, and an environment variable.
struct Used {
    script: String,
    arguments: Vec<String>,
    variable: String,
}

/// The pod of a run's task.
async fn used(world: &World, run: &str) -> Used {
    let pods: Api<Pod> = Api::namespaced(world.client.clone(), &world.real.namespace);
    let parameters = ListParams::default().labels(&format!("tekton.dev/pipelineRun={run}"));
    world.until("the pod", async || !pods.list(&parameters).await.unwrap().items.is_empty()).await;
    let spec = pods.list(&parameters).await.unwrap().items.pop().unwrap().spec.unwrap();
    let scripts = spec.init_containers.unwrap().into_iter().find(|it| it.name == "place-scripts").unwrap();
    let placed = scripts.args.unwrap().pop().unwrap();
    let encoded = placed.split("'_EOF_'\n").nth(1).unwrap().split("\n_EOF_").next().unwrap();
    let script = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    let step = spec.containers.into_iter().find(|it| it.name == "step-arguments").unwrap();
    let arguments = step.args.unwrap();
    let own = arguments.iter().position(|it| it == "--").unwrap() + 1;
    let variables: BTreeMap<String, String> =
        step.env.unwrap().into_iter().filter_map(|it| Some((it.name, it.value?))).collect();
    Used {
        script: String::from_utf8(script).unwrap(),
        arguments: arguments[own..].to_vec(),
        variable: variables["TITLE"].clone(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_data_is_substituted() {
    let mappings = [("titles".to_owned(), MAPPING.to_owned())];
    let Some(world) = World::start("tekton-dollar", PIPELINE, &mappings).await else { return };
    world.webhook(HOSTILE, 1).await;
    let run = world.run("titles").await.unwrap().metadata.name.unwrap();
    let Used { script, arguments, variable } = used(&world, &run).await;
    let title = HOSTILE.replace("$(", "$ (");
    assert_eq!(arguments, [title.clone(), title.clone(), format!("<{title}>")]);
    assert_eq!(variable, title);
    assert!(script.contains(&format!("echo <{title}>")), "{script}");
    world
        .until("the end", async || world.told("titles").iter().any(|told| told.transition == "finished"))
        .await;
    // The text that was given back is in the params of the task run, too.
    let task = world.objects(RunKind::TaskRun, "titles").await.pop().unwrap();
    assert_eq!(task.data["spec"]["params"][0]["value"], json!(title));
}

/// Why it is parted: Tekton has no escape.
#[tokio::test(flavor = "multi_thread")]
async fn tekton_substitutes_in_what_it_has_put_in_whether_the_dollar_is_doubled_or_not() {
    let Some(world) = World::start("tekton-dollars", PIPELINE, &[]).await else { return };
    let run = |name: &str, title: &str| {
        json!({
            "apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"name": name},
            "spec": {"pipelineRef": {"name": "titles"}, "params": [
                {"name": "title", "value": title}, {"name": "secret", "value": "s3cret"},
            ]},
        })
    };
    world.create(RunKind::PipelineRun, run("plain", "T $(params.secret)")).await;
    world.create(RunKind::PipelineRun, run("doubled", "T $$(params.secret)")).await;
    let (plain, doubled) = (used(&world, "plain").await, used(&world, "doubled").await);
    assert_eq!((plain.arguments[0].as_str(), plain.variable.as_str()), ("T s3cret", "T s3cret"));
    assert!(plain.script.contains("echo <T s3cret>"), "{}", plain.script);
    assert_eq!((doubled.arguments[0].as_str(), doubled.variable.as_str()), ("T $s3cret", "T $s3cret"));
    assert!(doubled.script.contains("echo <T $s3cret>"), "{}", doubled.script);
}
