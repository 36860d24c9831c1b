//! ICMP errors, which belong to the flow of the packet they quote (RFC 5508 4, RFC 5382 REQ-9). They go where the
//! flow goes, judge nothing and keep nothing alive.

use std::sync::Arc;

use gridway_config::Vnet;

use super::{Forwarded, Onward, Refusal, Stop, Way, check_size, check_ttl, fit, one_hop};
use crate::flow::{Kind, Side};
use crate::model::Model;
use crate::nat::{Outside, inside_to_virtual, outside_to_local};
use crate::oracle::Oracle;
use crate::packet::{Packet, Quote};
use crate::policy::is_remote;
use crate::reason::{ICMP_NO_FLOW, NO_INSIDE_NAT, NO_OUTSIDE_NAT, NO_VNET, TRANSIT_REFUSED};
use crate::tuple::Tuple;

impl Model {
    /// An error from the data link about a packet that came from the overlay.
    pub(super) fn error_outbound(
        &mut self,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Forwarded, Stop> {
        let none = || Refusal::of(ICMP_NO_FLOW);
        let quote = quote_of(packet).ok_or_else(none)?;
        let flow = self.flow_from_local(&quote.tuple.reversed()).cloned().ok_or_else(none)?;
        let config = Arc::clone(&self.config);
        let vnet = config.vnet(&flow.vnet).ok_or(Refusal::of(NO_VNET))?;
        check_ttl(packet)?;
        let peer = self.peer_of_answers(vnet, &flow, oracle)?;
        let source = match inside_to_virtual(vnet, packet.source) {
            _ if packet.source == quote.tuple.destination => flow.overlay.destination,
            Ok(source) if !is_remote(vnet, source) => source,
            _ => {
                let own = vnet.address_like(packet.source);
                own.ok_or(Refusal::of(NO_INSIDE_NAT))?
            }
        };
        let outer = Tuple { source, destination: flow.overlay.source, ..packet.tuple() };
        let further = with_quote(&one_hop(packet), &quote, &flow.overlay).translated(&outer);
        let mtu = self.path_mtu(vnet, &peer);
        check_size(packet, mtu)?;
        let way = Way::Tunnel { peer, vnet: flow.vnet };
        Ok(forwarded(Side::Local, way, &further, mtu, false))
    }

    /// An error from the overlay about a packet that went there.
    pub(super) fn error_inbound(
        &mut self,
        sender: &str,
        vnet: &Vnet,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Forwarded, Stop> {
        let name = vnet.name.as_str();
        let none = || Refusal::of(ICMP_NO_FLOW);
        let quote = quote_of(packet).ok_or_else(none)?;
        let about = quote.tuple.reversed();
        let flow = self.flow_from_overlay(name, &about).cloned().ok_or_else(none)?;
        if flow.kind == Kind::Relayed {
            let side = if flow.overlay == about { Side::Overlay } else { Side::Local };
            if !vnet.relay {
                return Err(Refusal::of(TRANSIT_REFUSED).into());
            }
            check_ttl(packet)?;
            let peer = match side {
                Side::Local => self.peer_of_answers(vnet, &flow, oracle)?,
                Side::Overlay => {
                    self.choose_peer(vnet, &about, flow.peers[side as usize].as_deref(), oracle)?
                }
            };
            if peer == sender {
                return Err(Refusal::of(TRANSIT_REFUSED).into());
            }
            let mtu = self.relay_mtu(vnet, &peer);
            check_size(packet, mtu)?;
            let way = Way::Relay { peer, vnet: flow.vnet };
            return Ok(forwarded(Side::Overlay, way, &one_hop(packet), mtu, false));
        }
        check_ttl(packet)?;
        let source = match outside_to_local(vnet, packet.source) {
            // Of the hosts behind a pool only the flow's own one has an address there.
            _ if packet.source == quote.tuple.destination => Some(flow.local.destination),
            Ok(Outside::Address(address)) => Some(address),
            _ => self.data_addresses.iter().copied().find(|own| own.is_ipv4() == packet.source.is_ipv4()),
        };
        let source = source.ok_or(Refusal::of(NO_OUTSIDE_NAT))?;
        let outer = Tuple { source, destination: flow.local.source, ..packet.tuple() };
        let further = with_quote(&one_hop(packet), &quote, &flow.local).translated(&outer);
        // What goes back to the overlay does not cross the data link.
        let mtu = if flow.hairpin { u16::MAX } else { self.data_mtu };
        check_size(packet, mtu)?;
        Ok(forwarded(Side::Overlay, Way::Deliver(flow.local.source), &further, mtu, flow.hairpin))
    }
}

/// An error on its way, which no flow counts.
fn forwarded(side: Side, way: Way, further: &Packet, mtu: u16, hairpin: bool) -> Forwarded {
    let (source, destination) = (further.source, further.destination);
    let onward = Onward { flow: None, side, way, source, destination, mtu, hairpin };
    Forwarded { onward, pieces: fit(further, mtu) }
}

/// What an error quotes: its receiver must have sent it.
fn quote_of(error: &Packet) -> Option<Quote> {
    Quote::read(error).filter(|quote| quote.tuple.source == error.destination)
}

/// The error about the same packet in other addresses.
fn with_quote(error: &Packet, quote: &Quote, to: &Tuple) -> Packet {
    error.with_payload(quote.translated(error, to))
}
