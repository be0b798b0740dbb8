//! What several integration tests share.

pub mod accounts;
pub mod arrivals;
pub mod corpus;
pub mod delivery;
pub mod deployed;
pub mod faulty;
pub mod gitea;
pub mod ground;
pub mod leases;
pub mod objects;
pub mod own_cluster;
pub mod process;
pub mod program;
pub mod proxy;
pub mod sender;
pub mod service;

use std::io::Write;

/// The pipeline that the shipped mappings name, with one task.
pub const BUILD_PIPELINE: &str = "
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: build, namespace: default}
spec:
  tasks:
    - name: compile
      taskSpec: {steps: [{name: compile, image: alpine, command: ['true']}]}
";

/// Says that a test cannot run here and why; `tests/run.sh` prints it at the end. In CI it is a failure.
pub fn skip(reason: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "skipped: {reason}");
    println!("skipped: {reason}");
    if let Some(path) = std::env::var_os("PIPEWRIGHT_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{reason}"));
    }
}

/// An HTTP client that waits long enough for every deadline of the service.
pub fn http() -> reqwest::Client {
    // The program does this in its `main`.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_secs(40)).build().unwrap()
}
