//! The rules by example, and then with requests that are late, lost or done twice, and clocks that lie.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use proptest::prelude::*;

use super::candidate::{Candidate, Plan, Timing};

const DURATION: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(10);

fn wall(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn after(start: Instant, seconds: f64) -> Instant {
    start + Duration::from_secs_f64(seconds)
}

fn lease(spec: LeaseSpec, version: u64) -> Lease {
    let mut lease = Lease { spec: Some(spec), ..Lease::default() };
    lease.metadata.resource_version = Some(version.to_string());
    lease.metadata.uid = Some("u".into());
    lease
}

/// What somebody else wrote.
fn foreign(renewed: i64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some("other".into()),
        lease_duration_seconds: Some(15),
        acquire_time: Some(MicroTime(wall(0))),
        renew_time: Some(MicroTime(wall(renewed))),
        lease_transitions: Some(4),
        ..LeaseSpec::default()
    }
}

fn candidate() -> Candidate {
    Candidate::new("me".into(), Timing::default())
}

fn writes(candidate: &Candidate, now: Instant, at: i64) -> LeaseSpec {
    match candidate.plan(now, wall(at)) {
        Plan::Write(spec) => spec,
        other => panic!("{other:?}"),
    }
}

/// One that has just acquired at `start`, with nobody before.
fn leader(start: Instant) -> Candidate {
    let mut candidate = candidate();
    assert_eq!(candidate.plan(start, wall(0)), Plan::Look);
    candidate.observe(None, start);
    let spec = writes(&candidate, start, 100);
    assert_eq!(spec.lease_transitions, Some(0));
    assert_eq!(spec.acquire_time, Some(MicroTime(wall(100))));
    candidate.written(lease(spec, 1), start, start);
    candidate
}

#[test]
fn a_free_lease_is_taken_at_once_and_the_transition_counted() {
    let start = Instant::now();
    for holder in [Some(String::new()), None] {
        let mut candidate = candidate();
        candidate.observe(Some(lease(LeaseSpec { holder_identity: holder, ..foreign(1) }, 7)), start);
        let spec = writes(&candidate, start, 100);
        assert_eq!(spec.holder_identity.as_deref(), Some("me"));
        assert_eq!(spec.lease_duration_seconds, Some(15));
        assert_eq!(spec.lease_transitions, Some(5));
        assert_eq!(
            (&spec.acquire_time, &spec.renew_time),
            (&Some(MicroTime(wall(100))), &Some(MicroTime(wall(100))))
        );
        assert!(candidate.leads_until(start).is_none(), "not before the answer");
        candidate.written(lease(spec, 8), start, after(start, 1.0));
        assert_eq!(candidate.leads_until(after(start, 1.0)), Some(start + DEADLINE), "from when it was sent");
    }
}

#[test]
fn a_renewal_keeps_the_time_of_acquisition_and_the_count_and_always_changes_the_record() {
    let start = Instant::now();
    let mut candidate = leader(start);
    // The clock stands still, and is then set back by years.
    for at in [100, 100, -1_000_000_000, -1_000_000_000] {
        let before = candidate.lease().unwrap().spec.clone().unwrap();
        let spec = writes(&candidate, start, at);
        assert_ne!(spec.renew_time, before.renew_time);
        assert_eq!((&spec.acquire_time, spec.lease_transitions), (&Some(MicroTime(wall(100))), Some(0)));
        candidate.written(lease(spec, 2), start, start);
    }
}

#[test]
fn what_renew_time_says_changes_nothing() {
    let start = Instant::now();
    for renewed in [-10_000_000_000, 0, 100, 200_000_000_000] {
        let mut candidate = candidate();
        candidate.observe(Some(lease(foreign(renewed), 7)), start);
        assert_eq!(candidate.plan(after(start, 14.9), wall(100)), Plan::Wait(start + DURATION), "{renewed}");
        let spec = writes(&candidate, start + DURATION, 100);
        assert_eq!(spec.lease_transitions, Some(5));
    }
}

