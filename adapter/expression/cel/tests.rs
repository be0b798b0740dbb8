use serde_json::json;

use super::*;
use crate::expression::template::check;

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
    assert!(matches!(value("event.data.text + event.data.n"), Err(EvalError::Failed(_))));
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

/// A value of each type, as it is written.
const SAMPLES: [&str; 13] = [
    "null",
    "true",
    "1",
    "1u",
    "1.5",
    "'1'",
    "b'a'",
    "[1]",
    "{'a': 1}",
    "int",
    "optional.of(1)",
    "timestamp('2026-01-02T03:04:05Z')",
    "duration('1s')",
];

/// Whether the environment has nothing for this call, and whether it is refused at load; `None` when it cannot be parsed.
fn verdicts(source: &str, is_operator: bool) -> Option<(bool, bool)> {
    static INPUT: LazyLock<(Event, Map<String, Value>, Value)> =
        LazyLock::new(|| (event(), Map::new(), config()));
    let (event, vars, config) = &*INPUT;
    let program = parse(source).ok()?;
    let context = bind(Input { event, vars, config });
    budget::begin_delivery();
    budget::begin_part();
    let metered = meter::metered(program.expression());
    let found = cel::Value::resolve_val(&metered, &context);
    // A function may refuse a value; an operator of such samples has a result, or there is none.
    let nothing = match found {
        Ok(_) => false,
        Err(ExecutionError::UndeclaredReference(_) | ExecutionError::NoSuchOverload(_)) => true,
        Err(_) => is_operator,
    };
    let scope = Scope::Let(check::Scope { names: &[], later: &[], config });
    Some((nothing, super::check::check(source, &program, scope).is_err()))
}

/// A sample of these types.
fn sample(types: signature::Types) -> &'static str {
    const TYPES: [signature::Types; 13] = [
        signature::Types::NULL,
        signature::Types::BOOL,
        signature::Types::INT,
        signature::Types::UINT,
        signature::Types::DOUBLE,
        signature::Types::STRING,
        signature::Types::BYTES,
        signature::Types::LIST,
        signature::Types::MAP,
        signature::Types::TYPE,
        signature::Types::OPTIONAL,
        signature::Types::TIMESTAMP,
        signature::Types::DURATION,
    ];
    let fits = TYPES.iter().zip(SAMPLES).rev().find(|(one, _)| one.overlaps(types));
    fits.map_or("null", |(_, sample)| sample)
}

/// Lists of `count` arguments for one form of a function: every type everywhere, and every type at each place of what the form
/// takes.
fn arguments(name: &str, is_member: bool, count: usize) -> Vec<Vec<&'static str>> {
    let mut lists: Vec<Vec<&str>> = SAMPLES.iter().map(|one| vec![*one; count]).collect();
    for signature in signature::of(name) {
        if signature.is_member == is_member && signature.takes.len() == count {
            let right: Vec<&str> = signature.takes.iter().map(|it| sample(*it)).collect();
            for place in 0..count {
                for one in SAMPLES {
                    let mut list = right.clone();
                    list[place] = one;
                    lists.push(list);
                }
            }
        }
    }
    lists.sort_unstable();
    lists.dedup();
    lists
}

fn called(name: &str, is_member: bool, given: &[&str]) -> Option<String> {
    if !is_member {
        return Some(format!("{name}({})", given.join(", ")));
    }
    // A name with a dot is no method.
    let (target, rest) = given.split_first().filter(|_| !name.contains('.'))?;
    Some(format!("({target}).{name}({})", rest.join(", ")))
}

