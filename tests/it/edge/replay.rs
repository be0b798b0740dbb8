//! What somebody can do who has seen one signed delivery.

use pipewright::source::secret::SecretReference;

use super::announcing;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::process::fixture;
use crate::support::service::{Directory, SECRET, Setup};

on_both_clusters! {
    a_replay_under_another_delivery_id_makes_no_second_run_and_no_new_ids,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_signed_with_a_secret_that_was_rotated_away_is_401() {
    let secrets = Directory::new();
    secrets.write("current", "old");
    secrets.write("next", "old");
    let references = ["current", "next"].map(|name| SecretReference::File(secrets.path().join(name)));
    let service = announcing().source("github", references.to_vec()).start().await;
    let captured = async |secret: &str| service.delivery("github", secret, "a", "captured", "{}").await;

    captured("old").await.accepted("sent");
    captured("new").await.refused(401, "none of this source's");
    // Both while the forge is told of the new one.
    secrets.write("next", "new");
    service.until("the new one counts", async || captured("new").await.status == 202).await;
    captured("old").await.accepted("sent");
    // And then the old one is gone, while the process runs.
    secrets.write("current", "new");
    service.until("the old one is gone", async || captured("old").await.status == 401).await;
    captured("old").await.refused(401, "none of this source's");
    captured("new").await.accepted("sent");
    service.stop().await;
}

async fn a_replay_under_another_delivery_id_makes_no_second_run_and_no_new_ids(ground: Ground) {
    let service = Setup::over(&ground).shipped("pull-request-build").start().await;
    let body = serde_json::to_vec(&fixture("pull_request.opened.json")).unwrap();
    let replay = async |delivery: &str| {
        let answer = service.delivery("github", SECRET, "pull_request", delivery, body.clone()).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let ids: Vec<(String, String)> = service
            .events
            .take()
            .iter()
            .filter(|event| event.ty().starts_with("dev.cdevents.change."))
            .map(|event| (event.source().to_owned(), event.id().to_owned()))
            .collect();
        assert!(!ids.is_empty());
        (answer.result().to_owned(), ids)
    };
    // The header is not signed: whoever has the body can choose it. What is done comes from the body.
    let (result, ids) = replay("72d3162e-cc78-11e3-81ab-4c9367dc0958").await;
    assert_eq!(result, "created");
    for delivery in ["11111111-cc78-11e3-81ab-4c9367dc0958", "22222222-cc78-11e3-81ab-4c9367dc0958"] {
        assert_eq!(replay(delivery).await, ("duplicate".to_owned(), ids.clone()));
    }
    assert_eq!(service.runs().await.len(), 1);
    service.stop().await;
}
