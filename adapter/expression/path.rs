//! JSONPath (RFC 9535) over an event in its JSON form; plain paths are walked directly.

mod query;
mod strict;

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use serde_json::Value;

pub(crate) use self::query::PathError;
use self::query::Query;
use super::{budget, view};
use crate::event::Event;

/// The most descendant segments (`..`) of one path: each walks the whole event.
const MAX_DESCENDANTS: usize = 1;
/// How deep filters may nest.
const MAX_FILTERS: usize = 2;
/// The longest path in bytes.
const MAX_SOURCE: usize = 2 * 1024;
/// How deep brackets may nest in a path's text: the parser of the library is recursive.
const MAX_BRACKETS: usize = 16;

/// A compiled path.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Names and indexes only: finds at most one value.
    Plain(Vec<Step>),
    /// A query inside the payload: `$.data` is taken off.
    Data(Query),
    /// A query over the whole event.
    Whole(Query),
}

#[derive(Clone, Debug)]
enum Step {
    Name(String),
    Index(i64),
}

/// Why a path is refused at load.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathProblem {
    /// Byte offset inside the path.
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) hint: String,
}

// === impl Path ===

impl Path {
    pub(crate) fn compile(source: &str) -> Result<Self, PathProblem> {
        let problem =
            |offset, message: String, hint: &str| PathProblem { offset, message, hint: hint.to_owned() };
        if !source.starts_with('$') || source.starts_with("$(") {
            let hint = without_root(source);
            return Err(problem(0, format!("the path `{source}` does not start with `$`"), &hint));
        }
        if source.len() > MAX_SOURCE || brackets(source) > MAX_BRACKETS {
            let message = format!(
                "the path is longer than {MAX_SOURCE} bytes, or nested more than {MAX_BRACKETS} deep"
            );
            return Err(problem(0, message, "take several steps: a `let` item for each"));
        }
        if let Err((offset, message)) = strict::check(source) {
            let hint = "such as `$.data['a b']`; where blanks may stand, RFC 9535 says";
            return Err(problem(offset, format!("`{source}` is not a JSONPath: {message}"), hint));
        }
        let parsed = parse_json_path(source).map_err(|error| {
            problem(
                offset_of(&error, source),
                format!("`{source}` is not a JSONPath"),
                "paths look like `$.data.subject.id` or `$.data.labels[?@.name == 'x']` (RFC 9535)",
            )
        })?;
        if let Some(steps) = plain(&parsed.segments) {
            return Ok(Self { kind: Kind::Plain(steps) });
        }
        let query = Query::compile(&parsed)
            .map_err(|refusal| problem(source.find(&refusal.text).unwrap_or(0), refusal.message, ""))?;
        if query.descents() > MAX_DESCENDANTS {
            return Err(problem(
                0,
                format!("`{source}` has more than one `..`"),
                "name the fields on the way",
            ));
        }
        if query.filters() > MAX_FILTERS {
            return Err(problem(
                0,
                format!("the filters of `{source}` are nested more than {MAX_FILTERS} deep"),
                "take several steps: a `let` item for each",
            ));
        }
        let in_data = matches!(
            parsed.segments.first(), Some(Segment::Selector(Selector::Name(name))) if name == "data"
        );
        // A `$` inside a filter starts at the event and not at its payload.
        let kind =
            if in_data && !query.looks_at_root() { Kind::Data(query.rest()) } else { Kind::Whole(query) };
        Ok(Self { kind })
    }

    /// What the path finds: the value for a plain path, the list of all values for any other.
    ///
    /// `None` when a plain path finds nothing.
    pub(crate) fn find(&self, event: &Event) -> Result<Option<Value>, PathError> {
        match &self.kind {
            Kind::Plain(steps) => {
                let found = walk(steps, event);
                budget::begin_part();
                found.as_ref().map_or_else(|| budget::spend(1), budget::copy)?;
                Ok(found)
            }
            Kind::Data(query) => {
                event.tree().map_or(Ok(Some(Value::Array(Vec::new()))), |tree| run(query, tree))
            }
            Kind::Whole(query) => run(query, &view::event_json(event)),
        }
    }

