//! `K_CE_OVERRIDES`: extension attributes that the platform puts on every event that leaves.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::event::{AttributeError, Event};

/// Extensions to add or to replace; usually none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    extensions: BTreeMap<String, String>,
}

/// Knative's `duck/v1` `CloudEventOverrides`; what a later version adds is ignored, as its own reader does.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    extensions: Option<BTreeMap<String, String>>,
}

// === impl Overrides ===

impl Overrides {
    /// Reads `{"extensions": {"name": "value"}}`; an empty text means none, since a `SinkBinding` always sets the
    /// variable, to nothing if need be.
    ///
    /// # Errors
    /// A text for people: what is wrong with the variable's value.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let document: Option<Document> = serde_json::from_str(text).map_err(|error| {
            format!("must be JSON such as `{{\"extensions\": {{\"team\": \"a\"}}}}`: {error}")
        })?;
        let overrides =
            Self { extensions: document.and_then(|document| document.extensions).unwrap_or_default() };
        // The rules of attributes are those of the event itself, so let an event say whether they hold.
        let probe = Event::builder("probe", "probe", "probe").build().map_err(|error| error.to_string())?;
        overrides.apply(&probe).map_err(|error| format!("cannot be put on events: {error}"))?;
        Ok(overrides)
    }

    /// The event with these extensions added or replaced; `None` when it can go as it is.
    ///
    /// # Errors
    /// An extension that breaks an attribute rule; [`Overrides::parse`] lets none through.
    pub fn apply(&self, event: &Event) -> Result<Option<Event>, AttributeError> {
        if self.extensions.is_empty() {
            return Ok(None);
        }
        let mut builder = event.to_builder();
        for (name, value) in &self.extensions {
            builder = builder.extension(name, value.as_str());
        }
        builder.build().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_means_none() {
        for text in ["", "  ", "{}", "null", r#"{"extensions":null}"#, r#"{"extensions":{}}"#] {
            assert_eq!(Overrides::parse(text), Ok(Overrides::default()), "`{text}`");
        }
    }

    #[test]
    fn extensions_are_added_and_replaced() {
        let overrides = Overrides::parse(r#"{"extensions":{"team":"a","tier":"2"}}"#).unwrap();
        let event =
            Event::builder("1", "/s", "t").extension("team", "b").extension("kept", 7).build().unwrap();
        let sent = overrides.apply(&event).unwrap().unwrap();
        assert_eq!(sent.attribute("team").as_deref(), Some("a"));
        assert_eq!(sent.attribute("tier").as_deref(), Some("2"));
        assert_eq!(sent.attribute("kept").as_deref(), Some("7"));
        assert_eq!((sent.id(), sent.source(), sent.ty()), ("1", "/s", "t"));
    }

    #[test]
    fn a_malformed_variable_is_refused_with_its_reason() {
        for (text, reason) in [
            ("extensions", "must be JSON such as `{\"extensions\": {\"team\": \"a\"}}`: expected"),
            (r#"{"extensions":{"n":1}}"#, "invalid type: integer `1`, expected a string"),
            (r#"{"extensions":{"Bad_Name":"v"}}"#, "cannot be put on events: attribute name `Bad_Name`"),
        ] {
            let error = Overrides::parse(text).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
