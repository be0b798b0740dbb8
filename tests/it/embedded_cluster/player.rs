//! The player: how runs go from Pending to their end.

use super::*;

fn pipeline() -> &'static str {
    "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: build}\nspec:\n  params:\n  - {name: who, default: world}\n  \
     results:\n  - {name: out, value: $(tasks.compile.results.digest)}\n  tasks:\n  \
     - {name: clone, taskRef: {name: clone}}\n  \
     - name: compile\n    runAfter: [clone]\n    taskRef: {name: compile}\n    params: [{name: hello, value: hello $(params.who)}]\n  \
     - name: test\n    taskRef: {name: test}\n    params: [{name: image, value: $(tasks.compile.results.digest)}]\n"
}

fn annotated(name: &str, annotations: &[(&str, &str)]) -> DynamicObject {
    let mut run = run(name);
    for (key, value) in annotations {
        run.annotations_mut().insert(format!("player.pipewright.dev/{key}"), (*value).to_owned());
    }
    run
}

#[tokio::test]
async fn a_run_succeeds_task_after_task() {
    let cluster = played();
    cluster.apply_yaml(pipeline()).unwrap();
    let client = cluster.client("default");
    let mut first = annotated("r", &[("results", "{\"digest\":\"sha256:abc\"}")]);
    first.labels_mut().insert("team".to_owned(), "blue".to_owned());
    let reasons = {
        let api = runs(&cluster.client("default"));
        tokio::spawn(async move {
            let mut reasons: Vec<String> = Vec::new();
            let mut stream = watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = stream.next().await {
                if let Ok(watcher::Event::Apply(run) | watcher::Event::InitApply(run)) = event {
                    let (status, reason, message) = condition(&run);
                    if reasons.last() != Some(&message) {
                        reasons.push(message);
                    }
                    if status == "True" || status == "False" {
                        assert_eq!(reason, "Succeeded");
                        break;
                    }
                }
            }
            reasons
        })
    };
    let made = runs(&client).create(&post(), &first).await.unwrap();
    let run = until(&runs(&client), "r", "Succeeded").await;
    let told = reasons.await.unwrap();
    assert_eq!(told.last().unwrap(), "Tasks Completed: 3 (Failed: 0, Cancelled 0), Skipped: 0");
    assert!(
        told.iter().any(
            |message| message == "Tasks Completed: 1 (Failed: 0, Cancelled 0), Incomplete: 2, Skipped: 0"
        ),
        "{told:?}"
    );
    let status = &run.data["status"];
    assert!(status["startTime"].is_string() && status["completionTime"].is_string());
    assert_eq!(status["results"], json!([{"name": "digest", "type": "string", "value": "sha256:abc"}]));
    assert_eq!(
        status["childReferences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|child| child["name"].as_str().unwrap())
            .collect::<Vec<_>>(),
        ["r-clone", "r-compile", "r-test"]
    );
    let task = task_runs(&client).get("r-test").await.unwrap();
    assert_eq!(condition(&task).1, "Succeeded");
    assert!(condition(&task).2.contains("no container ran"));
    for (key, value) in [
        ("team", "blue"),
        ("tekton.dev/pipeline", "build"),
        ("tekton.dev/pipelineRun", "r"),
        ("tekton.dev/pipelineTask", "test"),
        ("tekton.dev/memberOf", "tasks"),
        ("tekton.dev/task", "test"),
        ("app.kubernetes.io/managed-by", "tekton-pipelines"),
    ] {
        assert_eq!(task.labels()[key], value);
    }
    assert_eq!(task.labels()["tekton.dev/pipelineRunUID"], made.uid().unwrap());
    assert_eq!(task.annotations()["player.pipewright.dev/results"], "{\"digest\":\"sha256:abc\"}");
    let owner = &task.owner_references()[0];
    assert_eq!(
        (owner.name.as_str(), owner.controller, owner.block_owner_deletion),
        ("r", Some(true), Some(true))
    );
    assert_eq!(task.data["spec"]["params"][0]["value"], "sha256:abc");
    assert_eq!(
        task_runs(&client).get("r-compile").await.unwrap().data["spec"]["params"][0]["value"],
        "hello world"
    );
    runs(&client).delete("r", &DeleteParams::background()).await.unwrap();
    assert!(task_runs(&client).list(&ListParams::default()).await.unwrap().items.is_empty());
}

/// A build that makes an image and a list of files, and what is done with them.
const CHAIN: &str = "apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: build}
spec:
  results:
  - {name: image, value: $(tasks.build.results.IMAGE_URL)@$(tasks.build.results.IMAGE_DIGEST)}
  - {name: files, type: array, value: '$(tasks.list.results.files[*])'}
  - {name: end, value: $(finally.report.results.url)}
  tasks:
  - {name: build, taskRef: {name: build-image}}
  - name: list
    taskSpec:
      results: [{name: files, type: array}, {name: about, properties: {commit: {}, branch: {}}}]
      steps: [{image: alpine, script: echo}]
  - name: deploy
    params:
    - {name: image, value: $(tasks.build.results.IMAGE_DIGEST)}
    - {name: files, value: '$(tasks.list.results.files[*])'}
    - {name: first, value: '$(tasks.list.results.files[0])'}
    - {name: commit, value: $(tasks.list.results.about.commit)}
    taskRef: {name: deploy}
  finally:
  - name: report
    taskSpec:
      results: [{name: url}]
      steps: [{image: alpine, script: echo}]
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build-image}
spec:
  results: [{name: IMAGE_URL}, {name: IMAGE_DIGEST}]
  steps: [{image: alpine, script: echo}]
