//! `pipewright dev`: everything in one process, for a newcomer and for authors of mappings.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::check::many;
use super::cluster::{listen, player};
use super::inputs::{SettingsArguments, limited, style};
use super::{Ended, complain, print, runtime, serve};
use crate::app::{self, Parts};
use crate::cluster::Clients;
use crate::mapping::watch::Reload;
use crate::settings::{Settings, SourceDocument, SourceSpec};
use crate::sink::timeline::Timeline;
use crate::sink::{DEFAULT, Environment, Sinks};
use crate::source::secret::{Secret, SecretReference};
use crate::source::{Auth, generic};
use crate::telemetry::{LogFormat, log};
use crate::vocabulary::Forge;
use crate::vocabulary::scope::Scope;
use pipewright_embedded::{Memory, Options, write_kubeconfig};

/// The webhook secret of `dev`; it protects nothing, and makes `send` sign as a forge does.
const SECRET: &str = "dev";
/// What the embedded cluster holds at the start.
const OBJECTS: &str = include_str!("../../config/dev-cluster.yaml");
/// A payload to try, in the project's own folder.
const PAYLOAD: &str = "tests/fixtures/github/pull_request.opened.json";

/// Flags of `dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files and folders of mappings [default: those of the settings, or `mappings`]
    #[arg(long, value_name = "PATH")]
    mappings: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArguments,
    /// The port for webhooks and events; 0 takes a free one
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    port: u16,
    /// The port for health and metrics
    #[arg(long, default_value_t = 8081, value_name = "PORT")]
    admin_port: u16,
    /// The port of the embedded cluster's API, for kubectl
    #[arg(long, default_value_t = 8001, value_name = "PORT")]
    cluster_port: u16,
    /// Milliseconds that the player takes for one task of a run
    #[arg(long, default_value_t = 1000, value_name = "MILLISECONDS")]
    task_time: u64,
    /// Objects to load into the cluster besides the pipelines of the shipped mappings
    #[arg(long, value_name = "FILE")]
    load: Vec<PathBuf>,
    /// Send to the sinks of the settings, which are only shown otherwise
    #[arg(long)]
    send: bool,
    #[command(flatten)]
    log: DevLog,
}

#[derive(Debug, clap::Args)]
struct DevLog {
    /// Log level: `info`, or directives such as `info,pipewright=debug`
    #[arg(
        long,
        env = "PIPEWRIGHT_LOG",
        hide_env_values = true,
        default_value = "warn",
        value_name = "LEVEL"
    )]
    log_level: String,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    let log = log::init(&arguments.log.log_level, LogFormat::Text)?;
    let settings = settings(&arguments)?;
    runtime()?.block_on(async move {
        let memory = Memory::start(Options {
            player: Some(player(Duration::from_millis(arguments.task_time))),
            namespaces: vec![settings.process.namespace.clone()],
            ..Options::default()
        });
        memory.apply_yaml(OBJECTS).context("config/dev-cluster.yaml")?;
        for path in &arguments.load {
            let name = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("`{name}` cannot be read"))?;
            memory.apply_yaml(&text).with_context(|| format!("`{name}`"))?;
        }
        let port = format!("127.0.0.1:{}", arguments.cluster_port);
        let served = memory.serve(listen(&port, "--cluster-port").await?)?;
        let kubeconfig = Kubeconfig::write(served.address(), &served.url())?;

        let called = if arguments.send { &settings.sinks[..] } else { &[] };
        let specs = called.iter().map(|sink| (sink.name.clone(), sink.spec.clone()));
        let mut sinks = Sinks::new(&Environment::default(), specs)?;
        // The events of an embedded cluster are no news for a team's chat.
        let shown: Vec<String> = settings.sinks.iter().map(|sink| sink.name.clone()).collect();
        for name in shown.iter().filter(|_| !arguments.send) {
            let timeline = Timeline::named(name.clone(), std::io::stdout());
            sinks = sinks.with_receiver(name.clone(), Arc::new(timeline));
        }
        let sinks_told = told_of(&shown, arguments.send);
        if !sinks.has_default() {
            sinks = sinks.with_receiver(DEFAULT, Arc::new(Timeline::new(std::io::stdout())));
        }
        let namespace = settings.process.namespace.clone();
        let mappings: Vec<PathBuf> = settings.process.mappings.iter().map(|it| it.path.clone()).collect();
        let started = app::start(Parts {
            clients: clients(&memory, &namespace),
            settings,
            sinks,
            log: Some(log),
            on_reload: Some(Box::new(told)),
        })
        .await;
        let service = serve::started(started, ["--port", "--admin-port"])?;
        print(&welcome(
            &mappings,
            service.address,
            service.admin_address,
            &served.url(),
            &kubeconfig.0,
            &sinks_told,
        ))?;
        serve::ended().await?;
        service.stop().await;
        Ok(Ended::Well)
    })
}

fn settings(arguments: &Arguments) -> anyhow::Result<Settings> {
    let mut settings = arguments.settings.read()?;
    let process = &mut settings.process;
    process.listen = format!("127.0.0.1:{}", arguments.port);
    process.admin_listen = format!("127.0.0.1:{}", arguments.admin_port);
    // Nobody else reaches loopback, and an event is to be tried without a proof, as a webhook is with a known secret.
    process.insecure_events = true;
    process.event_tokens = Vec::new();
    (process.event_oidc, process.event_tls, process.admin_tokens) = (None, None, Vec::new());
    (process.events_listen, process.probe_listen) = (None, None);
    // Of the embedded cluster; this pod's namespace, if any, is not in it.
    process.leader_election.namespace = Some(process.namespace.clone());
    if !arguments.mappings.is_empty() {
        process.mappings = limited(&arguments.mappings, process);
    }
    for path in &process.mappings {
        let path = &path.path;
        if !path.exists() {
            bail!(
                "there are no mappings at `{}`: run this in the project's folder, or name a folder with --mappings",
                path.display()
            );
        }
    }
    settings.sources = sources(std::mem::take(&mut settings.sources))?;
    Ok(settings)
}

