//! The one clock of the process.

use std::time::{Duration, Instant, SystemTime};

use gridway_wire::time::Nanos;

/// Monotonic time since the start, and what that is on the wall.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), wall: SystemTime::now() }
    }

    pub(crate) fn now(&self) -> Nanos {
        Nanos::from(self.start.elapsed())
    }

    /// Seconds of the Unix epoch.
    pub(crate) fn unix(&self, time: Nanos) -> u64 {
        self.unix_us(time) / 1_000_000
    }

    /// Milliseconds of the Unix epoch.
    pub(crate) fn unix_ms(&self, time: Nanos) -> u64 {
        self.unix_us(time) / 1_000
    }

    /// Microseconds of the Unix epoch.
    pub(crate) fn unix_us(&self, time: Nanos) -> u64 {
        let wall = self.wall + Duration::from_nanos(time.0);
        let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// Seconds of the Unix epoch, now.
    pub(crate) fn unix_now(&self) -> u64 {
        self.unix(self.now())
    }
}
