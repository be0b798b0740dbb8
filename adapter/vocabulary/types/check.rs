//! The check of `subject.content` against the table of types.

use serde_json::{Map, Value};

use super::{Empty, EventType, Extra, Field, Kind, Presence, Type};
use crate::event::uri;

/// Checks the content that somebody wants to put into an event of this type.
///
/// A custom type takes any object.
///
/// # Errors
/// Every problem, each starting with the place of the field, such as `` `environment.id` is required ``.
pub fn check(ty: &Type, content: &Value) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    match (ty, content) {
        (Type::Standard(ty), Value::Object(content)) => check_content(ty, content, &mut problems),
        (Type::Custom(_), Value::Object(_)) => {}
        (_, other) => problems.push(format!("the content must be an object, not {}", name_of(other))),
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Whether a field of this kind may have this value.
pub fn fits(kind: &Kind, value: &Value) -> bool {
    let mut problems = Vec::new();
    check_value("", kind, value, &mut problems);
    problems.is_empty()
}

fn check_content(ty: &EventType, content: &Map<String, Value>, problems: &mut Vec<String>) {
    check_object("", ty.fields, Extra::Refused, content, problems);
}

fn check_object(
    place: &str,
    fields: &[Field],
    extra: Extra,
    object: &Map<String, Value>,
    problems: &mut Vec<String>,
) {
    for field in fields {
        let place = join(place, field.name);
        match (object.get(field.name), field.presence) {
            (Some(value), _) => check_value(&place, &field.kind, value, problems),
            (None, Presence::Required) => problems.push(format!("`{place}` is required")),
            (None, Presence::Optional) => {}
        }
    }
    if extra == Extra::Refused {
        for name in object.keys().filter(|name| !fields.iter().any(|field| field.name == **name)) {
            let known: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            problems
                .push(format!("`{}` is not a field of this type; its fields: {known}", join(place, name)));
        }
    }
}

fn check_value(place: &str, kind: &Kind, value: &Value, problems: &mut Vec<String>) {
    let rule = match (kind, value) {
        (Kind::Object(fields, extra), Value::Object(object)) => {
            return check_object(place, fields, *extra, object, problems);
        }
        (Kind::Object(..), _) => Some("an object".to_owned()),
        (Kind::Texts, Value::Array(items)) if items.iter().all(Value::is_string) => None,
        (Kind::Texts, _) => Some("an array of strings".to_owned()),
        (kind, Value::String(text)) => broken_rule(kind, text),
        (_, _) => Some("a string".to_owned()),
    };
    if let Some(rule) = rule {
        problems.push(format!("`{place}` must be {rule}, not {}", name_of(value)));
    }
}

fn broken_rule(kind: &Kind, text: &str) -> Option<String> {
    match kind {
        Kind::NonEmpty | Kind::Suggested(_, Empty::Refused) if text.is_empty() => {
            Some("a non-empty string".to_owned())
        }
        Kind::Uri if !uri::is_absolute(text) => Some("an absolute URI".to_owned()),
        Kind::UriReference if !uri::is_reference(text) => Some("a non-empty URI-reference".to_owned()),
        Kind::OneOf(words) if !words.contains(&text) => Some(format!("one of `{}`", words.join("`, `"))),
        _ => None,
    }
}

fn join(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

/// A value for a message: strings themselves, shortened; of others the kind.
fn name_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(text) if text.chars().count() <= 60 => format!("`{text}`"),
        Value::String(text) => format!("`{}…`", text.chars().take(60).collect::<String>()),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