";

#[tokio::test]
async fn declared_results_are_made_and_handed_on() {
    let play = async |annotations: &[(&str, &str)]| {
        let cluster = played();
        cluster.apply_yaml(CHAIN).unwrap();
        let client = cluster.client("default");
        runs(&client).create(&post(), &annotated("r", annotations)).await.unwrap();
        let run = until(&runs(&client), "r", "Succeeded").await;
        let deploy = task_runs(&client).get("r-deploy").await.unwrap();
        (run.data["status"]["results"].clone(), deploy.data["spec"]["params"].clone())
    };
    let (results, params) = play(&[]).await;
    let digest = params[0]["value"].as_str().unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    let files = params[1]["value"].as_array().unwrap();
    assert_eq!((files.len(), &files[0]), (2, &params[2]["value"]));
    assert_eq!(params[3]["value"].as_str().unwrap().len(), 40);
    let image = results[0]["value"].as_str().unwrap();
    assert!(image.contains("example.com") && image.ends_with(digest), "{image}");
    assert_eq!(results[1]["value"], params[1]["value"]);
    assert!(results[2]["value"].as_str().unwrap().starts_with("https://"), "{results}");
    assert_eq!(play(&[]).await, (results, params), "the same run gives the same");

    let own =
        [("results.build", "{\"IMAGE_DIGEST\": \"sha256:mine\"}"), ("results.list", "{\"files\": [\"a\"]}")];
    let (results, params) = play(&own).await;
    assert_eq!((&params[0]["value"], &params[1]["value"]), (&json!("sha256:mine"), &json!(["a"])));
    assert!(results[0]["value"].as_str().unwrap().ends_with("@sha256:mine"), "{results}");
}

#[tokio::test]
async fn a_failed_task_fails_the_run_and_skips_the_rest() {
    let cluster = played();
    cluster.apply_yaml(pipeline()).unwrap();
    let client = cluster.client("default");
    runs(&client).create(&post(), &annotated("r", &[("fail-task", "compile")])).await.unwrap();
    let run = until(&runs(&client), "r", "Failed").await;
    let (status, _, message) = condition(&run);
    assert_eq!(
        (status.as_str(), message.as_str()),
        ("False", "Tasks Completed: 2 (Failed: 1, Cancelled 0), Skipped: 1")
    );
    assert!(task_runs(&client).get_opt("r-test").await.unwrap().is_none());
    assert_eq!(condition(&task_runs(&client).get("r-compile").await.unwrap()).1, "Failed");
}

#[tokio::test]
async fn a_held_run_is_cancelled_with_its_tasks() {
    let cluster = played();
    cluster.apply_yaml(pipeline()).unwrap();
    let client = cluster.client("default");
    runs(&client).create(&post(), &annotated("r", &[("hold", "true")])).await.unwrap();
    until(&task_runs(&client), "r-clone", "Running").await;
    assert_eq!(condition(&runs(&client).get("r").await.unwrap()).1, "Running");
    runs(&client).patch("r", &params(), &merge(json!({"spec": {"status": "Cancelled"}}))).await.unwrap();
    let run = until(&runs(&client), "r", "Cancelled").await;
    assert_eq!(
        condition(&run),
        ("False".to_owned(), "Cancelled".to_owned(), "PipelineRun \"r\" was cancelled".to_owned())
    );
    let task = until(&task_runs(&client), "r-clone", "TaskRunCancelled").await;
    assert_eq!(
        condition(&task).2,
        "TaskRun \"r-clone\" was cancelled. TaskRun cancelled as the PipelineRun it belongs to has been cancelled."
    );
}

