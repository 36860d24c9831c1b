//! Which peers can be reached, as the packet path sees it.

use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering};

use crate::ids::{MAX_MONITORS, MAX_PEERS, MonitorId, PeerId};
use crate::policy::Candidate;

/// What every IPv4 host takes in one piece or puts together (RFC 791, 3.1).
const LEAST_MTU: u16 = 576;

/// Availability of every peer and route, and the epoch of all decisions that depend on it.
///
/// A flow remembers the epoch it was judged in. Whatever may change a verdict (a peer or a monitored
/// route up or down, a new policy) starts a new epoch, and flows are judged again at their next packet.
#[derive(Debug)]
pub struct Peers {
    up: Box<[AtomicBool]>,
    mtu: Box<[AtomicU16]>,
    failed_monitors: Box<[AtomicBool]>,
    epoch: AtomicU32,
}

impl Default for Peers {
    fn default() -> Self {
        let up = std::iter::repeat_with(|| AtomicBool::new(false)).take(MAX_PEERS).collect();
        let mtu = std::iter::repeat_with(|| AtomicU16::new(u16::MAX)).take(MAX_PEERS).collect();
        let failed_monitors = std::iter::repeat_with(|| AtomicBool::new(false)).take(MAX_MONITORS).collect();
        Self { up, mtu, failed_monitors, epoch: AtomicU32::new(1) }
    }
}

impl Peers {
    /// Whether packets for `peer` can be sent.
    #[must_use]
    pub fn is_up(&self, peer: PeerId) -> bool {
        self.up[peer.index()].load(Ordering::Acquire)
    }

    /// Records that `peer` came up or went down; starts a new epoch if that changes anything.
    pub fn set_up(&self, peer: PeerId, up: bool) {
        if self.up[peer.index()].swap(up, Ordering::AcqRel) != up {
            self.start_epoch();
        }
    }

    /// Whether a route can be used: its tunnel is up and its monitor, if it has one, passes.
    #[must_use]
    pub fn is_available(&self, route: &Candidate) -> bool {
        self.is_up(route.peer) && route.monitor.is_none_or(|monitor| self.passes(monitor))
    }

    /// Whether a monitor passes; one that has not judged yet does.
    #[must_use]
    pub fn passes(&self, monitor: MonitorId) -> bool {
        !self.failed_monitors[monitor.index()].load(Ordering::Acquire)
    }

    /// Records the judgement of a monitor; starts a new epoch if that changes anything.
    pub fn set_passes(&self, monitor: MonitorId, passes: bool) {
        if self.failed_monitors[monitor.index()].swap(!passes, Ordering::AcqRel) == passes {
            self.start_epoch();
        }
    }

    /// Largest IP packet in bytes that `peer` can deliver, from its hello.
    #[must_use]
    pub fn mtu(&self, peer: PeerId) -> u16 {
        self.mtu[peer.index()].load(Ordering::Relaxed)
    }

    /// Records the data MTU that `peer` announced: never less than what every host takes.
    pub fn set_mtu(&self, peer: PeerId, mtu: u16) {
        self.mtu[peer.index()].store(mtu.max(LEAST_MTU), Ordering::Relaxed);
    }

    /// Makes every flow be judged again at its next packet.
    pub fn start_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The epoch now.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }
}
