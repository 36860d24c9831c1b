//! What the node tells the sender of a packet that it drops.

use std::net::IpAddr;

use super::Refusal;
use crate::model::Model;
use crate::packet::build::{Segment, icmp, tcp};
use crate::packet::{ACK, Carries, FIN, Packet, RST, SYN};
use crate::policy::select;
use crate::reason::{
    ACL_NO_MATCH, ACL_REJECT, NO_INSIDE_NAT, NO_OUTSIDE_NAT, NO_ROUTE, NO_VNET, PAT_EXHAUSTED, PEER_DOWN,
    TO_OWN_ADDRESS, TOO_BIG, TTL_EXCEEDED, UNTRANSLATABLE,
};
use crate::step::{Emitted, Origin, To, Whence};
use crate::tuple::ICMPV6;

/// Precedence "internetwork control" (RFC 1812 4.3.2.5).
const INTERNETWORK_CONTROL: u8 = 0xc0;
/// Most bytes of an error (RFC 1812 4.3.2.3, RFC 4443 2.4 c).
const LONGEST_V4: usize = 576;
const LONGEST_V6: usize = 1280;

/// ICMP type and code, and ICMPv6 type and code.
type Codes = ((u8, u8), (u8, u8));

const NET_UNREACHABLE: Codes = ((3, 0), (1, 0));
const HOST_UNREACHABLE: Codes = ((3, 1), (1, 3));
const FRAGMENTATION_NEEDED: Codes = ((3, 4), (2, 0));
const NET_UNKNOWN: Codes = ((3, 6), (1, 0));
const HOST_UNKNOWN: Codes = ((3, 7), (1, 3));
const PROHIBITED: Codes = ((3, 13), (1, 1));
const TIME_EXCEEDED: Codes = ((11, 0), (3, 0));

impl Model {
    /// The error, or the reset, that goes to the sender of `packet`.
    pub(super) fn diagnose(&self, whence: &Whence, packet: &Packet, refusal: &Refusal) -> Option<Emitted> {
        if self.is_dark(whence, packet) || !may_be_answered(packet) {
            return None;
        }
        let to = match whence {
            Whence::Local => To::Local(packet.source),
            Whence::Overlay { peer, vnet } => To::Peer { peer: peer.clone(), vnet: vnet.clone() },
        };
        if let (ACL_REJECT, Carries::Tcp(flags)) = (refusal.reason, packet.carries()) {
            let reset =
                (flags & RST == 0 && (flags & ACK != 0 || packet.is_whole())).then(|| reset(packet))?;
            return Some(Emitted { to, bytes: reset.to_bytes(), origin: Origin::Reset });
        }
        let codes = codes(whence, refusal)?;
        let sources = self.own_addresses(whence, packet.source);
        let error = error(packet, *sources.first()?, codes, refusal.mtu);
        Some(Emitted { to, bytes: error.to_bytes(), origin: Origin::Error { sources } })
    }

    /// Tells a remote host that a packet of its flow does not arrive.
    pub(super) fn host_unreachable(&self, peer: &str, vnet: &str, original: &Packet) -> Option<Emitted> {
        let whence = Whence::Overlay { peer: peer.to_owned(), vnet: vnet.to_owned() };
        self.diagnose(&whence, original, &Refusal::of(TO_OWN_ADDRESS))
    }

    /// A dark vnet says nothing. Where the packet is of none today, one that is not dark suffices.
    fn is_dark(&self, whence: &Whence, packet: &Packet) -> bool {
        let vnet = match whence {
            Whence::Local => select(&self.config, packet.destination),
            Whence::Overlay { vnet, .. } => self.config.vnet(vnet),
        };
        match vnet {
            Some(vnet) => vnet.dark,
            None => self.config.vnets.iter().all(|vnet| vnet.dark),
        }
    }

    /// The node's own addresses of the family of `like`: on the data link the NIC's, in a vnet its `address`.
    fn own_addresses(&self, whence: &Whence, like: IpAddr) -> Vec<IpAddr> {
        let all = match whence {
            Whence::Local => self.data_addresses.clone(),
            Whence::Overlay { vnet, .. } => {
                self.config.vnet(vnet).map_or_else(Vec::new, |vnet| vnet.address.clone())
            }
        };
        all.into_iter().filter(|own| own.is_ipv4() == like.is_ipv4()).collect()
    }
}

/// What each reason says, if anything.
fn codes(whence: &Whence, refusal: &Refusal) -> Option<Codes> {
    match (refusal.reason, whence) {
        (NO_VNET, _) | (NO_INSIDE_NAT | NO_OUTSIDE_NAT | UNTRANSLATABLE, Whence::Local) => Some(NET_UNKNOWN),
        (NO_INSIDE_NAT | NO_OUTSIDE_NAT | UNTRANSLATABLE, Whence::Overlay { .. }) => Some(HOST_UNKNOWN),
        (NO_ROUTE, _) => Some(NET_UNREACHABLE),
        (PEER_DOWN | TO_OWN_ADDRESS, _) => Some(HOST_UNREACHABLE),
        (ACL_REJECT | ACL_NO_MATCH | PAT_EXHAUSTED, _) => Some(PROHIBITED),
        (TTL_EXCEEDED, _) => Some(TIME_EXCEEDED),
        (TOO_BIG, _) => Some(FRAGMENTATION_NEEDED),
        _ => None,
    }
}

/// Nothing is said about ICMP errors (nor what may be one) and later fragments of IPv4 (RFC 1122 3.2.2; RFC 4443
/// 2.4 does not except those of IPv6).
fn may_be_answered(packet: &Packet) -> bool {
    match packet.carries() {
        Carries::IcmpError | Carries::IcmpOther => false,
        // What may be of an error is treated as one.
        Carries::LaterFragment => packet.source.is_ipv6() && packet.protocol != ICMPV6,
        _ => true,
    }
}

/// The error about `packet`, which it quotes as its sender sent it.
fn error(packet: &Packet, source: IpAddr, codes: Codes, mtu: u16) -> Packet {
    let (codes, longest) =
        if source.is_ipv4() { (codes.0, LONGEST_V4 - 28) } else { (codes.1, LONGEST_V6 - 48) };
    let mut quote = packet.to_bytes();
    quote.truncate(longest);
    let mut error = icmp(source, packet.source, codes, u32::from(mtu).to_be_bytes(), &quote);
    if source.is_ipv4() {
        error.class = INTERNETWORK_CONTROL;
    }
    error
}

/// The reset that the destination would send if the connection did not exist (RFC 9293 3.10.7.1).
fn reset(packet: &Packet) -> Packet {
    let offending = packet.tuple();
    let number = |at: usize| u32::from(packet.word(at)) << 16 | u32::from(packet.word(at + 2));
    let (sequence, acknowledgement) = (number(4), number(8));
    let flags = packet.payload[13];
    let header_len = usize::from(packet.payload[12] >> 4) * 4;
    let bit = |flag: u8| u32::from(flags & flag != 0);
    let length = (packet.payload.len() - header_len) as u32 + bit(SYN) + bit(FIN);
    let segment = if flags & ACK != 0 {
        Segment { flags: RST, sequence: acknowledgement, ..Segment::default() }
    } else {
        let acknowledgement = sequence.wrapping_add(length);
        Segment { flags: RST | ACK, acknowledgement, ..Segment::default() }
    };
    let ports = (offending.destination_port, offending.source_port);
    tcp(packet.destination, packet.source, ports, &segment, &[])
}
