//! Bytes to packets. Refuses what no router forwards (RFC 791, RFC 8200, RFC 1812 5.2.2 and 5.3.7).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Carries, Header, Packet, Piece, checksum};
use crate::tuple::{ICMP, ICMPV6, TCP, UDP};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;
const MOST_EXTENSIONS: usize = 8;

pub(super) fn packet(bytes: &[u8]) -> Option<Packet> {
    let packet = match bytes.first()? >> 4 {
        4 => v4(bytes)?,
        6 => v6(bytes)?,
        _ => return None,
    };
    let fine = forwardable(packet.source)
        && forwardable(packet.destination)
        && fragment_is_possible(&packet)
        && transport_is_whole(&packet);
    fine.then_some(packet)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn v4(bytes: &[u8]) -> Option<Packet> {
    let header_len = usize::from(bytes[0] & 0x0f) * 4;
    let total_len = usize::from(u16_at(bytes, 2)?);
    let header = bytes.get(..header_len).filter(|header| header.len() >= 20)?;
    let payload = bytes.get(header_len..total_len)?;
    if checksum::sum(header) != 0xffff || !options_are_fine(&header[20..]) {
        return None;
    }
    let word = u16_at(header, 6)?;
    let identification = u16_at(header, 4)?;
    let address = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(header.get(at..at + 4)?).ok()?));
    Some(Packet {
        source: address(12)?,
        destination: address(16)?,
        class: header[1],
        ttl: header[8],
        protocol: header[9],
        header: Header::V4 {
            identification,
            dont_fragment: word & 0x4000 != 0,
            options: header[20..].to_vec(),
        },
        piece: Piece {
            offset: usize::from(word & 0x1fff) * 8,
            more: word & 0x2000 != 0,
            identification: identification.into(),
        },
        payload: payload.to_vec(),
    })
}

/// Every option ends within the header, and none asks for a path of its own (RFC 791, RFC 7126).
fn options_are_fine(options: &[u8]) -> bool {
    match options {
        [] | [0, ..] => true,
        [1, rest @ ..] => options_are_fine(rest),
        [131 | 137, ..] => false,
        [_, length, ..] if (2..=options.len()).contains(&usize::from(*length)) => {
            options_are_fine(&options[usize::from(*length)..])
        }
        _ => false,
    }
}

fn v6(bytes: &[u8]) -> Option<Packet> {
    let fixed = bytes.get(..40)?;
    let total_len = 40 + usize::from(u16_at(fixed, 4)?);
    let rest = bytes.get(40..total_len)?;
    let first_word = u32::from_be_bytes(fixed.get(..4)?.try_into().ok()?);
    let address = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(fixed.get(at..at + 16)?).ok()?));
    let (end, protocol, piece) = extensions(rest, fixed[6])?;
    Some(Packet {
        source: address(8)?,
        destination: address(24)?,
        class: ((first_word >> 20) & 0xff) as u8,
        ttl: fixed[7],
        protocol,
        header: Header::V6 {
            flow_label: first_word & 0xf_ffff,
            next_header: fixed[6],
            extensions: rest[..end].to_vec(),
        },
        piece,
        payload: rest[end..].to_vec(),
    })
}

/// Where the extension headers end, what follows them, and which fragment this is.
fn extensions(rest: &[u8], first: u8) -> Option<(usize, u8, Piece)> {
    let mut piece = Piece { offset: 0, more: false, identification: 0 };
    let (mut at, mut next) = (0, first);
    for count in 0..=MOST_EXTENSIONS {
        if !matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
            return Some((at, next, piece));
        }
        let header = rest.get(at..at + 8)?;
        if (next == HOP_BY_HOP && count > 0) || (next == ROUTING && (header[2] == 0 || header[3] != 0)) {
            return None;
        }
        if next == FRAGMENT {
            let word = u16_at(header, 2)?;
            if word & 0xfff9 != 0 {
                if matches!(header[0], HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS) {
                    return None;
                }
                piece.offset = usize::from(word & 0xfff8);
                piece.more = word & 1 != 0;
                piece.identification = u32::from_be_bytes(header.get(4..8)?.try_into().ok()?);
            }
            at += 8;
        } else {
            at += 8 + usize::from(header[1]) * 8;
        }
        next = header[0];
        rest.get(..at)?;
        if piece.offset > 0 {
            return Some((at, next, piece));
        }
    }
    None
}

/// Addresses that a router may forward from and to.
fn forwardable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            !(first == 0
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4 == Ipv4Addr::BROADCAST)
        }
        IpAddr::V6(v6) => {
            let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            let mapped = v6.to_ipv4_mapped().is_some();
            !(v6 == Ipv6Addr::UNSPECIFIED || v6.is_loopback() || v6.is_multicast() || link_local || mapped)
        }
    }
}

/// Fragments but the last are multiples of 8 bytes, none ends beyond 65,535, and none may overwrite a
/// TCP header (RFC 1858).
fn fragment_is_possible(packet: &Packet) -> bool {
    let Piece { offset, more, .. } = packet.piece;
    let torn = more && (packet.payload.is_empty() || !packet.payload.len().is_multiple_of(8));
    let overwrites = packet.protocol == TCP && (1..20).contains(&offset);
    !torn && !overwrites && offset + packet.payload.len() <= 65_535
}

fn transport_is_whole(packet: &Packet) -> bool {
    let length = packet.payload.len();
    if packet.is_later_fragment() {
        return true;
    }
    match (packet.protocol, packet.source.is_ipv4()) {
        (TCP, _) => {
            let header_len = packet.payload.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
            (20..=length).contains(&header_len)
        }
        (UDP, _) => {
            let fits = |stated: usize| stated >= 8 && (packet.piece.more || stated <= length);
            length >= 8 && fits(usize::from(packet.word(4)))
        }
        (ICMP, true) | (ICMPV6, false) => {
            let quoted = if packet.source.is_ipv4() { 28 } else { 48 };
            length >= 8 && (packet.carries() != Carries::IcmpError || length >= quoted)
        }
        (ICMP | ICMPV6, _) => false,
        _ => true,
    }
}
