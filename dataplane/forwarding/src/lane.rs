//! The short way for plain packets of flows that exist: one look-up, one pass over the headers.
//!
//! It decides nothing: whatever is not a plain packet of a flow that was judged in this epoch takes the road of
//! [`crate::outbound`] and [`crate::inbound`], with the same outcome for those it takes itself.

use std::net::{IpAddr, Ipv4Addr};

use gridway_wire::plain::Plain;
use gridway_wire::time::Nanos;

use crate::flow::{Key, Side, Traits};
use crate::forwarder::Forwarder;
use crate::ids::{PeerId, VnetId};
use crate::verdict::{Inbound, Outbound, Tunnel};

impl Forwarder {
    #[inline]
    pub(crate) fn lane_outbound(&mut self, bytes: &mut [u8], now: Nanos) -> Option<Outbound> {
        let plain = Plain::read(bytes)?;
        let flow = self.flows.find(Side::Local, &Key::plain_local(&plain))?;
        let vnet = self.policy.vnet(flow.vnet)?;
        if flow.epoch != self.epoch || plain.total_len > self.path_mtu(vnet, flow.peer) {
            return None;
        }
        plain.rewrite(bytes, flow.keys[1].reversed_ends());
        self.flows.touch(flow.id, Side::Local, plain.total_len, plain.flags, now);
        let to = Tunnel { peer: flow.peer, vnet: flow.vnet, spread: flow.id.spread() };
        Some(Outbound::Tunnel { to, len: plain.total_len })
    }

    #[inline]
    pub(crate) fn lane_inbound(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        now: Nanos,
    ) -> Option<Inbound> {
        let plain = Plain::read(bytes)?;
        let flow = self.flows.find(Side::Overlay, &Key::plain_overlay(vnet, &plain))?;
        // Judged in this epoch, its peer was chosen among those whom the source belongs to.
        let judged = flow.epoch == self.epoch && flow.back == peer;
        if !judged
            || flow.traits.is_any_of(Traits::RELAYED.with(Traits::HAIRPIN))
            || plain.total_len > usize::from(self.data_mtu)
        {
            return None;
        }
        let new = flow.keys[0].reversed_ends();
        plain.rewrite(bytes, new);
        self.flows.touch(flow.id, Side::Overlay, plain.total_len, plain.flags, now);
        let destination = IpAddr::V4(Ipv4Addr::from_bits(new.destination));
        Some(Inbound::Deliver { destination, len: plain.total_len })
    }
}
