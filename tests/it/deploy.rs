//! `deploy/`: its manifests against the real API server, its pods under its service account, its image.

mod image;
mod manifests;
mod pod;
mod proxy;
mod rights;

use std::path::Path;

use kube::Client;
use serde_json::{Value, json};

use crate::support::deployed::render;
use crate::support::process::SECRET;
use crate::support::{BUILD_PIPELINE, deployed};

/// What a user installs: the documents of `deploy/base`, and the Secret.
fn installed(cluster: &pipewright_cluster::Cluster) -> Vec<Value> {
    use base64::Engine as _;
    let secret = base64::prelude::BASE64_STANDARD.encode(SECRET);
    let mut documents = render(cluster, Path::new("deploy/base"));
    documents
        .push(json!({"kind": "Secret", "metadata": {"name": "github-webhook"}, "data": {"secret": secret}}));
    documents
}

/// The pipeline that the shipped mappings name.
async fn make_pipeline(admin: &Client, namespace: &str) {
    let mut pipeline: Value = serde_saphyr::from_str(BUILD_PIPELINE).unwrap();
    pipeline["metadata"]["namespace"] = namespace.into();
    // The shipped mappings pass these.
    let parameter = |name: &str| json!({"name": name, "type": "string", "default": ""});
    pipeline["spec"]["params"] = ["repo-url", "revision", "target", "title"].map(parameter).as_slice().into();
    deployed::apply(admin, namespace, &pipeline).await;
}
