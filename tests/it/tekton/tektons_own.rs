//! Tekton's own CloudEvents on their way to the adapter: switched on, counted, and handed on.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use pipewright::event::Event;

use crate::support::deployed::kubectl;
use crate::support::ground::Real;
use crate::support::http;

/// With which Tekton may send.
pub const TOKEN: &str = "tektons-own";

/// Stands between Tekton and the adapter.
#[derive(Clone)]
pub struct Relay {
    pub url: String,
    /// The adapter.
    to: String,
    http: reqwest::Client,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// One of Tekton's own events.
#[derive(Clone, Debug)]
pub struct Seen {
    pub id: String,
    pub namespace: String,
    pub uid: String,
    /// What the adapter answered.
    pub status: u16,
}

/// The cluster's configuration of Tekton's own events, which belongs to one test at a time. It goes back to what it was.
pub struct Switched {
    cluster: Arc<pipewright_cluster::Cluster>,
}

// === impl Relay ===

impl Relay {
    pub fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // All that Tekton can show is an address.
        let url = format!("http://{}/?access_token={TOKEN}", listener.local_addr().unwrap());
        let relay = Self { url, to: format!("{to}/"), http: http(), seen: Arc::default() };
        let data = web::Data::new(relay.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(4 << 20))
                .default_service(web::to(hand_on))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        tokio::spawn(server);
        relay
    }

    /// What Tekton sent about runs in a namespace.
    pub fn seen(&self, namespace: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|seen| seen.namespace == namespace).cloned().collect()
    }

    /// How much Tekton sent about runs elsewhere.
    pub fn elsewhere(&self, namespace: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| seen.namespace != namespace).count()
    }
}

async fn hand_on(request: HttpRequest, body: web::Bytes, relay: web::Data<Relay>) -> HttpResponse {
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let events = pipewright::event::http::decode(headers, body.clone()).unwrap();
    let mut onward = relay.http.post(format!("{}?{}", relay.to, request.query_string())).body(body.to_vec());
    for (name, value) in request.headers() {
        if name.as_str().starts_with("ce-") || name.as_str() == "content-type" {
            onward = onward.header(name.as_str(), value.as_bytes());
        }
    }
    let status = onward.send().await.map_or(503, |answer| answer.status().as_u16());
    relay.seen.lock().unwrap().extend(events.iter().map(|event| Seen::read(event, status)));
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
}

// === impl Seen ===

impl Seen {
    fn read(event: &Event, status: u16) -> Self {
        let object = event.tree().unwrap().as_object().unwrap().values().next().unwrap();
        let text = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        Self { id: event.id().to_owned(), namespace: text("namespace"), uid: text("uid"), status }
    }
}

// === impl Switched ===

impl Switched {
    /// Has Tekton send its events to `sink`.
    pub fn on(real: &Real, sink: &str) -> Self {
        let switched = Self { cluster: Arc::clone(&real.cluster) };
        switched.set(&format!("{{sink: '{sink}', formats: tektonv1}}")).unwrap();
        switched
    }

    fn set(&self, data: &str) -> Result<(), String> {
        let patch = format!("data: {data}");
        let arguments = ["-n", "tekton-pipelines", "patch", "configmap", "config-events", "--patch", &patch];
        kubectl(&self.cluster, &arguments, "").map(|_| ())
    }
}

impl Drop for Switched {
    fn drop(&mut self) {
        // The test may be failing already, because the cluster is broken.
        if let Err(error) = self.set("{sink: null, formats: null}") {
            eprintln!("Tekton's own events are still on: {error}");
        }
    }
}
