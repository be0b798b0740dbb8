//! A way to the API server that notes what was asked of it and what it answered.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::Config;
use kube::client::ConfigExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use pipewright_cluster::Cluster;
use tokio::net::TcpListener;

/// What was asked, and the status of the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// As RBAC names it.
    pub verb: String,
    /// The plural of the kind.
    pub resource: String,
    /// The object, or the one that a field selector names.
    pub name: Option<String>,
    /// The status.
    pub status: u16,
}

/// The proxy.
pub struct Proxy {
    /// Where it listens, without TLS.
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

type Connector = hyper_rustls::HttpsConnector<legacy::connect::HttpConnector>;

impl Proxy {
    /// Starts one.
    pub async fn start(cluster: &Cluster) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let file = Kubeconfig::read_from(&cluster.kubeconfig).unwrap();
        let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
        let connector = config.rustls_https_connector().unwrap();
        let client: legacy::Client<Connector, Incoming> =
            legacy::Client::builder(TokioExecutor::new()).build(connector);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (calls, server) = (Arc::<Mutex<Vec<Call>>>::default(), cluster.server.clone());
        let noted = Arc::clone(&calls);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (client, server, noted) = (client.clone(), server.clone(), Arc::clone(&noted));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (client, server, noted) = (client.clone(), server.clone(), Arc::clone(&noted));
                    async move { Ok::<_, Infallible>(pass(&client, &server, request, &noted).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
        Self { url, calls }
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn pass(
    client: &legacy::Client<Connector, Incoming>,
    server: &str,
    mut request: Request<Incoming>,
    noted: &Mutex<Vec<Call>>,
) -> Response<Either<Incoming, Full<Bytes>>> {
    let (verb, resource, name) = what(request.method(), request.uri());
    let path = request.uri().path_and_query().unwrap().as_str();
    *request.uri_mut() = format!("{server}{path}").parse().unwrap();
    request.headers_mut().remove(header::HOST);
    let response = if let Ok(response) = client.request(request).await {
        response.map(Either::Left)
    } else {
        let mut response = Response::new(Either::Right(Full::default()));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    };
    noted.lock().unwrap().push(Call { verb, resource, name, status: response.status().as_u16() });
    response
}

/// Verb, resource and name, as the API server itself reads a request.
fn what(method: &Method, uri: &Uri) -> (String, String, Option<String>) {
    // /apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME, or without a namespace; the core group is /api/VERSION.
    let start = if uri.path().starts_with("/api/") { 3 } else { 4 };
    let parts: Vec<&str> = uri.path().split('/').skip(start).collect();
    let parts = if parts.first() == Some(&"namespaces") { &parts[2..] } else { &parts[..] };
    let query = uri.query().unwrap_or_default();
    let selected = query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector=metadata.name%3D"));
    let name = parts.get(1).copied().or(selected).map(str::to_owned);
    let watches = query.split('&').any(|pair| pair == "watch=true");
    let verb = match method.as_str() {
        "GET" if watches => "watch",
        "GET" if parts.len() == 1 => "list",
        "GET" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        other => other,
    };
    (verb.to_owned(), (*parts.first().unwrap_or(&uri.path())).to_owned(), name)
}
