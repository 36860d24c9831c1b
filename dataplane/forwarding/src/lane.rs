//! The short way for plain packets of flows that exist: one look-up, one pass over the headers.
//!
//! It decides nothing: whatever is not a plain packet of a flow that was judged in this epoch takes the road of
//! [`crate::outbound`] and [`crate::inbound`], with the same outcome for those it takes itself.

use std::net::{IpAddr, Ipv4Addr};

use gridway_wire::plain::Plain;
use gridway_wire::time::Nanos;

use crate::expected::Expected;
use crate::flow::{Flow, Key, Side, Traits};
use crate::forwarder::Forwarder;
use crate::ids::{PeerId, VnetId};
use crate::verdict::{Inbound, Outbound, Tunnel};

impl Forwarder {
    /// A plain packet and its flow.
    #[inline]
    fn find_plain(
        &self,
        side: Side,
        bytes: &[u8],
        expected: Option<&Expected>,
        key: impl Fn(&Plain) -> Key,
    ) -> Option<(Plain, Flow)> {
        let Some(&Expected { plain, look_up }) = expected else {
            let plain = Plain::read(bytes)?;
            return Some((plain, self.flows.find(side, &key(&plain))?));
        };
        debug_assert_eq!(Plain::read(bytes), Some(plain), "another packet was expected");
        Some((plain, self.flows.complete(side, &key(&plain), look_up)?))
    }

    #[inline]
    pub(crate) fn lane_outbound(
        &self,
        bytes: &mut [u8],
        expected: Option<&Expected>,
        now: Nanos,
    ) -> Option<Outbound> {
        let (plain, flow) = self.find_plain(Side::Local, bytes, expected, Key::plain_local)?;
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
        &self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        expected: Option<&Expected>,
        now: Nanos,
    ) -> Option<Inbound> {
        let key = |plain: &Plain| Key::plain_overlay(vnet, plain);
        let (plain, flow) = self.find_plain(Side::Overlay, bytes, expected, key)?;
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
