//! What must happen at a time.

use std::collections::BTreeSet;

use gridway_wire::time::Nanos;

use super::handle::Handle;
use crate::engine::book::Way;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// A session's deadline may have come.
    Deadline(Handle),
    /// Sessions of a listener may go on in one direction.
    Release(usize, Way),
    /// A listener takes clients again, for which there was no descriptor.
    Accept(usize),
    /// A data listener may have waited long enough.
    Expire(usize),
    /// A data listener takes a connection again, for which there was no descriptor.
    AcceptData(usize),
    /// A line of an FTP session may take too long.
    Line(Handle),
    /// Listeners that could not be made are tried again.
    Listen,
}

/// Timers in order.
#[derive(Debug, Default)]
pub(super) struct Timers {
    timers: BTreeSet<(Nanos, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Nanos, timer: Timer) {
        self.timers.insert((at, timer));
    }

    pub(super) fn next(&self) -> Nanos {
        self.timers.first().map_or(Nanos(u64::MAX), |(at, _)| *at)
    }

    pub(super) fn pop(&mut self, now: Nanos) -> Option<Timer> {
        let (at, _) = self.timers.first()?;
        if *at > now {
            return None;
        }
        self.timers.pop_first().map(|(_, timer)| timer)
    }
}
