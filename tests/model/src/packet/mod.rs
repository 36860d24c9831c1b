//! IP packets, read into plain values and written back byte for byte.

pub mod build;
mod checksum;
mod fragment;
mod mss;
mod quote;
mod read;
mod split;
mod translate;
mod write;

use std::net::IpAddr;

use crate::tuple::{ICMP, ICMPV6, TCP, Tuple, UDP};

pub(crate) use checksum::{full as full_checksum, sum_words};
pub use quote::Quote;

/// FIN.
pub const FIN: u8 = 0x01;
/// SYN.
pub const SYN: u8 = 0x02;
/// RST.
pub const RST: u8 = 0x04;
/// ACK.
pub const ACK: u8 = 0x10;

/// An IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Type of service or traffic class.
    pub class: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Transport protocol: what follows the extension headers.
    pub protocol: u8,
    /// What the versions have to themselves.
    pub header: Header,
    /// Which part of its datagram the packet is.
    pub piece: Piece,
    /// Everything behind the IP header, its options and extension headers.
    pub payload: Vec<u8>,
}

/// Parts of the IP header that are kept as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// RFC 791.
    V4 {
        /// Identification.
        identification: u16,
        /// The flag.
        dont_fragment: bool,
        /// Options with their padding.
        options: Vec<u8>,
    },
    /// RFC 8200.
    V6 {
        /// 20 bits.
        flow_label: u32,
        /// Type of the first extension header, or the transport protocol.
        next_header: u8,
        /// Extension headers, a fragment header included.
        extensions: Vec<u8>,
    },
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Place of the payload in the datagram, in bytes.
    pub offset: usize,
    /// Not the last part.
    pub more: bool,
    /// Which datagram; 0 for a whole IPv6 packet.
    pub identification: u32,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    /// TCP with these flags.
    Tcp(u8),
    /// UDP.
    Udp,
    /// ICMP echo or timestamp request.
    Query,
    /// The reply to one.
    Reply,
    /// An ICMP error about another packet.
    IcmpError,
    /// Any other ICMP message.
    IcmpOther,
    /// A protocol without ports.
    Other,
    /// A fragment other than the first.
    LaterFragment,
}

impl Packet {
    /// Reads a packet; bytes behind it are padding. `None`: malformed.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        read::packet(bytes)
    }

    /// What the packet carries.
    #[must_use]
    pub fn carries(&self) -> Carries {
        if self.is_later_fragment() {
            return Carries::LaterFragment;
        }
        match (self.protocol, self.source.is_ipv4()) {
            (TCP, _) => Carries::Tcp(self.payload[13]),
            (UDP, _) => Carries::Udp,
            (ICMP, true) | (ICMPV6, false) => icmp(self.source.is_ipv4(), self.payload[0]),
            _ => Carries::Other,
        }
    }

    /// Addresses, protocol and ports; of a later fragment the ports are zero.
    #[must_use]
    pub fn tuple(&self) -> Tuple {
        let (source_port, destination_port) = match self.carries() {
            Carries::Tcp(_) | Carries::Udp => (self.word(0), self.word(2)),
            Carries::Query | Carries::Reply => (self.word(4), self.word(4)),
            _ => (0, 0),
        };
        let (source, destination, protocol) = (self.source, self.destination, self.protocol);
        Tuple { source, destination, protocol, source_port, destination_port }
    }

    /// A fragment other than the first.
    #[must_use]
    pub fn is_later_fragment(&self) -> bool {
        self.piece.offset > 0
    }

    /// A first fragment that others follow.
    #[must_use]
    pub fn is_first_fragment(&self) -> bool {
        self.piece.offset == 0 && self.piece.more
    }

    /// A datagram in one packet.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.piece.offset == 0 && !self.piece.more
    }

    /// A SYN that is no SYN-ACK.
    #[must_use]
    pub fn begins_connection(&self) -> bool {
        matches!(self.carries(), Carries::Tcp(flags) if flags & SYN != 0 && flags & ACK == 0)
    }

    /// Length of the packet in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.header_len() + self.payload.len()
    }

    /// Never: a packet has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Length of the IP header with options or extension headers.
    #[must_use]
    pub fn header_len(&self) -> usize {
        match &self.header {
            Header::V4 { options, .. } => 20 + options.len(),
            Header::V6 { extensions, .. } => 40 + extensions.len(),
        }
    }

    pub(crate) fn word(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.payload[at], self.payload[at + 1]])
    }
}

/// What an ICMP type is (RFC 792, RFC 4443). Source quench and redirect are neither: no router acts
/// on the one or forwards the other (RFC 6633, RFC 4861).
fn icmp(ipv4: bool, kind: u8) -> Carries {
    match (ipv4, kind) {
        (true, 8 | 13) | (false, 128) => Carries::Query,
        (true, 0 | 14) | (false, 129) => Carries::Reply,
        (true, 3 | 11 | 12) | (false, 1..=4) => Carries::IcmpError,
        _ => Carries::IcmpOther,
    }
}
