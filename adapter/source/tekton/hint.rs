//! Tekton's own CloudEvents: never the fact itself, only a reason to look at an object now.

use crate::event::Event;
use crate::vocabulary::tekton::RunKind;

/// A run by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunRef {
    /// The kind.
    pub kind: RunKind,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// The run that an event of Tekton is about; `None` for every other event.
///
/// The type and the object in the payload say which; `source` does not: real ones read `/apis///namespaces/x//y`.
pub fn hint(event: &Event) -> Option<RunRef> {
    let kind = event.ty().strip_prefix("dev.tekton.event.")?.split('.').next()?;
    let (kind, key) = match kind {
        "pipelinerun" => (RunKind::PipelineRun, "pipelineRun"),
        "taskrun" => (RunKind::TaskRun, "taskRun"),
        "customrun" => (RunKind::CustomRun, "customRun"),
        _ => return None,
    };
    let data = event.parse()?;
    let metadata = data.get(key)?.get("metadata")?;
    let text = |field: &str| metadata.get(field)?.as_str().filter(|text| is_name(text)).map(str::to_owned);
    Some(RunRef { kind, namespace: text("namespace")?, name: text("name")? })
}

/// Whether a text can be a name in the API (RFC 1123). Anybody may send such an event, and names become URLs.
fn is_name(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= 253
        && text.bytes().all(|c| inner(c) || c == b'-' || c == b'.')
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ty: &str, data: &str) -> Event {
        Event::builder("5f0c", "/apis///namespaces/other//wrong", ty).json(data.to_owned()).build().unwrap()
    }

    #[test]
    fn the_object_in_the_payload_says_which_run_it_is() {
        for (ty, key, kind) in [
            ("dev.tekton.event.pipelinerun.running.v1", "pipelineRun", RunKind::PipelineRun),
            ("dev.tekton.event.taskrun.unknown.v1", "taskRun", RunKind::TaskRun),
            ("dev.tekton.event.customrun.successful.v1", "customRun", RunKind::CustomRun),
        ] {
            let data = format!(r#"{{"{key}":{{"metadata":{{"namespace":"ci","name":"build-1.x"}}}}}}"#);
            let found = hint(&event(ty, &data)).unwrap();
            assert_eq!(found, RunRef { kind, namespace: "ci".into(), name: "build-1.x".into() });
        }
    }

    #[test]
    fn other_events_are_no_hints() {
        let object = r#"{"pipelineRun":{"metadata":{"namespace":"ci","name":"a"}}}"#;
        for (ty, data) in [
            ("dev.cdevents.pipelinerun.started.0.3.0", object),
            ("dev.tekton.event.triggers.started.v1", object),
            ("dev.tekton.event.taskrun.started.v1", object),
            ("dev.tekton.event.pipelinerun.started.v1", "{}"),
            ("dev.tekton.event.pipelinerun.started.v1", r#"{"pipelineRun":{"metadata":{"name":"a"}}}"#),
            (
                "dev.tekton.event.pipelinerun.started.v1",
                r#"{"pipelineRun":{"metadata":{"namespace":1,"name":"a"}}}"#,
            ),
        ] {
            assert_eq!(hint(&event(ty, data)), None, "{ty} {data}");
        }
    }

    #[test]
    fn a_name_cannot_lead_elsewhere_in_the_api() {
        for name in ["", "../secrets/x", "a/b", "A", "a?x=1", "-a", "a-", "ä", &"a".repeat(254)] {
            let data = format!(r#"{{"taskRun":{{"metadata":{{"namespace":"ci","name":"{name}"}}}}}}"#);
            assert_eq!(hint(&event("dev.tekton.event.taskrun.started.v1", &data)), None, "{name}");
        }
    }
}
