//! The whole flow in one place: events in, plan, effects, answer.

use std::sync::Arc;
use std::time::Instant;

pub use crate::action::effect::{
    Done, Effect, Outcome, Progress, Receipt, RunReference, Skip, Target, token,
};
use crate::action::execute::Executor;
use crate::event::Event;
use crate::event::fault::Fault;
use crate::mapping::watch::Store;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::ByMapping;

/// Takes the events of one delivery through mappings and actions.
#[derive(Clone)]
pub struct Pipeline {
    mappings: Arc<Store>,
    executor: Executor,
    metrics: Metrics,
}

/// The events of one delivery.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// All of them, in order; every one meets the mappings.
    pub events: Vec<Arc<Event>>,
    /// Those that also go to the default sink, whatever the mappings say.
    pub announced: Vec<Arc<Event>>,
}

// === impl Pipeline ===

impl Pipeline {
    /// A pipeline over the mappings in force and an executor.
    pub fn new(mappings: Arc<Store>, executor: Executor, metrics: Metrics) -> Self {
        Self { mappings, executor, metrics }
    }

    /// The same with connections of its own, for the thread that it is called on.
    #[must_use]
    pub fn for_this_thread(&self) -> Self {
        Self { executor: self.executor.for_this_thread(), ..self.clone() }
    }

    /// Plans for all events, then executes; returns what became of every effect. The delivery may be acknowledged when
    /// [`Outcome::fault`] is `None`.
    pub async fn process(&self, incoming: &Incoming, deadline: Instant) -> Outcome {
        self.resume(incoming, &Progress::default(), deadline).await
    }

    /// The same for a delivery of which earlier tries did a part.
    pub async fn resume(&self, incoming: &Incoming, progress: &Progress, deadline: Instant) -> Outcome {
        if self.mappings.is_unusable() {
            let reason = "no mapping file can be used, so that nothing is known of what this event means";
            return Outcome { halted: Some(Fault::transient(reason, None)), ..Outcome::default() };
        }
        let plan = self.mappings.current().plan(&incoming.events);
        for error in &plan.failures {
            self.metrics.plan_errors.get_or_create(&ByMapping { mapping: error.mapping.clone() }).inc();
            tracing::warn!(mapping = error.mapping, place = error.place, %error, "no plan can be computed");
        }
        self.executor.execute(&plan, &incoming.announced, progress, deadline).await
    }
}
