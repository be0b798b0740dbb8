use super::*;

const SHA: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A run that went well, with these results.
fn with(results: &Value) -> Value {
    let mut run = pipeline_run(&done("True", "Succeeded"));
    let result = |(name, value): (&String, &Value)| json!({"name": name, "value": value});
    run["status"]["results"] = results.as_object().unwrap().iter().map(result).collect();
    run
}

fn annotated(mut run: Value, annotations: &Value) -> Value {
    run["metadata"]["annotations"] = annotations.clone();
    run
}

/// What is told after the end.
fn made(run: &Value, kind: RunKind) -> Vec<Value> {
    let all = transitions(run, kind, &cluster());
    let finished = all.iter().position(|it| it.name == FINISHED).unwrap();
    let parent = all[finished].event.id().to_owned();
    let chain = all[finished].event.attribute("correlationid");
    let mut names: Vec<&str> = all.iter().map(|it| &*it.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "each transition has a name of its own");
    for transition in &all[finished + 1..] {
        assert_eq!(transition.event.attribute("causationid").as_deref(), Some(parent.as_str()));
        assert_eq!(transition.event.attribute("correlationid"), chain);
        assert_eq!(transition.event.time(), Some("2026-01-01T00:01:00Z"));
    }
    all[finished + 1..].iter().map(|it| it.event.tree().unwrap().clone()).collect()
}

/// Type without version, subject and content of each.
fn told(run: &Value) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    made(run, RunKind::PipelineRun)
        .iter()
        .map(|data| {
            let ty = text(&data["context"]["type"]);
            let base = ty.rsplitn(4, '.').nth(3).unwrap().strip_prefix("dev.cdevents.").unwrap().to_owned();
            (base, text(&data["subject"]["id"]), data["subject"]["content"].clone())
        })
        .collect()
}

/// The purls of what was published.
fn published(results: &Value) -> Vec<String> {
    told(&with(results))
        .into_iter()
        .map(|(ty, purl, _)| (assert_eq!(ty, "artifact.published"), purl).1)
        .collect()
}

fn oci(rest: &str) -> String {
    let (name, query) = rest.split_once('?').unwrap();
    format!("pkg:oci/{name}@{}?{query}", SHA.replace(':', "%3A"))
}

#[test]
fn an_image_that_the_type_hints_tell_of_is_published() {
    let run = with(&json!({"IMAGE_URL": "ghcr.io/Acme/Shop:v1\n", "IMAGE_DIGEST": format!("{SHA}\n")}));
    let data = &made(&run, RunKind::PipelineRun)[0];
    assert_eq!(data["context"]["type"], "dev.cdevents.artifact.published.0.3.0");
    assert_eq!(
        data["subject"],
        json!({"id": oci("shop?repository_url=ghcr.io/acme/shop&tag=v1"), "content": {}})
    );
    assert_eq!(
        data["customData"],
        json!({
            "tekton": {"kind": "PipelineRun", "uid": UID, "namespace": "ci", "name": "build-1", "pipeline": "build"},
            "package": {"type": "container", "name": "Shop", "version": SHA, "tag": "v1", "digest": SHA,
                        "image": "ghcr.io/Acme/Shop"},
        })
    );
}

