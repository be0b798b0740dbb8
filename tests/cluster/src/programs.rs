//! The programs of the control plane, built once by `build.sh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::process::Command;

/// Where `build.sh` and the manifests are: the sources of this crate.
pub fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds what is not in the cache, with progress on standard error. `sets` are names that `build.sh` knows.
pub async fn build(sets: &[&str]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut programs = BTreeMap::new();
    for set in sets {
        let script = sources().join("build.sh");
        let output = Command::new(&script)
            .arg(set)
            .stderr(Stdio::inherit())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("{} cannot be run", script.display()))?;
        ensure!(output.status.success(), "{} {set} failed: {}", script.display(), output.status);
        for line in String::from_utf8(output.stdout)?.lines() {
            let path = PathBuf::from(line);
            let name = path.file_name().context("a path without a name")?.to_string_lossy().into_owned();
            programs.insert(name, path);
        }
    }
    Ok(programs)
}

/// The `config` folder of the module that a program is from.
pub fn manifests(program: &Path) -> PathBuf {
    program.with_file_name("config")
}
