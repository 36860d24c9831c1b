//! How much a peer may send on a stream before what it sent was taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gridway_wire::frame::INITIAL_CREDIT;
use gridway_wire::time::Nanos;

/// Most bytes that may be on their way on one stream: 2.5 Gbit/s over a path of 25 ms.
const MAX_WINDOW: u32 = 8 * 1024 * 1024;

/// What windows may take beyond [`INITIAL_CREDIT`], all streams of a node together: with it the memory that peers can
/// fill is bounded. A stream that finds it empty goes on with the window it has.
#[derive(Debug)]
pub struct CreditPool {
    left: AtomicU64,
}

impl CreditPool {
    /// A pool of this many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self { left: AtomicU64::new(bytes) }
    }

    /// Bytes that are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u32) -> bool {
        let take = |left: u64| left.checked_sub(u64::from(bytes));
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give(&self, bytes: u32) {
        self.left.fetch_add(u64::from(bytes), Ordering::Relaxed);
    }
}

/// The receiver's side of one stream's credit.
///
/// The window doubles when it was used up within two round trips: then it is what holds the sender back. Since only
/// what was *taken* is granted anew, the window of a reader that stalls does not grow.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes that may be on their way or wait here.
    size: u32,
    /// Bytes that the peer may still send.
    granted: u32,
    /// Bytes received that were not taken.
    held: u32,
    /// Bytes taken that were not granted again.
    taken: u32,
    /// When credit was last granted.
    granted_at: Nanos,
}

impl Window {
    pub(super) fn new(now: Nanos) -> Self {
        Self { size: INITIAL_CREDIT, granted: INITIAL_CREDIT, held: 0, taken: 0, granted_at: now }
    }

    /// The peer has sent this many bytes. False: it had no credit for them.
    pub(super) fn receive(&mut self, bytes: usize) -> bool {
        let Some(bytes) = u32::try_from(bytes).ok().filter(|bytes| *bytes <= self.granted) else {
            return false;
        };
        self.granted -= bytes;
        self.held += bytes;
        true
    }

    /// This many received bytes were taken. True: [`Self::grant`] is due.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let bytes = u32::try_from(bytes).expect("no more is taken than was received");
        self.held -= bytes;
        self.taken += bytes;
        self.taken >= self.size / 2
    }

    /// The credit to grant now.
    pub(super) fn grant(&mut self, pool: &CreditPool, round_trip: Duration, now: Nanos) -> u32 {
        let mut increment = std::mem::take(&mut self.taken);
        let fast = now.since(self.granted_at) < 2 * round_trip;
        if fast && self.size < MAX_WINDOW && pool.take(self.size) {
            increment += self.size;
            self.size *= 2;
        }
        self.granted += increment;
        self.granted_at = now;
        increment
    }

    /// Whether everything received was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Whether it is larger than the first.
    pub(super) fn is_grown(&self) -> bool {
        self.size > INITIAL_CREDIT
    }

    /// Gives back what was taken from the pool.
    pub(super) fn release(&mut self, pool: &CreditPool) {
        pool.give(self.size - INITIAL_CREDIT);
        self.size = INITIAL_CREDIT;
    }
}

const _: () = assert!(MAX_WINDOW.is_power_of_two() && INITIAL_CREDIT.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(40);

    #[test]
    fn a_window_used_up_within_two_round_trips_doubles_until_the_pool_is_empty() {
        let pool = CreditPool::new(u64::from(3 * INITIAL_CREDIT));
        let mut window = Window::new(Nanos(0));
        let mut sizes = Vec::new();
        for turn in 1..=4 {
            let now = Nanos::from(Duration::from_millis(40 * turn));
            assert!(window.receive(window.granted as usize) && window.take(window.size as usize));
            window.grant(&pool, ROUND_TRIP, now);
            sizes.push(window.size / INITIAL_CREDIT);
            assert_eq!(window.granted, window.size);
        }
        assert_eq!(sizes, [2, 4, 4, 4]);
        window.release(&pool);
        assert_eq!(pool.left(), u64::from(3 * INITIAL_CREDIT));
    }

    #[test]
    fn a_window_that_holds_nobody_back_stays() {
        let pool = CreditPool::new(1 << 30);
        let mut window = Window::new(Nanos(0));
        assert!(window.receive(20_000) && window.take(20_000));
        assert_eq!(window.grant(&pool, ROUND_TRIP, Nanos::from(Duration::from_millis(81))), 20_000);
        assert_eq!(window.size, INITIAL_CREDIT);
    }

    #[test]
    fn nothing_is_taken_beyond_what_was_granted() {
        let mut window = Window::new(Nanos(0));
        assert!(window.receive(INITIAL_CREDIT as usize) && !window.is_empty());
        assert!(!window.receive(1));
        assert!(!window.take(INITIAL_CREDIT as usize / 2 - 1), "small grants are put off");
        assert!(window.take(1));
    }
}
