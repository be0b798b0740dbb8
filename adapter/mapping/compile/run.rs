//! The `pipelineRun` of an action: a tree whose string leaves are templates, and what is refused in it.

use handlebars::Context;
use serde_json::{Map, Value};

use super::Compiler;
use crate::diagnostic::did_you_mean;
use crate::mapping::document::tree::{Entry, Kind, Node};
use crate::mapping::document::{Text, is_dns_label};
use crate::mapping::template::context::Uses;
use crate::mapping::template::{Dollar, Leaf, LeafError, is_template, size};
use crate::mapping::words;

/// Fields whose text is run, or decides with whose rights it is run.
const FORBIDDEN: [&str; 7] =
    ["script", "command", "args", "image", "serviceAccountName", "namespace", "podTemplate"];
/// Fields of a PipelineRun's spec (Tekton v1).
const SPEC: [&str; 9] = [
    "pipelineRef",
    "pipelineSpec",
    "params",
    "status",
    "timeouts",
    "taskRunTemplate",
    "taskRunSpecs",
    "workspaces",
    "managedBy",
];
const MAX_DEPTH: usize = 40;
/// The most bytes that the templates of one tree give together.
const MAX_TREE: usize = 1024 * 1024;

/// A compiled `pipelineRun`.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Vec<(String, Shape)>,
    pub(crate) annotations: Vec<(String, Shape)>,
    pub(crate) spec: Shape,
    pub(crate) uses: Uses,
}

/// A value in which some strings are templates.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// No template in it.
    Literal(Value),
    Leaf(Box<Leaf>),
    List(Vec<Shape>),
    Map(Vec<(String, Shape)>),
}

