//! How busy the workers are.

use std::sync::atomic::Ordering;
use std::time::Duration;

use gridway_wire::time::Nanos;

use crate::node::Node;

/// Time that each worker had slept at the last look.
#[derive(Debug)]
pub(super) struct Load {
    looked: Nanos,
    slept: Vec<Duration>,
}

impl Load {
    pub(super) fn new(node: &Node) -> Self {
        Self { looked: node.clock.now(), slept: total(node) }
    }

    pub(super) fn look(&mut self, node: &Node, now: Nanos) {
        let slept = total(node);
        let passed = now.since(self.looked);
        for ((worker, now), before) in node.workers.iter().zip(&slept).zip(&self.slept) {
            let load = permille_awake(now.saturating_sub(*before), passed);
            worker.load_permille.store(load, Ordering::Relaxed);
        }
        (self.looked, self.slept) = (now, slept);
    }
}

fn total(node: &Node) -> Vec<Duration> {
    node.workers.iter().map(|worker| worker.slept.total(&node.clock)).collect()
}

fn permille_awake(slept: Duration, passed: Duration) -> u32 {
    let awake = passed.saturating_sub(slept).as_nanos() * 1_000;
    u32::try_from(awake / passed.as_nanos().max(1)).unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_what_was_not_slept() {
        let ms = Duration::from_millis;
        for (slept, expected) in [(0, 1_000), (250, 750), (999, 1), (1_001, 0)] {
            assert_eq!(permille_awake(ms(slept), ms(1_000)), expected);
        }
        assert_eq!(permille_awake(ms(0), ms(0)), 0);
    }
}
