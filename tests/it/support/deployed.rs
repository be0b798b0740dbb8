//! What `deploy/` says, on a real cluster: its manifests as kubectl renders them, and the rights of its service account.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::{Api, Client, Config};
use pipewright_cluster::Cluster;
use serde_json::{Value, json};

use super::ground::client;

/// The name of everything that `deploy/base` installs.
pub const NAME: &str = "pipewright";

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The API group.
    pub group: String,
    /// The plural of the kind.
    pub resource: String,
    /// The only object that it is for, if it is for one.
    pub name: Option<String>,
    /// The verb.
    pub verb: String,
}

/// A kubeconfig of exactly the service account of `deploy/base`, which is installed into `namespace` with its Roles (and
/// nothing else of it). It may use one namespace only: the adapter needs `watchNamespace` set to it.
pub async fn kubeconfig(cluster: &Cluster, namespace: &str) -> PathBuf {
    kubeconfig_by_way_of(cluster, namespace, &cluster.server).await
}

/// The same by way of `server`, such as a proxy.
pub async fn kubeconfig_by_way_of(cluster: &Cluster, namespace: &str, server: &str) -> PathBuf {
    let admin = client(cluster, &cluster.server, namespace);
    install_account(&admin, cluster, namespace).await;
    let token = token(&admin, namespace).await;
    write_kubeconfig(cluster, namespace, server, &token)
}

/// A kubeconfig with a token.
pub fn write_kubeconfig(cluster: &Cluster, namespace: &str, server: &str, token: &str) -> PathBuf {
    let path = cluster.folder.join(format!("{namespace}.deployed.kubeconfig"));
    let authority = cluster.authority.display();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: c, cluster: {{server: '{server}', certificate-authority: '{authority}'}}}}]\n\
         users: [{{name: u, user: {{token: {token}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: c, user: u, namespace: {namespace}}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A client of whoever a kubeconfig is of.
pub async fn client_of(kubeconfig: &Path) -> Client {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.unwrap();
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// A token of the service account.
pub async fn token(admin: &Client, namespace: &str) -> String {
    let request: TokenRequest =
        serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 3600}})).unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(admin.clone(), namespace);
    let answer = accounts.create_token_request(NAME, &PostParams::default(), &request).await.unwrap();
    answer.status.unwrap().token
}

/// Installs the service account of `deploy/base` with its Roles, and waits until they are in force.
async fn install_account(admin: &Client, cluster: &Cluster, namespace: &str) {
    let documents = render(cluster, Path::new("deploy/base"));
    for document in &documents {
        if ["ServiceAccount", "Role", "RoleBinding"].contains(&document["kind"].as_str().unwrap()) {
            apply(admin, namespace, document).await;
        }
    }
    for right in rights(&documents) {
        right.is(true, admin, namespace).await;
    }
}

/// What the Roles among the documents grant, one by one.
pub fn rights(documents: &[Value]) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for role in documents.iter().filter(|document| document["kind"] == "Role") {
        rights.append(&mut granted(&role["rules"]));
    }
    rights
}

/// What the rules of one role grant.
pub fn granted(rules: &Value) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in rules.as_array().unwrap() {
        let list = |field: &str| {
            let words = rule[field].as_array().into_iter().flatten();
            words.map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (groups, names) = (list("apiGroups"), list("resourceNames"));
        assert!(groups.len() == 1 && names.len() <= 1, "{rule}");
        for resource in list("resources") {
            rights.extend(list("verbs").into_iter().map(|verb| Right {
                group: groups[0].clone(),
                resource: resource.clone(),
                name: names.first().cloned(),
                verb,
            }));
        }
    }
    rights
}

// === impl Right ===

impl Right {
    /// Waits until the service account has it, or has it not: the API server learns of Roles by a watch.
    pub async fn is(&self, granted: bool, admin: &Client, namespace: &str) {
        let Self { group, resource, name, verb } = self;
        let review: SubjectAccessReview = serde_json::from_value(json!({"spec": {
            "user": format!("system:serviceaccount:{namespace}:{NAME}"),
            "resourceAttributes": {
                "namespace": namespace, "group": group, "resource": resource, "name": name, "verb": verb,
            },
        }}))
        .unwrap();
        let reviews: Api<SubjectAccessReview> = Api::all(admin.clone());
        let begin = Instant::now();
        while reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
            != granted
        {
            assert!(begin.elapsed() < Duration::from_secs(30), "{self:?} is not {granted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Server-side apply of one document of ours.
pub async fn apply(admin: &Client, namespace: &str, document: &Value) {
    let object: DynamicObject = serde_json::from_value(document.clone()).unwrap();
    let types = object.types.clone().unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).unwrap());
    let api: Api<DynamicObject> = Api::namespaced_with(admin.clone(), namespace, &resource);
    let name = object.metadata.name.clone().unwrap();
    api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await.unwrap();
}

/// The documents of a folder with a kustomization, relative to the project, as kubectl renders them.
pub fn render(cluster: &Cluster, folder: &Path) -> Vec<Value> {
    static RENDERED: Mutex<BTreeMap<PathBuf, Vec<Value>>> = Mutex::new(BTreeMap::new());
    let mut rendered = RENDERED.lock().unwrap_or_else(PoisonError::into_inner);
    let documents = rendered.entry(folder.to_owned()).or_insert_with(|| {
        let text = kubectl(cluster, &["kustomize", folder.to_str().unwrap()], "").unwrap();
        text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
    });
    documents.clone()
}

/// The one document of a kind.
pub fn only<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<&Value> = documents.iter().filter(|document| document["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// What kubectl prints, called in the project's folder as an administrator; what it complains of, if it fails.
pub fn kubectl(cluster: &Cluster, arguments: &[&str], input: &str) -> Result<String, String> {
    let mut child = Command::new(&cluster.programs["kubectl"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("KUBECONFIG", &cluster.kubeconfig)
        .env("KUBECACHEDIR", cluster.folder.join("kubectl"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end without reading.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let [out, err] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    if status.success() { Ok(out) } else { Err(format!("kubectl {}: {err}{out}", arguments.join(" "))) }
}
