//! The rate of a connector, shared by its sessions.

use std::collections::HashSet;
use std::time::Duration;

use gridway_wire::time::Nanos;

use super::handle::Handle;

/// How much may leave at once after a pause.
const BURST: Duration = Duration::from_millis(20);
/// Shortest time after which those that wait are let through again.
const SHORTEST: Duration = Duration::from_millis(1);

/// A limit of one direction. Bytes that it does not let through wait where they are, and their sessions take turns.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Bytes a second; 0 is unlimited.
    rate: u64,
    /// When everything that was let through will have left at that rate.
    empty_at: Nanos,
    waiters: Vec<Handle>,
    /// The same, to find them.
    waiting: HashSet<Handle>,
    /// What each of those that were let through together may send. `None`: nobody has waited.
    portion: Option<usize>,
    /// Somebody was told to call [`Self::release`].
    timed: bool,
}

impl Limiter {
    pub(crate) fn new(mbps: u32) -> Self {
        Self {
            rate: u64::from(mbps) * 125_000,
            empty_at: Nanos(0),
            waiters: Vec::new(),
            waiting: HashSet::new(),
            portion: None,
            timed: false,
        }
    }

    /// Changes the rate; who waits goes on waiting.
    pub(crate) fn set_mbps(&mut self, mbps: u32) {
        self.rate = u64::from(mbps) * 125_000;
    }

    pub(crate) fn is_limited(&self) -> bool {
        self.rate > 0
    }

    /// How many bytes a session may send now, once; 0: it must [wait](Self::wait), or waits already.
    pub(crate) fn share(&self, waiter: Handle, now: Nanos) -> usize {
        if !self.is_limited() {
            return usize::MAX;
        }
        if self.waiting.contains(&waiter) {
            return 0;
        }
        match self.room(now) {
            0 => 0,
            room => room.min(self.portion.unwrap_or(room)).max(1),
        }
    }

    /// Bytes that may go now.
    fn room(&self, now: Nanos) -> usize {
        let room = BURST.saturating_sub(self.empty_at.since(now)).as_nanos();
        usize::try_from(room * u128::from(self.rate) / 1_000_000_000).unwrap_or(usize::MAX)
    }

    /// This many bytes went.
    pub(crate) fn spend(&mut self, bytes: usize, now: Nanos) {
        if self.is_limited() {
            let time = bytes as u128 * 1_000_000_000 / u128::from(self.rate);
            let time = Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX));
            self.empty_at = self.empty_at.max(now) + time;
        }
    }

    /// A session waits for its next share. Gives when to [release](Self::release) those that wait, where nobody was told.
    pub(crate) fn wait(&mut self, waiter: Handle, now: Nanos) -> Option<Nanos> {
        if self.waiting.insert(waiter) {
            self.waiters.push(waiter);
        }
        let wait = self.empty_at.since(now).saturating_sub(BURST / 2).max(SHORTEST);
        (!std::mem::replace(&mut self.timed, true)).then_some(now + wait)
    }

    /// Those that may go on, in the order in which they came.
    pub(crate) fn release(&mut self, now: Nanos) -> Vec<Handle> {
        self.timed = false;
        self.waiting.clear();
        self.portion = self.room(now).checked_div(self.waiters.len());
        std::mem::take(&mut self.waiters)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sessions that always have something to send; gives what each has sent within a second.
    fn run(limiter: &mut Limiter, sessions: usize) -> Vec<usize> {
        let (mut now, mut sent) = (Nanos(0), vec![0; sessions]);
        let mut ready: Vec<Handle> = (0..sessions).map(|key| Handle { key, id: 0 }).collect();
        while now < Nanos(1_000_000_000) {
            let mut due = now + SHORTEST;
            for waiter in std::mem::take(&mut ready) {
                let share = limiter.share(waiter, now);
                sent[waiter.key] += share;
                limiter.spend(share, now);
                due = limiter.wait(waiter, now).unwrap_or(due);
            }
            now = due;
            ready = limiter.release(now);
        }
        sent
    }

    #[test]
    fn lets_the_configured_rate_through_and_no_more() {
        for sessions in [1, 2, 50] {
            let sent: usize = run(&mut Limiter::new(8), sessions).iter().sum();
            assert!((950_000..1_060_000).contains(&sent), "{sessions} sessions: {sent} bytes");
        }
    }

    #[test]
    fn sessions_get_the_same() {
        let sent = run(&mut Limiter::new(8), 10);
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        assert!(most - least < 30_000, "{sent:?}");
    }

    #[test]
    fn zero_is_unlimited() {
        let mut limiter = Limiter::new(0);
        limiter.spend(usize::MAX, Nanos(0));
        assert_eq!(limiter.share(Handle { key: 0, id: 0 }, Nanos(0)), usize::MAX);
    }
}
