//! Runs that are deleted: how they end, and what of them is worth keeping.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::object::Object;
use super::{RunKind, size_of};

/// The reason of the condition of a run that was deleted before its end.
pub const DELETED: &str = "Deleted";

/// The parts of an object that are large and that no event is made of.
const LARGE: &[(&str, &[&str])] = &[
    ("spec", &["pipelineSpec", "taskSpec", "workspaces", "taskRunSpecs", "podTemplate"]),
    ("status", &["pipelineSpec", "taskSpec", "provenance", "steps", "sidecars", "spanContext"]),
];

/// The object without what no event of its end is made of.
pub fn lean(mut object: Value) -> Value {
    for (part, names) in LARGE {
        let Some(fields) = object.get_mut(*part).and_then(Value::as_object_mut) else { continue };
        for name in *names {
            fields.remove(*name);
        }
    }
    object
}

/// The last state of a deleted object: one that had not ended has been cancelled by that. `unseen` says that the object was
/// found gone, so that it may have ended in any way.
pub fn deleted(object: Value, kind: RunKind, seen: Timestamp, unseen: bool) -> Value {
    let mut object = lean(object);
    let Some((is_over, has_begun)) =
        Object::read(&object, kind).map(|run| (run.finished_at().is_some(), run.started_at().is_some()))
    else {
        return object;
    };
    if is_over {
        return object;
    }
    let at = object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str).map(str::to_owned);
    let at = at.unwrap_or_else(|| seen.to_string());
    let message = if unseen {
        "The run was deleted while its events could not be seen; how it ended is not known."
    } else {
        "The run was deleted before its end."
    };
    if !object["status"].is_object() {
        object["status"] = json!({});
    }
    if let Some(status) = object["status"].as_object_mut() {
        // A condition that says how it ended does not say that it began.
        if !has_begun {
            status.remove("startTime");
        }
        status.insert("completionTime".to_owned(), json!(at));
        let condition = json!({
            "type": "Succeeded", "status": "False", "reason": DELETED, "message": message, "lastTransitionTime": at,
        });
        status.insert("conditions".to_owned(), json!([condition]));
    }
    object
}

/// About the bytes that an object takes.
pub fn weight(object: &Value) -> usize {
    size_of(object)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::tekton::{Cluster, transitions};

    fn told(object: &Value, kind: RunKind) -> Vec<(String, Value)> {
        let cluster = Cluster::new("https://c.example/".to_owned(), None, "https://c.example").unwrap();
        let told = transitions(object, kind, &cluster);
        told.iter()
            .map(|it| (it.name.to_string(), it.event.tree().unwrap()["subject"]["content"].clone()))
            .collect()
    }

    fn run(status: &Value) -> Value {
        json!({
            "metadata": {"name": "a", "namespace": "ci", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"pipelineRef": {"name": "build"}},
            "status": status,
        })
    }

    #[test]
    fn a_run_that_is_deleted_before_its_end_was_cancelled() {
        let begun = json!({"startTime": "2026-01-01T00:00:01Z",
                           "conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Running"}]});
        let now: Timestamp = "2026-01-01T00:00:09Z".parse().unwrap();
        for (status, names) in [
            (begun, vec!["queued", "started", "finished"]),
            (json!({}), vec!["queued", "finished"]),
            (Value::Null, vec!["queued", "finished"]),
        ] {
            let last = deleted(run(&status), RunKind::PipelineRun, now, false);
            let told = told(&last, RunKind::PipelineRun);
            assert_eq!(told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
            let (_, content) = told.last().unwrap();
            assert_eq!(
                (&content["outcome"], content["pipelineName"].as_str()),
                (&json!("cancel"), Some("build"))
            );
        }
        let mut pending = run(&json!({"startTime": "2026-01-01T00:00:01Z",
                                     "conditions": [{"type": "Succeeded", "status": "Unknown", "reason": "Pending"}]}));
        pending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:05Z");
        let last = deleted(pending, RunKind::TaskRun, now, true);
        assert_eq!(last["status"]["completionTime"], "2026-01-01T00:00:05Z");
        let names: Vec<String> = told(&last, RunKind::TaskRun).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["finished"], "it never began");
    }

    #[test]
    fn an_end_stays_what_it_was_and_large_parts_are_not_kept() {
        let over = json!({"startTime": "2026-01-01T00:00:01Z", "completionTime": "2026-01-01T00:00:02Z",
                          "pipelineSpec": {"tasks": []}, "results": [{"name": "r", "value": "v"}],
                          "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}]});
        let (whole, now) = (run(&over), Timestamp::UNIX_EPOCH);
        let last = deleted(whole.clone(), RunKind::PipelineRun, now, true);
        assert_eq!(told(&last, RunKind::PipelineRun), told(&whole, RunKind::PipelineRun));
        assert!(last["status"].get("pipelineSpec").is_none() && weight(&last) < weight(&whole));
    }
}
