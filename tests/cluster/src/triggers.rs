//! Tekton Triggers: the sink of an `EventListener` and its core interceptors, as the peer of a benchmark. They are made
//! ready with the cluster, and started by whoever measures them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::components::{Layout, free_port};
use crate::process::{Ready, Recipe};
use crate::tekton::NAMESPACE;
use crate::{certificates, manifests, programs};

/// The interceptors cannot be asked for another port.
const INTERCEPTORS: u16 = 8443;
/// Beyond what the sink will ever do, where as installed it makes five runs a second.
const RAISED: [&str; 2] = ["-kube-api-qps=5000", "-kube-api-burst=10000"];
/// As the controller of Triggers starts a sink.
const TIMES: [&str; 9] = [
    "-readtimeout=5",
    "-writetimeout=40",
    "-idletimeout=120",
    "-timeouthandler=30",
    "-httpclient-readtimeout=30",
    "-httpclient-keep-alive=30",
    "-httpclient-tlshandshaketimeout=10",
    "-httpclient-responseheadertimeout=10",
    "-httpclient-expectcontinuetimeout=1",
];

/// Applies the CRDs, the configuration, the interceptors and one `EventListener`.
pub async fn prepare(layout: &Layout) -> anyhow::Result<()> {
    let config = programs::manifests(layout.program("triggers-sink")?);
    let wanted = |name: &str| name.starts_with("300-") || name.starts_with("config-");
    manifests::apply(layout, &manifests::read(&config, wanted)?).await?;
    let text = std::fs::read_to_string(programs::sources().join("triggers.yaml"))?;
    let mut documents: Vec<String> = text.split("\n---").map(str::to_owned).collect();
    // Their own certificate would be for a name that only a cluster's DNS knows.
    let certificates::Server { authority, certificate, key } = certificates::server()?;
    let encoded = |text: &str| BASE64_STANDARD.encode(text);
    documents.push(format!(
        "apiVersion: v1\nkind: Secret\n\
         metadata: {{name: tekton-triggers-core-interceptors-certs, namespace: {NAMESPACE}}}\n\
         data: {{server-key.pem: {}, server-cert.pem: {}, ca-cert.pem: {}}}\n",
        encoded(&key),
        encoded(&certificate),
        encoded(&authority)
    ));
    for name in ["github", "cel"] {
        documents.push(format!(
            "apiVersion: triggers.tekton.dev/v1alpha1\nkind: ClusterInterceptor\n\
             metadata: {{name: {name}, labels: {{server/type: https}}}}\n\
             spec: {{clientConfig: {{url: 'https://127.0.0.1:{INTERCEPTORS}/{name}', caBundle: {}}}}}\n",
            encoded(&authority)
        ));
    }
    manifests::apply(layout, &documents).await
}

/// The interceptors and the sink as installed, and both with raised limits. One pair can run at a time.
pub fn recipes(layout: &Layout) -> anyhow::Result<Vec<Recipe>> {
    let port = free_port()?;
    let mut recipes = Vec::new();
    for (interceptors, sink, raised) in [
        ("triggers-interceptors", "triggers-sink", &[][..]),
        ("triggers-interceptors-raised", "triggers-sink-raised", &RAISED),
    ] {
        let kubeconfig = format!("-kubeconfig={}", layout.file("kubeconfig").display());
        let program = layout.program("triggers-interceptors")?;
        recipes.push(
            Recipe::new(interceptors, program, Ready::Port(INTERCEPTORS))
                .arguments([&kubeconfig])
                .arguments(raised.iter().copied())
                .environment(environment()?)
                .environment([
                    ("INTERCEPTOR_TLS_SVC_NAME", "tekton-triggers-core-interceptors".to_owned()),
                    ("INTERCEPTOR_TLS_SECRET_NAME", "tekton-triggers-core-interceptors-certs".to_owned()),
                ]),
        );
        recipes.push(
            Recipe::new(sink, layout.program("triggers-sink")?, Ready::Port(port))
                .arguments([&kubeconfig, "-el-name=github", "-el-namespace=triggers"])
                .arguments([format!("-port={port}")])
                .arguments(TIMES)
                .arguments(raised.iter().copied())
                .environment(environment()?)
                .environment([
                    ("NAMESPACE", "triggers".to_owned()),
                    ("NAME", "github".to_owned()),
                    ("EL_EVENT", "disable".to_owned()),
                    ("K_SINK_TIMEOUT", "30".to_owned()),
                    ("K_LOGGING_CONFIG", r#"{"zap-logger-config":"{\"level\":\"info\",\"encoding\":\"json\",\"outputPaths\":[\"stdout\"],\"errorOutputPaths\":[\"stderr\"]}"}"#.to_owned()),
                ]),
        );
    }
    Ok(recipes)
}

fn environment() -> anyhow::Result<Vec<(&'static str, String)>> {
    let mut variables = vec![
        ("SYSTEM_NAMESPACE", NAMESPACE.to_owned()),
        ("KUBERNETES_MIN_VERSION", "v1.28.0".to_owned()),
        ("CONFIG_DEFAULTS_NAME", "config-defaults-triggers".to_owned()),
        ("CONFIG_LOGGING_NAME", "config-logging-triggers".to_owned()),
        ("CONFIG_OBSERVABILITY_NAME", "config-observability-triggers".to_owned()),
        ("CONFIG_FEATURE_FLAGS_NAME", "feature-flags-triggers".to_owned()),
        ("METRICS_DOMAIN", "tekton.dev/triggers".to_owned()),
        ("METRICS_PROMETHEUS_HOST", "127.0.0.1".to_owned()),
    ];
    for name in ["METRICS_PROMETHEUS_PORT", "PROFILING_PORT"] {
        variables.push((name, free_port()?.to_string()));
    }
    Ok(variables)
}
