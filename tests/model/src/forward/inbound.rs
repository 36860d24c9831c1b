//! From the overlay to a local host.

use std::sync::Arc;

use gridway_config::Vnet;

use super::judge::may_begin;
use super::{Forwarded, Onward, Refusal, Sent, Stop, Way, check_size, check_ttl, fit, one_hop};
use crate::flow::{Flow, Kind, Side};
use crate::model::Model;
use crate::nat::{Outside, inside_to_local, outside_to_local};
use crate::oracle::Oracle;
use crate::packet::{Carries, Packet};
use crate::policy::{is_remote, judge_begin};
use crate::reason::{ICMP_UNSUPPORTED, PAT_EXHAUSTED, SOURCE_CHECK, TO_OWN_ADDRESS, UNKNOWN_VNET};
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
        let vnet = config.vnet(name).ok_or(Refusal::of(UNKNOWN_VNET))?;
        if !self.with_routes(vnet, |routes| routes.is_feasible(packet.source, peer)) {
            return Err(Refusal::of(SOURCE_CHECK).into());
        }
        let own = vnet.address.contains(&packet.destination);
        let whence = Whence::Overlay { peer: peer.to_owned(), vnet: name.to_owned() };
        match packet.carries() {
            Carries::LaterFragment => return self.later_fragment(&whence, packet, oracle),
            Carries::IcmpOther => return Err(Refusal::of(ICMP_UNSUPPORTED).into()),
            Carries::IcmpError => {
                let forwarded = self.error_inbound(peer, vnet, packet, oracle);
                return self.send_first(&whence, packet, &forwarded, oracle);
            }
            _ if own => {
                let answered = self.at_own_address(peer, vnet, packet);
                let refusal = Refusal::of(TO_OWN_ADDRESS);
                let first = answered.clone().and(Err(refusal.into()));
                self.note_first(&whence, packet, &first);
                return answered;
            }
            _ => {}
        }
        let mut known = self.flow_from_overlay(name, &packet.tuple()).cloned();
        // Relaying is off, or the destination is nobody else's any more: as if there were no flow.
        let relays = vnet.relay && is_remote(vnet, packet.destination);
        if let Some(flow) = known.take_if(|flow| flow.kind == Kind::Relayed && !relays)
            && flow.overlay == packet.tuple()
        {
            self.remove(flow.id);
        }
        let transit = match &known {
            Some(flow) => flow.kind == Kind::Relayed,
            None => is_remote(vnet, packet.destination),
        };
        let forwarded = if transit {
            self.relay(known, peer, vnet, packet, oracle)
        } else {
            self.whole_inbound(known, peer, vnet, packet, oracle)
        };
        self.send_first(&whence, packet, &forwarded, oracle)
    }

    /// Sends a packet on, and behind it the fragments that waited for it.
    fn send_first(
        &mut self,
        whence: &Whence,
        packet: &Packet,
        forwarded: &Result<Forwarded, Stop>,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let sent = match forwarded {
            Ok(forwarded) => self.send_on(forwarded.clone(), oracle),
            Err(stop) => Err(stop.clone()),
        };
        self.note_first(whence, packet, forwarded);
        sent
    }

    /// Sends a packet from the overlay that was translated: to where it goes, or, as a hairpin, through outbound
    /// processing back to the overlay. Nobody is told when that fails.
    pub(super) fn send_on(&mut self, forwarded: Forwarded, oracle: &mut dyn Oracle) -> Result<Sent, Stop> {
        let Forwarded { onward, pieces } = forwarded;
        if !onward.hairpin {
            return Ok(Sent { way: onward.way, pieces });
        }
        self.go_back(&pieces[0], oracle)
    }

    /// A packet whose local destination is a shared address.
    pub(super) fn go_back(&mut self, packet: &Packet, oracle: &mut dyn Oracle) -> Result<Sent, Stop> {
        if packet.is_later_fragment() && !self.has_first(&Whence::Local, packet) {
            return Err(Stop::Silent(crate::reason::FRAGMENT_LIMIT));
        }
        match self.pass_outbound(packet, oracle) {
            Ok(Sent { way: Way::Answer(_), .. }) | Err(Stop::Held) => Err(Stop::Silent(TO_OWN_ADDRESS)),
            Err(Stop::Refused(refusal)) => Err(Stop::Silent(refusal.reason)),
            other => other,
        }
    }

    /// A packet with its transport header, for a local host.
    fn whole_inbound(
        &mut self,
        known: Option<Flow>,
        peer: &str,
        vnet: &Vnet,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Forwarded, Stop> {
        check_ttl(packet)?;
        let judged = match known {
            Some(flow) => self.judge_again(&flow)?,
            None => None,
        };
        let stands = judged.is_some();
        let mut flow = match judged {
            Some(flow) => flow,
            None => self.begin_inbound(vnet, packet, oracle)?,
        };
        let back = if flow.is_query_from_overlay() {
            peer.to_owned()
        } else {
            // Answers take the best route, which need not be the one the packet came by.
            let back = flow.peers[0].clone();
            let back = back.as_deref().unwrap_or(peer);
            self.way_back(vnet, &flow.overlay.reversed(), back, oracle)?
        };
        flow.peers[Side::Local as usize] = Some(back.clone());
        let id = self.commit(flow.clone());
        if stands {
            self.restart(id, Side::Overlay, vnet, packet)?;
        }
        // What goes back to the overlay does not cross the data link.
        let mtu = if flow.hairpin { u16::MAX } else { self.data_mtu };
        check_size(packet, mtu)?;
        let here = flow.local.reversed();
        let further = one_hop(packet).translated(&here).clamped(self.path_mtu(vnet, &back));
        let pieces = fit(&further, mtu);
        self.saw(id, Side::Overlay, packet);
        let onward = Onward {
            flow: Some(id),
            side: Side::Overlay,
            way: Way::Deliver(here.destination),
            source: here.source,
            destination: here.destination,
            mtu,
            hairpin: flow.hairpin,
        };
        Ok(Forwarded { onward, pieces })
    }

    fn begin_inbound(&mut self, vnet: &Vnet, packet: &Packet, oracle: &mut dyn Oracle) -> Result<Flow, Stop> {
        let overlay = packet.tuple();
        let refuse = Refusal::of;
        if is_remote(vnet, overlay.destination) {
            return Err(refuse(crate::reason::TRANSIT_REFUSED).into());
        }
        let midstream = may_begin(&self.config, packet).map_err(refuse)?;
        judge_begin(vnet, &overlay, midstream).map_err(refuse)?;
        let destination = inside_to_local(vnet, overlay.destination).map_err(refuse)?;
        let (source, source_port, mapping) = match outside_to_local(vnet, overlay.source).map_err(refuse)? {
            Outside::Address(address) => (address, overlay.source_port, None),
            Outside::Pool(entry) => {
                let host = (overlay.source, overlay.source_port, overlay.protocol);
                let mapping = self.mapping_for(vnet, entry, host, oracle)?;
                let mapping = mapping.ok_or(refuse(PAT_EXHAUSTED))?;
                (mapping.address, mapping.port, Some(mapping))
            }
        };
        // An ICMP identifier is one number: where the source's was mapped the destination's is the same.
        let destination_port = match packet.carries() {
            Carries::Query => source_port,
            _ => overlay.destination_port,
        };
        let here = Tuple { source, destination, source_port, destination_port, ..overlay };
        Ok(Flow {
            id: 0,
            vnet: vnet.name.as_str().to_owned(),
            kind: Kind::Local,
            overlay,
            local: here.reversed(),
            begun_by: Side::Overlay,
            hairpin: self.is_shared(destination),
            peers: [None, None],
            mapping,
            last_seen: self.now,
            flags: [0, 0],
            passed: [false; 2],
        })
    }
}
