//! A tree whose string leaves are templates, and the refusal of templates that would decide more than a value.

use handlebars::Context;
use serde_json::{Map, Value};

use super::Compiler;
use super::place::{OPEN, Place};
use crate::expression::template::context::Uses;
use crate::expression::template::{Dollar, Leaf, LeafError, is_template, size};
use crate::mapping::document::Text;
use crate::mapping::document::tree::{Entry, Kind, Node};

const MAX_DEPTH: usize = 40;
/// The most bytes that the templates of one tree give together.
const MAX_TREE: usize = 1024 * 1024;
/// The key that permits templates in the other fields of its map.
const PERMIT: &str = "unsafe";

/// A value in which some strings are templates.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// No template in it.
    Literal(Value),
    Leaf(Box<Leaf>),
    /// A template that must give the full id of a commit.
    Commit(Box<Leaf>),
    List(Vec<Shape>),
    Map(Vec<(String, Shape)>),
}

/// Where a tree is being compiled.
#[derive(Clone, Copy)]
struct Here<'a> {
    dollar: Dollar,
    place: &'static Place,
    /// The value of a resolver's `revision`.
    is_revision: bool,
    /// The map around has `unsafe: true`.
    permitted: bool,
    path: &'a str,
    /// The field that the value stands in.
    field: &'a str,
    depth: usize,
}

// === impl Shape ===

impl Shape {
    /// The value for one event; an error names its place below `place`.
    pub(crate) fn render(&self, context: &Context, place: &str) -> Result<Value, (String, LeafError)> {
        self.render_within(&mut { MAX_TREE }, context, place)
    }

    /// The same, of at most `left` bytes.
    fn render_within(
        &self,
        left: &mut usize,
        context: &Context,
        place: &str,
    ) -> Result<Value, (String, LeafError)> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Leaf(leaf) | Self::Commit(leaf) => {
                let value = leaf.render(context).map_err(|error| (place.to_owned(), error))?;
                if matches!(self, Self::Commit(_)) && !value.as_str().is_some_and(is_commit) {
                    return Err((place.to_owned(), LeafError::NotACommit(shown(&value))));
                }
                *left = left
                    .checked_sub(size(&value))
                    .ok_or_else(|| (place.to_owned(), LeafError::TooMuch(MAX_TREE)))?;
                Ok(value)
            }
            Self::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    list.push(item.render_within(left, context, &format!("{place}[{index}]"))?);
                }
                Ok(Value::Array(list))
            }
            Self::Map(members) => {
                let mut map = Map::new();
                for (name, member) in members {
                    let value = member.render_within(left, context, &format!("{place}.{name}"))?;
                    map.insert(name.clone(), value);
                }
                Ok(Value::Object(map))
            }
        }
    }
}

