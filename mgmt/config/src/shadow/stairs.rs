//! Ranges of ports, of which those that matter are kept.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Ranges of which none lies within another: first and last ports both ascend.
#[derive(Debug, Default)]
pub(super) struct Stairs {
    /// First port, last port, rule.
    steps: BTreeMap<u16, (u16, usize)>,
}

impl Stairs {
    /// A rule whose range holds `ports`, if there is one.
    pub(super) fn holder(&self, ports: &RangeInclusive<u16>) -> Option<usize> {
        // Of the ranges that begin early enough the last one ends latest.
        let (_, (last, rule)) = self.steps.range(..=ports.start()).next_back()?;
        (last >= ports.end()).then_some(*rule)
    }

    /// Takes in a range, in place of those within it.
    pub(super) fn enter(&mut self, ports: &RangeInclusive<u16>, rule: usize) {
        if self.holder(ports).is_some() {
            return;
        }
        while let Some((first, (last, _))) = self.steps.range(ports.start()..).next()
            && last <= ports.end()
        {
            let first = *first;
            self.steps.remove(&first);
        }
        self.steps.insert(*ports.start(), (*ports.end(), rule));
    }
}
