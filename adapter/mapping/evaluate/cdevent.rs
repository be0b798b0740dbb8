//! What the triggering event says as a CDEvent, and the JSON of a CDEvent of ours (`CDEvents` 0.5.1).

use serde_json::{Value, json};

use crate::event::Event;
use crate::mapping::pattern::is_cdevent;

const SPEC_VERSION: &str = "0.5.1";

/// The parts of a CDEvent.
pub(super) struct CdEvent<'a> {
    pub(super) id: &'a str,
    pub(super) source: &'a str,
    pub(super) ty: &'a str,
    pub(super) time: &'a str,
    pub(super) chain: Option<&'a str>,
    /// `context.id` of the event that caused it.
    pub(super) parent: Option<&'a str>,
    pub(super) subject: &'a str,
    pub(super) content: Value,
    pub(super) custom_data: Option<Value>,
}

// === impl CdEvent ===

impl CdEvent<'_> {
    pub(super) fn to_json(&self) -> Value {
        let mut event = json!({
            "context": {
                "specversion": SPEC_VERSION,
                "id": self.id,
                "source": self.source,
                "type": self.ty,
                "timestamp": self.time,
            },
            "subject": {"id": self.subject, "content": self.content},
        });
        if let Some(chain) = self.chain {
            event["context"]["chainId"] = chain.into();
        }
        if let Some(parent) = self.parent {
            event["context"]["links"] = json!([{"linkType": "PATH", "from": {"contextId": parent}}]);
        }
        if let Some(custom) = &self.custom_data {
            event["customData"] = custom.clone();
        }
        event
    }
}

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
