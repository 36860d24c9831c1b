//! ICMP errors about packets of flows, translated with the flow inside and outside (RFC 5508, 4.2 and 4.3).

use std::net::IpAddr;

use gridway_wire::icmp::{QuotedPacket, quoted, rewrite_error};
use gridway_wire::packet::Packet;
use gridway_wire::rewrite::Rewrite;
use gridway_wire::time::Nanos;

use crate::flow::{Flow, Key, Side, Traits};
use crate::forwarder::{Forwarder, change};
use crate::ids::VnetId;
use crate::policy::Found;
use crate::reason::DropReason;
use crate::refusal::Refusal;
use crate::relay::ONE_HOP;
use crate::verdict::{Inbound, Outbound, Tunnel};

impl Forwarder {
    /// A local host, or a router behind it, says that a packet from the overlay did not arrive. The flow is not
    /// kept alive by it.
    pub(crate) fn error_from_local(
        &mut self,
        bytes: &mut [u8],
        packet: &Packet,
    ) -> Result<Outbound, Refusal> {
        let quote = quoted(bytes, packet).ok_or(DropReason::IcmpNoFlow)?;
        let about = quote.tuple;
        let flow =
            self.flows.find(Side::Local, &Key::local(&about.reversed())).ok_or(DropReason::IcmpNoFlow)?;
        let vnet = self.policy.vnet(flow.vnet).ok_or(DropReason::NoVnet)?;
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        if !self.peers.is_up(flow.peer) {
            return Err(DropReason::PeerDown.into());
        }
        let overlay = flow.overlay();
        let source = packet.tuple.source;
        let source = if source == about.destination {
            overlay.destination
        } else {
            match vnet.nat.inside.to_virtual(source) {
                Found::Address(address, _) if !vnet.is_remote(address) => address,
                _ => vnet.address_like(source).ok_or(DropReason::NoInsideNat)?,
            }
        };
        translate(bytes, packet, &quote, source, overlay.source, &change(&about, &overlay, false))?;
        let to = Tunnel { peer: flow.peer, vnet: flow.vnet, spread: flow.id.spread() };
        Ok(Outbound::Tunnel { to, len: packet.total_len })
    }

    /// A remote host, or a router on the way to it, says that a packet from here did not arrive. The source was
    /// checked.
    pub(crate) fn error_from_overlay(
        &mut self,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<Inbound, Refusal> {
        let quote = quoted(bytes, packet).ok_or(DropReason::IcmpNoFlow)?;
        let key = Key::overlay(vnet, &quote.tuple.reversed());
        let flow = match self.flows.find(Side::Overlay, &key) {
            Some(flow) if flow.traits.has(Traits::RELAYED) => {
                return self.relay_error(&flow, flow.peer, bytes, packet);
            }
            Some(flow) => flow,
            None => match self.flows.find(Side::Local, &key) {
                Some(flow) => return self.relay_error(&flow, flow.back, bytes, packet),
                None if self.monitors.handle_error(vnet, &quote, &self.peers) => {
                    return Ok(Inbound::Consumed);
                }
                None => return Err(DropReason::IcmpNoFlow.into()),
            },
        };
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let vnet = self.policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        let (local, about, source) = (flow.local(), quote.tuple, packet.tuple.source);
        let source = if source == about.destination {
            local.destination
        } else {
            match vnet.nat.outside.to_local(source) {
                Found::Address(address, _) => address,
                _ => self.hops.address_towards(local.source).ok_or(DropReason::NoOutsideNat)?,
            }
        };
        translate(bytes, packet, &quote, source, local.source, &change(&about, &local, false))?;
        if flow.traits.has(Traits::HAIRPIN) {
            return Ok(self.hairpin(&mut bytes[..packet.total_len], now));
        }
        Ok(Inbound::Deliver { destination: local.source, len: packet.total_len })
    }

    /// An error about a packet of a relayed flow goes on as it is.
    fn relay_error(
        &mut self,
        flow: &Flow,
        peer: crate::ids::PeerId,
        bytes: &mut [u8],
        packet: &Packet,
    ) -> Result<Inbound, Refusal> {
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        if !self.peers.is_up(peer) {
            return Err(DropReason::PeerDown.into());
        }
        gridway_wire::rewrite::rewrite(bytes, packet, &ONE_HOP).map_err(|_| DropReason::NoRoute)?;
        let to = Tunnel { peer, vnet: flow.vnet, spread: flow.id.spread() };
        Ok(Inbound::Relay { to, len: packet.total_len })
    }
}

/// Rewrites an error and the packet it quotes.
fn translate(
    bytes: &mut [u8],
    packet: &Packet,
    quote: &QuotedPacket,
    source: IpAddr,
    destination: IpAddr,
    inner: &Rewrite,
) -> Result<(), DropReason> {
    let outer = Rewrite {
        source: (source != packet.tuple.source).then_some(source),
        destination: (destination != packet.tuple.destination).then_some(destination),
        ..ONE_HOP
    };
    rewrite_error(bytes, packet, quote, &outer, inner).map_err(|_| DropReason::IcmpNoFlow)
}
