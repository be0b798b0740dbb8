//! The real program as processes: an embedded cluster that survives, adapters that are killed, and a sink that counts.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use pipewright::event::Event;
use pipewright::source::signature;

use super::ground::{Ground, Real};

/// The webhook secret of every adapter here.
pub const SECRET: &str = "It's a Secret to Everybody";

/// A folder that goes with its owner.
pub struct Folder {
    path: PathBuf,
    /// Whether it stays when the test fails.
    keep: bool,
}

/// A cluster outside of this process: `pipewright cluster` as a process of its own, or a namespace of the real one.
pub struct Cluster {
    pub kubeconfig: PathBuf,
    pub namespace: String,
    of: Of,
}

enum Of {
    Embedded { url: String, _child: Kill },
    Real(Real),
}

/// `pipewright serve` as a process that can be killed and started again on the same ports.
pub struct Adapter {
    pub url: String,
    pub admin: String,
    command: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
    sink: Option<String>,
    log: PathBuf,
    child: Option<Kill>,
}

/// A sink over HTTP that keeps every event it accepted, in order.
#[derive(Clone)]
pub struct Recorder {
    pub url: String,
    events: Arc<Mutex<Vec<Event>>>,
    delay: Arc<Mutex<Duration>>,
    failures: Arc<Mutex<Failures>>,
}

/// How a sink fails now and then.
#[derive(Default)]
struct Failures {
    percent: usize,
    random: Random,
    count: usize,
}

/// Pseudo-random numbers that are the same in every run of the tests.
#[derive(Default)]
pub struct Random(pub u64);

/// A process that ends with its owner.
struct Kill(Child);

// === impl Random ===