#[tokio::test]
async fn a_pending_run_waits_until_it_is_released() {
    let cluster = played();
    cluster.apply_yaml(pipeline()).unwrap();
    let client = cluster.client("default");
    let mut pending = run("r");
    pending.data["spec"]["status"] = json!("PipelineRunPending");
    runs(&client).create(&post(), &pending).await.unwrap();
    let waiting = until(&runs(&client), "r", "PipelineRunPending").await;
    assert!(waiting.data["status"].get("startTime").is_none());
    assert!(task_runs(&client).list(&ListParams::default()).await.unwrap().items.is_empty());
    let release = json!([{"op": "test", "path": "/spec/status", "value": "PipelineRunPending"}, {"op": "remove", "path": "/spec/status"}]);
    let release = Patch::Json::<()>(serde_json::from_value(release).unwrap());
    runs(&client).patch("r", &params(), &release).await.unwrap();
    until(&runs(&client), "r", "Succeeded").await;
}

#[tokio::test]
async fn a_missing_pipeline_fails_the_run() {
    let cluster = played();
    let client = cluster.client("default");
    runs(&client).create(&post(), &run("r")).await.unwrap();
    let run = until(&runs(&client), "r", "CouldntGetPipeline").await;
    assert_eq!(
        condition(&run).2,
        "Error retrieving pipeline for pipelinerun default/r: error when getting Pipeline for PipelineRun r: tekton client \
         cannot get pipeline build from local cluster: pipelines.tekton.dev \"build\" not found"
    );
    assert!(run.data["status"]["completionTime"].is_string());
}

#[tokio::test]
async fn a_run_of_another_manager_is_left_alone_and_custom_tasks_too() {
    let cluster = played();
    let client = cluster.client("default");
    let mut foreign = run("foreign");
    foreign.data["spec"]["managedBy"] = json!("example.dev/other");
    runs(&client).create(&post(), &foreign).await.unwrap();
    let mut custom = run("custom");
    custom.data["spec"] = json!({"pipelineSpec": {
        "tasks": [{"name": "approve", "taskRef": {"apiVersion": "example.dev/v1", "kind": "Approval"}}],
        "finally": [{"name": "tidy", "taskRef": {"name": "tidy"}}],
    }});
    runs(&client).create(&post(), &custom).await.unwrap();
    let approvals: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "default", &resource("tekton.dev/v1beta1", "CustomRun"));
    let approval = eventually("the custom task is created", || async {
        approvals.get_opt("custom-approve").await.unwrap()
    })
    .await;
    assert_eq!(approval.data["spec"]["customRef"]["kind"], "Approval");
    assert!(approval.data.get("status").is_none());
    let done = json!({"status": {"conditions": [{"type": "Succeeded", "status": "True", "reason": "Approved", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    approvals.patch_status("custom-approve", &params(), &merge(done)).await.unwrap();
    until(&runs(&client), "custom", "Succeeded").await;
    assert_eq!(
        task_runs(&client).get("custom-tidy").await.unwrap().labels()["tekton.dev/memberOf"],
        "finally"
    );
    assert!(runs(&client).get("foreign").await.unwrap().data.get("status").is_none());
}

#[tokio::test]
async fn a_task_run_on_its_own_is_played_and_times_out() {
    let cluster = played();
    let client = cluster.client("default");
    let alone = |name: &str, timeout: &str, hold: &str| {
        object(json!({
            "apiVersion": "tekton.dev/v1", "kind": "TaskRun",
            "metadata": {"name": name, "annotations": {"player.pipewright.dev/hold": hold}},
            "spec": {"taskSpec": {"steps": [{"image": "alpine"}]}, "timeout": timeout},
        }))
    };
    task_runs(&client).create(&post(), &alone("quick", "1m", "false")).await.unwrap();
    task_runs(&client).create(&post(), &alone("slow", "1s", "true")).await.unwrap();
    until(&task_runs(&client), "quick", "Succeeded").await;
    let slow = until(&task_runs(&client), "slow", "TaskRunTimeout").await;
    assert_eq!(condition(&slow).2, "TaskRun \"slow\" failed to finish within \"1s\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_player_survives_a_bad_cluster() {
    let cluster = played();
    cluster.apply_yaml(pipeline()).unwrap();
    let client = cluster.client("default");
    for n in 0..20 {
        runs(&client).create(&post(), &annotated(&format!("r{n}"), &[("duration", "10ms")])).await.unwrap();
    }
    let faults = cluster.faults();
    faults.inject(
        Fault::Status(http::StatusCode::SERVICE_UNAVAILABLE, 1),
        Requests::Writes,
        Rate::Percent(20),
    );
    faults.inject(Fault::ResetAfter, Requests::Writes, Rate::Percent(20));
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(30)).await;
        faults.cut_watches();
        faults.compact();
    }
    faults.clear();
    for n in 0..20 {
        until(&runs(&client), &format!("r{n}"), "Succeeded").await;
    }
    assert_eq!(task_runs(&client).list(&ListParams::default()).await.unwrap().items.len(), 60);
}
