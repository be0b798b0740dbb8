//! What the program takes before anything happens: memory, size, time to be ready, crates.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use crate::process::{Cluster, Folder, PROGRAM, Service, Sink, resident_megabytes};
use crate::table::{Row, Table};
use crate::{median, progress};

/// Starts that are measured.
const STARTS: usize = 5;
/// How long a started process is left alone before its memory is looked at.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures with the mappings that are shipped.
///
/// The cluster is empty, so that nothing is listed.
pub fn measure(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let cluster = &Cluster::start(folder)?;
    progress("idle memory, size, starts, crates");
    let mappings = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings");
    let mut ready = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..STARTS {
        let service = Service::start_with(folder, cluster, "idle", &mappings, Sink::None, "{}")?;
        ready.push(service.ready.as_secs_f64() * 1e3);
        if memory.is_empty() {
            std::thread::sleep(SETTLE);
            memory.push(resident_megabytes(service.pid())?);
        }
    }
    table.push(Row::at_most("idle, resident memory", "MB", median(memory), 20.0));
    let size = std::fs::metadata(PROGRAM)?.len();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    table.push(Row::at_most("release binary", "MB", size as f64 / 1e6, 18.0));
    table.push(Row::at_most("start to ready", "ms", median(ready), 100.0));
    table.push(Row::at_most("crates", "count", f64::from(crates()?), 320.0));
    Ok(())
}

/// The packages that are built into the program for this machine, and those that build them; ours too.
fn crates() -> anyhow::Result<u32> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["tree", "--locked", "-e", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let packages: BTreeSet<&str> =
        text.lines().map(|line| line.trim_end_matches(" (*)").trim()).filter(|it| !it.is_empty()).collect();
    Ok(u32::try_from(packages.len())?)
}
