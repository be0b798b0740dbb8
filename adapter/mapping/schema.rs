//! The JSON Schema of the mapping document, for editors.

use serde_json::{Value, json};

use crate::vocabulary::Forge;

/// The schema (draft 2020-12); `config/mapping.schema.json` is this, pretty-printed.
///
/// It says less than the loader: expressions are strings here, and names are not resolved.
pub fn mapping() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://pipewright.dev/schema/v1alpha1/mapping.json",
        "title": "Mapping",
        "description": "A rule that turns events into Tekton runs and events.",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": false,
        "properties": {
            "apiVersion": {"const": super::document::API_VERSION},
            "kind": {"const": super::document::KIND},
            "metadata": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": false,
                "properties": {
                    "name": {"$ref": "#/$defs/label", "description": "The mapping's name; part of the identity of its runs."},
                    "labels": {"type": "object"},
                    "annotations": {"type": "object"}
                }
            },
            "spec": {"$ref": "#/$defs/spec"}
        },
        "$defs": {
            "label": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
            "text": {"type": "string", "minLength": 1},
            "attributes": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": {"pattern": "^[a-z][a-z0-9]*$"},
                "additionalProperties": {"$ref": "#/$defs/text"}
            },
            "spec": spec(),
            "filter": filter(),
            "let": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "path": {"$ref": "#/$defs/text", "description": "A JSONPath (RFC 9535) over the event in its JSON form, such as `$.data.subject.id`."},
                    "cel": {"$ref": "#/$defs/text", "description": "A CEL expression over `event`, `vars` and `config`."},
                    "template": {"$ref": "#/$defs/text", "description": "A handlebars template."},
                    "required": {"type": "boolean", "description": "Refuse events without a value."},
                    "default": {"description": "The value where the event has none."}
                },
                "oneOf": [{"required": ["path"]}, {"required": ["cel"]}, {"required": ["template"]}]
            },
            "action": action(),
            "pipelineRun": pipeline_run(),
            "emit": emit(),
            "example": example()
        }
    })
}

/// The schema as it is committed.
pub fn mapping_text() -> String {
    format!("{:#}\n", mapping())
}

fn spec() -> Value {
    json!({
        "type": "object",
        "required": ["events", "do"],
        "additionalProperties": false,
        "properties": {
            "events": {
                "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/attributes"},
                "description": "Which events: any entry, all of its attributes; `*` stands for any characters, the version of a CDEvents type may be left out."
            },
            "filter": {"type": "array", "items": {"$ref": "#/$defs/filter"}, "description": "What must hold besides: all of it."},
            "let": {
                "type": "object",
                "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "additionalProperties": {"$ref": "#/$defs/let"},
                "description": "Values by name, in order; each may use the ones above it."
            },
            "do": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/action"}},
            "dedupeBy": {"type": "array", "items": {"$ref": "#/$defs/text"}, "description": "Names of `let` items: events with equal values mean the same and run once."},
            "examples": {"type": "array", "items": {"$ref": "#/$defs/example"}, "description": "Run by `pipewright test`."}
        }
    })
}

fn filter() -> Value {
    json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
        "properties": {
            "exact": {"$ref": "#/$defs/attributes"},
            "prefix": {"$ref": "#/$defs/attributes"},
            "suffix": {"$ref": "#/$defs/attributes"},
            "all": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/filter"}},
            "any": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/filter"}},
            "not": {"$ref": "#/$defs/filter"},
            "cel": {"$ref": "#/$defs/text", "description": "A CEL expression over `event` and `config`."}
        }
    })
}

fn action() -> Value {
    json!({
        "type": "object",
        "required": ["name"],
        "additionalProperties": false,
        "properties": {
            "name": {"$ref": "#/$defs/label", "description": "Part of the run's identity: renaming it makes new runs."},
            "when": {"$ref": "#/$defs/text", "description": "A CEL expression over `event`, `vars` and `config`."},
            "pipelineRun": {"$ref": "#/$defs/pipelineRun"},
            "emit": {"$ref": "#/$defs/emit"}
        },
        "oneOf": [{"required": ["pipelineRun"]}, {"required": ["emit"]}]
    })
}

