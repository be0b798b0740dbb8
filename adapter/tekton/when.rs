//! The rules for `when` (tektoncd/pipeline, `when_validation.go`).

use serde_json::Value;

use super::expression::{self, Declared};
use super::fields::FieldErrors;
use super::view::{list, text, texts};

/// The rules for the expressions themselves.
pub fn check(expressions: &[Value], path: &str, errors: &mut FieldErrors) {
    for (at, when) in expressions.iter().enumerate() {
        let place = format!("{path}[{at}]");
        let cel = text(when, "cel");
        if !cel.is_empty() {
            errors.gated(
                "enable-cel-in-whenexpression",
                format!(
                    "feature flag enable-cel-in-whenexpression should be set to true to use CEL: {cel} in WhenExpression"
                ),
                place,
            );
            continue;
        }
        let operator = text(when, "operator");
        if when.as_object().is_none_or(serde_json::Map::is_empty) {
            errors.add("missing field(s)", place);
        } else if !["in", "notin"].contains(&operator) {
            let message =
                format!("invalid value: operator {operator:?} is not recognized. valid operators: in,notin");
            errors.add(message, place);
        } else if list(when, "values").is_empty() {
            errors.add("invalid value: expecting non-empty values field", place);
        }
    }
}

/// The references to params in them.
pub fn check_params(expressions: &[Value], declared: &Declared<'_>, path: &str, errors: &mut FieldErrors) {
    for (at, when) in expressions.iter().enumerate() {
        let place = format!("{path}[{at}]");
        declared.in_text(text(when, "input"), &format!("{place}.input"), errors);
        for value in texts(when, "values") {
            let name = value.strip_prefix("$(params.").unwrap_or(value);
            let name = name.strip_suffix("[*])").unwrap_or(name);
            let place = format!("{place}.values");
            if declared.arrays.contains(name) {
                declared.in_item(value, &place, errors);
            } else {
                declared.in_text(value, &place, errors);
            }
        }
    }
}

/// What stands between `$(` and `)` in an expression.
pub fn expressions(when: &Value) -> Vec<&str> {
    let texts = [text(when, "input"), text(when, "cel")].into_iter().chain(texts(when, "values"));
    texts.flat_map(expression::all).collect()
}
