//! The `pipelineRun` of an action: a tree whose string leaves are templates, and what is refused in it.

use serde_json::Value;

use super::Compiler;
use super::place::{self, OPEN};
use super::shape::{Shape, is_permit};
use super::verdict;
use crate::diagnostic::did_you_mean;
use crate::event::name::is_dns_label;
use crate::expression::template::context::Uses;
use crate::expression::template::{Dollar, is_template};
use crate::expression::words;
use crate::mapping::document::tree::{Entry, Kind, Node};

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

/// A compiled `pipelineRun`.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Vec<(String, Shape)>,
    pub(crate) annotations: Vec<(String, Shape)>,
    pub(crate) spec: Shape,
    pub(crate) uses: Uses,
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
            if !is_permit(entry) {
                self.known_field(entry, "the spec of a PipelineRun", &SPEC);
            }
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
        let shape = self.shape(spec, "spec", Dollar::Part, &place::RUN, &mut uses);
        // What is wrong with a template says nothing of the rest.
        let sample = shape.as_ref().map_or_else(|| verdict::sample_of(spec), Shape::sampled);
        self.check_run(spec, sample, shape.is_none());
        run.spec = shape?;
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
                self.forbidden(
                    node,
                    "metadata.namespace",
                    "write the name of one namespace, and one action for each",
                );
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
            if let Some(shape) = self.shape(&entry.value, &key.text, Dollar::Part, &OPEN, uses) {
                pairs.push((key.text.clone(), shape));
            }
        }
        pairs
    }

    pub(super) fn template_key(&mut self, entry: &Entry) {
        let message = format!("a template cannot be a key: `{}`", entry.key.text);
        self.error("template-key", entry.key.span.clone(), message, "data may fill in values only");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pairs {
    Labels,
    Annotations,
}
