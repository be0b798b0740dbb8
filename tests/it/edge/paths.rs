//! Paths as people and proxies write them: a slash at the end, two in place of one, and a path before ours.

use super::announcing;
use crate::support::service::{SECRET, Service};
use pipewright::source::signature::sign;

const EVENT: &str = r#"{"specversion": "1.0", "id": "1", "source": "/s", "type": "com.example.it"}"#;

async fn status(service: &Service, path: &str) -> u16 {
    let (body, headers) = if path.contains("webhooks") {
        (
            "{}",
            vec![
                ("content-type", "application/json"),
                ("x-github-event", "brand_new"),
                ("x-github-delivery", "1"),
            ],
        )
    } else {
        (EVENT, vec![("content-type", "application/cloudevents+json")])
    };
    let signature = sign(SECRET.as_bytes(), body.as_bytes());
    let headers = [headers, vec![("x-hub-signature-256", &*signature)]].concat();
    service.send("POST", path, &headers, body).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slash_too_many_leads_where_it_should_and_nowhere_else() {
    let service = announcing().with(|settings| settings.process.insecure_events = true).start().await;
    for path in [
        "/webhooks/github",
        "/webhooks/github/",
        "//webhooks/github",
        "/webhooks//github//?a=b",
        "/events/",
        "//events",
        "//",
    ] {
        assert_eq!(status(&service, path).await, 202, "{path}");
    }
    for (path, expected) in [
        ("/webhooks", 410),
        ("/webhooks/", 410),
        ("/webhooks/github/x", 410),
        ("/ci/webhooks/github", 410),
        ("/webhooks/other/", 404),
    ] {
        assert_eq!(status(&service, path).await, expected, "{path}");
    }
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_base_path_everything_is_served_below_it_too() {
    let service = announcing().with(|settings| settings.process.base_path = "/ci/hooks".into()).start().await;
    for path in ["/ci/hooks/webhooks/github", "/ci/hooks/webhooks/github/", "/webhooks/github"] {
        assert_eq!(status(&service, path).await, 202, "{path}");
    }
    let answer = service.send("POST", "/ci/webhooks/github", &[], "{}").await;
    answer.refused(410, "webhooks to `/webhooks/{source}`, each also below `/ci/hooks`");
    let answer = service.send("GET", "/ci/hooks/webhooks/github", &[], "").await;
    answer.refused(405, "use POST");
    service.stop().await;
}
