//! Telling a sender why its packet does not pass (RFC 792, RFC 1812 4.3, RFC 4443; resets: RFC 9293).

use std::net::IpAddr;

use gridway_wire::icmp::{IcmpError, MAX_ERROR_LEN_V4, MAX_ERROR_LEN_V6, build_error};
use gridway_wire::malformed::Malformed;
use gridway_wire::packet::{Packet, Transport, parse};
use gridway_wire::rewrite::rewrite;
use gridway_wire::segment::{MAX_SEGMENT_LEN, Segment};
use gridway_wire::time::Nanos;

use crate::flow::{Flow, Key, Side};
use crate::forwarder::{Forwarder, change};
use crate::ids::{PeerId, VnetId};
use crate::policy::Vnet;
use crate::reason::DropReason;
use crate::steps::{Step, Told};
use crate::verdict::{Target, Tunnel};

/// Why a packet is dropped, and what its sender needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: DropReason,
    /// What would have fitted, in bytes; of packets that are too big.
    mtu: u16,
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self { reason, mtu: 0 }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        DropReason::from(malformed).into()
    }
}

/// What the sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Silence,
    Reset,
    Error(IcmpError),
}

impl Refusal {
    /// What a sender on `side` is told.
    fn answer(self, side: Side, packet: &Packet) -> Answer {
        let is_tcp = match packet.transport {
            Transport::Tcp { .. } => true,
            // Never an error about an error.
            Transport::IcmpError { .. } => return Answer::Silence,
            _ => false,
        };
        let error = match self.reason {
            DropReason::AclReject if is_tcp => return Answer::Reset,
            DropReason::AclReject | DropReason::AclNoMatch => IcmpError::AdminProhibited,
            // RFC 5508, REQ-8.
            DropReason::PatExhausted | DropReason::FlowTableFull => IcmpError::AdminProhibited,
            DropReason::TtlExceeded => IcmpError::TimeExceeded,
            DropReason::TooBig => IcmpError::FragmentationNeeded { mtu: self.mtu },
            DropReason::NoVnet => IcmpError::NetUnknown,
            DropReason::NoInsideNat | DropReason::NoOutsideNat | DropReason::Untranslatable => match side {
                Side::Local => IcmpError::NetUnknown,
                Side::Overlay => IcmpError::HostUnknown,
            },
            DropReason::NoRoute => IcmpError::NetUnreachable,
            DropReason::PeerDown | DropReason::ToOwnAddress => IcmpError::HostUnreachable,
            _ => return Answer::Silence,
        };
        Answer::Error(error)
    }
}

impl Forwarder {
    /// Refuses a packet that is larger than `mtu` bytes and must not be cut.
    pub(crate) fn check_size(&self, packet: &Packet, mtu: usize) -> Result<(), Refusal> {
        if packet.total_len <= mtu {
            return Ok(());
        }
        let fragmented = !packet.dont_fragment;
        self.notes.note(|| Step::TooBig { length: packet.total_len, mtu, fragmented });
        if fragmented {
            return Ok(());
        }
        Err(Refusal { reason: DropReason::TooBig, mtu: u16::try_from(mtu).unwrap_or(u16::MAX) })
    }

    /// Tells the local host that sent `bytes`, which are as it sent them.
    #[cold]
    pub(crate) fn answer_local(&mut self, bytes: &[u8], refusal: Refusal, now: Nanos) {
        let Ok(packet) = parse(bytes) else { return };
        let receiver = packet.tuple.source;
        let dark = match self.policy.select(packet.tuple.destination) {
            Some(vnet) => vnet.dark,
            None => self.policy.vnets().all(|vnet| vnet.dark),
        };
        if dark {
            return;
        }
        let source = self.hops.address_towards(receiver);
        self.answer(
            bytes,
            &packet,
            refusal.answer(Side::Local, &packet),
            source,
            Target::Local(receiver),
            now,
        );
    }

    /// Tells the remote host that sent `bytes` by way of `peer`.
    #[cold]
    pub(crate) fn answer_overlay(
        &mut self,
        peer: PeerId,
        vnet: VnetId,
        bytes: &[u8],
        refusal: Refusal,
        now: Nanos,
    ) {
        let (Ok(packet), Some(vnet)) = (parse(bytes), self.policy.vnet(vnet)) else { return };
        if vnet.dark {
            return;
        }
        let source = vnet.address_like(packet.tuple.source);
        let to = Target::Tunnel(Tunnel { peer, vnet: vnet.id, spread: 0 });
        self.answer(bytes, &packet, refusal.answer(Side::Overlay, &packet), source, to, now);
    }

    /// A packet that was translated for a local host could not be delivered: its remote sender is told.
    #[cold]
    pub fn undeliverable(&mut self, bytes: &[u8], now: Nanos) {
        let Ok(packet) = parse(bytes) else { return };
        let Some((flow, vnet)) = self.flow_to_local(&packet) else { return };
        if vnet.dark {
            return;
        }
        let (peer, id, spread) = (flow.peer, vnet.id, flow.id.spread());
        let virtual_tuple = flow.overlay();
        let Some(source) = vnet.address_like(virtual_tuple.source) else { return };
        // The error quotes the packet as its sender knows it.
        let mut original = self.emissions.buffer();
        original.extend_from_slice(&bytes[..packet.total_len]);
        let back = change(&packet.tuple, &virtual_tuple, false);
        if rewrite(&mut original, &packet, &back).is_ok()
            && let Ok(packet) = parse(&original)
        {
            let answer = Answer::Error(IcmpError::HostUnreachable);
            let to = Target::Tunnel(Tunnel { peer, vnet: id, spread });
            self.answer(&original, &packet, answer, Some(source), to, now);
        }
        self.emissions.give_back(original);
    }

    fn answer(
        &mut self,
        bytes: &[u8],
        packet: &Packet,
        answer: Answer,
        source: Option<IpAddr>,
        to: Target,
        now: Nanos,
    ) {
        // What will not be sent takes no place in the rate.
        if answer == Answer::Silence || (matches!(answer, Answer::Error(_)) && source.is_none()) {
            return;
        }
        if !self.limiter.allow(packet.tuple.source, now) {
            self.counters.answers_suppressed.add(1);
            self.notes.note(|| Step::Told(Told::Suppressed));
            return;
        }
        match answer {
            Answer::Silence => {}
            Answer::Reset => {
                if let Some(segment) = Segment::reset(bytes, packet) {
                    self.notes.note(|| Step::Told(Told::Reset));
                    self.emissions.write(to, MAX_SEGMENT_LEN, |out| segment.write(out));
                }
            }
            Answer::Error(kind) => {
                let Some(source) = source else { return };
                self.notes.note(|| Step::Told(Told::Error(kind)));
                let most = MAX_ERROR_LEN_V4.max(MAX_ERROR_LEN_V6);
                self.emissions.write(to, most, |out| build_error(bytes, packet, kind, source, out));
            }
        }
    }

    /// The flow of a packet on its way to a local host, and its vnet.
    fn flow_to_local(&self, packet: &Packet) -> Option<(Flow, &Vnet)> {
        let flow = self.flows.find(Side::Local, &Key::local(&packet.tuple.reversed()))?;
        Some((flow, self.policy.vnet(flow.vnet)?))
    }
}
