//! From the overlay to a local host.

use gridway_wire::icmp::echo_reply_in_place;
use gridway_wire::packet::{Packet, Transport, parse};
use gridway_wire::rewrite::rewrite;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::flow::{Flow, Key, NewFlow, Side};
use crate::forwarder::{Forwarder, Inbound, Translated, change, tcp_flags};
use crate::ids::{PeerId, VnetId};
use crate::policy::Vnet;
use crate::reason::DropReason;

impl Forwarder {
    /// Judges the IP packet in `bytes`, which `peer` sent in `vnet`, and rewrites it for the data link.
    pub fn inbound(&mut self, peer: PeerId, vnet: VnetId, bytes: &mut [u8], now: Nanos) -> Inbound {
        match self.try_inbound(peer, vnet, bytes, now) {
            Ok(verdict) => verdict,
            Err(reason) => Inbound::Drop(reason),
        }
    }

    fn try_inbound(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        now: Nanos,
    ) -> Result<Inbound, DropReason> {
        let packet = parse(bytes)?;
        let flow = match self.flows.find(Side::Overlay, &Key::overlay(vnet, &packet.tuple)) {
            // Judged in this epoch, its peer was chosen among those whom the source belongs to.
            Some(flow) if flow.epoch == self.epoch && flow.peer == peer => Some(flow),
            other => {
                let vnet = self.policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
                let source = packet.tuple.source;
                if !vnet.is_remote(source)
                    || !vnet.routes.is_feasible(source, peer, |route| self.is_up(route.peer))
                {
                    return Err(DropReason::SourceCheck);
                }
                if Some(packet.tuple.destination) == vnet.address {
                    return Self::answer(vnet, &packet, bytes, now);
                }
                other
            }
        };
        if let Some(reason) = Self::refuse(&packet) {
            return Err(reason);
        }
        let flow = match flow {
            Some(flow) if flow.epoch == self.epoch => flow,
            Some(stale) => {
                let verdict = self.judge_again(&stale, now);
                self.settle(stale, verdict, |forwarder| {
                    forwarder.begin_from_overlay(peer, vnet, &packet, now)
                })?
            }
            None => self.begin_from_overlay(peer, vnet, &packet, now)?,
        };
        if packet.total_len > usize::from(self.data_mtu) {
            return Err(DropReason::TooBig);
        }
        self.note_restart(&flow, &packet);
        rewrite(bytes, &packet, &change(&flow.overlay, &flow.local.reversed()))
            .map_err(|_| DropReason::NoInsideNat)?;
        self.flows.touch(flow.id, Side::Overlay, packet.total_len, tcp_flags(&packet), now);
        Ok(Inbound::Deliver { destination: flow.local.source, len: packet.total_len })
    }

    /// ACL > NAT > new flow. The source was checked.
    fn begin_from_overlay(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        packet: &Packet,
        now: Nanos,
    ) -> Result<Flow, DropReason> {
        let vnet = self.policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        let midstream = self.may_begin(packet)?;
        let rule = Self::judge_acl(vnet, &packet.tuple, midstream, now)?;
        let translated = translate(vnet, &packet.tuple)?;
        let local = translated.tuple.reversed();
        // Answers take the best route, which need not be the one the packet came by.
        let back = self.route(vnet, &packet.tuple.reversed(), Some(peer)).unwrap_or(peer);
        let new = NewFlow {
            vnet: vnet.id,
            peer: back,
            epoch: self.epoch,
            started_by: Side::Overlay,
            local,
            overlay: packet.tuple,
        };
        let created = self.flows.create(&new, &self.policy.timeouts, now);
        let flow = self.count_created(created)?;
        rule.hit(now);
        translated.hits.into_iter().flatten().for_each(|hits| hits.hit(now));
        Ok(flow)
    }

    /// A packet for this node itself, at its address in the vnet: echo is answered, nothing else.
    fn answer(vnet: &Vnet, packet: &Packet, bytes: &mut [u8], now: Nanos) -> Result<Inbound, DropReason> {
        if packet.transport != Transport::IcmpQuery {
            return Err(DropReason::ToOwnAddress);
        }
        let rule = Self::judge_acl(vnet, &packet.tuple, false, now)?;
        if !echo_reply_in_place(bytes, packet) {
            return Err(DropReason::ToOwnAddress);
        }
        rule.hit(now);
        Ok(Inbound::Answer { len: packet.total_len })
    }
}

/// The tuple of an overlay packet in local addresses.
fn translate<'v>(vnet: &'v Vnet, overlay: &FiveTuple) -> Result<Translated<'v>, DropReason> {
    if vnet.is_remote(overlay.destination) {
        return Err(DropReason::TransitRefused);
    }
    let destination = vnet.nat.inside.to_local(overlay.destination).ok_or(DropReason::NoInsideNat)?;
    let source = vnet.nat.outside.to_local(overlay.source).ok_or(DropReason::NoOutsideNat)?;
    Ok(Translated {
        tuple: FiveTuple { source: source.address, destination: destination.address, ..*overlay },
        hits: [destination.hits.map(AsRef::as_ref), source.hits.map(AsRef::as_ref)],
    })
}
