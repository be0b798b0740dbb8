//! The same API over HTTP/1.1 on loopback, for `kubectl` and for other processes.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::faults::Way;
use super::service::Service;

/// The most connections at once.
const CONNECTIONS: u32 = 1024;
/// How long a stop waits for open requests.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A running listener; it stops when it is dropped.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

// === impl Served ===

impl Served {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for a kubeconfig.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Accepts nothing more, lets open requests end, and returns when they have or after five seconds.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the embedded cluster's listener ended badly");
        }
    }
}

/// Serves on a listener, which must be bound to a loopback address: there is no authentication.
pub fn serve(service: Service, listener: TcpListener) -> io::Result<Served> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let message = format!(
            "the embedded cluster has no authentication and listens on loopback only, not on `{address}`"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let (stop, stopping) = watch::channel(false);
    let service = Service { way: Way::Served, ..service };
    let task = tokio::spawn(accept(service, listener, stopping));
    Ok(Served { address, stop, task })
}

async fn accept(service: Service, listener: TcpListener, mut stopping: watch::Receiver<bool>) {
    let open = Arc::new(Semaphore::new(CONNECTIONS as usize));
    loop {
        let permit = tokio::select! {
            permit = open.clone().acquire_owned() => permit,
            _ = stopping.changed() => break,
        };
        let Ok(permit) = permit else { break };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, most likely: wait for some to come back.
                    tracing::warn!(%error, "the embedded cluster cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            _ = stopping.changed() => break,
        };
        // Watches send small lines that must not wait for more.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let mut stopping = stopping.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request| service.clone().call(request));
            let mut builder = http1::Builder::new();
            let connection = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), answer);
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                _ = stopping.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection to the embedded cluster ended");
            }
            drop(permit);
        });
    }
    drop(listener);
    // Watches would go on to the end of their time: cut them.
    service.faults.cut_watches();
    if tokio::time::timeout(STOP_TIMEOUT, open.acquire_many(CONNECTIONS)).await.is_err() {
        tracing::debug!("some connections to the embedded cluster were still open after the stop");
    }
}
