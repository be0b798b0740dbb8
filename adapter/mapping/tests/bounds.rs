//! The worst that a mapping can be made to do ends with an error that names it, and after a bounded number of steps.

use std::sync::LazyLock;
use std::time::Instant;

use super::*;
use crate::expression::budget;

fn event(data: &Value) -> Arc<Event> {
    Arc::new(Event::builder("1", "/s", "com.example.x").json(data.to_string()).build().unwrap())
}

/// Lists and texts as large as they come through a webhook.
fn worst() -> Arc<Event> {
    static EVENT: LazyLock<Arc<Event>> = LazyLock::new(|| event(&worst_data()));
    Arc::clone(&EVENT)
}

fn worst_data() -> Value {
    let names: Vec<Value> = (0..4096).map(|n| json!({"name": format!("n{n}"), "m": [1, 2, 3]})).collect();
    let deep = (0..100).fold(json!([1]), |inner, _| json!([inner, 1]));
    json!({
        "texts": vec!["x".repeat(200); 4096],
        "names": names,
        "some": (0..1000).collect::<Vec<_>>(),
        "few": (0..60).collect::<Vec<_>>(),
        "keys": (0..5000).map(|n| (format!("k{n}"), json!(n))).collect::<serde_json::Map<_, _>>(),
        "a": "a".repeat(1_000_000),
        "b": "b".repeat(1_000_000),
        "quotes": "\"".repeat(1000),
        "json": format!("[{}]", vec!["1"; 100_000].join(",")),
        "huge": vec!["y".repeat(1_000_000); 20],
        "deep": deep,
        "pattern": "(a+)+$",
    })
}

/// What planning for the worst event says; everything is over after a bounded number of steps.
fn reason(text: &str) -> PlanError {
    let (set, event) = (set(text), worst());
    let start = Instant::now();
    let error = set.plan(std::slice::from_ref(&event)).complete().expect_err(text);
    println!("{:>9} steps {:>6} ms: {error}", budget::spent(), start.elapsed().as_millis());
    assert!(error.mapping == "m" && error.to_string().len() < 1500, "{error}");
    assert!(start.elapsed().as_secs() < 60, "{error}");
    error
}

const STEPS: &str = "would take more than 1000000 steps here";

#[test]
fn expressions_end() {
    let double =
        |times| format!("optional.of(event.data.a){}", ".optMap(v, v + v + v + v + v + v)".repeat(times));
    let chain = |text: &str, call: &str, times| format!("{text}{}", call.repeat(times));
    for (cel, wanted) in [
        ("event.data.texts.all(a, event.data.texts.all(b, a == b))", STEPS),
        ("event.data.some.all(a, event.data.some.exists(b, a == b))", STEPS),
        // An error inside `||` is swallowed by CEL, and not by us.
        ("event.data.texts.all(a, event.data.texts.all(b, true)) || true", STEPS),
        ("event.data.keys.all(k, true)", "a loop over 5000 items, more than 4096"),
        (double(3).as_str(), STEPS),
        ("event.data.a.replace('a', event.data.b)", "the text would be longer than 1048576 bytes"),
        ("event.data.a.replace('', event.data.b)", "the text would be longer than 1048576 bytes"),
        ("event.data.texts.join(event.data.a)", "the text would be longer than 1048576 bytes"),
        ("size(lists.range(1000000))", "a list of 1000000 items: there may be 0 to 4096"),
        (chain("event.data.quotes", ".marshalJSON()", 24).as_str(), STEPS),
        (chain("base64.encode(bytes(event.data.a))", ".replace('Y', 'YYYY')", 8).as_str(), "longer than"),
        ("event.data.texts.all(t, event.data.json.parseJSON() == event.data.json.parseJSON())", STEPS),
        ("event.data.texts.distinct().size() > 0", STEPS),
        ("sets.equivalent(event.data.texts, event.data.names)", STEPS),
        ("event.data.texts.all(t, !event.data.a.contains('b'))", STEPS),
        ("event.data.texts.all(t, event.data.a != event.data.b)", STEPS),
        ("event.data.texts.all(t, event.data.a.matches('^(a|aa)+$'))", STEPS),
        ("event.data.a.translate('', event.data.b)", "longer than"),
        ("event.data.a.translate('(a+)', '$1$1$1')", "longer than"),
        ("event.data.few.map(a, event.data.a.split('a'))", "the text has more than 4096 parts"),
        ("event.data.few.map(a, event.data.marshalJSON())", STEPS),
        ("event.data.marshalJSON().size() > 0", STEPS),
    ] {
        let lets = format!("    x: {{cel: {}}}\n", serde_json::to_string(cel).unwrap());
        let error = reason(&with_param(&lets, "\"{{one}}\""));
        assert_eq!(error.place, "let.x", "{error}");
        assert!(error.reason.contains(wanted), "{cel}: {error}");
    }
}

