//! `PipelineRun`s behind a `kube::Client`: list, watch, get and merge patch, with faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;

type Hook = Box<dyn FnOnce(&Api) + Send>;

/// The API server; cheap to clone.
#[derive(Clone)]
pub(super) struct Api {
    state: Arc<Mutex<State>>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    runs: BTreeMap<String, Value>,
    version: u64,
    /// What watches tell: the version it became, and the line.
    journal: Vec<(u64, String)>,
    /// Watches tell nothing that came after this version.
    muted: Option<u64>,
    absent: bool,
    failing_patches: usize,
    before_patch: VecDeque<Hook>,
    requests: Vec<String>,
    expired: bool,
    /// Changes up to this version are forgotten.
    forgotten: u64,
}

impl Default for Api {
    fn default() -> Self {
        Self { state: Arc::default(), changed: watch::Sender::new(0) }
    }
}

impl Api {
    pub(super) fn client(&self) -> Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        Client::new(service, "ci")
    }

    /// Creates or replaces a run.
    pub(super) fn apply(&self, object: Value) {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let mut state = self.state.lock().unwrap();
        let kind = if state.runs.contains_key(&name) { "MODIFIED" } else { "ADDED" };
        state.put(kind, &name, object);
        drop(state);
        self.tell();
    }

    /// Replaces a run as its controller does, who leaves our annotations alone.
    pub(super) fn update(&self, name: &str, object: impl FnOnce() -> Value) {
        let mut object = object();
        if let Some(annotations) = self.get(name).and_then(|it| it["metadata"].get("annotations").cloned()) {
            object["metadata"]["annotations"] = annotations;
        }
        self.apply(object);
    }

    pub(super) fn delete(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        let object = state.runs.remove(name).unwrap();
        state.put("DELETED", name, object);
        state.runs.remove(name);
        drop(state);
        self.tell();
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.state.lock().unwrap().runs.get(name).cloned()
    }

    pub(super) fn serve(&self, serve: bool) {
        self.state.lock().unwrap().absent = !serve;
    }

    pub(super) fn fail_patches(&self, times: usize) {
        self.state.lock().unwrap().failing_patches = times;
    }

    pub(super) fn before_patch(&self, hook: impl FnOnce(&Self) + Send + 'static) {
        self.state.lock().unwrap().before_patch.push_back(Box::new(hook));
    }

    /// Watches stay open and tell nothing more.
    pub(super) fn mute(&self) {
        let mut state = self.state.lock().unwrap();
        state.muted = Some(state.version);
    }

    /// Open watches end with 410, and new ones tell everything again.
    pub(super) fn expire(&self) {
        let mut state = self.state.lock().unwrap();
        state.expired = true;
        state.muted = None;
        state.version += 1;
        drop(state);
        self.tell();
    }

    /// Watches from before this version get 410.
    pub(super) fn forget(&self, version: u64) {
        self.state.lock().unwrap().forgotten = version;
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.state.lock().unwrap().requests.iter().filter(|it| *it == method).count()
    }

    fn tell(&self) {
        let version = self.state.lock().unwrap().version;
        self.changed.send_replace(version);
    }

    async fn answer(&self, request: Request<Body>) -> Response<BoxBody<Bytes, Infallible>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path().strip_prefix("/apis/tekton.dev/v1/").expect("a path of ours").to_owned();
        let reads_one = head.method == Method::GET && path != "pipelineruns";
        let label = if reads_one { "GET one".to_owned() } else { head.method.to_string() };
        self.state.lock().unwrap().requests.push(label);
        let query = head.uri.query().unwrap_or_default();
        if self.state.lock().unwrap().absent {
            return failure(404, "NotFound");
        }
        match (head.method, path.as_str()) {
            (Method::GET, "pipelineruns") if query.contains("watch=true") => {
                let value = |name: &str| query.split('&').find_map(|it| it.strip_prefix(name)).unwrap();
                self.watch(
                    value("resourceVersion=").parse().unwrap(),
                    Duration::from_secs(value("timeoutSeconds=").parse().unwrap()),
                )
            }
            (Method::GET, "pipelineruns") => {
                let mut state = self.state.lock().unwrap();
                state.expired = false;
                let items: Vec<_> = state.runs.values().cloned().collect();
                let version = state.version.to_string();
                full(&json!({"apiVersion": "tekton.dev/v1", "kind": "PipelineRunList",
                    "metadata": {"resourceVersion": version}, "items": items}))
            }
            (Method::GET, path) => match self.get(name_of(path)) {
                Some(object) => full(&object),
                None => gone(name_of(path)),
            },
            (Method::PATCH, path) => {
                assert_eq!(head.headers["content-type"], "application/merge-patch+json");
                self.patch(name_of(path), &serde_json::from_slice(&body).unwrap())
            }
            (method, path) => panic!("unexpected {method} {path}"),
        }
    }

    fn patch(&self, name: &str, patch: &Value) -> Response<BoxBody<Bytes, Infallible>> {
        let hook = self.state.lock().unwrap().before_patch.pop_front();
        if let Some(hook) = hook {
            hook(self);
        }
        let mut state = self.state.lock().unwrap();
        if state.failing_patches > 0 {
            state.failing_patches -= 1;
            return failure(500, "InternalError");
        }
        let Some(mut object) = state.runs.get(name).cloned() else { return gone(name) };
        if patch["metadata"]["uid"] != object["metadata"]["uid"] {
            return failure(422, "Invalid");
        }
        let annotations = patch["metadata"]["annotations"].as_object().unwrap();
        for (name, value) in annotations {
            object["metadata"]["annotations"][name] = value.clone();
        }
        state.put("MODIFIED", name, object.clone());
        drop(state);
        self.tell();
        full(&object)
    }

    fn watch(&self, from: u64, timeout: Duration) -> Response<BoxBody<Bytes, Infallible>> {
        let (state, changed) = (self.state.clone(), self.changed.subscribe());
        let end = tokio::time::Instant::now() + timeout;
        let lines = stream::unfold((from, changed), move |(last, mut changed)| {
            let state = state.clone();
            async move {
                loop {
                    changed.borrow_and_update();
                    if let Some((version, line)) = next(&state.lock().unwrap(), last) {
                        let frame = Frame::data(Bytes::from(format!("{line}\n")));
                        return Some((Ok::<_, Infallible>(frame), (version, changed)));
                    }
                    tokio::time::timeout_at(end, changed.changed()).await.ok()?.ok()?;
                }
            }
        });
        Response::new(StreamBody::new(Box::pin(lines) as std::pin::Pin<Box<dyn stream::Stream<Item = _> + Send + Sync>>).boxed())
    }
}

