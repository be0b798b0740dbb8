//! Rolling restarts: two replicas of the real program behind a balancer, each ended and started again in turn while
//! webhooks come in, and none of them is dropped.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use pipewright::source::signature;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::BUILD_PIPELINE;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::process::{Adapter, Cluster, Folder, SECRET, fixture, shipped_mappings, status};
use crate::support::service::{Answer, Setup, read_answer};

on_both_clusters! {
    twenty_rolling_restarts_under_load_drop_no_webhook,
    while_it_drains_new_connections_are_served_and_kept_ones_end_with_their_answer,
    a_request_written_while_its_connection_closes_is_answered_or_can_be_sent_again,
}

/// A signed delivery of a pull request of its own.
fn request(template: &Value, number: usize) -> Vec<u8> {
    let mut payload = template.clone();
    payload["number"] = json!(number);
    payload["pull_request"]["number"] = json!(number);
    payload["pull_request"]["head"]["sha"] = json!(format!("{number:040x}"));
    let body = serde_json::to_vec(&payload).unwrap();
    let mut request = format!(
        "POST /webhooks/github HTTP/1.1\r\nhost: pipewright\r\ncontent-type: application/json\r\n\
         x-github-event: pull_request\r\nx-github-delivery: {number:08x}-0000-4000-8000-000000000000\r\n\
         x-hub-signature-256: {}\r\ncontent-length: {}\r\n\r\n",
        signature::sign(SECRET.as_bytes(), &body),
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}

/// A backend as the balancer sees it.
struct Backend {
    address: SocketAddr,
    ready: AtomicBool,
    /// Connections that are kept for the next request.
    idle: Mutex<Vec<TcpStream>>,
}

/// What a proxy in front of two pods does: it sends each request to a pod that is ready, on a connection that is kept
/// if there is one, and looks whether it is still open. It tries again at the other pod, once, when a connection is
/// refused, because then nothing was sent. It never sends a request twice for another reason: a reset, an end without
/// an answer, or any status is the answer.
struct Balancer {
    backends: Vec<Backend>,
    turn: AtomicUsize,
    refused: AtomicUsize,
    reused: AtomicUsize,
    told_to_close: AtomicUsize,
}

impl Balancer {
    fn new(adapters: &[Adapter]) -> Arc<Self> {
        let address = |url: &str| url.strip_prefix("http://").unwrap().parse().unwrap();
        let backends = adapters.iter().map(|adapter| Backend {
            address: address(&adapter.url),
            ready: AtomicBool::new(false),
            idle: Mutex::default(),
        });
        let balancer = Arc::new(Self {
            backends: backends.collect(),
            turn: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            reused: AtomicUsize::new(0),
            told_to_close: AtomicUsize::new(0),
        });
        for (place, adapter) in adapters.iter().enumerate() {
            let (balancer, url) = (Arc::clone(&balancer), format!("{}/readyz", adapter.admin));
            tokio::spawn(async move {
                loop {
                    let backend = &balancer.backends[place];
                    let ready = status(&url).await == Some(200);
                    backend.ready.store(ready, Ordering::Relaxed);
                    if !ready {
                        // An endpoint that is taken out gets nothing more, on no connection.
                        backend.idle.lock().unwrap().clear();
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            });
        }
        balancer
    }

    fn is_ready(&self, place: usize) -> bool {
        self.backends[place].ready.load(Ordering::Relaxed)
    }

    async fn send(&self, request: &[u8]) -> Result<Answer, String> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut order = [first % 2, (first + 1) % 2];
        order.sort_by_key(|place| !self.is_ready(*place));
        for place in order {
            let backend = &self.backends[place];
            let kept = std::iter::from_fn(|| backend.idle.lock().unwrap().pop()).find(is_open);
            let mut stream = if let Some(stream) = kept {
                self.reused.fetch_add(1, Ordering::Relaxed);
                stream
            } else {
                match TcpStream::connect(backend.address).await {
                    Ok(stream) => stream,
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    Err(error) => return Err(format!("connect: {error}")),
                }
            };
            stream.write_all(request).await.map_err(|error| format!("write: {error}"))?;
            let answer = answer(&mut stream).await?;
            if answer.header("connection") == "close" {
                self.told_to_close.fetch_add(1, Ordering::Relaxed);
            } else if backend.ready.load(Ordering::Relaxed) {
                backend.idle.lock().unwrap().push(stream);
            }
            return Ok(answer);
        }
        Err("both replicas refused the connection".into())
    }
}

/// Whether the other side has neither closed nor said anything.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Reads one answer, or says how the connection ended instead.
async fn answer(stream: &mut TcpStream) -> Result<Answer, String> {
    match stream.peek(&mut [0]).await {
        Ok(0) => Err("closed without an answer".into()),
        Ok(_) => Ok(read_answer(stream).await),
        Err(error) => Err(format!("read: {error}")),
    }
}

/// How many runs there are.
pub async fn count_runs(client: &kube::Client) -> usize {
    built(client).await.len()
}

/// The numbers of the pull requests that have a run.
async fn built(client: &kube::Client) -> Vec<usize> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", "PipelineRun"));
    let runs = Api::<DynamicObject>::default_namespaced_with(client.clone(), &resource);
    let list = runs.list(&ListParams::default()).await.unwrap();
    let number =
        |run: &DynamicObject| run.metadata.labels.as_ref().unwrap()["example.com/pull-request"].parse();
    list.items.iter().map(|run| number(run).unwrap()).collect()
}

async fn twenty_rolling_restarts_under_load_drop_no_webhook(ground: Ground) {
    const RESTARTS: usize = 20;
    let folder = Folder::new("rolling");
    let cluster = Cluster::on(&ground, &folder, BUILD_PIPELINE, None).await;
    let mut adapters =
        ["one", "two"].map(|name| Adapter::new(&folder, name, &cluster, &shipped_mappings(), None));
    for adapter in &mut adapters {
        adapter.start();
        adapter.ready().await;
    }
    let balancer = Balancer::new(&adapters);
    while !(balancer.is_ready(0) && balancer.is_ready(1)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicUsize::new(1));
    let is_real = ground.is_real();
    let senders: Vec<_> = (0..6)
        .map(|_| {
            let (balancer, stop, next) = (Arc::clone(&balancer), Arc::clone(&stop), Arc::clone(&next));
            tokio::spawn(async move {
                let template = fixture("pull_request.opened.json");
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let mut answer = balancer.send(&request(&template, number)).await;
                    // The real cluster may be slower than a deadline; then the sender keeps its event, and sends again.
                    while is_real && matches!(&answer, Ok(answer) if answer.status == 503) {
                        answer = balancer.send(&request(&template, number)).await;
                    }
                    answers.push((number, answer.map(|answer| (answer.status, answer.result().to_owned()))));
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answers
            })
        })
        .collect();

    let begun = Instant::now();
    for restart in 0..RESTARTS {
        let place = restart % 2;
        let adapter = &mut adapters[place];
        adapter.terminate();
        let ended = tokio::task::block_in_place(|| adapter.wait());
        assert_eq!(ended.code(), Some(0), "{}", adapter.log());
        adapter.start();
        adapter.ready().await;
        while !balancer.is_ready(place) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Some requests meet both before the other one goes.
        let seen = next.load(Ordering::Relaxed);
        while next.load(Ordering::Relaxed) < seen + 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let took = begun.elapsed();
    let mut answers = Vec::new();
    for sender in senders {
        answers.extend(sender.await.unwrap());
    }
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{RESTARTS} restarts in {took:.0?}, {} webhooks, {} on kept connections, {} told to close, {} connections \
         refused and taken elsewhere",
        answers.len(),
        count(&balancer.reused),
        count(&balancer.told_to_close),
        count(&balancer.refused)
    );
    // An answer of the cluster that comes too late for its call is asked for again, and then the run is there.
    let wrong: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| !matches!(answer, Ok((202, result)) if ["created", "duplicate"].contains(&result.as_str())))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{}\n{}", adapters[0].log(), adapters[1].log());
    assert!(answers.len() > 10 * RESTARTS, "{} webhooks show little", answers.len());
    assert!(count(&balancer.told_to_close) > 0 && count(&balancer.reused) > 0, "connections were not kept");
    let runs = built(&cluster.client()).await;
    let sent: BTreeSet<usize> = answers.iter().map(|(number, _)| *number).collect();
    assert_eq!(runs.len(), answers.len(), "one run each");
    assert_eq!(runs.into_iter().collect::<BTreeSet<_>>(), sent);
}

