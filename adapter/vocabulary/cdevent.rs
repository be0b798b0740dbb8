//! The writer: a `CDEvent` of version 0.5.1 with its links, as a CloudEvent.

pub mod links;

use jiff::Timestamp;
use serde::Serialize;

use super::schema::shipped_uri;
use super::types::{SPECVERSION, Type};
use crate::event::identity::name_uuid;
use crate::event::{AttributeError, Event};

/// Extension attribute that repeats `chainId` (CloudEvents extension "Correlation"), so that a filter need not open
/// the data.
pub const CORRELATION_ID: &str = "correlationid";
/// Extension attribute that repeats the parent's id.
pub const CAUSATION_ID: &str = "causationid";

/// A `CDEvent` on its way to become an [`Event`].
#[derive(Debug)]
pub struct CdEvent {
    ty: Type,
    id: String,
    source: String,
    subject: String,
    subject_source: Option<String>,
    time: Timestamp,
    chain: Option<String>,
    links: Vec<Link>,
    schema_uri: Option<String>,
    /// JSON texts.
    content: Option<Vec<u8>>,
    custom_data: Option<Vec<u8>>,
}

/// How an event is connected to another one (`CDEvents` 0.5.1, links.md). A chain's start is implied by the first event
/// of the chain and is never written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// The event follows that one in the chain; only immediate parents are linked.
    Path {
        /// `context.id` of the parent.
        from: String,
    },
    /// The event has to do with that one, which may belong to another chain.
    Relation {
        /// What they have to do with each other, such as `TRIGGER`.
        kind: String,
        /// `context.id` of the other event.
        target: String,
    },
    /// The chain ends here.
    End {
        /// `context.id` of the parent.
        from: Option<String>,
    },
}

/// Why an event cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CdEventError {
    /// A context attribute breaks a rule of CloudEvents.
    #[error(transparent)]
    Attribute(#[from] AttributeError),
    /// Content or custom data is nothing that JSON can hold.
    #[error("`{part}` of a `{ty}` cannot be written as JSON: {reason}")]
    Json {
        /// The part of the event.
        part: &'static str,
        /// The event's type.
        ty: String,
        /// The serializer's word.
        reason: serde_json::Error,
    },
    /// No type of this name: our own mistake.
    #[error("`{0}` is not a type that can be written")]
    Unknown(String),
}

/// The id of the event about one occurrence.
///
/// A function of what happened and not of the message that told us, so that a repository hook, an organisation hook
/// and a redelivery give one id, and a later event can compute the id of its parent. `base` is the type without its
/// version: an upgrade of the specification must not change ids.
pub fn occurrence_id(base: &str, source: &str, subject: &str, occurrence: &[&str]) -> String {
    let mut parts = Vec::with_capacity(3 + occurrence.len());
    parts.extend([base, source, subject]);
    parts.extend(occurrence);
    name_uuid(&parts)
}

// === impl CdEvent ===

impl CdEvent {
    /// Starts an event with an id of the caller's.
    ///
    /// `source` is a URI-reference, `subject` the `subject.id`.
    pub fn new(
        ty: impl Into<Type>,
        id: impl Into<String>,
        source: impl Into<String>,
        subject: impl Into<String>,
        time: Timestamp,
    ) -> Self {
        Self {
            ty: ty.into(),
            id: id.into(),
            source: source.into(),
            subject: subject.into(),
            subject_source: None,
            time,
            chain: None,
            links: Vec::new(),
            schema_uri: None,
            content: None,
            custom_data: None,
        }
    }

    /// Starts an event whose id is the [`occurrence_id`].
    pub fn occurrence(
        ty: impl Into<Type>,
        source: impl Into<String>,
        subject: impl Into<String>,
        occurrence: &[&str],
        time: Timestamp,
    ) -> Self {
        let (ty, source, subject) = (ty.into(), source.into(), subject.into());
        let id = occurrence_id(&ty.base(), &source, &subject, occurrence);
        Self::new(ty, id, source, subject, time)
    }

    /// `context.id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `context.source`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Sets `subject.source`; without it the subject belongs to the event's source.
    #[must_use]
    pub fn subject_source(mut self, source: impl Into<String>) -> Self {
        self.subject_source = Some(source.into());
        self
    }

