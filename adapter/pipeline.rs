//! The whole flow in one place: events in, plan, effects, answer.

use std::sync::Arc;
use std::time::Instant;

use crate::action::Plan;
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

/// What is to be done for a delivery.
#[derive(Debug)]
pub struct Planned {
    plan: Plan,
    announced: Vec<Arc<Event>>,
    /// Whether there are no mappings that could say what is to be done.
    is_unknown: bool,
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

    /// What the mappings in force want done for all events; nothing of it is done yet.
    pub fn plan(&self, incoming: &Incoming) -> Planned {
        let plan = self.mappings.current().plan(&incoming.events);
        for error in &plan.failures {
            self.metrics.plan_errors.get_or_create(&ByMapping { mapping: error.mapping.clone() }).inc();
            tracing::warn!(mapping = error.mapping, place = error.place, %error, "no plan can be computed");
        }
        Planned { plan, announced: incoming.announced.clone(), is_unknown: self.mappings.is_unusable() }
    }

    /// Whether a mapping may look at the payload of this event.
    pub fn wants(&self, event: &Event) -> bool {
        self.mappings.current().is_wanted(event)
    }

    /// Executes a plan; returns what became of every effect. The delivery may be acknowledged when
    /// [`Outcome::fault`] is `None`.
    pub async fn execute(&self, planned: &Planned, progress: &Progress, deadline: Instant) -> Outcome {
        if planned.is_unknown {
            let reason = "no mapping file can be used, so that nothing is known of what this event means";
            return Outcome { halted: Some(Fault::transient(reason, None)), ..Outcome::default() };
        }
        self.executor.execute(&planned.plan, &planned.announced, progress, deadline).await
    }

    /// Plans for all events, then executes.
    pub async fn process(&self, incoming: &Incoming, deadline: Instant) -> Outcome {
        self.resume(incoming, &Progress::default(), deadline).await
    }

    /// The same for a delivery of which earlier tries did a part.
    pub async fn resume(&self, incoming: &Incoming, progress: &Progress, deadline: Instant) -> Outcome {
        self.execute(&self.plan(incoming), progress, deadline).await
    }
}

// === impl Planned ===

impl Planned {
    /// The bytes that it holds, roughly.
    pub fn size(&self) -> usize {
        self.plan.bytes + self.announced.iter().map(|event| event.data().len()).sum::<usize>()
    }
}