async fn while_it_drains_new_connections_are_served_and_kept_ones_end_with_their_answer(ground: Ground) {
    let folder = Folder::new("drain");
    let cluster = Cluster::on(&ground, &folder, BUILD_PIPELINE, None).await;
    let mut adapter = Adapter::new(&folder, "adapter", &cluster, &shipped_mappings(), None);
    adapter.start();
    adapter.ready().await;
    let address: SocketAddr = adapter.url.strip_prefix("http://").unwrap().parse().unwrap();
    let template = fixture("pull_request.opened.json");
    let mut kept = TcpStream::connect(address).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    for (number, stream) in [&mut kept, &mut idle].into_iter().enumerate() {
        stream.write_all(&request(&template, number + 1)).await.unwrap();
        let answer = read_answer(stream).await;
        answer.accepted("created");
        assert_eq!(answer.header("connection"), "");
    }
    adapter.terminate();
    let readyz = format!("{}/readyz", adapter.admin);
    while status(&readyz).await != Some(503) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut new = TcpStream::connect(address).await.unwrap();
    // Both at once: one answer may take as long as it drains.
    for (number, stream) in [&mut kept, &mut new].into_iter().enumerate() {
        stream.write_all(&request(&template, number + 3)).await.unwrap();
    }
    for stream in [&mut kept, &mut new] {
        let answer = read_answer(stream).await;
        answer.accepted("created");
        assert_eq!(answer.header("connection"), "close");
        assert_eq!(
            stream.read(&mut [0; 16]).await.unwrap(),
            0,
            "it closes after its answer, and is not reset"
        );
    }
    // One that nobody used meanwhile ends in the same way.
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
    assert_eq!(tokio::task::block_in_place(|| adapter.wait()).code(), Some(0));
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(built(&cluster.client()).await.len(), 4);
}

