//! From a local host to the overlay.

use gridway_wire::fragment::fragment_in_place;
use gridway_wire::icmp::{echo_reply_in_place, is_echo_request};
use gridway_wire::mss::clamp_mss;
use gridway_wire::packet::{Fragment, Packet, Transport, parse};
use gridway_wire::rewrite::rewrite;
use gridway_wire::time::Nanos;

use crate::expected::Expected;
use crate::flow::{Flow, Key, NewFlow, Side, Traits};
use crate::forwarder::{Forwarder, change, tcp_flags};
use crate::fragments::{DatagramKey, Onward};
use crate::reason::DropReason;
use crate::refusal::Refusal;
use crate::steps::Step;
use crate::verdict::{Origin, Outbound, Target, Tunnel};

impl Forwarder {
    /// Judges the IP packet in `bytes` and rewrites it for the overlay. A packet that is dropped is left as it
    /// was, and its sender may be told.
    pub fn outbound(&mut self, bytes: &mut [u8], now: Nanos) -> Outbound {
        self.outbound_expected(bytes, None, now)
    }

    /// As [`Self::outbound`], with what [`Self::expect_outbound`] learnt of this packet.
    pub fn outbound_expected(
        &mut self,
        bytes: &mut [u8],
        expected: Option<&Expected>,
        now: Nanos,
    ) -> Outbound {
        match self.lane_outbound(bytes, expected, now) {
            Some(verdict) => verdict,
            None => self.outbound_at_length(bytes, now),
        }
    }

    /// As [`Self::outbound`], without the short way for packets of known flows: it notes nothing.
    pub fn outbound_at_length(&mut self, bytes: &mut [u8], now: Nanos) -> Outbound {
        match self.try_outbound(bytes, now) {
            Ok(verdict) => verdict,
            Err(refusal) => {
                self.answer_local(bytes, refusal, now);
                Outbound::Drop(refusal.reason)
            }
        }
    }

    pub(crate) fn try_outbound(&mut self, bytes: &mut [u8], now: Nanos) -> Result<Outbound, Refusal> {
        let packet = parse(bytes)?;
        self.notes.note(|| Step::Parsed(packet.into()));
        match packet.transport {
            Transport::LaterFragment => return self.later_from_local(bytes, &packet, now),
            Transport::IcmpOther => return Err(DropReason::IcmpUnsupported.into()),
            _ => {}
        }
        let forwarded = match packet.transport {
            Transport::IcmpError { .. } => self.error_from_local(bytes, &packet),
            _ => self.whole_from_local(bytes, &packet, now),
        };
        if packet.fragment == Fragment::First {
            let onward = forwarded.map(|(onward, _)| onward);
            self.first_was_judged(&DatagramKey::local(&packet), &onward, now);
        }
        let (onward, len) = forwarded?;
        match onward.to {
            Target::Tunnel(to) => Ok(Outbound::Tunnel { to, len }),
            Target::Local(destination) => Ok(Outbound::Answer { destination, len }),
        }
    }

