//! What is wrong with an expression, known at load: syntax, unknown variables and functions, calls that nothing fits, too many loops.

mod types;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{ParseErrors, Program};

use super::signature::{self, Types};
use super::{MAX_LOOPS, bounded, function};
use crate::diagnostic::{did_you_mean, nearest};
use crate::expression::template::check;
pub(crate) use crate::expression::template::check::Problem;
use crate::expression::template::check::unknown_member;

/// What an expression may refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    /// `event` and `config`: a filter runs before `let`.
    Filter(check::Scope<'a>),
    /// `event`, `config` and `vars`.
    Let(check::Scope<'a>),
}

/// Names that other languages have for functions of ours, or what to do without.
const OTHER_NAMES: [(&[&str], &str); 17] = [
    (&["toLowerCase", "toLower", "lower", "lowercase", "lowerCase", "downcase"], "lowerAscii"),
    (&["toUpperCase", "toUpper", "upper", "uppercase", "upperCase", "upcase"], "upperAscii"),
    (&["length", "len", "count"], "size"),
    (&["includes", "include", "has_key", "hasKey", "containsKey"], "contains"),
    (&["substr"], "substring"),
    (&["strip", "trimSpace"], "trim"),
    (&["any", "some"], "exists"),
    (&["every"], "all"),
    (&["test", "regex", "regexMatch", "isMatch", "re.match"], "matches"),
    (&["replaceAll", "sub", "gsub"], "replace"),
    (&["toString", "str", "String"], "string"),
    (&["parseInt", "toInt", "Number"], "int"),
    (&["toJson", "toJSON", "json", "stringify"], "marshalJSON"),
    (&["fromJson", "fromJSON", "parseJson"], "parseJSON"),
    (&["hasPrefix"], "startsWith"),
    (&["hasSuffix"], "endsWith"),
    (&["now", "today", "random", "uuid"], "expressions see the event only: use `event.time` or `event.id`"),
];

struct Walker<'a> {
    source: &'a str,
    program: &'a Program,
    scope: Scope<'a>,
    /// Variables of the loops around the place.
    bound: Vec<&'a str>,
    loops: usize,
    /// What variables of the loops around the place may be.
    typed: Vec<(&'a str, Types)>,
    problems: Vec<Problem>,
}

pub(super) use self::types::{operator, shown_call, shown_name};

// === impl Problem ===

impl Problem {
    pub(super) fn new(offset: usize, message: String, hint: &str) -> Self {
        Self { code: "invalid-cel", offset, message, hint: hint.to_owned() }
    }
}

pub(super) fn syntax(source: &str, errors: &ParseErrors) -> Vec<Problem> {
    let first = errors.errors.first();
    let offset = first.map_or(0, |error| {
        let line = usize::try_from(error.pos.0).unwrap_or(1).max(1);
        let column = usize::try_from(error.pos.1).unwrap_or(1).max(1);
        let start: usize = source.split_inclusive('\n').take(line - 1).map(str::len).sum();
        source
            .get(start..)
            .and_then(|rest| rest.char_indices().nth(column - 1))
            .map_or(source.len(), |(at, _)| start + at)
    });
    if let Some(problem) = foreign(source) {
        return vec![problem];
    }
    let reason = first.map_or_else(|| "malformed".to_owned(), |error| without_list(&error.msg).to_owned());
    vec![Problem::new(
        offset,
        format!("this is not a CEL expression: {}", super::lower_first(&reason)),
        "expressions look like `event.type == 'x' && 'a' in event.data.labels`",
    )]
}

/// What other languages write.
fn foreign(source: &str) -> Option<Problem> {
    if let Some((before, rest)) = source.split_once("{{")
        && let Some((inner, _)) = rest.split_once("}}")
    {
        let inner = inner.trim();
        let is_name = inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
        let hint = match inner.split('.').next() {
            Some("event" | "vars" | "config") if is_name => format!("write `{inner}`"),
            Some(name) if is_name && !name.is_empty() => format!("write `vars.{inner}`"),
            _ => "write CEL without braces, such as `vars.name == 'x'`".to_owned(),
        };
        let message = "this is CEL, where no template can stand".to_owned();
        return Some(Problem::new(before.len(), message, &hint));
    }
    let mut quote = None;
    let bytes = source.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), _) if open == *byte && bytes[at - 1] != b'\\' => quote = None,
            (None, b'=') => {
                let is_first = at == 0 || !b"=!<>".contains(&bytes[at - 1]);
                let length = bytes[at..].iter().take_while(|byte| **byte == b'=').count();
                let written = if at > 0 && bytes[at - 1] == b'!' && length > 1 {
                    Some((at - 1, "!==", "!="))
                } else if is_first && length != 2 {
                    Some((at, if length == 1 { "=" } else { "===" }, "=="))
                } else {
                    None
                };
                if let Some((at, wrong, right)) = written {
                    let message = format!("`{wrong}` is no operator of CEL");
                    return Some(Problem::new(at, message, &format!("write `{right}`")));
                }
            }
            _ => {}
        }
    }
    None
}

