//! Two replicas that are killed again and again, over a cluster and a sink that fail, while webhooks come in.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use pipewright_embedded::faults::{Fault, Mix};
use pipewright_embedded::{Memory, Options, PlayerOptions, Served, write_kubeconfig};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::arrivals::{Arrivals, PIPELINE_RUN, TASK_RUN};
use crate::support::delivery::{Progress, built, unfinished};
use crate::support::process::{Adapter, Folder, Random, Recorder, shipped_mappings};
use crate::support::sender::{Seen, Sender};
use crate::support::{BUILD_PIPELINE, http};

/// Of each hundred calls to the API server so many fail …
const FAILING_CALLS: u8 = 30;
/// … and of each hundred to the sink so many.
const FAILING_SENDS: usize = 10;
/// The seconds after which the past is forgotten: watches then get 410, and list.
const FORGETTING: u32 = 20;

/// How much of it.
struct Size {
    webhooks: usize,
    kills: usize,
    /// Webhooks under way at once.
    senders: usize,
}

/// The cluster, the sink and the two replicas.
struct Soak {
    memory: Memory,
    http: reqwest::Client,
    recorder: Recorder,
    replicas: [Adapter; 2],
    seen: Arc<Seen>,
    arrivals: Arrivals,
    kills: usize,
    peak_memory: u64,
    began: Instant,
    told: Instant,
    size: Size,
    _folder: Folder,
    _served: Served,
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_killed_over_a_failing_cluster_lose_and_double_nothing() {
    soak(Size { webhooks: 600, kills: 6, senders: 32 }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `make soak` runs it"]
async fn soak_of_ten_thousand_webhooks_and_fifty_kills() {
    soak(Size { webhooks: 10_000, kills: 50, senders: 64 }).await;
}

async fn soak(size: Size) {
    let (webhooks, senders) = (size.webhooks, size.senders);
    let mut soak = Soak::start(size).await;
    // Ends with this function.
    let mut beside = JoinSet::new();
    beside.spawn(trouble(soak.memory.clone()));
    let sender = Sender {
        cluster: soak.memory.client("default"),
        urls: soak.replicas.each_ref().map(|replica| replica.url.clone()).into(),
        webhooks,
        senders,
        allowed: watch::channel(webhooks).1,
    };
    let sender = beside.spawn(sender.send(soak.seen.clone()));
    soak.kill_again_and_again(&sender, &mut beside).await;
    soak.until_sent(&sender, &mut beside).await;

    let mut numbers = built(&soak.memory.client("default"), None).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=webhooks).collect::<Vec<_>>(), "one run each: {soak}");
    soak.until_announced().await;
    for replica in &soak.replicas {
        replica.ready().await;
    }
    soak.look().await;
    soak.arrivals.assert_complete(webhooks);
    for replica in &soak.replicas {
        // The counters of killed processes are gone; their logs are not.
        assert!(!replica.log().contains("was not made for this event"), "a name was taken");
    }
    assert!(soak.seen.broken() > 0, "no kill met a request; they prove nothing");
    let mix = soak.memory.faults().mix(None).unwrap();
    for (fault, met) in mix.met() {
        assert!(met > 0, "{fault:?} met no call: {mix:?}");
    }
    let failed: u64 = mix.met().map(|(_, met)| met).sum();
    println!("{soak}; 0 missing, 0 extra, one id each; {failed} of {} calls failed", mix.requests());
}

/// The faults of the calls: a quarter each of what is refused, throttled, lost and lost after it was done, and a
/// fifth of all of them stalls.
fn mix() -> Mix {
    let stall = Duration::from_secs(3);
    let often = [
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 1),
        Fault::Status(StatusCode::TOO_MANY_REQUESTS, 1),
        Fault::ResetBefore,
        Fault::ResetAfter,
    ];
    let stalls = [Fault::Stall(stall), Fault::Late(stall), Fault::Delay(stall)];
    Mix::new(FAILING_CALLS, often.iter().cycle().take(12).chain(&stalls).copied().collect(), 50)
}

/// Cuts the watches every second, and forgets the past now and then.
async fn trouble(memory: Memory) {
    for second in 1_u32.. {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if second.is_multiple_of(FORGETTING) {
            memory.faults().expire_served_watches();
        } else {
            memory.faults().cut_served_watches();
        }
    }
}

// === impl Soak ===

