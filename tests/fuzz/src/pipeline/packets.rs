//! Packets made of a few bytes of input each.

use std::net::IpAddr;

use gridway_wire::checksum::Sum;
use gridway_wire::fragment::fragment_in_place;
use gridway_wire::generate::{Content, PacketSpec};
use gridway_wire::packet::parse;
use gridway_wire::protocol::Protocol;

/// Bytes of input, read to their end and zero from there on.
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        match self.0 {
            [first, rest @ ..] => {
                let first = *first;
                self.0 = rest;
                first
            }
            [] => 0,
        }
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// Up to 255 bytes.
    pub(super) fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }
}

const V4: [&str; 18] = [
    "10.1.0.2",
    "10.1.0.3",
    "10.1.0.201",
    "10.1.0.254",
    "10.1.0.1",
    "10.200.1.2",
    "10.200.1.3",
    "10.200.1.201",
    "10.200.1.254",
    "10.200.2.7",
    "10.200.2.1",
    "10.200.3.7",
    "10.200.3.1",
    "10.200.4.7",
    "172.16.2.1",
    "172.16.2.7",
    "172.16.3.7",
    "198.51.100.1",
];
const V6: [&str; 9] = [
    "fd00:1::2",
    "fd00:1::c8",
    "fd00:1::ffff:ffff:ffff:ffff",
    "fd00:200:1::2",
    "fd00:200:1::fe",
    "fd00:200:2::7",
    "fd00:200:3::7",
    "fd00:72::7",
    "2001:db8::1",
];
const PORTS: [u16; 8] = [0, 7, 53, 80, 443, 40_000, 40_001, 0xffff];
const SIZES: [usize; 8] = [0, 8, 19, 64, 700, 1380, 1473, 3000];

fn address(input: &mut Input<'_>, v6: bool) -> IpAddr {
    let text = if v6 { input.one_of(&V6) } else { input.one_of(&V4) };
    text.parse().expect("an address")
}

/// A valid packet; IPv4 may be cut where the input says so.
pub(super) fn packet(input: &mut Input<'_>) -> Vec<u8> {
    let kind = input.byte();
    let v6 = kind & 0x80 != 0;
    let (source, destination) = (address(input, v6), address(input, v6));
    let ports = (input.one_of(&PORTS), input.one_of(&PORTS));
    let content = match kind & 7 {
        0 | 1 => Content::Udp { ports, checksum: kind & 8 == 0 },
        2 | 3 => Content::Tcp { ports, flags: input.byte(), option_words: usize::from(kind >> 3 & 3) },
        4 | 5 => Content::Echo { identifier: ports.0, sequence: 1, reply: kind & 8 != 0 },
        6 => Content::Other(input.one_of(&[Protocol::GRE, Protocol::ESP, Protocol::UDP_LITE])),
        _ => Content::Error { kind: input.one_of(&[1, 2, 3, 4, 11, 12, 5, 8]), code: 0 },
    };
    let spec = PacketSpec {
        source,
        destination,
        ttl: input.one_of(&[64, 64, 64, 2, 1, 0]),
        class: 0,
        extras: usize::from(kind >> 5 & 1),
        content,
        payload: vec![0x5a; input.one_of(&SIZES)],
    };
    let mut bytes = spec.to_bytes();
    if kind & 0x40 != 0 && !v6 {
        bytes[6] &= !0x40;
        repair(&mut bytes);
    }
    bytes
}

/// The packet as a narrow link passes it on; by itself if it cannot be cut. The identification is `id`.
pub(super) fn pieces(mut bytes: Vec<u8>, id: u8, mtu: usize) -> Vec<Vec<u8>> {
    if bytes[0] >> 4 == 4 {
        bytes[6] &= !0x40;
        bytes[5] = id;
        repair(&mut bytes);
    }
    let Ok(packet) = parse(&bytes) else { return vec![bytes] };
    let mut pieces = Vec::new();
    let first =
        fragment_in_place(&mut bytes, &packet, mtu, &mut Vec::new(), |piece| pieces.push(piece.to_vec()));
    bytes.truncate(first.unwrap_or(bytes.len()));
    pieces.insert(0, bytes);
    pieces
}

/// An ICMP error about `about` to its sender, which quotes `kept` bytes of it.
pub(super) fn error(input: &mut Input<'_>, about: &[u8]) -> Option<Vec<u8>> {
    let to = parse(about).ok()?.tuple.source;
    let v6 = to.is_ipv6();
    let source =
        if input.byte() & 1 == 0 { parse(about).ok()?.tuple.destination } else { address(input, v6) };
    let kept = usize::from(input.byte()) * 8;
    let kind = if v6 { input.one_of(&[1, 2, 3, 4]) } else { input.one_of(&[3, 11, 12]) };
    let spec = PacketSpec {
        source,
        destination: to,
        ttl: 64,
        class: 0,
        extras: 0,
        content: Content::Error { kind, code: input.byte() & 15 },
        payload: about[..kept.min(about.len())].to_vec(),
    };
    Some(spec.to_bytes())
}

/// The packet with addresses and ports exchanged, and an echo request turned into its reply; `flags` are those
/// of a TCP segment.
pub(super) fn answer(bytes: &[u8], flags: u8) -> Option<Vec<u8>> {
    let packet = parse(bytes).ok()?;
    let tuple = packet.tuple.reversed();
    let ports = (tuple.source_port, tuple.destination_port);
    let content = match tuple.protocol {
        Protocol::UDP => Content::Udp { ports, checksum: true },
        Protocol::TCP => Content::Tcp { ports, flags, option_words: 0 },
        Protocol::ICMP | Protocol::ICMPV6 => Content::Echo { identifier: ports.0, sequence: 1, reply: true },
        other => Content::Other(other),
    };
    let spec = PacketSpec {
        source: tuple.source,
        destination: tuple.destination,
        ttl: 64,
        class: 0,
        extras: 0,
        content,
        payload: vec![1; 40],
    };
    Some(spec.to_bytes())
}

/// Puts bytes of the input over those of the packet; the IPv4 header's checksum is right afterwards, if there is one.
pub(super) fn mutate(input: &mut Input<'_>, bytes: &mut [u8]) {
    for _ in 0..input.byte() & 3 {
        let (at, value) = (usize::from(input.byte()) % bytes.len().max(1), input.byte());
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
    }
    repair(bytes);
}

/// Makes the checksum of an IPv4 header right.
pub(super) fn repair(bytes: &mut [u8]) {
    let Some(first) = bytes.first() else { return };
    let length = usize::from(first & 0xf) * 4;
    if first >> 4 == 4 && (20..=bytes.len()).contains(&length) {
        bytes[10..12].fill(0);
        let checksum = Sum::ZERO.bytes(&bytes[..length]).checksum();
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
}
