//! From the overlay to a local host, or on to another peer.

use gridway_wire::icmp::echo_reply_in_place;
use gridway_wire::mss::clamp_mss;
use gridway_wire::packet::{Fragment, Packet, Transport, parse};
use gridway_wire::rewrite::rewrite;
use gridway_wire::time::Nanos;

use crate::expected::Expected;
use crate::flow::{EndReason, Flow, Key, NewFlow, Side, Traits};
use crate::forwarder::{Forwarder, change, tcp_flags};
use crate::fragments::{DatagramKey, Onward};
use crate::ids::{PeerId, VnetId};
use crate::policy::Vnet;
use crate::reason::DropReason;
use crate::refusal::Refusal;
use crate::steps::Step;
use crate::verdict::{Inbound, Outbound, Target};

/// What becomes of a packet that is no later fragment, before it is sent on.
pub(crate) enum Arrival {
    /// It was rewritten, and is this long now.
    Goes(Onward, usize),
    /// It was for this node itself.
    Own(Inbound),
}

impl Forwarder {
    /// Judges the IP packet in `bytes`, which `peer` sent in `vnet`, and rewrites it for the data link. A packet
    /// that is dropped is left as it was, and its sender may be told.
    pub fn inbound(&mut self, peer: PeerId, vnet: VnetId, bytes: &mut [u8], now: Nanos) -> Inbound {
        self.inbound_expected(peer, vnet, bytes, None, now)
    }

    /// As [`Self::inbound`], with what [`Self::expect_inbound`] learnt of this packet.
    pub fn inbound_expected(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        expected: Option<&Expected>,
        now: Nanos,
    ) -> Inbound {
        match self.lane_inbound(peer, vnet, bytes, expected, now) {
            Some(verdict) => verdict,
            None => self.inbound_at_length(peer, vnet, bytes, now),
        }
    }

    /// As [`Self::inbound`], without the short way for packets of known flows: it notes nothing.
    pub fn inbound_at_length(&mut self, peer: PeerId, vnet: VnetId, bytes: &mut [u8], now: Nanos) -> Inbound {
        match self.try_inbound(peer, vnet, bytes, now) {
            Ok(verdict) => verdict,
            Err(refusal) => {
                self.answer_overlay(peer, vnet, bytes, refusal, now);
                Inbound::Drop(refusal.reason)
            }
        }
    }

    fn try_inbound(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        now: Nanos,
    ) -> Result<Inbound, Refusal> {
        let packet = parse(bytes)?;
        self.notes.note(|| Step::Parsed(packet.into()));
        let forwarded = match packet.transport {
            Transport::LaterFragment => {
                self.check_source(peer, vnet, &packet)?;
                return self.later_from_overlay(vnet, bytes, &packet, now);
            }
            Transport::IcmpOther => {
                self.check_source(peer, vnet, &packet)?;
                return Err(DropReason::IcmpUnsupported.into());
            }
            Transport::IcmpError { .. } => {
                self.check_source(peer, vnet, &packet)?;
                self.error_from_overlay(peer, vnet, bytes, &packet)
            }
            _ => self.packet_from_overlay(peer, vnet, bytes, &packet, now),
        };
        let (forwarded, own) = match forwarded {
            Ok(Arrival::Goes(onward, len)) => (Ok((onward, len)), None),
            Ok(Arrival::Own(verdict)) => (Err(DropReason::ToOwnAddress.into()), Some(verdict)),
            Err(refusal) => (Err(refusal), None),
        };
        let onward = forwarded.map(|(onward, _)| onward);
        let sent = forwarded.and_then(|(onward, len)| self.send_on(&onward, bytes, len, now));
        // What came from a peer that the source does not belong to says nothing of the datagram.
        let is_foreign = onward.is_err_and(|refusal| refusal.reason == DropReason::SourceCheck);
        if packet.fragment == Fragment::First && !is_foreign {
            // Behind the first: a shared address must have seen it before the fragments that waited for it.
            self.first_was_judged(&DatagramKey::overlay(vnet, &packet), &onward, now);
        }
        own.map_or(sent, Ok)
    }

