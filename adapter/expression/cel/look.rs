//! Which paths an expression follows from its variables, known at load.

use cel::common::ast::{EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::Expression;

/// What an expression looks at, and what it asks for first.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Paths with their root, such as `event`, `data`, `id`, each with its byte offset.
    pub(crate) followed: Vec<(Vec<String>, usize)>,
    /// Paths that `has(…)` or `.?` asks for: they may be absent.
    pub(crate) asked: Vec<Vec<String>>,
    /// Texts that `event.type` is compared with, each with its byte offset.
    pub(crate) types: Vec<(String, usize)>,
}

struct Walker<'a> {
    source: &'a str,
    offset: &'a dyn Fn(u64) -> usize,
    looks: Looks,
}

impl Expression {
    /// The paths of names from `event` and `vars`.
    pub(crate) fn looks(&self) -> Looks {
        let offset = |id| {
            let place = self.program.source_info().offset_for(id).map_or(0, |(start, _)| start);
            usize::try_from(place).unwrap_or(0).min(self.source.len())
        };
        let mut walker = Walker { source: &self.source, offset: &offset, looks: Looks::default() };
        walker.walk(self.program.expression());
        walker.looks
    }

    /// The path that the expression is, where it is nothing else.
    pub(crate) fn as_path(&self) -> Option<Vec<String>> {
        path(self.program.expression())
    }
}

impl Walker<'_> {
    fn walk(&mut self, expression: &IdedExpr) {
        if let Some(path) = path(expression) {
            let root = path.first().map_or("", String::as_str);
            if matches!(root, "event" | "vars") {
                let offset = self.place(expression, root);
                self.looks.followed.push((path, offset));
            }
            return;
        }
        match &expression.expr {
            Expr::Select(select) if select.test => match path(&select.operand) {
                Some(mut path) => {
                    path.push(select.field.clone());
                    self.looks.asked.push(path);
                }
                None => self.walk(&select.operand),
            },
            Expr::Select(select) => self.walk(&select.operand),
            Expr::Call(call) => {
                let is_optional =
                    [operators::OPT_SELECT, operators::OPT_INDEX].contains(&call.func_name.as_str());
                if let (true, [target, name]) = (is_optional, &call.args[..])
                    && let (Some(mut path), Some(name)) = (path(target), text(name))
                {
                    path.push(name.to_owned());
                    self.looks.asked.push(path);
                    return;
                }
                self.types(&call.func_name, &call.args);
                if let Some(target) = &call.target {
                    self.walk(target);
                }
                call.args.iter().for_each(|argument| self.walk(argument));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.walk(element)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.walk(&entry.key);
                        self.walk(&entry.value);
                    }
                }
            }
            Expr::Comprehension(comprehension) => {
                // A loop's variable may be called as one of ours.
                if !matches!(comprehension.iter_var.as_str(), "event" | "vars") {
                    self.walk(&comprehension.iter_range);
                    self.walk(&comprehension.loop_cond);
                    self.walk(&comprehension.loop_step);
                    self.walk(&comprehension.result);
                }
            }
            Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => {}
        }
    }

    fn types(&mut self, name: &str, args: &[IdedExpr]) {
        let [one, other] = args else { return };
        let is_type = |it: &IdedExpr| path(it).is_some_and(|path| path == ["event", "type"]);
        let texts: Vec<&IdedExpr> = match (name, &other.expr) {
            (operators::EQUALS | operators::NOT_EQUALS, _) if is_type(one) => vec![other],
            (operators::EQUALS | operators::NOT_EQUALS, _) if is_type(other) => vec![one],
            (operators::IN, Expr::List(list)) if is_type(one) => list.elements.iter().collect(),
            _ => return,
        };
        for it in texts {
            if let Some(text) = text(it) {
                let offset = (self.offset)(it.id);
                self.looks.types.push((text.to_owned(), offset));
            }
        }
    }

    /// Where the path of an expression begins: the parser's place is that of its last dot or bracket.
    fn place(&self, expression: &IdedExpr, root: &str) -> usize {
        let mut first = expression;
        loop {
            match &first.expr {
                Expr::Select(select) => first = &select.operand,
                Expr::Call(call) if !call.args.is_empty() => first = &call.args[0],
                _ => break,
            }
        }
        let place = (self.offset)(first.id);
        if self.source.get(place..).is_some_and(|rest| rest.starts_with(root)) { place } else { 0 }
    }
}

/// The names of a chain of fields, `x['name']` included. What follows an index that is no name is left out.
pub(super) fn path(expression: &IdedExpr) -> Option<Vec<String>> {
    match &expression.expr {
        Expr::Ident(name) => Some(vec![name.clone()]),
        Expr::Select(select) if !select.test => {
            let mut path = path(&select.operand)?;
            path.push(select.field.clone());
            Some(path)
        }
        Expr::Call(call) if call.func_name == operators::INDEX => match &call.args[..] {
            [target, name] => {
                let mut path = path(target)?;
                path.push(text(name)?.to_owned());
                Some(path)
            }
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn text(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
