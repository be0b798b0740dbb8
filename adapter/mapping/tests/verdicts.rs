//! Runs that Tekton would not take are refused before they are shown as fine.

use super::super::objects::Objects;
use super::*;

/// A mapping for every event with this `spec`, in the flow style.
fn with_spec(spec: &str) -> String {
    mapping(&format!(
        "  events: [{{type: \"*\"}}]\n  let:\n    one: {{path: $.id}}\n    data: {{path: $.data.customData.change}}\n    labels: {{path: $.data.customData.change.labels}}\n  do:\n    - name: build\n      pipelineRun:\n        spec: {spec}\n"
    ))
}

/// The rendered params.
fn params(spec: &str) -> Value {
    objects(&set(&with_spec(spec)), &change("t"))[0].pointer("/pipelineRun/spec/params").unwrap().clone()
}

fn told(report: &Report) -> String {
    report.diagnostics().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

const PIPELINES: &str = r"
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: build}
spec:
  params:
    - {name: url}
    - {name: revision, default: main}
    - {name: platforms, type: array, default: []}
    - {name: image, type: object, properties: {name: {}, tag: {}}, default: {name: shop, tag: latest}}
  workspaces: [{name: source}]
  tasks:
    - {name: compile, taskRef: {name: compile}, params: [{name: url, value: $(params.url)}]}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: compile}
