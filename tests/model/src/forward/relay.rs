//! From one peer on to another: access policy and route, no NAT, one hop further.

use gridway_config::Vnet;

use super::judge::may_begin;
use super::{Forwarded, Onward, Refusal, Stop, Way, check_size, check_ttl, fit, one_hop};
use crate::flow::{Flow, Kind, Side};
use crate::model::Model;
use crate::oracle::Oracle;
use crate::packet::Packet;
use crate::policy::{is_remote, judge_begin};
use crate::reason::TRANSIT_REFUSED;

impl Model {
    /// A packet that another peer is to get; `known` is its flow.
    pub(super) fn relay(
        &mut self,
        known: Option<Flow>,
        sender: &str,
        vnet: &Vnet,
        packet: &Packet,
        oracle: &mut dyn Oracle,
    ) -> Result<Forwarded, Stop> {
        let name = vnet.name.as_str();
        let begun = known.as_ref().is_some_and(|flow| flow.overlay == packet.tuple());
        if !vnet.relay && !begun {
            return Err(Refusal::of(TRANSIT_REFUSED).into());
        }
        check_ttl(packet)?;
        let judged = match known {
            Some(flow) => self.judge_again(&flow)?,
            None => None,
        };
        let stands = judged.is_some();
        let mut flow = match judged {
            Some(flow) => flow,
            None => self.begin_relayed(vnet, packet)?,
        };
        let (side, other) = match flow.overlay == packet.tuple() {
            true => (Side::Overlay, Side::Local),
            false => (Side::Local, Side::Overlay),
        };
        let tuple = packet.tuple();
        let peer = match side {
            Side::Local => self.peer_of_answers(vnet, &flow, oracle)?,
            Side::Overlay => self.choose_peer(vnet, &tuple, flow.peers[side as usize].as_deref(), oracle)?,
        };
        if flow.id == 0 && peer == sender {
            return Err(Refusal::of(TRANSIT_REFUSED).into());
        }
        let back = if side == Side::Overlay && flow.is_query_from_overlay() {
            sender.to_owned()
        } else {
            let back = flow.peers[other as usize].clone();
            self.way_back(vnet, &tuple.reversed(), back.as_deref().unwrap_or(sender), oracle)?
        };
        flow.peers[side as usize] = Some(peer.clone());
        flow.peers[other as usize] = Some(back);
        let id = self.commit(flow);
        if stands {
            self.restart(id, side, vnet, packet)?;
        }
        // Never back to the sending peer.
        if peer == sender {
            return Err(Refusal::of(TRANSIT_REFUSED).into());
        }
        let mtu = self.relay_mtu(vnet, &peer);
        check_size(packet, mtu)?;
        // What its sender may be sent comes by way of the other peer.
        let pieces = fit(&one_hop(packet).clamped(mtu.min(self.peer_mtu(sender))), mtu);
        self.saw(id, side, packet);
        let onward = Onward {
            flow: Some(id),
            side,
            way: Way::Relay { peer, vnet: name.to_owned() },
            source: packet.source,
            destination: packet.destination,
            mtu,
            hairpin: false,
        };
        Ok(Forwarded { onward, pieces })
    }

    fn begin_relayed(&self, vnet: &Vnet, packet: &Packet) -> Result<Flow, Refusal> {
        let overlay = packet.tuple();
        let refuse = Refusal::of;
        if !vnet.relay || !is_remote(vnet, overlay.destination) {
            return Err(refuse(TRANSIT_REFUSED));
        }
        let midstream = may_begin(&self.config, packet).map_err(refuse)?;
        judge_begin(vnet, &overlay, midstream).map_err(refuse)?;
        Ok(Flow {
            id: 0,
            vnet: vnet.name.as_str().to_owned(),
            kind: Kind::Relayed,
            overlay,
            local: overlay.reversed(),
            begun_by: Side::Overlay,
            hairpin: false,
            peers: [None, None],
            mapping: None,
            last_seen: self.now,
            flags: [0, 0],
            passed: [false; 2],
        })
    }
}
