//! What a port is opened with, and what it was given.

use crate::BURST;
use crate::error::PortError;

/// Largest ring and largest number of frames that [`PortOptions`] takes.
const MOST_FRAMES: u32 = 1 << 20;

/// AF_XDP mode that is asked for (`data.rings` in the configuration).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rings {
    /// Zero-copy where driver and NIC can, otherwise copy.
    #[default]
    Auto,
    /// Zero-copy or an error.
    ZeroCopy,
    /// Copy, even where zero-copy would work.
    Copy,
}

/// AF_XDP mode that the kernel granted, as read back from the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingMode {
    /// The NIC reads and writes the UMEM itself.
    ZeroCopy,
    /// The kernel copies each packet between its own buffers and the UMEM.
    Copy,
}

/// Pages that hold the UMEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pages {
    /// Huge pages of the system's default size (`MAP_HUGETLB`).
    Huge,
    /// Pages of the ordinary size.
    Normal,
}

/// What a [`crate::Port`] is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortOptions {
    /// Name of the network interface, looked up in the network namespace of the calling thread.
    pub interface: String,
    /// Receive queues of the interface, one XSK each, without repetition. The position in this list is the
    /// `queue_index` of the port's methods.
    pub queues: Vec<u32>,
    /// Mode that is asked for.
    pub rings: Rings,
    /// Frames in the UMEM, shared by all queues: a power of two. At most half of them wait for packets in
    /// fill rings, so that [`crate::Port::allocate`] is never starved by receiving.
    pub frames: u32,
    /// Bytes of a frame: 2048 or 4096. A packet may have [`crate::Port::max_packet`] of them.
    pub frame_size: u32,
    /// Entries of each of the four rings of each queue: a power of two.
    pub ring_size: u32,
    /// `XDP_USE_NEED_WAKEUP`: the driver says when it must be woken, instead of being woken on every flush.
    pub need_wakeup: bool,
    /// Try huge pages for the UMEM before normal ones.
    pub huge_pages: bool,
}

impl PortOptions {
    /// Options for some queues of an interface: rings of 2048, four times as many frames of 2048 bytes for
    /// each queue, wake-ups on request, huge pages where there are some.
    #[must_use]
    pub fn new(interface: impl Into<String>, queues: Vec<u32>) -> Self {
        let ring_size = 2048_u32;
        let count = u32::try_from(queues.len()).unwrap_or(u32::MAX).max(1);
        let frames = count.saturating_mul(4 * ring_size).checked_next_power_of_two();
        Self {
            interface: interface.into(),
            queues,
            rings: Rings::Auto,
            frames: frames.unwrap_or(MOST_FRAMES).min(MOST_FRAMES),
            frame_size: 2048,
            ring_size,
            need_wakeup: true,
            huge_pages: true,
        }
    }

    /// Checks everything that can be checked without the kernel.
    pub(crate) fn check(&self) -> Result<(), PortError> {
        if self.queues.is_empty() {
            return Err(PortError::NoQueue { interface: self.interface.clone() });
        }
        for (index, queue) in self.queues.iter().enumerate() {
            if self.queues[..index].contains(queue) {
                return Err(PortError::DuplicateQueue { queue: *queue });
            }
        }
        if ![2048, 4096].contains(&self.frame_size) {
            return Err(PortError::FrameSize { found: self.frame_size });
        }
        if !self.ring_size.is_power_of_two() || !(BURST as u32..=MOST_FRAMES).contains(&self.ring_size) {
            return Err(PortError::RingSize {
                found: self.ring_size,
                least: BURST as u32,
                most: MOST_FRAMES,
            });
        }
        let least = 2 * BURST * self.queues.len();
        if !self.frames.is_power_of_two() || self.frames > MOST_FRAMES || (self.frames as usize) < least {
            return Err(PortError::Frames { found: self.frames, least, most: MOST_FRAMES });
        }
        Ok(())
    }

    /// Frames that each queue keeps waiting for packets: in its fill ring, the driver and its rx ring.
    pub(crate) fn fill_target(&self) -> u32 {
        let share = self.frames as usize / (2 * self.queues.len());
        u32::try_from(share).unwrap_or(u32::MAX).min(self.ring_size)
    }

    /// Bytes of the whole UMEM.
    pub(crate) fn bytes(&self) -> usize {
        self.frames as usize * self.frame_size as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_for_one_to_64_queues() {
        for count in 1..=64 {
            let options = PortOptions::new("data0", (0..count).collect());
            options.check().unwrap();
            assert!(options.fill_target() >= BURST as u32, "{count} queues");
            assert!(options.fill_target() as usize * options.queues.len() <= options.frames as usize / 2);
        }
    }

    #[test]
    fn fill_rings_never_get_more_than_half_of_the_frames() {
        for (queues, frames, target) in [(1, 128, 64), (2, 256, 64), (3, 4096, 682), (1, 1 << 20, 2048)] {
            let options = PortOptions { frames, ..PortOptions::new("data0", (0..queues).collect()) };
            options.check().unwrap();
            assert_eq!(options.fill_target(), target, "{queues} queues, {frames} frames");
        }
    }

    #[test]
    fn refuses_sizes_that_the_kernel_or_the_port_cannot_use() {
        let valid = PortOptions::new("data0", vec![0, 1]);
        let refused = |change: fn(&mut PortOptions)| {
            let mut options = valid.clone();
            change(&mut options);
            options.check().unwrap_err()
        };
        assert!(matches!(refused(|o| o.queues.clear()), PortError::NoQueue { .. }));
        assert!(matches!(refused(|o| o.queues.push(1)), PortError::DuplicateQueue { queue: 1 }));
        assert!(matches!(refused(|o| o.frame_size = 1024), PortError::FrameSize { found: 1024 }));
        assert!(matches!(refused(|o| o.frame_size = 0), PortError::FrameSize { found: 0 }));
        assert!(matches!(refused(|o| o.ring_size = 1000), PortError::RingSize { found: 1000, .. }));
        assert!(matches!(refused(|o| o.ring_size = 32), PortError::RingSize { found: 32, .. }));
        assert!(matches!(refused(|o| o.ring_size = 1 << 31), PortError::RingSize { .. }));
        assert!(matches!(refused(|o| o.frames = 3000), PortError::Frames { found: 3000, .. }));
        assert!(matches!(refused(|o| o.frames = 128), PortError::Frames { found: 128, least: 256, .. }));
        assert!(matches!(refused(|o| o.frames = 1 << 31), PortError::Frames { .. }));
    }
}
