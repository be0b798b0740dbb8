//! A `ServiceAccount` for an adapter, with what it needs in one namespace, and tokens for it that do not last.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, PostParams};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::ground::{Ground, Real};

/// Its name, which is that of its role too.
const NAME: &str = "adapter";

/// How much longer than it says the API server takes a token: clocks differ.
pub const LEEWAY: i64 = 60;

/// The account.
pub struct Account {
    uid: String,
    namespace: String,
    cluster: Arc<pipewright_cluster::Cluster>,
    client: kube::Client,
    /// Where its token is, as in a pod.
    pub token_file: PathBuf,
}

// === impl Account ===

impl Account {
    /// Creates it, in the namespace of the test.
    pub async fn create(real: &Real, token_file: PathBuf) -> Self {
        Ground::Real(real.clone()).create(&RIGHTS.replace("NAMESPACE", &real.namespace)).await;
        let accounts: Api<ServiceAccount> = Api::default_namespaced(real.client());
        let uid = accounts.get(NAME).await.unwrap().metadata.uid.unwrap();
        let (namespace, cluster) = (real.namespace.clone(), real.cluster.clone());
        Self { uid, namespace, cluster, client: real.client(), token_file }
    }

    /// A token that the API server issues: it is good for ten minutes, the least that there is, unless the Secret of this
    /// name goes, to which it is bound.
    pub async fn bound(&self, name: &str) -> String {
        let secret: Secret = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let secret = self.secrets().create(&PostParams::default(), &secret).await.unwrap();
        let reference = BoundObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Secret".into()),
            name: Some(name.into()),
            uid: secret.metadata.uid,
        };
        let spec = TokenRequestSpec {
            expiration_seconds: Some(600),
            bound_object_ref: Some(reference),
            ..Default::default()
        };
        let request = TokenRequest { spec, ..Default::default() };
        let accounts: Api<ServiceAccount> = Api::default_namespaced(self.client.clone());
        let answer = accounts.create_token_request(NAME, &PostParams::default(), &request).await.unwrap();
        answer.status.unwrap().token
    }

    /// Ends what [`Self::bound`] gave.
    pub async fn revoke(&self, name: &str) {
        self.secrets().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A token as the API server issues them, signed with its key, that it takes for so many seconds: shorter than it
    /// would issue one.
    pub fn expiring(&self, seconds: i64) -> String {
        let now = jiff::Timestamp::now().as_second();
        let claims = json!({
            "iss": self.cluster.server,
            "aud": [self.cluster.server],
            "sub": format!("system:serviceaccount:{}:{NAME}", self.namespace),
            "iat": now - LEEWAY,
            "nbf": now - LEEWAY,
            "exp": now - LEEWAY + seconds,
            "kubernetes.io": {
                "namespace": self.namespace,
                "serviceaccount": {"name": NAME, "uid": self.uid},
            },
        });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(&claims));
        let random = SystemRandom::new();
        let key =
            PrivatePkcs8KeyDer::from_pem_file(self.cluster.folder.join("service-accounts.key")).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der(), &random)
            .unwrap();
        let signature = key.sign(&random, text.as_bytes()).unwrap();
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// Puts a token where the adapter finds it, in one step as the kubelet does.
    pub fn write(&self, token: &str) {
        let new = self.token_file.with_extension("new");
        std::fs::write(&new, token).unwrap();
        std::fs::rename(new, &self.token_file).unwrap();
    }

    fn secrets(&self) -> Api<Secret> {
        Api::default_namespaced(self.client.clone())
    }
}

/// The least that an adapter needs which watches one namespace.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: adapter}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: adapter}
rules:
  - {apiGroups: [tekton.dev], resources: [pipelineruns], verbs: [create, get, list, watch, patch]}
  - {apiGroups: [tekton.dev], resources: [taskruns, customruns], verbs: [get, list, watch, patch]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}
  - {apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [pipewright], verbs: [get, update, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: adapter}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: adapter}
subjects: [{kind: ServiceAccount, name: adapter, namespace: NAMESPACE}]
";
