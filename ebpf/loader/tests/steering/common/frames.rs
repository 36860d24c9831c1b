//! Frames, and changes to them. Addresses of the cast are in `mod.rs`.

use etherparse::PacketBuilder;

use super::netns;

pub(crate) const OURS: [u8; 6] = netns::MAC;
pub(crate) const HOST: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
pub(crate) const FOREIGN: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];
pub(crate) const BROADCAST: [u8; 6] = [0xff; 6];
pub(crate) const MULTICAST: [u8; 6] = [0x01, 0, 0x5e, 0, 0, 0x05];

pub(crate) const GROUP6: [u8; 6] = [0x33, 0x33, 0, 0, 0, 0xfb];

/// Offset of the network header in an untagged frame.
pub(crate) const NETWORK: usize = 14;

/// Ethernet header with any EtherType, and what follows.
pub(crate) fn ethernet(destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&destination[..], &HOST, &ethertype.to_be_bytes(), payload].concat()
}

pub(crate) fn octets4(text: &str) -> [u8; 4] {
    text.parse::<std::net::Ipv4Addr>().expect("IPv4").octets()
}

pub(crate) fn octets6(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().expect("IPv6").octets()
}

/// An ARP packet of Ethernet and IPv4; operation 1 asks, 2 answers.
pub(crate) fn arp(destination: [u8; 6], operation: u16, sender: &str, target: &str) -> Vec<u8> {
    let body = [
        &[0, 1, 8, 0, 6, 4][..],
        &operation.to_be_bytes(),
        &HOST,
        &octets4(sender),
        &[0; 6],
        &octets4(target),
    ]
    .concat();
    ethernet(destination, 0x0806, &body)
}

pub(crate) fn udp4(destination: [u8; 6], from: &str, to: &str, port: u16) -> Vec<u8> {
    written(|out| {
        PacketBuilder::ethernet2(HOST, destination)
            .ipv4(octets4(from), octets4(to), 64)
            .udp(40_000, port)
            .write(out, b"payload!")
            .expect("a Vec takes it");
    })
}

pub(crate) fn tcp4(destination: [u8; 6], from: &str, to: &str, port: u16) -> Vec<u8> {
    written(|out| {
        PacketBuilder::ethernet2(HOST, destination)
            .ipv4(octets4(from), octets4(to), 64)
            .tcp(40_000, port, 1, 1024)
            .write(out, b"payload!")
            .expect("a Vec takes it");
    })
}

pub(crate) fn icmp4(destination: [u8; 6], from: &str, to: &str) -> Vec<u8> {
    written(|out| {
        PacketBuilder::ethernet2(HOST, destination)
            .ipv4(octets4(from), octets4(to), 64)
            .icmpv4_echo_request(1, 1)
            .write(out, b"payload!")
            .expect("a Vec takes it");
    })
}

/// A fragment of a UDP datagram: `offset` in units of eight bytes.
pub(crate) fn fragment4(to: &str, port: u16, identification: u16, offset: u16, more: bool) -> Vec<u8> {
    let mut frame = udp4(OURS, "10.1.0.2", to, port);
    frame[NETWORK + 4..NETWORK + 6].copy_from_slice(&identification.to_be_bytes());
    let bits = offset | if more { 0x2000 } else { 0 };
    frame[NETWORK + 6..NETWORK + 8].copy_from_slice(&bits.to_be_bytes());
    frame
}

/// IPv4 options: `words` words of no-operation between header and payload.
pub(crate) fn with_options4(frame: &[u8], words: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let extra = usize::from(words) * 4;
    frame[NETWORK] = 0x45 + words;
    let total = u16::from_be_bytes([frame[NETWORK + 2], frame[NETWORK + 3]]) + extra as u16;
    frame[NETWORK + 2..NETWORK + 4].copy_from_slice(&total.to_be_bytes());
    let at = NETWORK + 20;
    frame.splice(at..at, std::iter::repeat_n(1, extra));
    frame
}

/// An IPv6 packet: next header, hop limit and payload as given.
pub(crate) fn ipv6(
    destination: [u8; 6],
    from: &str,
    to: &str,
    next: u8,
    hop_limit: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a payload").to_be_bytes();
    let packet =
        [&[0x60, 0, 0, 0][..], &length, &[next, hop_limit], &octets6(from), &octets6(to), payload].concat();
    ethernet(destination, 0x86dd, &packet)
}

/// Eight bytes of UDP header (checksum unset) and eight of payload.
pub(crate) fn udp_segment(port: u16) -> Vec<u8> {
    [&40_000u16.to_be_bytes()[..], &port.to_be_bytes(), &16u16.to_be_bytes(), &[0, 0], b"payload!"].concat()
}

pub(crate) fn udp6(destination: [u8; 6], from: &str, to: &str, port: u16) -> Vec<u8> {
    ipv6(destination, from, to, 17, 64, &udp_segment(port))
}

/// An extension header of eight bytes in front of `rest`.
pub(crate) fn extension(next: u8, rest: &[u8]) -> Vec<u8> {
    [&[next, 0, 1, 4, 0, 0, 0, 0][..], rest].concat()
}

/// A fragment header: `offset` in units of eight bytes.
pub(crate) fn fragment_header(
    next: u8,
    identification: u32,
    offset: u16,
    more: bool,
    rest: &[u8],
) -> Vec<u8> {
    let bits = (offset << 3) | u16::from(more);
    [&[next, 0][..], &bits.to_be_bytes(), &identification.to_be_bytes(), rest].concat()
}

/// A neighbour solicitation's body.
pub(crate) fn solicitation(target: &str) -> Vec<u8> {
    [&[135, 0, 0, 0, 0, 0, 0, 0][..], &octets6(target), &[1, 1], &HOST].concat()
}

/// A neighbour solicitation, to the solicited-node group unless `to` is given.
pub(crate) fn neighbour_solicitation(from: &str, to: Option<&str>, target: &str) -> Vec<u8> {
    let mac = if to.is_some() { OURS } else { [0x33, 0x33, 0xff, 0, 0, 1] };
    ipv6(mac, from, to.unwrap_or("ff02::1:ff00:1"), 58, 255, &solicitation(target))
}

/// Puts a VLAN tag behind the MACs.
pub(crate) fn tagged(frame: &[u8], ethertype: u16, tci: u16) -> Vec<u8> {
    [&frame[..12], &ethertype.to_be_bytes(), &tci.to_be_bytes(), &frame[12..]].concat()
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}
