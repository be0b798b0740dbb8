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

/// The most bytes of the data of one event.
const MAX_DATA: usize = 1024 * 1024;
/// The time of an event whose cause has none: nothing here reads a clock.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

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
        let id = origin.key.event_id();
        let time = cdevent::time(self.event).unwrap_or_else(|| NO_TIME.to_owned());
        let data = if is_cdevent(&new.ty) {
            cdevent::CdEvent {
                id: &id,
                source: &source,
                ty: &new.ty,
                time: &time,
                chain: self.chain.as_deref(),
                parent: cdevent::context_id(self.event),
                subject: subject.as_deref().unwrap_or_else(|| self.event.id()),
                content: payload.unwrap_or_else(|| Value::Object(Map::new())),
                custom_data,
            }
            .to_json()
        } else {
            payload.unwrap_or(Value::Null)
        };
        if size(&data) > MAX_DATA {
            let reason = format!("the rendered event is larger than {MAX_DATA} bytes");
            return Err(self.error(place.to_owned(), &reason));
        }
        let mut event =
            Event::builder(id, source, &new.ty).time(time).extension("causationid", self.event.id());
        if let Some(chain) = &self.chain {
            event = event.extension("correlationid", chain.as_str());
        }
        match subject {
            Some(subject) => event = event.subject(subject),
            None if is_cdevent(&new.ty) => event = event.subject(self.event.id()),
            None => {}
        }
        if !data.is_null() {
            event = event.json(data.to_string());
        }
        event.build().map_err(|error| self.error(place.to_owned(), &error))
    }
}
