//! The Internet checksum (RFC 1071), computed from scratch or, where only a part of what it covers is
//! there, by difference (RFC 1624).

use std::net::IpAddr;

use super::{Carries, Packet};
use crate::tuple::{ICMP, ICMPV6, TCP, UDP};

/// UDP-Lite (RFC 3828): its checksum covers the addresses.
const UDP_LITE: u8 = 136;
/// DCCP (RFC 4340): likewise.
const DCCP: u8 = 33;

/// Ones' complement sum of 16-bit words; an odd last byte is the upper one of its word.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    bytes
        .chunks(2)
        .fold(0, |total, pair| add(total, u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
}

/// Ones' complement sum of words.
pub(crate) fn sum_words(words: &[u16]) -> u16 {
    words.iter().fold(0, |total, word| add(total, *word))
}

/// Ones' complement addition.
pub(crate) fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

/// RFC 1624, equation 3: `HC' = ~(~HC + ~m + m')`.
pub(crate) fn by_difference(old: u16, sum_before: u16, sum_after: u16) -> u16 {
    !add(add(!old, !sum_before), sum_after)
}

fn address_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

pub(crate) fn sum_of_addresses(source: IpAddr, destination: IpAddr) -> u16 {
    add(sum(&address_bytes(source)), sum(&address_bytes(destination)))
}

/// Where a transport header has its checksum, and whether the addresses are covered.
pub(crate) fn field(protocol: u8, ipv4: bool) -> Option<(usize, bool)> {
    match (protocol, ipv4) {
        (TCP, _) => Some((16, true)),
        (UDP | UDP_LITE | DCCP, _) => Some((6, true)),
        (ICMP, true) => Some((2, false)),
        (ICMPV6, false) => Some((2, true)),
        _ => None,
    }
}

/// Brings the transport checksum of `after`, which was made of `before` by changing addresses and
/// payload, up to date. Of whole packets that were right it is computed from scratch.
pub(super) fn refresh(before: &Packet, after: &mut Packet) {
    if before.carries() == Carries::LaterFragment {
        return;
    }
    let Some((at, pseudo_header)) = field(after.protocol, after.source.is_ipv4()) else {
        return;
    };
    if after.payload.len() < at + 2 {
        return;
    }
    let old = before.word(at);
    if after.protocol == UDP && old == 0 {
        return;
    }
    let from_scratch = before.is_whole() && full(before) == Some(old);
    let new = match full(after) {
        Some(new) if from_scratch => new,
        _ => {
            let covered = |packet: &Packet| {
                let addresses =
                    if pseudo_header { sum_of_addresses(packet.source, packet.destination) } else { 0 };
                add(addresses, sum(&without_checksum(&packet.payload, at)))
            };
            not_zero_in_udp(after.protocol, by_difference(old, covered(before), covered(after)))
        }
    };
    after.payload[at..at + 2].copy_from_slice(&new.to_be_bytes());
}

/// The checksum of a whole TCP, UDP or ICMP packet, whatever stands in its field.
pub(crate) fn full(packet: &Packet) -> Option<u16> {
    let (at, pseudo_header) = match packet.protocol {
        UDP_LITE | DCCP => return None,
        protocol => field(protocol, packet.source.is_ipv4())?,
    };
    let mut covered = without_checksum(&packet.payload, at);
    if packet.protocol == UDP {
        covered.truncate(usize::from(packet.word(4)));
    }
    let mut total = sum(&covered);
    if pseudo_header {
        let length = u16::try_from(covered.len()).ok()?;
        total = add(total, sum_of_addresses(packet.source, packet.destination));
        total = add(add(total, u16::from(packet.protocol)), length);
    }
    Some(not_zero_in_udp(packet.protocol, !total))
}

/// RFC 768: in UDP 0 says "no checksum", so its equal stands in.
pub(crate) fn not_zero_in_udp(protocol: u8, checksum: u16) -> u16 {
    if protocol == UDP && checksum == 0 { 0xffff } else { checksum }
}

fn without_checksum(payload: &[u8], at: usize) -> Vec<u8> {
    let mut covered = payload.to_vec();
    covered[at..at + 2].fill(0);
    covered
}
