//! The UMEM of a port: its bytes, its free list, and the table that says who owns which frame.

use std::error::Error as _;
use std::io;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

use xsk_rs::config::{FrameSize, QueueSize, UmemConfig};
use xsk_rs::umem::UmemCreateError;
use xsk_rs::{FrameDesc, Umem};

use crate::error::PortError;
use crate::frame::{Frame, Owner};
use crate::options::{Pages, PortOptions};

/// Owner of a frame. Every transition is checked against this table, so that neither a mistake in this crate
/// nor an address that the kernel repeats can give the same bytes to two owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The free list.
    Free,
    /// The kernel, to receive into.
    Receiving,
    /// A [`Frame`].
    Held,
    /// The kernel, to transmit from; or a batch on the way there.
    Transmitting,
}

/// UMEM, free list and ownership table.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) umem: Umem,
    pub(crate) pages: Pages,
    pub(crate) owner: &'static Owner,
    /// A stack: the frame used last is the one in the cache.
    free: Vec<FrameDesc>,
    /// One entry a frame.
    places: Box<[Place]>,
    /// The descriptors that the UMEM was made with, one a frame: packet start where the kernel puts it.
    home: Box<[FrameDesc]>,
    /// A power of two.
    frame_size: usize,
}

impl Memory {
    /// Maps and registers a UMEM.
    pub(crate) fn new(options: &PortOptions) -> Result<Self, PortError> {
        let failed = |source| PortError::Umem { bytes: options.bytes(), source };
        let config = config(options).map_err(failed)?;
        let frames = NonZeroU32::new(options.frames).expect("options were checked");

        // A mapping that is no multiple of the page size could not be unmapped again; sizes are powers of two.
        let fits_huge = huge_page_size().is_some_and(|huge| options.bytes() >= huge);
        let huge = if options.huge_pages && fits_huge {
            match Umem::new(config, frames, true) {
                Ok(made) => Some(made),
                Err(error) => {
                    tracing::debug!(error = %os_error(&error), "no huge pages for the UMEM");
                    None
                }
            }
        } else {
            None
        };
        let pages = if huge.is_some() { Pages::Huge } else { Pages::Normal };
        let (umem, home) = match huge {
            Some(made) => made,
            None => Umem::new(config, frames, false).map_err(|error| failed(os_error(&error)))?,
        };
        Ok(Self {
            umem,
            pages,
            owner: Owner::new(),
            // Reversed, so that the stack starts with the lowest addresses.
            free: home.iter().rev().copied().collect(),
            places: vec![Place::Free; home.len()].into_boxed_slice(),
            home: home.into_boxed_slice(),
            frame_size: options.frame_size as usize,
        })
    }

    /// Number of frames.
    pub(crate) fn frames(&self) -> usize {
        self.home.len()
    }

    /// Number of frames on the free list.
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// Number of frames that the table shows in a place.
    pub(crate) fn count(&self, place: Place) -> usize {
        self.places.iter().filter(|found| **found == place).count()
    }

    /// Longest packet that a frame takes where the kernel puts its start.
    pub(crate) fn max_packet(&self) -> usize {
        self.frame_size - (self.home[0].addr() & (self.frame_size - 1))
    }

    /// Takes a frame from the free list for the caller.
    pub(crate) fn allocate(&mut self) -> Option<Frame> {
        let desc = self.free.pop()?;
        let changed = self.change(&desc, Place::Free, Place::Held);
        debug_assert!(changed, "{desc:?} was on the free list");
        let mut frame = Frame::new(desc, self.owner);
        self.set_end(&mut frame, 0);
        Some(frame)
    }

    /// Takes up to `count` frames from the free list for a fill ring: `produce` puts a slice of them there and
    /// says how many it took, all or none. Returns that number.
    pub(crate) fn lend_to_fill(
        &mut self,
        count: usize,
        produce: impl FnOnce(&[FrameDesc]) -> usize,
    ) -> usize {
        let left = self.free.len() - count.min(self.free.len());
        // The table is written first: once the ring has them the kernel may use the frames.
        for desc in &self.free[left..] {
            self.places[desc.addr() / self.frame_size] = Place::Receiving;
        }
        let taken = produce(&self.free[left..]);
        let kept = self.free.len() - taken;
        for desc in &self.free[left..kept.max(left)] {
            self.places[desc.addr() / self.frame_size] = Place::Free;
        }
        self.free.truncate(kept);
        taken
    }

    /// The frame of a received packet, or nothing when the kernel did not have it or the packet leaves it.
    pub(crate) fn received(&mut self, desc: FrameDesc) -> Option<Frame> {
        let offset = desc.addr() & (self.frame_size - 1);
        if offset + desc.lengths().data() > self.frame_size {
            // The chunk itself is ours again; only its packet is unusable.
            self.put_back(desc, Place::Receiving);
            return None;
        }
        self.change(&desc, Place::Receiving, Place::Held).then(|| Frame::new(desc, self.owner))
    }

    /// Puts a frame back on the free list. False, and nothing changed, when it was not in that place.
    pub(crate) fn put_back(&mut self, desc: FrameDesc, from: Place) -> bool {
        if !self.change(&desc, from, Place::Free) {
            return false;
        }
        let home = self.home_of(&desc);
        self.free.push(home);
        true
    }

    /// The descriptor as the UMEM was made with, for a frame whose packet started elsewhere.
    fn home_of(&self, desc: &FrameDesc) -> FrameDesc {
        let mask = self.frame_size - 1;
        if desc.addr() & mask == self.home[0].addr() & mask {
            return *desc;
        }
        self.home[desc.addr() / self.frame_size]
    }

    /// Moves a frame from one place to another. False, and nothing changed, when it is not in the first.
    pub(crate) fn change(&mut self, desc: &FrameDesc, from: Place, to: Place) -> bool {
        match self.places.get_mut(desc.addr() / self.frame_size) {
            Some(place) if *place == from => {
                *place = to;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.owner.open.store(false, Ordering::Relaxed);
    }
}

/// The UMEM's configuration. No headroom of our own: the packet starts 256 bytes (`XDP_PACKET_HEADROOM`) into
/// its frame.
fn config(options: &PortOptions) -> io::Result<UmemConfig> {
    let ring = QueueSize::new(options.ring_size).map_err(io::Error::other)?;
    UmemConfig::builder()
        .frame_size(FrameSize::new(options.frame_size).map_err(io::Error::other)?)
        .fill_queue_size(ring)
        .comp_queue_size(ring)
        .build()
        .map_err(io::Error::other)
}

/// The system's default huge page size in bytes (`Hugepagesize` of `/proc/meminfo`), if it has any.
fn huge_page_size() -> Option<usize> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find_map(|line| line.strip_prefix("Hugepagesize:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The kernel's answer inside an error of xsk-rs.
fn os_error(error: &UmemCreateError) -> io::Error {
    crate::bind::os_error(error, error.source())
}
