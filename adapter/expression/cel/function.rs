//! The functions of Tekton Triggers and Kabanero that the library does not bring.

#![expect(clippy::needless_pass_by_value, reason = "the library calls its functions so")]

use cel::common::types::{
    self, CelBool, CelBytes, CelInt, CelList, CelString, DYN_TYPE, INT_TYPE, LIST_TYPE, MAP_TYPE, STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use serde_json::{Map, Value, json};

use super::MAX_LIST;
use super::lazy::{to_json, wrap_owned};
use crate::expression::{view, words};

/// The longest text that is parsed inside an expression.
const MAX_TEXT: usize = 1024 * 1024;
/// The most values of a YAML text that is parsed inside an expression.
const MAX_NODES: usize = 10_000;

/// Names before a dot that are part of a function's name.
pub(super) const NAMESPACES: [&str; 6] = ["math", "base64", "lists", "strings", "sets", "optional"];

/// Names of types, which stand where variables stand.
pub(super) const TYPES: [&str; 12] = [
    "bool",
    "bytes",
    "double",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "type",
    "uint",
    "timestamp",
    "duration",
];

type Result<T> = std::result::Result<T, ExecutionError>;
type Items<'v> = [Box<dyn Val + 'v>];

pub(super) fn declare(env: &mut Env) -> std::result::Result<(), DeclarationError> {
    let text = || vec![STRING_TYPE];
    env.add_overload("toDomainName", "toDomainName_string", text(), to_domain_name)?;
    env.add_member_overload("toDomainName", "string_toDomainName", STRING_TYPE, vec![], to_domain_name)?;
    env.add_overload("toLabel", "toLabel_string", text(), to_label)?;
    env.add_member_overload("toLabel", "string_toLabel", STRING_TYPE, vec![], to_label)?;
    env.add_overload("split", "split_string_string", vec![STRING_TYPE, STRING_TYPE], split)?;
    env.add_member_overload("@split", "string_split", STRING_TYPE, vec![STRING_TYPE], split_member)?;
    env.add_member_overload(
        "@split",
        "string_split_most",
        STRING_TYPE,
        vec![STRING_TYPE, INT_TYPE],
        split_member,
    )?;
    env.add_overload("@split", "split_strings", vec![STRING_TYPE, STRING_TYPE], split)?;
    env.add_overload("substring", "substring_string_int", vec![STRING_TYPE, INT_TYPE], substring)?;
    env.add_overload("substring", "substring_range", vec![STRING_TYPE, INT_TYPE, INT_TYPE], substring)?;
    env.add_overload("hasAttribute", "hasAttribute_map", vec![MAP_TYPE, STRING_TYPE], has_attribute)?;
    env.add_member_overload("truncate", "string_truncate", STRING_TYPE, vec![INT_TYPE], truncate)?;
    env.add_overload("truncate", "truncate_string", vec![STRING_TYPE, INT_TYPE], truncate)?;
    env.add_member_overload("decodeb64", "string_decodeb64", STRING_TYPE, vec![], decode_base64)?;
    env.add_overload("decodeb64", "decodeb64_string", text(), decode_base64)?;
    env.add_member_overload("parseJSON", "string_parseJSON", STRING_TYPE, vec![], parse_json)?;
    env.add_member_overload("parseYAML", "string_parseYAML", STRING_TYPE, vec![], parse_yaml)?;
    env.add_member_overload("parseURL", "string_parseURL", STRING_TYPE, vec![], parse_url)?;
    env.add_member_overload("marshalJSON", "dyn_marshalJSON", DYN_TYPE, vec![], marshal_json)?;
    env.add_member_overload("first", "list_first", LIST_TYPE, vec![], first)?;
    env.add_member_overload("last", "list_last", LIST_TYPE, vec![], last)?;
    env.add_member_overload("canonical", "map_canonical", MAP_TYPE, vec![STRING_TYPE], canonical)?;
    env.add_member_overload("match", "map_match", MAP_TYPE, vec![STRING_TYPE, STRING_TYPE], header_match)?;
    let lists = || vec![LIST_TYPE, LIST_TYPE];
    env.add_overload("sets.contains", "list_sets_contains_list", lists(), sets_contains)?;
    env.add_overload("sets.equivalent", "list_sets_equivalent_list", lists(), sets_equivalent)?;
    env.add_overload("sets.intersects", "list_sets_intersects_list", lists(), sets_intersects)?;
    Ok(())
}

