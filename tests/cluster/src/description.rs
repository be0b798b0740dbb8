//! What a running cluster says of itself, and how others ask something of it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// The environment variable that holds the folder of the cluster that tests shall use.
pub const FOLDER: &str = "PIPEWRIGHT_CLUSTER";
/// The environment variable that holds the program which starts further clusters.
pub const PROGRAM: &str = "PIPEWRIGHT_CLUSTER_PROGRAM";

/// A process of the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Process {
    /// Its id; none while it is stopped.
    pub pid: Option<u32>,
    /// Standard output and error.
    pub log: PathBuf,
    /// The port at which it shows that it is ready, if that is how it does.
    pub port: Option<u16>,
}

/// A forge that runs beside the cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Forge {
    /// Where it is, such as `http://127.0.0.1:3000`.
    pub url: String,
    /// The login of its administrator.
    pub admin: String,
    /// A token of theirs that may do everything.
    pub token: String,
}

/// A running cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Its folder.
    pub folder: PathBuf,
    /// The process that ends the others when it ends.
    pub supervisor: u32,
    /// Where the API server is.
    pub server: String,
    /// The authority that signed its certificate, PEM.
    pub authority: PathBuf,
    /// A bearer token of a member of `system:masters`.
    pub token: String,
    /// A kubeconfig with that token.
    pub kubeconfig: PathBuf,
    /// Where etcd is.
    pub etcd: String,
    /// The forge, where one was asked for.
    #[serde(default)]
    pub forge: Option<Forge>,
    /// The programs by name, such as `kubectl`.
    pub programs: BTreeMap<String, PathBuf>,
    /// The processes by name, such as `kube-apiserver`.
    pub processes: BTreeMap<String, Process>,
}

// === impl Cluster ===

impl Cluster {
    /// The one that `PIPEWRIGHT_CLUSTER` names, if it names one.
    ///
    /// # Errors
    /// When it names one that does not run.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        std::env::var_os(FOLDER).map(|folder| Self::read(Path::new(&folder))).transpose()
    }

    /// The one in a folder.
    ///
    /// # Errors
    /// When none runs there.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("cluster.json");
        let text = std::fs::read(&path).with_context(|| {
            format!("no cluster runs in {}; `make cluster-up` starts one", folder.display())
        })?;
        serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", path.display()))
    }

    /// Stops one process, with SIGTERM, and waits for its end; whatever is asked of it is refused until it is started
    /// again.
    ///
    /// # Errors
    /// When there is no such process, or the supervisor does not answer.
    pub fn stop(&self, process: &str) -> anyhow::Result<()> {
        self.ask(&format!("stop {process}"))
    }

    /// Stops one process as a crash does, with SIGKILL.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn kill(&self, process: &str) -> anyhow::Result<()> {
        self.ask(&format!("kill {process}"))
    }

    /// Starts a stopped process as it was started first, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Self::stop`], and when it does not become ready.
    pub fn start(&self, process: &str) -> anyhow::Result<()> {
        self.ask(&format!("start {process}"))
    }

    fn ask(&self, what: &str) -> anyhow::Result<()> {
        let mut socket = UnixStream::connect(self.folder.join("socket"))
            .with_context(|| format!("the supervisor in {} does not answer", self.folder.display()))?;
        writeln!(socket, "{what}")?;
        let mut answer = String::new();
        BufReader::new(socket).read_line(&mut answer)?;
        match answer.trim_end() {
            "ok" => Ok(()),
            problem => bail!("{what}: {problem}"),
        }
    }
}
