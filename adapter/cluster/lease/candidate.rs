//! The rules of the election, pure: from what was seen and written, and monotonic time, to what to do and who leads.
//!
//! Two promises make at most one leader, whatever the clocks say and however long a request is under way:
//! - a leader stops `renew_deadline` after it *sent* its last write that succeeded, so before that write can be older
//!   than `lease_duration` to anybody;
//! - nobody takes over a record of somebody else before having *seen* it unchanged for the duration in it.
//!
//! Times inside the record are written for people, and only compared with each other, never with a clock.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// The times of an election: `lease_duration` > `renew_deadline` > `retry_period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a record that nobody renews keeps others from leading; at least a second.
    pub lease_duration: Duration,
    /// How long a leader goes on without a renewal.
    pub renew_deadline: Duration,
    /// The distance of renewals, of looks, and of tries after a failure.
    pub retry_period: Duration,
}

/// One who wants to lead.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    timing: Timing,
    view: View,
    /// Whether somebody is known to have written since `view`.
    stale: bool,
    leads_until: Option<Instant>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// Read the Lease, then [`Candidate::observe`] it.
    Look,
    /// Write this spec: on a 2xx [`Candidate::written`], on a conflict [`Candidate::refused`].
    Write(LeaseSpec),
    /// Somebody else leads, until this time at least.
    Wait(Instant),
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one a process")]
enum View {
    Unknown,
    /// The Lease, `None` when there is none, and until when it keeps us from taking over.
    Seen(Option<Lease>, Option<Instant>),
}

// === impl Timing ===

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

impl Timing {
    /// For how long a leader that lost its time may still finish what it began: nobody else leads before.
    pub fn margin(&self) -> Duration {
        self.lease_duration.saturating_sub(self.renew_deadline)
    }

    /// `leaseDurationSeconds`, rounded up.
    fn seconds(&self) -> i32 {
        let seconds = self.lease_duration.as_secs() + u64::from(self.lease_duration.subsec_nanos() > 0);
        i32::try_from(seconds.max(1)).unwrap_or(i32::MAX)
    }
}

// === impl Candidate ===

impl Candidate {
    /// A candidate that has not looked yet. No two candidates may share an `identity`.
    pub fn new(identity: String, timing: Timing) -> Self {
        Self { identity, timing, view: View::Unknown, stale: false, leads_until: None }
    }

    /// Who this is.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Until when this candidate leads, if it does.
    pub fn leads_until(&self, now: Instant) -> Option<Instant> {
        self.leads_until.filter(|until| now < *until)
    }

    /// Whether the Lease names this candidate, as far as is known; it may have lost its time all the same.
    pub fn holds(&self) -> bool {
        self.holder() == Some(&self.identity)
    }

    /// Who is in the Lease.
    pub fn holder(&self) -> Option<&str> {
        holder(self.lease()?)
    }

    /// The Lease as seen last.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.view {
            View::Seen(lease, _) => lease.as_ref(),
            View::Unknown => None,
        }
    }

    /// What to do; `wall` is the time for people.
    pub fn plan(&self, now: Instant, wall: Timestamp) -> Plan {
        match &self.view {
            _ if self.stale => Plan::Look,
            View::Unknown => Plan::Look,
            View::Seen(_, Some(until)) if now < *until => Plan::Wait(*until),
            View::Seen(lease, _) => Plan::Write(self.claim(lease.as_ref(), wall)),
        }
    }

    /// The Lease was read; `now` is when the answer was there.
    pub fn observe(&mut self, lease: Option<Lease>, now: Instant) {
        self.stale = false;
        let until = match (&self.view, &lease) {
            // An unchanged record goes on ageing. Labels and the like are no sign of life.
            (View::Seen(Some(old), until), Some(new)) if old.spec == new.spec && uid(old) == uid(new) => {
                *until
            }
            (View::Seen(None, until), None) => *until,
            // Whoever was in a Lease that is gone may not have noticed yet.
            (View::Seen(Some(old), _), None) => self.respect(old, now),
            (_, Some(new)) => self.respect(new, now),
            (View::Unknown, None) => None,
        };
        self.view = View::Seen(lease, until);
        // A Lease that is gone is made again; one that names somebody else, or nobody, was taken away.
        if self.lease().is_some() && !self.holds() {
            self.leads_until = None;
        }
    }

    /// A write that was sent at `sent` succeeded, and the answer was there at `now`.
    pub fn written(&mut self, lease: Lease, sent: Instant, now: Instant) {
        self.observe(Some(lease), now);
        if self.holds() {
            self.leads_until = Some(sent + self.timing.renew_deadline);
        }
    }

    /// Something happened to the Lease: it has to be read again.
    pub fn refused(&mut self) {
        self.stale = true;
    }

    /// Leads no longer, and says what gives the Lease back, if it is this candidate's.
    pub fn release(&mut self, wall: Timestamp) -> Option<LeaseSpec> {
        self.leads_until = None;
        let old = self.lease().filter(|_| self.holds())?.spec.clone().unwrap_or_default();
        Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(MicroTime(wall)),
            renew_time: Some(renewed(old.renew_time.as_ref(), wall)),
            ..old
        })
    }

    /// Until when a record keeps us from taking over.
    fn respect(&self, lease: &Lease, now: Instant) -> Option<Instant> {
        holder(lease).filter(|holder| *holder != self.identity)?;
        // The holder's word, since its settings may differ from ours during a roll-out.
        let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
        let duration = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        now.checked_add(duration.map_or(self.timing.lease_duration, Duration::from_secs))
    }

    fn claim(&self, lease: Option<&Lease>, wall: Timestamp) -> LeaseSpec {
        let old = lease.and_then(|lease| lease.spec.clone());
        let mine = self.holds();
        let transitions = match (&old, lease) {
            (_, None) => 0,
            (old, Some(_)) => {
                let before = old.as_ref().and_then(|old| old.lease_transitions).unwrap_or(0).max(0);
                if mine { before } else { before.saturating_add(1) }
            }
        };
        let old = old.unwrap_or_default();
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(self.timing.seconds()),
            acquire_time: old.acquire_time.clone().filter(|_| mine).or(Some(MicroTime(wall))),
            renew_time: Some(renewed(old.renew_time.as_ref(), wall)),
            lease_transitions: Some(transitions),
            ..old
        }
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

fn uid(lease: &Lease) -> Option<&str> {
    lease.metadata.uid.as_deref()
}

/// The time of a renewal: the others must see a change, even where the clock stands still or was set back.
fn renewed(before: Option<&MicroTime>, wall: Timestamp) -> MicroTime {
    let micros = |time: Timestamp| time.as_microsecond();
    match before {
        Some(MicroTime(before)) if micros(*before) == micros(wall) => {
            let step = SignedDuration::from_micros(1);
            MicroTime(wall.checked_add(step).or_else(|_| wall.checked_sub(step)).unwrap_or(wall))
        }
        _ => MicroTime(wall),
    }
}
