//! Handlebars, leaf by leaf: a template document is parsed as YAML first, and only its string leaves are templates, so
//! that data can never change structure.

pub(crate) mod check;
pub(crate) mod context;

use std::collections::HashMap;
use std::io;
use std::sync::LazyLock;

use handlebars::template::{Parameter, Subexpression, TemplateElement};
use handlebars::{
    Context, Handlebars, Output, Path, PathSeg, RenderContext, RenderError, RenderErrorReason, Renderable,
    Template,
};
use serde_json::Value;

use super::budget::{self, Exhausted};
use super::helper;

/// The most bytes of one rendered leaf.
pub(crate) const MAX_LEAF: usize = 256 * 1024;

/// Stands for a `$` before a `(` that the author wrote, while a leaf is rendered: a code point that Unicode keeps out of texts, and that
/// is taken out of all data before it meets a template.
pub(crate) const OWN_DOLLAR: char = '\u{FDD0}';

static ENGINE: LazyLock<Handlebars<'static>> = LazyLock::new(helper::engine);

/// What becomes of `$(`, which Tekton and the kubelet would substitute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dollar {
    /// It stays: the text goes nowhere near a run.
    Keep,
    /// In what comes from data `$` and `(` are parted by a space; what the author wrote stays.
    Part,
}

/// A compiled string leaf.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    kind: Kind,
    dollar: Dollar,
    /// Plain expressions that stand in the open, outside every block: each must have a value.
    plain: Vec<Vec<String>>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Text with expressions in it: always a string.
    Text(Template),
    /// Exactly one expression: its value keeps its type.
    Value(Parameter),
}

/// Why a leaf cannot be rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LeafError {
    /// A variable without a value.
    #[error(
        "`{0}` has no value for this event; set `required: true` to refuse such events, give it a `default`, or write `{{{{#if {0}}}}}…{{{{/if}}}}`"
    )]
    NoValue(String),
    /// A list or map inside text.
    #[error("`{name}` is {kind} and cannot stand in text; write `{{{{json {name}}}}}`")]
    NotText { name: String, kind: &'static str },
    /// More text than a leaf may have.
    #[error("the rendered text is longer than {MAX_LEAF} bytes")]
    TooLong,
    /// More text than all leaves of an object may have together.
    #[error("with this text the rendered object is larger than {0} bytes")]
    TooMuch(usize),
    /// Something else where a resolver is told which commit to take.
    #[error(
        "`{0}` is not the full id of a commit, 40 or 64 hexadecimal digits: a branch or tag would let whoever pushes there decide what is run; write `unsafe: true` beside `value` to permit it"
    )]
    NotACommit(String),
    /// More work than a leaf may be.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// A function refused its arguments.
    #[error("{0}")]
    Function(String),
}

/// Text that stops growing at its limit.
struct Bounded(String);

// === impl Leaf ===

impl Leaf {
    pub(crate) fn new(mut template: Template, dollar: Dollar) -> Self {
        if dollar == Dollar::Part {
            mark_own_dollars(&mut template);
        }
        template.elements.retain(|element| !matches!(element, TemplateElement::Comment(_)));
        count_rounds(&mut template);
        let plain: Vec<Vec<String>> = template.elements.iter().filter_map(plain_expression).collect();
        let kind = match &template.elements[..] {
            [TemplateElement::Expression(only) | TemplateElement::HtmlExpression(only)] => {
                if only.params.is_empty() && only.hash.is_empty() {
                    Kind::Value(only.name.clone())
                } else {
                    let (params, hash) = (only.params.clone(), only.hash.clone());
                    Kind::Value(Parameter::Subexpression(Subexpression::new(only.name.clone(), params, hash)))
                }
            }
            _ => Kind::Text(template),
        };
        Self { kind, dollar, plain }
    }

    /// Whether it always gives text.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text(_))
    }

    /// The value of the leaf for one event.
    pub(crate) fn render(&self, context: &Context) -> Result<Value, LeafError> {
        budget::begin_part();
        let rendered = self.rendered(context);
        // Asked first: what an engine says of an error is its own affair.
        budget::check()?;
        rendered
    }

    fn rendered(&self, context: &Context) -> Result<Value, LeafError> {
        for path in &self.plain {
            match find(context.data(), path) {
                None | Some(Value::Null) => return Err(LeafError::NoValue(path.join("."))),
                Some(value @ (Value::Array(_) | Value::Object(_))) if matches!(self.kind, Kind::Text(_)) => {
                    let kind = if value.is_array() { "a list" } else { "a map" };
                    return Err(LeafError::NotText { name: path.join("."), kind });
                }
                Some(_) => {}
            }
        }
        let mut render = RenderContext::new(None);
        let mut value = match &self.kind {
            Kind::Value(parameter) => {
                let found = parameter.expand(&ENGINE, context, &mut render).map_err(leaf_error)?;
                if found.is_value_missing() {
                    return Err(LeafError::NoValue(found.relative_path().cloned().unwrap_or_default()));
                }
                if size(found.value()) > MAX_LEAF {
                    return Err(LeafError::TooLong);
                }
                found.value().clone()
            }
            Kind::Text(template) => {
                let mut out = Bounded(String::new());
                template.render(&ENGINE, context, &mut render, &mut out).map_err(leaf_error)?;
                Value::String(out.0)
            }
        };
        if self.dollar == Dollar::Part {
            part_dollars(&mut value);
        }
        if size(&value) > MAX_LEAF {
            return Err(LeafError::TooLong);
        }
        Ok(value)
    }
}