/// Every forge by its name, and what the settings say of other senders; all with the one secret: a secret of the settings
/// is for the real sender, and its file is usually not here.
fn sources(configured: Vec<SourceDocument>) -> anyhow::Result<Vec<SourceDocument>> {
    let secret = SecretReference::Literal(Secret::literal(SECRET)?);
    let mut sources: Vec<SourceDocument> = Vec::new();
    for name in Forge::names() {
        let spec = SourceSpec::Forge(name.parse()?, Auth::Signed(vec![secret.clone()]));
        sources.push(SourceDocument { name: name.to_owned(), scope: Scope::default(), spec });
    }
    for SourceDocument { name, scope, spec } in configured {
        let spec = match spec {
            SourceSpec::Forge(forge, _) => SourceSpec::Forge(forge, Auth::Signed(vec![secret.clone()])),
            SourceSpec::Generic(what, generic::Auth::Proof(proof, _)) => {
                SourceSpec::Generic(what, generic::Auth::Proof(proof, vec![secret.clone()]))
            }
            insecure @ SourceSpec::Generic(_, generic::Auth::Insecure) => insecure,
        };
        sources.retain(|other| other.name != name);
        sources.push(SourceDocument { name, scope, spec });
    }
    Ok(sources)
}

/// The file that kubectl is pointed at; removed when `dev` ends, however it ends.
struct Kubeconfig(PathBuf);

impl Kubeconfig {
    fn write(address: SocketAddr, url: &str) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("pipewright-dev-{}.kubeconfig", address.port()));
        write_kubeconfig(&path, url).with_context(|| format!("`{}` cannot be written", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Kubeconfig {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn told(reload: &Reload, in_force: usize) {
    match reload {
        Reload::Unchanged => {}
        Reload::Replaced(report) => {
            if !report.is_empty() {
                complain(&report.render(style(&std::io::stderr())));
            }
            complain(&format!("mappings reloaded: {in_force} in force"));
        }
        Reload::Refused(report) => {
            complain(&report.render(style(&std::io::stderr())));
            complain(&format!(
                "the changed mappings cannot be used ({}); the {in_force} before them stay in force",
                many(report.errors().count(), "error")
            ));
        }
    }
}

fn welcome(
    mappings: &[PathBuf],
    address: SocketAddr,
    admin: SocketAddr,
    cluster: &str,
    kubeconfig: &Path,
    sinks: &str,
) -> String {
    let program = program();
    let folders: Vec<String> = mappings.iter().map(|path| path.display().to_string()).collect();
    let named = match folders.join(" --mappings ") {
        default if default == "mappings" => String::new(),
        folders => format!(" --mappings {folders}"),
    };
    let folders = folders.join(" ");
    let url = if address.port() == 8080 { String::new() } else { format!(" --url http://{address}") };
    let others: Vec<&str> = Forge::names().into_iter().filter(|name| *name != "github").collect();
    let others = others.join(", ");
    let payload = if Path::new(PAYLOAD).exists() { PAYLOAD } else { "PAYLOAD.json" };
    format!(
        "\
pipewright {version} runs on an embedded cluster: runs go through Tekton's states, and nothing is executed.

  webhooks   http://{address}/webhooks/github
             and {others} in its place (send with `--forge`)
  events     http://{address}/events
             open to everybody on this machine, without a proof; `serve` needs one
  health     http://{admin}/readyz?verbose
  metrics    http://{admin}/metrics
  cluster    {cluster}
  mappings   {folders} (reloaded when they change)
{sinks}
Try, in another terminal:

  {program} send{url} --secret {SECRET} --event pull_request {payload}
  kubectl --kubeconfig {kubeconfig} get pipelineruns,taskruns
  {program} explain{named} --event pull_request {payload}
  {program} test {folders}

Every event that leaves is a line below. Ctrl-C ends it.

",
        version = env!("CARGO_PKG_VERSION"),
        kubeconfig = kubeconfig.display(),
    )
}

/// What becomes of the sinks of the settings, as a line; empty where there are none.
/// A client for each thread, without a socket.
fn clients(memory: &Memory, namespace: &str) -> Clients {
    let (served, namespace_of_each) = (memory.clone(), namespace.to_owned());
    Clients::new(memory.client(namespace), move || served.client(&namespace_of_each))
}

fn told_of(sinks: &[String], called: bool) -> String {
    if sinks.is_empty() {
        return String::new();
    }
    let what =
        if called { "called, as the settings say" } else { "shown below and not called (--send calls them)" };
    format!("  sinks      {}: {what}\n", sinks.join(", "))
}

/// How this program was called, as a line to type in the same folder.
fn program() -> String {
    let path = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    match (path, here) {
        (Some(path), Some(here)) => match path.strip_prefix(&here) {
            Ok(relative) => format!("./{}", relative.display()),
            Err(_) => path.display().to_string(),
        },
        _ => "pipewright".to_owned(),
    }
}
