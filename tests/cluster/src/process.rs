//! One process of the cluster: how it is started, that it is ready, and its end.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// How long a process may take to become ready, and to end; it takes seconds, unless the machine is busy.
const PATIENCE: Duration = Duration::from_secs(90);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// How a process is started, and started again.
pub struct Recipe {
    /// Its name in messages.
    pub name: &'static str,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Environment variables beside ours.
    pub environment: Vec<(&'static str, String)>,
    /// Where it answers once it is ready.
    pub ready: Ready,
}

/// When a process is ready.
pub enum Ready {
    /// When it accepts connections at this port.
    Port(u16),
    /// When its log holds this text.
    Says(&'static str),
}

/// A process, running or stopped.
pub struct Supervised {
    recipe: Recipe,
    log: PathBuf,
    /// Where the log of this start begins.
    begins: usize,
    child: Option<Child>,
}

// === impl Recipe ===

impl Recipe {
    /// Of a program without arguments.
    pub fn new(name: &'static str, program: &Path, ready: Ready) -> Self {
        Self { name, program: program.to_owned(), arguments: Vec::new(), environment: Vec::new(), ready }
    }

    /// Adds arguments.
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds environment variables.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.environment.extend(variables);
        self
    }
}

// === impl Supervised ===

impl Supervised {
    /// A process that is not started yet. Its log will be in the folder.
    pub fn stopped(recipe: Recipe, folder: &Path) -> Self {
        let log = folder.join(format!("{}.log", recipe.name));
        Self { recipe, log, begins: 0, child: None }
    }

    /// Starts a process, without waiting until it is ready.
    pub fn start(recipe: Recipe, folder: &Path) -> anyhow::Result<Self> {
        let mut process = Self::stopped(recipe, folder);
        process.spawn()?;
        Ok(process)
    }

    /// The port at which it shows that it is ready.
    pub fn port(&self) -> Option<u16> {
        match self.recipe.ready {
            Ready::Port(port) => Some(port),
            Ready::Says(_) => None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.recipe.name
    }

    /// Its id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Where its output is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it again when it is stopped.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        if self.child.is_some() {
            bail!("it runs already");
        }
        let log = File::options().create(true).append(true).open(&self.log)?;
        self.begins = usize::try_from(log.metadata()?.len()).unwrap_or_default();
        // Through ourselves, so that it does not outlive us even when we are killed; see `with_parent`.
        let child = Command::new(std::env::current_exe()?)
            .arg("with-parent")
            .arg(std::process::id().to_string())
            .arg(&self.recipe.program)
            .args(&self.recipe.arguments)
            .envs(self.recipe.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for us: we end it in its turn.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.recipe.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let ready = match self.recipe.ready {
                Ready::Port(port) => tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok(),
                // What it said before it was stopped does not count.
                Ready::Says(text) => {
                    let log = std::fs::read(&self.log)?;
                    let own = log.get(self.begins..).unwrap_or_default();
                    String::from_utf8_lossy(own).contains(text)
                }
            };
            let ended = match &mut self.child {
                Some(child) => child.try_wait()?,
                None => bail!("{} is stopped", self.recipe.name),
            };
            // A stranger at its port is not it.
            if ready && ended.is_none() {
                return Ok(());
            }
            if ended.is_some() || begin.elapsed() > PATIENCE {
                let what = ended.map_or("is not ready".to_owned(), |status| format!("ended with {status}"));
                bail!(
                    "{} {what}; the end of {}:\n{}",
                    self.recipe.name,
                    self.log.display(),
                    self.last_lines()
                );
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Ends it: asks, waits, and insists.
    pub async fn stop(&mut self, signal: Signal, patience: Duration) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { bail!("it is stopped already") };
        if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
        if tokio::time::timeout(patience, child.wait()).await.is_err() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Whether it ended by itself, and how.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(format!("{} ended with {status}; the end of its log:\n{}", self.recipe.name, self.last_lines()))
    }

    fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().fold(String::new(), |all, line| all + "  " + line + "\n")
    }
}

/// Becomes `program`, and ends when `parent` does, however that ends.
pub fn with_parent(parent: u32, program: &Path, arguments: &[OsString]) -> anyhow::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before the line above.
    let now = rustix::process::getppid().map(Pid::as_raw_nonzero);
    if now.is_none_or(|now| now.get().cast_unsigned() != parent) {
        bail!("the supervisor has ended");
    }
    Err(std::process::Command::new(program).args(arguments).exec().into())
}