#[test]
fn expressions_within_the_bounds_are_computed() {
    for cel in [
        "event.data.names.exists(n, n.name == 'n4095')",
        "event.data.names.filter(n, n.name.startsWith('n1')).map(n, n.name).size() > 0",
        "event.data.few.all(a, event.data.few.exists(b, a == b))",
        "event.data.texts.join(',').size() > 0",
        "event.data.names.map(n, n.name.matches('^n[0-9]+$')).size() == 4096",
        "event.data.a.contains('b')",
        "event.data.json.parseJSON().size() > 0",
        "lists.range(4096).size() == 4096",
        "event.data.few.distinct().size() == 60",
    ] {
        let lets = format!("    x: {{cel: {}}}\n", serde_json::to_string(cel).unwrap());
        let set = set(&with_param(&lets, "\"{{one}}\""));
        let (event, start) = (worst(), Instant::now());
        let plan = set.plan(std::slice::from_ref(&event)).complete();
        println!("{:>9} steps {:>6} ms: {cel}", budget::spent(), start.elapsed().as_millis());
        assert_eq!(plan.unwrap_or_else(|error| panic!("{cel}: {error}")).actions.len(), 1);
    }
}

#[test]
fn deep_expressions_are_refused_at_load() {
    // Tests have the stack that the threads of the service have.
    for cel in [
        format!("event.data.t{}", ".trim()".repeat(1000)),
        vec!["1"; 4000].join("+"),
        format!("event.data{}", ".a".repeat(4000)),
        format!("event.data{}", "[0]".repeat(2500)),
        format!("{}1{}", "[".repeat(4000), "]".repeat(4000)),
        format!("{}1{}", "(".repeat(4000), ")".repeat(4000)),
        format!("{}1{}", "[1].map(x, ".repeat(600), ")".repeat(600)),
        format!("{}1", "true ? 1 : ".repeat(700)),
        "{'a': ".repeat(1000),
    ] {
        let lets = format!("    x: {{cel: {}}}\n", serde_json::to_string(&cel).unwrap());
        let report = refused(&with_param(&lets, "\"{{one}}\""));
        assert!(report.errors().all(|error| error.code == "invalid-cel"), "{report}");
    }
    // Signs in a row cancel each other out, and are not deep.
    for cel in [format!("{}true", "!".repeat(8000)), format!("{}1", "-".repeat(8000))] {
        let lets = format!("    x: {{cel: {}}}\n", serde_json::to_string(&cel).unwrap());
        let _ = MappingSet::compile(&files(&[&with_param(&lets, "\"{{one}}\"")]), &catalog());
    }
    // What is as deep as may be runs, and many alternatives are not deep.
    let lets = format!("    x: {{cel: \"event.data.t{}\"}}\n", ".trim()".repeat(28));
    assert!(set(&with_param(&lets, "\"{{x}}\"")).plan(&[event(&json!({"t": " t "}))]).complete().is_ok());
    let many: Vec<String> = (0..100).map(|n| format!("event.id == '{n}'")).collect();
    let lets = format!("    x: {{cel: \"{}\"}}\n", many.join(" || "));
    assert!(set(&with_param(&lets, "\"{{x}}\"")).plan(&[event(&json!({}))]).complete().is_ok());
}

#[test]
fn patterns_are_written_out() {
    for (cel, wanted) in [
        ("event.data.a.matches(event.data.pattern)", "`matches`: the pattern must be a text in quotes"),
        ("matches(event.data.a, '(')", "`matches`: the pattern is not a regular expression"),
        ("event.data.a.translate('(a{1000}){1000}', 'x')", "`translate`: the pattern is too large"),
    ] {
        let lets = format!("    x: {{cel: {}}}\n", serde_json::to_string(cel).unwrap());
        let (code, message, line, _) = finding(&with_param(&lets, "\"{{one}}\""));
        assert!(code == "invalid-cel" && message.contains(wanted) && line == 8, "{message}");
    }
}

#[test]
fn paths_end() {
    for (path, wanted) in [
        ("$..*", "finds more than 10000 values"),
        ("$.data.texts[?count($.data.texts[*]) > 0]", STEPS),
        ("$.data.names[?count(@.m[?@ == 1]) > count($.data.texts[*])]", STEPS),
        ("$.data.huge[?search(@, '(x|xx)+y')]", STEPS),
        ("$.data.texts[?@ == $.data.huge]", ""),
        ("$.data.huge", STEPS),
        ("$.data", STEPS),
    ] {
        let lets = format!("    x: {{path: {}}}\n", serde_json::to_string(path).unwrap());
        if wanted.is_empty() {
            assert!(set(&with_param(&lets, "\"{{one}}\"")).plan(&[worst()]).complete().is_ok(), "{path}");
            continue;
        }
        let error = reason(&with_param(&lets, "\"{{one}}\""));
        assert!(error.place == "let.x" && error.reason.contains(wanted), "{path}: {error}");
    }
}