#[test]
fn what_is_refused_at_load_is_what_cannot_be_evaluated() {
    let (mut calls, mut impossible, mut differences) = (0, 0, Vec::new());
    let mut ask = |source: String, is_operator: bool| {
        let Some((nothing, refused)) = verdicts(&source, is_operator) else { return };
        calls += 1;
        impossible += usize::from(nothing);
        // The library appends the keys of a map to a list; CEL knows no such operator, and neither does `check`.
        let is_the_librarys_own = source == "[1] + {'a': 1}" && refused && !nothing;
        if refused != nothing && !is_the_librarys_own {
            differences.push(source);
        }
    };
    for name in signature::functions() {
        // Given to the parser these are no calls, but for a wrong number of arguments.
        let is_macro = signature::MACROS.iter().any(|(known, _)| known == name) && !name.starts_with("math.");
        for is_member in [false, true] {
            for count in 0..=4 {
                for given in arguments(name, is_member, count + usize::from(is_member)) {
                    if let Some(call) = called(name, is_member, &given).filter(|_| !(is_macro && count > 1)) {
                        ask(call, false);
                    }
                }
            }
        }
    }
    for operator in ["+", "-", "*", "/", "%", "==", "<", ">=", "in"] {
        for one in SAMPLES {
            for two in SAMPLES {
                ask(format!("{one} {operator} {two}"), true);
            }
        }
    }
    for given in SAMPLES {
        ask(format!("-({given})"), true);
        ask(format!("!({given})"), true);
        ask(format!("({given}) ? 1 : 2"), true);
    }
    println!("{calls} calls, {impossible} of them impossible, {} differences", differences.len());
    assert!(calls > 10_000 && impossible > 9_000, "{calls} {impossible}");
    assert!(differences.is_empty(), "{} differences: {differences:#?}", differences.len());
}

#[test]
fn every_form_that_is_listed_can_be_called() {
    for name in signature::functions() {
        for signature in signature::of(name) {
            let given: Vec<&str> = signature.takes.iter().map(|it| sample(*it)).collect();
            let call = called(name, signature.is_member, &given).unwrap();
            assert_eq!(verdicts(&call, false), Some((false, false)), "{call}");
        }
    }
}

