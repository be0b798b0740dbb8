//! Pipelines and Tasks out of files, against which runs are held: which params they need, and of which types.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::File;
use super::document::tree::{self, Node};
use super::place;
use crate::diagnostic::{Diagnostic, Report, did_you_mean};
use pipewright_tekton::{self as tekton, known};

/// Pipelines and Tasks by their names; namespaces do not count.
#[derive(Clone, Debug, Default)]
pub struct Objects(Option<Arc<Named>>);

#[derive(Debug, Default)]
struct Named {
    pipelines: BTreeMap<String, Value>,
    tasks: BTreeMap<String, Value>,
}

/// One document, for what is said about it.
struct Found<'f> {
    file: &'f File,
    node: Node,
    value: Value,
}

// === impl Objects ===

impl Objects {
    /// Every Pipeline and Task in the files, checked; other kinds are left out.
    pub fn read(files: &[File], report: &mut Report) -> Self {
        let mut named = Named::default();
        let mut found = Vec::new();
        for file in files {
            report.add_source(file.path.clone(), file.text.clone());
            match tree::parse(&file.path, &file.text) {
                Ok(nodes) => {
                    found.extend(nodes.into_iter().map(|node| Found { file, value: node.to_json(), node }));
                }
                Err(error) => report.push(*error),
            }
        }
        found.retain(|it| matches!(it.version(), Some("v1" | "v1beta1")));
        for it in &found {
            let kinds = if it.value["kind"] == "Pipeline" { &mut named.pipelines } else { &mut named.tasks };
            let name = it.value["metadata"]["name"].as_str().unwrap_or_default();
            kinds.insert(name.to_owned(), it.value["spec"].clone());
        }
        for it in &found {
            it.check(&named, report);
        }
        Self(Some(Arc::new(named)))
    }

    /// The Pipeline that the spec of a run names, where it is known.
    pub(super) fn pipeline_of(&self, spec: &Value) -> Option<&Value> {
        let reference = spec.get("pipelineRef").filter(|reference| reference.get("resolver").is_none())?;
        self.0.as_ref()?.pipelines.get(reference.get("name")?.as_str()?)
    }

    /// The names of the Pipelines; none when nobody gave any.
    pub(super) fn pipelines(&self) -> Option<Vec<&str>> {
        Some(self.0.as_ref()?.pipelines.keys().map(String::as_str).collect())
    }
}

// === impl Found ===

impl Found<'_> {
    /// The version of a Pipeline or a Task.
    fn version(&self) -> Option<&str> {
        matches!(self.value["kind"].as_str()?, "Pipeline" | "Task")
            .then(|| self.value["apiVersion"].as_str()?.strip_prefix("tekton.dev/"))?
    }

    fn spec(&self) -> &Node {
        self.node.get("spec").unwrap_or(&self.node)
    }

    fn at(&self, diagnostic: Diagnostic, path: &str) -> Diagnostic {
        diagnostic.at(self.file.path.clone(), &self.file.text, place::of(self.spec(), path))
    }

    fn check(&self, named: &Named, report: &mut Report) {
        let kind = self.value["kind"].as_str().unwrap_or_default();
        let name = self.value["metadata"]["name"].as_str().unwrap_or_default();
        if self.version() == Some("v1beta1") {
            let message = format!("not checked: the {kind} `{name}` is written in v1beta1");
            report.push(self.at(Diagnostic::note("not-checked", message), "spec"));
        } else {
            let spec = &self.value["spec"];
            let verdict = if kind == "Pipeline" { tekton::pipeline(spec) } else { tekton::task(spec) };
            place::report(&verdict, &mut |diagnostic, path| report.push(self.at(diagnostic, path)));
        }
        for group in ["tasks", "finally"] {
            let tasks = self.value["spec"].get(group).and_then(Value::as_array).into_iter().flatten();
            for (at, task) in tasks.enumerate() {
                let reference = &task["taskRef"];
                let is_other =
                    ["resolver", "apiVersion", "bundle"].iter().any(|key| reference.get(key).is_some());
                let Some(wanted) = reference["name"].as_str().filter(|_| !is_other) else { continue };
                let path = format!("spec.{group}[{at}]");
                let Some(known) = named.tasks.get(wanted) else {
                    let near = did_you_mean(wanted, named.tasks.keys().map(String::as_str));
                    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
                    let message = format!("not checked: the Task `{wanted}` is not among the files{near}");
                    report
                        .push(self.at(Diagnostic::note("not-checked", message), &format!("{path}.taskRef")));
                    continue;
                };
                if let Some(wrong) = known::task_mismatch(task, wanted, known) {
                    let message = format!("Tekton fails every run of this: {}", wrong.message);
                    let declared = known::declared(known).join(", ");
                    let diagnostic = Diagnostic::error("params", message)
                        .hint(format!("the Task `{wanted}` declares: {declared}"));
                    report.push(self.at(diagnostic, &format!("{path}.params")));
                }
            }
        }
    }
}
