//! From documents to compiled mappings: every expression compiled, every name resolved, every refusal made at load.

mod emit;
mod place;
mod run;
mod shape;
mod verdict;

use std::collections::HashMap;
use std::ops::Range;

use serde_json::Value;

pub(crate) use self::emit::{Emit, EmitBody, NewEvent};
pub(crate) use self::run::Run;
pub(crate) use self::shape::Shape;
use super::document::reader::{self, Place};
use super::document::{self, Document, Example, LetSource, Presence, Text};
use super::lint::paths::{Absence, Look, Looks};
use super::lint::{self, Told};
use super::{Catalog, File};
use crate::diagnostic::{Report, did_you_mean};
use crate::expression::cel;
use crate::expression::cel::Expression;
use crate::expression::filter::{Clause, Test};
use crate::expression::path;
use crate::expression::pattern::{Glob, Pattern};
use crate::expression::template::check;
use crate::expression::template::check::{Problem, Scope};
use crate::expression::template::context::Uses;
use crate::expression::template::{Dollar, Leaf, is_template};
use crate::vocabulary::Forge;

/// A mapping that is ready to run.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) name: String,
    /// The path of its file.
    pub(crate) file: String,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) filter: Vec<Clause>,
    pub(crate) lets: Vec<Let>,
    pub(crate) actions: Vec<Action>,
    pub(crate) dedupe_by: Vec<String>,
    pub(crate) examples: Vec<Example>,
}

/// A compiled `let` item.
#[derive(Debug)]
pub(crate) struct Let {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) presence: Presence,
}

/// How a `let` item gets its value.
#[derive(Debug)]
pub(crate) enum Source {
    Path(path::Path),
    Cel(Expression),
    Template {
        leaf: Leaf,
        uses: Uses,
    },
    /// A template without any expression.
    Constant(String),
}

/// A compiled action.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) name: String,
    /// Where its name stands in the file.
    pub(crate) span: Range<usize>,
    pub(crate) when: Option<Expression>,
    pub(crate) kind: ActionKind,
}

/// What an action does.
#[derive(Debug)]
pub(crate) enum ActionKind {
    PipelineRun(Run),
    Emit(Emit),
}

/// Compiles the documents of one file.
struct Compiler<'a> {
    place: Place<'a>,
    catalog: &'a Catalog,
    /// `let` names so far.
    names: Vec<String>,
    /// `let` names that come later.
    later: Vec<String>,
    /// The paths that the mapping follows.
    looks: Looks,
    /// What is sent besides what forges and runs tell.
    told: &'a Told,
}

/// Reads and compiles every mapping of every file; findings go to `report`.
///
/// A mapping with a mistake is left out.
pub(crate) fn compile(files: &[File], catalog: &Catalog, report: &mut Report) -> Vec<Mapping> {
    let mut documents = Vec::new();
    for (index, file) in files.iter().enumerate() {
        report.add_source(file.path.clone(), file.text.clone());
        documents.extend(reader::read(index, &file.path, &file.text, report));
    }
    let told = Told::of(&documents, catalog);
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut mappings = Vec::new();
    for document in documents {
        let file = &files[document.file];
        let mut compiler = Compiler {
            place: Place { file: &file.path, text: &file.text, report },
            catalog,
            names: Vec::new(),
            later: Vec::new(),
            looks: Looks::default(),
            told: &told,
        };
        lint::events::check(&document, &told, catalog, &mut compiler.place);
        if let Some(earlier) = first.insert(document.name.to_string(), document.file) {
            compiler.place.error(
                "duplicate-name",
                document.name.span(),
                format!("two mappings are called `{}`", &*document.name),
                &format!(
                    "the other is in `{}`; the name is part of the identity of runs",
                    files[earlier].path
                ),
            );
        }
        let events = document.events.clone();
        mappings.push(compiler.mapping(document, &file.path));
        compiler.looks.check(&events, &told, &mut compiler.place);
    }
    mappings
}

fn patterns(document: &Document) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for entry in &document.events {
        let mut attributes = Vec::new();
        for (name, value) in &entry.attributes {
            attributes.push((name.clone(), Glob::new(&**value)));
        }
        patterns.push(Pattern::new(attributes));
    }
    patterns
}

// === impl Compiler ===

