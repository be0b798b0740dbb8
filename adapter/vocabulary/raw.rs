//! What the raw events of forges have in common.

use jiff::Timestamp;

use super::github::raw::{id_of_body, is_attribute};
use super::{PayloadError, Webhook};
use crate::event::Event;

/// What a forge says of its raw event; the rest is the same for all.
pub struct Raw {
    pub ty: String,
    /// A URI-reference.
    pub source: String,
    /// Left out when no attribute can hold it.
    pub subject: Option<String>,
    /// The payload's own time, if the raw event is to have that.
    pub time: Option<Timestamp>,
}

// === impl Raw ===

impl Raw {
    /// The raw event of a delivery: its id is the delivery's, its data the body as it came.
    ///
    /// # Errors
    /// What cannot be an attribute.
    pub fn event(self, webhook: &Webhook, json: &str) -> Result<Event, PayloadError> {
        let has_id = is_attribute(&webhook.delivery);
        let id = if has_id { webhook.delivery.clone() } else { id_of_body(webhook) };
        // The payload goes on as it came, without the white space around it.
        let data = webhook.body.slice_ref(json.trim_matches([' ', '\t', '\n', '\r']).as_bytes());
        let time = self.time.unwrap_or(webhook.received);
        let mut event = Event::builder(id, self.source, self.ty).time(time.to_string()).json(data);
        if let Some(subject) = self.subject.filter(|subject| is_attribute(subject)) {
            event = event.subject(subject);
        }
        Ok(event.build()?)
    }
}
