//! Every metric: its name, its labels and its help text in one place.
//!
//! Label values come from configuration (sources, sinks, mappings) or from enums, never from an event, so the number
//! of series is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "the variant is the label's value")]
pub enum Route {
    /// `POST /webhooks/{source}`.
    webhook,
    /// `POST /` and `POST /events`.
    events,
    /// The watch of Tekton objects.
    watch,
}

/// What became of one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "the variant is the label's value")]
pub enum EffectResult {
    /// It exists because of this request.
    created,
    /// It existed already and is ours.
    duplicate,
    /// Another object has its name.
    conflict,
    /// It can never exist as asked.
    rejected,
    /// It does not exist yet; the sender will try again.
    failed,
    /// A dead letter sink took it instead.
    dead_lettered,
}

/// Why a request was turned away for want of room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "the variant is the label's value")]
pub enum ShedReason {
    /// As many requests are in flight as are allowed.
    in_flight,
    /// The bodies of all requests together would exceed their memory budget.
    memory,
    /// What is made of the body would exceed the memory budget, also when nobody else is there.
    too_large,
    /// As many large bodies wait for their evaluation as may.
    evaluation,
    /// The process is shutting down or not ready yet.
    not_ready,
}

/// Why a connection was ended before its request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "the variant is the label's value")]
pub enum ConnectionBound {
    /// As many are open as are allowed.
    connections,
    /// A head did not arrive in time.
    head_time,
    /// A head is too large.
    head_size,
    /// The peer does not take its answer.
    write_time,
    /// It was the oldest, and another one came.
    oldest,
    /// There was no TLS handshake, or not in time, or with a certificate that does not count.
    handshake,
}

/// Where connections come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "the variant is the label's value")]
pub enum Port {
    /// `listen`.
    public,
    /// `eventsListen`.
    events,
    /// `adminListen`.
    admin,
    /// `probeListen`.
    probe,
}

/// Labels of metrics by port only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByPort {
    /// Where connections come in.
    pub port: Port,
}

/// Labels of [`Metrics::connections_refused`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Refused {
    /// Where it came in.
    pub port: Port,
    /// The bound that was met.
    pub bound: ConnectionBound,
}

/// Labels of [`Metrics::answers`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answer {
    /// Where it came in.
    pub route: Route,
    /// The HTTP status.
    pub code: u16,
}

/// Labels of [`Metrics::effects`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Effect {
    /// `pipelineRun` or `emit`.
    pub kind: &'static str,
    /// The mapping's name; empty for an event announced without one.
    pub mapping: String,
    /// What became of it.
    pub result: EffectResult,
}

/// Labels of [`Metrics::sends`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Send {
    /// The sink's name.
    pub sink: String,
    /// `accepted` or `refused`; the latter also for no answer.
    pub result: &'static str,
}

/// Labels of metrics by sink only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BySink {
    /// The sink's name.
    pub sink: String,
}

/// Labels of metrics by mapping only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByMapping {
    /// The mapping's name; empty for an event announced without one.
    pub mapping: String,
}

/// Labels of what is counted by source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfSource {
    /// The source's name.
    pub source: String,
}

/// Labels of [`Metrics::signatures`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Signature {
    /// The source's name.
    pub source: String,
    /// The place of the secret that matched, `none`, or `insecure`.
    pub secret: String,
}

/// Labels of [`Metrics::events_authenticated`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Authentication {
    /// What let the request in: `token`, `oidc`, `mtls` or `insecure`; `none` was refused.
    pub by: &'static str,
}

/// Labels of [`Metrics::misfits`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByCost {
    /// The forge's name.
    pub forge: &'static str,
    /// `field` or `event`.
    pub costs: &'static str,
}

/// Labels of metrics by route only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByRoute {
    /// Where it came in.
    pub route: Route,
}

/// Labels of metrics by route and source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByDoor {
    /// Where it came in.
    pub route: Route,
    /// The source's name; empty for events.
    pub source: String,
}

/// Labels of [`Metrics::shed`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Shed {
    /// Why.
    pub reason: ShedReason,
    /// Where it came in.
    pub route: Route,
    /// The source's name; empty for events.
    pub source: String,
}

