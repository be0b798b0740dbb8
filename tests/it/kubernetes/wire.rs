//! Raw requests to either cluster, and answers with everything taken out that differs from run to run.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::{BodyExt as _, BodyStream};
use kube::Client;
use kube::client::Body;
use regex::{Captures, Regex};
use serde_json::{Value, json};

use crate::support::ground::Ground;

/// A request in the notation of `tests/fixtures/kubernetes`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// An HTTP method, or a word that stands for one with its media type.
    pub verb: String,
    /// A path below `/`, or `configmaps/a` in the namespace of the test, and perhaps a query.
    pub target: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body, as it is sent.
    pub body: String,
}

/// An answer without what differs from run to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status, and the media type where it is not JSON.
    pub head: String,
    /// The texts of the warnings.
    pub warnings: Vec<String>,
    /// The body; one for each event of a watch.
    pub bodies: Vec<Value>,
}

/// One cluster, and what it has said so far.
pub struct Wire {
    client: Client,
    namespace: String,
    seen: Seen,
    /// Whether the record of owned fields is compared.
    pub managed: bool,
}

/// Values of this run, by the words that stand for them.
#[derive(Default)]
struct Seen {
    /// `uid:configmaps/a`, `version:configmaps/a`, `continue`.
    variables: BTreeMap<String, String>,
    uids: Vec<String>,
    versions: Vec<String>,
}

