use serde_json::json;

use super::*;
use crate::mapping::template::check;

fn event() -> Event {
    Event::builder("1", "https://github.com/o/r", "dev.cdevents.change.created.0.4.0")
        .subject("r/pull/1")
        .extension("flag", true)
        .json(
            json!({
                "n": 12, "f": 1.5, "none": null, "text": "Hello, World", "labels": ["urgent", "bug"],
                "list": [{"name": "a", "size": 1}, {"name": "b", "size": 2}], "empty": [],
                "map": {"a": 1}, "json": "{\"x\": [1]}", "b64": "aGk=", "header": {"X-GitHub-Event": ["push"]},
            })
            .to_string(),
        )
        .build()
        .unwrap()
}

fn config() -> Value {
    json!({"registry": "r.example.com"})
}

fn compile(source: &str) -> Result<Expression, Vec<Problem>> {
    let names = ["repo".to_owned()];
    let config = config();
    Expression::compile(source, Scope::Let(check::Scope { names: &names, later: &[], config: &config }))
}

fn value(source: &str) -> Result<Value, EvalError> {
    let vars = json!({"repo": "o/r"});
    let config = config();
    let event = event();
    let expression = compile(source).unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    expression.value(Input { event: &event, vars: vars.as_object().unwrap(), config: &config })
}

#[test]
fn expressions_read_the_event_without_converting_it() {
    for (source, wanted) in [
        ("event.type", json!("dev.cdevents.change.created.0.4.0")),
        ("event.flag", json!(true)),
        ("event.data.n == 12 && event.data.n > 11.5", json!(true)),
        ("event.data.n", json!(12)),
        ("event.data.f", json!(1.5)),
        ("'urgent' in event.data.labels", json!(true)),
        ("event.data.labels == ['urgent', 'bug']", json!(true)),
        ("['urgent', 'bug'] == event.data.labels", json!(true)),
        ("event.data.list.map(x, x.name)", json!(["a", "b"])),
        ("event.data.list.filter(x, x.size > 1.0)", json!([{"name": "b", "size": 2}])),
        ("event.data.list.exists(x, x.name == 'b')", json!(true)),
        ("event.data.list[1].name", json!("b")),
        ("has(event.data.text) && !has(event.data.nope)", json!(true)),
        ("size(event.data.map)", json!(1)),
        ("event.data.map", json!({"a": 1})),
        ("event.data.map == {'a': 1}", json!(true)),
        ("'map' in event.data && 'subject' in event", json!(true)),
        ("event.data.map.exists(k, k == 'a')", json!(true)),
        ("event.data.text.lowerAscii().split(', ')", json!(["hello", "world"])),
        ("vars.repo + '/' + config.registry", json!("o/r/r.example.com")),
        ("event.data.none == null", json!(true)),
        ("{'a': event.data.labels}", json!({"a": ["urgent", "bug"]})),
        ("math.greatest(1, 2)", json!(2)),
        ("base64.encode(b'hi')", json!("aGk=")),
        ("type(event.data.n) == double", json!(true)),
        ("timestamp('2024-01-02T03:04:05Z').getFullYear()", json!(2024)),
    ] {
        assert_eq!(value(source), Ok(wanted), "{source}");
    }
}

#[test]
fn the_functions_of_tekton_and_kabanero_are_there() {
    for (source, wanted) in [
        ("event.data.header.match('x-github-event', 'push')", json!(true)),
        ("event.data.header.canonical('X-Github-Event')", json!("push")),
        ("event.data.text.truncate(5)", json!("Hello")),
        ("truncate('äöü', 2)", json!("äö")),
        ("event.data.b64.decodeb64()", json!("hi")),
        ("event.data.json.parseJSON().x[0] == 1", json!(true)),
        ("'a: [1, n]'.parseYAML().a", json!([1, "n"])),
        ("'https://u:p@h.example:81/p?a=1&a=2#f'.parseURL().host", json!("h.example:81")),
        ("'https://h/p?a=1&a=2'.parseURL().query.a", json!("1,2")),
        ("event.data.map.marshalJSON()", json!("{\"a\":1}")),
        ("event.data.labels.first() + event.data.labels.last()", json!("urgentbug")),
        ("event.data.empty.first()", json!(null)),
        ("'feature/x'.translate('[/]', '-')", json!("feature-x")),
        ("toDomainName('MyOrg/My_Repo')", json!("myorg.my.repo")),
        ("'feature/x y'.toLabel()", json!("feature.x.y")),
        ("split('a/b', '/')", json!(["a", "b"])),
        ("substring('abcdef', 1, 3)", json!("bc")),
        ("'abcdef'.substring(1, 3)", json!("bc")),
        ("hasAttribute(event.data, 'n') && !hasAttribute(event.data, 'x')", json!(true)),
        ("sets.contains(event.data.labels, ['bug'])", json!(true)),
        ("sets.equivalent([1, 2], [2, 1, 1]) && sets.intersects([1], [1, 2])", json!(true)),
    ] {
        assert_eq!(value(source), Ok(wanted), "{source}");
    }
}

