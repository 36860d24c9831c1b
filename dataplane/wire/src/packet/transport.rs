//! What follows the IP header: TCP, UDP, ICMP.

use super::{Fragment, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpVersion, Transport};
use crate::bytes::u16_at;
use crate::malformed::Malformed;
use crate::protocol::Protocol;
use crate::tcp::TcpFlags;

const TCP_HEADER_LEN: usize = 20;
const TCP_OFFSET: usize = 12;
const TCP_FLAGS: usize = 13;
const UDP_HEADER_LEN: usize = 8;
const UDP_LENGTH: usize = 4;
/// Every ICMP message that is defined has at least this; a quoted packet follows it.
pub(crate) const ICMP_HEADER_LEN: usize = 8;
pub(crate) const ICMP_IDENTIFIER: usize = 4;

/// ICMP message types (RFC 792, RFC 4443).
pub(crate) mod icmp_type {
    pub(crate) const V4_ECHO_REPLY: u8 = 0;
    pub(crate) const V4_UNREACHABLE: u8 = 3;
    pub(crate) const V4_ECHO: u8 = 8;
    pub(crate) const V4_TIME_EXCEEDED: u8 = 11;
    pub(crate) const V4_PARAMETER_PROBLEM: u8 = 12;
    pub(crate) const V4_TIMESTAMP: u8 = 13;
    pub(crate) const V4_TIMESTAMP_REPLY: u8 = 14;
    pub(crate) const V6_UNREACHABLE: u8 = 1;
    pub(crate) const V6_PACKET_TOO_BIG: u8 = 2;
    pub(crate) const V6_TIME_EXCEEDED: u8 = 3;
    pub(crate) const V6_PARAMETER_PROBLEM: u8 = 4;
    /// Types from here on are informational.
    pub(crate) const V6_FIRST_INFORMATIONAL: u8 = 128;
    pub(crate) const V6_ECHO: u8 = 128;
    pub(crate) const V6_ECHO_REPLY: u8 = 129;
    pub(crate) const V6_REDIRECT: u8 = 137;
}

