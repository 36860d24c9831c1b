//! The node's rate limits: a virtual queue that drains at the configured rate.
//!
//! Packets are not delayed. Each is told how long it would have waited in a queue of that rate; where that is long,
//! those that can be are ECN-marked, and what the queue has no room for is dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gridway_wire::time::Nanos;

/// Longest wait in the virtual queue: what would wait longer has no room. As nothing is delayed, a sender's rate
/// swings between half of the limit and more than it; the queue must be long enough to last through the halves.
const LONGEST: Duration = Duration::from_millis(500);
/// Wait from which on senders are told of congestion where that costs them no packet.
const LONG: Duration = Duration::from_millis(250);
/// Nanoseconds a byte are kept in units of this fraction.
const FRACTION_BITS: u32 = 16;

/// One direction's limit, shared by all workers.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Nanoseconds a byte, in fixed point; 0: unlimited.
    pace: AtomicU64,
    /// When the virtual queue is empty.
    empty_at: AtomicU64,
}

impl Throttle {
    /// Sets the limit in Mbit/s of IP packets; 0 is unlimited.
    pub fn set_mbps(&self, mbps: u32) {
        // A byte at 1 Mbit/s takes 8,000 ns.
        let pace = if mbps == 0 { 0 } else { (8_000_u64 << FRACTION_BITS) / u64::from(mbps) };
        self.pace.store(pace, Ordering::Relaxed);
    }

    /// Whether there is a limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.pace.load(Ordering::Relaxed) != 0
    }

    /// How far beyond what needs no mark a packet of `bytes` that comes now would wait; it has joined the queue then.
    /// `None`: there is no room for it.
    pub fn join(&self, bytes: usize, now: Nanos) -> Option<Duration> {
        let time = self.time(bytes);
        let mut empty_at = self.empty_at.load(Ordering::Relaxed);
        loop {
            let wait = Nanos(empty_at).since(now);
            if wait > LONGEST {
                return None;
            }
            let next = empty_at.max(now.0) + time;
            match self.empty_at.compare_exchange_weak(empty_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(wait.saturating_sub(LONG)),
                Err(seen) => empty_at = seen,
            }
        }
    }

    /// Nanoseconds that `bytes` take at the configured rate.
    fn time(&self, bytes: usize) -> u64 {
        (bytes as u64).saturating_mul(self.pace.load(Ordering::Relaxed)) >> FRACTION_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What passes in one second of 1,250 bytes each 50 us, that is of 200 Mbit/s, and the last packet's excess.
    fn offered_twice(throttle: &Throttle, start: Nanos) -> (u64, Option<Duration>) {
        let (mut now, mut passed, mut last) = (start, 0_u64, None);
        for _ in 0..20_000 {
            let excess = throttle.join(1_250, now);
            passed += u64::from(excess.is_some());
            last = excess.or(last);
            now = now + Duration::from_micros(50);
        }
        (passed * 1_250 * 8 / 1_000_000, last)
    }

    #[test]
    fn what_is_offered_at_twice_the_rate_passes_by_half() {
        let throttle = Throttle::default();
        throttle.set_mbps(100);
        let start = Nanos(1_000_000_000);
        let (first, _) = offered_twice(&throttle, start);
        assert!((149..=151).contains(&first), "{first} Mbit in the second that the queue fills in");
        let (second, excess) = offered_twice(&throttle, start + Duration::from_secs(1));
        assert!((99..=101).contains(&second), "{second} Mbit in the next second");
        assert!(
            excess.is_some_and(|excess| excess > LONGEST - LONG - Duration::from_millis(1)),
            "{excess:?}"
        );
    }

    #[test]
    fn below_the_rate_nothing_is_told() {
        let throttle = Throttle::default();
        throttle.set_mbps(100);
        let mut now = Nanos(1_000_000_000);
        for _ in 0..1_000 {
            assert_eq!(throttle.join(1_250, now), Some(Duration::ZERO));
            now = now + Duration::from_micros(101);
        }
    }
}