#[test]
fn calls_that_can_never_be_computed_are_refused_with_the_right_form() {
    for (source, message, hint) in [
        (
            "contains(event.type, 't')",
            "there is no `contains(string, string)`",
            "write `string.contains(string)`",
        ),
        ("parseJSON(event.data.text)", "there is no `parseJSON(data)`", "write `string.parseJSON()`"),
        (
            "translate('a', 'b', 'c')",
            "there is no `translate(string, string, string)`",
            "write `string.translate(string, string)`",
        ),
        ("first(event.data.list)", "there is no `first(data)`", "write `list.first()`"),
        (
            "event.data.hasAttribute('n')",
            "there is no `data.hasAttribute(string)`",
            "write `hasAttribute(map, string)`",
        ),
        ("'1'.int()", "there is no `string.int()`", "write `int(number|string|timestamp)`"),
        (
            "'a'.truncate()",
            "there is no `string.truncate()`",
            "write `string.truncate(int)` or `truncate(string, int)`",
        ),
        (
            "size(1)",
            "there is no `size(int)`",
            "write `size(string|bytes|list|map)` or `string|bytes|list|map.size()`",
        ),
        ("all(event.data.list, true)", "there is no `all(data, bool)`", "write `list.all(item, condition)`"),
        ("[1].exists('a')", "there is no `list.exists(string)`", "write `list.exists(item, condition)`"),
        (
            "event.data.text.truncate(event.data.n)",
            "there is no `data.truncate(data)`",
            "write `string.truncate(int)` or `truncate(string, int)`; numbers of events are doubles, which `int(…)` converts",
        ),
        ("1 + 'a'", "`+` cannot take int and string", "convert with `string(…)`"),
        (
            "event.data.n + 1 == 2",
            "`+` cannot take data and int",
            "numbers of events are doubles: write `1.0` in place of `1`, or convert with `int(…)`",
        ),
        (
            "event.data.n % 2 == 0",
            "`%` cannot take data and int",
            "numbers of events are doubles: convert with `int(…)`",
        ),
        ("!'a'", "`!` cannot take string", "convert with `string(…)`"),
        ("'a' in 'abc'", "`in` cannot take string and string", "convert with `string(…)`"),
        (
            "event.type.match('a', 'b')",
            "there is no `string.match(string, string)`",
            "write `map.match(string, string)`",
        ),
        ("event.type.name == 'x'", "`.name`: string has no fields", "only maps have fields"),
        ("[1, 2].map(x, x + 'a' == size('b'))", "", ""),
        ("math.abs('a')", "there is no `math.abs(string)`", "write `math.abs(number)`"),
        ("base64.encode('a')", "there is no `base64.encode(string)`", "write `base64.encode(bytes)`"),
        ("'a'.all(x, true)", "a loop needs a list or a map, not string", ""),
    ] {
        match compile(source) {
            Ok(_) => assert_eq!(message, "", "{source}"),
            Err(problems) => {
                let one = &problems[0];
                assert_eq!(
                    (one.code, one.message.as_str(), one.hint.as_str()),
                    ("wrong-call", message, hint),
                    "{source}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_condition_is_refused_in_its_place() {
    let config = config();
    let scope = || Scope::Filter(check::Scope { names: &[], later: &[], config: &config });
    for source in ["'a'", "1", "event.type", "size(event.data.list)", "event.data.?x", "[true]", "event"] {
        let problem = Expression::condition(source, scope()).unwrap_err().remove(0);
        assert!(problem.message.contains("never `true` or `false`"), "{source}: {problem:?}");
    }
    for source in
        ["true", "event.data.flag", "has(event.data.x)", "event.data.list.all(x, x == 1)", "dyn('a')"]
    {
        assert!(Expression::condition(source, scope()).is_ok(), "{source}");
    }
}

#[test]
fn names_of_other_languages_lead_to_ours() {
    let hint = |source: &str| compile(source).unwrap_err().remove(0).hint;
    assert_eq!(hint("event.type.toLowerCase() == 'a'"), "write `string.lowerAscii()`");
    assert_eq!(
        hint("len(event.data.list) > 1"),
        "write `size(string|bytes|list|map)` or `string|bytes|list|map.size()`"
    );
    assert_eq!(hint("now() > 1"), "expressions see the event only: use `event.time` or `event.id`");
    let far = hint("event.data.zzzzzzzzzz()");
    assert!(far.starts_with("the nearest are `") && far.matches('`').count() == 10, "{far}");
    assert!(far.ends_with("docs/mappings.md has the table of all, below CEL"), "{far}");
    assert!(
        hint("header.match('X-GitHub-Event', 'push')")
            .starts_with("headers are not seen: match the event's `type`")
    );
    assert!(hint("extensions.changed == 1").contains("members of `event`"));
}

#[test]
fn what_other_languages_write_is_told_in_words_of_cel() {
    for (source, offset, message, hint) in [
        ("event.type = 'x'", 11, "`=` is no operator of CEL", "write `==`"),
        ("event.type === 'x'", 11, "`===` is no operator of CEL", "write `==`"),
        ("event.type !== 'a=b'", 11, "`!==` is no operator of CEL", "write `!=`"),
        ("{{commit}}", 0, "this is CEL, where no template can stand", "write `vars.commit`"),
        ("{{event.type}} == 'x'", 0, "this is CEL, where no template can stand", "write `event.type`"),
        (
            "'{{short commit}}' == 'x' {{",
            1,
            "this is CEL, where no template can stand",
            "write CEL without braces, such as `vars.name == 'x'`",
        ),
    ] {
        let problem = compile(source).unwrap_err().remove(0);
        assert_eq!(
            (problem.offset, problem.message.as_str(), problem.hint.as_str()),
            (offset, message, hint),
            "{source}"
        );
    }
    assert!(compile("event.type == 'a = b'").is_ok());
}

#[test]
fn errors_of_evaluation_name_what_authors_know() {
    for (source, wanted) in [
        ("event.data.list.join()", "unexpected type"),
        (
            "dyn('a').replace(dyn(1), 'b')",
            "there is no `string.replace(int, string)`: write `string.replace(",
        ),
        ("dyn(1) + dyn('a')", "`+` cannot take int and string"),
        (
            "event.data.n + dyn(1)",
            "`+` cannot take double and int; numbers of events are doubles: write `1.0`",
        ),
        ("math.greatest(dyn('a'), 1)", "there is no `math.greatest(string, int)`: write `math.greatest("),
        (
            "dyn('a').matches('b') && dyn(1).translate('a', 'b') == ''",
            "there is no `int.translate(string, string)`",
        ),
        ("lists.range(dyn('a'))", "there is no `lists.range(string)`"),
    ] {
        let error = value(source);
        let Err(EvalError::Failed(error)) = error else {
            assert!(source.contains("&&"), "{source}: {error:?}");
            continue;
        };
        assert!(error.contains(wanted) && !error.replace(source, "").contains('@'), "{error}");
    }
}

#[test]
fn times_durations_and_optional_values_are_written_as_triggers_writes_them() {
    for (source, wanted) in [
        ("duration('90s')", json!("90s")),
        ("duration('-1.5s')", json!("-1.5s")),
        ("string(duration('1h30m'))", json!("5400s")),
        ("duration('1µs')", json!("0.000001s")),
        ("string(duration('1µs'))", json!("0.000001s")),
        ("timestamp('2026-11-29T10:00:00+02:00')", json!("2026-11-29T10:00:00+02:00")),
        ("string(timestamp('2026-11-29T10:00:00.120+02:00'))", json!("2026-11-29T10:00:00.12+02:00")),
        ("timestamp('2026-11-29T10:00:00+00:00')", json!("2026-11-29T10:00:00Z")),
        ("timestamp(10)", json!("1970-01-01T00:00:10Z")),
        ("string(timestamp(10))", json!("1970-01-01T00:00:10Z")),
        ("timestamp('2026-11-29T10:00:00+02:00') == timestamp('2026-11-29T08:00:00Z')", json!(true)),
        ("duration('100000h') > duration('99999h59m59.999999999s')", json!(true)),
        ("string(1.0) + string(1) + string(true) + string('x') + string(b'y')", json!("11truexy")),
        ("event.data.?nope", json!(null)),
        ("event.data.?n", json!(12)),
        ("optional.of(1)", json!(1)),
        ("optional.none()", json!(null)),
        ("[event.data.?nope.x, optional.of(optional.of('a'))]", json!([null, "a"])),
        ("'äöü'.split('')", json!(["ä", "ö", "ü"])),
        ("'abc'.split('', 2)", json!(["a", "bc"])),
        ("'a,b,c'.split(',', 2)", json!(["a", "b,c"])),
        ("'a,b,c'.split(',', 0)", json!([])),
        ("'a,b,c'.split(',', -1)", json!(["a", "b", "c"])),
        ("''.split('')", json!([])),
        ("''.split(',')", json!([""])),
        ("'é1'.matches('^\\\\w+$') || '١'.matches('^\\\\d$')", json!(false)),
    ] {
        assert_eq!(value(source), Ok(wanted), "{source}");
    }
    for (source, wanted) in [
        ("duration('1h30')", "`1h30` is not a duration such as `90s`"),
        ("timestamp('2026-11-29 10:00:00Z')", "is not a time such as `2026-01-31T12:00:00Z`"),
        ("timestamp('2026-11-29T10:00:00z')", "is not a time such as"),
    ] {
        let error = value(source).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn integers_that_a_double_cannot_hold_are_exact() {
    let data =
        r#"{"big": 9007199254740993, "small": -9007199254740993, "huge": 18446744073709551615, "one": 1.0}"#;
    let event = Event::builder("1", "/s", "t").json(data).build().unwrap();
    let (vars, config) = (Map::new(), config());
    let input = Input { event: &event, vars: &vars, config: &config };
    for (source, wanted) in [
        ("event.data.big", "9007199254740993"),
        ("event.data.small", "-9007199254740993"),
        ("event.data.huge", "18446744073709551615"),
        ("string(event.data.big)", "\"9007199254740993\""),
        ("event.data.big == 9007199254740993", "true"),
        ("event.data.big == 9007199254740992", "false"),
        ("event.data.big > 9007199254740992", "true"),
        ("event.data.one", "1"),
        ("double(event.data.one) * 9007199254740992.0", "9007199254740992"),
        ("{'a': [event.data.one]}", "{\"a\":[1]}"),
    ] {
        let found = compile(source).unwrap().value(input).unwrap();
        assert_eq!(found.to_string(), wanted, "{source}");
    }
}

#[test]
fn what_is_too_much_to_parse_or_split_is_told_so() {
    let data = json!({"yaml": format!("[{}]", vec!["1"; 20_000].join(",")), "long": "x".repeat(5000)});
    let event = Event::builder("1", "/s", "t").json(data.to_string()).build().unwrap();
    let (vars, config) = (Map::new(), config());
    let input = Input { event: &event, vars: &vars, config: &config };
    for (source, wanted) in [
        ("event.data.yaml.parseYAML()", "the YAML has more than 10000 values"),
        ("event.data.long.split('')", "the text has more than 4096 parts"),
        ("split(event.data.yaml, ',')", "the text has more than 4096 parts"),
        ("event.data.yaml.split(',')", "the text has more than 4096 parts"),
    ] {
        let error = compile(source).unwrap().value(input).unwrap_err().to_string();
        assert!(error.contains(wanted), "{source}: {error}");
    }
}
