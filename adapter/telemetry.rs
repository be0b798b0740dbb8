//! What operators see: structured logs and metrics.

pub mod log;
pub mod metrics;

pub use log::{LogControl, LogFormat};
pub use metrics::Metrics;
