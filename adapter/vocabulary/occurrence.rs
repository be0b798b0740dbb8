//! What forges tell, in one form for all of them.
//!
//! The parser of a forge fills in what its payload has; which events that makes, with which subject, content, id, chain
//! and links, is decided here, so that the same happening is the same event whatever forge it comes from.

pub mod change;
pub mod comment;
pub mod deployment;
pub mod dispatch;
pub mod git;
mod lenient;
pub mod package;
pub mod release;
pub mod repository;
pub mod run;
pub mod ticket;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::cdevent::{CdEvent, CdEventError};
use super::extract::{self, Extract};
use super::options::{Optional, Options};
use super::outcome::Outcome;
use super::pick::{Path, Picked, pick, read};
use super::read::When;
use super::types::{CustomType, EventType, resolve};
use super::{Misfit, PayloadError, Reading, Webhook};
use crate::event::Event;
use crate::event::identity::chain_uuid;
use crate::event::uri;

/// What one event and action of a forge becomes.
#[derive(Debug)]
pub struct Row {
    /// The forge's name of the event.
    pub event: &'static str,
    /// Its name of the action; `None` for events that have none.
    pub action: Option<&'static str>,
    /// The types without their versions; which of them, the payload decides.
    pub becomes: &'static [&'static str],
    /// What tells this occurrence from another of the same type and subject, for [`occurrence_id`]; see the notes
    /// at the forge's table.
    ///
    /// [`occurrence_id`]: super::cdevent::occurrence_id
    pub key: &'static str,
    /// Set for what is told only when somebody wants it.
    pub only: Option<Optional>,
    write: Writer,
}

type Writer = fn(&Delivery<'_>, &mut Vec<CdEvent>) -> Result<(), PayloadError>;

/// One delivery on its way through a row.
pub struct Delivery<'a> {
    pub webhook: &'a Webhook,
    pub json: &'a str,
    pub action: Option<Cow<'a, str>>,
    pub options: &'a Options,
    /// What is `null` in this text and was something that its reader cannot use in the delivery's.
    removed: &'a [String],
    /// Where the reader of the payload met something that it cannot use: line and column.
    failed: Cell<Option<(usize, usize)>>,
    /// Which of the removed identifies the event.
    lacking: Cell<Option<usize>>,
    /// What the raw event is made of stands there, and whoever reads the payload first brings it along.
    sought: Cell<Option<Vec<Path>>>,
    picked: Cell<Option<Picked<'a>>>,
}

/// How a forge's raw event is made.
pub struct RawRule<'r, 'a> {
    /// Everything that it needs of the payload.
    pub paths: Vec<Path>,
    /// Where the payload has its action, if it has one.
    pub action: Option<Path>,
    /// Makes it of what is at the paths, and of the `source` of the first `CDEvent` if there is one.
    pub event: &'r MakeRaw<'a>,
}

type MakeRaw<'a> = dyn Fn(&Picked<'a>, Option<&str>) -> Result<Event, PayloadError> + 'a;

/// The repository that an event belongs to, and what is derived from it.
pub struct Place<'a> {
    /// `context.source`: the page of the repository, so that hosts of one's own stay apart.
    pub source: String,
    /// `https://host`; empty when the payload does not tell the host.
    pub origin: String,
    /// The account, or the path of groups.
    pub owner: String,
    /// Empty when the event belongs to the account itself.
    pub name: String,
    /// What chains are keyed with: the forge's own id of the repository, which survives a rename.
    pub id: String,
    pub clone_url: Option<Cow<'a, str>>,
    pub ssh_url: Option<Cow<'a, str>>,
    pub default_branch: Option<Cow<'a, str>>,
}

/// A reference to a subject of another source, as content has it.
#[derive(Serialize)]
pub struct Reference {
    pub id: String,
    /// Empty when it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
}

/// A row of a forge's table.
pub const fn row(
    event: &'static str,
    action: Option<&'static str>,
    becomes: &'static [&'static str],
    key: &'static str,
    write: Writer,
) -> Row {
    Row { event, action, becomes, key, only: None, write }
}

