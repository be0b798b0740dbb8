mod bounds;
mod emit;
mod folder;
mod lint;
mod partial;
mod templates;
mod verdicts;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::json;

use super::explain::{ActionOutcome, Outcome, action_json};
use super::*;
use crate::action::Destination;
use crate::diagnostic::Style;

const TITLE: &str = "\"; rm -rf / $(params.secret) {{config}} \\n- x: y";

fn catalog() -> Catalog {
    Catalog {
        sinks: vec!["audit".to_owned()],
        config: json!({"registry": "r.example.com", "team": "a"}),
        namespace: "ci".to_owned(),
        event_source: "/pipewright/test".to_owned(),
        // The runs of most mappings here would start themselves again.
        watched: "elsewhere".to_owned(),
        ..Catalog::default()
    }
}

fn files(texts: &[&str]) -> Vec<File> {
    texts
        .iter()
        .enumerate()
        .map(|(index, text)| File { path: format!("m{index}.yaml"), text: Arc::from(*text) })
        .collect()
}

fn set(text: &str) -> MappingSet {
    match MappingSet::compile(&files(&[text]), &catalog()) {
        Ok((set, _)) => set,
        Err(report) => panic!("{}", report.render(Style::Plain)),
    }
}

fn refused(text: &str) -> Report {
    MappingSet::compile(&files(&[text]), &catalog()).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

/// The only finding: its code, message, line and column.
fn finding(text: &str) -> (String, String, u32, u32) {
    let report = refused(text);
    assert_eq!(report.diagnostics().len(), 1, "{}", report.render(Style::Plain));
    let one = &report.diagnostics()[0];
    (one.code.to_owned(), one.message.clone(), one.line, one.column)
}

/// A mapping whose `spec`, indented by two, is `spec`.
fn mapping(spec: &str) -> String {
    format!("apiVersion: pipewright.dev/v1alpha1\nkind: Mapping\nmetadata: {{name: m}}\nspec:\n{spec}")
}

/// A mapping for every event, with these lines under `let` and this value of the param `p`.
fn with_param(lets: &str, value: &str) -> String {
    mapping(&format!(
        "  events: [{{type: \"*\"}}]\n  let:\n    one: {{path: $.id}}\n{lets}  do:\n    - name: build\n      pipelineRun:\n        spec:\n          pipelineRef: {{name: build}}\n          params:\n            - {{name: p, value: {value}}}\n"
    ))
}

fn change(title: &str) -> Arc<Event> {
    let data = json!({
        "context": {"specversion": "0.5.1", "id": "c-1", "source": "https://github.com/o/r",
                    "type": "dev.cdevents.change.created.0.4.0", "timestamp": "2024-05-06T07:08:09Z", "chainId": "chain-1"},
        "subject": {"id": "o/r/pull/7", "content": {"repository": {"id": "o/r"}}},
        "customData": {
            "forge": {"name": "github", "event": "pull_request", "action": "opened", "delivery": "d-1"},
            "change": {"number": 7, "title": title, "labels": ["bug", "urgent"], "draft": false, "body": null,
                       "source": {"branch": "feature/x", "sha": "0123456789abcdef"}, "target": {"branch": "main"}},
        },
    });
    Arc::new(
        Event::builder("c-1", "https://github.com/o/r", "dev.cdevents.change.created.0.4.0")
            .subject("o/r/pull/7")
            .time("2024-05-06T07:08:09Z")
            .extension("correlationid", "chain-1")
            .json(data.to_string())
            .build()
            .unwrap(),
    )
}

fn objects(set: &MappingSet, event: &Arc<Event>) -> Vec<Value> {
    let plan = set.plan(std::slice::from_ref(event)).complete().unwrap_or_else(|error| panic!("{error}"));
    plan.actions.iter().map(action_json).collect()
}

/// The value of the first param of the first run.
fn param(text: &str, event: &Arc<Event>) -> Value {
    objects(&set(text), event)[0].pointer("/pipelineRun/spec/params/0/value").unwrap().clone()
}

fn plan_error(text: &str, event: &Arc<Event>) -> PlanError {
    set(text).plan(std::slice::from_ref(event)).complete().unwrap_err()
}

#[test]
fn a_change_becomes_a_run_with_everything_that_identifies_it() {
    let text = mapping(
        r#"  events:
    - type: dev.cdevents.change.created
      source: https://github.com/o/*
  filter:
    - cel: event.data.customData.change.target.branch in ['main', 'develop']
    - not: {prefix: {subject: bot/}}
  let:
    repo: {path: $.data.subject.content.repository.id}
    commit: {path: $.data.customData.change.source.sha, required: true}
    branch: {path: $.data.customData.change.source.branch}
    image: {template: "{{config.registry}}/{{toDomainName repo}}:{{short commit}}"}
    urgent: {cel: "'urgent' in event.data.customData.change.labels"}
  do:
    - name: build
      when: vars.urgent
      pipelineRun:
        metadata:
          labels: {branch: "{{toLabel branch}}", team: "{{config.team}}"}
          annotations: {example.com/title: "{{event.data.customData.change.title}}"}
        spec:
          pipelineRef: {name: build}
          timeouts: {pipeline: 1h}
          params:
            - {name: image, value: "{{image}}"}
"#,
    );
    let event = change("a title");
    let set = set(&text);
    let plan = set.plan(&[event]).complete().unwrap();
    let [Action::PipelineRun(run)] = &plan.actions[..] else { panic!("{plan:?}") };
    assert_eq!(run.namespace, "ci");
    assert!(run.name.starts_with("m-build-"), "{}", run.name);
    assert_eq!(run.object["metadata"]["name"], run.name);
    assert_eq!(
        run.object["metadata"]["labels"],
        json!({"branch": "feature.x", "team": "a", "pipewright.dev/mapping": "m", "pipewright.dev/action": "build",
               "app.kubernetes.io/managed-by": "pipewright"})
    );
    assert_eq!(
        run.object["metadata"]["annotations"],
        json!({"example.com/title": "a title", "pipewright.dev/effect-key": run.origin.key.to_string(),
               "pipewright.dev/event-id": "c-1", "pipewright.dev/event-source": "https://github.com/o/r",
               "pipewright.dev/event-type": "dev.cdevents.change.created.0.4.0",
               "pipewright.dev/chain-id": "chain-1", "pipewright.dev/delivery": "d-1",
               "pipewright.dev/change-id": "o/r/pull/7", "pipewright.dev/change-source": "https://github.com/o/r"})
    );
    assert_eq!(
        run.object["spec"],
        json!({"pipelineRef": {"name": "build"}, "timeouts": {"pipeline": "1h"},
               "params": [{"name": "image", "value": "r.example.com/o.r:0123456"}]})
    );
}

#[test]
fn a_leaf_that_is_one_expression_keeps_its_type() {
    let event = change("t");
    for (expression, wanted) in [
        ("{{json labels}}", json!(["bug", "urgent"])),
        ("{{labels}}", json!(["bug", "urgent"])),
        ("{{event.data.customData.change.number}}", json!(7)),
        ("{{json event.data.customData.change.draft}}", json!(false)),
        ("{{first labels}}", json!("bug")),
        ("{{len labels}}", json!(2)),
        ("{{split branch '/'}}", json!(["feature", "x"])),
        ("n-{{event.data.customData.change.number}}", json!("n-7")),
        ("{{json labels}}!", json!("[\"bug\",\"urgent\"]!")),
        ("{{vars.branch}}", json!("feature/x")),
        ("{{#each labels}}{{this}},{{/each}}", json!("bug,urgent,")),
        ("{{#if (eq branch 'feature/x')}}yes{{else}}no{{/if}}", json!("yes")),
        ("{{default event.data.nope 'd'}}", json!("d")),
        ("{{default event.data.customData.change.body 'd'}}", json!("d")),
        ("{{#if event.data.nope}}yes{{/if}}", json!("")),
        ("{{join labels '+'}} {{upper branch}}", json!("bug+urgent FEATURE/X")),
        ("{{substring branch 0 7}}", json!("feature")),
        ("\\\\{{branch}}", json!("{{branch}}")),
    ] {
        let lets = "    labels: {path: $.data.customData.change.labels}\n    branch: {path: $.data.customData.change.source.branch}\n";
        let text = with_param(lets, &format!("\"{}\"", expression.replace('"', "\\\"")));
        assert_eq!(param(&text, &event), wanted, "{expression}");
    }
}

#[test]
fn a_hostile_title_reaches_the_run_as_one_literal_string() {
    for title in [TITLE.to_owned(), TITLE.replace("\\n", "\n")] {
        let event = change(&title);
        let safe = title.replace("$(", "$ (");
        let lets = "    title: {path: $.data.customData.change.title}\n";
        assert_eq!(param(&with_param(lets, "\"{{title}}\""), &event), json!(safe));
        let own = param(&with_param(lets, "\"$(context.pipelineRun.name) {{title}} $(params.x)\""), &event);
        assert_eq!(own, json!(format!("$(context.pipelineRun.name) {safe} $(params.x)")));
    }
}

#[test]
fn a_dollar_and_a_parenthesis_from_different_data_do_not_become_a_reference() {
    let event = change("x$");
    let lets = "    a: {path: $.data.customData.change.title}\n    b: {cel: \"'(params.secret)'\"}\n";
    assert_eq!(param(&with_param(lets, "\"{{a}}{{b}}\""), &event), json!("x$ (params.secret)"));
    assert_eq!(param(&with_param(lets, "\"{{a}}(pr)\""), &event), json!("x$ (pr)"));
    assert_eq!(param(&with_param(lets, "\"{{#if a}}$(params.own){{/if}}\""), &event), json!("$(params.own)"));
    // The author's own `$(` stays one after data that ends in `$`, also for the kubelet, to which `$$` is a `$`.
    assert_eq!(param(&with_param(lets, "\"{{a}}$(params.own)\""), &event), json!("x$ $(params.own)"));
    assert_eq!(param(&with_param(lets, "\"{{a}} $$(own) $\""), &event), json!("x$ $$(own) $"));
    let event = change("$$(params.secret)");
    assert_eq!(param(&with_param(lets, "\"{{a}}\""), &event), json!("$$ (params.secret)"));
    // The code point that stands for the author's own `$(` means nothing in data.
    let event = change("\u{FDD0}params.secret)");
    assert_eq!(
        param(&with_param(lets, "\"{{a}} $(params.own)\""), &event),
        json!("\u{FFFD}params.secret) $(params.own)")
    );
    // Inside lists and maps as well.
    let event = change("$(x)");
    assert_eq!(
        param(&with_param(lets, "\"{{json event.data.customData.change}}\""), &event)["title"],
        json!("$ (x)")
    );
}

#[test]
fn emitted_data_is_not_escaped() {
    let text = mapping(
        "  events: [{type: dev.cdevents.change.created}]\n  do:\n    - name: tell\n      emit:\n        type: dev.cdeventsx.pipewright-build.requested.0.1.0\n        content: {title: \"{{event.data.customData.change.title}}\"}\n        customData: {n: \"{{event.data.customData.change.number}}\"}\n",
    );
    let event = change("$(x)");
    let plan = set(&text).plan(std::slice::from_ref(&event)).complete().unwrap();
    let [Action::Emit(emit)] = &plan.actions[..] else { panic!("{plan:?}") };
    assert_eq!(emit.to, Destination::Sink("default".to_owned()));
    let sent = &emit.event;
    assert_eq!(sent.id(), emit.origin.key.event_id());
    assert_eq!(sent.source(), "/pipewright/test");
    assert_eq!(sent.time(), event.time());
    assert_eq!(sent.subject(), Some("o/r/pull/7"));
    assert_eq!(sent.attribute("correlationid").as_deref(), Some("chain-1"));
    assert_eq!(sent.attribute("causationid").as_deref(), Some("c-1"));
    assert_eq!(
        sent.tree().unwrap(),
        &json!({
            "context": {"specversion": "0.5.1", "id": sent.id(), "source": "/pipewright/test",
                        "type": "dev.cdeventsx.pipewright-build.requested.0.1.0", "timestamp": "2024-05-06T07:08:09Z",
                        "chainId": "chain-1", "links": [{"linkType": "PATH", "from": {"contextId": "c-1"}}]},
            "subject": {"id": "o/r/pull/7", "content": {"title": "$(x)"}},
            "customData": {"n": 7},
        })
    );
}

#[test]
fn an_event_is_forwarded_unchanged() {
    let text = mapping(
        "  events: [{type: \"*\"}]\n  do:\n    - name: copy\n      emit: {forward: true, to: audit}\n",
    );
    let event = change("t");
    let plan = set(&text).plan(std::slice::from_ref(&event)).complete().unwrap();
    let [Action::Emit(emit)] = &plan.actions[..] else { panic!("{plan:?}") };
    assert_eq!(emit.event, event);
    // Nothing of it is copied, and its tree is not kept.
    assert!(std::ptr::eq(emit.event.data(), event.data()));
    for to in ["default", "reply"] {
        assert_eq!(finding(&text.replace("audit", to)).0, "event-loop");
    }
}

#[test]
fn names_do_not_depend_on_anything_but_event_mapping_and_action() {
    let text = with_param("", "\"{{one}}\"");
    let event = change("t");
    let first = objects(&set(&text), &event);
    assert_eq!(first, objects(&set(&text), &event));
    let edited =
        objects(&set(&text.replace("pipelineRef: {name: build}", "pipelineRef: {name: other}")), &event);
    assert_eq!(first[0]["pipelineRun"]["metadata"]["name"], edited[0]["pipelineRun"]["metadata"]["name"]);
    let renamed = objects(&set(&text.replace("- name: build", "- name: other")), &event);
    assert_ne!(first[0]["pipelineRun"]["metadata"]["name"], renamed[0]["pipelineRun"]["metadata"]["name"]);
}

#[test]
fn events_that_mean_the_same_are_folded() {
    let text = with_param("    repo: {path: $.data.subject.content.repository.id}\n", "\"{{repo}}\"")
        + "  dedupeBy: [repo]\n";
    let set = set(&text);
    let one = change("t");
    let two = Arc::new(
        Event::builder("other", "/elsewhere", "x").json(one.tree().unwrap().to_string()).build().unwrap(),
    );
    let plan = set.plan(&[Arc::clone(&one), Arc::clone(&two)]).complete().unwrap();
    assert_eq!(plan.actions.len(), 1);
    assert_eq!(
        set.plan(&[one]).complete().unwrap().actions[0].origin().key,
        set.plan(std::slice::from_ref(&two)).complete().unwrap().actions[0].origin().key
    );
    let bare = Arc::new(Event::builder("3", "/s", "x").build().unwrap());
    let text = text.replace("\"{{repo}}\"", "x");
    assert_eq!(plan_error(&text, &bare).place, "dedupeBy");
}

#[test]
fn a_missing_value_is_an_error_that_names_it_only_where_it_is_needed() {
    let event = change("t");
    let lets = "    gone: {path: $.data.gone}\n    body: {path: $.data.customData.change.body}\n";
    let error = plan_error(&with_param(lets, "\"x {{gone}}\""), &event);
    assert_eq!(error.place, "do[0].pipelineRun.spec.params[0].value");
    assert!(error.reason.starts_with("`gone` has no value"), "{error}");
    for expression in [
        "{{gone}}",
        "{{body}}",
        "{{toLabel gone}}",
        "{{json gone}}",
        "{{event.data.x.y}}",
        "{{event.data.customData.change.body}}",
        "{{#if one}}{{gone}}{{/if}}",
    ] {
        let error = plan_error(&with_param(lets, &format!("\"{expression}\"")), &event);
        assert!(error.reason.contains("has no value"), "{expression}: {error}");
    }
    assert_eq!(
        param(&with_param(lets, "\"{{#if gone}}{{gone}}{{else}}none{{/if}}\""), &event),
        json!("none")
    );
    let required = lets.replace("$.data.gone}", "$.data.gone, required: true}");
    assert_eq!(plan_error(&with_param(&required, "x"), &event).place, "let.gone");
    let default = lets.replace("$.data.gone}", "$.data.gone, default: 12}");
    assert_eq!(param(&with_param(&default, "\"{{gone}}\""), &event), json!(12));
    assert!(
        plan_error(&with_param("    m: {path: $.data.customData}\n", "\"x {{m}}\""), &event)
            .reason
            .contains("{{json m}}")
    );
}

#[test]
fn filters_say_why_they_do_not_hold() {
    let event = change("t");
    for (filter, reason) in [
        ("exact: {subject: x}", r#"`subject` is not `x` (here `subject` is "o/r/pull/7")"#),
        (
            "prefix: {source: http://}",
            r#"`source` does not start with `http://` (here `source` is "https://github.com/o/r")"#,
        ),
        (
            "suffix: {type: \".9\"}",
            r#"`type` does not end with `.9` (here `type` is "dev.cdevents.change.created.0.4.0")"#,
        ),
        ("exact: {nope: x}", "the event has no attribute `nope`"),
        (
            "any: [{exact: {subject: x}}, {exact: {id: x}}]",
            r#"no member of `any` holds (here `subject` is "o/r/pull/7", `id` is "c-1")"#,
        ),
        ("not: {prefix: {subject: o/}}", r#"what `not` excludes holds (here `subject` is "o/r/pull/7")"#),
        ("all: [{exact: {id: c-1}}, {exact: {id: c-2}}]", r#"`id` is not `c-2` (here `id` is "c-1")"#),
        (
            "cel: event.data.customData.change.number > 9",
            "`event.data.customData.change.number > 9` is false (here `event.data.customData.change.number` is 7)",
        ),
        ("cel: event.data.nope.x == 1", "`event.data.nope.x == 1` does not hold: the event has no `nope`"),
    ] {
        let text = with_param("", "x")
            .replace("  let:", &format!("  filter: [{{exact: {{id: c-1}}}}, {{{filter}}}]\n  let:"));
        let explanations = set(&text).explain(std::slice::from_ref(&event));
        let Outcome::NotFired { place, reason: found } = &explanations[0].outcome else {
            panic!("{explanations:?}")
        };
        assert_eq!((place.as_str(), found.as_str()), ("filter[1]", reason));
        assert!(set(&text).plan(std::slice::from_ref(&event)).complete().unwrap().actions.is_empty());
    }
    let text = with_param("", "x")
        .replace("  let:", "  filter: [{cel: event.data.customData.change.title - 1.0 == 2.0}]\n  let:");
    assert_eq!(plan_error(&text, &event).place, "filter[0]");
}

#[test]
fn an_explanation_covers_every_mapping_and_comes_from_the_plan() {
    let text = format!(
        "{}---\n{}",
        with_param("", "\"{{one}}\""),
        mapping("  events: [{type: dev.cdevents.change.created, source: /other}]\n  do:\n    - name: x\n      emit: {type: a.b}\n")
            .replace("name: m}", "name: n}")
    );
    let event = change("t");
    let set = set(&text);
    let explanations = set.explain(std::slice::from_ref(&event));
    assert_eq!(explanations.len(), 2);
    let Outcome::Fired { vars, actions } = &explanations[0].outcome else { panic!("{explanations:?}") };
    assert_eq!(vars["one"], "c-1");
    let ActionOutcome::Planned { plan } = &actions[0].outcome else { panic!("{actions:?}") };
    assert_eq!(plan, &objects(&set, &event)[0]);
    let json = serde_json::to_value(&explanations[1]).unwrap();
    assert_eq!(json["outcome"], "notFired");
    assert_eq!(
        json["reason"],
        "no entry of `events` matches the source `https://github.com/o/r` (wanted: `/other`)"
    );
    let again = set.explain(&[Arc::clone(&event), event]);
    let Outcome::Fired { actions, .. } = &again[2].outcome else { panic!("{again:?}") };
    assert!(matches!(actions[0].outcome, ActionOutcome::Duplicate { .. }));
}

#[test]
fn when_decides_for_one_action() {
    let text = with_param("    n: {path: $.data.customData.change.number}\n", "x")
        .replace("      pipelineRun", "      when: vars.n > 7.0\n      pipelineRun");
    let explanations = set(&text).explain(&[change("t")]);
    let Outcome::Fired { actions, .. } = &explanations[0].outcome else { panic!("{explanations:?}") };
    assert_eq!(
        actions[0].outcome,
        ActionOutcome::Skipped { reason: "`vars.n > 7.0` is false (here `vars.n` is 7)".to_owned() }
    );
}

#[test]
fn an_emit_that_would_trigger_its_own_mapping_is_refused() {
    let loops = |events: &str, filter: &str, ty: &str| {
        let text = mapping(&format!(
            "  events: [{events}]\n  filter: [{filter}]\n  do:\n    - name: x\n      emit: {{type: {ty}}}\n"
        ));
        match MappingSet::compile(&files(&[&text]), &catalog()) {
            Ok(_) => false,
            Err(report) => {
                assert_eq!(report.diagnostics()[0].code, "event-loop", "{report}");
                true
            }
        }
    };
    assert!(loops("{type: a.b}", "", "a.b"));
    assert!(loops("{type: a.*}", "", "a.b"));
    assert!(loops("{type: dev.cdevents.change.created}", "", "dev.cdevents.change.created.0.4.0"));
    assert!(loops("{source: /pipewright/*}", "", "a.b"));
    assert!(loops("{type: a.b}", "{cel: event.data.x == 1}", "a.b"));
    assert!(loops("{type: a.b}", "{not: {exact: {other: x}}}", "a.b"));
    assert!(!loops("{type: a.b}", "", "a.c"));
    assert!(!loops("{type: a.*, source: https://*}", "", "a.b"));
    assert!(!loops("{type: a.*}", "{not: {exact: {type: a.b}}}", "a.b"));
    assert!(!loops("{type: a.*}", "{suffix: {type: .c}}", "a.b"));
}

#[test]
fn invalid_label_values_are_an_error_that_names_the_cure() {
    let text = with_param("", "x")
        .replace("        spec:", "        metadata: {labels: {b: \"{{event.subject}}\"}}\n        spec:");
    let error = plan_error(&text, &change("t"));
    assert_eq!(error.place, "do[0].pipelineRun.metadata.labels.b");
    assert!(error.reason.contains("{{toLabel …}}"), "{error}");
}

#[test]
fn sizes_are_bounded() {
    let big = change(&"x".repeat(300 * 1024));
    let lets = "    title: {path: $.data.customData.change.title}\n";
    assert!(plan_error(&with_param(lets, "\"{{title}}\""), &big).reason.contains("longer than"));
    let many = change(&"x".repeat(200 * 1024));
    let value = "[\"{{title}}\", \"{{title}}\", \"{{title}}\", \"{{title}}\", \"{{title}}\", \"{{title}}\"]";
    assert!(plan_error(&with_param(lets, value), &many).reason.contains("larger than"));
    assert!(plan_error(&with_param(lets, "\"{{title}}{{title}}\""), &many).reason.contains("longer than"));
}

#[test]
fn findings_have_their_place_inside_the_file() {
    // The value of the param begins in line 14, column 32.
    for (lets, value, code, line, column) in [
        ("", "\"x {{two}}\"", "unknown-variable", 14, 35),
        ("", "\"{{toLabl one}}\"", "unknown-helper", 14, 33),
        ("", "\"{{#if one}}x\"", "invalid-template", 14, 45),
        ("", "\"{{config.registri}}\"", "unknown-variable", 14, 33),
        ("    a: {path: \"$.data.[\"}\n", "x", "invalid-path", 8, 23),
        ("    a: {cel: \"1 == evnt.id\"}\n", "x", "unknown-variable", 8, 20),
        ("    a: {template: \"{{b}}\"}\n    b: {path: $.id}\n", "x", "unknown-variable", 8, 20),
        ("    len: {path: $.id}\n", "x", "invalid-name", 8, 5),
    ] {
        let (found, message, at_line, at_column) = finding(&with_param(lets, value));
        assert_eq!((found.as_str(), at_line, at_column), (code, line, column), "{lets}{value}: {message}");
    }
}

#[test]
fn unknown_types_and_yaml_booleans_are_warnings() {
    let text = mapping(
        "  events: [{type: dev.cdevents.change.creatd}]\n  do:\n    - name: x\n      emit: {type: a.b, content: {answer: yes}}\n",
    );
    let (set, report) = MappingSet::compile(&files(&[&text]), &catalog()).unwrap();
    assert_eq!(set.len(), 1);
    let codes: Vec<&str> = report.warnings().map(|warning| warning.code).collect();
    assert_eq!(codes, ["unknown-type", "yaml-1.1-boolean"]);
    assert!(report.diagnostics()[0].hint.as_ref().unwrap().contains("dev.cdevents.change.created"));
}

#[test]
fn examples_pass_or_say_what_differs() {
    let base = with_param("    n: {path: $.data.n, default: 0}\n", "\"{{n}}\"");
    let run = |examples: &str| {
        let text = format!("{base}  examples:\n{examples}");
        let read = |_: &str, name: &str| match name {
            "e.json" => Ok(br#"{"type": "t", "id": "9", "source": "/s", "data": {"n": 5}}"#.to_vec()),
            _ => Err(format!("`{name}` is not there")),
        };
        set(&text).run_examples(&read).remove(0)
    };
    let given = "    - name: e\n      given: {cloudEvent: {type: t, data: {n: 5}}}\n";
    let good = "{action: build, pipelineRun: {spec: {params: [{value: 5.0}]}}}";
    assert_eq!(run(&format!("{given}      expect: [{good}]\n")).result, example::ExampleResult::Passed);
    let file = "    - name: e\n      given: {cloudEvent: e.json}\n";
    assert_eq!(run(&format!("{file}      expect: [{good}]\n")).result, example::ExampleResult::Passed);
    for (expect, wanted) in [
        (
            "[{action: build, pipelineRun: {spec: {params: [{value: 6}]}}}]",
            "expect[0].pipelineRun.spec.params[0].value: expected 6, got 5",
        ),
        (
            "[{pipelineRun: {spec: {nope: 1}}}]",
            "expect[0].pipelineRun.spec.nope: expected 1, got nothing (there is: params, pipelineRef)",
        ),
        (
            "[{pipelineRun: {spec: {params: []}}}]",
            "expect[0].pipelineRun.spec.params: expected 0 items, got 1",
        ),
        ("[]", "expect: expected no action, got the actions `build`"),
        (
            "[{action: build}, {action: build}]",
            "expect: expected the actions `build`, `build`, got the actions `build`",
        ),
    ] {
        let outcome = run(&format!("{given}      expect: {expect}\n"));
        let example::ExampleResult::Failed { difference, .. } = &outcome.result else {
            panic!("{outcome:?}")
        };
        assert_eq!(difference, wanted);
    }
    let broken =
        run("    - name: e\n      given: {source: github, event: push, body: gone.json}\n      expect: []\n");
    assert_eq!(
        broken.result,
        example::ExampleResult::Broken { reason: "`gone.json` is not there".to_owned() }
    );
}

#[test]
fn ten_thousand_mappings_give_the_same_plan_with_and_without_the_index() {
    let kinds = [
        "type: a.t{n}",
        "type: \"a.t{n}.*\"",
        "type: \"a.*\"",
        "source: /none{n}",
        "type: dev.cdevents.change.created",
        "type: dev.cdevents.change.created, source: /of{n}",
        "type: dev.cdevents.change.created, specversion: '1.0'",
    ];
    let texts: String = (0..10_000)
        .map(|n| {
            let kind = if n % 2_500 == 0 {
                kinds[2]
            } else if n % 2_501 == 0 {
                kinds[4]
            } else if n == 77 {
                kinds[3]
            } else {
                [kinds[0], kinds[1], kinds[5], kinds[6]][n % 4]
            };
            let events = kind.replace("{n}", &n.to_string());
            let filter = if kind == kinds[6] {
                format!("\n  filter: [{{exact: {{source: /of{n}}}}}, {{cel: 'true'}}]")
            } else {
                String::new()
            };
            let rest = "do:\n    - name: x\n      emit: {type: z.z}\n";
            mapping(&format!("  events: [{{{events}}}]{filter}\n  {rest}"))
                .replace("name: m}", &format!("name: m{n}}}"))
                + "---\n"
        })
        .collect();
    // One file may not hold that many documents.
    let documents: Vec<&str> = texts.split("---\n").filter(|text| !text.is_empty()).collect();
    let (set, _) = MappingSet::compile(&files(&documents), &catalog()).unwrap();
    assert_eq!(set.len(), 10_000);
    for (ty, source, matching) in [
        ("a.t8", "/s", 5),
        ("a.t3", "/s", 4),
        ("a.t5.x", "/s", 5),
        ("a.t5", "/s", 4),
        ("b", "/s", 0),
        ("dev.cdevents.change.created.0.4.0", "/s", 3),
        ("dev.cdevents.change.created.0.4.0", "/of6", 4),
        ("dev.cdevents.change.created", "/of7", 4),
    ] {
        let event = [Arc::new(Event::builder("1", source, ty).build().unwrap())];
        let by_index: Vec<Value> =
            set.plan(&event).complete().unwrap().actions.iter().map(action_json).collect();
        let by_scan: Vec<Value> =
            set.plan_by_scan(&event).complete().unwrap().actions.iter().map(action_json).collect();
        assert_eq!(by_index, by_scan, "{ty}");
        assert_eq!(by_index.len(), matching, "{ty} {source}");
        let candidates = set.index.candidates(&event[0]).len();
        assert!(candidates < 10, "{ty}: {candidates}");
    }
    assert_eq!(set.plan(&[change("t")]).complete().unwrap().actions.len(), 3);
}

#[test]
fn the_mapping_of_the_documentation_compiles_and_plans() {
    let text = r#"
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata:
  name: build-change
spec:
  events:                                # any of; the attributes of one entry must all match; `*` globs
    - type: dev.cdevents.change.created  # the version suffix may be left out
    - type: dev.cdevents.change.updated
      source: https://github.com/myorg/*
  filter:
    - cel: event.data.customData.change.target.branch in ['main', 'develop']
    - not: {prefix: {subject: bot/}}
  let:
    repo:   {path: $.data.subject.content.repository.id}
    commit: {path: $.data.customData.change.source.sha, required: true}
    image:  {template: "{{config.registry}}/{{toDomainName repo}}:{{commit}}"}
    urgent: {cel: "'urgent' in event.data.customData.change.labels"}
  do:
    - name: build
      when: "!vars.urgent"
      pipelineRun:
        spec:
          pipelineRef: {name: build}
          params:
            - {name: repo-url, value: "{{repo}}"}
            - {name: revision, value: "{{commit}}"}
    - name: announce
      emit:
        type: dev.cdeventsx.pipewright-build.requested.0.1.0
        to: default
        content: {repository: "{{repo}}", image: "{{image}}"}
  dedupeBy: [repo, commit]
  examples:
    - name: a pull request to main is built
      given: {source: github, event: pull_request, body: ../tests/fixtures/github/pull_request.opened.json}
      expect:
        - {action: build, pipelineRun: {spec: {pipelineRef: {name: build}}}}
"#;
    let planned = objects(&set(text), &change("t"));
    // The change is urgent, so it is announced only.
    assert_eq!(planned.len(), 1);
    assert_eq!(
        planned[0]["emit"]["content"],
        json!({"repository": "o/r", "image": "r.example.com/o.r:0123456789abcdef"})
    );
}

#[test]
fn objects_have_sorted_members() {
    assert_eq!(json!({"b": 1, "a": 2}).to_string(), r#"{"a":2,"b":1}"#);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/proptest-regressions/mapping.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn data_never_changes_structure(text in any::<String>(), hostile in "[\\$\\(\\){}\"'\n:&*#|>\\\\ \u{FDD0}a-]{0,40}") {
        for title in [text, hostile] {
            let event = change(&title);
            let lets = "    title: {path: $.data.customData.change.title}\n";
            let set = set(&with_param(lets, "{a: \"{{title}}\", b: \"x {{title}} y\"}"));
            let plan = set.plan(&[event]).complete().unwrap();
            let Action::PipelineRun(run) = &plan.actions[0] else { unreachable!() };
            let spec = &run.object["spec"];
            prop_assert_eq!(&spec["pipelineRef"], &json!({"name": "build"}));
            let value = &spec["params"][0]["value"];
            prop_assert_eq!(value.as_object().unwrap().len(), 2);
            let (a, b) = (value["a"].as_str().unwrap(), value["b"].as_str().unwrap());
            let (before, after) = ("x ", " y");
            prop_assert!(b.starts_with(before) && b.ends_with(after));
            for text in [a, b] {
                prop_assert!(!text.contains("$("), "{text}");
            }
            prop_assert_eq!(a, title.replace('\u{FDD0}', "\u{FFFD}").replace("$(", "$ ("));
        }
    }
}