#[test]
fn what_the_event_does_not_have_is_missing_and_not_an_error() {
    for source in [
        "event.data.nope",
        "event.data.nope.x == 1",
        "event.data.empty[0]",
        "event.data.none.x",
        "event.time",
    ] {
        assert!(matches!(value(source), Err(EvalError::Missing(_))), "{source}: {:?}", value(source));
    }
    assert!(matches!(value("event.data.text + 1"), Err(EvalError::Failed(_))));
}

#[test]
fn truth_must_be_a_boolean() {
    let event = event();
    let vars = Map::new();
    let config = config();
    let input = Input { event: &event, vars: &vars, config: &config };
    assert_eq!(compile("event.data.n == 12").unwrap().truth(input), Ok(true));
    let error = compile("event.data.n").unwrap().truth(input).unwrap_err();
    assert_eq!(error.to_string(), "`event.data.n` gives double and not `true` or `false`");
}

#[test]
fn unknown_names_are_refused_with_their_place() {
    for (source, offset, message, hint) in [
        ("1 == evnt.data.n", 5, "unknown variable `evnt`", "did you mean `event`?"),
        ("body.x == 1", 0, "unknown variable `body`", "write `event.data` for the payload of the event"),
        ("repo == 'x'", 0, "unknown variable `repo`", "write `vars.repo`"),
        ("vars.rpo == 'x'", 0, "unknown variable `vars.rpo`", "did you mean `vars.repo`?"),
        ("config.registri", 0, "unknown variable `config.registri`", "did you mean `config.registry`?"),
        ("event.data.text.startWith('a')", 16, "unknown function `startWith`", "did you mean `startsWith`?"),
        ("math.celi(1.0) > 0.0", 5, "unknown function `math.celi`", "did you mean `math.ceil`?"),
    ] {
        let problem = compile(source).unwrap_err().remove(0);
        assert_eq!((problem.message.as_str(), problem.hint.as_str()), (message, hint), "{source}");
        assert_eq!(problem.offset, offset, "{source}");
    }
    let secret = compile("event.data.text.compareSecret('a', 'b')").unwrap_err().remove(0);
    assert_eq!(secret.code, "not-supported");
    let kabanero = compile("filter(event.data.list, 'value.size > 1')").unwrap_err().remove(0);
    assert!(kabanero.hint.contains("list.filter(value"));
}

#[test]
fn syntax_errors_have_their_place() {
    let problem = compile("event.type == 'x' &&& true").unwrap_err().remove(0);
    assert_eq!(problem.code, "invalid-cel");
    assert!((18..=22).contains(&problem.offset), "{problem:?}");
}

#[test]
fn a_filter_cannot_use_vars() {
    let config = config();
    let scope = check::Scope { names: &[], later: &["repo".to_owned()], config: &config };
    let problem = Expression::compile("vars.repo == 'x'", Scope::Filter(scope)).unwrap_err().remove(0);
    assert!(problem.hint.contains("`when`"), "{problem:?}");
}

#[test]
fn loops_are_bounded() {
    let three = "event.data.list.all(a, event.data.list.all(b, event.data.list.all(c, true)))";
    assert!(compile(three).unwrap_err()[0].message.contains("nested"));
    assert!(compile("event.data.list.all(a, event.data.list.all(b, true))").is_ok());
    assert!(compile(&format!("'{}' == ''", "x".repeat(9000))).is_err());
    let items = vec!["1"; MAX_LIST + 1].join(",");
    let event = Event::builder("1", "/s", "t").json(format!("{{\"l\": [{items}]}}")).build().unwrap();
    let vars = Map::new();
    let config = config();
    let input = Input { event: &event, vars: &vars, config: &config };
    let error = compile("event.data.l.all(x, x == 1)").unwrap().truth(input).unwrap_err();
    assert!(error.to_string().contains("more than 4096"), "{error}");
}

#[test]
fn every_listed_function_exists() {
    let vars = Map::new();
    let config = config();
    let event = event();
    let input = Input { event: &event, vars: &vars, config: &config };
    // Macros and functions of the parser are not looked up by name.
    let macros = [
        "has",
        "all",
        "exists",
        "exists_one",
        "map",
        "sortBy",
        "optMap",
        "optFlatMap",
        "math.greatest",
        "math.least",
    ];
    for name in function::KNOWN.iter().filter(|name| !macros.contains(name)) {
        let mut answers = Vec::new();
        for arguments in ["", "1", "'a'", "[1]", "'a', 'a'"] {
            for source in [
                format!("{name}({arguments})"),
                format!("'a'.{name}({arguments})"),
                format!("[1].{name}({arguments})"),
            ] {
                if let Ok(expression) = compile(&source) {
                    let undeclared = matches!(
                        cel::Value::resolve_val(&expression.metered, &bind(input)),
                        Err(ExecutionError::UndeclaredReference(_))
                    );
                    answers.push(!undeclared);
                }
            }
        }
        assert!(answers.contains(&true), "`{name}` is listed and not declared");
    }
}
