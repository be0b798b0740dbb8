//! The types that the parts of an expression may have, and calls that none of them fit.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};

use super::super::function;
use super::super::signature::{self, MACROS, Types};
use super::{Problem, Walker};
use crate::event::attribute::CONTEXT;

impl<'a> Walker<'a> {
    /// What the expression may give; every call that can give nothing is a problem.
    pub(super) fn types(&mut self, expression: &'a IdedExpr) -> Types {
        match &expression.expr {
            Expr::Unspecified | Expr::Struct(_) => Types::ANY,
            Expr::Literal(literal) => of_literal(literal),
            Expr::Ident(name) => self.of_name(name),
            Expr::Select(select) => {
                let operand = self.types(&select.operand);
                if !operand.overlaps(Types::MAP.or(Types::OPTIONAL)) {
                    let message = format!("`.{}`: {operand} has no fields", select.field);
                    self.wrong(expression, "", message, "only maps have fields");
                }
                match &select.operand.expr {
                    _ if select.test => Types::BOOL,
                    Expr::Ident(name) if name == "event" && CONTEXT.contains(&select.field.as_str()) => {
                        Types::STRING
                    }
                    _ if operand == Types::OPTIONAL => Types::OPTIONAL,
                    _ if self.is_data(&select.operand) => Types::DATA,
                    _ => Types::ANY,
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.types(element);
                }
                Types::LIST
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.types(&entry.key);
                        self.types(&entry.value);
                    }
                }
                Types::MAP
            }
            Expr::Comprehension(loops) => {
                let range = self.types(&loops.iter_range);
                if !range.overlaps(Types::LIST.or(Types::MAP)) {
                    let message = format!("a loop needs a list or a map, not {range}");
                    self.wrong(&loops.iter_range, "", message, "");
                }
                let gathered = self.types(&loops.accu_init);
                let item = if self.is_data(&loops.iter_range) { Types::DATA } else { Types::ANY };
                let before = self.typed.len();
                self.typed.push((&loops.accu_var, gathered));
                self.typed.push((&loops.iter_var, item));
                self.typed.extend(loops.iter_var2.as_deref().map(|name| (name, Types::ANY)));
                self.types(&loops.loop_cond);
                self.types(&loops.loop_step);
                let result = self.types(&loops.result);
                self.typed.truncate(before);
                result
            }
            Expr::Call(call) => self.of_call(expression, call),
        }
    }

    fn of_name(&self, name: &str) -> Types {
        if let Some((_, types)) = self.typed.iter().rev().find(|(known, _)| *known == name) {
            return *types;
        }
        match name {
            "event" | "vars" | "config" => Types::MAP,
            _ if function::TYPES.contains(&name) => Types::TYPE,
            _ => Types::ANY,
        }
    }

    /// Whether a value comes out of the event, a variable or the configuration as it is.
    fn is_data(&self, expression: &IdedExpr) -> bool {
        match &expression.expr {
            Expr::Ident(name) => match self.typed.iter().rev().find(|(known, _)| known == name) {
                Some((_, types)) => *types == Types::DATA,
                None => ["event", "vars", "config"].contains(&name.as_str()),
            },
            Expr::Select(select) => !select.test && self.is_data(&select.operand),
            Expr::Call(call) if call.func_name == "_[_]" => {
                call.args.first().is_some_and(|it| self.is_data(it))
            }
            _ => false,
        }
    }

    fn of_call(&mut self, expression: &'a IdedExpr, call: &'a CallExpr) -> Types {
        let namespace = super::namespace(call);
        let target = if namespace.is_some() { None } else { call.target.as_deref() };
        let given: Vec<Types> = target.into_iter().chain(&call.args).map(|it| self.types(it)).collect();
        let full = namespace.map_or_else(|| call.func_name.clone(), |it| format!("{it}.{}", call.func_name));
        match (full.as_str(), &given[..]) {
            ("_?_:_", [condition, one, two]) => {
                if !condition.overlaps(Types::BOOL) {
                    let message = format!("`? :` needs a condition before it, not {condition}");
                    self.wrong(expression, "", message, "");
                }
                return one.or(*two);
            }
            ("_[_]" | "_[?_]" | "_?._", [of, key]) => {
                let is_list = !of.overlaps(Types::MAP.or(Types::OPTIONAL));
                let number = Types::INT.or(Types::UINT).or(Types::DOUBLE);
                if !of.overlaps(Types::LIST.or(Types::MAP).or(Types::OPTIONAL)) {
                    self.wrong(expression, "", format!("{of} has no items"), "only lists and maps have");
                } else if is_list && !key.overlaps(number) {
                    self.wrong(expression, "", format!("an item of a list is numbered, not {key}"), "");
                }
                return match call.args.first() {
                    _ if full != "_[_]" || *of == Types::OPTIONAL => Types::OPTIONAL,
                    Some(of) if self.is_data(of) => Types::DATA,
                    _ => Types::ANY,
                };
            }
            _ => {}
        }
        if let ("math.@max" | "math.@min", [Expr::List(list)]) =
            (full.as_str(), &call.args.iter().map(|it| &it.expr).collect::<Vec<_>>()[..])
        {
            // What is wrong inside the list is told already.
            let told = self.problems.len();
            let items: Vec<Types> = list.elements.iter().map(|it| self.types(it)).collect();
            self.problems.truncate(told);
            let number = Types::INT.or(Types::UINT).or(Types::DOUBLE);
            if !items.iter().all(|it| it.overlaps(number)) {
                self.no_such_call(expression, &full, false, &items);
            }
        }
        let signatures = signature::of(&full);
        if signatures.is_empty() {
            if let Some((name, _)) = MACROS.iter().find(|(name, _)| *name == full) {
                self.no_such_call(expression, name, target.is_some(), &given);
            }
            return if full.starts_with('@') { Types::BOOL } else { Types::ANY };
        }
        let fitting = signatures.iter().filter(|it| it.fits(target.is_some(), &given)).map(|it| it.gives);
        fitting.reduce(Types::or).unwrap_or_else(|| {
            if let Some(operator) = operator(&full) {
                self.no_such_operation(expression, operator, &given);
            } else {
                self.no_such_call(expression, &full, target.is_some(), &given);
            }
            Types::ANY
        })
    }

    fn no_such_call(&mut self, expression: &IdedExpr, name: &str, is_member: bool, given: &[Types]) {
        let shown = shown_name(name);
        let message = format!("there is no `{}`", shown_call(shown, is_member, given));
        let forms = signature::forms(shown);
        let wants_int = given.iter().any(|it| it.overlaps(Types::DOUBLE) && !it.overlaps(Types::INT));
        let hint = if wants_int && forms.contains("int") && !forms.contains("number") {
            format!("write {forms}; numbers of events are doubles, which `int(…)` converts")
        } else {
            format!("write {forms}")
        };
        let last = shown.rsplit('.').next().unwrap_or(shown);
        self.wrong(expression, last, message, &hint);
    }

    fn no_such_operation(&mut self, expression: &IdedExpr, operator: &str, given: &[Types]) {
        let operands: Vec<String> = given.iter().map(ToString::to_string).collect();
        let message = format!("`{operator}` cannot take {}", operands.join(" and "));
        let whole = |it: &Types| !it.overlaps(Types::DOUBLE) && it.overlaps(Types::INT.or(Types::UINT));
        let hint = if given.iter().any(whole) && given.iter().any(|it| it.overlaps(Types::DOUBLE)) {
            if operator == "%" {
                "numbers of events are doubles: convert with `int(…)`"
            } else {
                "numbers of events are doubles: write `1.0` in place of `1`, or convert with `int(…)`"
            }
        } else if given.contains(&Types::STRING) {
            "convert with `string(…)`"
        } else {
            ""
        };
        self.wrong(expression, "", message, hint);
    }

    fn wrong(&mut self, expression: &IdedExpr, name: &str, message: String, hint: &str) {
        let offset = self.offset(expression, name);
        let hint = hint.to_owned();
        self.problems.push(Problem { code: "wrong-call", offset, message, hint });
    }
}

