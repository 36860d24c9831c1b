//! How often data was sent of late.

use gridway_wire::time::Nanos;

/// Turns, halved with every second of the clock: at the same instants for a stream and for all of them together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turns {
    count: u64,
    second: u64,
}

impl Turns {
    pub(super) const NONE: Self = Self { count: 0, second: 0 };

    /// What is left of them.
    pub(super) fn at(&self, now: Nanos) -> u64 {
        self.in_second(now.as_secs())
    }

    /// Counts one.
    pub(super) fn count(&mut self, now: Nanos) {
        self.halve(now.as_secs());
        self.count += 1;
    }

    /// Takes those of a stream that has ended out of those of all.
    pub(super) fn forget(&mut self, ended: &Self) {
        self.halve(ended.second);
        self.count = self.count.saturating_sub(ended.in_second(self.second));
    }

    fn in_second(&self, second: u64) -> u64 {
        let halvings = second.saturating_sub(self.second);
        u32::try_from(halvings).ok().and_then(|halvings| self.count.checked_shr(halvings)).unwrap_or(0)
    }

    fn halve(&mut self, second: u64) {
        if second > self.second {
            *self = Self { count: self.in_second(second), second };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn counted(turns: u64, now: Nanos) -> Turns {
        let mut counted = Turns::NONE;
        (0..turns).for_each(|_| counted.count(now));
        counted
    }

    #[test]
    fn turns_are_halved_every_second_and_gone_after_many() {
        let turns = counted(64, Nanos(SECOND));
        let left = [0, 1, 2, 6, 7, 1000].map(|seconds| turns.at(Nanos((1 + seconds) * SECOND)));
        assert_eq!(left, [64, 32, 16, 1, 0, 0]);
    }

    #[test]
    fn those_of_a_stream_that_has_ended_do_not_count() {
        let (early, late) = (Nanos(SECOND), Nanos(3 * SECOND));
        let mut all = counted(80, early);
        let ended = counted(64, early);
        (0..5).for_each(|_| all.count(late));
        all.forget(&ended);
        assert_eq!(all.at(late), 80 / 4 + 5 - 64 / 4);
        all.forget(&counted(1000, late));
        assert_eq!(all.at(late), 0);
    }

    #[test]
    fn what_is_left_are_those_of_the_others_whenever_each_has_begun() {
        let at = |tenths: u64| Nanos(tenths * SECOND / 10);
        let (mut all, mut bulk, mut sparse) = (Turns::NONE, Turns::NONE, Turns::NONE);
        for tenth in 10..45 {
            if (19..38).contains(&tenth) {
                (0..100)
                    .for_each(|_| [&mut all, &mut bulk].into_iter().for_each(|turns| turns.count(at(tenth))));
            }
            if tenth > 12 {
                [&mut all, &mut sparse].into_iter().for_each(|turns| turns.count(at(tenth)));
            }
        }
        all.forget(&bulk);
        let (left, sparse) = (all.at(at(45)), sparse.at(at(45)));
        assert!(left.abs_diff(sparse) <= 2, "{left} are left of {sparse}");
    }
}
