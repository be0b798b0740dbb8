//! The two ports: how they listen, and with which bounds they are served.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web;
use tokio::net::TcpSocket;

use super::StartError;
use crate::server::admin::{self, Admin};
use crate::server::connection::{Connections, Limits};
use crate::server::gate::Gate;
use crate::server::listen::{Port, serve};
use crate::server::{self, State};
use crate::settings::Process;
use crate::telemetry::Metrics;

/// How long requests in flight may take after shutdown began; more than a CloudEvents request's deadline.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// How long the admin port's requests may take after shutdown began.
const ADMIN_SHUTDOWN: Duration = Duration::from_secs(1);
/// Connections that may wait to be accepted: a burst must not be left to the retries of TCP.
const BACKLOG: u32 = 1024;
/// Files for everything but connections that come in: the cluster, sinks, mappings, logs.
const SPARE_FILES: usize = 512;
/// Connections at the admin port: the kubelet, Prometheus and a few people.
const ADMIN_CONNECTIONS: usize = 256;

/// Serves webhooks and events.
pub(super) fn public(
    process: &Process,
    listener: TcpListener,
    gate: Gate,
    metrics: &Metrics,
    state: State,
) -> Result<Server, StartError> {
    let limits = Limits { connections: connection_bound(process.limits.connections), ..limits(process) };
    let connections = Connections::new(limits, metrics.clone());
    let port = Port { listener, workers: None, connections, gate, shutdown: SHUTDOWN };
    let base = process.base_path.clone();
    // Called on each of the threads that serve.
    serve(port, move |config| server::routes(config.app_data(web::Data::new(state.for_this_thread())), &base))
        .map_err(|source| StartError::Listen { address: process.listen.clone(), source })
}

/// Serves health and metrics.
pub(super) fn admin(
    process: &Process,
    listener: TcpListener,
    gate: Gate,
    state: web::Data<Admin>,
) -> Result<Server, StartError> {
    let limits = Limits { connections: ADMIN_CONNECTIONS, ..limits(process) };
    // Its connections are shown nowhere.
    let connections = Connections::new(limits, Metrics::new());
    let port = Port { listener, workers: Some(1), connections, gate, shutdown: ADMIN_SHUTDOWN };
    serve(port, move |config| admin::routes(config.app_data(state.clone())))
        .map_err(|source| StartError::Listen { address: process.admin_listen.clone(), source })
}

fn limits(process: &Process) -> Limits {
    let limits = &process.limits;
    Limits { connections: limits.connections, head: limits.head, head_deadline: limits.head_deadline }
}

pub(super) fn listen(address: &str) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen { address: address.to_owned(), source };
    let mut error = std::io::ErrorKind::AddrNotAvailable.into();
    for place in address.to_socket_addrs().map_err(failed)? {
        let listener = listen_at(place).or_else(|error| match without_v6(place, &error) {
            Some(place) => listen_at(place),
            None => Err(error),
        });
        match listener {
            Ok(listener) => return Ok(listener),
            Err(other) => error = other,
        }
    }
    Err(failed(error))
}

/// Where to listen in place of every address when the kernel has no IPv6; otherwise `[::]` takes IPv4 too.
fn without_v6(place: SocketAddr, error: &std::io::Error) -> Option<SocketAddr> {
    use std::io::ErrorKind::{AddrInUse, PermissionDenied};
    let is_every_address = place.is_ipv6() && place.ip().is_unspecified();
    let is_other = matches!(error.kind(), AddrInUse | PermissionDenied);
    (is_every_address && !is_other).then(|| SocketAddr::from(([0, 0, 0, 0], place.port())))
}

fn listen_at(place: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if place.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A restarted process gets its port back while connections of the one before it fade.
    socket.set_reuseaddr(true)?;
    socket.bind(place)?;
    socket.listen(BACKLOG)?.into_std()
}

/// As many connections as are wanted, or as there are files for: each takes one, and without a spare one nothing works.
fn connection_bound(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let Some(files) = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()) else {
        return wanted;
    };
    let possible = files.saturating_sub(SPARE_FILES).max(files / 2);
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            files,
            "fewer connections than `limits.connections`: raise `ulimit -n`"
        );
    }
    possible.min(wanted)
}

pub(super) fn local_address(listener: &TcpListener, address: &str) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(|source| StartError::Listen { address: address.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_that_of_ipv4_where_the_kernel_has_no_other() {
        let no_such_family = std::io::Error::from_raw_os_error(97);
        let place = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(without_v6(place("[::]:8080"), &no_such_family), Some(place("0.0.0.0:8080")));
        for other in ["[::1]:8080", "127.0.0.1:8080", "0.0.0.0:8080"] {
            assert_eq!(without_v6(place(other), &no_such_family), None, "{other}");
        }
        let in_use = std::io::ErrorKind::AddrInUse.into();
        assert_eq!(without_v6(place("[::]:8080"), &in_use), None);
    }

    #[tokio::test]
    async fn every_address_takes_both_protocols() {
        let listener = listen("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in ["127.0.0.1", "::1"] {
            let address: std::net::IpAddr = address.parse().unwrap();
            if address.is_ipv4() || listener.local_addr().unwrap().is_ipv6() {
                std::net::TcpStream::connect((address, port)).unwrap();
            }
        }
    }
}
