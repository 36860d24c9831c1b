//! Counters of one worker: written by it alone, read by anyone.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::reason::DropReason;

/// A number that one thread adds to and others read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning worker may call this: it is a load and a store, not an atomic
    /// addition, which would cost as much as the rest of the packet's bookkeeping.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of one direction.
#[derive(Debug)]
pub struct Direction {
    /// Packets received: from the ring outbound, out of opened records inbound.
    pub received: Counter,
    /// Packets passed on: in records written whole to a socket outbound, to the transmit ring inbound.
    pub forwarded: Counter,
    /// Packets this node answered itself (ARP, neighbour discovery).
    pub answered: Counter,
    /// Packets that answered a question of this node itself: it went no further.
    pub consumed: Counter,
    /// Packets taken into a waiting place: a record, or the queue for a neighbour.
    pub queued: Counter,
    /// Packets that left their waiting place, to wherever.
    pub dequeued: Counter,
    /// Bytes of IP packets received.
    pub received_bytes: Counter,
    /// Bytes of IP packets passed on.
    pub forwarded_bytes: Counter,
    /// Packets this node made itself: ICMP errors, resets, probes, further fragments. Never received.
    pub originated: Counter,
    /// Packets this node made itself that found no room or no way.
    pub unsent: Counter,
    /// Packets that went on to another peer, in records written whole to a socket; inbound only.
    pub relayed: Counter,
    /// Bytes of IP packets that went on to another peer.
    pub relayed_bytes: Counter,
    /// Packets that got an ECN mark in place of an early drop.
    pub ecn_marked: Counter,
    /// Packets that went on as part of a longer one, which the kernel or the NIC cuts; among the forwarded, inbound only.
    pub coupled: Counter,
    drops: Box<[Counter]>,
}

impl Default for Direction {
    fn default() -> Self {
        Self {
            received: Counter::default(),
            forwarded: Counter::default(),
            answered: Counter::default(),
            consumed: Counter::default(),
            queued: Counter::default(),
            dequeued: Counter::default(),
            received_bytes: Counter::default(),
            forwarded_bytes: Counter::default(),
            originated: Counter::default(),
            unsent: Counter::default(),
            relayed: Counter::default(),
            relayed_bytes: Counter::default(),
            ecn_marked: Counter::default(),
            coupled: Counter::default(),
            drops: std::iter::repeat_with(Counter::default).take(DropReason::COUNT).collect(),
        }
    }
}

impl Direction {
    /// Counts `packets` dropped for `reason`.
    pub fn drop(&self, reason: DropReason, packets: u64) {
        self.drops[reason.index()].add(packets);
    }

    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason.index()].get()
    }
}

/// All counters of one worker.
#[derive(Debug, Default)]
pub struct Counters {
    /// From local hosts to the overlay.
    pub outbound: Direction,
    /// From the overlay to local hosts.
    pub inbound: Direction,
    /// Flows created.
    pub flows_created: Counter,
    /// Flows that gave way to a new one.
    pub flows_evicted: Counter,
    /// ICMP errors and resets that were not sent because of their rate limit.
    pub answers_suppressed: Counter,
    /// Frames of an unknown type from peers, skipped.
    pub unknown_frames: Counter,
    /// Times the worker went to sleep.
    pub sleeps: Counter,
}
