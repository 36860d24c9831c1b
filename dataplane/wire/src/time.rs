//! The clock reading that sans-I/O code is given.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Nanoseconds of a monotonic clock since the process started.
///
/// A plain number, so that it fits an atomic and a flow entry; workers read the clock once a turn
/// and pass the reading down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The time since `earlier`; zero when `earlier` is later (two threads read their clocks apart).
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since the process started.
    #[must_use]
    pub fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Add<Duration> for Nanos {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(Self::from(duration).0))
    }
}

impl Sub<Duration> for Nanos {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(Self::from(duration).0))
    }
}
