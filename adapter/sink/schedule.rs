//! The waits between the attempts of one delivery.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

use super::spec::Delivery;

/// The waits of one delivery, each with fresh jitter; ends when the retries are used up.
#[derive(Debug)]
pub(super) struct Schedule<'a> {
    delivery: &'a Delivery,
    retries: std::ops::Range<u32>,
    random: SystemRandom,
}

// === impl Schedule ===

impl<'a> Schedule<'a> {
    pub(super) fn new(delivery: &'a Delivery) -> Self {
        Self { delivery, retries: 0..delivery.retry, random: SystemRandom::new() }
    }
}

impl Iterator for Schedule<'_> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let n = self.retries.next()?;
        let mut bytes = [0; 8];
        // Without randomness there is still a wait, only not a jittered one.
        let random = self.random.fill(&mut bytes).map_or(u64::MAX, |()| u64::from_ne_bytes(bytes));
        Some(self.delivery.jittered(n, random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_ends_after_the_retries() {
        let delivery = Delivery { retry: 3, ..Delivery::default() };
        assert_eq!(Schedule::new(&delivery).count(), 3);
        assert_eq!(Schedule::new(&Delivery { retry: 0, ..delivery }).count(), 0);
    }
}