#[test]
fn templates_end() {
    let each = |list: &str, inner: &str| format!("{{{{#each {list}}}}}{inner}{{{{/each}}}}");
    let nested = each("some", &each("../some", &each("../../some", "")));
    for (value, wanted) in [
        (nested.as_str(), STEPS),
        (each("some", &each("../some", "")).as_str(), STEPS),
        (each("some", "{{#if (eq ../a ../also)}}{{/if}}").as_str(), STEPS),
        (each("some", "{{sha256 ../a}}").as_str(), STEPS),
        (each("some", "{{../a}}").as_str(), "longer than 262144 bytes"),
        ("{{replace a \"a\" b}}", "longer than 1048576 bytes"),
        ("{{join some a}}", "longer than 1048576 bytes"),
        ("x{{json event.data.texts}}", "longer than 262144 bytes"),
        ("{{event.data.a}}", "longer than 262144 bytes"),
        ("{{len (split a \"a\")}}{{#each (split a \"a\")}}{{/each}}", STEPS),
        ("{{json event}}", STEPS),
    ] {
        let lets = "    some: {path: $.data.some}\n    a: {path: $.data.a}\n    also: {path: $.data.a}\n    b: {path: $.data.b}\n";
        let error = reason(&with_param(lets, &serde_json::to_string(value).unwrap()));
        assert!(error.place.starts_with("do[0].pipelineRun.spec"), "{error}");
        assert!(error.reason.contains(wanted), "{value}: {error}");
    }
}

#[test]
fn an_object_stops_growing_at_its_limit() {
    let value = format!("[{}]", vec!["\"{{event.data.t}}\""; 2000].join(", "));
    let event = event(&json!({"t": "t".repeat(200_000)}));
    let error = set(&with_param("", &value)).plan(&[event]).complete().unwrap_err();
    // The sixth text does not fit, and the two thousandth is not looked at.
    assert_eq!(error.place, "do[0].pipelineRun.spec.params[0].value[5]");
    assert_eq!(error.reason, "with this text the rendered object is larger than 1048576 bytes");
}

#[test]
fn a_delivery_stops_at_its_limits() {
    let set = set(&mapping(
        "  events: [{type: com.example.x}]\n  do:\n    - name: one\n      emit: {type: a.b, content: {t: \"{{event.id}}\"}}\n    - name: two\n      emit: {type: a.c, content: {t: [\"{{event.data.t}}\", \"{{event.data.t}}\", \"{{event.data.t}}\", \"{{event.data.t}}\"]}}\n",
    ));
    let events = |count: usize, length: usize| -> Vec<Arc<Event>> {
        let event = |n: usize| {
            let data = json!({"t": "t".repeat(length)}).to_string();
            Arc::new(Event::builder(n.to_string(), "/s", "com.example.x").json(data).build().unwrap())
        };
        (0..count).map(event).collect()
    };
    assert_eq!(set.plan(&events(500, 1)).complete().unwrap().actions.len(), 1000);
    let error = set.plan(&events(501, 1)).complete().unwrap_err().to_string();
    assert!(
        error.starts_with(
            "mapping `m`, do[0]: this would be action 1001 of the delivery, of which there may be 1000"
        ),
        "{error}"
    );
    let error = set.plan(&events(60, 200_000)).complete().unwrap_err().to_string();
    assert!(error.contains("larger than 33554432 bytes together"), "{error}");
}

#[test]
fn many_mappings_share_the_steps_of_a_delivery() {
    let one = |index: usize| {
        mapping(
            "  events: [{type: com.example.x}]\n  filter:\n    - cel: event.data.texts.all(t, t != 'y')\n  do:\n    - name: one\n      emit: {type: a.b, content: {}}\n",
        )
        .replace("name: m}", &format!("name: m{index}}}"))
    };
    let texts: Vec<String> = (0..1000).map(one).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let Ok((set, _)) = MappingSet::compile(&files(&texts), &catalog()) else { panic!("they compile") };
    let error = set.plan(&[worst()]).complete().unwrap_err();
    assert!(error.reason.contains("more than 10000000 steps for this delivery"), "{error}");
    assert!(error.place == "filter[0]" && error.mapping != "m0", "{error}");
    // The next delivery begins anew.
    assert_eq!(set.plan(&[event(&json!({"texts": ["a"]}))]).complete().unwrap().actions.len(), 1000);
}
