//! The event of an `emit` for one event.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Basis, cdevent};
use crate::action::{Action, Emit, Origin};
use crate::event::Event;
use crate::expression::helper;
use crate::expression::pattern::is_cdevent;
use crate::expression::template::size;
use crate::expression::words;
use crate::mapping::PlanError;
use crate::mapping::compile::{self, EmitBody, NewEvent, Shape};
use crate::vocabulary::cdevent::{CAUSATION_ID, CORRELATION_ID, CdEvent, CdEventError, Link, links};
use crate::vocabulary::types::{Type, check};

/// The most bytes of the data of one event.
const MAX_DATA: usize = 1024 * 1024;
/// The time of an event whose cause has none and came in at no known time, such as that of an example: nothing here reads a
/// clock.
const NO_TIME: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

/// What an emit's templates gave.
struct Parts<'a> {
    place: &'a str,
    source: String,
    subject: Option<String>,
    id: String,
    /// As the author wants it, else as the event that came has it.
    time: Option<String>,
    chain: Option<String>,
    links: Option<Value>,
    extensions: Vec<(String, String)>,
    content: Option<Value>,
    custom_data: Option<Value>,
}

impl Basis<'_> {
    pub(super) fn emit(
        &self,
        emit: &compile::Emit,
        origin: Origin,
        place: &str,
    ) -> Result<Action, PlanError> {
        let place = format!("{place}.emit");
        let event = match &emit.body {
            // Not the one that is looked at, whose tree ends with the plan.
            EmitBody::Forward => Arc::new(self.event.untouched()),
            EmitBody::New(event) => Arc::new(self.new_event(event, &origin, &place)?),
        };
        Ok(Action::Emit(Emit { origin, to: emit.to.clone(), event }))
    }

    fn new_event(&self, new: &NewEvent, origin: &Origin, place: &str) -> Result<Event, PlanError> {
        let context = new.uses.context(self.event, self.vars, &self.catalog.config);
        let render = |shape: Option<&Shape>, field: &str| {
            let place = format!("{place}.{field}");
            shape
                .map(|shape| shape.render(&context, &place))
                .transpose()
                .map_err(|(place, error)| self.error(place, &error))
        };
        let text = |shape: Option<&Shape>, field: &str| {
            let value = render(shape, field)?;
            let text = value.map(|value| helper::text(&value)).transpose();
            let text = text.map_err(|reason| self.error(format!("{place}.{field}"), &reason))?;
            Ok(text.filter(|text| !text.is_empty()))
        };
        let source =
            text(new.source.as_ref(), "source")?.unwrap_or_else(|| self.catalog.event_source.clone());
        let subject = text(new.subject.as_ref(), "subject")?.or_else(|| cdevent::subject_id(self.event));
        let id = text(new.id.as_ref(), "id")?.unwrap_or_else(|| origin.key.event_id());
        let time = match text(new.time.as_ref(), "time")? {
            Some(time) => Some(self.time(&time, place)?),
            None => cdevent::time(self.event),
        };
        let chain = text(new.chain_id.as_ref(), "chainId")?.or_else(|| self.chain.clone());
        let links = render(new.links.as_ref(), "links")?;
        let mut extensions = Vec::with_capacity(new.extensions.len());
        for (name, shape) in &new.extensions {
            // One without a text is left out.
            let value = text(Some(shape), &format!("extensions.{name}"))?;
            extensions.extend(value.map(|value| (name.clone(), value)));
        }
        let payload = render(new.content.as_ref(), "content")?;
        let custom_data = render(new.custom_data.as_ref(), "customData")?;
        for value in custom_data.iter().chain(&links) {
            self.bound(value, place)?;
        }
        let parts = Parts {
            place,
            source,
            subject,
            id,
            time,
            chain,
            links,
            extensions,
            content: payload,
            custom_data,
        };
        if is_cdevent(&new.ty) { self.cdevent(&new.ty, parts) } else { self.plain(&new.ty, parts) }
    }

    /// When the event came in.
    fn receipt(&self) -> jiff::Timestamp {
        self.event.receipt().unwrap_or(NO_TIME)
    }

    /// The time that an author wants, in the one spelling of ours.
    fn time(&self, text: &str, place: &str) -> Result<String, PlanError> {
        text.parse::<jiff::Timestamp>().map(|time| time.to_string()).map_err(|_| {
            let shown = words::truncate(text, 80);
            let reason = format!("`{shown}` is no time; write one such as `2026-01-31T12:00:00Z` (RFC 3339)");
            self.error(format!("{place}.time"), &reason)
        })
    }

    /// An event of the `CDEvents` vocabulary.
    fn cdevent(&self, ty: &str, parts: Parts<'_>) -> Result<Event, PlanError> {
        let Parts { place, source, subject, id, time, chain, links, extensions, content, custom_data } =
            parts;
        let content = content.unwrap_or_else(|| Value::Object(Map::new()));
        self.bound(&content, place)?;
        let ty = Type::parse(ty).map_err(|error| self.error(format!("{place}.type"), &error))?;
        check(&ty, &content)
            .map_err(|problems| self.error(format!("{place}.content"), &problems.join("; ")))?;
        let time = time.and_then(|time| time.parse().ok()).unwrap_or_else(|| self.receipt());
        let subject = subject.unwrap_or_else(|| self.event.id().to_owned());
        let of_author = links.is_some();
        let links = match links {
            Some(links) => links::read(&links)
                .map_err(|problems| self.error(format!("{place}.links"), &problems.join("; ")))?,
            None => cdevent::context_id(self.event)
                .filter(|parent| *parent != id)
                .map(|parent| Link::Path { from: parent.to_owned() })
                .into_iter()
                .collect(),
        };
        let schema = self.catalog.schemas.get(&ty.to_string());
        let mut event = CdEvent::new(ty, id, source, subject, time);
        if let Some(schema) = schema {
            event = event.schema_uri(schema.id());
        }
        if let Some(chain) = chain {
            event = event.chain(chain);
        }
        event = links.into_iter().fold(event, CdEvent::link);
        let written = event.content(&content).and_then(|event| match &custom_data {
            Some(data) => event.custom_data(data)?.build(),
            None => event.build(),
        });
        let refused = |error: CdEventError| self.error(place.to_owned(), &error);
        let event = written.map_err(refused)?;
        if let (Some(schema), Some(data)) = (schema, event.tree()) {
            schema.check(data).map_err(|problems| {
                let reason = format!("by the schema `{}`: {}", schema.id(), problems.join("; "));
                self.error(place.to_owned(), &reason)
            })?;
        }
        let mut builder = event.to_builder();
        // A cause outside of the vocabulary has no `context.id` to link to, and is still the cause; unless the author says
        // what is, or the new event is the old one in other words.
        let is_told = of_author && event.extensions().contains_key(CAUSATION_ID);
        if !is_told && event.id() != self.event.id() {
            builder = builder.extension(CAUSATION_ID, self.event.id());
        }
        for (name, value) in extensions {
            builder = builder.extension(name, value);
        }
        builder.build().map_err(|error| self.error(place.to_owned(), &error))
    }

    /// Any other event: the content is its data.
    fn plain(&self, ty: &str, parts: Parts<'_>) -> Result<Event, PlanError> {
        let Parts { place, source, subject, id, time, chain, extensions, content, .. } = parts;
        let is_another = id != self.event.id();
        let mut event =
            Event::builder(id, source, ty).time(time.unwrap_or_else(|| self.receipt().to_string()));
        if is_another {
            event = event.extension(CAUSATION_ID, self.event.id());
        }
        if let Some(chain) = chain {
            event = event.extension(CORRELATION_ID, chain);
        }
        if let Some(subject) = subject {
            event = event.subject(subject);
        }
        for (name, value) in extensions {
            event = event.extension(name, value);
        }
        if let Some(content) = content {
            self.bound(&content, place)?;
            event = event.json(content.to_string());
        }
        event.build().map_err(|error| self.error(place.to_owned(), &error))
    }

    fn bound(&self, content: &Value, place: &str) -> Result<(), PlanError> {
        if size(content) > MAX_DATA {
            let reason = format!("the rendered event is larger than {MAX_DATA} bytes");
            return Err(self.error(place.to_owned(), &reason));
        }
        Ok(())
    }
}
