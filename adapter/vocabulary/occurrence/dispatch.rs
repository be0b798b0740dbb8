//! Somebody asks a forge for a run, by hand or by its API.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Delivery, Place, Reference, custom, subject_part};
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::CdEvent;

pub const REQUESTED: &str = "dev.cdeventsx.forge-dispatch.requested";

/// The most bytes of the inputs; GitHub takes 64 KiB of them, and an event has to stay small.
const MAX_INPUTS: usize = 32 * 1024;

/// What a delivery tells about a request.
pub struct Told<'a> {
    /// What is to be run, or the name that the sender gave to the request.
    pub name: &'a str,
    /// Where.
    pub reference: Option<&'a str>,
    /// What the sender sent along: untrusted.
    pub inputs: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Content<'a> {
    repository: Reference,
    name: &'a str,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<&'a RawValue>,
}

/// The event of a request. Its key is the delivery: nothing in the payload tells one request from the next one like it, and
/// folding the two would lose a run.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let id = &delivery.webhook.delivery;
    let subject = format!("dispatches/{}", subject_part(told.name));
    let content = Content {
        repository: place.reference(),
        name: told.name,
        reference: told.reference,
        inputs: told.inputs.filter(|inputs| inputs.get().len() <= MAX_INPUTS),
    };
    let event =
        CdEvent::occurrence(custom(REQUESTED)?, &place.source, subject, &[id], delivery.webhook.received)
            .chain(place.chain(&["dispatch", id]))
            .content(&content)?
            .custom_data(&delivery.extract(place, sender))?;
    out.push(event);
    Ok(())
}
