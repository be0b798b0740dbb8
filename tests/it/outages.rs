//! Faults of a real cluster, one after the other, under two real adapters: its processes stop, its answers and watches
//! are lost on the way, the Lease is stolen, the past is forgotten, tokens expire. Each time the same law: as many runs as
//! webhooks, every transition delivered, under one id each.

mod trouble;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::BUILD_PIPELINE;
use crate::support::accounts::Account;
use crate::support::arrivals::{Arrivals, PIPELINE_RUN, TASK_RUN};
use crate::support::delivery::{Progress, try_built};
use crate::support::ground::{Ground, Real, write_kubeconfig_for};
use crate::support::own_cluster::OwnCluster;
use crate::support::process::{Adapter, Folder, Recorder, shipped_mappings};
use crate::support::proxy::Proxy;
use crate::support::sender::{Seen, Sender};
use trouble::{TROUBLES, Trouble};

/// How many webhooks for each fault, unless `PIPEWRIGHT_SOAK` says otherwise.
const WEBHOOKS: usize = 80;
/// How many of them are under way at once.
const SENDERS: usize = 16;

/// Two adapters in a namespace of their own.
struct Trial {
    real: Real,
    admin: kube::Client,
    proxy: Proxy,
    account: Account,
    replicas: [Adapter; 2],
    recorder: Recorder,
    seen: Arc<Seen>,
    arrivals: Arrivals,
    webhooks: usize,
    /// How many of these may be sent by now.
    allowed: watch::Sender<usize>,
    began: Instant,
    folder: Folder,
}

/// What Tekton made of the runs.
#[derive(Default)]
struct Played {
    /// By uid.
    pipeline_runs: BTreeSet<String>,
    task_runs: BTreeSet<String>,
    /// Of both kinds.
    unfinished: usize,
    unmarked: usize,
    /// Pipeline runs that did not succeed.
    failed: usize,
}

/// A row of the table.
struct Row {
    fault: &'static str,
    webhooks: usize,
    seen: Arc<Seen>,
    /// What was done, with its count.
    injected: String,
    runs: usize,
    /// Of these.
    failed: usize,
    transitions: usize,
    repeats: usize,
    missing: usize,
    extra: usize,
    took: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_of_a_real_cluster_every_webhook_is_one_run_and_every_transition_is_told() {
    let Some(own) = OwnCluster::start("outages").await else { return };
    let webhooks = std::env::var("PIPEWRIGHT_SOAK").map_or(WEBHOOKS, |text| text.parse().unwrap());
    // A part of the name of a fault picks those.
    let wanted = std::env::var("PIPEWRIGHT_FAULT").unwrap_or_default();
    let row = async |trouble| {
        let row = Trial::start(&own, trouble, webhooks).await.run(&own, trouble).await;
        println!("{row}");
        row
    };
    let wanted = TROUBLES.into_iter().filter(|trouble| trouble.name().contains(&wanted));
    let (alone, others): (Vec<_>, Vec<_>) = wanted.partition(|trouble| trouble.is_of_the_cluster());
    assert!(alone.len() + others.len() > 0, "no fault has the name in `PIPEWRIGHT_FAULT`");
    assert!(webhooks >= 4, "`PIPEWRIGHT_SOAK` must be 4 at least");
    // What happens on the way to the cluster disturbs nobody else.
    let mut rows = join_all(others.into_iter().map(row)).await;
    for trouble in alone {
        rows.push(row(trouble).await);
    }
    println!("\n{HEADER}");
    for row in rows {
        println!("{row}");
    }
}

// === impl Trial ===

impl Trial {
    async fn start(own: &OwnCluster, trouble: Trouble, webhooks: usize) -> Self {
        let real = Real::in_cluster(own.cluster.clone()).await;
        Ground::Real(real.clone()).create(BUILD_PIPELINE).await;
        let folder = Folder::kept("outage");
        let account = Account::create(&real, folder.path().join("token")).await;
        account.write(&trouble.first_token(&account).await);
        let proxy = Proxy::start(&own.cluster.server, Some(&own.cluster.authority));
        let server = if trouble.is_direct() { &own.cluster.server } else { &proxy.url };
        let kubeconfig = folder.path().join("kubeconfig");
        let user = format!("tokenFile: {}", account.token_file.display());
        write_kubeconfig_for(&kubeconfig, &own.cluster, server, &real.namespace, &user);
        let recorder = Recorder::start();
        let replicas = ["one", "two"].map(|name| {
            let mut adapter = Adapter::at(&folder, name, &kubeconfig, &shipped_mappings(), Some(&recorder));
            adapter.namespace(&real.namespace);
            let times = trouble.lease_times();
            adapter.settings(&format!("{{watchNamespace: {}, leaderElection: {times}}}", real.namespace));
            adapter.start();
            adapter
        });
        for replica in &replicas {
            replica.ready().await;
        }
        Self {
            admin: real.client(),
            real,
            proxy,
            account,
            replicas,
            recorder,
            seen: Arc::default(),
            arrivals: Arrivals::default(),
            webhooks,
            allowed: watch::Sender::new(webhooks / 4),
            began: Instant::now(),
            folder,
        }
    }