/// A server may close a kept connection at the moment at which a client writes on it. HTTP/1.1 has no cure for that
/// but the client's: to send again. Then it must be harmless.
async fn a_request_written_while_its_connection_closes_is_answered_or_can_be_sent_again(ground: Ground) {
    const TRIALS: usize = 24;
    let start = async || Setup::over(&ground).shipped("pull-request-build").start().await;
    let template = fixture("pull_request.opened.json");
    let survivor = start().await;
    let (mut answered, mut again) = (0, 0);
    for number in 1..=TRIALS {
        let ending = start().await;
        let mut stream = TcpStream::connect(ending.address).await.unwrap();
        stream.write_all(b"OPTIONS /events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        read_answer(&mut stream).await;
        let request = request(&template, number);
        let client = async {
            // Earlier and later than the end, by turns.
            match number % 4 {
                0 => {}
                1 => tokio::task::yield_now().await,
                2 => std::thread::sleep(Duration::from_micros(100)),
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
            stream.write_all(&request).await.map_err(|error| format!("write: {error}"))?;
            answer(&mut stream).await
        };
        let (result, ()) = tokio::join!(client, ending.stop());
        if let Ok(answer) = result {
            answer.accepted("created");
            answered += 1;
        } else {
            let mut stream = TcpStream::connect(survivor.address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            assert_eq!(read_answer(&mut stream).await.status, 202);
            again += 1;
        }
        assert_eq!(survivor.runs().await.len(), number);
    }
    println!("{answered} answered, {again} sent again, {TRIALS} runs");
    survivor.stop().await;
}
