//! What policy says of flows: when they begin, and again when something has changed.

use std::net::IpAddr;

use gridway_wire::packet::{Packet, Transport};
use gridway_wire::protocol::Protocol;
use gridway_wire::time::Nanos;
use gridway_wire::tuple::FiveTuple;

use crate::flow::{Created, EndReason, Flow, NewFlow, Side, Traits};
use crate::forwarder::Forwarder;
use crate::ids::PeerId;
use crate::policy::{Choice, Hits, Match, Ruling, Vnet};
use crate::reason::DropReason;
use crate::steps::{FlowStep, Step};
use crate::translate::Translated;

/// A later judgement of a flow.
#[derive(Clone, Copy)]
enum Again {
    /// It goes on.
    Goes {
        /// To this peer, and in the other direction to that one.
        peer: PeerId,
        back: PeerId,
        /// Until the next epoch. Else its next packet asks again: the direction that has no packet now has no route
        /// either, or sources have to be checked each time.
        lasting: bool,
        /// The access rule that allows it.
        acl_line: u32,
    },
    /// Its translation is not what policy says today.
    BeginAnew,
}

impl Forwarder {
    /// Asks the access policy about the flow that `tuple` (virtual addresses) began. TCP taken up in
    /// mid-stream is judged in both directions, because the side that began is not known.
    pub(crate) fn judge_acl<'v>(
        &self,
        vnet: &'v Vnet,
        tuple: &FiveTuple,
        midstream: bool,
        now: Nanos,
    ) -> Result<Match<'v>, DropReason> {
        let first = vnet.acl.judge(tuple);
        self.note_ruling(tuple, first);
        if midstream && !matches!(first, Ruling::Allow(_)) {
            let (back, reversed) = (vnet.acl.judge(&tuple.reversed()), tuple.reversed());
            self.note_ruling(&reversed, back);
            if let Ruling::Allow(rule) = back {
                return Ok(rule);
            }
        }
        let (rule, reason) = match first {
            Ruling::Allow(rule) => return Ok(rule),
            Ruling::Deny(rule) => (rule, DropReason::AclDeny),
            Ruling::Reject(rule) => (rule, DropReason::AclReject),
            Ruling::NoMatch => return Err(DropReason::AclNoMatch),
        };
        self.hit(rule.hits, now);
        Err(reason)
    }

    /// Whether a packet may begin a flow; whether it does so in mid-stream.
    pub(crate) fn may_begin(&self, packet: &Packet) -> Result<bool, DropReason> {
        match packet.transport {
            Transport::Tcp { flags } if flags.syn() && !flags.ack() => Ok(false),
            Transport::Tcp { .. } if self.policy.timeouts.midstream => Ok(true),
            Transport::Tcp { .. } | Transport::IcmpReply => Err(DropReason::NoFlow),
            _ => Ok(false),
        }
    }

    pub(crate) fn route(
        &self,
        vnet: &Vnet,
        virtual_tuple: &FiveTuple,
        current: Option<PeerId>,
    ) -> Result<PeerId, DropReason> {
        let choice = vnet.routes.choose(virtual_tuple, current, |route| self.peers.is_available(route));
        self.note_route(vnet, virtual_tuple.destination, choice);
        match choice {
            Choice::Peer(peer) => Ok(peer),
            Choice::AllDown => Err(DropReason::PeerDown),
            Choice::NoRoute => Err(DropReason::NoRoute),
        }
    }

    /// Puts a flow into the table. The mapping that `translated` holds becomes the flow's, or is released.
    pub(crate) fn begin(
        &mut self,
        new: NewFlow,
        rule: &Hits,
        translated: Option<&Translated<'_>>,
        now: Nanos,
    ) -> Result<Flow, DropReason> {
        let created = self.flows.create(&new, &self.policy.timeouts, now);
        let (flow, is_new) = match created {
            Ok(Created::New(flow)) => (Ok(flow), true),
            Ok(Created::Evicting(flow)) => {
                self.counters.flows_evicted.add(1);
                (Ok(flow), true)
            }
            Ok(Created::Existing(flow)) => (Ok(flow), false),
            Err(_) => (Err(DropReason::FlowTableFull), false),
        };
        if is_new {
            self.counters.flows_created.add(1);
        } else if let Some((endpoint, _)) = translated.and_then(|translated| translated.mapping) {
            self.flows.mappings().release(&endpoint);
        }
        if flow.is_ok() {
            self.hit(rule, now);
            let rules = translated.map(|translated| translated.rules).unwrap_or_default();
            rules.into_iter().flatten().for_each(|rule| self.hit(&rule.hits, now));
            self.notes.note(|| Step::Flow(FlowStep::Made));
        }
        flow
    }

    /// The peer that answers to `tuple`, a packet from `sender`, go to, and the epoch of that judgement: one that
    /// has passed while they have no route, so that the first of them asks again.
    pub(crate) fn way_back(&self, vnet: &Vnet, tuple: &FiveTuple, sender: PeerId) -> (PeerId, u32) {
        if tuple.protocol.is_icmp() {
            return (sender, self.epoch_by_way_of(sender));
        }
        match self.route(vnet, &tuple.reversed(), Some(sender)) {
            Ok(back) => (back, self.epoch),
            Err(_) => (sender, self.epoch.wrapping_sub(1)),
        }
    }

    /// The peer that replies to the ICMP queries of `flow` go to: the one that the last of them came from, for as
    /// long as its tunnel is up and the source belongs to it. `None`: as routes say.
    fn way_of_replies(&self, vnet: &Vnet, flow: &Flow) -> Option<PeerId> {
        let source = flow.overlay().source;
        let holds = flow.is_query_from_overlay()
            && self.peers.is_up(flow.back)
            && vnet.is_remote(source)
            && vnet.routes.is_feasible(source, flow.back, |route| self.peers.is_available(route));
        holds.then_some(flow.back)
    }

    /// The peer that answers of `flow`, and errors about what is answered, go to.
    pub(crate) fn way_of_answers(&self, vnet: &Vnet, flow: &Flow) -> Result<PeerId, DropReason> {
        match self.way_of_replies(vnet, flow) {
            Some(peer) => Ok(peer),
            None => self.route(vnet, &flow.overlay().reversed(), Some(flow.back)),
        }
    }

    /// Has replies follow an ICMP query of `flow` that came from `sender`, whose source was checked.
    pub(crate) fn replies_follow(&self, flow: &mut Flow, sender: PeerId) {
        if !flow.is_query_from_overlay() || flow.back == sender {
            return;
        }
        (flow.back, flow.epoch) = (sender, self.epoch_by_way_of(sender));
        if !flow.traits.has(Traits::RELAYED) {
            flow.peer = sender;
        }
        self.flows.rejudged(flow.id, flow.peer, flow.back, flow.epoch, None);
    }

    /// The epoch of a judgement to send by way of `peer`: one that has passed while its tunnel is down.
    fn epoch_by_way_of(&self, peer: PeerId) -> u32 {
        if self.peers.is_up(peer) { self.epoch } else { self.epoch.wrapping_sub(1) }
    }

    /// The epoch of a judgement about a flow to `remote`: one that has passed if that is no remote host's address
    /// although a route contains it, so that the source of every answer is checked.
    pub(crate) fn epoch_towards(&self, vnet: &Vnet, remote: IpAddr) -> u32 {
        if vnet.is_remote(remote) { self.epoch } else { self.epoch.wrapping_sub(1) }
    }

    /// The flow of a packet from `side`, as policy has it today: the one that was `found`, judged again if its epoch
    /// has passed, or a new one.
    pub(crate) fn current(
        &mut self,
        found: Option<Flow>,
        side: Side,
        packet: &Packet,
        now: Nanos,
        begin: impl FnOnce(&mut Self) -> Result<Flow, DropReason>,
    ) -> Result<Flow, DropReason> {
        self.note_flow(found.as_ref());
        let standing = match found {
            Some(flow) if flow.epoch == self.epoch => Some(flow),
            Some(stale) => {
                let verdict = self.judge_again(&stale, side, now);
                self.settle(stale, verdict)?
            }
            None => None,
        };
        match standing {
            Some(flow) => self.judge_beginning(&flow, side, packet, now).map(|()| flow),
            None => begin(self),
        }
    }

    /// What policy says today of a flow that exists and has a packet from `side`: its peers, or that it must begin
    /// anew. Only the packet's own direction needs a route.
    fn judge_again(&self, flow: &Flow, side: Side, now: Nanos) -> Result<Again, DropReason> {
        let Some(vnet) = self.policy.vnet(flow.vnet) else {
            return Ok(Again::BeginAnew);
        };
        let overlay = flow.overlay();
        let virtual_tuple = overlay.reversed();
        let relayed = flow.traits.has(Traits::RELAYED);
        let unchanged = if relayed {
            vnet.relays(overlay.destination)
        } else {
            let local = flow.local();
            self.policy.select(local.destination).is_some_and(|now| now.id == vnet.id)
                && self.policy.is_shared(local.source) == flow.traits.has(Traits::HAIRPIN)
                && self.translate_out(vnet, &local).is_ok_and(|now| {
                    now.tuple == virtual_tuple && now.mapping.is_some() == flow.traits.has(Traits::SHARED)
                })
        };
        if !unchanged {
            return Ok(Again::BeginAnew);
        }
        let begun = match flow.started_by {
            Side::Local => virtual_tuple,
            Side::Overlay => overlay,
        };
        // Whether it was taken up in mid-stream is not remembered: TCP gets the benefit of the doubt.
        let midstream = self.policy.timeouts.midstream && begun.protocol == Protocol::TCP;
        let acl_line = self.judge_acl(vnet, &begun, midstream, now)?.line;
        let back = self.way_of_answers(vnet, flow);
        if !relayed {
            return match (side, back) {
                (_, Ok(peer)) => {
                    let lasting = self.epoch_towards(vnet, overlay.source) == self.epoch;
                    Ok(Again::Goes { peer, back: peer, lasting, acl_line })
                }
                (Side::Overlay, Err(_)) => {
                    Ok(Again::Goes { peer: flow.peer, back: flow.peer, lasting: false, acl_line })
                }
                (Side::Local, Err(reason)) => Err(reason),
            };
        }
        let forth = self.route(vnet, &overlay, Some(flow.peer));
        if side == Side::Overlay {
            forth?
        } else {
            back?
        };
        Ok(Again::Goes {
            peer: forth.unwrap_or(flow.peer),
            back: back.unwrap_or(flow.back),
            lasting: forth.is_ok() && back.is_ok(),
            acl_line,
        })
    }

    /// A packet on a flow that exists, of a kind that begins one: the SYN of a side that has sent none (the flow was
    /// taken up in mid-stream, began from the other side, or has ended), and an ICMP query of the side that answers.
    /// What it begins is judged in its own direction, or one flow would open the way for another.
    fn judge_beginning(
        &self,
        flow: &Flow,
        side: Side,
        packet: &Packet,
        now: Nanos,
    ) -> Result<(), DropReason> {
        let is_new_connection = match packet.transport {
            Transport::Tcp { flags } if flags.syn() && !flags.ack() => {
                let seen = self.flows.tcp_flags(flow.id);
                let ended = seen.iter().any(|flags| flags.fin() || flags.rst());
                if !ended && flow.started_by == side && seen[side as usize].syn() {
                    return Ok(());
                }
                ended || !seen.iter().any(|flags| flags.syn())
            }
            Transport::IcmpQuery if flow.started_by != side => false,
            _ => return Ok(()),
        };
        let vnet = self.policy.vnet(flow.vnet).ok_or(DropReason::NoVnet)?;
        let overlay = flow.overlay();
        let begun = if side == Side::Overlay { overlay } else { overlay.reversed() };
        let rule = self.judge_acl(vnet, &begun, false, now)?;
        self.hit(rule.hits, now);
        if is_new_connection {
            self.flows.restart(flow.id, side, rule.line, now);
        }
        Ok(())
    }

    /// Puts the outcome of [`Self::judge_again`] into the table. `None`: the flow begins anew.
    fn settle(
        &mut self,
        mut flow: Flow,
        verdict: Result<Again, DropReason>,
    ) -> Result<Option<Flow>, DropReason> {
        match verdict {
            Ok(Again::Goes { peer, back, lasting, acl_line }) => {
                let epoch = if lasting { self.epoch } else { flow.epoch };
                self.flows.rejudged(flow.id, peer, back, epoch, Some(acl_line));
                (flow.peer, flow.back, flow.epoch) = (peer, back, epoch);
                Ok(Some(flow))
            }
            Ok(Again::BeginAnew) => {
                self.notes.note(|| Step::Flow(FlowStep::BegunAnew));
                self.flows.remove(flow.id, EndReason::Policy);
                Ok(None)
            }
            // The flow stays, unjudged, for as long as it is not idle: the peer may come back.
            Err(reason @ (DropReason::PeerDown | DropReason::NoRoute)) => Err(reason),
            Err(reason) => {
                self.flows.remove(flow.id, EndReason::Policy);
                Err(reason)
            }
        }
    }
}
