//! `pipewright cluster`: only the embedded cluster, as a process of its own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

use super::serve::ended;
use super::{Ended, LogArguments, print, runtime};
use crate::telemetry::log;
use pipewright_embedded::{Memory, Options, PlayerOptions, write_kubeconfig};

/// Flags of `cluster`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The address of the API; loopback only
    #[arg(long, default_value = "127.0.0.1:8001", value_name = "ADDRESS")]
    listen: String,
    /// Where to write the kubeconfig
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Objects to load at the start, as YAML
    #[arg(long, value_name = "FILE")]
    load: Vec<PathBuf>,
    /// Keep only objects: runs stay as they were created
    #[arg(long)]
    no_player: bool,
    /// Milliseconds that the player takes for one task
    #[arg(long, default_value_t = 1000, value_name = "MILLISECONDS")]
    task_time: u64,
    #[command(flatten)]
    log: LogArguments,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<Ended> {
    log::init(&arguments.log.log_level, arguments.log.format())?;
    runtime()?.block_on(async move {
        let player = (!arguments.no_player).then(|| player(Duration::from_millis(arguments.task_time)));
        let memory = Memory::start(Options { player, ..Options::default() });
        for path in &arguments.load {
            let name = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("`{name}` cannot be read"))?;
            memory.apply_yaml(&text).with_context(|| format!("`{name}`"))?;
        }
        let served = memory.serve(listen(&arguments.listen, "--listen").await?)?;
        let url = served.url();
        if let Some(path) = &arguments.kubeconfig {
            write_kubeconfig(path, &url)
                .with_context(|| format!("`{}` cannot be written", path.display()))?;
        }
        print(&format!("the embedded cluster is at {url}; it executes nothing\n"))?;
        ended().await?;
        Ok(Ended::Well)
    })
}

/// A player whose tasks take `task_time`.
pub(super) fn player(task_time: Duration) -> PlayerOptions {
    PlayerOptions { task_duration: task_time, ..PlayerOptions::default() }
}

/// A port for the API; the error names the `flag` to change.
pub(super) async fn listen(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!("cannot listen on `{address}`: {error}; free the port, or name another with {flag}")
    })
}
