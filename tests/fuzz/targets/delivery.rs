//! What must hold of a delivery's body, whatever it is.

use std::collections::HashSet;

use bytes::Bytes;
use pipewright::vocabulary::options::Options;
use pipewright::vocabulary::{Forge, Row, Webhook, events_with};

use super::cloudevents::assert_unchanged;

/// The body as that of each event of the table, and as that of one that is not there.
pub fn hold(forge: Forge, rows: &[Row], other: &str, body: &[u8]) {
    let mut names: Vec<&str> = rows.iter().map(|row| row.event).collect();
    names.dedup();
    let options = Options::everything();
    for name in names.into_iter().chain([other]) {
        let webhook = Webhook {
            forge,
            event: name.to_owned(),
            delivery: "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
            body: Bytes::copy_from_slice(body),
            received: jiff::Timestamp::UNIX_EPOCH,
        };
        match events_with(&webhook, &options) {
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
