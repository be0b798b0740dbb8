//! The clauses of `filter`: Knative's dialects and CEL, with the reason when one does not hold.

use std::fmt;

use serde_json::Value;

use super::cel::{EvalError, Expression, Fact, Facts, Input};

/// One compiled clause.
#[derive(Debug)]
pub(crate) enum Clause {
    /// Attributes against texts.
    Attributes(Test, Vec<(String, String)>),
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Not(Box<Clause>),
    Cel(Expression),
}

/// How an attribute is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Exact,
    Prefix,
    Suffix,
}

/// Why a clause does not hold; borrows, since most events fail most filters.
#[derive(Clone, Debug)]
pub(crate) enum Reason<'m> {
    /// An attribute is absent.
    Absent(&'m str),
    /// An attribute has another value.
    Attribute { test: Test, name: &'m str, wanted: &'m str },
    /// No member of `any` holds.
    NoneOf,
    /// What `not` negates holds.
    Negated,
    /// An expression is false.
    False(&'m str),
    /// An expression looks at what the event does not have.
    Missing(&'m str, String),
}

/// What is known at load of an event that will be emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// The clause cannot hold.
    Never,
    /// It may, or must.
    Possible,
    /// It must.
    Always,
}

// === impl Clause ===

impl Clause {
    /// `Ok(None)` when the clause holds.
    pub(crate) fn check<'m>(&'m self, input: Input<'_>) -> Result<Option<Reason<'m>>, String> {
        match self {
            Self::Attributes(test, pairs) => {
                Ok(pairs.iter().find_map(|(name, wanted)| match input.event.attribute(name) {
                    None => Some(Reason::Absent(name)),
                    Some(value) if test.holds(&value, wanted) => None,
                    Some(_) => Some(Reason::Attribute { test: *test, name, wanted }),
                }))
            }
            Self::All(clauses) => {
                for clause in clauses {
                    if let Some(reason) = clause.check(input)? {
                        return Ok(Some(reason));
                    }
                }
                Ok(None)
            }
            Self::Any(clauses) => {
                for clause in clauses {
                    if clause.check(input)?.is_none() {
                        return Ok(None);
                    }
                }
                Ok(Some(Reason::NoneOf))
            }
            Self::Not(clause) => {
                Ok(if clause.check(input)?.is_some() { None } else { Some(Reason::Negated) })
            }
            Self::Cel(expression) => match expression.truth(input) {
                Ok(true) => Ok(None),
                Ok(false) => Ok(Some(Reason::False(expression.source()))),
                Err(EvalError::Missing(name)) => Ok(Some(Reason::Missing(expression.source(), name))),
                Err(EvalError::Failed(reason)) => Err(reason),
            },
        }
    }

    /// What the clause looks at and what it finds there, for people who ask why it does not hold.
    pub(crate) fn seen(&self, input: Input<'_>) -> Vec<(String, Option<Value>)> {
        match self {
            Self::Attributes(_, pairs) => pairs
                .iter()
                .map(|(name, _)| {
                    (name.clone(), input.event.attribute(name).map(|text| Value::String(text.into_owned())))
                })
                .collect(),
            Self::All(clauses) | Self::Any(clauses) => {
                clauses.iter().flat_map(|clause| clause.seen(input)).collect()
            }
            Self::Not(clause) => clause.seen(input),
            Self::Cel(expression) => expression.seen(input),
        }
    }

    /// The one text that the attribute `name` must be, if the clause says so and cannot fail.
    pub(crate) fn exact(&self, name: &str) -> Option<&str> {
        match self {
            Self::Attributes(Test::Exact, pairs) => {
                pairs.iter().find(|(it, _)| it == name).map(|(_, wanted)| wanted.as_str())
            }
            Self::Attributes(..) | Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Cel(_) => None,
        }
    }

    /// Whether the clause can hold for an event of which only a part is known.
    pub(crate) fn certainty(&self, known: &Facts<'_>) -> Certainty {
        match self {
            Self::Attributes(test, pairs) => all(pairs.iter().map(|(name, wanted)| match known(&[name]) {
                Fact::Unknown | Fact::Present => Certainty::Possible,
                Fact::Is(Value::String(value)) if test.holds(&value, wanted) => Certainty::Always,
                Fact::Is(_) | Fact::Absent => Certainty::Never,
            })),
            Self::All(clauses) => all(clauses.iter().map(|clause| clause.certainty(known))),
            Self::Any(clauses) => {
                all(clauses.iter().map(|clause| clause.certainty(known).negated())).negated()
            }
            Self::Not(clause) => clause.certainty(known).negated(),
            Self::Cel(expression) => match expression.foresee(known) {
                None => Certainty::Possible,
                Some(true) => Certainty::Always,
                Some(false) => Certainty::Never,
            },
        }
    }

    /// The expressions in it.
    pub(crate) fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Attributes(..) => Vec::new(),
            Self::All(clauses) | Self::Any(clauses) => clauses.iter().flat_map(Self::expressions).collect(),
            Self::Not(clause) => clause.expressions(),
            Self::Cel(expression) => vec![expression],
        }
    }
}

/// What is known of several clauses that must all hold.
pub(crate) fn all(certainties: impl Iterator<Item = Certainty>) -> Certainty {
    let mut result = Certainty::Always;
    for certainty in certainties {
        match certainty {
            Certainty::Never => return Certainty::Never,
            Certainty::Possible => result = Certainty::Possible,
            Certainty::Always => {}
        }
    }
    result
}

impl Certainty {
    fn negated(self) -> Self {
        match self {
            Self::Never => Self::Always,
            Self::Possible => Self::Possible,
            Self::Always => Self::Never,
        }
    }
}

impl Test {
    fn holds(self, value: &str, wanted: &str) -> bool {
        match self {
            Self::Exact => value == wanted,
            Self::Prefix => value.starts_with(wanted),
            Self::Suffix => value.ends_with(wanted),
        }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(name) => write!(f, "the event has no attribute `{name}`"),
            Self::Attribute { test: Test::Exact, name, wanted } => write!(f, "`{name}` is not `{wanted}`"),
            Self::Attribute { test: Test::Prefix, name, wanted } => {
                write!(f, "`{name}` does not start with `{wanted}`")
            }
            Self::Attribute { test: Test::Suffix, name, wanted } => {
                write!(f, "`{name}` does not end with `{wanted}`")
            }
            Self::NoneOf => f.write_str("no member of `any` holds"),
            Self::Negated => f.write_str("what `not` excludes holds"),
            Self::False(source) => write!(f, "`{source}` is false"),
            Self::Missing(source, name) => {
                write!(f, "`{source}` does not hold: the event has no `{name}`")
            }
        }
    }
}
