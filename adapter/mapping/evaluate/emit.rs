//! The event of an `emit` for one event.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Basis, cdevent};
use crate::action::{Action, Emit, Origin};
use crate::event::Event;
use crate::mapping::PlanError;
use crate::mapping::compile::{self, EmitBody, NewEvent, Shape};
use crate::mapping::helper;
use crate::mapping::pattern::is_cdevent;
use crate::mapping::template::size;
use crate::vocabulary::cdevent::{CAUSATION_ID, CORRELATION_ID, CdEvent, CdEventError, Link};
use crate::vocabulary::types::{Type, check};

/// The most bytes of the data of one event.
const MAX_DATA: usize = 1024 * 1024;
/// The time of an event whose cause has none: nothing here reads a clock.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

/// What an emit's templates gave.
struct Parts<'a> {
    origin: &'a Origin,
    place: &'a str,
    source: String,
    subject: Option<String>,
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
            EmitBody::Forward => Arc::clone(self.event),
            EmitBody::New(event) => Arc::new(self.new_event(event, &origin, &place)?),
        };
        Ok(Action::Emit(Emit { origin, to: emit.to.clone(), event }))
    }

    fn new_event(&self, new: &NewEvent, origin: &Origin, place: &str) -> Result<Event, PlanError> {
        let context = new.uses.context(self.event, self.vars, &self.catalog.config);
        let render = |shape: &Option<Shape>, field: &str| {
            let place = format!("{place}.{field}");
            shape
                .as_ref()
                .map(|shape| shape.render(&context, &place))
                .transpose()
                .map_err(|(place, error)| self.error(place, &error))
        };
        let text = |shape: &Option<Shape>, field: &str| {
            let value = render(shape, field)?;
            let text = value.map(|value| helper::text(&value)).transpose();
            let text = text.map_err(|reason| self.error(format!("{place}.{field}"), &reason))?;
            Ok(text.filter(|text| !text.is_empty()))
        };
        let source = text(&new.source, "source")?.unwrap_or_else(|| self.catalog.event_source.clone());
        let subject = text(&new.subject, "subject")?.or_else(|| cdevent::subject_id(self.event));
        let payload = render(&new.content, "content")?;
        let custom_data = render(&new.custom_data, "customData")?;
        let parts = Parts { origin, place, source, subject, content: payload, custom_data };
        if is_cdevent(&new.ty) { self.cdevent(&new.ty, parts) } else { self.plain(&new.ty, parts) }
    }

    /// An event of the `CDEvents` vocabulary.
    fn cdevent(&self, ty: &str, parts: Parts<'_>) -> Result<Event, PlanError> {
        let Parts { origin, place, source, subject, content, custom_data } = parts;
        let content = content.unwrap_or_else(|| Value::Object(Map::new()));
        self.bound(&content, place)?;
        let ty = Type::parse(ty).map_err(|error| self.error(format!("{place}.type"), &error))?;
        check(&ty, &content)
            .map_err(|problems| self.error(format!("{place}.content"), &problems.join("; ")))?;
        let time = cdevent::time(self.event)
            .and_then(|time| time.parse().ok())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let subject = subject.unwrap_or_else(|| self.event.id().to_owned());
        let schema = self.catalog.schemas.get(&ty.to_string());
        let mut event = CdEvent::new(ty, origin.key.event_id(), source, subject, time);
        if let Some(schema) = schema {
            event = event.schema_uri(schema.id());
        }
        if let Some(chain) = &self.chain {
            event = event.chain(chain);
        }
        if let Some(parent) = cdevent::context_id(self.event) {
            event = event.link(Link::Path { from: parent.to_owned() });
        }
        let written = event.content(&content).and_then(|event| match &custom_data {
            Some(data) => event.custom_data(data)?.build(),
            None => event.build(),
        });
        let refused = |error: CdEventError| self.error(place.to_owned(), &error);
        let event = written.map_err(refused)?;
        if let (Some(schema), Some(data)) = (schema, event.tree()) {
            schema.check(data).map_err(|problems| {
                self.error(
                    place.to_owned(),
                    &format!("by the schema `{}`: {}", schema.id(), problems.join("; ")),
                )
            })?;
        }
        // A cause outside of the vocabulary has no `context.id` to link to, and is still the cause.
        event
            .to_builder()
            .extension(CAUSATION_ID, self.event.id())
            .build()
            .map_err(|error| self.error(place.to_owned(), &error))
    }

    /// Any other event: the content is its data.
    fn plain(&self, ty: &str, parts: Parts<'_>) -> Result<Event, PlanError> {
        let Parts { origin, place, source, subject, content, custom_data: _ } = parts;
        let time = cdevent::time(self.event).unwrap_or_else(|| NO_TIME.to_owned());
        let mut event = Event::builder(origin.key.event_id(), source, ty)
            .time(time)
            .extension(CAUSATION_ID, self.event.id());
        if let Some(chain) = &self.chain {
            event = event.extension(CORRELATION_ID, chain.as_str());
        }
        if let Some(subject) = subject {
            event = event.subject(subject);
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
