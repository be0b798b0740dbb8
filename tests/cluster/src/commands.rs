//! What the program does: `up`, `down`, `run`, and the ways for a program that wants one process less.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::process::{Child, Command};
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
        /// Start Gitea, a forge, beside it
        #[arg(long)]
        forge: bool,
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
        /// Start Gitea, a forge, beside it
        #[arg(long)]
        forge: bool,
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
        /// Start Gitea, a forge, beside it
        #[arg(long)]
        forge: bool,
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
            What::Up { dir, json, triggers, forge } => up(&dir, json, Parts { triggers, forge }).await,
            What::Down { dir } => down(&dir).await,
            What::Run { triggers, forge, command } => run(&command, Parts { triggers, forge }).await,
            What::Serve { dir, until_eof, triggers, forge } => {
                serve(&dir, until_eof, Parts { triggers, forge }).await
            }
            What::Stop { process, dir } => done(Cluster::read(&dir)?.stop(&process)),
            What::Start { process, dir } => done(Cluster::read(&dir)?.start(&process)),
            What::WithParent { .. } => bail!("handled above"),
        }
    })
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

async fn up(folder: &Path, json: bool, parts: Parts) -> anyhow::Result<ExitCode> {
    if runs(folder) {
        let cluster = Cluster::read(folder)
            .with_context(|| format!("one is starting or ending in {}; try again", folder.display()))?;
        eprintln!("it runs already");
        return tell(&cluster, json);
    }
    // What one before left behind that ended by itself.
    clear(folder)?;
    create_private(folder)?;
    let log = folder.join("supervisor.log");
    let output = File::create(&log)?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg("--dir")
        .arg(folder)
        .args(parts.triggers.then_some("--triggers"))
        .args(parts.forge.then_some("--forge"))
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
        tokio::select! {
            () = sleep(Duration::from_millis(100)) => {}
            name = interrupted() => {
                terminate(&child);
                child.wait().await?;
                bail!("ended by {}", name?);
            }
        }
    }
}

/// Whether a supervisor answers in the folder: a process id alone could be anybody's by now.
fn runs(folder: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(folder.join("socket")).is_ok()
}

/// Removes a folder in which nothing runs.
fn clear(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

/// The folder holds an administrator's token.
fn create_private(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;

    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))
}

fn terminate(child: &Child) {
    if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
        let _ = kill_process(pid, Signal::TERM);
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
    if let Some(forge) = &cluster.forge {
        println!("forge       {} (token of {}: {})", forge.url, forge.admin, forge.token);
    }
    println!("\n  export KUBECONFIG={}", cluster.kubeconfig.display());
    Ok(ExitCode::SUCCESS)
}

async fn down(folder: &Path) -> anyhow::Result<ExitCode> {
    if !runs(folder) {
        ensure!(folder.exists(), "no cluster runs in {}", folder.display());
        eprintln!("nothing runs in {} any more; it is removed", folder.display());
        clear(folder)?;
        return Ok(ExitCode::SUCCESS);
    }
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
    clear(folder)?;
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
    create_private(&folder)?;
    let mut supervisor = tokio::select! {
        started = Supervisor::start(&folder, parts) => started.with_context(|| {
            format!("the cluster did not start; its logs are kept in {}", folder.display())
        })?,
        name = interrupted() => {
            clear(&folder)?;
            bail!("ended by {}", name?);
        }
    };
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env(FOLDER, supervisor.folder())
        .env(PROGRAM, std::env::current_exe()?)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be run", command[0].display()))?;
    let status = tokio::select! {
        status = child.wait() => status?.code(),
        problem = supervisor.serve() => {
            if let Err(error) = problem {
                eprintln!("the cluster is broken: {error:#}");
            }
            // What runs on it fails by itself, and says how.
            tokio::select! {
                status = child.wait() => { status?; }
                name = interrupted() => {
                    name?;
                    end_all(&mut child).await;
                }
            }
            None
        }
        // The command hears a Ctrl-C too, and ends in its own way.
        name = interrupted() => {
            eprintln!("ended by {}", name?);
            end_all(&mut child).await;
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

/// Ends a command and all that it started: a test runner does not hand a SIGTERM on to its tests.
async fn end_all(child: &mut Child) {
    let family = child.id().map(family).unwrap_or_default();
    for (signal, patience) in
        [(Signal::TERM, Duration::from_secs(20)), (Signal::KILL, Duration::from_secs(5))]
    {
        for pid in family.iter().filter(|pid| alive(**pid)) {
            let _ = Pid::from_raw(pid.cast_signed()).map(|pid| kill_process(pid, signal));
        }
        let begin = Instant::now();
        while begin.elapsed() < patience {
            // Reaps it; the others have parents, or init has them.
            let _ = child.try_wait();
            if !family.iter().any(|pid| alive(*pid)) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A process and its descendants.
fn family(root: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = vec![root];
    let mut at = 0;
    while let Some(one) = family.get(at).copied() {
        family.extend(parents.iter().filter(|(_, parent)| *parent == one).map(|(pid, _)| *pid));
        at += 1;
    }
    family
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
