//! Reads `examples`.

use super::Place;
use crate::mapping::document::tree::{Kind, Node};
use crate::mapping::document::{Example, Given};

pub(super) fn list(place: &mut Place<'_>, node: &Node) -> Vec<Example> {
    place.list(node, "`examples`").iter().filter_map(|item| example(place, item)).collect()
}

fn example(place: &mut Place<'_>, node: &Node) -> Option<Example> {
    place.fields(node, "an example", &["name", "given", "expect"])?;
    let name = place
        .required(node, "an example", "name", "say in a sentence what it shows")
        .and_then(|name| place.string(name, "the example's `name`"));
    let given = place
        .required(node, "an example", "given", "say which event comes in")
        .and_then(|node| given(place, node));
    let expect = place.required(node, "an example", "expect", "write `expect: []` when nothing is done");
    let expect = expectations(place, expect?);
    Some(Example { name: name?, given: given?, expect })
}

fn expectations(place: &mut Place<'_>, node: &Node) -> Vec<serde_json::Value> {
    let mut found = Vec::new();
    for item in place.list(node, "`expect`") {
        if place.fields(item, "an expectation", &["action", "pipelineRun", "emit"]).is_some() {
            found.push(item.to_json());
        }
    }
    found
}

fn given(place: &mut Place<'_>, node: &Node) -> Option<Given> {
    place.fields(node, "`given`", &["source", "forge", "event", "body", "cloudEvent"])?;
    if let Some(event) = node.get("cloudEvent") {
        let others = ["forge", "event", "body"];
        if others.into_iter().any(|name| node.get(name).is_some()) {
            place.error(
                "contradiction",
                node.span.clone(),
                "`given` is either a `cloudEvent` or a webhook with `source`, `event` and `body`".to_owned(),
                "remove one of the two",
            );
        }
        let source = match node.get("source") {
            Some(source) => Some(place.string(source, "`source`")?),
            None => None,
        };
        return match &event.kind {
            Kind::Map(_) => Some(Given::Inline { source, event: event.to_json() }),
            _ => place.string(event, "`cloudEvent`").map(|file| Given::File { source, file }),
        };
    }
    let mut field = |name: &str, hint: &str| {
        place
            .required(node, "`given`", name, hint)
            .and_then(|value| place.string(value, &format!("`{name}`")))
    };
    let source = field("source", "the source, such as `github`: each forge has one of its name");
    let event = field("event", "the forge's name of the event, such as `pull_request`");
    let body = field("body", "a file beside this one that holds the payload");
    let forge = match node.get("forge") {
        Some(forge) => Some(place.string(forge, "`forge`")?),
        None => None,
    };
    Some(Given::Webhook { source: source?, forge, event: event?, body: body? })
}
