//! The faults, each with what it does and how one sees that it met the adapters.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::StatusCode;
use kube::api::DeleteParams;
use pipewright_embedded::faults::{Fault, Mix};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Trial;
use crate::support::accounts::Account;
use crate::support::delivery::Progress;
use crate::support::own_cluster::OwnCluster;
use crate::support::proxy::Watches;
use crate::support::{http, leases};

/// For how long the API server is away.
const AWAY: Duration = Duration::from_secs(30);
/// Of each hundred calls to the API server so many fail.
const FAILING_CALLS: u8 = 30;
/// How often the Lease is taken away, by turns stolen and deleted.
const THEFTS: u8 = 6;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    ServerStopped,
    ServerKilled,
    EtcdKilled,
    CutOff,
    Mix,
    WatchesCut,
    LeaseTaken,
    Compaction,
    Tokens,
}

pub const TROUBLES: [Trouble; 9] = [
    Trouble::ServerStopped,
    Trouble::ServerKilled,
    Trouble::EtcdKilled,
    Trouble::CutOff,
    Trouble::Mix,
    Trouble::WatchesCut,
    Trouble::LeaseTaken,
    Trouble::Compaction,
    Trouble::Tokens,
];

// === impl Trouble ===

impl Trouble {
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerStopped => "API server stopped for 30 s",
            Self::ServerKilled => "API server killed",
            Self::EtcdKilled => "etcd killed",
            Self::CutOff => "no way to the API server for 10 s",
            Self::Mix => "30 % of the calls fail",
            Self::WatchesCut => "every watch cut after 1 s",
            Self::LeaseTaken => "Lease stolen, Lease deleted",
            Self::Compaction => "etcd compacted while nobody may watch",
            Self::Tokens => "token expires, token revoked",
        }
    }

    /// Whether the adapters reach the API server without the proxy.
    pub fn is_direct(self) -> bool {
        matches!(self, Self::ServerStopped | Self::ServerKilled | Self::EtcdKilled)
    }

    /// Whether it is the cluster itself that fails, for everybody.
    pub fn is_of_the_cluster(self) -> bool {
        self.is_direct() || self == Self::Compaction
    }

    /// Of the Lease; the usual times are 15, 10 and 2 s.
    pub fn lease_times(self) -> &'static str {
        match self {
            // The leader goes on after the restart: whoever begins to lead lists anyhow.
            Self::Compaction => "{leaseDuration: PT2M, renewDeadline: PT90S, retryPeriod: PT1S}",
            _ => "{leaseDuration: PT3S, renewDeadline: PT2S, retryPeriod: PT0.2S}",
        }
    }

    /// What the adapters begin with.
    pub async fn first_token(self, account: &Account) -> String {
        match self {
            Self::Tokens => account.expiring(10),
            _ => account.bound("first").await,
        }
    }

    /// What is wrong from the beginning.
    pub fn before(self, trial: &Trial) {
        match self {
            Self::Mix => trial.proxy.mix(mix()),
            Self::WatchesCut | Self::Tokens => trial.proxy.watches(Watches::Cut(Duration::from_secs(1))),
            _ => {}
        }
    }

    /// What goes wrong after a quarter of the webhooks, and is over when this returns; gives what was done, with its count.
    pub async fn happen(self, trial: &mut Trial, own: &OwnCluster, beside: &mut JoinSet<()>) -> String {
        match self {
            Self::ServerStopped => {
                own.ask(|cluster| cluster.stop("kube-apiserver")).await;
                trial.allow(1, 2);
                tokio::time::sleep(AWAY).await;
                own.ask(|cluster| cluster.start("kube-apiserver")).await;
                "1 SIGTERM, 1 start".into()
            }
            Self::ServerKilled => {
                own.ask(|cluster| cluster.kill("kube-apiserver")).await;
                trial.allow(1, 2);
                own.ask(|cluster| cluster.start("kube-apiserver")).await;
                "1 SIGKILL, started at once".into()
            }
            Self::EtcdKilled => {
                own.ask(|cluster| cluster.kill("etcd")).await;
                trial.allow(1, 2);
                // For longer than a webhook waits.
                tokio::time::sleep(Duration::from_secs(12)).await;
                own.ask(|cluster| cluster.start("etcd")).await;
                "1 SIGKILL, started after 12 s".into()
            }
            Self::CutOff => {
                trial.proxy.outage(true);
                trial.allow(1, 2);
                tokio::time::sleep(Duration::from_secs(10)).await;
                trial.proxy.outage(false);
                "every connection reset".into()
            }
            Self::Mix => {
                trial.allow(1, 1);
                trial.until_acknowledged(trial.webhooks, beside).await;
                trial.until_announced().await;
                format!("{} of {} calls", trial.proxy.faults(), calls(trial))
            }
            Self::WatchesCut => {
                trial.allow(1, 1);
                trial.until_acknowledged(trial.webhooks, beside).await;
                trial.until_announced().await;
                format!("{} watches", trial.proxy.faults())
            }
            Self::LeaseTaken => take_the_lease(trial).await,
            Self::Compaction => compact(trial, own, beside).await,
            Self::Tokens => rotate(trial).await,
        }
    }

    /// Asserts that the fault met the adapters.
    pub async fn assert_met(self, trial: &Trial) {
        let seen = &trial.seen;
        match self {
            Self::ServerStopped | Self::EtcdKilled | Self::CutOff => {
                assert!(seen.refused() > 0, "no webhook met it: {trial}");
            }
            // It is back before a webhook has to be refused, perhaps.
            Self::ServerKilled => {
                let met = |log: String| log.contains("the Lease") && log.contains("cannot be used");
                assert!(trial.replicas.iter().any(|replica| met(replica.log())), "nobody met it: {trial}");
            }
            Self::Mix => {
                for (fault, met) in trial.proxy.met() {
                    assert!(met > 0, "{fault:?} met no call: {trial}");
                }
            }
            Self::WatchesCut => assert!(trial.proxy.count("watch cut") > 10, "{trial}"),
            Self::LeaseTaken => {
                // Both began to lead or ceased to for every theft; after a deletion the leader may go on.
                let changes = trial.metric("pipewright_leader_transitions_total").await;
                assert!(changes > 1.0 + f64::from(THEFTS) / 2.0, "{changes} changes of the leader: {trial}");
            }
            Self::Compaction => {
                assert!(trial.proxy.count("gone") > 0, "no watch was told 410: {trial}");
                assert!(trial.metric("pipewright_watch_relists_total").await > 0.0, "nobody listed: {trial}");
            }
            Self::Tokens => {
                assert!(trial.proxy.count("server 401") > 0, "no token was refused: {trial}");
                assert!(seen.refused() > 0, "no webhook met it: {trial}");
            }
        }
    }
}

