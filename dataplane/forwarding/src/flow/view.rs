//! A flow as listings, time-outs and the journal see it.

use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use super::slot::{Identity, Slot};
use super::{Side, Traffic, Traits};
use crate::ids::{PeerId, VnetId};

/// A flow with its activity, for listings and time-outs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowView {
    /// Its virtual network.
    pub vnet: VnetId,
    /// The peer its packets go to.
    pub peer: PeerId,
    /// The peer that packets in the other direction go to.
    pub back: PeerId,
    /// Side its first packet came from.
    pub started_by: Side,
    /// What sets it apart.
    pub traits: Traits,
    /// Tuple of packets from local hosts; of a relayed flow, of those from `peer`.
    pub local: FiveTuple,
    /// Tuple of packets from the overlay; of a relayed flow, of those from `back`.
    pub overlay: FiveTuple,
    /// Line of the access rule that allowed it when it was last judged.
    pub acl_line: u32,
    /// When it was created, or the TCP connection began that it is of now.
    pub created: Nanos,
    /// Activity from the local and from the overlay side.
    pub traffic: [Traffic; 2],
}

impl FlowView {
    pub(super) fn new(slot: &Slot, identity: &Identity) -> Self {
        Self {
            vnet: identity.vnet,
            peer: identity.route.peer,
            back: identity.route.back,
            traits: identity.traits,
            started_by: identity.started_by,
            local: identity.keys[0].tuple(),
            overlay: identity.keys[1].tuple(),
            acl_line: slot.acl_line(),
            created: slot.created(),
            traffic: [slot.traffic(Side::Local), slot.traffic(Side::Overlay)],
        }
    }

    /// Whatever flow a slot holds.
    pub(super) fn of(slot: &Slot) -> Option<Self> {
        slot.read().map(|(_, identity)| Self::new(slot, &identity))
    }

    /// When the last packet passed in either direction, or the flow was created.
    #[must_use]
    pub fn last_seen(&self) -> Nanos {
        self.traffic.iter().map(|traffic| traffic.last_seen).fold(self.created, Nanos::max)
    }

    /// Whether its TCP connection is over: a FIN from both sides, or a reset.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let [local, overlay] = self.traffic.map(|traffic| traffic.tcp_flags);
        local.rst() || overlay.rst() || (local.fin() && overlay.fin())
    }
}
