//! What a reload of ten thousand mappings takes, and how late it makes a delivery.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::payload::Payload;
use crate::process::{Cluster, Folder, Service, Sink, get};
use crate::table::{Row, Table};
use crate::{mappings, median, progress};

/// Documents of a set.
const DOCUMENTS: usize = 10_000;
/// Reloads that are measured.
const ROUNDS: usize = 5;
/// A delivery is sent each so often, however long the one before takes.
const PACE: Duration = Duration::from_millis(5);

/// Swaps two sets, as a mounted `ConfigMap` is swapped, under a steady load.
pub fn measure(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let cluster = &Cluster::start(folder)?;
    let (one, other) = (mappings::many(DOCUMENTS), mappings::many(DOCUMENTS + 1));
    let sets = [folder.mappings("set-one", &one)?, folder.mappings("set-other", &other)?];
    let link = folder.file("set");
    symlink(&sets[0], &link)?;
    let service = Service::start_with(folder, cluster, "reload", &link, Sink::None, "{}")?;

    let quiet = latest(&service, || {
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    })?;
    let (mut times, mut lates) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        progress(&format!("reload: round {round} of {ROUNDS}"));
        let late = latest(&service, || {
            let new = folder.file("set.new");
            symlink(&sets[round % 2], &new)?;
            std::fs::rename(new, &link)?;
            in_force(&service, DOCUMENTS + round % 2)
        })?;
        lates.push(late.as_secs_f64() * 1e3);
        times.push(metric(service.admin, "pipewright_mappings_load_seconds")?);
    }
    table.push(Row::at_most("reload of 10,000 documents", "s", median(times), 1.0));
    let late = lates.into_iter().fold(0.0, f64::max);
    table.push(Row::at_most("latest answer while reloading", "ms", late, 50.0));
    table.push(Row::info("latest answer without a reload", "ms", quiet.as_secs_f64() * 1e3));
    Ok(())
}

/// The longest time from when a delivery was due to its answer, while `work` is done.
fn latest(service: &Service, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    let over = Arc::new(AtomicBool::new(false));
    let sender = std::thread::spawn({
        let (over, address, push) = (Arc::clone(&over), service.address, Payload::push()?);
        move || send(address, &push, &over)
    });
    let worked = work();
    over.store(true, Ordering::Relaxed);
    let latest = sender.join().ok().context("the sender failed")??;
    worked.map(|()| latest)
}

fn send(address: SocketAddr, push: &Payload, over: &AtomicBool) -> anyhow::Result<Duration> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let request = [&push.before_id, &b"81ab-0000000000000000"[..], &push.after_id].concat();
    let (mut due, mut latest) = (Instant::now(), Duration::ZERO);
    let mut answer = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&request)?;
        let count = stream.read(&mut answer)?;
        ensure!(answer[..count].starts_with(b"HTTP/1.1 202"), "not accepted");
        latest = latest.max(due.elapsed());
        due += PACE;
    }
    Ok(latest)
}

fn in_force(service: &Service, number: usize) -> anyhow::Result<()> {
    let start = Instant::now();
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    while (metric(service.admin, "pipewright_mappings")? - number as f64).abs() > 0.5 {
        ensure!(start.elapsed() < Duration::from_mins(1), "the new mappings are not taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn metric(admin: SocketAddr, name: &str) -> anyhow::Result<f64> {
    let text = get(admin, "/metrics")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("no metric `{name}`"))?.trim().parse()?)
}
