//! The functions that templates may call: `{{toLabel branch}}`.

use std::cmp::Ordering;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError,
    RenderErrorReason, ScopedJson,
};
use serde_json::{Number, Value};

use super::{budget, words};
use crate::event::uri;

/// A function of templates.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    /// The fewest arguments.
    pub(crate) least: usize,
    /// The most arguments.
    pub(crate) most: usize,
}

/// Functions that stand inside a line.
pub(crate) const INLINE: [Signature; 28] = [
    function("json", 1, 1),
    function("toDomainName", 1, 1),
    function("toLabel", 1, 1),
    function("split", 2, 2),
    function("join", 2, 2),
    function("substring", 2, 3),
    function("truncate", 2, 2),
    function("first", 1, 1),
    function("last", 1, 1),
    function("lower", 1, 1),
    function("upper", 1, 1),
    function("trim", 1, 1),
    function("default", 2, 2),
    function("replace", 3, 3),
    function("short", 1, 1),
    function("sha256", 1, 1),
    function("urlencode", 1, 1),
    function("lookup", 2, 2),
    function("len", 1, 1),
    function("eq", 2, 2),
    function("ne", 2, 2),
    function("gt", 2, 2),
    function("gte", 2, 2),
    function("lt", 2, 2),
    function("lte", 2, 2),
    function("and", 1, 9),
    function("or", 1, 9),
    function("not", 1, 1),
];

/// Functions that enclose text: `{{#if x}}…{{/if}}`.
pub(crate) const BLOCK: [&str; 4] = ["if", "unless", "each", "with"];

const fn function(name: &'static str, least: usize, most: usize) -> Signature {
    Signature { name, least, most }
}

/// Takes steps; stands before the content of every block. Authors cannot call it.
pub(crate) const COUNT_STEPS: &str = "countSteps";

/// The longest text that a function reads or makes.
const MAX_TEXT: usize = 1024 * 1024;

type Body = fn(&[&Value]) -> Result<Value, String>;

/// A function of its arguments.
struct Pure {
    name: &'static str,
    body: Body,
}

/// The value itself where a value is wanted, its JSON text inside other text.
struct Json;

/// The first argument, or the second where the first is missing, null or the empty string.
struct DefaultTo;

type Test = fn(&Value, &Value) -> bool;

/// A comparison of two values.
struct Compare {
    name: &'static str,
    test: Test,
}

/// [`COUNT_STEPS`].
struct CountSteps;

/// Text on its way to where a template is written.
struct Text<'o>(&'o mut dyn Output);

/// The engine that renders every template: strict, nothing escaped, these functions only.
pub(crate) fn engine() -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    engine.unregister_helper("log");
    engine.unregister_helper("raw");
    let bodies: [(&'static str, Body); 15] = [
        ("toDomainName", |args| Ok(words::to_domain_name(&text(args[0])?).into())),
        ("toLabel", |args| Ok(words::to_label(&text(args[0])?).into())),
        ("split", |args| {
            let separator = text(args[1])?;
            if separator.is_empty() {
                return Err("the separator must not be empty".to_owned());
            }
            Ok(text(args[0])?.split(separator.as_str()).collect())
        }),
        ("join", |args| {
            let items: Result<Vec<String>, String> = list(args[0])?.iter().map(text).collect();
            let (items, separator) = (items?, text(args[1])?);
            let length = items.iter().map(|item| item.len() + separator.len()).sum();
            check_length(length)?;
            Ok(items.join(&separator).into())
        }),
        ("substring", |args| {
            let end = args.get(2).map(|end| count(end)).transpose()?;
            Ok(words::substring(&text(args[0])?, count(args[1])?, end).into())
        }),
        ("truncate", |args| Ok(words::truncate(&text(args[0])?, count(args[1])?).into())),
        ("first", |args| list(args[0])?.first().cloned().ok_or_else(|| "the list is empty".to_owned())),
        ("last", |args| list(args[0])?.last().cloned().ok_or_else(|| "the list is empty".to_owned())),
        ("lower", |args| Ok(text(args[0])?.to_lowercase().into())),
        ("upper", |args| Ok(text(args[0])?.to_uppercase().into())),
        ("trim", |args| Ok(text(args[0])?.trim().into())),
        ("replace", |args| {
            let (whole, old, new) = (text(args[0])?, text(args[1])?, text(args[2])?);
            let found = whole.matches(old.as_str()).count();
            check_length(whole.len().saturating_add(found.saturating_mul(new.len())))?;
            Ok(whole.replace(&old, &new).into())
        }),
        ("short", |args| Ok(words::truncate(&text(args[0])?, 7).into())),
        ("sha256", |args| Ok(words::sha256(&text(args[0])?).into())),
        ("urlencode", |args| {
            let plain = text(args[0])?;
            check_length(plain.len().saturating_mul(3))?;
            let mut encoded = String::new();
            uri::encode(&plain, &mut encoded);
            Ok(encoded.into())
        }),
    ];
    for (name, body) in bodies {
        engine.register_helper(name, Box::new(Pure { name, body }));
    }
    let tests: [(&'static str, Test); 6] = [
        ("eq", equal),
        ("ne", |one, two| !equal(one, two)),
        ("gt", |one, two| order(one, two).is_some_and(Ordering::is_gt)),
        ("gte", |one, two| order(one, two).is_some_and(Ordering::is_ge)),
        ("lt", |one, two| order(one, two).is_some_and(Ordering::is_lt)),
        ("lte", |one, two| order(one, two).is_some_and(Ordering::is_le)),
    ];
    for (name, test) in tests {
        engine.register_helper(name, Box::new(Compare { name, test }));
    }
    engine.register_helper(COUNT_STEPS, Box::new(CountSteps));
    engine.register_helper("json", Box::new(Json));
    engine.register_helper("default", Box::new(DefaultTo));
    engine
}

/// The text of a scalar.
pub(crate) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Null => Err("it has no value".to_owned()),
        Value::Array(_) => Err("it is a list where text is wanted".to_owned()),
        Value::Object(_) => Err("it is a map where text is wanted".to_owned()),
    }
}

