//! Why something is not done: one type from the call that failed to the status code of the answer.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A failure, what it concerns, and what caused it.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: Kind,
    what: String,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// Whether doing the same again may work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A later try may work.
    Transient {
        /// How long the receiver asks to wait.
        after: Option<Duration>,
    },
    /// No later try can work until somebody changes something.
    Permanent,
}

// === impl Fault ===

impl Fault {
    /// A failure that may pass.
    pub fn transient(what: impl Into<String>, after: Option<Duration>) -> Self {
        Self { kind: Kind::Transient { after }, what: what.into(), cause: None }
    }

    /// A failure that stays.
    pub fn permanent(what: impl Into<String>) -> Self {
        Self { kind: Kind::Permanent, what: what.into(), cause: None }
    }

    /// A failure of this kind with the error that caused it.
    pub fn of(kind: Kind, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { kind, what: String::new(), cause: Some(Arc::new(cause)) }
    }

    /// Says what the failure concerns.
    #[must_use]
    pub fn about(mut self, what: impl Into<String>) -> Self {
        let what = what.into();
        self.what = if self.what.is_empty() { what } else { format!("{what}: {}", self.what) };
        self
    }

    /// Whether a later try may work.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether a later try may work.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, Kind::Transient { .. })
    }

    /// How long the receiver asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.kind {
            Kind::Transient { after } => after,
            Kind::Permanent => None,
        }
    }

    /// The cause, where it is an `E`.
    pub fn cause<E: Error + 'static>(&self) -> Option<&E> {
        self.cause.as_deref().and_then(|cause| (cause as &(dyn Error + 'static)).downcast_ref())
    }
}

/// What it concerns, then the text of the cause.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cause, self.what.as_str()) {
            (None, what) => f.write_str(what),
            (Some(cause), "") => cause.fmt(f),
            (Some(cause), what) => write!(f, "{what}: {cause}"),
        }
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("connection refused")]
    struct Refused;

    #[test]
    fn a_fault_keeps_its_cause_and_says_what_it_concerns() {
        let fault = Fault::of(Kind::Transient { after: Some(Duration::from_secs(3)) }, Refused)
            .about("sink `a`")
            .about("mapping `m`");
        assert_eq!(fault.to_string(), "mapping `m`: sink `a`: connection refused");
        assert_eq!(fault.retry_after(), Some(Duration::from_secs(3)));
        assert!(fault.cause::<Refused>().is_some() && fault.source().is_some());
        assert_eq!(Fault::permanent("no").retry_after(), None);
    }
}
