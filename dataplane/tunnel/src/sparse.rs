//! Flows that need not wait behind others: the "new flows" of FQ-CoDel (RFC 8290, 4.1) where packets are packed.
//!
//! A flow that sends little, such as a ping, a name look-up, a call or a keystroke, adds nothing to a queue that bulk
//! transfers have built. Its packets go into records that pass those waiting for the socket. Which flows are **sparse** is
//! measured while records wait: a bucket for each flow (by hash: flows that share one are judged together) leaks
//! [`RATE`] and holds [`BURST`].
//!
//! A packet passes only when all earlier ones of its flow have left, which is when they are older than the oldest record
//! that waits: a flow's packets stay in order, unless a worker's turn takes longer than [`SLACK`].

use std::time::Duration;

use gridway_wire::time::Nanos;

/// Wait from which on packets pass: below it nobody gains anything.
pub const FROM: Duration = Duration::from_micros(500);
/// Bytes a second that a sparse flow sends at most: four calls' worth.
pub const RATE: u64 = 64_000;
/// Bytes that a flow may send at once and still be sparse.
pub const BURST: u64 = 4_096;
/// How far the stamps of packets and records may be from the moment when they are handed over: a worker's turn.
const SLACK: Duration = Duration::from_millis(5);
/// How long nothing has waited when flows are no longer told apart.
const FORGET: Duration = Duration::from_secs(5);
/// What a bucket holds at most: twice what makes a flow sparse, so that whoever becomes quiet is sparse again soon.
const FULL: u64 = 2 * BURST;
/// After this long the fullest bucket is empty.
const EMPTY_AFTER: Duration = Duration::from_millis(FULL * 1000 / RATE + 1);
const BUCKETS: usize = 512;

/// The flows of one connection, as one data worker sees them.
#[derive(Clone, Debug, Default)]
pub struct SparseFlows {
    /// Memory is claimed when records first wait.
    buckets: Box<[Bucket]>,
    /// When a packet was last packed before flows were told apart.
    untold_until: Nanos,
    /// When a record was last seen to wait.
    waited_at: Nanos,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    bytes: u64,
    at: Nanos,
    /// When a packet was last queued in its turn.
    queued_at: Nanos,
}

impl SparseFlows {
    /// Whether a packet of `len` bytes of the flow numbered `flow` may pass the records that wait, given how long those
    /// have waited. Whoever queues it in its turn instead says so ([`Self::queued`]).
    pub fn may_pass(&mut self, flow: usize, len: usize, wait: Duration, now: Nanos) -> bool {
        let waits = wait >= FROM;
        if waits {
            self.waited_at = now;
            if self.buckets.is_empty() {
                self.buckets = vec![Bucket::default(); BUCKETS].into();
            }
        } else if self.buckets.is_empty() || now.since(self.waited_at) > FORGET {
            self.buckets = Box::default();
            self.untold_until = now;
            return false;
        }
        let untold_until = self.untold_until;
        let bucket = &mut self.buckets[place(flow)];
        let elapsed = now.since(bucket.at).min(EMPTY_AFTER).as_nanos() as u64;
        bucket.bytes = (bucket.bytes.saturating_sub(elapsed * RATE / 1_000_000_000) + len as u64).min(FULL);
        bucket.at = now;
        let last_queued = bucket.queued_at.max(untold_until);
        waits && bucket.bytes <= BURST && now.since(last_queued) > wait + SLACK
    }

    /// A packet of the flow was queued in its turn. Not said of one that was dropped: nothing of the flow waits then.
    pub fn queued(&mut self, flow: usize, now: Nanos) {
        if let Some(bucket) = self.buckets.get_mut(place(flow)) {
            bucket.queued_at = now;
        }
    }
}

/// The bucket of a flow. Its lower bits have chosen the connection.
fn place(flow: usize) -> usize {
    (flow >> 16) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(5);

    fn at(ms: u64) -> Nanos {
        Nanos(1_000_000_000) + Duration::from_millis(ms)
    }

    /// Whether a packet passes; else it is queued in its turn.
    fn send(flows: &mut SparseFlows, flow: usize, len: usize, wait: Duration, now: Nanos) -> bool {
        let passes = flows.may_pass(flow, len, wait, now);
        if !passes {
            flows.queued(flow, now);
        }
        passes
    }

    #[test]
    fn nobody_passes_where_nothing_waits() {
        let mut flows = SparseFlows::default();
        assert!((0..1000).all(|ms| !send(&mut flows, 1 << 16, 84, Duration::ZERO, at(ms))));
        assert!(flows.buckets.is_empty(), "no memory is claimed");
    }

    #[test]
    fn a_ping_passes_and_a_bulk_transfer_waits() {
        let mut flows = SparseFlows::default();
        assert!(!send(&mut flows, 1 << 16, 84, Duration::ZERO, at(0)));
        let (mut pings, mut bulk) = (0, 0);
        for ms in 10..1010 {
            pings += u32::from(ms % 20 == 0 && send(&mut flows, 1 << 16, 84, WAIT, at(ms)));
            bulk += (0..10).filter(|_| send(&mut flows, 2 << 16, 1400, WAIT, at(ms))).count();
        }
        assert_eq!(pings, 50);
        assert!(bulk <= 2, "{bulk}");
    }

    #[test]
    fn a_bulk_transfer_that_becomes_quiet_is_sparse_again() {
        let mut flows = SparseFlows::default();
        for ms in 0..100 {
            send(&mut flows, 1 << 16, 1400, WAIT, at(ms));
        }
        assert!(!send(&mut flows, 1 << 16, 84, WAIT, at(110)));
        assert!(send(&mut flows, 1 << 16, 84, WAIT, at(1000)));
    }

    #[test]
    fn no_packet_passes_an_earlier_one_of_its_flow() {
        let mut flows = SparseFlows::default();
        // Packed while nothing waited, and may still be under way when something does.
        assert!(!send(&mut flows, 1 << 16, 84, Duration::ZERO, at(0)));
        assert!(!send(&mut flows, 1 << 16, 84, WAIT, at(4)));
        // That one waits too, as long as the record it is in.
        assert!(!send(&mut flows, 1 << 16, 84, WAIT, at(10)));
        assert!(send(&mut flows, 1 << 16, 84, WAIT, at(21)));
        flows.queued(1 << 16, at(21));
        assert!(!send(&mut flows, 1 << 16, 84, WAIT, at(25)));
    }

    #[test]
    fn packets_that_were_dropped_bar_none_behind_them() {
        let mut flows = SparseFlows::default();
        send(&mut flows, 1 << 16, 84, Duration::ZERO, at(0));
        send(&mut flows, 1 << 16, 84, WAIT, at(1));
        // Each is dropped: none is behind the one that was queued.
        assert_eq!((2..12).filter(|ms| flows.may_pass(1 << 16, 84, WAIT, at(*ms))).count(), 0);
        assert!(flows.may_pass(1 << 16, 84, WAIT, at(12)));
    }

    #[test]
    fn what_nothing_waits_for_is_forgotten() {
        let mut flows = SparseFlows::default();
        send(&mut flows, 1 << 16, 84, WAIT, at(0));
        send(&mut flows, 1 << 16, 84, Duration::ZERO, at(100));
        assert_eq!(flows.buckets.len(), BUCKETS);
        send(&mut flows, 1 << 16, 84, Duration::ZERO, at(6000));
        assert!(flows.buckets.is_empty());
    }
}