impl Random {
    /// A number below `bound`, by a linear congruential generator.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

// === impl Folder ===

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pipewright-{name}-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self { path, keep: false }
    }

    /// One that stays, with the logs in it, when the test fails.
    pub fn kept(name: &str) -> Self {
        let mut folder = Self::new(name);
        folder.keep = true;
        folder
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.keep && std::thread::panicking() {
            eprintln!("the logs are kept in {}", self.path.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

// === impl Kill ===

impl Drop for Kill {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// === impl Cluster ===

impl Cluster {
    /// Starts a cluster; `task_time` is the player's, `None` for no player.
    pub fn start(folder: &Folder, objects: &str, task_time: Option<Duration>) -> Self {
        let kubeconfig = folder.path().join("kubeconfig");
        let objects = folder.write("objects.yaml", objects);
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
        command.args(["cluster", "--listen", "127.0.0.1:0", "--log-level", "warn", "--kubeconfig"]);
        command.arg(&kubeconfig).arg("--load").arg(objects);
        match task_time {
            Some(time) => command.args(["--task-time", &time.as_millis().to_string()]),
            None => command.arg("--no-player"),
        };
        let mut child = Kill(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http")).expect(&line);
        let of = Of::Embedded { url: url.trim_end_matches(';').to_owned(), _child: child };
        Self { kubeconfig, namespace: "default".to_owned(), of }
    }

    /// The same, or the real one, where the test stands on that; there Tekton takes the time that it takes.
    pub async fn on(ground: &Ground, folder: &Folder, objects: &str, task_time: Option<Duration>) -> Self {
        let Ground::Real(real) = ground else { return Self::start(folder, objects, task_time) };
        ground.create(objects).await;
        let kubeconfig = real.adapter().await;
        Self { kubeconfig, namespace: real.namespace.clone(), of: Of::Real(real.clone()) }
    }

    /// A client of it.
    pub fn client(&self) -> kube::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        match &self.of {
            Of::Embedded { url, .. } => {
                let mut config = kube::Config::new(url.parse().unwrap());
                config.default_retry = false;
                kube::Client::try_from(config).unwrap()
            }
            Of::Real(real) => real.client(),
        }
    }
}

// === impl Adapter ===

impl Adapter {
    /// An adapter with these mappings, not started yet.
    pub fn new(
        folder: &Folder,
        name: &str,
        cluster: &Cluster,
        mappings: &Path,
        sink: Option<&Recorder>,
    ) -> Self {
        let adapter = Self::at(folder, name, &cluster.kubeconfig, mappings, sink);
        if let Of::Real(_) = cluster.of {
            // What other tests do elsewhere is not seen here.
            let namespace = &cluster.namespace;
            adapter.settings(&format!("{{namespace: {namespace}, watchNamespace: {namespace}}}"));
        }
        adapter
    }

    /// The same for a cluster that a kubeconfig leads to.
    pub fn at(
        folder: &Folder,
        name: &str,
        kubeconfig: &Path,
        mappings: &Path,
        sink: Option<&Recorder>,
    ) -> Self {
        let secret = folder.write("secret", SECRET);
        let settings = folder.write(
            &format!("{name}.yaml"),
            &format!(
                "apiVersion: pipewright.dev/v1alpha1\nkind: Source\nmetadata: {{name: github}}\n\
                 spec: {{forge: github, secrets: [{{file: {}}}]}}\n\
                 ---\napiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec: {{insecureEvents: true}}\n",
                secret.display()
            ),
        );
        let [port, admin] = free_ports();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let command = vec![
            "serve".into(),
            "--settings".into(),
            text(&settings),
            "--listen".into(),
            format!("127.0.0.1:{port}"),
            "--admin-listen".into(),
            format!("127.0.0.1:{admin}"),
            "--mappings".into(),
            text(mappings),
            "--kubeconfig".into(),
            text(kubeconfig),
            "--drain-seconds".into(),
            "1".into(),
            "--log-level".into(),
            "warn".into(),
        ];
        Self {
            url: format!("http://127.0.0.1:{port}"),
            admin: format!("http://127.0.0.1:{admin}"),
            command,
            sink: sink.map(|sink| sink.url.clone()),
            environment: Vec::new(),
            log: folder.path().join(format!("{name}.log")),
            child: None,
        }
    }

    /// A variable of its environment.
    pub fn environment(&mut self, name: &'static str, value: &'static str) {
        self.environment.push((name, value));
    }

    /// Starts it; does not wait.
    pub fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        self.start_with(Stdio::from(log));
    }

    /// Sets the level of its log. Before the start.
    pub fn log_level(&mut self, level: &str) {
        let at = self.command.iter().position(|word| word == "--log-level").unwrap();
        level.clone_into(&mut self.command[at + 1]);
    }

    /// Starts it with another standard error; does not wait.
    pub fn start_with(&mut self, log: Stdio) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
        command.args(&self.command).stderr(log).env_remove("K_SINK").env_remove("KUBECONFIG");
        command.env_remove("POD_NAMESPACE").env_remove("NAMESPACE");
        if let Some(sink) = &self.sink {
            command.env("K_SINK", sink);
        }
        command.envs(self.environment.iter().copied());
        self.child = Some(Kill(command.spawn().unwrap()));
    }

    /// Takes CloudEvents with this token only, and not from everybody. Before the start.
    pub fn event_token(&self, folder: &Folder, token: &str) {
        let path = &self.command[self.command.iter().position(|word| word == "--settings").unwrap() + 1];
        let text = std::fs::read_to_string(path).unwrap();
        let token = format!("eventTokens: [{{file: {}}}]", folder.write("event-token", token).display());
        std::fs::write(path, text.replace("insecureEvents: true", &token)).unwrap();
    }

    /// Adds settings before the start: the fields of `spec` as a YAML flow.
    pub fn settings(&self, spec: &str) {
        let path = &self.command[self.command.iter().position(|word| word == "--settings").unwrap() + 1];
        let text = std::fs::read_to_string(path).unwrap();
        // There is one such document; its spec is a flow on one line.
        let spec = spec.strip_prefix('{').and_then(|spec| spec.strip_suffix('}')).unwrap();
        let begin = "---\napiVersion: pipewright.dev/v1alpha1\nkind: Settings\nspec: {";
        let text = match text.split_once(begin) {
            Some((others, fields)) => format!("{others}{begin}{spec}, {fields}"),
            None => format!("{text}{begin}{spec}}}\n"),
        };
        std::fs::write(path, text).unwrap();
    }

    /// Has it work in one namespace only. Before the start.
    pub fn namespace(&mut self, namespace: &str) {
        self.command.extend(["--namespace".to_owned(), namespace.to_owned()]);
    }

    /// Makes leadership change hands within seconds. Before the start.
    pub fn short_lease(&self) {
        self.settings("{leaderElection: {leaseDuration: PT3S, renewDeadline: PT2S, retryPeriod: PT0.2S}}");
    }

    /// Resident memory of the process in KiB.
    pub fn resident(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.as_ref().unwrap().0.id());
        let text = std::fs::read_to_string(status).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Processor time that it has used.
    pub fn cpu(&self) -> Duration {
        let stat = format!("/proc/{}/stat", self.child.as_ref().unwrap().0.id());
        let text = std::fs::read_to_string(stat).unwrap();
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        // User and system time, in hundredths of a second.
        let ticks: u64 = [11, 12].iter().map(|place| fields[*place].parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// The sum of a metric over all its labels; 0 when it has no series.
    pub async fn metric(&self, name: &str) -> f64 {
        let text =
            super::http().get(format!("{}/metrics", self.admin)).send().await.unwrap().text().await.unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix([' ', '{']))
            .map(|rest| rest.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Waits for readiness.
    pub async fn ready(&self) {
        let url = format!("{}/readyz", self.admin);
        let deadline = Instant::now() + Duration::from_secs(20);
        while status(&url).await != Some(200) {
            assert!(Instant::now() < deadline, "not ready: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child = None;
    }

    /// `SIGTERM`; the process goes on until it is done.
    pub fn terminate(&self) {
        let pid = self.child.as_ref().unwrap().0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the end of a process that was asked to end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.as_mut().unwrap().0.wait().unwrap()
    }

    /// The most memory that the running process has had, in KiB; `None` when it is gone.
    pub fn peak_memory(&self) -> Option<u64> {
        let pid = self.child.as_ref()?.0.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// The value of a metric without labels; `None` when the process does not answer.
    pub async fn metric_if_running(&self, client: &reqwest::Client, name: &str) -> Option<f64> {
        let request = client.get(format!("{}/metrics", self.admin)).timeout(Duration::from_secs(1));
        let response = request.send().await.ok()?;
        let text = response.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

// === impl Recorder ===

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let recorder = Self {
            url: format!("http://{}/", listener.local_addr().unwrap()),
            events: Arc::default(),
            delay: Arc::default(),
            failures: Arc::default(),
        };
        let data = web::Data::new(recorder.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(4 << 20))
                .default_service(web::to(take))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        tokio::spawn(server);
        recorder
    }

    /// Looks at what was accepted.
    pub fn events<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.events.lock().unwrap())
    }

    /// What was accepted since the last call.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }

    /// Makes it answer 503 to so many of each hundred requests, and to half of these after it has kept the event.
    pub fn fail(&self, percent: usize, seed: u64) {
        *self.failures.lock().unwrap() = Failures { percent, random: Random(seed), count: 0 };
    }

    /// How often it failed on purpose.
    pub fn failures(&self) -> usize {
        self.failures.lock().unwrap().count
    }

    /// Makes it answer late.
    pub fn delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }
}

async fn take(request: HttpRequest, body: web::Bytes, recorder: web::Data<Recorder>) -> HttpResponse {
    // Looks again now and then: a shorter delay also counts for those that wait.
    let begun = Instant::now();
    loop {
        let left = recorder.delay.lock().unwrap().saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left.min(Duration::from_millis(50))).await;
    }
    let (fails, keeps) = {
        let mut failures = recorder.failures.lock().unwrap();
        let fails = failures.random.below(100) < failures.percent;
        failures.count += usize::from(fails);
        (fails, !fails || failures.random.below(2) == 0)
    };
    if !keeps {
        return HttpResponse::ServiceUnavailable().finish();
    }
    let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let events = pipewright::event::http::decode(headers, body).unwrap();
    recorder.events.lock().unwrap().extend(events);
    if fails { HttpResponse::ServiceUnavailable().finish() } else { HttpResponse::Accepted().finish() }
}

/// Posts a signed webhook; the status and the value of `X-Pipewright-Result`, or why there was no answer.
pub async fn post_webhook(
    client: &reqwest::Client,
    url: &str,
    event: &str,
    delivery: &str,
    body: &[u8],
) -> Result<(u16, String), reqwest::Error> {
    let response = client
        .post(format!("{url}/webhooks/github"))
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", delivery)
        .header("x-hub-signature-256", signature::sign(SECRET.as_bytes(), body))
        .body(body.to_vec())
        .send()
        .await?;
    let result =
        response.headers().get("x-pipewright-result").map(|value| value.to_str().unwrap().to_owned());
    Ok((response.status().as_u16(), result.unwrap_or_default()))
}

/// The status of a GET; `None` without an answer.
pub async fn status(url: &str) -> Option<u16> {
    super::http().get(url).send().await.ok().map(|response| response.status().as_u16())
}

/// The folder of shipped mappings.
pub fn shipped_mappings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings")
}

/// One of our own payloads.
pub fn fixture(name: &str) -> serde_json::Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/github").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Ports that are free now.
pub fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
