//! How long a worker has slept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gridway_wire::time::Nanos;

use crate::clock::Clock;

/// Nanoseconds count modulo this: one bit says whether the thread sleeps.
const MODULUS: u64 = 1 << 63;

/// The time that one thread has slept in all, written by it alone and read by anyone, also while it sleeps.
///
/// One word, so that nobody sees it half written: above the lowest bit the nanoseconds slept, less the time of falling
/// asleep while the lowest bit is set.
#[derive(Debug, Default)]
pub(crate) struct SleepTime(AtomicU64);

impl SleepTime {
    /// The thread falls asleep.
    pub(crate) fn begin(&self, now: Nanos) {
        let slept = self.0.load(Ordering::Relaxed) >> 1;
        self.0.store(slept.wrapping_sub(now.0) << 1 | 1, Ordering::Release);
    }

    /// The thread wakes up.
    pub(crate) fn end(&self, now: Nanos) {
        let slept = self.0.load(Ordering::Relaxed) >> 1;
        self.0.store(slept.wrapping_add(now.0) << 1, Ordering::Release);
    }

    /// The time slept until now.
    pub(crate) fn total(&self, clock: &Clock) -> Duration {
        let word = self.0.load(Ordering::Acquire);
        // The clock is read second: it is not before the time of falling asleep.
        let now = clock.now();
        let slept = if word & 1 == 1 { (word >> 1).wrapping_add(now.0) } else { word >> 1 };
        Duration::from_nanos(slept % MODULUS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slept_so_far_counts() {
        let (clock, sleep) = (Clock::start(), SleepTime::default());
        let begin = clock.now();
        sleep.begin(begin);
        std::thread::sleep(Duration::from_millis(5));
        let asleep = sleep.total(&clock);
        assert!(asleep >= Duration::from_millis(5) && asleep <= clock.now().since(begin));
        sleep.end(begin + Duration::from_millis(7));
        assert_eq!(sleep.total(&clock), Duration::from_millis(7));
        sleep.begin(begin + Duration::from_millis(10));
        sleep.end(begin + Duration::from_millis(11));
        assert_eq!(sleep.total(&clock), Duration::from_millis(8));
    }
}
