//! What people should know who look at the cluster and not at the log: Kubernetes Events about this pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::diagnostic::Report;
use crate::event::annotation::MANAGER;

/// The most bytes of an Event's message, as Kubernetes has it.
const MAX_MESSAGE: usize = 1024;
/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Says on this pod that mapping files have mistakes. Nothing happens where the process is in no pod.
pub(super) async fn invalid_mappings(client: &Client, report: &Report) {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    let (Some(namespace), Some(pod)) = (variable("POD_NAMESPACE"), variable("HOSTNAME")) else { return };
    let findings: Vec<String> = report.errors().map(ToString::to_string).collect();
    let mut message = format!("mapping files have mistakes and are not in force: {}", findings.join("; "));
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    let now = Time(jiff::Timestamp::now());
    let event = Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{pod}.")),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod),
            namespace: Some(namespace.clone()),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some("InvalidMappings".to_owned()),
        message: Some(message),
        source: Some(EventSource { component: Some(MANAGER.to_owned()), host: None }),
        count: Some(1),
        first_timestamp: Some(now.clone()),
        last_timestamp: Some(now),
        ..Event::default()
    };
    let api = Api::<Event>::namespaced(client.clone(), &namespace);
    let created = tokio::time::timeout(PATIENCE, api.create(&PostParams::default(), &event)).await;
    if let Ok(Err(error)) = created {
        tracing::debug!(%error, "no Event tells of the mistakes: grant create on `events`");
    }
}
