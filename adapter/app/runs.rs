//! Runs to events: the watch of Tekton objects wired to the vocabulary, to mappings and to sinks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use kube::Client;
use tokio::sync::watch;

use crate::event::Event;
use crate::pipeline::{Failure, Incoming, Pipeline};
use crate::settings::Process;
use crate::source::tekton::{Config, Hints, Retry, RunWatch, Scope, Status, hint};
use crate::vocabulary::tekton::{Cluster, ClusterError, transitions};

/// How long the delivery of one transition may take. A synchronous broker holds a request for as long as its
/// slowest subscriber needs, which is 205 s with Knative's default retries, and gives up when we do.
const DELIVERY: Duration = Duration::from_mins(4);
/// How long a transition waits that no sink or mapping will ever take, before it is tried again: settings and mappings
/// change.
const PERMANENT: Duration = Duration::from_mins(1);

/// The watch, not yet running.
pub struct Runs {
    work: Box<dyn FnOnce(BoxFuture<'static, ()>) -> BoxFuture<'static, ()> + Send>,
    hints: Hints,
    status: Arc<Status>,
}

// === impl Runs ===

impl Runs {
    /// Wires the watch.
    ///
    /// # Errors
    /// When `eventSource` or `runUrl` is no URI.
    pub fn new(process: &Process, client: Client, pipeline: Pipeline) -> Result<Self, ClusterError> {
        let api = process.event_source.trim_end_matches('/');
        let cluster = Cluster::new(process.event_source.clone(), process.run_url.as_deref(), api)?;
        let scope = match process.watch_namespace.as_str() {
            "*" => Scope::Cluster,
            namespace => Scope::Namespace(namespace.to_owned()),
        };
        let watch = RunWatch::new(
            client,
            Config { scope, ..Config::default() },
            move |kind, object| transitions(object, kind, &cluster),
            move |event| deliver(pipeline.clone(), event),
        );
        let hints = watch.hints();
        let status = watch.status();
        Ok(Self { work: Box::new(move |stop| watch.run(stop).boxed()), hints, status })
    }

    /// The way for Tekton's own CloudEvents to ask for a look.
    pub fn hint(&self) -> impl Fn(&Event) + Send + Sync + use<> {
        let hints = self.hints.clone();
        move |event| {
            if let Some(run) = hint(event) {
                hints.look_at(run);
            }
        }
    }

    /// Counters and readiness.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Works until told to stop.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let stop = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        (self.work)(stop.boxed()).await;
    }
}

async fn deliver(pipeline: Pipeline, event: Event) -> Result<(), Retry> {
    let event = Arc::new(event);
    let incoming = Incoming { events: vec![Arc::clone(&event)], announced: vec![event] };
    match pipeline.process(&incoming, Instant::now() + DELIVERY).await {
        Ok(_) => Ok(()),
        Err(Failure::Transient { reason, retry_after }) => Err(Retry { after: retry_after, reason }),
        Err(Failure::Permanent(reason)) => Err(Retry { after: Some(PERMANENT), reason }),
    }
}
