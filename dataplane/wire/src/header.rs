//! IP headers of packets that the node itself makes.

use std::net::IpAddr;

use crate::bytes::{put_ip, put_u16};
use crate::checksum::checksum;
use crate::packet::{IPV4_HEADER_LEN, IPV6_HEADER_LEN};
use crate::protocol::Protocol;

/// TTL and hop limit of packets that the node itself makes.
pub const TTL: u8 = 64;
const DONT_FRAGMENT: u16 = 0x4000;

/// What a header says besides its fixed parts.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) source: IpAddr,
    /// Of the same family as `source`.
    pub(crate) destination: IpAddr,
    pub(crate) protocol: Protocol,
    /// Type of service or traffic class.
    pub(crate) class: u8,
    /// Bytes that follow the header.
    pub(crate) payload_len: usize,
}

/// Length of the header of a packet from `source`.
pub(crate) const fn header_len(source: IpAddr) -> usize {
    match source {
        IpAddr::V4(_) => IPV4_HEADER_LEN,
        IpAddr::V6(_) => IPV6_HEADER_LEN,
    }
}

/// Fills `bytes`, which are as long as the header, without options or extensions. An IPv4 packet is atomic, so
/// its identification means nothing (RFC 6864).
pub(crate) fn write_ip_header(bytes: &mut [u8], header: Header) {
    bytes.fill(0);
    match header.source {
        IpAddr::V4(_) => {
            bytes[0] = 0x45;
            bytes[1] = header.class;
            put_u16(bytes, 2, (IPV4_HEADER_LEN + header.payload_len) as u16);
            put_u16(bytes, 6, DONT_FRAGMENT);
            bytes[8] = TTL;
            bytes[9] = header.protocol.0;
            put_ip(bytes, 12, header.source);
            put_ip(bytes, 16, header.destination);
            let sum = checksum(bytes);
            put_u16(bytes, 10, sum);
        }
        IpAddr::V6(_) => {
            put_u16(bytes, 0, 0x6000 | u16::from(header.class) << 4);
            put_u16(bytes, 4, header.payload_len as u16);
            bytes[6] = header.protocol.0;
            bytes[7] = TTL;
            put_ip(bytes, 8, header.source);
            put_ip(bytes, 24, header.destination);
        }
    }
}
