//! Short queues in front of a connection: CoDel (RFC 8289) applied where packets are packed.
//!
//! CoDel drops at the head of a queue. Here the head is a sealed stretch of a TLS stream that cannot
//! lose a packet any more, so the tunnel worker measures how long records wait for the socket and the
//! data worker applies the law to the packet it is about to pack. The signal comes one queue length
//! later than in the RFC, which the short queue keeps small.

use std::time::Duration;

use gridway_wire::time::Nanos;

/// Wait that is accepted as the price of keeping the path busy.
pub const TARGET: Duration = Duration::from_millis(3);
/// How long the wait must stay above the target before the first signal: about a round trip.
pub const INTERVAL: Duration = Duration::from_millis(50);

/// The control law for one connection, as one data worker applies it.
#[derive(Clone, Debug, Default)]
pub struct CoDel {
    above_since: Option<Nanos>,
    next_signal: Nanos,
    count: u32,
    signalling: bool,
}

impl CoDel {
    /// Whether the packet about to be packed must carry the congestion signal (an ECN mark, or its
    /// loss), given how long records now wait for the socket.
    pub fn signal(&mut self, wait: Duration, now: Nanos) -> bool {
        if wait < TARGET {
            self.above_since = None;
            self.signalling = false;
            return false;
        }
        let since = *self.above_since.get_or_insert(now);
        if now.since(since) < INTERVAL {
            return false;
        }
        if !self.signalling {
            self.signalling = true;
            // A queue that grew again soon after the last episode continues near its old rate.
            let recent = now.since(self.next_signal) < INTERVAL * 8;
            self.count = if recent && self.count > 2 { self.count - 2 } else { 1 };
            self.next_signal = now + self.gap();
            return true;
        }
        if now < self.next_signal {
            return false;
        }
        self.count = self.count.saturating_add(1);
        self.next_signal = self.next_signal.max(now - INTERVAL) + self.gap();
        true
    }

    /// The control law: gaps shrink with the square root of the signals given.
    fn gap(&self) -> Duration {
        INTERVAL.div_f64(f64::from(self.count.max(1)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Nanos {
        Nanos(1_000_000_000) + Duration::from_millis(ms)
    }

    fn signals(wait_ms: u64, from: u64, to: u64, law: &mut CoDel) -> usize {
        (from..to).filter(|&ms| law.signal(Duration::from_millis(wait_ms), at(ms))).count()
    }

    #[test]
    fn never_signals_below_the_target() {
        assert_eq!(signals(2, 0, 10_000, &mut CoDel::default()), 0);
    }

    #[test]
    fn a_burst_shorter_than_the_interval_passes() {
        assert_eq!(signals(40, 0, 49, &mut CoDel::default()), 0);
    }

    #[test]
    fn a_standing_queue_is_signalled_ever_more_often() {
        let mut law = CoDel::default();
        let first = signals(20, 0, 500, &mut law);
        let second = signals(20, 500, 1000, &mut law);
        assert!(first >= 5, "{first}");
        assert!(second > first, "{second} after {first}");
    }

    #[test]
    fn one_short_wait_ends_the_episode() {
        let mut law = CoDel::default();
        assert!(signals(20, 0, 200, &mut law) > 0);
        assert!(!law.signal(Duration::from_millis(1), at(200)));
        assert_eq!(signals(20, 201, 250, &mut law), 0);
    }
}
