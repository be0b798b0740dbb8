//! Answers in the form that the client asked for: objects, their metadata only, or table rows.

use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::admission;
use super::failure::Failure;
use super::object::{self, Object};
use super::request::Form;
use super::resource::{Cell, Column, Id};
use super::schema;

/// How rows are made.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// The form.
    pub form: Form,
    /// What a table row carries besides its cells.
    pub include: Include,
    /// The present, for ages.
    pub now: Timestamp,
}

/// `includeObject` of a table request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// The metadata.
    Metadata,
    /// The whole object.
    Object,
}

/// Whether a table says what its columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Yes.
    Defined,
    /// They were sent before, in the same watch.
    Known,
}

// === impl Include ===

impl Include {
    /// Reads the parameter.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        match text {
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            "" | "Metadata" => Ok(Self::Metadata),
            other => Err(Failure::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be \
                 'Metadata', 'Object', 'None', or empty"
            ))),
        }
    }
}

/// One object.
pub fn one(id: Id, object: &Object, style: Style) -> Bytes {
    single(id, object, style, Columns::Defined)
}

fn single(id: Id, object: &Object, style: Style, columns: Columns) -> Bytes {
    match style.form {
        Form::Full => object.json.clone(),
        Form::Metadata => metadata_only(&object.value).to_string().into(),
        Form::Table => {
            let meta = json!({ "resourceVersion": object.version.to_string() });
            table(id, &meta, [object], style, columns).to_string().into()
        }
    }
}

/// A list; `meta` is its `ListMeta`.
pub fn list<'a>(id: Id, objects: impl IntoIterator<Item = &'a Object>, meta: &Value, style: Style) -> Bytes {
    match style.form {
        Form::Table => table(id, meta, objects, style, Columns::Defined).to_string().into(),
        Form::Metadata => {
            let items: Vec<Value> = objects.into_iter().map(|object| metadata_only(&object.value)).collect();
            // Go's nil slice.
            let items = if items.is_empty() { Value::Null } else { Value::Array(items) };
            json!({
                "apiVersion": "meta.k8s.io/v1",
                "kind": "PartialObjectMetadataList",
                "metadata": meta,
                "items": items,
            })
            .to_string()
            .into()
        }
        Form::Full => {
            let resource = id.get();
            let head = json!({
                "apiVersion": resource.api_version(),
                "kind": format!("{}List", resource.kind),
                "metadata": meta,
            })
            .to_string();
            // The objects are JSON text already: put them together instead of parsing and printing them again.
            let mut out = BytesMut::with_capacity(1024);
            out.put(&head.as_bytes()[..head.len() - 1]);
            out.put(&b",\"items\":["[..]);
            for (at, object) in objects.into_iter().enumerate() {
                if at > 0 {
                    out.put_u8(b',');
                }
                if resource.is_custom() {
                    out.put(object.json.as_ref());
                } else {
                    out.put(without_type(&object.json));
                }
            }
            out.put(&b"]}"[..]);
            out.freeze()
        }
    }
}

/// An object of a core kind as it stands in a list: `apiVersion` and `kind` are said once, by the list. They are taken out
/// of the text, which is cheaper than to print the object again.
fn without_type(json: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(json);
    let Some(rest) = text.strip_prefix("{\"apiVersion\":") else { return json.clone() };
    let Some((_, rest)) = rest.split_once(',') else { return json.clone() };
    // The keys of the top level are sorted; the first `kind` at depth one is the object's.
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    let bytes = rest.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if in_text => escaped = true,
            b'"' => {
                if !in_text && depth == 0 && rest[at..].starts_with("\"kind\":\"") {
                    let value = at + "\"kind\":\"".len();
                    let Some(end) = rest[value..].find('"').map(|end| value + end + 1) else { break };
                    let after = rest[end..].strip_prefix(',').unwrap_or(&rest[end..]);
                    return format!("{{{}{after}", &rest[..at]).into();
                }
                in_text = !in_text;
            }
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    json.clone()
}

/// One line of a watch.
pub fn event(kind: &str, id: Id, object: &Object, style: Style, columns: Columns) -> Bytes {
    line(kind, &single(id, object, style, columns))
}

