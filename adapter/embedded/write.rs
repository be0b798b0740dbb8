//! What a writing request says besides its body.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

/// The time, so that tests can stop it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The part of an object that a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All but the status, where the resource has `/status`.
    Main,
    /// The status.
    Status,
}

/// What a writing request says besides its body.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Which part is written.
    pub part: Part,
    /// Whether the result is stored.
    pub effect: Effect,
    /// `fieldManager`, or the first word of the user agent.
    pub manager: String,
    /// What becomes of fields that nobody knows.
    pub validation: Validation,
    /// What to warn the client of.
    pub warnings: Arc<Mutex<Vec<String>>>,
}

/// `fieldValidation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validation {
    /// They are dropped with a warning.
    #[default]
    Warn,
    /// They are dropped.
    Ignore,
    /// They are refused.
    Strict,
}

/// What an object is decoded for; the words of a refusal depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The body of a POST or PUT.
    Body,
    /// An object with a patch applied.
    Patched,
    /// An applied configuration.
    Applied,
}

/// Whether a write is stored or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is stored.
    Store,
    /// `dryRun=All`: everything but that.
    DryRun,
}

// === impl WriteOptions ===

impl WriteOptions {
    /// Warns the client.
    pub fn warn(&self, warnings: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }
}
