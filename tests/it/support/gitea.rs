//! A real Gitea, as its users see it: the API, and git over HTTP.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{http, skip};

/// The forge that runs beside the real cluster.
pub struct Gitea {
    /// Where it is.
    pub url: String,
    administrator: String,
    http: reqwest::Client,
}

/// One who has an account there.
pub struct User {
    /// The login.
    pub name: String,
    token: String,
}

// === impl Gitea ===

impl Gitea {
    /// The one beside a cluster; none, and the test is noted as skipped, where none was started.
    pub fn beside(cluster: &pipewright_cluster::Cluster) -> Option<Self> {
        let Some(forge) = &cluster.forge else {
            skip("no forge: start the cluster with `--forge`, which needs a C compiler beside Go");
            return None;
        };
        Some(Self { url: forge.url.clone(), administrator: forge.token.clone(), http: http() })
    }

    /// Makes an account.
    pub async fn user(&self, name: &str) -> User {
        let password = "not-a-secret";
        let account = json!({
            "username": name, "email": format!("{name}@example.com"), "password": password, "must_change_password": false,
        });
        self.send(&format!("token {}", self.administrator), "POST", "/admin/users", account).await;
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")));
        let wanted = json!({"name": "tests", "scopes": ["all"]});
        let token = self.send(&basic, "POST", &format!("/users/{name}/tokens"), wanted).await;
        User { name: name.to_owned(), token: token["sha1"].as_str().unwrap().to_owned() }
    }

    /// A call of the API that must succeed.
    pub async fn call(&self, user: &User, method: &str, path: &str, body: Value) -> Value {
        self.send(&format!("token {}", user.token), method, path, body).await
    }

    /// A webhook of a repository (`/repos/o/r`) or an organisation (`/orgs/o`), for all events.
    pub async fn hook(&self, user: &User, owner: &str, to: &str, secret: &str) {
        let events = [
            "create",
            "delete",
            "fork",
            "push",
            "issues",
            "issue_comment",
            "pull_request",
            "pull_request_review",
            "pull_request_sync",
            "release",
            "status",
            "package",
            "repository",
        ];
        let hook = json!({
            "type": "gitea", "active": true, "events": events,
            "config": {"url": to, "content_type": "json", "secret": secret},
        });
        self.call(user, "POST", &format!("{owner}/hooks"), hook).await;
    }

    async fn send(&self, authorization: &str, method: &str, path: &str, body: Value) -> Value {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method.clone(), format!("{}/api/v1{path}", self.url));
        let answer = request.header("authorization", authorization).json(&body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }
}

// === impl User ===

impl User {
    /// `git` in a folder; what it prints.
    pub async fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let basic = BASE64_STANDARD.encode(format!("{}:{}", self.name, self.token));
        let output = tokio::process::Command::new("git")
            .arg("-c")
            .arg(format!("http.extraHeader=Authorization: Basic {basic}"))
            .args(["-c", &format!("user.name={}", self.name)])
            .args(["-c", &format!("user.email={}@example.com", self.name)])
            .args(arguments)
            .current_dir(folder)
            .env("HOME", folder)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Writes a file and commits it; the commit.
    pub async fn commit(&self, folder: &Path, file: &str, text: &str) -> String {
        std::fs::write(folder.join(file), text).unwrap();
        self.git(folder, &["add", "--", file]).await;
        self.git(folder, &["commit", "-q", "-m", &format!("Change {file}")]).await;
        self.git(folder, &["rev-parse", "HEAD"]).await
    }
}
