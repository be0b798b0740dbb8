//! The 45 types of `CDEvents` 0.5.1; the test `the_table_equals_the_official_schemas` holds it to them.

use super::{Empty, EventType, Extra, Field, Kind, Presence};

/// A pointer to something that another event is about.
const REFERENCE: Kind =
    Kind::Object(&[required("id", Kind::NonEmpty), optional("source", Kind::UriReference)], Extra::Refused);
/// A pointer whose `source` the schemas leave free.
const RUN: Kind =
    Kind::Object(&[required("id", Kind::NonEmpty), optional("source", Kind::Text)], Extra::Refused);
const SBOM: Kind = Kind::Object(&[required("uri", Kind::UriReference)], Extra::Refused);
const TRIGGER: Kind = Kind::Object(
    &[
        optional("type", Kind::OneOf(&["manual", "pipeline", "event", "schedule", "other"])),
        optional("uri", Kind::Uri),
    ],
    Extra::Allowed,
);
const TEST_CASE: Kind = Kind::Object(
    &[
        required("id", Kind::NonEmpty),
        optional("version", Kind::Text),
        optional("name", Kind::Text),
        optional(
            "type",
            Kind::OneOf(&[
                "performance",
                "functional",
                "unit",
                "security",
                "compliance",
                "integration",
                "e2e",
                "other",
            ]),
        ),
        optional("uri", Kind::Uri),
    ],
    Extra::Refused,
);
const TEST_SUITE: Kind = Kind::Object(
    &[
        required("id", Kind::NonEmpty),
        optional("version", Kind::Text),
        optional("name", Kind::Text),
        optional("uri", Kind::Uri),
    ],
    Extra::Refused,
);
const OUTCOME: Kind = Kind::OneOf(&["success", "failure", "cancel", "error"]);
const SEVERITY: Kind = Kind::OneOf(&["low", "medium", "high", "critical"]);
const OUTPUT_TYPE: Kind = Kind::OneOf(&["report", "video", "image", "log", "other"]);
const TICKET_TYPE: Kind =
    Kind::Suggested(&["bug", "enhancement", "incident", "task", "question"], Empty::Allowed);
const PRIORITY: Kind = Kind::Suggested(&["low", "medium", "high"], Empty::Allowed);
const RESOLUTION: Kind = Kind::Suggested(&["completed", "withdrawn", "duplicate"], Empty::Refused);

