//! Real inputs from public projects, which stay outside of the repository, and the official schemas as the judge.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::{Registry, Validator};
use pipewright::event::{Data, Event};
use serde_json::Value;

use super::skip;

/// The corpus: the folder in `PIPEWRIGHT_CORPUS`, or `../shared/data` beside the project.
///
/// Where there is none the caller returns, after a line that says so; under `CI=true` that is a failure.
pub fn root() -> Option<PathBuf> {
    let path = std::env::var_os("PIPEWRIGHT_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    skip(&format!(
        "no corpus at {}: the tests over recorded payloads; set PIPEWRIGHT_CORPUS",
        path.display()
    ));
    None
}

/// A folder of the corpus.
pub fn folder(name: &str) -> Option<PathBuf> {
    Some(root()?.join(name))
}

/// The JSON files below a folder, in the order of their paths.
pub fn json_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    found
}

/// Every file below a folder, in the order of their paths.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// A JSON file.
pub fn json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A recorded GitHub payload.
pub struct Payload {
    /// `<event>/<file>`.
    pub name: String,
    /// The folder's name: `X-GitHub-Event`.
    pub event: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Every recorded GitHub payload.
pub fn github(root: &Path) -> Vec<Payload> {
    let folder = root.join("forge/github");
    files(&folder)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            let event = name.split('/').next().unwrap().to_owned();
            Payload { event, body: std::fs::read(&path).unwrap(), name }
        })
        .collect()
}

/// The schemas of our own types.
static OURS: LazyLock<pipewright::vocabulary::schema::Schemas> = LazyLock::new(Default::default);

/// The official schemas, with formats asserted.
pub struct Schemas {
    by_type: HashMap<String, Validator>,
    custom: Validator,
}

impl Schemas {
    /// Compiles the schemas of the corpus.
    pub fn load(root: &Path) -> Self {
        let documents: Vec<Value> =
            files(&root.join("cdevents/schemas")).iter().map(|path| json(path)).collect();
        let custom = json(&root.join("cdevents/custom/schema.json"));
        let mut registry = Registry::new();
        // A relative `$ref` is resolved against the `$id`, so links are found by theirs.
        for document in documents.iter().chain([&custom]) {
            registry = registry.add(document["$id"].as_str().unwrap(), document).unwrap();
        }
        let registry = registry.prepare().unwrap();
        let compile = |schema: &Value| {
            jsonschema::options()
                .with_draft(jsonschema::Draft::Draft202012)
                .with_registry(&registry)
                .should_validate_formats(true)
                .build(schema)
                .unwrap()
        };
        let by_type: HashMap<String, Validator> = documents
            .iter()
            .filter_map(|schema| {
                let ty = schema.pointer("/properties/context/properties/type/enum/0")?.as_str()?;
                Some((ty.to_owned(), compile(schema)))
            })
            .collect();
        assert_eq!(by_type.len(), 45);
        Self { by_type, custom: compile(&custom) }
    }

    /// Everything that is wrong with a `CDEvent` in its JSON form.
    pub fn problems(&self, cdevent: &Value) -> Vec<String> {
        let ty = cdevent["context"]["type"].as_str().unwrap_or_default();
        let validator =
            if ty.starts_with("dev.cdeventsx.") { Some(&self.custom) } else { self.by_type.get(ty) };
        match validator {
            Some(schema) => {
                schema.iter_errors(cdevent).map(|e| format!("{}: {e}", e.instance_path())).collect()
            }
            None => vec![format!("`{ty}` has no schema")],
        }
    }

    /// Asserts that an event of ours obeys the schema and the rules of the CloudEvents binding, and that the project's
    /// own SDK reads it.
    pub fn assert_valid(&self, event: &Event) {
        let Data::Json(bytes) = event.data() else { panic!("no JSON: {event:?}") };
        let data: Value = serde_json::from_slice(bytes).unwrap();
        let problems = self.problems(&data);
        assert!(problems.is_empty(), "{problems:#?}\n{data:#}");
        let context = &data["context"];
        // Custom types of others have schemas of theirs; that none of ours is without one is a test of its own.
        if let Some(schema) = OURS.get(event.ty()) {
            assert_eq!(schema.check(&data), Ok(()), "{data:#}");
            assert_eq!(context["schemaUri"], schema.id());
            assert_eq!(event.dataschema(), Some(schema.id()));
        }
        assert_eq!(context["specversion"], "0.5.1");
        assert_eq!(context["id"], event.id());
        assert_eq!(context["source"], event.source());
        assert_eq!(context["type"], event.ty());
        assert_eq!(context["timestamp"].as_str(), event.time());
        assert_eq!(data["subject"]["id"].as_str(), event.subject());
        assert_eq!(event.datacontenttype(), Some("application/json"));
        assert_eq!(context["chainId"].as_str(), event.attribute("correlationid").as_deref());
        assert!(bytes.len() <= 64 * 1024, "{} bytes", bytes.len());
        let read: cdevents_sdk::CDEvent =
            serde_json::from_slice(bytes).unwrap_or_else(|e| panic!("{e}\n{data:#}"));
        assert_eq!(read.ty(), event.ty());
        assert_eq!(read.id().as_str(), event.id());
    }
}
