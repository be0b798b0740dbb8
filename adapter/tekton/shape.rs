//! The fields of Tekton's objects and what they hold, and the way in which Go reads them: a value of another type is
//! refused, null is nothing, and what is empty is left out when it is written again.

mod tables;

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use super::duration;
use super::fields::{FieldErrors, join};
pub use tables::{PIPELINE_RUN_SPEC, PIPELINE_SPEC, TASK_RUN_SPEC, TASK_SPEC};

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Type {
    /// A string.
    Text,
    /// A string that may be empty and there.
    Pointer,
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A duration, which becomes its nanoseconds.
    Duration,
    /// A list of strings.
    Texts,
    /// A map of strings.
    TextMap,
    /// A map of quantities such as `1Gi`.
    Quantities,
    /// A quantity.
    Quantity,
    /// Another struct.
    Struct(&'static Struct),
    /// A list of structs.
    List(&'static Struct),
    /// A map of structs.
    StructMap(&'static Struct),
    /// The value of a param or result: a text, a list of texts or a map of texts.
    Value,
    /// The same, and it has to be there.
    Required,
    /// Anything; it is nobody's business here.
    Raw,
    /// Not checked.
    Opaque,
}

/// A struct of Tekton's API.
pub struct Struct {
    /// Name and type of each field.
    pub fields: &'static [(&'static str, Type)],
}

/// What reading found.
#[derive(Debug, Default)]
pub struct Reading {
    /// Values of another type.
    pub errors: FieldErrors,
    /// Fields that Tekton has none of that name for.
    pub strangers: Vec<Stranger>,
    /// Fields that are not checked here.
    pub unchecked: Vec<String>,
    /// Whether a part of the structure is not known yet.
    pub unknown: bool,
}

/// A field that Tekton does not know.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// Its path.
    pub path: String,
    /// The fields that there are in its place.
    pub known: Vec<&'static str>,
    /// Whether the API server drops it without a word; else the webhook refuses the object.
    pub is_dropped: bool,
}

/// Whether what nobody knows is dropped by the API server, or refused by the webhook.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    Drops,
    Refuses,
}

/// Stands in a text for what is known only when an event has come. Unicode keeps this code point out of texts.
pub const UNKNOWN: char = '\u{FDD1}';

/// Whether a text is not known yet, wholly or in part.
pub fn is_unknown(text: &str) -> bool {
    text.contains(UNKNOWN)
}

/// Whether not even the type of a value is known yet: that of a text ends otherwise.
pub fn is_untyped(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(UNKNOWN) && !text.ends_with(UNKNOWN))
}

/// Reads the spec of an object as the API server and then Tekton's webhook do.
pub fn read(spec: &Value, shape: &'static Struct, path: &str, reading: &mut Reading) -> Map<String, Value> {
    match reading.structure(spec, shape, Strictness::Drops, path) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// A value of a param as Tekton reads it: only lists of texts are arrays, only maps of texts are objects, and everything else
/// is text.
pub fn param_value(value: &Value) -> Value {
    let is_text = |value: &Value| value.is_string() || value.is_null();
    let text = |value: &Value| Value::String(value.as_str().unwrap_or_default().to_owned());
    match value {
        Value::String(_) => value.clone(),
        Value::Array(items) if items.iter().all(is_text) => items.iter().map(text).collect(),
        Value::Object(members) if members.values().all(is_text) => {
            members.iter().map(|(key, member)| (key.clone(), text(member))).collect::<Map<_, _>>().into()
        }
        Value::Null => Value::String(String::new()),
        Value::Number(number) => Value::String(number_text(number)),
        other => Value::String(other.to_string()),
    }
}

/// A number as the API server writes it.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "it is a whole number that fits")]
        Some(double) if number.is_f64() && double.fract() == 0.0 && double.abs() < 1e15 => {
            (double as i64).to_string()
        }
        _ => number.to_string(),
    }
}

// === impl Reading ===

