//! The ports: how they listen, and with which bounds they are served.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web;
use socket2::{Domain, Protocol, Socket, Type};

use super::StartError;
use crate::server::admin::{self, Admin};
use crate::server::connection::{Connections, Limits};
use crate::server::gate::Gate;
use crate::server::listen::{Port, serve};
use crate::server::tls::Tls;
use crate::server::{self, Routes, State};
use crate::settings::Process;
use crate::telemetry::Metrics;
use crate::telemetry::metrics;

/// How long requests in flight may take after shutdown began; more than a CloudEvents request's deadline.
const SHUTDOWN: Duration = Duration::from_secs(30);
/// How long the admin port's requests may take after shutdown began.
const ADMIN_SHUTDOWN: Duration = Duration::from_secs(1);
/// Connections that may wait to be accepted: a burst must not be left to the retries of TCP.
const BACKLOG: i32 = 1024;
/// Files for everything but connections that come in: the cluster, sinks, mappings, logs.
const SPARE_FILES: usize = 512;
/// Connections at the admin port: the kubelet, Prometheus and a few people.
const ADMIN_CONNECTIONS: usize = 256;
/// Connections at the port for probes: the kubelet's.
const PROBE_CONNECTIONS: usize = 32;

/// An open port.
pub(super) struct Listener {
    /// Where it is.
    pub(super) address: SocketAddr,
    /// As the settings write it.
    named: String,
    port: metrics::Port,
    socket: TcpListener,
}

/// Every port, open and not served yet.
pub(super) struct Listeners {
    /// Webhooks, and events without an address of their own.
    pub(super) public: Listener,
    /// Events.
    pub(super) events: Option<Listener>,
    /// Health, metrics and the log level.
    pub(super) admin: Listener,
    /// Health alone.
    pub(super) probe: Option<Listener>,
}

/// What serves them.
pub(super) struct Servers {
    /// The ports of senders.
    pub(super) serving: Vec<Server>,
    /// Those of operators.
    pub(super) telling: Vec<Server>,
}

// === impl Listeners ===

impl Listeners {
    /// Opens every port that the settings name.
    pub(super) fn open(process: &Process) -> Result<Self, StartError> {
        let optional = |address: &Option<String>, port| {
            address.as_deref().map(|address| Listener::open(address, port)).transpose()
        };
        Ok(Self {
            public: Listener::open(&process.listen, metrics::Port::public)?,
            events: optional(&process.events_listen, metrics::Port::events)?,
            admin: Listener::open(&process.admin_listen, metrics::Port::admin)?,
            probe: optional(&process.probe_listen, metrics::Port::probe)?,
        })
    }

    /// Serves all of them.
    pub(super) fn serve(
        self,
        process: &Process,
        gate: &Gate,
        metrics: &Metrics,
        state: &State,
        event_tls: Option<&Arc<Tls>>,
        admin: &web::Data<Admin>,
    ) -> Result<Servers, StartError> {
        let limits = &process.limits;
        let bounds =
            |connections| Limits { connections, head: limits.head, head_deadline: limits.head_deadline };
        // A port that is full takes no files from the other.
        let ports = if self.events.is_some() { 2 } else { 1 };
        let sending = bounds(connection_bound(limits.connections, ports));
        let open = |port, limits| Connections::new(port, limits, metrics.clone());
        let shown = if self.events.is_some() { Routes::Webhooks } else { Routes::All };
        let mut servers = Servers { serving: Vec::new(), telling: Vec::new() };
        servers.serving.push(self.public.senders(
            shown,
            open(metrics::Port::public, sending),
            gate,
            state,
            None,
            &process.base_path,
        )?);
        if let Some(events) = self.events {
            let connections = open(metrics::Port::events, sending);
            servers.serving.push(events.senders(
                Routes::Events,
                connections,
                gate,
                state,
                event_tls,
                &process.base_path,
            )?);
        }
        let connections = open(metrics::Port::admin, bounds(ADMIN_CONNECTIONS)).closing_the_oldest();
        servers.telling.push(self.admin.operators(admin::routes, connections, gate, admin)?);
        if let Some(probe) = self.probe {
            let connections = open(metrics::Port::probe, bounds(PROBE_CONNECTIONS)).closing_the_oldest();
            servers.telling.push(probe.operators(admin::probe_routes, connections, gate, admin)?);
        }
        Ok(servers)
    }
}

