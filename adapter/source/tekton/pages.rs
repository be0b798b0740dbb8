//! Pages of a list are asked for again when they fail: the watcher would throw away those before and begin anew, and
//! under an API server that refuses now and then a long list would never come to its end. And nobody waits for ever for
//! an answer to begin: a connection may be dead without anybody saying so.

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
/// How long an answer may take to begin. A watch is answered at once, and a page of a list within seconds.
const ANSWER: Duration = Duration::from_secs(30);
/// The longest `Retry-After` that is obeyed.
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// The same client, patient with every page after the first. The first one is the watcher's own business: nothing is
/// lost with it.
pub(super) fn patient(client: Client) -> Client {
    within(ANSWER, client)
}

fn within(limit: Duration, client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            if !is_further_page(&request) {
                return send(&client, request, limit).await;
            }
            // A GET has no body.
            let (parts, _) = request.into_parts();
            ask(&client, &parts, limit).await
        }
    });
    Client::new(service, namespace)
}

async fn send(client: &Client, request: Request<Body>, limit: Duration) -> kube::Result<Response<Body>> {
    match tokio::time::timeout(limit, client.send(request)).await {
        Ok(answer) => answer,
        Err(_) => Err(kube::Error::Service(format!("no answer within {} s", limit.as_secs()).into())),
    }
}

fn is_further_page(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::GET && query.split('&').any(|pair| pair.starts_with("continue="))
}

async fn ask(client: &Client, parts: &Parts, limit: Duration) -> kube::Result<Response<Body>> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        let mut wait = pause;
        match send(client, Request::from_parts(parts.clone(), Body::empty()), limit).await {
            Ok(response) if passes(response.status()) => wait = wait.max(asked(&response).min(MAX_PAUSE)),
            Err(_) => {}
            Ok(response) => return Ok(response),
        }
        tokio::time::sleep(wait).await;
        pause *= 2;
    }
    send(client, Request::from_parts(parts.clone(), Body::empty()), limit).await
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_ever_for_an_answer_and_a_further_page_is_asked_for_again() {
        let asked = Arc::new(AtomicUsize::new(0));
        let silent = service_fn({
            let asked = asked.clone();
            move |_: Request<Body>| {
                let first = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
                async move {
                    if first {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>(Response::new(Body::empty()))
                }
            }
        });
        let client = within(Duration::from_millis(50), Client::new(silent, "ci"));
        let get = |uri: &str| client.send(Request::get(uri).body(Body::empty()).unwrap());
        let error = get("/apis/tekton.dev/v1/pipelineruns?watch=true").await.unwrap_err();
        assert!(error.to_string().contains("no answer within"), "{error}");
        assert_eq!(asked.fetch_add(1, Ordering::Relaxed), 1);
        get("/apis/tekton.dev/v1/pipelineruns?limit=500&continue=a").await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }
}