impl Compiler<'_> {
    /// Compiles the string leaves below `node`, which may all be templates.
    pub(super) fn content(&mut self, node: &Node, uses: &mut Uses) -> Option<Shape> {
        self.shape(node, "content", Dollar::Keep, &OPEN, uses)
    }

    /// Compiles the string leaves below `node`; templates where `place` has none are refused.
    pub(super) fn shape(
        &mut self,
        node: &Node,
        path: &str,
        dollar: Dollar,
        place: &'static Place,
        uses: &mut Uses,
    ) -> Option<Shape> {
        let here = Here { dollar, place, is_revision: false, permitted: false, path, field: path, depth: 0 };
        self.tree(node, here, uses)
    }

    fn tree(&mut self, node: &Node, here: Here<'_>, uses: &mut Uses) -> Option<Shape> {
        if here.depth > MAX_DEPTH {
            self.error("too-deep", node.span.clone(), "the template is nested too deeply", "");
            return None;
        }
        if let Some(text) = Text::new(node) {
            self.warn_of_variables(&text);
        }
        match &node.kind {
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => Some(Shape::Literal(node.to_json())),
            Kind::String(text) if !is_template(text) => Some(Shape::Literal(Value::String(text.clone()))),
            Kind::String(text) => {
                let is_free = here.permitted || here.place.is_open();
                // More than the expressions cannot be the id of a commit.
                let is_commit = here.is_revision && text.starts_with("{{") && text.ends_with("}}");
                if !is_free && !is_commit {
                    let hint = hint(here);
                    self.forbidden(node, here.path, &hint);
                    return None;
                }
                let leaf = Box::new(self.leaf(&Text::new(node)?, here.dollar, uses)?);
                Some(if is_free { Shape::Leaf(leaf) } else { Shape::Commit(leaf) })
            }
            Kind::List(items) => {
                // Every item is compiled, so that every mistake is found.
                let shape = |(index, item): (usize, &Node)| {
                    let path = format!("{}[{index}]", here.path);
                    let is_revision = false;
                    self.tree(item, Here { path: &path, is_revision, depth: here.depth + 1, ..here }, uses)
                };
                let shapes: Vec<Option<Shape>> = items.iter().enumerate().map(shape).collect();
                Some(merge_list(shapes.into_iter().collect::<Option<Vec<Shape>>>()?))
            }
            Kind::Map(entries) => self.map(entries, here, uses),
        }
    }

    fn map(&mut self, entries: &[Entry], here: Here<'_>, uses: &mut Uses) -> Option<Shape> {
        let permit = entries.iter().find(|entry| is_permit(entry) && !here.place.is_data());
        let names_revision = matches!(here.place, Place::ResolverParams)
            && entries.iter().any(|it| it.key.text == "name" && it.value.as_str() == Some("revision"));
        let mut shapes = Vec::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            let name = entry.key.text.as_str();
            if entries[..index].iter().any(|earlier| earlier.key.text == name) {
                let message = format!("`{name}` stands here twice");
                self.error("duplicate-key", entry.key.span.clone(), message, "keep one of the two");
            }
            if name == PERMIT && !here.place.is_data() {
                if !is_permit(entry) {
                    let message = format!("`{PERMIT}` can only be `true`");
                    self.error("wrong-value", entry.value.span.clone(), message, "remove the line");
                }
                continue;
            }
            if is_template(name) {
                self.template_key(entry);
            }
            let below = Here {
                place: here.place.field(name),
                is_revision: names_revision && name == "value",
                permitted: permit.is_some(),
                path: &format!("{}.{name}", here.path),
                field: name,
                depth: here.depth + 1,
                ..here
            };
            let shape = self.tree(&entry.value, below, uses);
            shapes.push(shape.map(|shape| (entry.key.text.clone(), shape)));
        }
        if let Some(permit) = permit
            && !entries.iter().any(|entry| needs_permit(&entry.value, here.place.field(&entry.key.text)))
        {
            let message = format!(
                "`{PERMIT}: true` permits nothing here: no other field of this map has a template that needs it"
            );
            let hint = "remove the line, or put it into the map that holds the field itself";
            self.place.warning("needless-unsafe", permit.key.span.clone(), message, hint);
        }
        Some(merge_map(shapes.into_iter().collect::<Option<Vec<_>>>()?))
    }

    pub(super) fn forbidden(&mut self, node: &Node, path: &str, hint: &str) {
        let offset = node.as_str().and_then(|text| text.find("{{")).unwrap_or(0);
        let start = node.place(self.place.text, offset);
        self.error(
            "forbidden-template",
            start..node.span.end.max(start),
            format!("a template cannot stand in `{path}`: whoever sends the event would decide what is run, or with whose rights"),
            hint,
        );
    }
}

/// Whether an entry is the one that permits templates beside it.
pub(super) fn is_permit(entry: &Entry) -> bool {
    entry.key.text == PERMIT && matches!(entry.value.kind, Kind::Bool(true))
}

/// Whether a value has templates of its own, not those of maps in it, where none may stand.
fn needs_permit(node: &Node, place: &'static Place) -> bool {
    match &node.kind {
        Kind::String(text) => is_template(text) && !place.is_open(),
        Kind::List(items) => items.iter().any(|item| needs_permit(item, place)),
        _ => false,
    }
}

fn hint(here: Here<'_>) -> String {
    let field = here.field;
    let permit = format!("`unsafe: true` beside `{field}`, in the same map, permits it");
    if here.path.contains("Ref.params") || here.path.contains(".ref.params") {
        format!(
            "of a resolver's params only `revision` may be a template, alone in its text, and must give the full id of a commit; {permit}"
        )
    } else {
        format!(
            "pass the value as a param and read it from an environment variable; if you trust every sender with this, {permit}"
        )
    }
}

/// Whether a text is the full id of a commit: a SHA-1 or a SHA-256.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().take(80).collect()
}

/// A list without templates is a literal.
fn merge_list(shapes: Vec<Shape>) -> Shape {
    let literal = |shape: &Shape| match shape {
        Shape::Literal(value) => Some(value.clone()),
        _ => None,
    };
    match shapes.iter().map(literal).collect::<Option<Vec<Value>>>() {
        Some(values) => Shape::Literal(Value::Array(values)),
        None => Shape::List(shapes),
    }
}

fn merge_map(shapes: Vec<(String, Shape)>) -> Shape {
    let literal = |(name, shape): &(String, Shape)| match shape {
        Shape::Literal(value) => Some((name.clone(), value.clone())),
        _ => None,
    };
    match shapes.iter().map(literal).collect::<Option<Map<String, Value>>>() {
        Some(values) => Shape::Literal(Value::Object(values)),
        None => Shape::Map(shapes),
    }
}