    /// Sets `context.chainId`.
    #[must_use]
    pub fn chain(mut self, chain: impl Into<String>) -> Self {
        self.chain = Some(chain.into());
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// Sets `context.schemaUri`, an absolute URI of a schema stricter than the specification's. A custom type of ours has
    /// its own without that.
    #[must_use]
    pub fn schema_uri(mut self, uri: impl Into<String>) -> Self {
        self.schema_uri = Some(uri.into());
        self
    }

    /// Sets `subject.content`; see [`check`](super::types::check) for content that a user wrote.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn content(mut self, content: &impl Serialize) -> Result<Self, CdEventError> {
        self.content = Some(written(content, 512).map_err(|reason| self.json_error("content", reason))?);
        Ok(self)
    }

    /// Sets `customData`, which must be an object.
    ///
    /// # Errors
    /// The value cannot be written as JSON.
    pub fn custom_data(mut self, data: &impl Serialize) -> Result<Self, CdEventError> {
        self.custom_data = Some(written(data, 2048).map_err(|reason| self.json_error("customData", reason))?);
        Ok(self)
    }

    /// The finished event.
    ///
    /// # Errors
    /// An attribute breaks a rule of CloudEvents.
    pub fn build(mut self) -> Result<Event, CdEventError> {
        if let (None, Type::Custom(ty)) = (&self.schema_uri, &self.ty) {
            self.schema_uri = shipped_uri(ty);
        }
        let ty = self.ty.to_string();
        let time = self.time.to_string();
        let json = self.document(&ty, &time).map_err(|reason| self.json_error("event", reason))?;
        let cause = self.cause().map(str::to_owned);
        let schema = self.schema_uri.unwrap_or_else(|| self.ty.schema());
        let mut event = Event::builder(self.id, self.source, ty)
            .subject(self.subject)
            .time(time)
            .dataschema(schema)
            .json(json);
        if let Some(chain) = self.chain {
            event = event.extension(CORRELATION_ID, chain);
        }
        if let Some(cause) = cause {
            event = event.extension(CAUSATION_ID, cause);
        }
        Ok(event.build()?)
    }

    /// The JSON form (`CDEvents` 0.5.1, spec.md "CDEvents context" and "CDEvent subject"), written around the parts that are
    /// JSON already.
    fn document(&self, ty: &str, time: &str) -> Result<Vec<u8>, serde_json::Error> {
        let context = Context {
            specversion: SPECVERSION,
            id: &self.id,
            source: &self.source,
            ty,
            timestamp: time,
            chain_id: self.chain.as_deref(),
            links: self.links.iter().map(LinkDocument::from).collect(),
            schema_uri: self.schema_uri.as_deref(),
        };
        let given = self.content.as_deref().unwrap_or(b"{}");
        let custom_data = self.custom_data.as_deref().unwrap_or_default();
        // Context and subject are about so long.
        let mut json = Vec::with_capacity(given.len() + custom_data.len() + 768);
        json.extend_from_slice(b"{\"context\":");
        serde_json::to_writer(&mut json, &context)?;
        json.extend_from_slice(b",\"subject\":{\"id\":");
        serde_json::to_writer(&mut json, &self.subject)?;
        if let Some(source) = &self.subject_source {
            json.extend_from_slice(b",\"source\":");
            serde_json::to_writer(&mut json, source)?;
        }
        json.extend_from_slice(b",\"content\":");
        json.extend_from_slice(given);
        json.push(b'}');
        if self.custom_data.is_some() {
            json.extend_from_slice(b",\"customData\":");
            json.extend_from_slice(custom_data);
        }
        json.push(b'}');
        Ok(json)
    }

    /// The event that this one follows from: its parent, or what triggered it.
    fn cause(&self) -> Option<&str> {
        let parent = self.links.iter().find_map(|link| match link {
            Link::Path { from } | Link::End { from: Some(from) } => Some(from.as_str()),
            Link::Relation { .. } | Link::End { from: None } => None,
        });
        parent.or_else(|| {
            self.links.iter().find_map(|link| match link {
                Link::Relation { kind, target } if kind == "TRIGGER" => Some(target.as_str()),
                _ => None,
            })
        })
    }

    fn json_error(&self, part: &'static str, reason: serde_json::Error) -> CdEventError {
        CdEventError::Json { part, ty: self.ty.to_string(), reason }
    }
}

