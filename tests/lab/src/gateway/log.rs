//! What is kept of the logs of runs that have ended.

/// Most that is kept, bytes.
const LIMIT: usize = 1 << 20;

/// The end of the logs of earlier runs, in order.
#[derive(Debug, Default)]
pub(crate) struct EarlierLog(String);

impl EarlierLog {
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// Adds a run's log and forgets what exceeds 1 MiB.
    pub(crate) fn append(&mut self, log: &str) {
        self.0.push_str(log);
        let mut excess = self.0.len().saturating_sub(LIMIT);
        while !self.0.is_char_boundary(excess) {
            excess += 1;
        }
        self.0.drain(..excess);
    }
}

/// The last `count` lines of a text.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end_of_long_logs_and_never_splits_a_character() {
        let mut log = EarlierLog::default();
        log.append(&"ä".repeat(LIMIT));
        log.append("x");
        assert!(log.text().len() <= LIMIT && log.text().ends_with("äx"));
    }

    #[test]
    fn last_lines_of_a_short_text_are_all_of_it() {
        assert_eq!(last_lines("a\nb", 5), "a\nb");
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
    }
}