fn pipeline_run() -> Value {
    json!({
        "type": "object",
        "required": ["spec"],
        "additionalProperties": false,
        "description": "A Tekton PipelineRun; its string values are handlebars templates.",
        "properties": {
            "apiVersion": {"const": "tekton.dev/v1"},
            "kind": {"const": "PipelineRun"},
            "metadata": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "namespace": {"$ref": "#/$defs/label"},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                    "annotations": {"type": "object", "additionalProperties": {"type": "string"}}
                }
            },
            "spec": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "pipelineRef": {"type": "object"},
                    "pipelineSpec": {"type": "object"},
                    "params": {"type": "array", "items": {"type": "object", "required": ["name", "value"]}},
                    "status": {"type": "string"},
                    "timeouts": {"type": "object"},
                    "taskRunTemplate": {"type": "object"},
                    "taskRunSpecs": {"type": "array"},
                    "workspaces": {"type": "array"},
                    "managedBy": {"type": "string"},
                    "unsafe": {"const": true, "description": "Permits templates in the other fields of this map, not in those of maps inside it. Every map may have it."}
                },
                "oneOf": [{"required": ["pipelineRef"]}, {"required": ["pipelineSpec"]}]
            }
        }
    })
}

fn emit() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "type": {"$ref": "#/$defs/text", "description": "Such as `dev.cdeventsx.pipewright-build.requested.0.1.0`."},
            "to": {"$ref": "#/$defs/text", "description": "A sink's name, `default`, or `reply` to answer a Knative Trigger."},
            "subject": {"$ref": "#/$defs/text"},
            "source": {"$ref": "#/$defs/text"},
            "id": {"$ref": "#/$defs/text", "description": "By default computed; one of your own must differ between the actions of one event."},
            "time": {"$ref": "#/$defs/text", "description": "RFC 3339; by default that of the event that came."},
            "chainId": {"$ref": "#/$defs/text", "description": "CDEvents only; by default that of the event that came."},
            "links": {
                "description": "CDEvents only, in their JSON form, in place of the PATH link to the event that came; or a template that gives such a list.",
                "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": ["object", "string"]}}]
            },
            "extensions": {"$ref": "#/$defs/attributes", "description": "More attributes of the CloudEvent; one whose value is empty is left out."},
            "content": {"description": "The content of the CDEvent's subject; the whole payload of other events."},
            "customData": {},
            "forward": {"type": "boolean", "description": "Pass the event on unchanged."}
        },
        "oneOf": [
            {"required": ["type"], "not": {"required": ["forward"], "properties": {"forward": {"const": true}}}},
            {"required": ["forward", "to"], "not": {"required": ["type"]}}
        ]
    })
}

fn example() -> Value {
    json!({
        "type": "object",
        "required": ["name", "given", "expect"],
        "additionalProperties": false,
        "properties": {
            "name": {"$ref": "#/$defs/text"},
            "given": {
                "oneOf": [
                    {
                        "type": "object",
                        "required": ["source", "event", "body"],
                        "additionalProperties": false,
                        "properties": {
                            "source": {
                                "$ref": "#/$defs/text",
                                "description": "The source that the delivery comes to, which mappings see as `pipewrightsource`; each forge has one of its name."
                            },
                            "forge": {
                                "enum": Forge::names(),
                                "description": "Which forge the source is, where its name does not say it."
                            },
                            "event": {"$ref": "#/$defs/text"},
                            "body": {"$ref": "#/$defs/text", "description": "A file, relative to this one."}
                        }
                    },
                    {
                        "type": "object",
                        "required": ["cloudEvent"],
                        "additionalProperties": false,
                        "properties": {
                            "cloudEvent": {"type": ["string", "object"]},
                            "source": {
                                "$ref": "#/$defs/text",
                                "description": "Who vouches for the event, which mappings see as `pipewrightsource`; `events:insecure` by default."
                            }
                        }
                    }
                ]
            },
            "expect": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": {
                        "action": {"$ref": "#/$defs/label"},
                        "pipelineRun": {"type": "object"},
                        "emit": {"type": "object"}
                    }
                }
            }
        }
    })
}
