//! The HTTP edge: routes, bounds, and the answer codes that make each sender do the right thing.

pub mod admin;
pub mod answer;
pub mod body;
pub mod connection;
mod delivery;
pub mod evaluation;
pub mod events;
pub mod gate;
pub mod listen;
mod path;
mod peer;
mod seats;
mod stream;
pub mod tls;
pub mod webhooks;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::guard::{GuardContext, Post, fn_guard};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures::FutureExt;

use crate::event::Event;
use crate::event::http::AllowedOrigins;
use crate::pipeline::Pipeline;
use crate::source::events::EventAuth;
use crate::source::{Options, Source, delivery_id};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Answer as AnswerLabels, ByRoute, Route};

use answer::Answer;
use delivery::Head;
use evaluation::Evaluation;
use gate::Gate;

/// What every handler of a thread shares.
#[derive(Clone)]
pub struct State {
    /// Forges and other senders by the name in `/webhooks/{source}`.
    pub sources: Arc<HashMap<String, Source>>,
    /// The flow behind the edge.
    pub pipeline: Pipeline,
    /// Who may send CloudEvents.
    pub event_auth: Arc<EventAuth>,
    /// Who may register at the CloudEvents route.
    pub origins: AllowedOrigins,
    /// What of a webhook goes to the default sink: the index of the first announced event, `None` for nothing.
    pub announce_from: Option<usize>,
    /// How the payloads of forges are read.
    pub options: Arc<Options>,
    /// Told of every CloudEvent that Tekton sent, so that the run is looked at now.
    pub hint: Arc<dyn Fn(&Event) + Send + Sync>,
    /// Admission.
    pub gate: Gate,
    /// Where large deliveries are evaluated.
    pub evaluation: Evaluation,
    /// Bounds.
    pub bounds: Bounds,
    /// Metrics.
    pub metrics: Metrics,
}

// === impl State ===

impl State {
    /// The same for the thread that it is called on.
    #[must_use]
    pub fn for_this_thread(&self) -> Self {
        Self { pipeline: self.pipeline.for_this_thread(), ..self.clone() }
    }
}

/// Bounds on what a request may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a webhook's body.
    pub webhook_body: usize,
    /// Bytes of a CloudEvents request's body.
    pub event_body: usize,
    /// Time for a whole body to arrive.
    pub body_deadline: Duration,
    /// Bytes in a second at which a body must come at least, after its first two seconds.
    pub body_rate: usize,
    /// Time from receipt to the answer of a webhook.
    pub webhook_deadline: Duration,
    /// Time from receipt to the answer of a CloudEvents request.
    pub event_deadline: Duration,
}

/// Which routes a port has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// Those of webhooks.
    Webhooks,
    /// Those of CloudEvents.
    Events,
    /// Both.
    All,
}

/// Registers routes, and the same below `base`, where there is one.
pub fn routes(which: Routes, config: &mut web::ServiceConfig, base: &str) {
    let bases = if base.is_empty() { vec![""] } else { vec!["", base] };
    for base in bases {
        if which != Routes::Events {
            let receive = webhook_scope(base).guard(Post()).default_service(web::to(webhooks::receive));
            let refuse =
                webhook_scope(base).default_service(web::to(|| async { answer::wrong_method("POST") }));
            config.service(receive).service(refuse);
        }
        if which != Routes::Webhooks {
            config
                .service(event_route(if base.is_empty() { "/" } else { base }))
                .service(event_route(&format!("{base}/events")));
        }
    }
    let base = base.to_owned();
    config.default_service(web::to(move |request: HttpRequest| {
        let answer = answer::no_such_path(&request, which, &base);
        async move { answer }
    }));
}

/// `{base}/webhooks/{source}`. A resource with a pattern would be a regular expression, which takes a twentieth of the time
/// of a delivery.
fn webhook_scope(base: &str) -> actix_web::Scope {
    let slashes = base.matches('/').count() + 2;
    let has_source = move |context: &GuardContext<'_>| {
        context.head().uri.path().bytes().filter(|byte| *byte == b'/').count() == slashes
    };
    web::scope(&format!("{base}/webhooks")).guard(fn_guard(has_source))
}

fn event_route(path: &str) -> actix_web::Resource {
    web::resource(path.to_owned())
        .route(web::post().to(events::receive))
        .route(web::method(actix_web::http::Method::OPTIONS).to(events::options))
        .default_service(web::to(|| async { answer::wrong_method("POST, OPTIONS") }))
}

/// Runs one request: admission, then `work`; counts and logs the answer. A panic becomes a 503, so that the sender
/// keeps its event.
async fn answered(
    state: &State,
    route: Route,
    request: &HttpRequest,
    work: impl Future<Output = Answer>,
) -> HttpResponse {
    let started = Instant::now();
    let answer = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!(path = request.path(), "a request met a bug; its sender is asked to try again");
        Answer::bug()
    });
    let code = answer.status();
    state.metrics.answers.get_or_create(&AnswerLabels { route, code: code.as_u16() }).inc();
    state.metrics.answer_seconds.get_or_create(&ByRoute { route }).observe(started.elapsed().as_secs_f64());
    // The gate counts what it turns away and says so now and then: a line for each would cost more than the refusal.
    if code != StatusCode::TOO_MANY_REQUESTS && (code.is_client_error() || code.is_server_error()) {
        tracing::warn!(
            path = request.path(),
            peer = peer::address(request),
            delivery = delivery_id(&Head::of(request)).unwrap_or_default(),
            event_id = answer::header(request, "ce-id").unwrap_or_default(),
            status = code.as_u16(),
            reason = answer.text(),
            "request refused"
        );
    }
    answer.into_response()
}

/// The events of a delivery, vouched for: whatever their sender says about that does not count.
fn shared(events: Vec<Event>, voucher: &Arc<str>) -> Vec<Arc<Event>> {
    events.into_iter().map(|event| Arc::new(event.vouched(Arc::clone(voucher)))).collect()
}