/// The parser lists every token that would have been right; nobody reads that.
fn without_list(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split(" expecting ").next().unwrap_or_default()
}

/// What to write in place of a function that there is not.
fn instead_of(name: &str) -> String {
    let other = OTHER_NAMES.iter().find(|(names, _)| names.contains(&name)).map(|(_, ours)| *ours);
    let functions = signature::functions();
    if let Some(ours) = other {
        return if functions.contains(&ours) {
            format!("write {}", signature::forms(ours))
        } else {
            ours.to_owned()
        };
    }
    if let Some(near) = did_you_mean(name, functions.iter().copied()) {
        return format!("did you mean `{near}`?");
    }
    let near = nearest(name, functions.iter().copied(), 5).join("`, `");
    format!("the nearest are `{near}`; docs/mappings.md has the table of all, below CEL")
}

/// Whether an expression is nested more than `left` deep, operators in a row included: evaluating is recursive.
pub(super) fn is_deep(expression: &IdedExpr, left: usize) -> bool {
    let Some(left) = left.checked_sub(1) else { return true };
    let deep = |inner: &IdedExpr| is_deep(inner, left);
    match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => false,
        Expr::Select(select) => deep(&select.operand),
        Expr::Call(call) => call.target.as_deref().is_some_and(deep) || call.args.iter().any(deep),
        Expr::List(list) => list.elements.iter().any(deep),
        Expr::Map(map) => map.entries.iter().any(|entry| deep_entry(&entry.expr, left)),
        Expr::Struct(structure) => structure.entries.iter().any(|entry| deep_entry(&entry.expr, left)),
        Expr::Comprehension(loops) => {
            [&loops.iter_range, &loops.accu_init, &loops.loop_cond, &loops.loop_step, &loops.result]
                .into_iter()
                .any(deep)
        }
    }
}

fn deep_entry(entry: &EntryExpr, left: usize) -> bool {
    match entry {
        EntryExpr::StructField(field) => is_deep(&field.value, left),
        EntryExpr::MapEntry(entry) => is_deep(&entry.key, left) || is_deep(&entry.value, left),
    }
}

/// The types that the expression may give, or what is wrong with it.
pub(super) fn check(source: &str, program: &Program, scope: Scope<'_>) -> Result<Types, Vec<Problem>> {
    let mut walker = Walker {
        source,
        program,
        scope,
        bound: Vec::new(),
        loops: 0,
        typed: Vec::new(),
        problems: Vec::new(),
    };
    walker.expression(program.expression());
    // What has no name has no type either.
    if !walker.problems.is_empty() {
        return Err(walker.problems);
    }
    let types = walker.types(program.expression());
    if walker.problems.is_empty() { Ok(types) } else { Err(walker.problems) }
}

/// The part of a function's name before a dot, such as `math`.
fn namespace(call: &CallExpr) -> Option<&str> {
    match call.target.as_deref() {
        Some(IdedExpr { expr: Expr::Ident(name), .. }) if function::NAMESPACES.contains(&name.as_str()) => {
            Some(name.as_str())
        }
        _ => None,
    }
}

// === impl Walker ===

