//! How a run ended: other systems' words in the four of `CDEvents`.
//!
//! The specification leaves this table open (cdevents/spec issues 237, 268, 312), so users may change it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `outcome` of a `finished` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It did what it was to do.
    Success,
    /// It ran, and found that something is wrong.
    Failure,
    /// Somebody stopped it.
    Cancel,
    /// It could not run, or not to its end.
    Error,
}

/// The outcome for each reason of Tekton's condition `Succeeded`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcomes {
    changed: BTreeMap<String, Outcome>,
}

/// The reasons that are not [`Outcome::Error`] when the condition is `False`.
static REASONS: &[(&str, Outcome)] = &[
    ("Failed", Outcome::Failure),
    ("StepFailed", Outcome::Failure),
    ("SidecarFailed", Outcome::Failure),
    ("FailureIgnored", Outcome::Failure),
    ("Cancelled", Outcome::Cancel),
    ("CancelledRunningFinally", Outcome::Cancel),
    ("StoppedRunningFinally", Outcome::Cancel),
    ("TaskRunCancelled", Outcome::Cancel),
    ("CustomRunCancelled", Outcome::Cancel),
    ("CustomRunTimedOut", Outcome::Error),
    ("CustomRunWorkspaceNotSupported", Outcome::Error),
];

// === impl Outcome ===

impl Outcome {
    /// The word in the event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancel => "cancel",
            Self::Error => "error",
        }
    }
}

// === impl Outcomes ===

impl Outcomes {
    /// The default table with other outcomes for some reasons.
    pub fn with(changed: impl IntoIterator<Item = (String, Outcome)>) -> Self {
        Self { changed: changed.into_iter().collect() }
    }

    /// The outcome of a condition that is `True`.
    pub fn of_true(&self, reason: &str) -> Outcome {
        self.changed.get(reason).copied().unwrap_or(Outcome::Success)
    }

    /// The outcome of a condition that is `False`; `other` is the one for reasons that nobody listed.
    pub fn of_false(&self, reason: &str, other: Outcome) -> Outcome {
        let listed = || REASONS.iter().find(|(known, _)| *known == reason).map(|(_, outcome)| *outcome);
        self.changed.get(reason).copied().or_else(listed).unwrap_or(other)
    }
}