fn calls(trial: &Trial) -> usize {
    trial.proxy.count("requests") + trial.proxy.count("watches")
}

/// A quarter each of what is refused, throttled, lost and lost after it was done; a fifth of all of them stalls.
fn mix() -> Mix {
    let stall = Duration::from_secs(3);
    let often = [
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 0),
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE, 1),
        Fault::Status(StatusCode::TOO_MANY_REQUESTS, 1),
        Fault::ResetBefore,
        Fault::ResetAfter,
    ];
    let stalls = [Fault::Stall(stall), Fault::Late(stall), Fault::Delay(stall)];
    Mix::new(FAILING_CALLS, often.iter().cycle().take(15).chain(&stalls).copied().collect(), 50)
}

async fn take_the_lease(trial: &Trial) -> String {
    let leases = leases::api(&trial.admin);
    for theft in 0..THEFTS {
        trial.allow(usize::from(2 + theft), usize::from(2 + THEFTS));
        if theft % 2 == 0 {
            leases::write(&trial.admin, "thief", 1, "2026-01-01T00:00:00Z").await;
        } else {
            leases.delete("pipewright", &DeleteParams::default()).await.unwrap();
        }
        // Until one of the two is in it.
        let progress = Progress::new();
        loop {
            let lease = leases.get_opt("pipewright").await.unwrap();
            let holder = lease.and_then(|lease| lease.spec?.holder_identity);
            if holder.is_some_and(|holder| holder != "thief") {
                break;
            }
            assert!(progress.waits(), "nobody leads any more: {trial}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    format!("{} thefts, {} deletions", THEFTS.div_ceil(2), THEFTS / 2)
}

/// Runs change while nobody may watch, and then nobody remembers how: neither etcd, which forgets, nor the watch cache of
/// the API server, which begins anew.
async fn compact(trial: &mut Trial, own: &OwnCluster, beside: &mut JoinSet<()>) -> String {
    trial.proxy.watches(Watches::Refuse);
    trial.allow(1, 2);
    trial.until_acknowledged(trial.webhooks / 2, beside).await;
    let etcd = &own.cluster.etcd;
    let post = async |path: &str, body: Value| -> Value {
        let request = http().post(format!("{etcd}{path}")).body(body.to_string());
        request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
    };
    let status = post("/v3/maintenance/status", json!({})).await;
    let revision = status["header"]["revision"].as_str().unwrap().to_owned();
    post("/v3/kv/compaction", json!({"revision": revision, "physical": true})).await;
    // What is before the revision is gone indeed.
    let key = BASE64_STANDARD.encode("/registry");
    let before = revision.parse::<u64>().unwrap() - 1;
    let asked =
        http().post(format!("{etcd}/v3/kv/range")).body(json!({"key": key, "revision": before}).to_string());
    assert_eq!(asked.send().await.unwrap().status(), 400, "revision {before} is not compacted");
    own.ask(|cluster| cluster.kill("kube-apiserver")).await;
    trial.allow(3, 4);
    own.ask(|cluster| cluster.start("kube-apiserver")).await;
    trial.proxy.watches(Watches::Pass);
    let progress = Progress::new();
    while trial.proxy.count("gone") == 0 {
        assert!(progress.waits(), "no watch was told 410: {trial}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    format!("compacted at {revision}, {} watches told 410", trial.proxy.count("gone"))
}

/// The first token expires, the second is revoked; each time the next one comes late, when webhooks are refused already.
async fn rotate(trial: &Trial) -> String {
    let refused = async |quarters: usize| {
        let (before, progress) = (trial.proxy.count("server 401"), Progress::new());
        while trial.proxy.count("server 401") == before {
            assert!(progress.waits(), "no token is refused: {trial}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Webhooks meet it too, which take some seconds to be refused.
        let (before, progress) = (trial.seen.refused(), Progress::new());
        trial.allow(quarters, 4);
        while trial.seen.refused() == before {
            assert!(progress.waits(), "no webhook is refused: {trial}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let back = async || {
        let (before, progress) = (trial.seen.count(), Progress::new());
        let begin = std::time::Instant::now();
        while trial.seen.count() == before {
            assert!(progress.waits(), "the new token is not taken: {trial}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begin.elapsed().as_secs_f64()
    };
    refused(2).await;
    trial.account.write(&trial.account.bound("second").await);
    let first = back().await;
    trial.account.revoke("second").await;
    refused(3).await;
    trial.account.write(&trial.account.bound("third").await);
    let second = back().await;
    format!(
        "2 tokens refused ({} times), taken {first:.1} and {second:.1} s after they came",
        trial.proxy.count("server 401")
    )
}
