//! From one peer to another: ACL and route, no NAT, one hop further.

use gridway_wire::mss::clamp_mss;
use gridway_wire::packet::Packet;
use gridway_wire::rewrite::{Rewrite, rewrite};
use gridway_wire::time::Nanos;

use crate::flow::{Flow, Key, NewFlow, Side, Traits};
use crate::forwarder::{Forwarder, tcp_flags};
use crate::fragments::Onward;
use crate::ids::{PeerId, VnetId};
use crate::reason::DropReason;
use crate::refusal::Refusal;
use crate::steps::Step;
use crate::verdict::{Target, Tunnel};

/// Nothing but one hop further.
pub(crate) const ONE_HOP: Rewrite = Rewrite {
    source: None,
    destination: None,
    source_port: None,
    destination_port: None,
    decrement_ttl: true,
};

impl Forwarder {
    /// A packet that another peer is to get, and that is not of a flow in this direction.
    pub(crate) fn relay(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<(Onward, usize), Refusal> {
        let relayed = self.policy.vnet(vnet).is_some_and(|vnet| vnet.relay);
        self.notes.note(|| Step::Transit { destination: packet.tuple.destination, relayed });
        if !relayed {
            return Err(DropReason::TransitRefused.into());
        }
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let found = self.flows.find(Side::Local, &Key::overlay(vnet, &packet.tuple));
        let side = match &found {
            Some(flow) if flow.overlay() != packet.tuple => Side::Local,
            _ => Side::Overlay,
        };
        let flow = self.current(found, side, packet, now, |forwarder| {
            forwarder.begin_relayed(peer, vnet, packet, now)
        })?;
        let (side, to) = if flow.overlay() == packet.tuple {
            (Side::Overlay, flow.peer)
        } else {
            (Side::Local, flow.back)
        };
        self.pass_on(&flow, side, (peer, to), vnet, bytes, packet, now)
    }

    /// A packet of a relayed flow in the direction that it began in.
    pub(crate) fn relay_forth(
        &mut self,
        flow: Flow,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<(Onward, usize), Refusal> {
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let mut flow = self.current(Some(flow), Side::Overlay, packet, now, |forwarder| {
            forwarder.begin_relayed(peer, vnet, packet, now)
        })?;
        self.replies_follow(&mut flow, peer);
        self.pass_on(&flow, Side::Overlay, (peer, flow.peer), vnet, bytes, packet, now)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one packet's way")]
    fn pass_on(
        &mut self,
        flow: &Flow,
        side: Side,
        (from, to): (PeerId, PeerId),
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<(Onward, usize), Refusal> {
        if to == from {
            return Err(DropReason::TransitRefused.into());
        }
        let vnet = self.policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        let mtu = usize::from(vnet.mtu.min(self.peers.mtu(to)));
        self.check_size(packet, mtu)?;
        rewrite(bytes, packet, &ONE_HOP).map_err(|_| DropReason::NoRoute)?;
        // What its sender may be sent comes by way of the other peer.
        clamp_mss(bytes, packet, mtu.min(usize::from(self.peers.mtu(from))));
        self.flows.touch(flow.id, side, packet.total_len, tcp_flags(packet), now);
        let onward = Onward {
            flow: Some(flow.id),
            side,
            to: Target::Tunnel(Tunnel { peer: to, vnet: vnet.id, spread: flow.id.spread() }),
            source: packet.tuple.source,
            destination: packet.tuple.destination,
            mtu,
            hairpin: false,
        };
        let len = self.fit(bytes, packet, &onward);
        Ok((onward, len))
    }

    /// ACL > route > new flow. The source was checked.
    fn begin_relayed(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        packet: &Packet,
        now: Nanos,
    ) -> Result<Flow, DropReason> {
        let policy = self.policy.clone();
        let vnet = policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        if !vnet.relays(packet.tuple.destination) {
            return Err(DropReason::TransitRefused);
        }
        let midstream = self.may_begin(packet)?;
        let rule = self.judge_acl(vnet, &packet.tuple, midstream, now)?;
        let to = self.route(vnet, &packet.tuple, None)?;
        if to == peer {
            return Err(DropReason::TransitRefused);
        }
        let (back, epoch) = self.way_back(vnet, &packet.tuple, peer);
        let new = NewFlow {
            vnet: vnet.id,
            peer: to,
            back,
            epoch,
            started_by: Side::Overlay,
            traits: Traits::RELAYED,
            acl_line: rule.line,
            keys: [Key::overlay(vnet.id, &packet.tuple.reversed()), Key::overlay(vnet.id, &packet.tuple)],
        };
        self.begin(new, rule.hits, None, now)
    }
}