#[test]
fn only_a_changed_record_is_a_sign_of_life() {
    let start = Instant::now();
    let mut candidate = candidate();
    candidate.observe(Some(lease(foreign(1), 7)), start);
    // Somebody labels the Lease.
    candidate.observe(Some(lease(foreign(1), 8)), after(start, 9.0));
    assert_eq!(candidate.plan(after(start, 9.0), wall(0)), Plan::Wait(start + DURATION));
    candidate.observe(Some(lease(foreign(2), 9)), after(start, 14.0));
    assert_eq!(candidate.plan(after(start, 20.0), wall(0)), Plan::Wait(after(start, 14.0) + DURATION));
}

#[test]
fn the_duration_in_the_record_counts_and_ours_where_it_says_none() {
    let start = Instant::now();
    for (says, seconds) in [(Some(40), 40), (Some(2), 2), (Some(0), 15), (Some(-1), 15), (None, 15)] {
        let mut candidate = candidate();
        let spec = LeaseSpec { lease_duration_seconds: says, ..foreign(1) };
        candidate.observe(Some(lease(spec, 7)), start);
        assert_eq!(candidate.plan(start, wall(0)), Plan::Wait(start + Duration::from_secs(seconds)));
    }
}

#[test]
fn a_stolen_lease_ends_the_leadership_at_once() {
    let start = Instant::now();
    let mut candidate = leader(start);
    assert!(candidate.leads_until(start).is_some());
    candidate.refused();
    assert_eq!(candidate.plan(start, wall(0)), Plan::Look);
    assert!(candidate.leads_until(start).is_some(), "a conflict may be a label");
    candidate.observe(Some(lease(foreign(1), 7)), after(start, 1.0));
    assert!(candidate.leads_until(after(start, 1.0)).is_none());
    assert_eq!(candidate.plan(after(start, 1.0), wall(0)), Plan::Wait(after(start, 1.0) + DURATION));
    assert_eq!(candidate.release(wall(0)), None, "what is not ours is not given back");
}

#[test]
fn a_leader_that_cannot_renew_stops_at_the_deadline_and_takes_its_own_record_back_at_once() {
    let start = Instant::now();
    let mut candidate = leader(start);
    assert!(candidate.leads_until(after(start, 9.99)).is_some());
    assert!(candidate.leads_until(after(start, 10.0)).is_none());
    candidate.refused();
    let own = candidate.lease().cloned();
    candidate.observe(own, after(start, 30.0));
    let spec = writes(&candidate, after(start, 30.0), 200);
    assert_eq!((spec.lease_transitions, &spec.acquire_time), (Some(0), &Some(MicroTime(wall(100)))));
    candidate.written(lease(spec.clone(), 3), after(start, 30.0), after(start, 41.0));
    assert!(candidate.leads_until(after(start, 41.0)).is_none(), "the answer took too long");
}

#[test]
fn a_deleted_lease_is_made_again_by_its_leader_at_once_and_by_others_when_the_leader_must_have_stopped() {
    let start = Instant::now();
    let mut first = leader(start);
    first.observe(None, after(start, 1.0));
    assert!(first.leads_until(after(start, 1.0)).is_some());
    assert_eq!(writes(&first, after(start, 1.0), 300).lease_transitions, Some(0));

    let mut second = candidate();
    second.observe(Some(lease(foreign(1), 7)), start);
    second.observe(None, after(start, 5.0));
    second.observe(None, after(start, 7.0));
    assert_eq!(second.plan(after(start, 7.0), wall(0)), Plan::Wait(after(start, 5.0) + DURATION));
    writes(&second, after(start, 20.0), 0);
}

#[test]
fn what_is_released_names_nobody_for_a_second_and_keeps_the_count() {
    let start = Instant::now();
    let mut candidate = leader(start);
    let spec = candidate.release(wall(500)).unwrap();
    assert!(candidate.leads_until(start).is_none());
    assert_eq!(spec.holder_identity.as_deref(), Some(""));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(1), Some(0)));
    assert_eq!(
        (spec.acquire_time, spec.renew_time),
        (Some(MicroTime(wall(500))), Some(MicroTime(wall(500))))
    );
}

#[test]
fn fields_of_others_survive() {
    let start = Instant::now();
    let mut candidate = candidate();
    let spec =
        LeaseSpec { holder_identity: None, strategy: Some("OldestEmulationVersion".into()), ..foreign(1) };
    candidate.observe(Some(lease(spec, 7)), start);
    assert_eq!(writes(&candidate, start, 0).strategy.as_deref(), Some("OldestEmulationVersion"));
}