/// A value as JSON text, which is about so long.
fn written(value: &impl Serialize, length: usize) -> Result<Vec<u8>, serde_json::Error> {
    let mut json = Vec::with_capacity(length);
    serde_json::to_writer(&mut json, value)?;
    Ok(json)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    #[serde(rename = "type")]
    ty: &'a str,
    timestamp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<LinkDocument<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_uri: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(tag = "linkType", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
enum LinkDocument<'a> {
    Path {
        from: ContextId<'a>,
    },
    Relation {
        link_kind: &'a str,
        target: ContextId<'a>,
    },
    End {
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<ContextId<'a>>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContextId<'a> {
    context_id: &'a str,
}

impl<'a> From<&'a Link> for LinkDocument<'a> {
    fn from(link: &'a Link) -> Self {
        let context = |context_id: &'a String| ContextId { context_id };
        match link {
            Link::Path { from } => Self::Path { from: context(from) },
            Link::Relation { kind, target } => Self::Relation { link_kind: kind, target: context(target) },
            Link::End { from } => Self::End { from: from.as_ref().map(context) },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event() -> CdEvent {
        let ty = Type::parse("dev.cdevents.change.merged").unwrap();
        let time = "2026-01-02T03:04:05.5Z".parse().unwrap();
        CdEvent::occurrence(ty, "https://github.com/o/r", "pull/1", &["k"], time)
    }

    #[test]
    fn context_and_attributes_say_the_same() {
        let event = event()
            .chain("chain")
            .link(Link::Relation { kind: "TRIGGER".into(), target: "t".into() })
            .link(Link::Path { from: "p".into() })
            .link(Link::End { from: None })
            .subject_source("https://github.com")
            .content(&json!({"repository": {"id": "o/r"}}))
            .unwrap()
            .custom_data(&json!({"a": 1}))
            .unwrap()
            .build()
            .unwrap();
        assert_eq!(
            *event.tree().unwrap(),
            json!({
                "context": {
                    "specversion": "0.5.1",
                    "id": event.id(),
                    "source": "https://github.com/o/r",
                    "type": "dev.cdevents.change.merged.0.3.0",
                    "timestamp": "2026-01-02T03:04:05.5Z",
                    "chainId": "chain",
                    "links": [
                        {"linkType": "RELATION", "linkKind": "TRIGGER", "target": {"contextId": "t"}},
                        {"linkType": "PATH", "from": {"contextId": "p"}},
                        {"linkType": "END"},
                    ],
                },
                "subject": {
                    "id": "pull/1",
                    "source": "https://github.com",
                    "content": {"repository": {"id": "o/r"}},
                },
                "customData": {"a": 1},
            })
        );
        assert_eq!(event.subject(), Some("pull/1"));
        assert_eq!(event.time(), Some("2026-01-02T03:04:05.5Z"));
        assert_eq!(event.dataschema(), Some("https://cdevents.dev/0.5.1/schema/change-merged-event"));
        assert_eq!(event.attribute("correlationid").as_deref(), Some("chain"));
        assert_eq!(event.attribute("causationid").as_deref(), Some("p"));
    }

    #[test]
    fn what_triggered_an_event_is_its_cause_when_it_has_no_parent() {
        let event =
            event().link(Link::Relation { kind: "TRIGGER".into(), target: "t".into() }).build().unwrap();
        assert_eq!(event.attribute("causationid").as_deref(), Some("t"));
        assert_eq!(event.tree().unwrap()["subject"]["content"], json!({}));
    }

    #[test]
    fn a_schema_of_ones_own_is_named_in_both_places() {
        let event = event().schema_uri("https://example.com/s").build().unwrap();
        assert_eq!(event.dataschema(), Some("https://example.com/s"));
        assert_eq!(event.tree().unwrap()["context"]["schemaUri"], "https://example.com/s");
    }

    #[test]
    fn ids_do_not_depend_on_the_version_of_the_type() {
        assert_eq!(
            event().id(),
            occurrence_id("dev.cdevents.change.merged", "https://github.com/o/r", "pull/1", &["k"])
        );
        // Ids are a promise to everybody who has stored one.
        assert_eq!(event().id(), "ab6fb76e-e0e5-5778-ae39-d22f18072faa");
    }

    #[test]
    fn an_empty_source_is_refused() {
        let ty = Type::parse("dev.cdevents.build.queued").unwrap();
        let time = Timestamp::UNIX_EPOCH;
        assert!(CdEvent::new(ty, "1", "", "s", time).build().is_err());
    }
}
