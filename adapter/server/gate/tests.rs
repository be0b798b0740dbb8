//! Places and memory: what each kind of request may take, and that all of it comes back.

use super::*;

fn gate(sources: &[&str]) -> Gate {
    let bounds = Bounds { requests: 8, bytes: 100, open_share: 50, source_share: 75 };
    Gate::new(bounds, true, sources.iter().copied(), Metrics::new())
}

/// So many requests that stay inside, or as many as get in.
fn enter(gate: &Gate, door: &Arc<Door>, standing: Standing, count: usize) -> Vec<Ticket> {
    let mut inside = Vec::new();
    for _ in 0..count {
        let Ok(mut ticket) = gate.approach(door, standing) else { break };
        ticket.prove();
        if ticket.enter().is_err() {
            break;
        }
        inside.push(ticket);
    }
    inside
}

#[test]
fn what_is_over_the_bound_is_refused_and_room_comes_back() {
    let bounds = Bounds { requests: 2, bytes: 100, open_share: 50, source_share: 75 };
    // The only door has everything.
    let gate = Gate::new(bounds, false, ["github"], Metrics::new());
    let door = gate.source("github").unwrap();
    let [mut first, mut second, mut third] = [(); 3].map(|()| gate.approach(door, Standing::Proved).unwrap());
    first.enter().unwrap();
    second.enter().unwrap();
    assert_eq!(third.enter().unwrap_err(), ShedReason::in_flight);
    assert_eq!(gate.approach(door, Standing::Proved).unwrap_err(), ShedReason::in_flight);
    first.reserve(90).unwrap();
    assert_eq!(second.reserve(11).unwrap_err(), ShedReason::memory);
    assert_eq!(second.fits(11).unwrap_err(), ShedReason::memory);
    // Not even when it is alone.
    assert_eq!(first.reserve(11).unwrap_err(), ShedReason::too_large);
    drop(first);
    third.enter().unwrap();
    third.reserve(100).unwrap();
    third.release(40);
    // What is held already counts, whatever the bounds.
    second.charge(70);
    assert_eq!(gate.inner.all.bytes(), 130);
    drop((second, third));
    assert_eq!(gate.in_flight(), 0);
    for pool in [&gate.inner.all, &gate.inner.open, &gate.inner.unproved, door.pool()] {
        assert_eq!((pool.requests(), pool.bytes()), (0, 0));
    }
}

#[test]
fn requests_that_prove_nothing_leave_places_to_those_that_do() {
    let gate = gate(&["github", "trial"]);
    let open = enter(&gate, gate.events(), Standing::Open, 100);
    assert_eq!(open.len(), 4, "half of the places");
    let source = gate.source("trial").unwrap();
    assert!(enter(&gate, source, Standing::Open, 1).is_empty(), "together with all other open ones");
    let signed = enter(&gate, gate.source("github").unwrap(), Standing::Unproved, 100);
    assert_eq!(signed.len(), 4, "the other half");
    drop(open);
    assert_eq!(enter(&gate, gate.events(), Standing::Open, 100).len(), 4);
}

#[test]
fn a_source_takes_its_share_and_no_more() {
    let gate = gate(&["github", "gitlab"]);
    let github = enter(&gate, gate.source("github").unwrap(), Standing::Unproved, 100);
    assert_eq!(github.len(), 6, "three quarters");
    assert_eq!(enter(&gate, gate.source("gitlab").unwrap(), Standing::Unproved, 100).len(), 2);
}

#[test]
fn memory_has_a_part_for_known_senders_and_one_for_those_who_are_about_to_be() {
    let gate = gate(&["github", "gitlab"]);
    let door = gate.source("github").unwrap();
    let mut open = gate.approach(gate.events(), Standing::Open).unwrap();
    assert_eq!(open.reserve(51).unwrap_err(), ShedReason::too_large);
    open.reserve(50).unwrap();
    // Half of the rest is for bodies whose signature is not checked yet.
    let mut webhook = gate.approach(door, Standing::Unproved).unwrap();
    webhook.reserve(25).unwrap();
    let mut next = gate.approach(door, Standing::Unproved).unwrap();
    assert_eq!(next.reserve(1).unwrap_err(), ShedReason::memory);
    webhook.prove();
    next.reserve(25).unwrap();
    // The first one counts with those of known senders.
    assert_eq!(gate.inner.unproved.bytes(), 75);
    assert_eq!(gate.inner.all.bytes(), 100);
    drop((webhook, next, open));
    assert_eq!(gate.inner.unproved.bytes() + gate.inner.all.bytes() + gate.inner.open.bytes(), 0);
}

#[test]
fn a_slow_door_asks_only_its_own_senders_to_wait_for_long() {
    let gate = gate(&["github"]);
    for _ in 0..100 {
        gate.events().left_after(Duration::from_secs(25));
    }
    assert!(gate.events().retry_after() > Duration::from_secs(20));
    assert_eq!(gate.source("github").unwrap().retry_after(), Duration::from_secs(1));
}
