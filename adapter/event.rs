//! The CloudEvent: the one currency that every stage speaks.
//!
//! An [`Event`] that exists obeys the attribute rules of the CloudEvents specification 1.0.2, sections
//! "Context Attributes" and "Type System"; [`EventBuilder`] is the only way to make one.

pub mod annotation;
pub mod attribute;
pub mod fault;
pub mod glob;
pub mod http;
pub mod identity;
pub mod json;
pub mod name;
pub mod sdk;
pub(crate) mod uri;
pub mod voucher;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

pub use attribute::{AttributeError, ExtensionValue, MediaType};
pub use voucher::VOUCHER;

/// A CloudEvent 1.0 whose attributes have been checked.
#[derive(Debug)]
pub struct Event {
    /// Shared with every [`Event::untouched`] of it.
    parts: Arc<EventBuilder>,
    tree: OnceLock<Option<Value>>,
    /// Who vouched for it; no part of what is sent on.
    voucher: Option<Arc<str>>,
    /// When it came in; it is no part of the event.
    receipt: Option<jiff::Timestamp>,
}

/// The payload of an event, kept as the bytes that came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// No payload.
    #[default]
    None,
    /// JSON text, known to be well formed and at most 128 levels deep.
    Json(Bytes),
    /// Text of another media type.
    Text(String),
    /// Anything else.
    Binary(Bytes),
}

/// Collects the attributes of an [`Event`] and checks them all in [`EventBuilder::build`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventBuilder {
    id: String,
    source: String,
    ty: String,
    subject: Option<String>,
    time: Option<String>,
    datacontenttype: Option<String>,
    dataschema: Option<String>,
    extensions: BTreeMap<String, ExtensionValue>,
    data: Data,
}

// === impl Event ===

impl Event {
    /// Starts an event from its required attributes.
    pub fn builder(id: impl Into<String>, source: impl Into<String>, ty: impl Into<String>) -> EventBuilder {
        EventBuilder { id: id.into(), source: source.into(), ty: ty.into(), ..EventBuilder::default() }
    }

    /// `id`: unique within the source; never empty.
    pub fn id(&self) -> &str {
        &self.parts.id
    }

    /// `source`: a URI-reference; never empty.
    pub fn source(&self) -> &str {
        &self.parts.source
    }

    /// `type`, such as `dev.cdevents.change.created.0.4.0`; never empty.
    pub fn ty(&self) -> &str {
        &self.parts.ty
    }

    /// `subject`.
    pub fn subject(&self) -> Option<&str> {
        self.parts.subject.as_deref()
    }

    /// `time`, an RFC 3339 timestamp in the sender's own spelling, so that forwarding changes nothing.
    pub fn time(&self) -> Option<&str> {
        self.parts.time.as_deref()
    }

    /// `datacontenttype`, with its parameters.
    pub fn datacontenttype(&self) -> Option<&str> {
        self.parts.datacontenttype.as_deref()
    }

    /// `dataschema`, a URI.
    pub fn dataschema(&self) -> Option<&str> {
        self.parts.dataschema.as_deref()
    }

    /// Extension attributes in the order of their names.
    pub fn extensions(&self) -> &BTreeMap<String, ExtensionValue> {
        &self.parts.extensions
    }

    /// The payload.
    pub fn data(&self) -> &Data {
        &self.parts.data
    }

    /// The payload as a JSON tree, parsed on first use and kept; `None` when the payload is not JSON.
    ///
    /// It may take many times the memory of the payload ([`json::weight`]): whoever keeps the event for longer asks an
    /// [`Event::untouched`] of it, or takes the tree with [`Event::parse`].
    pub fn tree(&self) -> Option<&Value> {
        self.tree.get_or_init(|| self.parse()).as_ref()
    }

    /// The payload as a JSON tree that is not kept; `None` when the payload is not JSON.
    pub fn parse(&self) -> Option<Value> {
        match self.data() {
            Data::Json(bytes) => serde_json::from_slice(bytes).ok(),
            Data::None | Data::Text(_) | Data::Binary(_) => None,
        }
    }

