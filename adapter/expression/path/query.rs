//! A JSONPath that is more than names and indexes, evaluated with a count of its steps.
//!
//! The library parses. It does not evaluate, since it has no limits: it compiles a pattern anew for every value that a
//! filter looks at, takes patterns from data, writes down the path of every node, and walks however long it takes.

use jsonpath_rust::parser::model::{
    Comparable, Comparison, Filter, FilterAtom, FnArg, JpQuery, Literal, Segment, Selector, SingularQuery,
    SingularQuerySegment, Test as Existence, TestFunction,
};
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::expression::budget;
use crate::expression::budget::{Exhausted, of_text, of_value};

/// The most values that one path may find.
pub(super) const MAX_HITS: usize = 10_000;
/// The largest compiled pattern in bytes.
const MAX_PATTERN: usize = 256 * 1024;

/// A compiled query; `$` is what it is asked about.
#[derive(Clone, Debug)]
pub(super) struct Query {
    segments: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    /// Also below: `..`.
    descend: bool,
    picks: Vec<Pick>,
}

#[derive(Clone, Debug)]
enum Pick {
    Name(String),
    Index(i64),
    All,
    Slice(Option<i64>, Option<i64>, i64),
    Filter(Test),
}

/// What a filter asks of a value.
#[derive(Clone, Debug)]
enum Test {
    Any(Vec<Test>),
    Every(Vec<Test>),
    Not(Box<Test>),
    Exists(From, Query),
    Compare(Order, Term, Term),
    /// `match` and `search`: the pattern of `match` is anchored.
    Pattern(Term, Regex),
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Root,
    Current,
}

#[derive(Clone, Debug)]
enum Term {
    Literal(Value),
    /// The one value that a query finds, if it is one.
    Only(From, Query),
    Length(Box<Term>),
    Count(From, Query),
}

/// A value of the event, or one that was computed.
enum Found<'v> {
    Borrowed(&'v Value),
    Number(usize),
}

/// Why a path has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// Too many values.
    #[error("the path finds more than {MAX_HITS} values")]
    TooMany,
    /// Too long a way.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
}

/// What a path has that we do not take, and the part of its text to point at.
pub(super) struct Refusal {
    pub(super) text: String,
    pub(super) message: String,
}

type Compiled<T> = Result<T, Refusal>;

fn refuse<T>(text: impl Into<String>, message: impl Into<String>) -> Compiled<T> {
    Err(Refusal { text: text.into(), message: message.into() })
}

// === impl Query ===

impl Query {
    pub(super) fn compile(query: &JpQuery) -> Compiled<Self> {
        Self::of(&query.segments)
    }

    fn of(segments: &[Segment]) -> Compiled<Self> {
        let part = |segment: &Segment, descend| {
            let picks = match segment {
                Segment::Selector(selector) => vec![pick(selector)?],
                Segment::Selectors(selectors) => selectors.iter().map(pick).collect::<Compiled<_>>()?,
                Segment::Descendant(_) => return refuse("..", "`..` cannot follow on `..`"),
            };
            Ok(Part { descend, picks })
        };
        let segments = segments.iter().map(|segment| match segment {
            Segment::Descendant(inner) => part(inner, true),
            other => part(other, false),
        });
        Ok(Self { segments: segments.collect::<Compiled<_>>()? })
    }

    fn of_singular(segments: &[SingularQuerySegment]) -> Self {
        let pick = |segment: &SingularQuerySegment| match segment {
            SingularQuerySegment::Name(name) => Pick::Name(name.clone()),
            SingularQuerySegment::Index(index) => Pick::Index(*index),
        };
        let part = |segment| Part { descend: false, picks: vec![pick(segment)] };
        Self { segments: segments.iter().map(part).collect() }
    }

    /// Whether it has names and indexes only.
    fn is_singular(&self) -> bool {
        self.segments
            .iter()
            .all(|part| !part.descend && matches!(part.picks[..], [Pick::Name(_) | Pick::Index(_)]))
    }

    /// The query without its first segment.
    pub(super) fn rest(mut self) -> Self {
        if !self.segments.is_empty() {
            self.segments.remove(0);
        }
        self
    }

