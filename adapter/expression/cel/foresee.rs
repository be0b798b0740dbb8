//! What an expression gives for an event of which only a part is known.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use serde_json::Value;

use super::Expression;
use super::look::{path, text};

/// What is known of a place in an event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// The value.
    Is(Value),
    /// Something is there, and what it is nobody knows yet.
    Present,
    /// Nothing is there.
    Absent,
    /// Nothing is known.
    Unknown,
}

/// The places of an event, by their path below `event`.
pub(crate) type Facts<'a> = dyn Fn(&[&str]) -> Fact + 'a;

/// What is known of a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    /// It looks at what is not there, and so does not hold; neither does its opposite.
    Missing,
    Unknown,
}

impl Expression {
    /// Whether the condition holds; `None` when that is not known.
    pub(crate) fn foresee(&self, facts: &Facts<'_>) -> Option<bool> {
        match truth(self.program.expression(), facts) {
            Truth::True => Some(true),
            Truth::False | Truth::Missing => Some(false),
            Truth::Unknown => None,
        }
    }
}

fn truth(expression: &IdedExpr, facts: &Facts<'_>) -> Truth {
    match &expression.expr {
        Expr::Literal(LiteralValue::Boolean(flag)) => Truth::of(*flag.inner()),
        Expr::Select(select) if select.test => {
            let Some(mut path) = path(&select.operand) else { return Truth::Unknown };
            path.push(select.field.clone());
            match fact(&path, facts) {
                Fact::Is(_) | Fact::Present => Truth::True,
                Fact::Absent => Truth::False,
                Fact::Unknown => Truth::Unknown,
            }
        }
        Expr::Call(call) => {
            let (name, args) = (call.func_name.as_str(), &call.args[..]);
            match (name, call.target.as_deref(), args) {
                (operators::LOGICAL_NOT, None, [inner]) => truth(inner, facts).negated(),
                (operators::LOGICAL_AND, None, [one, other]) => {
                    truth(one, facts).negated().or(truth(other, facts).negated()).negated()
                }
                (operators::LOGICAL_OR, None, [one, other]) => truth(one, facts).or(truth(other, facts)),
                (operators::EQUALS, None, [one, other]) => equal(one, other, facts),
                (operators::NOT_EQUALS, None, [one, other]) => equal(one, other, facts).negated(),
                (
                    operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                    None,
                    [one, other],
                ) => {
                    let is_absent = |it: &IdedExpr| value(it, facts) == Fact::Absent;
                    if is_absent(one) || is_absent(other) { Truth::Missing } else { Truth::Unknown }
                }
                (operators::IN, None, [one, list]) => match &list.expr {
                    Expr::List(list) => list
                        .elements
                        .iter()
                        .map(|element| equal(one, element, facts))
                        .fold(Truth::False, Truth::or),
                    _ => Truth::Unknown,
                },
                ("startsWith" | "endsWith" | "contains", Some(target), [wanted]) => {
                    match (value(target, facts), text(wanted)) {
                        (Fact::Is(Value::String(text)), Some(wanted)) => Truth::of(match name {
                            "startsWith" => text.starts_with(wanted),
                            "endsWith" => text.ends_with(wanted),
                            _ => text.contains(wanted),
                        }),
                        (Fact::Absent, _) => Truth::Missing,
                        _ => Truth::Unknown,
                    }
                }
                _ => Truth::Unknown,
            }
        }
        _ => match value(expression, facts) {
            Fact::Is(Value::Bool(flag)) => Truth::of(flag),
            Fact::Absent => Truth::Missing,
            _ => Truth::Unknown,
        },
    }
}

fn equal(one: &IdedExpr, other: &IdedExpr, facts: &Facts<'_>) -> Truth {
    match (value(one, facts), value(other, facts)) {
        (Fact::Absent, _) | (_, Fact::Absent) => Truth::Missing,
        (Fact::Is(Value::String(one)), Fact::Is(Value::String(other))) => Truth::of(one == other),
        (Fact::Is(Value::Bool(one)), Fact::Is(Value::Bool(other))) => Truth::of(one == other),
        _ => Truth::Unknown,
    }
}

fn value(expression: &IdedExpr, facts: &Facts<'_>) -> Fact {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Fact::Is(Value::String(text.inner().to_owned())),
        Expr::Literal(LiteralValue::Boolean(flag)) => Fact::Is(Value::Bool(*flag.inner())),
        _ => path(expression).map_or(Fact::Unknown, |path| fact(&path, facts)),
    }
}

fn fact(path: &[String], facts: &Facts<'_>) -> Fact {
    match path.split_first() {
        Some((root, rest)) if root == "event" => {
            facts(&rest.iter().map(String::as_str).collect::<Vec<&str>>())
        }
        _ => Fact::Unknown,
    }
}

// === impl Truth ===

impl Truth {
    fn of(flag: bool) -> Self {
        if flag { Self::True } else { Self::False }
    }

    fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            other => other,
        }
    }

    /// As CEL has it, where one side that holds makes up for a mistake on the other.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, _) | (_, Self::True) => Self::True,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Missing, _) | (_, Self::Missing) => Self::Missing,
            (Self::False, Self::False) => Self::False,
        }
    }
}
