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
    let limits = format!("{{inFlight: {PLACES}, webhookDeadline: PT1H}}");
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
    let load = Load::new(service.address, service.pid(), push, CONNECTIONS).wanting(Wanted::Refusal);
    let [refused] = alternate("refusals", &[load])?;
    table.push(Row::at_most("refusal while all places are taken: CPU each", "µs", refused.cpu, 8.0));
    table.push(Row::info("refusal while all places are taken: refused", "1/s", refused.per_second));
    table.push(Row::at_most("accepted while all places are taken", "part", refused.others, 0.0));
    Ok(())
}
