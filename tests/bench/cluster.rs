//! Beside the limit and the peer, on a real API server: the same pushes become the same `PipelineRun` by a bare POST, by
//! us, and by the sink of a Tekton Triggers `EventListener` with its core interceptors.
//!
//! A run counts when a watch sees it. Tekton's controller, the scheduler and the kubelet are stopped: what is measured is
//! the way to the run, not the run. All contenders take turns on the same API server.

mod contender;
mod drive;
mod exists;

use std::time::Duration;

use anyhow::{Context, ensure};
use pipewright_cluster::Cluster;

use self::contender::Contender;
use self::drive::{Pace, Round};
use crate::process::Folder;
use crate::table::{Row, Table};
use crate::{median, progress};

/// Those that would compete for the two cores, and play runs that nobody waits for.
const STOPPED: [&str; 4] = ["tekton-controller", "tekton-events", "kube-scheduler", "kwok"];
/// Rounds of each measurement, in turns; the medians count. Who begins changes from round to round: the API server is
/// not the same after a thousand runs, and whoever comes after Triggers finds it with other work.
const ROUNDS: usize = 5;

/// How a round is sent, with what it is called and how many pushes it has.
const PACES: [(&str, Pace, usize); 4] = [
    ("1 connection", Pace::Closed(1), 400),
    ("8 connections", Pace::Closed(8), 1500),
    ("32 connections", Pace::Closed(32), 1500),
    ("100/s", Pace::Open(100), 600),
];

/// The cluster without what plays runs; it is started again at the end, for the cluster may be a person's.
struct Quiet {
    cluster: Cluster,
    stopped: Vec<&'static str>,
}

/// Ours and Triggers beside the direct way, each round with its own: from one round to the next the machine differs more
/// than the contenders do.
struct Beside {
    /// Runs per second by those of the direct way.
    rate: (f64, f64),
    /// How much later the run exists, p50, in ms.
    later: (f64, f64),
}

/// All contenders.
pub fn measure(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let cluster = Cluster::from_environment()?
        .context("this needs a real cluster with the programs of Tekton Triggers: `make bench-cluster`")?;
    let _quiet = Quiet::make(&cluster)?;
    let contenders = contender::all(folder, &cluster)?;
    let direct = &contenders[0];
    progress("warming up the API server");
    for contender in contenders.iter().take(3) {
        drive::run(&cluster, contender, Pace::Closed(8), 300)?;
    }
    exists::compare(&cluster, direct.namespace, contenders[2].namespace)?;

    for (name, pace, count) in PACES {
        let mut rounds: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
        for number in 1..=ROUNDS {
            for turn in 0..contenders.len() {
                let at = (turn + number) % contenders.len();
                let (contender, rounds) = (&contenders[at], &mut rounds[at]);
                // As installed it makes five runs a second: few of them, once, are enough to see that.
                let (count, slow) = if contender.is_slow() { (60, true) } else { (count, false) };
                if slow && number > 1 {
                    continue;
                }
                progress(&format!("{name}, {}, round {number} of {ROUNDS}", contender.name));
                contender.start(&cluster)?;
                let round = drive::run(&cluster, contender, pace, count);
                contender.stop(&cluster)?;
                let round = round?;
                progress(&round.to_string());
                rounds.push(round);
            }
        }
        let beside = Beside::of(&rounds)?;
        let rounds: Vec<Round> = rounds.iter().map(|rounds| Round::median(rounds)).collect();
        rows(table, name, pace, &contenders, &rounds, &beside)?;
    }
    Ok(())
}

