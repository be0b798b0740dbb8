//! What it costs to refuse a delivery while every place is taken.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::load::{Load, Wanted};
use crate::payload::Payload;
use crate::process::{Cluster, Folder, Peer, Service, Sink};
use crate::table::{Row, Table};
use crate::{CONNECTIONS, alternate, mappings};

/// Requests that are let in.
const PLACES: usize = 4;

/// Takes every place by deliveries whose sink never answers, and measures the refusals.
pub fn measure(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let cluster = &Cluster::start(folder)?;
    let push = &Payload::push()?;
    let stall = Peer::start("stall")?;
    let path = folder.mappings("mappings-overload", &mappings::none())?;
    let limits = format!("{{inFlight: {PLACES}, sourceShare: 100, webhookDeadline: PT1H}}");
    let sink = Sink::At(stall.address);
    let service = Service::start_with(folder, cluster, "overload", &path, sink, &limits)?;
    let mut held = Vec::new();
    for place in 0..PLACES {
        let mut stream = TcpStream::connect(service.address)?;
        let id = format!("81ab-{place:016x}");
        stream.write_all(&[&push.before_id, id.as_bytes(), &push.after_id].concat())?;
        held.push(stream);
    }
    std::thread::sleep(Duration::from_millis(300));
    let floor = Peer::start("refuser")?;
    let load = |address, pid| Load::new(address, pid, push, CONNECTIONS).wanting(Wanted::Refusal);
    let loads = [load(floor.address, floor.pid()), load(service.address, service.pid())];
    let [floor, refused] = alternate("refusals", &loads)?;
    let name = "refusal while all places are taken";
    table.push(Row::at_most(&format!("{name}: CPU each"), "µs", refused.cpu, 8.0).beside(floor.cpu));
    table.push(Row::at_most(&format!("{name}: CPU by the floor's"), "ratio", refused.cpu / floor.cpu, 1.5));
    table.push(Row::info(&format!("{name}: refused"), "1/s", refused.per_second).beside(floor.per_second));
    table.push(Row::at_most("accepted while all places are taken", "part", refused.others, 0.0));
    Ok(())
}