/// Numbers by size, texts by their characters, `false` before `true`; a text that is a number counts as one beside one.
fn order(one: &Value, two: &Value) -> Option<Ordering> {
    let number = |text: &str| text.parse::<Number>().ok();
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => order_numbers(one, two),
        (Value::String(one), Value::String(two)) => Some(one.cmp(two)),
        (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
        (Value::Number(one), Value::String(two)) => order_numbers(one, &number(two)?),
        (Value::String(one), Value::Number(two)) => order_numbers(&number(one)?, two),
        _ => None,
    }
}

/// Numbers are equal when their values are, however they are written.
fn equal(one: &Value, two: &Value) -> bool {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => order_numbers(one, two) == Some(Ordering::Equal),
        _ => one == two,
    }
}

fn order_numbers(one: &Number, two: &Number) -> Option<Ordering> {
    match (one.as_i128(), two.as_i128()) {
        (Some(one), Some(two)) => Some(one.cmp(&two)),
        _ => one.as_f64()?.partial_cmp(&two.as_f64()?),
    }
}

fn check_length(length: usize) -> Result<(), String> {
    if length > MAX_TEXT {
        return Err(format!("the text would be longer than {MAX_TEXT} bytes"));
    }
    Ok(())
}

fn spend(name: &str, steps: u64) -> Result<(), RenderError> {
    budget::spend(steps).map_err(|exhausted| failure(name, &exhausted.to_string()))
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "it is not a list".to_owned())
}

fn count(value: &Value) -> Result<usize, String> {
    value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| format!("`{value}` is not a count"))
}

fn failure(name: &str, reason: &str) -> RenderError {
    RenderErrorReason::Other(format!("`{name}`: {reason}")).into()
}

// === impl Pure ===

impl HelperDef for Pure {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let mut arguments = Vec::with_capacity(helper.params().len());
        for param in helper.params() {
            if param.is_value_missing() || param.value().is_null() {
                return Err(RenderErrorReason::MissingVariable(param.relative_path().cloned()).into());
            }
            arguments.push(param.value());
        }
        // Of a list `first` and `last` take one item only.
        let scalars = |value: &&Value| {
            if value.is_array() && self.name != "join" { 1 } else { budget::of_value(value) }
        };
        spend(self.name, arguments.iter().map(scalars).sum())?;
        (self.body)(&arguments).map(ScopedJson::Derived).map_err(|reason| failure(self.name, &reason))
    }
}

// === impl Json ===

impl HelperDef for Json {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        match helper.param(0) {
            Some(param) if !param.is_value_missing() => {
                spend("json", budget::of_value(param.value()))?;
                Ok(ScopedJson::Derived(param.value().clone()))
            }
            param => {
                let path = param.and_then(|param| param.relative_path().cloned());
                Err(RenderErrorReason::MissingVariable(path).into())
            }
        }
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = self.call_inner(helper, engine, context, render)?;
        // Written as it is made, so that it ends where the leaf is full.
        serde_json::to_writer(Text(out), value.as_json())
            .map_err(|error| RenderErrorReason::from(std::io::Error::from(error)).into())
    }
}

// === impl Text ===

impl std::io::Write for Text<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(std::io::Error::other)?;
        self.0.write(text)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

// === impl Compare ===

impl HelperDef for Compare {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let value = |at| match helper.param(at) {
            Some(param) if !param.is_value_missing() => Ok(param.value()),
            _ => Err(RenderErrorReason::ParamNotFoundForIndex(self.name, at)),
        };
        let (one, two) = (value(0)?, value(1)?);
        spend(self.name, budget::of_value(one).min(budget::of_value(two)))?;
        Ok(ScopedJson::Derived((self.test)(one, two).into()))
    }
}

// === impl CountSteps ===

impl HelperDef for CountSteps {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        _: &mut dyn Output,
    ) -> HelperResult {
        let steps = helper.param(0).and_then(|param| param.value().as_u64()).unwrap_or(1);
        spend(COUNT_STEPS, steps)
    }
}

// === impl DefaultTo ===

impl HelperDef for DefaultTo {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let given = helper.params().iter().find(|param| {
            !param.is_value_missing() && !param.value().is_null() && param.value().as_str() != Some("")
        });
        match given.or_else(|| helper.param(1)) {
            Some(param) if !param.is_value_missing() => {
                spend("default", budget::of_value(param.value()))?;
                Ok(ScopedJson::Derived(param.value().clone()))
            }
            _ => Err(failure("default", "neither argument has a value")),
        }
    }
}

#[cfg(test)]
mod tests;