/// Whether templates may stand at a place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Templates<'a> {
    Allowed,
    /// Below this field they may not.
    Forbidden(&'a str),
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
            Self::Leaf(leaf) => {
                let value = leaf.render(context).map_err(|error| (place.to_owned(), error))?;
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
    pub(super) fn run(&mut self, node: &Node) -> Option<Run> {
        let Some(entries) = node.entries() else {
            self.error(
                "wrong-type",
                node.span.clone(),
                format!("`pipelineRun` must be a map, not {}", node.kind_name()),
                "",
            );
            return None;
        };
        for entry in entries {
            self.known_field(entry, "`pipelineRun`", &["apiVersion", "kind", "metadata", "spec"]);
        }
        for (name, wanted) in [("apiVersion", "tekton.dev/v1"), ("kind", "PipelineRun")] {
            if let Some(value) = node.get(name)
                && value.as_str() != Some(wanted)
            {
                let message = format!("`{name}` must be `{wanted}`");
                self.error("wrong-value", value.span.clone(), message, "the line may be left out");
            }
        }
        let mut uses = Uses::default();
        let mut run = Run {
            namespace: None,
            labels: Vec::new(),
            annotations: Vec::new(),
            spec: Shape::Literal(Value::Null),
            uses: Uses::default(),
        };
        if let Some(metadata) = node.get("metadata") {
            self.metadata(metadata, &mut run, &mut uses);
        }
        self.limit_namespace(node, &mut run);
        let Some(spec) = node.get("spec") else {
            self.error(
                "missing-field",
                node.span.start..node.span.start,
                "`pipelineRun` needs `spec`",
                "such as `spec: {pipelineRef: {name: build}}`",
            );
            return None;
        };
        let Some(fields) = spec.entries() else {
            self.error(
                "wrong-type",
                spec.span.clone(),
                format!("`spec` must be a map, not {}", spec.kind_name()),
                "",
            );
            return None;
        };
        for entry in fields {
            self.known_field(entry, "the spec of a PipelineRun", &SPEC);
        }
        let sources =
            fields.iter().filter(|e| ["pipelineRef", "pipelineSpec"].contains(&e.key.text.as_str()));
        if sources.count() != 1 {
            self.error(
                "one-pipeline",
                spec.span.start..spec.span.start,
                "a PipelineRun needs exactly one of `pipelineRef` and `pipelineSpec`",
                "such as `pipelineRef: {name: build}`",
            );
        }
        run.spec = self.shape(spec, Dollar::Part, Templates::Allowed, 0, &mut uses)?;
        self.check_run(spec, &run.spec);
        run.uses = uses;
        Some(run)
    }

    fn known_field(&mut self, entry: &Entry, what: &str, known: &[&str]) {
        let name = entry.key.text.as_str();
        if known.contains(&name) {
            return;
        }
        let hint = match name {
            "serviceAccountName" | "podTemplate" => format!("in Tekton v1 it is `taskRunTemplate.{name}`"),
            "timeout" => "in Tekton v1 it is `timeouts: {pipeline: 1h}`".to_owned(),
            _ => did_you_mean(name, known.iter().copied()).map_or_else(
                || format!("{what} knows: {}", known.join(", ")),
                |near| format!("did you mean `{near}`?"),
            ),
        };
        self.error(
            "unknown-field",
            entry.key.span.clone(),
            format!("unknown field `{name}` in {what}"),
            &hint,
        );
    }

    fn metadata(&mut self, node: &Node, run: &mut Run, uses: &mut Uses) {
        let Some(entries) = node.entries() else {
            self.error(
                "wrong-type",
                node.span.clone(),
                format!("`metadata` must be a map, not {}", node.kind_name()),
                "",
            );
            return;
        };
        for entry in entries {
            match entry.key.text.as_str() {
                "name" | "generateName" => self.error(
                    "computed-name",
                    entry.key.span.clone(),
                    format!("`{}` cannot be set: names are computed", entry.key.text),
                    "remove the line: the name is computed from the event, the mapping and the action, so that a redelivery makes no second run",
                ),
                "namespace" => run.namespace = self.namespace(&entry.value),
                "labels" => run.labels = self.pairs(&entry.value, Pairs::Labels, uses),
                "annotations" => run.annotations = self.pairs(&entry.value, Pairs::Annotations, uses),
                _ => self.known_field(entry, "`metadata`", &["namespace", "labels", "annotations"]),
            }
        }
    }

    /// Holds the run to the namespaces of the folder that the mapping lies in.
    fn limit_namespace(&mut self, node: &Node, run: &mut Run) {
        if self.catalog.folders.is_empty() {
            return;
        }
        let file = self.place.file;
        let written = node.get("metadata").and_then(|metadata| metadata.get("namespace"));
        let span = written.map_or(node.span.start..node.span.start, |node| node.span.clone());
        let namespace = match (&run.namespace, written, self.catalog.namespace_of(file)) {
            (Some(namespace), ..) => namespace.clone(),
            // What is written there has been told to be wrong.
            (None, Some(_), _) => return,
            (None, None, Ok(namespace)) => namespace,
            (None, None, Err(folder)) => {
                let message = format!("the run needs a `namespace`: mappings of {}", folder.shown());
                return self.error("missing-namespace", span, message, "write `metadata: {namespace: …}`");
            }
        };
        if let Some(folder) = self.catalog.forbids(file, &namespace) {
            let message =
                format!("this mapping may not create in `{namespace}`: mappings of {}", folder.shown());
            return self.error(
                "foreign-namespace",
                span,
                message,
                "ask whoever keeps `mappings` of the settings",
            );
        }
        run.namespace = Some(namespace);
    }

    fn namespace(&mut self, node: &Node) -> Option<String> {
        match node.as_str() {
            Some(name) if is_template(name) => {
                self.forbidden(node, "namespace");
                None
            }
            Some(name) if is_dns_label(name) => Some(name.to_owned()),
            _ => {
                self.error(
                    "invalid-name",
                    node.span.clone(),
                    "`namespace` must be the name of a namespace",
                    "",
                );
                None
            }
        }
    }

    fn pairs(&mut self, node: &Node, which: Pairs, uses: &mut Uses) -> Vec<(String, Shape)> {
        let (what, one) = match which {
            Pairs::Labels => ("`labels`", "label"),
            Pairs::Annotations => ("`annotations`", "annotation"),
        };
        let Some(entries) = node.entries() else {
            self.error(
                "wrong-type",
                node.span.clone(),
                format!("{what} must be a map, not {}", node.kind_name()),
                "",
            );
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for entry in entries {
            let key = &entry.key;
            if is_template(&key.text) {
                self.template_key(entry);
            } else if !words::is_label_key(&key.text) {
                let message = format!("`{}` cannot be the key of a {one}", key.text);
                self.error("invalid-key", key.span.clone(), message, "such as `team` or `example.com/team`");
            } else if key.text.starts_with("pipewright.dev/") {
                let message = format!("`{}` is set by pipewright", key.text);
                self.error("reserved-key", key.span.clone(), message, "use a domain of your own");
            }
            if !matches!(entry.value.kind, Kind::String(_)) {
                let message =
                    format!("the value of a {one} must be a string, not {}", entry.value.kind_name());
                self.error("wrong-type", entry.value.span.clone(), message, "put the value in quotes");
                continue;
            }
            if let Some(text) = entry.value.as_str()
                && which == Pairs::Labels
                && !is_template(text)
                && !words::is_label_value(text)
            {
                let hint =
                    "use at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit first and last";
                let message = format!("`{text}` cannot be the value of a label");
                self.error("invalid-label", entry.value.span.clone(), message, hint);
            }
            if let Some(shape) = self.shape(&entry.value, Dollar::Part, Templates::Allowed, 0, uses) {
                pairs.push((key.text.clone(), shape));
            }
        }
        pairs
    }

    /// Compiles the string leaves below `node`.
    pub(super) fn content(&mut self, node: &Node, uses: &mut Uses) -> Option<Shape> {
        self.shape(node, Dollar::Keep, Templates::Allowed, 0, uses)
    }

    fn shape(
        &mut self,
        node: &Node,
        dollar: Dollar,
        templates: Templates<'_>,
        depth: usize,
        uses: &mut Uses,
    ) -> Option<Shape> {
        if depth > MAX_DEPTH {
            self.error("too-deep", node.span.clone(), "the template is nested too deeply", "");
            return None;
        }
        match &node.kind {
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => Some(Shape::Literal(node.to_json())),
            Kind::String(text) if !is_template(text) => Some(Shape::Literal(Value::String(text.clone()))),
            Kind::String(_) => {
                if let Templates::Forbidden(field) = templates {
                    self.forbidden(node, field);
                    return None;
                }
                let text = Text::new(node)?;
                self.leaf(&text, dollar, uses).map(|leaf| Shape::Leaf(Box::new(leaf)))
            }
            Kind::List(items) => {
                // Every item is compiled, so that every mistake is found.
                let shapes: Vec<Option<Shape>> =
                    items.iter().map(|item| self.shape(item, dollar, templates, depth + 1, uses)).collect();
                Some(merge_list(shapes.into_iter().collect::<Option<Vec<Shape>>>()?))
            }
            Kind::Map(entries) => {
                let guarded = dollar == Dollar::Part
                    && entries.iter().any(|entry| FORBIDDEN.contains(&entry.key.text.as_str()));
                let permit = guarded && entries.iter().any(is_permit);
                let mut shapes = Vec::with_capacity(entries.len());
                for (index, entry) in entries.iter().enumerate() {
                    if permit && is_permit(entry) {
                        continue;
                    }
                    let name = entry.key.text.as_str();
                    if entries[..index].iter().any(|earlier| earlier.key.text == name) {
                        let message = format!("`{name}` stands here twice");
                        self.error("duplicate-key", entry.key.span.clone(), message, "keep one of the two");
                    }
                    if is_template(name) {
                        self.template_key(entry);
                    }
                    let below = match templates {
                        _ if permit && FORBIDDEN.contains(&name) => Templates::Allowed,
                        Templates::Forbidden(field) => Templates::Forbidden(field),
                        Templates::Allowed if guarded && FORBIDDEN.contains(&name) => {
                            Templates::Forbidden(name)
                        }
                        Templates::Allowed => Templates::Allowed,
                    };
                    let shape = self.shape(&entry.value, dollar, below, depth + 1, uses);
                    shapes.push(shape.map(|shape| (entry.key.text.clone(), shape)));
                }
                Some(merge_map(shapes.into_iter().collect::<Option<Vec<_>>>()?))
            }
        }
    }

    fn forbidden(&mut self, node: &Node, field: &str) {
        let offset = node.as_str().and_then(|text| text.find("{{")).unwrap_or(0);
        let start = node.place(self.place.text, offset);
        self.error(
            "forbidden-template",
            start..node.span.end.max(start),
            format!("a template cannot stand in `{field}`: whoever sends the event would decide what is run"),
            if field == "namespace" {
                "write the name of one namespace"
            } else {
                "pass the value as a param and read it from an environment variable, or write `unsafe: true` beside the field"
            },
        );
    }

    fn template_key(&mut self, entry: &Entry) {
        let message = format!("a template cannot be a key: `{}`", entry.key.text);
        self.error("template-key", entry.key.span.clone(), message, "data may fill in values only");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pairs {
    Labels,
    Annotations,
}

fn is_permit(entry: &Entry) -> bool {
    entry.key.text == "unsafe" && matches!(entry.value.kind, Kind::Bool(true))
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
