//! What events make the process hold: peak memory under bursts of events of 1 MiB, ordinary ones and such as are made to
//! take much more as a tree than as text. An older binary, `PIPEWRIGHT_BASE`, is measured beside ours in turns.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{Cluster, Folder, PROGRAM, Service, Sink, peak_megabytes};
use crate::progress;
use crate::table::{Row, Table};

/// The environment variable that names the other binary.
const BASE: &str = "PIPEWRIGHT_BASE";
/// `bodyMemory` of the settings, in bytes.
const BODY_MEMORY: u32 = 100 << 20;
/// Where a process is ended, for the sake of the machine, in MB.
const GUARD: f64 = 6_000.0;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// The size of an event's data, a little below `eventBody`.
const SIZE: usize = 1_040_000;
/// An item of an ordinary payload, and one of which a tree takes a hundred times its size.
const ORDINARY: &str = r#"{"name":"a name of some length","url":"https://forge.example/a/b","id":12345678}"#;
const BOMB: &str = r#"{"":0}"#;

/// Every event starts a run: what is held of it is held until that is there.
const MAPPING: &str = r#"
apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: build}
spec:
  events: [{type: dev.cdevents.change.created}]
  let: {sha: {path: $.data.customData.change.source.sha, required: true}}
  do:
    - name: build
      pipelineRun: {spec: {pipelineRef: {name: build}, params: [{name: revision, value: "{{sha}}"}]}}
"#;

/// Events that are sent: how many, how far apart, and what is in them.
struct Burst {
    name: &'static str,
    count: usize,
    gap: Duration,
    item: &'static str,
}

const BURSTS: [Burst; 4] = [
    Burst { name: "16 ordinary events of 1 MiB at once", count: 16, gap: Duration::ZERO, item: ORDINARY },
    Burst { name: "8 JSON bombs of 1 MiB at once", count: 8, gap: Duration::ZERO, item: BOMB },
    Burst { name: "16 JSON bombs of 1 MiB at once", count: 16, gap: Duration::ZERO, item: BOMB },
    Burst {
        name: "20 JSON bombs of 1 MiB a second for 10 s",
        count: 200,
        gap: Duration::from_millis(50),
        item: BOMB,
    },
];

/// Peaks, in MB.
#[derive(Clone, Copy)]
struct Peak {
    idle: f64,
    loaded: f64,
}

/// Each burst at a process of its own.
pub fn measure(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let base = std::env::var_os(BASE).map(PathBuf::from);
    let mappings = folder.mappings("mappings-memory", MAPPING)?;
    for burst in &BURSTS {
        let ours = peak(folder, Path::new(PROGRAM), &mappings, burst)?;
        let theirs = base.as_ref().map(|base| peak(folder, base, &mappings, burst)).transpose()?;
        let mut push = |row: Row, value: fn(&Peak) -> f64| {
            table.push(if let Some(theirs) = &theirs { row.against(value(theirs)) } else { row });
        };
        let name = burst.name;
        push(Row::info(&format!("{name}: memory before"), "MB", ours.idle), |it| it.idle);
        push(Row::info(&format!("{name}: peak memory"), "MB", ours.loaded), |it| it.loaded);
        let part = format!("{name}: peak by bodyMemory and idle");
        push(Row::at_most(&part, "ratio", ours.of_budget(), 1.0), Peak::of_budget);
        if let Some(theirs) = &theirs
            && burst.item == BOMB
        {
            let name = format!("{name}: peak by that of {BASE}");
            table.push(Row::at_most(&name, "ratio", ours.loaded / theirs.loaded, 0.1));
        }
    }
    Ok(())
}

impl Peak {
    fn of_budget(&self) -> f64 {
        self.loaded / (f64::from(BODY_MEMORY) / 1e6 + self.idle)
    }
}

fn peak(folder: &Folder, program: &Path, mappings: &Path, burst: &Burst) -> anyhow::Result<Peak> {
    let cluster = &Cluster::start(folder)?;
    let limits = format!("limits: {{bodyMemory: {BODY_MEMORY}}}");
    let start = |fields: &str| {
        Service::of(program, folder, &cluster.kubeconfig, "memory", mappings, Sink::None, fields)
    };
    // Older binaries have no such field, and let everybody send.
    let service = start(&format!("insecureEvents: true\n  {limits}"))
        .or_else(|error| if program == Path::new(PROGRAM) { Err(error) } else { start(&limits) })?;
    let (pid, address) = (service.pid(), service.address);
    let mut peak = Peak { idle: peak_megabytes(pid)?, loaded: 0.0 };
    let body = event(burst.item);
    let statuses = std::thread::scope(|scope| {
        let body = &body;
        let sender = scope.spawn(move || send_all(address, burst, body));
        let mut service = Some(service);
        while !sender.is_finished() {
            if service.is_some() {
                // It may have ended by itself.
                peak.loaded = peak_megabytes(pid).unwrap_or(peak.loaded).max(peak.loaded);
                if peak.loaded > GUARD {
                    progress(&format!("{}: ended at {GUARD} MB", program.display()));
                    service = None;
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        if service.is_some() {
            peak.loaded = peak_megabytes(pid).unwrap_or(peak.loaded).max(peak.loaded);
        }
        sender.join().unwrap_or_default()
    });
    let statuses: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
    progress(&format!("{}, {}: {}", program.display(), burst.name, statuses.join(", ")));
    Ok(peak)
}

/// Sends them, each on a connection of its own; how often each answer came.
fn send_all(address: SocketAddr, burst: &Burst, body: &[u8]) -> BTreeMap<String, usize> {
    let mut statuses = BTreeMap::new();
    std::thread::scope(|scope| {
        let mut senders = Vec::new();
        for number in 0..burst.count {
            senders.push(scope.spawn(move || send(address, number, body)));
            std::thread::sleep(burst.gap);
        }
        for sender in senders {
            let status = match sender.join() {
                Ok(Ok(status)) => status,
                Ok(Err(error)) => error.kind().to_string(),
                Err(_) => "panicked".to_owned(),
            };
            *statuses.entry(status).or_default() += 1;
        }
    });
    statuses
}

fn send(address: SocketAddr, number: usize, body: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: localhost\r\nce-specversion: 1.0\r\nce-id: {number}\r\n\
         ce-source: https://forge.example/a/b\r\nce-type: dev.cdevents.change.created.0.4.0\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[9..]).into_owned())
}

/// A change's event, most of it a list of one item.
fn event(item: &str) -> Vec<u8> {
    let list = format!("{item},").repeat(SIZE / (item.len() + 1));
    let data = serde_json::json!({
        "context": {"specversion": "0.5.1", "id": "1", "source": "https://forge.example/a/b",
                    "type": "dev.cdevents.change.created.0.4.0", "timestamp": "2026-01-31T12:00:00Z"},
        "subject": {"id": "1", "content": {"repository": {"id": "a/b"}}},
        "customData": {"items": [], "change": {"source": {"sha": "1f38"}, "target": {"branch": "main"}}},
    });
    data.to_string().replace("\"items\":[]", &format!("\"items\":[{list}null]")).into_bytes()
}
