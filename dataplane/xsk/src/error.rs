//! What can go wrong, with the values that did.

use std::io;

use thiserror::Error;

use crate::frame::Frame;
use crate::options::RingMode;

/// Why a port could not be opened.
#[derive(Debug, Error)]
pub enum PortError {
    /// The list of queues is empty.
    #[error("no receive queue of {interface} given: at least one is needed")]
    NoQueue {
        /// Name of the interface.
        interface: String,
    },
    /// A queue is listed twice.
    #[error("receive queue {queue} is listed twice")]
    DuplicateQueue {
        /// The queue.
        queue: u32,
    },
    /// The frame size is not one that the kernel takes for an aligned UMEM.
    #[error("frame size {found}: must be 2048 or 4096 bytes")]
    FrameSize {
        /// Value given.
        found: u32,
    },
    /// The ring size is no power of two, or out of bounds.
    #[error("ring size {found}: must be a power of two from {least} to {most}")]
    RingSize {
        /// Value given.
        found: u32,
        /// Smallest value taken.
        least: u32,
        /// Largest value taken.
        most: u32,
    },
    /// The number of frames is no power of two, or out of bounds.
    #[error("{found} frames: must be a power of two from {least} (for this number of queues) to {most}")]
    Frames {
        /// Value given.
        found: u32,
        /// Smallest value taken.
        least: usize,
        /// Largest value taken.
        most: u32,
    },
    /// The interface name holds a NUL byte.
    #[error("interface name {name:?} holds a NUL byte")]
    InterfaceName {
        /// Name given.
        name: String,
    },
    /// The UMEM could not be mapped or registered. `ENOBUFS` means that it is larger than
    /// `RLIMIT_MEMLOCK` and the process lacks `CAP_IPC_LOCK`; `EPERM`, that it lacks `CAP_NET_RAW`.
    #[error("cannot create a UMEM of {bytes} bytes")]
    Umem {
        /// Size asked for.
        bytes: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// A socket could not be bound to its queue. `EOPNOTSUPP`: no zero-copy; `EBUSY`: another socket has
    /// the queue; `EINVAL`: no such queue, or the driver refuses the sizes; `ENODEV`: no such interface.
    #[error("cannot bind an AF_XDP socket to queue {queue} of {interface} in {mode:?} mode")]
    Bind {
        /// Name of the interface.
        interface: String,
        /// Receive queue.
        queue: u32,
        /// Mode that was tried.
        mode: RingMode,
        /// What the kernel said.
        source: io::Error,
    },
    /// A bound socket could not be read or set up.
    #[error("cannot set up the AF_XDP socket of queue {queue} of {interface}")]
    Socket {
        /// Name of the interface.
        interface: String,
        /// Receive queue.
        queue: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why a flush failed for good on a queue, for example `ENXIO` after the interface was removed. Conditions
/// that pass (a full device queue, an interface that is down) are no errors: see [`crate::Flushed`].
#[derive(Debug, Error)]
#[error("cannot wake the transmitter of queue {queue}")]
pub struct FlushError {
    /// Receive queue.
    pub queue: u32,
    /// What the kernel said.
    pub source: io::Error,
}

/// A frame that was not taken for transmission, given back to the caller.
#[derive(Debug)]
#[must_use = "the frame must be recycled or sent again"]
pub struct Rejected {
    /// The frame, unchanged.
    pub frame: Frame,
    /// Why it was not taken.
    pub reason: RejectReason,
}

/// Why a frame was not taken for transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RejectReason {
    /// The tx ring is full (`tx_full`).
    #[error("the tx ring is full")]
    RingFull,
    /// The packet is shorter than an Ethernet header.
    #[error("the packet is shorter than an Ethernet header")]
    TooShort,
    /// The frame belongs to another port.
    #[error("the frame belongs to another port")]
    Foreign,
}

/// A packet does not fit into its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no room for {needed} bytes in the frame: {room} at most")]
pub struct NoRoom {
    /// Bytes asked for.
    pub needed: usize,
    /// Bytes there are.
    pub room: usize,
}