spec:
  params: [{name: url}]
  steps: [{image: alpine, script: echo}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
";

/// The report of a mapping whose runs are held against the pipelines.
fn against(spec: &str) -> Report {
    let mut report = Report::default();
    let objects = Objects::read(&files(&[PIPELINES]), &mut report);
    assert!(report.is_empty(), "{}", told(&report));
    let catalog = Catalog { objects, ..catalog() };
    match MappingSet::compile(&files(&[&with_spec(spec)]), &catalog) {
        Ok((_, report)) | Err(report) => report,
    }
}

#[test]
fn what_tekton_refuses_at_creation_is_refused_at_load() {
    for (spec, wanted) in [
        ("{pipelineRef: {name: build}, params: {a: b}}", "`spec.params` must be a list, not a map"),
        ("{pipelineRef: build}", "`spec.pipelineRef` must be a map, not a string"),
        ("{pipelineRef: {}}", "missing field(s): spec.pipelineRef.name"),
        ("{pipelineRef: {name: build}, params: [{value: x}]}", "a param needs a `name`"),
        ("{pipelineRef: {name: build}, params: [{name: a, vlaue: x}]}", "(did you mean `value`?)"),
        ("{pipelineRef: {name: build}, params: [{name: a}]}", "`spec.params[0]` has no `value`"),
        (
            "{pipelineRef: {name: build}, params: [{name: a, value: x}, {name: a, value: y}]}",
            "spec.params[a].name",
        ),
        (
            "{pipelineRef: {name: build}, params: [{name: a, value: $(tasks.b.results.c)}]}",
            "cannot use result expressions",
        ),
        ("{pipelineRef: {name: build}, timeouts: {pipeline: 1 hour}}", "time: invalid duration \"1 hour\""),
        (
            "{pipelineRef: {name: build}, timeouts: {pipeline: 1h, tasks: 2h}}",
            "2h0m0s should be <= pipeline duration",
        ),
        ("{pipelineRef: {name: build}, workspaces: [{name: a}]}", "spec.workspaces[0].emptydir"),
        ("{pipelineRef: {name: build}, status: Paused}", "Paused should be Cancelled"),
        ("{pipelineSpec: {tasks: [{name: a}]}}", "a task needs `taskRef` or `taskSpec`"),
        (
            "{pipelineSpec: {tasks: [{name: a, taskRef: {name: x}, runAfter: [b]}]}}",
            "wasn't present in Pipeline",
        ),
        ("{pipelineSpec: {tasks: [{name: a, taskRef: {name: x}, runAfter: [a]}]}}", "cycle detected"),
        (
            "{pipelineSpec: {tasks: [{name: a, taskRef: {name: x}, params: [{name: p, value: $(params.nobody)}]}]}}",
            "non-existent variable",
        ),
        (
            "{pipelineSpec: {tasks: [{name: a, taskRef: {name: x}, when: [{input: a, operator: is, values: [b]}]}]}}",
            "operator \"is\" is not recognized",
        ),
        (
            "{pipelineSpec: {tasks: [{name: a, taskSpec: {steps: [{script: echo}]}}]}}",
            "spec.pipelineSpec.tasks[0].taskSpec.steps[0].Image",
        ),
        ("{pipelineSpec: {task: [{name: a, taskRef: {name: x}}]}}", "did you mean `tasks`?"),
    ] {
        let report = refused(&with_spec(spec));
        assert!(told(&report).contains(wanted), "{spec}\n{}", told(&report));
        assert!(report.diagnostics().iter().all(|finding| finding.line > 1), "{}", told(&report));
    }
}

#[test]
fn what_only_an_event_can_tell_is_left_to_the_event() {
    let text = with_spec(
        "{pipelineRef: {name: build}, params: [{name: a, value: \"{{data}}\"}, {name: b, value: \"{{one}}\"}]}",
    );
    let event = change("t");
    assert_eq!(objects(&set(&text), &event).len(), 1);
    let inline = "{params: [{name: list, value: \"{{labels}}\"}], pipelineSpec: {params: [{name: list, type: array}], tasks: [{name: a, taskSpec: {params: [{name: list, type: array}], steps: [{image: x, command: [echo], args: [\"$(params.list[*])\"]}]}, params: [{name: list, value: \"$(params.list[*])\"}]}]}}";
    assert_eq!(params(inline)[0]["value"], json!(["bug", "urgent"]));
    // What a template puts into another field shows only now.
    let timeout = with_spec("{pipelineRef: {name: build}, timeouts: {pipeline: \"{{one}}\", unsafe: true}}");
    let error = plan_error(&timeout, &change("t"));
    assert!(error.reason.contains("time: invalid duration"), "{error}");
    assert_eq!(error.place, "do[0].pipelineRun.spec.timeouts.pipeline");
}

#[test]
fn items_of_lists_and_members_of_maps_are_texts() {
    let rendered = params(
        "{pipelineRef: {name: build}, params: [{name: n, value: [1, 2]}, {name: o, value: {count: 3, on: true}}, {name: d, value: \"{{data.labels}}\"}, {name: one, value: 5}]}",
    );
    assert_eq!(rendered[0]["value"], json!(["1", "2"]));
    assert_eq!(rendered[1]["value"], json!({"count": "3", "on": "true"}));
    assert_eq!(rendered[2]["value"], json!(["bug", "urgent"]));
    assert_eq!(rendered[3]["value"], 5);
    let data = params("{pipelineRef: {name: build}, params: [{name: d, value: \"{{data}}\"}]}");
    assert_eq!(data[0]["value"]["number"], "7");
    assert_eq!(data[0]["value"]["draft"], "false");
}

#[test]
fn where_nobody_looks_that_is_said() {
    let text = with_spec(
        "{pipelineSpec: {tasks: [{name: a, when: [{cel: \"'a' == 'b'\"}], taskSpec: {steps: [{image: x, script: y, securityContext: {runAsUser: 1}}]}}]}}",
    );
    let (_, report) = MappingSet::compile(&files(&[&text]), &catalog()).unwrap();
    let notes: Vec<&str> = report.notes().map(|note| note.message.as_str()).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("enable-cel-in-whenexpression")), "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("steps[0].securityContext")), "{notes:?}");
    assert_eq!(report.errors().count(), 0);
}

