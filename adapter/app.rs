//! The composition root: settings become a running service, and it ends without dropping what it accepted.

mod doors;
mod notice;
mod ports;
pub mod runs;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use doors::Doors;
use notice::Notices;

use crate::action::execute::Executor;
use crate::cluster::Clients;
use crate::diagnostic::{Report, Severity};
use crate::event::http::AllowedOrigins;
use crate::mapping::Catalog;
use crate::mapping::watch::{INTERVAL, Reload, Store};
use crate::pipeline::Pipeline;
use crate::server::admin::{Admin, Check, CheckState};
use crate::server::evaluation::Evaluation;
use crate::server::gate::Gate;
use crate::server::{Bounds, State};
use crate::settings::{Announce, MappingPath, Process, SchemaFilesError, Settings, read_schemas};
use crate::sink::{DEFAULT, Sinks};
use crate::source::events::EventAuth;
use crate::telemetry::metrics::Port;
use crate::telemetry::{LogControl, Metrics};
use crate::vocabulary::schema::Schemas;

/// Is told of a change of the mapping files.
pub type OnReload = Box<dyn Fn(&Reload, usize) + Send + Sync>;

/// What a service is made of.
pub struct Parts {
    /// What was configured.
    pub settings: Settings,
    /// The cluster.
    pub clients: Clients,
    /// Where events go.
    pub sinks: Sinks,
    /// The logger's level, if this process owns the logger.
    pub log: Option<LogControl>,
    /// Told of every change of the mapping files, with the number of mappings in force; without it they are
    /// logged.
    pub on_reload: Option<OnReload>,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be opened.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Which one.
        port: Port,
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The system gives no more threads.
    #[error("no thread can be started")]
    Threads(#[source] std::io::Error),
    /// The mappings cannot be read or compiled.
    #[error("the mappings cannot be used:\n\n{0}")]
    Mappings(Arc<Report>),
    /// A source, a token or a secret cannot be used.
    #[error("{0}")]
    Source(String),
    /// The schemas of private types cannot be used.
    #[error(transparent)]
    Schemas(#[from] SchemaFilesError),
}

/// A running service.
pub struct Service {
    /// The public port.
    pub address: SocketAddr,
    /// Where events come in; the public port, unless they have an address of their own.
    pub events_address: SocketAddr,
    /// The admin port.
    pub admin_address: SocketAddr,
    /// The port for probes alone.
    pub probe_address: Option<SocketAddr>,
    /// Metrics, the same as at `/metrics`.
    pub metrics: Metrics,
    gate: Gate,
    stop: watch::Sender<bool>,
    /// Ends the watch of runs, so that another replica takes it over.
    hand_over: watch::Sender<bool>,
    /// The ports of senders.
    serving: Vec<ServerHandle>,
    /// Those of operators, which answer to the end.
    telling: Vec<ServerHandle>,
    tasks: Vec<JoinHandle<()>>,
}

/// Starts everything; returns when the ports are open.
///
/// # Errors
/// See [`StartError`]; nothing is left running then.
pub async fn start(parts: Parts) -> Result<Service, StartError> {
    let Parts { settings, clients, sinks, log, on_reload } = parts;
    let client = clients.background().clone();
    let (source_types, Settings { process, sources: documents, .. }) = (settings.source_types(), settings);
    let metrics = Metrics::new();

    let listeners = ports::Listeners::open(&process)?;
    let (address, admin_address) = (listeners.public.address, listeners.admin.address);
    let events_address = listeners.events.as_ref().map_or(address, |it| it.address);
    let probe_address = listeners.probe.as_ref().map(|it| it.address);

    let schemas = read_schemas(&process.schemas)?;
    let catalog = Catalog { source_types, ..catalog(&process, &sinks, schemas.clone()) };
    let store = open(&process, catalog, on_reload.as_ref(), &client).await?;
    count_mappings(&metrics, &store);

    let sinks = Arc::new(sinks.measured(&metrics));
    let executor = Executor::new(clients, Arc::clone(&sinks), metrics.clone());
    let pipeline = Pipeline::new(Arc::clone(&store), executor, metrics.clone());

    let (stop, stopped) = watch::channel(false);
    let mut tasks = Vec::new();

    let mut doors = doors::open(documents, &process, &client).await?;
    for refresher in doors.refreshers(&metrics) {
        tasks.push(tokio::spawn(until(stopped.clone(), refresher)));
    }
    let Doors { sources, event_auth, admin_tokens, event_tls, .. } = doors;

    let runs = runs::Runs::new(&process, client.clone(), pipeline.clone(), metrics.clone())
        .map_err(|error| StartError::Source(error.to_string()))?;
    let hint = runs.hint();
    let standing = runs.standing();
    let (hand_over, handed_over) = watch::channel(false);
    tasks.push(tokio::spawn(runs.run(handed_over)));

    let (notices, telling) = notice::notices(client.clone(), store.is_stale().then(|| store.problems()));
    tasks.push(tokio::spawn(until(stopped.clone(), telling)));
    let reloading = reload(Arc::clone(&store), metrics.clone(), notices, on_reload);
    tasks.push(tokio::spawn(until(stopped.clone(), reloading)));

    let gate = Gate::new(
        process.limits.gate(),
        !event_auth.is_closed(),
        sources.keys().map(String::as_str),
        metrics.clone(),
    );
    let state = State {
        sources: Arc::new(sources),
        pipeline,
        event_auth: Arc::clone(&event_auth),
        origins: AllowedOrigins::new(&process.allowed_origins),
        announce_from: match process.announce {
            Announce::Nothing => None,
            Announce::CdEvents => Some(1),
            Announce::All => Some(0),
        },
        options: Arc::new(process.options()),
        hint: Arc::new(hint),
        gate: gate.clone(),
        evaluation: Evaluation::start().map_err(StartError::Threads)?,
        bounds: Bounds {
            webhook_body: process.limits.webhook_body,
            event_body: process.limits.event_body,
            body_deadline: process.limits.body_deadline,
            body_rate: process.limits.body_rate,
            webhook_deadline: process.limits.webhook_deadline,
            event_deadline: process.limits.event_deadline,
        },
        metrics: metrics.clone(),
    };
    let admin_state = web::Data::new(Admin {
        metrics: metrics.clone(),
        log: log.clone(),
        tokens: admin_tokens,
        body_deadline: process.limits.body_deadline,
        observe: Arc::new({
            let standing = standing.clone();
            move |metrics| {
                if let Some(log) = &log {
                    metrics.set_log(log.dropped());
                }
                observe(&standing, metrics);
            }
        }),
        checks: Arc::new({
            let gate = gate.clone();
            move || checks(&gate, &store, &standing, &event_auth)
        }),
        schema: Arc::new(move |file| schemas.file(file)),
    });

    let servers = listeners.serve(&process, &gate, &metrics, &state, event_tls.as_ref(), &admin_state)?;
    let [serving, telling] = [servers.serving, servers.telling].map(|servers| run(servers, &mut tasks));
    tracing::info!(%address, events = %events_address, admin = %admin_address, probe = probe_address.map(tracing::field::display), "serving");
    Ok(Service {
        address,
        events_address,
        admin_address,
        probe_address,
        metrics,
        gate,
        stop,
        hand_over,
        serving,
        telling,
        tasks,
    })
}

/// What mappings may refer to.
fn catalog(process: &Process, sinks: &Sinks, schemas: Schemas) -> Catalog {
    Catalog {
        sinks: sinks.names().map(str::to_owned).chain([DEFAULT.to_owned()]).collect(),
        config: process.config.clone().into(),
        namespace: process.namespace.clone(),
        event_source: process.event_source.clone(),
        options: process.options(),
        with_progress: process.announce_progress,
        watched: process.watch_namespace.clone(),
        schemas,
        folders: process.mappings.iter().filter_map(MappingPath::folder).collect(),
        ..Catalog::default()
    }
}

/// The mappings. A file with mistakes is left out, and said to be, unless the settings are strict.
async fn open(
    process: &Process,
    catalog: Catalog,
    on_reload: Option<&OnReload>,
    client: &kube::Client,
) -> Result<Arc<Store>, StartError> {
    let paths = process.mappings.iter().map(|it| it.path.clone()).collect();
    let store = Store::open(paths, catalog);
    if !store.is_stale() {
        warn(&store.problems());
        return Ok(Arc::new(store));
    }
    let (report, files) = (store.problems(), store.invalid());
    if process.strict_mappings || !store.is_loaded() {
        Box::pin(notice::fatal(client, &report)).await;
        return Err(StartError::Mappings(report));
    }
    if let Some(on_reload) = on_reload {
        on_reload(&Reload::Refused(Arc::clone(&report)), store.current().len());
    } else {
        tracing::error!(files, %report, "mapping files have mistakes and are left out");
    }
    Ok(Arc::new(store))
}

/// Tells what is probably not meant.
fn warn(report: &Report) {
    let warnings = report.warnings().count();
    if warnings > 0 {
        let report = report.only(Severity::Warning);
        tracing::warn!(warnings, %report, "mappings work, and probably not as they are meant");
    }
}

// === impl Service ===

impl Service {
    /// Makes readiness fall while requests are still served, so that load balancers look elsewhere, and hands the watch
    /// of runs over to another replica.
    pub fn drain(&self) {
        self.gate.drain();
        self.hand_over.send_replace(true);
    }

    /// Takes no more requests, finishes those in flight, and ends.
    pub async fn stop(self) {
        self.drain();
        futures::future::join_all(self.serving.iter().map(|port| port.stop(true))).await;
        let _ = self.stop.send(true);
        futures::future::join_all(self.telling.iter().map(|port| port.stop(true))).await;
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// Runs servers, each as a task of its own.
fn run(servers: Vec<Server>, tasks: &mut Vec<JoinHandle<()>>) -> Vec<ServerHandle> {
    let handles = servers.iter().map(Server::handle).collect();
    tasks.extend(servers.into_iter().map(|server| {
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the HTTP server ended");
            }
        })
    }));
    handles
}

fn observe(standing: &runs::Standing, metrics: &Metrics) {
    let (leads, transitions) = standing.leads();
    metrics.set_leader(leads, transitions);
    let runs = &standing.runs;
    let oldest = runs.oldest_undelivered().unwrap_or_default();
    metrics.set_watch(runs.delivered(), runs.failed_calls(), runs.lost(), runs.relists(), oldest);
    metrics.deleted_runs.set(i64::try_from(runs.departed()).unwrap_or(i64::MAX));
}

async fn until(mut stopped: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

async fn reload(store: Arc<Store>, metrics: Metrics, notices: Notices, on_reload: Option<OnReload>) {
    let seen = Arc::clone(&store);
    store
        .watch(INTERVAL, move |reload| {
            count_mappings(&metrics, &seen);
            match reload {
                Reload::Unchanged => {}
                Reload::Replaced(_) => notices.valid_mappings(),
                Reload::Refused(report) => notices.invalid_mappings(report),
            }
            if let Some(on_reload) = &on_reload {
                return on_reload(reload, seen.current().len());
            }
            match reload {
                Reload::Unchanged => {}
                Reload::Replaced(report) => {
                    tracing::info!(mappings = seen.current().len(), "mappings reloaded");
                    warn(report);
                }
                Reload::Refused(report) => tracing::error!(
                    errors = report.errors().count(),
                    %report,
                    "mapping files have mistakes; their last good versions stay in force"
                ),
            }
        })
        .await;
}

fn count_mappings(metrics: &Metrics, store: &Store) {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    metrics.mappings.set(count(store.current().len()));
    metrics.mappings_load.set(store.load_time().as_secs_f64());
    metrics.mapping_problems.set(count(store.problems().errors().count()));
    metrics.mappings_invalid.set(count(store.invalid()));
}

fn checks(gate: &Gate, store: &Store, standing: &runs::Standing, events: &EventAuth) -> Vec<Check> {
    let draining = if gate.is_draining() {
        CheckState::Failed("the process is shutting down".into())
    } else {
        CheckState::Passed
    };
    let problems = store.problems();
    let mappings = if store.is_unusable() {
        CheckState::Failed(format!("no mapping file can be used\n{problems}"))
    } else if problems.has_errors() {
        CheckState::Warning(format!(
            "{} errors in the newest versions of {} files, whose last good versions stay in force; {} mappings are\n{problems}",
            problems.errors().count(),
            store.invalid(),
            store.current().len()
        ))
    } else {
        CheckState::Passed
    };
    vec![
        Check { name: "serving", state: draining },
        Check { name: "mappings", state: mappings },
        Check { name: "watch", state: standing.check() },
        Check { name: "events", state: doors::check(events) },
    ]
}