impl Soak {
    async fn start(size: Size) -> Self {
        let folder = Folder::kept("soak");
        let player = PlayerOptions { task_duration: Duration::from_millis(50), ..PlayerOptions::default() };
        let memory = Memory::start(Options { player: Some(player), ..Options::default() });
        memory.apply_yaml(BUILD_PIPELINE).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let served = memory.serve(tokio::net::TcpListener::from_std(listener).unwrap()).unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        write_kubeconfig(&kubeconfig, &served.url()).unwrap();
        let recorder = Recorder::start();
        let mut replicas = ["one", "two"]
            .map(|name| Adapter::at(&folder, name, &kubeconfig, &shipped_mappings(), Some(&recorder)));
        for replica in &mut replicas {
            replica.short_lease();
            replica.start();
        }
        for replica in &replicas {
            replica.ready().await;
        }
        memory.faults().mix(Some(mix()));
        recorder.fail(FAILING_SENDS, 50);
        let now = Instant::now();
        Self {
            memory,
            http: http(),
            recorder,
            replicas,
            seen: Arc::default(),
            arrivals: Arrivals::default(),
            kills: 0,
            peak_memory: 0,
            began: now,
            told: now,
            size,
            _folder: folder,
            _served: served,
        }
    }

    /// Kills spread over the whole of it, at moments that nobody chose; now and then both replicas at once.
    async fn kill_again_and_again(&mut self, sender: &tokio::task::AbortHandle, tasks: &mut JoinSet<()>) {
        let mut random = Random(50);
        while self.kills < self.size.kills {
            let due = self.size.webhooks * (self.kills + 1) / (self.size.kills + 1);
            self.until_acknowledged(due, sender, tasks).await;
            tokio::time::sleep(Duration::from_millis(random.below(300) as u64)).await;
            let first = random.below(2);
            self.kill(first).await;
            if random.below(4) == 0 && self.kills < self.size.kills {
                tokio::time::sleep(Duration::from_millis(random.below(200) as u64)).await;
                self.kill(1 - first).await;
            }
        }
    }

    /// Waits until so many webhooks are acknowledged.
    async fn until_acknowledged(
        &mut self,
        count: usize,
        sender: &tokio::task::AbortHandle,
        tasks: &mut JoinSet<()>,
    ) {
        let mut progress = Progress::new();
        while self.seen.count() < count {
            assert!(progress.goes_on(self.seen.count()), "nothing is acknowledged any more: {self}");
            if sender.is_finished() {
                tasks.join_next().await.unwrap().unwrap();
            }
            self.look().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the end of the sender.
    async fn until_sent(&mut self, sender: &tokio::task::AbortHandle, tasks: &mut JoinSet<()>) {
        self.until_acknowledged(self.size.webhooks, sender, tasks).await;
    }

    /// Waits until every transition has arrived.
    async fn until_announced(&mut self) {
        let mut progress = Progress::new();
        let all = self.size.webhooks * (PIPELINE_RUN.len() + TASK_RUN.len());
        while self.arrivals.transitions() < all {
            if !progress.goes_on(self.arrivals.transitions()) {
                let open = unfinished(&self.memory.client("default")).await;
                panic!("no transition arrives any more, {open} runs are not finished: {self}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.look().await;
        }
    }

    /// `kill -9`, and a start at once.
    async fn kill(&mut self, replica: usize) {
        self.note(replica).await;
        self.replicas[replica].kill();
        self.kills += 1;
        let promised = self.seen.acknowledged();
        self.replicas[replica].start();
        // Each was looked for when it was acknowledged; whether they stay is seen now and then, for it takes long.
        if self.kills.is_multiple_of(10) {
            let mut exists = vec![false; self.size.webhooks + 1];
            for number in built(&self.memory.client("default"), None).await {
                exists[number] = true;
            }
            let missing: Vec<_> = promised.into_iter().filter(|number| !exists[*number]).collect();
            assert!(missing.is_empty(), "acknowledged without a run after kill {}: {missing:?}", self.kills);
        }
    }

    /// Takes down what the replica can tell before it is gone.
    async fn note(&mut self, replica: usize) {
        let adapter = &self.replicas[replica];
        self.peak_memory = self.peak_memory.max(adapter.peak_memory().unwrap_or_default());
        // It may be starting still.
        if let Some(conflicts) = adapter.metric_if_running(&self.http, "pipewright_name_conflict_total").await
        {
            assert!(conflicts == 0.0, "{conflicts} names were taken");
        }
    }

    /// Reads what arrived, and says every few seconds how it goes.
    async fn look(&mut self) {
        self.arrivals.read(&self.recorder);
        if self.told.elapsed() > Duration::from_secs(5) {
            self.told = Instant::now();
            for replica in 0..2 {
                self.note(replica).await;
            }
            println!("{self}");
        }
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = &self.seen;
        write!(
            f,
            "{} s: {} of {} webhooks acknowledged ({} as duplicates), {} answers 429 or 503, {} requests cut off, \
             slowest {:.1} s; {} kills; {} transitions arrived and {} again; {} failures of the sink; at most {} MiB \
             a replica",
            self.began.elapsed().as_secs(),
            seen.count(),
            self.size.webhooks,
            seen.duplicates(),
            seen.refused(),
            seen.broken(),
            seen.slowest().as_secs_f64(),
            self.kills,
            self.arrivals.transitions(),
            self.arrivals.again(),
            self.recorder.failures(),
            self.peak_memory / 1024,
        )
    }
}
