//! How many lines clients may cause in a log.

use gridway_wire::time::Nanos;

/// Lines a second about sessions, each worker; the rest is logged at a lower level.
const A_SECOND: u32 = 20;

/// Counts lines.
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    second: u64,
    lines: u32,
}

impl LogBudget {
    /// Whether another line may be written.
    pub(crate) fn take(&mut self, now: Nanos) -> bool {
        if self.second != now.as_secs() {
            (self.second, self.lines) = (now.as_secs(), 0);
        }
        self.lines += 1;
        self.lines <= A_SECOND
    }
}
