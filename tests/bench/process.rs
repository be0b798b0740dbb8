//! The processes of a run: the service and the embedded cluster from the release binary, and this binary's servers.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use crate::{SECRET, floor};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pipewright");

/// How long a process may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ticks a second of the times in `/proc`, which Linux fixes for all programs.
const TICKS: f64 = 100.0;

/// A folder for the files of a run; it goes away with it.
pub struct Folder(PathBuf);

/// A process that ends with its handle.
pub struct Process(Child);

/// One of this binary's servers.
pub struct Peer {
    process: Process,
    /// Where it listens.
    pub address: SocketAddr,
}

/// The embedded cluster.
pub struct Cluster {
    _process: Process,
    /// How to reach it.
    pub kubeconfig: PathBuf,
}

/// `pipewright serve`.
pub struct Service {
    process: Process,
    /// The public port.
    pub address: SocketAddr,
    /// The admin port.
    pub admin: SocketAddr,
    /// From the start of the process to `/readyz` 200.
    pub ready: Duration,
}

/// Where CDEvents are announced.
#[derive(Clone, Copy)]
pub enum Sink {
    /// Nowhere.
    None,
    /// At a server.
    At(SocketAddr),
}

// === impl Folder ===

impl Folder {
    /// An empty folder.
    pub fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("pipewright-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A folder of mapping files, from documents in one text.
    pub fn mappings(&self, name: &str, documents: &str) -> anyhow::Result<PathBuf> {
        let path = self.file(name);
        std::fs::create_dir_all(&path)?;
        // A file of mappings has a bound, so a hundred at a time.
        let documents: Vec<&str> = documents.split("---\n").filter(|it| !it.is_empty()).collect();
        for (number, documents) in documents.chunks(100).enumerate() {
            std::fs::write(path.join(format!("{number:04}.yaml")), documents.join("---\n"))?;
        }
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

// === impl Process ===

impl Process {
    /// Takes charge of a child.
    pub fn new(child: Child) -> Self {
        Self(child)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Peer ===

impl Peer {
    /// Starts this binary in a role.
    pub fn start(role: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(floor::ROLE, role).stdout(Stdio::piped());
        let mut process = Process(command.spawn()?);
        let address = first_line(&mut process)?.trim().parse()?;
        Ok(Self { process, address })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

// === impl Cluster ===

impl Cluster {
    /// Starts an embedded cluster that only keeps objects.
    pub fn start(folder: &Folder) -> anyhow::Result<Self> {
        Self::start_with(folder, &["--no-player"])
    }

    /// Starts an embedded cluster with flags.
    pub fn start_with(folder: &Folder, flags: &[&str]) -> anyhow::Result<Self> {
        let kubeconfig = folder.file("kubeconfig");
        let mut command = Command::new(PROGRAM);
        command
            .args(["cluster", "--listen", "127.0.0.1:0", "--log-level", "warn", "--kubeconfig"])
            .arg(&kubeconfig)
            .args(flags)
            .stdout(Stdio::piped());
        let mut process = Process(command.spawn()?);
        // It is said when the kubeconfig is there.
        first_line(&mut process)?;
        Ok(Self { _process: process, kubeconfig })
    }
}

// === impl Service ===

impl Service {
    /// Starts the service with mappings and waits until it is ready.
    pub fn start(
        folder: &Folder,
        cluster: &Cluster,
        name: &str,
        mappings: &str,
        sink: Sink,
    ) -> anyhow::Result<Self> {
        let path = folder.mappings(&format!("mappings-{name}"), mappings)?;
        Self::start_with(folder, cluster, name, &path, sink, "{}")
    }

    /// Starts the service with the mappings of a folder and with `limits`, in YAML.
    pub fn start_with(
        folder: &Folder,
        cluster: &Cluster,
        name: &str,
        mappings: &Path,
        sink: Sink,
        limits: &str,
    ) -> anyhow::Result<Self> {
        Self::on(folder, &cluster.kubeconfig, name, mappings, sink, &format!("limits: {limits}"))
    }

    /// Starts the service on any cluster, with more fields of its settings.
    pub fn on(
        folder: &Folder,
        kubeconfig: &Path,
        name: &str,
        mappings: &Path,
        sink: Sink,
        fields: &str,
    ) -> anyhow::Result<Self> {
        Self::of(Path::new(PROGRAM), folder, kubeconfig, name, mappings, sink, fields)
    }

    /// Starts the service of any binary of the product.
    pub fn of(
        program: &Path,
        folder: &Folder,
        kubeconfig: &Path,
        name: &str,
        mappings: &Path,
        sink: Sink,
        fields: &str,
    ) -> anyhow::Result<Self> {
        let secret = folder.file("secret");
        std::fs::write(&secret, SECRET)?;
        let mut settings = format!(
            "apiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec:\n  listen: 127.0.0.1:0\n  \
             adminListen: 127.0.0.1:0\n  mappings: [{}]\n  {fields}\n---\napiVersion: pipewright.dev/v1alpha1\n\
             kind: Source\nmetadata: {{name: github}}\nspec:\n  forge: github\n  secrets: [{{file: {}}}]\n",
            mappings.display(),
            secret.display()
        );
        if let Sink::At(address) = sink {
            let _ = write!(
                settings,
                "---\napiVersion: pipewright.dev/v1alpha1\nkind: Sink\nmetadata: {{name: default}}\nspec:\n  \
                 url: http://{address}/\n"
            );
        }
        let (file, log) = (folder.file(&format!("{name}.yaml")), folder.file(&format!("{name}.log")));
        std::fs::write(&file, settings)?;
        let mut command = Command::new(program);
        // The log goes into a file, as it goes into a pipe in a cluster: whoever logs much shall pay for it.
        command
            .args(["serve", "--log-format", "json", "--settings"])
            .arg(&file)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .stderr(File::create(&log)?);
        let start = Instant::now();
        let mut process = Process(command.spawn()?);
        loop {
            if let Some((address, admin)) = addresses(&log)?
                && is_ready(admin)
            {
                return Ok(Self { process, address, admin, ready: start.elapsed() });
            }
            let ended = process.0.try_wait()?.is_some();
            if ended || start.elapsed() > PATIENCE {
                bail!("the service does not become ready:\n{}", std::fs::read_to_string(&log)?);
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }
}

/// CPU time of a process since its start, of all its threads, in user mode and in the kernel.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program may have spaces; it ends with the last parenthesis (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).context("/proc/PID/stat");
    Ok((ticks(11)? + ticks(12)?) / TICKS)
}

/// Memory of a process, in MB.
pub fn resident_megabytes(pid: u32) -> anyhow::Result<f64> {
    megabytes(pid, "VmRSS:")
}

/// The most memory that a process ever had, in MB.
pub fn peak_megabytes(pid: u32) -> anyhow::Result<f64> {
    megabytes(pid, "VmHWM:")
}

fn megabytes(pid: u32, field: &'static str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context(field)?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

fn first_line(process: &mut Process) -> anyhow::Result<String> {
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().context("no output")?).read_line(&mut line)?;
    ensure!(!line.is_empty(), "a process ended at once");
    Ok(line)
}

/// The ports, once the log tells them.
fn addresses(log: &Path) -> anyhow::Result<Option<(SocketAddr, SocketAddr)>> {
    let text = std::fs::read_to_string(log)?;
    let address = |line: &serde_json::Value, name: &str| line[name].as_str().and_then(|it| it.parse().ok());
    Ok(text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .find_map(|line| Some((address(&line, "address")?, address(&line, "admin")?))))
}

fn is_ready(admin: SocketAddr) -> bool {
    get(admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// One request on a connection of its own; the answer as it comes.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    use std::io::{Read, Write};

    let mut stream = std::net::TcpStream::connect(address)?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
