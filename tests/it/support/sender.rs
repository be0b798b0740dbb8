//! A forge that sends every webhook until it is acknowledged, and looks for its run at that instant.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::delivery::{Delivery, Progress, deliveries, try_built};
use super::http;
use super::process::post_webhook;

/// The pause before a webhook is sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// What is sent, to whom.
pub struct Sender {
    /// Where runs are looked for; nothing may be between.
    pub cluster: kube::Client,
    /// The replicas; they take turns, and a repeat goes to the next one.
    pub urls: Vec<String>,
    /// How many different ones.
    pub webhooks: usize,
    /// How many of them are under way at once.
    pub senders: usize,
    /// How many of them may be sent by now.
    pub allowed: watch::Receiver<usize>,
}

/// What the sender saw.
#[derive(Default)]
pub struct Seen(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Numbers of acknowledged webhooks.
    acknowledged: Vec<usize>,
    duplicates: usize,
    answers: BTreeMap<u16, usize>,
    /// Requests without an answer.
    broken: usize,
    slowest: Duration,
}

// === impl Sender ===

impl Sender {
    /// Sends them all.
    pub async fn send(self, seen: Arc<Seen>) {
        let client = http();
        stream::iter(deliveries(self.webhooks))
            .then(|delivery| {
                let mut allowed = self.allowed.clone();
                async move {
                    allowed.wait_for(|allowed| *allowed >= delivery.number).await.unwrap();
                    delivery
                }
            })
            .map(|delivery| {
                let (client, this, seen) = (&client, &self, &seen);
                async move {
                    this.until_acknowledged(client, seen, &delivery).await;
                    delivery.number
                }
            })
            .buffer_unordered(self.senders)
            // Whoever looks for a run keeps nobody from sending.
            .for_each_concurrent(None, |number| {
                let (this, seen) = (&self, &seen);
                async move {
                    this.assert_built(number).await;
                    seen.inner().acknowledged.push(number);
                }
            })
            .await;
    }

    async fn until_acknowledged(&self, client: &reqwest::Client, seen: &Seen, delivery: &Delivery) {
        let first = Instant::now();
        for attempt in 0.. {
            let url = &self.urls[(delivery.number + attempt) % self.urls.len()];
            match post_webhook(client, url, "pull_request", &delivery.id, &delivery.body).await {
                Ok((code, result)) => {
                    // 408: the machine was too busy to send the body in its time.
                    let known = code == 202 || code >= 500 || matches!(code, 408 | 429);
                    assert!(known, "{} answered {code}", delivery.number);
                    let mut seen = seen.inner();
                    *seen.answers.entry(code).or_default() += 1;
                    if code == 202 {
                        seen.duplicates += usize::from(result == "duplicate");
                        break;
                    }
                }
                Err(_) => seen.inner().broken += 1,
            }
            tokio::time::sleep(AGAIN).await;
        }
        let mut seen = seen.inner();
        seen.slowest = first.elapsed().max(seen.slowest);
    }

    /// At the instant at which the event is acknowledged its run must exist, whatever happens to the replicas. Where the
    /// API server is away at this instant, it is asked when it is back.
    async fn assert_built(&self, number: usize) {
        let progress = Progress::new();
        loop {
            let look = tokio::time::timeout(Duration::from_secs(5), try_built(&self.cluster, Some(number)));
            match look.await {
                Ok(Ok(built)) => return assert_eq!(built, [number], "acknowledged without a run of its own"),
                problem => assert!(progress.waits(), "nobody can be asked for runs: {problem:?}"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

// === impl Seen ===

impl Seen {
    /// How many webhooks are acknowledged.
    pub fn count(&self) -> usize {
        self.inner().acknowledged.len()
    }

    /// The numbers of those.
    pub fn acknowledged(&self) -> Vec<usize> {
        self.inner().acknowledged.clone()
    }

    /// How many of them were acknowledged as duplicates of an earlier try.
    pub fn duplicates(&self) -> usize {
        self.inner().duplicates
    }

    /// How often each status came.
    pub fn answers(&self) -> BTreeMap<u16, usize> {
        self.inner().answers.clone()
    }

    /// Answers other than 202.
    pub fn refused(&self) -> usize {
        self.inner().answers.iter().filter(|(code, _)| **code != 202).map(|(_, count)| count).sum()
    }

    /// Requests without an answer.
    pub fn broken(&self) -> usize {
        self.inner().broken
    }

    /// The longest time from the first try to the acknowledgement.
    pub fn slowest(&self) -> Duration {
        self.inner().slowest
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}
