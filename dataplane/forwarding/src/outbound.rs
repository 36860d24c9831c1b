//! From a local host to the overlay.

use gridway_wire::packet::{Packet, parse};
use gridway_wire::protocol::Protocol;
use gridway_wire::rewrite::rewrite;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::flow::{Created, Flow, Key, NewFlow, Side};
use crate::forwarder::{Forwarder, Outbound, Translated, change, tcp_flags};
use crate::ids::PeerId;
use crate::policy::{Choice, Vnet};
use crate::reason::DropReason;

impl Forwarder {
    /// Judges the IP packet in `bytes` and rewrites it for the overlay.
    pub fn outbound(&mut self, bytes: &mut [u8], now: Nanos) -> Outbound {
        match self.try_outbound(bytes, now) {
            Ok(verdict) => verdict,
            Err(reason) => Outbound::Drop(reason),
        }
    }

    fn try_outbound(&mut self, bytes: &mut [u8], now: Nanos) -> Result<Outbound, DropReason> {
        let packet = parse(bytes)?;
        if let Some(reason) = Self::refuse(&packet) {
            return Err(reason);
        }
        let flow = match self.flows.find(Side::Local, &Key::local(&packet.tuple)) {
            Some(flow) if flow.epoch == self.epoch => flow,
            Some(stale) => self.rejudge_from_local(stale, &packet, now)?,
            None => self.begin_from_local(&packet, now)?,
        };
        let vnet = self.policy.vnet(flow.vnet).ok_or(DropReason::NoVnet)?;
        if packet.total_len > self.path_mtu(vnet, flow.peer) {
            return Err(DropReason::TooBig);
        }
        self.note_restart(&flow, &packet);
        rewrite(bytes, &packet, &change(&flow.local, &flow.overlay.reversed()))
            .map_err(|_| DropReason::NoOutsideNat)?;
        self.flows.touch(flow.id, Side::Local, packet.total_len, tcp_flags(&packet), now);
        Ok(Outbound::Tunnel {
            peer: flow.peer,
            vnet: flow.vnet,
            spread: flow.id.spread(),
            len: packet.total_len,
        })
    }

    /// vnet > NAT > ACL > route > new flow.
    fn begin_from_local(&mut self, packet: &Packet, now: Nanos) -> Result<Flow, DropReason> {
        let midstream = self.may_begin(packet);
        let vnet = self.policy.select(packet.tuple.destination).ok_or(DropReason::NoVnet)?;
        let translated = translate(vnet, &packet.tuple)?;
        let midstream = midstream?;
        let rule = Self::judge_acl(vnet, &translated.tuple, midstream, now)?;
        let peer = self.route(vnet, &translated.tuple, None)?;
        let new = NewFlow {
            vnet: vnet.id,
            peer,
            epoch: self.epoch,
            started_by: Side::Local,
            local: packet.tuple,
            overlay: translated.tuple.reversed(),
        };
        let created = self.flows.create(&new, &self.policy.timeouts, now);
        let flow = self.count_created(created)?;
        rule.hit(now);
        translated.hits.into_iter().flatten().for_each(|hits| hits.hit(now));
        Ok(flow)
    }

    /// The flow was judged in an earlier epoch: policy or peers have changed since.
    fn rejudge_from_local(&mut self, flow: Flow, packet: &Packet, now: Nanos) -> Result<Flow, DropReason> {
        let verdict = self.judge_again(&flow, now);
        self.settle(flow, verdict, |forwarder| forwarder.begin_from_local(packet, now))
    }

    /// What policy says today of a flow that exists: its peer, or that it must begin anew.
    pub(crate) fn judge_again(&self, flow: &Flow, now: Nanos) -> Result<Again, DropReason> {
        let Some(vnet) = self.policy.vnet(flow.vnet) else {
            return Ok(Again::BeginAnew);
        };
        let virtual_tuple = flow.overlay.reversed();
        let unchanged = self.policy.select(flow.local.destination).is_some_and(|now| now.id == vnet.id)
            && translate(vnet, &flow.local).is_ok_and(|translated| translated.tuple == virtual_tuple);
        if !unchanged {
            return Ok(Again::BeginAnew);
        }
        let begun = match flow.started_by {
            Side::Local => virtual_tuple,
            Side::Overlay => flow.overlay,
        };
        // Whether it was taken up in mid-stream is not remembered: TCP gets the benefit of the doubt.
        let midstream = self.policy.timeouts.midstream && begun.protocol == Protocol::TCP;
        Self::judge_acl(vnet, &begun, midstream, now)?;
        self.route(vnet, &virtual_tuple, Some(flow.peer)).map(Again::Goes)
    }

    /// Puts the outcome of [`Self::judge_again`] into the table.
    pub(crate) fn settle(
        &mut self,
        mut flow: Flow,
        verdict: Result<Again, DropReason>,
        begin: impl FnOnce(&mut Self) -> Result<Flow, DropReason>,
    ) -> Result<Flow, DropReason> {
        match verdict {
            Ok(Again::Goes(peer)) => {
                self.flows.rejudged(flow.id, peer, self.epoch);
                (flow.peer, flow.epoch) = (peer, self.epoch);
                Ok(flow)
            }
            Ok(Again::BeginAnew) => {
                self.flows.remove(flow.id);
                begin(self)
            }
            // The flow stays, unjudged, for as long as it is not idle: the peer may come back.
            Err(reason @ (DropReason::PeerDown | DropReason::NoRoute)) => Err(reason),
            Err(reason) => {
                self.flows.remove(flow.id);
                Err(reason)
            }
        }
    }

    pub(crate) fn route(
        &self,
        vnet: &Vnet,
        virtual_tuple: &FiveTuple,
        current: Option<PeerId>,
    ) -> Result<PeerId, DropReason> {
        match vnet.routes.choose(virtual_tuple, current, |route| self.is_up(route.peer)) {
            Choice::Peer(peer) => Ok(peer),
            Choice::AllDown => Err(DropReason::PeerDown),
            Choice::NoRoute => Err(DropReason::NoRoute),
        }
    }

    pub(crate) fn count_created(
        &self,
        created: Result<Created, crate::flow::TableFull>,
    ) -> Result<Flow, DropReason> {
        match created {
            Ok(Created::Existing(flow)) => Ok(flow),
            Ok(Created::New(flow)) => {
                self.counters.flows_created.add(1);
                Ok(flow)
            }
            Ok(Created::Evicting(flow)) => {
                self.counters.flows_created.add(1);
                self.counters.flows_evicted.add(1);
                Ok(flow)
            }
            Err(_) => Err(DropReason::FlowTableFull),
        }
    }
}

/// A later judgement of a flow.
#[derive(Clone, Copy)]
pub(crate) enum Again {
    /// It goes on, to this peer.
    Goes(PeerId),
    /// Its translation is not what policy says today.
    BeginAnew,
}

/// The tuple of a local packet in virtual addresses.
fn translate<'v>(vnet: &'v Vnet, local: &FiveTuple) -> Result<Translated<'v>, DropReason> {
    let source = vnet.nat.inside.to_virtual(local.source).ok_or(DropReason::NoInsideNat)?;
    let destination = vnet.nat.outside.to_virtual(local.destination).ok_or(DropReason::NoOutsideNat)?;
    if vnet.is_remote(source.address) {
        return Err(DropReason::SpoofedLocal);
    }
    Ok(Translated {
        tuple: FiveTuple { source: source.address, destination: destination.address, ..*local },
        hits: [source.hits.map(AsRef::as_ref), destination.hits.map(AsRef::as_ref)],
    })
}