impl<'a> Walker<'a> {
    fn expression(&mut self, expression: &'a IdedExpr) {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.variable(expression, name, None),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) => self.variable(&select.operand, name, Some(&select.field)),
                _ => self.expression(&select.operand),
            },
            Expr::Call(call) => {
                let namespace = namespace(call);
                self.function(expression, namespace, call);
                self.pattern(expression, call);
                if let (Some(target), None) = (call.target.as_deref(), namespace) {
                    self.expression(target);
                }
                // `vars['x']` is as good as `vars.x`; a name in quotes is checked like one without.
                for argument in &call.args {
                    self.expression(argument);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.expression(element)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.expression(&entry.key);
                        self.expression(&entry.value);
                    }
                }
            }
            Expr::Struct(structure) => {
                let message = format!("unknown type `{}`", structure.type_name);
                self.problem(expression, message, "write a map: `{'name': value}`");
            }
            Expr::Comprehension(comprehension) => {
                self.expression(&comprehension.iter_range);
                self.expression(&comprehension.accu_init);
                self.loops += 1;
                if self.loops == MAX_LOOPS + 1 {
                    let message = format!("loops are nested more than {MAX_LOOPS} deep");
                    self.problem(expression, message, "compute the inner part in a `let` item of its own");
                }
                let before = self.bound.len();
                self.bound.extend([comprehension.iter_var.as_str(), comprehension.accu_var.as_str()]);
                self.bound.extend(comprehension.iter_var2.as_deref());
                self.expression(&comprehension.loop_cond);
                self.expression(&comprehension.loop_step);
                self.expression(&comprehension.result);
                self.bound.truncate(before);
                self.loops -= 1;
            }
        }
    }

    fn variable(&mut self, expression: &IdedExpr, name: &str, field: Option<&str>) {
        if name.starts_with('@') || self.bound.contains(&name) || function::TYPES.contains(&name) {
            return;
        }
        let (scope, in_filter) = match self.scope {
            Scope::Filter(scope) => (scope, true),
            Scope::Let(scope) => (scope, false),
        };
        let problem = match (name, field) {
            ("vars", _) if in_filter => Some((
                "a filter cannot use `vars`: `let` comes after it".to_owned(),
                "use `event`, or move the condition to the action's `when`".to_owned(),
            )),
            ("event", _) | ("config" | "vars", None) => None,
            ("config", Some(field)) => unknown_member("config", field, &scope.config_names(), &[]),
            ("vars", Some(field)) => unknown_member("vars", field, scope.names, scope.later),
            (name, _) => {
                let hint = if scope.names.iter().chain(scope.later).any(|known| known == name) {
                    format!("write `vars.{name}`")
                } else if let Some(near) = did_you_mean(name, ["event", "vars", "config"]) {
                    format!("did you mean `{near}`?")
                } else if name == "body" {
                    "write `event.data` for the payload of the event".to_owned()
                } else if name == "header" {
                    "headers are not seen: match the event's `type`, such as `event.type == 'com.github.push'`"
                        .to_owned()
                } else if name == "extensions" {
                    "extension attributes are members of `event`, such as `event.correlationid`; what an \
                     interceptor added is a `let` item here"
                        .to_owned()
                } else {
                    "expressions see `event`, `vars` and `config`".to_owned()
                };
                Some((format!("unknown variable `{name}`"), hint))
            }
        };
        if let Some((message, hint)) = problem {
            let offset = self.offset(expression, name);
            self.problems.push(Problem { code: "unknown-variable", offset, message, hint });
        }
    }

    fn function(&mut self, expression: &IdedExpr, namespace: Option<&str>, call: &CallExpr) {
        let (name, arguments, is_member) = (call.func_name.as_str(), call.args.len(), call.target.is_some());
        // Operators, and what macros expand to.
        if name.starts_with(['_', '!', '-']) || name.contains('@') {
            return;
        }
        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}.{name}"));
        let is_kabanero_filter = full == "filter" && namespace.is_none() && arguments == 2 && !is_member;
        if signature::functions().contains(&full.as_str()) && !is_kabanero_filter {
            return;
        }
        let offset = self.offset(expression, name);
        let (code, message, hint) = if full == "compareSecret" {
            (
                "not-supported",
                "`compareSecret` is not supported: expressions see no secrets".to_owned(),
                "give the source its secrets: deliveries are verified before mappings run".to_owned(),
            )
        } else if is_kabanero_filter {
            (
                "unknown-function",
                "`filter` with an expression in quotes is not supported".to_owned(),
                "write `list.filter(value, value < 10)`".to_owned(),
            )
        } else {
            ("unknown-function", format!("unknown function `{full}`"), instead_of(&full))
        };
        self.problems.push(Problem { code, offset, message, hint });
    }

    /// A pattern is written out: data must not decide how long a search takes.
    fn pattern(&mut self, expression: &IdedExpr, call: &CallExpr) {
        let name = call.func_name.as_str();
        if name != "matches" && name != "translate" {
            return;
        }
        // As a function `matches` has the text before the pattern.
        let Some(pattern) = call.args.get(usize::from(call.target.is_none())) else { return };
        let wrong = match &pattern.expr {
            Expr::Literal(LiteralValue::String(text)) => bounded::check_pattern(text.inner()).err(),
            _ => Some("the pattern must be a text in quotes".to_owned()),
        };
        if let Some(reason) = wrong {
            let offset = self.offset(expression, name);
            let hint =
                "patterns look like `'^v[0-9]+$'`; compare with data by `==`, `contains` or `startsWith`";
            self.problems.push(Problem::new(offset, format!("`{name}`: {reason}"), hint));
        }
    }

    fn problem(&mut self, expression: &IdedExpr, message: String, hint: &str) {
        let offset = self.offset(expression, "");
        self.problems.push(Problem::new(offset, message, hint));
    }

    /// Where an expression starts; the parser's place for a call is that of its parenthesis, so `name` is looked for.
    fn offset(&self, expression: &IdedExpr, name: &str) -> usize {
        let place = self.program.source_info().offset_for(expression.id).map_or(0, |(start, _)| start);
        let place = usize::try_from(place).unwrap_or(0).min(self.source.len());
        if name.is_empty() || self.source.get(place..).is_some_and(|rest| rest.starts_with(name)) {
            return place;
        }
        let near = |text: &str| text.rfind(name);
        self.source.get(..place).and_then(near).or_else(|| self.source.find(name)).unwrap_or(place)
    }
}
