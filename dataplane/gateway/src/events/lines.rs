//! How many lines events of one kind may write to the log: none may fill a disk.

/// Lines at once, when there were few before.
const BURST: u64 = 60;
/// Time that earns a line, milliseconds: 43,200 a day.
const EARNED_MS: u64 = 2_000;

/// The lines of one kind: a token bucket.
#[derive(Debug)]
pub(super) struct Lines {
    tokens: u64,
    at_ms: u64,
    /// Occurrences that had to do without since the last line.
    unwritten: u64,
}

impl Default for Lines {
    fn default() -> Self {
        Self { tokens: BURST, at_ms: 0, unwritten: 0 }
    }
}

impl Lines {
    /// Whether a line may be written; if so, how many were not since the one before.
    pub(super) fn take(&mut self, now_ms: u64) -> Option<u64> {
        let earned = now_ms.saturating_sub(self.at_ms) / EARNED_MS;
        self.tokens = self.tokens.saturating_add(earned).min(BURST);
        self.at_ms = if self.tokens == BURST { now_ms } else { self.at_ms + earned * EARNED_MS };
        if self.tokens == 0 {
            self.unwritten += 1;
            return None;
        }
        self.tokens -= 1;
        Some(std::mem::take(&mut self.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_writes_a_burst_and_then_a_line_in_two_seconds() {
        let mut lines = Lines::default();
        let written = (0..1_000).filter(|_| lines.take(1_000_000).is_some()).count();
        assert_eq!(written as u64, BURST);
        assert_eq!(lines.take(1_000_000 + EARNED_MS), Some(1_000 - BURST), "it says how many it left out");
        assert_eq!(lines.take(1_000_000 + EARNED_MS), None);
        let a_day = (0..86_400_000).step_by(100).filter(|ms| lines.take(2_000_000 + ms).is_some()).count();
        assert!((43_200..43_300).contains(&a_day), "{a_day}");
    }
}
