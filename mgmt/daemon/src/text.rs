//! How much two texts differ.

use std::collections::HashMap;

/// Lines that `new` has and `old` has not, and the other way round. A line that moved counts as neither.
pub(crate) fn changed_lines(old: &str, new: &str) -> (u64, u64) {
    let mut balance: HashMap<&str, i64> = HashMap::new();
    for line in new.lines() {
        *balance.entry(line).or_default() += 1;
    }
    for line in old.lines() {
        *balance.entry(line).or_default() -= 1;
    }
    balance.values().fold((0, 0), |(added, removed), count| match *count {
        more @ 1.. => (added + more.unsigned_abs(), removed),
        less => (added, removed + less.unsigned_abs()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_however_they_moved() {
        assert_eq!(changed_lines("a\nb\nc\n", "c\na\nb\n"), (0, 0));
        assert_eq!(changed_lines("a\nb\n", "a\nx\ny\n"), (2, 1));
        assert_eq!(changed_lines("a\n", "a\na\n"), (1, 0));
        assert_eq!(changed_lines("", "a\nb\n"), (2, 0));
    }
}