    async fn run(mut self, own: &OwnCluster, trouble: Trouble) -> Row {
        trouble.before(&self);
        // Ends with this function.
        let mut beside = JoinSet::new();
        let sender = Sender {
            cluster: self.admin.clone(),
            urls: self.replicas.each_ref().map(|replica| replica.url.clone()).into(),
            webhooks: self.webhooks,
            senders: SENDERS,
            allowed: self.allowed.subscribe(),
        };
        beside.spawn(sender.send(self.seen.clone()));
        self.until_acknowledged(self.webhooks / 4, &mut beside).await;
        let injected = trouble.happen(&mut self, own, &mut beside).await;
        self.allow(1, 1);
        self.until_acknowledged(self.webhooks, &mut beside).await;

        let mut numbers = try_built(&self.admin, None).await.unwrap();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=self.webhooks).collect::<Vec<_>>(), "one run each: {self}");
        let played = self.until_announced().await;
        self.until_marked().await;
        self.arrivals.read(&self.recorder);
        self.arrivals.assert_all(self.webhooks, played.task_runs.len());
        trouble.assert_met(&self).await;
        for replica in &self.replicas {
            replica.ready().await;
            let log = replica.log();
            assert!(!log.contains("was not made for this event"), "a name was taken");
            assert!(!log.contains("failed with error"), "a client tells of every call that fails");
        }
        let distinct = numbers.iter().collect::<BTreeSet<_>>().len();
        let Played { pipeline_runs, task_runs, failed, .. } = played;
        let missing = self.webhooks - distinct + self.arrivals.missing(&pipeline_runs, &task_runs);
        let unknown = self.arrivals.unknown(&pipeline_runs, &task_runs);
        let extra = numbers.len() - distinct + unknown + self.arrivals.ids_too_many();
        assert_eq!((missing, extra), (0, 0), "{self}");
        Row {
            fault: trouble.name(),
            webhooks: self.webhooks,
            seen: self.seen.clone(),
            injected,
            runs: numbers.len(),
            failed,
            transitions: self.arrivals.transitions(),
            repeats: self.arrivals.again(),
            missing,
            extra,
            took: self.began.elapsed(),
        }
    }

    /// Lets this part of the webhooks be sent.
    fn allow(&self, part: usize, of: usize) {
        self.allowed.send_replace(self.webhooks * part / of);
    }

    /// Waits until so many webhooks are acknowledged.
    async fn until_acknowledged(&mut self, count: usize, beside: &mut JoinSet<()>) {
        let mut progress = Progress::new();
        while self.seen.count() < count {
            assert!(progress.goes_on(self.seen.count()), "nothing is acknowledged any more: {self}");
            if let Some(ended) = beside.try_join_next() {
                ended.unwrap();
            }
            self.arrivals.read(&self.recorder);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until every run is finished and each of its transitions has arrived; gives what there is then.
    async fn until_announced(&mut self) -> Played {
        let mut progress = Progress::new();
        let mut nudged = false;
        loop {
            let played = self.played().await;
            self.arrivals.read(&self.recorder);
            let missing = self.arrivals.missing(&played.pipeline_runs, &played.task_runs);
            if missing == 0 && played.unfinished == 0 {
                return played;
            }
            assert!(
                progress.goes_on(missing + played.unfinished),
                "{missing} transitions do not arrive, {} runs are not finished: {self}",
                played.unfinished
            );
            // After an outage the scheduler and Tekton may let a pod or a run lie for many minutes, until something
            // happens to it. That is not what is tried here.
            if progress.hesitates() && played.unfinished > 0 && !nudged {
                nudged = true;
                self.nudge().await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Lets something happen to every run and pod.
    async fn nudge(&self) {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"test.example.com/nudged": "true"}}}));
        for (group, kind) in [("", "Pod"), ("tekton.dev", "TaskRun"), ("tekton.dev", "PipelineRun")] {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
            let api: Api<DynamicObject> = Api::default_namespaced_with(self.admin.clone(), &resource);
            for object in api.list_metadata(&ListParams::default()).await.unwrap().items {
                let name = object.metadata.name.unwrap();
                api.patch_metadata(&name, &PatchParams::default(), &patch).await.unwrap();
            }
        }
    }

    /// Waits until every run bears the mark of all its transitions, so that nothing is ever sent again.
    async fn until_marked(&self) {
        let mut progress = Progress::new();
        loop {
            let unmarked = self.played().await.unmarked;
            if unmarked == 0 {
                return;
            }
            assert!(progress.goes_on(unmarked), "{unmarked} runs are not marked: {self}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The runs in the cluster. A pipeline run that Tekton could not begin, such as for an API server that did not let it,
    /// has failed without a task run.
    async fn played(&self) -> Played {
        let mut played = Played::default();
        for (kind, transitions) in [("PipelineRun", PIPELINE_RUN.len()), ("TaskRun", TASK_RUN.len())] {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tekton.dev", "v1", kind));
            let api: Api<DynamicObject> = Api::default_namespaced_with(self.admin.clone(), &resource);
            for run in api.list(&ListParams::default()).await.unwrap().items {
                let marks = run.metadata.annotations.unwrap_or_default().remove("pipewright.dev/emitted");
                let marks: Value = serde_json::from_str(marks.as_deref().unwrap_or("{}")).unwrap();
                let marked = marks["sent"].as_array().is_some_and(|sent| sent.len() == transitions);
                played.unmarked += usize::from(!marked);
                played.unfinished += usize::from(run.data.pointer("/status/completionTime").is_none());
                let failed = run.data.pointer("/status/conditions/0/status") == Some(&json!("False"));
                played.failed += usize::from(failed && kind == "PipelineRun");
                let runs = if kind == "TaskRun" { &mut played.task_runs } else { &mut played.pipeline_runs };
                runs.insert(run.metadata.uid.unwrap());
            }
        }
        played
    }

    /// The sum of a metric over both replicas.
    async fn metric(&self, name: &str) -> f64 {
        let [one, two] = &self.replicas;
        one.metric(name).await + two.metric(name).await
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} s in {}: {} of {} webhooks acknowledged, answers {:?}, {} without an answer; {} transitions arrived, \
             {} again; proxy {:?}; logs in {}",
            self.began.elapsed().as_secs(),
            self.real.namespace,
            self.seen.count(),
            self.webhooks,
            self.seen.answers(),
            self.seen.broken(),
            self.arrivals.transitions(),
            self.arrivals.again(),
            self.proxy.counts(),
            self.folder.path().display(),
        )
    }
}

// === impl Row ===

const HEADER: &str = "\
| fault | done | webhooks | 202 (duplicate) | 503 | 429 | no answer | slowest | runs (failed) | transitions | again | missing | extra | took |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers = self.seen.answers();
        let answers = |code: u16| answers.get(&code).copied().unwrap_or_default();
        write!(
            f,
            "| {} | {} | {} | {} ({}) | {} | {} | {} | {:.1} s | {} ({}) | {} | {} | {} | {} | {} s |",
            self.fault,
            self.injected,
            self.webhooks,
            answers(202),
            self.seen.duplicates(),
            answers(503),
            answers(429),
            self.seen.broken(),
            self.seen.slowest().as_secs_f64(),
            self.runs,
            self.failed,
            self.transitions,
            self.repeats,
            self.missing,
            self.extra,
            self.took.as_secs(),
        )
    }
}
