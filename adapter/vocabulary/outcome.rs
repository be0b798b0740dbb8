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

/// The outcome for each reason of Tekton's condition `Succeeded`, and for each word of a forge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Outcome>", into = "BTreeMap<String, Outcome>")]
pub struct Outcomes {
    changed: BTreeMap<String, Outcome>,
}

/// A word that is written otherwise: Tekton's `Failed` and a forge's `failed` are two.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no word for the end of a run; write `{1}`")]
pub struct Misspelt(String, &'static str);

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
    // Ours, of a run that was deleted before its end.
    ("Deleted", Outcome::Cancel),
    ("CustomRunTimedOut", Outcome::Error),
    ("CustomRunWorkspaceNotSupported", Outcome::Error),
];

/// Reasons that no table above needs to know, but that people may want to change.
static OTHER_REASONS: &[&str] = &["Succeeded", "Completed", "PipelineRunTimeout", "TaskRunTimeout"];

/// What forges and senders of older `CDEvents` call the end of a run, in lower case; the same word means the same everywhere. Words that are not here
/// are [`Outcome::Error`].
static WORDS: &[(&str, Outcome)] = &[
    ("success", Outcome::Success),
    ("successful", Outcome::Success),
    ("succeeded", Outcome::Success),
    ("completed", Outcome::Success),
    ("passed", Outcome::Success),
    // CDEvents up to 0.4, of tests.
    ("pass", Outcome::Success),
    ("fail", Outcome::Failure),
    // Nothing was wrong: the native word is in `customData.run.conclusion`.
    ("neutral", Outcome::Success),
    ("skipped", Outcome::Success),
    ("warning", Outcome::Success),
    ("failure", Outcome::Failure),
    ("failed", Outcome::Failure),
    ("cancelled", Outcome::Cancel),
    ("canceled", Outcome::Cancel),
    ("stopped", Outcome::Cancel),
    ("cancel", Outcome::Cancel),
    // Jenkins.
    ("unstable", Outcome::Failure),
    ("aborted", Outcome::Cancel),
    ("not_built", Outcome::Cancel),
    ("error", Outcome::Error),
    ("timed_out", Outcome::Error),
    ("startup_failure", Outcome::Error),
    ("stale", Outcome::Error),
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

    /// Whether nothing went wrong.
    pub fn is_success(self) -> bool {
        self == Self::Success
    }
}

// === impl Outcomes ===

impl TryFrom<BTreeMap<String, Outcome>> for Outcomes {
    type Error = Misspelt;

    fn try_from(changed: BTreeMap<String, Outcome>) -> Result<Self, Misspelt> {
        let listed = REASONS.iter().chain(WORDS).map(|(word, _)| *word);
        let known: Vec<&str> = listed.chain(OTHER_REASONS.iter().copied()).collect();
        for word in changed.keys().filter(|word| !known.contains(&word.as_str())) {
            // Any other word may be one that a custom task or a forge of tomorrow uses.
            if let Some(meant) = known.iter().find(|known| known.eq_ignore_ascii_case(word)) {
                return Err(Misspelt(word.clone(), meant));
            }
        }
        Ok(Self { changed })
    }
}

impl From<Outcomes> for BTreeMap<String, Outcome> {
    fn from(outcomes: Outcomes) -> Self {
        outcomes.changed
    }
}

impl Outcomes {
    /// The default table with other outcomes for some reasons.
    pub fn with(changed: impl IntoIterator<Item = (String, Outcome)>) -> Self {
        Self { changed: changed.into_iter().collect() }
    }

    /// The words of forges and of other systems that are known, with what they usually mean.
    pub fn usual_words() -> &'static [(&'static str, Outcome)] {
        WORDS
    }

    /// The reasons of a condition that is `False`, with what they usually mean.
    pub fn usual_reasons() -> &'static [(&'static str, Outcome)] {
        REASONS
    }

    /// The outcome of a run of which a forge says that it ended like this.
    pub fn of_word(&self, word: &str) -> Outcome {
        let word = word.to_ascii_lowercase();
        let listed = || WORDS.iter().find(|(known, _)| *known == word).map(|(_, outcome)| *outcome);
        self.changed.get(&word).copied().or_else(listed).unwrap_or(Outcome::Error)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Outcomes, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn words_of_forges_have_outcomes_and_can_be_given_others() {
        let usual = Outcomes::default();
        for (word, outcome) in [
            ("SUCCESSFUL", Outcome::Success),
            ("neutral", Outcome::Success),
            ("failed", Outcome::Failure),
            ("STOPPED", Outcome::Cancel),
            ("timed_out", Outcome::Error),
            ("", Outcome::Error),
        ] {
            assert_eq!(usual.of_word(word), outcome, "{word}");
        }
        let changed =
            read(r#"{"neutral": "failure", "of_tomorrow": "cancel", "PipelineRunTimeout": "failure"}"#)
                .unwrap();
        assert_eq!(changed.of_word("Neutral"), Outcome::Failure);
        assert_eq!(changed.of_word("of_tomorrow"), Outcome::Cancel);
        assert_eq!(changed.of_word("skipped"), Outcome::Success);
        assert_eq!(changed.of_false("PipelineRunTimeout", Outcome::Error), Outcome::Failure);
    }

    #[test]
    fn a_reason_of_tekton_and_a_word_of_a_forge_stay_apart() {
        let changed = read(r#"{"Failed": "error"}"#).unwrap();
        assert_eq!(changed.of_false("Failed", Outcome::Error), Outcome::Error);
        assert_eq!(changed.of_word("failed"), Outcome::Failure);
    }

    #[test]
    fn a_table_that_cannot_be_meant_is_refused() {
        let error = read(r#"{"Neutral": "failure"}"#).unwrap_err();
        assert!(error.contains("`Neutral` is no word for the end of a run; write `neutral`"), "{error}");
        let error = read(r#"{"neutral": "failed"}"#).unwrap_err();
        assert!(error.contains("unknown variant `failed`") && error.contains("`failure`"), "{error}");
    }
}
