//! The token that stands for one frame of a port's UMEM.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xsk_rs::FrameDesc;

/// Identity of a port, shared with all its frames. Its address is the identity.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Frames that were dropped instead of given back.
    pub(crate) dropped: AtomicU64,
    /// False once the port is closed: then there is nowhere left to give a frame back to.
    pub(crate) open: AtomicBool,
}

impl Owner {
    /// A new identity. It is never freed: a frame may outlive its port, and must not be taken for a frame
    /// of a port that came later. That costs 16 bytes for each port ever opened, and spares the frames a
    /// reference count.
    pub(crate) fn new() -> &'static Self {
        Box::leak(Box::new(Self { dropped: AtomicU64::new(0), open: AtomicBool::new(true) }))
    }
}

/// One frame of a port's UMEM, and the packet in it.
///
/// Holding a `Frame` is having exclusive access to that piece of the UMEM: it cannot be cloned, nor made
/// outside of this crate. It reaches its bytes through its [`crate::Port`] only, and goes home by
/// [`crate::Port::transmit`] or [`crate::Port::recycle`]. Dropping it loses the frame until the port is
/// closed: a bug, counted as [`crate::FrameAccounting::leaked`], and a panic in debug builds.
#[must_use = "a frame must be transmitted or recycled"]
pub struct Frame {
    /// Address as the kernel gave it, and `lengths.data`: where the packet ends, counted from there.
    pub(crate) desc: FrameDesc,
    /// Where the packet starts, counted from the address; never past its end.
    pub(crate) start: usize,
    owner: &'static Owner,
}

impl Frame {
    pub(crate) fn new(desc: FrameDesc, owner: &'static Owner) -> Self {
        Self { desc, start: 0, owner }
    }

    /// Length of the packet in bytes, Ethernet header included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.desc.lengths().data() - self.start
    }

    /// Whether there is no packet in the frame yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn belongs_to(&self, owner: &'static Owner) -> bool {
        std::ptr::eq(self.owner, owner)
    }

    /// Ends the caller's ownership without counting the frame as lost.
    pub(crate) fn into_desc(self) -> FrameDesc {
        ManuallyDrop::new(self).desc
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("address", &(self.desc.addr() + self.start))
            .field("len", &self.len())
            .finish()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if !self.owner.open.load(Ordering::Relaxed) {
            return;
        }
        self.owner.dropped.fetch_add(1, Ordering::Relaxed);
        if cfg!(debug_assertions) && !std::thread::panicking() {
            panic!("{self:?} was dropped: it must be given back by transmit or recycle");
        }
    }
}