/// Handles to every metric; cloning shares them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Events that came in, raw and derived.
    pub events_received: Family<ByRoute, Counter>,
    /// Answers by route and HTTP status.
    pub answers: Family<Answer, Counter>,
    /// Effects by kind, mapping and result.
    pub effects: Family<Effect, Counter>,
    /// Attempts to deliver an event to a sink.
    pub sends: Family<Send, Counter>,
    /// Events that a dead letter sink took in place of this sink.
    pub dead_letters: Family<BySink, Counter>,
    /// Requests to a sink in flight.
    pub sink_in_flight: Family<BySink, Gauge>,
    /// Deliveries to a sink that wait for room or for their next try.
    pub sink_waiting: Family<BySink, Gauge>,
    /// Deliveries refused because too many to the same sink are under way.
    pub sink_refusals: Family<BySink, Counter>,
    /// Webhooks by the secret that they showed, or `none`.
    pub signatures: Family<Signature, Counter>,
    /// Requests to the `CloudEvents` route by what let them in.
    pub events_authenticated: Family<Authentication, Counter>,
    /// Deliveries about what their source does not speak for.
    pub foreign: Family<OfSource, Counter>,
    /// How long a secret of a source could not be read.
    pub secrets_unreadable: Family<OfSource, Gauge>,
    /// Fields of forges' payloads that could not be used, by what was not told for them.
    pub misfits: Family<ByCost, Counter>,
    /// Requests turned away for want of room.
    pub shed: Family<Shed, Counter>,
    /// Objects that bear a name of ours but not our key; must stay 0.
    pub name_conflicts: Counter,
    /// Plans of a mapping that could not be computed.
    pub plan_errors: Family<ByMapping, Counter>,
    /// Run transitions delivered.
    pub transitions: Counter,
    /// Full lists of Tekton objects after the first.
    pub watch_relists: Counter,
    /// Runs that could not be read or marked.
    pub watch_failures: Counter,
    /// Effects of run transitions that failed and are tried again.
    pub transition_failures: Family<ByMapping, Counter>,
    /// Effects of run transitions that were refused for good.
    pub transitions_refused: Family<ByMapping, Counter>,
    /// Deleted runs of which something due will never be told.
    pub transitions_lost: Counter,
    /// Deleted runs of which something is still to be told.
    pub deleted_runs: Gauge,
    /// Age in seconds of the oldest transition not yet delivered.
    pub oldest_unemitted: Gauge,
    /// Seconds from the first byte to the answer.
    pub answer_seconds: Family<ByRoute, Histogram>,
    /// 1 while this process watches runs.
    pub leader: Gauge,
    /// Times that this process began or ceased to lead.
    pub leader_transitions: Counter,
    /// Requests in flight.
    pub in_flight: Family<ByDoor, Gauge>,
    /// Bytes held of request bodies and of what is made of them.
    pub body_bytes: Family<ByDoor, Gauge>,
    /// Open connections by port.
    pub connections: Family<ByPort, Gauge>,
    /// Connections that met a bound.
    pub connections_refused: Family<Refused, Counter>,
    /// Lines of the log that could not be written, or not in time.
    pub log_lines_dropped: Counter,
    /// Mappings in force.
    pub mappings: Gauge,
    /// What the last load of the mapping files took.
    pub mappings_load: Gauge<f64, AtomicU64>,
    /// Errors of the newest mapping set when it could not be used; 0 when it is in force.
    pub mapping_problems: Gauge,
    /// Mapping files whose newest version cannot be used.
    pub mappings_invalid: Gauge,
}