impl Compiler<'_> {
    fn mapping(&mut self, document: Document, file: &str) -> Mapping {
        let patterns = patterns(&document);
        self.later = document.lets.iter().map(|item| item.name.text.clone()).collect();
        let filter: Vec<Clause> = document.filter.iter().filter_map(|clause| self.clause(clause)).collect();
        let mut lets = Vec::new();
        for item in document.lets {
            self.later.remove(0);
            let name = item.name.text.clone();
            lets.extend(self.let_item(item));
            self.names.push(name);
        }
        let actions =
            document.actions.iter().filter_map(|action| self.action(action, &patterns, &filter)).collect();
        self.refuse_two_replies(&document.actions);
        let dedupe_by = self.dedupe_by(&document.dedupe_by);
        for example in &document.examples {
            self.example(example, &document.actions);
        }
        Mapping {
            name: document.name.to_string(),
            file: file.to_owned(),
            patterns,
            filter,
            lets,
            actions,
            dedupe_by,
            examples: document.examples,
        }
    }

    fn scope(&self) -> (Vec<String>, Vec<String>, &Value) {
        (self.names.clone(), self.later.clone(), &self.catalog.config)
    }

    fn clause(&mut self, filter: &document::Filter) -> Option<Clause> {
        let pairs = |pairs: &[(String, Text)]| {
            pairs.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
        };
        Some(match filter {
            document::Filter::Exact(attributes) => Clause::Attributes(Test::Exact, pairs(attributes)),
            document::Filter::Prefix(attributes) => Clause::Attributes(Test::Prefix, pairs(attributes)),
            document::Filter::Suffix(attributes) => Clause::Attributes(Test::Suffix, pairs(attributes)),
            document::Filter::All(inner) => {
                Clause::All(inner.iter().filter_map(|clause| self.clause(clause)).collect())
            }
            document::Filter::Any(inner) => {
                Clause::Any(inner.iter().filter_map(|clause| self.clause(clause)).collect())
            }
            document::Filter::Not(inner) => Clause::Not(Box::new(self.clause(inner)?)),
            document::Filter::Cel(source) => Clause::Cel(self.cel(source, In::Filter)?),
        })
    }

    fn cel(&mut self, source: &Text, position: In) -> Option<Expression> {
        let (names, later, config) = self.scope();
        let scope = Scope { names: &names, later: &later, config };
        let compiled = match position {
            In::Filter => Expression::condition(source, cel::Scope::Filter(scope)),
            In::When => Expression::condition(source, cel::Scope::Let(scope)),
            In::Let => Expression::compile(source, cel::Scope::Let(scope)),
        };
        let expression = compiled.map_err(|problems| self.problems(source, problems)).ok()?;
        let looks = expression.looks();
        self.looks.asked.extend(looks.asked);
        for (path, offset) in looks.followed {
            self.look(source, path, offset, Absence::Unforeseen);
        }
        for (ty, offset) in looks.types {
            let start = source.place(self.place.text, offset);
            let end = (start + ty.len() + 2).min(source.span().end).max(start);
            lint::events::compared(&ty, start..end, self.told, &mut self.place);
        }
        Some(expression)
    }

    fn look(&mut self, source: &Text, path: Vec<String>, offset: usize, absence: Absence) {
        let start = source.place(self.place.text, offset);
        let length = path.iter().map(String::len).sum::<usize>() + path.len().saturating_sub(1);
        let end = (start + length).min(source.span().end).max(start);
        self.looks.followed.push(Look { path, span: start..end, absence });
    }

    fn leaf(&mut self, source: &Text, dollar: Dollar, uses: &mut Uses) -> Option<Leaf> {
        let (names, later, config) = self.scope();
        let scope = Scope { names: &names, later: &later, config };
        let (leaf, looks) = check::compile(source, dollar, scope, uses)
            .map_err(|problems| self.problems(source, problems))
            .ok()?;
        for look in looks {
            if look.is_asked {
                self.looks.asked.push(look.path);
            } else {
                self.look(source, look.path, look.offset, Absence::Unforeseen);
            }
        }
        Some(leaf)
    }

    /// Warns of variables that nothing replaces.
    fn warn_of_variables(&mut self, source: &Text) {
        for variable in lint::variables::find(source) {
            let start = source.place(self.place.text, variable.range.start);
            let end = source.place(self.place.text, variable.range.end).max(start);
            let shown = &source[variable.range.clone()];
            let message = format!(
                "`{shown}` is a variable of Tekton Triggers, which nothing replaces here: it stays as text"
            );
            let hint = format!("write {}", variable.instead);
            self.place.warning("foreign-variable", start..end, message, &hint);
        }
    }

    fn problems(&mut self, source: &Text, problems: Vec<Problem>) {
        for problem in problems {
            let start = source.place(self.place.text, problem.offset);
            let end =
                if problem.offset == 0 && start == source.span().start { source.span().end } else { start };
            self.place.error(problem.code, start..end.max(start), problem.message, &problem.hint);
        }
    }

    fn let_item(&mut self, item: document::Let) -> Option<Let> {
        let name = &item.name;
        if let LetSource::Template(source) = &item.source {
            self.warn_of_variables(source);
        }
        let identifier = name.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !identifier || check::is_reserved(&name.text) {
            let (message, hint) = if identifier {
                (
                    format!("`{}` cannot be a `let` name: it means something else in templates", name.text),
                    "choose another name",
                )
            } else {
                (
                    format!("`{}` cannot be a `let` name", name.text),
                    "use letters, digits and `_`, and no digit first",
                )
            };
            self.place.error("invalid-name", name.span.clone(), message, hint);
        }
        let source = match &item.source {
            LetSource::Path(source) => match path::Path::compile(source) {
                Ok(path) => {
                    let absence = match item.presence {
                        Presence::Default(_) => Absence::Foreseen,
                        Presence::Optional | Presence::Required => Absence::Unforeseen,
                    };
                    let steps: Vec<String> =
                        ["event"].into_iter().map(str::to_owned).chain(path.names()).collect();
                    if path.is_plain() && !source.contains('[') {
                        self.looks.aliases.insert(name.text.clone(), steps[1..].to_vec());
                    }
                    self.look(source, steps, 0, absence);
                    Source::Path(path)
                }
                Err(problem) => {
                    let start = source.place(self.place.text, problem.offset);
                    let end = if problem.offset == 0 { source.span().end } else { start };
                    self.place.error("invalid-path", start..end, problem.message, &problem.hint);
                    return None;
                }
            },
            LetSource::Cel(source) => {
                let expression = self.cel(source, In::Let)?;
                if let Some([root, path @ ..]) = expression.as_path().as_deref()
                    && root == "event"
                {
                    self.looks.aliases.insert(name.text.clone(), path.to_vec());
                }
                Source::Cel(expression)
            }
            LetSource::Template(source) if !is_template(source) => Source::Constant(source.to_string()),
            LetSource::Template(source) => {
                let mut uses = Uses::default();
                let leaf = self.leaf(source, Dollar::Keep, &mut uses)?;
                Source::Template { leaf, uses }
            }
        };
        Some(Let { name: item.name.text, source, presence: item.presence })
    }

    fn action(
        &mut self,
        action: &document::Action,
        patterns: &[Pattern],
        filter: &[Clause],
    ) -> Option<Action> {
        let when = action.when.as_ref().map(|source| self.cel(source, In::When));
        let kind = match &action.kind {
            document::ActionKind::PipelineRun(node) => ActionKind::PipelineRun(self.run(node)?),
            document::ActionKind::Emit(emit) => ActionKind::Emit(self.emit(emit, patterns, filter)?),
            document::ActionKind::Forward { to, span } => ActionKind::Emit(self.forward(to, span)?),
        };
        let when = match when {
            Some(compiled) => Some(compiled?),
            None => None,
        };
        Some(Action { name: action.name.to_string(), span: action.name.span(), when, kind })
    }

    fn dedupe_by(&mut self, names: &[Text]) -> Vec<String> {
        for name in names {
            if !self.names.iter().any(|known| known.as_str() == &**name) {
                let near = did_you_mean(name, self.names.iter().map(String::as_str));
                let hint = near.map_or_else(
                    || "`dedupeBy` lists names of `let`".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("unknown variable `{}` in `dedupeBy`", &**name);
                self.place.error("unknown-variable", name.span(), message, &hint);
            }
        }
        names.iter().map(|name| name.to_string()).collect()
    }

    fn example(&mut self, example: &Example, actions: &[document::Action]) {
        if let document::Given::Webhook { source, forge, .. } = &example.given {
            let forges = Forge::names().join(", ");
            match forge {
                Some(forge) if forge.parse::<Forge>().is_err() => {
                    let message = format!("unknown forge `{}`", &**forge);
                    self.place.error(
                        "unknown-forge",
                        forge.span(),
                        message,
                        &format!("the forges are {forges}"),
                    );
                }
                None if source.parse::<Forge>().is_err() => {
                    let message = format!("unknown source `{}`", &**source);
                    let hint = format!(
                        "the sources here are {forges}; for one of another name, say beside it which `forge` it is"
                    );
                    self.place.error("unknown-source", source.span(), message, &hint);
                }
                Some(_) | None => {}
            }
        }
        for expected in &example.expect {
            if let Some(name) = expected.get("action").and_then(Value::as_str)
                && !actions.iter().any(|action| &*action.name == name)
            {
                let near = did_you_mean(name, actions.iter().map(|action| &*action.name));
                let hint = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
                let message = format!("the example expects the action `{name}`, which `do` does not have");
                self.place.error("unknown-action", example.name.span(), message, &hint);
            }
        }
    }

    /// A sink that is configured; `default` always is.
    fn sink(&mut self, name: &Text) {
        let known = self.catalog.sinks.iter().map(String::as_str).chain(["default", "reply"]);
        let known: Vec<&str> = known.collect();
        if !known.contains(&&**name) {
            let hint = did_you_mean(name, known.iter().copied()).map_or_else(
                || format!("sinks are: {}; others are added in the configuration", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            self.place.error("unknown-sink", name.span(), format!("unknown sink `{}`", &**name), &hint);
        }
    }

    fn error(&mut self, code: &'static str, span: Range<usize>, message: impl Into<String>, hint: &str) {
        self.place.error(code, span, message.into(), hint);
    }
}

/// Where an expression stands: it decides what it sees and what it must give.
#[derive(Clone, Copy)]
enum In {
    Filter,
    Let,
    When,
}
