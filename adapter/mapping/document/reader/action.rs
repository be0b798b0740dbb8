//! Reads `do`.

use super::{Place, attributes};
use crate::mapping::document::tree::{Kind, Node};
use crate::mapping::document::{Action, ActionKind, Emit};

/// Kinds of actions that are to come and cannot be planned yet.
const LATER_ACTIONS: [&str; 6] = ["customRun", "apply", "strategy", "status", "comment", "cancel"];

/// Attributes that an emitted event has in any case, or that its other fields give.
const TAKEN: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "correlationid",
    "causationid",
];

pub(super) fn list(place: &mut Place<'_>, node: &Node) -> Vec<Action> {
    let items = place.list(node, "`do`");
    if items.is_empty() && matches!(node.kind, Kind::List(_)) {
        place.error("empty-value", node.span.clone(), "`do` must not be empty".to_owned(), "");
    }
    let mut actions: Vec<Action> = Vec::new();
    for item in items {
        let Some(action) = action(place, item) else { continue };
        if actions.iter().any(|earlier| *earlier.name == *action.name) {
            place.error(
                "duplicate-name",
                action.name.span(),
                format!("two actions are called `{}`", &*action.name),
                "the name is part of the run's identity: give each its own",
            );
        }
        actions.push(action);
    }
    actions
}

fn action(place: &mut Place<'_>, node: &Node) -> Option<Action> {
    let known = ["name", "when", "pipelineRun", "emit"];
    let entries = place.fields_and(node, "an action", &known, &LATER_ACTIONS)?;
    let name = place
        .required(node, "an action", "name", "the name is part of the run's identity")
        .and_then(|name| place.string(name, "the action's `name`"));
    if let Some(name) = &name {
        place.label(name, "the action's name");
    }
    let when = node.get("when").and_then(|when| place.string(when, "`when`"));
    let mut later = false;
    for entry in entries.iter().filter(|entry| LATER_ACTIONS.contains(&entry.key.text.as_str())) {
        later = true;
        place.error(
            "not-supported",
            entry.key.span.clone(),
            format!("the action `{}` is not supported yet", entry.key.text),
            "use `pipelineRun` or `emit`",
        );
    }
    let kind = match (node.get("pipelineRun"), node.get("emit")) {
        (Some(run), None) => Some(ActionKind::PipelineRun(run.clone())),
        (None, Some(emit)) => emit_kind(place, emit),
        (None, None) if later => None,
        (None, None) => {
            let message = "an action needs something to do".to_owned();
            place.error(
                "one-action",
                node.span.start..node.span.start,
                message,
                "add `pipelineRun:` or `emit:`",
            );
            None
        }
        (Some(_), Some(_)) => {
            place.error(
                "one-action",
                node.span.start..node.span.start,
                "an action has exactly one of `pipelineRun` and `emit`, not both".to_owned(),
                "write one list item for each",
            );
            None
        }
    };
    Some(Action { name: name?, when, kind: kind? })
}

fn emit_kind(place: &mut Place<'_>, node: &Node) -> Option<ActionKind> {
    let known = [
        "type",
        "to",
        "subject",
        "source",
        "id",
        "time",
        "chainId",
        "links",
        "extensions",
        "content",
        "customData",
        "forward",
    ];
    let entries = place.fields(node, "`emit`", &known)?;
    let to = node.get("to").and_then(|to| place.string(to, "`to`"));
    if node.get("forward").is_some_and(|flag| place.flag(flag, "`forward`")) {
        for entry in entries.iter().filter(|entry| !["forward", "to"].contains(&entry.key.text.as_str())) {
            place.error(
                "contradiction",
                entry.key.span.clone(),
                format!("`{}` cannot stand beside `forward: true`", entry.key.text),
                "a forwarded event is passed on unchanged",
            );
        }
        place.required(node, "`emit` with `forward`", "to", "name the sink to pass the event on to");
        return Some(ActionKind::Forward { to: to?, span: node.span.clone() });
    }
    let ty = place
        .required(node, "`emit`", "type", "such as `dev.cdeventsx.pipewright-build.requested.0.1.0`")
        .and_then(|ty| place.string(ty, "`type`"));
    let extensions =
        node.get("extensions").map(|it| attributes(place, it, "`extensions`")).unwrap_or_default();
    for (name, value) in extensions.iter().filter(|(name, _)| TAKEN.contains(&name.as_str())) {
        place.error(
            "invalid-attribute",
            value.span(),
            format!("`{name}` cannot be one of `extensions`"),
            "it is computed, or has a field of its own in `emit`",
        );
    }
    let mut text = |name: &str| node.get(name).and_then(|text| place.string(text, &format!("`{name}`")));
    Some(ActionKind::Emit(Box::new(Emit {
        ty: ty?,
        to,
        subject: text("subject"),
        source: text("source"),
        id: text("id"),
        time: text("time"),
        chain_id: text("chainId"),
        links: node.get("links").cloned(),
        extensions,
        content: node.get("content").cloned(),
        custom_data: node.get("customData").cloned(),
    })))
}