fn rows(
    table: &mut Table,
    name: &str,
    pace: Pace,
    contenders: &[Contender],
    rounds: &[Round],
    beside: &Beside,
) -> anyhow::Result<()> {
    let [direct, bare, ours, announcing, raised, installed] = rounds else { anyhow::bail!("six contenders") };
    ensure!(contenders.len() == rounds.len(), "a contender without a round");
    let row = |what: &str, unit, value: fn(&Round) -> f64| {
        Row::info(&format!("{name}: {what}"), unit, value(ours)).beside(value(direct)).against(value(raised))
    };
    table.push(row("created", "1/s", |it| it.created));
    if matches!(pace, Pace::Closed(_)) {
        table.push(
            Row::at_least(&format!("{name}: created by the direct rate"), "ratio", beside.rate.0, 0.95)
                .against(beside.rate.1),
        );
    }
    table.push(
        Row::info(&format!("{name}: created, and by a POST without our annotations"), "1/s", ours.created)
            .beside(bare.created),
    );
    table.push(row("accepted, p50", "ms", |it| it.accepted.0));
    table.push(row("accepted, p99", "ms", |it| it.accepted.1));
    table.push(row("exists, p50", "ms", |it| it.exists.0));
    table.push(row("exists, p99", "ms", |it| it.exists.1));
    if let Pace::Open(_) = pace {
        table.push(
            Row::at_most(&format!("{name}: exists later than directly, p50"), "ms", beside.later.0, 1.0)
                .against(beside.later.1),
        );
    }
    table.push(
        Row::at_most(&format!("{name}: CPU of the adapter, each"), "ms", ours.own_cpu, 0.3)
            .against(raised.own_cpu),
    );
    table.push(row("CPU of kube-apiserver, each", "ms", |it| it.cpu_of("kube-apiserver")));
    table.push(row("CPU of tekton-webhook, each", "ms", |it| it.cpu_of("tekton-webhook")));
    table.push(row("CPU of etcd, each", "ms", |it| it.cpu_of("etcd")));
    table
        .push(Row::info(&format!("{name}: memory of the adapter"), "MB", ours.memory).against(raised.memory));
    table.push(
        Row::at_most(&format!("{name}: accepted but missing"), "runs", ours.missing, 0.0)
            .against(raised.missing),
    );
    table.push(
        Row::at_most(&format!("{name}: refused"), "pushes", ours.refused, 0.0)
            .beside(direct.refused)
            .against(raised.refused),
    );
    table.push(
        Row::info(&format!("{name}, announcing the runs too: created"), "1/s", announcing.created)
            .beside(direct.created),
    );
    table.push(Row::info(&format!("{name}, announcing the runs too: CPU, each"), "ms", announcing.own_cpu));
    table.push(
        Row::info(&format!("{name}, Triggers as installed: created"), "1/s", ours.created)
            .beside(direct.created)
            .against(installed.created),
    );
    table.push(
        Row::info(&format!("{name}, Triggers as installed: exists, p50"), "ms", ours.exists.0)
            .against(installed.exists.0),
    );
    Ok(())
}

// === impl Quiet ===

impl Quiet {
    fn make(cluster: &Cluster) -> anyhow::Result<Self> {
        let mut quiet = Self { cluster: cluster.clone(), stopped: Vec::new() };
        for process in STOPPED {
            if cluster.processes.get(process).is_some_and(|process| process.pid.is_some()) {
                cluster.stop(process)?;
                quiet.stopped.push(process);
            }
        }
        Ok(quiet)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        for process in &self.stopped {
            if let Err(error) = self.cluster.start(process) {
                progress(&format!("{process} could not be started again: {error:#}"));
            }
        }
    }
}

// === impl Beside ===

impl Beside {
    fn of(rounds: &[Vec<Round>]) -> anyhow::Result<Self> {
        let [direct, _, ours, _, raised, _] = rounds else { anyhow::bail!("six contenders") };
        let pairs = |theirs: &[Round], value: fn(&Round, &Round) -> f64| {
            median(theirs.iter().zip(direct).map(|(it, direct)| value(it, direct)).collect())
        };
        let rate = |it: &Round, direct: &Round| it.created / direct.created;
        let later = |it: &Round, direct: &Round| it.exists.0 - direct.exists.0;
        Ok(Self {
            rate: (pairs(ours, rate), pairs(raised, rate)),
            later: (pairs(ours, later), pairs(raised, later)),
        })
    }
}

/// How long nothing may happen before what is missing counts as lost.
const PATIENCE: Duration = Duration::from_secs(15);
