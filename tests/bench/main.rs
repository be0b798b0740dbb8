//! One run, one table: what a delivery costs beside a floor, and what the process takes when nothing happens.
//!
//! CPU times are user and system time of the server's process, from `/proc`, so that other load on the machine and
//! the load generator do not count. The floor is the least that anybody could do: a bare actix handler in a process
//! of its own that reads the body, verifies it and parses all of it. Floor and service take turns in short rounds,
//! and each value is the median of its rounds.

mod cluster;
mod floor;
mod load;
mod mappings;
mod memory;
mod overload;
mod payload;
mod peer;
mod process;
mod reload;
mod startup;
mod table;
mod transitions;
mod vocabulary;

use std::time::Duration;

use anyhow::{Context, bail};

use self::load::{Load, Measured};
use self::payload::Payload;
use self::process::{Cluster, Folder, Peer, Service, Sink};
use self::table::{Row, Table};

/// A part of the run, which adds its rows.
type Section = fn(&Folder, &mut Table) -> anyhow::Result<()>;

/// Rounds of each measurement.
const ROUNDS: usize = 3;
/// Length of a round.
const ROUND: Duration = Duration::from_secs(2);
/// Connections of the load generator, where nothing else is said.
const CONNECTIONS: usize = 16;
/// The secret of every signed delivery.
pub const SECRET: &str = "a secret for the benchmark";

fn main() -> anyhow::Result<()> {
    if let Some(role) = std::env::var_os(floor::ROLE) {
        return floor::run(&role.to_string_lossy());
    }
    let sections: [(&str, Section); 11] = [
        ("vocabulary", vocabulary::measure),
        ("accepting", accepting),
        ("runs", runs),
        ("events", events),
        ("peer", peer::measure),
        ("overload", overload::measure),
        ("transitions", transitions::measure),
        ("reload", reload::measure),
        ("memory", memory::measure),
        ("startup", startup::measure),
        ("cluster", cluster::measure),
    ];
    // Cargo adds flags of its own.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|it| sections.iter().all(|(name, _)| name != it)) {
        let known = sections.map(|(name, _)| name).join(", ");
        bail!("there is no section `{unknown}`; the sections are: {known}");
    }
    let folder = Folder::new()?;
    let mut table = Table::default();
    for (name, measure) in sections {
        // The last one needs a real cluster, and has a file of its own.
        let is_usual = name != "cluster";
        if (wanted.is_empty() && is_usual) || wanted.iter().any(|it| it == name) {
            measure(&folder, &mut table)?;
        }
    }
    print!("{table}");
    let file = match wanted.as_slice() {
        [] => "bench.json",
        [only] if only == "cluster" => "cluster.json",
        _ => return Ok(()),
    };
    progress(&format!("written to {}", table.write(file)?.display()));
    Ok(())
}

/// What it costs to accept a delivery: without mappings, and with many of which one matches.
fn accepting(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let cluster = &Cluster::start(folder)?;
    let push = Payload::push()?;
    let pull_request = Payload::pull_request()?;
    let floor = Peer::start("floor")?;
    let bare = Service::start(folder, cluster, "bare", &mappings::none(), Sink::None)?;
    let some = Service::start(folder, cluster, "1000", &mappings::many(1_000), Sink::None)?;
    let most = Service::start(folder, cluster, "10000", &mappings::many(10_000), Sink::None)?;
    let one_type = Service::start(folder, cluster, "same", &mappings::of_one_type(1_000), Sink::None)?;

    for (payload, what) in [(&push, "push"), (&pull_request, "pull request")] {
        let name = format!("{what} of {}", payload.size());
        let on_floor = Load::new(floor.address, floor.pid(), payload, CONNECTIONS);
        let on_service = Load::new(bare.address, bare.pid(), payload, CONNECTIONS);
        let [floor, ours] = alternate(&name, &[on_floor, on_service])?;
        table.push(Row::info(&format!("{name}, CPU each"), "µs", ours.cpu).beside(floor.cpu));
        table.push(Row::at_most(&format!("{name}, CPU by the floor's"), "ratio", ours.cpu / floor.cpu, 1.5));
        table.push(Row::info(&format!("{name}, accepted"), "1/s", ours.per_second).beside(floor.per_second));
    }

    let loads =
        [&bare, &some, &most, &one_type].map(|it| Load::new(it.address, it.pid(), &push, CONNECTIONS));
    let [none, thousand, ten_thousand, one_type] = alternate("mappings", &loads)?;
    let mut more = |name: &str, with: &Measured, goal: f64| {
        table.push(Row::at_most(&format!("push, {name}: CPU more"), "µs", with.cpu - none.cpu, goal));
    };
    more("1,000 mappings, one matches", &thousand, 10.0);
    more("10,000 mappings, one matches", &ten_thousand, 20.0);
    let more = one_type.cpu - none.cpu;
    table.push(Row::info("push, 1,000 mappings for its type, one matches: CPU more", "µs", more));
    Ok(())
}

/// What it costs to make a run in the cluster. The service watches the runs that it makes, as it always does.
fn runs(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let cluster = &Cluster::start(folder)?;
    let push = Payload::push()?;
    let runs = Service::start(folder, cluster, "runs", &mappings::run_for_every_push(), Sink::None)?;
    let load = Load::new(runs.address, runs.pid(), &push, CONNECTIONS);
    let [run] = alternate("push to run", &[load])?;
    table.push(Row::info("push to PipelineRun, created", "1/s", run.per_second));
    table.push(Row::info("push to PipelineRun, CPU each", "µs", run.cpu));
    Ok(())
}

/// What it costs to have one event accepted by a sink. A cluster of its own: runs of before would be told there too.
fn events(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let cluster = &Cluster::start(folder)?;
    let push = Payload::push()?;
    let sink = Peer::start("sink")?;
    let service = Service::start(folder, cluster, "sink", &mappings::none(), Sink::At(sink.address))?;
    let loads = [1, 16, 64].map(|connections| Load::new(service.address, service.pid(), &push, connections));
    let measured = alternate("push to event", &loads)?;
    for (measured, connections) in measured.iter().zip([1, 16, 64]) {
        let name = format!("push to CDEvent at a sink, {connections} connections");
        table.push(Row::info(&format!("{name}: accepted"), "1/s", measured.per_second));
        table.push(Row::at_most(&format!("{name}: CPU each"), "µs", measured.cpu, 60.0));
    }
    Ok(())
}

/// Each load in turn, several rounds; the medians.
fn alternate<const N: usize>(name: &str, loads: &[Load<'_>; N]) -> anyhow::Result<[Measured; N]> {
    let mut rounds: [Vec<Measured>; N] = std::array::from_fn(|_| Vec::new());
    for round in 1..=ROUNDS {
        progress(&format!("{name}: round {round} of {ROUNDS}"));
        for (load, rounds) in loads.iter().zip(&mut rounds) {
            rounds.push(load.run(ROUND).with_context(|| name.to_owned())?);
        }
    }
    Ok(rounds.map(|rounds| {
        let middle = |value: fn(&Measured) -> f64| median(rounds.iter().map(value).collect());
        Measured {
            cpu: middle(|it| it.cpu),
            per_second: middle(|it| it.per_second),
            others: middle(|it| it.others),
        }
    }))
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Says on standard error what is going on.
pub fn progress(text: &str) {
    eprintln!("bench: {text}");
}
