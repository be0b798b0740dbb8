//! What it costs to tell of runs: from the watch of the cluster to events that a sink accepted.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;

use crate::process::{Cluster, Folder, Peer, Service, Sink, cpu_seconds, get};
use crate::table::{Row, Table};
use crate::{mappings, progress};

/// Runs of one task each.
const RUNS: usize = 1_000;
/// The events of a run and of its task run: queued, started and finished; started and finished.
const EVENTS: u64 = 5;
/// No event for so long means that something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs that end while the service watches, and runs that had ended before it came.
pub fn measure(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    progress("transitions: runs that are watched");
    let cluster = Cluster::start_with(folder, &["--task-time", "5"])?;
    let sink = Peer::start("sink")?;
    let service = Service::start(folder, &cluster, "watching", &mappings::none(), Sink::At(sink.address))?;
    let live = Told::by(&service, &sink, || create(&cluster))?;
    table.push(Row::info("watch to event, while runs run: told", "1/s", live.per_second));
    table.push(Row::info("watch to event, while runs run: CPU each", "µs", live.cpu));
    drop(service);

    progress("transitions: runs that have ended");
    let cluster = Cluster::start_with(folder, &["--task-time", "5"])?;
    create(&cluster)?;
    finished(&cluster)?;
    let sink = Peer::start("sink")?;
    let start = Instant::now();
    let service = Service::start(folder, &cluster, "late", &mappings::none(), Sink::At(sink.address))?;
    let late = Told::since(start, 0.0, &service, &sink)?;
    table.push(Row::info("watch to event, runs of before the start: told", "1/s", late.per_second));
    table.push(Row::info("watch to event, runs of before the start: CPU each", "µs", late.cpu));
    Ok(())
}

/// What it took to tell of all runs.
struct Told {
    per_second: f64,
    /// In microseconds, for each event.
    cpu: f64,
}

// === impl Told ===

impl Told {
    fn by(service: &Service, sink: &Peer, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Self> {
        let (start, cpu) = (Instant::now(), cpu_seconds(service.pid())?);
        work()?;
        Self::since(start, cpu, service, sink)
    }

    fn since(start: Instant, cpu: f64, service: &Service, sink: &Peer) -> anyhow::Result<Self> {
        let expected = EVENTS * RUNS as u64;
        let (mut told, mut moved) = (0, Instant::now());
        while told < expected {
            let now = taken(sink.address)?;
            if now > told {
                (told, moved) = (now, Instant::now());
            }
            ensure!(moved.elapsed() < PATIENCE, "{told} of {expected} events came, and then no more");
            std::thread::sleep(Duration::from_millis(5));
        }
        let elapsed = moved - start;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let number = told as f64;
        Ok(Self {
            per_second: number / elapsed.as_secs_f64(),
            cpu: (cpu_seconds(service.pid())? - cpu) * 1e6 / number,
        })
    }
}

fn taken(sink: SocketAddr) -> anyhow::Result<u64> {
    let answer = get(sink, "/")?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no answer of the sink")?;
    Ok(body.trim().parse()?)
}

fn create(cluster: &Cluster) -> anyhow::Result<()> {
    with_runs(cluster, async |runs| {
        for number in 0..RUNS {
            let run: DynamicObject = serde_json::from_value(json!({
                "apiVersion": "tekton.dev/v1",
                "kind": "PipelineRun",
                "metadata": {"name": format!("run-{number}")},
                "spec": {"pipelineSpec": {"tasks": [
                    {"name": "work", "taskSpec": {"steps": [{"name": "a", "image": "busybox", "script": "true"}]}},
                ]}},
            }))?;
            runs.create(&PostParams::default(), &run).await?;
        }
        Ok(())
    })
}

/// Waits until the player has brought every run to its end.
fn finished(cluster: &Cluster) -> anyhow::Result<()> {
    with_runs(cluster, async |runs| {
        let (mut most, mut moved) = (0, Instant::now());
        while most < RUNS {
            let list = runs.list(&ListParams::default()).await?;
            let ended = list.items.iter().filter(|run| run.data.pointer("/status/completionTime").is_some());
            let ended = ended.count();
            if ended > most {
                (most, moved) = (ended, Instant::now());
            }
            ensure!(moved.elapsed() < PATIENCE, "{most} of {RUNS} runs ended, and then no more");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    })
}

fn with_runs(
    cluster: &Cluster,
    work: impl AsyncFnOnce(Api<DynamicObject>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let file = Kubeconfig::read_from(&cluster.kubeconfig)?;
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
        work(Api::namespaced_with(kube::Client::try_from(config)?, "default", &kind)).await
    })
}
