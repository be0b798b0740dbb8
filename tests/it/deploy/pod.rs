//! One pod of the Deployment as a process: its volumes, variables and arguments as the kubelet would give them to it.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use pipewright::source::signature;
use serde_json::Value;

use crate::support::deployed::only;
use crate::support::process::{Folder, SECRET, free_ports, status};

/// Where the Deployment mounts everything.
const MOUNTS: &str = "/etc/pipewright/";
/// How long something may take that takes a second on a machine of its own.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a container is started with.
pub struct Container {
    /// Its file system, or as much of it as is mounted.
    pub root: Folder,
    /// Its variables.
    pub variables: BTreeMap<String, String>,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// A running pod.
pub struct Pod {
    /// The port `http`.
    pub url: String,
    /// The port `admin`.
    pub admin: String,
    /// The port `events`.
    pub events: String,
    /// The port `probes`.
    pub probes: String,
    log: PathBuf,
    child: Child,
    /// What it sees.
    pub container: Container,
}

// === impl Container ===

impl Container {
    /// The container of the Deployment among `documents`, whose volumes are among them as well.
    pub fn new(documents: &[Value], namespace: &str) -> Self {
        let root = Folder::kept("pod");
        let pod = &only(documents, "Deployment")["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        for mount in container["volumeMounts"].as_array().unwrap() {
            let path = mount["mountPath"].as_str().unwrap();
            assert!(path.starts_with(MOUNTS) && mount["readOnly"] == true, "{mount}");
            let volumes = pod["volumes"].as_array().unwrap();
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            mount_files(&root.path().join(&path[1..]), &files(volume, documents));
        }
        let variable = |variable: &Value| {
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                None => variable["value"].as_str().unwrap(),
                Some("metadata.namespace") => namespace,
                Some("metadata.name") => "pipewright-0",
                Some("metadata.uid") => "5b1f8f4c-0000-4000-8000-000000000000",
                Some(other) => panic!("{other}"),
            };
            (variable["name"].as_str().unwrap().to_owned(), value.to_owned())
        };
        let variables = container["env"].as_array().unwrap().iter().map(variable).collect();
        let arguments = container["args"].as_array().unwrap();
        let arguments = arguments.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        Self { root, variables, arguments }
    }

    /// Changes a file of a volume.
    pub fn edit(&self, file: &str, change: impl FnOnce(String) -> String) {
        let path = self.root.path().join(file);
        let text = change(std::fs::read_to_string(&path).unwrap());
        std::fs::write(path, text).unwrap();
    }