/// A bookmark, in a line of a watch; the end of the initial events is marked by an annotation.
pub fn bookmark(id: Id, version: u64, ends_initial_events: bool, style: Style) -> Bytes {
    let mut meta = json!({ "resourceVersion": version.to_string() });
    if ends_initial_events {
        meta["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object = match style.form {
        Form::Full => schema::empty(id, &meta),
        Form::Metadata => partial(&meta),
        // As on the real server, the row carries what the table itself cannot.
        Form::Table => json!({
            "apiVersion": "meta.k8s.io/v1",
            "kind": "Table",
            "metadata": {"resourceVersion": version.to_string()},
            "columnDefinitions": null,
            "rows": [{"cells": cells(id, &schema::empty(id, &meta), style.now), "object": partial(&meta)}],
        }),
    };
    line("BOOKMARK", object.to_string().as_bytes())
}

/// The last line of a watch that failed.
pub fn error(status: &Value) -> Bytes {
    line("ERROR", status.to_string().as_bytes())
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(object.len() + 40);
    out.put(&b"{\"type\":\""[..]);
    out.put(kind.as_bytes());
    out.put(&b"\",\"object\":"[..]);
    out.put(object);
    out.put(&b"}\n"[..]);
    out.freeze()
}

fn partial(meta: &Value) -> Value {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": meta})
}

fn metadata_only(value: &Value) -> Value {
    partial(&Value::Object(object::meta(value).clone()))
}

fn table<'a>(
    id: Id,
    meta: &Value,
    objects: impl IntoIterator<Item = &'a Object>,
    style: Style,
    columns: Columns,
) -> Value {
    let resource = id.get();
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| {
            let mut row = json!({ "cells": cells(id, &object.value, style.now) });
            match style.include {
                Include::None => row["object"] = Value::Null,
                Include::Metadata => row["object"] = metadata_only(&object.value),
                Include::Object => row["object"] = object.value.clone(),
            }
            row
        })
        .collect();
    let definitions = match columns {
        Columns::Known => Value::Null,
        Columns::Defined => {
            let name = json!({
                "name": "Name", "type": "string", "format": "name", "priority": 0,
                "description": "Name must be unique within a namespace.",
            });
            let others = resource.columns.iter().map(|column| {
                let custom = resource.is_custom();
                json!({
                    "name": column.name,
                    // A CustomResourceDefinition has columns of dates; compiled in are strings only.
                    "type": if custom && matches!(column.value, Cell::Age(_)) { "date" } else { "string" },
                    "format": if column.value == Cell::Pointer("/metadata/name") { "name" } else { "" },
                    "priority": column.priority,
                    "description": "",
                })
            });
            Value::Array((!is_event(id)).then_some(name).into_iter().chain(others).collect())
        }
    };
    json!({
        "apiVersion": "meta.k8s.io/v1",
        "kind": "Table",
        "metadata": meta,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

fn cells(id: Id, value: &Value, now: Timestamp) -> Vec<Value> {
    let name = (!is_event(id)).then(|| json!(object::name(value)));
    let others = id.get().columns.iter().map(|column| cell(column, value, now));
    name.into_iter().chain(others).collect()
}

/// Events are printed without their names.
fn is_event(id: Id) -> bool {
    id.get().kind == "Event"
}

fn cell(column: &Column, value: &Value, now: Timestamp) -> Value {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    match column.value {
        Cell::Pointer(pointer) => value.pointer(pointer).cloned().unwrap_or(json!("")),
        Cell::Succeeded(field) => {
            let condition = admission::succeeded(value);
            condition.and_then(|condition| condition.get(field)).cloned().unwrap_or_default()
        }
        Cell::Count(maps) => {
            let count =
                |key: &&str| value.get(*key).and_then(Value::as_object).map_or(0, serde_json::Map::len);
            json!(maps.iter().map(count).sum::<usize>())
        }
        Cell::Number(pointer, least) => {
            json!(value.pointer(pointer).and_then(Value::as_i64).unwrap_or(least))
        }
        Cell::Message => json!(text("/message").unwrap_or_default().trim()),
        Cell::Source => {
            let parts =
                ["/source/component", "/source/host"].map(|pointer| text(pointer).unwrap_or_default());
            let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            json!(parts.join(", "))
        }
        Cell::Involved => {
            let kind = object::text(value, &["involvedObject", "kind"]).to_ascii_lowercase();
            let name = object::text(value, &["involvedObject", "name"]);
            json!(if name.is_empty() { kind } else { format!("{kind}/{name}") })
        }
        Cell::Age(pointer) => {
            let time =
                text(pointer).or_else(|| (pointer == "/lastTimestamp").then(|| text("/eventTime")).flatten());
            let time = time.and_then(|time| time.parse::<Timestamp>().ok());
            match time {
                Some(time) => json!(age((now - time).get_seconds())),
                // A run that has not ended has no completion time; kubectl prints nothing for it.
                None if pointer.starts_with("/status") => Value::Null,
                None => json!("<unknown>"),
            }
        }
    }
}

/// A duration as `kubectl` prints ages (apimachinery, `duration.HumanDuration`).
fn age(seconds: i64) -> String {
    let mut out = String::new();
    let two = |out: &mut String, big: i64, unit: char, small: i64, small_unit: char| {
        let _ = write!(out, "{big}{unit}");
        if small != 0 {
            let _ = write!(out, "{small}{small_unit}");
        }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match seconds {
        ..-1 => out.push_str("<invalid>"),
        -1..1 => out.push_str("0s"),
        1..120 => two(&mut out, seconds, 's', 0, ' '),
        120..600 => two(&mut out, minutes, 'm', seconds % 60, 's'),
        600..10_800 => two(&mut out, minutes, 'm', 0, ' '),
        10_800..28_800 => two(&mut out, hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => two(&mut out, hours, 'h', 0, ' '),
        172_800..691_200 => two(&mut out, days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => two(&mut out, days, 'd', 0, ' '),
        63_072_000..252_288_000 => two(&mut out, years, 'y', days % 365, 'd'),
        _ => two(&mut out, years, 'y', 0, ' '),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_printed_like_kubectl_prints_them() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (130, "2m10s"),
            (601, "10m"),
            (10_860, "3h1m"),
            (30_000, "8h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (63_158_400, "2y1d"),
        ] {
            assert_eq!(age(seconds), text, "{seconds}");
        }
    }
}