#[test]
fn every_form_of_the_type_hints_is_read() {
    let app = oci("app?repository_url=r.example.com:5000/t/app").replace("com:5000", "com%3A5000");
    let hex = &SHA["sha256:".len()..];
    for (results, wanted) in [
        (
            json!({"a-IMAGE_URL": "r.example.com:5000/t/app", "a-IMAGE_DIGEST": SHA,
                   "b_IMAGE_URL": "alpine", "b_IMAGE_DIGEST": SHA}),
            vec![app.clone(), oci("alpine?repository_url=alpine")],
        ),
        (
            json!({"IMAGES": format!("r.example.com:5000/t/app@{SHA},\n alpine:3@{SHA}\n,alpine:3@{SHA},nothing")}),
            vec![app.clone(), oci("alpine?repository_url=alpine&tag=3")],
        ),
        (
            json!({"jar_ARTIFACT_URI": "https://maven.example.com/shop-1.0.jar", "jar_ARTIFACT_DIGEST": SHA}),
            vec![format!(
                "pkg:generic/shop-1.0.jar?checksum=sha256%3A{hex}&download_url=https%3A%2F%2Fmaven.example.com%2Fshop-1.0.jar"
            )],
        ),
        (
            json!({"x-ARTIFACT_OUTPUTS": {"uri": "pkg:/maven/org.acme/shop@1.0", "digest": format!("sha1:{COMMIT}")},
                   "y-ARTIFACT_OUTPUTS": {"uri": "r.example.com:5000/t/app", "digest": SHA},
                   "z-ARTIFACT_OUTPUTS": {"uri": "oci://r.example.com:5000/t/app", "digest": SHA}}),
            vec!["pkg:maven/org.acme/shop@1.0".to_owned(), app.clone()],
        ),
        // What went in is nothing that was made.
        (json!({"x-ARTIFACT_INPUTS": {"uri": "https://x/y", "digest": SHA}}), vec![]),
    ] {
        assert_eq!(published(&results), wanted, "{results}");
    }
}

#[test]
fn garbage_in_results_is_no_event_and_no_error() {
    let url = "ghcr.io/acme/shop";
    let long = "a".repeat(2000);
    for results in [
        json!({"IMAGE_URL": url}),
        json!({"IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": url, "other-IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": url, "IMAGE_DIGEST": "sha256:abc"}),
        json!({"IMAGE_URL": url, "IMAGE_DIGEST": SHA.to_uppercase()}),
        json!({"IMAGE_URL": url, "IMAGE_DIGEST": format!("sha1:{COMMIT}")}),
        json!({"IMAGE_URL": url, "IMAGE_DIGEST": [SHA]}),
        json!({"IMAGE_URL": [url], "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": {"uri": url}, "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": 5, "IMAGE_DIGEST": null}),
        json!({"IMAGE_URL": "", "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": "https://ghcr.io/acme/shop", "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": "ghcr.io//shop", "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": "ghcr.io/shop:", "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": "ghcr.io/sh op", "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": "ghcr.io/sh\u{0}op", "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": "ghcr.io/shöp", "IMAGE_DIGEST": SHA}),
        json!({"IMAGE_URL": long, "IMAGE_DIGEST": SHA}),
        json!({"IMAGES": ",,\n@,a@b"}),
        json!({"IMAGES": ["a"]}),
        json!({"ARTIFACT_URI": "no address", "ARTIFACT_DIGEST": SHA}),
        json!({"ARTIFACT_URI": "https://user:secret@example.com/x", "ARTIFACT_DIGEST": SHA}),
        json!({"ARTIFACT_URI": "https://example.com/x", "ARTIFACT_DIGEST": "md5:00"}),
        json!({"ARTIFACT_URI": "pkg:/", "ARTIFACT_DIGEST": SHA}),
        json!({"ARTIFACT_OUTPUTS": format!("{{\"uri\": \"{url}\", \"digest\": \"{SHA}\"}}")}),
        json!({"ARTIFACT_OUTPUTS": {"uri": url}}),
        json!({"ARTIFACT_OUTPUTS": {"uri": [url], "digest": {"a": SHA}}}),
        json!({"digest": "sha256:ab"}),
    ] {
        assert_eq!(told(&with(&results)), [], "{results}");
    }
    for results in
        [json!("none"), json!([5, {}, {"name": 5, "value": 6}, {"name": "IMAGE_URL"}]), json!(null)]
    {
        let mut run = with(&json!({}));
        run["status"]["results"] = results;
        assert!(made(&run, RunKind::PipelineRun).is_empty());
    }
}

#[test]
fn what_a_run_can_make_is_bounded() {
    let mut results = Map::new();
    for number in 0..5000 {
        results.insert(format!("{number}_IMAGE_URL"), json!(format!("ghcr.io/acme/shop-{number}")));
        results.insert(format!("{number}_IMAGE_DIGEST"), json!(SHA));
    }
    let many = annotated(
        with(&Value::Object(results)),
        &json!({"pipewright.dev/change-id": "pull/1", "pipewright.dev/change-source": "https://github.com/o/r"}),
    );
    // Each is packaged and published.
    assert_eq!(made(&many, RunKind::PipelineRun).len(), 90);
}

