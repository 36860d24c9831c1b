//! The node's rate limits: a virtual queue that drains at the configured rate.
//!
//! Packets are not delayed. Each is told how long it would have waited in a queue of that rate, and an active
//! queue management law marks or drops by that wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gridway_wire::time::Nanos;

/// Longest wait in the virtual queue: beyond it packets are dropped whatever the law says.
const LONGEST: Duration = Duration::from_millis(100);
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

    /// How long a packet of `bytes` that comes now would wait; it has joined the queue then. `None`: there is no
    /// room for it.
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
                Ok(_) => return Some(wait),
                Err(seen) => empty_at = seen,
            }
        }
    }

    /// A packet of `bytes` that has joined is dropped after all: it takes no time of those behind it.
    pub fn leave(&self, bytes: usize) {
        self.empty_at.fetch_sub(self.time(bytes), Ordering::Relaxed);
    }

    /// Nanoseconds that `bytes` take at the configured rate.
    fn time(&self, bytes: usize) -> u64 {
        (bytes as u64).saturating_mul(self.pace.load(Ordering::Relaxed)) >> FRACTION_BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_at_twice_the_rate_passes_by_half() {
        let throttle = Throttle::default();
        throttle.set_mbps(100);
        let mut now = Nanos(1_000_000_000);
        let mut passed = 0_u64;
        // 1,250 bytes each 50 us are 200 Mbit/s.
        for _ in 0..20_000 {
            passed += u64::from(throttle.join(1_250, now).is_some());
            now = now + Duration::from_micros(50);
        }
        let mbps = passed * 1_250 * 8 / 1_000_000;
        assert!((99..=111).contains(&mbps), "{mbps} Mbit in one second");
    }

    #[test]
    fn what_leaves_takes_no_time() {
        let throttle = Throttle::default();
        throttle.set_mbps(100);
        let now = Nanos(1_000_000_000);
        assert_eq!(throttle.join(1_250, now), Some(Duration::ZERO));
        assert_eq!(throttle.join(1_250, now), Some(Duration::from_micros(100)));
        throttle.leave(1_250);
        assert_eq!(throttle.join(1_250, now), Some(Duration::from_micros(100)));
    }

    #[test]
    fn below_the_rate_nothing_waits() {
        let throttle = Throttle::default();
        throttle.set_mbps(100);
        let mut now = Nanos(1_000_000_000);
        for _ in 0..1_000 {
            assert_eq!(throttle.join(1_250, now), Some(Duration::ZERO));
            now = now + Duration::from_micros(101);
        }
    }
}