    /// How many `..` there are, those inside filters too.
    /// The names that everything it finds is below.
    pub(super) fn names(&self) -> Vec<&str> {
        self.segments
            .iter()
            .map_while(|part| match &part.picks[..] {
                [Pick::Name(name)] if !part.descend => Some(name.as_str()),
                _ => None,
            })
            .collect()
    }

    pub(super) fn descents(&self) -> usize {
        self.segments
            .iter()
            .map(|part| usize::from(part.descend) + part.filters().map(Test::descents).sum::<usize>())
            .sum()
    }

    /// How deep filters are nested.
    pub(super) fn filters(&self) -> usize {
        self.segments.iter().flat_map(Part::filters).map(|test| 1 + test.filters()).max().unwrap_or(0)
    }

    /// Whether a filter looks at `$`.
    pub(super) fn looks_at_root(&self) -> bool {
        self.segments.iter().flat_map(Part::filters).any(Test::looks_at_root)
    }

    /// The values that are found in `root`.
    pub(super) fn find<'v>(&self, root: &'v Value) -> Result<Vec<&'v Value>, PathError> {
        budget::begin_part();
        let found = self.select(root, root)?;
        if found.len() > MAX_HITS { Err(PathError::TooMany) } else { Ok(found) }
    }

    fn select<'v>(&self, start: &'v Value, root: &'v Value) -> Result<Vec<&'v Value>, Exhausted> {
        let mut values = vec![start];
        for part in &self.segments {
            let mut next = Vec::new();
            for value in values {
                part.select(value, root, &mut next)?;
            }
            values = next;
        }
        Ok(values)
    }
}

impl Part {
    fn filters(&self) -> impl Iterator<Item = &Test> {
        self.picks.iter().filter_map(|pick| if let Pick::Filter(test) = pick { Some(test) } else { None })
    }