fn text<'a>(args: &'a [CowVal<'_, '_>], at: usize) -> Result<&'a str> {
    let found = args.get(at).and_then(|arg| arg.downcast_ref::<CelString<'_>>());
    found.map(CelString::inner).ok_or_else(|| ExecutionError::invalid_argument_count(at + 1, args.len()))
}

fn count(args: &[CowVal<'_, '_>], at: usize, function: &str) -> Result<usize> {
    let found = args.get(at).and_then(|arg| arg.downcast_ref::<CelInt>()).map(|number| *number.inner());
    found
        .and_then(|number| usize::try_from(number).ok())
        .ok_or_else(|| ExecutionError::function_error(function, "a count must not be negative"))
}

fn string<'b, 'v>(text: impl Into<String>) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text.into()))
}

fn flag<'b, 'v>(flag: bool) -> CowVal<'b, 'v> {
    CowVal::owned(CelBool::from(flag))
}

fn to_domain_name<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    Ok(string(words::to_domain_name(text(&args, 0)?)))
}

fn to_label<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    Ok(string(words::to_label(text(&args, 0)?)))
}

fn split<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let separator = text(&args, 1)?;
    if separator.is_empty() {
        return Err(ExecutionError::function_error("split", "the separator must not be empty"));
    }
    parts(text(&args, 0)?.split(separator))
}

/// As Go's `strings.SplitN`: an empty separator gives the characters, and a negative count all parts.
fn split_member<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let (whole, separator) = (text(&args, 0)?, text(&args, 1)?);
    let most = args.get(2).and_then(|arg| arg.downcast_ref::<CelInt>()).map_or(-1, |count| *count.inner());
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most == 0 {
        return parts(std::iter::empty());
    }
    if !separator.is_empty() {
        return parts(whole.splitn(most, separator));
    }
    let last = whole.char_indices().nth(most - 1).map_or(whole.len(), |(at, _)| at);
    let (single, rest) = whole.split_at(last);
    let rest = Some(rest).filter(|rest| !rest.is_empty());
    parts(single.char_indices().map(|(at, c)| &single[at..at + c.len_utf8()]).chain(rest))
}

/// A list of texts, within the bounds of lists.
fn parts<'t, 'b, 'v>(parts: impl Iterator<Item = &'t str>) -> Result<CowVal<'b, 'v>> {
    let part = |part: &str| Box::new(CelString::from(part.to_owned())) as Box<dyn Val + 'v>;
    let parts: Vec<Box<dyn Val + 'v>> = parts.take(MAX_LIST + 1).map(part).collect();
    if parts.len() > MAX_LIST {
        let reason = format!("the text has more than {MAX_LIST} parts");
        return Err(ExecutionError::function_error("split", reason));
    }
    Ok(CowVal::owned(CelList::from(parts)))
}

fn substring<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let end = if args.len() > 2 { Some(count(&args, 2, "substring")?) } else { None };
    Ok(string(words::substring(text(&args, 0)?, count(&args, 1, "substring")?, end)))
}

fn has_attribute<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let [map, name] = &args[..] else { return Err(ExecutionError::invalid_argument_count(2, args.len())) };
    Ok(flag(map.as_container().is_some_and(|map| map.contains(name.as_ref()).unwrap_or(false))))
}

fn truncate<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    Ok(string(words::truncate(text(&args, 0)?, count(&args, 1, "truncate")?)))
}

fn decode_base64<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let bytes = view::from_base64(text(&args, 0)?)
        .ok_or_else(|| ExecutionError::function_error("decodeb64", "the text is not base64"))?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => string(text),
        Err(error) => CowVal::owned(CelBytes::from(error.into_bytes())),
    })
}

fn parse_json<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let source = bounded(text(&args, 0)?, "parseJSON")?;
    let value: Value = serde_json::from_str(source).map_err(|error| {
        ExecutionError::function_error("parseJSON", format!("the text is not JSON: {error}"))
    })?;
    Ok(CowVal::Owned(wrap_owned(value)))
}

