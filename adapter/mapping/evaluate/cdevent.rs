//! What the triggering event says as a CDEvent.

use crate::event::Event;
use crate::expression::pattern::is_cdevent;

/// The chain that an event continues: its extension `correlationid`, or the CDEvent's `chainId`.
pub(super) fn chain_id(event: &Event) -> Option<String> {
    event
        .extensions()
        .get("correlationid")
        .map(|chain| chain.to_text().into_owned())
        .or_else(|| text(event, "/context/chainId").map(str::to_owned))
        .filter(|chain| !chain.is_empty())
}

/// `context.id` of a CDEvent.
pub(super) fn context_id(event: &Event) -> Option<&str> {
    text(event, "/context/id").filter(|id| !id.is_empty())
}

/// What an event is about: its `subject`, or the CDEvent's.
pub(super) fn subject_id(event: &Event) -> Option<String> {
    event
        .subject()
        .or_else(|| text(event, "/subject/id"))
        .filter(|subject| !subject.is_empty())
        .map(str::to_owned)
}

/// When an event happened.
pub(super) fn time(event: &Event) -> Option<String> {
    event
        .time()
        .or_else(|| text(event, "/context/timestamp").filter(|time| time.parse::<jiff::Timestamp>().is_ok()))
        .map(str::to_owned)
}

fn text<'e>(event: &'e Event, pointer: &str) -> Option<&'e str> {
    if is_cdevent(event.ty()) { event.tree()?.pointer(pointer)?.as_str() } else { None }
}