impl Reading {
    fn wrong(&mut self, value: &Value, wanted: &str, path: &str) {
        if is_untyped(value) {
            self.unknown = true;
            return;
        }
        let given = match value {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        self.errors.add(format!("json: cannot unmarshal {given} into {wanted}"), path);
    }

    fn value(&mut self, value: &Value, ty: Type, strictness: Strictness, path: &str) -> Option<Value> {
        match ty {
            Type::Text | Type::Pointer => match value {
                Value::String(text) if text.is_empty() && matches!(ty, Type::Text) => return None,
                Value::String(_) => return Some(value.clone()),
                Value::Null => return None,
                _ => self.wrong(value, "a string", path),
            },
            Type::Bool => match value {
                Value::Bool(true) => return Some(value.clone()),
                Value::Bool(false) | Value::Null => return None,
                _ => self.wrong(value, "a boolean", path),
            },
            Type::Int => match value {
                Value::Null => return None,
                Value::Number(number) if number.as_f64().is_some_and(|it| it.fract() == 0.0) => {
                    return (number.as_f64() != Some(0.0)).then(|| value.clone());
                }
                _ => self.wrong(value, "a whole number", path),
            },
            Type::Duration => match value {
                // A pointer to a duration: null is none.
                Value::Null => return None,
                Value::String(text) if is_unknown(text) => return Some(value.clone()),
                Value::String(text) => match duration::parse(text) {
                    Some(nanoseconds) => return Some(nanoseconds.into()),
                    None => self.errors.add(duration_error(text), path),
                },
                _ => self.wrong(value, "a duration such as \"1h\"", path),
            },
            Type::Quantity => {
                if value.is_null() {
                    return None;
                }
                if is_quantity(value) {
                    return Some(value.clone());
                }
                self.wrong_quantity(value, path);
            }
            Type::Texts => {
                return self.list(value, path, |this, item, path| {
                    this.value(item, Type::Text, strictness, path).or(Some(Value::String(String::new())))
                });
            }
            Type::List(shape) => {
                return self.list(value, path, |this, item, path| {
                    let read = this.structure(item, shape, strictness, path);
                    Some(read.unwrap_or_else(|| Value::Object(Map::new())))
                });
            }
            Type::TextMap => {
                return self.map(value, path, |this, member, path| {
                    this.value(member, Type::Text, strictness, path).or(Some(Value::String(String::new())))
                });
            }
            Type::Quantities => {
                return self.map(value, path, |this, member, path| {
                    this.value(member, Type::Quantity, strictness, path)
                });
            }
            Type::StructMap(shape) => {
                return self.map(value, path, |this, member, path| {
                    let read = this.structure(member, shape, strictness, path);
                    Some(read.unwrap_or_else(|| Value::Object(Map::new())))
                });
            }
            Type::Struct(shape) => return self.structure(value, shape, strictness, path),
            Type::Value => return (!value.is_null()).then(|| param_value(value)),
            Type::Required => {
                if value.is_null() && strictness == Strictness::Drops {
                    // The API server takes null for nothing.
                    return None;
                }
                return Some(param_value(value));
            }
            Type::Raw => return (!value.is_null()).then(|| value.clone()),
            Type::Opaque => {
                let is_empty = match value {
                    Value::Null => true,
                    Value::Array(items) => items.is_empty(),
                    Value::Object(members) => members.is_empty(),
                    _ => false,
                };
                if !is_empty {
                    self.unchecked.push(path.to_owned());
                }
                return (!value.is_null()).then(|| value.clone());
            }
        }
        None
    }

    fn wrong_quantity(&mut self, value: &Value, path: &str) {
        match value.as_str() {
            Some(text) if !is_unknown(text) => self.errors.add(
                format!(
                    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$', not {text:?}"
                ),
                path,
            ),
            _ => self.wrong(value, "a quantity such as \"1Gi\"", path),
        }
    }

    fn list(
        &mut self,
        value: &Value,
        path: &str,
        mut read: impl FnMut(&mut Self, &Value, &str) -> Option<Value>,
    ) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Array(items) => {
                let items: Vec<Value> = items
                    .iter()
                    .enumerate()
                    .filter_map(|(at, item)| read(self, item, &format!("{path}[{at}]")))
                    .collect();
                (!items.is_empty()).then_some(Value::Array(items))
            }
            _ => {
                self.wrong(value, "a list", path);
                None
            }
        }
    }

    fn map(
        &mut self,
        value: &Value,
        path: &str,
        mut read: impl FnMut(&mut Self, &Value, &str) -> Option<Value>,
    ) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(members) => Some(Value::Object(
                members
                    .iter()
                    .filter_map(|(key, member)| Some((key.clone(), read(self, member, &join(path, key))?)))
                    .collect(),
            )),
            _ => {
                self.wrong(value, "a map", path);
                None
            }
        }
    }

    fn structure(
        &mut self,
        value: &Value,
        shape: &'static Struct,
        strictness: Strictness,
        path: &str,
    ) -> Option<Value> {
        let fields = match value {
            Value::Null => return None,
            Value::Object(fields) => fields,
            _ => {
                self.wrong(value, "a map", path);
                return None;
            }
        };
        let mut read = Map::new();
        for (key, value) in fields {
            // Go takes names in any case; where the API server drops what it does not know, only in the right one.
            let field = shape.fields.iter().find(|(name, _)| name == key).or_else(|| {
                let folds = strictness == Strictness::Refuses;
                shape.fields.iter().find(|(name, _)| folds && name.eq_ignore_ascii_case(key))
            });
            let place = join(path, key);
            let Some((name, ty)) = field else {
                let is_dropped = strictness == Strictness::Drops;
                if !is_dropped {
                    self.errors.add(format!("json: unknown field {key:?}"), &place);
                }
                let known = shape.fields.iter().map(|(name, _)| *name).collect();
                self.strangers.push(Stranger { path: place, known, is_dropped });
                continue;
            };
            let below = match *name {
                "pipelineSpec" | "taskSpec" | "volumeClaimTemplate" => Strictness::Refuses,
                _ => strictness,
            };
            if let Some(value) = self.value(value, *ty, below, &place) {
                read.insert((*name).to_owned(), value);
            }
        }
        for (name, ty) in shape.fields {
            if matches!(ty, Type::Required) && !read.contains_key(*name) {
                self.errors.add("impossible ParamValues.Type: \"\"", join(path, name));
            }
        }
        Some(Value::Object(read))
    }
}

/// Go's words for a duration that is none.
fn duration_error(text: &str) -> String {
    let unit_is_missing = {
        let rest = text.trim_start_matches(['-', '+']);
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit())
    };
    if unit_is_missing {
        format!("time: missing unit in duration {text:?}")
    } else {
        format!("time: invalid duration {text:?}")
    }
}

fn is_quantity(value: &Value) -> bool {
    static QUANTITY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            // Go reads a sign, a point or a suffix alone as zero.
            r"^[+-]?[0-9]*(?:\.[0-9]*)?(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$",
        )
        .ok()
    });
    match value {
        Value::Number(_) => true,
        Value::String(text) if text.is_empty() => false,
        Value::String(text) => is_unknown(text) || QUANTITY.as_ref().is_some_and(|it| it.is_match(text)),
        _ => false,
    }
}
