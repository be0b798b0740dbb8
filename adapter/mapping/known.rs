//! Which `CDEvents` types there are; the vocabulary owns the table, this is what mappings ask of it.

use crate::diagnostic::did_you_mean;

/// Subjects and predicates of `CDEvents` 0.5.1.
const TYPES: [&str; 45] = [
    "artifact.deleted",
    "artifact.downloaded",
    "artifact.packaged",
    "artifact.published",
    "artifact.signed",
    "branch.created",
    "branch.deleted",
    "build.finished",
    "build.queued",
    "build.started",
    "change.abandoned",
    "change.created",
    "change.merged",
    "change.reviewed",
    "change.updated",
    "environment.created",
    "environment.deleted",
    "environment.modified",
    "incident.detected",
    "incident.reported",
    "incident.resolved",
    "pipelinerun.finished",
    "pipelinerun.queued",
    "pipelinerun.started",
    "repository.created",
    "repository.deleted",
    "repository.modified",
    "service.deployed",
    "service.published",
    "service.removed",
    "service.rolledback",
    "service.upgraded",
    "taskrun.finished",
    "taskrun.started",
    "testcaserun.finished",
    "testcaserun.queued",
    "testcaserun.skipped",
    "testcaserun.started",
    "testoutput.published",
    "testsuiterun.finished",
    "testsuiterun.queued",
    "testsuiterun.started",
    "ticket.closed",
    "ticket.created",
    "ticket.updated",
];

/// Whether `ty`, without its version, is a type of the `CDEvents` vocabulary.
pub(crate) fn known_type(ty: &str) -> bool {
    ty.strip_prefix("dev.cdevents.").is_some_and(|name| TYPES.contains(&name))
}

/// The known type that `ty` is probably a misspelling of.
pub(crate) fn nearest_type(ty: &str) -> Option<String> {
    let name = ty.strip_prefix("dev.cdevents.")?;
    did_you_mean(name, TYPES).map(|near| format!("dev.cdevents.{near}"))
}
