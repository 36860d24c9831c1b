//! The port: one UMEM, the queues that share it, and the way of every frame between them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::bind;
use crate::error::{FlushError, NoRoom, PortError, RejectReason, Rejected};
use crate::frame::Frame;
use crate::memory::{Memory, Place};
use crate::options::{Pages, PortOptions, RingMode};
use crate::queue::{Kick, Queue};

/// An AF_XDP port: one UMEM and one socket for each of some receive queues of an interface.
///
/// It belongs to one worker thread: it can be sent to it, not shared.
///
/// ```compile_fail
/// fn shared<T: Sync>() {}
/// shared::<gridway_xsk::Port>();
/// ```
///
/// Methods that take a `queue_index` (a position in [`PortOptions::queues`]) panic when there is no such
/// queue, and methods that reach into a [`Frame`] panic when it belongs to another port: both are mistakes of
/// the caller, like an index past the end of a slice.
#[derive(Debug)]
pub struct Port {
    // Dropped first: the sockets go before the memory does.
    pub(crate) queues: Vec<Queue>,
    pub(crate) memory: Memory,
    mode: RingMode,
    refusal: Option<io::Error>,
    pub(crate) held: usize,
}

/// The socket of one queue, for the loader's XSKMAP and the worker's poll.
#[derive(Debug, Clone, Copy)]
pub struct PortQueue<'a> {
    /// Receive queue of the interface: the key in the XSKMAP.
    pub id: u32,
    socket: BorrowedFd<'a>,
}

/// What a flush did, over all queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flushed {
    /// Frames that came back to the free list.
    pub completed: u32,
    /// Packets that wait on tx rings for a later flush. In zero-copy mode that is ordinary; in copy mode the
    /// kernel had no room for them, or the interface is down.
    pub unsent: u32,
    /// Whether the interface was found down (`ENETDOWN`). Nothing is lost: the packets wait until it is up.
    pub interface_down: bool,
}

impl Port {
    /// Creates the UMEM, binds a socket to every queue and fills the fill rings.
    ///
    /// Packets arrive once an XDP program redirects them to the sockets ([`Self::queues`]).
    ///
    /// # Errors
    /// [`PortError`]: options out of bounds, no memory, no such interface or queue, a queue that another
    /// socket has (tried again for half a second), or zero-copy demanded and refused.
    pub fn open(options: &PortOptions) -> Result<Self, PortError> {
        options.check()?;
        let bind::Bound { memory, queues, mode, refusal } = bind::bind(options)?;
        let mut port = Self { queues, memory, mode, refusal, held: 0 };
        for queue in &mut port.queues {
            queue.refill(&mut port.memory);
        }
        tracing::info!(
            interface = options.interface,
            queues = ?options.queues,
            mode = ?port.mode,
            pages = ?port.memory.pages,
            frames = options.frames,
            "AF_XDP port open"
        );
        Ok(port)
    }

    /// The mode that the kernel granted.
    #[must_use]
    pub fn mode(&self) -> RingMode {
        self.mode
    }

    /// Why zero-copy was refused, when [`crate::Rings::Auto`] fell back to copy.
    #[must_use]
    pub fn zero_copy_refusal(&self) -> Option<&io::Error> {
        self.refusal.as_ref()
    }

    /// The pages that hold the UMEM.
    #[must_use]
    pub fn pages(&self) -> Pages {
        self.memory.pages
    }

    /// Longest packet, in bytes with the Ethernet header, that can be received or transmitted: the frame size
    /// less 256 bytes of headroom.
    #[must_use]
    pub fn max_packet(&self) -> usize {
        self.memory.max_packet()
    }

