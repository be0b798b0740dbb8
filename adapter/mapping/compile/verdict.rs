//! What Tekton will say of a run, as far as it can be said before an event has come.

use std::ops::Range;

use serde_json::{Map, Value};

use super::shape::is_permit;
use super::{Compiler, Shape};
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::expression::template::is_template;
use crate::mapping::document::tree::{Kind, Node};
use crate::mapping::{params, place};
use pipewright_tekton::{self as tekton, UNKNOWN, known};

// === impl Shape ===

impl Shape {
    /// The value with marks in the place of templates.
    pub(super) fn sampled(&self) -> Value {
        self.sample(&mut 0)
    }

    /// The value with marks in the place of templates: each is another, and says whether it will be text.
    fn sample(&self, number: &mut usize) -> Value {
        match self {
            Self::Literal(value) => value.clone(),
            Self::Leaf(leaf) | Self::Commit(leaf) => {
                *number += 1;
                let end = if leaf.is_text() { UNKNOWN.to_string() } else { String::new() };
                Value::String(format!("{UNKNOWN}{number}{end}"))
            }
            Self::List(items) => items.iter().map(|item| item.sample(number)).collect(),
            Self::Map(members) => members
                .iter()
                .map(|(name, member)| (name.clone(), member.sample(number)))
                .collect::<Map<_, _>>()
                .into(),
        }
    }
}

/// The same of a value whose templates cannot all be compiled.
pub(super) fn sample_of(node: &Node) -> Value {
    fn walk(node: &Node, number: &mut usize) -> Value {
        match &node.kind {
            Kind::String(text) if is_template(text) => {
                *number += 1;
                Value::String(format!("{UNKNOWN}{number}"))
            }
            Kind::List(items) => items.iter().map(|item| walk(item, number)).collect(),
            Kind::Map(entries) => entries
                .iter()
                .filter(|entry| !is_permit(entry))
                .map(|entry| (entry.key.text.clone(), walk(&entry.value, number)))
                .collect::<Map<_, _>>()
                .into(),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => node.to_json(),
        }
    }
    walk(node, &mut 0)
}

impl Compiler<'_> {
    /// Holds a run to Tekton's rules, and to its Pipeline where that is known.
    pub(super) fn check_run(&mut self, node: &Node, mut spec: Value, is_broken: bool) {
        params::to_texts(&mut spec);
        let mut verdict = tekton::pipeline_run(&spec);
        // These two are told in words of our own.
        verdict.strangers.retain(|stranger| stranger.path.matches('.').count() > 1);
        let one_pipeline = "spec.pipelineRef";
        verdict.errors.retain(|message, paths| {
            !(message.starts_with("expected exactly one, got ") && paths.contains(one_pipeline))
        });
        let (file, text) = (self.place.file, self.place.text);
        let report = &mut *self.place.report;
        // A text with a template that is refused has been told already.
        let is_told = |span: &Range<usize>| {
            let shown = text.get(span.clone()).unwrap_or_default().trim_start_matches(['"', '\'']);
            is_broken && (shown.starts_with("{{") || is_template(shown) && !shown.starts_with('{'))
        };
        place::report(&verdict, &mut |diagnostic, path| {
            let span = place::of(node, path);
            if !is_told(&span) {
                report.push(diagnostic.at(file, text, span));
            }
        });
        let mut add = |diagnostic: Diagnostic, path: &str| {
            self.place.report.push(diagnostic.at(file, text, place::of(node, path)));
        };
        let given = spec.get("params").and_then(Value::as_array).into_iter().flatten();
        for (at, param) in given.enumerate() {
            if param.is_object() && param.get("name").is_none_or(|name| name == "") {
                let diagnostic = Diagnostic::error("missing-field", "a param needs a `name`")
                    .hint("write `- {name: url, value: …}`");
                add(diagnostic, &format!("spec.params[{at}]"));
            }
        }
        if verdict.malformed {
            return;
        }
        let Some(pipelines) = self.catalog.objects.pipelines() else { return };
        let Some(reference) = spec.get("pipelineRef") else { return };
        let path = "spec.pipelineRef";
        let Some(pipeline) = self.catalog.objects.pipeline_of(&spec) else {
            let name = reference.get("name").and_then(Value::as_str).filter(|name| !name.contains(UNKNOWN));
            let message = match name {
                Some(name) => {
                    let near = did_you_mean(name, pipelines.iter().copied());
                    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                    format!("not checked: the Pipeline `{name}` is not among the files{near}")
                }
                None => "not checked: which Pipeline this is shows only when it runs".to_owned(),
            };
            add(Diagnostic::note("not-checked", message), path);
            return;
        };
        let name = reference.get("name").and_then(Value::as_str).unwrap_or_default();
        let declared = known::declared(pipeline);
        for wrong in known::mismatches(&spec, pipeline) {
            let (path, hint) = match wrong.reason {
                "InvalidWorkspaceBindings" => ("spec.workspaces", String::new()),
                "InvalidTaskRunSpecs" => ("spec.taskRunSpecs", String::new()),
                _ => ("spec.params", format!("the Pipeline `{name}` declares: {}", declared.join(", "))),
            };
            let message = format!("Tekton fails every such run ({}): {}", wrong.reason, wrong.message);
            let diagnostic = Diagnostic::error("params", message);
            let path = match (wrong.reason, wrong.names.first()) {
                ("ParameterTypeMismatch" | "ObjectParameterMissKeys", Some(name)) => {
                    format!("{path}[{name}]")
                }
                _ => path.to_owned(),
            };
            add(if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) }, &path);
        }
        for stranger in known::undeclared(&spec, pipeline) {
            let hint = did_you_mean(&stranger, declared.iter().copied()).map_or_else(
                || format!("it declares: {}", declared.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("the Pipeline `{name}` declares no param `{stranger}`: Tekton ignores it");
            let diagnostic = Diagnostic::warning("unknown-param", message).hint(hint);
            add(diagnostic, &format!("spec.params[{stranger}]"));
        }
    }
}
