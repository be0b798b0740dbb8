//! What a template refers to, and what is wrong with it, known at load.

use handlebars::template::{BlockParam, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, Template};
use serde_json::Value;

use super::context::Uses;
use super::{Dollar, Leaf, OWN_DOLLAR, named};
use crate::diagnostic::did_you_mean;
use crate::expression::helper;

/// What an expression may refer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The `let` names that have a value by then.
    pub(crate) names: &'a [String],
    /// `let` names that stand further down, for better hints.
    pub(crate) later: &'a [String],
    pub(crate) config: &'a Value,
}

/// One mistake in a template or expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    /// Byte offset inside the text.
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// A path that a template follows from the root.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) path: Vec<String>,
    /// Byte offset inside the text of the expression that it stands in.
    pub(crate) offset: usize,
    /// Whether the template does something about its absence.
    pub(crate) is_asked: bool,
}

struct Checker<'a> {
    source: &'a str,
    scope: Scope<'a>,
    uses: &'a mut Uses,
    problems: Vec<Problem>,
    looks: Vec<Look>,
    /// What is read stands where its absence is foreseen.
    is_asking: bool,
}

/// What a path inside a block starts from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Root,
    /// Inside `each` or `with`: names are those of an item that is not known at load.
    Item,
}

/// Compiles one leaf and notes in `uses` what it refers to.
pub(crate) fn compile(
    source: &str,
    dollar: Dollar,
    scope: Scope<'_>,
    uses: &mut Uses,
) -> Result<(Leaf, Vec<Look>), Vec<Problem>> {
    if source.contains(OWN_DOLLAR) {
        let message = "the template contains the noncharacter U+FDD0".to_owned();
        return Err(vec![Problem {
            code: "invalid-template",
            offset: 0,
            message,
            hint: "remove it".to_owned(),
        }]);
    }
    if let Some(open) = unclosed(source) {
        let shown: String = source[open..].lines().next().unwrap_or_default().chars().take(40).collect();
        return Err(vec![Problem {
            code: "invalid-template",
            offset: open,
            message: format!("`{}` is not closed", shown.trim_end()),
            hint: "write `}}` at its end".to_owned(),
        }]);
    }
    let template = Template::compile(source).map_err(|error| {
        let offset = error.pos().map_or(0, |(line, column)| offset_of(source, line, column));
        let reason = error.reason().to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches(['=', ' ']).to_owned();
        vec![Problem {
            code: "invalid-template",
            offset,
            message: format!("this is not a handlebars template: {reason}"),
            hint: "expressions look like `{{repo}}` or `{{toLabel branch}}`; every `{{#if x}}` needs its `{{/if}}`"
                .to_owned(),
        }]
    })?;
    let mut checker =
        Checker { source, scope, uses, problems: Vec::new(), looks: Vec::new(), is_asking: false };
    checker.template(&template, Base::Root, &[]);
    if checker.problems.is_empty() {
        let looks = checker.looks;
        Ok((Leaf::new(template, dollar), looks))
    } else {
        Err(checker.problems)
    }
}

/// Where an expression begins that has no end: the text ends first, or another one begins.
fn unclosed(source: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(open) = source[from..].find("{{").map(|at| from + at) {
        let inner = open + 2;
        let rest = &source[inner..];
        // A comment may hold anything.
        let end = if rest.starts_with("!--") { rest.find("--}}").map(|at| at + 4) } else { end_of(rest) };
        match end {
            Some(end) => from = inner + end,
            None => return Some(open),
        }
    }
    None
}

/// The length of an expression with its `}}`, whatever stands in quotes.
fn end_of(rest: &str) -> Option<usize> {
    let mut quote = None;
    let bytes = rest.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == *byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at + 2),
            (None, b'{') if bytes.get(at + 1) == Some(&b'{') && at > 1 => return None,
            _ => {}
        }
    }
    None
}

/// Names that `let` items cannot have: in a template they would be taken for something else.
pub(crate) fn is_reserved(name: &str) -> bool {
    ["event", "vars", "config", "this", "true", "false", "null", "else", "as", "in"].contains(&name)
        || helper::INLINE.iter().any(|signature| signature.name == name)
        || helper::BLOCK.contains(&name)
}