    /// Adds a variable.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    /// Starts our program outside of the image, so that what is mounted is somewhere else.
    pub fn start_as_process(mut self) -> Pod {
        let mounts = format!("{}{MOUNTS}", self.root.path().display());
        self.edit("etc/pipewright/settings/pipewright.yaml", |text| text.replace(MOUNTS, &mounts));
        for word in &mut self.arguments {
            *word = word.replace(MOUNTS, &mounts);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
        command.args(&self.arguments);
        self.start(command)
    }

    /// Starts `command` with the variables, on loopback ports of its own.
    pub fn start(self, mut command: Command) -> Pod {
        let [port, admin] = free_ports();
        let [events, probes] = free_ports();
        let log = self.root.path().with_extension("log");
        let output = std::fs::File::create(&log).unwrap();
        command
            .env_clear()
            .envs(&self.variables)
            .env("PIPEWRIGHT_LISTEN", format!("127.0.0.1:{port}"))
            .env("PIPEWRIGHT_ADMIN_LISTEN", format!("127.0.0.1:{admin}"))
            .env("PIPEWRIGHT_EVENTS_LISTEN", format!("127.0.0.1:{events}"))
            .env("PIPEWRIGHT_PROBE_LISTEN", format!("127.0.0.1:{probes}"))
            .env("PIPEWRIGHT_DRAIN_SECONDS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output);
        let child = command.spawn().unwrap();
        let [url, admin, events, probes] =
            [port, admin, events, probes].map(|port| format!("http://127.0.0.1:{port}"));
        Pod { url, admin, events, probes, log, child, container: self }
    }
}

/// The files of a volume.
fn files(volume: &Value, documents: &[Value]) -> BTreeMap<String, Vec<u8>> {
    let named = |kind: &str, name: &Value| {
        let found = documents.iter().find(|it| it["kind"] == kind && it["metadata"]["name"] == *name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))["data"].as_object().unwrap().clone()
    };
    if let Some(name) = volume["configMap"].get("name") {
        let data = named("ConfigMap", name).into_iter();
        return data.map(|(key, text)| (key, text.as_str().unwrap().into())).collect();
    }
    let data = named("Secret", &volume["secret"]["secretName"]);
    let items = volume["secret"]["items"].as_array().unwrap().iter();
    let file = |item: &Value| {
        let value = BASE64_STANDARD.decode(data[item["key"].as_str().unwrap()].as_str().unwrap()).unwrap();
        (item["path"].as_str().unwrap().to_owned(), value)
    };
    items.map(file).collect()
}

/// As the kubelet does it: each name is a link into `..data`, which is a link to a folder; another content is another
/// folder, and one instant at which the link is swapped.
fn mount_files(path: &Path, files: &BTreeMap<String, Vec<u8>>) {
    let version = format!("..{}", uuid::Uuid::new_v4());
    std::fs::create_dir_all(path.join(&version)).unwrap();
    for (name, content) in files {
        std::fs::write(path.join(&version).join(name), content).unwrap();
    }
    symlink(version, path.join("..data_tmp")).unwrap();
    std::fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    for entry in std::fs::read_dir(path).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("..") && !files.contains_key(&name) {
            std::fs::remove_file(path.join(name)).unwrap();
        }
    }
    for name in files.keys().filter(|name| path.join(name).symlink_metadata().is_err()) {
        symlink(Path::new("..data").join(name), path.join(name)).unwrap();
    }
}

// === impl Pod ===

impl Pod {
    /// Waits until the readiness probe succeeds.
    pub async fn ready(&mut self) {
        let url = format!("{}/readyz", self.probes);
        let begin = Instant::now();
        while status(&url).await != Some(200) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && begin.elapsed() < PATIENCE, "not ready: {ended:?} {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The text of a page of the admin port; nothing while it does not answer.
    pub async fn page(&self, path: &str) -> String {
        match crate::support::http().get(format!("{}{path}", self.admin)).send().await {
            Ok(response) => response.text().await.unwrap(),
            Err(_) => String::new(),
        }
    }

    /// The sum of a metric over all its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.page("/metrics").await;
        let values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix([' ', '{']));
        values.map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Posts a signed delivery; the status, the result, and the text of the answer.
    pub async fn webhook(&self, event: &str, body: &Value) -> (u16, String, String) {
        let body = serde_json::to_vec(body).unwrap();
        let request = crate::support::http()
            .post(format!("{}/webhooks/github", self.url))
            .header("content-type", "application/json")
            .header("x-github-event", event)
            .header("x-github-delivery", uuid::Uuid::new_v4().to_string())
            .header("x-hub-signature-256", signature::sign(SECRET.as_bytes(), &body))
            .body(body);
        let response = request.send().await.unwrap();
        let result = response.headers().get("x-pipewright-result");
        let result = result.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        (response.status().as_u16(), result, response.text().await.unwrap())
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let begin = Instant::now();
        while !condition().await {
            assert!(begin.elapsed() < PATIENCE, "still not: {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until it logs something.
    pub async fn logs(&self, text: &str) {
        self.until(&format!("`{text}` in the log"), async || self.log().contains(text)).await;
    }

    /// Brings another content of a volume.
    pub fn swap(&self, volume: &str, files: &[(&str, &str)]) {
        let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).into())).collect();
        mount_files(&self.container.root.path().join(volume), &files);
    }

    /// Waits for an end with an error; what it logged.
    pub fn ends_badly(&mut self) -> String {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(!status.success(), "{}", self.log());
                return self.log();
            }
            assert!(begin.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A file that the kernel has about the process.
    pub fn process(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Ends it as the kubelet does, and waits for it.
    pub fn terminate(&mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of the pod:\n{}", self.log());
        }
        let _ = std::fs::remove_file(&self.log);
    }
}
