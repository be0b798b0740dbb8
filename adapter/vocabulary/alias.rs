//! Events that came in older or other words, as the mappings see them.

mod cdevents;
mod knative;
mod links;

use jiff::Timestamp;

use super::events_with;
use super::options::Options;
use crate::event::Event;

/// What the mappings see of an event that came in; the first is the event itself, or what it is called today.
///
/// - A `CDEvent` of 0.1 to 0.4 becomes one of 0.5.1 with the same id. One of 0.5 or later stays as it is.
/// - To an event of Knative's `GitHubSource` or `GitLabSource` the events are added that the forge's webhook would have
///   given, with their ids: the raw one, and then the `CDEvents`.
/// - Everything else stays as it came, also what cannot be put into today's words: nothing is lost and nothing refused.
///
/// `received` is the time of what has none of its own.
pub fn events(event: Event, options: &Options, received: Timestamp) -> Vec<Event> {
    if event.ty().starts_with("dev.cdevents") {
        return vec![cdevents::current(&event, &options.outcomes).unwrap_or(event).received(received)];
    }
    let told = knative::webhook(&event, received).and_then(|webhook| events_with(&webhook, options).ok());
    let mut events = vec![event.received(received)];
    events.extend(told.into_iter().flatten());
    events
}