/// Every type of the specification, by subject and predicate.
pub static TYPES: [EventType; 45] = [
    event("artifact", "deleted", [0, 2, 0], &[optional("user", Kind::NonEmpty)]),
    event("artifact", "downloaded", [0, 2, 0], &[optional("user", Kind::NonEmpty)]),
    event("artifact", "packaged", [0, 3, 0], &[required("change", REFERENCE), optional("sbom", SBOM)]),
    event("artifact", "published", [0, 3, 0], &[optional("sbom", SBOM), optional("user", Kind::NonEmpty)]),
    event("artifact", "signed", [0, 3, 0], &[required("signature", Kind::NonEmpty)]),
    event("branch", "created", [0, 3, 0], &[optional("repository", REFERENCE)]),
    event("branch", "deleted", [0, 3, 0], &[optional("repository", REFERENCE)]),
    event("build", "finished", [0, 3, 0], &[optional("artifactId", Kind::Text)]),
    event("build", "queued", [0, 3, 0], &[]),
    event("build", "started", [0, 3, 0], &[]),
    event("change", "abandoned", [0, 3, 0], &[optional("repository", REFERENCE)]),
    event(
        "change",
        "created",
        [0, 4, 0],
        &[optional("description", Kind::NonEmpty), optional("repository", REFERENCE)],
    ),
    event("change", "merged", [0, 3, 0], &[optional("repository", REFERENCE)]),
    event("change", "reviewed", [0, 3, 0], &[optional("repository", REFERENCE)]),
    event("change", "updated", [0, 3, 0], &[optional("repository", REFERENCE)]),
    event("environment", "created", [0, 3, 0], &[optional("name", Kind::Text), optional("uri", Kind::Uri)]),
    event("environment", "deleted", [0, 3, 0], &[optional("name", Kind::Text)]),
    event("environment", "modified", [0, 3, 0], &[optional("name", Kind::Text), optional("uri", Kind::Uri)]),
    event(
        "incident",
        "detected",
        [0, 3, 0],
        &[
            optional("description", Kind::Text),
            required("environment", REFERENCE),
            optional("service", REFERENCE),
            optional("artifactId", Kind::NonEmpty),
        ],
    ),
    event(
        "incident",
        "reported",
        [0, 3, 0],
        &[
            optional("description", Kind::Text),
            required("environment", REFERENCE),
            required("ticketURI", Kind::Uri),
            optional("service", REFERENCE),
            optional("artifactId", Kind::NonEmpty),
        ],
    ),
    event(
        "incident",
        "resolved",
        [0, 3, 0],
        &[
            optional("description", Kind::Text),
            required("environment", REFERENCE),
            optional("service", REFERENCE),
            optional("artifactId", Kind::NonEmpty),
        ],
    ),
    event(
        "pipelinerun",
        "finished",
        [0, 3, 0],
        &[
            optional("pipelineName", Kind::Text),
            optional("uri", Kind::Uri),
            optional("outcome", OUTCOME),
            optional("errors", Kind::Text),
        ],
    ),
    event(
        "pipelinerun",
        "queued",
        [0, 3, 0],
        &[optional("pipelineName", Kind::Text), optional("uri", Kind::Uri)],
    ),
    event(
        "pipelinerun",
        "started",
        [0, 3, 0],
        &[required("pipelineName", Kind::Text), required("uri", Kind::Uri)],
    ),
    event(
        "repository",
        "created",
        [0, 3, 0],
        &[
            required("name", Kind::NonEmpty),
            optional("owner", Kind::Text),
            required("uri", Kind::Uri),
            optional("viewUrl", Kind::Uri),
        ],
    ),
    event(
        "repository",
        "deleted",
        [0, 3, 0],
        &[
            optional("name", Kind::Text),
            optional("owner", Kind::Text),
            optional("uri", Kind::Uri),
            optional("viewUrl", Kind::Uri),
        ],
    ),
    event(
        "repository",
        "modified",
        [0, 3, 0],
        &[
            optional("name", Kind::Text),
            optional("owner", Kind::Text),
            optional("uri", Kind::Uri),
            optional("viewUrl", Kind::Uri),
        ],
    ),
    event(
        "service",
        "deployed",
        [0, 3, 0],
        &[required("environment", REFERENCE), required("artifactId", Kind::NonEmpty)],
    ),
    event("service", "published", [0, 3, 0], &[optional("environment", REFERENCE)]),
    event("service", "removed", [0, 3, 0], &[optional("environment", REFERENCE)]),
    event(
        "service",
        "rolledback",
        [0, 3, 0],
        &[required("environment", REFERENCE), required("artifactId", Kind::NonEmpty)],
    ),
    event(
        "service",
        "upgraded",
        [0, 3, 0],
        &[required("environment", REFERENCE), required("artifactId", Kind::NonEmpty)],
    ),
    event(
        "taskrun",
        "finished",
        [0, 3, 0],
        &[
            optional("taskName", Kind::Text),
            optional("uri", Kind::Uri),
            optional("pipelineRun", REFERENCE),
            optional("outcome", Kind::Text),
            optional("errors", Kind::Text),
        ],
    ),
    event(
        "taskrun",
        "started",
        [0, 3, 0],
        &[optional("taskName", Kind::Text), optional("uri", Kind::Uri), optional("pipelineRun", REFERENCE)],
    ),
    event(
        "testcaserun",
        "finished",
        [0, 3, 0],
        &[
            required("outcome", OUTCOME),
            optional("severity", SEVERITY),
            optional("reason", Kind::Text),
            required("environment", REFERENCE),
            optional("testSuiteRun", RUN),
            optional("testCase", TEST_CASE),
        ],
    ),
    event(
        "testcaserun",
        "queued",
        [0, 3, 0],
        &[
            optional("trigger", TRIGGER),
            required("environment", REFERENCE),
            optional("testSuiteRun", RUN),
            optional("testCase", TEST_CASE),
        ],
    ),
    event(
        "testcaserun",
        "skipped",
        [0, 2, 0],
        &[
            optional("reason", Kind::Text),
            optional("environment", REFERENCE),
            optional("testSuiteRun", RUN),
            optional("testCase", TEST_CASE),
        ],
    ),
    event(
        "testcaserun",
        "started",
        [0, 3, 0],
        &[
            optional("trigger", TRIGGER),
            required("environment", REFERENCE),
            optional("testSuiteRun", RUN),
            optional("testCase", TEST_CASE),
        ],
    ),
    event(
        "testoutput",
        "published",
        [0, 3, 0],
        &[
            required("outputType", OUTPUT_TYPE),
            required("format", Kind::Text),
            optional("uri", Kind::Uri),
            optional("testCaseRun", RUN),
        ],
    ),
    event(
        "testsuiterun",
        "finished",
        [0, 3, 0],
        &[
            required("environment", REFERENCE),
            optional("testSuite", TEST_SUITE),
            required("outcome", OUTCOME),
            optional("severity", SEVERITY),
            optional("reason", Kind::Text),
        ],
    ),
    event(
        "testsuiterun",
        "queued",
        [0, 3, 0],
        &[
            optional("trigger", TRIGGER),
            required("environment", REFERENCE),
            optional("testSuite", TEST_SUITE),
        ],
    ),
    event(
        "testsuiterun",
        "started",
        [0, 3, 0],
        &[
            optional("trigger", TRIGGER),
            required("environment", REFERENCE),
            optional("testSuite", TEST_SUITE),
        ],
    ),
    event(
        "ticket",
        "closed",
        [0, 2, 0],
        &[
            optional("summary", Kind::Text),
            optional("ticketType", TICKET_TYPE),
            optional("group", Kind::Text),
            optional("creator", Kind::NonEmpty),
            optional("assignees", Kind::Texts),
            optional("priority", PRIORITY),
            optional("labels", Kind::Texts),
            optional("milestone", Kind::Text),
            required("uri", Kind::UriReference),
            required("resolution", RESOLUTION),
            optional("updatedBy", Kind::Text),
        ],
    ),
    event(
        "ticket",
        "created",
        [0, 2, 0],
        &[
            required("summary", Kind::Text),
            optional("ticketType", TICKET_TYPE),
            optional("group", Kind::Text),
            required("creator", Kind::NonEmpty),
            optional("assignees", Kind::Texts),
            optional("priority", PRIORITY),
            optional("labels", Kind::Texts),
            optional("milestone", Kind::Text),
            required("uri", Kind::UriReference),
        ],
    ),
    event(
        "ticket",
        "updated",
        [0, 2, 0],
        &[
            optional("summary", Kind::Text),
            optional("ticketType", TICKET_TYPE),
            optional("group", Kind::Text),
            optional("creator", Kind::NonEmpty),
            optional("assignees", Kind::Texts),
            optional("priority", PRIORITY),
            optional("labels", Kind::Texts),
            optional("milestone", Kind::Text),
            optional("updatedBy", Kind::Text),
            required("uri", Kind::UriReference),
        ],
    ),
];

const fn event(
    subject: &'static str,
    predicate: &'static str,
    version: [u32; 3],
    fields: &'static [Field],
) -> EventType {
    EventType { subject, predicate, version, fields }
}

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Required }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, presence: Presence::Optional }
}
