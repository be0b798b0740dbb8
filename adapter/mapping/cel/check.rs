//! What is wrong with an expression, known at load: syntax, unknown variables, unknown functions, too many loops.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::{ParseErrors, Program};

use super::{MAX_LOOPS, bounded, function};
use crate::diagnostic::did_you_mean;
pub(crate) use crate::mapping::template::check::Problem;
use crate::mapping::template::check::{self, unknown_member};

/// What an expression may refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    /// `event` and `config`: a filter runs before `let`.
    Filter(check::Scope<'a>),
    /// `event`, `config` and `vars`.
    Let(check::Scope<'a>),
}

struct Walker<'a> {
    source: &'a str,
    program: &'a Program,
    scope: Scope<'a>,
    /// Variables of the loops around the place.
    bound: Vec<&'a str>,
    loops: usize,
    problems: Vec<Problem>,
}

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
    let reason = first.map_or_else(|| "malformed".to_owned(), |error| without_list(&error.msg).to_owned());
    vec![Problem::new(
        offset,
        format!("this is not a CEL expression: {}", super::lower_first(&reason)),
        "expressions look like `event.type == 'x' && 'a' in event.data.labels`",
    )]
}

/// The parser lists every token that would have been right; nobody reads that.
fn without_list(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    line.split(" expecting ").next().unwrap_or_default()
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

pub(super) fn names(source: &str, program: &Program, scope: Scope<'_>) -> Vec<Problem> {
    let mut walker = Walker { source, program, scope, bound: Vec::new(), loops: 0, problems: Vec::new() };
    walker.expression(program.expression());
    walker.problems
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
                let namespace = match call.target.as_deref() {
                    Some(IdedExpr { expr: Expr::Ident(name), .. })
                        if function::NAMESPACES.contains(&name.as_str()) =>
                    {
                        Some(name.as_str())
                    }
                    _ => None,
                };
                self.function(expression, namespace, &call.func_name, call.args.len());
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
                } else if ["body", "header", "extensions"].contains(&name) {
                    "write `event.data` for the payload of the event".to_owned()
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

    fn function(&mut self, expression: &IdedExpr, namespace: Option<&str>, name: &str, arguments: usize) {
        // Operators, and what macros expand to.
        if name.starts_with(['_', '!', '-']) || name.contains('@') {
            return;
        }
        let full = namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}.{name}"));
        if function::KNOWN.contains(&full.as_str()) {
            return;
        }
        let offset = self.offset(expression, name);
        let (code, message, hint) = if full == "compareSecret" {
            (
                "not-supported",
                "`compareSecret` is not supported: expressions see no secrets".to_owned(),
                "give the source its secrets: deliveries are verified before mappings run".to_owned(),
            )
        } else if full == "filter" && arguments == 2 {
            (
                "unknown-function",
                "`filter` with an expression in quotes is not supported".to_owned(),
                "write `list.filter(value, value < 10)`".to_owned(),
            )
        } else {
            let hint = did_you_mean(&full, function::KNOWN.iter().copied())
                .map_or_else(String::new, |near| format!("did you mean `{near}`?"));
            ("unknown-function", format!("unknown function `{full}`"), hint)
        };
        let hint =
            if hint.is_empty() { format!("functions are: {}", function::KNOWN.join(", ")) } else { hint };
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
