//! Units of the WAN's impairments.

use std::fmt;
use std::time::Duration;

/// Bits a second on the wire, at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// Megabits (10^6) a second.
    ///
    /// # Panics
    /// If `mbit` is 0: an absent rate is `None`, a dead link is a cut.
    #[must_use]
    pub fn mbit(mbit: u64) -> Self {
        assert!(mbit > 0, "a rate of 0 is a cut, not a rate");
        Self(mbit * 1_000_000)
    }

    /// Bits a second.
    #[must_use]
    pub fn bits_per_second(self) -> u64 {
        self.0
    }

    /// Bucket size for `tbf`, bytes: 2 ms worth, at least ten full frames so that a burst of small sends is not
    /// starved, at most 1 MiB.
    #[must_use]
    pub fn burst(self) -> u64 {
        (self.0 / 8 / 500).clamp(16_000, 1 << 20)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}bit", self.0)
    }
}

/// Probability that a frame is lost, in parts per million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Loss(u32);

impl Loss {
    /// Percent, 0 to 100; finer than one in a million is rounded.
    ///
    /// # Panics
    /// Outside that range.
    #[must_use]
    pub fn percent(percent: f64) -> Self {
        assert!((0.0..=100.0).contains(&percent), "loss is 0 to 100 percent, not {percent}");
        Self((percent * 10_000.0).round() as u32)
    }

    /// Parts per million.
    #[must_use]
    pub fn ppm(self) -> u32 {
        self.0
    }
}

/// A rate limit: a token bucket with a queue in front of it (`tc-tbf(8)`), the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The limit.
    pub rate: Rate,
    /// Longest a frame may wait in the queue; what would wait longer is dropped.
    pub latency: Duration,
}

impl Shape {
    /// A limit with a queue of 5 ms.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, latency: Duration::from_millis(5) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_exact_to_a_millionth() {
        assert_eq!(Loss::percent(0.5).ppm(), 5_000);
        assert_eq!(Loss::percent(100.0).ppm(), 1_000_000);
        assert_eq!(Loss::percent(0.0001).ppm(), 1);
    }

    #[test]
    fn burst_holds_at_least_ten_full_frames() {
        assert!(Rate::mbit(1).burst() >= 10 * 1514);
        assert_eq!(Rate::mbit(100_000).burst(), 1 << 20);
    }
}
