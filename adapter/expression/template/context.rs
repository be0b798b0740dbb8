//! What templates see, cut down to what they refer to.

use std::collections::BTreeSet;

use handlebars::Context;
use serde_json::{Map, Value};

use super::OWN_DOLLAR;
use crate::event::Event;
use crate::expression::{budget, number, view};

/// The longest path that is followed; what lies below is copied whole.
const MAX_PATH: usize = 8;

/// What a group of templates refers to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    names: BTreeSet<String>,
    event: BTreeSet<Vec<String>>,
    all_vars: bool,
    config: bool,
}

// === impl Uses ===

impl Uses {
    /// Notes a path of names from the root.
    pub(crate) fn note(&mut self, path: &[String]) {
        match path {
            [root, rest @ ..] if root == "event" => {
                self.event.insert(rest.iter().take(MAX_PATH).cloned().collect());
            }
            [root, name, ..] if root == "vars" => {
                self.names.insert(name.clone());
            }
            [root] if root == "vars" => self.all_vars = true,
            [root, ..] if root == "config" => self.config = true,
            [name, ..] => {
                self.names.insert(name.clone());
            }
            [] => {}
        }
    }

    /// The context for one event: only what is referred to is copied.
    ///
    /// A `let` item that is null is left out, so that rendering it is an error and `{{#if}}` takes it for false.
    pub(crate) fn context(&self, event: &Event, vars: &Map<String, Value>, config: &Value) -> Context {
        let mut root = Map::new();
        let mut all = Map::new();
        for (name, value) in vars {
            if !value.is_null() && (self.all_vars || self.names.contains(name)) {
                let value = clean(value.clone());
                root.insert(name.clone(), value.clone());
                all.insert(name.clone(), value);
            }
        }
        root.insert("vars".to_owned(), Value::Object(all));
        if self.config {
            root.insert("config".to_owned(), clean(config.clone()));
        }
        if !self.event.is_empty() {
            root.insert("event".to_owned(), self.event(event));
        }
        let root = Value::Object(root);
        budget::begin_part();
        // Without steps left the first leaf says so.
        let _ = budget::copy(&root);
        let mut context = Context::null();
        *context.data_mut() = root;
        context
    }

    fn event(&self, event: &Event) -> Value {
        let mut root = Map::new();
        for path in &self.event {
            let Some((name, rest)) = path.split_first() else {
                return clean(view::event_json(event));
            };
            if name == "data"
                && let Some(tree) = event.tree()
            {
                graft(root.entry("data").or_insert(Value::Null), tree, rest);
            } else if let Some(value) = view::member(event, name) {
                root.insert(name.clone(), clean(value));
            }
        }
        Value::Object(root)
    }
}

/// Copies what `path` leads to from `source` to the same place in `target`.
fn graft(target: &mut Value, source: &Value, path: &[String]) {
    match (source, path.split_first()) {
        (Value::Object(members), Some((name, rest))) => {
            if target.is_null() {
                *target = Value::Object(Map::new());
            }
            if let (Value::Object(copy), Some(member)) = (target, members.get(name)) {
                graft(copy.entry(name.clone()).or_insert(Value::Null), member, rest);
            }
        }
        // A path through a list, or the end of the path: everything below.
        _ => *target = clean(source.clone()),
    }
}

/// Takes out of data the code point that stands for an author's own `$(`, and writes whole numbers as integers.
fn clean(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::String(text) => {
                if text.contains(OWN_DOLLAR) {
                    *text = text.replace(OWN_DOLLAR, "\u{FFFD}");
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Object(members) => {
                if members.keys().any(|key| key.contains(OWN_DOLLAR)) {
                    *members = std::mem::take(members)
                        .into_iter()
                        .map(|(key, value)| (key.replace(OWN_DOLLAR, "\u{FFFD}"), value))
                        .collect();
                }
                members.values_mut().for_each(walk);
            }
            Value::Number(_) => number::plain(value),
            Value::Null | Value::Bool(_) => {}
        }
    }
    walk(&mut value);
    value
}
