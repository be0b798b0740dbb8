//! Faults on demand, for tests of what has to survive a bad cluster.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::sync::watch;

use super::api::Api;

/// The switch board; cheap to clone, all clones switch the same cluster.
#[derive(Clone)]
pub struct Faults {
    rules: Arc<Mutex<Rules>>,
    mix: Arc<Mutex<Option<Mix>>>,
    /// Changes when watches are to end: those of this process, and those over HTTP.
    cut: [Arc<watch::Sender<u64>>; 2],
    /// Watches over HTTP that begin at this version or before it get 410.
    expired: Arc<AtomicU64>,
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
    /// The answer takes longer, and a client that gives up before has asked for nothing.
    Delay(Duration),
    /// The request is carried out so much later, even when its client has given up by then.
    Late(Duration),
    /// The request is carried out at once; the answer takes longer.
    Stall(Duration),
}

/// Which way a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From this process: the player, and the client of a test that looks.
    InProcess,
    /// Over HTTP.
    Served,
}

/// Faults at random for whoever comes over HTTP, the start of watches included; the same in every run with one seed
/// as long as the requests come in the same order.
#[derive(Clone, Debug)]
pub struct Mix {
    percent: u8,
    faults: Vec<Fault>,
    seed: u64,
    met: Vec<u64>,
    requests: u64,
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

/// Faults that wait for their requests.
#[derive(Clone, Debug, Default)]
pub struct Rules(Vec<Rule>);

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
        Self {
            rules: Arc::default(),
            mix: Arc::default(),
            cut: Default::default(),
            expired: Arc::default(),
            api,
        }
    }

    /// Adds a fault; the first one that meets a request is taken.
    pub fn inject(&self, fault: Fault, requests: Requests, rate: Rate) {
        self.rules().add(fault, requests, rate);
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.rules().clear();
        self.mix(None);
    }

    /// Faults at random, in the place of those before; gives the mix before with its counts.
    pub fn mix(&self, mix: Option<Mix>) -> Option<Mix> {
        std::mem::replace(&mut *self.mix.lock().unwrap_or_else(PoisonError::into_inner), mix)
    }

    /// Ends every open watch in the middle, as a broken connection would.
    pub fn cut_watches(&self) {
        for cut in &self.cut {
            cut.send_modify(|count| *count += 1);
        }
    }

    /// The same for those over HTTP only: who works in this process goes on.
    pub fn cut_served_watches(&self) {
        self.cut[Way::Served as usize].send_modify(|count| *count += 1);
    }

    /// Ends every open watch over HTTP, and answers 410 when it is opened again where it was, as a server does that
    /// has forgotten the past.
    pub fn expire_served_watches(&self) {
        self.expired.store(self.api.store().version(), Ordering::Relaxed);
        self.cut_served_watches();
    }

    /// Forgets the past: a watch from any version before now gets 410.
    pub fn compact(&self) {
        self.api.write(super::store::Store::compact);
    }

    pub(super) fn cuts(&self, way: Way) -> watch::Receiver<u64> {
        self.cut[way as usize].subscribe()
    }

    pub(super) fn is_expired(&self, version: u64, way: Way) -> bool {
        way == Way::Served && version <= self.expired.load(Ordering::Relaxed)
    }

    /// What meets a request; rules leave watches alone.
    pub(super) fn meet(&self, method: &Method, way: Way, is_watch: bool) -> Option<Fault> {
        let mut mix = self.mix.lock().unwrap_or_else(PoisonError::into_inner);
        let mixed = mix.as_mut().filter(|_| way == Way::Served).and_then(Mix::meet);
        drop(mix);
        if is_watch || mixed.is_some() {
            return mixed;
        }
        self.rules().meet(method)
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Mix ===

impl Mix {
    /// Of each hundred requests `percent` go wrong, in one of the ways of `faults`, each as often as the others.
    pub fn new(percent: u8, faults: Vec<Fault>, seed: u64) -> Self {
        let met = vec![0; faults.len()];
        Self { percent, faults, seed, met, requests: 0 }
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How many of them each fault met.
    pub fn met(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.faults.iter().copied().zip(self.met.iter().copied())
    }

    /// What meets the next request.
    pub fn meet(&mut self) -> Option<Fault> {
        self.requests += 1;
        if self.random() % 100 >= u64::from(self.percent) {
            return None;
        }
        let at = usize::try_from(self.random()).ok()?.checked_rem(self.faults.len())?;
        self.met[at] += 1;
        Some(self.faults[at])
    }

    /// A linear congruential generator with Knuth's numbers; its upper bits are good.
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.seed >> 33
    }
}

// === impl Rules ===

impl Rules {
    /// Adds a fault; the first one that meets a request is taken.
    pub fn add(&mut self, fault: Fault, requests: Requests, rate: Rate) {
        self.0.push(Rule { fault, requests, rate, seen: 0 });
    }

    /// Takes all faults away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What meets a request, which is no watch.
    pub fn meet(&mut self, method: &Method) -> Option<Fault> {
        let at = self.0.iter_mut().position(|rule| rule.meets(method))?;
        let fault = self.0[at].fault;
        self.0.retain(|rule| rule.rate != Rate::Next(0));
        Some(fault)
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