    /// A packet with its transport header that is no ICMP error.
    fn packet_from_overlay(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<Arrival, Refusal> {
        let flow = match self.flows.find(Side::Overlay, &Key::overlay(vnet, &packet.tuple)) {
            // Judged in this epoch, its peer was chosen among those whom the source belongs to.
            Some(flow) if flow.epoch == self.epoch && flow.back == peer => Some(flow),
            other => {
                let vnet = self.check_source(peer, vnet, packet)?;
                if vnet.is_own(packet.tuple.destination) {
                    self.notes.note(|| Step::Own(packet.tuple.destination));
                    let vnet = vnet.id;
                    return Ok(Arrival::Own(self.answer_at_own_address(vnet, bytes, packet, now)?));
                }
                other
            }
        };
        let flow = match flow {
            // Relaying is off, or the destination is nobody else's any more: as if there were no flow.
            Some(flow)
                if flow.traits.has(Traits::RELAYED)
                    && flow.epoch != self.epoch
                    && !self.policy.vnet(vnet).is_some_and(|vnet| vnet.relays(packet.tuple.destination)) =>
            {
                self.flows.remove(flow.id, EndReason::Policy);
                None
            }
            other => other,
        };
        let (onward, len) = match flow {
            Some(flow) if flow.traits.has(Traits::RELAYED) => {
                self.relay_forth(flow, peer, vnet, bytes, packet, now)
            }
            None if self.policy.vnet(vnet).is_some_and(|vnet| vnet.is_remote(packet.tuple.destination)) => {
                self.relay(peer, vnet, bytes, packet, now)
            }
            flow => self.whole_from_overlay(flow, peer, vnet, bytes, packet, now),
        }?;
        Ok(Arrival::Goes(onward, len))
    }

    /// The verdict on a packet from the overlay that was rewritten and is `len` bytes long now.
    pub(crate) fn send_on(
        &mut self,
        onward: &Onward,
        bytes: &mut [u8],
        len: usize,
        now: Nanos,
    ) -> Result<Inbound, Refusal> {
        match onward.to {
            Target::Tunnel(to) => Ok(Inbound::Relay { to, len }),
            Target::Local(_) if onward.hairpin => Ok(self.hairpin(&mut bytes[..len], now)),
            Target::Local(destination) => Ok(Inbound::Deliver { destination, len }),
        }
    }

    /// A packet for a shared address, from the overlay: it goes where a local host's packet would go. Nobody is
    /// told when it does not, because its source is no local host.
    pub(crate) fn hairpin(&mut self, bytes: &mut [u8], now: Nanos) -> Inbound {
        if let Ok(packet) = parse(bytes)
            && packet.transport == Transport::LaterFragment
            && !self.fragments.has_first(&DatagramKey::local(&packet))
        {
            return Inbound::Drop(DropReason::FragmentLimit);
        }
        match self.try_outbound(bytes, now) {
            Ok(Outbound::Tunnel { to, len }) => Inbound::Relay { to, len },
            Ok(Outbound::Answer { .. } | Outbound::Held) => Inbound::Drop(DropReason::ToOwnAddress),
            Ok(Outbound::Drop(reason)) => Inbound::Drop(reason),
            Err(refusal) => Inbound::Drop(refusal.reason),
        }
    }

    /// Whether the source of a packet belongs to the peer that sent it (RFC 3704, feasible path).
    pub(crate) fn check_source(
        &self,
        peer: PeerId,
        vnet: VnetId,
        packet: &Packet,
    ) -> Result<&Vnet, DropReason> {
        let vnet = self.policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        let source = packet.tuple.source;
        let feasible = vnet.is_remote(source)
            && vnet.routes.is_feasible(source, peer, |route| self.peers.is_available(route));
        self.notes.note(|| Step::Source { source, peer, feasible });
        if feasible { Ok(vnet) } else { Err(DropReason::SourceCheck) }
    }

    /// A packet with its transport header, for a local host.
    fn whole_from_overlay(
        &mut self,
        flow: Option<Flow>,
        peer: PeerId,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<(Onward, usize), Refusal> {
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let mut flow = self.current(flow, Side::Overlay, packet, now, |forwarder| {
            forwarder.begin_from_overlay(peer, vnet, packet, now)
        })?;
        self.replies_follow(&mut flow, peer);
        let hairpin = flow.traits.has(Traits::HAIRPIN);
        let mtu = self.local_mtu(hairpin);
        self.check_size(packet, mtu)?;
        let vnet = self.policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        let new = flow.local().reversed();
        rewrite(bytes, packet, &change(&packet.tuple, &new, true)).map_err(|_| DropReason::NoInsideNat)?;
        // What the local host may send is bounded by the way back.
        clamp_mss(bytes, packet, self.path_mtu(vnet, flow.peer));
        self.flows.touch(flow.id, Side::Overlay, packet.total_len, tcp_flags(packet), now);
        let onward = Onward {
            flow: Some(flow.id),
            side: Side::Overlay,
            to: Target::Local(new.destination),
            source: new.source,
            destination: new.destination,
            mtu,
            hairpin,
        };
        let len = self.fit(bytes, packet, &onward);
        Ok((onward, len))
    }

    /// ACL > NAT > new flow. The source was checked.
    fn begin_from_overlay(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        packet: &Packet,
        now: Nanos,
    ) -> Result<Flow, DropReason> {
        let policy = self.policy.clone();
        let vnet = policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        if vnet.is_remote(packet.tuple.destination) {
            return Err(DropReason::TransitRefused);
        }
        let midstream = self.may_begin(packet)?;
        let rule = self.judge_acl(vnet, &packet.tuple, midstream, now)?;
        let translated = self.translate_in(vnet, &packet.tuple)?;
        let local = translated.tuple.reversed();
        // Answers take the best route, which need not be the one the packet came by; only ICMP replies keep to it.
        let (back, epoch) = self.way_back(vnet, &packet.tuple, peer);
        let shared = if translated.mapping.is_some() { Traits::SHARED } else { Traits::PLAIN };
        let hairpin = if policy.is_shared(local.source) { Traits::HAIRPIN } else { Traits::PLAIN };
        let new = NewFlow {
            vnet: vnet.id,
            peer: back,
            back,
            epoch,
            started_by: Side::Overlay,
            traits: shared.with(hairpin),
            acl_line: rule.line,
            keys: [Key::local(&local), Key::overlay(vnet.id, &packet.tuple)],
        };
        self.begin(new, rule.hits, Some(&translated), now)
    }

    /// A packet for this node itself, at its address in the vnet: echo is answered, the answers that monitors
    /// wait for are taken, nothing else.
    fn answer_at_own_address(
        &mut self,
        vnet: VnetId,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<Inbound, DropReason> {
        if packet.transport != Transport::IcmpQuery {
            let Self { monitors, pings, peers, emissions, .. } = self;
            let taken = monitors.handle_reply(vnet, bytes, packet, (peers, emissions), now)
                || pings.handle_reply(vnet, bytes, packet, now);
            return if taken { Ok(Inbound::Consumed) } else { Err(DropReason::ToOwnAddress) };
        }
        let vnet = self.policy.vnet(vnet).ok_or(DropReason::UnknownVnet)?;
        let rule = self.judge_acl(vnet, &packet.tuple, false, now)?;
        if !echo_reply_in_place(bytes, packet) {
            return Err(DropReason::ToOwnAddress);
        }
        self.hit(rule.hits, now);
        Ok(Inbound::Answer { len: packet.total_len })
    }
}
