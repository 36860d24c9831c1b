//! One receive queue of the NIC: its socket with four rings.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, TxQueue};

use crate::accounting::{PortCounters, QueueStatistics};
use crate::error::{RejectReason, Rejected};
use crate::frame::Frame;
use crate::memory::{Memory, Place};
use crate::options::{PortOptions, RingMode};
use crate::{BURST, ETHERNET_HEADER};

/// Descriptors that the kernel takes from a tx ring in one system call of copy mode (`TX_BATCH_SIZE`).
const COPY_MODE_BATCH: u32 = 32;
/// Wake-ups in a row that may move nothing before a flush gives up.
const MOST_STALLS: u32 = 2;

/// What became of a wake-up for transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kick {
    Done,
    InterfaceDown,
}

/// Socket, rings and counts of one queue. Its frames are those of the port's [`Memory`], which every call is
/// given.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) id: u32,
    tx: TxQueue,
    rx: RxQueue,
    fill: FillQueue,
    completion: CompQueue,
    /// Taken by `transmit`, not on the tx ring yet. At most [`BURST`], and never more than the ring has room
    /// for.
    batch: Vec<FrameDesc>,
    /// Where ring entries are read to.
    scratch: Box<[FrameDesc; BURST]>,
    /// Frames between fill ring and rx ring.
    pub(crate) receiving: u32,
    /// Frames between `transmit` and completion ring.
    pub(crate) transmitting: u32,
    fill_target: u32,
    ring_size: u32,
    need_wakeup: bool,
    zero_copy: bool,
    pub(crate) counters: PortCounters,
}

impl Queue {
    pub(crate) fn new(
        id: u32,
        (tx, rx, fill, completion): (TxQueue, RxQueue, FillQueue, CompQueue),
        options: &PortOptions,
        mode: RingMode,
    ) -> Self {
        Self {
            id,
            tx,
            rx,
            fill,
            completion,
            batch: Vec::with_capacity(BURST),
            scratch: Box::new([FrameDesc::default(); BURST]),
            receiving: 0,
            transmitting: 0,
            fill_target: options.fill_target(),
            ring_size: options.ring_size,
            need_wakeup: options.need_wakeup,
            zero_copy: mode == RingMode::ZeroCopy,
            counters: PortCounters::default(),
        }
    }

    /// Moves what was received, at most a burst, into `burst`. Returns the number of packets.
    pub(crate) fn receive(&mut self, memory: &mut Memory, burst: &mut Vec<Frame>) -> usize {
        // SAFETY: the rx ring is that of a socket bound to this memory's UMEM. The scratch entries are
        // written, not read: they lend no frame to anybody.
        let found = unsafe { self.rx.consume(&mut self.scratch[..]) };
        let before = burst.len();
        burst.reserve(found);
        for desc in &self.scratch[..found] {
            match memory.received(*desc) {
                Some(frame) => burst.push(frame),
                None => self.counters.unexpected_descriptors += 1,
            }
        }
        // Never below zero: the kernel puts a frame on the rx ring once for each time it was lent.
        self.receiving = self.receiving.saturating_sub(found as u32);
        self.counters.received += (burst.len() - before) as u64;
        burst.len() - before
    }

    /// Frames missing from what should wait for packets.
    pub(crate) fn wanted(&self) -> usize {
        self.fill_target.saturating_sub(self.receiving) as usize
    }

    /// Lends free frames to the fill ring, and wakes the driver if it asks for that.
    pub(crate) fn refill(&mut self, memory: &mut Memory) {
        let wanted = self.wanted().min(memory.free());
        if wanted > 0 {
            let room = self.fill.nb_free(wanted as u32) as usize;
            let fill = &mut self.fill;
            let lent = memory.lend_to_fill(wanted.min(room), |descs| {
                // SAFETY: the frames are of the UMEM that this ring's socket is bound to, and come from the
                // free list, so nobody else has them: no `Frame` exists for any, and no ring holds one.
                // `lend_to_fill` takes those that the ring took off the list.
                unsafe { fill.produce(descs) }
            });
            self.receiving += lent as u32;
        }
        // Copy mode never asks.
        if self.zero_copy && (!self.need_wakeup || self.fill.needs_wakeup()) {
            self.wake_fill();
        }
    }

    fn wake_fill(&mut self) {
        self.counters.fill_wakeups += 1;
        let mut nothing: [u8; 0] = [];
        match rustix::net::recv(self.as_fd(), &mut nothing[..], RecvFlags::DONTWAIT) {
            Ok(_) | Err(Errno::AGAIN | Errno::BUSY | Errno::INTR | Errno::NOBUFS) => {}
            Err(Errno::NETDOWN) => self.counters.interface_down += 1,
            Err(_) => self.counters.fill_wakeup_errors += 1,
        }
    }

