//! Faults on demand, for tests of what has to survive a bad cluster.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::sync::watch;

use super::api::Api;

/// The switch board; cheap to clone, all clones switch the same cluster.
#[derive(Clone)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
    cut: Arc<watch::Sender<u64>>,
    api: Arc<Api>,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An answer 429 or 503 with the seconds of `Retry-After`; nothing is done.
    Status(StatusCode, u32),
    /// The connection ends; nothing was done.
    ResetBefore,
    /// The connection ends after the request was carried out.
    ResetAfter,
    /// The answer takes longer.
    Delay(Duration),
}

/// Which requests a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// All but watches.
    All,
    /// Those that write.
    Writes,
    /// Those with one method.
    Method(&'static str),
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// The next so many.
    Next(u64),
    /// So many of each hundred, evenly spread, until [`Faults::clear`].
    Percent(u8),
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    fault: Fault,
    requests: Requests,
    rate: Rate,
    seen: u64,
}

// === impl Faults ===

impl Faults {
    /// No faults yet.
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self { rules: Arc::default(), cut: Arc::new(watch::Sender::new(0)), api }
    }

    /// Adds a fault; the first one that meets a request is taken.
    pub fn inject(&self, fault: Fault, requests: Requests, rate: Rate) {
        self.rules().push(Rule { fault, requests, rate, seen: 0 });
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// Ends every open watch in the middle, as a broken connection would.
    pub fn cut_watches(&self) {
        self.cut.send_modify(|count| *count += 1);
    }

    /// Forgets the past: a watch from any version before now gets 410.
    pub fn compact(&self) {
        self.api.write(super::store::Store::compact);
    }

    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cut.subscribe()
    }

    pub(super) fn meet(&self, method: &Method) -> Option<Fault> {
        let mut rules = self.rules();
        let at = rules.iter_mut().position(|rule| rule.meets(method))?;
        let fault = rules[at].fault;
        rules.retain(|rule| rule.rate != Rate::Next(0));
        Some(fault)
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Rule ===

impl Rule {
    fn meets(&mut self, method: &Method) -> bool {
        let concerned = match self.requests {
            Requests::All => true,
            Requests::Writes => method != Method::GET,
            Requests::Method(name) => method.as_str() == name,
        };
        if !concerned {
            return false;
        }
        self.seen += 1;
        match &mut self.rate {
            Rate::Next(left) => {
                let meets = *left > 0;
                *left = left.saturating_sub(1);
                meets
            }
            // Met whenever the share of faults would else fall behind.
            Rate::Percent(percent) => {
                let percent = u64::from(*percent);
                self.seen * percent / 100 > (self.seen - 1) * percent / 100
            }
        }
    }
}
