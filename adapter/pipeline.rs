//! The whole flow in one place: events in, plan, effects, answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use crate::action::execute::Outcome;
use crate::action::execute::{ExecuteError, Executor};
use crate::event::Event;
use crate::mapping::watch::Store;
use crate::telemetry::Metrics;

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

/// Why a delivery is not acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The sender should try again.
    #[error("{reason}")]
    Transient {
        /// What failed.
        reason: String,
        /// How long to wait.
        retry_after: Option<Duration>,
    },
    /// Trying again cannot help.
    #[error("{0}")]
    Permanent(String),
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

    /// Plans for all events, then executes; returns only when every effect exists.
    ///
    /// # Errors
    /// When the plan cannot be computed (nothing was done then), or at least one effect does not exist.
    pub async fn process(&self, incoming: &Incoming, deadline: Instant) -> Result<Outcome, Failure> {
        let plan = self.mappings.current().plan(&incoming.events).map_err(|error| {
            self.metrics.plan_errors.inc();
            tracing::warn!(mapping = error.mapping, place = error.place, %error, "no plan can be computed");
            Failure::Permanent(error.to_string())
        })?;
        self.executor.execute(&plan, &incoming.announced, deadline).await.map_err(Failure::from)
    }
}

// === impl Failure ===

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Transient { reason, retry_after } => Self::Transient { reason, retry_after },
            ExecuteError::Permanent(reason) => Self::Permanent(reason),
        }
    }
}