/// What happens next; the first number is whom it happens to.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in milliseconds.
    Pass(u64),
    /// A candidate does what it plans, with a clock that says anything.
    Act(usize, i64),
    /// The server carries out one of the requests that are under way, in any order.
    Execute(usize),
    /// An answer arrives.
    Answer(usize),
    /// A candidate gives up waiting; its request may still be carried out.
    GiveUp(usize),
    /// A process ends and another begins in its place.
    Restart(usize),
    /// Somebody else writes its name.
    Steal,
    /// Somebody deletes the Lease.
    Delete,
}

#[derive(Debug)]
enum Request {
    Get,
    Post(Lease),
    Put(Lease),
}

#[derive(Debug)]
enum Call {
    UnderWay { number: u64, sent: Instant },
    Done { sent: Instant, wrote: bool, answer: Result<Option<Box<Lease>>, ()> },
}

struct Peer {
    candidate: Candidate,
    call: Option<Call>,
    /// Clocks run at different speeds.
    rate: f64,
    /// When the record was last its own, in the world's time.
    held: Option<u64>,
}

struct World {
    start: Instant,
    millis: u64,
    lease: Option<Lease>,
    version: u64,
    requests: Vec<(u64, usize, Request)>,
    count: u64,
    peers: Vec<Peer>,
}

impl World {
    fn new(rates: &[f64]) -> Self {
        let mut world = Self {
            start: Instant::now(),
            millis: 0,
            lease: None,
            version: 0,
            requests: Vec::new(),
            count: 0,
            peers: Vec::new(),
        };
        for rate in rates {
            let peer = world.peer(*rate);
            world.peers.push(peer);
        }
        world
    }

    fn peer(&mut self, rate: f64) -> Peer {
        self.count += 1;
        let candidate = Candidate::new(format!("peer-{}", self.count), Timing::default());
        Peer { candidate, call: None, rate, held: None }
    }

    fn now(&self, at: usize) -> Instant {
        self.start + Duration::from_millis(self.millis).mul_f64(self.peers[at].rate)
    }

    fn leaders(&self) -> Vec<usize> {
        let leads = |at: &usize| self.peers[*at].candidate.leads_until(self.now(*at)).is_some();
        (0..self.peers.len()).filter(leads).collect()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Pass(millis) => self.millis += millis,
            Step::Act(at, seconds) => self.act(*at, *seconds),
            Step::Execute(nth) if !self.requests.is_empty() => self.execute(nth % self.requests.len()),
            Step::Execute(_) => {}
            Step::Answer(at) => self.answer(*at),
            Step::GiveUp(at) => {
                if self.peers[*at].call.take().is_some() {
                    self.peers[*at].candidate.refused();
                }
            }
            Step::Restart(at) => {
                let rate = self.peers[*at].rate;
                self.peers[*at] = self.peer(rate);
            }
            Step::Steal => {
                if let Some(old) = &self.lease {
                    let count = i64::try_from(self.count).unwrap();
                    self.lease = Some(Lease { spec: Some(foreign(count)), ..old.clone() });
                    self.stored();
                }
            }
            Step::Delete => self.lease = None,
        }
        let holder = self.lease.as_ref().and_then(|lease| lease.spec.clone()?.holder_identity);
        for peer in &mut self.peers {
            if holder.as_deref() == Some(peer.candidate.identity()) {
                peer.held = Some(self.millis);
            }
        }
    }

    fn act(&mut self, at: usize, seconds: i64) {
        if self.peers[at].call.is_some() {
            return;
        }
        let sent = self.now(at);
        let candidate = &self.peers[at].candidate;
        let request = match (candidate.plan(sent, wall(seconds)), candidate.lease()) {
            (Plan::Wait(_), _) => {
                self.peers[at].candidate.refused();
                return;
            }
            (Plan::Look, _) => Request::Get,
            (Plan::Write(spec), Some(seen)) => Request::Put(Lease { spec: Some(spec), ..seen.clone() }),
            (Plan::Write(spec), None) => Request::Post(Lease { spec: Some(spec), ..Lease::default() }),
        };
        self.count += 1;
        self.requests.push((self.count, at, request));
        self.peers[at].call = Some(Call::UnderWay { number: self.count, sent });
    }

    /// As the API server does it: a write carries the version that it is based on.
    fn execute(&mut self, nth: usize) {
        let (number, at, request) = self.requests.remove(nth);
        let wrote = !matches!(request, Request::Get);
        let answer = match request {
            Request::Get => Ok(self.lease.clone()),
            Request::Post(_) if self.lease.is_some() => Err(()),
            Request::Put(new) if self.lease.as_ref().map(version) != Some(version(&new)) => Err(()),
            Request::Post(new) | Request::Put(new) => {
                self.lease = Some(new);
                self.stored();
                Ok(self.lease.clone())
            }
        };
        let peer = &mut self.peers[at];
        match peer.call {
            Some(Call::UnderWay { number: awaited, sent }) if awaited == number => {
                let answer = answer.map(|lease| lease.map(Box::new));
                peer.call = Some(Call::Done { sent, wrote, answer });
            }
            _ => {}
        }
    }

    fn stored(&mut self) {
        self.version += 1;
        if let Some(lease) = &mut self.lease {
            lease.metadata.resource_version = Some(self.version.to_string());
        }
    }

    fn answer(&mut self, at: usize) {
        let now = self.now(at);
        let peer = &mut self.peers[at];
        match peer.call.take() {
            Some(Call::Done { answer: Ok(lease), wrote: false, .. }) => {
                peer.candidate.observe(lease.map(|lease| *lease), now);
            }
            Some(Call::Done { answer: Ok(Some(lease)), sent, .. }) => {
                peer.candidate.written(*lease, sent, now);
            }
            Some(Call::Done { .. }) => peer.candidate.refused(),
            other => peer.call = other,
        }
    }

    /// Nothing goes wrong any more.
    fn settle(&mut self) {
        for _ in 0..200 {
            self.millis += 250;
            for at in 0..self.peers.len() {
                self.act(at, 0);
                while !self.requests.is_empty() {
                    self.execute(0);
                }
                self.answer(at);
            }
        }
    }
}