    /// The names that every value it finds is below, from the event on.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.kind {
            Kind::Plain(steps) => steps.iter().map_while(Step::name).map(str::to_owned).collect(),
            Kind::Data(query) => ["data"].into_iter().chain(query.names()).map(str::to_owned).collect(),
            Kind::Whole(query) => query.names().into_iter().map(str::to_owned).collect(),
        }
    }

    /// Whether a plain path finds at most one value.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain(_))
    }
}

// === impl Step ===

impl Step {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Index(_) => None,
        }
    }
}

/// The steps of a path that has names and indexes only.
fn plain(segments: &[Segment]) -> Option<Vec<Step>> {
    let step = |segment: &Segment| match segment {
        Segment::Selector(Selector::Name(name)) => Some(Step::Name(name.clone())),
        Segment::Selector(Selector::Index(index)) => Some(Step::Index(*index)),
        _ => None,
    };
    segments.iter().map(step).collect()
}

/// What to write for a path that does not begin as paths do, such as one of Tekton Triggers or of kubectl.
fn without_root(source: &str) -> String {
    let bare = source.trim_start_matches("$(").trim_end_matches(')');
    let bare = bare.trim_start_matches('{').trim_end_matches('}').trim_start_matches('.');
    let (root, rest) = bare.split_at(bare.find(['.', '[']).unwrap_or(bare.len()));
    match root {
        "body" | "payload" => format!("write `$.data{rest}`: the payload is under `$.data`"),
        "event" => format!("write `$.{}`; the payload is under `$.data`", rest.trim_start_matches('.')),
        "header" | "headers" => "headers are not seen: match the event's `type` in `events`".to_owned(),
        "extensions" if rest.len() > 1 => {
            format!(
                "extension attributes are members of the event, such as `$.correlationid`; what an interceptor added is a \
                 `let` item of its own: `{}`",
                rest.trim_start_matches('.')
            )
        }
        "context" if rest == ".eventID" => "write `$.id`".to_owned(),
        _ => format!("write `$.{bare}`; the payload is under `$.data`"),
    }
}

