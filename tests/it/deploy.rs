//! `deploy/`: its manifests against the real API server, its pods under its service account, its image.

mod closed;
mod facts;
mod image;
mod install;
mod manifests;
mod pod;
mod proxy;
mod rights;
mod verbs;

use std::path::Path;

use kube::Client;
use serde_json::{Value, json};

use crate::support::deployed::render;
use crate::support::process::{Folder, SECRET};
use crate::support::program::PROJECT;
use crate::support::{BUILD_PIPELINE, deployed};

/// What a user installs: the documents of `deploy/base`, and the Secret.
fn installed(cluster: &pipewright_cluster::Cluster) -> Vec<Value> {
    with_secret(render(cluster, Path::new("deploy/base")))
}

/// The documents of a folder, and the Secret.
fn with_secret(mut documents: Vec<Value>) -> Vec<Value> {
    use base64::Engine as _;
    let secret = base64::prelude::BASE64_STANDARD.encode(SECRET);
    documents
        .push(json!({"kind": "Secret", "metadata": {"name": "github-webhook"}, "data": {"secret": secret}}));
    documents
}

/// The pipeline that the shipped mappings name.
async fn make_pipeline(admin: &Client, namespace: &str) {
    let mut pipeline: Value = serde_saphyr::from_str(BUILD_PIPELINE).unwrap();
    pipeline["metadata"]["namespace"] = namespace.into();
    deployed::apply(admin, namespace, &pipeline).await;
}

/// Copies a folder of the project with all that is below it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// `deploy/` and what it refers to, to be edited.
fn editable(name: &str) -> Folder {
    let folder = Folder::new(name);
    for part in ["deploy", "mappings"] {
        copy(&Path::new(PROJECT).join(part), &folder.path().join(part));
    }
    folder
}

/// Replaces the one place of a text in a file.
fn edit(folder: &Folder, file: &str, from: &str, to: &str) {
    let path = folder.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{file}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}
