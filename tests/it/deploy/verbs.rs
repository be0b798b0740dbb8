//! Every verb of the Roles is taken away in its turn, and its loss shows.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::Event;
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::pod::{Container, Pod};
use super::rights::{custom_run, old_task_run, resource, told};
use super::{installed, make_pipeline};
use crate::support::deployed::{self, render};
use crate::support::ground::Real;
use crate::support::process::{Recorder, fixture};

/// How many of the cases run at the same time.
const AT_ONCE: usize = 4;

/// A verb that is taken away, and what its loss shows as.
#[derive(Clone, Copy, Debug)]
struct Case {
    resource: &'static str,
    verb: &'static str,
    sign: Sign,
}

#[derive(Clone, Copy, Debug)]
enum Sign {
    /// A webhook gets this answer and not 202.
    Refused(u16),
    /// The second delivery of a webhook gets this answer and not 202.
    RefusedAgain(u16),
    /// The pod does not become ready.
    NotReady,
    /// New runs of this kind are not announced.
    NewNotAnnounced,
    /// Runs that are there when the watch begins are not announced.
    OldNotAnnounced,
    /// Runs are announced, and it cannot be noted.
    NotNoted,
    /// Nobody leads.
    NoLeader,
    /// It leads, but would see another leader late, and says so.
    Warned,
    /// Mistakes in mapping files are not told in the cluster, and it says so once.
    Untold,
}

const CASES: [Case; 18] = [
    Case { resource: "pipelineruns", verb: "create", sign: Sign::Refused(503) },
    Case { resource: "pipelineruns", verb: "get", sign: Sign::RefusedAgain(503) },
    Case { resource: "pipelineruns", verb: "list", sign: Sign::NotReady },
    Case { resource: "pipelineruns", verb: "watch", sign: Sign::NewNotAnnounced },
    Case { resource: "pipelineruns", verb: "patch", sign: Sign::NotNoted },
    Case { resource: "taskruns", verb: "get", sign: Sign::OldNotAnnounced },
    Case { resource: "taskruns", verb: "list", sign: Sign::NotReady },
    Case { resource: "taskruns", verb: "watch", sign: Sign::NewNotAnnounced },
    Case { resource: "taskruns", verb: "patch", sign: Sign::NotNoted },
    Case { resource: "customruns", verb: "get", sign: Sign::OldNotAnnounced },
    Case { resource: "customruns", verb: "list", sign: Sign::NotReady },
    Case { resource: "customruns", verb: "watch", sign: Sign::NewNotAnnounced },
    Case { resource: "customruns", verb: "patch", sign: Sign::NotNoted },
    Case { resource: "leases", verb: "create", sign: Sign::NoLeader },
    Case { resource: "leases", verb: "get", sign: Sign::NoLeader },
    Case { resource: "leases", verb: "update", sign: Sign::NoLeader },
    Case { resource: "leases", verb: "watch", sign: Sign::Warned },
    Case { resource: "events", verb: "create", sign: Sign::Untold },
];

