//! A port: actix's workers over connections that have bounds.

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{IntoServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Service as _, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use actix_web::http::{ConnectionType, Method};
use actix_web::{App, web};
use futures::future::{Either, ready};
use tokio::net::TcpStream;

use super::answer;
use super::body;
use super::connection::{Connection, Connections, KEEP_ALIVE, LINGER, Progress};
use super::gate::{Gate, Standing};
use super::path;
use super::tls::Tls;

/// How a port is served.
pub struct Port {
    /// Where connections come in.
    pub listener: TcpListener,
    /// Worker threads; `None` is one for each processor.
    pub workers: Option<usize>,
    /// Who may come in.
    pub connections: Connections,
    /// What it speaks TLS with; without it it speaks none.
    pub tls: Option<Arc<Tls>>,
    /// While it drains, connections are closed after their answers.
    pub gate: Gate,
    /// How long requests in flight may take after shutdown began.
    pub shutdown: Duration,
}

/// Serves `routes` at a port, until the handle of the server says stop.
///
/// # Errors
/// When the listener cannot be used.
pub fn serve<F>(port: Port, routes: F) -> io::Result<Server>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let Port { listener, workers, connections, tls, gate, shutdown } = port;
    let mut builder = ServerBuilder::new()
        .disable_signals()
        .shutdown_timeout(shutdown.as_secs())
        // Never reached: at the bound connections are refused and counted, not left waiting.
        .max_concurrent_connections(connections.bound().saturating_add(64));
    if let Some(workers) = workers {
        builder = builder.workers(workers);
    }
    let stopping = builder.graceful_shutdown_signal();
    let builder = builder.listen("http", listener, move || {
        let (routes, connections, gate, stopping) =
            (routes.clone(), connections.clone(), gate.clone(), stopping.clone());
        let tls = tls.clone();
        let draining = gate.clone();
        let app = App::new().configure(move |config| routes(config));
        let app = app.wrap_fn(move |mut request, service| {
            path::normalize(&mut request);
            let progress = request.conn_data::<Rc<Progress>>().cloned();
            if let Some(progress) = &progress {
                progress.begin(has_body(&request));
            }
            // What follows such a head is not delimited by its length, so no byte of it can be trusted.
            let answered = if is_websocket(&request) {
                Either::Left(ready(Ok(request.into_response(answer::no_upgrade()))))
            } else {
                Either::Right(service.call(request))
            };
            let gate = draining.clone();
            async move {
                let mut answered: Result<ServiceResponse<BoxBody>, actix_web::Error> = answered.await;
                let close = progress.is_some_and(|it| it.end(answered.is_err() || gate.is_draining()));
                if let Ok(response) = &mut answered
                    && close
                {
                    response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
                }
                answered
            }
        });
        let expecting = gate.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            // The connection has its own.
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|connection: &Connection, data: &mut actix_web::dev::Extensions| {
                data.insert(connection.progress());
                if let Some(subject) = connection.subject() {
                    data.insert(subject);
                }
            })
            .expect(fn_service(move |request| ready(invite(&expecting, request))))
            .finish(map_config(app.into_factory(), |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            let (connection, tls) = (connections.admit(stream), tls.clone());
            async move {
                let mut connection =
                    connection.ok_or_else(|| DispatchError::Io(io::ErrorKind::ConnectionRefused.into()))?;
                if let Some(tls) = tls {
                    connection = connection.secure(&tls).await.map_err(DispatchError::Io)?;
                }
                Ok((connection, Protocol::Http1, peer))
            }
        })
        .and_then(http)
    })?;
    Ok(builder.run())
}

/// Lets a client that asked (`Expect: 100-continue`) send its body, or spares it the trouble.
fn invite(gate: &Gate, request: Request) -> Result<Request, Response<BoxBody>> {
    // A path may begin with that of `basePath`.
    let door = match request.path().split_once("/webhooks/") {
        Some((_, name)) => gate.source(name.trim_end_matches('/')),
        None => Some(gate.events()),
    };
    // Nobody is known to be anything yet.
    let approached = door.map(|door| (door, gate.approach(door, Standing::Unproved)));
    match approached {
        None | Some((_, Ok(_))) => Ok(request),
        Some((door, Err(reason))) => {
            if let Some(progress) = request.conn_data::<Rc<Progress>>() {
                progress.begin(true);
                progress.end(true);
            }
            Err(body::no_room(reason, door.retry_after()).into_response().into())
        }
    }
}

fn has_body(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
        || request.method() == Method::CONNECT
        || is_websocket(request)
}

/// Whether actix-http takes everything up to the end of the connection for the body, whatever its length says.
fn is_websocket(request: &ServiceRequest) -> bool {
    request
        .headers()
        .get_all(UPGRADE)
        .any(|value| value.to_str().is_ok_and(|value| value.trim().eq_ignore_ascii_case("websocket")))
}
