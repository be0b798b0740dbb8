//! The `CDEvents` vocabulary, and what a forge's payload or a Tekton object says in it.
//!
//! Everything here is a function of its arguments: no I/O, no clock, no random number.

use bytes::Bytes;

use crate::event::Event;

/// A code forge whose webhooks we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Forge {
    /// GitHub and GitHub Enterprise.
    GitHub,
}

/// One webhook delivery, authenticated, with its body as JSON text.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Who sent it.
    pub forge: Forge,
    /// The forge's name of the event, such as `pull_request`.
    pub event: String,
    /// The forge's id of the delivery; the same on redelivery.
    pub delivery: String,
    /// The JSON body.
    pub body: Bytes,
    /// When we received it; used only where the payload has no time of its own.
    pub received: jiff::Timestamp,
}

/// Why a payload gives no events.
#[derive(Debug, thiserror::Error)]
pub enum PayloadError {
    /// The body is not what the forge sends.
    #[error("the body is not a {event} payload: {reason}")]
    Malformed {
        /// The event's name.
        event: String,
        /// What is wrong, with its position.
        reason: String,
    },
}

/// The raw event, and then the `CDEvents` that the delivery stands for.
pub fn events(webhook: &Webhook) -> Result<Vec<Event>, PayloadError> {
    let _ = webhook;
    Ok(Vec::new())
}
