//! What the program does: `up`, `down`, `run`, and the ways for a program that wants one process less.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::description::{Cluster, FOLDER, PROGRAM};
use crate::supervisor::{Parts, Supervisor};

/// A real Kubernetes API server and a real Tekton on loopback.
///
/// Everything is built from its Go modules once (about six minutes), then starts in some ten seconds. Pods are scheduled and
/// played by KWOK: no container runs.
#[derive(Debug, Parser)]
#[command(name = "pipewright-cluster", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Start one in the background and say how to reach it
    Up {
        /// Its folder: kubeconfig, logs, data
        #[arg(long, default_value_os_t = usual_folder())]
        dir: PathBuf,
        /// Print `cluster.json` instead of words
        #[arg(long)]
        json: bool,
        /// Make the programs of Tekton Triggers ready as well
        #[arg(long)]
        triggers: bool,
    },
    /// End it and remove its folder
    Down {
        /// Its folder
        #[arg(long, default_value_os_t = usual_folder())]
        dir: PathBuf,
    },
    /// Start one, run a command that finds it through `PIPEWRIGHT_CLUSTER`, and end it
    Run {
        /// Make the programs of Tekton Triggers ready as well
        #[arg(long)]
        triggers: bool,
        /// The command
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<OsString>,
    },
    /// Stay in the foreground until SIGTERM, Ctrl-C, or the end of standard input
    Serve {
        /// Its folder
        #[arg(long)]
        dir: PathBuf,
        /// End with standard input: when whoever started this ends, however it ends
        #[arg(long)]
        until_eof: bool,
        /// Make the programs of Tekton Triggers ready as well
        #[arg(long)]
        triggers: bool,
    },
    /// End one process of a running cluster, as `etcd`, `kube-apiserver` or `tekton-controller`
    Stop {
        /// Which
        process: String,
        /// Its folder
        #[arg(long, default_value_os_t = usual_folder(), env = FOLDER)]
        dir: PathBuf,
    },
    /// Start one that was stopped
    Start {
        /// Which
        process: String,
        /// Its folder
        #[arg(long, default_value_os_t = usual_folder(), env = FOLDER)]
        dir: PathBuf,
    },
    /// Become a program that ends with its parent
    #[command(hide = true)]
    WithParent {
        parent: u32,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Where `up` puts a cluster that nobody gave a folder.
fn usual_folder() -> PathBuf {
    std::env::temp_dir().join("pipewright-cluster")
}

/// Does it.
///
/// # Errors
/// When it cannot be done, in words for a person.
pub fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let What::WithParent { parent, program, arguments } = arguments.command {
        crate::process::with_parent(parent, &program, &arguments)?;
        return Ok(ExitCode::FAILURE);
    }
    // One thread: the children end with the thread that made them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.command {
            What::Up { dir, json, triggers } => up(&dir, json, triggers).await,
            What::Down { dir } => down(&dir).await,
            What::Run { triggers, command } => run(&command, Parts { triggers }).await,
            What::Serve { dir, until_eof, triggers } => serve(&dir, until_eof, Parts { triggers }).await,
            What::Stop { process, dir } => done(Cluster::read(&dir)?.stop(&process)),
            What::Start { process, dir } => done(Cluster::read(&dir)?.start(&process)),
            What::WithParent { .. } => bail!("handled above"),
        }
    })
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

