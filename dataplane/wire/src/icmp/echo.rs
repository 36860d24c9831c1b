//! Answering echo requests.

use super::TTL;
use crate::bytes::{array, put, put_u16, u16_at};
use crate::checksum::Difference;
use crate::packet::{Fragment, ICMP_CHECKSUM, IpVersion, Packet, Transport, icmp_type};
use crate::rewrite::is_all_zero;

/// Turns the echo request in `bytes` into its reply: addresses swapped, type changed, TTL fresh, checksums
/// updated by difference. False, and nothing changed, for anything that is not a whole echo request.
pub fn echo_reply_in_place(bytes: &mut [u8], packet: &Packet) -> bool {
    let (request, reply) = match packet.version {
        IpVersion::V4 => (icmp_type::V4_ECHO, icmp_type::V4_ECHO_REPLY),
        IpVersion::V6 => (icmp_type::V6_ECHO, icmp_type::V6_ECHO_REPLY),
    };
    // Timestamp requests are queries too.
    let l4 = packet.l4_offset;
    if packet.transport != Transport::IcmpQuery
        || packet.fragment != Fragment::None
        || bytes.len() < packet.total_len
        || bytes[l4] != request
    {
        return false;
    }
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
