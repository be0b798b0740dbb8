//! What became of a plan: one [`Effect`] for each action and announcement, and what they come to together.
//!
//! Log, metrics and the answer to the sender are computed from this list alone.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::{Origin, PlanError};
use crate::event::Event;
use crate::event::fault::{Fault, Kind};
use crate::event::identity::EffectKey;
pub use crate::sink::Receipt;

/// How many failures the text of a verdict has.
const MAX_TOLD: usize = 8;
/// How many digits of an effect's key tell it from the others of one delivery.
const TOKEN: usize = 12;

/// What became of one action or announcement.
#[derive(Clone, Debug)]
pub struct Effect {
    /// Its identity.
    pub key: EffectKey,
    /// The action that asked for it; `None` for an event that is announced whatever the mappings say.
    pub origin: Option<Origin>,
    /// What was to be done.
    pub target: Target,
    /// What became of it.
    pub result: Done,
}

/// What an effect is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A `PipelineRun` in the cluster.
    PipelineRun {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// An event at a sink.
    Event {
        /// The sink's name.
        sink: String,
        /// The event's `id`.
        id: String,
        /// The event's `type`.
        ty: String,
    },
    /// The event that answers the request.
    Reply,
}

/// What became of an effect.
#[derive(Clone, Debug)]
pub enum Done {
    /// The object is new.
    Created(RunReference),
    /// The object was there already and is ours.
    Existed(RunReference),
    /// The sink, or its dead letter sink in its place, took the event.
    Sent(Box<Receipt>),
    /// The event answers the request.
    Replied,
    /// Nothing was tried.
    Skipped(Skip),
    /// It does not exist.
    Failed(Fault),
}

/// An object that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunReference {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its `uid`.
    pub uid: String,
}

/// Why an effect was not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// An earlier try did it.
    Before,
    /// A run that the event may tell of does not exist.
    NoRun {
        /// Whether it may exist later.
        later: bool,
    },
    /// The sink has not taken an earlier event of the same run.
    Behind,
}

/// What earlier tries of the same delivery achieved.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The effects that exist, or will never, by [`Effect::token`].
    pub done: BTreeSet<String>,
    /// The sinks that have to take an earlier event first.
    pub behind: BTreeSet<String>,
}

/// What a plan brought about.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What became of every action and announcement.
    pub effects: Vec<Effect>,
    /// The parts that could not be planned.
    pub unplanned: Vec<PlanError>,
    /// The event that answers the request.
    pub reply: Option<Arc<Event>>,
    /// Why nothing was planned at all.
    pub halted: Option<Fault>,
}

// === impl Effect ===

impl Effect {
    /// The name of the mapping that asked for it; empty for an announcement.
    pub fn mapping(&self) -> &str {
        self.origin.as_ref().map_or("", |origin| &origin.mapping)
    }

    /// What tells it from the other effects of one delivery, in few characters.
    pub fn token(&self) -> String {
        token(&self.key)
    }

    /// Whether a later try is to do it.
    pub fn is_pending(&self) -> bool {
        match &self.result {
            Done::Failed(fault) => fault.is_transient(),
            Done::Skipped(skip) => matches!(skip, Skip::NoRun { later: true } | Skip::Behind),
            Done::Created(_) | Done::Existed(_) | Done::Sent(_) | Done::Replied => false,
        }
    }

    /// Why it does not exist, where it was tried.
    pub fn fault(&self) -> Option<&Fault> {
        if let Done::Failed(fault) = &self.result { Some(fault) } else { None }
    }
}

/// See [`Effect::token`].
pub fn token(key: &EffectKey) -> String {
    let mut text = key.to_string();
    text.truncate(TOKEN);
    text
}

// === impl Target ===

impl Target {
    /// The label in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PipelineRun { .. } => "pipelineRun",
            Self::Event { .. } | Self::Reply => "emit",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// How many runs are new.
    pub fn created(&self) -> usize {
        self.count(|result| matches!(result, Done::Created(_)))
    }

    /// How many runs existed already.
    pub fn existed(&self) -> usize {
        self.count(|result| matches!(result, Done::Existed(_)))
    }

    /// How many events were taken.
    pub fn sent(&self) -> usize {
        self.count(|result| matches!(result, Done::Sent(_)))
    }

    fn count(&self, is: impl Fn(&Done) -> bool) -> usize {
        self.effects.iter().filter(|effect| is(&effect.result)).count()
    }

    /// What failed, all of it in one; `None` when every effect exists.
    ///
    /// One transient failure makes the whole transient: a sender that tries again loses nothing, since what exists stays,
    /// and is told of the rest as soon as nothing transient is left.
    pub fn fault(&self) -> Option<Fault> {
        if self.halted.is_some() {
            return self.halted.clone();
        }
        let faults = || self.effects.iter().filter_map(Effect::fault);
        let number = self.unplanned.len() + faults().count();
        if number == 0 {
            return None;
        }
        let mut after: Option<Duration> = None;
        let mut kind = Kind::Permanent;
        for fault in faults().filter(|fault| fault.is_transient()) {
            after = after.max(fault.retry_after());
            kind = Kind::Transient { after };
        }
        let plans = self.unplanned.iter().map(ToString::to_string);
        let texts = plans.chain(faults().map(ToString::to_string)).take(MAX_TOLD);
        let mut text = texts.collect::<Vec<_>>().join("; ");
        if number > MAX_TOLD {
            let _ = write!(text, "; and {} more", number - MAX_TOLD);
        }
        Some(match kind {
            Kind::Transient { after } => Fault::transient(text, after),
            Kind::Permanent => Fault::permanent(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::identity::Key;

    fn failed(name: &str, fault: Fault) -> Effect {
        let target = Target::PipelineRun { namespace: "ci".into(), name: name.into() };
        Effect { key: Key::of("test", &[name]), origin: None, target, result: Done::Failed(fault) }
    }

    #[test]
    fn a_transient_failure_outweighs_and_the_longest_wait_counts() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        let effects = vec![
            failed("a", Fault::permanent("a is refused")),
            failed("b", Fault::transient("b is late", wait(2))),
            failed("c", Fault::transient("c is late", wait(7))),
            failed("d", Fault::transient("d is late", None)),
        ];
        let outcome = Outcome { effects, ..Outcome::default() };
        let fault = outcome.fault().unwrap();
        assert_eq!(fault.retry_after(), wait(7));
        assert_eq!(fault.to_string(), "a is refused; b is late; c is late; d is late");
    }

    #[test]
    fn failures_for_good_are_permanent_together_and_few_are_told() {
        let effects = (0..20).map(|n| failed(&n.to_string(), Fault::permanent("no"))).collect();
        let error = PlanError { mapping: "m".into(), place: "let.x".into(), reason: "why".into() };
        let outcome = Outcome { effects, unplanned: vec![error], ..Outcome::default() };
        let fault = outcome.fault().unwrap();
        assert!(!fault.is_transient());
        assert_eq!(fault.to_string(), format!("mapping `m`, let.x: why{}; and 13 more", "; no".repeat(7)));
        assert!(Outcome::default().fault().is_none());
    }
}
