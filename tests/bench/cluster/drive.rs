//! One round: pushes at a pace, and what became of them.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use pipewright_cluster::Cluster;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;
use tower::{Service as _, ServiceExt as _};

use super::PATIENCE;
use super::contender::{Contender, Push};
use super::exists::{self, Exists};
use crate::median;
use crate::process::{cpu_seconds, resident_megabytes};

/// No two pushes of a run are of the same commit.
static NUMBER: AtomicU64 = AtomicU64::new(1);
/// Connections of an open loop; more than are ever busy.
const POOL: usize = 64;

/// How pushes follow each other.
#[derive(Clone, Copy)]
pub enum Pace {
    /// So many connections, each of which sends when it has its answer.
    Closed(usize),
    /// So many a second, whatever becomes of them.
    Open(u64),
}

/// What a round came to. Times are milliseconds: p50 and p99.
pub struct Round {
    /// Runs per second, from the first push to the last run.
    pub created: f64,
    /// From the push to its answer.
    pub accepted: (f64, f64),
    /// From the push to the sight of its run.
    pub exists: (f64, f64),
    /// CPU time of the contender's own processes for each run, in ms.
    pub own_cpu: f64,
    /// CPU time of the processes of the cluster for each run, in ms.
    pub cpu: BTreeMap<&'static str, f64>,
    /// Memory of its own processes afterwards, in MB.
    pub memory: f64,
    /// Pushes that were accepted and of which no run was seen.
    pub missing: f64,
    /// Pushes that were refused.
    pub refused: f64,
}

/// A connection that is opened when it is needed.
struct Connection {
    connector: HttpsConnector<HttpConnector>,
    uri: Uri,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// A push that was answered.
struct Answered {
    revision: String,
    /// When it was due.
    sent: Instant,
    at: Instant,
    accepted: bool,
}

/// Sends `count` pushes and waits for their runs.
pub fn run(cluster: &Cluster, contender: &Contender, pace: Pace, count: usize) -> anyhow::Result<Round> {
    let mut pushes = Vec::with_capacity(count);
    for _ in 0..count {
        pushes.push(contender.push(&cluster.token, NUMBER.fetch_add(1, Ordering::Relaxed))?);
    }
    let exists = Exists::watch(cluster, contender.namespace)?;
    let own = contender.pids()?;
    let others = ["kube-apiserver", "tekton-webhook", "etcd"];
    let other = |name: &str| cluster.processes.get(name).and_then(|it| it.pid).context("it does not run");
    let others = others.map(|name| other(name).map(|pid| (name, pid)));
    let others = others.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let own_before = own.iter().map(|pid| cpu_seconds(*pid)).sum::<anyhow::Result<f64>>()?;
    let before = others.iter().map(|(_, pid)| cpu_seconds(*pid)).collect::<anyhow::Result<Vec<f64>>>()?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let connector = connector(cluster)?;
    let uri: Uri = contender.url.parse()?;
    let begun = Instant::now();
    let local = tokio::task::LocalSet::new();
    let answered = local.block_on(&runtime, send(connector, uri, pushes, pace))?;
    wait(&exists, answered.iter().filter(|it| it.accepted).count());

    let mut seen = Vec::new();
    let mut unseen = Vec::new();
    let mut last = begun;
    for push in answered.iter().filter(|it| it.accepted) {
        match exists.at(&push.revision) {
            Some(at) => {
                seen.push(milliseconds(at.saturating_duration_since(push.sent)));
                last = last.max(at);
            }
            None => unseen.push(push.revision.as_str()),
        }
    }
    // The watch may have ended too early; what counts is what is there.
    let missing = exists::absent(cluster, contender.namespace, &unseen)?;
    ensure!(!seen.is_empty(), "{}: no run was made", contender.name);
    let runs = f64::from(u32::try_from(seen.len())?);
    let own_after = own.iter().map(|pid| cpu_seconds(*pid)).sum::<anyhow::Result<f64>>()?;
    let mut cpu = BTreeMap::new();
    for ((name, pid), before) in others.iter().zip(before) {
        cpu.insert(*name, (cpu_seconds(*pid)? - before) * 1000.0 / runs);
    }
    let answers = answered.iter().map(|it| milliseconds(it.at - it.sent)).collect();
    Ok(Round {
        created: runs / (last - begun).as_secs_f64(),
        accepted: percentiles(answers),
        exists: percentiles(seen),
        own_cpu: (own_after - own_before) * 1000.0 / runs,
        cpu,
        memory: own.iter().try_fold(0.0, |all, pid| anyhow::Ok(all + resident_megabytes(*pid)?))?,
        missing,
        refused: answered.iter().filter(|it| !it.accepted).fold(0.0, |count, _| count + 1.0),
    })
}

async fn send(
    connector: HttpsConnector<HttpConnector>,
    uri: Uri,
    pushes: Vec<Push>,
    pace: Pace,
) -> anyhow::Result<Vec<Answered>> {
    let connection = || Connection { connector: connector.clone(), uri: uri.clone(), sender: None };
    let mut tasks = Vec::new();
    match pace {
        Pace::Closed(connections) => {
            let queue = Rc::new(std::cell::RefCell::new(pushes.into_iter()));
            for _ in 0..connections {
                let (queue, mut connection) = (Rc::clone(&queue), connection());
                tasks.push(tokio::task::spawn_local(async move {
                    let mut answered = Vec::new();
                    loop {
                        let next = queue.borrow_mut().next();
                        let Some(push) = next else { return anyhow::Ok(answered) };
                        answered.push(connection.send(push, Instant::now()).await?);
                    }
                }));
            }
        }
        Pace::Open(rate) => {
            let pool: Vec<_> = (0..POOL).map(|_| Rc::new(Mutex::new(connection()))).collect();
            let begin = tokio::time::Instant::now();
            let gap = Duration::from_secs(1) / u32::try_from(rate)?;
            for (number, push) in pushes.into_iter().enumerate() {
                let due = begin + gap * u32::try_from(number)?;
                tokio::time::sleep_until(due).await;
                // The first one that is free, else the next in turn.
                let free = pool.iter().position(|it| it.try_lock().is_ok()).unwrap_or(number % POOL);
                let connection = Rc::clone(&pool[free]);
                tasks.push(tokio::task::spawn_local(async move {
                    let answered = connection.lock().await.send(push, due.into_std()).await?;
                    Ok(vec![answered])
                }));
            }
        }
    }
    let mut answered = Vec::new();
    for task in tasks {
        answered.extend(task.await??);
    }
    Ok(answered)
}

/// Until all are there, or nothing comes any more.
fn wait(exists: &Exists, wanted: usize) {
    let (mut count, mut since) = (exists.count(), Instant::now());
    while exists.count() < wanted && since.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
        if exists.count() != count {
            (count, since) = (exists.count(), Instant::now());
        }
    }
}

