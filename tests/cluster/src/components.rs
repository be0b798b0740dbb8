//! The control plane: etcd, the API server, the controller manager, the scheduler, and KWOK as the kubelet.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, bail};

use crate::process::{Ready, Recipe};

/// Where everything is.
pub struct Layout {
    /// The cluster's folder.
    pub folder: PathBuf,
    /// The programs by name.
    pub programs: BTreeMap<String, PathBuf>,
    /// Port of the API server.
    pub server: u16,
    /// Ports of etcd.
    pub etcd: [u16; 2],
    /// The bearer token of an administrator.
    pub token: String,
}

// === impl Layout ===

impl Layout {
    /// A file of the cluster.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A program.
    pub fn program(&self, name: &str) -> anyhow::Result<&Path> {
        self.programs.get(name).map(PathBuf::as_path).with_context(|| format!("{name} was not built"))
    }

    /// The API server's address.
    pub fn address(&self) -> String {
        format!("https://127.0.0.1:{}", self.server)
    }

    /// Writes what the components read: tokens, kubeconfig, certificates.
    pub fn write(&self) -> anyhow::Result<()> {
        crate::certificates::write(&self.folder)?;
        std::fs::write(self.file("tokens.csv"), format!("{},admin,admin,system:masters\n", self.token))?;
        std::fs::write(self.file("kubeconfig"), self.kubeconfig())?;
        Ok(())
    }

    fn kubeconfig(&self) -> String {
        let (server, folder, token) = (self.address(), self.folder.display(), &self.token);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: admin\n\
             clusters: [{{name: pipewright, cluster: {{server: '{server}', certificate-authority: '{folder}/ca.crt'}}}}]\n\
             users: [{{name: admin, user: {{token: {token}}}}}]\n\
             contexts: [{{name: admin, context: {{cluster: pipewright, user: admin, namespace: default}}}}]\n"
        )
    }
}

/// A port that is free now.
pub fn free_port() -> anyhow::Result<u16> {
    // Below those that the kernel gives away by itself: a client's connection could have taken one of these before the
    // program that it is meant for opens it.
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        // Two clusters that start at the same time begin at different places.
        let begin = std::process::id() % u32::from(PORTS.end - PORTS.start);
        AtomicU16::new(u16::try_from(begin).unwrap_or_default())
    });
    for _ in PORTS {
        let offset = next.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        let port = PORTS.start + offset;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port between {} and {} is free", PORTS.start, PORTS.end)
}

/// etcd; without waiting for the disk, since nothing here outlives a crash of the machine.
pub fn etcd(layout: &Layout) -> anyhow::Result<Recipe> {
    let [client, peer] = layout.etcd.map(|port| format!("http://127.0.0.1:{port}"));
    let recipe = Recipe::new("etcd", layout.program("etcd")?, Ready::Port(layout.etcd[0])).arguments([
        format!("--data-dir={}", layout.file("etcd").display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--quota-backend-bytes=4294967296".into(),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ]);
    Ok(recipe)
}

/// The API server, with RBAC.
pub fn api_server(layout: &Layout) -> anyhow::Result<Recipe> {
    let file = |name: &str| layout.file(name).display().to_string();
    let ready = Ready::Port(layout.server);
    let recipe = Recipe::new("kube-apiserver", layout.program("kube-apiserver")?, ready).arguments([
        format!("--etcd-servers=http://127.0.0.1:{}", layout.etcd[0]),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={}", layout.server),
        // The endpoints of the service `kubernetes` may not be on loopback.
        "--endpoint-reconciler-type=none".into(),
        format!("--tls-cert-file={}", file("server.crt")),
        format!("--tls-private-key-file={}", file("server.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".into(),
        "--anonymous-auth=true".into(),
        format!("--service-account-issuer={}", layout.address()),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        // Nobody makes the tokens that the first would mount; nobody takes away the taint that the second gives.
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition".into(),
        "--allow-privileged=true".into(),
        "--profiling=false".into(),
    ]);
    Ok(recipe)
}

/// Those controllers that a cluster without nodes needs: collection of garbage, namespaces, aggregated roles.
pub fn controller_manager(layout: &Layout) -> anyhow::Result<Recipe> {
    let port = free_port()?;
    let name = "kube-controller-manager";
    let recipe = Recipe::new(name, layout.program(name)?, Ready::Port(port)).arguments([
        format!("--kubeconfig={}", layout.file("kubeconfig").display()),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        "--leader-elect=false".into(),
        "--controllers=garbage-collector-controller,namespace-controller,serviceaccount-controller,clusterrole-aggregation-controller".into(),
        format!("--cert-dir={}", layout.file("controller-manager").display()),
        "--kube-api-qps=200".into(),
        "--kube-api-burst=400".into(),
    ]);
    Ok(recipe)
}

/// The scheduler.
pub fn scheduler(layout: &Layout) -> anyhow::Result<Recipe> {
    let port = free_port()?;
    let recipe = Recipe::new("kube-scheduler", layout.program("kube-scheduler")?, Ready::Port(port))
        .arguments([
            format!("--kubeconfig={}", layout.file("kubeconfig").display()),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={port}"),
            "--leader-elect=false".into(),
            format!("--cert-dir={}", layout.file("scheduler").display()),
            "--kube-api-qps=200".into(),
            "--kube-api-burst=400".into(),
        ]);
    Ok(recipe)
}

/// KWOK.
pub fn kubelet(layout: &Layout) -> anyhow::Result<Recipe> {
    let port = free_port()?;
    let recipe = Recipe::new("kwok", layout.program("kwok")?, Ready::Port(port)).arguments([
        format!("--kubeconfig={}", layout.file("kubeconfig").display()),
        format!("--config={}", crate::programs::sources().join("kwok.yaml").display()),
        format!("--server-address=127.0.0.1:{port}"),
    ]);
    Ok(recipe)
}

/// The one Node.
pub const NODE: &str = "
apiVersion: v1
kind: Node
metadata:
  name: node
  labels: {kubernetes.io/hostname: node, kubernetes.io/os: linux, kubernetes.io/arch: amd64}
";
