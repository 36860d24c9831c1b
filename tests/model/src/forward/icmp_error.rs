//! ICMP errors, which belong to the flow of the packet they quote (RFC 5508 4, RFC 5382 REQ-9).

use std::sync::Arc;

use gridway_config::Vnet;

use super::{Hop, Refusal, Sent, Stop, Way, fit};
use crate::flow::{Flow, Kind, Side};
use crate::model::Model;
use crate::nat::{Outside, inside_to_virtual, outside_to_local};
use crate::oracle::Oracle;
use crate::packet::{Packet, Quote};
use crate::policy::is_remote;
use crate::reason::{ICMP_NO_FLOW, NO_INSIDE_NAT, NO_OUTSIDE_NAT, SPOOFED_LOCAL};
use crate::tuple::Tuple;

impl Model {
    /// An error from the data link about a packet that came from the overlay.
    pub(super) fn error_outbound(
        &mut self,
        packet: &Packet,
        hop: Hop,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let none = || Refusal::without_vnet(ICMP_NO_FLOW);
        let quote = Quote::read(packet).ok_or_else(none)?;
        let flow = self.flow_from_local(&quote.tuple.reversed()).cloned().ok_or_else(none)?;
        if packet.destination != quote.tuple.source || !self.translation_stands(&flow) {
            return Err(none().into());
        }
        let config = Arc::clone(&self.config);
        let vnet = config.vnet(&flow.vnet).expect("the translation stands");
        let refuse = |reason| Refusal::of(&flow.vnet, reason);
        let source = match inside_to_virtual(vnet, packet.source) {
            Ok(source) if is_remote(vnet, source) => return Err(refuse(SPOOFED_LOCAL).into()),
            Ok(source) => source,
            Err(_) => vnet.address_like(packet.source).ok_or(refuse(NO_INSIDE_NAT))?,
        };
        let there = flow.overlay.reversed();
        let peer = self.choose_peer(vnet, &there, flow.peers[0].as_deref(), None, oracle)?;
        let further = hop.count(&flow.vnet, packet)?;
        let outer = Tuple { source, destination: flow.overlay.source, ..packet.tuple() };
        let further = with_quote(&further, &quote, &flow.overlay).translated(&outer);
        let pieces = fit(&flow.vnet, &further, self.path_mtu(vnet, &peer))?;
        let way = Way::Tunnel { peer: peer.clone(), vnet: flow.vnet.clone() };
        self.stay_with(&flow, Side::Local, peer);
        Ok(Sent { way, pieces, flow: None })
    }

    /// An error from the overlay about a packet that went there.
    pub(super) fn error_inbound(
        &mut self,
        peer: &str,
        vnet: &Vnet,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let name = vnet.name.as_str();
        let none = || Refusal::of(name, ICMP_NO_FLOW);
        let quote = Quote::read(packet).ok_or_else(none)?;
        let flow = self.flow_from_overlay(name, &quote.tuple.reversed()).cloned().ok_or_else(none)?;
        if packet.destination != quote.tuple.source || !self.translation_stands(&flow) {
            return Err(none().into());
        }
        if flow.kind == Kind::Relayed {
            return self.relay_error(&flow, peer, vnet, packet, oracle);
        }
        let source = match outside_to_local(vnet, packet.source) {
            Ok(Outside::Address(address)) => Some(address),
            // Of the hosts behind a pool only the flow's own one has an address there.
            Ok(Outside::Pool(_)) if packet.source == flow.overlay.source => Some(flow.local.destination),
            _ => self.data_addresses.iter().copied().find(|own| own.is_ipv4() == packet.source.is_ipv4()),
        };
        let source = source.ok_or(Refusal::of(name, NO_OUTSIDE_NAT))?;
        let further = Hop::ToCount.count(name, packet)?;
        let outer = Tuple { source, destination: flow.local.source, ..packet.tuple() };
        let further = with_quote(&further, &quote, &flow.local).translated(&outer);
        let sender = &flow.local;
        if self.live_mapping(sender.source, sender.source_port, sender.protocol).is_some() {
            return self.pass_outbound(&further, Hop::Counted, oracle);
        }
        let pieces = fit(name, &further, self.data_mtu)?;
        Ok(Sent { way: Way::Deliver(flow.local.source), pieces, flow: None })
    }

    /// An error between two peers, about a packet that this node relayed.
    fn relay_error(
        &mut self,
        flow: &Flow,
        sender: &str,
        vnet: &Vnet,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let back = packet.destination == flow.overlay.source;
        let (side, tuple) = if back { (Side::Local, flow.local) } else { (Side::Overlay, flow.overlay) };
        let current = flow.peers[side as usize].as_deref();
        let peer = self.choose_peer(vnet, &tuple, current, Some(sender), oracle)?;
        let further = Hop::ToCount.count(&flow.vnet, packet)?;
        let pieces = fit(&flow.vnet, &further, self.path_mtu(vnet, &peer))?;
        let way = Way::Relay { peer: peer.clone(), vnet: flow.vnet.clone() };
        self.stay_with(flow, side, peer);
        Ok(Sent { way, pieces, flow: None })
    }

    /// The flow goes to that peer from now on. An error is not activity: nothing else changes.
    fn stay_with(&mut self, flow: &Flow, side: Side, peer: String) {
        if let Some(flow) = self.flows.iter_mut().find(|other| other.id == flow.id) {
            flow.peers[side as usize] = Some(peer);
        }
    }
}

/// The error about the same packet in other addresses.
fn with_quote(error: &Packet, quote: &Quote, to: &Tuple) -> Packet {
    error.with_payload(quote.translated(error, to))
}
