//! How many lines strangers and clients may cause in a log.

use gridway_wire::time::Nanos;

/// Lines a second; whoever has none left counts, or logs at a lower level.
#[derive(Debug)]
pub(crate) struct LogBudget {
    a_second: u32,
    second: u64,
    lines: u32,
}

impl LogBudget {
    /// A budget of this many lines a second.
    pub(crate) fn new(a_second: u32) -> Self {
        Self { a_second, second: 0, lines: 0 }
    }

    /// Whether another line may be written.
    pub(crate) fn take(&mut self, now: Nanos) -> bool {
        if self.second != now.as_secs() {
            (self.second, self.lines) = (now.as_secs(), 0);
        }
        self.lines = self.lines.saturating_add(1);
        self.lines <= self.a_second
    }
}
