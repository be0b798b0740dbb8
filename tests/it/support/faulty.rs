//! Faults between a service and the real API server, by the words of the embedded cluster's faults.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use pipewright::cluster::Clients;
use pipewright_embedded::faults::{Fault, Faults, Rate, Requests, Rules};
use serde_json::json;
use tokio::sync::watch;
use tower::BoxError;

/// What comes back.
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// Faults of either cluster.
#[derive(Clone)]
pub enum Switch {
    /// In the embedded cluster itself.
    Embedded(Faults),
    /// Between the service and the real one; who looks from outside sees none of them.
    Real(Board),
}

/// Faults in front of the real API server.
#[derive(Clone)]
pub struct Board {
    rules: Arc<Mutex<Rules>>,
    cut: Arc<watch::Sender<u64>>,
    /// How often the past was forgotten, and how often each path of a watch has been told so.
    forgotten: Arc<Mutex<(u64, HashMap<String, u64>)>>,
}

// === impl Switch ===

impl Switch {
    /// Adds a fault; the first one that meets a request is taken.
    pub fn inject(&self, fault: Fault, requests: Requests, rate: Rate) {
        match self {
            Self::Embedded(faults) => faults.inject(fault, requests, rate),
            Self::Real(board) => board.rules.lock().unwrap().add(fault, requests, rate),
        }
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        match self {
            Self::Embedded(faults) => faults.clear(),
            Self::Real(board) => board.rules.lock().unwrap().clear(),
        }
    }

    /// Ends every open watch in the middle.
    pub fn cut_watches(&self) {
        match self {
            Self::Embedded(faults) => faults.cut_watches(),
            Self::Real(board) => board.cut.send_modify(|count| *count += 1),
        }
    }

    /// Forgets the past: a watch that goes on where it was gets 410.
    pub fn compact(&self) {
        match self {
            Self::Embedded(faults) => faults.compact(),
            Self::Real(board) => board.forgotten.lock().unwrap().0 += 1,
        }
    }
}

// === impl Board ===

impl Board {
    /// Without faults.
    pub fn new() -> Self {
        Self { rules: Arc::default(), cut: Arc::default(), forgotten: Arc::default() }
    }

    /// Puts itself in front of clients.
    pub fn before(&self, clients: &Clients) -> Clients {
        let (board, others) = (self.clone(), clients.clone());
        let background = self.client(clients.background().clone());
        Clients::new(background, move || board.client(others.for_this_thread()))
    }

    fn client(&self, inner: Client) -> Client {
        let board = self.clone();
        let namespace = inner.default_namespace().to_owned();
        let service = tower::service_fn(move |request| board.clone().call(inner.clone(), request));
        Client::new(service, namespace)
    }

    async fn call(self, client: Client, request: Request<Body>) -> Result<Answer, BoxError> {
        let query = request.uri().query().unwrap_or_default();
        if query.contains("watch=true") {
            let goes_on = query.contains("resourceVersion=") && !query.contains("resourceVersion=0");
            if goes_on && self.forgot(request.uri().path()) {
                return Ok(too_old());
            }
            return Ok(self.until_cut(client.send(request).await?));
        }
        let fault = self.rules.lock().unwrap().meet(request.method());
        match fault {
            None => Ok(whole(client.send(request).await?)),
            Some(Fault::Status(code, seconds)) => Ok(status(code, seconds)),
            Some(Fault::ResetBefore) => Err("connection reset by a test".into()),
            Some(Fault::ResetAfter) => {
                // As a whole: who gives up on it has still asked for it.
                tokio::spawn(async move { client.send(request).await }).await??;
                Err("connection reset by a test".into())
            }
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok(whole(client.send(request).await?))
            }
            Some(Fault::Late(time)) => {
                let late = tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    client.send(request).await
                });
                Ok(whole(late.await??))
            }
            Some(Fault::Stall(time)) => {
                let response = tokio::spawn(async move { client.send(request).await }).await??;
                tokio::time::sleep(time).await;
                Ok(whole(response))
            }
        }
    }

    fn until_cut(&self, response: Response<Body>) -> Answer {
        let mut cut = self.cut.subscribe();
        let cut = async move {
            let _ = cut.changed().await;
        };
        response.map(|body| {
            let frames = body.into_data_stream().map(|data| Ok(hyper::body::Frame::data(data?)));
            StreamBody::new(frames.take_until(Box::pin(cut))).boxed_unsync()
        })
    }

    fn forgot(&self, path: &str) -> bool {
        let (times, told) = &mut *self.forgotten.lock().unwrap();
        let before = told.insert(path.to_owned(), *times).unwrap_or_default();
        before < *times
    }
}

fn whole(response: Response<Body>) -> Answer {
    response.map(|body| body.map_err(BoxError::from).boxed_unsync())
}

/// The server's way to say that the past is gone: a watch that begins, and an error in it.
fn too_old() -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410,
    });
    let line = format!("{}\n", json!({"type": "ERROR", "object": status}));
    let body = Full::new(Bytes::from(line)).map_err(BoxError::from).boxed_unsync();
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

/// The server's way to refuse.
fn status(code: StatusCode, seconds: u32) -> Answer {
    let reason = match code {
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::TOO_MANY_REQUESTS => "TooManyRequests",
        _ => "ServiceUnavailable",
    };
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "refused by a test", "reason": reason, "code": code.as_u16(),
    });
    let mut response = Response::builder().status(code).header("content-type", "application/json");
    if seconds > 0 {
        response = response.header("retry-after", seconds);
    }
    let body = Full::new(Bytes::from(body.to_string())).map_err(BoxError::from).boxed_unsync();
    response.body(body).unwrap()
}