fn connector(cluster: &Cluster) -> anyhow::Result<HttpsConnector<HttpConnector>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut roots = RootCertStore::empty();
    roots.add(exists::authority(cluster)?.into())?;
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut http = HttpConnector::new();
    http.set_nodelay(true);
    http.enforce_http(false);
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(http))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn percentiles(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| values.get(values.len() * part / 100).copied().unwrap_or(f64::NAN);
    (at(50), at(99))
}

// === impl Connection ===

impl Connection {
    async fn send(&mut self, push: Push, sent: Instant) -> anyhow::Result<Answered> {
        let Push { revision, headers, body } = push;
        let path = self.uri.path_and_query().context("a path")?.as_str();
        let mut request =
            Request::post(path).header("host", self.uri.authority().context("a host")?.as_str());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body)))?;
        let response = self.open().await?.send_request(request).await?;
        let status = response.status();
        let closes = response.headers().get("connection").is_some_and(|it| it == "close");
        let text = response.into_body().collect().await?.to_bytes();
        if closes {
            self.sender = None;
        }
        let accepted = status.is_success();
        if !accepted && !matches!(status.as_u16(), 429 | 503) {
            bail!("{status}: {}", String::from_utf8_lossy(&text));
        }
        Ok(Answered { revision, sent, at: Instant::now(), accepted })
    }

    async fn open(&mut self) -> anyhow::Result<&mut SendRequest<Full<Bytes>>> {
        let closed = self.sender.as_ref().is_none_or(SendRequest::is_closed);
        if closed {
            let stream = self.connector.ready().await.map_err(anyhow::Error::from_boxed)?;
            let stream = stream.call(self.uri.clone()).await.map_err(anyhow::Error::from_boxed)?;
            let (sender, connection) = handshake(stream).await?;
            tokio::task::spawn_local(connection);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut().context("a connection")?;
        sender.ready().await?;
        Ok(sender)
    }
}

// === impl Round ===

impl Round {
    /// The medians of several.
    pub fn median(rounds: &[Self]) -> Self {
        let middle = |value: &dyn Fn(&Self) -> f64| median(rounds.iter().map(value).collect());
        let names = rounds.first().map(|it| it.cpu.keys().copied().collect::<Vec<_>>()).unwrap_or_default();
        Self {
            created: middle(&|it| it.created),
            accepted: (middle(&|it| it.accepted.0), middle(&|it| it.accepted.1)),
            exists: (middle(&|it| it.exists.0), middle(&|it| it.exists.1)),
            own_cpu: middle(&|it| it.own_cpu),
            cpu: names.into_iter().map(|name| (name, middle(&|it| it.cpu_of(name)))).collect(),
            memory: middle(&|it| it.memory),
            // What is lost once is lost.
            missing: rounds.iter().fold(0.0, |all, it| all + it.missing),
            refused: rounds.iter().fold(0.0, |all, it| all + it.refused),
        }
    }

    /// CPU time of a process of the cluster for each run, in ms.
    pub fn cpu_of(&self, name: &str) -> f64 {
        self.cpu.get(name).copied().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {:.0} created/s, accepted {:.1}/{:.1} ms, exists {:.1}/{:.1} ms, CPU {:.2} ms, {:.0} MB, {} missing, {} refused",
            self.created,
            self.accepted.0,
            self.accepted.1,
            self.exists.0,
            self.exists.1,
            self.own_cpu,
            self.memory,
            self.missing,
            self.refused
        )
    }
}