#[test]
fn a_run_is_held_against_the_pipeline_that_it_names() {
    let good = "{pipelineRef: {name: build}, params: [{name: url, value: x}, {name: platforms, value: [1]}], workspaces: [{name: source, emptyDir: {}}]}";
    assert!(against(good).is_empty(), "{}", told(&against(good)));
    for (spec, code, wanted) in [
        (
            "{pipelineRef: {name: build}, workspaces: [{name: source, emptyDir: {}}]}",
            "params",
            "ParameterMissing): pipelineRun missing parameters: [url]",
        ),
        (
            "{pipelineRef: {name: build}, params: [{name: urll, value: x}, {name: url, value: x}], workspaces: [{name: source, emptyDir: {}}]}",
            "unknown-param",
            "did you mean `url`?",
        ),
        (
            "{pipelineRef: {name: build}, params: [{name: url, value: [x]}], workspaces: [{name: source, emptyDir: {}}]}",
            "params",
            "ParameterTypeMismatch",
        ),
        (
            "{pipelineRef: {name: build}, params: [{name: url, value: x}, {name: platforms, value: \"a {{one}}\"}], workspaces: [{name: source, emptyDir: {}}]}",
            "params",
            "ParameterTypeMismatch",
        ),
        (
            "{pipelineRef: {name: build}, params: [{name: url, value: x}]}",
            "params",
            "workspace with name \"source\"",
        ),
        (
            "{pipelineRef: {name: biuld}, params: [{name: url, value: x}]}",
            "not-checked",
            "did you mean `build`?",
        ),
        (
            "{pipelineRef: {resolver: git, params: [{name: url, value: x}]}}",
            "not-checked",
            "which Pipeline this is shows only when it runs",
        ),
    ] {
        let report = against(spec);
        let codes: Vec<&str> = report.diagnostics().iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [code], "{spec}\n{}", told(&report));
        assert!(told(&report).contains(wanted), "{spec}\n{}", told(&report));
    }
}

#[test]
fn pipelines_and_tasks_are_checked_themselves() {
    let read = |text: &str| {
        let mut report = Report::default();
        Objects::read(&files(&[text]), &mut report);
        told(&report)
    };
    assert!(
        read(&PIPELINES.replace("value: $(params.url)", "value: $(params.uri)"))
            .contains("non-existent variable")
    );
    assert!(
        read(&PIPELINES.replace("params: [{name: url, value: $(params.url)}]", "params: []"))
            .contains("missing values for these params which have no default values: [url]")
    );
    assert!(
        read(&PIPELINES.replace("taskRef: {name: compile}", "taskRef: {name: compil}"))
            .contains("did you mean `compile`?")
    );
    assert!(
        read(&PIPELINES.replace("image: alpine, ", "")).contains("m0.yaml:20:11"),
        "{}",
        read(&PIPELINES.replace("image: alpine, ", ""))
    );
    assert!(read("a: [").contains("not YAML"));
}

#[test]
fn templates_where_text_is_run_are_refused() {
    for field in ["script", "image", "command", "args", "serviceAccountName", "namespace"] {
        let value = match field {
            "command" | "args" => "[\"a {{one}}\"]",
            _ => "\"a {{one}}\"",
        };
        let inline =
            |step: &str| format!("pipelineSpec: {{tasks: [{{name: t, taskSpec: {{steps: [{{{step}}}]}}}}]}}");
        let claim = |meta: &str| {
            format!(
                "pipelineRef: {{name: b}}, workspaces: [{{name: w, volumeClaimTemplate: {{metadata: {{{meta}}}}}}}]"
            )
        };
        let task = |spec: &str| format!("pipelineRef: {{name: b}}, taskRunSpecs: [{{{spec}}}]");
        let spec = match field {
            "image" => inline(&format!("name: s, {field}: {value}")),
            "script" | "command" | "args" => inline(&format!("name: s, {field}: {value}, image: x")),
            "namespace" => claim(&format!("name: s, {field}: {value}")),
            _ => task(&format!("pipelineTaskName: t, {field}: {value}")),
        };
        let text = mapping(&format!(
            "  events: [{{type: \"*\"}}]\n  let:\n    one: {{path: $.id}}\n  do:\n    - name: build\n      pipelineRun:\n        spec: {{{spec}}}\n"
        ));
        let (code, message, line, _) = finding(&text);
        assert_eq!((code.as_str(), line), ("forbidden-template", 11), "{field}");
        assert!(message.contains(&format!(".{field}")), "{message}");
        let text = text.replace("{name: s,", "{name: s, unsafe: true,");
        let text = text.replace("{pipelineTaskName: t,", "{pipelineTaskName: t, unsafe: true,");
        let run = objects(&set(&text), &change("t"))[0]["pipelineRun"]["spec"].to_string();
        assert!(run.contains("c-1") && !run.contains("unsafe"), "{run}");
    }
}