const PATCHES: &[(&str, &str)] = &[
    ("MERGE", "application/merge-patch+json"),
    ("JSON", "application/json-patch+json"),
    ("STRATEGIC", "application/strategic-merge-patch+json"),
    ("APPLY", "application/apply-patch+yaml"),
];
const ACCEPTED: &[(&str, &str)] = &[
    ("TABLE", "application/json;as=Table;g=meta.k8s.io;v=v1"),
    ("METADATA", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"),
    ("METADATALIST", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
];
/// The API of each resource.
const RESOURCES: &[(&str, &[&str])] = &[
    ("/api/v1", &["configmaps", "secrets", "events", "serviceaccounts"]),
    ("/apis/coordination.k8s.io/v1", &["leases"]),
    ("/apis/tekton.dev/v1", &["pipelines", "pipelineruns", "tasks", "taskruns"]),
    ("/apis/tekton.dev/v1beta1", &["customruns"]),
];

// === impl Wire ===

impl Wire {
    /// To one cluster.
    pub fn new(ground: &Ground) -> Self {
        let client = ground.client();
        let mut namespace = ground.namespace().to_owned();
        if let Ground::Embedded(memory) = ground {
            // Some rules are others in `default`.
            "test-embedded-0".clone_into(&mut namespace);
            let text = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n");
            memory.apply_yaml(&text).unwrap();
        }
        Self { client, namespace, seen: Seen::default(), managed: false }
    }

    /// Forgets what was said so far, but for what later requests may use.
    pub fn begin(&mut self) {
        self.seen.uids.clear();
        self.seen.versions.clear();
    }

    /// Sends one request and gives its answer.
    pub async fn send(&mut self, step: &Step) -> Answer {
        match step.verb.as_str() {
            "AWAIT" => {
                // The garbage collector of a real cluster comes a moment later.
                let get = Step { verb: "GET".to_owned(), ..step.clone() };
                for _ in 0..600 {
                    let answer = self.once(&get).await;
                    if answer.head.starts_with("404") {
                        return answer;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                panic!("{} is never gone", step.target);
            }
            "DELETING" => {
                self.marked(&step.target).await;
                Answer { head: "deleting".to_owned(), warnings: Vec::new(), bodies: Vec::new() }
            }
            _ => self.once(step).await,
        }
    }

    /// Waits until an object is marked as deleted; the collector of a real cluster does that a moment later too.
    async fn marked(&self, target: &str) {
        let target = self.seen.fill(&self.path(target), &self.namespace);
        for _ in 0..600 {
            let request = http::Request::get(&target).body(Vec::new()).unwrap();
            let object: Value = self.client.request(request).await.unwrap();
            if object["metadata"]["deletionTimestamp"].is_string() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{target} is never deleted");
    }

    async fn once(&mut self, step: &Step) -> Answer {
        let target = self.seen.fill(&self.path(&step.target), &self.namespace);
        let body = self.seen.fill(&step.body, &self.namespace);
        let (verb, count) = match step.verb.strip_prefix("WATCH") {
            Some(count) => ("GET", count.parse().unwrap_or(1)),
            None => (step.verb.as_str(), 0),
        };
        let mut request = http::Request::builder().uri(&target);
        let patch = PATCHES.iter().find(|(word, _)| *word == verb);
        let accept = ACCEPTED.iter().find(|(word, _)| *word == verb);
        request = request.method(match (patch, accept) {
            (Some(_), _) => "PATCH",
            (_, Some(_)) => "GET",
            _ => verb,
        });
        let named = |name: &str| step.headers.iter().any(|(key, _)| key == name);
        if !body.is_empty() && !named("content-type") {
            request = request.header("content-type", patch.map_or("application/json", |(_, media)| media));
        }
        if !named("accept") {
            request = request.header("accept", accept.map_or("application/json", |(_, media)| media));
        }
        if !named("user-agent") {
            request = request.header("user-agent", "tester/1.0");
        }
        for (key, value) in &step.headers {
            request = request.header(key, value);
        }
        let sent = body.clone();
        let request = request.body(body.into_bytes()).unwrap();
        let mut response = self.client.send(request.clone().map(Body::from)).await.unwrap();
        // A real cluster that has just begun to serve a resource has not read its storage yet.
        for _ in 0..60 {
            if response.status() != 429 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            response = self.client.send(request.clone().map(Body::from)).await.unwrap();
        }
        let (parts, body) = response.into_parts();
        let texts = if count == 0 {
            vec![body.collect().await.unwrap().to_bytes().to_vec()]
        } else {
            lines(body, count).await
        };
        let media = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("none");
        let mut head = parts.status.as_u16().to_string();
        if media != "application/json" {
            head = format!("{head} {media}");
        }
        if let Some(after) = parts.headers.get("retry-after") {
            head = format!("{head} after {}s", after.to_str().unwrap());
        }
        let warnings = parts.headers.get_all("warning").iter();
        let warnings = warnings.map(|value| value.to_str().unwrap().to_owned()).collect();
        let bodies = texts.iter().filter(|text| !text.is_empty()).map(|text| {
            let value = serde_json::from_slice(text)
                .unwrap_or_else(|_| json!(String::from_utf8_lossy(text).into_owned()));
            self.seen.mask(value, &self.namespace, &sent, self.managed)
        });
        Answer { head, warnings, bodies: bodies.collect() }
    }

    fn path(&self, target: &str) -> String {
        if target.starts_with('/') {
            return target.to_owned();
        }
        let plural = target.split(['/', '?']).next().unwrap();
        let (api, _) = RESOURCES.iter().find(|(_, plurals)| plurals.contains(&plural)).unwrap();
        format!("{api}/namespaces/{}/{target}", self.namespace)
    }
}

/// The first lines of a watch; fewer where it ends before.
async fn lines(body: Body, count: usize) -> Vec<Vec<u8>> {
    let mut stream = BodyStream::new(body);
    let mut text = Vec::new();
    let read = async {
        while text.split(|byte| *byte == b'\n').count() <= count {
            match stream.next().await {
                Some(Ok(frame)) => text.extend(frame.into_data().unwrap_or_default()),
                _ => break,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), read).await.unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .take(count)
        .map(<[u8]>::to_vec)
        .collect()
}

// === impl Seen ===

impl Seen {
    /// Puts the values of this run in the place of `${…}`.
    fn fill(&self, text: &str, namespace: &str) -> String {
        static VARIABLE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\$\{([^}]+)\}").unwrap());
        let value = |found: &Captures<'_>| match &found[1] {
            "namespace" => namespace.to_owned(),
            "unique" => namespace.rsplit('-').next().unwrap().to_owned(),
            repeat if repeat.starts_with("repeat:") => {
                let (text, count) = repeat["repeat:".len()..].split_once('*').unwrap();
                text.repeat(count.parse().unwrap())
            }
            // Of what may be there.
            name if name.contains("?:") => {
                let known = self.variables.get(&name.replace("?:", ":"));
                known.map_or_else(|| "1".to_owned(), Clone::clone)
            }
            name => self.variables.get(name).unwrap_or_else(|| panic!("unknown: {name}")).clone(),
        };
        VARIABLE.replace_all(text, value).into_owned()
    }

    fn mask(&mut self, mut value: Value, namespace: &str, sent: &str, managed: bool) -> Value {
        self.learn(&value);
        self.walk(&mut value, "", namespace, sent, managed);
        value
    }

    /// Keeps uid and version of every object in an answer.
    fn learn(&mut self, value: &Value) {
        let items = value["items"].as_array().into_iter().flatten();
        let rows = value["rows"].as_array().into_iter().flatten().map(|row| &row["object"]);
        for object in items.chain(rows).chain([value, &value["object"]]) {
            let meta = &object["metadata"];
            if let Some(token) = meta["continue"].as_str().filter(|token| !token.is_empty()) {
                self.variables.insert("continue".to_owned(), token.to_owned());
            }
            let version = meta["resourceVersion"].as_str().unwrap_or_default();
            let Some(uid) = meta["uid"].as_str() else {
                if !version.is_empty() {
                    self.variables.insert("list".to_owned(), version.to_owned());
                }
                continue;
            };
            let name = meta["name"].as_str().unwrap_or_default();
            let plural = object["kind"].as_str().unwrap_or_default().to_lowercase();
            for name in [name.to_owned(), format!("{plural}s/{name}")] {
                self.variables.insert(format!("uid:{name}"), uid.to_owned());
                if !version.is_empty() {
                    self.variables.insert(format!("version:{name}"), version.to_owned());
                }
            }
        }
    }

    fn walk(&mut self, value: &mut Value, key: &str, namespace: &str, sent: &str, managed: bool) {
        match value {
            Value::String(text) => {
                *text = match key {
                    "resourceVersion" if text.is_empty() => String::new(),
                    "resourceVersion" => number(&mut self.versions, text, "V"),
                    "continue" if !text.is_empty() => "TOKEN".to_owned(),
                    "continue" | "storageVersionHash" | "serverAddress" => String::new(),
                    _ => self.text(text, namespace, sent),
                };
            }
            Value::Array(items) => {
                for item in items {
                    self.walk(item, key, namespace, sent, managed);
                }
            }
            Value::Object(map) => {
                if !managed {
                    map.remove("managedFields");
                }
                arrange(map);
                // A bookmark tells how far the cluster is.
                let marked = map.get("annotations").is_some_and(|a| a["k8s.io/initial-events-end"] == "true");
                if marked || map.get("type").is_some_and(|kind| kind == "BOOKMARK") {
                    let meta = if marked { Some(&mut *map) } else { bookmark(map) };
                    if let Some(meta) = meta {
                        meta.insert("resourceVersion".to_owned(), json!(""));
                    }
                }
                let prefix = map.get("generateName").and_then(Value::as_str).map(str::to_owned);
                if let (Some(prefix), Some(Value::String(name))) = (prefix, map.get_mut("name"))
                    && let Some((kept, generated)) = name.split_at_checked(name.len().saturating_sub(5))
                    && prefix.starts_with(kept)
                {
                    *name = format!("{kept}{}", "?".repeat(generated.len()));
                }
                // A list and a table have the version of the cluster, which others move on.
                let of_cluster = map.contains_key("items") || map.contains_key("rows");
                for (key, value) in map.iter_mut() {
                    if of_cluster && key == "metadata" && !value["resourceVersion"].is_null() {
                        value["resourceVersion"] = json!("");
                    }
                    // Keys with dots are names of annotations and labels.
                    let key = if key.starts_with("f:") { "" } else { key };
                    self.walk(value, key, namespace, sent, managed);
                }
                let keys: Vec<String> = map.keys().filter(|key| key.starts_with("k:")).cloned().collect();
                for old in keys {
                    let value = map.remove(&old).unwrap();
                    map.insert(self.text(&old, namespace, sent), value);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, namespace: &str, sent: &str) -> String {
        static UID: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
        });
        static TIME: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap());
        // A version may be any number: neither the year of a time that was sent, nor the number of an RFC is one.
        static NUMBER: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"RFC \d+|\d{4}-\d\d-\d\dT[\d:.]+Z|\b\d{3,}\b").unwrap());
        static PATCHED: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r#"(?s)Invalid value: "\{.*\}": "#).unwrap());
        static CURRENT: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(current: |version: \d+ \()\d+").unwrap());
        let text = text.replace(namespace, "default");
        let text = CURRENT.replace_all(&text, "${1}NOW");
        // The object is quoted with its fields in the order of Go's structs.
        let text = PATCHED.replace_all(&text, "Invalid value: \"{…}\": ");
        let text = UID.replace_all(&text, |found: &Captures<'_>| {
            if sent.contains(&found[0]) && !self.variables.values().any(|value| *value == found[0]) {
                return found[0].to_owned();
            }
            number(&mut self.uids, &found[0], "U")
        });
        let time = |found: &Captures<'_>| {
            if sent.contains(&found[0]) { found[0].to_owned() } else { "TIME".to_owned() }
        };
        let text = TIME.replace_all(&text, time);
        let text = NUMBER.replace_all(&text, |found: &Captures<'_>| {
            let known = self.versions.iter().any(|version| *version == found[0]);
            if known { number(&mut self.versions, &found[0], "V") } else { found[0].to_owned() }
        });
        text.into_owned()
    }
}

