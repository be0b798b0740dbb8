//! Errors of fields as Tekton's webhooks report them: one line for each message, with all the paths that it is about
//! (knative, `apis.FieldError`).

use std::collections::{BTreeMap, BTreeSet};

/// What is wrong, by message and details.
#[derive(Debug, Default)]
pub struct FieldErrors(BTreeMap<(String, String), BTreeSet<String>>);

// === impl FieldErrors ===

impl FieldErrors {
    /// One more.
    pub fn add(&mut self, message: impl Into<String>, path: impl Into<String>) {
        self.detailed(message, path, "");
    }

    /// One more, with a line that says more.
    pub fn detailed(&mut self, message: impl Into<String>, path: impl Into<String>, details: &str) {
        let key = (message.into(), details.to_owned());
        self.0.entry(key).or_default().insert(path.into());
    }

    /// One that is about several fields together.
    pub fn about(&mut self, message: &str, paths: &[String]) {
        for path in paths {
            self.add(message, path);
        }
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of the refusal.
    pub fn text(&self) -> String {
        let lines = self.0.iter().map(|((message, details), paths)| {
            let paths: Vec<&str> = paths.iter().map(String::as_str).filter(|path| !path.is_empty()).collect();
            let more = if details.is_empty() { String::new() } else { format!("\n{details}") };
            if paths.is_empty() {
                format!("{message}{more}")
            } else {
                format!("{message}: {}{more}", paths.join(", "))
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}
