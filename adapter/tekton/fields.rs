//! Errors of fields as Tekton's webhooks report them: one line for each message, with all the paths that it is about
//! (knative, `apis.FieldError`).

use std::collections::{BTreeMap, BTreeSet};

/// What is wrong, by message and details.
#[derive(Clone, Debug, Default)]
pub struct FieldErrors(BTreeMap<(String, String), About>);

/// One message.
#[derive(Clone, Debug)]
pub struct FieldError<'a> {
    /// What is wrong, in Tekton's words.
    pub message: &'a str,
    /// A line that says more; may be empty.
    pub details: &'a str,
    /// The fields that it is about.
    pub paths: Vec<&'a str>,
    /// The setting of Tekton that decides whether this is wrong.
    pub gate: Option<&'static str>,
}

#[derive(Clone, Debug, Default)]
struct About {
    paths: BTreeSet<String>,
    gate: Option<&'static str>,
}

// === impl FieldErrors ===

impl FieldErrors {
    /// One more.
    pub fn add(&mut self, message: impl Into<String>, path: impl Into<String>) {
        self.detailed(message, path, "");
    }

    /// One more, with a line that says more.
    pub fn detailed(&mut self, message: impl Into<String>, path: impl Into<String>, details: &str) {
        let about = self.0.entry((message.into(), details.to_owned())).or_default();
        about.paths.insert(path.into());
        about.gate = None;
    }

    /// One that is an error only while a setting of Tekton is as it comes.
    pub fn gated(&mut self, gate: &'static str, message: impl Into<String>, path: impl Into<String>) {
        let about = self.0.entry((message.into(), String::new())).or_default();
        if about.paths.is_empty() {
            about.gate = Some(gate);
        }
        about.paths.insert(path.into());
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

    /// Every message, in order.
    pub fn iter(&self) -> impl Iterator<Item = FieldError<'_>> {
        self.0.iter().map(|((message, details), about)| FieldError {
            message,
            details,
            paths: about.paths.iter().map(String::as_str).filter(|path| !path.is_empty()).collect(),
            gate: about.gate,
        })
    }

    /// Leaves out the messages that do not hold.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &BTreeSet<String>) -> bool) {
        self.0.retain(|(message, _), about| keep(message, &about.paths));
    }

    /// The text of the refusal.
    pub fn text(&self) -> String {
        self.iter().map(|error| error.text()).collect::<Vec<_>>().join("\n")
    }
}

// === impl FieldError ===

impl FieldError<'_> {
    /// The message with its paths and details.
    pub fn text(&self) -> String {
        let more = if self.details.is_empty() { String::new() } else { format!("\n{}", self.details) };
        if self.paths.is_empty() {
            format!("{}{more}", self.message)
        } else {
            format!("{}: {}{more}", self.message, self.paths.join(", "))
        }
    }
}

/// A path below another, as knative joins them.
pub fn join(path: &str, part: &str) -> String {
    if part.is_empty() {
        path.to_owned()
    } else if path.is_empty() || part.starts_with('[') {
        format!("{path}{part}")
    } else {
        format!("{path}.{part}")
    }
}
