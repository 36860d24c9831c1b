//! The service manager's watchdog: it hears from the node for as long as every worker turns its loop.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::node::Node;
use crate::notify::Notifier;

/// Decides when to say that the node is alive.
pub(crate) struct Watchdog {
    /// Time between two signs of life; none when nobody waits for them.
    interval: Option<Duration>,
    last: Instant,
    /// Turns of every worker at the last sign of life.
    turns: Vec<u64>,
    /// A worker that stands still was reported.
    reported: bool,
}

/// What to do about the watchdog.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing yet.
    Wait,
    /// Every worker went on: say so.
    Alive,
    /// This worker has stood still for too long; said once.
    Stuck(usize),
}

impl Watchdog {
    /// `limit` is the silence after which the service manager acts.
    pub(crate) fn new(limit: Option<Duration>, now: Instant) -> Self {
        // A third: two signs of life may be late before the third is missed.
        Self { interval: limit.map(|limit| limit / 3), last: now, turns: Vec::new(), reported: false }
    }

    /// Passes a sign of life on when it is time and every worker has earned it.
    pub(crate) fn look(&mut self, node: &Node, notifier: &Notifier, now: Instant) {
        let turns = || node.workers.iter().map(|worker| worker.turns.load(Ordering::Relaxed));
        match self.judge(turns, now) {
            Verdict::Wait => {}
            Verdict::Alive => notifier.alive(),
            Verdict::Stuck(worker) => tracing::error!(
                worker,
                "a worker stands still; without a change the service manager ends this process"
            ),
        }
    }

    fn judge<T: Iterator<Item = u64>>(&mut self, turns: impl Fn() -> T, now: Instant) -> Verdict {
        let Some(interval) = self.interval else { return Verdict::Wait };
        let silent = now.saturating_duration_since(self.last);
        if silent < interval {
            return Verdict::Wait;
        }
        let before = |worker: usize| self.turns.get(worker).copied();
        match turns().enumerate().find(|(worker, turns)| before(*worker) == Some(*turns)) {
            None => {
                self.turns = turns().collect();
                (self.last, self.reported) = (now, false);
                Verdict::Alive
            }
            Some((worker, _)) if silent >= interval * 2 && !self.reported => {
                self.reported = true;
                Verdict::Stuck(worker)
            }
            Some(_) => Verdict::Wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    #[test]
    fn life_is_shown_every_third_of_the_limit_while_all_workers_turn() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Some(LIMIT), start);
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(watchdog.judge(|| [1, 1].into_iter(), at(900)), Verdict::Wait);
        assert_eq!(watchdog.judge(|| [1, 1].into_iter(), at(1000)), Verdict::Alive);
        assert_eq!(watchdog.judge(|| [2, 2].into_iter(), at(1100)), Verdict::Wait);
        assert_eq!(watchdog.judge(|| [5, 5].into_iter(), at(2000)), Verdict::Alive);
    }

    #[test]
    fn one_worker_that_stands_still_silences_the_node_and_is_named_once() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(Some(LIMIT), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(watchdog.judge(|| [1, 1].into_iter(), at(1)), Verdict::Alive);
        assert_eq!(watchdog.judge(|| [5, 1].into_iter(), at(2)), Verdict::Wait);
        assert_eq!(watchdog.judge(|| [9, 1].into_iter(), at(3)), Verdict::Stuck(1));
        assert_eq!(watchdog.judge(|| [13, 1].into_iter(), at(4)), Verdict::Wait);
        assert_eq!(watchdog.judge(|| [17, 2].into_iter(), at(5)), Verdict::Alive);
    }

    #[test]
    fn nobody_hears_of_a_node_whose_service_manager_has_no_watchdog() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(None, start);
        assert_eq!(watchdog.judge(|| [1].into_iter(), start + LIMIT * 9), Verdict::Wait);
    }
}
