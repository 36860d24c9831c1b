//! Sending echo requests and answering them.

use std::net::IpAddr;

use super::TTL;
use crate::bytes::{array, put, put_u16, u16_at};
use crate::checksum::{Difference, Sum, checksum};
use crate::header::{Header, header_len, write_ip_header};
use crate::packet::{
    Fragment, ICMP_CHECKSUM, ICMP_HEADER_LEN, ICMP_IDENTIFIER, IpVersion, Packet, Transport, icmp_type,
};
use crate::protocol::Protocol;
use crate::rewrite::is_all_zero;

const ICMP_SEQUENCE: usize = 6;

/// Most bytes of a request that is made here: an IPv6 and an ICMP header.
pub const MAX_ECHO_REQUEST_LEN: usize = 48;

/// Writes an echo request without data into `out` and gives the packet's length, at most
/// [`MAX_ECHO_REQUEST_LEN`]. `None` where the families differ or `out` is too short.
pub fn write_echo_request(
    source: IpAddr,
    destination: IpAddr,
    identifier: u16,
    sequence: u16,
    out: &mut [u8],
) -> Option<usize> {
    if source.is_ipv4() != destination.is_ipv4() {
        return None;
    }
    let header_len = header_len(source);
    let out = out.get_mut(..header_len + ICMP_HEADER_LEN)?;
    let (header, message) = out.split_at_mut(header_len);
    message.fill(0);
    put_u16(message, ICMP_IDENTIFIER, identifier);
    put_u16(message, ICMP_SEQUENCE, sequence);
    let (protocol, sum) = if source.is_ipv4() {
        message[0] = icmp_type::V4_ECHO;
        (Protocol::ICMP, checksum(message))
    } else {
        message[0] = icmp_type::V6_ECHO;
        let pseudo = Sum::pseudo_header(source, destination, Protocol::ICMPV6, ICMP_HEADER_LEN);
        (Protocol::ICMPV6, pseudo.bytes(message).checksum())
    };
    put_u16(message, ICMP_CHECKSUM, sum);
    write_ip_header(header, Header { source, destination, protocol, class: 0, payload_len: ICMP_HEADER_LEN });
    Some(header_len + ICMP_HEADER_LEN)
}

/// Sequence number of the echo message in `bytes`, from which `packet` was parsed.
#[must_use]
pub fn echo_sequence(bytes: &[u8], packet: &Packet) -> Option<u16> {
    let message = bytes.get(packet.l4_offset..packet.l4_offset + ICMP_HEADER_LEN)?;
    matches!(packet.transport, Transport::IcmpQuery | Transport::IcmpReply)
        .then(|| u16_at(message, ICMP_SEQUENCE))
}

/// Whether `bytes`, from which `packet` was parsed, are a whole echo request.
#[must_use]
pub fn is_echo_request(bytes: &[u8], packet: &Packet) -> bool {
    let request = match packet.version {
        IpVersion::V4 => icmp_type::V4_ECHO,
        IpVersion::V6 => icmp_type::V6_ECHO,
    };
    // Timestamp requests are queries too.
    packet.transport == Transport::IcmpQuery
        && packet.fragment == Fragment::None
        && bytes.len() >= packet.total_len
        && bytes[packet.l4_offset] == request
}

/// Turns the echo request in `bytes` into its reply: addresses swapped, type changed, TTL fresh, checksums
/// updated by difference. False, and nothing changed, for anything that is not a whole echo request.
pub fn echo_reply_in_place(bytes: &mut [u8], packet: &Packet) -> bool {
    if !is_echo_request(bytes, packet) {
        return false;
    }
    let reply = match packet.version {
        IpVersion::V4 => icmp_type::V4_ECHO_REPLY,
        IpVersion::V6 => icmp_type::V6_ECHO_REPLY,
    };
    let l4 = packet.l4_offset;
    // Swapped addresses leave every sum as it is.
    match packet.version {
        IpVersion::V4 => {
            let (source, destination): ([u8; 4], [u8; 4]) = (array(bytes, 12), array(bytes, 16));
            put(bytes, 12, destination);
            put(bytes, 16, source);
            let (old, protocol) = (u16_at(bytes, 8), bytes[9]);
            let new = u16::from_be_bytes([TTL, protocol]);
            let mut header = Difference::ZERO;
            header.replace_u16(old, new);
            put_u16(bytes, 8, new);
            put_u16(bytes, 10, header.apply(u16_at(bytes, 10)));
        }
        IpVersion::V6 => {
            let (source, destination): ([u8; 16], [u8; 16]) = (array(bytes, 8), array(bytes, 24));
            put(bytes, 8, destination);
            put(bytes, 24, source);
            bytes[7] = TTL;
        }
    }
    let old = u16_at(bytes, l4);
    bytes[l4] = reply;
    let mut message = Difference::ZERO;
    message.replace_u16(old, u16_at(bytes, l4));
    let mut checksum = message.apply(u16_at(bytes, l4 + ICMP_CHECKSUM));
    if packet.version == IpVersion::V4 && checksum == 0 && is_all_zero(&bytes[l4..packet.total_len]) {
        checksum = 0xffff;
    }
    put_u16(bytes, l4 + ICMP_CHECKSUM, checksum);
    true
}