fn version(lease: &Lease) -> &str {
    lease.metadata.resource_version.as_deref().unwrap_or_default()
}

const PEERS: usize = 2;

fn honest() -> impl Strategy<Value = Step> {
    let peer = 0..PEERS;
    prop_oneof![
        6 => (1_u64..6_000).prop_map(Step::Pass),
        4 => (peer.clone(), -100_000_000_000_i64..100_000_000_000).prop_map(|(at, seconds)| Step::Act(at, seconds)),
        4 => any::<usize>().prop_map(Step::Execute),
        4 => peer.clone().prop_map(Step::Answer),
        1 => peer.clone().prop_map(Step::GiveUp),
        1 => peer.prop_map(Step::Restart),
    ]
}

fn hostile() -> impl Strategy<Value = Step> {
    prop_oneof![20 => honest(), 1 => Just(Step::Steal), 1 => Just(Step::Delete)]
}

/// Clocks whose speeds differ by up to a fifth.
fn rates() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(0.9_f64..1.1, PEERS)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn at_no_time_do_two_lead(rates in rates(), steps in prop::collection::vec(honest(), 1..300)) {
        let mut world = World::new(&rates);
        for (number, step) in steps.iter().enumerate() {
            world.step(step);
            let leaders = world.leaders();
            prop_assert!(leaders.len() <= 1, "after step {number}: {leaders:?}, {:?}", world.lease);
        }
        world.settle();
        prop_assert_eq!(world.leaders().len(), 1, "{:?}", world.lease);
    }

    #[test]
    fn whose_lease_was_stolen_or_deleted_stops_within_the_deadline(
        rates in rates(),
        steps in prop::collection::vec(hostile(), 1..300),
    ) {
        let mut world = World::new(&rates);
        for (number, step) in steps.iter().enumerate() {
            world.step(step);
            for at in world.leaders() {
                let ago = world.peers[at].held.map(|held| Duration::from_millis(world.millis - held));
                let most = DEADLINE.div_f64(0.9);
                prop_assert!(ago.is_some_and(|ago| ago <= most), "after step {number}: {at}, {ago:?}");
            }
        }
        world.settle();
        prop_assert_eq!(world.leaders().len(), 1, "{:?}", world.lease);
    }
}
