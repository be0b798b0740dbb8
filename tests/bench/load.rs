//! The load generator: connections that each send one prepared request after another and wait for every answer.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::payload::Payload;
use crate::process::cpu_seconds;

/// Time from the first request to the beginning of a measurement.
const WARM_UP: Duration = Duration::from_millis(300);

/// No two deliveries of a run have the same id.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What is sent to whom.
pub struct Load<'a> {
    address: SocketAddr,
    pid: u32,
    payload: &'a Payload,
    connections: usize,
}

/// What a round came to.
pub struct Measured {
    /// CPU time of the server for each accepted delivery, in microseconds.
    pub cpu: f64,
    /// Accepted deliveries.
    pub per_second: f64,
}

/// What the connections share; they all run on one thread.
#[derive(Default)]
struct Shared {
    accepted: Cell<u32>,
    refused: Cell<u32>,
    over: Cell<bool>,
}

// === impl Load ===

impl<'a> Load<'a> {
    /// A load on the server with the process id `pid`.
    pub fn new(address: SocketAddr, pid: u32, payload: &'a Payload, connections: usize) -> Self {
        Self { address, pid, payload, connections }
    }

    /// Sends for so long.
    ///
    /// # Errors
    /// When a connection breaks or any answer is not 202.
    pub fn run(&self, time: Duration) -> anyhow::Result<Measured> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, self.measure(time))
    }

    async fn measure(&self, time: Duration) -> anyhow::Result<Measured> {
        let shared = Rc::new(Shared::default());
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            let request = [&self.payload.before_id, &b"81ab-0000000000000000"[..], &self.payload.after_id];
            let id_at = self.payload.before_id.len() + "81ab-".len();
            let client = client(stream, request.concat(), id_at, Rc::clone(&shared));
            clients.push(tokio::task::spawn_local(client));
        }
        tokio::time::sleep(WARM_UP).await;
        let (cpu, accepted, start) = (cpu_seconds(self.pid)?, shared.accepted.get(), Instant::now());
        tokio::time::sleep(time).await;
        let cpu = cpu_seconds(self.pid)? - cpu;
        let (accepted, elapsed) = (shared.accepted.get() - accepted, start.elapsed());
        shared.over.set(true);
        for client in clients {
            client.await??;
        }
        ensure!(shared.refused.get() == 0, "{} deliveries were not accepted", shared.refused.get());
        ensure!(accepted > 0, "no delivery was accepted");
        let accepted = f64::from(accepted);
        Ok(Measured { cpu: cpu * 1e6 / accepted, per_second: accepted / elapsed.as_secs_f64() })
    }
}

async fn client(
    mut stream: TcpStream,
    mut request: Vec<u8>,
    id_at: usize,
    shared: Rc<Shared>,
) -> anyhow::Result<()> {
    let mut answer = Vec::with_capacity(4096);
    while !shared.over.get() {
        let id = format!("{:016x}", NEXT_ID.fetch_add(1, Ordering::Relaxed));
        request[id_at..id_at + id.len()].copy_from_slice(id.as_bytes());
        stream.write_all(&request).await?;
        answer.clear();
        let counted = if status(&mut stream, &mut answer).await? == 202 {
            &shared.accepted
        } else {
            eprintln!("{}", String::from_utf8_lossy(&answer));
            &shared.refused
        };
        counted.set(counted.get() + 1);
    }
    Ok(())
}

/// Reads one answer to its end.
async fn status(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<u16> {
    loop {
        ensure!(stream.read_buf(answer).await? > 0, "the server closed the connection");
        let Some(head) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&answer[..head])?.to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
        if answer.len() >= head + 4 + length {
            let status = text.split(' ').nth(1).context("no status")?;
            return Ok(status.parse()?);
        }
    }
}
