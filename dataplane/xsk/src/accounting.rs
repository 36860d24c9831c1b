//! Numbers that a port gives about itself.

use std::io;
use std::sync::atomic::Ordering;

use crate::memory::Place;
use crate::port::Port;
use crate::queue::Queue;

/// Where the frames of a port are. Taken from the ownership table that every transition writes, one entry a
/// frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameAccounting {
    /// Frames in the UMEM.
    pub total: usize,
    /// On the free list.
    pub free: usize,
    /// With the kernel to receive: in fill rings, drivers and rx rings.
    pub receiving: usize,
    /// With the kernel to transmit: in batches, tx rings, drivers and completion rings.
    pub transmitting: usize,
    /// In the caller's hands, `leaked` ones included.
    pub held: usize,
    /// Dropped by the caller instead of given back.
    pub leaked: usize,
    /// Whether the table agrees with what the free list and the queues count themselves.
    pub consistent: bool,
}

impl FrameAccounting {
    /// Whether every frame is in exactly one place and none is lost.
    #[must_use]
    pub fn balances(&self) -> bool {
        let places = self.free + self.receiving + self.transmitting + self.held;
        self.consistent && self.leaked == 0 && places == self.total
    }

    /// Whether all frames are back: [balanced](Self::balances), none with the caller, none being sent.
    #[must_use]
    pub fn all_home(&self) -> bool {
        self.balances() && self.held == 0 && self.transmitting == 0
    }
}

/// What the kernel counted for one queue (`XDP_STATISTICS`), since its socket was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueStatistics {
    /// Receive queue of the interface.
    pub queue: u32,
    /// Packets lost for other reasons than a full rx ring: longer than a frame, or (copy mode) no frame in
    /// the fill ring.
    pub rx_dropped: u64,
    /// Fill ring entries that were no frame of the UMEM.
    pub rx_invalid_descs: u64,
    /// Tx ring entries that the kernel refused.
    pub tx_invalid_descs: u64,
    /// Packets lost because the rx ring was full.
    pub rx_ring_full: u64,
    /// Times that the kernel found the fill ring empty.
    pub fill_ring_empty: u64,
    /// Times that the kernel found the tx ring empty: ordinary, not a loss.
    pub tx_ring_empty: u64,
}

/// What the port counted itself, over all its queues, since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortCounters {
    /// Packets received.
    pub received: u64,
    /// Packets put on tx rings.
    pub transmitted: u64,
    /// Frames that came back from transmission.
    pub completed: u64,
    /// System calls made to have packets sent.
    pub tx_wakeups: u64,
    /// System calls made to have fill rings read.
    pub fill_wakeups: u64,
    /// Wake-ups answered `ENETDOWN`: the interface was down.
    pub interface_down: u64,
    /// Wake-ups of a fill ring that failed for another reason.
    pub fill_wakeup_errors: u64,
    /// Flushes that gave up with packets left on a tx ring because the kernel took none.
    pub tx_stalled: u64,
    /// Ring entries that named a frame the kernel did not have, or bytes outside of it: ignored.
    pub unexpected_descriptors: u64,
}

impl PortCounters {
    /// The sum of two sets of counters, field by field.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            transmitted: self.transmitted + other.transmitted,
            completed: self.completed + other.completed,
            tx_wakeups: self.tx_wakeups + other.tx_wakeups,
            fill_wakeups: self.fill_wakeups + other.fill_wakeups,
            interface_down: self.interface_down + other.interface_down,
            fill_wakeup_errors: self.fill_wakeup_errors + other.fill_wakeup_errors,
            tx_stalled: self.tx_stalled + other.tx_stalled,
            unexpected_descriptors: self.unexpected_descriptors + other.unexpected_descriptors,
        }
    }
}

impl Port {
    /// What the kernel counted for each queue.
    ///
    /// # Errors
    /// What the kernel said when a socket could not be read.
    pub fn statistics(&self) -> io::Result<Vec<QueueStatistics>> {
        self.queues.iter().map(Queue::statistics).collect()
    }

    /// What the port counted itself.
    #[must_use]
    pub fn counters(&self) -> PortCounters {
        self.queues.iter().fold(PortCounters::default(), |sum, queue| sum.plus(&queue.counters))
    }

    /// Where all frames are. Reads one byte a frame: for tests, status and metrics, not for the packet path.
    #[must_use]
    pub fn accounting(&self) -> FrameAccounting {
        let receiving = self.memory.count(Place::Receiving);
        let transmitting = self.memory.count(Place::Transmitting);
        let (free, held) = (self.memory.count(Place::Free), self.memory.count(Place::Held));
        let counted = self.queues.iter().fold((0, 0), |(receiving, transmitting), queue| {
            (receiving + queue.receiving as usize, transmitting + queue.transmitting as usize)
        });
        FrameAccounting {
            total: self.memory.frames(),
            free,
            receiving,
            transmitting,
            held,
            leaked: self.memory.owner.dropped.load(Ordering::Relaxed) as usize,
            consistent: free == self.memory.free()
                && held == self.held
                && counted == (receiving, transmitting),
        }
    }
}
