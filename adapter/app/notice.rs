//! What people should know who look at the cluster and not at the log: Kubernetes Events about this pod.
//!
//! They are bounded: one has a name that follows from its text, so that the same mistake is told once for as long as the
//! cluster keeps the Event (an hour, as it is delivered), and another text has to wait for [`PAUSE`].

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;

use crate::diagnostic::Report;
use crate::event::annotation::MANAGER;
use crate::event::identity::Key;

/// The most bytes of an Event's message, as Kubernetes has it.
const MAX_MESSAGE: usize = 1024;
/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The least time between two Events, and between two tries.
const PAUSE: Duration = Duration::from_secs(10);

/// Where what is to be told is left: the newest text, or nothing when nothing is wrong.
#[derive(Debug)]
pub(super) struct Notices(watch::Sender<Option<String>>);

/// The pod that the Events are about.
struct Pod {
    namespace: String,
    name: String,
    /// Without it `kubectl describe pod` does not show them.
    uid: Option<String>,
}

/// Why there is no Event.
enum Failure {
    /// It would be refused again.
    Refused(String),
    /// It may work later.
    Transient(String),
}

/// Says at once that a start fails for mistakes in mapping files. Nothing happens where the process is in no pod.
pub(super) async fn fatal(client: &Client, report: &Report) {
    if let Some(pod) = Pod::of_this_process()
        && let Err(failure) = pod.tell(client, &text(report)).await
    {
        failure.report(1);
    }
}

/// The place for what is to be told, beginning with mistakes that are there, and the work of telling it, which never ends.
pub(super) fn notices(client: Client, mistakes: Option<Arc<Report>>) -> (Notices, impl Future<Output = ()>) {
    let (newest, mut seen) = watch::channel(mistakes.map(|report| text(&report)));
    seen.mark_changed();
    let work = async move {
        if let Some(pod) = Pod::of_this_process() {
            work(&client, &pod, seen).await;
        }
    };
    (Notices(newest), work)
}

async fn work(client: &Client, pod: &Pod, mut newest: watch::Receiver<Option<String>>) {
    let mut failures = 0_u32;
    while newest.changed().await.is_ok() {
        // A failure is followed by what is newest then.
        loop {
            let Some(message) = newest.borrow_and_update().clone() else { break };
            let told = pod.tell(client, &message).await;
            if let Err(failure) = &told {
                failures = failures.saturating_add(1);
                failure.report(failures);
            }
            tokio::time::sleep(PAUSE).await;
            match told {
                Err(Failure::Transient(_)) => {}
                Err(Failure::Refused(_)) => break,
                Ok(()) => {
                    failures = 0;
                    break;
                }
            }
        }
    }
}

fn text(report: &Report) -> String {
    let findings: Vec<String> = report.errors().map(ToString::to_string).collect();
    let mut message = format!("mapping files have mistakes and are not in force: {}", findings.join("; "));
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    message
}

// === impl Notices ===

impl Notices {
    /// Mapping files have mistakes.
    pub(super) fn invalid_mappings(&self, report: &Report) {
        let message = Some(text(report));
        self.0.send_if_modified(|newest| {
            let is_new = *newest != message;
            *newest = message;
            is_new
        });
    }

    /// Mapping files have no mistakes any more.
    pub(super) fn valid_mappings(&self) {
        self.0.send_if_modified(|newest| newest.take().is_some());
    }
}

// === impl Pod ===

impl Pod {
    fn of_this_process() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let (namespace, name) = (variable("POD_NAMESPACE")?, variable("HOSTNAME")?);
        Some(Self { namespace, name, uid: variable("POD_UID") })
    }

    /// Makes the Event, unless there is one of the same text.
    async fn tell(&self, client: &Client, message: &str) -> Result<(), Failure> {
        let Self { namespace, name, uid } = self;
        let now = Time(jiff::Timestamp::now());
        let event = Event {
            metadata: ObjectMeta {
                name: Some(Key::of("notice", &[namespace, name, message]).object_name(name)),
                namespace: Some(namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                name: Some(name.clone()),
                namespace: Some(namespace.clone()),
                uid: uid.clone(),
                ..ObjectReference::default()
            },
            type_: Some("Warning".to_owned()),
            reason: Some("InvalidMappings".to_owned()),
            message: Some(message.to_owned()),
            source: Some(EventSource { component: Some(MANAGER.to_owned()), host: None }),
            count: Some(1),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            ..Event::default()
        };
        let api = Api::<Event>::namespaced(client.clone(), namespace);
        match tokio::time::timeout(PATIENCE, api.create(&PostParams::default(), &event)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(kube::Error::Api(status))) => match status.code {
                409 => Ok(()),
                401 | 408 | 429 | 500.. => Err(Failure::Transient(status.message.clone())),
                _ => Err(Failure::Refused(status.message.clone())),
            },
            Ok(Err(error)) => Err(Failure::Transient(error.to_string())),
            Err(_) => Err(Failure::Transient(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }
}

// === impl Failure ===

impl Failure {
    /// Warns of the first of several in a row.
    fn report(&self, failures: u32) {
        const UNTOLD: &str = "no Kubernetes Event tells of the mistakes in mapping files";
        match self {
            _ if failures > 1 => tracing::debug!("still {UNTOLD}"),
            Self::Refused(reason) => tracing::warn!("{UNTOLD}: {reason}; grant create on `events`"),
            Self::Transient(reason) => tracing::warn!("{UNTOLD}: {reason}; trying again"),
        }
    }
}