// === impl Listener ===

impl Listener {
    fn open(named: &str, port: metrics::Port) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { port, address: named.to_owned(), source };
        let mut error = io::ErrorKind::AddrNotAvailable.into();
        for place in named.to_socket_addrs().map_err(failed)? {
            match listen_at(place) {
                Ok(socket) => {
                    let address = socket.local_addr().map_err(failed)?;
                    return Ok(Self { address, named: named.to_owned(), port, socket });
                }
                Err(other) => error = other,
            }
        }
        Err(failed(error))
    }

    fn senders(
        self,
        routes: Routes,
        connections: Connections,
        gate: &Gate,
        state: &State,
        tls: Option<&Arc<Tls>>,
        base: &str,
    ) -> Result<Server, StartError> {
        let Self { named, port: name, socket: listener, .. } = self;
        let port = Port {
            listener,
            workers: None,
            connections,
            tls: tls.cloned(),
            gate: gate.clone(),
            shutdown: SHUTDOWN,
        };
        let state = state.clone();
        let base = base.to_owned();
        // Called on each of the threads that serve.
        serve(port, move |config| {
            server::routes(routes, config.app_data(web::Data::new(state.for_this_thread())), &base);
        })
        .map_err(|source| StartError::Listen { port: name, address: named, source })
    }

    fn operators(
        self,
        routes: fn(&mut web::ServiceConfig),
        connections: Connections,
        gate: &Gate,
        state: &web::Data<Admin>,
    ) -> Result<Server, StartError> {
        let Self { named, port: name, socket: listener, .. } = self;
        let port = Port {
            listener,
            workers: Some(1),
            connections,
            tls: None,
            gate: gate.clone(),
            shutdown: ADMIN_SHUTDOWN,
        };
        let state = state.clone();
        serve(port, move |config| routes(config.app_data(state.clone())))
            .map_err(|source| StartError::Listen { port: name, address: named, source })
    }
}

/// Listens at one address. `[::]` is every address of the machine, of IPv4 too, whatever the kernel's default is; and where
/// it knows no IPv6, every one that there is.
fn listen_at(place: SocketAddr) -> io::Result<TcpListener> {
    bind(place).or_else(|error| match without_v6(place, &error) {
        Some(other) => {
            tracing::warn!(%place, %error, "there is no IPv6 here: listening at every IPv4 address");
            bind(other)
        }
        None => Err(error),
    })
}

/// Where to listen in place of every address when the kernel has no IPv6.
fn without_v6(place: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    use io::ErrorKind::{AddrInUse, PermissionDenied};
    let is_every_address = place.is_ipv6() && place.ip().is_unspecified();
    let is_other = matches!(error.kind(), AddrInUse | PermissionDenied);
    (is_every_address && !is_other).then(|| SocketAddr::from(([0, 0, 0, 0], place.port())))
}

fn bind(place: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(place), Type::STREAM, Some(Protocol::TCP))?;
    if place.is_ipv6() && place.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // A restarted process gets its port back while connections of the one before it fade.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&place.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// As many connections at each port as are wanted, or as there are files for: each takes one, and without a spare one nothing works.
fn connection_bound(wanted: usize, ports: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let Some(files) = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()) else {
        return wanted;
    };
    let possible = files.saturating_sub(SPARE_FILES).max(files / 2) / ports;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_that_of_ipv4_where_the_kernel_has_no_other() {
        let no_such_family = io::Error::from_raw_os_error(97);
        let place = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(without_v6(place("[::]:8080"), &no_such_family), Some(place("0.0.0.0:8080")));
        for other in ["[::1]:8080", "127.0.0.1:8080", "0.0.0.0:8080"] {
            assert_eq!(without_v6(place(other), &no_such_family), None, "{other}");
        }
        let in_use = io::ErrorKind::AddrInUse.into();
        assert_eq!(without_v6(place("[::]:8080"), &in_use), None);
    }

    #[test]
    fn every_address_takes_both_protocols() {
        let listener = Listener::open("[::]:0", metrics::Port::public).unwrap();
        let port = listener.address.port();
        for address in ["127.0.0.1", "::1"] {
            let address: std::net::IpAddr = address.parse().unwrap();
            if address.is_ipv4() || listener.address.is_ipv6() {
                std::net::TcpStream::connect((address, port)).unwrap();
            }
        }
    }
}
