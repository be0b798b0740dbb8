//! `CDEvents` of 0.1 to 0.4 in the words of 0.5.1.

use serde_json::{Map, Value};

use super::links;
use crate::event::Event;
use crate::event::uri;
use crate::vocabulary::cdevent::{CAUSATION_ID, CORRELATION_ID};
use crate::vocabulary::outcome::Outcomes;
use crate::vocabulary::types::{self, Extra, Field, Kind, Presence, SPECVERSION, Type, check, fits};

/// The member of `customData` that holds what 0.5.1 has no place for.
const ORIGINAL: &str = "original";

/// A part of an event: what it is now, and what of it has no place any more.
#[derive(Default)]
struct Part {
    new: Map<String, Value>,
    lost: Map<String, Value>,
}

/// The event as 0.5.1 has it; `None` when it need not or cannot be put so.
///
/// `context.id` and the attributes `id` and `source` stay. What 0.5.1 refuses or says in another word is kept in
/// `customData.original`.
pub fn current(event: &Event, outcomes: &Outcomes) -> Option<Event> {
    let ty = old_type(event.ty())?;
    let tree = event.parse()?;
    let document = tree.as_object()?;
    let old_context = document.get("context")?.as_object()?;
    // 0.5 has `specversion` in its place, whatever version the type claims.
    let version = text(old_context, "version").filter(|_| !old_context.contains_key("specversion"))?;
    let old_name = text(old_context, "type").filter(|name| old_type(name).as_ref() == Some(&ty))?;
    let name = ty.to_string();
    let context = context(old_context, &name)?;
    let old_subject = document.get("subject")?.as_object()?;
    let subject = subject(old_subject)?;
    let told = content(old_subject, &ty, outcomes)?;

    let mut lost = Map::new();
    for (name, part) in [("context", context.lost), ("subject", subject.lost), ("content", told.lost)] {
        if !part.is_empty() {
            lost.insert(name.to_owned(), Value::Object(part));
        }
    }
    let known = ["context", "subject", "customData", "customDataContentType"];
    for (name, value) in document.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        lose(&mut lost, name, value);
    }
    let mut new_subject = subject.new;
    new_subject.insert("content".to_owned(), Value::Object(told.new));
    let mut new = Map::from_iter([("subject".to_owned(), Value::Object(new_subject))]);
    new.extend(custom_data(document, lost, version, old_name));
    let context = context.new;
    let schema = text(&context, "schemaUri").map_or_else(|| ty.schema(), str::to_owned);
    let chain = text(&context, "chainId").map(str::to_owned);
    let cause =
        context.get("links").and_then(Value::as_array).and_then(|it| links::cause(it)).map(str::to_owned);
    new.insert("context".to_owned(), Value::Object(context));

    let mut built = Event::builder(event.id(), event.source(), name)
        .subject(text(old_subject, "id")?)
        .time(text(old_context, "timestamp")?)
        .dataschema(schema)
        .json(serde_json::to_vec(&Value::Object(new)).ok()?);
    for (name, value) in event.extensions() {
        built = built.extension(name.as_str(), value.clone());
    }
    for (name, value) in [(CORRELATION_ID, chain), (CAUSATION_ID, cause)] {
        if let Some(value) = value {
            built = built.extension(name, value);
        }
    }
    built.build().ok()
}

fn context(old: &Map<String, Value>, ty: &str) -> Option<Part> {
    let mut part = Part::default();
    let source = text(old, "source").filter(|source| uri::is_reference(source))?;
    for (name, value) in [
        ("specversion", SPECVERSION),
        ("id", text(old, "id")?),
        ("source", source),
        ("type", ty),
        ("timestamp", text(old, "timestamp")?),
    ] {
        part.new.insert(name.to_owned(), value.into());
    }
    for (name, value) in old {
        match (name.as_str(), value.as_str()) {
            ("version" | "id" | "source" | "type" | "timestamp", _) => {}
            ("chainId" | "chain_id", Some(id)) if !id.is_empty() => {
                part.new.insert("chainId".to_owned(), id.into());
            }
            ("schemaUri", Some(uri)) if uri::is_absolute(uri) => {
                part.new.insert(name.clone(), uri.into());
            }
            ("links", _) => {
                let (kept, refused) = links::current(value);
                for (links, members) in [(kept, &mut part.new), (refused, &mut part.lost)] {
                    if !links.is_empty() {
                        members.insert(name.clone(), Value::Array(links));
                    }
                }
            }
            _ => lose(&mut part.lost, name, value),
        }
    }
    Some(part)
}

/// The subject without its content.
fn subject(old: &Map<String, Value>) -> Option<Part> {
    let mut part = Part::default();
    part.new.insert("id".to_owned(), text(old, "id")?.into());
    for (name, value) in old {
        match (name.as_str(), value.as_str()) {
            // What it is about, the event's type says.
            ("id" | "type" | "content", _) => {}
            ("source", Some(source)) if uri::is_reference(source) => {
                part.new.insert(name.clone(), source.into());
            }
            _ => lose(&mut part.lost, name, value),
        }
    }
    Some(part)
}

