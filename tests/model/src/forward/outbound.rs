//! From a local host to the overlay.

use std::sync::Arc;

use super::judge::may_begin;
use super::{Forwarded, Onward, Refusal, Sent, Stop, Way, check_size, check_ttl, fit, one_hop};
use crate::flow::{Flow, Kind, Side};
use crate::model::Model;
use crate::oracle::Oracle;
use crate::packet::{Carries, Packet};
use crate::policy::{judge_begin, select};
use crate::reason::{ICMP_UNSUPPORTED, NO_VNET};
use crate::step::{To, Whence};

impl Model {
    pub(super) fn pass_outbound(&mut self, packet: &Packet, oracle: &mut dyn Oracle) -> Result<Sent, Stop> {
        match packet.carries() {
            Carries::LaterFragment => return self.later_fragment(&Whence::Local, packet, oracle),
            Carries::IcmpOther => return Err(Refusal::of(ICMP_UNSUPPORTED).into()),
            _ => {}
        }
        let known = self.flow_from_local(&packet.tuple()).cloned();
        if known.is_none()
            && let Some(answered) = self.echo_of_own_address(packet)
        {
            return answered;
        }
        let forwarded = match packet.carries() {
            Carries::IcmpError => self.error_outbound(packet, oracle),
            _ => self.whole_outbound(known, packet, oracle),
        };
        self.note_first(&Whence::Local, packet, &forwarded);
        forwarded.map(|Forwarded { onward, pieces }| Sent { way: onward.way, pieces })
    }

    /// A packet with its transport header.
    fn whole_outbound(
        &mut self,
        known: Option<Flow>,
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
            None => self.begin_outbound(packet)?,
        };
        let config = Arc::clone(&self.config);
        let vnet = config.vnet(&flow.vnet).expect("the flow was judged in its vnet");
        let there = flow.overlay.reversed();
        let peer = self.peer_of_answers(vnet, &flow, oracle)?;
        flow.peers[Side::Local as usize] = Some(peer.clone());
        let id = self.commit(flow.clone());
        if stands {
            self.restart(id, Side::Local, vnet, packet)?;
        }
        let mtu = self.path_mtu(vnet, &peer);
        check_size(packet, mtu)?;
        let pieces = fit(&one_hop(packet).translated(&there).clamped(mtu), mtu);
        self.saw(id, Side::Local, packet);
        let onward = Onward {
            flow: Some(id),
            side: Side::Local,
            way: Way::Tunnel { peer, vnet: flow.vnet },
            source: there.source,
            destination: there.destination,
            mtu,
            hairpin: false,
        };
        Ok(Forwarded { onward, pieces })
    }

    fn begin_outbound(&self, packet: &Packet) -> Result<Flow, Refusal> {
        let local = packet.tuple();
        let vnet = select(&self.config, local.destination).ok_or(Refusal::of(NO_VNET))?;
        let refuse = Refusal::of;
        let (there, mapping) = self.translate_out(vnet, &local).map_err(refuse)?;
        let midstream = may_begin(&self.config, packet).map_err(refuse)?;
        judge_begin(vnet, &there, midstream).map_err(refuse)?;
        Ok(Flow {
            id: 0,
            vnet: vnet.name.as_str().to_owned(),
            kind: Kind::Local,
            overlay: there.reversed(),
            local,
            begun_by: Side::Local,
            hairpin: self.is_shared(local.source),
            peers: [None, None],
            mapping,
            last_seen: self.now,
            flags: [0, 0],
            passed: [false; 2],
        })
    }

    /// A local host asks for an echo of the node's address in a vnet. `None`: it does not.
    fn echo_of_own_address(&self, packet: &Packet) -> Option<Result<Sent, Stop>> {
        let reply = packet.echo_reply()?;
        let vnet = select(&self.config, packet.destination)?;
        let (there, _) = self.translate_out(vnet, &packet.tuple()).ok()?;
        if !vnet.address.contains(&there.destination) {
            return None;
        }
        let judged = judge_begin(vnet, &there, false);
        let way = Way::Answer(To::Local(packet.source));
        Some(match judged {
            Ok(()) => Ok(Sent { way, pieces: vec![reply] }),
            Err(reason) => Err(Refusal::of(reason).into()),
        })
    }
}
