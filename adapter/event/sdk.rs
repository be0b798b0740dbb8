//! To and from the `cloudevents` crate's `Event`, for programs that embed this one as a library.
//!
//! That type keeps less than ours: `time` loses its spelling and `dataschema` is normalised, so events that are only
//! passed on never go through it.

use cloudevents::event::ExtensionValue as SdkValue;
use cloudevents::event::{Data as SdkData, EventBuilder as _, EventBuilderError, EventBuilderV10};
use cloudevents::{AttributesReader, AttributesWriter};

use super::attribute::{AttributeError, MediaType};
use super::{Data, Event, ExtensionValue};

/// Why one of the two events cannot be said as the other.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// The SDK refuses an attribute.
    #[error("the SDK refuses the event: {0}")]
    Refused(#[from] EventBuilderError),
    /// An attribute breaks its rule.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// An integer of more than 32 bits.
    #[error("attribute `{0}` must be a whole number of 32 bits")]
    Integer(String),
    /// A payload that cannot be read or written as JSON.
    #[error("the payload cannot be said in JSON: {0}")]
    Payload(#[from] serde_json::Error),
}

impl TryFrom<&Event> for cloudevents::Event {
    type Error = SdkError;

    fn try_from(event: &Event) -> Result<Self, SdkError> {
        let mut builder = EventBuilderV10::new().id(event.id()).source(event.source()).ty(event.ty());
        if let Some(subject) = event.subject() {
            builder = builder.subject(subject);
        }
        if let Some(time) = event.time() {
            builder = builder.time(time);
        }
        for (name, value) in event.extensions() {
            builder = match value {
                ExtensionValue::String(text) => builder.extension(name, text.as_str()),
                ExtensionValue::Boolean(flag) => builder.extension(name, *flag),
                ExtensionValue::Integer(number) => builder.extension(name, i64::from(*number)),
            };
        }
        let data = match event.data() {
            Data::None => None,
            Data::Json(json) => Some(SdkData::Json(serde_json::from_slice(json)?)),
            Data::Text(text) => Some(SdkData::String(text.clone())),
            Data::Binary(bytes) => Some(SdkData::Binary(bytes.to_vec())),
        };
        let mut converted = builder.build()?;
        let schema = match event.dataschema() {
            // The crate does not let out the URL type that its setter takes; its builder parses.
            Some(uri) => EventBuilderV10::new()
                .id("-")
                .source("-")
                .ty("-")
                .data_with_schema("-", uri, "")
                .build()?
                .dataschema()
                .cloned(),
            None => None,
        };
        converted.set_datacontenttype(event.datacontenttype());
        converted.set_dataschema(schema);
        if let Some(data) = data {
            converted.set_data_unchecked(data);
        }
        Ok(converted)
    }
}

impl TryFrom<&cloudevents::Event> for Event {
    type Error = SdkError;

    fn try_from(event: &cloudevents::Event) -> Result<Self, SdkError> {
        let mut builder = Self::builder(event.id(), event.source().as_str(), event.ty());
        builder.subject = event.subject().map(str::to_owned);
        if let Some(time) = event.time() {
            builder = builder.time(time.to_rfc3339());
        }
        builder.datacontenttype = event.datacontenttype().map(str::to_owned);
        builder.dataschema = event.dataschema().map(ToString::to_string);
        for (name, value) in event.iter_extensions() {
            let value = match value {
                SdkValue::String(text) => ExtensionValue::String(text.clone()),
                SdkValue::Boolean(flag) => ExtensionValue::Boolean(*flag),
                SdkValue::Integer(number) => ExtensionValue::Integer(
                    i32::try_from(*number).map_err(|_| SdkError::Integer(name.to_owned()))?,
                ),
            };
            builder.extensions.insert(name.to_owned(), value);
        }
        builder.data = match event.data() {
            None => Data::None,
            Some(SdkData::Json(json)) => Data::Json(serde_json::to_vec(json)?.into()),
            Some(SdkData::String(text)) if MediaType::declares_json(event.datacontenttype()) => {
                // The SDK lets a string stand for the JSON text that it holds.
                Data::Json(super::json::well_formed(text.as_bytes())?.to_vec().into())
            }
            Some(SdkData::String(text)) => Data::Text(text.clone()),
            Some(SdkData::Binary(bytes)) => {
                super::json::payload(bytes.clone().into(), event.datacontenttype())
            }
        };
        Ok(builder.build()?)
    }
}

#[cfg(test)]
mod tests;
