//! One sink over HTTP as it is configured: each event in a request of its own, or in the company of others.

use std::sync::Arc;
use std::time::Instant;

use super::batch::Batcher;
use super::encode;
use super::http::{Accepted, Common, HttpSink, Refusal, Token};
use super::spec::{SinkSpec, SinkUrl};
use crate::event::Event;
use crate::telemetry::Metrics;

/// A sink, and its batches if it takes any.
pub(super) struct HttpTarget {
    sink: Arc<HttpSink>,
    batcher: Option<Arc<Batcher>>,
}

// === impl HttpTarget ===

impl HttpTarget {
    /// Sets up the sink of a document.
    ///
    /// # Errors
    /// A document that cannot be so, or an HTTP client that cannot be built.
    pub(super) fn new(name: &str, spec: &SinkSpec, token: Token, common: &Common) -> Result<Self, String> {
        let sink = Arc::new(HttpSink::new(name, spec, token, common)?);
        let batcher = spec.batch.clone().map(|batch| Arc::new(Batcher::new(Arc::clone(&sink), batch)));
        Ok(Self { sink, batcher })
    }

    pub(super) fn name(&self) -> &str {
        self.sink.name()
    }

    pub(super) fn url(&self) -> &SinkUrl {
        self.sink.url()
    }

    pub(super) fn measure(&self, metrics: &Metrics) {
        self.sink.measure(metrics);
    }

    /// Sends one event, with the sink's retries.
    pub(super) async fn send(&self, event: &Event, deadline: Instant) -> Result<Accepted, Refusal> {
        let _place = self.sink.enter()?;
        match &self.batcher {
            Some(batcher) => batcher.send(encode::json(event), deadline).await,
            None => self.sink.send(event, deadline).await,
        }
    }
}
