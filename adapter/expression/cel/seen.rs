//! What an expression looked at, for people who ask why it is false.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use serde_json::Value;

use super::{Expression, Input, bind, budget, lazy};

/// The most values that are told.
const MAX_SEEN: usize = 8;

/// Paths from `event`, `vars` or `config` that stand in an expression, each once.
struct Paths<'a>(Vec<(String, &'a IdedExpr)>);

impl Expression {
    /// The paths in the expression with the values that they have, such as `event.subject`; `None` for none.
    pub(crate) fn seen(&self, input: Input<'_>) -> Vec<(String, Option<Value>)> {
        let mut paths = Paths(Vec::new());
        paths.walk(self.program.expression());
        let context = bind(input);
        let value = |path: &IdedExpr| {
            budget::begin_part();
            let found = cel::Value::resolve_val(path, &context).ok()?;
            lazy::to_json(found.as_ref(), 0).ok()
        };
        paths.0.into_iter().map(|(name, path)| (name, value(path))).collect()
    }
}

impl<'a> Paths<'a> {
    fn walk(&mut self, expression: &'a IdedExpr) {
        if let Some(name) = path(expression) {
            if self.0.len() < MAX_SEEN && !self.0.iter().any(|(known, _)| *known == name) {
                self.0.push((name, expression));
            }
            return;
        }
        match &expression.expr {
            Expr::Select(select) => self.walk(&select.operand),
            Expr::Call(call) => {
                if let Some(target) = &call.target {
                    self.walk(target);
                }
                call.args.iter().for_each(|argument| self.walk(argument));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.walk(element)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.walk(&entry.value);
                    }
                }
            }
            Expr::Comprehension(comprehension) => {
                self.walk(&comprehension.iter_range);
                self.walk(&comprehension.loop_step);
            }
            Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => {}
        }
    }
}

/// The text of a chain of fields; a bare `event` would be the whole event and is none.
fn path(expression: &IdedExpr) -> Option<String> {
    let Expr::Select(select) = &expression.expr else { return None };
    // `has(event.x)` asks, and does not look.
    if select.test {
        return None;
    }
    match &select.operand.expr {
        Expr::Ident(root) if ["event", "vars", "config"].contains(&root.as_str()) => {
            Some(format!("{root}.{}", select.field))
        }
        _ => path(&select.operand).map(|before| format!("{before}.{}", select.field)),
    }
}