#[test]
fn an_image_is_packaged_when_the_change_is_known() {
    let image = json!({"IMAGE_URL": "ghcr.io/acme/shop", "IMAGE_DIGEST": SHA});
    let change = |run: &Value| match &told(run)[..] {
        [(packaged, a, content), (published, b, _)] => {
            assert_eq!(
                (packaged.as_str(), published.as_str(), a),
                ("artifact.packaged", "artifact.published", b)
            );
            content["change"].clone()
        }
        _ => Value::Null,
    };
    let hint = |url: &str, commit: &str| {
        let mut results = image.clone();
        results["CHAINS-GIT_URL"] = url.into();
        results["CHAINS-GIT_COMMIT"] = commit.into();
        with(&results)
    };
    let repository = "https://github.com/acme/shop";
    let commit = json!({"id": COMMIT, "source": repository});
    assert_eq!(change(&with(&image)), Value::Null);
    assert_eq!(change(&hint(repository, &format!("{COMMIT}\n"))), commit);
    assert_eq!(change(&hint(&format!("git+{repository}"), COMMIT)), commit);
    // Where it is cannot be told in a URI, or must not be.
    for url in ["git@github.com:acme/shop.git", "https://me:secret@github.com/acme/shop", ""] {
        assert_eq!(change(&hint(url, COMMIT)), json!({"id": COMMIT}), "{url}");
    }
    assert_eq!(change(&hint(repository, "main")), Value::Null);
    // As params, where Chains looks too.
    let mut params = with(&image);
    params["spec"]["params"] = json!([{"name": "CHAINS-GIT_COMMIT", "value": COMMIT}, {"name": "x", "value": []},
                                      {"name": "CHAINS-GIT_URL", "value": repository}]);
    assert_eq!(change(&params), commit);
    // What caused the run, unless the run knows better.
    let ours = json!({"pipewright.dev/change-id": "pull/1", "pipewright.dev/change-source": repository});
    assert_eq!(change(&annotated(with(&image), &ours)), json!({"id": "pull/1", "source": repository}));
    assert_eq!(change(&annotated(hint(repository, COMMIT), &ours)), commit);
    let odd = json!({"pipewright.dev/change-id": "pull/1", "pipewright.dev/change-source": "no uri"});
    assert_eq!(change(&annotated(with(&image), &odd)), json!({"id": "pull/1"}));
}

#[test]
fn only_a_run_that_went_well_has_made_something() {
    let good = with(&json!({"IMAGE_URL": "ghcr.io/acme/shop", "IMAGE_DIGEST": SHA}));
    assert_eq!(made(&good, RunKind::PipelineRun).len(), 1);
    assert!(made(&good, RunKind::CustomRun).is_empty());
    for status in ["False", "Unknown"] {
        let mut run = good.clone();
        run["status"]["conditions"][0]["status"] = status.into();
        let all = transitions(&run, RunKind::PipelineRun, &cluster());
        assert!(all.iter().all(|it| !it.name.contains('/')), "{status}");
    }
}

#[test]
fn a_pipeline_and_its_task_tell_of_one_image_under_one_id() {
    let results =
        with(&json!({"IMAGE_URL": "ghcr.io/acme/shop", "IMAGE_DIGEST": SHA}))["status"]["results"].clone();
    let mut task = task_run(&done("True", "Succeeded"));
    task["status"]["results"] = results.clone();
    let mut pipeline = pipeline_run(&done("True", "Succeeded"));
    pipeline["status"]["results"] = results;
    let id = |run: &Value, kind| made(run, kind)[0]["context"]["id"].clone();
    assert_eq!(id(&task, RunKind::TaskRun), id(&pipeline, RunKind::PipelineRun));
    let mut again = pipeline.clone();
    again["metadata"]["uid"] = json!("33333333-3333-3333-3333-333333333333");
    assert_ne!(id(&again, RunKind::PipelineRun), id(&pipeline, RunKind::PipelineRun));
    // Alone, a task's run is the root.
    task["metadata"]["labels"] = json!({});
    assert_ne!(id(&task, RunKind::TaskRun), id(&pipeline, RunKind::PipelineRun));
}

