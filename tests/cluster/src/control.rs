//! The socket by which tests stop and start single processes: one line asks, one line answers.

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

/// What is asked.
pub enum Ask {
    /// End it in order.
    Stop(String),
    /// End it at once.
    Kill(String),
    /// Start it again.
    Start(String),
}

/// Reads what is asked; none when the other side went away.
pub async fn read(stream: &mut UnixStream) -> anyhow::Result<Ask> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    match line.trim_end().split_once(' ') {
        Some(("stop", name)) => Ok(Ask::Stop(name.to_owned())),
        Some(("kill", name)) => Ok(Ask::Kill(name.to_owned())),
        Some(("start", name)) => Ok(Ask::Start(name.to_owned())),
        _ => anyhow::bail!("`{}` is not `stop`, `kill` or `start` and a process", line.trim_end()),
    }
}

/// Answers.
pub async fn answer(stream: &mut UnixStream, result: anyhow::Result<()>) {
    let text = result.map_or_else(|error| format!("{error:#}").replace('\n', "; "), |()| "ok".to_owned());
    let _ = stream.write_all(format!("{text}\n").as_bytes()).await;
}
