//! The load generator: connections that each send one prepared request after another and wait for every answer.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
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
    wanted: Wanted,
}

/// Which answers count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// 202 and nothing else: any other answer ends the run.
    Acceptance,
    /// Any 2xx; refusals are counted beside them.
    Success,
    /// 429 and 503; whatever is accepted is not counted.
    Refusal,
}

/// What a round came to.
#[derive(Clone, Copy)]
pub struct Measured {
    /// CPU time of the server for each wanted answer, in microseconds.
    pub cpu: f64,
    /// Wanted answers.
    pub per_second: f64,
    /// The part of all answers that was not wanted, from 0 to 1.
    pub others: f64,
}

/// One connection.
struct Client {
    address: SocketAddr,
    stream: TcpStream,
    request: Vec<u8>,
    /// Where in the request the delivery's id is.
    id_at: usize,
}

struct Answer {
    status: u16,
    closes: bool,
}

/// What the connections share; they all run on one thread.
#[derive(Default)]
struct Shared {
    wanted: Cell<u32>,
    others: Cell<u32>,
    over: Cell<bool>,
}

// === impl Load ===

impl<'a> Load<'a> {
    /// A load on the server with the process id `pid`.
    pub fn new(address: SocketAddr, pid: u32, payload: &'a Payload, connections: usize) -> Self {
        Self { address, pid, payload, connections, wanted: Wanted::Acceptance }
    }

    /// Counts other answers.
    pub fn wanting(mut self, wanted: Wanted) -> Self {
        self.wanted = wanted;
        self
    }

    /// Sends for so long.
    ///
    /// # Errors
    /// When a connection breaks, no answer is wanted, or one is not that must be.
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
            let client = Client { address: self.address, stream, request: request.concat(), id_at };
            clients.push(tokio::task::spawn_local(client.run(self.wanted, Rc::clone(&shared))));
        }
        tokio::time::sleep(WARM_UP).await;
        let (cpu, wanted, others) = (cpu_seconds(self.pid)?, shared.wanted.get(), shared.others.get());
        let start = Instant::now();
        tokio::time::sleep(time).await;
        let cpu = cpu_seconds(self.pid)? - cpu;
        let (wanted, others) = (shared.wanted.get() - wanted, shared.others.get() - others);
        let elapsed = start.elapsed();
        shared.over.set(true);
        for client in clients {
            client.await??;
        }
        ensure!(wanted > 0, "no answer was the wanted one");
        let (wanted, others) = (f64::from(wanted), f64::from(others));
        Ok(Measured {
            cpu: cpu * 1e6 / wanted,
            per_second: wanted / elapsed.as_secs_f64(),
            others: others / (wanted + others),
        })
    }
}

// === impl Client ===

impl Client {
    async fn run(mut self, wanted: Wanted, shared: Rc<Shared>) -> anyhow::Result<()> {
        let mut answer = Vec::with_capacity(4096);
        while !shared.over.get() {
            let id = format!("{:016x}", NEXT_ID.fetch_add(1, Ordering::Relaxed));
            self.request[self.id_at..self.id_at + id.len()].copy_from_slice(id.as_bytes());
            self.stream.write_all(&self.request).await?;
            answer.clear();
            let Answer { status, closes } = read_answer(&mut self.stream, &mut answer).await?;
            let counted = match (wanted, status) {
                (Wanted::Acceptance, 202) | (Wanted::Success, 200..=299) | (Wanted::Refusal, 429 | 503) => {
                    &shared.wanted
                }
                (Wanted::Acceptance, _) => bail!("refused: {}", String::from_utf8_lossy(&answer)),
                (Wanted::Success | Wanted::Refusal, _) => &shared.others,
            };
            counted.set(counted.get() + 1);
            if closes {
                self.stream = TcpStream::connect(self.address).await?;
                self.stream.set_nodelay(true)?;
            }
        }
        Ok(())
    }
}

/// Reads one answer to its end.
async fn read_answer(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<Answer> {
    loop {
        ensure!(stream.read_buf(answer).await? > 0, "the server closed the connection");
        let Some(head) = answer.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&answer[..head])?.to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.map_or(Ok(0), |length| length.trim().parse())?;
        if answer.len() >= head + 4 + length {
            let status = text.split(' ').nth(1).context("no status")?.parse()?;
            return Ok(Answer { status, closes: text.lines().any(|line| line == "connection: close") });
        }
    }
}