#[tokio::test(flavor = "multi_thread")]
async fn without_any_one_verb_something_breaks_and_says_so() {
    let Some(real) = Real::new().await else { return };
    let documents = render(&real.cluster, Path::new("deploy/base"));
    let all: BTreeSet<_> =
        deployed::rights(&documents).into_iter().map(|right| (right.resource, right.verb)).collect();
    let tried: BTreeSet<_> =
        CASES.iter().map(|case| (case.resource.to_owned(), case.verb.to_owned())).collect();
    assert_eq!(all, tried, "a verb without a case, or a case without a verb");
    let cluster = &real.cluster;
    stream::iter(CASES)
        .map(|case| async move {
            let real = Real::in_cluster(Arc::clone(cluster)).await;
            let without = Without::start(&real, case).await;
            println!("without {} {}: {}", case.verb, case.resource, without.shows().await);
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<()>>()
        .await;
}

impl Case {
    /// The Role without the verb.
    fn taken_from(self, role: &Value) -> Value {
        let mut rules = Vec::new();
        for rule in role["rules"].as_array().unwrap() {
            for resource in rule["resources"].as_array().unwrap() {
                let mut part = rule.clone();
                part["resources"] = json!([resource]);
                if *resource == self.resource {
                    part["verbs"].as_array_mut().unwrap().retain(|verb| *verb != self.verb);
                }
                rules.push(part);
            }
        }
        // A rule must have a verb.
        rules.retain(|rule| rule["verbs"] != json!([]));
        let mut role = role.clone();
        role["rules"] = rules.into();
        role
    }
}

/// Changes a mapping that no test here needs.
pub fn break_mapping(container: &Container, from: &str, to: &str) {
    container.edit("etc/pipewright/mappings/tag-release.yaml", |text| text.replace(from, to));
}

/// A pod whose account lacks one verb.
struct Without {
    case: Case,
    namespace: String,
    admin: Client,
    pod: Pod,
    sink: Recorder,
}

impl Without {
    async fn start(real: &Real, case: Case) -> Self {
        let (admin, namespace) = (real.client(), real.namespace.clone());
        make_pipeline(&admin, &namespace).await;
        old_task_run(&admin, &namespace).await;
        custom_run(&admin, &namespace, "asked").await;
        let kubeconfig = deployed::kubeconfig(&real.cluster, &namespace).await;
        let documents = installed(&real.cluster);
        for role in documents.iter().filter(|document| document["kind"] == "Role") {
            deployed::apply(&admin, &namespace, &case.taken_from(role)).await;
        }
        for right in deployed::rights(&documents) {
            let kept = right.resource != case.resource || right.verb != case.verb;
            right.is(kept, &admin, &namespace).await;
        }
        let sink = Recorder::start();
        let container = Container::new(&documents, &namespace)
            .with("KUBECONFIG", kubeconfig.to_str().unwrap())
            .with("K_SINK", &sink.url)
            .with("PIPEWRIGHT_LOG", "info,pipewright=debug");
        if let Sign::Untold = case.sign {
            break_mapping(&container, "kind: Mapping", "kind: Mappin");
        }
        let timing = "leaderElection: {leaseDuration: PT4S, renewDeadline: PT3S, retryPeriod: PT0.2S}";
        container.edit("etc/pipewright/settings/pipewright.yaml", |text| {
            text.replacen("spec:\n", &format!("spec:\n  {timing}\n"), 1)
        });
        Self { case, namespace, admin, pod: container.start_as_process(), sink }
    }

    /// Delivers until it is accepted.
    async fn accepted(&self, body: &Value) {
        self.delivered_until(body, 202, "").await;
    }

    /// Delivers until the answer is this one. An API server under load may not answer in time, and what it did all the
    /// same the next delivery may not be allowed to look at.
    async fn delivered_until(&self, body: &Value, status: u16, says: &str) {
        let mut last = String::new();
        for _ in 0..10 {
            let (code, _, text) = self.pod.webhook("pull_request", body).await;
            if code == status && text.contains(says) {
                return;
            }
            if code == 503 && text.contains("cannot get resource") {
                return;
            }
            assert!(code == 503 && text.contains("no answer in time"), "{code}: {text}");
            last = text;
        }
        panic!("never {status}: {last}");
    }

    /// Waits for the sign, and says what it was.
    async fn shows(mut self) -> String {
        let Case { resource: plural, verb, sign } = self.case;
        let forbidden = format!("cannot {verb} resource \\\"{plural}\\\"");
        let plain = forbidden.replace('\\', "");
        let body = fixture("pull_request.opened.json");
        match sign {
            Sign::Refused(status) => {
                self.pod.ready().await;
                self.delivered_until(&body, status, &plain).await;
                format!("a webhook gets {status}")
            }
            Sign::RefusedAgain(status) => {
                self.pod.ready().await;
                self.accepted(&body).await;
                self.delivered_until(&body, status, &plain).await;
                format!("the second delivery gets {status}")
            }
            Sign::NotReady => {
                let text = format!("not allowed to list and watch `{plural}.tekton.dev`");
                self.pod.logs(&text).await;
                let page = self.pod.page("/readyz").await;
                assert!(page.contains("[-] watch failed"), "{page}");
                format!("the pod is not ready, and logs `{text}`")
            }
            Sign::NewNotAnnounced => {
                let text = format!("not allowed to list and watch `{plural}.tekton.dev`");
                self.pod.ready().await;
                self.pod.logs(&text).await;
                self.accepted(&body).await;
                custom_run(&self.admin, &self.namespace, "new").await;
                let (silent, about, other) = match plural {
                    "pipelineruns" => ("pipelinerun", "pull-request-build", "taskrun"),
                    "taskruns" => ("taskrun", "pull-request-build", "pipelinerun"),
                    _ => ("taskrun", "/new", "pipelinerun"),
                };
                // The other kind of the same run shows that time has passed.
                self.announced(other, "pull-request-build").await;
                let events = self.sink.events(|events| told(events, silent, about));
                assert!(events.is_empty(), "{events:?}");
                format!("no {silent} is announced, and it logs `{text}`")
            }
            Sign::OldNotAnnounced => {
                self.pod.logs(&forbidden).await;
                self.accepted(&body).await;
                self.announced("taskrun", "pull-request-build").await;
                let about = if plural == "taskruns" { "/old" } else { "/asked" };
                let events = self.sink.events(|events| told(events, "taskrun", about));
                assert!(events.is_empty(), "{events:?}");
                self.failures().await;
                format!("`{about}` from before is not announced, and pipewright_watch_failures_total grows")
            }
            Sign::NotNoted => {
                self.pod.ready().await;
                self.accepted(&body).await;
                self.pod.logs(&forbidden).await;
                self.failures().await;
                let kind = match plural {
                    "taskruns" => "TaskRun",
                    "customruns" => "CustomRun",
                    _ => "PipelineRun",
                };
                let runs: Api<DynamicObject> =
                    Api::namespaced_with(self.admin.clone(), &self.namespace, &resource(kind));
                for run in runs.list(&ListParams::default()).await.unwrap() {
                    let notes = run.metadata.annotations.unwrap_or_default();
                    let uid = run.metadata.uid.unwrap();
                    // Tekton copies the note of a PipelineRun to its TaskRuns, where it counts for nothing.
                    let note = notes.get("pipewright.dev/emitted").filter(|note| note.contains(&uid));
                    assert_eq!(note, None);
                }
                format!("no {kind} bears a note, and pipewright_watch_failures_total grows")
            }
            Sign::NoLeader => {
                self.pod.logs(&forbidden).await;
                self.pod
                    .until("nobody leads", async || {
                        self.pod.page("/metrics").await.contains("pipewright_leader 0")
                    })
                    .await;
                let page = self.pod.page("/readyz?verbose").await;
                assert!(page.contains(&plain), "{page}");
                "pipewright_leader is 0, and /readyz?verbose says why".into()
            }
            Sign::Untold => self.untold(&forbidden, &body).await,
            Sign::Warned => {
                let text = "the Lease is not watched, so that another leader is noticed late";
                self.pod.logs(text).await;
                assert!(self.pod.log().contains(&forbidden), "{}", self.pod.log());
                format!("it logs `{text}`")
            }
        }
    }

    /// Mistakes are not told in the cluster; one warning says so.
    async fn untold(&mut self, forbidden: &str, body: &Value) -> String {
        let text = "no Kubernetes Event tells of the mistakes in mapping files";
        self.pod.ready().await;
        self.pod.logs(text).await;
        assert!(self.pod.log().contains(forbidden), "{}", self.pod.log());
        // Another mistake is not told either.
        break_mapping(&self.pod.container, "kind: Mappin", "kind: Mappi");
        self.pod.logs(&format!("still {text}")).await;
        self.accepted(body).await;
        let log = self.pod.log();
        assert_eq!(log.lines().filter(|it| it.contains(text) && it.contains("WARN")).count(), 1, "{log}");
        let events: Api<Event> = Api::namespaced(self.admin.clone(), &self.namespace);
        let events = events.list(&ListParams::default()).await.unwrap();
        assert!(events.iter().all(|event| event.reason.as_deref() != Some("InvalidMappings")));
        format!("it logs `{text}`, once, and serves")
    }

    async fn announced(&self, subject: &str, about: &str) {
        let finished =
            || self.sink.events(|events| told(events, subject, about).contains(&"finished".into()));
        self.pod.until("the end of a run is announced", async || finished()).await;
    }

    async fn failures(&self) {
        let metric = "pipewright_watch_failures_total";
        self.pod.until(metric, async || self.pod.metric(metric).await > 0.0).await;
    }
}
