//! The admin port: `/livez`, `/readyz`, `/metrics`, `/schemas`, `/log-level`.

use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::BytesMut;
use futures::StreamExt;
use tracing::Level;

use super::connection::Progress;
use super::peer;
use crate::source::Field;
use crate::source::token::TokenAuth;
use crate::telemetry::{LogControl, Metrics};

/// The longest list of directives.
const MAX_BODY: usize = 4096;
/// The content type of `/metrics`.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One condition of readiness.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name, such as `watch`.
    pub name: &'static str,
    /// Whether requests should come.
    pub state: CheckState,
}

/// What a check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// Good.
    Passed,
    /// Good, with a word about how.
    Noted(String),
    /// Good enough to serve, but somebody should look: what is wrong.
    Warning(String),
    /// Not ready: why.
    Failed(String),
}

/// Finds a schema file by its name.
pub type SchemaFile = Arc<dyn Fn(&str) -> Option<Arc<str>> + Send + Sync>;

/// What the admin port shows.
pub struct Admin {
    /// Metrics.
    pub metrics: Metrics,
    /// The log level; absent where the process does not own the logger.
    pub log: Option<LogControl>,
    /// Who may change it from elsewhere than loopback.
    pub tokens: Option<TokenAuth>,
    /// Time for a body to arrive.
    pub body_deadline: Duration,
    /// Brings metrics up to date that are counted elsewhere.
    pub observe: Arc<dyn Fn(&Metrics) + Send + Sync>,
    /// Computes the conditions of readiness.
    pub checks: Arc<dyn Fn() -> Vec<Check> + Send + Sync>,
    /// The schema file of this name.
    pub schema: SchemaFile,
}

/// Registers the routes of the admin port.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/livez", web::get().to(livez))
        .route("/healthz", web::get().to(livez))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics))
        .route("/schemas/{file}", web::get().to(schema))
        .service(
            web::resource("/log-level").route(web::get().to(log_level)).route(web::put().to(set_log_level)),
        );
}

/// Registers the routes of the port for probes alone.
pub fn probe_routes(config: &mut web::ServiceConfig) {
    config.route("/livez", web::get().to(livez)).route("/readyz", web::get().to(readyz));
}

/// Answers as long as the process can: it never depends on another system.
async fn livez() -> &'static str {
    "ok\n"
}

async fn readyz(request: HttpRequest, admin: web::Data<Admin>) -> HttpResponse {
    let checks = (admin.checks)();
    let failed = checks.iter().any(|check| matches!(check.state, CheckState::Failed(_)));
    let verbose = request.query_string().split('&').any(|pair| pair.split('=').next() == Some("verbose"));
    let mut text = String::new();
    if verbose || failed {
        for check in &checks {
            let _ = match &check.state {
                CheckState::Passed => writeln!(text, "[+] {} ok", check.name),
                CheckState::Noted(note) => writeln!(text, "[+] {} ok: {note}", check.name),
                CheckState::Warning(reason) => writeln!(text, "[!] {}: {reason}", check.name),
                CheckState::Failed(reason) => writeln!(text, "[-] {} failed: {reason}", check.name),
            };
        }
    }
    text.push_str(if failed { "not ready\n" } else { "ok\n" });
    let mut response = if failed { HttpResponse::ServiceUnavailable() } else { HttpResponse::Ok() };
    response.insert_header((CONTENT_TYPE, "text/plain; charset=utf-8")).body(text)
}

async fn metrics(admin: web::Data<Admin>) -> HttpResponse {
    (admin.observe)(&admin.metrics);
    HttpResponse::Ok().insert_header((CONTENT_TYPE, OPEN_METRICS)).body(admin.metrics.encode())
}

/// The schema of a custom type: `/schemas/git-ref.updated.0.1.0.json`.
async fn schema(file: web::Path<String>, admin: web::Data<Admin>) -> HttpResponse {
    match (admin.schema)(&file) {
        Some(text) => {
            HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/schema+json")).body(text.to_string())
        }
        None => HttpResponse::NotFound().body("no custom type has this schema\n"),
    }
}

async fn log_level(admin: web::Data<Admin>) -> String {
    admin.log.as_ref().map(LogControl::current).unwrap_or_default() + "\n"
}

/// Changes the level, for who is on this machine or has a token: whoever can silence the log can work unseen.
async fn set_log_level(request: HttpRequest, payload: web::Payload, admin: web::Data<Admin>) -> HttpResponse {
    let Some(log) = &admin.log else {
        return HttpResponse::NotFound().body("this process has no log level of its own\n");
    };
    let authorization = Field::of(request.headers().get_all(AUTHORIZATION).map(HeaderValue::as_bytes));
    let known = admin.tokens.as_ref().is_some_and(|tokens| tokens.allows(authorization, ""));
    if !known && !peer::is_local(&request) {
        let status = if admin.tokens.is_some() { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
        tracing::warn!(
            peer = peer::address(&request),
            status = status.as_u16(),
            "change of the log level refused"
        );
        return HttpResponse::build(status).body(
            "the log level is changed from loopback (`kubectl port-forward`), or with a token of `adminTokens` as \
             `Authorization: Bearer …`\n",
        );
    }
    let level = match body(&request, payload, admin.body_deadline).await {
        Ok(level) => level,
        Err((status, text)) => return HttpResponse::build(status).body(text),
    };
    if let Err(error) = log.check(&level) {
        return HttpResponse::BadRequest().body(format!("{error}\n"));
    }
    // First the line and then the change, which may be the end of all lines.
    let told = tell(log, &level, &request);
    match log.set(&level) {
        Ok(()) => {
            if !told {
                tell(log, &level, &request);
            }
            HttpResponse::Ok().body(log.current() + "\n")
        }
        Err(error) => HttpResponse::BadRequest().body(format!("{error}\n")),
    }
}

/// Writes who changes the level, at one that shows. Whether any does.
fn tell(log: &LogControl, level: &str, request: &HttpRequest) -> bool {
    macro_rules! line {
        ($write:ident) => {
            tracing::$write!(
                from = log.current(),
                to = level.trim(),
                peer = peer::address(request),
                "log level changed"
            )
        };
    }
    if tracing::enabled!(Level::INFO) {
        line!(info);
    } else if tracing::enabled!(Level::WARN) {
        line!(warn);
    } else {
        line!(error);
    }
    tracing::enabled!(Level::ERROR)
}

/// The body as text, within its size and its time.
async fn body(
    request: &HttpRequest,
    mut payload: web::Payload,
    deadline: Duration,
) -> Result<String, (StatusCode, &'static str)> {
    let collected = tokio::time::timeout(deadline, async {
        let mut bytes = BytesMut::new();
        while let Some(part) = payload.next().await {
            let part = part.map_err(|_| (StatusCode::BAD_REQUEST, "the body broke off\n"))?;
            if bytes.len() + part.len() > MAX_BODY {
                return Err((StatusCode::PAYLOAD_TOO_LARGE, "a log level has at most 4096 bytes\n"));
            }
            bytes.extend_from_slice(&part);
        }
        Ok(bytes)
    });
    let bytes =
        collected.await.map_err(|_| (StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"))??;
    if let Some(progress) = request.conn_data::<Rc<Progress>>() {
        progress.body_read();
    }
    String::from_utf8(bytes.to_vec()).map_err(|_| (StatusCode::BAD_REQUEST, "the body is not text\n"))
}