async fn up(folder: &Path, json: bool, triggers: bool) -> anyhow::Result<ExitCode> {
    if let Ok(cluster) = Cluster::read(folder) {
        if alive(cluster.supervisor) {
            eprintln!("it runs already");
            return tell(&cluster, json);
        }
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let log = folder.join("supervisor.log");
    let output = File::create(&log)?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--dir")
        .arg(folder)
        .args(triggers.then_some("--triggers"))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        // A group of its own: Ctrl-C in this terminal is not for it.
        .process_group(0)
        .spawn()?;
    let mut told = 0;
    loop {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        eprint!("{}", &text[told..]);
        told = text.len();
        if let Ok(cluster) = Cluster::read(folder) {
            return tell(&cluster, json);
        }
        if let Some(status) = child.try_wait()? {
            bail!("the cluster did not start ({status}); its logs are in {}", folder.display());
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn tell(cluster: &Cluster, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string_pretty(cluster)?);
        return Ok(ExitCode::SUCCESS);
    }
    let kubectl = cluster.programs.get("kubectl").map(|path| path.display().to_string());
    println!("API server  {}", cluster.server);
    println!("logs        {}", cluster.folder.display());
    println!("kubectl     {}", kubectl.unwrap_or_default());
    println!("\n  export KUBECONFIG={}", cluster.kubeconfig.display());
    Ok(ExitCode::SUCCESS)
}

async fn down(folder: &Path) -> anyhow::Result<ExitCode> {
    let cluster = Cluster::read(folder)?;
    let pid = Pid::from_raw(cluster.supervisor.cast_signed()).context("a process without an id")?;
    if kill_process(pid, Signal::TERM).is_ok() {
        let begin = Instant::now();
        while alive(cluster.supervisor) {
            if begin.elapsed() > Duration::from_mins(1) {
                bail!("the supervisor, process {}, does not end", cluster.supervisor);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    std::fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a process is there and is no zombie.
fn alive(pid: u32) -> bool {
    let there = Pid::from_raw(pid.cast_signed()).is_some_and(|pid| test_kill_process(pid).is_ok());
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    there && !state.rsplit(')').next().unwrap_or_default().starts_with(" Z")
}

async fn run(command: &[OsString], parts: Parts) -> anyhow::Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("pipewright-cluster-{}", std::process::id()));
    let mut supervisor = tokio::select! {
        started = Supervisor::start(&folder, parts) => started?,
        name = interrupted() => bail!("ended by {}", name?),
    };
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env(FOLDER, supervisor.folder())
        .env(PROGRAM, std::env::current_exe()?)
        .spawn()
        .with_context(|| format!("{} cannot be run", command[0].display()))?;
    let status = tokio::select! {
        status = child.wait() => status?.code(),
        problem = supervisor.serve() => {
            if let Err(error) = problem {
                eprintln!("the cluster is broken: {error:#}");
            }
            // What runs on it fails by itself, and says how.
            child.wait().await?;
            None
        }
        // The command hears a Ctrl-C too, and ends in its own way.
        name = interrupted() => {
            eprintln!("ended by {}", name?);
            if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
            Some(130)
        }
    };
    supervisor.end().await;
    if status == Some(0) || status == Some(130) {
        std::fs::remove_dir_all(&folder)?;
    } else {
        eprintln!("the logs of the cluster are kept in {}", folder.display());
    }
    Ok(status.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

async fn serve(folder: &Path, until_eof: bool, parts: Parts) -> anyhow::Result<ExitCode> {
    let ended = async {
        if until_eof {
            // A thread of our own: one of the runtime's would keep it from ending while standard input is open.
            let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                drop(sender);
            });
            let _ = receiver.await;
            return anyhow::Ok("the end of its parent");
        }
        std::future::pending().await
    };
    tokio::pin!(ended);
    let mut supervisor = tokio::select! {
        started = Supervisor::start(folder, parts) => started?,
        name = interrupted() => bail!("ended by {}", name?),
        name = &mut ended => bail!("ended by {}", name?),
    };
    let why = tokio::select! {
        problem = supervisor.serve() => problem.map(|()| "itself"),
        name = interrupted() => name,
        name = &mut ended => name,
    };
    supervisor.end().await;
    if until_eof && why.is_ok() {
        let _ = std::fs::remove_dir_all(folder);
    }
    eprintln!("ended by {}", why?);
    Ok(ExitCode::SUCCESS)
}

async fn interrupted() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = hangup.recv() => Ok("SIGHUP"),
        interrupt = tokio::signal::ctrl_c() => interrupt.map(|()| "Ctrl-C").map_err(Into::into),
    }
}