// === impl Metrics ===

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers every metric under the prefix `pipewright_`.
    #[expect(clippy::too_many_lines, reason = "it is a list")]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("pipewright");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);

        macro_rules! metric {
            ($name:literal, $help:literal $(,)?) => {{
                let metric = Default::default();
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
            ($name:literal, $help:literal, $unit:expr) => {{
                let metric = Default::default();
                registry.register_with_unit($name, $help, $unit, Clone::clone(&metric));
                metric
            }};
        }
        let answer_seconds = answer_seconds(&mut registry);
        Self {
            events_received: metric!("events_received", "Events that came in"),
            answers: metric!("acks", "Answers by route and status code"),
            effects: metric!("effects", "Effects by kind, mapping and result"),
            sends: metric!("emit_attempts", "Attempts to deliver an event to a sink"),
            dead_letters: metric!(
                "emit_dead_lettered",
                "Events that a dead letter sink took in place of this sink"
            ),
            sink_in_flight: metric!("sink_inflight", "Requests to a sink in flight"),
            sink_waiting: metric!(
                "sink_waiting",
                "Deliveries to a sink that wait for room or for their next try"
            ),
            sink_refusals: metric!(
                "sink_refusals",
                "Deliveries refused because too many to the same sink are under way"
            ),
            signatures: metric!(
                "signatures",
                "Webhooks by the secret that they showed; `none` is one that shows none of them"
            ),
            events_authenticated: metric!(
                "events_authenticated",
                "Requests to the CloudEvents route by what let them in; `none` was refused"
            ),
            foreign: metric!(
                "foreign_deliveries",
                "Signed deliveries about hosts or repositories that their source does not speak for"
            ),
            secrets_unreadable: metric!(
                "secrets_unreadable",
                "How long a secret of a source could not be read; its last value stays valid",
                Unit::Seconds
            ),
            misfits: metric!(
                "payload_misfits",
                "Fields of forges' payloads that could not be used, by what was not told for them"
            ),
            shed: metric!("shed", "Requests turned away for want of room"),
            name_conflicts: metric!(
                "name_conflict",
                "Objects that bear a name of ours but not our key; must stay 0"
            ),
            plan_errors: metric!("plan_errors", "Plans of a mapping that could not be computed"),
            transitions: metric!("transitions_delivered", "Run transitions delivered"),
            watch_relists: metric!("watch_relists", "Full lists of Tekton objects after the first"),
            watch_failures: metric!(
                "watch_failures",
                "Runs that could not be read or marked; each is tried again"
            ),
            transition_failures: metric!(
                "transition_failures",
                "Effects of run transitions that failed and are tried again"
            ),
            transitions_refused: metric!(
                "transitions_refused",
                "Effects of run transitions that were refused for good"
            ),
            transitions_lost: metric!(
                "transitions_lost",
                "Deleted runs of which something due will never be told"
            ),
            deleted_runs: metric!("deleted_runs", "Deleted runs of which something is still to be told"),
            leader: metric!("leader", "1 on the replica that watches runs"),
            leader_transitions: metric!(
                "leader_transitions",
                "Times that this replica began or ceased to lead"
            ),
            in_flight: metric!("inflight", "Requests in flight"),
            connections: metric!("connections", "Open connections by port"),
            connections_refused: metric!("connections_refused", "Connections that met a bound"),
            log_lines_dropped: metric!(
                "log_lines_dropped",
                "Lines of the log that could not be written, or not in time"
            ),
            mappings: metric!("mappings", "Mappings in force"),
            mapping_problems: metric!("mapping_problems", "Errors in the newest versions of mapping files"),
            mappings_invalid: metric!(
                "mappings_invalid",
                "Mapping files whose newest version cannot be used"
            ),
            mappings_load: metric!(
                "mappings_load",
                "What the last load of the mapping files took",
                Unit::Seconds
            ),
            oldest_unemitted: metric!(
                "oldest_unemitted_transition",
                "Age of the oldest run transition not yet delivered",
                Unit::Seconds
            ),
            answer_seconds,
            body_bytes: metric!(
                "body_inflight",
                "Memory held by request bodies and by what is made of them",
                Unit::Bytes
            ),
            registry: Arc::new(registry),
        }
    }

    /// Takes over what the watch of runs has counted.
    pub fn set_watch(
        &self,
        delivered: u64,
        failed_calls: u64,
        lost: u64,
        relists: u64,
        oldest: std::time::Duration,
    ) {
        self.watch_failures.inner().store(failed_calls, Ordering::Relaxed);
        self.transitions.inner().store(delivered, Ordering::Relaxed);
        self.transitions_lost.inner().store(lost, Ordering::Relaxed);
        self.watch_relists.inner().store(relists, Ordering::Relaxed);
        self.oldest_unemitted.set(i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }

    /// Takes over what the log has counted.
    pub fn set_log(&self, dropped: u64) {
        self.log_lines_dropped.inner().store(dropped, Ordering::Relaxed);
    }

    /// Takes over what is known of the leadership.
    pub fn set_leader(&self, leads: bool, transitions: u64) {
        self.leader.set(i64::from(leads));
        self.leader_transitions.inner().store(transitions, Ordering::Relaxed);
    }

    /// The OpenMetrics text, for the content type `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Registers the time from a request to its answer.
fn answer_seconds(registry: &mut Registry) -> Family<ByRoute, Histogram> {
    let answer_seconds = Family::<ByRoute, Histogram>::new_with_constructor(|| {
        // 0.5 ms to 8 s: from an answer without effect to the deadline of a webhook.
        Histogram::new(exponential_buckets(0.000_5, 2.0, 15))
    });
    registry.register_with_unit(
        "answer_duration",
        "Time from the first byte of a request to its answer",
        Unit::Seconds,
        answer_seconds.clone(),
    );
    answer_seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_open_metrics_with_our_prefix() {
        let metrics = Metrics::new();
        metrics.answers.get_or_create(&Answer { route: Route::webhook, code: 202 }).inc();
        let text = metrics.encode();
        assert!(text.contains("pipewright_acks_total{route=\"webhook\",code=\"202\"} 1"), "{text}");
        assert!(text.contains("pipewright_name_conflict_total 0"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
