//! From a local host to the overlay.

use std::sync::Arc;

use super::judge::may_begin;
use super::{Hop, Refusal, Sent, Stop, Way, fit};
use crate::flow::{Flow, Kind, Side};
use crate::model::Model;
use crate::nat::{Outside, inside_to_virtual, outside_to_virtual};
use crate::oracle::Oracle;
use crate::packet::{Carries, Packet};
use crate::policy::{is_remote, judge_begin, select};
use crate::reason::{ICMP_UNSUPPORTED, NO_VNET, PAT_NO_MAPPING, SPOOFED_LOCAL};
use crate::step::Whence;
use crate::tuple::Tuple;

impl Model {
    pub(super) fn pass_outbound(
        &mut self,
        packet: &Packet,
        hop: Hop,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let unsupported = Err(Refusal::without_vnet(ICMP_UNSUPPORTED).into());
        let result = match packet.carries() {
            Carries::LaterFragment => {
                let flow = self.follow_first(&Whence::Local, packet)?;
                return self.send_outbound(flow, packet, hop, oracle);
            }
            Carries::IcmpOther => unsupported,
            Carries::IcmpError if !packet.is_whole() => unsupported,
            Carries::IcmpError => self.error_outbound(packet, hop, oracle),
            _ => self
                .flow_outbound(packet)
                .map_err(Stop::Refused)
                .and_then(|flow| self.send_outbound(flow, packet, hop, oracle)),
        };
        self.note_first(&Whence::Local, packet, &result);
        result
    }

    /// The flow of a packet, or the one it begins.
    fn flow_outbound(&mut self, packet: &Packet) -> Result<Flow, Refusal> {
        if let Some(flow) = self.flow_from_local(&packet.tuple()).cloned()
            && !flow.is_succeeded_by(packet)
            && let Some(flow) = self.judge_again(&flow)?
        {
            return Ok(flow);
        }
        self.begin_outbound(packet)
    }

    fn begin_outbound(&self, packet: &Packet) -> Result<Flow, Refusal> {
        let local = packet.tuple();
        let vnet = select(&self.config, local.destination).ok_or(Refusal::without_vnet(NO_VNET))?;
        let refuse = |reason| Refusal::of(vnet.name.as_str(), reason);
        let source = inside_to_virtual(vnet, local.source).map_err(refuse)?;
        let mapping = match outside_to_virtual(vnet, local.destination).map_err(refuse)? {
            Outside::Address(address) => Err(address),
            Outside::Pool(_) => Ok(self
                .live_mapping(local.destination, local.destination_port, local.protocol)
                .ok_or(refuse(PAT_NO_MAPPING))?),
        };
        let (destination, destination_port) = match &mapping {
            Ok(mapping) => (mapping.host, mapping.host_port),
            Err(address) => (*address, local.destination_port),
        };
        if is_remote(vnet, source) {
            return Err(refuse(SPOOFED_LOCAL));
        }
        let midstream = may_begin(&self.config, packet).map_err(refuse)?;
        // An ICMP identifier is one number: where the destination's was mapped the source's is the same.
        let source_port = match packet.carries() {
            Carries::Query => destination_port,
            _ => local.source_port,
        };
        let there = Tuple { source, destination, source_port, destination_port, ..local };
        judge_begin(vnet, &there, midstream).map_err(refuse)?;
        Ok(Flow {
            id: 0,
            vnet: vnet.name.as_str().to_owned(),
            kind: Kind::Local,
            overlay: there.reversed(),
            local,
            begun_by: Side::Local,
            midstream,
            peers: [None, None],
            mapping: mapping.ok(),
            last_seen: self.now,
            flags: [0, 0],
        })
    }

    /// Sends a packet of a flow on.
    fn send_outbound(
        &mut self,
        mut flow: Flow,
        packet: &Packet,
        hop: Hop,
        oracle: &mut dyn Oracle,
    ) -> Result<Sent, Stop> {
        let config = Arc::clone(&self.config);
        let vnet = config.vnet(&flow.vnet).expect("the flow was judged in its vnet");
        let there = flow.overlay.reversed();
        let peer = self.choose_peer(vnet, &there, flow.peers[0].as_deref(), None, oracle)?;
        let mtu = self.path_mtu(vnet, &peer);
        let further = hop.count(&flow.vnet, packet)?.translated(&there).clamped(mtu);
        let pieces = fit(&flow.vnet, &further, mtu)?;
        let way = Way::Tunnel { peer: peer.clone(), vnet: flow.vnet.clone() };
        flow.peers[Side::Local as usize] = Some(peer);
        flow.saw(Side::Local, packet, self.now);
        let flow = Some(self.commit(flow));
        Ok(Sent { way, pieces, flow })
    }
}