/// Whether a string has to be compiled as a template.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{")
}

/// The bytes of all strings in a value, roughly its size as JSON.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size).sum::<usize>() + 2,
        Value::Object(members) => {
            members.iter().map(|(key, value)| key.len() + 4 + size(value)).sum::<usize>() + 2
        }
    }
}

/// The names of a plain expression such as `{{repo.name}}`; `None` for anything else.
fn plain_expression(element: &TemplateElement) -> Option<Vec<String>> {
    let (TemplateElement::Expression(expression) | TemplateElement::HtmlExpression(expression)) = element
    else {
        return None;
    };
    match &expression.name {
        Parameter::Path(Path::Relative((segments, _)))
            if expression.params.is_empty() && expression.hash.is_empty() =>
        {
            Some(named(segments))
        }
        _ => None,
    }
}

pub(crate) fn named(segments: &[PathSeg]) -> Vec<String> {
    let name = |segment: &PathSeg| match segment {
        PathSeg::Named(name) => Some(name.trim_matches(['[', ']']).to_owned()),
        _ => None,
    };
    segments.iter().filter_map(name).collect()
}

fn find<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

fn marked(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut dollars = 0_usize;
    for c in text.chars() {
        if c == '$' {
            dollars += 1;
            continue;
        }
        let dollar = if c == '(' { OWN_DOLLAR } else { '$' };
        out.extend(std::iter::repeat_n(dollar, std::mem::take(&mut dollars)));
        out.push(c);
    }
    out.extend(std::iter::repeat_n('$', dollars));
    out
}

fn mark_own_dollars(template: &mut Template) {
    for element in &mut template.elements {
        match element {
            TemplateElement::RawString(text) => *text = marked(text),
            TemplateElement::HelperBlock(block) => {
                for inner in [&mut block.template, &mut block.inverse].into_iter().flatten() {
                    mark_own_dollars(inner);
                }
            }
            _ => {}
        }
    }
}

/// Puts a call before the content of every block that takes the steps of one round, for loops that write nothing.
fn count_rounds(template: &mut Template) {
    for element in &mut template.elements {
        if let TemplateElement::HelperBlock(block) = element {
            for inner in [&mut block.template, &mut block.inverse].into_iter().flatten() {
                count_rounds(inner);
                let steps = Parameter::Literal((inner.elements.len() + 1).into());
                let name = Parameter::Name(helper::COUNT_STEPS.to_owned());
                let call = Subexpression::new(name, vec![steps], HashMap::new());
                inner.elements.insert(0, *call.element);
                if let Some(place) = inner.mapping.first().cloned() {
                    inner.mapping.insert(0, place);
                }
            }
        }
    }
}

fn part_dollars(value: &mut Value) {
    match value {
        Value::String(text) => {
            if text.contains(['$', OWN_DOLLAR]) {
                *text = parted(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(part_dollars),
        Value::Object(members) => {
            *members = std::mem::take(members)
                .into_iter()
                .map(|(key, mut value)| {
                    part_dollars(&mut value);
                    (parted(&key), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Puts a space between a `$` and a `(`: `$(x)` becomes `$ (x)`. There is no escape that every reader knows. Tekton looks for
/// `$(params.x)` as a text, finds it in `$$(params.x)` too, and looks again in what it has put in; in a container's
/// arguments and environment the kubelet reads `$$` as `$`; a shell does something else again.
fn parted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut after_dollar = false;
    for c in text.chars() {
        if after_dollar && matches!(c, '(' | OWN_DOLLAR) {
            out.push(' ');
        }
        after_dollar = c == '$';
        out.push(if c == OWN_DOLLAR { '$' } else { c });
    }
    out
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in `map_err`")]
fn leaf_error(error: RenderError) -> LeafError {
    match error.reason() {
        RenderErrorReason::MissingVariable(path) => LeafError::NoValue(path.clone().unwrap_or_default()),
        RenderErrorReason::ParamNotFoundForIndex(name, index) => {
            LeafError::Function(format!("argument {} of `{name}` has no value for this event", index + 1))
        }
        RenderErrorReason::IOError(_) => LeafError::TooLong,
        reason => LeafError::Function(reason.to_string()),
    }
}

// === impl Bounded ===

impl Output for Bounded {
    fn write(&mut self, segment: &str) -> Result<(), io::Error> {
        if self.0.len() + segment.len() > MAX_LEAF {
            return Err(io::Error::other("too long"));
        }
        self.0.push_str(segment);
        Ok(())
    }
}