    /// The same event, of which no tree has been built; nothing is copied.
    #[must_use]
    pub fn untouched(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
            tree: OnceLock::new(),
            voucher: self.voucher.clone(),
            receipt: self.receipt,
        }
    }

    /// The same, vouched for by `voucher`. That is no part of the event that others are sent: it goes on as it came.
    #[must_use]
    pub fn vouched(mut self, voucher: Arc<str>) -> Self {
        self.voucher = Some(voucher);
        self
    }

    /// Who vouched for it, as expressions see it in [`VOUCHER`]; `None` for one that came in nowhere.
    pub fn voucher(&self) -> Option<&str> {
        self.voucher.as_deref()
    }

    /// A context attribute or extension by name, in its string form (CloudEvents 1.0.2, "Type System"), and
    /// [`VOUCHER`], which is no sender's to set.
    pub fn attribute(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        use std::borrow::Cow;
        match name {
            "specversion" => Some(Cow::Borrowed("1.0")),
            "id" => Some(Cow::Borrowed(self.id())),
            "source" => Some(Cow::Borrowed(self.source())),
            "type" => Some(Cow::Borrowed(self.ty())),
            "subject" => self.subject().map(Cow::Borrowed),
            "time" => self.time().map(Cow::Borrowed),
            "datacontenttype" => self.datacontenttype().map(Cow::Borrowed),
            "dataschema" => self.dataschema().map(Cow::Borrowed),
            VOUCHER => self.voucher().map(Cow::Borrowed),
            name => self.parts.extensions.get(name).map(ExtensionValue::to_text),
        }
    }

    /// The same, which came in now.
    #[must_use]
    pub fn received(mut self, now: jiff::Timestamp) -> Self {
        self.receipt = Some(now);
        self
    }

    /// When it came in, where that is known: the time of what has none of its own. No sender tells it, and nothing is told
    /// apart by it.
    pub fn receipt(&self) -> Option<jiff::Timestamp> {
        self.receipt
    }

    /// A builder that starts from this event, for one that differs in a few attributes.
    pub fn to_builder(&self) -> EventBuilder {
        EventBuilder::clone(&self.parts)
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts
    }
}

// === impl Data ===

impl Data {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Json(bytes) | Self::Binary(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// === impl EventBuilder ===

impl EventBuilder {
    /// Sets `id`.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Sets `subject`.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets `time`, an RFC 3339 timestamp.
    #[must_use]
    pub fn time(mut self, time: impl Into<String>) -> Self {
        self.time = Some(time.into());
        self
    }

    /// Sets `datacontenttype`.
    #[must_use]
    pub fn datacontenttype(mut self, media_type: impl Into<String>) -> Self {
        self.datacontenttype = Some(media_type.into());
        self
    }

    /// Sets `dataschema`.
    #[must_use]
    pub fn dataschema(mut self, uri: impl Into<String>) -> Self {
        self.dataschema = Some(uri.into());
        self
    }

    /// Adds or replaces an extension attribute.
    #[must_use]
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<ExtensionValue>) -> Self {
        self.extensions.insert(name.into(), value.into());
        self
    }

    /// Sets the payload; a JSON payload is checked by [`EventBuilder::build`] only for its media type, so
    /// hand in [`Data::Json`] only for text that is known to be well formed.
    #[must_use]
    pub fn data(mut self, data: Data) -> Self {
        self.data = data;
        self
    }

    /// Sets a JSON payload together with `datacontenttype: application/json`.
    #[must_use]
    pub fn json(self, json: impl Into<Bytes>) -> Self {
        self.datacontenttype("application/json").data(Data::Json(json.into()))
    }

    /// Checks every attribute.
    ///
    /// # Errors
    /// The first attribute that breaks its rule, with the rule.
    pub fn build(self) -> Result<Event, AttributeError> {
        attribute::check_required("id", &self.id)?;
        attribute::check_source(&self.source)?;
        attribute::check_required("type", &self.ty)?;
        if let Some(subject) = &self.subject {
            attribute::check_required("subject", subject)?;
        }
        if let Some(time) = &self.time {
            attribute::check_time(time)?;
        }
        if let Some(media_type) = &self.datacontenttype {
            attribute::check_datacontenttype(media_type)?;
        }
        if let Some(uri) = &self.dataschema {
            attribute::check_dataschema(uri)?;
        }
        for (name, value) in &self.extensions {
            attribute::check_extension(name, value)?;
        }
        // The JSON format takes an absent `datacontenttype` for JSON, where text would turn into a JSON string.
        if matches!(self.data, Data::Text(_)) && MediaType::declares_json(self.datacontenttype.as_deref()) {
            return Err(AttributeError::Value {
                name: "datacontenttype".into(),
                rule: "a media type that is not JSON where the payload is text",
            });
        }
        Ok(Event { parts: Arc::new(self), tree: OnceLock::new(), voucher: None, receipt: None })
    }
}
