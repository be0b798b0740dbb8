//! Numbers as texts and keys: a double that is whole is written as the integer that it is.

use serde_json::{Number, Value};

/// The integer that a double is, if it is one and fits into 64 bits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within the range")]
pub(crate) fn whole(number: f64) -> Option<Number> {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() != 0.0 {
        None
    } else if (-TWO_63..TWO_63).contains(&number) {
        Some((number as i64).into())
    } else if (TWO_63..2.0 * TWO_63).contains(&number) {
        Some((number as u64).into())
    } else {
        None
    }
}

/// Makes integers of the whole doubles in a value: a payload's `1.0` is `1`, as text and as a part of a run's identity.
pub(crate) fn plain(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if number.is_f64()
                && let Some(integer) = number.as_f64().and_then(whole)
            {
                *number = integer;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(members) => members.values_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_doubles_become_integers() {
        let mut value =
            json!([1.0, -2.0, 1.5, 9_007_199_254_740_993_u64, 1e18, 1e19, 1e20, {"a": 0.0}, "1.0"]);
        plain(&mut value);
        assert_eq!(
            value.to_string(),
            r#"[1,-2,1.5,9007199254740993,1000000000000000000,10000000000000000000,1e+20,{"a":0},"1.0"]"#
        );
    }
}
