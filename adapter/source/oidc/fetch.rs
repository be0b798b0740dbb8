//! Where an issuer's keys are, and how they are got.
//!
//! The issuer of Kubernetes' own tokens is asked as the cluster: with its CA and the pod's token, which its discovery
//! document may need, and wherever the name in `iss` leads to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use kube::Client;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use serde::Deserialize;
use url::{Host, Url};

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of one.
const MAX_ANSWER: usize = 256 * 1024;
/// Where an issuer says where its keys are (`OpenID` Connect Discovery 1.0, section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// Where the API server has its keys.
const CLUSTER_KEYS: &str = "/openid/v1/jwks";

/// Where keys come from.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) issuer: String,
    pub(super) jwks_uri: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) client: Client,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// A URL that keys may be read from: nobody on the way can change what comes.
pub(super) fn url(text: &str) -> Result<Url, String> {
    let url =
        Url::parse(text).map_err(|error| format!("is not a URL ({error}): write one such as `https://…`"))?;
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if loopback => Ok(url),
        _ => Err("is not an `https` URL: keys that anybody on the way could change prove nothing".to_owned()),
    }
}

// === impl Origin ===

impl Origin {
    /// The text of the JWK set.
    pub(super) async fn keys(&self) -> Result<String, String> {
        if let Some(uri) = &self.jwks_uri {
            return self.get(uri).await;
        }
        if self.ca_file.is_none()
            && let Some(keys) = self.of_the_cluster().await?
        {
            return Ok(keys);
        }
        let place = format!("{}{DISCOVERY}", self.issuer.trim_end_matches('/'));
        let discovery = discovery(&self.get(&place).await?).map_err(|reason| format!("{place}: {reason}"))?;
        if discovery.issuer != self.issuer {
            return Err(format!("{place} is of another issuer, `{}`", discovery.issuer));
        }
        self.get(&discovery.jwks_uri).await
    }

    /// The keys of the cluster, if it is the issuer.
    async fn of_the_cluster(&self) -> Result<Option<String>, String> {
        let ask = async |path: &str| {
            let request = Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
            let answer = tokio::time::timeout(TIMEOUT, self.client.request_text(request)).await;
            let answer = answer.map_err(|_| format!("the cluster did not answer at {path} in time"))?;
            answer.map_err(|error| format!("the cluster does not show {path}: {error}"))
        };
        let text = ask(DISCOVERY).await;
        match text.and_then(|text| discovery(&text)) {
            Ok(it) if it.issuer == self.issuer => ask(CLUSTER_KEYS).await.map(Some),
            // It has another issuer, or none, or does not tell us.
            _ => Ok(None),
        }
    }

    async fn get(&self, address: &str) -> Result<String, String> {
        let failed = |reason: String| format!("{address}: {reason}");
        let target = url(address).map_err(failed)?;
        let config = tls(self.ca_file.as_deref()).await?;
        let connector =
            HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().build();
        let client: HttpClient<_, Empty<bytes::Bytes>> =
            HttpClient::builder(TokioExecutor::new()).build(connector);
        let request = Request::get(target.as_str())
            .header("accept", "application/json")
            .header("user-agent", concat!("pipewright/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| failed(error.to_string()))?;
        let exchange = async {
            let response = client.request(request).await.map_err(|error| chain(&error))?;
            let status = response.status();
            if status != StatusCode::OK {
                return Err(format!("the answer is {status}"));
            }
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            let body = body.map_err(|error| format!("the answer cannot be read: {error}"))?;
            String::from_utf8(body.to_bytes().to_vec()).map_err(|_| "the answer is no text".to_owned())
        };
        let answer = tokio::time::timeout(TIMEOUT, exchange).await;
        answer.map_err(|_| failed(format!("no answer within {} s", TIMEOUT.as_secs())))?.map_err(failed)
    }
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

fn discovery(text: &str) -> Result<Discovery, String> {
    serde_json::from_str(text).map_err(|error| format!("not a discovery document: {error}"))
}

/// Trusts the certificates of the file and no others, or without a file those of the system.
async fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(path) = ca_file else {
        let verifier =
            Verifier::new(provider).map_err(|error| format!("the system's certificates: {error}"))?;
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth());
    };
    let failed = |reason: String| format!("`eventOidc.caFile: {}`: {reason}", path.display());
    let pem = tokio::fs::read(path).await.map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(format!("not PEM: {error}")))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("there is no certificate in it".to_owned()));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
