//! What data workers know of a connection that is up.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gridway_forwarding::{Counter, PeerId, VnetId};
use gridway_tunnel::ConnectionId;
use gridway_wire::frame;
use gridway_wire::time::Nanos;

/// The shared side of a connection: data workers write records for it, its tunnel worker sends them.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: ConnectionId,
    pub(crate) peer: PeerId,
    /// The worker that owns the connection.
    pub(crate) owner: usize,
    /// The worker that delivers what arrives on it.
    pub(crate) data_worker: usize,
    quota: u32,
    /// Record buffers on their way to the socket.
    in_use: AtomicU32,
    wait: AtomicU64,
    closed: AtomicBool,
    vnets: ArcSwap<VnetIds>,
    pub(crate) traffic: LinkTraffic,
}

/// Counters of a connection, written by its tunnel worker.
#[derive(Debug, Default)]
pub(crate) struct LinkTraffic {
    pub(crate) tx_packets: Counter,
    pub(crate) tx_bytes: Counter,
    pub(crate) rx_packets: Counter,
    pub(crate) rx_bytes: Counter,
}

/// The peer's vnet ids, as ours.
pub(crate) type VnetIds = Vec<(frame::VnetId, VnetId)>;

impl Link {
    pub(crate) fn new(id: ConnectionId, peer: PeerId, owner: usize, data_worker: usize, quota: u32) -> Self {
        Self {
            id,
            peer,
            owner,
            data_worker,
            quota,
            in_use: AtomicU32::new(0),
            wait: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            vnets: ArcSwap::default(),
            traffic: LinkTraffic::default(),
        }
    }

    /// Claims one record buffer of the connection's quota.
    pub(crate) fn claim(&self) -> bool {
        if self.in_use.fetch_add(1, Ordering::Relaxed) < self.quota {
            return true;
        }
        self.in_use.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Gives the claim on a record buffer back.
    pub(crate) fn release(&self) {
        self.in_use.fetch_sub(1, Ordering::Relaxed);
    }

    /// How long records wait for the socket at present.
    pub(crate) fn wait(&self) -> Duration {
        Duration::from_nanos(self.wait.load(Ordering::Relaxed))
    }

    pub(crate) fn publish_wait(&self, wait: Duration) {
        self.wait.store(Nanos::from(wait).0, Ordering::Relaxed);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn mark_closed(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Our id of the vnet that the peer calls `theirs`.
    pub(crate) fn vnet(&self, theirs: frame::VnetId) -> Option<VnetId> {
        let vnets = self.vnets.load();
        vnets.iter().find(|(id, _)| *id == theirs).map(|(_, ours)| *ours)
    }

    pub(crate) fn set_vnets(&self, vnets: VnetIds) {
        self.vnets.store(vnets.into());
    }
}