/// The next line of a watch that has told everything up to `last`.
fn next(state: &State, last: u64) -> Option<(u64, String)> {
    if state.expired && last < state.version || last < state.forgotten {
        let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old", "status": "Failure"});
        return Some((u64::MAX, json!({"type": "ERROR", "object": status}).to_string()));
    }
    let limit = state.muted.unwrap_or(u64::MAX);
    state.journal.iter().find(|(version, _)| *version > last && *version <= limit).cloned()
}

impl State {
    fn put(&mut self, event: &str, name: &str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.journal.push((self.version, json!({"type": event, "object": object}).to_string()));
        self.runs.insert(name.to_owned(), object);
    }
}

fn name_of(path: &str) -> &str {
    path.strip_prefix("namespaces/ci/pipelineruns/").expect("a run of the namespace")
}

fn full(body: &Value) -> Response<BoxBody<Bytes, Infallible>> {
    Response::new(Full::from(body.to_string()).boxed())
}

/// What is told of an object that does not exist, unlike of a kind.
fn gone(name: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound",
        "message": "scripted", "details": {"name": name, "group": "tekton.dev", "kind": "pipelineruns"}});
    Response::builder().status(404).body(Full::from(body.to_string()).boxed()).unwrap()
}

fn failure(code: u16, reason: &str) -> Response<BoxBody<Bytes, Infallible>> {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": "scripted"});
    Response::builder().status(code).body(Full::from(body.to_string()).boxed()).unwrap()
}