/// The message and hint for a member of `vars` or `config` that does not exist.
pub(crate) fn unknown_member(
    root: &str,
    name: &str,
    known: &[String],
    later: &[String],
) -> Option<(String, String)> {
    if known.iter().any(|known| known == name) {
        return None;
    }
    let hint = if later.iter().any(|later| later == name) {
        format!("`{name}` stands further down in `let`: move it up")
    } else if let Some(near) = did_you_mean(name, known.iter().map(String::as_str)) {
        format!("did you mean `{root}.{near}`?")
    } else if root == "vars" {
        format!("add `{name}` to `let`")
    } else if known.is_empty() {
        "the configuration has no values for mappings".to_owned()
    } else {
        format!("the configuration has: {}", known.join(", "))
    };
    Some((format!("unknown variable `{root}.{name}`"), hint))
}

/// The byte offset of a place that handlebars gives as line and column, both counted from one.
fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let start: usize = source.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let start = start.min(source.len());
    source[start..].char_indices().nth(column.saturating_sub(1)).map_or(source.len(), |(at, _)| start + at)
}

fn signature(name: &str) -> Option<&'static helper::Signature> {
    helper::INLINE.iter().find(|signature| signature.name == name)
}

fn name_of(parameter: &Parameter) -> String {
    match parameter {
        Parameter::Name(name) => name.clone(),
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => raw.clone(),
        Parameter::Literal(value) => value.to_string(),
        _ => String::new(),
    }
}

// === impl Scope ===

impl Scope<'_> {
    /// The names of the configuration's values.
    pub(crate) fn config_names(&self) -> Vec<String> {
        self.config.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    }
}

// === impl Checker ===

