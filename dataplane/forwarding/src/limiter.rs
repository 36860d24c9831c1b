//! How many ICMP errors and resets a node sends (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f): token buckets, one for
//! all and one for each receiver.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use foldhash::fast::RandomState;
use gridway_wire::time::Nanos;

/// All receivers together.
const ALL: Rate = Rate { interval: Duration::from_millis(1), burst: 200 };
/// One receiver: a traceroute of 16 probes at once gets all its answers.
const ONE: Rate = Rate { interval: Duration::from_millis(50), burst: 32 };
/// Buckets for receivers; those that share one share its rate.
const BUCKETS: usize = 1024;

#[derive(Clone, Copy)]
struct Rate {
    interval: Duration,
    burst: u32,
}

/// The time at which a bucket is full again (generic cell rate algorithm).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket(Nanos);

impl Bucket {
    fn allows(self, rate: Rate, now: Nanos) -> bool {
        self.0.since(now) <= rate.interval * (rate.burst - 1)
    }

    fn take(&mut self, rate: Rate, now: Nanos) {
        self.0 = self.0.max(now) + rate.interval;
    }
}

/// The limiter of one worker.
#[derive(Debug)]
pub(crate) struct Limiter {
    all: Bucket,
    each: Box<[Bucket; BUCKETS]>,
    hasher: RandomState,
}

impl Default for Limiter {
    fn default() -> Self {
        let each = Box::new([Bucket::default(); BUCKETS]);
        Self { all: Bucket::default(), each, hasher: RandomState::default() }
    }
}

impl Limiter {
    /// Whether one more may be sent to `receiver` now; counts it if so.
    pub(crate) fn allow(&mut self, receiver: IpAddr, now: Nanos) -> bool {
        let bucket = &mut self.each[self.hasher.hash_one(receiver) as usize % BUCKETS];
        if !self.all.allows(ALL, now) || !bucket.allows(ONE, now) {
            return false;
        }
        self.all.take(ALL, now);
        bucket.take(ONE, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(limiter: &mut Limiter, receiver: [u8; 4], now: Nanos, asked: u32) -> u32 {
        (0..asked).map(|_| u32::from(limiter.allow(receiver.into(), now))).sum()
    }

    #[test]
    fn a_receiver_gets_a_burst_and_then_its_rate() {
        let mut limiter = Limiter::default();
        let start = Nanos(1_000_000_000);
        assert_eq!(allowed(&mut limiter, [10, 1, 0, 2], start, 100), ONE.burst);
        let later = start + Duration::from_secs(1);
        assert_eq!(allowed(&mut limiter, [10, 1, 0, 2], later, 100), 20);
    }

    #[test]
    fn all_receivers_together_are_bounded_too() {
        let mut limiter = Limiter::default();
        let now = Nanos(1_000_000_000);
        let sent: u32 = (0..250).map(|host| allowed(&mut limiter, [10, 1, 0, host], now, 32)).sum();
        assert_eq!(sent, ALL.burst);
    }
}