    /// Takes a packet for transmission; [`Self::flush`] sends it.
    pub(crate) fn transmit(&mut self, memory: &mut Memory, mut frame: Frame) -> Result<(), Rejected> {
        if frame.len() < ETHERNET_HEADER {
            return Err(Rejected { frame, reason: RejectReason::TooShort });
        }
        if self.batch.len() == BURST {
            self.submit();
        }
        // Room is made sure of here, so that a frame once taken is never given back.
        let needed = self.batch.len() as u32 + 1;
        if self.batch.len() == BURST || self.tx.nb_free(needed) < needed {
            return Err(Rejected { frame, reason: RejectReason::RingFull });
        }
        memory.settle(&mut frame);
        let desc = frame.into_desc();
        let changed = memory.change(&desc, Place::Held, Place::Transmitting);
        debug_assert!(changed, "{desc:?} was in a Frame");
        self.batch.push(desc);
        self.transmitting += 1;
        Ok(())
    }

    /// Puts the batch on the tx ring.
    fn submit(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        // SAFETY: the frames are of the UMEM that this ring's socket is bound to, and their `Frame`s were
        // consumed by `transmit`, so nobody else has them. They leave the batch when the ring has them.
        let taken = unsafe { self.tx.produce(&self.batch) };
        self.counters.transmitted += taken as u64;
        debug_assert_eq!(taken, self.batch.len(), "transmit made sure of the room");
        self.batch.drain(..taken);
    }

    /// Takes back the frames whose packets were sent. Returns their number.
    pub(crate) fn reap(&mut self, memory: &mut Memory) -> u32 {
        let mut reaped = 0;
        while self.transmitting > 0 {
            // SAFETY: as in `receive`, for the completion ring.
            let found = unsafe { self.completion.consume(&mut self.scratch[..]) };
            for desc in &self.scratch[..found] {
                if !memory.put_back(*desc, Place::Transmitting) {
                    self.counters.unexpected_descriptors += 1;
                }
            }
            reaped += found as u32;
            self.transmitting = self.transmitting.saturating_sub(found as u32);
            if found < BURST {
                break;
            }
        }
        self.counters.completed += u64::from(reaped);
        reaped
    }

    /// Descriptors on the tx ring that the kernel has not taken.
    pub(crate) fn unsent(&mut self) -> u32 {
        self.ring_size - self.tx.nb_free_exact()
    }

    /// Puts the batch on the ring and has the kernel send what is there.
    ///
    /// A zero-copy driver is woken once, and sends on its own. In copy mode the system call itself sends, 32
    /// packets at most, and answers `EAGAIN` for more: it is repeated until the ring is empty, or until the
    /// kernel has no room for more (`EAGAIN` again, `ENOBUFS`, `EBUSY`). What stays is sent by a later flush.
    pub(crate) fn flush(&mut self, memory: &mut Memory) -> io::Result<Kick> {
        self.submit();
        if self.transmitting == 0 {
            return Ok(Kick::Done);
        }
        if self.zero_copy {
            // Even with an empty ring: some drivers look for completions only when woken.
            let asked = !self.need_wakeup || self.tx.needs_wakeup();
            return if asked { self.wake_tx() } else { Ok(Kick::Done) };
        }
        let mut unsent = self.unsent();
        let mut stalls = 0;
        for _ in 0..=(unsent / COPY_MODE_BATCH + MOST_STALLS) {
            if unsent == 0 {
                return Ok(Kick::Done);
            }
            if self.wake_tx()? == Kick::InterfaceDown {
                return Ok(Kick::InterfaceDown);
            }
            // A full completion ring stops the kernel too.
            self.reap(memory);
            let left = self.unsent();
            stalls = if left == unsent { stalls + 1 } else { 0 };
            unsent = left;
            if stalls == MOST_STALLS {
                break;
            }
        }
        if unsent > 0 {
            self.counters.tx_stalled += 1;
        }
        Ok(Kick::Done)
    }

    fn wake_tx(&mut self) -> io::Result<Kick> {
        self.counters.tx_wakeups += 1;
        match rustix::net::send(self.as_fd(), &[], SendFlags::DONTWAIT) {
            Ok(_) | Err(Errno::AGAIN | Errno::BUSY | Errno::INTR | Errno::NOBUFS) => Ok(Kick::Done),
            Err(Errno::NETDOWN) => {
                self.counters.interface_down += 1;
                Ok(Kick::InterfaceDown)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// What the kernel counted.
    pub(crate) fn statistics(&self) -> io::Result<QueueStatistics> {
        let found = self.tx.fd().xdp_statistics()?;
        Ok(QueueStatistics {
            queue: self.id,
            rx_dropped: found.rx_dropped(),
            rx_invalid_descs: found.rx_invalid_descs(),
            tx_invalid_descs: found.tx_invalid_descs(),
            rx_ring_full: found.rx_ring_full(),
            fill_ring_empty: found.rx_fill_ring_empty_descs(),
            tx_ring_empty: found.tx_ring_empty_descs(),
        })
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let raw = self.tx.fd().as_raw_fd();
        // SAFETY: the descriptor is that of the socket that `self.tx` keeps open; the borrow ends before it.
        unsafe { BorrowedFd::borrow_raw(raw) }
    }
}