impl Checker<'_> {
    fn template(&mut self, template: &Template, base: Base, params: &[String]) {
        for (index, element) in template.elements.iter().enumerate() {
            let offset =
                template.mapping.get(index).map_or(0, |place| offset_of(self.source, place.0, place.1));
            self.element(element, offset, base, params);
        }
    }

    fn element(&mut self, element: &TemplateElement, offset: usize, base: Base, params: &[String]) {
        match element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                self.call(call, offset, base, params);
            }
            TemplateElement::HelperBlock(block) => self.block(block, offset, base, params),
            // Decorators, partials and whatever the library may add.
            _ => self.problem(
                "not-supported",
                offset,
                "partials and decorators are not supported".to_owned(),
                "write the text out, or put it into a `let` item".to_owned(),
            ),
        }
    }

    fn block(&mut self, block: &HelperTemplate, offset: usize, base: Base, params: &[String]) {
        let name = name_of(&block.name);
        if !helper::BLOCK.contains(&name.as_str()) {
            let hint = match did_you_mean(&name, helper::BLOCK) {
                Some(near) => format!("did you mean `{{{{#{near}}}}}`?"),
                None if signature(&name).is_some() => format!("write `{{{{#if ({name} …)}}}}`"),
                None => "blocks are `{{#if}}`, `{{#unless}}`, `{{#each}}` and `{{#with}}`".to_owned(),
            };
            self.problem("unknown-helper", offset, format!("unknown block `{{{{#{name}}}}}`"), hint);
            return;
        }
        if block.params.len() != 1 {
            let message = format!("`{{{{#{name}}}}}` takes 1 argument, not {}", block.params.len());
            let hint = "put a function call in parentheses: `{{#if (eq a b)}}`".to_owned();
            self.problem("wrong-arguments", offset, message, hint);
        }
        self.asking(|checker| checker.arguments(block, offset, base, params));
        let moves = name == "each" || name == "with";
        let mut inner: Vec<String> = params.to_vec();
        match &block.block_param {
            Some(BlockParam::Single(one)) => inner.push(name_of(one)),
            Some(BlockParam::Pair((one, two))) => inner.extend([name_of(one), name_of(two)]),
            _ => {}
        }
        if let Some(template) = &block.template {
            self.template(template, if moves { Base::Item } else { base }, &inner);
        }
        if let Some(template) = &block.inverse {
            self.template(template, base, params);
        }
    }

    fn call(&mut self, call: &HelperTemplate, offset: usize, base: Base, params: &[String]) {
        if call.params.is_empty() && call.hash.is_empty() {
            let name = name_of(&call.name);
            if signature(&name).is_some() {
                self.problem(
                    "wrong-arguments",
                    offset,
                    format!("`{name}` is a function and needs an argument"),
                    format!("write `{{{{{name} …}}}}` with the value it works on"),
                );
            } else {
                self.parameter(&call.name, offset, base, params);
            }
            return;
        }
        let name = name_of(&call.name);
        let Some(signature) = signature(&name) else {
            let known: Vec<&str> = helper::INLINE.iter().map(|signature| signature.name).collect();
            let hint = match did_you_mean(&name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("functions are: {}", known.join(", ")),
            };
            self.problem("unknown-helper", offset, format!("unknown function `{name}`"), hint);
            return;
        };
        let count = call.params.len();
        if count < signature.least || count > signature.most || !call.hash.is_empty() {
            let wanted = match (signature.least, signature.most) {
                (1, 1) => "1 argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            let message = format!("`{name}` takes {wanted}, not {count}");
            let hint = "separate arguments by blanks; put a function call in parentheses".to_owned();
            self.problem("wrong-arguments", offset, message, hint);
        }
        if ["default", "or", "and", "not"].contains(&name.as_str()) {
            self.asking(|checker| checker.arguments(call, offset, base, params));
        } else {
            self.arguments(call, offset, base, params);
        }
    }

    fn asking(&mut self, read: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.is_asking, true);
        read(self);
        self.is_asking = before;
    }

    fn arguments(&mut self, call: &HelperTemplate, offset: usize, base: Base, params: &[String]) {
        for argument in call.params.iter().chain(call.hash.values()) {
            self.parameter(argument, offset, base, params);
        }
    }

    fn parameter(&mut self, parameter: &Parameter, offset: usize, base: Base, params: &[String]) {
        match parameter {
            Parameter::Subexpression(inner) => self.element(inner.as_element(), offset, base, params),
            Parameter::Path(Path::Relative((segments, raw))) => {
                let names = named(segments);
                if names.first().is_some_and(|first| params.contains(first)) {
                    return;
                }
                self.uses.note(&names);
                let of_item = base == Base::Item || raw.starts_with("../");
                if raw.starts_with("@root") || !of_item {
                    self.variable(&names, offset, raw);
                    self.looks.push(Look { path: names, offset, is_asked: self.is_asking });
                }
            }
            // Literals, `@index`, `@key` and the like.
            _ => {}
        }
    }

    fn variable(&mut self, names: &[String], offset: usize, raw: &str) {
        let scope = self.scope;
        let Some(first) = names.first() else {
            let hint = "name a `let` item, or `event.…` or `config.…`".to_owned();
            self.problem("unknown-variable", offset, format!("`{raw}` names nothing here"), hint);
            return;
        };
        let problem = match (first.as_str(), names.get(1)) {
            ("event", _) | ("vars" | "config", None) => None,
            ("vars", Some(name)) => unknown_member("vars", name, scope.names, scope.later),
            ("config", Some(name)) => unknown_member("config", name, &scope.config_names(), &[]),
            (name, _) if scope.names.iter().any(|known| known == name) => None,
            (name, _) => {
                let roots = ["event", "vars", "config"];
                let known = scope.names.iter().map(String::as_str).chain(roots);
                let rest = names[1..].iter().fold(String::new(), |all, name| all + "." + name);
                let hint = if scope.later.iter().any(|later| later == name) {
                    format!("`{name}` stands further down in `let`: move it up")
                } else if name == "body" {
                    format!("write `event.data{rest}` for the payload of the event")
                } else if ["header", "headers"].contains(&name) {
                    "headers are not seen: match the event's `type` in `events`".to_owned()
                } else if let Some(near) = did_you_mean(name, known) {
                    format!("did you mean `{near}`?")
                } else {
                    format!("add it to `let`, such as `{name}: {{path: $.data.…}}`")
                };
                Some((format!("unknown variable `{name}`"), hint))
            }
        };
        if let Some((message, hint)) = problem {
            self.problem("unknown-variable", offset, message, hint);
        }
    }

    fn problem(&mut self, code: &'static str, offset: usize, message: String, hint: String) {
        self.problems.push(Problem { code, offset, message, hint });
    }
}
