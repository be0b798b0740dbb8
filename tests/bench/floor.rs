//! The servers that this binary is itself, in processes of their own: the floor, and a sink that takes everything.

use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::bail;
use ring::hmac;
use serde_json::Value;

use crate::SECRET;

/// The environment variable that makes this binary one of the servers.
pub const ROLE: &str = "PIPEWRIGHT_BENCH_ROLE";

/// Serves until it is killed; prints its address.
pub fn run(role: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let route = match role {
        "floor" => || web::route().to(floor),
        "sink" => || web::route().to(sink),
        "refuser" => || web::route().to(refuser),
        "stall" => || web::route().to(stall),
        other => bail!("there is no role `{other}`"),
    };
    let key = web::Data::new(hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()));
    // As many workers as the service has: actix's default.
    let server = HttpServer::new(move || App::new().app_data(key.clone()).default_service(route()));
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(server.listen(listener)?.run())?)
}

/// Reads, verifies, parses everything.
async fn floor(headers: actix_web::HttpRequest, body: web::Bytes, key: web::Data<hmac::Key>) -> HttpResponse {
    let Some(signature) = signature(headers.headers()) else { return HttpResponse::BadRequest().finish() };
    if hmac::verify(&key, &body, &signature).is_err() {
        return HttpResponse::Unauthorized().finish();
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(payload) if std::hint::black_box(&payload).is_object() => HttpResponse::Accepted().finish(),
        _ => HttpResponse::BadRequest().finish(),
    }
}

/// Takes everything; a GET asks how many.
async fn sink(request: actix_web::HttpRequest, _: web::Bytes) -> HttpResponse {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    if request.method() == Method::GET {
        return HttpResponse::Ok().body(TAKEN.load(Ordering::Relaxed).to_string());
    }
    TAKEN.fetch_add(1, Ordering::Relaxed);
    HttpResponse::Accepted().finish()
}

/// Refuses without a look at the body.
async fn refuser() -> HttpResponse {
    HttpResponse::TooManyRequests().insert_header(("retry-after", "1")).finish()
}

/// Never answers.
async fn stall(_: web::Bytes) -> HttpResponse {
    std::future::pending().await
}

fn signature(headers: &HeaderMap) -> Option<Vec<u8>> {
    let digits = headers.get("x-hub-signature-256")?.as_bytes().strip_prefix(b"sha256=")?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
