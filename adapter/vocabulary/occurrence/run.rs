//! Runs of a forge's own automation: pipelines, their tasks, checks and commit statuses.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use super::{Delivery, Place, Reference, standard};
use crate::event::uri;
use crate::vocabulary::PayloadError;
use crate::vocabulary::cdevent::{CdEvent, Link, occurrence_id};
use crate::vocabulary::extract;
use crate::vocabulary::outcome::Outcome;

pub const QUEUED: &str = "dev.cdevents.pipelinerun.queued";
pub const STARTED: &str = "dev.cdevents.pipelinerun.started";
pub const FINISHED: &str = "dev.cdevents.pipelinerun.finished";
pub const TASK_STARTED: &str = "dev.cdevents.taskrun.started";
pub const TASK_FINISHED: &str = "dev.cdevents.taskrun.finished";

/// Longest text of `errors` in bytes.
const MAX_ERRORS: usize = 4096;
/// More changes than that one run is for are not told.
pub const MAX_CHANGES: usize = 100;

/// What a delivery tells about a run.
pub struct Told<'a> {
    /// Which of the types above.
    pub base: &'static str,
    /// `subject.id`: no other run of the repository has it, and all events of this one do.
    pub subject: String,
    pub run: extract::Run<'a>,
    /// The subject of the pipeline's run that a task is a part of.
    pub pipeline: Option<String>,
    /// How it ended; `None` before, and when the forge does not say.
    pub outcome: Option<Outcome>,
    /// What went wrong.
    pub errors: Option<Cow<'a, str>>,
    /// What tells this occurrence from another of the same type and subject; nothing where there is none.
    pub key: Vec<String>,
    /// The id of the event that this one follows from, if it can be computed; see [`id`].
    pub parent: Option<String>,
    pub time: Timestamp,
}

/// `subject.content` of all five types; each has the fields that are set.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline_run: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<&'a str>,
}

/// The id of an event about a run, for the link of a later one.
pub fn id(place: &Place<'_>, base: &str, subject: &str, key: &[&str]) -> String {
    occurrence_id(base, &place.source, subject, key)
}

/// The event of a run.
pub fn write(
    delivery: &Delivery<'_>,
    told: &Told<'_>,
    place: &Place<'_>,
    sender: Option<Cow<'_, str>>,
    out: &mut Vec<CdEvent>,
) -> Result<(), PayloadError> {
    let run = &told.run;
    let mut extract = delivery.extract(place, sender);
    extract.run = Some(run.clone());
    // One chain for all that is told about a commit. A change has another one, but which change a run is for is not in
    // every payload of the run.
    let chain = match &run.sha {
        Some(sha) => place.chain(&["commit", sha]),
        None => place.chain(&["run", told.pipeline.as_deref().unwrap_or(&told.subject)]),
    };
    let key: Vec<&str> = told.key.iter().map(String::as_str).collect();
    let mut event = CdEvent::occurrence(standard(told.base)?, &place.source, &told.subject, &key, told.time)
        .chain(chain)
        .content(&content(told, place))?
        .custom_data(&extract)?;
    if let Some(parent) = &told.parent {
        event = event.link(Link::Path { from: parent.clone() });
    }
    out.push(event);
    Ok(())
}

fn content<'b>(told: &'b Told<'_>, place: &Place<'_>) -> Content<'b> {
    let run = &told.run;
    let mut content = Content {
        uri: run.url.as_deref().filter(|url| uri::is_absolute(url)).map(Cow::Borrowed),
        outcome: told.outcome.map(Outcome::as_str),
        errors: told.errors.as_deref().filter(|errors| !errors.is_empty()).map(shorten),
        ..Content::default()
    };
    if told.base == TASK_STARTED || told.base == TASK_FINISHED {
        content.task_name = Some(match &run.pipeline {
            Some(pipeline) => Cow::Owned(format!("{pipeline}/{}", run.name)),
            None => Cow::Borrowed(&run.name),
        });
        content.pipeline_run =
            told.pipeline.as_ref().map(|id| Reference { id: id.clone(), source: place.source.clone() });
    } else {
        content.pipeline_name = Some(run.file.as_deref().unwrap_or(&run.name));
    }
    if told.base == STARTED && content.uri.is_none() {
        // This type cannot be without one.
        content.uri = Some(Cow::Owned(place.source.clone()));
    }
    content
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_ERRORS)]
}
