//! CEL, in the dialect of Tekton Triggers: everything that touches the crate `cel` is here and below.

mod bounded;
mod check;
mod foresee;
mod function;
mod lazy;
mod look;
mod meter;
mod pattern;
mod seen;
mod signature;
mod time;

use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::{Context, Env, ExecutionError, Program, extensions};
use serde_json::{Map, Value};

pub(crate) use self::check::{Problem, Scope};
pub(crate) use self::foresee::{Fact, Facts};
use super::budget;
use crate::event::Event;

/// The longest expression, in bytes.
const MAX_SOURCE: usize = 8 * 1024;
/// An expression of so many bytes cannot be deep enough for the stack of any thread.
const SHORT_SOURCE: usize = 256;
/// The stack for parsing longer ones, of which only what is used is taken.
const STACK: usize = 256 * 1024 * 1024;
/// How deep loops (`exists`, `map`, …) may nest.
const MAX_LOOPS: usize = 2;
/// How deep an expression may be: the interpreter is recursive, and a thread's stack is not endless.
const MAX_DEPTH: usize = 32;
/// The longest list that an expression may look at.
const MAX_LIST: usize = 4096;

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(environment()));

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    source: String,
    program: Program,
    /// The same, counting its steps.
    metered: IdedExpr,
    /// What it may give, as far as that is known without an event.
    gives: signature::Types,
}

/// What an expression sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    pub(crate) event: &'a Event,
    pub(crate) vars: &'a Map<String, Value>,
    pub(crate) config: &'a Value,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvalError {
    /// It looks at something that the event does not have.
    #[error("there is no `{0}`")]
    Missing(String),
    /// It cannot be computed.
    #[error("{0}")]
    Failed(String),
}

// === impl Expression ===

impl Expression {
    /// Compiles an expression and checks every name in it.
    pub(crate) fn compile(source: &str, scope: Scope<'_>) -> Result<Self, Vec<Problem>> {
        if source.len() > MAX_SOURCE {
            return Err(vec![Problem::new(
                0,
                format!("the expression is longer than {MAX_SOURCE} bytes"),
                "",
            )]);
        }
        let program = parse(source)?;
        let gives = check::check(source, &program, scope)?;
        let metered = meter::metered(program.expression());
        Ok(Self { source: source.to_owned(), program, metered, gives })
    }

    /// The same for an expression that has to be `true` or `false`.
    pub(crate) fn condition(source: &str, scope: Scope<'_>) -> Result<Self, Vec<Problem>> {
        let expression = Self::compile(source, scope)?;
        if expression.gives.overlaps(signature::Types::BOOL) {
            return Ok(expression);
        }
        let message = format!("this gives {} and never `true` or `false`", expression.gives);
        let hint = "compare it, such as `event.subject == 'x'`, or ask with `has(…)` or `….hasValue()`";
        Err(vec![Problem { code: "wrong-call", ..Problem::new(0, message, hint) }])
    }

    /// The expression as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The value for one event as JSON.
    pub(crate) fn value(&self, input: Input<'_>) -> Result<Value, EvalError> {
        let context = bind(input);
        let found = self.resolve(&context)?;
        lazy::to_json(found.as_ref(), 0).map_err(EvalError::Failed)
    }

    /// The truth for one event; any value but `true` and `false` is an error.
    pub(crate) fn truth(&self, input: Input<'_>) -> Result<bool, EvalError> {
        let context = bind(input);
        let found = self.resolve(&context)?;
        found.downcast_ref::<CelBool>().map(|flag| *flag.inner()).ok_or_else(|| {
            EvalError::Failed(format!(
                "`{}` gives {} and not `true` or `false`",
                self.source,
                found.get_type().name()
            ))
        })
    }

    fn resolve<'e, 'v>(&'e self, context: &'e Context<'_, 'v>) -> Result<CowVal<'e, 'v>, EvalError> {
        budget::begin_part();
        let found = cel::Value::resolve_val(&self.metered, context);
        // Asked first, since `||` and the like swallow errors.
        budget::check().map_err(|exhausted| EvalError::Failed(format!("`{}`: {exhausted}", self.source)))?;
        found.map_err(|error| self.error(&error))
    }

