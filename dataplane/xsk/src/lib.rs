//! AF_XDP port of a data NIC.
//!
//! A [`Port`] owns one UMEM, cut into equal *frames*, and one AF_XDP socket (XSK) for each receive queue it
//! serves. A frame is always in exactly one place: on the free list, with the kernel (fill ring to rx ring,
//! or tx ring to completion ring), or in the caller's hands as a [`Frame`]. Only the holder of a [`Frame`]
//! can reach its bytes, so the type system carries the rule that the kernel documents in prose
//! (<https://docs.kernel.org/networking/af_xdp.html>).
//!
//! ```text
//!            refill                 receive                transmit, flush
//!  free list ------> fill ring .. rx ring ------> Frame ------> tx ring .. completion ring
//!   ^   ^  \------------------------------------> /  |                         |
//!   |   |              allocate                      | recycle                 | reaped by flush
//!   |   +--------------------------------------------+                         |
//!   +--------------------------------------------------------------------------+
//! ```
//!
//! The crate loads no XDP program and knows no BPF map: [`Port::queues`] hands out the sockets, for the
//! loader to put into its XSKMAP.
//!
//! All unsafe code of user space is in this crate.

mod accounting;
mod bind;
mod bytes;
mod error;
mod frame;
mod memory;
mod options;
mod port;
mod queue;
mod segmented;

pub use accounting::{FrameAccounting, PortCounters, QueueStatistics};
pub use error::{FlushError, NoRoom, PortError, RejectReason, Rejected};
pub use frame::Frame;
pub use options::{Pages, PortOptions, RingMode, Rings};
pub use port::{Flushed, Port, PortQueue};
pub use segmented::{SegmentSocket, VIRTIO_HEADER_LEN, VirtioHeader};

/// Most packets that one call of [`Port::receive`] returns, and the size of a batch on every ring.
pub const BURST: usize = 64;

/// Shortest packet that [`Port::transmit`] takes: an Ethernet header, in bytes.
pub const ETHERNET_HEADER: usize = 14;
