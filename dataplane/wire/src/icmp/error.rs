//! Errors about packets that cannot go on.

use std::net::IpAddr;

use crate::bytes::{put, put_u16};
use crate::checksum::{Sum, checksum};
use crate::header::{Header, write_ip_header};
use crate::packet::{
    Fragment, ICMP_CHECKSUM, ICMP_HEADER_LEN, IPV4_HEADER_LEN, IPV6_HEADER_LEN, IpVersion, Packet, Transport,
    icmp_type,
};
use crate::protocol::Protocol;

/// Most bytes of an ICMPv4 error, IP header included (RFC 1812 4.3.2.3).
pub const MAX_ERROR_LEN_V4: usize = 576;
/// Most bytes of an ICMPv6 error, IP header included: the least MTU of IPv6 (RFC 4443 2.4 c).
pub const MAX_ERROR_LEN_V6: usize = 1280;

/// Precedence "internetwork control" (RFC 1812 4.3.2.5), class selector 6.
const TRAFFIC_CLASS_V4: u8 = 0xc0;

/// What an ICMP error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IcmpError {
    /// TTL or hop limit ran out in transit.
    TimeExceeded,
    /// No route to the destination network.
    NetUnreachable,
    /// The destination host does not answer.
    HostUnreachable,
    /// No such network. ICMPv6 has only "no route".
    NetUnknown,
    /// No such host. ICMPv6 has only "address unreachable".
    HostUnknown,
    /// Policy forbids it.
    AdminProhibited,
    /// Nothing listens on the port.
    PortUnreachable,
    /// The packet is too big for the next link: fragmentation needed (RFC 1191), packet too big (ICMPv6).
    FragmentationNeeded {
        /// What fits, in bytes of the IP packet.
        mtu: u16,
    },
}

impl IcmpError {
    /// ICMPv4 type and code.
    const fn v4(self) -> [u8; 2] {
        use icmp_type::{V4_TIME_EXCEEDED, V4_UNREACHABLE};
        match self {
            Self::TimeExceeded => [V4_TIME_EXCEEDED, 0],
            Self::NetUnreachable => [V4_UNREACHABLE, 0],
            Self::HostUnreachable => [V4_UNREACHABLE, 1],
            Self::PortUnreachable => [V4_UNREACHABLE, 3],
            Self::FragmentationNeeded { .. } => [V4_UNREACHABLE, 4],
            Self::NetUnknown => [V4_UNREACHABLE, 6],
            Self::HostUnknown => [V4_UNREACHABLE, 7],
            Self::AdminProhibited => [V4_UNREACHABLE, 13],
        }
    }

    /// ICMPv6 type and code.
    const fn v6(self) -> [u8; 2] {
        use icmp_type::{V6_PACKET_TOO_BIG, V6_TIME_EXCEEDED, V6_UNREACHABLE};
        match self {
            Self::TimeExceeded => [V6_TIME_EXCEEDED, 0],
            Self::NetUnreachable | Self::NetUnknown => [V6_UNREACHABLE, 0],
            Self::AdminProhibited => [V6_UNREACHABLE, 1],
            Self::HostUnreachable | Self::HostUnknown => [V6_UNREACHABLE, 3],
            Self::PortUnreachable => [V6_UNREACHABLE, 4],
            Self::FragmentationNeeded { .. } => [V6_PACKET_TOO_BIG, 0],
        }
    }

    /// The second word of the ICMP header: in both versions an MTU ends it, or it is unused.
    fn second_word(self) -> [u8; 4] {
        match self {
            Self::FragmentationNeeded { mtu } => u32::from(mtu).to_be_bytes(),
            _ => [0; 4],
        }
    }
}

/// Writes into `out` the IP packet with the ICMP error `kind` from `source` about the packet `offending`, from
/// which `packet` was parsed, and gives its length: at most [`MAX_ERROR_LEN_V4`] or [`MAX_ERROR_LEN_V6`].
///
/// `offending` must be as its sender sent it, before translation. `None`, where RFC 1122 3.2.2 or RFC 4443 2.4
/// forbid an error (about an error, about what may be one, about a later fragment, to an address that is not one
/// host), where `source` is of the other IP version, and where `out` is too short.
pub fn build_error(
    offending: &[u8],
    packet: &Packet,
    kind: IcmpError,
    source: IpAddr,
    out: &mut [u8],
) -> Option<usize> {
    let offending = offending.get(..packet.total_len)?;
    if source.is_ipv4() != packet.tuple.source.is_ipv4() || !may_answer(offending, packet) {
        return None;
    }
    let (header_len, most) = match packet.version {
        IpVersion::V4 => (IPV4_HEADER_LEN, MAX_ERROR_LEN_V4),
        IpVersion::V6 => (IPV6_HEADER_LEN, MAX_ERROR_LEN_V6),
    };
    let quote = &offending[..offending.len().min(most - header_len - ICMP_HEADER_LEN)];
    let length = header_len + ICMP_HEADER_LEN + quote.len();
    let out = out.get_mut(..length)?;
    let (header, message) = out.split_at_mut(header_len);
    let code = match packet.version {
        IpVersion::V4 => kind.v4(),
        IpVersion::V6 => kind.v6(),
    };
    put(message, 0, code);
    put_u16(message, ICMP_CHECKSUM, 0);
    put(message, 4, kind.second_word());
    message[ICMP_HEADER_LEN..].copy_from_slice(quote);
    let destination = packet.tuple.source;
    let message_checksum = match packet.version {
        IpVersion::V4 => checksum(message),
        IpVersion::V6 => {
            Sum::pseudo_header(source, destination, Protocol::ICMPV6, message.len()).bytes(message).checksum()
        }
    };
    put_u16(message, ICMP_CHECKSUM, message_checksum);
    let (protocol, class) = match packet.version {
        IpVersion::V4 => (Protocol::ICMP, TRAFFIC_CLASS_V4),
        IpVersion::V6 => (Protocol::ICMPV6, 0),
    };
    write_ip_header(header, Header { source, destination, protocol, class, payload_len: message.len() });
    Some(length)
}

/// Whether an error about this packet is allowed. Addresses that are not one host were refused by the parser,
/// but for class E.
fn may_answer(offending: &[u8], packet: &Packet) -> bool {
    let one_host = match packet.tuple.source {
        IpAddr::V4(v4) => v4.octets()[0] < 240,
        IpAddr::V6(_) => true,
    };
    let allowed = match packet.transport {
        Transport::IcmpError { .. } => false,
        // Of ICMPv4 an unknown message may be an error of its own kind.
        Transport::IcmpOther => match packet.version {
            IpVersion::V4 => false,
            IpVersion::V6 => {
                let kind = offending[packet.l4_offset];
                kind >= icmp_type::V6_FIRST_INFORMATIONAL && kind != icmp_type::V6_REDIRECT
            }
        },
        // RFC 4443 does not forbid it, but the first fragment of an ICMPv6 datagram may hold an error.
        Transport::LaterFragment => {
            packet.version == IpVersion::V6 && packet.tuple.protocol != Protocol::ICMPV6
        }
        _ => packet.fragment != Fragment::Later,
    };
    one_host && allowed
}