/// The content; `None` when what 0.5.1 requires is not there.
fn content(subject: &Map<String, Value>, ty: &Type, outcomes: &Outcomes) -> Option<Part> {
    let empty = Map::new();
    let old = match subject.get("content") {
        None | Some(Value::Null) => &empty,
        Some(content) => content.as_object()?,
    };
    let mut lost = Map::new();
    let new = match ty {
        Type::Standard(ty) => Rewriter { outcomes }.object(ty.fields, Extra::Refused, old, &mut lost),
        Type::Custom(_) => old.clone(),
    };
    let new = Value::Object(new);
    check(ty, &new).ok()?;
    let Value::Object(new) = new else { return None };
    Some(Part { new, lost })
}

/// The type that an older version of it, or a custom type of any version, is now.
fn old_type(name: &str) -> Option<Type> {
    if name.starts_with("dev.cdeventsx.") {
        return Type::parse(name).ok();
    }
    types::outdated(name).map(Type::from)
}

/// `customData` with what has no other place, and its content type.
fn custom_data(
    document: &Map<String, Value>,
    mut lost: Map<String, Value>,
    version: &str,
    ty: &str,
) -> Vec<(String, Value)> {
    let given = document.get("customData").filter(|data| !data.is_null());
    let media_type = document.get("customDataContentType").filter(|it| it.is_string());
    if lost.is_empty() && given.is_none_or(|data| data.is_object() || data.is_string()) {
        let members = [("customData", given), ("customDataContentType", media_type)];
        let found = |(name, value): (&str, Option<&Value>)| Some((name.to_owned(), value?.clone()));
        return members.into_iter().filter_map(found).collect();
    }
    lost.insert("specversion".to_owned(), version.into());
    lost.insert("type".to_owned(), ty.into());
    let mut data = match given {
        Some(Value::Object(data)) if !data.contains_key(ORIGINAL) => data.clone(),
        // Text, a list, or somebody else's member of our name: an object must be made of it.
        Some(other) => {
            lost.insert("customData".to_owned(), other.clone());
            lost.extend(media_type.map(|it| ("customDataContentType".to_owned(), it.clone())));
            Map::new()
        }
        None => Map::new(),
    };
    let media_type = media_type.filter(|_| matches!(given, Some(Value::Object(_))));
    data.insert(ORIGINAL.to_owned(), Value::Object(lost));
    let mut members = vec![("customData".to_owned(), Value::Object(data))];
    members.extend(media_type.map(|it| ("customDataContentType".to_owned(), it.clone())));
    members
}

/// Puts content into the fields that 0.5.1 has.
struct Rewriter<'a> {
    outcomes: &'a Outcomes,
}

// === impl Rewriter ===

impl Rewriter<'_> {
    /// The fields that may stay; the others go to `lost`.
    fn object(
        &self,
        fields: &[Field],
        extra: Extra,
        old: &Map<String, Value>,
        lost: &mut Map<String, Value>,
    ) -> Map<String, Value> {
        let mut new = Map::new();
        for (name, value) in old {
            let renamed = if name == "url" && !old.contains_key("uri") { "uri" } else { name };
            match fields.iter().find(|field| field.name == renamed) {
                Some(field) => match self.value(field, name, value, lost) {
                    Some(value) => {
                        new.insert(field.name.to_owned(), value);
                    }
                    None => lose(lost, name, value),
                },
                None if extra == Extra::Allowed => {
                    new.insert(name.clone(), value.clone());
                }
                None => lose(lost, name, value),
            }
        }
        new
    }

    /// The value that the field may have; `None` when there is none.
    fn value(&self, field: &Field, name: &str, old: &Value, lost: &mut Map<String, Value>) -> Option<Value> {
        let new = match (&field.kind, old) {
            (Kind::Object(fields, extra), Value::Object(members)) => {
                let mut refused = Map::new();
                let new = Value::Object(self.object(fields, *extra, members, &mut refused));
                // The whole of it is lost otherwise.
                if !refused.is_empty() && fits(&field.kind, &new) {
                    lost.insert(name.to_owned(), Value::Object(refused));
                }
                new
            }
            (_, Value::String(word)) if field.name == "outcome" && !word.is_empty() => {
                let is_current = ["success", "failure", "cancel", "error"].contains(&word.as_str());
                if !is_current {
                    lost.insert(name.to_owned(), old.clone());
                }
                Value::from(if is_current { word } else { self.outcomes.of_word(word).as_str() })
            }
            _ => old.clone(),
        };
        // An empty word of an optional field stands for none.
        let says_nothing = field.presence == Presence::Optional && new == "";
        (fits(&field.kind, &new) && !says_nothing).then_some(new)
    }
}

/// Keeps what has no place; what says nothing is no loss.
fn lose(lost: &mut Map<String, Value>, name: &str, value: &Value) {
    if !value.is_null() && value != "" {
        lost.insert(name.to_owned(), value.clone());
    }
}

/// A text that says something.
fn text<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    members.get(name)?.as_str().filter(|text| !text.is_empty())
}
