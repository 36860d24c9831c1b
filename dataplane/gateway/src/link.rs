//! What data workers know of a connection that is up.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use gridway_forwarding::{Counter, PeerId, VnetId};
use gridway_tunnel::ConnectionId;
use gridway_wire::frame;
use gridway_wire::time::Nanos;

use crate::pool::PASSING;

/// Stands for no time.
const NOTHING: u64 = u64::MAX;

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
    /// Record buffers on their way to the socket that wait in their turn.
    in_use: AtomicU32,
    /// Those that pass.
    passing: AtomicU32,
    /// When the oldest record that waits in its turn was closed, or [`NOTHING`].
    oldest: AtomicU64,
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
            passing: AtomicU32::new(0),
            oldest: AtomicU64::new(NOTHING),
            closed: AtomicBool::new(false),
            vnets: ArcSwap::default(),
            traffic: LinkTraffic::default(),
        }
    }

    /// Claims one record buffer: of the connection's quota, or of the few that pass others whatever the quota is used
    /// up for.
    pub(crate) fn claim(&self, passes: bool) -> bool {
        let (claims, most) = self.claims(passes);
        if claims.fetch_add(1, Ordering::Relaxed) < most {
            return true;
        }
        claims.fetch_sub(1, Ordering::Relaxed);
        false
    }

    /// Gives the claim on a record buffer back.
    pub(crate) fn release(&self, passes: bool) {
        self.claims(passes).0.fetch_sub(1, Ordering::Relaxed);
    }

    fn claims(&self, passes: bool) -> (&AtomicU32, u32) {
        if passes { (&self.passing, PASSING) } else { (&self.in_use, self.quota) }
    }

    /// How long the oldest record that waits for the socket in its turn has waited; zero when none does.
    pub(crate) fn wait(&self, now: Nanos) -> Duration {
        match self.oldest.load(Ordering::Relaxed) {
            NOTHING => Duration::ZERO,
            closed_at => now.since(Nanos(closed_at)),
        }
    }

    /// Says when the oldest record that waits was closed. Not how long ago: nobody may look for a while.
    pub(crate) fn publish_oldest(&self, closed_at: Option<Nanos>) {
        self.oldest.store(closed_at.map_or(NOTHING, |closed_at| closed_at.0), Ordering::Relaxed);
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
