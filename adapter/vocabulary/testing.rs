//! What the tests of all forges send, and how they look at what comes of it.

use bytes::Bytes;
use serde_json::Value;

use super::{Forge, Webhook, events};
use crate::event::Event;

pub const RECEIVED: &str = "2026-01-02T03:04:05Z";
pub const ZERO: &str = "0000000000000000000000000000000000000000";
pub const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

pub fn webhook(forge: Forge, event: &str, body: &Value) -> Webhook {
    Webhook {
        forge,
        event: event.to_owned(),
        delivery: "delivery-1".to_owned(),
        body: Bytes::from(body.to_string()),
        received: RECEIVED.parse().unwrap(),
    }
}

/// The one `CDEvent` of a delivery.
pub fn one(webhook: &Webhook) -> Event {
    let mut all = events(webhook).unwrap();
    assert_eq!(all.len(), 2, "{all:?}");
    all.remove(1)
}

pub fn data(event: &Event) -> &Value {
    event.tree().unwrap()
}