    fn select<'v>(
        &self,
        value: &'v Value,
        root: &'v Value,
        out: &mut Vec<&'v Value>,
    ) -> Result<(), Exhausted> {
        for pick in &self.picks {
            budget::spend(1)?;
            pick.select(value, root, out)?;
        }
        if self.descend {
            // JSON is at most 128 levels deep.
            match value {
                Value::Array(items) => items.iter().try_for_each(|item| self.select(item, root, out))?,
                Value::Object(members) => {
                    members.values().try_for_each(|item| self.select(item, root, out))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn pick(selector: &Selector) -> Compiled<Pick> {
    Ok(match selector {
        Selector::Name(name) => Pick::Name(name.clone()),
        Selector::Index(index) => Pick::Index(*index),
        Selector::Wildcard => Pick::All,
        Selector::Slice(start, end, step) => Pick::Slice(*start, *end, step.unwrap_or(1)),
        Selector::Filter(filter) => Pick::Filter(test(filter)?),
    })
}

// === impl Pick ===

impl Pick {
    fn select<'v>(
        &self,
        value: &'v Value,
        root: &'v Value,
        out: &mut Vec<&'v Value>,
    ) -> Result<(), Exhausted> {
        match (self, value) {
            (Self::Name(name), Value::Object(members)) => out.extend(members.get(name)),
            (Self::Index(index), Value::Array(items)) => {
                out.extend(from_end(*index, items.len()).and_then(|at| items.get(at)));
            }
            (Self::All, Value::Array(items)) => {
                budget::spend(items.len() as u64)?;
                out.extend(items);
            }
            (Self::All, Value::Object(members)) => {
                budget::spend(members.len() as u64)?;
                out.extend(members.values());
            }
            (Self::Slice(start, end, step), Value::Array(items)) => slice(items, *start, *end, *step, out)?,
            (Self::Filter(test), Value::Array(items)) => {
                for item in items {
                    if test.holds(item, root)? {
                        out.push(item);
                    }
                }
            }
            (Self::Filter(test), Value::Object(members)) => {
                for item in members.values() {
                    if test.holds(item, root)? {
                        out.push(item);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn from_end(index: i64, length: usize) -> Option<usize> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { length.checked_sub(distance) } else { Some(distance) }
}

/// RFC 9535, section 2.3.4.2.2.
fn slice<'v>(
    items: &'v [Value],
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    out: &mut Vec<&'v Value>,
) -> Result<(), Exhausted> {
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let normal = |index: i64| if index < 0 { length.saturating_add(index) } else { index };
    let (mut at, end) = if step > 0 {
        (normal(start.unwrap_or(0)).clamp(0, length), normal(end.unwrap_or(length)).clamp(0, length))
    } else {
        let end = end.map_or(-1, |end| normal(end).clamp(-1, length - 1));
        (normal(start.unwrap_or(length - 1)).clamp(-1, length - 1), end)
    };
    while (step > 0 && at < end) || (step < 0 && at > end) {
        budget::spend(1)?;
        out.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
        at = at.saturating_add(step);
    }
    Ok(())
}

fn test(filter: &Filter) -> Compiled<Test> {
    let all = |filters: &[Filter]| filters.iter().map(test).collect::<Compiled<Vec<_>>>();
    let negated = |not: bool, test: Test| if not { Test::Not(Box::new(test)) } else { test };
    Ok(match filter {
        Filter::Or(filters) => Test::Any(all(filters)?),
        Filter::And(filters) => Test::Every(all(filters)?),
        Filter::Atom(FilterAtom::Filter { expr, not }) => negated(*not, test(expr)?),
        Filter::Atom(FilterAtom::Test { expr, not }) => negated(*not, existence(expr)?),
        Filter::Atom(FilterAtom::Comparison(comparison)) => compare(comparison)?,
    })
}

fn existence(test: &Existence) -> Compiled<Test> {
    Ok(match test {
        Existence::RelQuery(segments) => Test::Exists(From::Current, Query::of(segments)?),
        Existence::AbsQuery(query) => Test::Exists(From::Root, Query::of(&query.segments)?),
        Existence::Function(function) => match &**function {
            TestFunction::Match(value, pattern) => Test::Pattern(single(value)?, regex(pattern, true)?),
            TestFunction::Search(value, pattern) => Test::Pattern(single(value)?, regex(pattern, false)?),
            other => {
                return refuse(
                    name_of(other),
                    format!("`{}` gives a value: compare it with another", name_of(other)),
                );
            }
        },
    })
}

fn compare(comparison: &Comparison) -> Compiled<Test> {
    let (left, right) = comparison.vals();
    let (left, right) = (operand(left)?, operand(right)?);
    Ok(match comparison {
        Comparison::Eq(..) => Test::Compare(Order::Equal, left, right),
        Comparison::Ne(..) => Test::Compare(Order::Unequal, left, right),
        Comparison::Lt(..) => Test::Compare(Order::Less, left, right),
        Comparison::Lte(..) => Test::Compare(Order::LessOrEqual, left, right),
        Comparison::Gt(..) => Test::Compare(Order::Less, right, left),
        Comparison::Gte(..) => Test::Compare(Order::LessOrEqual, right, left),
    })
}

fn operand(comparable: &Comparable) -> Compiled<Term> {
    match comparable {
        Comparable::Literal(literal) => Ok(Term::Literal(value_of(literal))),
        Comparable::SingularQuery(SingularQuery::Current(path)) => {
            Ok(Term::Only(From::Current, Query::of_singular(path)))
        }
        Comparable::SingularQuery(SingularQuery::Root(path)) => {
            Ok(Term::Only(From::Root, Query::of_singular(path)))
        }
        Comparable::Function(function) => function_value(function),
    }
}

fn function_value(function: &TestFunction) -> Compiled<Term> {
    match function {
        TestFunction::Length(value) => Ok(Term::Length(Box::new(single(value)?))),
        TestFunction::Value(FnArg::Literal(_)) => {
            refuse("value", "`value` takes a path, such as `value(@..id)`")
        }
        TestFunction::Value(nodes) => match argument(nodes)? {
            only @ Term::Only(..) => Ok(only),
            _ => refuse("value", "`value` takes a path, such as `value(@..id)`"),
        },
        TestFunction::Count(nodes) => match argument(nodes)? {
            Term::Only(from, query) => Ok(Term::Count(from, query)),
            _ => refuse("count", "`count` takes a path, such as `count(@.labels[*])`"),
        },
        other => refuse(name_of(other), format!("`{}` cannot be compared", name_of(other))),
    }
}

/// An argument that has to be one value: a path that may find several is none.
fn single(given: &FnArg) -> Compiled<Term> {
    // A function gives one value, whatever path it is asked about.
    let is_path = matches!(given, FnArg::Test(test) if !matches!(**test, Existence::Function(_)));
    match argument(given)? {
        Term::Only(_, query) if is_path && !query.is_singular() => refuse(
            "(",
            "a function takes one value, and this path may find several: name it, or write `value(…)` around the path",
        ),
        term => Ok(term),
    }
}

fn argument(argument: &FnArg) -> Compiled<Term> {
    match argument {
        FnArg::Literal(literal) => Ok(Term::Literal(value_of(literal))),
        FnArg::Test(test) => match &**test {
            Existence::RelQuery(segments) => Ok(Term::Only(From::Current, Query::of(segments)?)),
            Existence::AbsQuery(query) => Ok(Term::Only(From::Root, Query::of(&query.segments)?)),
            Existence::Function(function) => function_value(function),
        },
        FnArg::Filter(_) => refuse("?", "a function takes a value or a path, not a condition"),
    }
}

fn name_of(function: &TestFunction) -> &str {
    match function {
        TestFunction::Custom(name, _) => name,
        TestFunction::Length(_) => "length",
        TestFunction::Value(_) => "value",
        TestFunction::Count(_) => "count",
        TestFunction::Search(..) => "search",
        TestFunction::Match(..) => "match",
    }
}

fn value_of(literal: &Literal) -> Value {
    match literal {
        Literal::Int(number) => (*number).into(),
        Literal::Float(number) => (*number).into(),
        Literal::String(text) => text.as_str().into(),
        Literal::Bool(flag) => (*flag).into(),
        Literal::Null => Value::Null,
    }
}

/// A pattern is written out: data must not decide how long a search takes.
fn regex(pattern: &FnArg, whole: bool) -> Compiled<Regex> {
    let FnArg::Literal(Literal::String(pattern)) = pattern else {
        return refuse("match", "a pattern must be a text in quotes");
    };
    let translated = translate(pattern);
    let translated = if whole { format!("^(?:{translated})$") } else { translated };
    RegexBuilder::new(&translated).size_limit(MAX_PATTERN).build().or_else(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "is too large a pattern: repeat fewer times",
            _ => "is not a regular expression",
        };
        refuse(pattern, format!("`{pattern}` {reason}"))
    })
}

/// An I-Regexp (RFC 9485): its `.` is any character but `\n` and `\r`.
fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '.' if !in_class => {
                out.push_str(r"[^\n\r]");
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

// === impl Test ===

impl Test {
    fn holds(&self, current: &Value, root: &Value) -> Result<bool, Exhausted> {
        budget::spend(1)?;
        Ok(match self {
            Self::Any(tests) => {
                for test in tests {
                    if test.holds(current, root)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Every(tests) => {
                for test in tests {
                    if !test.holds(current, root)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Not(test) => !test.holds(current, root)?,
            Self::Exists(from, query) => !query.select(from.start(current, root), root)?.is_empty(),
            Self::Compare(order, left, right) => {
                let (left, right) = (left.value(current, root)?, right.value(current, root)?);
                match order {
                    Order::Equal => equal(left.as_ref(), right.as_ref())?,
                    Order::Unequal => !equal(left.as_ref(), right.as_ref())?,
                    Order::Less => less(left.as_ref(), right.as_ref())?,
                    Order::LessOrEqual => {
                        less(left.as_ref(), right.as_ref())? || equal(left.as_ref(), right.as_ref())?
                    }
                }
            }
            Self::Pattern(value, pattern) => match value.value(current, root)? {
                Some(Found::Borrowed(Value::String(text))) => {
                    // The engine may need several steps for each byte.
                    budget::spend(of_text(text.len()).saturating_mul(4))?;
                    pattern.is_match(text)
                }
                _ => false,
            },
        })
    }

    fn parts(&self) -> (Vec<&Test>, Vec<(From, &Query)>) {
        match self {
            Self::Any(tests) | Self::Every(tests) => (tests.iter().collect(), Vec::new()),
            Self::Not(test) => (vec![test], Vec::new()),
            Self::Exists(from, query) => (Vec::new(), vec![(*from, query)]),
            Self::Compare(_, left, right) => {
                (Vec::new(), left.query().into_iter().chain(right.query()).collect())
            }
            Self::Pattern(value, _) => (Vec::new(), value.query().into_iter().collect()),
        }
    }

    fn descents(&self) -> usize {
        let (tests, queries) = self.parts();
        tests.into_iter().map(Self::descents).sum::<usize>()
            + queries.into_iter().map(|(_, query)| query.descents()).sum::<usize>()
    }

    fn filters(&self) -> usize {
        let (tests, queries) = self.parts();
        let tests = tests.into_iter().map(Self::filters);
        tests.chain(queries.into_iter().map(|(_, query)| query.filters())).max().unwrap_or(0)
    }

    fn looks_at_root(&self) -> bool {
        let (tests, queries) = self.parts();
        tests.into_iter().any(Self::looks_at_root)
            || queries.into_iter().any(|(from, query)| matches!(from, From::Root) || query.looks_at_root())
    }
}

impl From {
    fn start<'v>(self, current: &'v Value, root: &'v Value) -> &'v Value {
        match self {
            Self::Root => root,
            Self::Current => current,
        }
    }
}

// === impl Term ===

impl Term {
    fn value<'v>(&'v self, current: &'v Value, root: &'v Value) -> Result<Option<Found<'v>>, Exhausted> {
        Ok(match self {
            Self::Literal(value) => Some(Found::Borrowed(value)),
            Self::Only(from, query) => match query.select(from.start(current, root), root)?[..] {
                [only] => Some(Found::Borrowed(only)),
                _ => None,
            },
            Self::Count(from, query) => {
                Some(Found::Number(query.select(from.start(current, root), root)?.len()))
            }
            Self::Length(of) => match of.value(current, root)? {
                Some(Found::Borrowed(Value::String(text))) => {
                    budget::spend(of_text(text.len()))?;
                    Some(Found::Number(text.chars().count()))
                }
                Some(Found::Borrowed(Value::Array(items))) => Some(Found::Number(items.len())),
                Some(Found::Borrowed(Value::Object(members))) => Some(Found::Number(members.len())),
                _ => None,
            },
        })
    }

    fn query(&self) -> Option<(From, &Query)> {
        match self {
            Self::Literal(_) => None,
            Self::Only(from, query) | Self::Count(from, query) => Some((*from, query)),
            Self::Length(of) => of.query(),
        }
    }
}

impl Found<'_> {
    fn number(&self) -> Option<f64> {
        match self {
            Self::Borrowed(value) => value.as_f64(),
            #[expect(clippy::cast_precision_loss, reason = "no list has 2^53 items")]
            Self::Number(number) => Some(*number as f64),
        }
    }
}

#[expect(clippy::float_cmp, reason = "equal numbers, as RFC 9535 has them")]
fn equal(left: Option<&Found<'_>>, right: Option<&Found<'_>>) -> Result<bool, Exhausted> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(left.is_none() && right.is_none()) };
    Ok(match (left, right) {
        (Found::Borrowed(left @ Value::Number(one)), Found::Borrowed(right @ Value::Number(two)))
            if !one.is_f64() && !two.is_f64() =>
        {
            left == right
        }
        (Found::Borrowed(one), Found::Borrowed(two)) if !one.is_number() || !two.is_number() => {
            if std::mem::discriminant(*one) == std::mem::discriminant(*two) {
                budget::spend(of_value(one).min(of_value(two)))?;
            }
            one == two
        }
        _ => left.number().zip(right.number()).is_some_and(|(one, two)| one == two),
    })
}

fn less(left: Option<&Found<'_>>, right: Option<&Found<'_>>) -> Result<bool, Exhausted> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(false) };
    if let (Found::Borrowed(Value::String(one)), Found::Borrowed(Value::String(two))) = (left, right) {
        budget::spend(of_text(one.len().min(two.len())))?;
        return Ok(one < two);
    }
    Ok(left.number().zip(right.number()).is_some_and(|(one, two)| one < two))
}
