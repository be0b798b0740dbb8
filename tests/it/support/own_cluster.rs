//! A real cluster of a test's own, whose processes it may stop without disturbing others.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::process::Folder;
use super::skip;

/// The cluster; it ends with its owner, however that one ends.
pub struct OwnCluster {
    /// How to reach it and its processes.
    pub cluster: Arc<pipewright_cluster::Cluster>,
    child: Child,
    folder: Folder,
}

// === impl OwnCluster ===

impl OwnCluster {
    /// Starts one; none, and the test is noted as skipped, where there is no real cluster for the other tests either.
    pub async fn start(name: &str) -> Option<Self> {
        let Some(program) = program() else {
            skip("no real cluster: `make test` starts one where Go is installed");
            return None;
        };
        let folder = Folder::kept(name);
        let path = folder.path().join("cluster");
        let log = File::create(folder.path().join("supervisor.log")).unwrap();
        let mut child = Command::new(program)
            .args(["serve", "--until-eof", "--dir"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while !path.join("cluster.json").exists() {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < Duration::from_mins(5),
                "it does not start: {ended:?}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let cluster = Arc::new(pipewright_cluster::Cluster::read(&path).unwrap());
        Some(Self { cluster, child, folder })
    }

    /// Asks something of the supervisor, which takes its time.
    pub async fn ask(
        &self,
        what: impl FnOnce(&pipewright_cluster::Cluster) -> anyhow::Result<()> + Send + 'static,
    ) {
        let cluster = self.cluster.clone();
        tokio::task::spawn_blocking(move || what(&cluster)).await.unwrap().unwrap();
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Its own folder goes with it.
            for entry in std::fs::read_dir(&self.cluster.folder).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|it| it == "log") {
                    let _ = std::fs::copy(entry.path(), self.folder.path().join(entry.file_name()));
                }
            }
        }
        // The end of its input is the sign to end.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The program that starts clusters.
fn program() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os(pipewright_cluster::PROGRAM) {
        return Some(program.into());
    }
    // Whoever has a cluster up by hand has built it, into the same folder as this.
    std::env::var_os(pipewright_cluster::FOLDER)?;
    let here = std::env::current_exe().ok()?;
    let program = here.parent().and_then(Path::parent)?.join("pipewright-cluster");
    program.exists().then_some(program)
}