/// How deep brackets and parentheses nest, those in quotes counted too.
fn brackets(source: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in source.bytes() {
        match byte {
            b'[' | b'(' => depth += 1,
            b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn walk(steps: &[Step], event: &Event) -> Option<Value> {
    let Some((first, rest)) = steps.split_first() else {
        return Some(view::event_json(event));
    };
    let Step::Name(name) = first else { return None };
    if name == "data"
        && let Some(tree) = event.tree()
    {
        return rest.iter().try_fold(tree, step).cloned();
    }
    let value = view::member(event, name)?;
    rest.iter().try_fold(&value, step).cloned()
}

fn step<'v>(value: &'v Value, step: &Step) -> Option<&'v Value> {
    match (value, step) {
        (Value::Object(members), Step::Name(name)) => members.get(name),
        (Value::Array(items), Step::Index(index)) => {
            let index = if *index < 0 {
                items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
            } else {
                usize::try_from(*index).ok()?
            };
            items.get(index)
        }
        _ => None,
    }
}

fn run(query: &Query, value: &Value) -> Result<Option<Value>, PathError> {
    let hits = query.find(value)?;
    for hit in &hits {
        budget::copy(hit)?;
    }
    Ok(Some(Value::Array(hits.into_iter().cloned().collect())))
}

/// The parser says the place in its text only: ` --> 1:5`, lines and characters counted from one.
fn offset_of(error: &JsonPathError, source: &str) -> usize {
    let text = error.to_string();
    let column = text
        .split_once("--> 1:")
        .and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next())
        .and_then(|digits| digits.parse::<usize>().ok())
        .unwrap_or(1);
    source.char_indices().nth(column.saturating_sub(1)).map_or(source.len(), |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use jsonpath_rust::query::js_path_process;

    use super::*;

    fn event() -> Event {
        Event::builder("1", "/s", "t")
            .subject("sub")
            .extension("flag", true)
            .json(r#"{"a": {"b c": [{"n": 1, "x": "p"}, {"n": 2, "x": "q"}]}, "data": 7, "null": null}"#)
            .build()
            .unwrap()
    }

    fn find(path: &str) -> Option<Value> {
        Path::compile(path).unwrap().find(&event()).unwrap()
    }

    #[test]
    fn plain_paths_give_one_value_of_its_own_type() {
        assert_eq!(find("$.data.a['b c'][1].n"), Some(json!(2)));
        assert_eq!(find("$.data.a[\"b c\"][-1].x"), Some(json!("q")));
        assert_eq!(find("$.data.data"), Some(json!(7)));
        assert_eq!(find("$.data.null"), Some(json!(null)));
        assert_eq!(find("$.data.nope.x"), None);
        assert_eq!(find("$.subject"), Some(json!("sub")));
        assert_eq!(find("$.flag"), Some(json!(true)));
        assert_eq!(find("$.nope"), None);
    }

    #[test]
    fn other_paths_give_the_list_of_what_they_find() {
        assert_eq!(find("$.data.a['b c'][*].n"), Some(json!([1, 2])));
        assert_eq!(find("$.data.a['b c'][?@.x == 'q'].n"), Some(json!([2])));
        assert_eq!(find("$.data.a['b c'][?@.n == $.data.a['b c'][0].n].x"), Some(json!(["p"])));
        assert_eq!(find("$.data..n"), Some(json!([1, 2])));
        assert_eq!(find("$.data.nope[*]"), Some(json!([])));
        assert_eq!(find("$..x"), Some(json!(["p", "q"])));
    }

    #[test]
    fn a_direct_walk_and_the_library_agree() {
        let event = event();
        let whole = view::event_json(&event);
        for path in ["$.data.a['b c'][1].n", "$.data.data", "$.subject", "$.data.a['b c'][-2].x", "$.nope.x"]
        {
            let hits = js_path_process(&parse_json_path(path).unwrap(), &whole).unwrap();
            let library = hits.first().map(|hit| hit.val.clone());
            assert_eq!(Path::compile(path).unwrap().find(&event).unwrap(), library, "{path}");
        }
    }

    #[test]
    fn mistakes_are_refused_with_their_place() {
        let problem = |path| Path::compile(path).unwrap_err();
        assert_eq!(problem("$.data.[").offset, 7);
        assert!(problem("data.x").hint.contains("$.data.x"));
        assert!(problem("{.data.x}").hint.contains("`$.data.x`"));
        for (path, hint) in [
            ("$(body.x)", "`$.data.x`"),
            ("body.commits[0].id", "`$.data.commits[0].id`"),
            ("event.data.x", "`$.data.x`"),
            ("$(header.X-GitHub-Event)", "headers are not seen"),
            ("$(extensions.files)", "`let` item of its own: `files`"),
            ("$(context.eventID)", "`$.id`"),
        ] {
            assert!(problem(path).hint.contains(hint), "{path}: {}", problem(path).hint);
        }
        assert!(problem("$..a..b").message.contains("`..`"));
        assert_eq!(problem("$.data.a[?match(@.x, '[')]").message, "`[` is not a regular expression");
    }

    #[test]
    fn names_may_hold_quotes_and_escapes() {
        let event =
            Event::builder("1", "/s", "t").json(r#"{"'q'": 1, "a\"b": 2, "\u00e9": 3}"#).build().unwrap();
        let find = |path: &str| Path::compile(path).unwrap().find(&event).unwrap();
        assert_eq!(find("$.data[\"'q'\"]"), Some(json!(1)));
        assert_eq!(find("$.data['\\'q\\'']"), Some(json!(1)));
        assert_eq!(find(r#"$.data['a"b']"#), Some(json!(2)));
        assert_eq!(find(r"$.data['\u00e9']"), Some(json!(3)));
    }

    #[test]
    fn what_would_take_too_long_is_refused_at_load() {
        for (path, message) in [
            ("$.data.a[?@..x && @..y]", "more than one `..`"),
            ("$.data.a[?@.b[?@.c[?@.d == 1]]]", "nested more than 2 deep"),
            ("$.data.a[?match(@.x, @.pattern)]", "a pattern must be a text in quotes"),
            ("$.data.a[?search(@.x, '(a{1000}){1000}')]", "is too large a pattern"),
            ("$.data.a[?length(@.x)]", "compare it with another"),
            ("$.data.a[?in(@.x, $.data.b)]", "compare it with another"),
        ] {
            let problem = Path::compile(path).expect_err(path);
            assert!(problem.message.contains(message), "{path}: {}", problem.message);
        }
        assert!(
            Path::compile(&format!("$.data{}", ".a".repeat(2000)))
                .unwrap_err()
                .message
                .contains("longer than")
        );
        let nested = format!("$.data{}{}", "[?@.a".repeat(500), "]".repeat(500));
        assert!(Path::compile(&nested).is_err());
    }

    #[test]
    fn functions_follow_the_specification() {
        for (path, found) in [
            ("$.data.a['b c'][?length(@.x) == 1].n", json!([1, 2])),
            ("$.data[?count(@.*) == 1]", json!([{"b c": [{"n": 1, "x": "p"}, {"n": 2, "x": "q"}]}])),
            ("$.data.a['b c'][?match(@.x, 'p|z')].n", json!([1])),
            ("$.data.a['b c'][?!search(@.x, '[o-p]')].n", json!([2])),
            ("$.data.a['b c'][?value(@.n) >= 2].n", json!([2])),
            ("$.data.a['b c'][?@.n > 0 && (@.x == 'q' || @.n == 9)].n", json!([2])),
            ("$.data.a['b c'][?@.nope == @.none].n", json!([1, 2])),
            ("$.data.a['b c'][?@.n != 1].x", json!(["q"])),
            ("$.data.a['b c'][::-1].n", json!([2, 1])),
            ("$.data.a['b c'][1:].n", json!([2])),
            ("$.data['null', 'data']", json!([null, 7])),
        ] {
            assert_eq!(find(path), Some(found), "{path}");
        }
    }

    /// Verdicts of the package `jsonpath-rfc9535` of Python.
    #[test]
    fn blanks_and_types_are_as_strict_as_the_specification() {
        for path in [
            "$.data.a b",
            "$.data.head commit.id",
            "$.data.a\tb",
            "$.data..b c",
            "$.data. a",
            "$.data.. a",
            " $.data",
            "$.data ",
            "$.data[?@.b c == 2]",
            "$.data[?@.b == 1 .5]",
            "$.data[?@.b == - 1]",
            "$.data[?@.b == 1e 5]",
            "$.data[?count (@.*) == 1]",
            "$.data[- 1]",
            "$.data['a\tb']",
            "$.data['\\ n']",
            "$.data['\\q']",
            "$.data[?length(@.*) < 3]",
            "$.data[?match(@.*, 'a')]",
            "$.data[?count(1) > 2]",
            "$.data[?value(1) == 1]",
            "$.data[01]",
            "$.data[-0]",
        ] {
            assert!(Path::compile(path).is_err(), "{path}");
        }
        for path in [
            "$ .data .a",
            "$\n.data\t['a b'] [ 0 , 1 ]",
            "$.data[ ? @ .b == 1.5e-3 ]",
            "$.data[?@['a']== 2 && ! @.c]",
            "$.data[ 1 : 5 : 2 ]",
            "$.data[?count( @.* ) > 1]",
            "$.data[?length(value(@.*)) == 1]",
            "$.data['a\\u00e9\\/']",
            "$.data.\u{e9}",
        ] {
            assert!(Path::compile(path).is_ok(), "{path}: {:?}", Path::compile(path).err());
        }
        assert_eq!(Path::compile("$.data.a b").unwrap_err().offset, 8);
    }

    fn tree() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4_i64).prop_map(Value::from),
            "[abx]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::btree_map("[abx]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        /// One selector a segment: for several the library keeps another order than RFC 9535 has.
        #[test]
        fn our_walk_and_the_library_find_the_same(value in tree()) {
            for path in [
                "$.*", "$..a", "$..*", "$[*].a", "$..[0]", "$..[-1]", "$.a[1:3]", "$..[::-1]", "$[?@.a]", "$[?!@.a]",
                "$..[?@.a == 1]", "$[?@.a == $[0]]", "$..[?@ == 'a']", "$[?@.a < 2 || @.b >= 'a']", "$[?@.a != @.b]",
                "$..[?match(@, 'a.*')]", "$..[?search(@.a, 'x')]", "$[?@.a[?@ > 1]]", "$[?length(@) == 2]", "$.a..b",
            ] {
                let parsed = parse_json_path(path).unwrap();
                let theirs: Vec<Value> =
                    js_path_process(&parsed, &value).unwrap().into_iter().map(|hit| hit.val.clone()).collect();
                let Ok(query) = Query::compile(&parsed) else { panic!("{path}") };
                let ours: Vec<Value> = query.find(&value).unwrap().into_iter().cloned().collect();
                proptest::prop_assert_eq!(ours, theirs, "{} in {}", path, value);
            }
        }
    }
}
