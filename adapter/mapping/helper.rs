//! The functions that templates may call: `{{toLabel branch}}`.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError,
    RenderErrorReason, ScopedJson,
};
use serde_json::Value;

use super::words;

/// A function of templates.
pub(crate) struct Signature {
    pub(crate) name: &'static str,
    /// The fewest arguments.
    pub(crate) least: usize,
    /// The most arguments.
    pub(crate) most: usize,
}

/// Functions that stand inside a line.
pub(crate) const INLINE: [Signature; 27] = [
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

/// The engine that renders every template: strict, nothing escaped, these functions only.
pub(crate) fn engine() -> Handlebars<'static> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(handlebars::no_escape);
    engine.unregister_helper("log");
    engine.unregister_helper("raw");
    let bodies: [(&'static str, Body); 14] = [
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
            Ok(items?.join(&text(args[1])?).into())
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
        ("replace", |args| Ok(text(args[0])?.replace(&text(args[1])?, &text(args[2])?).into())),
        ("short", |args| Ok(words::truncate(&text(args[0])?, 7).into())),
        ("sha256", |args| Ok(words::sha256(&text(args[0])?).into())),
    ];
    for (name, body) in bodies {
        engine.register_helper(name, Box::new(Pure { name, body }));
    }
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
            Some(param) if !param.is_value_missing() => Ok(ScopedJson::Derived(param.value().clone())),
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
        out.write(&value.as_json().to_string())?;
        Ok(())
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
            Some(param) if !param.is_value_missing() => Ok(ScopedJson::Derived(param.value().clone())),
            _ => Err(failure("default", "neither argument has a value")),
        }
    }
}

#[cfg(test)]
mod tests;
