//! The events about what a successful run made: artifacts and services.
//!
//! A task and its pipeline may tell of the same image, and neither can know whether the other does: a pipeline passes
//! on only the results that its author named, and a task's run may be gone before anybody looks. So both announce it, and
//! the id is a function of the artifact and of the pipeline's run: one id, one artifact, for every receiver that
//! takes an event of an id once, which delivery at least once asks of it anyhow.

use std::borrow::Cow;
use std::collections::HashSet;

use jiff::Timestamp;
use serde::Serialize;

use super::made::{Artifact, Change, Results, Service, purl_of_service};
use super::object::State;
use super::{Extract, Run, RunKind, Transition};
use crate::vocabulary::cdevent::{CdEventError, Link};
use crate::vocabulary::occurrence::subject_part;
use crate::vocabulary::types::resolve;

const PACKAGED: &str = "dev.cdevents.artifact.packaged";
const PUBLISHED: &str = "dev.cdevents.artifact.published";

/// The annotations that declare what a run did with a service, and what that is called today.
static SERVICES: &[(&str, &str)] = &[
    ("cd.service.deployed", "dev.cdevents.service.deployed"),
    ("cd.service.upgraded", "dev.cdevents.service.upgraded"),
    ("cd.service.rolledback", "dev.cdevents.service.rolledback"),
    ("cd.service.removed", REMOVED),
];
const REMOVED: &str = "dev.cdevents.service.removed";

/// Whether a transition of this name is about something that the run made.
pub fn is_output(name: &str) -> bool {
    name.split_once('/').is_some_and(|(predicate, _)| OUTPUTS.contains(&predicate))
}

/// The predicates of these events.
const OUTPUTS: &[&str] = &["packaged", "published", "deployed", "upgraded", "rolledback", "removed"];

/// `subject.content`; each type has the fields that are set.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    change: Option<&'a Change<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Environment<'a> {
    id: &'a str,
}

/// One event to be.
struct Output<'a> {
    base: &'static str,
    subject: &'a str,
    /// What tells this occurrence from another of the same run, type and subject.
    key: &'a [&'a str],
    content: Content<'a>,
}

// === impl Run ===

impl Run<'_> {
    /// What the run made, if it went well; `finished` is the id of the event that says so.
    pub(super) fn outputs(&self, finished: &str, at: Timestamp, out: &mut Vec<Transition>) {
        if self.run.status() != Some("True") || self.run.kind == RunKind::CustomRun {
            return;
        }
        let results = Results::of(&self.run);
        let change = results.change();
        let hinted = results.hinted();
        let declared = results.artifact();
        let by_annotation = |what: &'static str| declared.iter().filter(move |_| self.run.is_annotated(what));
        // The specification's `packaged` is about a change.
        let packaged = change.iter().flat_map(|change| {
            hinted
                .iter()
                .chain(by_annotation("cd.artifact.packaged"))
                .map(move |made| (PACKAGED, made, Some(change)))
        });
        let published =
            hinted.iter().chain(by_annotation("cd.artifact.published")).map(|made| (PUBLISHED, made, None));
        let mut made = Vec::new();
        for (base, artifact, change) in packaged.chain(published) {
            let content = Content { change, ..Content::default() };
            let output = Output { base, subject: &artifact.purl, key: &[], content };
            self.push(output, finished, at, (Some(artifact), None), &mut made);
        }
        if let Some(service) = results.service() {
            self.service(&service, declared.as_ref(), finished, at, &mut made);
        }
        let mut known = HashSet::new();
        made.retain(|transition| known.insert(transition.event.id().to_owned()));
        out.append(&mut made);
    }

    fn service(
        &self,
        service: &Service<'_>,
        artifact: Option<&Artifact<'_>>,
        finished: &str,
        at: Timestamp,
        out: &mut Vec<Transition>,
    ) {
        let purl = match (artifact, service.version) {
            (Some(artifact), _) => Some(artifact.purl.clone()),
            (None, Some(version)) => Some(purl_of_service(service.name, version)),
            (None, None) => None,
        };
        let subject = subject_part(service.name);
        for (_, base) in SERVICES.iter().filter(|(annotation, _)| self.run.is_annotated(annotation)) {
            let removed = *base == REMOVED;
            if purl.is_none() && !removed {
                continue;
            }
            let content = Content {
                environment: Some(Environment { id: service.environment }),
                artifact_id: purl.as_deref().filter(|_| !removed),
                ..Content::default()
            };
            // A pipeline may deploy one version after another.
            let key = [service.environment, content.artifact_id.unwrap_or_default()];
            let output = Output { base, subject: &subject, key: &key, content };
            self.push(output, finished, at, (None, Some(service)), out);
        }
    }

    fn push(
        &self,
        output: Output<'_>,
        finished: &str,
        at: Timestamp,
        about: (Option<&Artifact<'_>>, Option<&Service<'_>>),
        out: &mut Vec<Transition>,
    ) {
        // What cannot be written, such as a character that no event may hold, is not announced.
        if let Ok(transition) = self.output(output, finished, at, about) {
            out.push(transition);
        }
    }

    fn output(
        &self,
        Output { base, subject, key, content }: Output<'_>,
        finished: &str,
        at: Timestamp,
        (artifact, service): (Option<&Artifact<'_>>, Option<&Service<'_>>),
    ) -> Result<Transition, CdEventError> {
        let ty = resolve(base).ok_or_else(|| CdEventError::Unknown(base.to_owned()))?;
        let occurrence: Vec<&str> = std::iter::once(self.root()).chain(key.iter().copied()).collect();
        // The results are in `finished`.
        let extract = Extract {
            package: artifact.map(|artifact| &artifact.package),
            service,
            ..self.extract(State::Started)
        };
        let event = self
            .about(ty, subject, &occurrence, at)
            .link(Link::Path { from: finished.to_owned() })
            .content(&content)?
            .custom_data(&extract)?;
        // As few bytes as will do: the names stand in an annotation of the object.
        let short: String = event.id().chars().filter(|c| *c != '-').take(12).collect();
        Ok(Transition { name: Cow::Owned(format!("{}/{short}", ty.predicate)), event: event.build()? })
    }
}