#[test]
fn annotations_declare_what_the_results_are() {
    let results = json!({"cd.artifact.id": "42", "cd.artifact.name": "shop", "cd.artifact.version": "1.2"});
    let ours = json!({"cd.artifact.packaged": "", "cd.artifact.published": "true",
                      "pipewright.dev/change-id": "pull/1"});
    let purl = "pkg:generic/shop@1.2".to_owned();
    assert_eq!(
        told(&annotated(with(&results), &ours)),
        [
            ("artifact.packaged".to_owned(), purl.clone(), json!({"change": {"id": "pull/1"}})),
            ("artifact.published".to_owned(), purl.clone(), json!({})),
        ]
    );
    // All three results have to be there, and an annotation.
    assert_eq!(told(&with(&results)), []);
    for name in ["cd.artifact.id", "cd.artifact.name", "cd.artifact.version"] {
        let mut poor = results.clone();
        poor.as_object_mut().unwrap().remove(name);
        assert_eq!(told(&annotated(with(&poor), &ours)), [], "{name}");
    }
    // Results may have other names.
    let renamed = json!({"id": format!("ghcr.io/acme/shop@{SHA}"), "cd.artifact.name": "shop", "v": "1.2"});
    let names = json!({"cd.artifact.published": "", "cd.events/results.artifact.id": "id",
                       "cd.events/results.artifact.version": "v"});
    let run = annotated(with(&renamed), &names);
    assert_eq!(told(&run)[0].1, oci("shop?repository_url=ghcr.io/acme/shop"));
    assert_eq!(made(&run, RunKind::PipelineRun)[0]["customData"]["package"]["version"], "1.2");
}

#[test]
fn a_hint_and_an_annotation_about_one_image_are_one_event() {
    let results = json!({
        "IMAGE_URL": "ghcr.io/acme/shop", "IMAGE_DIGEST": SHA,
        "cd.artifact.id": format!("ghcr.io/acme/shop@{SHA}"), "cd.artifact.name": "shop", "cd.artifact.version": "1",
    });
    assert_eq!(told(&annotated(with(&results), &json!({"cd.artifact.published": ""}))).len(), 1);
}

#[test]
fn annotations_declare_services() {
    let results = json!({"cd.service.envId": "prod", "cd.service.name": "shop", "cd.service.version": "1.2"});
    let all = json!({"cd.service.deployed": "", "cd.service.upgraded": "", "cd.service.rolledback": "",
                     "cd.service.removed": ""});
    let there = json!({"environment": {"id": "prod"}, "artifactId": "pkg:generic/shop@1.2"});
    let row = |ty: &str, content: &Value| (ty.to_owned(), "shop".to_owned(), content.clone());
    let gone = row("service.removed", &json!({"environment": {"id": "prod"}}));
    assert_eq!(
        told(&annotated(with(&results), &all)),
        [
            row("service.deployed", &there),
            row("service.upgraded", &there),
            row("service.rolledback", &there),
            gone.clone(),
        ]
    );
    let mut unversioned = results.clone();
    unversioned.as_object_mut().unwrap().remove("cd.service.version");
    assert_eq!(told(&annotated(with(&unversioned), &all)), [gone]);
    assert_eq!(told(&with(&results)), []);

    // The artifact that was declared is the one that is there.
    let mut known = results.clone();
    known["cd.artifact.id"] = format!("ghcr.io/acme/shop@{SHA}").into();
    known["cd.artifact.name"] = "shop".into();
    known["cd.artifact.version"] = "1".into();
    let deployed = annotated(with(&known), &json!({"cd.service.deployed": ""}));
    assert_eq!(told(&deployed)[0].2["artifactId"], oci("shop?repository_url=ghcr.io/acme/shop"));
    assert_eq!(
        made(&deployed, RunKind::PipelineRun)[0]["customData"]["service"],
        json!({"name": "shop", "version": "1.2", "environment": "prod"})
    );

    // One service in two environments is two occurrences.
    let mut other = results;
    other["cd.service.envId"] = "test".into();
    let id = |results: &Value| {
        made(&annotated(with(results), &all), RunKind::PipelineRun)[0]["context"]["id"].clone()
    };
    assert_ne!(id(&known), id(&other));
}
