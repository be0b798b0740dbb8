//! What the tests of all forges send, and how they look at what comes of it.

use bytes::Bytes;
use serde_json::Value;

use super::options::Options;
use super::{Cost, Forge, Webhook, events, read};
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

/// Why nothing but the raw event is told of a delivery.
pub fn lost(webhook: &Webhook) -> String {
    let reading = read(webhook, &Options::default()).unwrap();
    assert_eq!(reading.events.len(), 1, "{:?}", reading.events);
    let mut lost = reading.misfits.into_iter().filter(|misfit| misfit.costs == Cost::Event);
    let reason = lost.next().expect("something is wrong with it").reason;
    assert_eq!(lost.next(), None);
    reason
}

pub fn data(event: &Event) -> &Value {
    event.tree().unwrap()
}
