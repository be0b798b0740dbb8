//! JSONPath (RFC 9535) over an event in its JSON form; plain paths are walked directly.

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{
    Filter, FilterAtom, FnArg, JpQuery, Literal, Segment, Selector, Test, TestFunction,
};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use serde_json::Value;

use super::view;
use crate::event::Event;

/// The most values that one path may find.
const MAX_HITS: usize = 10_000;
/// The most descendant segments (`..`) of one path: each walks the whole event.
const MAX_DESCENDANTS: usize = 1;

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
    Data(JpQuery),
    /// A query over the whole event.
    Whole(JpQuery),
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

/// Why a path has no result.
#[derive(Debug, thiserror::Error)]
#[error("the path finds more than {MAX_HITS} values")]
pub(crate) struct TooMany;

// === impl Path ===

impl Path {
    pub(crate) fn compile(source: &str) -> Result<Self, PathProblem> {
        let problem =
            |offset, message: String, hint: &str| PathProblem { offset, message, hint: hint.to_owned() };
        if !source.starts_with('$') || source.starts_with("$(") {
            let bare = source.trim_start_matches("$(").trim_end_matches(')');
            let bare = bare.trim_start_matches('{').trim_end_matches('}').trim_start_matches('.');
            let hint = format!("write `$.{bare}`; the payload is under `$.data`");
            return Err(problem(0, format!("the path `{source}` does not start with `$`"), &hint));
        }
        let query = parse_json_path(source).map_err(|error| {
            problem(
                offset_of(&error, source),
                format!("`{source}` is not a JSONPath"),
                "paths look like `$.data.subject.id` or `$.data.labels[?@.name == 'x']` (RFC 9535)",
            )
        })?;
        let descendants = query.segments.iter().filter(|s| matches!(s, Segment::Descendant(_))).count();
        if descendants > MAX_DESCENDANTS {
            return Err(problem(
                0,
                format!("`{source}` has more than one `..`"),
                "name the fields on the way",
            ));
        }
        if let Some(regex) = bad_regex(&query.segments) {
            let offset = source.find(&regex).unwrap_or(0);
            return Err(problem(offset, format!("`{regex}` is not a regular expression"), ""));
        }
        Ok(Self { kind: classify(source, query) })
    }

    /// What the path finds: the value for a plain path, the list of all values for any other.
    ///
    /// `None` when a plain path finds nothing.
    pub(crate) fn find(&self, event: &Event) -> Result<Option<Value>, TooMany> {
        match &self.kind {
            Kind::Plain(steps) => Ok(walk(steps, event)),
            Kind::Data(query) => {
                event.tree().map_or(Ok(Some(Value::Array(Vec::new()))), |tree| run(query, tree))
            }
            Kind::Whole(query) => run(query, &view::event_json(event)),
        }
    }

    /// Whether a plain path finds at most one value.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self.kind, Kind::Plain(_))
    }
}

fn classify(source: &str, query: JpQuery) -> Kind {
    let steps: Option<Vec<Step>> = query
        .segments
        .iter()
        .map(|segment| match segment {
            Segment::Selector(Selector::Name(name)) => Some(Step::Name(unquote(name))),
            Segment::Selector(Selector::Index(index)) => Some(Step::Index(*index)),
            _ => None,
        })
        .collect();
    if let Some(steps) = steps {
        return Kind::Plain(steps);
    }
    let in_data = matches!(
        query.segments.first(),
        Some(Segment::Selector(Selector::Name(name))) if unquote(name) == "data"
    );
    // A further `$` may be an absolute path inside a filter, which starts at the event and not at its payload.
    if in_data && !source[1..].contains('$') {
        Kind::Data(JpQuery::new(query.segments.into_iter().skip(1).collect()))
    } else {
        Kind::Whole(query)
    }
}

/// The parser leaves the quotes of `['name']` on.
fn unquote(name: &str) -> String {
    let inner = |quote: char| name.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(name).to_owned()
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

fn run(query: &JpQuery, value: &Value) -> Result<Option<Value>, TooMany> {
    let hits = js_path_process(query, value).unwrap_or_default();
    if hits.len() > MAX_HITS {
        return Err(TooMany);
    }
    Ok(Some(Value::Array(hits.into_iter().map(|hit| hit.val.clone()).collect())))
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

/// The first malformed regular expression: the library takes one for a pattern that never matches.
fn bad_regex(segments: &[Segment]) -> Option<String> {
    segments.iter().find_map(|segment| match segment {
        Segment::Descendant(inner) => bad_regex(std::slice::from_ref(inner)),
        Segment::Selector(selector) => bad_regex_in_selector(selector),
        Segment::Selectors(selectors) => selectors.iter().find_map(bad_regex_in_selector),
    })
}

fn bad_regex_in_selector(selector: &Selector) -> Option<String> {
    match selector {
        Selector::Filter(filter) => bad_regex_in_filter(filter),
        _ => None,
    }
}

fn bad_regex_in_filter(filter: &Filter) -> Option<String> {
    match filter {
        Filter::Or(filters) | Filter::And(filters) => filters.iter().find_map(bad_regex_in_filter),
        Filter::Atom(FilterAtom::Filter { expr, .. }) => bad_regex_in_filter(expr),
        Filter::Atom(FilterAtom::Test { expr, .. }) => match expr.as_ref() {
            Test::Function(function) => match function.as_ref() {
                TestFunction::Search(_, FnArg::Literal(Literal::String(pattern)))
                | TestFunction::Match(_, FnArg::Literal(Literal::String(pattern))) => {
                    regex::Regex::new(pattern).is_err().then(|| pattern.clone())
                }
                _ => None,
            },
            Test::RelQuery(segments) => bad_regex(segments),
            Test::AbsQuery(query) => bad_regex(&query.segments),
        },
        Filter::Atom(FilterAtom::Comparison(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        assert!(problem("$(body.x)").hint.contains("`$.body.x`"));
        assert!(problem("$..a..b").message.contains("`..`"));
        assert_eq!(problem("$.data.a[?match(@.x, '[')]").message, "`[` is not a regular expression");
    }
}
