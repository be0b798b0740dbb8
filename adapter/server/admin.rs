//! The admin port: `/livez`, `/readyz`, `/metrics`, `/schemas`, `/log-level`.

use std::fmt::Write as _;
use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::telemetry::{LogControl, Metrics};

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

async fn set_log_level(body: String, admin: web::Data<Admin>) -> HttpResponse {
    let Some(log) = &admin.log else {
        return HttpResponse::NotFound().body("this process has no log level of its own\n");
    };
    match log.set(&body) {
        Ok(()) => {
            tracing::info!(level = log.current(), "log level changed");
            HttpResponse::Ok().body(log.current() + "\n")
        }
        Err(error) => HttpResponse::BadRequest().body(format!("{error}\n")),
    }
}
