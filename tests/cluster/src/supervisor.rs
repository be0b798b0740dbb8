//! Starts everything in its order, keeps it, and ends it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::net::UnixListener;
use tokio::time::Instant;

use crate::components::{self, Layout, free_port};
use crate::control::{self, Ask};
use crate::description::{Cluster, Forge, Process};
use crate::process::{Recipe, Supervised};
use crate::{forge, manifests, programs, tekton, triggers};

/// What is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// Make the programs of Tekton Triggers ready as well; whoever wants them starts them.
    pub triggers: bool,
    /// Start Gitea beside the cluster.
    pub forge: bool,
}

/// Everything that runs.
pub struct Supervisor {
    layout: Layout,
    processes: Vec<Supervised>,
    forge: Option<Forge>,
    socket: UnixListener,
}

// === impl Supervisor ===

impl Supervisor {
    /// Starts a cluster in an empty folder, with one line on standard error for each step.
    pub async fn start(folder: &Path, parts: Parts) -> anyhow::Result<Self> {
        let wanted = [("control-plane", true), ("triggers", parts.triggers), ("forge", parts.forge)];
        let sets: Vec<&str> = wanted.iter().filter(|(_, wanted)| *wanted).map(|(set, _)| *set).collect();
        let programs = programs::build(&sets).await?;
        let begin = Instant::now();
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let folder = std::fs::canonicalize(folder)?;
        let (server, etcd) = (free_port()?, [free_port()?, free_port()?]);
        let token = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned();
        let layout = Layout { folder, programs, server, etcd, token };
        // First: a second one in the same folder ends here, and harms nothing.
        let socket = UnixListener::bind(layout.file("socket"))
            .with_context(|| format!("another cluster is in {}", layout.folder.display()))?;
        layout.write()?;
        let mut supervisor = Self { layout, processes: Vec::new(), forge: None, socket };
        match supervisor.bring_up(parts).await {
            Ok(()) => {
                eprintln!("the cluster is ready after {:.1} s", begin.elapsed().as_secs_f64());
                Ok(supervisor)
            }
            Err(error) => {
                supervisor.end().await;
                Err(error)
            }
        }
    }

    async fn bring_up(&mut self, parts: Parts) -> anyhow::Result<()> {
        let webhook = free_port()?;
        eprintln!("starting etcd and kube-apiserver at {}", self.layout.address());
        self.add(components::etcd(&self.layout)?)?;
        self.add(components::api_server(&self.layout)?)?;
        self.ready().await?;
        self.answers().await?;
        self.add(components::controller_manager(&self.layout)?)?;
        self.add(components::scheduler(&self.layout)?)?;
        self.add(components::kubelet(&self.layout)?)?;
        eprintln!("applying the manifests of Tekton");
        manifests::apply(&self.layout, &[components::NODE.to_owned()]).await?;
        tekton::prepare(&self.layout, webhook).await?;
        eprintln!("starting Tekton");
        self.add(tekton::webhook(&self.layout, webhook)?)?;
        self.add(tekton::controller(&self.layout)?)?;
        self.add(tekton::events(&self.layout)?)?;
        self.ready().await?;
        tekton::admit(&self.layout, webhook).await?;
        if parts.triggers {
            triggers::prepare(&self.layout).await?;
            for recipe in triggers::recipes(&self.layout)? {
                self.processes.push(Supervised::stopped(recipe, &self.layout.folder));
            }
        }
        if parts.forge {
            eprintln!("starting Gitea");
            let (forge, recipe) = forge::prepare(&self.layout).await?;
            self.add(recipe)?;
            self.ready().await?;
            self.forge = Some(forge);
        }
        self.describe()
    }

    /// What it is, as others read it.
    pub fn cluster(&self) -> Cluster {
        let layout = &self.layout;
        let processes = self.processes.iter().map(|process| {
            (
                process.name().to_owned(),
                Process { pid: process.pid(), log: process.log().to_owned(), port: process.port() },
            )
        });
        Cluster {
            folder: layout.folder.clone(),
            supervisor: std::process::id(),
            server: layout.address(),
            authority: layout.file("ca.crt"),
            token: layout.token.clone(),
            kubeconfig: layout.file("kubeconfig"),
            etcd: format!("http://127.0.0.1:{}", layout.etcd[0]),
            forge: self.forge.clone(),
            programs: layout.programs.clone(),
            processes: processes.collect(),
        }
    }

    /// Answers whoever asks to stop or start a process, and watches that the others run. Ends only with an error: when a
    /// process ended that nobody stopped.
    pub async fn serve(&mut self) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                accepted = self.socket.accept() => {
                    let (mut stream, _) = accepted?;
                    let result = match control::read(&mut stream).await {
                        Ok(ask) => self.act(ask).await,
                        Err(error) => Err(error),
                    };
                    control::answer(&mut stream, result).await;
                }
                _ = look.tick() => {
                    if let Some(problem) = self.processes.iter_mut().find_map(Supervised::ended) {
                        anyhow::bail!(problem);
                    }
                }
            }
        }
    }

    async fn act(&mut self, ask: Ask) -> anyhow::Result<()> {
        let (Ask::Stop(name) | Ask::Kill(name) | Ask::Start(name)) = &ask;
        let process = self
            .processes
            .iter_mut()
            .find(|process| process.name() == name)
            .with_context(|| format!("there is no process `{name}`"))?;
        match ask {
            Ask::Stop(_) => process.stop(Signal::TERM, Duration::from_secs(20)).await?,
            Ask::Kill(_) => process.stop(Signal::KILL, Duration::from_secs(20)).await?,
            Ask::Start(_) => {
                process.spawn()?;
                process.ready().await?;
                if name == "kube-apiserver" {
                    self.answers().await?;
                }
            }
        }
        self.describe()
    }

    /// Ends everything, what was started last first.
    pub async fn end(&mut self) {
        let _ = std::fs::remove_file(self.layout.file("cluster.json"));
        while let Some(mut process) = self.processes.pop() {
            // Nothing here is worth a long good-bye; etcd and the API server end on SIGTERM within a second or two.
            let _ = process.stop(Signal::TERM, Duration::from_secs(3)).await;
        }
        // Last: whoever looks takes the socket for a sign that something runs here.
        let _ = std::fs::remove_file(self.layout.file("socket"));
    }

    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        self.layout.folder.clone()
    }

    fn add(&mut self, recipe: Recipe) -> anyhow::Result<()> {
        self.processes.push(Supervised::start(recipe, &self.layout.folder)?);
        Ok(())
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        for process in &mut self.processes {
            process.ready().await?;
        }
        Ok(())
    }

    /// Waits until the API server says that it is ready: its port is open before.
    async fn answers(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            if let Some(problem) = self.processes.iter_mut().find_map(Supervised::ended) {
                anyhow::bail!(problem);
            }
            match manifests::kubectl(&self.layout, &["get", "--raw", "/readyz"], "").await {
                Ok(_) => return Ok(()),
                Err(error) if begin.elapsed() > Duration::from_mins(1) => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn describe(&self) -> anyhow::Result<()> {
        let path = self.layout.file("cluster.json");
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec_pretty(&self.cluster())?)?;
        Ok(std::fs::rename(new, path)?)
    }
}