    /// A packet with its transport header.
    fn whole_from_local(
        &mut self,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Result<(Onward, usize), Refusal> {
        let found = self.flows.find(Side::Local, &Key::local(&packet.tuple));
        if found.is_none()
            && let Some(answered) = self.answer_echo_from_local(bytes, packet, now)
        {
            return answered;
        }
        if packet.ttl <= 1 {
            return Err(DropReason::TtlExceeded.into());
        }
        let flow = self
            .current(found, Side::Local, packet, now, |forwarder| forwarder.begin_from_local(packet, now))?;
        let vnet = self.policy.vnet(flow.vnet).ok_or(DropReason::NoVnet)?;
        let mtu = self.path_mtu(vnet, flow.peer);
        self.check_size(packet, mtu)?;
        let new = flow.overlay().reversed();
        rewrite(bytes, packet, &change(&packet.tuple, &new, true)).map_err(|_| DropReason::NoOutsideNat)?;
        clamp_mss(bytes, packet, mtu);
        self.flows.touch(flow.id, Side::Local, packet.total_len, tcp_flags(packet), now);
        let to = Tunnel { peer: flow.peer, vnet: flow.vnet, spread: flow.id.spread() };
        let onward = Onward {
            flow: Some(flow.id),
            side: Side::Local,
            to: Target::Tunnel(to),
            source: new.source,
            destination: new.destination,
            mtu,
            hairpin: false,
        };
        let len = self.fit(bytes, packet, &onward);
        Ok((onward, len))
    }

    /// Cuts a packet that was rewritten to the size of its path. Gives the length of what is left of it; the
    /// other fragments are sent behind it.
    pub(crate) fn fit(&mut self, bytes: &mut [u8], packet: &Packet, onward: &Onward) -> usize {
        if packet.total_len <= onward.mtu {
            return packet.total_len;
        }
        let mut scratch = self.emissions.buffer();
        let emissions = &mut self.emissions;
        let first = fragment_in_place(bytes, packet, onward.mtu, &mut scratch, |fragment| {
            let mut bytes = emissions.buffer();
            bytes.extend_from_slice(fragment);
            emissions.push(onward.to, Origin::Piece, bytes);
        });
        self.emissions.give_back(scratch);
        // Packets that must not be cut were refused before.
        first.unwrap_or(packet.total_len)
    }

    /// vnet > NAT > ACL > route > new flow.
    fn begin_from_local(&mut self, packet: &Packet, now: Nanos) -> Result<Flow, DropReason> {
        let midstream = self.may_begin(packet);
        let policy = self.policy.clone();
        let vnet = policy.select(packet.tuple.destination);
        self.notes
            .note(|| Step::Vnet { destination: packet.tuple.destination, vnet: vnet.map(|vnet| vnet.id) });
        let vnet = vnet.ok_or(DropReason::NoVnet)?;
        let translated = self.translate_out(vnet, &packet.tuple)?;
        let midstream = midstream?;
        let rule = self.judge_acl(vnet, &translated.tuple, midstream, now)?;
        let peer = self.route(vnet, &translated.tuple, None)?;
        let traits = match &translated.mapping {
            Some((endpoint, local)) if self.flows.mappings().hold(endpoint, *local) => Traits::SHARED,
            Some(_) => return Err(DropReason::PatNoMapping),
            None => Traits::PLAIN,
        };
        // A remote host that came back from the shared address: so do the answers to it.
        let traits =
            if policy.is_shared(packet.tuple.source) { traits.with(Traits::HAIRPIN) } else { traits };
        let new = NewFlow {
            vnet: vnet.id,
            peer,
            back: peer,
            epoch: self.epoch_towards(vnet, translated.tuple.destination),
            started_by: Side::Local,
            traits,
            acl_line: rule.line,
            keys: [Key::local(&packet.tuple), Key::overlay(vnet.id, &translated.tuple.reversed())],
        };
        self.begin(new, rule.hits, Some(&translated), now)
    }

    /// A local host asks for an echo of this node's own address in a vnet. `None`: it does not.
    fn answer_echo_from_local(
        &mut self,
        bytes: &mut [u8],
        packet: &Packet,
        now: Nanos,
    ) -> Option<Result<(Onward, usize), Refusal>> {
        if !is_echo_request(bytes, packet) {
            return None;
        }
        let vnet = self.policy.select(packet.tuple.destination)?;
        let translated = self.translate_out(vnet, &packet.tuple).ok()?;
        if !vnet.is_own(translated.tuple.destination) {
            return None;
        }
        self.notes.note(|| Step::Own(translated.tuple.destination));
        let judged = self.judge_acl(vnet, &translated.tuple, false, now);
        Some(judged.map_err(Refusal::from).and_then(|rule| {
            if !echo_reply_in_place(bytes, packet) {
                return Err(DropReason::ToOwnAddress.into());
            }
            self.hit(rule.hits, now);
            Ok((Onward::answer(packet.tuple.source, packet.tuple.destination), packet.total_len))
        }))
    }
}
