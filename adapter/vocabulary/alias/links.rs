//! Embedded links of `CDEvents` 0.4, which were written `like_this` for a while.

use serde_json::{Map, Value};

/// The links as 0.5.1 has them, and those that it would refuse.
///
/// A `START` is in neither: a chain's first event implies it.
pub fn current(old: &Value) -> (Vec<Value>, Vec<Value>) {
    let Value::Array(old) = old else {
        return (Vec::new(), if old.is_null() { Vec::new() } else { vec![old.clone()] });
    };
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for link in old {
        match link.as_object().map(camel) {
            Some(new) if new.get("linkType").is_some_and(|ty| ty == "START") => {}
            Some(new) if is_valid(&new) => kept.push(Value::Object(new)),
            _ => lost.push(link.clone()),
        }
    }
    (kept, lost)
}

/// `context.id` of the event that another one follows from by its links: its parent, or what triggered it.
pub fn cause(links: &[Value]) -> Option<&str> {
    let parent = links.iter().map(|link| &link["from"]).find(|from| !from.is_null());
    let trigger = || links.iter().find(|link| link["linkKind"] == "TRIGGER").map(|link| &link["target"]);
    parent.or_else(trigger)?["contextId"].as_str()
}

/// The same with the names of 0.5: `link_type` is `linkType`.
fn camel(link: &Map<String, Value>) -> Map<String, Value> {
    let mut new = Map::new();
    for (name, value) in link {
        let value = match value {
            Value::Object(end) if matches!(name.as_str(), "from" | "target") => Value::Object(camel(end)),
            value => value.clone(),
        };
        let name = match name.as_str() {
            "link_type" => "linkType",
            "link_kind" => "linkKind",
            "context_id" => "contextId",
            name => name,
        };
        new.insert(name.to_owned(), value);
    }
    new
}

/// Whether it is an embedded link (`CDEvents` 0.5.1, schemas/links).
fn is_valid(link: &Map<String, Value>) -> bool {
    let points = |end: &str| {
        let id = link.get(end).and_then(|end| end.get("contextId")).and_then(Value::as_str);
        id.is_some_and(|id| !id.is_empty())
    };
    let known: &[&str] = match link.get("linkType").and_then(Value::as_str) {
        Some("PATH") if points("from") => &["linkType", "from", "tags"],
        Some("END") if points("from") || !link.contains_key("from") => &["linkType", "from", "tags"],
        Some("RELATION") if points("target") && link.get("linkKind").is_some_and(is_text) => {
            &["linkType", "linkKind", "target", "tags"]
        }
        _ => return false,
    };
    link.keys().all(|name| known.contains(&name.as_str())) && link.get("tags").is_none_or(Value::is_object)
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}
