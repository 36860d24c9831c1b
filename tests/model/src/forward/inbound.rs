//! From the overlay to a local host.

use std::sync::Arc;

use gridway_config::Vnet;

use super::judge::may_begin;
use super::{Hop, Refusal, Sent, Stop, Way, fit};
use crate::flow::{Flow, Kind, Side};
use crate::model::Model;
use crate::nat::{Outside, inside_to_local, outside_to_local};
use crate::oracle::Oracle;
use crate::packet::{Carries, Packet};
use crate::policy::{is_remote, judge_begin};
use crate::reason::{
    ICMP_UNSUPPORTED, PAT_EXHAUSTED, SOURCE_CHECK, TO_OWN_ADDRESS, TRANSIT_REFUSED, UNKNOWN_VNET,
};
use crate::step::Whence;
use crate::tuple::Tuple;

impl Model {
    pub(super) fn pass_inbound(
        &mut self,
        peer: &str,
        name: &str,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let config = Arc::clone(&self.config);
        let vnet = config.vnet(name).ok_or(Refusal::without_vnet(UNKNOWN_VNET))?;
        if !self.with_routes(vnet, |routes| routes.is_feasible(packet.source, peer)) {
            return Err(Refusal::of(name, SOURCE_CHECK).into());
        }
        if vnet.address.contains(&packet.destination) {
            return self.at_own_address(peer, vnet, packet);
        }
        let whence = Whence::Overlay { peer: peer.to_owned(), vnet: name.to_owned() };
        let unsupported = Err(Refusal::of(name, ICMP_UNSUPPORTED).into());
        let result = match packet.carries() {
            Carries::LaterFragment => {
                let flow = self.follow_first(&whence, packet)?;
                return self.send_inbound(flow, peer, packet, oracle);
            }
            Carries::IcmpOther => unsupported,
            Carries::IcmpError if !packet.is_whole() => unsupported,
            Carries::IcmpError => self.error_inbound(peer, vnet, packet, oracle),
            _ => self.pass_inbound_whole(peer, vnet, packet, oracle),
        };
        self.note_first(&whence, packet, &result);
        result
    }

    fn pass_inbound_whole(
        &mut self,
        peer: &str,
        vnet: &Vnet,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let name = vnet.name.as_str();
        let known = self.flow_from_overlay(name, &packet.tuple()).cloned();
        if let Some(flow) = known
            && !flow.is_succeeded_by(packet)
            && let Some(flow) = self.judge_again(&flow)?
        {
            return self.send_inbound(flow, peer, packet, oracle);
        }
        let overlay = packet.tuple();
        let refuse = |reason| Refusal::of(name, reason);
        let midstream = may_begin(&self.config, packet).map_err(refuse)?;
        judge_begin(vnet, &overlay, midstream).map_err(refuse)?;
        let mut flow = Flow {
            id: 0,
            vnet: name.to_owned(),
            kind: Kind::Relayed,
            overlay,
            local: overlay.reversed(),
            begun_by: Side::Overlay,
            midstream,
            peers: [None, None],
            mapping: None,
            last_seen: self.now,
            flags: [0, 0],
        };
        if is_remote(vnet, overlay.destination) {
            if !vnet.relay {
                return Err(refuse(TRANSIT_REFUSED).into());
            }
            return self.send_inbound(flow, peer, packet, oracle);
        }
        let destination = inside_to_local(vnet, overlay.destination).map_err(refuse)?;
        if self.data_addresses.contains(&destination) {
            return self.answer_echo(peer, name, packet).ok_or_else(|| refuse(TO_OWN_ADDRESS).into());
        }
        let (source, source_port) = match outside_to_local(vnet, overlay.source).map_err(refuse)? {
            Outside::Address(address) => (address, overlay.source_port),
            Outside::Pool(entry) => {
                let host = (overlay.source, overlay.source_port, overlay.protocol);
                let mapping = self.mapping_for(vnet, entry, host, oracle)?;
                let mapping = mapping.ok_or(refuse(PAT_EXHAUSTED))?;
                flow.mapping = Some(mapping);
                (mapping.address, mapping.port)
            }
        };
        // An ICMP identifier is one number: where the source's was mapped the destination's is the same.
        let destination_port = match packet.carries() {
            Carries::Query => source_port,
            _ => overlay.destination_port,
        };
        let here = Tuple { source, destination, source_port, destination_port, ..overlay };
        flow.kind = Kind::Local;
        flow.local = here.reversed();
        flow.peers[Side::Local as usize] = Some(self.way_back(vnet, &overlay.reversed(), peer));
        self.send_inbound(flow, peer, packet, oracle)
    }

    /// Sends a packet of a flow on: to a local host, to another peer, or, where its destination is a live
    /// mapping, through outbound processing back to the overlay.
    fn send_inbound(
        &mut self,
        flow: Flow,
        peer: &str,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        if flow.kind == Kind::Relayed {
            return self.relay(flow, peer, packet, oracle);
        }
        let config = Arc::clone(&self.config);
        let vnet = config.vnet(&flow.vnet).expect("the flow was judged in its vnet");
        let back = flow.peers[Side::Local as usize].as_deref().unwrap_or(peer);
        let mtu = self.path_mtu(vnet, back);
        let here = flow.local.reversed();
        let further = Hop::ToCount.count(&flow.vnet, packet)?.translated(&here).clamped(mtu);

        // The flow counts while the packet is on its way, and not if that ends here.
        let before = self.flows.clone();
        let mut seen = flow.clone();
        seen.saw(Side::Overlay, packet, self.now);
        let id = self.commit(seen);
        let replaced: Vec<Flow> =
            before.into_iter().filter(|old| old.id == id || self.flow(old.id).is_none()).collect();
        let sent = if self.live_mapping(here.destination, here.destination_port, here.protocol).is_some() {
            self.pass_outbound(&further, Hop::Counted, oracle)
        } else {
            let way = Way::Deliver(here.destination);
            fit(&flow.vnet, &further, self.data_mtu)
                .map(|pieces| Sent { way, pieces, flow: None })
                .map_err(Stop::from)
        };
        if sent.is_err() {
            self.remove(id);
            self.flows.extend(replaced);
        }
        sent.map(|sent| Sent { flow: Some(id), ..sent })
    }
}
