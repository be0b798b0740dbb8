//! Distinct webhooks as a forge would send them, and the runs that came of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::{Value, json};

use super::process::fixture;

/// A pull request of its own for every number.
pub struct Delivery {
    pub number: usize,
    pub id: String,
    pub body: Vec<u8>,
}

/// Something that has to go on. However slow the machine is: what stands still is lost.
pub struct Progress {
    value: usize,
    since: Instant,
}

// === impl Delivery ===

impl Delivery {
    fn new(template: &Value, number: usize) -> Self {
        let mut payload = template.clone();
        payload["number"] = json!(number);
        payload["pull_request"]["number"] = json!(number);
        payload["pull_request"]["head"]["sha"] = json!(format!("{number:040x}"));
        payload["pull_request"]["title"] = json!(format!("Change {number}"));
        let id = format!("{number:08x}-0000-4000-8000-000000000000");
        Self { number, id, body: serde_json::to_vec(&payload).unwrap() }
    }
}

/// So many deliveries, numbered from 1, made when they are asked for.
pub fn deliveries(count: usize) -> impl Iterator<Item = Arc<Delivery>> {
    let template = fixture("pull_request.opened.json");
    (1..=count).map(move |number| Arc::new(Delivery::new(&template, number)))
}

// === impl Progress ===

impl Progress {
    pub fn new() -> Self {
        Self { value: 0, since: Instant::now() }
    }

    /// Takes note of the value of now; false when it has not changed for 100 s.
    pub fn goes_on(&mut self, value: usize) -> bool {
        if value != self.value {
            *self = Self { value, since: Instant::now() };
        }
        self.waits()
    }

    /// Whether it has stood still for long, but not for too long.
    pub fn hesitates(&self) -> bool {
        self.since.elapsed() > Duration::from_secs(40)
    }

    /// Whether it has not stood still for too long.
    pub fn waits(&self) -> bool {
        self.since.elapsed() < Duration::from_secs(100)
    }
}

fn runs(client: &kube::Client) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
    Api::default_namespaced_with(client.clone(), &resource)
}

/// The numbers of the pull requests that have a run, one entry for each run; all of them, or those with one number.
pub async fn built(client: &kube::Client, number: Option<usize>) -> Vec<usize> {
    try_built(client, number).await.unwrap()
}

/// The same where the API server may be away.
pub async fn try_built(client: &kube::Client, number: Option<usize>) -> kube::Result<Vec<usize>> {
    let label_selector = number.map(|number| format!("example.com/pull-request={number}"));
    let parameters = ListParams { label_selector, ..ListParams::default() };
    let list = runs(client).list_metadata(&parameters).await?;
    let number = |labels: &BTreeMap<String, String>| labels["example.com/pull-request"].parse().unwrap();
    Ok(list.items.iter().map(|run| number(run.metadata.labels.as_ref().unwrap())).collect())
}

/// How many runs the player has not brought to their end.
pub async fn unfinished(client: &kube::Client) -> usize {
    let list = runs(client).list(&ListParams::default()).await.unwrap();
    list.items.iter().filter(|run| run.data.pointer("/status/completionTime").is_none()).count()
}