fn parse_yaml<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let source = bounded(text(&args, 0)?, "parseYAML")?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: MAX_NODES, max_aliases: 100, max_anchors: 100 },
        strict_booleans: true,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let value: Value = serde_saphyr::from_str_with_options(source, options).map_err(|error| {
        let reason = match error.without_snippet() {
            serde_saphyr::Error::Budget { breach, .. } => match breach {
                serde_saphyr::budget::BudgetBreach::Nodes { .. } => {
                    format!("the YAML has more than {MAX_NODES} values")
                }
                _ => "the YAML is nested too deeply, or has too many aliases".to_owned(),
            },
            _ => "the text is not YAML".to_owned(),
        };
        ExecutionError::function_error("parseYAML", reason)
    })?;
    Ok(CowVal::Owned(wrap_owned(value)))
}

fn bounded<'t>(text: &'t str, function: &str) -> Result<&'t str> {
    if text.len() > MAX_TEXT {
        let reason = format!("the text is longer than {MAX_TEXT} bytes");
        return Err(ExecutionError::function_error(function, reason));
    }
    Ok(text)
}

fn parse_url<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let source = bounded(text(&args, 0)?, "parseURL")?;
    let url = url::Url::parse(source).map_err(|error| {
        ExecutionError::function_error("parseURL", format!("the text is not a URL: {error}"))
    })?;
    let mut query: Map<String, Value> = Map::new();
    for (name, value) in url.query_pairs() {
        match query.get_mut(name.as_ref()) {
            Some(Value::String(all)) => {
                all.push(',');
                all.push_str(&value);
            }
            _ => {
                query.insert(name.into_owned(), value.into_owned().into());
            }
        }
    }
    let host = url.port().map_or_else(
        || url.host_str().unwrap_or_default().to_owned(),
        |port| format!("{}:{port}", url.host_str().unwrap_or_default()),
    );
    Ok(CowVal::Owned(wrap_owned(json!({
        "scheme": url.scheme(),
        "host": host,
        "path": url.path(),
        "rawQuery": url.query().unwrap_or_default(),
        "queryStrings": query,
        "query": query,
        "fragment": url.fragment().unwrap_or_default(),
        "auth": {"username": url.username(), "password": url.password().unwrap_or_default()},
    }))))
}

fn marshal_json<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let value = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    let value =
        to_json(value.as_ref(), 0).map_err(|reason| ExecutionError::function_error("marshalJSON", reason))?;
    Ok(string(value.to_string()))
}

fn elements<'b, 'v>(list: &CowVal<'b, 'v>) -> Vec<Box<dyn Val + 'v>> {
    let mut found = Vec::new();
    if let Some(list) = list.as_iterable() {
        let mut rest = list.iter();
        while let Some(item) = rest.next() {
            found.push(item.clone_as_boxed());
        }
    }
    found
}

/// Null for an empty list, as in Tekton.
fn first<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let list = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    Ok(elements(list).into_iter().next().map_or_else(|| CowVal::owned(types::CelNull), CowVal::Owned))
}

fn last<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let list = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    Ok(elements(list).pop().map_or_else(|| CowVal::owned(types::CelNull), CowVal::Owned))
}

/// The value of a header, whatever the case of its name: the first one of a list.
fn header(map: &dyn Val, name: &str) -> Option<String> {
    let Ok(Value::Object(members)) = to_json(map, 0) else { return None };
    let value = members.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1;
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) => items.first().and_then(Value::as_str).map(str::to_owned),
        _ => None,
    }
}

fn canonical<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let map = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    Ok(string(header(map.as_ref(), text(&args, 1)?).unwrap_or_default()))
}

fn header_match<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let map = args.first().ok_or_else(ExecutionError::missing_argument_or_target)?;
    Ok(flag(header(map.as_ref(), text(&args, 1)?).is_some_and(|value| text(&args, 2) == Ok(value.as_str()))))
}

fn sets<'b, 'v>(args: &[CowVal<'b, 'v>], test: fn(&Items<'v>, &Items<'v>) -> bool) -> Result<CowVal<'b, 'v>> {
    let [one, two] = args else { return Err(ExecutionError::invalid_argument_count(2, args.len())) };
    Ok(flag(test(&elements(one), &elements(two))))
}

fn holds_all<'v>(all: &Items<'v>, some: &Items<'v>) -> bool {
    some.iter().all(|item| all.iter().any(|other| other.equals(item.as_ref())))
}

fn sets_contains<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    sets(&args, |one, two| holds_all(one, two))
}

fn sets_equivalent<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    sets(&args, |one, two| holds_all(one, two) && holds_all(two, one))
}

fn sets_intersects<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    sets(&args, |one, two| two.iter().any(|item| one.iter().any(|other| other.equals(item.as_ref()))))
}
