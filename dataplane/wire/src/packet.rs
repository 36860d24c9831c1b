//! An IP packet without its Ethernet header, validated once.

mod addresses;
mod transport;
mod v4;
mod v6;

pub(crate) use addresses::is_plain_v4;
pub(crate) use transport::{ICMP_HEADER_LEN, ICMP_IDENTIFIER, classify_icmp, icmp_type};

use crate::ecn::Ecn;
use crate::malformed::Malformed;
use crate::tcp::TcpFlags;
use crate::tuple::FiveTuple;

/// Length of an IPv4 header without options.
pub const IPV4_HEADER_LEN: usize = 20;
/// Length of the fixed IPv6 header.
pub const IPV6_HEADER_LEN: usize = 40;
/// Most IPv6 extension headers that are walked before the transport header.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Offset of the checksum in an ICMP message.
pub(crate) const ICMP_CHECKSUM: usize = 2;

/// Version of the Internet Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// RFC 791.
    V4,
    /// RFC 8200.
    V6,
}

/// Which part of a datagram a packet is. An IPv6 "atomic fragment" (RFC 6946) is a whole one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fragment {
    /// The whole.
    None,
    /// The part with the transport header.
    First,
    /// A part without it.
    Later,
}

/// The place of a fragment in its datagram, in bytes of what was fragmented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Part {
    /// Where it starts.
    pub start: u16,
    /// How long it is.
    pub len: u16,
    /// Nothing follows it.
    pub last: bool,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A TCP header with its flags.
    Tcp {
        /// The flags.
        flags: TcpFlags,
    },
    /// A UDP header.
    Udp,
    /// An ICMP echo or (IPv4) timestamp request; its identifier stands in the tuple's ports.
    IcmpQuery,
    /// The reply to one.
    IcmpReply,
    /// An ICMP error about another packet: destination unreachable, packet too big, time exceeded, parameter
    /// problem. Source quench and redirect are `IcmpOther`: no router may act on them any more
    /// (RFC 6633) or forward them (RFC 4861 8.1).
    IcmpError {
        /// Offset of the quoted IP header from the start of the packet, in bytes.
        quoted: usize,
    },
    /// Any other ICMP message.
    IcmpOther,
    /// Any other protocol, IPv6's "no next header" included.
    Other,
    /// A later fragment: whatever the protocol, its header is in the first.
    LaterFragment,
}

impl Transport {
    /// Whether this is TCP with its SYN flag: the beginning of a connection, or the answer to one.
    pub const fn is_syn(self) -> bool {
        matches!(self, Self::Tcp { flags } if flags.syn())
    }
}

/// What was learned of a packet; offsets and lengths are in bytes from the start of its IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Version of the header.
    pub version: IpVersion,
    /// Addresses, protocol and ports.
    pub tuple: FiveTuple,
    /// What the packet carries.
    pub transport: Transport,
    /// Which part of its datagram it is.
    pub fragment: Fragment,
    /// Where in its datagram a fragment lies; all zero in a whole one.
    pub part: Part,
    /// Identification of the datagram: 16 bits in IPv4, 32 in an IPv6 fragment header, 0 without one.
    pub identification: u32,
    /// Routers must not fragment the packet: IPv4's flag; always set in IPv6.
    pub dont_fragment: bool,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Differentiated services code point, 6 bits.
    pub dscp: u8,
    /// Explicit congestion notification.
    pub ecn: Ecn,
    /// Length of the IP header with its options or extension headers: the transport header starts there. In
    /// a later fragment its data does.
    pub l4_offset: usize,
    /// Length of the packet. What `bytes` hold beyond it is Ethernet padding: cut it off.
    pub total_len: usize,
}

impl Packet {
    /// Length of the IP header with its options or extension headers.
    pub const fn header_len(&self) -> usize {
        self.l4_offset
    }
}

/// Reads and validates the IP packet at the start of `bytes`.
///
/// The IPv4 header checksum is verified. Checksums of the transport are not: they are updated by difference,
/// so an error stays visible to the receiver. Padding after the packet is tolerated.
///
/// # Errors
/// The first reason found not to forward the packet.
#[inline]
pub fn parse(bytes: &[u8]) -> Result<Packet, Malformed> {
    match bytes.first().ok_or(Malformed::TruncatedHeader)? >> 4 {
        4 => v4::parse(bytes),
        6 => v6::parse(bytes),
        _ => Err(Malformed::BadVersion),
    }
}