    fn error(&self, error: &ExecutionError) -> EvalError {
        match error {
            ExecutionError::NoSuchKey(name) => EvalError::Missing(name.to_string()),
            ExecutionError::IndexOutOfBounds(index) => EvalError::Missing(
                index.json().map_or_else(|_| "index".to_owned(), |json| format!("[{json}]")),
            ),
            // A field of null: the event has nothing there.
            ExecutionError::NoSuchOverload(overload)
                if matches!(overload.function(), "_[_]" | "_._" | "_?._" | "_.[_]")
                    && overload.argument_types().first().is_some_and(|ty| ty.starts_with("null")) =>
            {
                EvalError::Missing("field of null".to_owned())
            }
            // A loop belongs to nobody's function.
            ExecutionError::FunctionError { function, message } if function == "limit" => {
                EvalError::Failed(format!("`{}`: {message}", self.source))
            }
            other => EvalError::Failed(format!("`{}`: {}", self.source, lower_first(&reason(other)))),
        }
    }
}

/// Parses on a stack that is large enough for what the source may be: the library recurses into operators in a row.
fn parse(source: &str) -> Result<Program, Vec<Problem>> {
    if source.len() <= SHORT_SOURCE {
        return parse_here(source);
    }
    let builder = std::thread::Builder::new().name("cel".to_owned()).stack_size(STACK);
    let parsed = std::thread::scope(|scope| {
        builder.spawn_scoped(scope, || parse_here(source)).ok().and_then(|parser| parser.join().ok())
    });
    parsed.unwrap_or_else(|| {
        Err(vec![Problem::new(0, "the expression cannot be parsed".to_owned(), "shorten it")])
    })
}

fn parse_here(source: &str) -> Result<Program, Vec<Problem>> {
    let program = ENV.compile(source).map_err(|errors| check::syntax(source, &errors))?;
    if check::is_deep(program.expression(), MAX_DEPTH) {
        return Err(vec![Problem::new(
            0,
            format!(
                "the expression is nested more than {MAX_DEPTH} deep, calls and operators in a row included"
            ),
            "compute a part of it in a `let` item of its own, or use `in`, `join` or `format`",
        )]);
    }
    Ok(program)
}

/// The names of all functions, for the test that holds the documentation to them.
#[cfg(test)]
pub(crate) fn known_functions() -> &'static [&'static str] {
    signature::functions()
}

/// What the library says, in the names that authors know.
fn reason(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload) => {
            let (name, given) = (overload.function(), overload.argument_types());
            if let Some(operator) = check::operator(name) {
                return cannot_take(operator, given);
            }
            let shown = check::shown_name(name);
            let call = check::shown_call(shown, overload.is_member_function(), given);
            format!("there is no `{call}`: write {}", signature::forms(shown))
        }
        ExecutionError::UnsupportedBinaryOperator(name, one, two) => {
            let operator = match *name {
                "add" => "+",
                "sub" => "-",
                "mul" => "*",
                "div" => "/",
                "rem" => "%",
                other => other,
            };
            cannot_take(operator, &[one.type_of().to_string(), two.type_of().to_string()])
        }
        ExecutionError::FunctionError { function, message } => {
            format!("`{}`: {message}", check::shown_name(function))
        }
        ExecutionError::ValuesNotComparable(..) => "the values cannot be compared".to_owned(),
        // Texts of the library can quote whole values of the event: only the short ones are passed on.
        other => Some(other.to_string())
            .filter(|text| text.len() <= 200)
            .unwrap_or_else(|| "it cannot be computed".to_owned()),
    }
}

fn cannot_take(operator: &str, given: &[String]) -> String {
    let given: Vec<&str> = given.iter().map(|it| if it == "float" { "double" } else { it }).collect();
    let numbers = ["int", "uint", "double"];
    let hint = if given.iter().all(|it| numbers.contains(it)) {
        "; numbers of events are doubles: write `1.0` in place of `1`, or convert with `int(…)`"
    } else {
        ""
    };
    format!("`{operator}` cannot take {}{hint}", given.join(" and "))
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn bind(input: Input<'_>) -> Context<'_, '_> {
    let mut context = Context::with_env(Arc::clone(&ENV));
    context.add_variable_as_val("event", Box::new(lazy::Lazy::event(input.event)));
    context.add_variable_as_val("vars", Box::new(lazy::Lazy::map(input.vars)));
    context.add_variable_as_val("config", lazy::wrap(input.config));
    context
}

fn environment() -> Env {
    let mut env = Env::stdlib();
    for extension in [extensions::strings, extensions::lists, extensions::math, extensions::encoders] {
        // The libraries declare different names; a clash would be seen by the test that calls every function.
        let declared = env.add_extension(extension);
        debug_assert!(declared.is_ok(), "{declared:?}");
    }
    for declare in [function::declare, bounded::declare, time::declare] {
        let declared = declare(&mut env);
        debug_assert!(declared.is_ok(), "{declared:?}");
    }
    env
}

#[cfg(test)]
mod tests;
