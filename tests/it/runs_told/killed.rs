//! Runs end and are deleted while a sink is away and leaders are killed: none is silently gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{DeleteParams, DynamicObject};

use super::{advance, create, told_if};
use crate::support::BUILD_PIPELINE;
use crate::support::ground::{Ground, on_both_clusters};
use crate::support::process::{Adapter, Cluster, Folder, Random};
use crate::support::service::{Receiver, pipeline_runs};

on_both_clusters! {
    no_deleted_run_is_silently_gone_with_a_leader_that_is_killed,
}

/// How much of it.
struct Size {
    runs: usize,
    kills: usize,
    /// The most milliseconds between two runs.
    pause: usize,
    seed: u64,
}

/// How often each event came, by run and predicate and then by id.
type Arrived = BTreeMap<(String, String), BTreeMap<String, usize>>;

async fn no_deleted_run_is_silently_gone_with_a_leader_that_is_killed(ground: Ground) {
    killed(ground, Size { runs: 40, kills: 4, pause: 100, seed: 7 }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; `make soak` runs it"]
async fn soak_of_deleted_runs_and_killed_leaders() {
    for seed in 1..=5 {
        killed(Ground::embedded(), Size { runs: 400, kills: 12, pause: 100, seed }).await;
    }
}

/// Two replicas over one cluster, and the sink of both.
struct Killed {
    replicas: [Adapter; 2],
    api: Api<DynamicObject>,
    receiver: Receiver,
    random: Random,
    kills: usize,
    _cluster: Cluster,
    _folder: Folder,
}

// === impl Killed ===

impl Killed {
    async fn start(ground: &Ground, seed: u64) -> Self {
        let folder = Folder::kept("killed");
        let cluster = Cluster::on(ground, &folder, BUILD_PIPELINE, None).await;
        let mappings = folder.path().join("mappings");
        std::fs::create_dir(&mappings).unwrap();
        let receiver = Receiver::start().await;
        let sink: &str = format!("http://{}/", receiver.address).leak();
        let mut replicas = ["one", "two"].map(|name| Adapter::new(&folder, name, &cluster, &mappings, None));
        for replica in &mut replicas {
            replica.environment("K_SINK", sink);
            replica.short_lease();
            replica.start();
        }
        for replica in &replicas {
            replica.ready().await;
        }
        let api = Api::default_namespaced_with(cluster.client(), &pipeline_runs());
        Self { replicas, api, receiver, random: Random(seed), kills: 0, _cluster: cluster, _folder: folder }
    }

    async fn pause(&mut self, most: usize) {
        tokio::time::sleep(Duration::from_millis(self.random.below(most) as u64)).await;
    }

    /// `kill -9` of the leader, every other time of both, every fifth time an end in good order, and a start at once or a
    /// little later. Now and then all goes on while nobody leads.
    async fn kill(&mut self) {
        self.kills += 1;
        let both = self.kills.is_multiple_of(2);
        let mut ended = Vec::new();
        for (place, replica) in self.replicas.iter_mut().enumerate() {
            let client = crate::support::http();
            let leads = replica.metric_if_running(&client, "pipewright_leader").await;
            if both || leads.is_some_and(|leads| leads > 0.5) {
                if self.kills.is_multiple_of(5) {
                    replica.terminate();
                    tokio::task::block_in_place(|| replica.wait());
                }
                replica.kill();
                ended.push(place);
            }
        }
        self.pause(500).await;
        for place in ended {
            self.replicas[place].start();
        }
        if self.random.below(2) == 0 {
            while !self.leads().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn leads(&self) -> bool {
        let client = crate::support::http();
        for replica in &self.replicas {
            let leads = replica.metric_if_running(&client, "pipewright_leader").await;
            if leads.is_some_and(|leads| leads > 0.5) {
                return true;
            }
        }
        false
    }

    /// A whole life; a kill falls between any two steps of it.
    async fn live(&mut self, name: &str, ends: bool, kills: bool) {
        let step = if kills { self.random.below(4) } else { 4 };
        create(&self.api, name).await;
        if step == 0 {
            self.kill().await;
        }
        advance(&self.api, name, "Unknown").await;
        if step == 1 {
            self.kill().await;
        }
        if ends {
            advance(&self.api, name, "True").await;
        }
        if step == 2 {
            self.kill().await;
        }
        self.api.delete(name, &DeleteParams::default()).await.unwrap();
        if step == 3 {
            self.pause(5).await;
            self.kill().await;
        }
    }

    fn read(&self, arrived: &mut Arrived) {
        for (predicate, name, event) in told_if(&self.receiver, |status| status == "202") {
            let id = event["id"].as_str().unwrap().to_owned();
            *arrived.entry((name, predicate)).or_default().entry(id).or_default() += 1;
        }
    }

    /// The lines of the logs that tell of a loss.
    fn losses(&self) -> Vec<String> {
        let logs = self.replicas.iter().map(Adapter::log).collect::<String>();
        let lines = logs.lines().filter(|line| line.contains("are lost"));
        lines.map(str::to_owned).collect()
    }
}

async fn killed(ground: Ground, size: Size) {
    let Size { runs, kills, pause, seed } = size;
    let began = Instant::now();
    let mut killed = Killed::start(&ground, seed).await;
    killed.receiver.answer(503);
    for number in 0..runs {
        let kills_here = (1..=kills).any(|kill| kill * runs / (kills + 1) == number);
        killed.live(&format!("gone-{number}"), number % 5 != 0, kills_here).await;
        killed.pause(pause).await;
    }
    killed.receiver.answer(202);
    // Once more while all is told.
    killed.pause(300).await;
    killed.kill().await;
    let wanted: BTreeSet<(String, String)> = (0..runs)
        .flat_map(|number| {
            ["queued", "started", "finished"].map(|it| (format!("gone-{number}"), it.to_owned()))
        })
        .collect();
    let mut arrived = Arrived::new();
    let away = Instant::now();
    let mut last = Instant::now();
    while !wanted.iter().all(|it| arrived.contains_key(it)) && last.elapsed() < Duration::from_secs(40) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = arrived.len();
        killed.read(&mut arrived);
        if arrived.len() > before {
            last = Instant::now();
        }
    }
    // What would come twice comes by then.
    tokio::time::sleep(Duration::from_secs(2)).await;
    killed.read(&mut arrived);
    let missing: Vec<_> = wanted.iter().filter(|it| !arrived.contains_key(*it)).collect();
    let losses = killed.losses();
    let again = arrived.values().flat_map(BTreeMap::values).filter(|count| **count > 1).count();
    let mut counted = 0.0;
    for replica in &killed.replicas {
        counted += replica.metric("pipewright_transitions_lost_total").await;
    }
    println!(
        "seed {seed}: {runs} runs, {} kills ({} of both replicas), {} of {} transitions told, {again} of them \
         more than once, {counted} runs counted as lost, {} losses in the logs, {:.0?} after the sink was back, {:.0?} in all",
        killed.kills,
        killed.kills / 2,
        arrived.len(),
        wanted.len(),
        losses.len(),
        away.elapsed(),
        began.elapsed()
    );
    // What is not told is named as lost.
    let silent: Vec<_> = missing
        .iter()
        .filter(|(name, _)| {
            !losses
                .iter()
                .any(|line| line.contains(&format!("{name}\"")) || line.contains(&format!("{name},")))
        })
        .collect();
    assert!(silent.is_empty(), "silently gone: {silent:?}\n{losses:?}");
    // The cluster remembers all of so short a time.
    assert!(missing.is_empty() && counted < 0.5, "{missing:?}\n{losses:?}");
    for (transition, ids) in &arrived {
        assert_eq!(ids.len(), 1, "one id: {transition:?}: {ids:?}");
        assert!(wanted.contains(transition), "{transition:?}");
    }
}
