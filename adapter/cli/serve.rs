//! `pipewright serve`: the service against a Kubernetes cluster.

use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::inputs::{SettingsArguments, limited};
use super::{Ended, LogArguments, runtime};
use crate::app::{self, Parts, Service, StartError};
use crate::cluster;
use crate::settings::SourceDocument;
use crate::sink::{Environment, Sinks};
use crate::telemetry::log;
use crate::telemetry::metrics::Port;

/// Where a `SinkBinding` projects the token for the bound sink.
const TOKEN_FILE: &str = "/oidc/token";

/// Flags of `serve`; each stands above the settings file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: SettingsArguments,
    /// Where webhooks come in, and events unless they have an address of their own [default: 127.0.0.1:8080]
    #[arg(long, env = "PIPEWRIGHT_LISTEN", hide_env_values = true, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where events come in [default: with the webhooks]
    #[arg(long, env = "PIPEWRIGHT_EVENTS_LISTEN", hide_env_values = true, value_name = "ADDRESS")]
    events_listen: Option<String>,
    /// Where health and metrics are [default: 127.0.0.1:8081]
    #[arg(long, env = "PIPEWRIGHT_ADMIN_LISTEN", hide_env_values = true, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// Where health is as well, for probes alone [default: nowhere else]
    #[arg(long, env = "PIPEWRIGHT_PROBE_LISTEN", hide_env_values = true, value_name = "ADDRESS")]
    probe_listen: Option<String>,
    /// The namespace of runs whose mapping names none [default: default]
    #[arg(long, env = "PIPEWRIGHT_NAMESPACE", hide_env_values = true)]
    namespace: Option<String>,
    /// The namespace whose runs become events; `*` is all of them [default: *]
    #[arg(long, env = "PIPEWRIGHT_WATCH_NAMESPACE", hide_env_values = true, value_name = "NAMESPACE")]
    watch_namespace: Option<String>,
    /// Files and folders of mappings, separated by commas [default: those of the settings, or `mappings`]
    #[arg(
        long,
        env = "PIPEWRIGHT_MAPPINGS",
        hide_env_values = true,
        value_name = "PATH",
        value_delimiter = ','
    )]
    mappings: Vec<PathBuf>,
    /// Do not start when a mapping file has a mistake; else it is left out, and the others are served
    #[arg(long)]
    strict: bool,
    /// A kubeconfig [default: KUBECONFIG, ~/.kube/config, or the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// How long to go on serving after SIGTERM with readiness down, until load balancers have noticed
    #[arg(
        long,
        env = "PIPEWRIGHT_DRAIN_SECONDS",
        hide_env_values = true,
        default_value_t = 5,
        value_name = "SECONDS"
    )]
    drain_seconds: u64,
    #[command(flatten)]
    log: LogArguments,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let log = log::init(&arguments.log.log_level, arguments.log.format())?;
    let mut settings = arguments.settings.read()?;
    let process = &mut settings.process;
    if let Some(listen) = arguments.listen {
        process.listen = listen;
    }
    if let Some(listen) = arguments.admin_listen {
        process.admin_listen = listen;
    }
    if arguments.events_listen.is_some() {
        process.events_listen = arguments.events_listen;
    }
    if arguments.probe_listen.is_some() {
        process.probe_listen = arguments.probe_listen;
    }
    if let Some(namespace) = arguments.namespace {
        process.namespace = namespace;
    }
    if let Some(namespace) = arguments.watch_namespace {
        process.watch_namespace = namespace;
    }
    if !arguments.mappings.is_empty() {
        process.mappings = limited(&arguments.mappings, process);
    }
    process.strict_mappings |= arguments.strict;
    if let Some(kubeconfig) = arguments.kubeconfig {
        process.kubeconfig = Some(kubeconfig);
    }
    for warning in settings.sources.iter().filter_map(SourceDocument::warning) {
        tracing::warn!(hint = warning.hint, "{}", warning.message);
    }
    let sinks =
        Sinks::new(&environment(), settings.sinks.iter().map(|sink| (sink.name.clone(), sink.spec.clone())))?;
    runtime()?.block_on(async move {
        let clients = cluster::connect(settings.process.kubeconfig.as_deref()).await?;
        let parts = Parts { settings, clients, sinks, log: Some(log), on_reload: None };
        let service = started(app::start(parts).await, ["--listen", "--admin-listen"])?;
        ended().await?;
        stop(service, Duration::from_secs(arguments.drain_seconds)).await;
        Ok(Ended::Well)
    })
}

/// A service, or an error that names the flag to change: the first one is that of the public port, the second that of
/// the admin port.
pub(super) fn started(result: Result<Service, StartError>, flags: [&str; 2]) -> anyhow::Result<Service> {
    result.map_err(|error| match error {
        StartError::Listen { port, address, source } => {
            let flag = match port {
                Port::public => flags[0],
                Port::admin => flags[1],
                Port::events => "--events-listen",
                Port::probe => "--probe-listen",
            };
            anyhow::anyhow!(
                "cannot listen on `{address}`: {source}; free the port, or name another with {flag}"
            )
        }
        other => other.into(),
    })
}

/// What the platform says about the default sink.
fn environment() -> Environment {
    let variable = |name| std::env::var(name).ok();
    Environment {
        sink: variable("K_SINK"),
        ce_overrides: variable("K_CE_OVERRIDES"),
        ca_certs: variable("K_CA_CERTS"),
        token_file: Some(PathBuf::from(TOKEN_FILE)),
        namespace: variable("NAMESPACE"),
        timeout: variable("K_SINK_TIMEOUT"),
    }
}

/// Returns at SIGTERM or SIGINT.
pub(super) async fn ended() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Ends the service without dropping what it accepted.
pub(super) async fn stop(service: Service, drain: Duration) {
    tracing::info!(seconds = drain.as_secs(), "ending; requests are still served");
    service.drain();
    tokio::select! {
        () = tokio::time::sleep(drain) => {}
        // A second signal means: now.
        _ = ended() => {}
    }
    service.stop().await;
    tracing::info!("ended");
}
