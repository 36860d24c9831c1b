//! Packets from scratch: those that the node makes itself, and those of tests.

use std::net::IpAddr;

use super::{Header, Packet, Piece, checksum};
use crate::tuple::{ICMP, ICMPV6, TCP, UDP};

/// TTL of packets that begin here.
pub const TTL: u8 = 64;

/// A whole packet without options; the payload is the transport header with its data, whose checksum is
/// computed where the protocol has one.
#[must_use]
pub fn packet(source: IpAddr, destination: IpAddr, protocol: u8, payload: Vec<u8>) -> Packet {
    let header = if source.is_ipv4() {
        Header::V4 { identification: 0, dont_fragment: true, options: Vec::new() }
    } else {
        Header::V6 { flow_label: 0, next_header: protocol, extensions: Vec::new() }
    };
    let piece = Piece { offset: 0, more: false, identification: 0 };
    let packet = Packet { source, destination, class: 0, ttl: TTL, protocol, header, piece, payload };
    with_checksum(packet)
}

/// A UDP packet.
#[must_use]
pub fn udp(source: IpAddr, destination: IpAddr, ports: (u16, u16), data: &[u8]) -> Packet {
    let length = u16::try_from(8 + data.len()).expect("short data");
    let mut payload = [ports.0, ports.1, length, 0].map(u16::to_be_bytes).concat();
    payload.extend(data);
    packet(source, destination, UDP, payload)
}

/// What a TCP header says besides its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Flags.
    pub flags: u8,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Window.
    pub window: u16,
    /// Options: whole words.
    pub options: Vec<u8>,
}

/// A TCP packet.
#[must_use]
pub fn tcp(source: IpAddr, destination: IpAddr, ports: (u16, u16), segment: &Segment, data: &[u8]) -> Packet {
    let words = u8::try_from(5 + segment.options.len() / 4).expect("options have up to 40 bytes");
    let mut payload = [ports.0, ports.1].map(u16::to_be_bytes).concat();
    payload.extend(segment.sequence.to_be_bytes());
    payload.extend(segment.acknowledgement.to_be_bytes());
    payload.extend([words << 4, segment.flags]);
    payload.extend(segment.window.to_be_bytes());
    payload.extend([0; 4]);
    payload.extend(&segment.options);
    payload.extend(data);
    packet(source, destination, TCP, payload)
}

/// An ICMP or ICMPv6 message: type, code, the second word, the rest.
#[must_use]
pub fn icmp(source: IpAddr, destination: IpAddr, kind: (u8, u8), word: [u8; 4], rest: &[u8]) -> Packet {
    let mut payload = vec![kind.0, kind.1, 0, 0];
    payload.extend(word);
    payload.extend(rest);
    let protocol = if source.is_ipv4() { ICMP } else { ICMPV6 };
    packet(source, destination, protocol, payload)
}

/// An echo request or reply.
#[must_use]
pub fn echo(source: IpAddr, destination: IpAddr, identifier: u16, reply: bool, data: &[u8]) -> Packet {
    let kind = match (source.is_ipv4(), reply) {
        (true, false) => 8,
        (true, true) => 0,
        (false, _) => 128 + u8::from(reply),
    };
    let [high, low] = identifier.to_be_bytes();
    icmp(source, destination, (kind, 0), [high, low, 0, 1], data)
}

/// The packet with the checksum of its transport computed from scratch.
///
/// # Panics
/// When the payload is too short for its transport header.
#[must_use]
pub fn with_checksum(mut packet: Packet) -> Packet {
    if let Some((at, _)) = checksum::field(packet.protocol, packet.source.is_ipv4())
        && let Some(checksum) = checksum::full(&packet)
    {
        packet.payload[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
    packet
}
