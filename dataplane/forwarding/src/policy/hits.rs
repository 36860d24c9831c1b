//! How often a rule decided a new flow.

use std::sync::atomic::{AtomicU64, Ordering};

use gridway_wire::time::Nanos;

/// Hits of one rule. They outlive a policy that keeps the rule.
#[derive(Debug, Default)]
pub struct Hits {
    count: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
}

impl Hits {
    /// Counts a new flow.
    pub fn hit(&self, now: Nanos) {
        if self.count.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.store(now.0, Ordering::Relaxed);
        }
        self.last.store(now.0, Ordering::Relaxed);
    }

    /// Flows counted, and when the first and the last of them began.
    #[must_use]
    pub fn read(&self) -> (u64, Option<(Nanos, Nanos)>) {
        let count = self.count.load(Ordering::Relaxed);
        let times = [&self.first, &self.last].map(|time| Nanos(time.load(Ordering::Relaxed)));
        (count, (count > 0).then_some((times[0], times[1])))
    }
}