/// The raw event, and then the `CDEvents` that the rows make of the delivery; no id twice; and what is at the paths of the
/// rule. The payload is read once, unless its action is not where forges have it.
///
/// # Errors
/// The body is not one JSON object.
pub fn read_by<'a>(
    webhook: &'a Webhook,
    json: &'a str,
    options: &'a Options,
    rows: &[Row],
    rule: &RawRule<'_, 'a>,
) -> Result<(Reading, Picked<'a>), PayloadError> {
    let action = rule.action.and_then(|_| leading_action(json)).map(Cow::Borrowed);
    let mut delivery = Delivery::new(webhook, json, action, options);
    delivery.sought.set(Some(rule.paths.clone()));
    let mut written = delivery.written(rows);
    let picked = match delivery.picked.take() {
        Some(picked) => picked,
        None => pick(json, rule.paths.clone()).map_err(|error| webhook.unreadable(json, &error))?,
    };
    delivery.sought.set(None);
    let action = rule.action.and_then(|path| picked.shared_text(path));
    if action != delivery.action {
        delivery.action = action;
        written = delivery.written(rows);
    }
    let (written, misfits) = lenient::or_without_misfits(written, &delivery, rows);
    let source = written.first().map(CdEvent::source);
    let raw = (rule.event)(&picked, source)?;
    Ok((built(raw, written, misfits), picked))
}

/// The same for a raw event that was made before.
pub fn read_after(raw: Event, delivery: &Delivery<'_>, rows: &[Row]) -> Reading {
    let (written, misfits) = lenient::or_without_misfits(delivery.written(rows), delivery, rows);
    built(raw, written, misfits)
}

/// What stands in `action`, when the payload begins with it, as those of GitHub and Gitea do.
fn leading_action(json: &str) -> Option<&str> {
    const LONGEST: usize = 64;
    let space: &[char] = &[' ', '\t', '\n', '\r'];
    let rest = json.trim_start_matches(space).strip_prefix('{')?.trim_start_matches(space);
    let rest = rest.strip_prefix("\"action\"")?.trim_start_matches(space).strip_prefix(':')?;
    let text = rest.trim_start_matches(space).strip_prefix('"')?;
    let end = text.bytes().take(LONGEST + 1).position(|b| b == b'"' || b == b'\\')?;
    text[end..].starts_with('"').then(|| &text[..end])
}

fn built(raw: Event, written: Vec<CdEvent>, mut misfits: Vec<Misfit>) -> Reading {
    let mut events = Vec::with_capacity(1 + written.len());
    events.push(raw);
    let is_one = written.len() == 1;
    let mut ids = HashSet::new();
    for event in written {
        if is_one || ids.insert(event.id().to_owned()) {
            match event.build() {
                Ok(event) => events.push(event),
                Err(error) => misfits.push(Misfit::costs_event(String::new(), &error)),
            }
        }
    }
    Reading { events, misfits }
}

/// A type of the specification, which a row names.
pub fn standard(base: &str) -> Result<&'static EventType, PayloadError> {
    resolve(base).ok_or_else(|| CdEventError::Unknown(base.to_owned()).into())
}

/// A type of ours, in its first version.
pub fn custom(base: &str) -> Result<CustomType, PayloadError> {
    format!("{base}.0.1.0").parse().map_err(|_| CdEventError::Unknown(base.to_owned()).into())
}

/// This time, or that of the receipt where the payload has none.
pub fn time(delivery: &Delivery<'_>, when: Option<When>) -> Timestamp {
    when.and_then(|when| when.0).unwrap_or(delivery.webhook.received)
}

/// Whether a path is another one, or leads through it.
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Text that a user chose, as a part of a subject: what no attribute may hold is percent-encoded.
pub fn subject_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for c in text.chars() {
        let code = u32::from(c);
        if c.is_control() || (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe {
            uri::encode(c.encode_utf8(&mut [0; 4]), &mut part);
        } else {
            part.push(c);
        }
    }
    part
}

// === impl Row ===

impl Row {
    /// The same, for what is told only when somebody wants it.
    #[must_use]
    pub const fn only(self, optional: Optional) -> Self {
        Self { only: Some(optional), ..self }
    }

    fn is_for(&self, delivery: &Delivery<'_>) -> bool {
        self.event == delivery.webhook.event
            && self.action.is_none_or(|wanted| delivery.action.as_deref() == Some(wanted))
            && self.only.is_none_or(|optional| delivery.options.wants(optional))
    }
}

// === impl Delivery ===

impl<'a> Delivery<'a> {
    pub fn new(
        webhook: &'a Webhook,
        json: &'a str,
        action: Option<Cow<'a, str>>,
        options: &'a Options,
    ) -> Self {
        Self {
            webhook,
            json,
            action,
            options,
            removed: &[],
            failed: Cell::new(None),
            lacking: Cell::new(None),
            sought: Cell::new(None),
            picked: Cell::new(None),
        }
    }

