//! Counts what an evaluation costs: the library has no limit of its own, so the parsed expression is rewritten to ask
//! for its steps before it takes them.
//!
//! - The range of a loop passes through [`LOOP`], which takes the steps of all its rounds.
//! - What calls are given passes through [`COST`], which takes steps by the size of each value; [`DEAR`] takes more,
//!   for functions that make many values of one, and [`PAIRS`] for those that compare all items with all.
//! - Functions whose result can be far larger than their arguments, or that compile a pattern, are called under another
//!   name, which is that of our own in [`super::bounded`].
//!
//! The names begin with `@`, which cannot be written in an expression.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use cel::common::types::CelInt;

use super::function;

/// `@loop(range, weight)`: the range.
pub(super) const LOOP: &str = "@loop";
/// `@cost(value)`: the value.
pub(super) const COST: &str = "@cost";
/// `@dear(value)`: the value.
pub(super) const DEAR: &str = "@dear";
/// `@pairs(list)`: the list.
pub(super) const PAIRS: &str = "@pairs";

/// `lists.range` under another name.
pub(super) const RANGE: &str = "@range";

/// Functions that are called under another name.
const RENAMED: [(&str, &str); 8] = [
    ("replace", "@replace"),
    ("join", "@join"),
    ("matches", "@matches"),
    ("translate", "@translate"),
    ("split", "@split"),
    ("duration", "@duration"),
    ("timestamp", "@timestamp"),
    ("string", "@string"),
];
/// Those of them that have no form with a dot before them.
const PLAIN: [&str; 3] = ["duration", "timestamp", "string"];

/// Calls that cost next to nothing, whatever they are called with, or that count for themselves.
const FREE: [&str; 23] = [
    "_&&_",
    "_||_",
    "!_",
    "-_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "_?_:_",
    "_[_]",
    "_[?_]",
    "_?._",
    "@not_strictly_false",
    "size",
    "type",
    "dyn",
    "has",
    "hasAttribute",
    "hasValue",
    "value",
    "or",
    "orValue",
    "marshalJSON",
];
/// Calls that look no further than the shorter of two values.
const COMPARE: [&str; 8] = ["_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "startsWith", "endsWith"];
const MANY: [&str; 8] =
    ["split", "parseJSON", "parseYAML", "sort", "flatten", "format", "parseURL", "@sortByAssociatedKeys"];
/// Calls whose result can be several times as large as an argument; others that are so count for themselves.
const GROWS: [&str; 3] = ["base64.encode", "strings.quote", "format"];
const ALL_PAIRS: [&str; 4] = ["distinct", "sets.contains", "sets.equivalent", "sets.intersects"];

/// Rewrites an expression.
pub(super) fn metered(expression: &IdedExpr) -> IdedExpr {
    let mut expression = expression.clone();
    walk(&mut expression);
    expression
}

/// Rewrites an expression and gives the steps of evaluating it once, loops inside it aside.
fn walk(expression: &mut IdedExpr) -> i64 {
    1 + match &mut expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => 0,
        Expr::Select(select) => walk(&mut select.operand),
        Expr::List(list) => list.elements.iter_mut().map(walk).sum(),
        Expr::Struct(structure) => {
            structure.entries.iter_mut().map(|entry| walk_entry(&mut entry.expr)).sum()
        }
        Expr::Map(map) => map.entries.iter_mut().map(|entry| walk_entry(&mut entry.expr)).sum(),
        Expr::Comprehension(loops) => {
            let outside = walk(&mut loops.iter_range) + walk(&mut loops.accu_init) + walk(&mut loops.result);
            let inside = walk(&mut loops.loop_cond) + walk(&mut loops.loop_step);
            wrap(&mut loops.iter_range, LOOP, Some(inside));
            outside + inside
        }
        Expr::Call(call) => walk_call(call),
    }
}

fn walk_entry(entry: &mut EntryExpr) -> i64 {
    match entry {
        EntryExpr::StructField(field) => walk(&mut field.value),
        EntryExpr::MapEntry(entry) => walk(&mut entry.key) + walk(&mut entry.value),
    }
}

fn walk_call(call: &mut CallExpr) -> i64 {
    let namespace = call.target.as_deref().and_then(|target| match &target.expr {
        Expr::Ident(name) if function::NAMESPACES.contains(&name.as_str()) => Some(name.clone()),
        _ => None,
    });
    let full =
        namespace.as_ref().map_or_else(|| call.func_name.clone(), |it| format!("{it}.{}", call.func_name));
    let mut steps: i64 = call.args.iter_mut().map(walk).sum();
    if namespace.is_none() {
        steps += call.target.as_deref_mut().map_or(0, walk);
    }
    let name = full.as_str();
    if FREE.contains(&name)
        || namespace.as_deref() == Some("optional")
        || namespace.as_deref() == Some("math")
    {
        return steps;
    }
    let literal = |it: &IdedExpr| matches!(it.expr, Expr::Literal(_));
    // What a call gives is no larger than what it was given, and expressions are not deep: paid once is enough. Each
    // further call would also take of the stack.
    let grows = GROWS.contains(&name);
    let paid = |it: &IdedExpr| literal(it) || (!grows && matches!(it.expr, Expr::Call(_)));
    // A comparison with what the author wrote ends there.
    if COMPARE.contains(&name) && call.args.iter().chain(call.target.as_deref()).any(literal) {
        return steps;
    }
    // What `map` and `filter` become: the library knows this form and adds in place.
    if name == "_+_"
        && matches!(&call.args[..], [IdedExpr { expr: Expr::Ident(name), .. }, _] if name.starts_with('@'))
    {
        return steps;
    }
    let cost = match name {
        _ if MANY.contains(&name) => DEAR,
        _ if ALL_PAIRS.contains(&name) => PAIRS,
        _ => COST,
    };
    // Lists were paid for when they were made, and maps look a key up.
    let counted = if name == "@in" { 1 } else { call.args.len() };
    for argument in call.args.iter_mut().take(counted).filter(|it| !paid(it)) {
        wrap(argument, cost, None);
    }
    if namespace.is_none()
        && let Some(target) = call.target.as_deref_mut()
        && !paid(target)
    {
        wrap(target, cost, None);
    }
    if name == "lists.range" {
        call.target = None;
        RANGE.clone_into(&mut call.func_name);
    } else if namespace.is_none()
        && let Some((_, ours)) = RENAMED.iter().find(|(theirs, _)| *theirs == call.func_name)
        && !(call.target.is_some() && PLAIN.contains(&name))
    {
        (*ours).clone_into(&mut call.func_name);
    }
    steps
}

fn wrap(expression: &mut IdedExpr, function: &str, weight: Option<i64>) {
    let id = expression.id;
    let inner = std::mem::take(expression);
    let weight =
        weight.map(|weight| IdedExpr { id, expr: Expr::Literal(LiteralValue::Int(CelInt::from(weight))) });
    let args = std::iter::once(inner).chain(weight).collect();
    *expression =
        IdedExpr { id, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }) };
}