/// The metadata of the object in a line of a watch.
fn bookmark(map: &mut serde_json::Map<String, Value>) -> Option<&mut serde_json::Map<String, Value>> {
    map.get_mut("object")?.get_mut("metadata")?.as_object_mut()
}

/// Puts in order what comes in any order, and takes out what only tells how far a server got.
fn arrange(map: &mut serde_json::Map<String, Value>) {
    static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+[smhdy])+$").unwrap());
    for key in ["storageVersionHash", "serverAddressByClientCIDRs"] {
        map.remove(key);
    }
    // Prose of the real server's documentation, which no client shows.
    if map.contains_key("format") {
        map.remove("description");
    }
    // The real server checks some things twice; its message says so once.
    if let Some(Value::Array(causes)) = map.get_mut("causes") {
        let mut seen: Vec<Value> = Vec::new();
        if causes.iter().any(|cause| cause["reason"] == "FieldManagerConflict") {
            causes.sort_by_key(ToString::to_string);
        }
        causes.retain(|cause| {
            !seen.contains(cause) && {
                seen.push(cause.clone());
                true
            }
        });
    }
    // Sorted by a time in seconds.
    if let Some(Value::Array(entries)) = map.get_mut("managedFields") {
        let text = |entry: &Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        entries.sort_by_key(|entry| ["operation", "manager", "subresource"].map(|key| text(entry, key)));
    }
    // Of what a group has, what the embedded cluster has too.
    let known: Vec<&str> = RESOURCES.iter().flat_map(|(_, plurals)| *plurals).copied().collect();
    let is_known = |name: &str| known.contains(&name.split('/').next().unwrap_or_default());
    if let Some(Value::Array(resources)) = map.get_mut("resources") {
        resources.retain(|resource| resource["name"].as_str().is_some_and(is_known));
        resources.sort_by_key(|resource| resource["name"].as_str().unwrap_or_default().to_owned());
    }
    if let Some(Value::Array(verbs)) = map.get_mut("verbs") {
        verbs.sort_by_key(|verb| verb.as_str().unwrap_or_default().to_owned());
    }
    if let Some(Value::Array(versions)) = map.get_mut("versions") {
        versions.retain(|version| version["version"] != "v1alpha1");
    }
    if let Some(Value::Array(cells)) = map.get_mut("cells") {
        for cell in cells.iter_mut().filter(|cell| cell.as_str().is_some_and(|text| AGE.is_match(text))) {
            *cell = json!("AGE");
        }
    }
}

/// The place of a value among those that were seen, as a word.
fn number(seen: &mut Vec<String>, value: &str, letter: &str) -> String {
    let at = seen.iter().position(|old| old == value).unwrap_or_else(|| {
        seen.push(value.to_owned());
        seen.len() - 1
    });
    format!("{letter}{}", at + 1)
}
