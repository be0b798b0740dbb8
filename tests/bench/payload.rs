//! The deliveries that are sent: recorded ones where there are any, else ours padded to the same sizes.

use std::path::{Path, PathBuf};

use anyhow::Context;
use pipewright::source::signature::sign;
use serde_json::Value;

use crate::{SECRET, progress};

/// A signed delivery as a whole HTTP request, but for its id.
pub struct Payload {
    /// The request up to the id.
    pub before_id: Vec<u8>,
    /// The request after the id.
    pub after_id: Vec<u8>,
    body: usize,
}

// === impl Payload ===

impl Payload {
    /// A push of 7.7 kB that made a branch.
    pub fn push() -> anyhow::Result<Self> {
        Ok(Self::signed("push", &push_body()?))
    }

    /// A pull request of 23.6 kB that was opened.
    pub fn pull_request() -> anyhow::Result<Self> {
        Ok(Self::signed("pull_request", &pull_request_body()?))
    }

    /// The same, to another path.
    pub fn at(&self, path: &str) -> Self {
        let head = String::from_utf8_lossy(&self.before_id).replacen("/webhooks/github", path, 1);
        Self { before_id: head.into_bytes(), after_id: self.after_id.clone(), body: self.body }
    }

    /// The size of the body, for people.
    pub fn size(&self) -> String {
        let hundreds = (self.body + 50) / 100;
        format!("{}.{} kB", hundreds / 10, hundreds % 10)
    }

    fn signed(event: &str, body: &[u8]) -> Self {
        let before_id = format!(
            "POST /webhooks/github HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: GitHub-Hookshot/044aadd\r\n\
             accept: */*\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-github-event: {event}\r\n\
             x-github-hook-id: 292430182\r\nx-github-hook-installation-target-id: 79929171\r\n\
             x-github-hook-installation-target-type: repository\r\nx-hub-signature-256: {}\r\n\
             x-github-delivery: 72d3162e-cc78-11e3-",
            body.len(),
            sign(SECRET.as_bytes(), body)
        );
        Self { before_id: before_id.into_bytes(), after_id: [b"\r\n\r\n", body].concat(), body: body.len() }
    }
}

/// The push, to be changed and signed by whoever sends it.
pub fn push() -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&push_body()?)?)
}

/// The body of the push.
pub fn push_body() -> anyhow::Result<Vec<u8>> {
    body("push/with-new-branch.payload.json", "push.branch.json", 7_678)
}

/// The body of the pull request.
pub fn pull_request_body() -> anyhow::Result<Vec<u8>> {
    body("pull_request/opened.payload.json", "pull_request.opened.json", 23_633)
}

/// Where recorded payloads are, if they are.
pub fn corpus() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    std::env::var_os("PIPEWRIGHT_CORPUS").map_or_else(beside, PathBuf::from)
}

fn body(recorded: &str, ours: &str, size: usize) -> anyhow::Result<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = corpus().join("forge/github").join(recorded);
    if path.is_file() {
        Ok(serde_json::to_vec(&parsed(&path)?)?)
    } else {
        progress(&format!(
            "no {}: a payload of ours, padded to the same size; set PIPEWRIGHT_CORPUS",
            path.display()
        ));
        padded(parsed(&root.join("tests/fixtures/github").join(ours))?, size)
    }
}

fn parsed(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(path).with_context(|| path.display().to_string())?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// With further members like those that GitHub has in the `repository`, which are most of a payload.
fn padded(mut payload: Value, size: usize) -> anyhow::Result<Vec<u8>> {
    let mut missing = size.saturating_sub(serde_json::to_vec(&payload)?.len());
    for number in 0.. {
        let name = format!("resource_{number:03}_url");
        let url = format!("https://api.github.com/repos/myorg/shop/resources/{number:03}{{/id}}");
        // Quotes, colon and comma.
        let length = name.len() + url.len() + 6;
        if length > missing {
            break;
        }
        missing -= length;
        if let Some(repository) = payload["repository"].as_object_mut() {
            repository.insert(name, Value::String(url));
        }
    }
    Ok(serde_json::to_vec(&payload)?)
}