    /// The queues with their sockets, in the order of [`PortOptions::queues`].
    pub fn queues(&self) -> impl ExactSizeIterator<Item = PortQueue<'_>> {
        self.queues.iter().map(|queue| PortQueue { id: queue.id, socket: queue.as_fd() })
    }

    /// Appends what a queue has received, at most [`crate::BURST`] packets, to `burst`, and lends free frames
    /// to its fill ring. Returns the number of packets. Allocates only when `burst` has too little capacity.
    pub fn receive(&mut self, queue_index: usize, burst: &mut Vec<Frame>) -> usize {
        let count = self.queues[queue_index].receive(&mut self.memory, burst);
        self.held += count;
        if self.memory.free() < self.queues[queue_index].wanted() {
            self.reap();
        }
        self.queues[queue_index].refill(&mut self.memory);
        count
    }

    /// The packet in a frame.
    #[must_use]
    pub fn packet<'a>(&'a self, frame: &'a Frame) -> &'a [u8] {
        self.memory.packet(frame)
    }

    /// The packet in a frame, to change in place.
    #[must_use]
    pub fn packet_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        let len = frame.len();
        &mut self.memory.room_mut(frame)[..len]
    }

    /// All room from the start of the packet to the end of the frame, to build a packet in; then
    /// [`Self::resize`] says how long it is. Past the packet it holds whatever was there before.
    #[must_use]
    pub fn buffer_mut<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        self.memory.room_mut(frame)
    }

    /// Sets the length of the packet, its start stays. Bytes that it gains are not cleared.
    ///
    /// # Errors
    /// [`NoRoom`] past the end of the frame.
    pub fn resize(&self, frame: &mut Frame, len: usize) -> Result<(), NoRoom> {
        self.memory.resize(frame, len)
    }

    /// Takes `count` bytes off the front of the packet. Free until the frame is transmitted: then the packet
    /// is copied once within its frame, since xsk-rs sends from the address it received at.
    ///
    /// # Errors
    /// [`NoRoom`] when the packet is shorter.
    pub fn trim_front(&self, frame: &mut Frame, count: usize) -> Result<(), NoRoom> {
        if count > frame.len() {
            return Err(NoRoom { needed: count, room: frame.len() });
        }
        frame.start += count;
        Ok(())
    }

    /// Makes the packet `count` bytes longer at its front; they are not cleared. Free within what
    /// [`Self::trim_front`] took, beyond that the packet is copied within its frame.
    ///
    /// # Errors
    /// [`NoRoom`] when the frame is too small for both; the packet is unchanged.
    pub fn grow_front(&self, frame: &mut Frame, count: usize) -> Result<(), NoRoom> {
        self.memory.grow_front(frame, count)
    }

    /// An empty frame from the free list, or nothing when all are in use.
    pub fn allocate(&mut self) -> Option<Frame> {
        if self.memory.free() == 0 {
            self.reap();
        }
        let frame = self.memory.allocate()?;
        self.held += 1;
        Some(frame)
    }

    /// Gives a frame back without sending it. A frame of another port is lost there: it is dropped, which
    /// its own port counts.
    pub fn recycle(&mut self, frame: Frame) {
        if !frame.belongs_to(self.memory.owner) {
            drop(frame);
            return;
        }
        let returned = self.memory.put_back(frame.into_desc(), Place::Held);
        debug_assert!(returned, "a Frame's place is Held");
        self.held -= 1;
    }

    /// Takes a packet for transmission on a queue. It leaves at the latest with the next [`Self::flush`].
    ///
    /// # Errors
    /// [`Rejected`] gives the frame back: the tx ring is full, the packet is shorter than an Ethernet header,
    /// or the frame belongs to another port.
    pub fn transmit(&mut self, queue_index: usize, frame: Frame) -> Result<(), Rejected> {
        if !frame.belongs_to(self.memory.owner) {
            return Err(Rejected { frame, reason: RejectReason::Foreign });
        }
        self.queues[queue_index].transmit(&mut self.memory, frame)?;
        self.held -= 1;
        Ok(())
    }

    /// Has the kernel send what [`Self::transmit`] took, and takes back frames that were sent. Once a burst;
    /// without anything to send or take back it makes no system call.
    ///
    /// # Errors
    /// [`FlushError`] of the first queue that failed for good; the other queues are flushed all the same. An
    /// interface that is down is no error.
    pub fn flush(&mut self) -> Result<Flushed, FlushError> {
        let mut flushed = Flushed::default();
        let mut failure = None;
        let completed = self.completed();
        for queue in &mut self.queues {
            match queue.flush(&mut self.memory) {
                Ok(Kick::Done) => {}
                Ok(Kick::InterfaceDown) => flushed.interface_down = true,
                Err(source) => {
                    let error = FlushError { queue: queue.id, source };
                    failure = failure.or(Some(error));
                }
            }
            queue.reap(&mut self.memory);
            if queue.transmitting > 0 {
                flushed.unsent += queue.unsent();
            }
        }
        flushed.completed = (self.completed() - completed) as u32;
        failure.map_or(Ok(flushed), Err)
    }

    /// Takes back sent frames of every queue, for when the free list runs low.
    fn reap(&mut self) {
        for queue in &mut self.queues {
            queue.reap(&mut self.memory);
        }
    }

    /// Frames that [`Self::transmit`] took and that have not come back, of all queues.
    #[must_use]
    pub fn transmitting(&self) -> u32 {
        self.queues.iter().map(|queue| queue.transmitting).sum()
    }

    fn completed(&self) -> u64 {
        self.queues.iter().map(|queue| queue.counters.completed).sum()
    }
}

impl AsFd for PortQueue<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket
    }
}

impl AsRawFd for PortQueue<'_> {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
