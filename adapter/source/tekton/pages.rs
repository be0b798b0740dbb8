//! Pages of a list are asked for again when they fail: the watcher would throw away those before and begin anew, and
//! under an API server that refuses now and then a long list would never come to its end.

use std::time::Duration;

use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use kube::Client;
use kube::client::Body;
use tower::service_fn;

/// How often a page is asked for before the list begins anew. Of pages that fail three times in ten, seven in ten
/// thousand are given up.
const TRIES: u32 = 6;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest `Retry-After` that is obeyed.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The same client, patient with every page after the first. The first one is the watcher's own business: nothing is
/// lost with it.
pub(super) fn patient(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            if !is_further_page(&request) {
                return client.send(request).await;
            }
            // A GET has no body.
            let (parts, _) = request.into_parts();
            ask(&client, &parts).await
        }
    });
    Client::new(service, namespace)
}

fn is_further_page(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET && query.split('&').any(|pair| pair.starts_with("continue="))
}

async fn ask(client: &Client, parts: &Parts) -> kube::Result<Response<Body>> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        let mut wait = pause;
        match client.send(Request::from_parts(parts.clone(), Body::empty())).await {
            Ok(response) if passes(response.status()) => wait = wait.max(asked(&response).min(MAX_PAUSE)),
            Err(_) => {}
            Ok(response) => return Ok(response),
        }
        tokio::time::sleep(wait).await;
        pause *= 2;
    }
    client.send(Request::from_parts(parts.clone(), Body::empty())).await
}

/// Whether a later try may go better.
fn passes(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

/// The wait that the server asks for.
fn asked(response: &Response<Body>) -> Duration {
    let header = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Duration::from_secs(header.and_then(|text| text.trim().parse().ok()).unwrap_or_default())
}