/// A call as people write it, with the types of what it is given.
pub(in super::super) fn shown_call<T: ToString>(name: &str, is_member: bool, given: &[T]) -> String {
    let given: Vec<String> = given.iter().map(ToString::to_string).collect();
    match given.split_first() {
        Some((target, rest)) if is_member => format!("{target}.{name}({})", rest.join(", ")),
        _ => format!("{name}({})", given.join(", ")),
    }
}

/// An operator as it is written; `None` for a function.
pub(in super::super) fn operator(name: &str) -> Option<&str> {
    match name {
        "@in" => Some("in"),
        _ if name.starts_with(['_', '!', '-']) => Some(name.trim_matches('_')),
        _ => None,
    }
}

/// A function under the name that authors know.
pub(in super::super) fn shown_name(name: &str) -> &str {
    match name {
        "math.@max" => "math.greatest",
        "math.@min" => "math.least",
        "@sortByAssociatedKeys" => "sortBy",
        "@range" => "lists.range",
        _ => name.trim_start_matches('@'),
    }
}

fn of_literal(literal: &LiteralValue) -> Types {
    match literal {
        LiteralValue::Boolean(_) => Types::BOOL,
        LiteralValue::Bytes(_) => Types::BYTES,
        LiteralValue::Double(_) => Types::DOUBLE,
        LiteralValue::Int(_) => Types::INT,
        LiteralValue::Null => Types::NULL,
        LiteralValue::String(_) => Types::STRING,
        LiteralValue::UInt(_) => Types::UINT,
    }
}