    /// The same delivery in a text without what its reader cannot use.
    fn without<'b>(&'b self, json: &'b str, removed: &'b [String]) -> Delivery<'b> {
        let action = self.action.as_deref().map(Cow::Borrowed);
        Delivery { removed, ..Delivery::new(self.webhook, json, action, self.options) }
    }

    /// The payload as a structure that borrows from it.
    pub fn payload<T: Deserialize<'a>>(&self) -> Result<T, PayloadError> {
        let read = match self.sought.take() {
            None => serde_json::from_str(self.json),
            Some(paths) => read(self.json, paths).map(|(payload, picked)| {
                self.picked.set(Some(picked));
                payload
            }),
        };
        read.map_err(|error| {
            let is_of_data = error.classify() == serde_json::error::Category::Data;
            // Which of two is meant, nobody knows.
            let is_misfit = is_of_data && !error.to_string().starts_with("duplicate field");
            self.failed.set(is_misfit.then(|| (error.line(), error.column())));
            self.webhook.unreadable(self.json, &error)
        })
    }

    /// Fails when one of these fields, which identify the event, is not what it should be: without them it would be taken
    /// for another one. After `[]` stands a list of which every element does.
    pub fn needs(&self, fields: &[&str]) -> Result<(), PayloadError> {
        for field in fields {
            if let Some(place) = self.place_of(field) {
                self.lacking.set(Some(place));
                let field = field.trim_end_matches("[]");
                let reason = format!("`{field}`, which identifies the event, is of another type");
                return Err(self.webhook.malformed(reason));
            }
        }
        Ok(())
    }

    /// Whether this field is not what it should be.
    pub fn misses(&self, field: &str) -> bool {
        self.place_of(field).is_some()
    }

    /// What was removed and took this field with it.
    fn place_of(&self, field: &str) -> Option<usize> {
        self.removed.iter().position(|removed| match field.strip_suffix("[]") {
            Some(list) => is_within(list, removed) || is_within(removed, list),
            None => is_within(field, removed),
        })
    }

    /// Whether this member of an element of a list is not.
    pub fn misses_in(&self, list: &str, index: usize, member: &str) -> bool {
        !self.removed.is_empty() && self.misses(&format!("{list}[{index}].{member}"))
    }

    /// What all rows for this delivery write.
    fn written(&self, rows: &[Row]) -> Result<Vec<CdEvent>, PayloadError> {
        let mut written = Vec::new();
        for row in rows.iter().filter(|row| row.is_for(self)) {
            (row.write)(self, &mut written)?;
        }
        Ok(written)
    }

    /// The action, empty when there is none.
    pub fn action(&self) -> &str {
        self.action.as_deref().unwrap_or_default()
    }

    /// The outcome of a run of which the forge says that it ended like this.
    pub fn outcome(&self, word: &str) -> Outcome {
        self.options.outcomes.of_word(word)
    }

    /// The part of the extract that every event has.
    pub fn extract<'b>(&'b self, place: &'b Place<'b>, sender: Option<Cow<'b, str>>) -> Extract<'b> {
        Extract {
            forge: extract::Origin {
                name: self.webhook.forge.name(),
                event: Cow::Borrowed(&self.webhook.event),
                action: self.action.as_deref().map(Cow::Borrowed),
                delivery: Cow::Borrowed(&self.webhook.delivery),
            },
            sender,
            repository: (!place.name.is_empty()).then(|| extract::Repository {
                owner: Cow::Borrowed(&place.owner),
                name: Cow::Borrowed(&place.name),
                url: Cow::Borrowed(if place.origin.is_empty() { "" } else { &place.source }),
                clone_url: place.clone_url.as_deref().map(Cow::Borrowed),
                ssh_url: place.ssh_url.as_deref().map(Cow::Borrowed),
                default_branch: place.default_branch.as_deref().map(Cow::Borrowed),
            }),
            ..Extract::default()
        }
    }
}

// === impl Place ===

impl Place<'_> {
    /// The repository with this page; `None` when that is no URL. Owner and name are those of the path until the payload
    /// says better.
    pub fn at(page: &str) -> Option<Self> {
        let page = page.trim_end_matches('/');
        let (origin, path) = uri::split_origin(page)?;
        let (owner, name) = path.trim_matches('/').rsplit_once('/').unwrap_or(("", path.trim_matches('/')));
        Some(Self {
            source: page.to_owned(),
            origin: origin.to_owned(),
            id: [owner, "/", name].concat(),
            owner: owner.to_owned(),
            name: name.to_owned(),
            clone_url: None,
            ssh_url: None,
            default_branch: None,
        })
    }

    /// The repository as content has it.
    pub fn reference(&self) -> Reference {
        Reference { id: [&*self.owner, "/", &self.name].concat(), source: self.origin.clone() }
    }

    /// A chain of this repository.
    pub fn chain(&self, parts: &[&str]) -> String {
        let mut all = vec![self.origin.as_str(), self.id.as_str()];
        all.extend(parts);
        chain_uuid(&all)
    }
}
