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
        self.since_epoch(time).as_secs()
    }

    /// Milliseconds of the Unix epoch. The same time always gives the same number.
    pub(crate) fn unix_ms(&self, time: Nanos) -> u64 {
        u64::try_from(self.since_epoch(time).as_millis()).unwrap_or(u64::MAX)
    }

    fn since_epoch(&self, time: Nanos) -> Duration {
        let wall = self.wall + Duration::from_nanos(time.0);
        wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}