/// The transport with its ports.
pub(super) struct Found {
    pub(super) transport: Transport,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

impl Found {
    const fn without_ports(transport: Transport) -> Self {
        Self { transport, source_port: 0, destination_port: 0 }
    }
}

/// Reads the transport header at the start of `payload`, which begins `l4_offset` bytes into the packet.
#[inline]
pub(super) fn parse(
    payload: &[u8],
    protocol: Protocol,
    version: IpVersion,
    fragment: Fragment,
    l4_offset: usize,
) -> Result<Found, Malformed> {
    if fragment == Fragment::Later {
        return Ok(Found::without_ports(Transport::LaterFragment));
    }
    match (protocol, version) {
        (Protocol::TCP, _) => tcp(payload, fragment),
        (Protocol::UDP, _) => udp(payload, fragment),
        (Protocol::ICMP, IpVersion::V4) | (Protocol::ICMPV6, IpVersion::V6) => {
            icmp(payload, version, l4_offset)
        }
        (Protocol::ICMP | Protocol::ICMPV6, _) => Err(Malformed::IcmpOfOtherVersion),
        _ => Ok(Found::without_ports(Transport::Other)),
    }
}

#[inline]
fn tcp(payload: &[u8], fragment: Fragment) -> Result<Found, Malformed> {
    let header: &[u8; TCP_HEADER_LEN] = payload.first_chunk().ok_or(Malformed::TruncatedTransport)?;
    let header_len = usize::from(header[TCP_OFFSET] >> 4) * 4;
    if header_len < TCP_HEADER_LEN {
        return Err(Malformed::BadTcpOffset);
    }
    if header_len > payload.len() {
        // A first fragment may end within the options of an honest header, yet no honest sender makes one.
        return Err(match fragment {
            Fragment::None => Malformed::BadTcpOffset,
            Fragment::First | Fragment::Later => Malformed::TruncatedTransport,
        });
    }
    Ok(Found {
        transport: Transport::Tcp { flags: TcpFlags(header[TCP_FLAGS]) },
        source_port: u16_at(header, 0),
        destination_port: u16_at(header, 2),
    })
}

#[inline]
fn udp(payload: &[u8], fragment: Fragment) -> Result<Found, Malformed> {
    let header: &[u8; UDP_HEADER_LEN] = payload.first_chunk().ok_or(Malformed::TruncatedTransport)?;
    let length = usize::from(u16_at(header, UDP_LENGTH));
    // The length is the datagram's; of a fragmented one this is a part.
    if length < UDP_HEADER_LEN || (fragment == Fragment::None && length > payload.len()) {
        return Err(Malformed::BadUdpLength);
    }
    Ok(Found {
        transport: Transport::Udp,
        source_port: u16_at(header, 0),
        destination_port: u16_at(header, 2),
    })
}

#[inline]
fn icmp(payload: &[u8], version: IpVersion, l4_offset: usize) -> Result<Found, Malformed> {
    let header: &[u8; ICMP_HEADER_LEN] = payload.first_chunk().ok_or(Malformed::TruncatedIcmp)?;
    let transport = classify_icmp(version, header[0], l4_offset + ICMP_HEADER_LEN);
    match transport {
        Transport::IcmpQuery | Transport::IcmpReply => {
            let identifier = u16_at(header, ICMP_IDENTIFIER);
            Ok(Found { transport, source_port: identifier, destination_port: identifier })
        }
        Transport::IcmpError { .. } => {
            let quoted_header_len = match version {
                IpVersion::V4 => IPV4_HEADER_LEN,
                IpVersion::V6 => IPV6_HEADER_LEN,
            };
            if payload.len() < ICMP_HEADER_LEN + quoted_header_len {
                return Err(Malformed::TruncatedIcmp);
            }
            Ok(Found::without_ports(transport))
        }
        _ => Ok(Found::without_ports(transport)),
    }
}

/// What an ICMP type means; an error quotes the packet at `quoted`.
#[inline]
pub(crate) const fn classify_icmp(version: IpVersion, kind: u8, quoted: usize) -> Transport {
    use icmp_type as t;
    match (version, kind) {
        (IpVersion::V4, t::V4_ECHO | t::V4_TIMESTAMP) | (IpVersion::V6, t::V6_ECHO) => Transport::IcmpQuery,
        (IpVersion::V4, t::V4_ECHO_REPLY | t::V4_TIMESTAMP_REPLY) | (IpVersion::V6, t::V6_ECHO_REPLY) => {
            Transport::IcmpReply
        }
        (IpVersion::V4, t::V4_UNREACHABLE | t::V4_TIME_EXCEEDED | t::V4_PARAMETER_PROBLEM)
        | (
            IpVersion::V6,
            t::V6_UNREACHABLE | t::V6_PACKET_TOO_BIG | t::V6_TIME_EXCEEDED | t::V6_PARAMETER_PROBLEM,
        ) => Transport::IcmpError { quoted },
        _ => Transport::IcmpOther,
    }
}

/// Refuses fragments that cannot be put together, or that rewrite the header that policy has judged
/// (RFC 1858 3.2.2, RFC 3128). `offset` and `payload_len` are in bytes.
pub(super) fn check_fragment(
    offset: usize,
    payload_len: usize,
    more: bool,
    protocol: Protocol,
) -> Result<(), Malformed> {
    let torn = more && (payload_len == 0 || !payload_len.is_multiple_of(8));
    if torn || offset + payload_len > usize::from(u16::MAX) {
        return Err(Malformed::BadFragmentLength);
    }
    if protocol == Protocol::TCP && offset > 0 && offset < TCP_HEADER_LEN {
        return Err(Malformed::OverlappingFragment);
    }
    Ok(())
}
