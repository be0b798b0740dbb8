//! GitHub's payloads: whatever the body is, for every event name, what comes out are valid events with ids of their own.

use std::collections::HashSet;

use bytes::Bytes;
use pipewright::vocabulary::github::ROWS;
use pipewright::vocabulary::{Forge, Webhook, events};

use super::cloudevents::assert_unchanged;

/// The input is the body of a delivery.
pub fn run(input: &[u8]) {
    let mut names: Vec<&str> = ROWS.iter().map(|row| row.event).collect();
    names.dedup();
    for name in names.into_iter().chain(["discussion"]) {
        let webhook = Webhook {
            forge: Forge::GitHub,
            event: name.to_owned(),
            delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
            body: Bytes::copy_from_slice(input),
            received: jiff::Timestamp::UNIX_EPOCH,
        };
        match events(&webhook) {
            Ok(events) => {
                assert!(!events.is_empty(), "the raw event is always there");
                let ids: HashSet<(&str, &str)> = events.iter().map(|it| (it.source(), it.id())).collect();
                assert_eq!(ids.len(), events.len(), "two events with one id");
                events.iter().for_each(assert_unchanged);
            }
            Err(error) => assert!(error.to_string().len() < 16 * 1024, "an error must not quote its input"),
        }
    }
}
