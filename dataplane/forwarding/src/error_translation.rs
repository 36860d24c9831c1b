//! ICMP errors about packets of flows, translated with the flow inside and outside (RFC 5508, 4.2 and 4.3).

use std::net::IpAddr;

use gridway_wire::icmp::{QuotedPacket, quoted, rewrite_error};
use gridway_wire::packet::Packet;
use gridway_wire::rewrite::Rewrite;

use crate::flow::{Flow, Key, Side, Traits};
use crate::forwarder::{Forwarder, change};
use crate::fragments::Onward;
use crate::ids::{PeerId, VnetId};
use crate::inbound::Arrival;
use crate::policy::Found;
use crate::reason::DropReason;
use crate::refusal::Refusal;
use crate::relay::ONE_HOP;
use crate::verdict::{Inbound, Target, Tunnel};

impl Forwarder {
    /// A local host, or a router behind it, says that a packet from the overlay did not arrive. The flow is not
    /// kept alive by it.
    pub(crate) fn error_from_local(
        &mut self,
        bytes: &mut [u8],
        packet: &Packet,
    ) -> Result<(Onward, usize), Refusal> {
        let quote = quote_of(bytes, packet)?;
        let about = quote.tuple;
        let flow =
            self.flows.find(Side::Local, &Key::local(&about.reversed())).ok_or(DropReason::IcmpNoFlow)?;
        let vnet = self.policy.vnet(flow.vnet).ok_or(DropReason::NoVnet)?;
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let overlay = flow.overlay();
        let peer = self.way_of_answers(vnet, &flow)?;
        let source = packet.tuple.source;
        let source = if source == about.destination {
            overlay.destination
        } else {
            match vnet.nat.inside.to_virtual(source) {
                Found::Address(address, _) if !vnet.is_remote(address) => address,
                _ => vnet.address_like(source).ok_or(DropReason::NoInsideNat)?,
            }
        };
        let to = Tunnel { peer, vnet: flow.vnet, spread: flow.id.spread() };
        let mtu = self.path_mtu(vnet, peer);
        let onward = onward(Side::Local, Target::Tunnel(to), source, overlay.source, mtu);
        self.send_error(bytes, packet, &quote, &onward, &change(&about, &overlay, false))
    }

    /// A remote host, or a router on the way to it, says that a packet from here did not arrive. The source was
    /// checked.
    pub(crate) fn error_from_overlay(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
    ) -> Result<Arrival, Refusal> {
        let quote = quote_of(bytes, packet)?;
        let key = Key::overlay(vnet, &quote.tuple.reversed());
        let flow = match self.flows.find(Side::Overlay, &key) {
            Some(flow) if flow.traits.has(Traits::RELAYED) => {
                return self.relay_error(&flow, peer, &quote, bytes, packet);
            }
            Some(flow) => flow,
            None => match self.flows.find(Side::Local, &key) {
                Some(flow) => return self.relay_error(&flow, peer, &quote, bytes, packet),
                None if self.monitors.handle_error(vnet, bytes, &quote, &self.peers)
                    || self.pings.handle_error(vnet, bytes, packet, &quote) =>
                {
                    return Ok(Arrival::Own(Inbound::Consumed));
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
        let hairpin = flow.traits.has(Traits::HAIRPIN);
        let mtu = self.local_mtu(hairpin);
        let to = Target::Local(local.source);
        let onward = Onward { hairpin, ..onward(Side::Overlay, to, source, local.source, mtu) };
        let (onward, len) =
            self.send_error(bytes, packet, &quote, &onward, &change(&about, &local, false))?;
        Ok(Arrival::Goes(onward, len))
    }

    /// An error about a packet of a relayed flow goes on as it is.
    fn relay_error(
        &mut self,
        flow: &Flow,
        from: PeerId,
        quote: &QuotedPacket,
        bytes: &mut [u8],
        packet: &Packet,
    ) -> Result<Arrival, Refusal> {
        let vnet = self.policy.vnet(flow.vnet).ok_or(DropReason::UnknownVnet)?;
        if !vnet.relay {
            return Err(DropReason::TransitRefused.into());
        }
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let back = quote.tuple.reversed();
        let to = if back == flow.overlay() {
            self.route(vnet, &back, Some(flow.peer))?
        } else {
            self.way_of_answers(vnet, flow)?
        };
        if to == from {
            return Err(DropReason::TransitRefused.into());
        }
        let mtu = usize::from(vnet.mtu.min(self.peers.mtu(to)));
        let to = Target::Tunnel(Tunnel { peer: to, vnet: flow.vnet, spread: flow.id.spread() });
        let onward = onward(Side::Overlay, to, packet.tuple.source, packet.tuple.destination, mtu);
        let (onward, len) = self.send_error(bytes, packet, quote, &onward, &Rewrite::default())?;
        Ok(Arrival::Goes(onward, len))
    }

    /// Rewrites an error, and the packet it quotes by `inner`, and cuts it to the size of its path.
    fn send_error(
        &mut self,
        bytes: &mut [u8],
        packet: &Packet,
        quote: &QuotedPacket,
        onward: &Onward,
        inner: &Rewrite,
    ) -> Result<(Onward, usize), Refusal> {
        self.check_size(packet, onward.mtu)?;
        let (source, destination) = (onward.source, onward.destination);
        let outer = Rewrite {
            source: (source != packet.tuple.source).then_some(source),
            destination: (destination != packet.tuple.destination).then_some(destination),
            ..ONE_HOP
        };
        rewrite_error(bytes, packet, quote, &outer, inner).map_err(|_| DropReason::IcmpNoFlow)?;
        let len = self.fit(bytes, packet, onward);
        Ok((*onward, len))
    }
}

/// The packet that an error quotes: its receiver must have sent it.
fn quote_of(bytes: &[u8], packet: &Packet) -> Result<QuotedPacket, DropReason> {
    quoted(bytes, packet)
        .filter(|quote| quote.tuple.source == packet.tuple.destination)
        .ok_or(DropReason::IcmpNoFlow)
}

/// The way of an error, which no flow counts.
fn onward(side: Side, to: Target, source: IpAddr, destination: IpAddr, mtu: usize) -> Onward {
    Onward { flow: None, side, to, source, destination, mtu, hairpin: false }
}
