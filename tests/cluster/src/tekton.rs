//! Tekton Pipelines: its controller, its admission webhook, and the controller that sends its CloudEvents.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::components::{Layout, free_port};
use crate::manifests::{self, kubectl};
use crate::process::{Ready, Recipe};

/// Where Tekton's objects are.
pub const NAMESPACE: &str = "tekton-pipelines";
const PATIENCE: Duration = Duration::from_mins(1);

/// Clients of Tekton as quick as the machine: a test waits for runs, not for a limiter.
const LIMITS: [&str; 2] = ["-kube-api-qps=500", "-kube-api-burst=1000"];

/// The service by which the API server reaches the admission webhook; a name for loopback needs no list of ports.
const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}
spec: {type: ExternalName, externalName: localhost}
";

/// Applies what must be there before the programs start: the namespace, CRDs, RBAC, config maps.
pub async fn prepare(layout: &Layout, webhook: u16) -> anyhow::Result<()> {
    let config = config(layout)?;
    let namespace = manifests::read(&config.join("100-namespace"), |_| true)?;
    manifests::apply(layout, &namespace).await?;
    let mut documents = with_port(manifests::read(&config.join("300-crds"), |_| true)?, webhook);
    let others = |name: &str| !name.starts_with("500-") && !name.starts_with("webhook");
    documents.extend(manifests::read(&config, others)?);
    let secret = manifests::read(&config, |name| name == "500-webhooks.yaml")?;
    documents.extend(secret.into_iter().filter(|document| manifests::kind(document) == Some("Secret")));
    documents.push(SERVICE.to_owned());
    manifests::apply(layout, &documents).await
}

/// Applies the webhook configurations, once the webhook runs, and waits until they work.
pub async fn admit(layout: &Layout, webhook: u16) -> anyhow::Result<()> {
    let documents = manifests::read(&config(layout)?, |name| name == "500-webhooks.yaml")?;
    let configurations = documents.into_iter().filter(|document| manifests::kind(document) != Some("Secret"));
    manifests::apply(layout, &with_port(configurations.collect(), webhook)).await?;
    let begin = Instant::now();
    loop {
        let tried = kubectl(layout, &["create", "--dry-run=server", "-o", "json", "-f", "-"], CANARY).await;
        match tried {
            // The default that only the webhook fills in.
            Ok(run) if run.contains("\"timeouts\"") => return Ok(()),
            Err(error) if begin.elapsed() > PATIENCE => {
                return Err(error.context("Tekton's admission webhook does not work"));
            }
            Ok(_) if begin.elapsed() > PATIENCE => {
                anyhow::bail!("Tekton's admission webhook fills in no defaults")
            }
            _ => sleep(Duration::from_millis(100)).await,
        }
    }
}

const CANARY: &str = "
apiVersion: tekton.dev/v1
kind: PipelineRun
metadata: {name: canary, namespace: default}
spec: {pipelineRef: {name: none}}
";

/// The admission webhook.
pub fn webhook(layout: &Layout, port: u16) -> anyhow::Result<Recipe> {
    let name = "tekton-webhook";
    let recipe = Recipe::new(name, layout.program(name)?, Ready::Port(port))
        .arguments(arguments(layout))
        .environment(environment("config-leader-election-webhook")?)
        .environment([
            ("WEBHOOK_PORT", port.to_string()),
            ("WEBHOOK_SERVICE_NAME", "tekton-pipelines-webhook".into()),
            ("WEBHOOK_SECRET_NAME", "webhook-certs".into()),
            ("WEBHOOK_ADMISSION_CONTROLLER_NAME", "webhook.pipeline.tekton.dev".into()),
        ]);
    Ok(recipe)
}

/// The controller of PipelineRuns and TaskRuns.
pub fn controller(layout: &Layout) -> anyhow::Result<Recipe> {
    // None is ever pulled, and every step names its command, so that none is looked at.
    let images = ["entrypoint", "nop", "sidecarlogresults", "workingdirinit", "shell", "shell-win"];
    let images = images.map(|name| {
        let flag = if name == "shell-win" { "shell-image-win".into() } else { format!("{name}-image") };
        format!("-{flag}=pipewright.invalid/{name}")
    });
    let name = "tekton-controller";
    let recipe = Recipe::new(name, layout.program(name)?, Ready::Says("Started workers"))
        .arguments(arguments(layout))
        .arguments(["-disable-ha", "-threads-per-controller=16"])
        .arguments(images)
        .environment(environment("config-leader-election-controller")?);
    Ok(recipe)
}

/// The controller that sends CloudEvents, when the ConfigMap `config-events` names a sink.
pub fn events(layout: &Layout) -> anyhow::Result<Recipe> {
    let name = "tekton-events";
    let recipe = Recipe::new(name, layout.program(name)?, Ready::Says("Started workers"))
        .arguments(arguments(layout))
        .arguments(["-disable-ha"])
        .environment(environment("config-leader-election-events")?);
    Ok(recipe)
}

fn config(layout: &Layout) -> anyhow::Result<PathBuf> {
    Ok(crate::programs::manifests(layout.program("tekton-controller")?))
}

fn arguments(layout: &Layout) -> Vec<String> {
    let kubeconfig = format!("-kubeconfig={}", layout.file("kubeconfig").display());
    std::iter::once(kubeconfig).chain(LIMITS.map(str::to_owned)).collect()
}

fn environment(leader_election: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut variables = vec![
        ("SYSTEM_NAMESPACE", NAMESPACE.to_owned()),
        ("KUBERNETES_MIN_VERSION", "v1.28.0".to_owned()),
        ("CONFIG_DEFAULTS_NAME", "config-defaults".to_owned()),
        ("CONFIG_LOGGING_NAME", "config-logging".to_owned()),
        ("CONFIG_OBSERVABILITY_NAME", "config-observability".to_owned()),
        ("CONFIG_FEATURE_FLAGS_NAME", "feature-flags".to_owned()),
        ("CONFIG_LEADERELECTION_NAME", leader_election.to_owned()),
        ("CONFIG_SPIRE", "config-spire".to_owned()),
        ("METRICS_DOMAIN", "tekton.dev/pipeline".to_owned()),
        ("METRICS_PROMETHEUS_HOST", "127.0.0.1".to_owned()),
    ];
    for name in ["PROBES_PORT", "METRICS_PROMETHEUS_PORT", "PROFILING_PORT"] {
        variables.push((name, free_port()?.to_string()));
    }
    Ok(variables)
}

/// The service of the webhook, with the port at which it listens.
fn with_port(documents: Vec<String>, port: u16) -> Vec<String> {
    let named = |line: &str| line.trim_start() == "name: tekton-pipelines-webhook";
    let with_port = |line: &str| {
        let indent = &line[..line.len() - line.trim_start().len()];
        if named(line) { format!("{line}\n{indent}port: {port}\n") } else { format!("{line}\n") }
    };
    documents.into_iter().map(|document| document.lines().map(with_port).collect()).collect()
}
