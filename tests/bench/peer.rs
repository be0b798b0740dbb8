//! cdviz-collector, the closest program of the same kind, beside us in the same run where it is installed.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::load::{Load, Measured, Wanted};
use crate::payload::Payload;
use crate::process::{Cluster, Folder, Peer, Process, Service, Sink};
use crate::table::{Row, Table};
use crate::{SECRET, alternate, mappings, progress};

/// The program, where it is not on the `PATH`.
const VARIABLE: &str = "CDVIZ_COLLECTOR";

/// One event for a push that makes a branch, as ours: the least work that gives a CDEvent.
const TRANSFORM: &str = r#"
[{
  "metadata": .metadata,
  "headers": .headers,
  "body": {
    "context": {
      "version": "0.4.1",
      "id": "0",
      "source": .body.repository.html_url,
      "type": "dev.cdevents.branch.created.0.2.0",
      "timestamp": now(),
    },
    "subject": {
      "id": .body.ref,
      "type": "branch",
      "content": {"repository": {"id": .body.repository.full_name}},
    },
    "customData": {"after": .body.after, "before": .body.before, "sender": .body.sender.login},
  },
}]
"#;

/// Both take the same pushes and send one CDEvent each to a sink that takes everything.
pub fn measure(folder: &Folder, table: &mut Table) -> anyhow::Result<()> {
    let Some(program) = find() else {
        progress(&format!(
            "cdviz-collector is not installed: `cargo install cdviz-collector`, or name it in {VARIABLE}"
        ));
        return Ok(());
    };
    let push = &Payload::push()?;
    let cluster = &Cluster::start(folder)?;
    let (our_sink, their_sink) = (Peer::start("sink")?, Peer::start("sink")?);
    let ours = Service::start(folder, cluster, "beside", &mappings::none(), Sink::At(our_sink.address))?;
    let (theirs, address) = start(folder, &program, their_sink.address)?;
    let their_push = push.at("/webhook/bench");
    for connections in [1, 16] {
        let load = Load::new(ours.address, ours.pid(), push, connections);
        let peer = Load::new(address, theirs.id(), &their_push, connections).wanting(Wanted::Success);
        let [ours, theirs] =
            alternate(&format!("cdviz-collector, {connections} connections"), &[load, peer])?;
        rows(table, connections, &ours, &theirs);
    }
    Ok(())
}

fn rows(table: &mut Table, connections: usize, ours: &Measured, theirs: &Measured) {
    let name = format!("beside cdviz-collector, {connections} connections");
    let accepted = ours.per_second / theirs.per_second;
    let cpu = ours.cpu / theirs.cpu;
    table.push(Row::info(&format!("{name}: accepted"), "1/s", ours.per_second).against(theirs.per_second));
    table.push(Row::info(&format!("{name}: CPU each"), "µs", ours.cpu).against(theirs.cpu));
    table.push(Row::at_most(&format!("{name}: refused"), "part", ours.others, 0.0).against(theirs.others));
    if connections > 1 {
        table.push(Row::at_least(&format!("{name}: accepted by theirs"), "ratio", accepted, 10.0));
    }
    table.push(Row::at_most(&format!("{name}: CPU by theirs"), "ratio", cpu, 0.5));
}

fn find() -> Option<PathBuf> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates =
        named.into_iter().chain(std::env::split_paths(&path).map(|it| it.join("cdviz-collector")));
    candidates.find(|it| it.is_file())
}

fn start(folder: &Folder, program: &PathBuf, sink: SocketAddr) -> anyhow::Result<(Process, SocketAddr)> {
    // It cannot be asked for a port of its own choice.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let file = folder.file("cdviz-collector.toml");
    let text = format!(
        "[http]\nhost = \"127.0.0.1\"\nport = {}\nroot_url = \"http://{address}\"\n\n\
         [sinks.bench]\nenabled = true\ntype = \"http\"\ndestination = \"http://{sink}/\"\n\n\
         [sources.bench]\nenabled = true\ntransformer_refs = [\"push\"]\n\n\
         [sources.bench.extractor]\ntype = \"webhook\"\nid = \"bench\"\n\n\
         [sources.bench.extractor.headers]\n\"x-hub-signature-256\" = {{ type = \"signature\", \
         signature_encoding = \"hex\", signature_on = \"body\", signature_prefix = \"sha256=\", \
         token = \"{SECRET}\" }}\n\n\
         [transformers.push]\ntype = \"vrl\"\ntemplate = '''{TRANSFORM}'''\n",
        address.port()
    );
    std::fs::write(&file, text)?;
    let log = folder.file("cdviz-collector.log");
    let mut command = Command::new(program);
    command
        .args(["connect", "--disable-otel", "--config"])
        .arg(&file)
        .current_dir(folder.file(""))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log)?);
    let process = Process::new(command.spawn().context("cdviz-collector")?);
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        ensure!(begun.elapsed() < Duration::from_secs(20), "cdviz-collector does not start:\n{}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((process, address))
}
