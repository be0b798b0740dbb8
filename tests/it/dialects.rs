//! Events in older or other words: what mappings see of them, and what the shipped mappings of other dialects make of
//! them.

mod cdevents;
mod knative;
mod shipped;

use pipewright::event::Event;
use pipewright::vocabulary::alias;
use pipewright::vocabulary::options::Options;

/// What mappings see of an event that comes in.
fn seen(event: &Event) -> Vec<Event> {
    let received = "2026-01-02T03:04:05Z".parse().unwrap();
    alias::events(event.to_builder().build().unwrap(), &Options::default(), received)
}
