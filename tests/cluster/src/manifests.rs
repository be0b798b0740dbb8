//! Manifests from the modules' own folders, and how they get into the cluster.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::components::Layout;

/// Kinds that would start pods, or lead to them; here the programs are processes.
const LEFT_OUT: [&str; 3] = ["Deployment", "HorizontalPodAutoscaler", "Service"];

/// The documents of YAML files, in the order of their names, without those of [`LEFT_OUT`].
pub fn read(folder: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|extension| extension == "yaml") && wanted(&name) {
            files.push(path);
        }
    }
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let parts = text.split("\n---").map(str::to_owned);
        documents.extend(parts.filter(|part| kind(part).is_some_and(|kind| !LEFT_OUT.contains(&kind))));
    }
    Ok(documents)
}

/// The kind of a document, if it is one.
pub fn kind(document: &str) -> Option<&str> {
    document.lines().find_map(|line| line.strip_prefix("kind:")).map(str::trim)
}

/// Applies documents, server-side.
pub async fn apply(layout: &Layout, documents: &[String]) -> anyhow::Result<()> {
    let input = documents.join("\n---\n");
    kubectl(layout, &["apply", "--server-side", "--force-conflicts", "-f", "-"], &input).await?;
    Ok(())
}

/// Calls kubectl and returns what it prints.
pub async fn kubectl(layout: &Layout, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut child = Command::new(layout.program("kubectl")?)
        .arg("--kubeconfig")
        .arg(layout.file("kubeconfig"))
        .arg("--cache-dir")
        .arg(layout.file("kubectl"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let (written, output) =
        tokio::join!(async move { stdin.write_all(input.as_bytes()).await }, child.wait_with_output());
    let output = output?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "kubectl {}: {error}", arguments.join(" "));
    written?;
    Ok(String::from_utf8(output.stdout)?)
}
