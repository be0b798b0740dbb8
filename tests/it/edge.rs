//! Attacks on the HTTP edge over real sockets: what is refused is refused for its own reason, and everybody else is
//! served.

mod addresses;
mod floods;
mod operators;
mod paths;
mod payloads;
mod replay;
mod slow;
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use pipewright::settings::Announce;
use pipewright::source::signature;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::service::{SECRET, Setup};

/// Everything becomes an event at the default sink, so that nothing goes unseen.
fn announcing() -> Setup {
    Setup::new().with(|settings| settings.process.announce = Announce::All)
}

/// The head of a signed delivery, with more header lines, each ended by CRLF.
fn head(event: &str, body: &[u8], lines: &str) -> String {
    format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: pipewright\r\ncontent-type: application/json\r\n\
         x-github-event: {event}\r\nx-github-delivery: 1\r\nx-hub-signature-256: {}\r\n{lines}\r\n",
        signature::sign(SECRET.as_bytes(), body)
    )
}

/// A signed delivery.
fn delivery(event: &str, body: &str) -> String {
    head(event, body.as_bytes(), &format!("content-length: {}\r\n", body.len())) + body
}

/// What a server said to some bytes, and whether it closed the connection.
#[derive(Debug)]
struct Conversation {
    text: String,
    closed: bool,
}

impl Conversation {
    /// Sends bytes and reads until the server closes or is silent for longer than it lingers.
    async fn hold(address: SocketAddr, bytes: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut heard = Vec::new();
        let mut part = [0; 4096];
        let closed = loop {
            match tokio::time::timeout(Duration::from_secs(6), stream.read(&mut part)).await {
                Ok(Ok(count @ 1..)) => heard.extend_from_slice(&part[..count]),
                Ok(_) => break true,
                Err(_) => break false,
            }
        };
        Self { text: String::from_utf8_lossy(&heard).into_owned(), closed }
    }

    /// The status of every answer, in order.
    fn statuses(&self) -> Vec<u16> {
        let places = self.text.match_indices("HTTP/1.1 ");
        places.filter_map(|(at, _)| self.text.get(at + 9..at + 12)?.parse().ok()).collect()
    }
}

/// Lets this process and those that it starts have many connections; how many files it may have open.
fn raise_files() -> usize {
    let pid = std::process::id().to_string();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let hard: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap_or(1 << 20);
    let wanted = hard.min(1 << 20);
    let _ = std::process::Command::new("prlimit")
        .args(["--pid", &pid, &format!("--nofile={wanted}:{hard}")])
        .status();
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap_or(1 << 20)
}
